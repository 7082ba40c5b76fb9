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

_HALF: Final = 1 << 32


class StandingBook:
    """The sizes of all levels, brought up to date by chunks of rows."""

    def __init__(self) -> None:
        self._keys: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._lots: npt.NDArray[np.int64] = np.empty(0, np.int64)

    def apply(self, columns: Columns, start: int = 0, stop: int | None = None) -> None:
        """Take rows [start, stop) of a chunk."""
        kind = columns["kind"][start:stop]
        clears = np.flatnonzero(kind == KIND_CLEAR)
        first = start
        if len(clears):
            first += int(clears[-1]) + 1
            self._keys, self._lots = self._keys[:0], self._lots[:0]
        rows = slice(first, stop)
        is_level = columns["kind"][rows] == KIND_LEVEL
        side = columns["side"][rows][is_level].astype(np.int64)
        keys = side * _HALF + columns["price"][rows][is_level]
        self._merge(keys, columns["qty"][rows][is_level].astype(np.int64))

    def _merge(self, keys: npt.NDArray[np.int64], lots: npt.NDArray[np.int64]) -> None:
        import polars as pl

        if not len(keys):
            return
        frame = pl.DataFrame(
            {"key": np.concatenate((self._keys, keys)), "lots": np.concatenate((self._lots, lots))}
        )
        last = frame.group_by("key").agg(pl.col("lots").last())
        last = last.filter(pl.col("lots") > 0).sort("key")
        self._keys, self._lots = last["key"].to_numpy(), last["lots"].to_numpy()

    def levels(self) -> dict[tuple[int, int], int]:
        """Return lots by side and price, bids first, by ascending price."""
        side, price = self._parts()
        keys = zip(side.tolist(), price.tolist(), strict=True)
        return dict(zip(keys, self._lots.tolist(), strict=True))

    def front(self, exch_ns: int, flags: int, *, local_ns: int | None = None) -> Columns:
        """Return a clear row and the standing levels: what a session that stands alone opens with.

        Args:
            exch_ns: Time of the rows.
            flags: Flags of the levels; the clear row has none.
            local_ns: Local time of the rows, None without a local clock.
        """
        side, price = self._parts()
        count = len(side)
        values: dict[str, Any] = {
            "exch_ns": np.full(count + 1, exch_ns),
            "kind": [KIND_CLEAR] + [KIND_LEVEL] * count,
            "side": np.concatenate(([SIDE_BID], side)),
            "flags": [0] + [flags] * count,
            "price": np.concatenate(([0], price)),
            "qty": np.concatenate(([0], self._lots)),
        }
        if local_ns is not None:
            values["local_ns"] = np.full(count + 1, local_ns)
        return {name: contiguous(column, COLUMNS[name]) for name, column in values.items()}

    def _parts(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        side = (self._keys + (_HALF >> 1)) // _HALF
        return side, self._keys - side * _HALF
