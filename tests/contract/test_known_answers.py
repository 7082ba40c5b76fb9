"""Worked numbers of market microstructure, from Python through the compiled core.

Each test names the rule that it holds. The numbers are computed by hand or by an independent
script; floats hold to a relative 1e-6, or to the digits that are written here.
"""

import json
import math
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

import rustsim
from sweep.queue_fit import model_figures
from sweep.schema import QUEUE_MODELS
from tests.toys.venue import (
    ASK,
    BID,
    BUY,
    SECOND,
    SELL,
    ahead,
    constants,
    exchange,
    fills,
    kinds,
    level,
    trade,
)

# --- where a cancel falls in the queue -----------------------------------------------------------

# 70 lots ahead, 50 behind, 24 cancelled: model, its numbers, P(ahead), lots taken from ahead and
# left there.
ODDS_SIZE = {"alpha": -1.81, "beta": 0.59, "gamma": -2.0}
DECAY = [
    ("back", {}, 0.0, 0.0, 70.0),
    ("uniform", {}, 0.583333, 14.0, 56.0),
    ("power", {"n": 2}, 0.662162, 15.89189, 54.10811),
    ("power", {"n": 3}, 0.732906, 17.58974, 52.41026),
    ("power2", {"n": 2}, 0.826389, 19.83333, 50.16667),
    ("power3", {"n": 3}, 0.198495, 4.76389, 65.23611),
    ("log", {}, 0.520188, 12.48450, 57.51550),
    ("log2", {}, 0.180151, 4.32362, 65.67638),
    ("odds", {"alpha": -1.81, "beta": 0.59}, 0.166383, 3.99319, 66.00681),
    ("odds_size", ODDS_SIZE, 0.166383, 3.99319, 66.00681),
    ("front", {}, 1.0, 24.0, 46.0),
]
MODELS = [(model, numbers) for model, numbers, *_ in DECAY]


@pytest.mark.parametrize(("model", "numbers", "probability", "taken", "left"), DECAY)
def test_queue_models_place_a_cancel(
    model: str, numbers: dict[str, float], probability: float, taken: float, left: float
) -> None:
    queue = {"model": model} | numbers
    found = rustsim.queue_probability_ahead(json.dumps(queue), 70.0, 50.0)
    assert found == pytest.approx(probability, rel=1e-6, abs=5e-7)

    venue = exchange(queue=queue)
    level(venue, 1, BID, 100, 70)
    order = venue.place_order(BUY, 100, 1)
    level(venue, 2, BID, 100, 120)
    assert ahead(venue, order) == 70
    level(venue, 3, BID, 100, 96)
    assert ahead(venue, order) == pytest.approx(left, abs=6e-6)
    assert 70 - ahead(venue, order) == pytest.approx(taken, abs=6e-6)


@pytest.mark.parametrize(("model", "numbers"), MODELS)
def test_a_cancel_takes_no_more_than_there_is_on_either_side(
    model: str, numbers: dict[str, float]
) -> None:
    # 56 ahead, 40 behind, 80 cancelled: at least 40 and at most 56 come from ahead.
    for mode in ("expected", "sampled"):
        venue = exchange(queue={"model": model, "mode": mode} | numbers)
        level(venue, 1, BID, 100, 56)
        order = venue.place_order(BUY, 100, 1)
        level(venue, 2, BID, 100, 96)
        level(venue, 3, BID, 100, 16)
        assert 0 <= ahead(venue, order) <= 16


def test_every_model_has_its_numbers_here() -> None:
    # l3 leaves nothing to a chance: its numbers are those of the recording.
    assert {model for model, *_ in DECAY} == set(QUEUE_MODELS) - {"l3"}


@pytest.mark.parametrize(("model", "numbers"), MODELS)
def test_certain_cancels_need_no_model(model: str, numbers: dict[str, float]) -> None:
    queue = json.dumps({"model": model} | numbers)
    for is_known in (False, True):
        nothing_ahead = rustsim.queue_probability_ahead(queue, 0.0, 5.0, is_size_behind=is_known)
        nothing_behind = rustsim.queue_probability_ahead(queue, 5.0, 0.0, is_size_behind=is_known)
        assert (nothing_ahead, nothing_behind) == (0.0, 1.0)


@pytest.mark.parametrize(("model", "numbers"), MODELS)
def test_sampled_cancels_fall_whole_on_one_side_as_often_as_the_model_says(
    model: str, numbers: dict[str, float]
) -> None:
    queue = {"model": model, "mode": "sampled"} | numbers
    probability = rustsim.queue_probability_ahead(json.dumps(queue), 70.0, 50.0)
    left = []
    for seed in range(400):
        venue = exchange(queue=queue, seed=seed)
        level(venue, 1, BID, 100, 70)
        order = venue.place_order(BUY, 100, 1)
        level(venue, 2, BID, 100, 120)
        level(venue, 3, BID, 100, 96)
        left.append(ahead(venue, order))
    assert set(left) <= {46.0, 70.0}
    # Four standard deviations of a share of 400.
    assert left.count(46.0) / 400 == pytest.approx(probability, abs=0.1)


def test_a_size_that_joined_behind_is_likely_the_one_that_leaves() -> None:
    known = rustsim.queue_probability_ahead(
        json.dumps({"model": "odds_size"} | ODDS_SIZE), 70.0, 50.0, is_size_behind=True
    )
    assert known == pytest.approx(0.026301, abs=5e-7)
    venue = exchange(queue={"model": "odds_size"} | ODDS_SIZE)
    level(venue, 1, BID, 100, 70)
    order = venue.place_order(BUY, 100, 1)
    level(venue, 2, BID, 100, 94)
    level(venue, 3, BID, 100, 120)
    # 24 lots joined behind us, and 24 leave: one such order is known, and no second one.
    level(venue, 4, BID, 100, 96)
    left = 70 - 24 * known
    assert ahead(venue, order) == pytest.approx(left, abs=6e-6)
    level(venue, 5, BID, 100, 72)
    odds = math.exp(-1.81) * (left / (96 - left)) ** 0.59
    assert ahead(venue, order) == pytest.approx(left - 24 * odds / (1 + odds), abs=1e-5)


def test_a_trade_leaves_the_queue_before_the_depth_update_that_reflects_it() -> None:
    venue = exchange(queue={"model": "uniform"})
    level(venue, 1, BID, 100, 50)
    order = venue.place_order(BUY, 100, 1)
    level(venue, 2, BID, 100, 100)
    trade(venue, 3, BID, 100, 30)
    assert ahead(venue, order) == 20
    level(venue, 4, BID, 100, 60)
    # 10 of 70 remaining lots cancelled; with the stale 80 behind it would be 18.
    assert ahead(venue, order) == pytest.approx(17.142857, rel=1e-6)
    probability = rustsim.queue_probability_ahead('{"model": "uniform"}', 20.0, 50.0)
    assert probability == pytest.approx(0.285714, abs=5e-7)
    stale = rustsim.queue_probability_ahead('{"model": "uniform"}', 20.0, 80.0)
    assert 20 - 10 * stale == pytest.approx(18, rel=1e-12)


# --- fills of resting orders ---------------------------------------------------------------------


@pytest.mark.parametrize(("printed", "filled"), [(10, 0), (11, 1), (13, 3), (20, 3)])
def test_a_print_fills_what_exceeds_the_queue(printed: int, filled: int) -> None:
    venue = exchange()
    level(venue, 1, BID, 100, 10)
    order = venue.place_order(BUY, 100, 3)
    level(venue, 2, BID, 100, 40)
    events = trade(venue, 3, BID, 100, printed)
    assert sum(lots for _, lots in fills(events)) == filled
    # The order leaves the book exactly when nothing is left, also when the print ends with it.
    assert (venue.queue_ahead(order) is None) == (filled == 3)
    assert sum(lots for _, lots in fills(trade(venue, 4, BID, 100, 20))) == 3 - filled


@pytest.mark.parametrize(
    ("printed", "first", "second", "market"), [(80, 5, 5, 70), (78, 5, 3, 70), (72, 5, 0, 67)]
)
def test_orders_of_one_level_share_one_print(
    printed: int, first: int, second: int, market: int
) -> None:
    venue = exchange()
    level(venue, 1, BID, 100, 40)
    order_a = venue.place_order(BUY, 100, 5)
    level(venue, 2, BID, 100, 70)
    order_b = venue.place_order(BUY, 100, 5)
    level(venue, 3, BID, 100, 100)
    # A third order, with lots behind it, shows what the market traded.
    order_c = venue.place_order(BUY, 100, 1)
    level(venue, 4, BID, 100, 200)
    events = trade(venue, 5, BID, 100, printed)
    got = dict(fills(events))
    assert 100 - ahead(venue, order_c) == market
    assert (got.get(order_a, 0), got.get(order_b, 0)) == (first, second)
    assert first + second + market == printed
    if second < 5:
        assert ahead(venue, order_b) == max(0, 70 - market)


def test_two_orders_with_the_same_queue_ahead_never_fill_more_than_the_print() -> None:
    venue = exchange()
    level(venue, 1, BID, 100, 10)
    first = venue.place_order(BUY, 100, 2)
    second = venue.place_order(BUY, 100, 2)
    events = trade(venue, 2, BID, 100, 13)
    assert fills(events) == [(first, 2), (second, 1)]


# --- losses of queue models ----------------------------------------------------------------------

# Exchange second, kind (0 level, 1 trade), side, price, lots, join: which row the order came with.
GHOST_ROWS = [
    (0, 0, BID, 100, 7, 0),
    (0, 0, BID, 100, 10, 0),
    (0, 0, ASK, 102, 50, 0),
    # Ghosts join here. A lot ahead trades.
    (1, 1, BID, 100, 1, 1),
    (2, 0, BID, 100, 10, 0),
    # 9 of 10 are ahead, and so is the cancel.
    (3, 0, BID, 100, 8, 1),
    (4, 0, BID, 100, 10, 0),
    # 7 of 10 are ahead, and so is the cancel.
    (5, 0, BID, 100, 6, 1),
    (6, 0, BID, 100, 15, 0),
    # 3 of 15 are ahead; the cancel is behind.
    (7, 0, BID, 100, 13, 7),
    (8, 0, BID, 100, 30, 0),
    # 3 of 30 are ahead, and so is the cancel.
    (9, 0, BID, 100, 27, 2),
    (100, 0, ASK, 102, 51, 0),
]


def test_losses_of_cancels_are_the_worked_example(tmp_path: Path) -> None:
    # Said 0.9, 0.7, 0.2, 0.1; came true yes, yes, no, yes.
    types = (np.int64, np.uint8, np.uint8, np.int32, np.int32, np.uint32)
    columns = zip(*GHOST_ROWS, strict=True)
    seconds, kind, side, price, qty, join = map(np.array, columns, types)
    flags = np.ones_like(kind)
    builder = rustsim.TapeBuilder(str(tmp_path / "ghosts.tape"))
    builder.append(seconds * SECOND, None, kind, side, flags, price, qty, join)
    builder.finish("{}")
    tape = rustsim.Tape.open(str(tmp_path / "ghosts.tape"))
    options = {
        "every_ns": 1_000 * SECOND,
        "horizon_ns": 60 * SECOND,
        "block_ns": 100 * SECOND,
        "replications": 0,
        "seed": 1,
        "models": [{"model": "uniform"}],
        "keeps_cancels": True,
    }
    scan = rustsim.GhostScan(json.dumps(options))
    # Ghosts join before the first row of a time: the book has to stand by then.
    scan.open(tape, 0, tape.row_count, from_ns=1, until_ns=50 * SECOND)
    assert scan.advance(1_000) == 0
    report = json.loads(scan.report())
    assert report["counts"]["cancels"] == 4
    figures = model_figures(report["scores"][0])
    assert figures["brier"] == pytest.approx(0.2375, rel=1e-9)
    assert figures["log_loss"] == pytest.approx(0.746941, rel=1e-6)


# --- latency -------------------------------------------------------------------------------------

# Mean 5000: family, cv, p50, p90, p99, p99.9.
QUANTILES = [
    ("constant", 0.5, (5000.0, 5000.0, 5000.0, 5000.0)),
    ("gamma", 0.5, (4590.1, 8351.0, 12556.4, 16327.8)),
    ("lognormal", 0.5, (4472.1, 8192.7, 13420.6, 19252.3)),
    ("pareto", 0.5, (4280.2, 7038.1, 14337.4, 29207.1)),
    ("gamma", 1.0, (3465.7, 11512.9, 23025.9, 34538.8)),
    ("lognormal", 1.0, (3535.5, 10276.2, 24524.6, 46323.6)),
    ("pareto", 1.0, (3903.0, 7601.9, 19730.4, 51209.4)),
]


def quantile(model: str, cv: float, u: float) -> float:
    return rustsim.latency_quantile_ns(json.dumps({"model": model, "mean_ns": 5000, "cv": cv}), u)


@pytest.mark.parametrize(("model", "cv", "expected"), QUANTILES)
def test_latency_families_have_their_quantiles(
    model: str, cv: float, expected: tuple[float, ...]
) -> None:
    found = [quantile(model, cv, u) for u in (0.5, 0.9, 0.99, 0.999)]
    assert found == pytest.approx(expected, abs=0.0501)


def test_families_of_one_mean_and_cv_differ_in_the_tail_by_half() -> None:
    assert quantile("pareto", 1.0, 0.999) / quantile("gamma", 1.0, 0.999) == (
        pytest.approx(1.5, abs=0.05)
    )


@pytest.mark.parametrize(
    ("cv", "mu", "sigma"), [(0.5, 8.405621, 0.472381), (1.0, 8.170620, 0.832555)]
)
def test_lognormal_has_its_parameters(cv: float, mu: float, sigma: float) -> None:
    assert math.log(quantile("lognormal", cv, 0.5)) == pytest.approx(mu, rel=1e-6)
    one_sd = math.log(quantile("lognormal", cv, NormalDist().cdf(1.0)))
    assert one_sd - math.log(quantile("lognormal", cv, 0.5)) == pytest.approx(sigma, abs=1e-6)


@pytest.mark.parametrize(
    ("cv", "alpha", "scale"), [(0.5, 3.236068, 3454.915), (1.0, 2.414214, 2928.932)]
)
def test_pareto_has_its_parameters(cv: float, alpha: float, scale: float) -> None:
    assert quantile("pareto", cv, 1e-15) == pytest.approx(scale, rel=1e-6)
    assert math.log(10) / math.log(quantile("pareto", cv, 0.99) / quantile("pareto", cv, 0.9)) == (
        pytest.approx(alpha, rel=1e-6)
    )


@pytest.mark.parametrize(("cv", "shape", "scale"), [(0.5, 4.0, 1250.0), (1.0, 1.0, 5000.0)])
def test_gamma_has_its_parameters(cv: float, shape: float, scale: float) -> None:
    # For a whole shape k, P(X > x) is the Poisson probability of fewer than k events in x / scale.
    for u in (0.1, 0.5, 0.999):
        x = quantile("gamma", cv, u) / scale
        tail = sum(math.exp(-x) * x**n / math.factorial(n) for n in range(int(shape)))
        assert 1 - tail == pytest.approx(u, rel=1e-9)


# Sends at 0, 10, 20 with draws 50, 15, 40: a new order, a cancel and an amend of other orders.
@pytest.mark.parametrize(
    ("sessions", "arrivals"), [((0, 0, 0), [50, 50, 60]), ((0, 1, 2), [50, 25, 60])]
)
def test_one_session_keeps_its_order(sessions: tuple[int, int, int], arrivals: list[int]) -> None:
    venue = exchange(latency=constants(place=50, cancel=15, amend=40))
    level(venue, 0, BID, 100, 10)
    other = venue.place_order(BUY, 99, 2, session=3)
    third = venue.place_order(BUY, 98, 2, session=3)
    start = 1_000
    venue.advance_to(start)
    order = venue.place_order(BUY, 100, 1, session=sessions[0])
    events = venue.advance_to(start + 10)
    venue.cancel_order(other, session=sessions[1])
    events += venue.advance_to(start + 20)
    venue.amend_order(third, quantity_lots=1, session=sessions[2])
    events += venue.advance_to(start + 100)
    at = {event.order_id: event.exch_ns - start for event in events}
    assert [at[order], at[other], at[third]] == arrivals


def test_messages_without_order_overtake_on_one_session() -> None:
    # Sends at 0, 10, 20 with draws 50, 15, 40.
    latency = constants(place=50, cancel=15, amend=40) | {"sessions": "independent"}
    venue = exchange(latency=latency)
    level(venue, 0, BID, 100, 10)
    other = venue.place_order(BUY, 99, 2)
    third = venue.place_order(BUY, 98, 2)
    start = 1_000
    venue.advance_to(start)
    order = venue.place_order(BUY, 100, 1)
    events = venue.advance_to(start + 10)
    venue.cancel_order(other)
    events += venue.advance_to(start + 20)
    venue.amend_order(third, quantity_lots=1)
    events += venue.advance_to(start + 100)
    at = {event.order_id: event.exch_ns - start for event in events}
    assert [at[order], at[other], at[third]] == [50, 25, 60]


# Published round trips in microseconds (Eurex 2013): mean, median, p99 over p50 as predicted by a
# lognormal and a gamma that are fitted to mean and median alone.
@pytest.mark.parametrize(
    ("mean", "median", "predicted"),
    [
        (233.0, 93.5, {"lognormal": 23.2, "gamma": 17.8}),
        (463.8, 273.0, {"lognormal": 11.0, "gamma": 9.3}),
        (977.4, 300.7, {"lognormal": 35.6, "gamma": 26.2}),
    ],
)
def test_families_predict_published_tails(
    mean: float, median: float, predicted: dict[str, float]
) -> None:
    for model, ratio in predicted.items():

        def at(cv: float, u: float, model: str = model) -> float:
            latency = {"model": model, "mean_ns": mean * 1e3, "cv": cv}
            return rustsim.latency_quantile_ns(json.dumps(latency), u)

        # The median falls while the cv rises: halve the interval that holds it.
        low, high = 0.5, 10.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if at(middle, 0.5) > median * 1e3 else (low, middle)
        assert at(low, 0.5) == pytest.approx(median * 1e3, rel=1e-6)
        assert at(low, 0.99) / at(low, 0.5) == pytest.approx(ratio, abs=0.051)


def test_bursts_of_the_market_delay_requests() -> None:
    # 0.1 messages per microsecond are worked off; messages and requests at 0, 1, 2, 3 microseconds.
    venue = exchange(latency={"backlog_capacity_per_us": 0.1})
    for microsecond in range(4):
        level(venue, microsecond * 1_000, BID, 100, 10 + microsecond)
        venue.place_order(BUY, 90, 1)
    events = venue.advance_to(SECOND)
    waits_us = [e.exch_ns / 1_000 - sent for sent, e in enumerate(events)]
    # Messages not worked off: 1, 1.9, 2.8, 3.7.
    assert waits_us == pytest.approx([10, 19, 28, 37], rel=1e-6)


# --- own impact ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kappa", "probability"), [(0.5, 0.557522), (-0.5, 0.606299), (0.0, 0.583333)]
)
def test_others_react_to_our_lots_at_the_level(kappa: float, probability: float) -> None:
    venue = exchange(impact={"reaction": kappa})
    level(venue, 1, BID, 100, 70)
    order = venue.place_order(BUY, 100, 30)
    level(venue, 2, BID, 100, 120)
    level(venue, 3, BID, 100, 96)
    assert ahead(venue, order) == pytest.approx(70 - 24 * probability, abs=2e-5)


SQUARE_ROOT = {"model": "square_root", "y": 1, "daily_sigma_bp": 100, "daily_volume_lots": 100_000}
PROPAGATOR = {"model": "propagator", "g0_ticks": 0.1, "delta": 0.5, "tau0_ns": 1e9, "gamma": 0.5}


def charged(
    charge: dict[str, Any],
    orders: list[tuple[int, int, int]],
    sizes: tuple[int, int] = (5000, 5000),
) -> rustsim.ReplayResult:
    """Return what takers at (time, side, lots) are charged; two asks from 20000, a bid at 19999."""
    venue = exchange(instrument={"tick_value_minor": 200}, impact={"charge": charge})
    level(venue, 0, ASK, 20_000, sizes[0])
    level(venue, 0, ASK, 20_001, sizes[1])
    level(venue, 0, BID, 19_999, 5_000)
    for at, side, lots in orders:
        venue.advance_to(at)
        venue.place_order(side, 0, lots, order_type="market", time_in_force="ioc")
    venue.advance_to(60 * SECOND)
    return venue.finish()


# Share of the daily volume that is taken, and its cost in 1/10,000 of the value.
@pytest.mark.parametrize(("lots", "cost_bp"), [(1_000, 10.0), (10, 1.0)])
def test_square_root_impact_of_a_share_of_the_volume(lots: int, cost_bp: float) -> None:
    result = charged(SQUARE_ROOT, [(1, BUY, lots)])
    value = 20_000 * 200 * lots
    assert result.ledger["impact_cost_minor"] == round(value * cost_bp / 10_000)
    assert result.metrics["impact_cost"] == value * cost_bp / 10_000
    # The account is what it is without the charge.
    free = exchange(instrument={"tick_value_minor": 200}).finish()
    assert "impact_cost_minor" not in free.ledger
    assert result.ledger["fees_minor"] == 0
    net, cost = result.metrics["net_pnl"], result.metrics["impact_cost"]
    assert result.metrics["net_pnl_after_impact"] == net - cost


def test_square_root_impact_does_not_depend_on_how_a_parent_is_split() -> None:
    # 10 lots: 1 bp of 40,000,000; as 4 and 6 of one parent the same.
    assert charged(SQUARE_ROOT, [(1, BUY, 10)]).fills()["impact_minor"] == [4_000]
    two = [(1, BUY, 4), (2, BUY, 6)]
    parent = charged(SQUARE_ROOT | {"parent_gap_ns": 1}, two)
    assert parent.fills()["impact_minor"] == [1_012, 2_988]
    # Without a gap they are two orders: 4,000,000 x 0.01 x (4^1.5 and 6^1.5) / sqrt(100,000).
    assert charged(SQUARE_ROOT, two).fills()["impact_minor"] == [1_012, 1_859]
    # A walk over two levels is one order; the worse level is worth a little more.
    assert charged(SQUARE_ROOT, [(1, BUY, 10)], (4, 10)).fills()["impact_minor"] == [1_012, 2_988]


def test_propagator_fades_and_never_pays() -> None:
    # A buy of 4 moves 0.2 ticks, 3 s later 0.1: 10 lots x 0.1 ticks x 200.
    later = 3 * SECOND
    assert charged(PROPAGATOR, [(0, BUY, 4), (later, BUY, 10)]).fills()["impact_minor"] == [0, 200]
    assert charged(PROPAGATOR, [(0, BUY, 4), (later, SELL, 10)]).fills()["impact_minor"] == [0, 0]


def test_makers_are_charged_nothing_by_the_square_root() -> None:
    venue = exchange(impact={"charge": SQUARE_ROOT})
    level(venue, 1, BID, 100, 5)
    venue.place_order(BUY, 100, 9)
    trade(venue, 2, BID, 100, 14)
    result = venue.finish()
    assert (result.ledger["lots"], result.ledger["impact_cost_minor"]) == (9, 0)


# --- randomness ----------------------------------------------------------------------------------

PHILOX = [
    ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


@pytest.mark.parametrize(("counter", "key", "block"), PHILOX)
def test_philox_4x32_gives_the_published_blocks(
    counter: tuple[int, ...], key: tuple[int, ...], block: str
) -> None:
    words = rustsim.philox4x32_10(counter, key)
    assert " ".join(f"{word:08x}" for word in words) == block


def test_philox_4x64_gives_the_first_block_of_numpy() -> None:
    words = rustsim.philox4x64_10((1, 0, 0, 0), (1, 2))
    expected = "4f2f4313b5536b09 5b617be3219ff32a 097293476f9275cb f63f3bf4962c3942"
    assert " ".join(f"{word:016x}" for word in words) == expected
    # It counts before its first block.
    key = np.array([1, 2], dtype=np.uint64)
    assert list(words) == np.random.Philox(key=key, counter=0).random_raw(4).tolist()


# --- memory of consumed liquidity ----------------------------------------------------------------


def test_what_was_taken_comes_back_with_its_half_life() -> None:
    venue = exchange(impact={"half_life_ns": SECOND})
    level(venue, 0, ASK, 100, 10)
    venue.place_order(BUY, 100, 10)
    assert fills(venue.advance_to(0)) == [(1, 10)]
    assert venue.available_lots(ASK, 100) == 0
    venue.place_order(BUY, 100, 10, time_in_force="ioc")
    assert kinds(venue.advance_to(0)) == ["accepted", "expired"]
    venue.advance_to(SECOND)
    assert venue.available_lots(ASK, 100) == 5
    trade(venue, SECOND, ASK, 100, 4)
    assert venue.level_lots(ASK, 100) == 6
    assert venue.available_lots(ASK, 100) == 5
