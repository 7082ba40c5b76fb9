"""How much smaller the variance of a paired difference is because random draws are keyed by time.

    make paired-variance

Two neighbouring parameter sets are replayed over many replications, once with the same replication
on both sides (every message of one moment meets the same delay, every cancel the same draw) and
once with different ones, which is what seeding by trial would give. The ratio of the variances of
the difference says how many more replays the second way needs for the same certainty.

Two strategies: a fixed schedule of post-only orders at the best price, judged by the share of its
lots that fill, and the market maker, judged by its net profit; its orders depend on its fills, so
two runs drift apart and the draws help less. On a synthetic market, and on one hour of a recorded
TXF day if the recording is there (SWEEP_SHARED_DATA or ../shared/data).
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

import rustsim
from benches.report import ROOT, machine
from strategies.adapters.rustsim import RustSimAdapter
from strategies.base import Strategy, StrategyParams
from strategies.kernel_compile import LoadedKernel, load_kernel
from strategies.maker import MakerParams, MakerStrategy
from sweep.data import ensure_tapes
from sweep.readers.synthetic import SyntheticOptions
from sweep.source import SourceConfig
from sweep.synthetic import write_market_tape

BUILD = ROOT / "build"
PAGE = ROOT / "docs" / "statistics.md"
SHARED = Path(os.environ.get("SWEEP_SHARED_DATA", ROOT.parent / "shared" / "data"))
RECORDING = SHARED / "taifex_l2" / "TXFD6_2026-04-09_replay_actual.parquet"
HOUR = datetime(2026, 4, 9, 9, tzinfo=ZoneInfo("Asia/Taipei"))

SECOND = 1_000_000_000
ORDERS = 1_500
REST_NS = 5 * SECOND
BAR = 5.0
RESAMPLES = 2_000
RATIO_SHOWN_MAX = 1_000

BASE: dict[str, float] = {"latency_ms": 20.0, "n": 2.0, "half_spread": 1.0, "skew": 0.2}
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A neighbouring parameter set: one number is another."""

    name: str
    key: str
    value: float


CHANGES = (
    Change(name="queue exponent 2 to 2.2", key="n", value=2.2),
    Change(name="mean delay 20 to 22 ms", key="latency_ms", value=22.0),
    Change(name="mean delay 20 to 30 ms", key="latency_ms", value=30.0),
)
MAKER_CHANGES = (*CHANGES, Change(name="skew 0.2 to 0.25 ticks per lot", key="skew", value=0.25))


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Rows of a tape."""

    name: str
    tape: rustsim.Tape
    start: int
    stop: int


class Joining(Strategy):
    """Joins the best price at fixed times with one lot, and cancels after a fixed while."""

    def __init__(self, gateway: RustSimAdapter, times: list[int]) -> None:
        super().__init__(gateway, StrategyParams())
        self._times = times
        self._next = 0
        self._cancels: list[tuple[int, int]] = []
        self._cancelled = 0

    def on_start(self) -> None:
        """Ask for every moment of the schedule."""
        for at in self._times:
            self.gateway.set_timer(at)
            self.gateway.set_timer(at + REST_NS)

    def on_timer(self, now_ns: int) -> None:
        """Do what is due; nothing depends on what became of earlier orders."""
        cancels = self._cancels
        while self._cancelled < len(cancels) and cancels[self._cancelled][0] <= now_ns:
            self.gateway.cancel_order(cancels[self._cancelled][1])
            self._cancelled += 1
        while self._next < len(self._times) and self._times[self._next] <= now_ns:
            side = self._next % 2
            view = self.gateway.view
            price = view.best_bid_ticks if side == 0 else view.best_ask_ticks
            if price is not None:
                order = self.gateway.place_order(side, price, 1, post_only=True)
                cancels.append((now_ns + REST_NS, order))
            self._next += 1


def spec_of(parameters: dict[str, float], replication: int) -> dict[str, Any]:
    """Return the world of a parameter set."""
    way = {"model": "gamma", "mean_ns": parameters["latency_ms"] * 1e6, "cv": 0.5}
    return {
        "instrument": {"visible_levels": 5},
        "latency": {"place": way, "cancel": way, "amend": way, "report": way},
        "queue": {"model": "power", "n": parameters["n"], "mode": "sampled"},
        "seed": 7,
        "replication": replication,
    }


def schedule(market: Market, parameters: dict[str, float], replication: int) -> float:
    """Return the share of lots that fill."""
    first, last = market.tape.exch_ns(market.start), market.tape.exch_ns(market.stop - 1)
    times = np.linspace(first + SECOND, last - 2 * REST_NS, ORDERS).astype(np.int64).tolist()
    gateway = RustSimAdapter.from_spec(spec_of(parameters, replication))
    strategy = Joining(gateway, times)
    result = gateway.replay(market.tape, market.start, market.stop, strategy, wake="own")
    return result.metrics["lots"] / ORDERS


def maker(market: Market, parameters: dict[str, float], replication: int) -> float:
    """Return the net profit of the maker."""
    gateway = RustSimAdapter.from_spec(spec_of(parameters, replication))
    rules = MakerParams(
        half_spread_ticks=parameters["half_spread"],
        skew_ticks_per_lot=parameters["skew"],
        position_limit_lots=10,
    )
    strategy = maker_code().bind(MakerStrategy(gateway, rules))
    return gateway.replay(market.tape, market.start, market.stop, strategy).metrics["net_pnl"]


@cache
def maker_code() -> LoadedKernel:
    """Return the machine code of the maker."""
    return load_kernel(MakerStrategy, BUILD / "kernels")


Objective = Callable[[Market, dict[str, float], int], float]


def ratio_of(base: Values, others: Values, changed: Values) -> tuple[float, float, float]:
    """Return the variance with independent over that with keyed draws, and its 90 % interval."""
    paired, apart = changed - base, changed - others

    def ratio(index: Any) -> float:
        return float(np.var(apart[index], ddof=1) / max(np.var(paired[index], ddof=1), 1e-300))

    rng = np.random.Generator(np.random.PCG64(1))
    count = len(base)
    drawn = [ratio(rng.integers(0, count, count)) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, [0.05, 0.95])
    return ratio(slice(None)), float(low), float(high)


def measure(
    market: Market,
    name: str,
    objective: Objective,
    changes: tuple[Change, ...],
    replications: int,
) -> list[dict[str, Any]]:
    """Return one row per neighbouring parameter set."""

    def run(parameters: dict[str, float], first: int) -> Values:
        numbers = range(first, first + replications)
        return np.array([objective(market, parameters, number) for number in numbers])

    base, others = run(BASE, 0), run(BASE, replications)
    rows = []
    for change in changes:
        changed = run(BASE | {change.key: change.value}, 0)
        ratio, low, high = ratio_of(base, others, changed)
        correlation = np.corrcoef(base, changed)[0, 1] if np.ptp(base) else float("nan")
        rows.append(
            {
                "market": market.name,
                "strategy": name,
                "change": change.name,
                "replications": replications,
                "mean": float(base.mean()),
                "difference": float((changed - base).mean()),
                "sd_keyed": statistics.stdev((changed - base).tolist()),
                "sd_independent": statistics.stdev((changed - others).tolist()),
                "correlation": float(correlation),
                "ratio": ratio,
                "ratio_low": low,
                "ratio_high": high,
            }
        )
        print(
            f"{market.name}, {name}, {change.name}: {times(ratio)} times smaller "
            f"({times(low)} to {times(high)})",
            flush=True,
        )
    return rows


def markets() -> list[Market]:
    """Return the markets that can be had."""
    path = BUILD / "paired.tape"
    options = SyntheticOptions(events=60_000, seed=3)
    write_market_tape(path, "SYN", options, {})
    tape = rustsim.Tape.open(str(path))
    found = [Market(name="synthetic", tape=tape, start=0, stop=tape.row_count)]
    if not RECORDING.exists():
        print(f"!!! NO RECORDING at {RECORDING}: the TXF hour is left out", file=sys.stderr)
        return found
    source = SourceConfig(reader="shioaji_parquet", instrument="TXF", paths=(RECORDING,))
    (info,) = ensure_tapes(source, BUILD / "peer" / "tapes")
    tape = rustsim.Tape.open(str(info.path))
    from_ns = int(HOUR.timestamp()) * SECOND
    start, stop = (tape.first_row_at(from_ns + hours * 3_600 * SECOND) for hours in (0, 1))
    return [*found, Market(name="TXF, one hour", tape=tape, start=start, stop=stop)]


PAGE_TEXT = """# Statistics of a study

## What keyed draws are worth

Every random draw is a function of seed, replication, purpose and moment
([semantics.md](semantics.md) 2), never of the trial. Two parameter sets thus meet the same delays
and the same fate of cancels at the same moments, and most of the noise cancels in their
difference. The alternative, other draws for every trial, needs as many times more replays as the
variance is larger:

{table}
`{command}` at {commit}; {replications} replications; the interval is 90 %, by resampling
replications. "Schedule": {orders:,} post-only orders of one lot at the best price, cancelled
after {rest} s, judged by the share that fills; its orders are the same in all runs. "Maker": the
market maker of `strategies/maker.py`, judged by its net profit; its orders depend on its fills,
so two runs come apart and share fewer moments. World: gamma delays of {latency:g} ms mean and cv
0.5, queue model `power` with n = {n:g} in the sampled mode.

Schedule of the synthetic market: {synthetic}. The bar for neighbouring parameters is {bar:g}.
Where a row is below it, more replications or more data are needed for that comparison, and the
same draws still cost nothing.
"""


def times(ratio: float) -> str:
    """Return a ratio; differences that are nearly always zero have one without meaning."""
    return f"{ratio:.1f}" if ratio < RATIO_SHOWN_MAX else f"over {RATIO_SHOWN_MAX:,}"


def page(rows: list[dict[str, Any]], commit: str) -> str:
    """Return docs/statistics.md."""
    names = (
        "market",
        "strategy",
        "neighbour",
        "correlation",
        "sd of the difference: keyed / independent",
        "variance smaller by",
        "90 % interval",
    )
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += [
        f"| {row['market']} | {row['strategy']} | {row['change']} | {row['correlation']:.3f} "
        f"| {row['sd_keyed']:.4g} / {row['sd_independent']:.4g} | {times(row['ratio'])} "
        f"| {times(row['ratio_low'])} to {times(row['ratio_high'])} |"
        for row in rows
    ]
    met = [r for r in rows if r["strategy"] == "schedule" and r["market"] == "synthetic"]
    passed = sum(row["ratio"] >= BAR for row in met)
    counts = sorted({row["replications"] for row in rows}, reverse=True)
    return PAGE_TEXT.format(
        table="\n".join(lines) + "\n",
        command="make paired-variance",
        commit=commit,
        replications=" and ".join(map(str, counts)),
        orders=ORDERS,
        rest=REST_NS // SECOND,
        latency=BASE["latency_ms"],
        n=BASE["n"],
        synthetic=f"{passed} of {len(met)} neighbours reach the bar",
        bar=BAR,
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=100)
    parser.add_argument("--write", action="store_true", help="write docs/statistics.md")
    given = parser.parse_args()
    BUILD.mkdir(exist_ok=True)
    here = machine()  # now: the tree may change during the run
    rows = []
    for market in markets():
        rows += measure(market, "schedule", schedule, CHANGES, given.replications)
        rows += measure(market, "maker", maker, MAKER_CHANGES, given.replications // 2)
    document = {"rows": rows, "base": BASE, "changes": [asdict(c) for c in MAKER_CHANGES]}
    (BUILD / "paired-variance.json").write_text(json.dumps(document | here, indent=1))
    if given.write:
        PAGE.write_text(page(rows, here["commit"]))


if __name__ == "__main__":
    main()
