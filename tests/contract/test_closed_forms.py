"""Closed forms and symmetries that an exchange has to keep, through the compiled core."""

import itertools
import random
import statistics
from collections.abc import Callable
from typing import Any

import pytest

import rustsim
from tests.toys.venue import ASK, BID, BUY, SECOND, SELL, ahead, exchange, fills, level, trade

PATHS = 4_000
RUNS = 150


def chain_time(draw: random.Random, queue: str, n: int, mu: float, theta: float) -> float:
    """Return when an order behind n lots fills: unit prints at mu, lots ahead leave at theta."""
    venue = exchange(queue={"model": queue})
    level(venue, 0, BID, 100, n)
    order = venue.place_order(BUY, 100, 1)
    venue.advance_to(0)
    seconds, left = 0.0, n
    while True:
        seconds += draw.expovariate(mu + left * theta)
        now = round(seconds * SECOND) + 1
        if draw.random() * (mu + left * theta) < mu:
            events = trade(venue, now, BID, 100, 1)
            if fills(events):
                return seconds
        else:
            level(venue, now, BID, 100, left - 1)
        left = max(0, left - 1)
        assert ahead(venue, order) == left


def mean_close(times: list[float], expected: float) -> None:
    """Hold a sample mean to an expectation within five standard errors."""
    error = statistics.stdev(times) / len(times) ** 0.5
    assert abs(statistics.fmean(times) - expected) < 5 * error, statistics.fmean(times)


def test_without_cancels_the_wait_is_erlang() -> None:
    draw = random.Random(1)
    times = [chain_time(draw, "uniform", 3, 2.0, 0.0) for _ in range(PATHS)]
    mean_close(times, 4 / 2.0)
    # Erlang(4, 2): variance 4 / 2^2.
    assert statistics.variance(times) == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("queue", ["uniform", "front", "back"])
def test_with_cancels_ahead_the_wait_is_a_pure_death_chain(queue: str) -> None:
    # Nobody joins behind, so every model lets every cancel come from ahead.
    expected = sum(1 / (1 + 0.5 * k) for k in range(4))
    assert expected == pytest.approx(2.566667, rel=1e-6)
    draw = random.Random(2)
    mean_close([chain_time(draw, queue, 3, 1.0, 0.5) for _ in range(PATHS)], expected)


# Lots that stand for one unit of a queue, and the most that a queue holds: both change the
# probabilities by less than LATTICE_BIAS.
UNIT = 2
LOTS_MAX = 60
LATTICE_BIAS = 0.0025


def rises(draw: random.Random, queues: tuple[int, int], opposite: float) -> bool:
    """Let both best queues walk by single lots until one is empty; tell whether the price rose.

    The account of a buyer says so. A share `opposite` of the steps moves the queues against each
    other, the rest moves one of them: their correlation is -2 w / (1 + w).
    """
    venue = exchange()
    level(venue, 0, BID, 99, 1)
    level(venue, 0, ASK, 102, 1)
    level(venue, 0, BID, 100, queues[0] * UNIT)
    # One lot more, which the buyer takes and the record takes after him.
    level(venue, 0, ASK, 101, queues[1] * UNIT + 1)
    venue.place_order(BUY, 101, 1, time_in_force="ioc")
    assert fills(venue.advance_to(0)) == [(1, 1)]
    trade(venue, 0, ASK, 101, 1)
    best = ((BID, 100), (ASK, 101))
    now = 0
    while all(venue.level_lots(side, price) for side, price in best):
        now += SECOND
        grows = draw.random() < 0.5
        if draw.random() < opposite:
            moves = [(0, grows), (1, not grows)]
        else:
            moves = [(int(draw.random() < 0.5), grows)]
        for index, is_longer in moves:
            side, price = best[index]
            lots = venue.level_lots(side, price)
            if is_longer:
                level(venue, now, side, price, min(lots + 1, LOTS_MAX))
            elif draw.random() < 0.5:
                trade(venue, now, side, price, 1)
            else:
                level(venue, now, side, price, lots - 1)
    moved = venue.finish().ledger["inventory_minor_x2"]
    assert abs(moved) == 1
    return moved > 0


# Lots of bid and ask, share of opposite steps for a correlation of 0, -0.5 and -1, P(up).
@pytest.mark.parametrize(
    ("queues", "opposite", "expected"),
    [
        ((1, 1), 0.0, 0.5),
        ((2, 1), 0.0, 0.704833),
        ((3, 1), 0.0, 0.795167),
        ((3, 1), 1 / 3, 0.768369),
        ((3, 1), 1.0, 0.75),
    ],
)
def test_the_longer_queue_moves_the_price_as_often_as_the_diffusion_limit_says(
    queues: tuple[int, int], opposite: float, expected: float
) -> None:
    draw = random.Random(3)
    share = statistics.fmean(rises(draw, queues, opposite) for _ in range(PATHS))
    error = (expected * (1 - expected) / PATHS) ** 0.5
    assert abs(share - expected) < LATTICE_BIAS + 4 * error


# --- symmetries ----------------------------------------------------------------------------------

Script = list[tuple[Any, ...]]


def script(seed: int) -> Script:
    """Return market rows and own orders of two levels a side, as a function of the seed."""
    draw = random.Random(seed)
    sizes = {(side, step): draw.randint(5, 30) for side in (BID, ASK) for step in (0, 1)}
    steps: Script = [("level", 0, side, step, lots) for (side, step), lots in sizes.items()]
    now = 0
    for _ in range(80):
        now += draw.randint(1, 2 * SECOND)
        side, step = draw.choice((BID, ASK)), draw.choice((0, 1))
        match draw.choice(("order", "trade", "add", "cancel", "cancel")):
            case "order":
                steps.append(("order", now, side, step, draw.randint(1, 5)))
            case "trade" if sizes[side, 0] > 0:
                lots = draw.randint(1, 12)
                sizes[side, 0] = max(0, sizes[side, 0] - lots)
                steps.append(("trade", now, side, 0, lots))
            case "cancel" if sizes[side, step] > 1:
                sizes[side, step] -= draw.randint(1, sizes[side, step] - 1)
                steps.append(("level", now, side, step, sizes[side, step]))
            case _:
                sizes[side, step] += draw.randint(1, 10)
                steps.append(("level", now, side, step, sizes[side, step]))
    return steps


def play(
    steps: Script,
    queue: str,
    *,
    price: Callable[[int, int], int] = lambda side, step: 100 - step if side == BID else 101 + step,
    scale: int = 1,
    shift_ns: int = 0,
    sides: tuple[int, int] = (BID, ASK),
) -> rustsim.ReplayResult:
    """Play a script; `sides` may swap bids and asks, `price` gives the price of a step."""
    venue = exchange(queue={"model": queue}, certificates=True)
    for kind, now, side, step, lots in steps:
        at, book_side, ticks = now + shift_ns, sides[side], price(side, step)
        if kind == "order":
            venue.advance_to(at)
            buy_or_sell = BUY if book_side == BID else SELL
            venue.place_order(buy_or_sell, ticks, lots * scale, post_only=True)
            venue.advance_to(at)
        else:
            venue.on_tick((kind, at, book_side, ticks, lots * scale))
    return venue.finish()


def story(result: rustsim.ReplayResult) -> list[tuple[int, ...]]:
    table = result.fills()
    return list(zip(table["exch_ns"], table["order_id"], table["lots"], strict=True))


def alone(steps: Script) -> Script:
    """Keep one own order per level: the bounds of the others would be those of the run."""
    seen: set[tuple[int, int]] = set()
    kept: Script = []
    for step in steps:
        if step[0] == "order":
            if step[2:4] in seen:
                continue
            seen.add(step[2:4])
        kept.append(step)
    return kept


def by_order(result: rustsim.ReplayResult) -> dict[int, int]:
    lots: dict[int, int] = {}
    for _, order, filled in story(result):
        lots[order] = lots.get(order, 0) + filled
    return lots


@pytest.mark.parametrize("queue", ["uniform", "power", "odds", "back", "front"])
def test_all_sizes_times_k_give_all_fills_times_k(queue: str) -> None:
    filled = 0
    for seed in range(RUNS):
        steps = alone(script(seed))
        base, scaled = by_order(play(steps, queue)), by_order(play(steps, queue, scale=4))
        for order in base.keys() | scaled.keys():
            excess = scaled.get(order, 0) - 4 * base.get(order, 0)
            # Whole lots fill: what is left of one is up to three of the smaller ones.
            most = 0 if queue in ("back", "front") else 3
            assert 0 <= excess <= most, f"seed {seed}, order {order}"
        filled += sum(base.values())
    assert filled > RUNS


def test_two_days_in_one_run_are_two_runs_if_the_night_is_flat() -> None:
    day_ns = 86_400 * SECOND

    def trade_day(venue: rustsim.SimulatedExchange, seed: int, start_ns: int) -> None:
        before = venue.position_lots
        for kind, now, side, step, lots in script(seed):
            at, ticks = now + start_ns, 100 - step if side == BID else 101 + step
            if kind == "order":
                venue.advance_to(at)
                venue.place_order(BUY if side == BID else SELL, ticks, lots, post_only=True)
                venue.advance_to(at)
            else:
                venue.on_tick((kind, at, side, ticks, lots))
        close_ns = start_ns + day_ns // 2
        venue.advance_to(close_ns)
        for order in range(1, 200):
            venue.cancel_order(order)
        venue.advance_to(close_ns)
        for side, step in ((BID, 0), (BID, 1), (ASK, 0), (ASK, 1)):
            ticks = 100 - step if side == BID else 101 + step
            level(venue, close_ns, side, ticks, 1_000)
        held = venue.position_lots - before
        if held:
            side = SELL if held > 0 else BUY
            venue.place_order(side, 100 if held > 0 else 101, abs(held), time_in_force="ioc")
            venue.advance_to(close_ns)
        assert venue.position_lots == 0
        for side, step in ((BID, 0), (BID, 1), (ASK, 0), (ASK, 1)):
            level(venue, close_ns + 1, side, 100 - step if side == BID else 101 + step, 0)

    for seed in range(RUNS):
        whole = exchange()
        trade_day(whole, seed, 0)
        trade_day(whole, seed + RUNS, day_ns)
        parts = [exchange(), exchange()]
        trade_day(parts[0], seed, 0)
        trade_day(parts[1], seed + RUNS, day_ns)
        first, second, both = (venue.finish() for venue in (*parts, whole))
        for name in ("equity_minor_x2", "spread_capture_minor_x2", "lots", "turnover_minor"):
            assert both.ledger[name] == first.ledger[name] + second.ledger[name], f"{seed}: {name}"


def test_more_latency_never_enters_the_queue_earlier() -> None:
    for seed in range(20):
        joined = []
        for mean_ns in (0, 1_000, 50_000_000, 400_000_000):
            leg = {"model": "gamma", "mean_ns": mean_ns, "cv": 0.8}
            venue = exchange(latency={"place": leg}, certificates=True, seed=seed)
            level(venue, 0, BID, 100, 10)
            for at in range(0, 20 * SECOND, SECOND):
                venue.advance_to(at)
                venue.place_order(BUY, 100, 1)
            venue.advance_to(100 * SECOND)
            level(venue, 100 * SECOND, BID, 100, 10)
            table = venue.finish().certificates()
            by_id = zip(table["order_id"], table["joined_ns"], strict=True)
            joined.append([at for _, at in sorted(by_id)])
        for faster, slower in itertools.pairwise(joined):
            assert all(a <= b for a, b in zip(faster, slower, strict=True)), f"seed {seed}"


def test_a_shift_of_time_or_price_changes_nothing_else() -> None:
    for seed in range(RUNS):
        steps = script(seed)
        base = play(steps, "uniform")
        later = play(steps, "uniform", shift_ns=86_400 * SECOND)
        above = play(
            steps, "uniform", price=lambda side, step: 5_100 - step if side == BID else 5_101 + step
        )
        moved = [(at - 86_400 * SECOND, order, lots) for at, order, lots in story(later)]
        assert story(base) == moved == story(above)
        equities = {result.ledger["equity_minor_x2"] for result in (base, later, above)}
        assert len(equities) == 1, f"seed {seed}"


@pytest.mark.parametrize("queue", ["uniform", "log2", "odds"])
def test_swapped_sides_and_negated_prices_give_equal_money(queue: str) -> None:
    for seed in range(RUNS):
        steps = script(seed)
        base = play(steps, queue)
        mirror = play(
            steps,
            queue,
            price=lambda side, step: -(100 - step if side == BID else 101 + step),
            sides=(ASK, BID),
        )
        assert story(mirror) == story(base), f"seed {seed}"
        for name in ("equity_minor_x2", "spread_capture_minor_x2", "inventory_minor_x2"):
            assert mirror.ledger[name] == base.ledger[name], f"seed {seed}: {name}"
        assert mirror.ledger["position_lots"] == -base.ledger["position_lots"]
        assert mirror.ledger["certain_lots"] == base.ledger["certain_lots"]


def test_alone_at_the_front_every_print_fills() -> None:
    for printed in range(1, 12):
        venue = exchange()
        level(venue, 0, BID, 100, 5)
        venue.place_order(BUY, 101, 7)
        venue.advance_to(0)
        done = sum(lots for _, lots in fills(trade(venue, 1, BID, 101, printed)))
        assert done == min(7, printed)


# --- certificates --------------------------------------------------------------------------------


def test_a_certificate_is_the_worked_example() -> None:
    venue = exchange(queue={"model": "uniform"}, certificates=True)
    level(venue, 0, BID, 100, 10)
    order = venue.place_order(BUY, 100, 2)
    level(venue, 1, BID, 100, 20)
    level(venue, 2, BID, 100, 14)
    assert venue.queue_ahead_range(order) == (4, 10)
    assert ahead(venue, order) == 7.0
    trade(venue, 3, BID, 100, 11)
    result = venue.finish()
    assert (result.ledger["certain_lots"], result.ledger["possible_lots"]) == (1, 2)
    assert result.metrics["fill_certain_share"] == 0.5
    assert result.metrics["fill_dependent_share"] == 0.5
    assert result.metrics["maker_certain_share"] == 0.5


@pytest.mark.parametrize("queue", ["uniform", "power", "log", "odds"])
def test_certificates_are_what_front_and_back_fill(queue: str) -> None:
    differing = 0
    for seed in range(3 * RUNS):
        steps = alone(script(seed))
        result = play(steps, queue)
        bounds = {name: play(steps, name) for name in ("front", "back")}
        orders = result.certificates()
        for row, order in enumerate(orders["order_id"]):
            for name, column in (("front", "possible_lots"), ("back", "certain_lots")):
                lots = [
                    lots
                    for at, other, lots in story(bounds[name])
                    if other == order and at <= orders["ended_ns"][row]
                ]
                assert orders[column][row] == sum(lots), f"seed {seed}, order {order}: {name}"
            differing += orders["certain_lots"][row] != orders["possible_lots"][row]
    assert differing > 10, "the bounds hardly differ: the test shows nothing"


def test_certificates_do_not_change_a_run() -> None:
    for seed in range(20):
        steps = script(seed)
        certified = play(steps, "uniform")
        venue = exchange(queue={"model": "uniform"})
        for kind, now, side, step, lots in steps:
            ticks = 100 - step if side == BID else 101 + step
            if kind == "order":
                venue.advance_to(now)
                venue.place_order(BUY if side == BID else SELL, ticks, lots, post_only=True)
                venue.advance_to(now)
            else:
                venue.on_tick((kind, now, side, ticks, lots))
        assert venue.finish().digest == certified.digest
