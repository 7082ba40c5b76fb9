"""Input at the edge meets a clear refusal or a right result, never a panic."""

import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rustsim
from rustsim import SimulatedExchange

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
END = 7_258_118_400_000_000_000
I64 = 2**63


@pytest.mark.parametrize("at", [-I64, -1, END, I64 - 1])
def test_times_that_no_tape_holds_are_refused(at: int) -> None:
    exchange = SimulatedExchange()
    with pytest.raises(rustsim.TickError, match="outside of"):
        exchange.on_tick(("level", at, 0, 100, 5))
    with pytest.raises(rustsim.TickError, match="outside of"):
        exchange.advance_to(at)
    assert exchange.on_tick(("level", 0, 0, 100, 5)) == [], "a refused time leaves no trace"


@pytest.mark.parametrize("tick", [(), ("level",), ("level", 1, 0, 5), ("trade", 1, 0, 5, 1, 1)])
def test_ticks_of_another_length_are_refused(tick: Any) -> None:
    with pytest.raises(rustsim.TickError, match=r"tuple|expected"):
        SimulatedExchange().on_tick(tick)


@pytest.mark.parametrize("price", [-(2**31), 1_500_000_000, 2**31 - 1])
def test_a_first_price_may_lie_anywhere(price: int) -> None:
    exchange = SimulatedExchange()
    exchange.on_tick(("level", 1, 1, price, 7))
    exchange.place_order(0, price, 2, time_in_force="ioc")
    assert [e.kind for e in exchange.advance_to(2)] == ["accepted", "filled"]


def test_nothing_follows_a_tick_that_failed_half_way() -> None:
    exchange = SimulatedExchange(spec='{"latency": {"feed": {"mean_ns": 1e9}}}')
    exchange.on_tick(("level", 1, 0, 100, 5))
    calls: list[Callable[[], Any]] = [
        lambda: exchange.on_tick(("level", 2, 0, 2**31 - 1, 5)),
        lambda: exchange.on_tick(("level", 3, 0, 101, 5)),
        lambda: exchange.advance_to(5 * SECOND),
        exchange.finish,
    ]
    for call in calls:
        with pytest.raises(rustsim.TickError, match="more than the"):
            call()


def test_an_account_that_overflowed_is_not_sealed() -> None:
    exchange = SimulatedExchange(spec='{"instrument": {"tick_value_minor": 9223372036854775807}}')
    exchange.on_tick(("level", 1, 1, 100, 5))
    exchange.place_order(0, 100, 5)
    with pytest.raises(rustsim.LedgerError, match="does not fit"):
        exchange.advance_to(2)
    with pytest.raises(rustsim.LedgerError, match="does not fit"):
        exchange.finish()


def test_many_largest_orders_share_a_print() -> None:
    exchange = SimulatedExchange()
    exchange.on_tick(("level", 1, 0, 100, 5))
    for _ in range(5_000):
        exchange.place_order(0, 100, 2**31 - 1)
    exchange.on_tick(("trade", 2, 0, 100, 50))
    exchange.on_tick(("trade", 3, 0, 100, 50))
    # The first print takes the 5 lots displayed, then fills 45; the second fills 50.
    assert exchange.finish().ledger["position_lots"] == 95


@pytest.mark.parametrize("lots", [0, -1, 2**31, I64 - 1])
def test_order_caps_fit_a_print(lots: int) -> None:
    with pytest.raises(rustsim.SpecError, match=r"max_order_lots: expected 1 to 2147483647"):
        SimulatedExchange(spec=f'{{"instrument": {{"max_order_lots": {lots}}}}}')


@pytest.mark.parametrize("quantity", [-I64, -1, 0, 2**31, I64 - 1])
def test_quantities_beyond_reason_are_rejected(quantity: int) -> None:
    exchange = SimulatedExchange()
    exchange.on_tick(("level", 1, 0, 100, 5))
    resting = exchange.place_order(0, 100, 1)
    exchange.place_order(0, 100, quantity)
    exchange.amend_order(resting, quantity_lots=quantity)
    found = [(e.kind, e.reason) for e in exchange.advance_to(2)]
    refused = [("rejected", "quantity"), ("amend_rejected", "quantity")]
    assert found == [("accepted", ""), *refused]


def test_a_large_position_held_for_a_day_is_booked() -> None:
    exchange = SimulatedExchange()
    exchange.on_tick(("level", 0, 1, 100, 1_000_000))
    exchange.place_order(0, 100, 1_000_000)
    exchange.advance_to(1)
    exchange.on_tick(("level", DAY, 1, 100, 1_000_000))
    result = exchange.finish()
    assert result.ledger["inventory_lot_us"] == 1_000_000 * DAY // 1_000
    assert result.metrics["inventory_mean_lots"] == 1_000_000


def test_very_many_orders_take_no_quadratic_time() -> None:
    exchange = SimulatedExchange()
    exchange.on_tick(("level", 1, 0, 100, 5))
    started = time.process_time()
    for _ in range(50_000):
        exchange.place_order(0, 100, 1)
    exchange.on_tick(("level", 2, 0, 100, 5))
    exchange.on_tick(("trade", 3, 0, 100, 25_005))
    assert exchange.finish().ledger["expired"] == 25_000
    assert time.process_time() - started < 3, "seconds of this process"


@pytest.mark.parametrize(
    "spec", ["[]", '{"queue": []}', '{"instrument": ["a", 5]}', '{"latency": {"feed": ["gamma"]}}']
)
def test_a_description_is_read_by_key_only(spec: str) -> None:
    with pytest.raises(rustsim.SpecError, match=r"array|object"):
        rustsim.validate_spec(spec)


def _tape(path: Path) -> rustsim.Tape:
    builder = rustsim.TapeBuilder(str(path))
    rows = 10
    builder.append(
        array("q", range(rows)),
        None,
        bytes(rows),
        bytes(rows),
        bytes([1] * rows),
        array("i", range(100, 100 + rows)),
        array("i", [5] * rows),
    )
    builder.finish("{}")
    return rustsim.Tape.open(str(path))


class Misbehaving:
    """Does one forbidden or fatal thing in one hook."""

    def __init__(self, exchange: SimulatedExchange, act: Callable[[], Any]) -> None:
        self.exchange = exchange
        self.act = act

    def on_tick(self, _view: rustsim.MarketView) -> None:
        self.exchange.place_order(0, 90, 1)
        self.act()


@pytest.mark.parametrize("fault", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3)])
def test_what_a_hook_raises_comes_out_as_it_is(tmp_path: Path, fault: BaseException) -> None:
    tape = _tape(tmp_path / "t.tape")
    exchange = SimulatedExchange()

    def raise_it() -> None:
        raise fault

    with pytest.raises(type(fault)) as caught:
        exchange.replay(tape, 0, tape.row_count, Misbehaving(exchange, raise_it))
    assert caught.value is fault
    with pytest.raises(rustsim.ReplayError, match="finished"):
        exchange.on_tick(("level", 1, 0, 1, 1))


def test_the_exchange_is_out_of_reach_while_it_replays(tmp_path: Path) -> None:
    tape = _tape(tmp_path / "t.tape")
    exchange = SimulatedExchange()
    calls: dict[str, Callable[[], Any]] = {
        "replay": lambda: exchange.replay(tape, 0, 1),
        "on_tick": lambda: exchange.on_tick(("level", 1, 0, 1, 1)),
        "advance_to": lambda: exchange.advance_to(99),
        "finish": exchange.finish,
        "queue_ahead": lambda: exchange.queue_ahead(1),
        "level_lots": lambda: exchange.level_lots(0, 100),
        "available_lots": lambda: exchange.available_lots(0, 100),
    }
    refused = []

    def try_all() -> None:
        for name, call in calls.items():
            try:
                call()
            except rustsim.ReplayError:
                refused.append(name)

    exchange.replay(tape, 0, tape.row_count, Misbehaving(exchange, try_all))
    assert refused == list(calls) * tape.row_count


def test_a_strategy_that_cannot_be_read_ends_the_run(tmp_path: Path) -> None:
    class Broken:
        @property
        def on_start(self) -> None:
            raise RuntimeError("no hook")

    tape = _tape(tmp_path / "t.tape")
    exchange = SimulatedExchange()
    with pytest.raises(RuntimeError, match="no hook"):
        exchange.replay(tape, 0, 1, Broken())
    with pytest.raises(rustsim.ReplayError, match="finished"):
        exchange.finish()


def test_own_orders_never_overtake_each_other() -> None:
    queues = set()
    for seed in range(40):
        exchange = SimulatedExchange(
            spec=f'{{"queue": {{"model": "uniform", "mode": "sampled"}}, "seed": {seed}}}'
        )
        exchange.on_tick(("level", 1, 0, 100, 10))
        first = exchange.place_order(0, 100, 1)
        exchange.on_tick(("level", 2, 0, 100, 30))
        second = exchange.place_order(0, 100, 1)
        exchange.on_tick(("level", 3, 0, 100, 50))
        exchange.on_tick(("level", 4, 0, 100, 25))
        queues.add((exchange.queue_ahead(first), exchange.queue_ahead(second)))
    # Of 25 cancelled lots 10 or none fall before the first order, 25 or 5 before the second: one
    # draw below 0.2, between 0.2 and 0.6, or above. In between the second would stand at 5.
    assert queues == {(0.0, 5.0), (10.0, 10.0), (10.0, 25.0)}
