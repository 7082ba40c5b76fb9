"""Errors of the sweep package: one base, few children, each with its exit code.

Exit codes of `python -m sweep`:

| code | meaning |
|---|---|
| 0 | done |
| 1 | a bug in this program (a traceback is shown) |
| 2 | bad input: study file (or a path in it that leads nowhere), option, override, unknown trial |
| 3 | trials failed: the failure budget is spent, no trial finished, or a digest differs |
| 4 | data refused: damaged, unsorted or of an unknown form |
| 5 | the study is locked by another driver, or was started with other inputs |
| 6 | environment: disk full, worker pool, cluster or tracking store unusable |
| 130 | interrupted: running trials were kept or returned, launch again to go on |
"""

from typing import ClassVar, Final

EXIT_DONE: Final = 0
EXIT_BUG: Final = 1
EXIT_BAD_INPUT: Final = 2
EXIT_TRIALS_FAILED: Final = 3
EXIT_DATA_REFUSED: Final = 4
EXIT_LOCKED: Final = 5
EXIT_ENVIRONMENT: Final = 6
EXIT_INTERRUPTED: Final = 130

EXIT_CODES: Final[dict[int, str]] = {
    EXIT_DONE: "done",
    EXIT_BUG: "a bug in this program (a traceback is shown)",
    EXIT_BAD_INPUT: "bad input: study file, option, override, unknown trial",
    EXIT_TRIALS_FAILED: "trials failed: failure budget spent, none finished, or a digest differs",
    EXIT_DATA_REFUSED: "data refused: damaged, unsorted or of an unknown form",
    EXIT_LOCKED: "study locked by another driver, or started before with other inputs",
    EXIT_ENVIRONMENT: "environment: disk, worker pool, cluster or tracking store unusable",
    EXIT_INTERRUPTED: "interrupted; launch again to go on",
}


class SweepError(Exception):
    """Base of every expected error of this package; the message says what, where and what to do."""

    exit_code: ClassVar[int] = EXIT_BAD_INPUT


class InputError(SweepError):
    """An option, an argument or a stored study does not fit what was asked for."""


class TrialsFailedError(SweepError):
    """Too many trials failed for the result to mean anything."""

    exit_code: ClassVar[int] = EXIT_TRIALS_FAILED


class DataError(SweepError):
    """Market data is missing, damaged or breaks a rule; the message names file and row."""

    exit_code: ClassVar[int] = EXIT_DATA_REFUSED


class StudyLockedError(SweepError):
    """Another driver holds the study, or the stored study was started with other inputs."""

    exit_code: ClassVar[int] = EXIT_LOCKED


class ResourceError(SweepError):
    """The machine does not give what is needed: disk, worker pool, cluster."""

    exit_code: ClassVar[int] = EXIT_ENVIRONMENT


class TrackingError(ResourceError):
    """The tracking store cannot be used."""
