"""The records that a kernel reads and writes, and the functions by which it sends commands.

Interpreted, they are the objects below; in compiled memory they have the same fields in the same
order, each a word of 64 bits (rustsim/src/kernel.rs). docs/strategies.md says how they are used.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from itertools import chain, islice
from operator import attrgetter
from typing import Any, Final, Literal, get_type_hints

from strategies import gateway as words
from strategies.base import StrategyError

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

# What a command asks for: `Command.verb`.
PLACE: Final = 1
CANCEL: Final = 2
AMEND: Final = 3
SET_TIMER: Final = 4


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
        command.verb = PLACE
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
        command.verb = CANCEL
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
        command.verb = AMEND
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
        command.verb = SET_TIMER
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
