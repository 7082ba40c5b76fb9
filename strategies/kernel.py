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
import struct
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from itertools import chain, islice
from operator import attrgetter
from typing import Any, ClassVar, Final, Literal, get_type_hints

from strategies import gateway as words
from strategies.base import Strategy, StrategyError, StrategyParams
from strategies.gateway import ExecutionGateway, MarketView, OrderEvent

BUY: Final = words.BUY
SELL: Final = words.SELL

# Why `decide` is called: `Event.kind`.
TICK: Final = 0
ACCEPTED: Final = 1
REJECTED: Final = 2
FILLED: Final = 3
CANCELLED: Final = 4
CANCEL_REJECTED: Final = 5
AMENDED: Final = 6
AMEND_REJECTED: Final = 7
EXPIRED: Final = 8
TIMER: Final = 9
START: Final = 10
END: Final = 11

# Why an order was refused or expired: `Event.reason`.
NO_REASON: Final = 0
POST_ONLY: Final = 1
TOO_LATE: Final = 7
LOST: Final = 9
OTHER_REASON: Final = 255  # a live market has more words than a simulated one

# No such price; in an amendment: leave it as it is. Far outside of all prices.
NONE: Final = -(1 << 40)

LIMIT: Final = 0
MARKET: Final = 1
ROD: Final = 0
IOC: Final = 1
FOK: Final = 2

LAYOUT_VERSION: Final = 1
COMMANDS_MAX: Final = 64

_PLACE: Final = 1
_CANCEL: Final = 2
_AMEND: Final = 3
_SET_TIMER: Final = 4

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


# --- records -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Market:
    """The market as it is seen now; times in ns, prices in ticks (`NONE`: there is none)."""

    now_ns: int = 0
    exch_ns: int = 0
    best_bid_ticks: int = NONE
    best_ask_ticks: int = NONE
    best_bid_lots: int = 0
    best_ask_lots: int = 0
    last_trade_ticks: int = NONE
    last_trade_lots: int = 0
    last_trade_side: int = 0
    position_lots: int = 0


@dataclass(slots=True)
class Event:
    """Why `decide` is called; the other fields are those of an own event, else 0."""

    kind: int = TICK
    order_id: int = 0
    side: int = 0
    price_ticks: int = 0
    quantity_lots: int = 0
    leaves_lots: int = 0
    is_maker: int = 0
    reason: int = NO_REASON
    exch_ns: int = 0
    local_ns: int = 0


_TICK_EVENT: Final = Event()  # the most frequent of all, and read only


@dataclass(slots=True)
class Command:
    """One command; written by the functions below."""

    verb: int = 0
    order_id: int = 0
    side: int = 0
    price_ticks: int = 0
    quantity_lots: int = 0
    post_only: int = 0
    order_type: int = LIMIT
    time_in_force: int = ROD
    session: int = 0
    at_ns: int = 0


@dataclass(slots=True)
class Out:
    """Where commands are written."""

    count: int = 0
    next_id: int = 1
    commands: list[Command] = field(
        default_factory=lambda: [Command() for _ in range(COMMANDS_MAX)]
    )


@dataclass(slots=True)
class NoState:
    """State of a strategy that remembers nothing."""


def vector(length: int) -> Any:
    """Declare a field of the state, `list[int]` or `list[float]`, of fixed length, all zeros."""
    return field(default_factory=lambda: [0] * length, metadata={"length": length})


# --- what a kernel may call ----------------------------------------------------------------------


def place(
    out: Out,
    side: int,
    price_ticks: int,
    quantity_lots: int,
    post_only: bool = False,  # noqa: FBT001 - the compiler knows no keyword-only arguments
    order_type: int = LIMIT,
    time_in_force: int = ROD,
    session: int = 0,
) -> int:
    """Send an order and return its handle."""
    order_id = out.next_id
    out.next_id = order_id + 1
    at = out.count
    out.count = at + 1
    if at < COMMANDS_MAX:
        command = out.commands[at]
        command.verb = _PLACE
        command.order_id = order_id
        command.side = side
        command.price_ticks = price_ticks
        command.quantity_lots = quantity_lots
        command.post_only = post_only
        command.order_type = order_type
        command.time_in_force = time_in_force
        command.session = session
    return order_id


def cancel(out: Out, order_id: int, session: int = 0) -> None:
    """Ask for a cancel; nothing is sent for an order that is known to have ended."""
    at = out.count
    out.count = at + 1
    if at < COMMANDS_MAX:
        command = out.commands[at]
        command.verb = _CANCEL
        command.order_id = order_id
        command.session = session


def amend(
    out: Out,
    order_id: int,
    price_ticks: int = NONE,
    quantity_lots: int = NONE,
    session: int = 0,
) -> None:
    """Ask for a new price or total quantity, or both; as `cancel` for orders that have ended."""
    at = out.count
    out.count = at + 1
    if at < COMMANDS_MAX:
        command = out.commands[at]
        command.verb = _AMEND
        command.order_id = order_id
        command.price_ticks = price_ticks
        command.quantity_lots = quantity_lots
        command.session = session


def set_timer(out: Out, at_ns: int) -> None:
    """Ask to be called with `TIMER` at this local time, or now if it is past."""
    at = out.count
    out.count = at + 1
    if at < COMMANDS_MAX:
        command = out.commands[at]
        command.verb = _SET_TIMER
        command.at_ns = at_ns


# --- fields as 64-bit words ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A field of a record as compiled code has it.

    Attributes:
        name: Name of the field.
        code: `q` an integer, `d` a float, as the module `struct` has it.
        length: How many there are; None for a single value.
    """

    name: str
    code: Literal["q", "d"]
    length: int | None


def slots_of(record: type) -> tuple[Slot, ...]:
    """Return the fields of a record that consists of numbers.

    Raises:
        StrategyError: A field is no number.
    """
    hints = get_type_hints(record)
    found = []
    for item in fields(record):
        hint, length = hints[item.name], item.metadata.get("length")
        numbers = {list[int]: int, list[float]: float}.get(hint) if length else hint
        if numbers not in (int, float, bool):
            shown = getattr(hint, "__name__", str(hint))
            raise StrategyError(
                f"{record.__name__}.{item.name} is {shown}: fields of a kernel's parameters and"
                " state are int, float or bool; in the state also list[int] or list[float],"
                " declared with vector(length)"
            )
        code: Literal["q", "d"] = "d" if numbers is float else "q"
        found.append(Slot(name=item.name, code=code, length=length))
    return tuple(found)


class Words:
    """The values of a record as 64-bit words."""

    def __init__(self, record: type) -> None:
        """Prepare for a record that consists of numbers.

        Raises:
            StrategyError: A field is no number.
        """
        self.record = record
        self.slots = slots_of(record)
        names = [slot.name for slot in self.slots]
        # Read at every call of an interpreted strategy; an `attrgetter` is five times as fast as a
        # loop, but returns a tuple only for two names and more.
        self._read: Callable[[Any], Any] = (
            attrgetter(*names)
            if len(names) > 1
            else lambda found: [getattr(found, name) for name in names]
        )
        self._has_vectors = any(slot.length is not None for slot in self.slots)
        self._format = struct.Struct(
            "=" + "".join(slot.code * (slot.length or 1) for slot in self.slots)
        )

    def check(self, found: Any) -> None:
        """Refuse values that compiled memory would cut off: both ways must decide alike.

        Raises:
            StrategyError: Names the field.
        """
        self.pack(found)

    def pack(self, found: Any) -> bytes:
        """Return the words of a record.

        Raises:
            StrategyError: A value does not fit its word; names the field.
        """
        values = self._read(found)
        if self._has_vectors:
            values = chain.from_iterable(
                (item,) if slot.length is None else item
                for slot, item in zip(self.slots, values, strict=True)
            )
        try:
            return self._format.pack(*values)
        except struct.error as error:
            raise StrategyError(self._complaint(found)) from error

    def unpack(self, words: bytes) -> Any:
        """Return the record that has these words."""
        flat = iter(self._format.unpack(words))
        values = {
            slot.name: next(flat) if slot.length is None else list(islice(flat, slot.length))
            for slot in self.slots
        }
        return self.record(**values)

    def _complaint(self, found: Any) -> str:
        for slot in self.slots:
            item = getattr(found, slot.name)
            values = (item,) if slot.length is None else item
            where = f"{self.record.__name__}.{slot.name}"
            if slot.length is not None and len(values) != slot.length:
                return f"{where} has {slot.length} values, found {len(values)}"
            for value in values:
                try:
                    struct.pack(f"={slot.code}", value)
                except struct.error:
                    wanted = "a float" if slot.code == "d" else "an int of 64 bits"
                    return f"{where} is {wanted}, found {value!r}"
        raise AssertionError(f"{self.record.__name__} does not fit, yet each of its values does")


# --- the interpreted way -------------------------------------------------------------------------


class KernelStrategy(Strategy):
    """A strategy that decides in one function; a subclass gives `Params`, `State` and `decide`.

    Attributes:
        state: What the strategy remembers, an instance of `State`.
    """

    __slots__ = ("_gateway_ids", "_handles", "_market", "_out", "state")

    State: ClassVar[type] = NoState
    decide: ClassVar[Callable[..., None]]

    # Fields of the state, to see whether they hold what compiled memory could hold.
    _words: ClassVar["Words"]

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
        self._gateway_ids: list[int] = []  # index = handle - 1
        self._handles: dict[int, int] = {}

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
            if command.verb == _SET_TIMER:
                self.gateway.set_timer(command.at_ns)
                continue
            if command.verb == _PLACE:
                if abs(command.price_ticks) > _PRICE_MAX:
                    raise StrategyError(f"{name}: no price can be {price} ticks")
                gateway_id = self.gateway.place_order(
                    command.side,
                    command.price_ticks,
                    command.quantity_lots,
                    order_type=_ORDER_TYPES[command.order_type],
                    time_in_force=_TIMES_IN_FORCE[command.time_in_force],
                    post_only=bool(command.post_only),
                    session=command.session,
                )
                self._gateway_ids.append(gateway_id)
                self._handles[gateway_id] = command.order_id
                continue
            if not 0 < command.order_id <= len(self._gateway_ids):
                continue  # never placed: as gateways do with unknown ids
            gateway_id = self._gateway_ids[command.order_id - 1]
            if command.verb == _CANCEL:
                self.gateway.cancel_order(gateway_id, session=command.session)
            else:
                self.gateway.amend_order(
                    gateway_id,
                    price_ticks=None if price == NONE else price,
                    quantity_lots=None if lots == NONE else lots,
                    session=command.session,
                )


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
