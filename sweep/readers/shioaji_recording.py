"""Reads recordings of the live feed, as `sweep.recorder` writes them: one contract of one file.

The container is described in `recording_format`, the messages in `shioaji_messages`.

The receive clock becomes `local_ns`. By default it is the monotonic clock, which no correction of
the time of day disturbs, set to UTC by the wall clock at the start of each run of the recorder;
the option `clock` takes the wall clock of every message instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from sweep.errors import DataError
from sweep.readers.audit import Rule
from sweep.readers.options import option
from sweep.readers.recording_format import (
    EVENT,
    FORMAT_NAME,
    FORMAT_VERSION,
    HEADER,
    MESSAGE_FIELDS,
    Damage,
    plain_record,
    read_blocks,
    sequence_of,
)
from sweep.readers.shioaji_messages import RULES as MESSAGE_RULES
from sweep.readers.shioaji_messages import MessageOptions, MessageRows
from sweep.readers.ticks import Columns, Request, Rows

# Events after which data are missing.
GAP_EVENTS: Final = ("gap", "disconnected", "reconnected", "resumed")

RULES: Final = MESSAGE_RULES | {
    "torn_tail": Rule(
        doc="The file ends with a whole block; drop reads up to the last one (a crash, or a file "
        "that is still written)",
        actions=("drop", "error"),
    ),
    "damaged_block": Rule(
        doc="Every block is whole; drop steps over a damaged one, which is a gap",
        actions=("error", "drop"),
    ),
    "sequence": Rule(
        doc="Records are numbered without a hole; drop goes on behind one, which is a gap",
        actions=("error", "drop"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShioajiRecordingOptions(MessageOptions):
    """Which messages are read, and by which clock."""

    clock: Literal["monotonic", "wall"] = option(
        "monotonic", "Receive clock: monotonic, set by the wall clock once a run, or the wall clock"
    )


def read(request: Request) -> Rows:
    """Read one contract of a recording.

    Raises:
        DataError: The file is damaged, or a message breaks a rule.
        InputError: The product is not known.
    """
    options: ShioajiRecordingOptions = request.options
    reading = _Reading(request, options)
    yield from reading.chunks()
    return reading.messages.summary(reading.facts)


class _Reading:
    """One pass over the blocks of a file."""

    def __init__(self, request: Request, options: ShioajiRecordingOptions) -> None:
        self._request = request
        self._is_wall = options.clock == "wall"
        self.messages = MessageRows(request, options, has_local=True)
        self._wanted = f'"code":"{self.messages.code}"'.encode()
        self._next_seq = 0
        self._offset_ns = 0  # wall less monotonic clock, of this run of the recorder
        self._started = False
        self.facts: dict[str, Any] = {
            "records": 0,
            "trade_day": "",
            "events": {},
            "receive_clock": options.clock,
        }

    def chunks(self) -> Iterator[Columns]:
        """Yield the rows of the contract."""
        for block in read_blocks(self._request.file):
            if isinstance(block, Damage):
                self._damaged(block)
                continue
            for number, line in enumerate(block.lines, 1):
                self._take(line, f"offset {block.offset:#x}, line {number}")
            if self.messages.is_full and (columns := self.messages.rows()) is not None:
                yield columns
        if not self._started:
            raise DataError(f"{self._request.file}: no block of a recording is in it")
        if (columns := self.messages.rows()) is not None:
            yield columns

    def _damaged(self, damage: Damage) -> None:
        where = f"offset {damage.offset:#x}"
        detail = f"{damage.reason} ({damage.size} bytes)"
        if damage.is_tail:
            self._request.audit.hit("torn_tail", where, detail)
            return
        self._request.audit.hit("damaged_block", where, detail)
        self._next_seq = -1
        self.messages.gap(where, detail)

    def _take(self, line: bytes, where: str) -> None:
        seq = self._guarded(sequence_of, line, where)
        if seq != self._next_seq and self._next_seq >= 0:
            detail = f"expected record {self._next_seq}, found {seq}"
            self._request.audit.hit("sequence", where, detail)
            self.messages.gap(where, detail)
        self._next_seq = seq + 1
        self.facts["records"] += 1
        # Most lines are of other contracts: they are not read further.
        if self._started and self._wanted not in line and b'"kind":"event"' not in line:
            return
        head, values = self._guarded(plain_record, line, where)
        kind = head["kind"]
        if kind == HEADER:
            self._header(head, values, where)
        elif not self._started:
            raise DataError(f"{self._request.file}: {where}: expected a header first")
        elif kind in MESSAGE_FIELDS:
            is_wall, offset_ns = self._is_wall, self._offset_ns
            local_ns = head["wall_ns"] if is_wall else head["mono_ns"] + offset_ns
            self.messages.add(kind, values, where, local_ns)
        elif kind == EVENT:
            self._event(head, values, where)
        else:
            raise DataError(f"{self._request.file}: {where}: an unknown kind, {kind!r}")

    def _guarded(self, work: Any, line: bytes, where: str) -> Any:
        try:
            return work(line)
        except DataError as error:
            raise DataError(f"{self._request.file}: {where}: {error}") from error

    def _header(self, head: dict[str, Any], values: dict[str, Any], where: str) -> None:
        found = (values.get("format"), values.get("version"))
        if found != (FORMAT_NAME, FORMAT_VERSION):
            expected = f"expected {FORMAT_NAME} version {FORMAT_VERSION}"
            raise DataError(f"{self._request.file}: {where}: {expected}, found {found}")
        self.facts["trade_day"] = values.get("trade_day")
        self._set_clock(head)

    def _event(self, head: dict[str, Any], values: dict[str, Any], where: str) -> None:
        name = str(values.get("event"))
        self.facts["events"][name] = self.facts["events"].get(name, 0) + 1
        if name in ("started", "resumed"):
            self._set_clock(head)
        if name in GAP_EVENTS:
            self.messages.gap(where, f"the event {name}")

    def _set_clock(self, head: dict[str, Any]) -> None:
        self._offset_ns = head["wall_ns"] - head["mono_ns"]
        self._started = True
