"""Kernels made for tests: one that looks at everything, one that sends everything."""

from dataclasses import dataclass
from typing import ClassVar

from strategies.base import StrategyParams, param
from strategies.kernel import (
    BUY,
    END,
    FILLED,
    FOK,
    IOC,
    MARKET,
    NONE,
    SELL,
    START,
    TICK,
    TIMER,
    Event,
    KernelStrategy,
    Market,
    Out,
    amend,
    cancel,
    place,
    set_timer,
    vector,
)

PRIME = 1_000_003
MASK = (1 << 40) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WildParams(StrategyParams):
    """Parameters of all kinds."""

    seed: int = param("Start of its dice.", unit="1", default=1)
    spread_ticks: float = param("Distance of orders.", unit="ticks", default=1.0)
    is_greedy: bool = param("Whether it takes.", unit="1", default=True)


@dataclass(slots=True)
class WildState:
    """A hash of all that was seen, dice, and the orders sent last."""

    seen: int = 0
    dice: int = 0
    calls: int = 0
    starts: int = 0
    ends: int = 0
    timers: int = 0
    fills: int = 0
    mean: float = 0.0
    orders: list[int] = vector(8)
    weights: list[float] = vector(3)


def fold(seen: int, value: int) -> int:
    """Take a value into a hash that never leaves 64 bits."""
    return (seen * 31 + value) & MASK


def roll(state: WildState, sides: int) -> int:
    """Throw dice that fall the same way in every mode."""
    state.dice = (state.dice * PRIME + 12_345) & MASK
    return (state.dice >> 16) % sides


def look(market: Market, event: Event, state: WildState) -> None:
    """Take every field of every record into the hash."""
    seen = fold(state.seen, market.now_ns)
    seen = fold(fold(seen, market.exch_ns), market.position_lots)
    seen = fold(fold(seen, market.best_bid_ticks), market.best_ask_ticks)
    seen = fold(fold(seen, market.best_bid_lots), market.best_ask_lots)
    seen = fold(fold(seen, market.last_trade_ticks), market.last_trade_lots)
    seen = fold(fold(seen, market.last_trade_side), event.kind)
    seen = fold(fold(seen, event.order_id), event.side)
    seen = fold(fold(seen, event.price_ticks), event.quantity_lots)
    seen = fold(fold(seen, event.leaves_lots), event.is_maker)
    seen = fold(fold(seen, event.reason), event.exch_ns)
    state.seen = fold(seen, event.local_ns)


def act(market: Market, params: WildParams, state: WildState, out: Out) -> None:
    """Send one of everything that can be sent."""
    side = SELL if roll(state, 2) else BUY
    best = market.best_bid_ticks if side == BUY else market.best_ask_ticks
    away = -1 if side == BUY else 1
    price = best + away * int(params.spread_ticks * roll(state, 4)) - away * roll(state, 2)
    lots = roll(state, 5)  # 0 is refused
    slot = roll(state, 8)
    choice = roll(state, 16)
    if choice < 5:
        state.orders[slot] = place(out, side, price, lots, post_only=choice < 3)
    elif choice == 5 and params.is_greedy:
        state.orders[slot] = place(out, side, price, lots, time_in_force=IOC)
    elif choice == 6 and params.is_greedy:
        state.orders[slot] = place(out, side, price, lots, time_in_force=FOK, session=1)
    elif choice == 7 and params.is_greedy:
        state.orders[slot] = place(out, side, 0, lots, order_type=MARKET, time_in_force=IOC)
    elif choice < 10:
        cancel(out, state.orders[slot])
    elif choice == 10:
        amend(out, state.orders[slot], price_ticks=price)
    elif choice == 11:
        amend(out, state.orders[slot], quantity_lots=lots)
    elif choice == 12:
        amend(out, state.orders[slot], price, lots, session=1)
    elif choice == 13:
        set_timer(out, market.now_ns + 1_000_000 * roll(state, 900))
    elif choice == 14:
        cancel(out, 1_000_000)


class Wild(KernelStrategy):
    """Looks at everything and sends everything, by dice."""

    __slots__ = ()

    Params: ClassVar[type[StrategyParams]] = WildParams
    State: ClassVar[type] = WildState

    @staticmethod
    def decide(
        market: Market, event: Event, params: WildParams, state: WildState, out: Out
    ) -> None:
        look(market, event, state)
        state.calls += 1
        kind = event.kind
        if kind == START:
            state.starts += 1
            state.dice = params.seed
        elif kind == END:
            state.ends += 1
        elif kind == TIMER:
            state.timers += 1
        elif kind == FILLED:
            state.fills += 1
            state.mean += 0.01 * (event.price_ticks - state.mean)
            state.weights[state.fills % 3] += 1.0 / state.fills
        if market.best_bid_ticks == NONE or market.best_ask_ticks == NONE:
            return
        if kind == TICK or roll(state, 3) == 0:
            for _ in range(1 + roll(state, 2)):
                act(market, params, state, out)
