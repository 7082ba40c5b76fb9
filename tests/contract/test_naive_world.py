"""The naive world, by hand: touch fills, any size at the best price, last-price marks, no delay."""

import json
from typing import Any

import pytest

import rustsim
from tests.toys.venue import ASK, BID, BUY, SELL, exchange, fills, kinds, level, trade


def naive(**spec: Any) -> rustsim.SimulatedExchange:
    """Return a naive exchange with 5 bids at 99 and 5 asks at 101, at time 1."""
    venue = exchange(world="naive", **spec)
    level(venue, 1, BID, 99, 5)
    level(venue, 1, ASK, 101, 5)
    return venue


def prices(events: list[rustsim.OrderEvent]) -> list[tuple[int, int, int]]:
    return [(e.order_id, e.price_ticks, e.quantity_lots) for e in events if e.kind == "filled"]


@pytest.mark.parametrize("side", [BID, ASK])
def test_a_print_at_the_price_fills_the_whole_order_whatever_the_queue(side: int) -> None:
    venue = naive()
    order = venue.place_order(BUY, 99, 40)
    assert kinds(trade(venue, 2, ASK, 101, 1)) == ["accepted"]
    assert venue.queue_ahead(order) is None  # 5 lots are ahead of it; nobody counts them
    # One lot prints at its price, of either side: 40 fill.
    assert prices(trade(venue, 3, side, 99, 1)) == [(order, 99, 40)]


def test_one_print_fills_every_order_that_it_touches() -> None:
    venue = naive()
    low = venue.place_order(BUY, 98, 3)
    high = venue.place_order(BUY, 99, 2)
    also = venue.place_order(BUY, 99, 4)
    deep = venue.place_order(BUY, 97, 1)
    venue.advance_to(1)
    # The best price first, then in order of arrival; each at its own price; 97 was not touched.
    assert prices(trade(venue, 2, BID, 98, 1)) == [(high, 99, 2), (also, 99, 4), (low, 98, 3)]
    assert prices(trade(venue, 3, BID, 97, 1)) == [(deep, 97, 1)]


def test_a_quote_at_the_price_fills_it() -> None:
    venue = naive()
    order = venue.place_order(SELL, 100, 7)
    venue.advance_to(1)
    assert prices(level(venue, 2, BID, 99, 50)) == []
    assert prices(level(venue, 3, BID, 100, 1)) == [(order, 100, 7)]


def test_what_printed_at_the_moment_of_sending_does_not_fill() -> None:
    venue = naive()
    trade(venue, 2, BID, 99, 1)
    venue.place_order(BUY, 99, 1)
    assert fills(venue.advance_to(5)) == []
    assert len(fills(trade(venue, 6, BID, 99, 1))) == 1


def test_a_taker_gets_any_size_at_the_best_price_and_leaves_no_trace() -> None:
    venue = naive()
    first = venue.place_order(BUY, 105, 1000)
    second = venue.place_order(BUY, 101, 8, time_in_force="fok")
    market = venue.place_order(SELL, 0, 9, order_type="market", time_in_force="ioc")
    events = venue.advance_to(1)
    assert prices(events) == [(first, 101, 1000), (second, 101, 8), (market, 99, 9)]
    assert venue.available_lots(ASK, 101) == 5


def test_what_does_not_reach_the_market_rests_or_expires() -> None:
    venue = naive()
    venue.place_order(BUY, 100, 2, time_in_force="ioc")
    rests = venue.place_order(BUY, 100, 2)
    venue.place_order(SELL, 99, 1, post_only=True)
    assert kinds(venue.advance_to(1)) == ["accepted", "expired", "accepted", "rejected"]
    assert prices(trade(venue, 2, ASK, 100, 1)) == [(rests, 100, 2)]


def test_the_position_is_marked_at_the_last_price() -> None:
    venue = naive(instrument={"tick_value_minor": 10}, fees={"commission_per_lot_minor": 3})
    venue.place_order(BUY, 101, 2)  # takes 2 at 101, before anything printed
    level(venue, 2, BID, 100, 5)
    result = venue.finish()
    # Marked at its own price: nothing but the commission is lost.
    assert result.ledger["equity_minor_x2"] == -2 * 6
    assert result.fills()["mid2_ticks"] == [202]

    venue = naive(instrument={"tick_value_minor": 10})
    trade(venue, 2, BID, 99, 1)
    venue.place_order(BUY, 101, 2)
    level(venue, 3, BID, 100, 5)  # the mid moves, the last price does not
    trade(venue, 4, ASK, 103, 1)
    result = venue.finish()
    assert result.fills()["mid2_ticks"] == [198]
    # Bought 2 at 101, last price 103: 2 x 2 ticks x 10.
    assert result.ledger["equity_minor_x2"] == 2 * 40
    assert result.ledger["spread_capture_minor_x2"] == 2 * 2 * (99 - 101) * 10


def test_the_live_like_world_is_the_default_and_says_no_other_digest() -> None:
    def digest(**spec: Any) -> str:
        venue = exchange(**spec)
        level(venue, 1, BID, 99, 5)
        venue.place_order(BUY, 99, 1)
        trade(venue, 2, BID, 99, 5)
        trade(venue, 3, BID, 99, 2)
        return venue.finish().digest

    assert digest() == digest(world="live_like")
    assert digest() != digest(world="naive")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("latency", {"place": {"model": "constant", "mean_ns": 1}}),
        ("latency", {"loss_probability": 0.1}),
        ("queue", {"model": "back"}),
        ("impact", {"half_life_ns": 5}),
    ],
)
def test_what_the_naive_world_does_not_read_is_refused(key: str, value: dict[str, Any]) -> None:
    with pytest.raises(rustsim.SpecError, match=f"{key}: the naive world has none"):
        rustsim.validate_spec(json.dumps({"world": "naive", key: value}))
