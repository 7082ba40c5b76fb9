"""Records what a live feed says: append-only files, one per trade day, at most a second behind.

The form of the files, and why it was chosen: `sweep/readers/recording_format.py`; the reader
`shioaji_recording` turns them into tapes.

    with Recorder(folder) as recorder:
        recorder.event("login", {"simulation": True})
        recorder.message("TickFOPv1", fields_of(tick))     # from any thread of the SDK

- `message` only formats and appends to memory; a thread of the recorder writes and syncs what is
  waiting every `flush_seconds`, and callers do not wait for that. Only if `block_bytes` are waiting
  the caller writes them itself: memory is bounded, and a slow disk is felt where it matters.
- Opening the folder again on the same trade day goes on with the file. A torn tail, left by a
  crash, is cut, reported as `resumed` and recorded as an event; damage within a file is not mended:
  the recorder refuses to append behind it.
- One recorder per file: a lock of the system, which ends with the process.
- A failed write cuts back what it left and is raised to the next caller; nothing is lost silently.

Known limits: the trade day comes from the wall clock and weekdays; holidays are an argument. A file
belongs to the trade day in which a message arrived, not to the one that the message names.
"""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sweep.errors import DataError, ResourceError
from sweep.readers.recording_format import (
    BLOCK_TEXT_MAX,
    EVENT,
    FORMAT_NAME,
    FORMAT_VERSION,
    HEADER,
    MESSAGE_FIELDS,
    Block,
    Damage,
    Record,
    encode_block,
    encode_record,
    may_begin,
    read_blocks,
    sequence_of,
)

SUFFIX: Final = ".jsonl.gz"
FLUSH_SECONDS_MAX: Final = 1.0

_TAIPEI: Final = timedelta(hours=8)
# Between the last trade of the stock exchange (14:30) and the first orders of the night (14:50).
_DAY_ENDS: Final = timedelta(hours=14, minutes=45)
_SATURDAY: Final = 5

# Monotonic and wall nanoseconds of one instant.
Clock = Callable[[], tuple[int, int]]


def system_clock() -> tuple[int, int]:
    """Return the monotonic and the wall clock of the system, in nanoseconds."""
    return time.monotonic_ns(), time.time_ns()


def trade_day(wall_ns: int, holidays: Collection[date] = ()) -> date:
    """Return the trade day in Taiwan: from 14:45 on it is the next day on which there is trade.

    Args:
        wall_ns: Nanoseconds UTC since 1970.
        holidays: Weekdays without trade.
    """
    taipei = datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC) + _TAIPEI
    day = taipei.date()
    if taipei - datetime.combine(day, datetime.min.time(), UTC) >= _DAY_ENDS:
        day += timedelta(days=1)
    while day.weekday() >= _SATURDAY or day in holidays:
        day += timedelta(days=1)
    return day


def fields_of(message: Any) -> dict[str, Any]:
    """Return all fields of a message object of the SDK, by name.

    Raises:
        DataError: The object is of another type, or lacks a field.
    """
    kind = type(message).__name__
    try:
        return {name: getattr(message, name) for name in MESSAGE_FIELDS[kind]}
    except KeyError as error:
        known = ", ".join(MESSAGE_FIELDS)
        raise DataError(f"There is no message {kind!r}; known: {known}") from error
    except AttributeError as error:
        raise DataError(f"A {kind} of another version of the SDK: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """What was found in a file that already was there.

    Attributes:
        path: The file.
        records: Whole records in it.
        cut_bytes: Size of the torn tail that was cut.
        cut_offset: Where it was.
    """

    path: Path
    records: int
    cut_bytes: int
    cut_offset: int


class Recorder:
    """Writes messages and events to the file of the trade day."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "shioaji",
        clock: Clock = system_clock,
        flush_seconds: float = 0.5,
        block_bytes: int = 1 << 18,
        holidays: Collection[date] = (),
    ) -> None:
        """Open or make the file of the current trade day and start writing.

        Args:
            folder: Where the files lie; made if it is missing.
            name: Files are called `<name>-<trade day>.jsonl.gz`.
            clock: Gives the receive time of messages that come without one.
            flush_seconds: Longest time that a message stays in memory.
            block_bytes: Most text of a block.
            holidays: Weekdays without trade.

        Raises:
            DataError: A file of that day is damaged within.
            ResourceError: The folder cannot be written, or another recorder writes there.
        """
        assert 0 < flush_seconds <= FLUSH_SECONDS_MAX, flush_seconds
        assert 0 < block_bytes <= BLOCK_TEXT_MAX, block_bytes
        self._folder, self._name = folder, name
        self._clock, self._holidays = clock, frozenset(holidays)
        self._block_bytes = block_bytes
        # Whoever writes holds `_disk`; `_lock` guards what is waiting. Never the other way round.
        self._disk = threading.Lock()
        self._lock = threading.RLock()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._failure: ResourceError | None = None
        self._closed = False
        self._file: _File | None = None
        self.resumed: Resumed | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResourceError(
                f"{folder}: cannot make the folder of recordings: {error}"
            ) from error
        with self._disk:
            self._open(*clock())
        self._stop = threading.Event()
        self._writer = threading.Thread(
            target=self._run, args=(flush_seconds,), name="recorder", daemon=True
        )
        self._writer.start()

    @property
    def path(self) -> Path:
        """The file that is written now."""
        assert self._file is not None
        return self._file.path

    def message(
        self, kind: str, values: Mapping[str, Any], received: tuple[int, int] | None = None
    ) -> None:
        """Record a message of the feed.

        Args:
            kind: Name of its type in the SDK, such as `TickFOPv1`.
            values: All its fields.
            received: Monotonic and wall nanoseconds of its receipt; None: now.

        Raises:
            DataError: The kind is unknown, or a value is of a type that cannot be recorded.
            ResourceError: This or an earlier write failed.
        """
        if kind not in MESSAGE_FIELDS:
            raise DataError(f"There is no message {kind!r}; known: {', '.join(MESSAGE_FIELDS)}")
        self._append(kind, values, received)

    def event(
        self,
        name: str,
        detail: Mapping[str, Any] | None = None,
        received: tuple[int, int] | None = None,
    ) -> None:
        """Record what happened to the connection: login, subscribe, disconnected, reconnected, gap.

        Args:
            name: What happened; `GAP_EVENTS` of the reader are those that lose data.
            detail: Texts, numbers, truth values and lists of them, by name.
            received: As of `message`.

        Raises:
            DataError: The detail cannot be recorded.
            ResourceError: This or an earlier write failed.
        """
        self._append(EVENT, {"event": name} | dict(detail or {}), received)

    def flush(self) -> None:
        """Write and sync what is waiting.

        Raises:
            ResourceError: This or an earlier write failed.
        """
        with self._disk:
            self._flush()

    def close(self) -> None:
        """Write what is waiting and release the file; does nothing the second time.

        Raises:
            ResourceError: This or an earlier write failed.
        """
        if self._closed:
            return
        self._stop.set()
        self._writer.join()
        with self._disk:
            try:
                if self._failure is None:
                    self._add(EVENT, {"event": "closed"}, None)
                self._closed = True
                self._flush()
            finally:
                self._closed = True
                if self._file is not None:
                    self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _append(
        self, kind: str, values: Mapping[str, Any], received: tuple[int, int] | None
    ) -> None:
        at = received or self._clock()
        assert self._file is not None
        if trade_day(at[1], self._holidays) > self._file.day:
            with self._disk, self._lock:  # nobody numbers a record between two files
                self._turn_over(at)
        if self._add(kind, values, received) >= self._block_bytes:
            self.flush()

    def _turn_over(self, at: tuple[int, int]) -> None:
        assert self._file is not None
        if self._closed or trade_day(at[1], self._holidays) <= self._file.day:
            return  # another thread did it
        self._add(EVENT, {"event": "closed"}, at)
        self._flush()
        self._file.close()
        try:
            self._open(*at)
        except (DataError, ResourceError) as error:
            self._failure = ResourceError(str(error))
            raise

    def _add(self, kind: str, values: Mapping[str, Any], received: tuple[int, int] | None) -> int:
        """Take a record; return the bytes that are waiting."""
        with self._lock:
            assert self._file is not None
            if self._closed:
                raise ResourceError(f"{self._file.path}: the recorder is closed")
            if self._failure is not None:
                raise self._failure
            # Read under the lock, the clock does not fall from one record to the next.
            mono_ns, wall_ns = received or self._clock()
            seq = self._file.next_seq
            record = Record(seq=seq, mono_ns=mono_ns, wall_ns=wall_ns, kind=kind, values=values)
            line = encode_record(record)
            if len(line) > self._block_bytes:
                message = f"a message of {len(line)} bytes, more than the {self._block_bytes}"
                raise DataError(f"{self._file.path}: {message} allowed")
            self._waiting.append(line)
            self._waiting_bytes += len(line)
            self._file.next_seq += 1
            return self._waiting_bytes

    def _open(self, mono_ns: int, wall_ns: int) -> None:
        day = trade_day(wall_ns, self._holidays)
        path = self._folder / f"{self._name}-{day.isoformat()}{SUFFIX}"
        self._file, self.resumed = _open_file(path, day)
        at = (mono_ns, wall_ns)
        if self._file.next_seq == 0:
            values = {
                "format": FORMAT_NAME,
                "version": FORMAT_VERSION,
                "trade_day": day.isoformat(),
                "zone": "Asia/Taipei",
            }
            self._add(HEADER, values, at)
        if self.resumed is None:
            self._add(EVENT, {"event": "started"}, at)
        else:
            cut = {"cut_bytes": self.resumed.cut_bytes, "cut_offset": self.resumed.cut_offset}
            self._add(EVENT, {"event": "resumed"} | cut, at)
        self._flush()

    def _flush(self) -> None:
        """Write what is waiting; whoever calls holds `_disk`."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            lines, self._waiting = self._waiting, []
            self._waiting_bytes = 0
        assert self._file is not None
        try:
            for text in _texts(lines, self._block_bytes):
                self._file.append(encode_block(text))
        except OSError as error:
            message = f"{self._file.path}: cannot be written: {error}; recording has stopped"
            self._failure = ResourceError(message)
            raise self._failure from error

    def _run(self, seconds: float) -> None:
        while not self._stop.wait(seconds):
            with contextlib.suppress(ResourceError):  # the next caller hears of it
                self.flush()


class _File:
    """An open file: its size is that of its whole blocks."""

    def __init__(self, path: Path, day: date, fd: int, size: int, next_seq: int) -> None:
        self.path, self.day, self.next_seq = path, day, next_seq
        self._fd, self._size = fd, size

    def append(self, block: bytes) -> None:
        rest = memoryview(block)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            os.fsync(self._fd)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
            raise
        self._size += len(block)

    def close(self) -> None:
        os.close(self._fd)


def _texts(lines: list[bytes], size_max: int) -> Iterator[bytes]:
    """Yield lines joined to texts of at most this size, which no line exceeds."""
    start, size = 0, 0
    for number, line in enumerate(lines):
        if size + len(line) > size_max:
            yield b"".join(lines[start:number])
            start, size = number, 0
        size += len(line)
    if size:
        yield b"".join(lines[start:])


def _open_file(path: Path, day: date) -> tuple[_File, Resumed | None]:
    """Open a file to append to, behind its last whole block."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ResourceError(f"{path}: cannot be opened: {error}") from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ResourceError(f"{path}: another recorder writes this file") from error
        size, resumed = _whole_size(path)
        os.ftruncate(fd, size)
        os.fsync(fd)
        _sync_folder(path.parent)
        records = resumed.records if resumed else 0
        return _File(path, day, fd, size, records), resumed
    except BaseException:
        os.close(fd)
        raise


def _whole_size(path: Path) -> tuple[int, Resumed | None]:
    """Return the size of the whole blocks of a file, and what is to be told about it."""
    with path.open("rb") as file:
        head = file.read(4)
    if not may_begin(head):
        raise DataError(f"{path}: offset 0x0: no recording; move the file away to record there")
    end, records, cut = 0, 0, 0
    for block in read_blocks(path):
        if isinstance(block, Damage):
            if not block.is_tail:
                message = (
                    f"{path}: offset {block.offset:#x}: {block.reason}, with whole blocks behind"
                )
                raise DataError(f"{message}; move the file away to record anew")
            cut = block.size
            break
        end, records = block.offset + block.size, _count(path, block, records)
    if not records and not cut:
        return 0, None
    return end, Resumed(path=path, records=records, cut_bytes=cut, cut_offset=end)


def _count(path: Path, block: Block, records: int) -> int:
    first, last = sequence_of(block.lines[0]), sequence_of(block.lines[-1])
    if first != records or last != records + len(block.lines) - 1:
        message = f"{path}: offset {block.offset:#x}: expected record {records}, found {first}"
        raise DataError(f"{message} to {last}; move the file away to record anew")
    return records + len(block.lines)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def recordings(folder: Path, name: str = "shioaji") -> Iterator[Path]:
    """Yield the files of a folder, by trade day."""
    yield from sorted(folder.glob(f"{name}-*{SUFFIX}"))
