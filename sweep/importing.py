"""Makes the tapes that sources lack, several files at a time, and goes on after a bad one."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import rustsim
from sweep.data import TapeInfo, ensure_tapes, files_without_tape
from sweep.errors import (
    EXIT_BUG,
    EXIT_ENVIRONMENT,
    DataError,
    InputError,
    ResourceError,
    SweepError,
)
from sweep.file_processes import ENDED, each_source
from sweep.naming import NamedSource
from sweep.source import SourceConfig

# What a process told by an exit code, as the error that it was; anything else is the machine's.
_ERRORS: Final[dict[int, type[SweepError]]] = {
    error.exit_code: error for error in (DataError, InputError)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of one source: tapes, or a problem.

    Attributes:
        tapes: Its tapes, verified.
        problem: Why there are none.
        exit_code: Of the problem.
    """

    tapes: tuple[Path, ...] = ()
    problem: str = ""
    exit_code: int = 0


def ensure_in_parallel(
    source: SourceConfig, cache: Path, jobs: int, say: Callable[[str], None] | None = None
) -> list[TapeInfo]:
    """Return the tapes of a source as `ensure_tapes` does; build several that are missing at once.

    Tapes that were finished before an error or an interrupt stay: the next call goes on from there.

    Args:
        source: Reader, files and options.
        cache: Folder of the tapes.
        jobs: Files at a time; with 1, or if no two tapes are missing, no process is started.
        say: Hears what is built and waited for.

    Raises:
        DataError: A file is missing, damaged or breaks a rule.
        InputError: There is no such reader, option or instrument.
        ResourceError: The disk is full, the folder cannot be used, or a process died.
    """
    missing = files_without_tape(source, cache) if jobs > 1 and len(source.paths) > 1 else []
    if len(missing) > 1:
        # The same file twice is one tape.
        files = list(dict.fromkeys(missing))
        named = [NamedSource(config=replace(source, paths=(file,)), path=file) for file in files]
        found = import_sources(named, cache, jobs, lambda *_: None, say or (lambda _: None))
        for one in found:
            if one.problem:
                raise _ERRORS.get(one.exit_code, ResourceError)(one.problem)
    return ensure_tapes(source, cache, say)


def import_sources(
    named: Sequence[NamedSource],
    cache: Path,
    jobs: int,
    progress: Callable[[int, int], None],
    say: Callable[[str], None],
) -> list[Imported]:
    """Make the tapes that are missing and return what became of each source, in their order.

    Args:
        named: The sources.
        cache: Folder of the tapes.
        jobs: Files at a time.
        progress: Hears rows read and bytes of files done, of all files.
        say: Hears what is built and waited for.

    Raises:
        ResourceError: The disk is full or the folder cannot be used: no source can go on.
    """
    found = [Imported(problem=source.problem, exit_code=SweepError.exit_code) for source in named]
    rows = dict.fromkeys(range(len(named)), 0)
    done_bytes = 0
    for index, message in each_source(named, functools.partial(_build, cache), jobs):
        if isinstance(message, str):
            say(message)
        elif isinstance(message, int):
            rows[index] = message
        else:
            found[index] = _imported(message)
            path = named[index].path
            done_bytes += path.stat().st_size if path is not None and path.is_file() else 0
        progress(sum(rows.values()), done_bytes)
    return found


def _imported(message: dict[str, Any]) -> Imported:
    if ENDED in message:
        return Imported(problem=message[ENDED], exit_code=EXIT_BUG)
    if message["exit_code"] == EXIT_ENVIRONMENT:
        raise ResourceError(message["problem"])
    tapes = tuple(Path(path) for path in message["tapes"])
    return Imported(tapes=tapes, problem=message["problem"], exit_code=message["exit_code"])


def _build(cache: Path, source: NamedSource, tell: Callable[[int | str], None]) -> dict[str, Any]:
    assert source.config is not None, source
    document: dict[str, Any] = {"tapes": [], "problem": "", "exit_code": 0}
    try:
        tapes = ensure_tapes(source.config, cache, tell, tell)
    except (SweepError, rustsim.RustsimError, MemoryError) as error:
        code = getattr(error, "exit_code", EXIT_ENVIRONMENT)
        return document | {"problem": str(error) or "not enough memory", "exit_code": code}
    except Exception as error:  # noqa: BLE001 - one file's bug must not hide the others' tapes
        problem = f"{source.path}: {type(error).__name__}: {error}; this is a bug of the reader"
        return document | {"problem": problem, "exit_code": EXIT_BUG}
    return document | {"tapes": [str(tape.path) for tape in tapes]}
