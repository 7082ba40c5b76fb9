"""Sorts rows of several streams by exchange time, within a bounded window.

A recording is in the order of arrival; streams of one exchange overtake each other by some
milliseconds. Rows wait until no earlier one may come; rows of one time keep the order of the file.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.readers.audit import Audit, Rule
from sweep.readers.ticks import COLUMNS, KIND_TRADE, Columns

NS_PER_MS: Final = 1_000_000
CHUNK_ROWS: Final = 1 << 18

ORDER_RULES: Final[dict[str, Rule]] = {
    "late_message": Rule(
        doc="No message is older than the newest one before it in the file by more than "
        "reorder_ms. repair: it takes place as late as that allows; drop: it is left out",
        actions=("error", "repair", "drop"),
    ),
}


@dataclass(slots=True)
class Arrivals:
    """How far messages come out of the order of exchange time.

    Attributes:
        reach_ns: How late a message may be.
        unit: What messages are counted in, `line` or `row`.
        newest_ns: Highest exchange time so far.
        late: Messages that were older than one before them.
        late_ns_max: By how much at most.
    """

    audit: Audit
    reach_ns: int
    unit: str
    newest_ns: int = 0
    late: int = 0
    late_ns_max: int = 0

    def settle(
        self, exch_ns: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return exchange times within reach, and which messages stay.

        Args:
            exch_ns: Exchange times in the order of the file.
            numbers: Number of each message.

        Raises:
            DataError: A message is out of reach, and the rule is an error.
        """
        keeps = np.ones(len(exch_ns), bool)
        if not len(exch_ns):
            return exch_ns, keeps
        newest = np.maximum.accumulate(np.maximum(exch_ns, self.newest_ns))
        behind = newest - exch_ns
        self.late += int((behind > 0).sum())
        self.late_ns_max = max(self.late_ns_max, int(behind.max()))
        self.newest_ns = int(newest[-1])
        beyond = np.flatnonzero(behind > self.reach_ns)
        if len(beyond):
            row = int(beyond[0])
            detail = f"the exchange time is {behind[row] / NS_PER_MS} ms older than one before it"
            where = f"{self.unit} {int(numbers[row])}"
            action = self.audit.hit("late_message", where, detail, count=len(beyond))
            if action == "drop":
                keeps[beyond] = False
            else:
                exch_ns = np.maximum(exch_ns, newest - self.reach_ns)
        return exch_ns, keeps

    def facts(self) -> dict[str, Any]:
        """Return what was found."""
        return {"messages_out_of_order": self.late, "out_of_order_ms_max": self.late_ns_max / 1e6}


@dataclass(slots=True)
class TimeOrder:
    """Rows that wait for earlier ones.

    Rows are arrays by name: those of `COLUMNS` that the source has, and `number`, their place in
    the file. What is pushed later comes after what was pushed before if times and numbers are
    equal.
    """

    _waiting: list[dict[str, npt.NDArray[Any]]] = field(default_factory=list)

    def push(self, rows: dict[str, npt.NDArray[Any]]) -> None:
        """Take in rows of any order."""
        if len(rows["exch_ns"]):
            self._waiting.append(rows)

    def pop(self, before_ns: int | None) -> dict[str, npt.NDArray[Any]] | None:
        """Return the rows before a time, sorted, or all of them for None; None for no row."""
        if not self._waiting:
            return None
        names = self._waiting[0]
        rows = {name: np.concatenate([part[name] for part in self._waiting]) for name in names}
        if not _is_sorted(rows):
            order = np.lexsort((rows["number"], rows["exch_ns"]))
            rows = {name: values[order] for name, values in rows.items()}
        stop = len(rows["exch_ns"])
        if before_ns is not None:
            stop = int(np.searchsorted(rows["exch_ns"], before_ns))
        # Copies: what waits must not keep the memory of what went.
        waiting = {name: values[stop:].copy() for name, values in rows.items()}
        self._waiting = [waiting] if len(waiting["exch_ns"]) else []
        return {name: values[:stop] for name, values in rows.items()} if stop else None


def _is_sorted(rows: dict[str, npt.NDArray[Any]]) -> bool:
    step = np.diff(rows["exch_ns"])
    return bool(((step > 0) | ((step == 0) & (np.diff(rows["number"]) >= 0))).all())


@dataclass(slots=True)
class TapeRows:
    """Hands sorted rows on as canonical columns, and counts them.

    Local times of a tape do not fall: a strategy sees the feed in the order of exchange time, so
    what overtook an older message is seen no earlier than that one. Such rows are counted.

    Attributes:
        has_local: Whether rows carry local times.
        first_ns: Exchange time of the first row.
        raised: Rows whose local time was raised to the one before.
    """

    has_local: bool
    row_count: int = 0
    first_ns: int = 0
    trades: int = 0
    raised: int = 0
    raised_ns_max: int = 0
    _local_ns: int = 0

    def chunks(self, rows: dict[str, npt.NDArray[Any]]) -> list[Columns]:
        """Return rows, which follow the last ones, as columns of bounded size."""
        count = len(rows["exch_ns"])
        if not count:
            return []
        self.first_ns = self.first_ns or int(rows["exch_ns"][0])
        self.row_count += count
        self.trades += int((rows["kind"] == KIND_TRADE).sum())
        names = [name for name in COLUMNS if name in rows]
        columns = {name: np.ascontiguousarray(rows[name], dtype=COLUMNS[name]) for name in names}
        if self.has_local:
            local_ns = columns["local_ns"]
            columns["local_ns"] = np.maximum.accumulate(np.maximum(local_ns, self._local_ns))
            by_ns = columns["local_ns"] - local_ns
            self.raised += int((by_ns > 0).sum())
            self.raised_ns_max = max(self.raised_ns_max, int(by_ns.max()))
            self._local_ns = int(columns["local_ns"][-1])
        else:
            columns.pop("local_ns", None)
        return [
            {name: values[start : start + CHUNK_ROWS] for name, values in columns.items()}
            for start in range(0, count, CHUNK_ROWS)
        ]

    def facts(self) -> dict[str, Any]:
        """Return what was counted."""
        found: dict[str, Any] = {"trades": self.trades}
        if self.has_local:
            found["rows_seen_later"] = self.raised
            found["rows_seen_later_ms_max"] = self.raised_ns_max / NS_PER_MS
        return found
