"""Whole pictures of the best levels, with trades between them, as canonical rows.

A feed that conflates tells what the best N levels a side are, again and again. Each picture becomes
the differences to the one before, flagged IMAGE. A level that is gone although all N places of its
side are taken by better ones has left the view: it is told with size 0 and flagged OUT_OF_VIEW,
since nothing is known about it. Where a session starts, or after lost data (flagged GAP), a CLEAR
row and all levels come instead, so that what follows stands alone.

Order of rows that one record makes: CLEAR, trade, levels that went, levels that came or changed. A
record with a trade and a picture shows the book after the trade.

A trade whose side is not told hit the side whose best price it reaches in the picture before it
(at or above the best ask: asks); between the best prices, or without a picture, `tick_rule`
decides.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.readers.price_grid import tick_rule
from sweep.readers.ticks import (
    COLUMNS,
    FLAG_GAP,
    FLAG_IMAGE,
    FLAG_INDICATIVE,
    FLAG_OUT_OF_VIEW,
    KIND_CLEAR,
    KIND_LEVEL,
    KIND_TRADE,
    SIDE_ASK,
    SIDE_BID,
    Columns,
    contiguous,
)

Array = npt.NDArray[Any]

SIDE_UNKNOWN: Final = 255

# Order of the rows of one record.
_SLOT_CLEAR, _SLOT_TRADE, _SLOT_GONE, _SLOT_NOW = range(4)
_LEVELS_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What a source tells, one entry per record; prices in ticks, quantities in lots.

    Attributes:
        exch_ns: Never falls.
        local_ns: Never falls; None without a local clock.
        is_indicative: Trial matching of an auction, or halted.
        is_reset: The book starts anew in front of this record.
        is_gap: As `is_reset`, after lost data.
        is_image: The record shows the book; the four arrays of levels have a row for every record
            and a column for every level, best first, quantity 0 where there is no level.
        trade_qty: 0 where the record holds no trade.
        trade_side: Book side that was hit, SIDE_UNKNOWN where it is not told.
    """

    exch_ns: Array
    local_ns: Array | None
    is_indicative: Array
    is_reset: Array
    is_gap: Array
    is_image: Array
    bid_price: Array
    bid_qty: Array
    ask_price: Array
    ask_qty: Array
    trade_price: Array
    trade_qty: Array
    trade_side: Array

    def __post_init__(self) -> None:
        assert self.bid_price.ndim == 2
        assert self.bid_price.shape[1] <= _LEVELS_MAX
        for levels in (self.bid_qty, self.ask_price, self.ask_qty):
            assert levels.shape == self.bid_price.shape, levels.shape
        assert self.bid_price.shape[0] == len(self.exch_ns)

    def __len__(self) -> int:
        return len(self.exch_ns)


def misordered(price: Array, qty: Array, *, side: int) -> Array:
    """Return which pictures of one side are no ladder: a hole, a repeated price, a wrong order."""
    has = qty > 0
    hole = (~has[:, :-1] & has[:, 1:]).any(axis=1)
    step = np.diff(price, axis=1) if side == SIDE_ASK else -np.diff(price, axis=1)
    wrong = ((step <= 0) & has[:, 1:]).any(axis=1)
    return np.asarray(hole | wrong | (has & (price <= 0)).any(axis=1))


def without_market_orders(prices: Array, lots: Array) -> tuple[Array, Array]:
    """Take out a first level at price 0, which holds market orders; the others move up."""
    market = (prices[:, 0] == 0) & (lots[:, 0] > 0)
    if not market.any():
        return prices, lots
    moved_prices, moved_lots = np.roll(prices, -1, axis=1), np.roll(lots, -1, axis=1)
    moved_prices[:, -1] = moved_lots[:, -1] = 0
    which = market[:, None]
    return np.where(which, moved_prices, prices), np.where(which, moved_lots, lots)


def crossed(records: Records) -> Array:
    """Return which pictures show a best bid at or above the best ask in continuous trading."""
    both = (records.bid_qty[:, 0] > 0) & (records.ask_qty[:, 0] > 0)
    over = records.bid_price[:, 0] >= records.ask_price[:, 0]
    found: Array = records.is_image & ~records.is_indicative & both & over
    return found


class BookImages:
    """Makes canonical rows of records, chunk by chunk."""

    def __init__(self, levels: int) -> None:
        """Start with an empty book.

        Args:
            levels: Levels a side of a picture.
        """
        empty = np.zeros((1, levels), np.int64)
        self._levels = levels
        self._standing = {SIDE_BID: (empty, empty), SIDE_ASK: (empty, empty)}
        self._last_trade: tuple[int, int] | None = None
        self.counts = {
            "images": 0,
            "trades": 0,
            "out_of_view_rows": 0,
            "indicative_rows": 0,
            "sides_guessed": 0,
        }

    def rows(self, records: Records) -> tuple[Columns, Array]:
        """Return the rows of records, and for each record the row at which its own begin."""
        before = self._before(records)
        side = self._trade_sides(records, before)
        parts = [self._clears(records), self._trades(records, side)]
        for name, price, qty in (
            (SIDE_BID, records.bid_price, records.bid_qty),
            (SIDE_ASK, records.ask_price, records.ask_qty),
        ):
            parts += self._levels_of(records, before, name, price, qty)
        self._remember(records)
        return self._assemble(records, parts)

    def _before(self, records: Records) -> Array:
        """Return per record the picture that stands in front of it, 1 + its number.

        0 is the picture that stood in front of the chunk, -1 none.
        """
        number = np.arange(1, len(records) + 1)
        seen = np.maximum.accumulate(np.where(records.is_image, number, 0))
        seen = np.concatenate(([0], seen[:-1]))
        anew = np.maximum.accumulate(np.where(records.is_reset | records.is_gap, number, 0))
        # A picture of the record that starts the book anew stands behind the start.
        return np.where((anew > 0) & (seen < anew), -1, seen)

    def _pictures(self, side: int, price: Array, qty: Array, before: Array) -> tuple[Array, Array]:
        standing_price, standing_qty = self._standing[side]
        prices = np.concatenate((standing_price, price))[before]
        qtys = np.concatenate((standing_qty, qty))[before]
        qtys = np.where((before < 0)[:, None], 0, qtys)
        return prices, qtys

    def _trade_sides(self, records: Records, before: Array) -> Array:
        traded = np.flatnonzero(records.trade_qty > 0)
        price, side = records.trade_price[traded], records.trade_side[traded]
        guessed = tick_rule(price, self._last_trade)
        bid = self._pictures(SIDE_BID, records.bid_price, records.bid_qty, before)
        ask = self._pictures(SIDE_ASK, records.ask_price, records.ask_qty, before)
        bid_price, has_bid = bid[0][traded, 0], bid[1][traded, 0] > 0
        ask_price, has_ask = ask[0][traded, 0], ask[1][traded, 0] > 0
        at_ask, at_bid = has_ask & (price >= ask_price), has_bid & (price <= bid_price)
        by_book = np.where(
            at_ask & ~at_bid, SIDE_ASK, np.where(at_bid & ~at_ask, SIDE_BID, guessed)
        )
        unknown = side == SIDE_UNKNOWN
        found = np.where(unknown, by_book, side)
        self.counts["sides_guessed"] += int(unknown.sum())
        if len(traded):
            self._last_trade = (int(price[-1]), int(found[-1]))
        sides = np.zeros(len(records), np.int64)
        sides[traded] = found
        return sides

    def _clears(self, records: Records) -> dict[str, Array]:
        at = np.flatnonzero(records.is_reset | records.is_gap)
        zeros = np.zeros(len(at), np.int64)
        flags = np.where(records.is_gap[at], FLAG_GAP, 0)
        return _part(at, _SLOT_CLEAR, KIND_CLEAR, zeros, flags, zeros, zeros, zeros)

    def _trades(self, records: Records, side: Array) -> dict[str, Array]:
        at = np.flatnonzero(records.trade_qty > 0)
        flags = np.where(records.is_indicative[at], FLAG_INDICATIVE, 0)
        zeros = np.zeros(len(at), np.int64)
        price, qty = records.trade_price[at], records.trade_qty[at]
        self.counts["trades"] += len(at)
        return _part(at, _SLOT_TRADE, KIND_TRADE, side[at], flags, price, qty, zeros)

    def _levels_of(
        self, records: Records, before: Array, side: int, price: Array, qty: Array
    ) -> list[dict[str, Array]]:
        at = np.flatnonzero(records.is_image)
        if side == SIDE_BID:
            self.counts["images"] += len(at)
        old_price, old_qty = self._pictures(side, price, qty, before)
        old_price, old_qty = old_price[at], old_qty[at]
        new_price, new_qty = price[at], qty[at]
        old_has, new_has = old_qty > 0, new_qty > 0
        same = (old_price[:, :, None] == new_price[:, None, :]) & (
            old_has[:, :, None] & new_has[:, None, :]
        )
        qty_before = (same * old_qty[:, :, None]).sum(axis=1)
        changed = np.nonzero(new_has & (qty_before != new_qty))
        gone = np.nonzero(old_has & ~same.any(axis=2))
        flags = FLAG_IMAGE | np.where(records.is_indicative[at], FLAG_INDICATIVE, 0)
        # Worse than the worst of a side whose places are all taken.
        worst = new_price[:, -1][gone[0]]
        worse = old_price[gone] < worst if side == SIDE_BID else old_price[gone] > worst
        hidden = np.asarray(new_has.all(axis=1))[gone[0]] & worse
        self.counts["out_of_view_rows"] += int(hidden.sum())
        zeros = np.zeros(len(gone[0]), np.int64)
        return [
            _part(
                at[gone[0]],
                _SLOT_GONE,
                KIND_LEVEL,
                zeros + side,
                flags[gone[0]] | np.where(hidden, FLAG_OUT_OF_VIEW, 0),
                old_price[gone],
                zeros,
                side * _LEVELS_MAX + gone[1],
            ),
            _part(
                at[changed[0]],
                _SLOT_NOW,
                KIND_LEVEL,
                np.full(len(changed[0]), side),
                flags[changed[0]],
                new_price[changed],
                new_qty[changed],
                side * _LEVELS_MAX + changed[1],
            ),
        ]

    def _remember(self, records: Records) -> None:
        images = np.flatnonzero(records.is_image)
        anew = np.flatnonzero(records.is_reset | records.is_gap)
        if len(anew) and (not len(images) or images[-1] < anew[-1]):
            empty = np.zeros((1, self._levels), np.int64)
            self._standing = {SIDE_BID: (empty, empty), SIDE_ASK: (empty, empty)}
        elif len(images):
            last = slice(images[-1], images[-1] + 1)
            self._standing = {
                SIDE_BID: (records.bid_price[last].copy(), records.bid_qty[last].copy()),
                SIDE_ASK: (records.ask_price[last].copy(), records.ask_qty[last].copy()),
            }

    def _assemble(self, records: Records, parts: list[dict[str, Array]]) -> tuple[Columns, Array]:
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        order = np.lexsort((joined["place"], joined["slot"], joined["at"]))
        at = joined["at"][order]
        columns = {
            name: contiguous(joined[name][order], COLUMNS[name])
            for name in ("kind", "side", "flags", "price", "qty")
        }
        columns["exch_ns"] = contiguous(records.exch_ns[at], COLUMNS["exch_ns"])
        if records.local_ns is not None:
            columns["local_ns"] = contiguous(records.local_ns[at], COLUMNS["local_ns"])
        self.counts["indicative_rows"] += int((columns["flags"] & FLAG_INDICATIVE > 0).sum())
        return columns, np.searchsorted(at, np.arange(len(records)))


def _part(
    at: Array,
    slot: int,
    kind: int,
    side: Array,
    flags: Array,
    price: Array,
    qty: Array,
    place: Array,
) -> dict[str, Array]:
    return {
        "at": at,
        "slot": np.full(len(at), slot),
        "place": place,
        "kind": np.full(len(at), kind),
        "side": side,
        "flags": flags,
        "price": price,
        "qty": qty,
    }
