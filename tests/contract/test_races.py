"""One order's life and all its races: the 18 rows of the race table, each by its number.

What happens at the exchange is decided by arrival there; what the strategy sees comes in the order
of the replies.
"""

from typing import Any

import pytest

import rustsim
from tests.toys.venue import (
    ASK,
    BID,
    BUY,
    ahead,
    constants,
    exchange,
    fills,
    kinds,
    level,
    trade,
)


def race(**spec: Any) -> rustsim.SimulatedExchange:
    """Return a market 99 x 101 with 10 lots a side; requests take 100 ns, replies 50."""
    latency = constants(place=100, cancel=100, amend=100, report=50) | spec.pop("latency", {})
    venue = exchange(latency=latency, **spec)
    venue.on_tick(("book", 0, [(99, 10)], [(101, 10)]))
    return venue


def seen_bid(venue: rustsim.SimulatedExchange) -> tuple[int | None, int]:
    return venue.view.best_bid_ticks, venue.view.exch_ns


def position_of(venue: rustsim.SimulatedExchange) -> int:
    return venue.finish().ledger["position_lots"]


def test_race_01_not_marketable_rests_behind_the_size_at_arrival() -> None:
    venue = race()
    order = venue.place_order(BUY, 99, 1)
    level(venue, 60, BID, 99, 14)
    events = venue.advance_to(200)
    assert kinds(events) == ["accepted"]
    assert (events[0].exch_ns, events[0].local_ns) == (100, 150)
    assert ahead(venue, order) == 14


def test_race_02_marketable_on_arrival_though_not_when_sent() -> None:
    venue = race()
    venue.place_order(BUY, 100, 2)
    level(venue, 60, ASK, 100, 5)
    events = venue.advance_to(200)
    assert kinds(events) == ["accepted", "filled"]
    assert (events[1].price_ticks, events[1].is_maker) == (100, False)


def test_race_03_post_only_and_the_book_moved_through() -> None:
    venue = race()
    venue.place_order(BUY, 100, 2, post_only=True)
    level(venue, 60, ASK, 100, 5)
    events = venue.advance_to(200)
    assert [(e.kind, e.reason) for e in events] == [("rejected", "post_only")]


@pytest.mark.parametrize(("tif", "seen"), [("rod", ["accepted"]), ("ioc", ["accepted", "expired"])])
def test_race_04_marketable_when_sent_and_gone_at_arrival(tif: str, seen: list[str]) -> None:
    venue = race()
    order = venue.place_order(BUY, 101, 2, time_in_force=tif)
    level(venue, 60, ASK, 101, 0)
    assert kinds(venue.advance_to(200)) == seen
    assert (venue.queue_ahead(order) == 0) == (tif == "rod")


def test_race_05_cancel_arrives_before_the_print() -> None:
    venue = race()
    order = venue.place_order(BUY, 99, 2)
    events = venue.advance_to(200)
    venue.cancel_order(order)
    events += trade(venue, 301, BID, 99, 50)
    events += venue.advance_to(400)
    assert kinds(events) == ["accepted", "cancelled"]
    assert position_of(venue) == 0


@pytest.mark.parametrize("cancel_sent", [210, 270])
def test_race_06_full_fill_before_the_cancel_arrives(cancel_sent: int) -> None:
    # At 270 the cancel leaves after the fill happened and arrives after its report was seen (290).
    venue = race()
    order = venue.place_order(BUY, 99, 2)
    events = venue.advance_to(200)
    if cancel_sent < 240:
        events += venue.advance_to(cancel_sent)
        assert venue.cancel_order(order)
    events += trade(venue, 240, BID, 99, 50)
    if cancel_sent >= 240:
        events += venue.advance_to(cancel_sent)
        assert venue.cancel_order(order)
    events += venue.advance_to(500)
    assert kinds(events) == ["accepted", "filled", "cancel_rejected"]
    assert events[2].reason == "too_late"
    assert position_of(venue) == 2


def test_race_07_partial_fill_stands_and_the_cancel_removes_the_rest() -> None:
    venue = race()
    order = venue.place_order(BUY, 99, 5)
    events = venue.advance_to(200)
    venue.cancel_order(order)
    events += trade(venue, 250, BID, 99, 12)
    events += venue.advance_to(400)
    assert kinds(events) == ["accepted", "filled", "cancelled"]
    assert (events[1].quantity_lots, events[1].leaves_lots) == (2, 3)
    assert (events[2].quantity_lots, events[2].leaves_lots) == (3, 0)
    assert position_of(venue) == 2


def test_race_08_cancel_sent_before_the_ack_is_seen() -> None:
    venue = race(latency=constants(cancel=10))
    order = venue.place_order(BUY, 99, 5)
    assert venue.advance_to(20) == []
    assert venue.cancel_order(order)
    events = venue.advance_to(400)
    assert kinds(events) == ["accepted", "cancelled"]
    # The faster cancel waits for its own order.
    assert [event.exch_ns for event in events] == [100, 100]


def test_race_09_cancel_of_an_unknown_or_finished_order_changes_nothing() -> None:
    venue = race()
    assert not venue.cancel_order(7)
    order = venue.place_order(BUY, 99, 5)
    venue.cancel_order(order)
    venue.cancel_order(order)
    events = venue.advance_to(400)
    assert kinds(events) == ["accepted", "cancelled", "cancel_rejected"]
    assert events[2].reason == "too_late"
    assert not venue.cancel_order(order)
    # On another session the cancel overtakes the order, which the exchange does not know yet.
    venue = race(latency=constants(cancel=10))
    order = venue.place_order(BUY, 99, 5)
    venue.cancel_order(order, session=1)
    events = venue.advance_to(400)
    assert [(e.kind, e.reason) for e in events] == [
        ("cancel_rejected", "unknown_order"),
        ("accepted", ""),
    ]
    assert ahead(venue, order) == 10


def test_race_10_size_down_keeps_the_place() -> None:
    venue = race()
    order = venue.place_order(BUY, 99, 5)
    events = venue.advance_to(200)
    level(venue, 210, BID, 99, 30)
    venue.amend_order(order, quantity_lots=3)
    events += venue.advance_to(400)
    assert kinds(events) == ["accepted", "amended"]
    assert events[1].leaves_lots == 3
    assert ahead(venue, order) == 10


@pytest.mark.parametrize(
    ("change", "expected"), [({"quantity_lots": 6}, 30), ({"price_ticks": 98}, 7)]
)
def test_race_11_price_or_size_up_goes_to_the_back(change: dict[str, int], expected: int) -> None:
    venue = race()
    order = venue.place_order(BUY, 99, 5)
    events = venue.advance_to(200)
    level(venue, 210, BID, 99, 30)
    level(venue, 211, BID, 98, 7)
    venue.amend_order(order, **change)
    events += venue.advance_to(400)
    assert kinds(events) == ["accepted", "amended"]
    assert ahead(venue, order) == expected


@pytest.mark.parametrize(
    ("rule", "answer"), [("reject", "amend_rejected"), ("cancel", "cancelled")]
)
def test_race_12_amend_meets_a_fill_in_flight(rule: str, answer: str) -> None:
    venue = race(rules={"amend_below_filled": rule})
    order = venue.place_order(BUY, 99, 5)
    events = venue.advance_to(200)
    venue.amend_order(order, quantity_lots=2)
    events += trade(venue, 250, BID, 99, 13)
    events += venue.advance_to(400)
    assert kinds(events) == ["accepted", "filled", answer]
    assert events[1].quantity_lots == 3
    assert (venue.queue_ahead(order) is None) == (rule == "cancel")


def test_race_13_recorded_event_goes_before_a_cancel_of_the_same_time() -> None:
    venue = race()
    order = venue.place_order(BUY, 99, 2)
    events = venue.advance_to(200)
    venue.cancel_order(order)
    events += trade(venue, 300, BID, 99, 50)
    events += venue.advance_to(400)
    assert kinds(events) == ["accepted", "filled", "cancel_rejected"]
    assert events[1].exch_ns == events[2].exch_ns == 300


def test_race_14_arrival_decides_and_not_sending() -> None:
    # Session 0 needs 500 ns between messages: its second order is late though it was sent first.
    venue = race(latency=constants(place=100, report=50) | {"gap_ns": 500})
    venue.place_order(BUY, 90, 1, session=0)
    slow = venue.place_order(BUY, 99, 1, session=0)
    venue.advance_to(10)
    fast = venue.place_order(BUY, 99, 1, session=1)
    venue.advance_to(300)
    level(venue, 300, BID, 99, 25)
    venue.advance_to(700)
    assert (ahead(venue, fast), ahead(venue, slow)) == (10, 25)
    assert fills(trade(venue, 701, BID, 99, 11) + venue.advance_to(800)) == [(fast, 1)]


def test_race_15_replies_of_one_session_keep_their_order() -> None:
    report = {"report": {"model": "gamma", "mean_ns": 1000, "cv": 3}}
    venue = race(latency=constants(place=100, cancel=100) | report)
    seen = []
    for step in range(300):
        now = 10 * step
        seen += venue.advance_to(now)
        order = venue.place_order(BUY, 50, 1)
        venue.cancel_order(order)
    seen += venue.advance_to(10_000_000)
    assert len(seen) == 600
    assert [e.exch_ns for e in seen] == sorted(e.exch_ns for e in seen)
    assert [e.local_ns for e in seen] == sorted(e.local_ns for e in seen)
    # The draws alone would have overtaken each other: some replies waited for the one before.
    assert len({e.local_ns for e in seen}) < len({(e.exch_ns, e.order_id) for e in seen})


def test_race_16_the_strategy_decides_on_what_has_reached_it() -> None:
    venue = exchange(latency=constants(feed=1000))
    venue.on_tick(("book", 0, [(99, 10)], [(101, 10)]))
    assert seen_bid(venue) == (None, 0)
    venue.on_tick(("book", 500, [(95, 10)], [(97, 10)]))
    venue.advance_to(1_000)
    assert seen_bid(venue) == (99, 0)
    # An order against the price it sees meets the exchange's own book.
    venue.place_order(BUY, 101, 1)
    assert [(e.kind, e.price_ticks) for e in venue.advance_to(1_000)] == [
        ("accepted", 101),
        ("filled", 97),
    ]
    venue.advance_to(1_500)
    assert seen_bid(venue) == (95, 500)


def test_race_17_the_data_ends_with_requests_under_way() -> None:
    venue = race(instrument={"tick_value_minor": 10})
    venue.place_order(BUY, 101, 2)
    resting = venue.place_order(BUY, 99, 5)
    venue.advance_to(200)
    late = venue.place_order(BUY, 101, 1)
    venue.cancel_order(resting)
    venue.on_tick(("book", 250, [(103, 10)], [(105, 10)]))
    result = venue.finish()
    log = result.events_log()
    assert [(e.kind, e.order_id) for e in log[-2:]] == [("expired", resting), ("expired", late)]
    assert {e.reason for e in log[-2:]} == {"end_of_data"}
    # 2 lots bought at 101 are marked at 104.
    assert result.ledger["equity_minor_x2"] == 2 * 2 * (104 - 101) * 10


def test_race_18_a_refused_request_leaves_no_trace_at_the_exchange() -> None:
    refusing = {"reject_probability": 1.0}
    venue = race(latency=constants(place=100, report=30) | refusing)
    order = venue.place_order(BUY, 101, 2)
    assert venue.advance_to(129) == []
    (event,) = venue.advance_to(130)
    assert (event.kind, event.reason, event.exch_ns, event.local_ns) == (
        "rejected",
        "refused",
        100,
        130,
    )
    assert (event.side, event.price_ticks, event.quantity_lots, event.leaves_lots) == (
        BUY,
        101,
        2,
        0,
    )
    assert venue.queue_ahead(order) is None
    assert not venue.cancel_order(order), "the strategy knows it as ended"
    ledger = venue.finish().ledger
    assert (ledger["accepted"], ledger["rejected_refused"], ledger["rejected_lost"]) == (0, 1, 0)


def test_race_18_a_refused_cancel_leaves_the_order_as_it_was() -> None:
    # Which requests are refused is a function of seed and time: of 200 cancels 30 on average.
    venue = exchange(latency={"reject_probability": 0.15}, seed=5)
    level(venue, 0, BID, 99, 10)
    orders = []
    for number in range(200):
        venue.advance_to(1_000 + 10 * number)
        orders.append(venue.place_order(BUY, 90, 1))
    venue.advance_to(5_000)
    resting = [order for order in orders if venue.queue_ahead(order) is not None]
    for order in resting:
        venue.cancel_order(order)
        events = venue.advance_to(5_000 + 10 * order)
        kinds = [(event.kind, event.reason) for event in events if event.order_id == order]
        still = venue.queue_ahead(order) is not None
        assert kinds == ([("cancel_rejected", "refused")] if still else [("cancelled", "")])
    ledger = venue.finish().ledger
    assert ledger["rejected_refused"] == 200 - len(resting)
    assert 10 < ledger["rejected_refused"] < 60
    assert 10 < ledger["cancel_rejected_refused"] < 60


def test_race_18_a_lost_request_leaves_no_trace_at_the_exchange() -> None:
    lost = {"loss_probability": 1.0, "loss_timeout_ns": 700}
    venue = race(latency=constants(place=100) | lost)
    order = venue.place_order(BUY, 101, 2)
    assert venue.advance_to(699) == []
    events = venue.advance_to(700)
    assert [(e.kind, e.reason) for e in events] == [("rejected", "lost")]
    assert venue.queue_ahead(order) is None
    ledger = venue.finish().ledger
    assert (ledger["accepted"], ledger["position_lots"], ledger["rejected_lost"]) == (0, 0, 1)
