"""Follows the chain of depth updates of Binance: what may be applied, from which snapshot on.

A futures update names the last update before it (`pu`), a spot update the range (`U` to `u`) that
it covers. A snapshot that was asked for holds everything up to `lastUpdateId`; the first update to
be applied to it is the one that covers or follows that number. Updates that came before it
are older than the snapshot and left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from sweep.readers.audit import Audit, Rule
from sweep.readers.binance_lines import Snapshot

if TYPE_CHECKING:
    import polars as pl

CHAIN_RULES: Final[dict[str, Rule]] = {
    "depth_gap": Rule(
        doc="Each depth update follows the last one. drop: leave rows out until the next snapshot; "
        "count: go on, with own orders' queues forgotten (flag GAP)",
        actions=("error", "drop", "count"),
    ),
    "old_update": Rule(
        doc="No depth update repeats an older one. drop: leave it out",
        actions=("drop", "error"),
    ),
    "no_snapshot": Rule(
        doc="The file holds a snapshot of the book. count: the book grows from the updates alone; "
        "levels that do not change stay unknown",
        actions=("count", "error"),
    ),
}

# Updates that are kept while a snapshot is awaited; one arrives within seconds.
HELD_MAX: Final = 20_000


class State(Enum):
    """Where the chain stands."""

    WAITING = "waiting"  # for a snapshot
    PENDING = "pending"  # a snapshot is there; the update that continues it is not
    LINKED = "linked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The book begins anew.

    Attributes:
        snapshot: What it holds; None if it grows from the updates alone.
        is_gap: Whether updates are missing before it.
    """

    snapshot: Snapshot | None
    is_gap: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Updates in order that follow each other.

    Attributes:
        start: What they are applied to; None: to the book as it stands.
        updates: Rows of a depth frame.
        is_gap: Whether updates are missing before the first.
    """

    start: Start | None
    updates: "pl.DataFrame"
    is_gap: bool = False


@dataclass(slots=True)
class DepthChain:
    """Takes depth updates and snapshots in the order of the file.

    Attributes:
        snapshots_ahead: Lines of the snapshots of the whole file.
    """

    audit: Audit
    snapshots_ahead: Sequence[int]
    state: State = State.WAITING
    gaps: int = 0
    updates: int = 0
    before_snapshot: int = 0
    after_gap: int = 0
    snapshots_used: int = 0
    snapshots_left: int = 0
    is_grown: bool = False
    _last_id: int = -1
    _pending: Snapshot | None = None
    _held: "pl.DataFrame | None" = None
    _is_first: bool = True
    _runs: list[Run] = field(default_factory=list)
    # The run that is being made: rows of the frame, and what starts it.
    _rows: list[int] = field(default_factory=list)
    _start: Start | None = None

    def feed(self, frame: "pl.DataFrame", snapshots: Sequence[Snapshot]) -> list[Run]:
        """Return what may be applied of the next updates and snapshots.

        Args:
            frame: Depth messages as of `Messages.depth`.
            snapshots: Those of the same lines.

        Raises:
            DataError: Updates are missing and the rule is an error.
        """
        import polars as pl

        self._runs = []
        if self._held is not None:
            frame = pl.concat([self._held, frame])
            self._held = None
        if self.state is State.WAITING and self._is_first and not self.snapshots_ahead:
            self._grow(frame)
        columns = ("number", "first_id", "last_id", "before_id")
        ids = list(zip(*(frame[name].to_list() for name in columns), strict=True))
        held_from = row = 0
        for snapshot in (*snapshots, None):
            stop = len(ids)
            if snapshot is not None:
                stop = int(frame["number"].search_sorted(snapshot.number))
            while row < stop:
                if self.state is not State.WAITING and not self._step(row, ids[row]):
                    self._close(frame)
                    held_from = row
                row += 1
            if snapshot is None:
                break
            if self.state is State.LINKED:
                self.snapshots_left += 1
                continue
            if self.state is State.WAITING:
                row = held_from  # updates that came before the snapshot may follow it
            else:
                self.snapshots_left += 1
            self._pending, self.state = snapshot, State.PENDING
        self._close(frame)
        if self.state is State.WAITING:
            self._hold(frame[held_from:])
        return self._runs

    def _grow(self, frame: "pl.DataFrame") -> None:
        if frame.height:
            detail = "no line holds a snapshot: levels that never change stay unknown"
            self.audit.hit("no_snapshot", f"line {frame['number'][0]}", detail)
            self.state, self.is_grown = State.LINKED, True
            self._start = Start(snapshot=None, is_gap=False)
            self._is_first = False

    def _step(self, row: int, ids: tuple[int, int, int, int]) -> bool:
        """Take one update; return whether the chain holds."""
        number, first_id, last_id, before_id = ids
        # A spot update follows the number right before its first one.
        follows = before_id if before_id >= 0 else first_id - 1
        if self.state is State.PENDING:
            return self._link(row, follows, last_id, is_spot=before_id < 0)
        if self._last_id >= 0 and last_id <= self._last_id:
            detail = f"the update ends at {last_id}, the one before it at {self._last_id}"
            self.audit.hit("old_update", f"line {number}", detail)
            return True
        if self._last_id >= 0 and follows != self._last_id:
            self.gaps += 1
            detail = f"the update follows {follows}, the last one was {self._last_id}"
            if self.audit.hit("depth_gap", f"line {number}", detail) == "drop":
                self.state = State.WAITING
                return False
            # What was applied so far is one run; this update starts another.
            self._rows.append(-1)
        self._rows.append(row)
        self._last_id = last_id
        return True

    def _link(self, row: int, follows: int, last_id: int, *, is_spot: bool) -> bool:
        """Take an update after a snapshot; return False if it is too new for it."""
        snapshot = self._pending
        assert snapshot is not None, "a pending state has a snapshot"
        if last_id < snapshot.last_id + is_spot:
            self._leave(1)
            return True
        self._pending = None
        if follows > snapshot.last_id:
            self.snapshots_left += 1
            self.state = State.WAITING
            return False
        self._start = Start(snapshot=snapshot, is_gap=not self._is_first)
        self.state, self._is_first, self._last_id = State.LINKED, False, last_id
        self.snapshots_used += 1
        self._rows.append(row)
        return True

    def _leave(self, count: int) -> None:
        if self._is_first:
            self.before_snapshot += count
        else:
            self.after_gap += count

    def _close(self, frame: "pl.DataFrame") -> None:
        """Make runs of the rows taken; -1 stands for a gap that is gone over."""
        parts: list[list[int]] = [[]]
        for row in self._rows:
            if row < 0:
                parts.append([])
            else:
                parts[-1].append(row)
        for place, part in enumerate(parts):
            if part:
                self.updates += len(part)
                start = self._start if place == 0 else None
                self._runs.append(Run(start=start, updates=frame[part], is_gap=place > 0))
                self._start = None
        self._rows = []

    def _hold(self, frame: "pl.DataFrame") -> None:
        if frame.height == 0:
            return
        is_hopeless = max(self.snapshots_ahead, default=0) < frame["number"][0]
        kept = frame.clear() if is_hopeless else frame.tail(HELD_MAX)
        self._leave(frame.height - kept.height)
        self._held = kept

    def end(self) -> None:
        """Count what was still held when the file ended."""
        if self._held is not None:
            self._leave(self._held.height)
            self._held = None

    def facts(self) -> dict[str, Any]:
        """Return what was found."""
        return {
            "depth_gaps": self.gaps,
            "depth_updates": self.updates,
            "depth_updates_before_snapshot": self.before_snapshot,
            "depth_updates_after_gap": self.after_gap,
            "snapshots_used": self.snapshots_used,
            "snapshots_left_out": self.snapshots_left,
            "book_start": "grown from updates" if self.is_grown else "snapshot",
        }
