"""What a strategy sees of the world: market, own orders and the way to send commands.

Prices are tick indices, quantities lots, times nanoseconds UTC. A strategy is written against these
protocols only, so the same source trades in a replay and on a live market.

Outcomes of commands arrive as events, later, and in awkward orders: a fill may be seen before the
acknowledgement of its order, or while a cancel is on its way. Two things hold always. Every order
ends with exactly one terminal event: `rejected`, `cancelled`, `expired`, or the `filled` that
leaves nothing. And no fill of an order follows its terminal event; a gateway whose market reports
otherwise holds the terminal event back until the fills are complete.
"""

from typing import Any, Final, Protocol, runtime_checkable

BUY: Final = 0
SELL: Final = 1

ACCEPTED: Final = "accepted"
REJECTED: Final = "rejected"
FILLED: Final = "filled"
CANCELLED: Final = "cancelled"
CANCEL_REJECTED: Final = "cancel_rejected"
AMENDED: Final = "amended"
AMEND_REJECTED: Final = "amend_rejected"
EXPIRED: Final = "expired"

EVENT_KINDS: Final = frozenset(
    {ACCEPTED, REJECTED, FILLED, CANCELLED, CANCEL_REJECTED, AMENDED, AMEND_REJECTED, EXPIRED}
)


class MarketView(Protocol):
    """The market as the strategy sees it now; one object that is updated in place."""

    @property
    def local_ns(self) -> int:
        """Time at the strategy."""
        ...

    @property
    def exch_ns(self) -> int:
        """Exchange time of the newest market event seen."""
        ...

    @property
    def best_bid_ticks(self) -> int | None:
        """Best bid price, None while that side is empty."""
        ...

    @property
    def best_ask_ticks(self) -> int | None:
        """Best ask price, None while that side is empty."""
        ...

    @property
    def best_bid_lots(self) -> int:
        """Displayed size at the best bid."""
        ...

    @property
    def best_ask_lots(self) -> int:
        """Displayed size at the best ask."""
        ...

    @property
    def mid2_ticks(self) -> int | None:
        """Twice the mid (bid + ask), None while a side is empty."""
        ...

    @property
    def last_trade_ticks(self) -> int | None:
        """Price of the last print seen, None before the first."""
        ...

    @property
    def last_trade_lots(self) -> int:
        """Its size."""
        ...

    @property
    def last_trade_side(self) -> int:
        """`BUY` if it hit bids, `SELL` if it hit asks."""
        ...


class OrderEvent(Protocol):
    """One thing that happened to an own order, as the strategy sees it."""

    @property
    def kind(self) -> str:
        """One of `EVENT_KINDS`."""
        ...

    @property
    def order_id(self) -> int:
        """The id that `place_order` returned."""
        ...

    @property
    def exch_ns(self) -> int:
        """When it happened at the exchange."""
        ...

    @property
    def local_ns(self) -> int:
        """When the strategy sees it."""
        ...

    @property
    def side(self) -> int:
        """`BUY` or `SELL`."""
        ...

    @property
    def price_ticks(self) -> int:
        """Price of the fill, or limit price of the order."""
        ...

    @property
    def quantity_lots(self) -> int:
        """Lots of this fill, lots cancelled or expired, else the order's total quantity."""
        ...

    @property
    def leaves_lots(self) -> int:
        """Lots that still work after this event; 0 once the order has ended."""
        ...

    @property
    def is_maker(self) -> bool:
        """Whether this fill took place at a resting order."""
        ...

    @property
    def reason(self) -> str:
        """Why an order was refused or expired; empty for the other kinds."""
        ...


class ExecutionGateway(Protocol):
    """The only way from a strategy to a market."""

    @property
    def view(self) -> MarketView:
        """The market as it is seen now."""
        ...

    @property
    def now_ns(self) -> int:
        """Time at the strategy."""
        ...

    @property
    def position_lots(self) -> int:
        """Position from the fills seen so far; short is negative."""
        ...

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
        """Send an order and return its id.

        Args:
            side: `BUY` or `SELL`.
            price_ticks: Limit price; ignored for market orders.
            quantity_lots: Lots to trade; the exchange refuses what is not positive.
            order_type: `limit` or `market`.
            time_in_force: `rod` (rest of day), `ioc` or `fok`.
            post_only: Refuse the order rather than let it take liquidity.
            session: Order session; messages of one session arrive in the order sent.
        """
        ...

    def cancel_order(self, order_id: int, *, session: int = 0) -> bool:
        """Ask for a cancel; return False, and send nothing, if the order is known as finished."""
        ...

    def amend_order(
        self,
        order_id: int,
        *,
        price_ticks: int | None = None,
        quantity_lots: int | None = None,
        session: int = 0,
    ) -> bool:
        """Ask for a new price or total quantity; return False as `cancel_order` does."""
        ...

    def set_timer(self, at_ns: int) -> None:
        """Ask for `on_timer` at this local time, or now if it is past."""
        ...


@runtime_checkable
class SteppedGateway(ExecutionGateway, Protocol):
    """A gateway that its caller drives one market event at a time."""

    def on_tick(self, tick: Any) -> list[Any]:
        """Advance to one market event and return the own events seen by then, oldest first."""
        ...

    def advance_to(self, local_ns: int) -> list[Any]:
        """Let time pass without a market event and return the own events seen by then."""
        ...


def is_terminal(event: OrderEvent) -> bool:
    """Return whether nothing more can happen to the event's order."""
    kind = event.kind
    if kind == FILLED:
        return event.leaves_lots == 0
    return kind in (CANCELLED, EXPIRED, REJECTED)
