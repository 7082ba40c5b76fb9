"""A market maker: one post-only quote on each side of the mid, moved against its inventory.

Targets, with m the mid, h the half spread, k the skew and x the position:

    bid = floor(m - h - k x), at most best ask - 1
    ask = ceil(m + h - k x), at least best bid + 1

Worked number: bid 100, ask 101, h = 0.5, k = 0.25, x = +3. The centre moves down by 0.75 from
the mid of 100.5, so bid = floor(99.25) = 99 and ask = ceil(100.25) = 101: a long maker keeps its
offer at the best ask and steps back with its bid.

A side has one order at a time. A quote that is off target by the threshold is cancelled, and the
new one is sent when the end of the old one is seen: so the position can never pass its limit,
whatever fills while the cancel is on its way. The price is one round trip without a quote.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from strategies.base import StrategyParams, param
from strategies.kernel import (
    BUY,
    CANCEL_REJECTED,
    CANCELLED,
    END,
    EXPIRED,
    FILLED,
    NONE,
    REJECTED,
    SELL,
    START,
    TICK,
    TOO_LATE,
    Event,
    KernelStrategy,
    Market,
    Out,
    cancel,
    place,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MakerParams(StrategyParams):
    """Parameters of the maker."""

    half_spread_ticks: float = param(
        "Distance of each quote from the mid; 0.5 joins the best prices of a one-tick market.",
        unit="ticks",
        low=0.0,
        high=10_000.0,
    )
    skew_ticks_per_lot: float = param(
        "How far both quotes move against each lot of position.",
        unit="ticks/lot",
        low=0.0,
        high=10_000.0,
        default=0.0,
    )
    requote_threshold_ticks: int = param(
        "A quote is moved when it is at least this far from its target.",
        unit="ticks",
        low=1,
        high=10_000,
        default=1,
    )
    position_limit_lots: int = param(
        "Greatest position on either side.", unit="lots", low=1, high=1_000_000, default=10
    )
    order_lots: int = param("Size of a quote.", unit="lots", low=1, high=1_000_000, default=1)


@dataclass(slots=True)
class MakerState:
    """What the maker remembers.

    Attributes:
        bid_id: Handle of the order on that side, 0: none.
        bid_low: The order is kept while its target lies between low and high, both excluded.
        bid_cancelling: 1 while a cancel is on its way; the order may still fill.
        position_lots: From the fills told so far, one by one.
        bid_offset2: Distance of the target from twice the mid; with `buy_lots` and the same of
            the other side it follows from the position.
    """

    bid_id: int = 0
    bid_low: int = 0
    bid_high: int = 0
    bid_cancelling: int = 0
    ask_id: int = 0
    ask_low: int = 0
    ask_high: int = 0
    ask_cancelling: int = 0
    position_lots: int = 0
    bid_offset2: int = 0
    ask_offset2: int = 0
    buy_lots: int = 0
    sell_lots: int = 0


def set_position(params: MakerParams, state: MakerState, position_lots: int) -> None:
    """Take a position over, and what follows from it.

    With m2 twice the mid and o twice the offset, for whole m2 and any o: floor((m2 - o) / 2) is
    (m2 - ceil(o)) >> 1 and ceil((m2 + o) / 2) is (m2 + ceil(o) + 1) >> 1, so the targets need
    integers only. A quote is never larger than what is left to the limit; 0 lots: no quote.
    """
    spread2 = 2.0 * params.half_spread_ticks
    skew2 = 2.0 * params.skew_ticks_per_lot * position_lots
    room = params.position_limit_lots
    state.position_lots = position_lots
    state.bid_offset2 = math.ceil(spread2 + skew2)
    state.ask_offset2 = math.ceil(spread2 - skew2) + 1
    state.buy_lots = max(0, min(params.order_lots, room - position_lots))
    state.sell_lots = max(0, min(params.order_lots, room + position_lots))


def quote(market: Market, params: MakerParams, state: MakerState, out: Out) -> None:
    """Move the quotes that are too far from their targets; send those that are missing."""
    best_bid = market.best_bid_ticks
    best_ask = market.best_ask_ticks
    if best_bid == NONE or best_ask == NONE:
        pull(state, out)
        return
    mid2 = best_bid + best_ask

    target = (mid2 - state.bid_offset2) >> 1
    if target >= best_ask:
        target = best_ask - 1
    if state.bid_id:
        if not (state.bid_low < target < state.bid_high or state.bid_cancelling):
            cancel(out, state.bid_id)
            state.bid_cancelling = 1
    elif state.buy_lots:
        state.bid_low = target - params.requote_threshold_ticks
        state.bid_high = target + params.requote_threshold_ticks
        state.bid_id = place(out, BUY, target, state.buy_lots, post_only=True)

    target = (mid2 + state.ask_offset2) >> 1
    if target <= best_bid:
        target = best_bid + 1
    if state.ask_id:
        if not (state.ask_low < target < state.ask_high or state.ask_cancelling):
            cancel(out, state.ask_id)
            state.ask_cancelling = 1
    elif state.sell_lots:
        state.ask_low = target - params.requote_threshold_ticks
        state.ask_high = target + params.requote_threshold_ticks
        state.ask_id = place(out, SELL, target, state.sell_lots, post_only=True)


def pull(state: MakerState, out: Out) -> None:
    """Cancel what is quoted."""
    if state.bid_id and not state.bid_cancelling:
        cancel(out, state.bid_id)
        state.bid_cancelling = 1
    if state.ask_id and not state.ask_cancelling:
        cancel(out, state.ask_id)
        state.ask_cancelling = 1


def forget(state: MakerState, order_id: int) -> None:
    """Take note of the end of an order."""
    if order_id == state.bid_id:
        state.bid_id = state.bid_cancelling = 0
    elif order_id == state.ask_id:
        state.ask_id = state.ask_cancelling = 0


class MakerStrategy(KernelStrategy):
    """Quotes both sides; see the head of this module."""

    __slots__ = ()

    Params: ClassVar[type[StrategyParams]] = MakerParams
    State: ClassVar[type] = MakerState

    @staticmethod
    def decide(
        market: Market, event: Event, params: MakerParams, state: MakerState, out: Out
    ) -> None:
        """Follow own orders; fills count whichever order they belong to and whenever they come."""
        kind = event.kind
        if kind == TICK:
            quote(market, params, state, out)
        elif kind == FILLED:
            signed = event.quantity_lots if event.side == BUY else -event.quantity_lots
            set_position(params, state, state.position_lots + signed)
            if event.leaves_lots == 0:
                forget(state, event.order_id)
            quote(market, params, state, out)
        elif kind == CANCELLED:
            forget(state, event.order_id)
            quote(market, params, state, out)
        elif kind in (REJECTED, EXPIRED):
            # No new attempt before the market moves: the same order would be refused again.
            forget(state, event.order_id)
        elif kind == CANCEL_REJECTED and event.reason != TOO_LATE:
            # The order may still work (a lost cancel), so the next tick may ask again. After
            # too_late its end is known to the exchange and already on its way here.
            if event.order_id == state.bid_id:
                state.bid_cancelling = 0
            elif event.order_id == state.ask_id:
                state.ask_cancelling = 0
        elif kind == START:
            set_position(params, state, market.position_lots)
        elif kind == END:
            pull(state, out)
