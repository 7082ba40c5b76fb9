"""Replays that are measured: who trades, on which engine, woken by what.

A case replays stretches of a tape (sessions, or all of it) one after the other, which counts as one
run. Cases are measured in rounds, each once per round, so that a busy minute of the machine falls
on all of them alike; the first round warms caches and does not count. Every run of a case gives the
same digests, and cases of the same group as well: the benchmark stops otherwise.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rustsim
from benches.bench_row import Row
from strategies.adapters.rustsim import RustSimAdapter
from strategies.base import Strategy, StrategyParams
from strategies.gateway import MarketView
from strategies.inventory_maker import InventoryMakerParams, InventoryMakerStrategy
from strategies.kernel_compile import load_kernel
from strategies.maker import MakerParams, MakerStrategy
from tests.toys.plain_maker import PlainMaker

BUILD = Path(__file__).resolve().parent.parent / "build"
LANES = 64  # parameter sets in one pass over a tape
KERNELS = BUILD / "kernels"

WAY = {"model": "constant", "mean_ns": 5_000_000}
SPEC: dict[str, Any] = {
    "latency": {"place": WAY, "cancel": WAY, "amend": WAY, "report": WAY},
    "queue": {"model": "uniform"},
}

Trader = Strategy | rustsim.Kernel | None
Maker = Callable[[RustSimAdapter], Trader]


class Idle(Strategy):
    """Does nothing, at the price of being asked."""

    def on_tick(self, view: MarketView) -> None:
        """Let it pass."""


def nobody(gateway: RustSimAdapter) -> Trader:
    """Return no strategy: the book is kept."""
    return None


def idle(gateway: RustSimAdapter) -> Trader:
    """Return a strategy that does nothing."""
    return Idle(gateway, StrategyParams())


def plain_maker(rules: Mapping[str, Any]) -> Maker:
    """Return the maker as hooks in plain Python."""
    params = MakerParams.from_mapping(rules)
    return lambda gateway: PlainMaker(gateway, params)


def interpreted_maker(rules: Mapping[str, Any]) -> Maker:
    """Return the source of the compiled maker, interpreted."""
    params = MakerParams.from_mapping(rules)
    return lambda gateway: MakerStrategy(gateway, params)


def kernel_maker(rules: Mapping[str, Any]) -> Maker:
    """Return the compiled maker."""
    code = load_kernel(MakerStrategy, KERNELS)
    params = MakerParams.from_mapping(rules)
    return lambda gateway: code.bind(MakerStrategy(gateway, params))


def kernel_inventory_maker(rules: Mapping[str, Any]) -> Maker:
    """Return the compiled maker that prices its inventory; it has timers and amends."""
    code = load_kernel(InventoryMakerStrategy, KERNELS)
    params = InventoryMakerParams.from_mapping(rules)
    return lambda gateway: code.bind(InventoryMakerStrategy(gateway, params))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Rows of a tape that are replayed from an empty book, and the same compiled."""

    tape: rustsim.Tape
    start: int
    stop: int
    compiled: rustsim.CompiledTape

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.stop - self.start


def stretch(tape: rustsim.Tape, start: int, stop: int) -> Stretch:
    """Return rows of a tape, compiled in memory."""
    compiled = rustsim.CompiledTape.of(tape, start, stop)
    return Stretch(tape=tape, start=start, stop=stop, compiled=compiled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is measured.

    Attributes:
        group: Cases with the same word give the same digests.
        is_compiled: The compiled tape is offered; `engine` of the row says whether it was taken.
    """

    name: str
    make: Maker
    group: str
    wake: str = "best"
    is_compiled: bool = False
    bar_ns: float | None = None
    peer_row: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a case."""

    ns: float
    results: tuple[rustsim.ReplayResult, ...]

    @property
    def digests(self) -> tuple[str, ...]:
        """Digests of its stretches."""
        return tuple(result.digest for result in self.results)


def run_case(case: Case, stretches: Sequence[Stretch], spec: Mapping[str, Any]) -> Run:
    """Replay the stretches, each with an exchange and a strategy of its own."""
    seconds, results = 0.0, []
    for part in stretches:
        gateway = RustSimAdapter.from_spec(spec)
        trader = case.make(gateway)
        compiled = part.compiled if case.is_compiled else None
        before = time.process_time()
        result = gateway.replay(
            part.tape, part.start, part.stop, trader, wake=case.wake, compiled=compiled
        )
        seconds += time.process_time() - before
        results.append(result)
    rows = sum(part.rows for part in stretches)
    return Run(ns=seconds * 1e9 / rows, results=tuple(results))


def run_lanes(
    makers: Sequence[Maker], stretches: Sequence[Stretch], spec: Mapping[str, Any]
) -> list[Run]:
    """Replay the compiled stretches with many traders side by side, `LANES` in one pass.

    Returns:
        A run for each; its time is the mean over all of them.
    """
    seconds = 0.0
    results: list[list[rustsim.ReplayResult]] = [[] for _ in makers]
    for first in range(0, len(makers), LANES):
        for part in stretches:
            group = makers[first : first + LANES]
            gateways = [RustSimAdapter.from_spec(spec) for _ in group]
            traders = [make(gateway) for make, gateway in zip(group, gateways, strict=True)]
            before = time.process_time()
            found = rustsim.replay_lanes(
                gateways, traders, part.tape, part.start, part.stop, compiled=part.compiled
            )
            seconds += time.process_time() - before
            for at, result in enumerate(found, first):
                results[at].append(result)
    ns = seconds * 1e9 / sum(part.rows for part in stretches) / len(makers)
    return [Run(ns=ns, results=tuple(each)) for each in results]


def check_equal(digests: Mapping[str, tuple[str, ...]], what: str) -> None:
    """Stop unless all digests are equal: a fast wrong answer scores nothing.

    Raises:
        RuntimeError: They are not.
    """
    if len(set(digests.values())) > 1:
        raise RuntimeError(f"{what}: different results: {dict(digests)}")


def facts_of(run: Run) -> dict[str, Any]:
    """Return what was replayed and what came out."""
    events = sum(result.events for result in run.results)
    total = {
        name: sum(result.metrics[name] for result in run.results)
        for name in ("orders", "cancels", "amends", "fills")
    }
    requests = total["orders"] + total["cancels"] + total["amends"]
    return {
        "events": events,
        "wakes_per_event": sum(result.wakes for result in run.results) / events,
        "orders_per_event": total["orders"] / events,
        "requests_per_event": requests / events,
        "fills": int(total["fills"]),
        "engine": "+".join(sorted({result.engine for result in run.results})),
        "digest": run.digests[0],
    }


def measure_cases(
    cases: Sequence[Case],
    stretches: Sequence[Stretch],
    spec: Mapping[str, Any],
    repeats: int,
    peers: Mapping[str, Mapping[str, Any]],
) -> list[Row]:
    """Return a row for each case.

    Args:
        cases: What is measured.
        stretches: What is replayed.
        spec: The exchange.
        repeats: Runs of each that count.
        peers: What other programs gave on the same feed, by name; see `benches.peers`.

    Raises:
        RuntimeError: Runs that must agree do not.
    """
    runs: dict[str, list[Run]] = {case.name: [] for case in cases}
    digests: dict[str, dict[str, tuple[str, ...]]] = {}
    for turn in range(repeats + 1):
        for case in cases:
            run = run_case(case, stretches, spec)
            digests.setdefault(case.group, {})[f"{case.name}, run {turn}"] = run.digests
            if turn:
                runs[case.name].append(run)
    for group, found in digests.items():
        check_equal(found, group)
    return [
        Row(
            name=case.name,
            runs=tuple(run.ns for run in runs[case.name]),
            bar=case.bar_ns,
            peers=peer_medians(peers, case.peer_row),
            facts=facts_of(runs[case.name][-1]),
        )
        for case in cases
    ]


def peer_medians(peers: Mapping[str, Mapping[str, Any]], row: str) -> dict[str, float]:
    """Return the median of each program in a row of theirs, for those that have it."""
    found = {}
    for name, peer in peers.items():
        runs = peer.get("rows", {}).get(row, {}).get("ns")
        if runs:
            found[name] = statistics.median(runs)
    return found
