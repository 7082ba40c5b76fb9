"""Replays of this house beside other programs, on the same feed and the same core, in CPU time.

    make bench                  # this table; writes build/bench.json
    make performance-page       # the same, kept in benches/results, and docs/performance.md of it

Takes under ten minutes. hftbacktest is installed into build/ when it is first needed; FastMM and
NautilusTrader stand in the table once `make bench-peers` has installed them. Without them, or
without the recordings, rows say so.

The bars were stated for a machine on which hftbacktest replays 21.3 million events a second (47 ns
each). On another machine, or a busy one, both programs slow down alike: the column "bar here" is
the bar in proportion to hftbacktest's replay now. Without it bars count as they are.
docs/performance.md tells what each row does.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

import rustsim
from benches.bench_row import HEADS, Row, cells
from benches.feed import best_change_share, generate, write_hftbacktest, write_tape
from benches.peers import HFTBACKTEST, PEERS, run_peer, speed_of
from benches.recorded_cases import RECORDINGS, measure_recording
from benches.replay_cases import (
    BUILD,
    SPEC,
    Case,
    Run,
    Stretch,
    check_equal,
    facts_of,
    idle,
    interpreted_maker,
    kernel_inventory_maker,
    kernel_maker,
    measure_cases,
    nobody,
    plain_maker,
    run_case,
    run_lanes,
    stretch,
)
from benches.report import machine
from benches.worker_cases import (
    measure_day,
    measure_first_result,
    measure_two,
    parameter_sets,
)

# A tick behind the best price of a one-tick market, moved when it is two ticks off.
RULES: dict[str, Any] = {
    "half_spread_ticks": 1.5,
    "skew_ticks_per_lot": 0.05,
    "requote_threshold_ticks": 2,
    "position_limit_lots": 50,
}
INVENTORY_RULES: dict[str, Any] = {
    "risk_aversion": 0.01,
    "fill_decay": 1.0,
    "horizon_s": 1.0,
    "levels": 2,
    "requote_threshold_ticks": 2,
    "position_limit_lots": 50,
}
SETS = 64
SETS_BAR_NS = 1_000 / 300
SCAN_BYTES = 32


def cases() -> list[Case]:
    """Return what is replayed on the generated feed."""
    kernel, inventory = kernel_maker(RULES), kernel_inventory_maker(INVENTORY_RULES)
    plain = plain_maker(RULES)

    def case(name: str, make: Any, group: str, **options: Any) -> Case:
        return Case(name=name, make=make, group=group, **options)

    best, every = "maker, best changes", "maker, every message"
    tape = {"is_compiled": True}
    return [
        case("replay only, direct", nobody, "replay", bar_ns=1_000 / 120, peer_row="replay"),
        case("replay only", nobody, "replay", peer_row="replay", **tape),
        case("compiled maker, direct", kernel, best, bar_ns=1_000 / 75, peer_row="maker"),
        case("compiled maker", kernel, best, bar_ns=1_000 / 80, peer_row="maker", **tape),
        case("compiled maker, every message", kernel, every, wake="every", bar_ns=20.0, **tape),
        case("inventory maker, direct", inventory, "inventory maker"),
        case("inventory maker", inventory, "inventory maker", **tape),
        case("maker in plain Python", plain, best, bar_ns=50.0, **tape),
        case("maker in plain Python, direct", plain, best),
        case("compiled maker's source, interpreted", interpreted_maker(RULES), best, **tape),
        case("idle Python strategy, best changes", idle, "idle", **tape),
        case(
            "maker in plain Python, every message",
            plain,
            every,
            wake="every",
            bar_ns=400.0,
            peer_row="every",
            **tape,
        ),
        case("idle Python strategy, every message", idle, "idle, every", wake="every", **tape),
    ]


def measure_sets(part: Stretch, count: int, repeats: int) -> list[Row]:
    """Return the rows of many parameter sets over one tape: side by side, and one by one."""
    makers = [kernel_maker(rules) for rules in parameter_sets(RULES, count)]

    def one_by_one(*, is_compiled: bool) -> list[Run]:
        return [
            run_case(Case(name="set", make=make, group="", is_compiled=is_compiled), [part], SPEC)
            for make in makers
        ]

    expected = tuple(run.digests[0] for run in one_by_one(is_compiled=False))
    together, apart = [], []
    engine = ""
    for _ in range(repeats):
        lanes, singles = run_lanes(makers, [part], SPEC), one_by_one(is_compiled=True)
        for name, runs in (("side by side", lanes), ("one by one", singles)):
            digests = tuple(run.digests[0] for run in runs)
            check_equal({"direct": expected, name: digests}, "parameter sets")
        together.append(statistics.mean(run.ns for run in lanes))
        apart.append(statistics.mean(run.ns for run in singles))
        engine = facts_of(lanes[0])["engine"]
    facts = {"engine": engine, "sets": count}
    name, unit = f"{count} parameter sets over one tape", "ns/set-event"
    return [
        Row(name=name, unit=unit, runs=tuple(together), bar=SETS_BAR_NS, facts=facts),
        Row(name=f"{name}, one by one", unit=unit, runs=tuple(apart), facts=facts),
    ]


@njit  # type: ignore[untyped-decorator]
def _sum_rows(rows: Any) -> int:
    total = 0
    for at in range(rows.shape[0]):
        total += rows[at, 0] + rows[at, 1] + rows[at, 2] + rows[at, 3]
    return total


def measure_scan(rows: int, repeats: int) -> Row:
    """Return what reading 32-byte rows costs, and nothing else: the floor."""
    data = np.ones((rows, SCAN_BYTES // 8), np.int64)
    runs = []
    for turn in range(repeats + 1):
        before = time.process_time()
        if _sum_rows(data) != data.size:
            raise RuntimeError("The scan is wrong")
        if turn:
            runs.append((time.process_time() - before) * 1e9 / rows)
    return Row(name="scan of 32-byte rows (Numba loop): the floor", runs=tuple(runs))


def measure_compiling(tape: rustsim.Tape, repeats: int) -> list[Row]:
    """Return time and size of compiling a tape."""
    runs, compiled_bytes = [], 0
    for _ in range(repeats):
        before = time.process_time()
        compiled_bytes = rustsim.CompiledTape.of(tape, 0, tape.row_count).byte_count
        runs.append((time.process_time() - before) * 1e9 / tape.row_count)
    size = Path(tape.path).stat().st_size
    return [
        Row(name="compiling a tape, once for all parameters", runs=tuple(runs)),
        Row(name="compiled tape", unit="B/event", runs=(compiled_bytes / tape.row_count,)),
        Row(
            name="tape",
            unit="B/event",
            runs=(size / tape.row_count,),
            bar=16.0,
            is_scaled=False,
            peers={HFTBACKTEST.name: 64.0},
        ),
    ]


def show(document: Mapping[str, Any], rows: list[Row]) -> None:
    """Print the table."""
    here, speed = document["machine"], document["speed"]
    print(
        f"\n{here['cpu']}, {here['cores']} cores, load {here['load_1min']:.1f}, {here['commit']}, "
        f"speed {speed:.2f}; feed of {document['feed']['rows']:,} rows"
    )
    names = [name for name, peer in document["peers"].items() if "rows" in peer]
    table = [[*HEADS, *names], *(cells(row, speed, names) for row in rows)]
    widths = [max(len(line[at]) for line in table) for at in range(len(table[0]))]
    for line in table:
        texts = [line[0].ljust(widths[0])]
        texts += [text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)]
        print("  ".join(texts).rstrip())
    for row in rows:
        if row.absent:
            print(f"!!! {row.name}: not measured: {row.absent}")
    for name, peer in document["peers"].items():
        if "absent" in peer:
            print(f"!!! {name}: {peer['absent']}. To install: {peer['install']}")
    print("wakes and orders: per event; x: how many times our time the other program takes")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sets", type=int, default=SETS, help="parameter sets over one tape")
    parser.add_argument("--day-sets", type=int, default=1_000, help="over a recorded day")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, default=BUILD / "bench.json")
    given = parser.parse_args()
    began = time.monotonic()
    BUILD.mkdir(exist_ok=True)
    cores = sorted(os.sched_getaffinity(0), key=lambda core: core != given.core)
    here = machine()  # before anything is written
    feed = generate(given.rows)
    share = best_change_share(feed)
    tape_path, rows_path = BUILD / "bench.tape", BUILD / "bench.npy"
    tape_path.unlink(missing_ok=True)
    write_tape(feed, tape_path)
    write_hftbacktest(feed, rows_path)
    del feed
    peers = {
        peer.name: run_peer(
            peer,
            rows_path,
            given.core,
            given.repeats,
            given.rows,
            RULES,
            install=peer is HFTBACKTEST,
        )
        for peer in PEERS
    }
    rows_path.unlink()
    os.sched_setaffinity(0, {given.core})
    tape = rustsim.Tape.open(str(tape_path))
    part = stretch(tape, 0, tape.row_count)
    rows = measure_cases(cases(), [part], SPEC, given.repeats, peers)
    rows += measure_sets(part, given.sets, min(given.repeats, 3))
    rows.append(measure_scan(given.rows, given.repeats))
    rows += measure_compiling(tape, given.repeats)
    for recording in RECORDINGS:
        rows += measure_recording(recording, given.core, given.repeats)
    rows.append(measure_first_result(given.core, given.repeats, peers))
    os.sched_setaffinity(0, set(cores))
    rows.append(measure_two(tape, RULES, cores, given.repeats))
    rows.append(measure_day(cores[:2], given.day_sets))
    document = {
        "machine": here,
        "speed": speed_of(peers[HFTBACKTEST.name]),
        "feed": {"rows": given.rows, "best_change_share": share, "repeats": given.repeats},
        "rules": RULES,
        "peers": peers,
        "seconds": time.monotonic() - began,
        "rows": [row.document() for row in rows],
    }
    show(document, rows)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(document, indent=1) + "\n")
    print(f"{document['seconds']:.0f} s; written to {given.out}")


if __name__ == "__main__":
    main()
