"""The result log of a study: an append-only file of checksummed records, the truth about it.

One record is one line: eight hex digits of CRC-32 over the document, its length in bytes, the
document as JSON. Kinds of documents, by their key `kind`:

- `study`: first line; identity of the study, what a resume must match.
- `driver`: a driver took the study; `fence` counts them from 1.
- `start`: an attempt was handed to a worker. Not synced on its own: losing one costs nothing.
- `lost`: an attempt ended without a result (worker died); the trial will get another attempt.
- `trial`: the final record of a trial, complete or failed. Durable once `commit` returned.

Order is the order of writing. A trial has exactly one final record: a second one is refused when
written and an error when read. Integers keep every digit. Floats are written as their shortest
exact decimal form; a value that is not finite is written as null, which reads as "undefined".

A line that was cut by a crash at the end of the file is dropped, reported and overwritten; damage
anywhere else is an error that names the offset. After a failed write or sync the writer refuses to
go on, because a second sync may succeed without the data: start again, the file repairs itself.
"""

import json
import logging
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from sweep.errors import InputError, ResourceError

LOG_NAME: Final = "results/log"
FORMAT_VERSION: Final = 1
FINAL_STATES: Final = ("complete", "failed")

_log = logging.getLogger(__name__)


class ResultLogError(ResourceError):
    """The result log is damaged, or writing it failed."""


@dataclass(slots=True)
class TrialEntry:
    """What stays in memory of a final record; the record itself is read from `offset`."""

    trial: int
    attempt: int
    state: str
    objective: float | None
    events: int
    offset: int


@dataclass(slots=True)
class LogIndex:
    """What a whole log says, without the bulk of its records."""

    study: dict[str, Any] | None = None
    drivers: int = 0
    finals: dict[int, TrialEntry] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=dict)  # highest attempt ever started
    lost: dict[int, int] = field(default_factory=dict)  # attempts that ended without a result
    size: int = 0  # bytes of whole records
    cut: int = 0  # bytes dropped after them


class LogFile(Protocol):
    """The few operations the writer needs of a file; tests put failing ones in between."""

    def write(self, data: bytes) -> int:
        """Write at the end; may write less than asked."""
        ...

    def sync(self) -> None:
        """Return once everything written is durable."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class _OsFile:
    def __init__(self, path: Path, size: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.ftruncate(self._fd, size)
        os.lseek(self._fd, 0, os.SEEK_END)
        # The name itself must survive a power cut, not only the bytes behind it.
        folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def write(self, data: bytes) -> int:
        return os.write(self._fd, data)

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def close(self) -> None:
        os.close(self._fd)


def finite_or_null(value: Any) -> Any:
    """Return `value` with every float that is not finite replaced by None, at any depth."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: finite_or_null(item) for key, item in value.items()}
        case list() | tuple():
            return [finite_or_null(item) for item in value]
        case _:
            return value


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """Return the one JSON form of a document: sorted keys, no spaces, no NaN.

    Raises:
        TypeError: The document holds something that is not plain JSON.
    """
    try:
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = json.dumps(
            finite_or_null(document), sort_keys=True, separators=(",", ":"), allow_nan=False
        )
    return text.encode()


def encode_line(document: Mapping[str, Any]) -> bytes:
    """Return the line that stores a document."""
    body = canonical_json(document)
    return b"%08x %d %s\n" % (zlib.crc32(body), len(body), body)


def decode_line(line: bytes) -> dict[str, Any] | None:
    """Return the document of a line, or None if the line is damaged."""
    parts = line.rstrip(b"\n").split(b" ", 2)
    if len(parts) != 3 or not line.endswith(b"\n"):
        return None
    checksum, length, body = parts
    if length != b"%d" % len(body) or checksum != b"%08x" % zlib.crc32(body):
        return None
    document = json.loads(body)
    return document if isinstance(document, dict) else None


def _may_be_cut(line: bytes) -> bool:
    # A crash leaves at most one record's bytes. More than the record's own length says, a newline
    # between two records was damaged, and cutting would lose the second one.
    _, length, body = (*line.split(b" ", 2), b"", b"")[:3]
    return not length.isdigit() or len(body) <= int(length) + 1


def iterate_documents(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (offset, document) of every whole record; stop before a cut one at the end.

    Raises:
        ResultLogError: A record before the last one is damaged.
    """
    offset = 0
    with path.open("rb") as file:
        for line in file:
            document = decode_line(line)
            if document is None:
                if file.read(1) or not _may_be_cut(line):
                    message = (
                        f"{path}: damaged record at offset {offset}, which is not the last one: "
                        "the file was changed or its disk is failing; restore it from a copy"
                    )
                    raise ResultLogError(message)
                return
            yield offset, document
            offset += len(line)


def read_index(path: Path) -> LogIndex:
    """Read a log without changing it; an absent file gives an empty index.

    Raises:
        ResultLogError: The log is damaged before its end or breaks a rule of its form.
    """
    index = LogIndex()
    if not path.exists():
        return index
    size_now = path.stat().st_size
    end = 0
    last = -1
    for offset, document in iterate_documents(path):
        _index_document(index, path, offset, document)
        last = offset
    if last >= 0:
        with path.open("rb") as file:
            file.seek(last)
            end = last + len(file.readline())
    index.size = end
    index.cut = max(0, size_now - end)
    return index


def _index_document(index: LogIndex, path: Path, offset: int, document: dict[str, Any]) -> None:
    kind = document.get("kind")
    if (offset == 0) != (kind == "study"):
        message = f"{path}: record at offset {offset} has kind {kind!r}; the first, and only the "
        raise ResultLogError(message + "first, describes the study")
    match kind:
        case "study":
            if document.get("format") != FORMAT_VERSION:
                message = f"{path}: format {document.get('format')!r}, this version reads "
                raise ResultLogError(f"{message}{FORMAT_VERSION}; use the version that wrote it")
            index.study = document
        case "driver":
            index.drivers = int(document["fence"])
        case "start":
            trial, attempt = int(document["trial"]), int(document["attempt"])
            index.attempts[trial] = max(attempt, index.attempts.get(trial, 0))
        case "lost":
            trial = int(document["trial"])
            index.lost[trial] = index.lost.get(trial, 0) + 1
        case "trial":
            entry = _entry(offset, document)
            if entry.trial in index.finals:
                message = f"{path}: trial {entry.trial} has a second final record at offset "
                raise ResultLogError(f"{message}{offset}; restore the file from a copy")
            index.finals[entry.trial] = entry
        case _:
            message = f"{path}: record at offset {offset} has the unknown kind {kind!r}"
            raise ResultLogError(message)


def _entry(offset: int, document: Mapping[str, Any]) -> TrialEntry:
    result = document.get("result") or {}
    return TrialEntry(
        trial=int(document["trial"]),
        attempt=int(document["attempt"]),
        state=str(document["state"]),
        objective=result.get("objective") if document["state"] == "complete" else None,
        events=int(result.get("events") or 0),
        offset=offset,
    )


def read_record(path: Path, offset: int) -> dict[str, Any]:
    """Return the record that starts at `offset`.

    Raises:
        ResultLogError: There is no whole record.
    """
    with path.open("rb") as file:
        file.seek(offset)
        document = decode_line(file.readline())
    if document is None:
        message = f"{path}: damaged record at offset {offset}; restore the file from a copy"
        raise ResultLogError(message)
    return document


def read_finals(path: Path, *, end: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield the final records in the order they were written, those that start before `end`."""
    if path.exists():
        for offset, document in iterate_documents(path):
            if end is not None and offset >= end:
                return
            if document["kind"] == "trial":
                yield document


class ResultLog:
    """The writer of a result log; the driver that holds the lease has the only one."""

    def __init__(self, path: Path, *, file: LogFile | None = None) -> None:
        """Open or make the log, dropping a record that a crash has cut at the end.

        Args:
            path: The file; its folder is made.
            file: Stands for the operating system's file in tests.

        Raises:
            ResultLogError: The log is damaged before its end, or cannot be opened.
        """
        self.path = path
        self.index = read_index(path)
        if self.index.cut:
            _log.warning("result log repaired path=%s dropped_bytes=%d", path, self.index.cut)
        try:
            self._file: LogFile = file or _OsFile(path, self.index.size)
        except OSError as error:
            message = f"{path}: cannot be opened for writing: {error.strerror or error}"
            raise ResultLogError(message) from error
        self._broken = ""
        self._pending = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def append(self, document: Mapping[str, Any]) -> None:
        """Add a record to the next commit.

        Raises:
            InputError: The trial has a final record already.
        """
        offset = self.index.size + len(self._pending)
        checked = dict(document)
        if checked.get("kind") == "trial" and checked["trial"] in self.index.finals:
            message = f"Trial {checked['trial']} has its final record already"
            raise InputError(message)
        self._pending += encode_line(checked)
        _index_document(self.index, self.path, offset, checked)

    def commit(self, *, sync: bool = True) -> None:
        """Write what was appended; with `sync`, return only once it is durable.

        Raises:
            ResultLogError: The disk refused; this writer can not be used any more.
        """
        if self._broken:
            raise ResultLogError(self._broken)
        try:
            while self._pending:
                written = self._file.write(bytes(self._pending))
                del self._pending[:written]
                self.index.size += written
            if sync:
                self._file.sync()
        except OSError as error:
            self._broken = (
                f"{self.path}: cannot write results: {error.strerror or error}; finished trials "
                "are safe; free some space or replace the disk, then launch again to go on"
            )
            raise ResultLogError(self._broken) from error

    def clear(self) -> None:
        """Start the file anew; only for a study without any final record.

        Raises:
            InputError: There are final records.
        """
        if self.index.finals:
            message = f"{self.path}: {len(self.index.finals)} finished trials would be lost"
            raise InputError(message)
        self._file.close()
        self._pending.clear()
        self.index = LogIndex()
        self._file = _OsFile(self.path, 0)

    def read(self, trial: int) -> dict[str, Any]:
        """Return the final record of a trial."""
        return read_record(self.path, self.index.finals[trial].offset)

    def close(self) -> None:
        """Write what can be written without waiting for the disk, and close."""
        if self._pending and not self._broken:
            self.commit()
        self._file.close()
