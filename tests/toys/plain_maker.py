"""The market maker in plain Python, hook by hook: what `strategies.maker` is held against."""

import math
from typing import ClassVar

from strategies.base import Strategy, StrategyParams
from strategies.gateway import (
    ACCEPTED,
    BUY,
    CANCEL_REJECTED,
    CANCELLED,
    EXPIRED,
    FILLED,
    REJECTED,
    SELL,
    ExecutionGateway,
    MarketView,
    OrderEvent,
)
from strategies.maker import MakerParams


def _plan(params: MakerParams, position_lots: int) -> tuple[int, int, int, int]:
    """Return the offsets of bid and ask from twice the mid, and the lots to quote.

    With m2 twice the mid and o twice the offset, for whole m2 and any o: floor((m2 - o) / 2) is
    (m2 - ceil(o)) >> 1 and ceil((m2 + o) / 2) is (m2 + ceil(o) + 1) >> 1, so the targets need
    integers only. A quote is never larger than what is left to the limit; 0 lots: no quote.
    """
    spread2 = 2.0 * params.half_spread_ticks
    skew2 = 2.0 * params.skew_ticks_per_lot * position_lots
    room = params.position_limit_lots
    return (
        math.ceil(spread2 + skew2),
        math.ceil(spread2 - skew2) + 1,
        max(0, min(params.order_lots, room - position_lots)),
        max(0, min(params.order_lots, room + position_lots)),
    )


class PlainMaker(Strategy):
    """Quotes both sides as `MakerStrategy` does.

    `on_tick` runs at every change of a best price, so it reads two properties and a few slots, in
    integers, and leaves at once if both quotes are where they should be.
    """

    __slots__ = (
        "_ask_cancelling",
        "_ask_high",
        "_ask_id",
        "_ask_low",
        "_ask_offset2",
        "_bid_cancelling",
        "_bid_high",
        "_bid_id",
        "_bid_low",
        "_bid_offset2",
        "_buy_lots",
        "_plans",
        "_position_lots",
        "_sell_lots",
        "_threshold",
    )

    Params: ClassVar[type[StrategyParams]] = MakerParams
    params: MakerParams

    def __init__(self, gateway: ExecutionGateway, params: MakerParams) -> None:
        """Start without quotes, at the gateway's position."""
        super().__init__(gateway, params)
        self._threshold = params.requote_threshold_ticks
        # Id 0: no order on that side. Else the order is kept while its target lies between low
        # and high, both excluded.
        self._bid_id = self._ask_id = 0
        self._bid_low = self._bid_high = self._ask_low = self._ask_high = 0
        # A cancel is on its way; the order may still fill.
        self._bid_cancelling = self._ask_cancelling = False
        # What follows from a position, kept for each one met: at most two per lot of the limit.
        self._plans: dict[int, tuple[int, int, int, int]] = {}
        self._set_position(gateway.position_lots)

    def _set_position(self, position_lots: int) -> None:
        self._position_lots = position_lots
        plan = self._plans.get(position_lots)
        if plan is None:
            plan = self._plans[position_lots] = _plan(self.params, position_lots)
        self._bid_offset2, self._ask_offset2, self._buy_lots, self._sell_lots = plan

    def on_start(self) -> None:
        """Take over the position that the gateway knows."""
        self._set_position(self.gateway.position_lots)

    def on_tick(self, view: MarketView) -> None:
        """Move the quotes that are too far from their targets; send those that are missing."""
        best_bid = view.best_bid_ticks
        best_ask = view.best_ask_ticks
        if best_bid is None or best_ask is None:
            self._pull()
            return
        mid2 = best_bid + best_ask

        target = (mid2 - self._bid_offset2) >> 1
        if target >= best_ask:
            target = best_ask - 1
        if self._bid_id:
            if not (self._bid_low < target < self._bid_high or self._bid_cancelling):
                self._bid_cancelling = self.gateway.cancel_order(self._bid_id)
        elif self._buy_lots:
            threshold = self._threshold
            self._bid_low = target - threshold
            self._bid_high = target + threshold
            self._bid_id = self.gateway.place_order(BUY, target, self._buy_lots, post_only=True)

        target = (mid2 + self._ask_offset2) >> 1
        if target <= best_bid:
            target = best_bid + 1
        if self._ask_id:
            if not (self._ask_low < target < self._ask_high or self._ask_cancelling):
                self._ask_cancelling = self.gateway.cancel_order(self._ask_id)
        elif self._sell_lots:
            threshold = self._threshold
            self._ask_low = target - threshold
            self._ask_high = target + threshold
            self._ask_id = self.gateway.place_order(SELL, target, self._sell_lots, post_only=True)

    def on_order_event(self, event: OrderEvent) -> None:
        """Follow own orders; fills count whichever order they belong to and whenever they come."""
        kind = event.kind
        if kind == ACCEPTED:
            return
        if kind == CANCELLED:
            self._forget(event.order_id)
            self.on_tick(self.gateway.view)
        elif kind == FILLED:
            signed = event.quantity_lots if event.side == BUY else -event.quantity_lots
            self._set_position(self._position_lots + signed)
            if event.leaves_lots == 0:
                self._forget(event.order_id)
            self.on_tick(self.gateway.view)
        elif kind in (REJECTED, EXPIRED):
            # No new attempt before the market moves: the same order would be refused again.
            self._forget(event.order_id)
        elif kind == CANCEL_REJECTED and event.reason != "too_late":
            # The order may still work (a lost cancel), so the next tick may ask again. After
            # too_late its end is known to the exchange and already on its way here.
            if event.order_id == self._bid_id:
                self._bid_cancelling = False
            elif event.order_id == self._ask_id:
                self._ask_cancelling = False

    def on_end(self) -> None:
        """Leave no quote behind."""
        self._pull()

    def _forget(self, order_id: int) -> None:
        if order_id == self._bid_id:
            self._bid_id = 0
            self._bid_cancelling = False
        elif order_id == self._ask_id:
            self._ask_id = 0
            self._ask_cancelling = False

    def _pull(self) -> None:
        if self._bid_id and not self._bid_cancelling:
            self._bid_cancelling = self.gateway.cancel_order(self._bid_id)
        if self._ask_id and not self._ask_cancelling:
            self._ask_cancelling = self.gateway.cancel_order(self._ask_id)
