"""A market maker that prices its inventory: Avellaneda-Stoikov quotes around a weighted mid.

With s the centre, q the position in lots, g the risk aversion, v the variance of the mid per
second, T the horizon and k the decay of fills with distance:

    r = s - q g v T                          price at which the maker is indifferent to q
    d = g v T + (2 / g) ln(1 + g / k)        distance between its two quotes
    bid = floor(r - d / 2), at most best ask - 1; ask = ceil(r + d / 2), at least best bid + 1

The centre leans towards the side that is about to give way: with spread w, and imbalance
I = (bid lots - ask lots) / (bid lots + ask lots), s = mid + b I w / 2, where b = 1 is the weighted
mid and b = 0 the mid. Further orders of a side stand behind its best one, step by step.

Sources: M. Avellaneda, S. Stoikov, "High-frequency trading in a limit order book", Quantitative
Finance 8 (2008), section 3, with a constant horizon in place of the time to the close: quotes that
do not depend on the time of day, as O. Gueant, C.-A. Lehalle, J. Fernandez-Tapia, "Dealing with the
inventory risk", Mathematics and Financial Economics 7 (2013) find far from the close. Imbalance:
A. Cartea, R. Donnelly, S. Jaimungal, "Enhancing trading strategies with order book signals",
Applied Mathematical Finance 25 (2018); S. Stoikov, "The micro-price", Quantitative Finance 18
(2018).

Worked number (g, k, v of the first source): g = 0.1, k = 1.5, v = 4, T = 1, b = 1, q = +2; bid 100
with 30 lots, ask 101 with 10. I = 0.5, s = 100.75, r = 99.95, d = 0.4 + 20 ln(16 / 15) = 1.6908,
so bid = floor(99.105) = 99 and ask = ceil(100.795) = 101.

The variance is measured on the mid at a timer, not at ticks, whose bounces would be counted as
movement. Orders move by amendments, so a level is never without its quote; a venue that refuses
amendments gets cancels. No side is ever sent more than what is left to the position limit.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Final

from strategies.base import StrategyParams, param
from strategies.kernel import (
    AMEND_REJECTED,
    AMENDED,
    BUY,
    CANCEL_REJECTED,
    CANCELLED,
    END,
    EXPIRED,
    FILLED,
    LOST,
    NONE,
    REJECTED,
    SELL,
    START,
    TICK,
    TIMER,
    TOO_LATE,
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

LEVELS_MAX: Final = 4
_SLOTS: Final = 2 * LEVELS_MAX  # bids first, best one first
_NS_PER_S: Final = 1e9
_NS_PER_MS: Final = 1_000_000
_LN2: Final = 0.6931471805599453

# What is on its way to an order.
_AMENDING: Final = 1
_CANCELLING: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryMakerParams(StrategyParams):
    """Parameters of the maker."""

    risk_aversion: float = param(
        "What a lot of position costs: g above.", unit="1/(ticks lots)", low=1e-6, high=10.0
    )
    fill_decay: float = param(
        "How fast fills get rarer with distance: k above.", unit="1/ticks", low=1e-3, high=100.0
    )
    horizon_s: float = param(
        "Over which time the position is at risk: T above.",
        unit="s",
        low=1e-3,
        high=1e6,
        default=1.0,
    )
    volatility_ticks: float = param(
        "Standard deviation of the mid in one second, before any is measured.",
        unit="ticks/sqrt(s)",
        low=0.0,
        high=1e4,
        default=1.0,
    )
    volatility_half_life_s: float = param(
        "How fast the measured variance forgets; 0 keeps the first one.",
        unit="s",
        low=0.0,
        high=1e6,
        default=60.0,
    )
    sampling_ms: int = param(
        "Time between two measurements of the mid.", unit="ms", low=1, high=3_600_000, default=1_000
    )
    imbalance_weight: float = param(
        "How far the centre leans: b above.", unit="1", low=0.0, high=10.0, default=1.0
    )
    levels: int = param("Orders per side.", unit="1", low=1, high=LEVELS_MAX, default=1)
    level_step_ticks: int = param(
        "Distance between two orders of a side.", unit="ticks", low=1, high=10_000, default=1
    )
    requote_threshold_ticks: int = param(
        "An order is moved when it is at least this far from its target.",
        unit="ticks",
        low=1,
        high=10_000,
        default=1,
    )
    position_limit_lots: int = param(
        "Greatest position on either side.", unit="lots", low=1, high=1_000_000, default=10
    )
    order_lots: int = param("Size of an order.", unit="lots", low=1, high=1_000_000, default=1)


@dataclass(slots=True)
class InventoryMakerState:
    """What the maker remembers; vectors have a place per order.

    Attributes:
        ids: Handle of the order, 0: none.
        prices: Its price as far as known.
        leaves: Lots that may still fill.
        pending: What is on its way to it.
        no_amends: 1 after a refusal: it is moved by a cancel and a new order.
        position_lots: From the fills told so far, one by one.
        variance: Of the mid, ticks^2 per second.
        sampled_mid2: Twice the mid when it was measured last, `NONE`: not yet.
    """

    ids: list[int] = vector(_SLOTS)
    prices: list[int] = vector(_SLOTS)
    leaves: list[int] = vector(_SLOTS)
    pending: list[int] = vector(_SLOTS)
    no_amends: list[int] = vector(_SLOTS)
    position_lots: int = 0
    variance: float = 0.0
    sampled_mid2: int = NONE
    sampled_ns: int = 0


def measure(market: Market, params: InventoryMakerParams, state: InventoryMakerState) -> None:
    """Take the movement since the last measurement into the variance."""
    if market.best_bid_ticks == NONE or market.best_ask_ticks == NONE:
        state.sampled_mid2 = NONE
        return
    mid2 = market.best_bid_ticks + market.best_ask_ticks
    seconds = (market.now_ns - state.sampled_ns) / _NS_PER_S
    if state.sampled_mid2 != NONE and seconds > 0.0 and params.volatility_half_life_s > 0.0:
        moved = 0.5 * (mid2 - state.sampled_mid2)
        weight = 1.0 - math.exp(-_LN2 * seconds / params.volatility_half_life_s)
        state.variance += weight * (moved * moved / seconds - state.variance)
    state.sampled_mid2 = mid2
    state.sampled_ns = market.now_ns


def open_lots(state: InventoryMakerState, first: int) -> int:
    """Return what a side may still fill."""
    total = 0
    for slot in range(first, first + LEVELS_MAX):
        total += state.leaves[slot]
    return total


def move(
    params: InventoryMakerParams, state: InventoryMakerState, out: Out, slot: int, target: int
) -> None:
    """Move an order, unless it is near its target or something is on its way to it."""
    if state.pending[slot] or abs(state.prices[slot] - target) < params.requote_threshold_ticks:
        return
    if state.no_amends[slot]:
        cancel(out, state.ids[slot])
        state.pending[slot] = _CANCELLING
    else:
        amend(out, state.ids[slot], price_ticks=target)
        state.pending[slot] = _AMENDING


def quote_side(
    params: InventoryMakerParams,
    state: InventoryMakerState,
    out: Out,
    side: int,
    best: int,
) -> None:
    """Bring the orders of a side to their targets, from `best` on, and send what is missing."""
    first = 0 if side == BUY else LEVELS_MAX
    away = -1 if side == BUY else 1
    room = params.position_limit_lots - open_lots(state, first) + away * state.position_lots
    for level in range(params.levels):
        slot = first + level
        target = best + away * level * params.level_step_ticks
        if state.ids[slot]:
            move(params, state, out, slot, target)
            continue
        lots = min(params.order_lots, room)
        if lots > 0:
            state.ids[slot] = place(out, side, target, lots, post_only=True)
            state.prices[slot] = target
            state.leaves[slot] = lots
            state.pending[slot] = state.no_amends[slot] = 0
            room -= lots


def quote(
    market: Market, params: InventoryMakerParams, state: InventoryMakerState, out: Out
) -> None:
    """Price the position and move both sides."""
    best_bid = market.best_bid_ticks
    best_ask = market.best_ask_ticks
    if best_bid == NONE or best_ask == NONE:
        pull(state, out)
        return
    lots = market.best_bid_lots + market.best_ask_lots
    lean = (market.best_bid_lots - market.best_ask_lots) / lots if lots > 0 else 0.0
    centre = 0.5 * (best_bid + best_ask)
    centre += params.imbalance_weight * lean * 0.5 * (best_ask - best_bid)
    risk = params.risk_aversion * state.variance * params.horizon_s
    indifferent = centre - state.position_lots * risk
    rarer = math.log(1.0 + params.risk_aversion / params.fill_decay) / params.risk_aversion
    half = 0.5 * risk + rarer
    quote_side(params, state, out, BUY, min(math.floor(indifferent - half), best_ask - 1))
    quote_side(params, state, out, SELL, max(math.ceil(indifferent + half), best_bid + 1))


def pull(state: InventoryMakerState, out: Out) -> None:
    """Cancel all orders."""
    for slot in range(_SLOTS):
        if state.ids[slot] and state.pending[slot] != _CANCELLING:
            cancel(out, state.ids[slot])
            state.pending[slot] = _CANCELLING


def follow(event: Event, state: InventoryMakerState) -> bool:
    """Take an own event in; return whether the quotes have to be looked at again."""
    kind = event.kind
    if kind == FILLED:
        signed = event.quantity_lots if event.side == BUY else -event.quantity_lots
        state.position_lots += signed
    for slot in range(_SLOTS):
        if state.ids[slot] == 0 or state.ids[slot] != event.order_id:
            continue
        if kind == FILLED:
            state.leaves[slot] -= event.quantity_lots
        if kind in (CANCELLED, REJECTED, EXPIRED) or (kind == FILLED and event.leaves_lots == 0):
            state.ids[slot] = state.leaves[slot] = state.pending[slot] = 0
        elif kind == AMENDED:
            state.prices[slot] = event.price_ticks
            state.leaves[slot] = event.leaves_lots
            state.pending[slot] = 0 if state.pending[slot] == _AMENDING else state.pending[slot]
        elif kind == AMEND_REJECTED and event.reason != TOO_LATE:
            state.no_amends[slot] = 0 if event.reason == LOST else 1
            state.pending[slot] = 0 if state.pending[slot] == _AMENDING else state.pending[slot]
        elif kind == CANCEL_REJECTED and event.reason != TOO_LATE:
            # The order may still work, so the next look may ask again. After too_late its end is
            # known to the exchange and already on its way here.
            state.pending[slot] = 0
    return kind in (FILLED, CANCELLED, AMENDED)


class InventoryMakerStrategy(KernelStrategy):
    """Quotes several levels a side around the price of its inventory; see the module head."""

    __slots__ = ()

    Params: ClassVar[type[StrategyParams]] = InventoryMakerParams
    State: ClassVar[type] = InventoryMakerState

    @staticmethod
    def decide(
        market: Market,
        event: Event,
        params: InventoryMakerParams,
        state: InventoryMakerState,
        out: Out,
    ) -> None:
        """Quote at ticks, measure at timers, follow own orders in between."""
        kind = event.kind
        if kind == TICK:
            quote(market, params, state, out)
        elif kind == START:
            state.position_lots = market.position_lots
            state.variance = params.volatility_ticks * params.volatility_ticks
            set_timer(out, market.now_ns + params.sampling_ms * _NS_PER_MS)
        elif kind == TIMER:
            measure(market, params, state)
            set_timer(out, market.now_ns + params.sampling_ms * _NS_PER_MS)
        elif kind == END:
            pull(state, out)
        elif follow(event, state):
            quote(market, params, state, out)
