"""Rows of Databento's books by price (mbp-1, mbp-10, tbbo) and of trades alone.

Every record carries the whole visible book: an image. A packet (all records of one ts_event) tells
its trades first, with the book as it was before them, then its changes one by one; only the image
of its last record is a state that the exchange was in. So of each packet come

1. the image of its first record, if that is a trade: usually the book that stands already,
2. its trades,
3. the image of its last record, if that is none,

and of an image only the levels that differ from the standing book are told. The standing book is
that of the tape: a trade took its lots from it already.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.readers.databento_records import Batch, Clock, check_codes, lots_of, ticks_of
from sweep.readers.databento_survey import Source
from sweep.readers.dbn_file import FLAG_MAYBE_BAD_BOOK, UNDEF_PRICE
from sweep.readers.ticks import (
    COLUMNS,
    FLAG_GAP,
    FLAG_IMAGE,
    FLAG_OUT_OF_VIEW,
    KIND_CLEAR,
    KIND_LEVEL,
    KIND_TRADE,
    SIDE_ASK,
    SIDE_BID,
    Columns,
    contiguous,
)

Values = npt.NDArray[Any]

_NO_PRICE: Final = np.iinfo(np.int32).min
_TRADE: Final = ord("T")
_CLEAR: Final = ord("R")
# The order of the rows of one record.
_SLOTS: Final = 4
_SLOT_BEFORE: Final = 1
_SLOT_TRADE: Final = 2
_SLOT_AFTER: Final = 3
_NAMES: Final = ("exch_ns", "local_ns", "kind", "side", "flags", "price", "qty")


class ImageRows:
    """Turns records into rows; remembers the standing book between batches."""

    def __init__(self, source: Source) -> None:
        """Make a converter that has seen nothing."""
        self.clock = Clock(source)
        self.trades = 0
        self.traded_lots = 0
        self.images = 0
        self._source = source
        self._depth = source.kind.levels
        # The book as the tape has it; [side, level], without a price where there is no level.
        self._price = np.full((2, self._depth), _NO_PRICE, np.int64)
        self._lots = np.zeros((2, self._depth), np.int64)
        self._is_first = True
        self._is_bad = False

    def rows(self, batch: Batch) -> Columns:
        """Return the rows of whole packets.

        Raises:
            DataError: A record breaks a rule.
        """
        records, audit = batch.records, self._source.request.audit
        check_codes(audit, batch, b"T" if self._source.schema in ("trades", "tbbo") else b"ACMTRN")
        exch_ns, local_ns, _ = self.clock.times(batch)
        flags = self._source.survey.indicative(exch_ns)
        clears, clear_flags = self._clears(batch)
        trades = self._trades(batch, flags)
        pieces = [_piece(clears, 0, KIND_CLEAR, 0, 0, 0) | {"flags": clear_flags}, trades]
        if self._depth:
            keys = self._key_records(records, exch_ns, clears)
            pieces += self._levels(batch, keys, clears, trades, flags)
        rows = np.concatenate([piece["record"] for piece in pieces])
        slots = rows * _SLOTS + np.concatenate([piece["slot"] for piece in pieces])
        order = np.argsort(slots, kind="stable")
        columns = {
            name: np.concatenate([piece[name] for piece in pieces])[order]
            for name in ("kind", "side", "flags", "price", "qty")
        }
        columns["flags"] |= flags[rows[order]]
        columns |= {"exch_ns": exch_ns[rows[order]], "local_ns": local_ns[rows[order]]}
        return {name: contiguous(columns[name], COLUMNS[name]) for name in _NAMES}

    def _clears(self, batch: Batch) -> tuple[Values, Values]:
        """Return the records in front of which the book is wiped, and the flags of those wipes."""
        records = batch.records
        is_clear = records["action"] == _CLEAR
        is_bad = (records["flags"] & FLAG_MAYBE_BAD_BOOK) > 0
        starts = is_bad & ~np.concatenate(([self._is_bad], is_bad[:-1]))
        self._is_bad = bool(is_bad[-1])
        expected = "records were lost in front of it (flag 4)"
        audit = self._source.request.audit
        if (
            audit.hit_rows("lost_records", starts, batch.where, expected, records["flags"])
            == "drop"
        ):
            is_clear |= starts
        if self._is_first:
            is_clear[0] = True
            self._is_first = False
        clears = np.flatnonzero(is_clear)
        return clears, np.where(starts[clears], FLAG_GAP, 0)

    def _trades(self, batch: Batch, flags: Values) -> Columns:
        records = batch.records
        is_trade = records["action"] == _TRADE
        has_no_side = is_trade & (records["side"] == ord("N")) & (flags == 0)
        expected = "expected a trade that states its aggressor's side"
        self._source.request.audit.hit_rows(
            "trade_side", has_no_side, batch.where, expected, records["side"]
        )
        ticks = ticks_of(self._source, batch, records["price"], is_trade)
        lots = lots_of(self._source, batch, records["size"], is_trade)
        rows = np.flatnonzero(is_trade & ~has_no_side)
        self.trades += len(rows)
        self.traded_lots += int(lots[rows].sum())
        # The side of a record is the aggressor's; a row names the book side that was hit.
        side = np.where(records["side"][rows] == ord("B"), SIDE_ASK, SIDE_BID)
        return _piece(rows, _SLOT_TRADE, KIND_TRADE, side, ticks[rows], lots[rows])

    def _key_records(self, records: Values, exch_ns: Values, clears: Values) -> Values:
        """Return the records whose image is told."""
        is_trade = records["action"] == _TRADE
        edges = np.flatnonzero(np.diff(exch_ns)) + 1
        is_first, is_last = np.zeros((2, len(records)), np.bool_)
        is_first[np.concatenate(([0], edges))] = True
        is_last[np.concatenate((edges - 1, [len(records) - 1]))] = True
        is_key = (is_first & is_trade) | (is_last & ~is_trade)
        is_key[clears] = True
        return np.flatnonzero(is_key)

    def _levels(
        self, batch: Batch, keys: Values, clears: Values, trades: Columns, flags: Values
    ) -> list[Columns]:
        """Return the rows of levels that differ from the standing book, and move it on."""
        price, lots = self._images(batch, keys, flags)
        self.images += len(keys)
        # Entry n: the standing book after image n - 1, and after the trades that follow it.
        after_price = np.concatenate((self._price[None], price))
        after_lots = np.concatenate((self._lots[None], lots))
        moves = flags[trades["record"]] == 0  # a print of an auction takes nothing
        entry = np.searchsorted(keys, trades["record"][moves], side="right")
        side, at = trades["side"][moves], trades["price"][moves]
        which, level = np.nonzero(after_price[entry, side] == at[:, None])
        np.subtract.at(after_lots, (entry[which], side[which], level), trades["qty"][moves][which])
        after_price[after_lots <= 0] = _NO_PRICE
        after_lots[after_lots <= 0] = 0
        before_price, before_lots = after_price[:-1].copy(), after_lots[:-1]
        before_price[np.isin(keys, clears)] = _NO_PRICE
        self._price, self._lots = after_price[-1].copy(), after_lots[-1].copy()

        is_same = price[..., :, None] == before_price[..., None, :]
        is_same &= (price != _NO_PRICE)[..., None]
        stood = (is_same * before_lots[..., None, :]).sum(axis=-1)
        slot = np.where(batch.records["action"][keys] == _TRADE, _SLOT_BEFORE, _SLOT_AFTER)
        left, left_side, left_level = np.nonzero(
            (before_price != _NO_PRICE) & ~is_same.any(axis=-2)
        )
        gone_price = before_price[left, left_side, left_level]
        worst = price[left, left_side, -1]
        is_out = np.where(left_side == SIDE_BID, gone_price < worst, gone_price > worst)
        is_out &= worst != _NO_PRICE
        gone = _piece(keys[left], slot[left], KIND_LEVEL, left_side, gone_price, 0)
        gone["flags"] = np.where(is_out, FLAG_IMAGE | FLAG_OUT_OF_VIEW, FLAG_IMAGE)
        new = np.nonzero((price != _NO_PRICE) & (stood != lots))
        told = _piece(keys[new[0]], slot[new[0]], KIND_LEVEL, new[1], price[new], lots[new])
        told["flags"] = np.full(len(new[0]), FLAG_IMAGE)
        return [gone, told]

    def _images(self, batch: Batch, keys: Values, flags: Values) -> tuple[Values, Values]:
        """Return price and lots of the images by [record, side, level], and check them."""
        levels = batch.records["levels"][keys]
        source, part = self._source, batch.part(keys)
        stated = np.stack((levels["bid_px"], levels["ask_px"]), axis=1)
        sizes = np.stack((levels["bid_sz"], levels["ask_sz"]), axis=1)
        is_level = stated != UNDEF_PRICE
        ticks = ticks_of(source, part, stated, is_level | (sizes > 0))
        lots = lots_of(source, part, sizes, is_level)
        audit = source.request.audit
        # Upwards on both sides: from the best level on prices get worse.
        upwards = ticks * np.array([-1, 1])[:, None]
        falls = (upwards[..., 1:] <= upwards[..., :-1]) | ~is_level[..., :-1]
        is_bad = (falls & is_level[..., 1:]).any(axis=(1, 2))
        audit.hit_rows(
            "level_order", is_bad, part.where, "expected levels from the best on", part.numbers
        )
        best = is_level[:, :, 0].all(axis=1) & (flags[keys] == 0)
        gap = ticks[:, SIDE_ASK, 0] - ticks[:, SIDE_BID, 0]
        audit.hit_rows(
            "crossed", best & (gap < 0), part.where, "the best bid is above the best ask", gap
        )
        audit.hit_rows(
            "locked", best & (gap == 0), part.where, "the best bid is at the best ask", gap
        )
        ticks[~is_level] = _NO_PRICE
        return ticks, lots


def _piece(record: Values, slot: Any, kind: int, side: Any, price: Any, qty: Any) -> Columns:
    """Return rows made of records; `slot` is their place among the rows of the record."""
    count = len(record)
    columns = {"record": record, "slot": slot, "kind": kind, "side": side, "flags": 0}
    columns |= {"price": price, "qty": qty}
    return {name: np.broadcast_to(values, count).copy() for name, values in columns.items()}
