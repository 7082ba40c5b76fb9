"""Makes rows of the messages of Tardis' files: changed levels, pictures of the book, trades."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from sweep.readers.audit import Rule, numbered
from sweep.readers.book_images import BookImages, Records, misordered
from sweep.readers.price_levels import Grid
from sweep.readers.recorded_merge import Arrays, Batch
from sweep.readers.standing_book import CheckedBook
from sweep.readers.ticks import (
    FLAG_GAP,
    FLAG_IMAGE,
    FLAG_OUT_OF_VIEW,
    KIND_CLEAR,
    KIND_LEVEL,
    KIND_TRADE,
    SIDE_ASK,
    SIDE_BID,
)

if TYPE_CHECKING:
    pass

BOOK_STREAM_RULES: Final[dict[str, Rule]] = {
    "no_snapshot": Rule(
        doc="A book starts with a snapshot. count: it grows from the changes alone; levels that do "
        "not change stay unknown",
        actions=("count", "error"),
    ),
    "reconnect": Rule(
        doc="A file holds one snapshot: another one means that the recorder had lost its "
        "connection. count: the book starts anew, flagged GAP",
        actions=("count", "error"),
    ),
    "bad_word": Rule(
        doc="side is bid or ask (buy or sell for a trade), is_snapshot true or false. drop: leave "
        "the row out",
        actions=("error", "drop"),
    ),
    "bad_image": Rule(
        doc="Levels of a picture are a ladder: no price twice, the best one first, no hole. drop: "
        "leave the picture out",
        actions=("error", "drop"),
    ),
}


def _words(
    batch: Batch, name: str, known: dict[str, int], grid: Grid
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the codes of words, and which rows hold a known one."""
    import polars as pl

    codes = batch.frame[name].replace_strict(known, default=-1, return_dtype=pl.Int64).to_numpy()
    bad = codes < 0
    expected = f"expected {name} {' or '.join(known)}"
    where = numbered(grid.unit, batch.number)
    grid.audit.hit_rows("bad_word", bad, where, expected, batch.frame[name])
    return codes, ~bad


@dataclass(slots=True)
class TradeMaker:
    """Makes rows of trades."""

    grid: Grid
    is_book: bool = False
    visible_levels: int = 0

    def rows(self, batch: Batch) -> Arrays:
        """Return the rows; see `Maker`."""
        # A buyer hits asks.
        known = {"buy": SIDE_ASK, "sell": SIDE_BID}
        side, is_good = _words(batch, "side", known, self.grid)
        found = self.grid.read(batch.frame["price"], batch.frame["amount"], batch.number)
        empty = found.is_good & (found.qty == 0)
        where = numbered(self.grid.unit, batch.number)
        expected = "expected a trade of a lot or more"
        self.grid.audit.hit_rows("bad_number", empty, where, expected, batch.frame["amount"])
        keeps = is_good & found.is_good & ~empty
        count = len(batch.number)
        rows: Arrays = {
            "exch_ns": batch.exch_ns,
            "local_ns": batch.local_ns,
            "kind": np.full(count, KIND_TRADE, np.uint8),
            "side": side.astype(np.uint8),
            "flags": np.zeros(count, np.uint8),
            "price": found.price,
            "qty": found.qty,
            "number": batch.frame["key"].to_numpy(),
            "message": batch.number,
        }
        return {name: values[keeps] for name, values in rows.items()}

    def facts(self) -> dict[str, Any]:
        """Return nothing: trades are counted where they are merged."""
        return {}


class LevelMaker:
    """Makes rows of levels that changed, and of snapshots of all levels."""

    is_book = True

    def __init__(self, *, grid: Grid, visible_levels: int, has_snapshot: bool) -> None:
        """Start with no book.

        Args:
            grid: Turns texts into ticks and lots.
            visible_levels: Levels a side that the feed shows, 0 for all.
            has_snapshot: Whether a snapshot comes; rows before it are left out.
        """
        self.visible_levels = visible_levels
        self._grid = grid
        self._has_snapshot = has_snapshot
        self._book = CheckedBook(audit=grid.audit, visible_levels=visible_levels, unit=grid.unit)
        self._is_started = False
        self._was_snapshot = False
        self._last: tuple[int, int] | None = None  # times of the last row
        self._message = 0
        self._snapshots = 0
        self._before = 0

    def rows(self, batch: Batch) -> Arrays:
        """Return the rows; see `Maker`."""
        side, good_side = _words(batch, "side", {"bid": SIDE_BID, "ask": SIDE_ASK}, self._grid)
        known = {"false": 0, "true": 1}
        is_snapshot, good_flag = _words(batch, "is_snapshot", known, self._grid)
        found = self._grid.read(batch.frame["price"], batch.frame["amount"], batch.number)
        snapshot = is_snapshot == 1
        starts = snapshot & ~np.concatenate(([self._was_snapshot], snapshot[:-1]))
        self._was_snapshot = bool(snapshot[-1]) if len(snapshot) else self._was_snapshot
        message = self._messages(batch)
        count = len(batch.number)
        rows: Arrays = {
            "exch_ns": batch.exch_ns,
            "local_ns": batch.local_ns,
            "kind": np.full(count, KIND_LEVEL, np.uint8),
            "side": side.astype(np.uint8),
            "flags": np.where(snapshot, FLAG_IMAGE, 0).astype(np.uint8),
            "price": found.price,
            "qty": found.qty,
            "number": batch.frame["key"].to_numpy(),
            "message": message,
        }
        starts = self._begin(starts, batch)
        first = int(starts.argmax()) if starts.any() and not self._is_started else 0
        keeps = good_side & good_flag & found.is_good
        if not self._is_started:
            if not starts.any():
                first = count
            self._before += first
            keeps[:first] = False
        rows = self._with_clears(rows, keeps, np.flatnonzero(starts))
        if len(rows["kind"]):
            self._is_started = True
            _, out_of_view = self._book.add({**rows, "number": rows["message"]})
            rows["flags"][out_of_view] |= FLAG_OUT_OF_VIEW
        return rows

    def _begin(self, starts: npt.NDArray[np.bool_], batch: Batch) -> npt.NDArray[np.bool_]:
        """Count snapshots; a book without any begins at its first row."""
        if not self._has_snapshot and not self._is_started and len(starts):
            where = f"{self._grid.unit} {batch.number[0]}"
            detail = "no row is part of a snapshot: levels that never change stay unknown"
            self._grid.audit.hit("no_snapshot", where, detail)
            starts = starts.copy()
            starts[0] = True
            return starts
        more = np.flatnonzero(starts)[0 if self._snapshots else 1 :]
        self._snapshots += int(starts.sum())
        if len(more):
            where = f"{self._grid.unit} {batch.number[more[0]]}"
            self._grid.audit.hit("reconnect", where, "another snapshot", count=len(more))
        return starts

    def _messages(self, batch: Batch) -> npt.NDArray[np.int64]:
        """Return a number per message: rows of one exchange and local time, one after another."""
        times = np.stack((batch.exch_ns, batch.local_ns))
        changes = np.ones(len(batch.number), bool)
        changes[1:] = (times[:, 1:] != times[:, :-1]).any(axis=0)
        if len(changes):
            changes[0] = self._last != (int(times[0, 0]), int(times[1, 0]))
            self._last = (int(times[0, -1]), int(times[1, -1]))
        # The line of its first row; a message that goes on from the last batch keeps its number.
        first = np.where(changes, batch.number, self._message)
        message: npt.NDArray[np.int64] = np.maximum.accumulate(first)
        self._message = int(message[-1]) if len(message) else self._message
        return message

    def _with_clears(
        self, rows: Arrays, keeps: npt.NDArray[np.bool_], starts: npt.NDArray[np.int64]
    ) -> Arrays:
        """Return the rows that are kept, with a CLEAR row in front of each start."""
        has_gap = np.ones(len(starts), bool)
        if len(starts) and not self._is_started:
            has_gap[0] = False
        clears = {name: values[starts] for name, values in rows.items()}
        clears |= {
            "kind": np.full(len(starts), KIND_CLEAR, np.uint8),
            "flags": np.where(has_gap, FLAG_GAP, 0).astype(np.uint8),
        }
        for name in ("side", "price", "qty"):
            clears[name] = np.zeros_like(clears[name])
        place = np.concatenate((starts * 2, np.flatnonzero(keeps) * 2 + 1))
        order = np.argsort(place, kind="stable")
        return {
            name: np.concatenate((clears[name], values[keeps]))[order]
            for name, values in rows.items()
        }

    def facts(self) -> dict[str, Any]:
        """Return what was found."""
        return {
            "snapshots": self._snapshots,
            "book_start": "snapshot" if self._has_snapshot else "grown from updates",
            "rows_before_snapshot": self._before,
            **self._book.facts(),
        }


class ImageMaker:
    """Makes rows of pictures of the best levels: their differences."""

    is_book = True

    def __init__(self, *, grid: Grid, visible_levels: int) -> None:
        """Start with no book; `visible_levels` is how many levels a side a picture has."""
        self.visible_levels = visible_levels
        self._grid = grid
        self._images = BookImages(visible_levels)
        self._is_started = False
        self._crossed = 0

    def rows(self, batch: Batch) -> Arrays:
        """Return the rows; see `Maker`."""
        bid_price, bid_qty, bid_good = self._side(batch, "bid")
        ask_price, ask_qty, ask_good = self._side(batch, "ask")
        keeps = bid_good & ask_good
        bad = misordered(bid_price, bid_qty, side=SIDE_BID)
        bad |= misordered(ask_price, ask_qty, side=SIDE_ASK)
        audit, where = self._grid.audit, numbered(self._grid.unit, batch.number)
        audit.hit_rows("bad_image", bad & keeps, where, "levels that are no ladder")
        keeps &= ~bad
        both = (bid_qty[:, 0] > 0) & (ask_qty[:, 0] > 0)
        crossed = keeps & both & (bid_price[:, 0] >= ask_price[:, 0])
        self._crossed += int(crossed.sum())
        audit.hit_rows("crossed_book", crossed, where, "the best bid is not below the best ask")
        kept = batch.where(keeps)
        count = len(kept.number)
        is_reset = np.zeros(count, bool)
        if count and not self._is_started:
            is_reset[0] = self._is_started = True
        zeros = np.zeros(count, np.int64)
        records = Records(
            exch_ns=kept.exch_ns,
            local_ns=kept.local_ns,
            is_indicative=zeros > 0,
            is_reset=is_reset,
            is_gap=zeros > 0,
            is_image=zeros == 0,
            bid_price=bid_price[keeps],
            bid_qty=bid_qty[keeps],
            ask_price=ask_price[keeps],
            ask_qty=ask_qty[keeps],
            trade_price=zeros,
            trade_qty=zeros,
            trade_side=zeros,
        )
        columns, starts = self._images.rows(records)
        record = np.searchsorted(starts, np.arange(len(columns["exch_ns"])), side="right") - 1
        return {
            **columns,
            "number": kept.frame["key"].to_numpy()[record],
            "message": kept.number[record],
        }

    def _side(
        self, batch: Batch, side: str
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return prices and lots of a side, one column per level, and which rows are good."""
        import polars as pl

        frame = batch.frame
        if self.visible_levels == 1 and f"{side}_price" in frame.columns:
            names = [(f"{side}_price", f"{side}_amount")]
        else:
            numbers = range(self.visible_levels)
            names = [(f"{side}s[{n}].price", f"{side}s[{n}].amount") for n in numbers]
        prices, lots = [], []
        keeps = np.ones(len(batch.number), bool)
        for price, amount in names:
            # A side with fewer levels leaves both fields empty.
            is_none = frame[price].is_null() & frame[amount].is_null()
            texts = frame.select(
                p=pl.when(is_none).then(pl.lit(str(self._grid.product.tick_size))).otherwise(price),
                q=pl.when(is_none).then(pl.lit("0")).otherwise(amount),
            )
            found = self._grid.read(texts["p"], texts["q"], batch.number)
            keeps &= found.is_good
            lots.append(found.qty.astype(np.int64))
            prices.append(np.where(found.qty > 0, found.price, 0).astype(np.int64))
        return np.stack(prices, axis=1), np.stack(lots, axis=1), keeps

    def facts(self) -> dict[str, Any]:
        """Return what was found."""
        return {
            "images": self._images.counts["images"],
            "crossed_messages": self._crossed,
            "out_of_view_rows": self._images.counts["out_of_view_rows"],
        }
