"""Message by message and in bulk, the same ticks and commands give the same log and account."""

import random
from array import array
from pathlib import Path
from typing import Any

import pytest

import rustsim
from rustsim import SimulatedExchange
from tests.toys.venue import BID, BUY, ahead, exchange, level, trade

START = 1_700_000_000_000_000_000
Row = tuple[int, int, int, int, int]  # exch_ns, kind (0 level, 1 trade), side, price, lots
Command = tuple[str, tuple[Any, ...], dict[str, Any]]

SPECS = {
    "no latency": "{}",
    "latency both ways": """{"latency": {
        "place": {"model": "gamma", "mean_ns": 3e6, "cv": 1.0}, "cancel": {"mean_ns": 1e6},
        "amend": {"model": "lognormal", "mean_ns": 2e6}, "report": {"mean_ns": 1.5e6},
        "gap_ns": 1000, "loss_probability": 0.05, "loss_timeout_ns": 5000000}}""",
    "sampled queue, refill, window": """{"queue": {"model": "power", "n": 3, "mode": "sampled"},
        "impact": {"half_life_ns": 4000000}, "instrument": {"visible_levels": 3}, "seed": 5}""",
    "late feed": '{"latency": {"feed": {"model": "gamma", "mean_ns": 2e6, "cv": 0.8}}}',
}


def _market(rng: random.Random, rows: int) -> list[Row]:
    made: list[Row] = []
    at = START
    mid = 1_000
    for _ in range(rows):
        at += rng.choice((1_000, 400_000, 1_000_000, 3_000_000))
        mid += rng.choice((-1, 0, 0, 0, 0, 1))
        side = rng.randrange(2)
        is_trade = rng.random() < 0.3
        away = 0 if is_trade else rng.randrange(4)
        price = mid - away if side == 0 else mid + 1 + away
        lots = rng.randint(1, 9) if is_trade else rng.choice((0, 3, 6, 12))
        made.append((at, int(is_trade), side, price, lots))
    return made


def _script(rng: random.Random, market: list[Row]) -> list[list[Command]]:
    """What is sent after each row; it does not depend on what is seen."""
    script: list[list[Command]] = []
    placed = 0
    for _, _, _, price, _ in market:
        commands: list[Command] = []
        for _ in range(rng.choice((0, 0, 1, 2))):
            choose = rng.random()
            session = {"session": rng.randrange(2)}
            if choose < 0.6 or not placed:
                placed += 1
                how: dict[str, Any] = rng.choice(
                    ({}, {"post_only": True}, {"time_in_force": "ioc"}, {"time_in_force": "fok"})
                )
                order = (rng.randrange(2), price + rng.randint(-2, 2), rng.randint(1, 6))
                commands.append(("place_order", order, {**how, **session}))
            elif choose < 0.8:
                commands.append(("cancel_order", (rng.randint(1, placed),), session))
            else:
                change = {"price_ticks": price, "quantity_lots": rng.randint(1, 8)}
                commands.append(("amend_order", (rng.randint(1, placed),), {**change, **session}))
        script.append(commands)
    return script


class Scripted:
    """Sends its commands at the times of the rows, whatever it sees: by timers."""

    def __init__(
        self, exchange: SimulatedExchange, market: list[Row], script: list[list[Command]]
    ) -> None:
        self.exchange = exchange
        self.due = {row[0]: commands for row, commands in zip(market, script, strict=True)}

    def on_start(self) -> None:
        for at in self.due:
            self.exchange.set_timer(at)

    def on_timer(self, now_ns: int) -> None:
        _send(self.exchange, self.due[now_ns])


def _send(exchange: SimulatedExchange, commands: list[Command]) -> None:
    for name, arguments, options in commands:
        getattr(exchange, name)(*arguments, **options)


def _tape(path: Path, market: list[Row]) -> rustsim.Tape:
    builder = rustsim.TapeBuilder(str(path))
    at, kind, side, price, lots = zip(*market, strict=True)
    last = [int(a != b) for a, b in zip(at, (*at[1:], None), strict=True)]
    builder.append(
        array("q", at), None, bytes(kind), bytes(side), bytes(last),
        array("i", price), array("i", lots),
    )  # fmt: skip
    builder.finish("{}")
    return rustsim.Tape.open(str(path))


def _facts(result: rustsim.ReplayResult) -> tuple[Any, ...]:
    log = [
        (e.kind, e.order_id, e.exch_ns, e.local_ns, e.side, e.price_ticks, e.quantity_lots,
         e.leaves_lots, e.is_maker, e.reason)
        for e in result.events_log()
    ]  # fmt: skip
    return log, result.ledger, result.digest, result.events


def _step_through(spec: str, market: list[Row], script: list[list[Command]]) -> tuple[Any, ...]:
    exchange = SimulatedExchange(spec=spec)
    seen = 0
    for (at, kind, side, price, lots), commands in zip(market, script, strict=True):
        events = exchange.on_tick(("trade" if kind else "level", at, side, price, lots))
        assert all(event.local_ns <= at for event in events), "seen before its time"
        seen += sum(event.quantity_lots for event in events if event.kind == "filled")
        _send(exchange, commands)
    # A replay ends with all that happens at its last instant.
    exchange.advance_to(market[-1][0])
    result = exchange.finish()
    assert seen <= result.ledger["lots"]
    return _facts(result)


@pytest.mark.parametrize("name", SPECS)
def test_stepping_equals_replaying(tmp_path: Path, name: str) -> None:
    kinds: set[str] = set()
    for seed in range(12):
        rng = random.Random(f"{name} {seed}")
        market = _market(rng, 300)
        script = _script(rng, market)
        tape = _tape(tmp_path / f"{seed}.tape", market)
        exchange = SimulatedExchange(spec=SPECS[name])
        strategy = Scripted(exchange, market, script)
        bulk = exchange.replay(tape, 0, tape.row_count, strategy, wake="own", log=True)
        stepped = _step_through(SPECS[name], market, script)
        assert stepped == _facts(bulk), f"seed {seed}"
        kinds |= {line[0] for line in stepped[0]}
    assert {"accepted", "filled", "cancelled", "amended", "expired", "rejected"} <= kinds


@pytest.mark.parametrize("feed", [0, 1_000_000])
@pytest.mark.parametrize("order", ["trade first", "level first", "trade between"])
def test_a_print_and_its_level_of_one_time_count_once(order: str, feed: int) -> None:
    exchange = SimulatedExchange(
        spec=f'{{"queue": {{"model": "back"}}, "latency": {{"feed": {{"mean_ns": {feed}}}}}}}'
    )
    exchange.on_tick(("level", 1, 0, 100, 10))
    order_id = exchange.place_order(0, 100, 3)
    exchange.advance_to(2)
    trade, level = ("trade", 10, 0, 100, 4), ("level", 10, 0, 100, 6)
    messages = {
        "trade first": [trade, level],
        "level first": [level, trade],
        "trade between": [("level", 10, 0, 100, 8), trade, level],
    }
    for message in messages[order]:
        exchange.on_tick(message)
    assert exchange.level_lots(0, 100) == 6
    assert exchange.queue_ahead(order_id) == 6.0
    exchange.advance_to(10 + feed)
    assert exchange.view.best_bid_lots == 6


def test_a_later_print_is_no_longer_explained() -> None:
    exchange = SimulatedExchange(queue="back")
    exchange.on_tick(("level", 1, 0, 100, 10))
    order_id = exchange.place_order(0, 100, 3)
    exchange.on_tick(("level", 10, 0, 100, 6))
    exchange.on_tick(("trade", 11, 0, 100, 4))
    assert exchange.level_lots(0, 100) == 2
    assert exchange.queue_ahead(order_id) == 2.0


def test_digest_depends_on_nothing_but_the_run(tmp_path: Path) -> None:
    rng = random.Random(3)
    market = _market(rng, 400)
    script = _script(rng, market)
    tape = _tape(tmp_path / "t.tape", market)

    def digest(**options: Any) -> str:
        exchange = SimulatedExchange(spec=SPECS["latency both ways"])
        strategy = Scripted(exchange, market, script)
        return exchange.replay(tape, 0, tape.row_count, strategy, **options).digest

    expected = digest(wake="own")
    for options in ({"samples": 0}, {"samples": 7}, {"log": True}, {"wake": "every"}):
        assert digest(**options) == expected, options


def test_order_that_joined_between_decrease_and_print_stays_behind_an_earlier_one() -> None:
    venue = exchange(queue={"model": "back"})
    level(venue, 0, BID, 99, 17)
    first = venue.place_order(BUY, 99, 2)
    venue.advance_to(1)
    level(venue, 3, BID, 99, 16)
    second = venue.place_order(BUY, 99, 4)
    venue.advance_to(3)
    assert (ahead(venue, first), ahead(venue, second)) == (16, 16)
    level(venue, 3, BID, 99, 15)
    trade(venue, 3, BID, 99, 1)
    trade(venue, 3, BID, 99, 10)
    assert ahead(venue, first) == ahead(venue, second) == 6
