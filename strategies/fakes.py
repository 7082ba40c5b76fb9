"""Fakes to test strategies with: a market and a venue that do what the test says."""

from dataclasses import dataclass, field
from typing import Final

from strategies.gateway import (
    ACCEPTED,
    AMEND_REJECTED,
    BUY,
    CANCEL_REJECTED,
    CANCELLED,
    FILLED,
    SELL,
    is_terminal,
)

MS: Final = 1_000_000
SECOND: Final = 1_000_000_000
START_NS: Final = 1_700_000_000 * SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An own event made by hand."""

    kind: str
    order_id: int
    side: int = BUY
    price_ticks: int = 0
    quantity_lots: int = 0
    leaves_lots: int = 0
    is_maker: bool = True
    reason: str = ""
    exch_ns: int = 0
    local_ns: int = 0


@dataclass(slots=True, kw_only=True)
class View:
    """A market view set by hand."""

    local_ns: int = START_NS
    exch_ns: int = START_NS
    best_bid_ticks: int | None = None
    best_ask_ticks: int | None = None
    best_bid_lots: int = 0
    best_ask_lots: int = 0
    last_trade_ticks: int | None = None
    last_trade_lots: int = 0
    last_trade_side: int = BUY

    @property
    def mid2_ticks(self) -> int | None:
        """Twice the mid."""
        if self.best_bid_ticks is None or self.best_ask_ticks is None:
            return None
        return self.best_bid_ticks + self.best_ask_ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command as a gateway received it."""

    verb: str  # place, cancel, amend, timer
    order_id: int
    side: int = BUY
    price_ticks: int | None = None
    quantity_lots: int | None = None
    post_only: bool = False


@dataclass(slots=True)
class _FakeOrder:
    side: int
    price_ticks: int
    total_lots: int
    filled_lots: int = 0  # at the venue, whether seen or not
    is_over: bool = False  # at the venue
    is_over_seen: bool = False  # by the strategy
    cancels: int = 0  # cancels that the venue has not handled yet
    unseen: list[Event] = field(default_factory=list)

    @property
    def leaves_lots(self) -> int:
        return 0 if self.is_over else self.total_lots - self.filled_lots


class ScriptedGateway:
    """A gateway whose venue does what the test says; outcomes are seen when the test says so.

    The venue keeps the two promises of `strategies.gateway` and nothing else: between the events
    of different orders, and between an acknowledgement and everything else, any order may occur.
    """

    def __init__(self, position_lots: int = 0) -> None:
        """Start at a position, with an empty market."""
        self.view = View()
        self.commands: list[Command] = []
        self.orders: dict[int, _FakeOrder] = {}
        self.position_lots = position_lots  # from fills that the strategy has seen
        self.position_venue_lots = position_lots

    @property
    def now_ns(self) -> int:
        """Time at the strategy."""
        return self.view.local_ns

    def set_best(self, bid: int | None, ask: int | None) -> View:
        """Move the market one millisecond on, to these best prices; return the view."""
        self.view.local_ns += MS
        self.view.exch_ns += MS
        self.view.best_bid_ticks, self.view.best_ask_ticks = bid, ask
        self.view.best_bid_lots = 10 if bid is not None else 0
        self.view.best_ask_lots = 10 if ask is not None else 0
        return self.view

    def place_order(
        self,
        side: int,
        price_ticks: int,
        quantity_lots: int,
        *,
        order_type: str = "limit",
        time_in_force: str = "rod",
        post_only: bool = False,
        session: int = 0,
    ) -> int:
        """Record the order; ids count from 1."""
        assert side in (BUY, SELL), f"side is {BUY} or {SELL}, found {side!r}"
        assert type(price_ticks) is int, f"price is whole ticks, found {price_ticks!r}"
        assert type(quantity_lots) is int, f"quantity is whole lots, found {quantity_lots!r}"
        assert quantity_lots > 0, f"an order of {quantity_lots} lots was sent"
        assert order_type in ("limit", "market"), f"unknown order type {order_type!r}"
        assert time_in_force in ("rod", "ioc", "fok"), f"unknown time in force {time_in_force!r}"
        assert session >= 0, f"unknown session {session}"
        order_id = len(self.orders) + 1
        self.orders[order_id] = _FakeOrder(side, price_ticks, quantity_lots)
        self._record("place", order_id, side, price_ticks, quantity_lots, post_only=post_only)
        return order_id

    def cancel_order(self, order_id: int, *, session: int = 0) -> bool:
        """Record the request unless the strategy already saw the order end."""
        assert order_id in self.orders, f"order {order_id} was never placed, session {session}"
        order = self.orders[order_id]
        if order.is_over_seen:
            return False
        order.cancels += 1
        self._record("cancel", order_id, order.side)
        return True

    def amend_order(
        self,
        order_id: int,
        *,
        price_ticks: int | None = None,
        quantity_lots: int | None = None,
        session: int = 0,
    ) -> bool:
        """Record the request; this venue refuses every amendment."""
        assert order_id in self.orders, f"order {order_id} was never placed, session {session}"
        order = self.orders[order_id]
        if order.is_over_seen:
            return False
        self._record("amend", order_id, order.side, price_ticks, quantity_lots)
        self._emit(order_id, AMEND_REJECTED, order.total_lots, reason="unknown_order")
        return True

    def set_timer(self, at_ns: int) -> None:
        """Record the request; this venue never calls back."""
        self._record("timer", 0, price_ticks=at_ns)

    def _record(
        self,
        verb: str,
        order_id: int,
        side: int = BUY,
        price_ticks: int | None = None,
        quantity_lots: int | None = None,
        *,
        post_only: bool = False,
    ) -> None:
        self.commands.append(
            Command(
                verb=verb,
                order_id=order_id,
                side=side,
                price_ticks=price_ticks,
                quantity_lots=quantity_lots,
                post_only=post_only,
            )
        )

    # What the venue does; the strategy learns of it only through `see`.

    def accept(self, order_id: int) -> None:
        """Acknowledge an order."""
        self._emit(order_id, ACCEPTED, self.orders[order_id].total_lots)

    def fill(self, order_id: int, lots: int) -> None:
        """Trade some of an order."""
        order = self.orders[order_id]
        assert 0 < lots <= order.leaves_lots, f"order {order_id} has no {lots} lots to fill"
        order.filled_lots += lots
        self.position_venue_lots += lots if order.side == BUY else -lots
        order.is_over = order.filled_lots == order.total_lots
        self._emit(order_id, FILLED, lots)

    def end(self, order_id: int, kind: str, reason: str = "") -> None:
        """End an order as rejected, cancelled or expired."""
        order = self.orders[order_id]
        assert not order.is_over, f"order {order_id} has ended before"
        leaves = order.leaves_lots
        order.is_over = True
        self._emit(order_id, kind, leaves, reason=reason)

    def handle_cancel(self, order_id: int, *, lost: bool = False) -> None:
        """Answer the oldest cancel of an order, or lose it."""
        order = self.orders[order_id]
        assert order.cancels > 0, f"no cancel of order {order_id} is on its way"
        order.cancels -= 1
        if lost or order.is_over:
            reason = "lost" if lost else "too_late"
            self._emit(order_id, CANCEL_REJECTED, order.total_lots, reason=reason)
        else:
            self.end(order_id, CANCELLED)

    def _emit(self, order_id: int, kind: str, lots: int, *, reason: str = "") -> None:
        order = self.orders[order_id]
        order.unseen.append(
            Event(
                kind=kind,
                order_id=order_id,
                side=order.side,
                price_ticks=order.price_ticks,
                quantity_lots=lots,
                leaves_lots=order.leaves_lots,
                reason=reason,
                exch_ns=self.view.exch_ns,
            )
        )

    def see(self, order_id: int, position: int = 0) -> Event:
        """Take one unseen event of an order, as the strategy's gateway would hand it over."""
        order = self.orders[order_id]
        event = order.unseen.pop(position)
        if event.kind == FILLED:
            self.position_lots += event.quantity_lots * (1 if event.side == BUY else -1)
        order.is_over_seen = order.is_over_seen or is_terminal(event)
        return event
