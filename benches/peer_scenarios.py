"""Plays a scenario of `benches.peer_cases` here and answers in the words of hftbacktest's side."""

from pathlib import Path
from typing import Any

import numpy as np

import rustsim
from benches.feed import LAST, LEVEL, TRADE
from strategies.adapters.rustsim import RustSimAdapter
from strategies.base import Strategy, StrategyParams
from strategies.gateway import MarketView, OrderEvent

Scenario = dict[str, Any]

ROD = "rod"
IMAGE = 2
START_NS = 1_000_000
END = 1_000_000
FEED_NS = 5
ENDS = {"filled", "cancelled", "expired", "rejected"}
QUEUES = {
    "back": {"model": "back"},
    "power:1": {"model": "power", "n": 1.0},
    "log": {"model": "log"},
}


def rows_of(scenario: Scenario) -> list[tuple[int, int, int, int, int, int]]:
    """Return (time, kind, side, flags, price, lots), images as their differences."""
    book: dict[tuple[int, int], int] = {}
    rows = []
    for t, kind, side, *rest in scenario["rows"]:
        if kind == "trade":
            rows.append((t, TRADE, side, 0, *rest))
            continue
        changes = [tuple(rest)]
        if kind == "image":
            shown, last = dict(rest[0]), rest[1] if len(rest) > 1 else rest[0][-1][0]
            reached = [p for s, p in book if s == side and (p >= last if side == 0 else p <= last)]
            changes = [(price, shown.get(price, 0)) for price in {*shown, *reached}]
        for price, lots in changes:
            if book.get((side, price)) != lots:
                rows.append((t, LEVEL, side, IMAGE if kind == "image" else 0, price, lots))
                book[side, price] = lots
    return [*rows, (END, LEVEL, 0, 0, 1, 1)]


def write_tape(scenario: Scenario, path: Path) -> rustsim.Tape:
    """Write the rows of a scenario as a tape."""
    path.unlink(missing_ok=True)
    times, kind, side, flags, price, lots = (
        np.array(column) for column in zip(*rows_of(scenario), strict=True)
    )
    exch_ns = START_NS + times.astype(np.int64)
    ends = np.append(exch_ns[1:] != exch_ns[:-1], True)
    builder = rustsim.TapeBuilder(str(path), has_local=True, source="scenario")
    builder.append(
        exch_ns,
        exch_ns + FEED_NS,
        kind.astype(np.uint8),
        side.astype(np.uint8),
        (flags + LAST * ends).astype(np.uint8),
        price.astype(np.int32),
        lots.astype(np.int32),
    )
    builder.finish("{}")
    return rustsim.Tape.open(str(path))


class Script(Strategy):
    """Does what a scenario says and answers its questions."""

    def __init__(self, gateway: RustSimAdapter, steps: list[list[Any]]) -> None:
        super().__init__(gateway, StrategyParams())
        self._steps = steps
        self._next = 0
        self._ids: dict[int, int] = {}
        self._heard: dict[int, list[OrderEvent]] = {}
        self.answers: list[str] = []
        self.ticks = 0

    def on_start(self) -> None:
        """Ask to be woken for every step."""
        for step in self._steps:
            self.gateway.set_timer(START_NS + step[0])

    def on_tick(self, view: MarketView) -> None:
        """Count the steps of the feed."""
        self.ticks += view.exch_ns < START_NS + END

    def on_order_event(self, event: OrderEvent) -> None:
        """Remember what was heard of an order."""
        self._heard.setdefault(event.order_id, []).append(event)

    def on_timer(self, now_ns: int) -> None:
        """Take the steps that are due."""
        while self._next < len(self._steps) and START_NS + self._steps[self._next][0] <= now_ns:
            _, verb, *rest = self._steps[self._next]
            self._next += 1
            self._take(verb, rest)

    def _take(self, verb: str, rest: list[Any]) -> None:
        if verb == "order?":
            self.answers.append(state_of(self._heard.get(self._ids[rest[0]], [])))
        elif verb == "quotes?":
            view = self.gateway.view
            bid, ask = (
                "none" if price is None else price
                for price in (view.best_bid_ticks, view.best_ask_ticks)
            )
            self.answers.append(
                f"bid {bid} x {view.best_bid_lots}, ask {ask} x {view.best_ask_lots}"
            )
        elif verb == "position?":
            self.answers.append(f"position {self.gateway.position_lots}")
        elif verb == "place":
            number, side, price, lots, how = rest
            self._ids[number] = self.gateway.place_order(
                side,
                price,
                lots,
                order_type="market" if how == "market" else "limit",
                time_in_force={"market": "ioc", "post_only": ROD}.get(how, how),
                post_only=how == "post_only",
            )
        elif verb == "cancel":
            self._say_if_refused(verb, self.gateway.cancel_order(self._ids[rest[0]]))
        else:
            number, price, lots = rest
            sent = self.gateway.amend_order(
                self._ids[number], price_ticks=price, quantity_lots=lots
            )
            self._say_if_refused(verb, sent)

    def _say_if_refused(self, verb: str, sent: bool) -> None:  # noqa: FBT001
        if not sent:
            self.answers.append(f"{verb} refused")


def state_of(heard: list[OrderEvent]) -> str:
    """Say what is known of an order."""
    state = "nothing heard"
    fills = [event for event in heard if event.kind == "filled"]
    lots = sum(event.quantity_lots for event in fills)
    for event in heard:
        t = event.exch_ns - START_NS
        if event.kind in {"accepted", "amended"}:
            state = f"rests (t {t})"
        elif event.kind in ENDS:
            prices = " and ".join(str(p) for p in dict.fromkeys(e.price_ticks for e in fills))
            open_lots = f" of {lots + event.leaves_lots}" if event.leaves_lots else ""
            filled = f"filled {lots}{open_lots} at {prices} (t {t})"
            name = "expired" if event.kind == "rejected" else event.kind
            state = filled if event.kind == "filled" else f"{name} (t {t})"
            if event.reason in {"self_match"}:
                state = f"rejected (t {t})"
    return state


def spec_of(scenario: Scenario) -> dict[str, Any]:
    """Return the description of the exchange."""
    latency = scenario.get("latency", 10)
    if not isinstance(latency, dict):
        latency = dict.fromkeys(("place", "cancel", "amend", "report"), latency)
    return {
        "latency": {kind: {"model": "constant", "mean_ns": ns} for kind, ns in latency.items()},
        "queue": QUEUES[scenario.get("queue", "back")],
    }


def play(scenario: Scenario, folder: Path, wake: str) -> tuple[Script, rustsim.ReplayResult]:
    """Play a scenario."""
    tape = write_tape(scenario, folder / "case.tape")
    gateway = RustSimAdapter.from_spec(spec_of(scenario))
    script = Script(gateway, scenario["do"])
    result = gateway.replay(tape, 0, tape.row_count, script, wake=wake, log=True)
    return script, result


def answer_here(scenario: Scenario, folder: Path) -> str:
    """Return our answers to the questions of a scenario."""
    special = scenario.get("special")
    if special is not None:
        return SPECIAL[special](scenario, folder)
    try:
        script, result = play(scenario, folder, "own")
    except rustsim.SpecError as error:
        return f"refused: {error}"
    answers = script.answers
    if "at_end" in scenario:
        last = result.events_log()[-1]
        answers.append(f"{last.kind} ({last.reason})")
    return "; ".join(answers)


def _clock(scenario: Scenario, folder: Path) -> str:
    gateway = RustSimAdapter.from_spec({})
    started: list[int] = []

    class First(Strategy):
        """Looks at the clock once."""

        def on_start(self) -> None:
            """Note the time."""
            started.append(self.gateway.now_ns - START_NS)

    tape = write_tape(scenario, folder / "case.tape")
    gateway.replay(tape, 0, tape.row_count, First(gateway, StrategyParams()))
    return f"starts at t {started[0]}"


def _steps(scenario: Scenario, folder: Path) -> str:
    script, _ = play(scenario, folder, "every")
    return f"{script.ticks} steps, a timer ends a wait"


def _outside(scenario: Scenario, folder: Path) -> str:
    tape = write_tape(scenario, folder / "case.tape")
    limits = {"instrument": {"price_min": 95, "price_max": 105}}
    gateway = RustSimAdapter.from_spec(spec_of(scenario) | limits)
    script = Script(gateway, [[20, "place", 1, 0, 90, 1, ROD]])
    result = gateway.replay(tape, 0, tape.row_count, script, wake="own", log=True)
    event = result.events_log()[-1]
    return f"{event.kind} ({event.reason})"


def _out_of_order(scenario: Scenario, folder: Path) -> str:
    late = dict(scenario, rows=[*scenario["rows"], [50, "level", 0, 96, 1]])
    try:
        write_tape(late, folder / "case.tape")
    except rustsim.TickError as error:
        return f"refused: {str(error).replace(str(START_NS + 50), 't 50')}"
    return "taken"


def _twice(scenario: Scenario, folder: Path) -> str:
    digests = {play(scenario, folder, "own")[1].digest for _ in range(3)}
    return f"{len(digests)} digest of 3 runs"


SPECIAL = {
    "clock_of_two_assets": _clock,
    "steps": _steps,
    "outside_of_range": _outside,
    "out_of_order": _out_of_order,
    "twice": _twice,
}
