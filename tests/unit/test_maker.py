"""The maker's targets, its one order per side, and what it does when events come at bad moments."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.base import ParamsError
from strategies.fakes import Command, ScriptedGateway
from strategies.gateway import BUY, CANCELLED, REJECTED, SELL
from strategies.maker import MakerParams, MakerStrategy


def start(position: int = 0, **params: float | int) -> tuple[ScriptedGateway, MakerStrategy]:
    gateway = ScriptedGateway(position)
    values = {"half_spread_ticks": 0.5, **params}
    maker = MakerStrategy(gateway, MakerParams.from_mapping(values))
    maker.on_start()
    return gateway, maker


def placed(gateway: ScriptedGateway) -> list[tuple[int, int | None, int | None]]:
    return [(c.side, c.price_ticks, c.quantity_lots) for c in gateway.commands if c.verb == "place"]


def verbs(gateway: ScriptedGateway) -> list[str]:
    return [command.verb for command in gateway.commands]


def test_quotes_both_sides_post_only() -> None:
    gateway, maker = start()
    maker.on_tick(gateway.set_best(100, 101))
    assert gateway.commands == [
        Command(
            verb="place", order_id=1, side=BUY, price_ticks=100, quantity_lots=1, post_only=True
        ),
        Command(
            verb="place", order_id=2, side=SELL, price_ticks=101, quantity_lots=1, post_only=True
        ),
    ]


def test_worked_number_of_the_module_head() -> None:
    gateway, maker = start(3, skew_ticks_per_lot=0.25)
    maker.on_tick(gateway.set_best(100, 101))
    assert placed(gateway) == [(BUY, 99, 1), (SELL, 101, 1)]


@given(
    bid=st.integers(-50, 50),
    spread=st.integers(1, 6),
    half=st.floats(0, 8),
    skew=st.floats(0, 3),
    position=st.integers(-9, 9),
)
def test_targets_follow_the_formula(
    bid: int, spread: int, half: float, skew: float, position: int
) -> None:
    ask = bid + spread
    gateway, maker = start(position, half_spread_ticks=half, skew_ticks_per_lot=skew)
    maker.on_tick(gateway.set_best(bid, ask))
    # The formula in doubled ticks, as the head of the module has it.
    centre2 = bid + ask
    want_bid = math.floor((centre2 - math.ceil(2 * half + 2 * skew * position)) / 2)
    want_ask = math.ceil((centre2 + math.ceil(2 * half - 2 * skew * position)) / 2)
    assert placed(gateway) == [
        (BUY, min(want_bid, ask - 1), 1),
        (SELL, max(want_ask, bid + 1), 1),
    ]


def test_quote_stays_within_the_threshold() -> None:
    gateway, maker = start(requote_threshold_ticks=2)
    maker.on_tick(gateway.set_best(100, 101))
    maker.on_tick(gateway.set_best(101, 102))
    assert verbs(gateway) == ["place", "place"]
    maker.on_tick(gateway.set_best(102, 103))
    assert verbs(gateway) == ["place", "place", "cancel", "cancel"]


def test_new_quote_waits_for_the_end_of_the_old_one() -> None:
    gateway, maker = start()
    maker.on_tick(gateway.set_best(100, 101))
    maker.on_tick(gateway.set_best(105, 106))
    maker.on_tick(gateway.set_best(106, 107))
    assert verbs(gateway) == ["place", "place", "cancel", "cancel"]
    gateway.handle_cancel(1)
    maker.on_order_event(gateway.see(1))
    assert placed(gateway)[2:] == [(BUY, 106, 1)]


def test_fill_before_the_acknowledgement_counts_once() -> None:
    gateway, maker = start(position_limit_lots=1)
    maker.on_tick(gateway.set_best(100, 101))
    gateway.accept(1)
    gateway.fill(1, 1)
    maker.on_order_event(gateway.see(1, 1))
    maker.on_order_event(gateway.see(1))
    assert [side for side, _, _ in placed(gateway)] == [BUY, SELL], "bought again at the limit"


def test_fill_while_the_cancel_flies_leaves_no_hole() -> None:
    gateway, maker = start(position_limit_lots=5)
    maker.on_tick(gateway.set_best(100, 101))
    maker.on_tick(gateway.set_best(99, 101))
    assert verbs(gateway) == ["place", "place", "cancel"]
    gateway.fill(1, 1)
    gateway.handle_cancel(1)
    maker.on_order_event(gateway.see(1))
    assert placed(gateway)[2:] == [(BUY, 99, 1)]
    maker.on_order_event(gateway.see(1))
    assert placed(gateway)[2:] == [(BUY, 99, 1)], "the late cancel_rejected touched the new order"


def test_lost_cancel_is_sent_again() -> None:
    gateway, maker = start()
    maker.on_tick(gateway.set_best(100, 101))
    maker.on_tick(gateway.set_best(90, 101))
    gateway.handle_cancel(1, lost=True)
    maker.on_order_event(gateway.see(1))
    maker.on_tick(gateway.set_best(90, 101))
    assert [c.order_id for c in gateway.commands if c.verb == "cancel" and c.side == BUY] == [1, 1]


def test_rejected_quote_waits_for_the_market() -> None:
    gateway, maker = start()
    maker.on_tick(gateway.set_best(100, 101))
    gateway.end(1, REJECTED, "post_only")
    maker.on_order_event(gateway.see(1))
    assert len(placed(gateway)) == 2
    maker.on_tick(gateway.set_best(100, 102))
    assert placed(gateway)[2:] == [(BUY, 100, 1)]


def test_one_sided_market_pulls_the_quotes() -> None:
    gateway, maker = start()
    maker.on_tick(gateway.set_best(None, 101))
    assert gateway.commands == []
    maker.on_tick(gateway.set_best(100, 101))
    maker.on_tick(gateway.set_best(100, None))
    assert verbs(gateway) == ["place", "place", "cancel", "cancel"]


def test_size_shrinks_to_the_limit() -> None:
    gateway, maker = start(7, order_lots=5, position_limit_lots=10)
    maker.on_tick(gateway.set_best(100, 101))
    assert placed(gateway) == [(BUY, 100, 3), (SELL, 101, 5)]


def test_partial_fill_keeps_the_rest_and_moves_the_skew() -> None:
    gateway, maker = start(order_lots=4, skew_ticks_per_lot=1.0, requote_threshold_ticks=3)
    maker.on_tick(gateway.set_best(100, 101))
    gateway.fill(1, 2)
    maker.on_order_event(gateway.see(1))
    assert verbs(gateway) == ["place", "place"], "two ticks of skew are below the threshold"
    gateway.fill(1, 1)
    maker.on_order_event(gateway.see(1))
    assert verbs(gateway)[2:] == ["cancel"], "three ticks: the bid steps back, the offer is clamped"


def test_cancelled_by_the_venue_is_quoted_again() -> None:
    gateway, maker = start()
    maker.on_tick(gateway.set_best(100, 101))
    gateway.end(2, CANCELLED)
    maker.on_order_event(gateway.see(2))
    assert placed(gateway)[2:] == [(SELL, 101, 1)]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "needs the parameter 'half_spread_ticks'"),
        ({"half_spread": 1}, "did you mean 'half_spread_ticks'"),
        ({"half_spread_ticks": -1}, "at least 0.0 ticks, found -1.0"),
        ({"half_spread_ticks": math.nan}, "must be finite"),
        ({"half_spread_ticks": True}, "must be float, found True (bool)"),
        ({"half_spread_ticks": 1, "order_lots": 1.0}, "must be int, found 1.0 (float)"),
        ({"half_spread_ticks": 1, "order_lots": 0}, "at least 1 lots"),
        ({"half_spread_ticks": 1, "order_lots": "2"}, "must be int, found '2' (str)"),
    ],
)
def test_wrong_parameters_are_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(ParamsError) as caught:
        MakerParams.from_mapping(values)
    assert words in str(caught.value)
