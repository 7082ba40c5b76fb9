"""Makes rows of the messages of Bybit's order books: the chain of updates and its snapshots."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.readers.audit import Rule
from sweep.readers.price_levels import Grid, level_rows
from sweep.readers.recorded_merge import Arrays, Batch
from sweep.readers.standing_book import CheckedBook, differences
from sweep.readers.ticks import (
    FLAG_GAP,
    FLAG_IMAGE,
    FLAG_OUT_OF_VIEW,
    KIND_CLEAR,
    KIND_LEVEL,
)

BYBIT_RULES: Final[dict[str, Rule]] = {
    "depth_gap": Rule(
        doc="Each delta follows the message before it. drop: leave deltas out until the next "
        "snapshot; count: go on, with own orders' queues forgotten (flag GAP)",
        actions=("error", "drop", "count"),
    ),
    "old_update": Rule(
        doc="No delta repeats an older one. drop: leave it out", actions=("drop", "error")
    ),
    "reconnect": Rule(
        doc="Each snapshot continues the count. count: messages were lost, the book starts anew, "
        "flagged GAP",
        actions=("count", "error"),
    ),
}

_LEAVE, _DELTA, _ANEW, _IMAGE = range(4)


class DepthMaker:
    """Makes rows of snapshots and deltas in the order of their count."""

    is_book = True

    def __init__(self, *, grid: Grid, visible_levels: int, has_snapshot: bool) -> None:
        """Start with no book.

        Args:
            grid: Turns texts into ticks and lots.
            visible_levels: Levels a side of a snapshot.
            has_snapshot: Whether a snapshot comes; deltas before it are left out.
        """
        self.visible_levels = visible_levels
        self._grid = grid
        self._has_snapshot = has_snapshot
        self._book = CheckedBook(audit=grid.audit, visible_levels=visible_levels, unit=grid.unit)
        self._last = -1
        self._is_linked = False
        self._is_started = False
        self._is_gap_due = False
        self._counts = dict.fromkeys(
            ("snapshots", "deltas", "depth_gaps", "deltas_left_out", "images_same"), 0
        )

    def rows(self, batch: Batch) -> Arrays:
        """Return the rows; see `Maker`."""
        updates = batch.frame["update"].to_list()
        kinds = batch.frame["type"].to_list()
        numbers = batch.number.tolist()
        steps = [self._step(*one) for one in zip(numbers, kinds, updates, strict=True)]
        parts: list[Arrays] = []
        start = 0
        # Pictures need the book as it stands right before them.
        for place in [*(n for n, (step, _) in enumerate(steps) if step >= _ANEW), len(steps)]:
            deltas = [n for n in range(start, place) if steps[n][0] == _DELTA]
            gaps = {n for n in deltas if steps[n][1]}
            if deltas:
                parts.append(self._deltas(batch, deltas, gaps))
            if place < len(steps):
                step, is_gap = steps[place]
                parts.append(self._picture(batch, place, is_anew=step == _ANEW, is_gap=is_gap))
            start = place + 1
        if not parts:
            parts = [self._finish(batch, level_rows(batch.frame.clear(), self._grid))]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _step(self, number: int, kind: str, update: int) -> tuple[int, bool]:
        """Return what to do with a message, and whether data are missing before it."""
        where = f"{self._grid.unit} {number}"
        audit = self._grid.audit
        if kind == "snapshot":
            self._counts["snapshots"] += 1
            follows = self._is_linked and update in (self._last, self._last + 1)
            is_lost = self._is_started and not follows
            if is_lost:
                detail = f"a snapshot with u {update} after {self._last}"
                audit.hit("reconnect", where, detail)
            self._last, self._is_linked, self._is_started = update, True, True
            return (_IMAGE if follows else _ANEW), is_lost
        if not self._is_started and not self._has_snapshot:
            detail = "no line is a snapshot: levels that never change stay unknown"
            audit.hit("no_snapshot", where, detail)
            self._last, self._is_linked, self._is_started = update, True, True
            return _ANEW, False
        if not self._is_linked:
            self._counts["deltas_left_out"] += 1
            return _LEAVE, False
        if update <= self._last:
            audit.hit("old_update", where, f"u {update} is not above {self._last}")
            return _LEAVE, False
        is_gap = update != self._last + 1
        if is_gap:
            self._counts["depth_gaps"] += 1
            if audit.hit("depth_gap", where, f"u {update} follows {self._last}") == "drop":
                self._is_linked = False
                self._counts["deltas_left_out"] += 1
                return _LEAVE, False
        self._last = update
        self._counts["deltas"] += 1
        return _DELTA, is_gap

    def _deltas(self, batch: Batch, places: list[int], gaps: set[int]) -> Arrays:
        rows = level_rows(batch.frame[places], self._grid)
        rows["message"] = np.array(places, np.int64)[rows["message"]]
        made = self._finish(batch, rows)
        for place in sorted(gaps):
            # A delta may hold no level: then the next row is the first after the gap.
            first = int(np.searchsorted(rows["message"], place))
            if first < len(made["flags"]):
                made["flags"][first] |= FLAG_GAP
            else:
                self._is_gap_due = True
        return made

    def _picture(self, batch: Batch, place: int, *, is_anew: bool, is_gap: bool) -> Arrays:
        """Return the rows of a snapshot."""
        image = level_rows(batch.frame[place : place + 1], self._grid)
        image = {name: values[image["qty"] > 0] for name, values in image.items()}
        if is_anew:
            levels = {
                name: np.concatenate((np.zeros(1, image[name].dtype), image[name]))
                for name in ("side", "price", "qty")
            }
        else:
            levels = differences(self._book.levels, image)
            if not len(levels["price"]):
                self._counts["images_same"] += 1
        count = len(levels["price"])
        rows: Arrays = {
            **levels,
            "number": np.full(count, batch.number[place]),
            "message": np.full(count, place),
            "kind": np.full(count, KIND_LEVEL, np.uint8),
        }
        flags = np.full(count, FLAG_IMAGE, np.uint8)
        if is_anew:
            rows["kind"][0] = KIND_CLEAR
            flags[0] = FLAG_GAP if is_gap else 0
            self._is_gap_due = False
        return self._finish(batch, rows, flags)

    def _finish(
        self, batch: Batch, rows: Arrays, flags: npt.NDArray[np.uint8] | None = None
    ) -> Arrays:
        """Apply rows to the book, and give them times and flags."""
        place = rows["message"]
        count = len(place)
        made = np.zeros(count, np.uint8) if flags is None else flags
        if self._is_gap_due and count:
            made[0] |= FLAG_GAP
            self._is_gap_due = False
        if count:
            _, out_of_view = self._book.add(rows)
            made[out_of_view] |= FLAG_OUT_OF_VIEW
        return {
            "exch_ns": batch.exch_ns[place],
            "local_ns": batch.local_ns[place],
            "kind": rows["kind"],
            "side": rows["side"],
            "flags": made,
            "price": rows["price"],
            "qty": rows["qty"],
            "number": batch.frame["key"].to_numpy()[place],
            "message": rows["number"],
        }

    def facts(self) -> dict[str, Any]:
        """Return what was found."""
        start = "snapshot" if self._has_snapshot else "grown from updates"
        return {**self._counts, "book_start": start, **self._book.facts()}
