"""The levels that stand after some rows: what a session or an image must be told against."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.readers.ticks import (
    COLUMNS,
    KIND_CLEAR,
    KIND_LEVEL,
    SIDE_BID,
    Columns,
    contiguous,
)

# Prices of a book lie close enough for a table by price; a few far ones make it too wide.
_TABLE_MAX: Final = 1 << 23
_TABLE_PER_ROW: Final = 64

Arrays = dict[str, npt.NDArray[Any]]


def no_levels() -> Arrays:
    """Return the levels of an empty book."""
    return {
        "side": np.zeros(0, np.uint8),
        "price": np.zeros(0, np.int32),
        "qty": np.zeros(0, np.int32),
    }


def with_levels(levels: Arrays, rows: Arrays) -> Arrays:
    """Return kind, side, price and qty of rows, with the levels that stand in front of them."""
    whole = {"kind": np.full(len(levels["price"]), KIND_LEVEL, np.uint8), **levels}
    return {
        name: np.concatenate((values, rows[name].astype(values.dtype)))
        for name, values in whole.items()
    }


def levels_after(rows: Arrays) -> Arrays:
    """Return the levels that stand after rows that start with an empty book.

    Args:
        rows: Kind, side, price and qty; trades may be among them and change nothing.

    Returns:
        Side, price and qty of each level, by ascending price.
    """
    clears = np.flatnonzero(rows["kind"] == KIND_CLEAR)
    first = int(clears[-1]) + 1 if len(clears) else 0
    found = np.flatnonzero(rows["kind"][first:] == KIND_LEVEL) + first
    key = rows["price"][found].astype(np.int64) * 2 + rows["side"][found]
    last = found[_last_places(key)]
    last = last[rows["qty"][last] > 0]
    return {name: rows[name][last] for name in ("side", "price", "qty")}


def _last_places(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return where each key stands last, by ascending key."""
    if not len(keys):
        return np.zeros(0, np.int64)
    low = int(keys.min())
    width = int(keys.max()) - low + 1
    if width > min(_TABLE_MAX, _TABLE_PER_ROW * len(keys)):
        # unique() keeps the first of equal keys, so look from the end.
        return len(keys) - 1 - np.unique(keys[::-1], return_index=True)[1]
    table = np.full(width, -1, np.int32)
    table[keys - low] = np.arange(len(keys), dtype=np.int32)  # of equal keys the last one stays
    places = table[table >= 0]
    return places.astype(np.int64)


class StandingLevels:
    """The sizes of all levels, brought up to date by chunks of rows."""

    def __init__(self) -> None:
        self._levels = no_levels()

    def apply(self, columns: Columns, start: int = 0, stop: int | None = None) -> None:
        """Take rows [start, stop) of a chunk."""
        names = ("kind", "side", "price", "qty")
        rows = {name: columns[name][start:stop] for name in names}
        self._levels = levels_after(with_levels(self._levels, rows))

    def levels(self) -> dict[tuple[int, int], int]:
        """Return lots by side and price, bids first, by ascending price."""
        side, price, lots = (values.tolist() for values in self._sorted())
        return dict(zip(zip(side, price, strict=True), lots, strict=True))

    def front(self, exch_ns: int, flags: int, *, local_ns: int | None = None) -> Columns:
        """Return a clear row and the standing levels: what a session that stands alone opens with.

        Args:
            exch_ns: Time of the rows.
            flags: Flags of the levels; the clear row has none.
            local_ns: Local time of the rows, None without a local clock.
        """
        side, price, lots = self._sorted()
        count = len(side)
        values: dict[str, Any] = {
            "exch_ns": np.full(count + 1, exch_ns),
            "kind": [KIND_CLEAR] + [KIND_LEVEL] * count,
            "side": np.concatenate(([SIDE_BID], side)),
            "flags": [0] + [flags] * count,
            "price": np.concatenate(([0], price)),
            "qty": np.concatenate(([0], lots)),
        }
        if local_ns is not None:
            values["local_ns"] = np.full(count + 1, local_ns)
        return {name: contiguous(column, COLUMNS[name]) for name, column in values.items()}

    def _sorted(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        """Return side, price and lots, bids first, by ascending price."""
        levels = self._levels
        order = np.argsort(levels["side"], kind="stable")
        return levels["side"][order], levels["price"][order], levels["qty"][order]
