"""Replay and maker of this house beside hftbacktest, on the same feed, the same core, in CPU time.

    make bench

Prints a table and writes build/bench.json. The reference runs in an environment of its own, which
is made under build/ when it is first needed; HBT_PYTHON names another one. Without it there is no
reference.

What is compared: (1) a replay that only keeps the book; hftbacktest in one call, with the faster of
its two books; (2) the maker: ours in plain Python, woken when a best price changes, with 5 ms each
way and the uniform queue model; the reference in compiled Python with the same rules, by event or
every 10 ms, whichever is faster; (3) the same maker compiled, on both engines. Other rows of the
table show what wakes cost.

The bars were stated for a machine on which hftbacktest replays 21.3 million events a second (47 ns
each). On another machine, or a busy one, both programs slow down alike: the column "here" is the
bar times the speed of this machine, which is hftbacktest's replay now over that figure, and `met`
compares with it. Without hftbacktest the bars count as they are.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rustsim
from benches.feed import best_change_share, generate, write_hftbacktest, write_tape
from benches.report import ROOT, Figure, show, write
from strategies.adapters.rustsim import RustSimAdapter
from strategies.base import Strategy, StrategyParams
from strategies.gateway import MarketView
from strategies.kernel_compile import LoadedKernel, load_kernel
from strategies.maker import MakerParams, MakerStrategy
from tests.toys.plain_maker import PlainMaker

BUILD = ROOT / "build"
REFERENCE_VERSION = "2.4.4"
RULES = {"half_spread_ticks": 0.5, "skew_ticks_per_lot": 0.1, "position_limit_lots": 50}
MILLION = 1e6

REPLAY_BAR = 60.0  # million events per second
MAKER_BAR = 5.0
KERNEL_BAR = 80.0
KERNEL_EVERY_BAR = 50.0
KERNEL_DIRECT_BAR = 75.0
PEER_AT_BAR = 21.3  # hftbacktest's replay, array book, where the bars were stated

WAY = {"model": "constant", "mean_ns": 5_000_000}
SPEC: dict[str, Any] = {
    "latency": {"place": WAY, "cancel": WAY, "amend": WAY, "report": WAY},
    "queue": {"model": "uniform"},
}


class Idle(Strategy):
    """Does nothing, at the price of being asked."""

    def on_tick(self, view: MarketView) -> None:
        """Let it pass."""


def idle(gateway: RustSimAdapter) -> Strategy:
    """Return a strategy that does nothing."""
    return Idle(gateway, StrategyParams())


def maker(gateway: RustSimAdapter) -> Strategy:
    """Return the maker, hook by hook."""
    return PlainMaker(gateway, MakerParams.from_mapping(RULES))


def compiled_maker(code: LoadedKernel) -> Callable[[RustSimAdapter], rustsim.Kernel]:
    """Return what makes compiled makers."""

    def make(gateway: RustSimAdapter) -> rustsim.Kernel:
        return code.bind(MakerStrategy(gateway, MakerParams.from_mapping(RULES)))

    return make


def measure(
    tape: rustsim.Tape,
    make: Callable[[RustSimAdapter], Strategy | rustsim.Kernel] | None,
    wake: str,
    repeats: int,
    compiled: rustsim.CompiledTape | None = None,
) -> tuple[tuple[float, ...], rustsim.ReplayResult]:
    """Return million events per CPU second of each run, and the result, which all runs share."""
    rates, digests = [], set()
    for turn in range(repeats + 1):
        gateway = RustSimAdapter.from_spec(SPEC)
        strategy = make(gateway) if make else None
        before = time.process_time()
        result = gateway.replay(tape, 0, tape.row_count, strategy, wake=wake, compiled=compiled)
        seconds = time.process_time() - before
        digests.add(result.digest)
        if turn:  # the first run warms the page cache
            rates.append(result.events / seconds / MILLION)
    if len(digests) != 1:
        raise RuntimeError(f"Equal runs gave different digests: {sorted(digests)}")
    return tuple(rates), result


def reference_python() -> str | None:
    """Return a Python that has the reference installed, making its environment if need be."""
    given = os.environ.get("HBT_PYTHON")
    python = Path(given) if given else BUILD / "hftbacktest" / "bin" / "python"
    code = "import importlib.metadata as m; print(m.version('hftbacktest'))"
    try:
        if not python.exists() and not given:
            print(f"Installing hftbacktest {REFERENCE_VERSION} into build/ ...", flush=True)
            venv.create(BUILD / "hftbacktest", with_pip=True)
            package = f"hftbacktest=={REFERENCE_VERSION}"
            pip = [str(python), "-m", "pip", "install", "--quiet", package]
            subprocess.run(pip, check=True, timeout=900)
        done = subprocess.run(
            [python, "-c", code], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        print(f"!!! NO REFERENCE: hftbacktest cannot be used: {error}", file=sys.stderr)
        return None
    if done.stdout.strip() != REFERENCE_VERSION:
        found = done.stdout.strip()
        print(f"!!! the reference is hftbacktest {found}, not {REFERENCE_VERSION}", file=sys.stderr)
    return str(python)


def measure_reference(feed: Path, core: int, repeats: int) -> dict[str, Any] | None:
    """Return the reference's figures on the feed, None if it cannot be run."""
    python = reference_python()
    if python is None:
        return None
    script = ROOT / "benches" / "hftbacktest_reference.py"
    command = [python, str(script), "--feed", str(feed), "--core", str(core)]
    command += ["--repeats", str(repeats)]
    for name, value in RULES.items():
        command += ["--" + name.replace("_", "-"), str(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1_800)
    if done.returncode != 0:
        print(f"!!! NO REFERENCE: it failed:\n{done.stderr[-2_000:]}", file=sys.stderr)
        return None
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def figure(
    name: str,
    bar: float,
    measured: tuple[tuple[float, ...], rustsim.ReplayResult],
    reference: dict[str, Any] | None,
    speed: float,
) -> Figure:
    """Return one row of the table."""
    rates, result = measured
    ledger = result.ledger
    return Figure(
        name=name,
        value=statistics.median(rates),
        unit="M events/s",
        bar=bar,
        reference=reference["events_per_s"] / MILLION if reference else None,
        speed=speed,
        runs=rates,
        facts={
            "events": result.events,
            "wakes": result.wakes,
            "digest": result.digest,
            "ledger": ledger,
            "reference": reference,
        },
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, default=BUILD / "bench.json")
    given = parser.parse_args()
    BUILD.mkdir(exist_ok=True)
    feed = generate(given.rows)
    share = best_change_share(feed)
    print(f"feed: {len(feed):,} rows, a best price changes in {share:.1%} of them", flush=True)
    tape_path, rows_path = BUILD / "bench.tape", BUILD / "bench.npy"
    tape_path.unlink(missing_ok=True)
    write_tape(feed, tape_path)
    write_hftbacktest(feed, rows_path)
    del feed

    os.sched_setaffinity(0, {given.core})
    tape = rustsim.Tape.open(str(tape_path))
    replay = measure(tape, None, "best", given.repeats)
    quoting = measure(tape, maker, "best", given.repeats)
    asked = measure(tape, idle, "best", given.repeats)
    every = measure(tape, idle, "every", given.repeats)
    kernel = compiled_maker(load_kernel(MakerStrategy, BUILD / "kernels"))
    blocks = rustsim.CompiledTape.of(tape, 0, tape.row_count)
    compiled = measure(tape, kernel, "best", given.repeats, blocks)
    direct = measure(tape, kernel, "best", given.repeats)
    asked_always = measure(tape, kernel, "every", given.repeats)
    if not quoting[1].digest == compiled[1].digest == direct[1].digest:
        raise RuntimeError("The maker decides otherwise when it is compiled")
    reference = measure_reference(rows_path, given.core, given.repeats)
    by_event, by_clock = (
        reference[name] if reference else None for name in ("maker_by_event", "maker_by_clock")
    )
    fastest = max((by_event, by_clock), key=lambda run: run["events_per_s"] if run else 0.0)
    peer = reference and reference["replay"]
    speed = peer["events_per_s"] / MILLION / PEER_AT_BAR if peer else 1.0
    figures = [
        figure("replay only, book kept", REPLAY_BAR, replay, peer, speed),
        figure("maker in Python, woken on best changes", MAKER_BAR, quoting, fastest, speed),
        figure("compiled maker, tape engine, best changes", KERNEL_BAR, compiled, fastest, speed),
        figure("compiled maker, direct, best changes", KERNEL_DIRECT_BAR, direct, fastest, speed),
        figure("compiled maker, every message", KERNEL_EVERY_BAR, asked_always, fastest, speed),
        figure("idle Python strategy, woken on best changes", MAKER_BAR, asked, None, speed),
        figure("idle Python strategy, woken on every message", 2.5, every, None, speed),
    ]
    write(figures, given.out)
    show(figures, given.out)
    if reference:
        ours = quoting[1].metrics["fills"]
        print(f"fills of the maker: {ours:.0f}, reference {by_event and by_event['fills']}")
    rows_path.unlink()


if __name__ == "__main__":
    main()
