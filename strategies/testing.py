"""The batteries that every gateway and every strategy must pass.

Run one over an implementation by parametrising a test over `GATEWAY_CHECKS` or `STRATEGY_CHECKS`
and calling each check with a factory; a check raises AssertionError and says what broke.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from strategies.base import Strategy
from strategies.fakes import MS, SECOND, START_NS, ScriptedGateway
from strategies.gateway import (
    ACCEPTED,
    AMENDED,
    BUY,
    CANCEL_REJECTED,
    CANCELLED,
    EVENT_KINDS,
    EXPIRED,
    FILLED,
    REJECTED,
    SELL,
    ExecutionGateway,
    MarketView,
    OrderEvent,
    SteppedGateway,
    is_terminal,
)

# --- strategies ----------------------------------------------------------------------------------

MakeStrategy = Callable[[ExecutionGateway], Strategy]
COMMANDS_PER_HOOK_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyCase:
    """A strategy to test and what it promises."""

    make: MakeStrategy
    position_limit_lots: int


class _Chaos:
    """A random venue around one strategy: any outcome that the two promises allow, in any order."""

    def __init__(self, case: StrategyCase, seed: int) -> None:
        self.random = random.Random(seed)
        self.case = case
        self.gateway = ScriptedGateway()
        self.strategy = case.make(self.gateway)
        self.mid = 1_000
        self.where = f"seed {seed}"
        self.hook(self.strategy.on_start)

    def hook(self, function: Callable[..., None], *args: Any) -> None:
        before = len(self.gateway.commands)
        function(*args)
        sent = len(self.gateway.commands) - before
        assert sent <= COMMANDS_PER_HOOK_MAX, f"{self.where}: {sent} commands from one call"

    def step(self) -> None:
        choose = self.random.random()
        if choose < 0.3:
            self.move_market()
        elif choose < 0.6:
            self.act_at_venue()
        else:
            self.deliver()
        limit = self.case.position_limit_lots
        position = self.gateway.position_venue_lots
        assert -limit <= position <= limit, f"{self.where}: position {position}, limit {limit}"

    def move_market(self) -> None:
        self.mid += self.random.choice((-3, -1, 0, 1, 3))
        bid = self.mid if self.random.random() < 0.95 else None
        ask = self.mid + self.random.choice((1, 2, 4)) if self.random.random() < 0.95 else None
        self.hook(self.strategy.on_tick, self.gateway.set_best(bid, ask))

    def act_at_venue(self) -> None:
        gateway = self.gateway
        live = [i for i, order in gateway.orders.items() if not order.is_over]
        cancelling = [i for i, order in gateway.orders.items() if order.cancels]
        choose = self.random.random()
        if cancelling and choose < 0.5:
            lost = self.random.random() < 0.1
            gateway.handle_cancel(self.random.choice(cancelling), lost=lost)
        elif live:
            order_id = self.random.choice(live)
            if choose < 0.6:
                gateway.accept(order_id)
            elif choose < 0.9:
                lots = gateway.orders[order_id].leaves_lots
                gateway.fill(order_id, self.random.randint(1, lots))
            elif gateway.orders[order_id].filled_lots == 0 and choose < 0.95:
                gateway.end(order_id, REJECTED, self.random.choice(("post_only", "lost")))
            else:
                gateway.end(order_id, EXPIRED)

    def deliver(self) -> None:
        waiting = [i for i, order in self.gateway.orders.items() if order.unseen]
        if not waiting:
            return
        order_id = self.random.choice(waiting)
        unseen = self.gateway.orders[order_id].unseen
        # Only an acknowledgement may be overtaken within one order.
        ahead = unseen[0].kind == ACCEPTED and len(unseen) > 1 and self.random.random() < 0.5
        event = self.gateway.see(order_id, 1 if ahead else 0)
        self.hook(self.strategy.on_order_event, event)


def check_position_limit_holds_in_any_order_of_events(case: StrategyCase) -> None:
    """The position at the venue, fills not yet seen included, never passes the limit."""
    for seed in range(60):
        chaos = _Chaos(case, seed)
        for _ in range(400):
            chaos.step()


def check_same_events_give_same_commands(case: StrategyCase) -> None:
    """Nothing but the events decides: two runs send the same commands."""
    logs = []
    for _ in range(2):
        chaos = _Chaos(case, 7)
        for _ in range(2_000):
            chaos.step()
        logs.append(chaos.gateway.commands)
    assert logs[0], "the strategy sent no command in 2,000 steps"
    assert logs[0] == logs[1], "two runs on the same events sent different commands"


def check_refused_orders_are_not_sent_again_for_ever(case: StrategyCase) -> None:
    """While the market stands still, refusals are not answered with the same order again."""
    gateway = ScriptedGateway()
    strategy = case.make(gateway)
    strategy.on_start()
    strategy.on_tick(gateway.set_best(1_000, 1_001))
    for _ in range(100):
        for order_id in [i for i, order in gateway.orders.items() if not order.is_over]:
            gateway.end(order_id, REJECTED, "post_only")
            strategy.on_order_event(gateway.see(order_id))
    placed = len(gateway.orders)
    assert placed <= 16, f"{placed} orders sent into a market that refuses them and stands still"


def check_ends_without_live_orders(case: StrategyCase) -> None:
    """At the end a cancel has been sent for every order that still works."""
    for seed in range(20):
        chaos = _Chaos(case, seed)
        for _ in range(100):
            chaos.step()
        chaos.hook(chaos.strategy.on_end)
        cancelled = {c.order_id for c in chaos.gateway.commands if c.verb == "cancel"}
        live = {i for i, order in chaos.gateway.orders.items() if not order.is_over_seen}
        assert live <= cancelled, f"seed {seed}: orders {sorted(live - cancelled)} left working"


StrategyCheck = Callable[[StrategyCase], None]
STRATEGY_CHECKS: Final[tuple[StrategyCheck, ...]] = (
    check_position_limit_holds_in_any_order_of_events,
    check_same_events_give_same_commands,
    check_refused_orders_are_not_sent_again_for_ever,
    check_ends_without_live_orders,
)


# --- gateways ------------------------------------------------------------------------------------


class MakeGateway(Protocol):
    """Builds a gateway onto an empty market."""

    def __call__(self, *, latency_ns: int, is_random: bool = False) -> SteppedGateway:
        """Return a gateway whose every way takes this long, or this long on average."""
        ...


class Recorder:
    """Drives a gateway, keeps every event and checks what holds for each one of them."""

    def __init__(self, gateway: SteppedGateway) -> None:
        """Start with nothing seen."""
        self.gateway = gateway
        self.events: list[OrderEvent] = []
        self.totals: dict[int, int] = {}
        self.exch_ns = START_NS

    def place(self, side: int, price_ticks: int, lots: int, **options: Any) -> int:
        """Place an order; ids must be new and grow."""
        order_id = self.gateway.place_order(side, price_ticks, lots, **options)
        assert order_id > max(self.totals, default=0), f"id {order_id} is not above those before"
        self.totals[order_id] = lots
        return order_id

    def book(self, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]) -> None:
        """Show a whole book, one millisecond later."""
        self.exch_ns += MS
        self._take(self.gateway.on_tick(("book", self.exch_ns, list(bids), list(asks))))

    def trade(self, book_side: int, price_ticks: int, lots: int) -> None:
        """Show a print against resting orders of a side, one millisecond later."""
        self.exch_ns += MS
        tick = ("trade", self.exch_ns, book_side, price_ticks, lots)
        self._take(self.gateway.on_tick(tick))

    def wait(self, duration_ns: int) -> None:
        """Let time pass."""
        self.exch_ns = max(self.exch_ns, self.gateway.now_ns) + duration_ns
        self._take(self.gateway.advance_to(self.exch_ns))

    def of(self, order_id: int) -> list[OrderEvent]:
        """Return the events of one order."""
        return [event for event in self.events if event.order_id == order_id]

    def kinds(self, order_id: int) -> list[str]:
        """Return the kinds of the events of one order."""
        return [event.kind for event in self.of(order_id)]

    def is_over(self, order_id: int) -> bool:
        """Return whether the end of an order was seen."""
        return any(is_terminal(event) for event in self.of(order_id))

    def _take(self, events: list[Any]) -> None:
        for event in events:
            text = f"{event.kind} of order {event.order_id}"
            assert event.kind in EVENT_KINDS, f"unknown kind: {text}"
            assert event.order_id in self.totals, f"{text}, which was never placed"
            assert event.exch_ns <= event.local_ns, f"{text} is seen before it happens"
            assert event.local_ns <= self.gateway.now_ns, f"{text} comes from the future"
            if self.events:
                before = self.events[-1].local_ns
                assert before <= event.local_ns, f"{text} goes back from {before}"
            if event.kind == FILLED:
                assert not self.is_over(event.order_id), f"{text} follows its end"
                assert event.quantity_lots > 0, f"{text} has {event.quantity_lots} lots"
            if is_terminal(event):
                assert not self.is_over(event.order_id), f"{text} is a second end"
            self.events.append(event)

    def check_position(self) -> None:
        """The gateway's position is the sum of the fills seen."""
        position = 0
        for event in self.events:
            if event.kind == FILLED:
                position += event.quantity_lots if event.side == BUY else -event.quantity_lots
        found = self.gateway.position_lots
        assert found == position, f"position {found}, but the fills seen add up to {position}"

    def check_quantities(self) -> None:
        """Fills never pass an order's size, and each fill says what it leaves."""
        for order_id, total in self.totals.items():
            filled = 0
            for event in self.of(order_id):
                if event.kind == AMENDED:
                    total = event.quantity_lots
                if event.kind == FILLED:
                    filled += event.quantity_lots
                    left = total - filled
                    text = f"order {order_id}: {filled} of {total} filled"
                    assert left >= 0, text
                    assert event.leaves_lots == left, f"{text}, leaves {event.leaves_lots}"


BIDS: Final = [(1_000, 10), (999, 20), (998, 30)]
ASKS: Final = [(1_001, 10), (1_002, 20), (1_003, 30)]


def _open(make: MakeGateway, latency_ns: int = 0, *, is_random: bool = False) -> Recorder:
    recorder = Recorder(make(latency_ns=latency_ns, is_random=is_random))
    recorder.book(BIDS, ASKS)
    return recorder


def check_view_shows_the_book(make: MakeGateway) -> None:
    """Best prices and sizes are those of the last image; an empty side has no price."""
    recorder = _open(make)
    view: MarketView = recorder.gateway.view
    assert (view.best_bid_ticks, view.best_bid_lots) == (1_000, 10), "best bid"
    assert (view.best_ask_ticks, view.best_ask_lots) == (1_001, 10), "best ask"
    assert view.mid2_ticks == 2_001, f"mid2 {view.mid2_ticks}"
    recorder.book([], ASKS)
    assert recorder.gateway.view.best_bid_ticks is None, "an empty side has a price"
    assert recorder.gateway.view.mid2_ticks is None, "a one-sided market has a mid"


def check_view_shows_the_last_trade(make: MakeGateway) -> None:
    """Price, size and side are those of the last print; before the first there is none."""
    recorder = _open(make)
    assert recorder.gateway.view.last_trade_ticks is None, "a trade before the first"
    recorder.trade(BUY, 1_000, 3)
    recorder.trade(SELL, 1_001, 2)
    view = recorder.gateway.view
    found = (view.last_trade_ticks, view.last_trade_lots, view.last_trade_side)
    assert found == (1_001, 2, SELL), f"last trade {found}"


def check_nothing_is_seen_before_it_can_be(make: MakeGateway) -> None:
    """An acknowledgement takes the way there and the way back."""
    recorder = _open(make, latency_ns=5 * MS)
    order_id = recorder.place(BUY, 1_000, 1)
    recorder.wait(9 * MS)
    assert not recorder.of(order_id), "an event came back before the round trip of 10 ms"
    recorder.wait(2 * MS)
    assert recorder.kinds(order_id) == [ACCEPTED], recorder.kinds(order_id)


def check_resting_order_fills_behind_the_queue(make: MakeGateway) -> None:
    """A print first consumes what was there before us, then fills us, as maker, at our price."""
    recorder = _open(make)
    order_id = recorder.place(BUY, 1_000, 3)
    recorder.wait(MS)
    recorder.trade(BUY, 1_000, 10)
    recorder.wait(MS)
    assert FILLED not in recorder.kinds(order_id), "filled although the queue was just used up"
    recorder.trade(BUY, 1_000, 2)
    recorder.trade(BUY, 1_000, 1)
    recorder.wait(MS)
    fills = [event for event in recorder.of(order_id) if event.kind == FILLED]
    assert [(f.quantity_lots, f.leaves_lots) for f in fills] == [(2, 1), (1, 0)], "lots of fills"
    assert all(f.is_maker and f.price_ticks == 1_000 for f in fills), "maker at 1000"
    recorder.check_position()


def check_cancel_ends_a_resting_order(make: MakeGateway) -> None:
    """A handled cancel ends the order with what it had left; later prints do not fill it."""
    recorder = _open(make)
    order_id = recorder.place(SELL, 1_001, 2)
    recorder.wait(MS)
    assert recorder.gateway.cancel_order(order_id), "the cancel of a working order was not sent"
    recorder.wait(MS)
    last = recorder.of(order_id)[-1]
    assert (last.kind, last.quantity_lots) == (CANCELLED, 2), f"{last.kind} {last.quantity_lots}"
    recorder.trade(SELL, 1_001, 1_000)
    recorder.wait(MS)
    assert recorder.of(order_id)[-1].kind == CANCELLED, "something followed the cancel"


def check_cancel_that_cannot_help_is_not_sent(make: MakeGateway) -> None:
    """Orders never placed, or known as finished, are refused here and cause no event."""
    recorder = _open(make)
    gateway = recorder.gateway
    assert not gateway.cancel_order(12_345), "a cancel of an order never placed was sent"
    assert not gateway.amend_order(12_345, price_ticks=1_000), "an amendment of nothing was sent"
    order_id = recorder.place(BUY, 1_000, 1)
    recorder.wait(MS)
    gateway.cancel_order(order_id)
    recorder.wait(MS)
    count = len(recorder.events)
    assert not gateway.cancel_order(order_id), "a second cancel of a finished order was sent"
    assert not gateway.amend_order(order_id, quantity_lots=1), "a finished order was amended"
    recorder.wait(SECOND)
    assert len(recorder.events) == count, "a refused command caused an event"


def check_fill_while_the_cancel_flies(make: MakeGateway) -> None:
    """The fill is real, the cancel comes too late, and both are seen, the fill first."""
    recorder = _open(make, latency_ns=5 * MS)
    order_id = recorder.place(BUY, 1_000, 1)
    recorder.wait(20 * MS)
    assert recorder.gateway.cancel_order(order_id), "the cancel was not sent"
    recorder.trade(BUY, 1_000, 50)
    recorder.wait(20 * MS)
    kinds = recorder.kinds(order_id)
    assert kinds == [ACCEPTED, FILLED, CANCEL_REJECTED], kinds
    assert recorder.of(order_id)[-1].reason == "too_late", recorder.of(order_id)[-1].reason
    recorder.check_position()


def check_order_then_cancel_at_once(make: MakeGateway) -> None:
    """Both travel in order on one session: accepted, then cancelled."""
    recorder = _open(make, latency_ns=5 * MS, is_random=True)
    order_id = recorder.place(BUY, 1_000, 1)
    assert recorder.gateway.cancel_order(order_id), "a cancel before the ack was not sent"
    recorder.wait(SECOND)
    assert recorder.kinds(order_id) == [ACCEPTED, CANCELLED], recorder.kinds(order_id)


def check_refusals_are_events(make: MakeGateway) -> None:
    """A wrong order is no exception; it is rejected with a reason, once."""
    recorder = _open(make)
    cases: list[tuple[tuple[int, int, int], dict[str, Any], str]] = [
        ((BUY, 1_000, 0), {}, "quantity"),
        ((BUY, 1_000, -1), {}, "quantity"),
        ((BUY, 1_001, 1), {"post_only": True}, "post_only"),
        ((SELL, 1_000, 1), {"post_only": True}, "post_only"),
        ((BUY, 0, 1), {"order_type": "market"}, "market_needs_ioc"),
    ]
    for arguments, options, reason in cases:
        order_id = recorder.place(*arguments, **options)
        recorder.wait(MS)
        found = [(event.kind, event.reason) for event in recorder.of(order_id)]
        assert found == [(REJECTED, reason)], f"{arguments} {options}: {found}"


def check_takers_walk_the_book(make: MakeGateway) -> None:
    """IOC takes what there is within its limit, FOK all or nothing, market whatever the price."""
    recorder = _open(make)
    ioc = recorder.place(BUY, 1_001, 15, time_in_force="ioc")
    recorder.wait(MS)
    assert recorder.kinds(ioc) == [ACCEPTED, FILLED, EXPIRED], recorder.kinds(ioc)
    assert recorder.of(ioc)[1].quantity_lots == 10, "an IOC took other than what was displayed"
    assert not recorder.of(ioc)[1].is_maker, "a taker's fill says maker"
    fok = recorder.place(SELL, 1_000, 11, time_in_force="fok")
    recorder.wait(MS)
    assert FILLED not in recorder.kinds(fok), "a FOK was filled in part"
    assert recorder.is_over(fok), "a FOK rests"
    market = recorder.place(SELL, 0, 25, order_type="market", time_in_force="ioc")
    recorder.wait(MS)
    fills = [(e.price_ticks, e.quantity_lots) for e in recorder.of(market) if e.kind == FILLED]
    assert fills == [(1_000, 10), (999, 15)], fills
    recorder.check_position()
    recorder.check_quantities()


def check_amendments(make: MakeGateway) -> None:
    """Smaller keeps the place in the queue, a new price gives it up; either is reported once."""
    recorder = _open(make)
    order_id = recorder.place(BUY, 1_000, 5)
    recorder.wait(MS)
    assert recorder.gateway.amend_order(order_id, quantity_lots=2), "the amendment was not sent"
    recorder.wait(MS)
    assert recorder.of(order_id)[-1].kind == AMENDED, recorder.kinds(order_id)
    recorder.trade(BUY, 1_000, 11)
    recorder.wait(MS)
    last = recorder.of(order_id)[-1]
    assert (last.kind, last.quantity_lots, last.leaves_lots) == (FILLED, 1, 1), "place lost"
    assert recorder.gateway.amend_order(order_id, price_ticks=999), "the amendment was not sent"
    recorder.wait(MS)
    last = recorder.of(order_id)[-1]
    assert (last.kind, last.price_ticks) == (AMENDED, 999), f"{last.kind} at {last.price_ticks}"
    recorder.check_position()


def check_random_sessions(make: MakeGateway) -> None:
    """Whatever is sent, every order ends exactly once, and lots and position add up."""
    for seed in range(25):
        for latency_ns in (0, 3 * MS):
            _check_random_session(make, seed, latency_ns)


def _check_random_session(make: MakeGateway, seed: int, latency_ns: int) -> None:
    rng = random.Random(seed)
    recorder = _open(make, latency_ns, is_random=bool(seed % 2) and latency_ns > 0)
    mid = 1_000
    for _ in range(150):
        choose = rng.random()
        if choose < 0.35:
            mid += rng.choice((-1, 0, 0, 1))
            recorder.book(
                [(mid - i, rng.randint(1, 20)) for i in range(5)],
                [(mid + 1 + i, rng.randint(1, 20)) for i in range(5)],
            )
        elif choose < 0.5:
            side = rng.choice((BUY, SELL))
            recorder.trade(side, mid + side, rng.randint(1, 30))
        elif choose < 0.8:
            _random_order(rng, recorder, mid)
        elif recorder.totals:
            order_id = rng.choice(list(recorder.totals))
            if rng.random() < 0.6:
                recorder.gateway.cancel_order(order_id)
            else:
                recorder.gateway.amend_order(
                    order_id, price_ticks=mid + rng.randint(-3, 3), quantity_lots=rng.randint(1, 6)
                )
        recorder.check_position()
    recorder.wait(10 * SECOND)
    for order_id in recorder.totals:
        recorder.gateway.cancel_order(order_id)
    recorder.wait(10 * SECOND)
    for order_id in recorder.totals:
        assert recorder.is_over(order_id), f"seed {seed}: order {order_id} never ends"
    recorder.check_position()
    recorder.check_quantities()


def _random_order(rng: random.Random, recorder: Recorder, mid: int) -> None:
    kind = rng.random()
    options: dict[str, Any] = {"post_only": kind < 0.4}
    if kind > 0.7:
        options = {"time_in_force": rng.choice(("ioc", "fok"))}
        if kind > 0.9:
            options["order_type"] = "market"
    price = mid + rng.randint(-3, 4)
    recorder.place(rng.choice((BUY, SELL)), price, rng.randint(0, 6), **options)


GatewayCheck = Callable[[MakeGateway], None]
GATEWAY_CHECKS: Final[tuple[GatewayCheck, ...]] = (
    check_view_shows_the_book,
    check_view_shows_the_last_trade,
    check_nothing_is_seen_before_it_can_be,
    check_resting_order_fills_behind_the_queue,
    check_cancel_ends_a_resting_order,
    check_cancel_that_cannot_help_is_not_sent,
    check_fill_while_the_cancel_flies,
    check_order_then_cancel_at_once,
    check_refusals_are_events,
    check_takers_walk_the_book,
    check_amendments,
    check_random_sessions,
)
