"""The inventory maker's prices, its levels, its clock, and what it does when amendments fail."""

import math

import pytest

from strategies.fakes import MS, ScriptedGateway
from strategies.gateway import AMENDED, BUY, FILLED, SELL
from strategies.inventory_maker import (
    InventoryMakerParams,
    InventoryMakerState,
    InventoryMakerStrategy,
)
from strategies.kernel import NONE

# Those of Avellaneda and Stoikov.
PAPER: dict[str, float | int] = {
    "risk_aversion": 0.1,
    "fill_decay": 1.5,
    "volatility_ticks": 2.0,
    "horizon_s": 1.0,
}


def start(
    position: int = 0, **params: float | int
) -> tuple[ScriptedGateway, InventoryMakerStrategy]:
    gateway = ScriptedGateway(position)
    values = {**PAPER, **params}
    maker = InventoryMakerStrategy(gateway, InventoryMakerParams.from_mapping(values))
    maker.on_start()
    return gateway, maker


def placed(gateway: ScriptedGateway) -> list[tuple[int, int | None, int | None]]:
    return [(c.side, c.price_ticks, c.quantity_lots) for c in gateway.commands if c.verb == "place"]


def verbs(gateway: ScriptedGateway) -> list[str]:
    return [command.verb for command in gateway.commands if command.verb != "timer"]


def state_of(maker: InventoryMakerStrategy) -> InventoryMakerState:
    found = maker.state
    assert isinstance(found, InventoryMakerState)
    return found


def test_worked_number_of_the_module_head() -> None:
    gateway, maker = start(2)
    view = gateway.set_best(100, 101)
    view.best_bid_lots, view.best_ask_lots = 30, 10
    maker.on_tick(view)
    assert placed(gateway) == [(BUY, 99, 1), (SELL, 101, 1)]
    risk = 0.1 * 4.0
    distance = risk + 20 * math.log(16 / 15)
    assert distance == pytest.approx(1.6908, abs=5e-5)
    assert 100.75 - 2 * risk - distance / 2 == pytest.approx(99.105, abs=5e-4)
    assert 100.75 - 2 * risk + distance / 2 == pytest.approx(100.795, abs=5e-4)


@pytest.mark.parametrize(
    ("weight", "bid", "ask"), [(0.0, 98, 102), (1.0, 99, 103), (3.0, 100, 104)]
)
def test_centre_leans_with_the_imbalance(weight: float, bid: int, ask: int) -> None:
    # Spread 2, imbalance 0.8: the centre moves by 0.8 per unit of weight, from 100.
    gateway, maker = start(imbalance_weight=weight, risk_aversion=0.3, fill_decay=1.5)
    view = gateway.set_best(99, 101)
    view.best_bid_lots, view.best_ask_lots = 90, 10
    maker.on_tick(view)
    half = 0.5 * 0.3 * 4.0 + math.log(1.2) / 0.3
    centre = 100 + 0.8 * weight
    want = (min(math.floor(centre - half), 100), max(math.ceil(centre + half), 100))
    assert [price for _, price, _ in placed(gateway)] == list(want)
    assert want == (bid, ask)


def test_levels_stand_behind_the_best_and_share_the_limit() -> None:
    gateway, maker = start(
        levels=3, level_step_ticks=2, order_lots=4, position_limit_lots=6, imbalance_weight=0.0
    )
    maker.on_tick(gateway.set_best(100, 101))
    assert placed(gateway) == [(BUY, 99, 4), (BUY, 97, 2), (SELL, 102, 4), (SELL, 104, 2)]


def test_orders_move_by_amendments_and_by_cancels_after_a_refusal() -> None:
    gateway, maker = start(imbalance_weight=0.0)
    maker.on_tick(gateway.set_best(100, 101))
    maker.on_tick(gateway.set_best(102, 103))
    assert verbs(gateway) == ["place", "place", "amend", "amend"]
    maker.on_tick(gateway.set_best(103, 104))
    assert len(verbs(gateway)) == 4, "an amendment is on its way"
    for order_id in (1, 2):  # this venue refuses them
        maker.on_order_event(gateway.see(order_id))
    maker.on_tick(gateway.set_best(105, 106))
    assert verbs(gateway)[4:] == ["cancel", "cancel"]
    gateway.handle_cancel(1)
    maker.on_order_event(gateway.see(1))
    assert placed(gateway)[2:] == [(BUY, 104, 1)]


def test_amended_order_stands_where_the_venue_says() -> None:
    gateway, maker = start(imbalance_weight=0.0)
    maker.on_tick(gateway.set_best(100, 101))
    maker.on_tick(gateway.set_best(102, 103))
    gateway.orders[1].unseen.clear()
    gateway.orders[1].price_ticks = 101
    gateway._emit(1, AMENDED, 1)
    maker.on_order_event(gateway.see(1))
    state = state_of(maker)
    assert (state.prices[0], state.leaves[0], state.pending[0]) == (101, 1, 0)


def test_fills_move_both_quotes_against_the_position() -> None:
    gateway, maker = start(imbalance_weight=0.0, order_lots=2, risk_aversion=0.5)
    maker.on_tick(gateway.set_best(100, 101))
    (bid, ask) = [price for _, price, _ in placed(gateway)]
    gateway.fill(1, 2)
    event = gateway.see(1)
    assert event.kind == FILLED
    maker.on_order_event(event)
    amended = [c for c in gateway.commands if c.verb == "amend"]
    assert [(c.order_id, c.price_ticks) for c in amended] == [(2, max(101, (ask or 0) - 4))]
    assert placed(gateway)[2:] == [(BUY, (bid or 0) - 4, 2)]
    assert state_of(maker).position_lots == 2


def test_variance_is_measured_at_the_timer() -> None:
    gateway, maker = start(volatility_half_life_s=10.0, sampling_ms=1_000)
    first = [c.price_ticks for c in gateway.commands if c.verb == "timer"]
    assert first == [gateway.now_ns + 1_000 * MS]
    state = state_of(maker)
    assert state.variance == 4.0
    gateway.set_best(100, 101)
    maker.on_timer(gateway.now_ns)
    assert state.variance == 4.0, "one measurement is no movement"
    view = gateway.set_best(103, 104)
    view.local_ns += 999 * MS
    maker.on_timer(gateway.now_ns)
    weight = 1 - math.exp(-math.log(2) / 10)
    assert state.variance == pytest.approx(4.0 + weight * (9.0 - 4.0))
    gateway.set_best(None, 104)
    maker.on_timer(gateway.now_ns)
    assert state.sampled_mid2 == NONE, "a one-sided market has no mid to move from"
    assert len([c for c in gateway.commands if c.verb == "timer"]) == 4


def test_one_sided_market_pulls_every_order() -> None:
    gateway, maker = start(levels=2)
    maker.on_tick(gateway.set_best(100, 101))
    maker.on_tick(gateway.set_best(100, None))
    maker.on_tick(gateway.set_best(101, None))
    assert verbs(gateway) == ["place"] * 4 + ["cancel"] * 4
