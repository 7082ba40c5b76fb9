"""Strategies whose decision is one function over plain records, interpreted or compiled.

The author writes `decide(market, event, params, state, out)`, once. Interpreted, the hooks of
`KernelStrategy` fill the records, call it and send what it wrote to the gateway: any gateway.
Compiled (strategies/kernel_compile.py), a replay calls it without the interpreter, on memory of the
same fields. Both ways it is called once per own event, once for timers, once for the market, and
at start and end; so the same source makes the same decisions. docs/strategies.md shows how.

Orders have handles: 1, 2, 3 ... in the order of `place`. In a replay they are the ids of the
orders; here they stand for whatever ids the gateway gives.
"""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, ClassVar, Final

from strategies import gateway as words
from strategies.base import Strategy, StrategyError, StrategyParams
from strategies.gateway import ExecutionGateway, MarketView, OrderEvent
from strategies.kernel_records import (
    ACCEPTED,
    AMEND_REJECTED,
    AMENDED,
    BUY,
    CANCEL,
    CANCEL_REJECTED,
    CANCELLED,
    COMMANDS_MAX,
    END,
    EXPIRED,
    FILLED,
    FOK,
    IOC,
    LIMIT,
    LOST,
    MARKET,
    NO_REASON,
    NONE,
    OTHER_REASON,
    PLACE,
    POST_ONLY,
    REJECTED,
    ROD,
    SELL,
    SET_TIMER,
    START,
    TICK,
    TIMER,
    TOO_LATE,
    Event,
    Market,
    NoState,
    Out,
    Words,
    amend,
    cancel,
    place,
    set_timer,
    slots_of,
    vector,
)

# What authors of kernels need.
__all__ = [
    "ACCEPTED",
    "AMENDED",
    "AMEND_REJECTED",
    "BUY",
    "CANCELLED",
    "CANCEL_REJECTED",
    "COMMANDS_MAX",
    "END",
    "EXPIRED",
    "FILLED",
    "FOK",
    "IOC",
    "LIMIT",
    "LOST",
    "MARKET",
    "NONE",
    "NO_REASON",
    "OTHER_REASON",
    "POST_ONLY",
    "REJECTED",
    "ROD",
    "SELL",
    "START",
    "TICK",
    "TIMER",
    "TOO_LATE",
    "Event",
    "KernelStrategy",
    "Market",
    "NoState",
    "Out",
    "amend",
    "cancel",
    "place",
    "set_timer",
    "vector",
]

_KINDS: Final = {
    words.ACCEPTED: ACCEPTED,
    words.REJECTED: REJECTED,
    words.FILLED: FILLED,
    words.CANCELLED: CANCELLED,
    words.CANCEL_REJECTED: CANCEL_REJECTED,
    words.AMENDED: AMENDED,
    words.AMEND_REJECTED: AMEND_REJECTED,
    words.EXPIRED: EXPIRED,
}
_REASONS: Final = {
    "": NO_REASON,
    "post_only": POST_ONLY,
    "price_limit": 2,
    "quantity": 3,
    "market_needs_ioc": 4,
    "self_match": 5,
    "unknown_order": 6,
    "too_late": TOO_LATE,
    "below_filled": 8,
    "lost": LOST,
    "ioc": 10,
    "fok": 11,
    "end_of_data": 12,
    "phase": 13,
    "refused": 14,
}
_ORDER_TYPES: Final = ("limit", "market")
_TIMES_IN_FORCE: Final = ("rod", "ioc", "fok")
_PRICE_MAX: Final = (1 << 31) - 1
_TICK_EVENT: Final = Event()  # the most frequent of all, and read only


class KernelStrategy(Strategy):
    """A strategy that decides in one function; a subclass gives `Params`, `State` and `decide`.

    Attributes:
        state: What the strategy remembers, an instance of `State`.
    """

    __slots__ = ("_gateway_ids", "_handles", "_market", "_out", "state")

    State: ClassVar[type] = NoState
    decide: ClassVar[Callable[..., None]]

    # Fields of the state, to see whether they hold what compiled memory could hold.
    _words: ClassVar[Words]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_kernel(cls)
        cls._words = Words(cls.State)

    def __init__(self, gateway: ExecutionGateway, params: StrategyParams) -> None:
        """Start with the initial state and no orders."""
        super().__init__(gateway, params)
        self.state: Any = self.State()
        self._market = Market()
        self._out = Out()
        self._gateway_ids: dict[int, int] = {}  # by handle
        self._handles: dict[int, int] = {}  # by the gateway's id

    def on_start(self) -> None:
        """Call `decide` with `START`."""
        self._call(Event(kind=START), self.gateway.view)

    def on_tick(self, view: MarketView) -> None:
        """Call `decide` with `TICK`."""
        self._call(_TICK_EVENT, view)

    def on_order_event(self, event: OrderEvent) -> None:
        """Call `decide` with the event."""
        own = Event(
            kind=_KINDS[event.kind],
            order_id=self._handles.get(event.order_id, 0),
            side=event.side,
            price_ticks=event.price_ticks,
            quantity_lots=event.quantity_lots,
            leaves_lots=event.leaves_lots,
            is_maker=int(event.is_maker and event.kind == words.FILLED),
            reason=_REASONS.get(event.reason, OTHER_REASON),
            exch_ns=event.exch_ns,
            local_ns=event.local_ns,
        )
        self._call(own, self.gateway.view)

    def on_timer(self, now_ns: int) -> None:  # noqa: ARG002 - the gateway's clock says the same
        """Call `decide` with `TIMER`."""
        self._call(Event(kind=TIMER), self.gateway.view)

    def on_end(self) -> None:
        """Call `decide` with `END`."""
        self._call(Event(kind=END), self.gateway.view)

    def _call(self, event: Event, view: MarketView) -> None:
        market, out = self._market, self._out
        bid, ask, trade = view.best_bid_ticks, view.best_ask_ticks, view.last_trade_ticks
        market.now_ns = self.gateway.now_ns
        market.exch_ns = view.exch_ns
        market.best_bid_ticks = NONE if bid is None else bid
        market.best_ask_ticks = NONE if ask is None else ask
        market.best_bid_lots = view.best_bid_lots
        market.best_ask_lots = view.best_ask_lots
        market.last_trade_ticks = NONE if trade is None else trade
        market.last_trade_lots = view.last_trade_lots
        market.last_trade_side = view.last_trade_side
        market.position_lots = self.gateway.position_lots
        out.count = 0
        type(self).decide(market, event, self.params, self.state, out)
        self._words.check(self.state)
        if out.count:
            self._send(out)

    def _send(self, out: Out) -> None:
        name = type(self).__name__
        if out.count > COMMANDS_MAX:
            what = f"{out.count} commands in one call, at most {COMMANDS_MAX} fit"
            raise StrategyError(f"{name} wrote {what}")
        for command in out.commands[: out.count]:
            price: int | None = command.price_ticks
            lots: int | None = command.quantity_lots
            if command.verb == SET_TIMER:
                self.gateway.set_timer(command.at_ns)
                continue
            if command.verb == PLACE:
                if abs(command.price_ticks) > _PRICE_MAX:
                    raise StrategyError(f"{name}: no price can be {price} ticks")
                gateway_id = self.gateway.place_order(
                    command.side,
                    command.price_ticks,
                    command.quantity_lots,
                    order_type=_word("order_type", _ORDER_TYPES, command.order_type),
                    time_in_force=_word("time_in_force", _TIMES_IN_FORCE, command.time_in_force),
                    post_only=bool(command.post_only),
                    session=command.session,
                )
                self._gateway_ids[command.order_id] = gateway_id
                self._handles[gateway_id] = command.order_id
                continue
            if command.order_id not in self._gateway_ids:
                continue  # never placed: as gateways do with unknown ids
            gateway_id = self._gateway_ids[command.order_id]
            if command.verb == CANCEL:
                self.gateway.cancel_order(gateway_id, session=command.session)
            else:
                self.gateway.amend_order(
                    gateway_id,
                    price_ticks=None if price == NONE else price,
                    quantity_lots=None if lots == NONE else lots,
                    session=command.session,
                )


def _word(name: str, words_by_code: tuple[str, ...], code: int) -> str:
    if 0 <= code < len(words_by_code):
        return words_by_code[code]
    known = ", ".join(f"{at} ({word})" for at, word in enumerate(words_by_code))
    raise StrategyError(f"{name}: expected {known}, found {code}")


def check_kernel(kind: type[KernelStrategy]) -> None:
    """Refuse a class whose parameters, state or function no compiler could take.

    Raises:
        StrategyError: Says what is wrong.
    """
    slots_of(kind.Params)
    if not is_dataclass(kind.State):
        raise StrategyError(f"{kind.__name__}.State must be a dataclass of numbers with defaults")
    for item in fields(kind.State):
        if item.default is MISSING and item.default_factory is MISSING:
            raise StrategyError(f"{kind.__name__}.State.{item.name} needs an initial value")
    decide = getattr(kind, "decide", None)
    if decide is not None and (
        not inspect.isfunction(decide) or len(inspect.signature(decide).parameters) != 5
    ):
        what = "a static function (market, event, params, state, out)"
        raise StrategyError(f"{kind.__name__}.decide must be {what}")
