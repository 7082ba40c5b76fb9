"""This exchange beside hftbacktest 2.4.4: the same feeds and orders, and every rule that differs.

    make peer-check

Two parts. (1) Random schedules in the rules that both share, on a generated feed and on a recorded
TXF day: every order must end equal in status, filled lots, price and times. Further runs leave the
shared rules one by one and count what differs. (2) The list of cases (`benches.peer_cases`), each a
small scenario that runs on both sides. Both become docs/peers.md with `--write`, and
build/peer-check.json holds everything. The exit code is 1 if anything is not as stated.

The reference runs in an environment of its own: HBT_PYTHON names its Python, otherwise one is made
under build/. The recording lies in the folder SWEEP_SHARED_DATA or ../shared/data; without it the
run says so and checks the rest.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import rustsim
from benches.feed import Feed, generate, write_hftbacktest, write_tape
from benches.peer_cases import answer_cases
from benches.peer_orders import (
    AMEND,
    CANCEL,
    COLUMNS,
    FILLED,
    PLACE,
    STATUS,
    feed_of_events,
    levels_after_prints,
    one_message_a_time,
    play_here,
    prints_first,
    random_schedule,
)
from benches.peer_page import write_page
from benches.peers import HFTBACKTEST, find_python
from benches.report import ROOT
from sweep.data import ensure_tapes
from sweep.export import export_tape
from sweep.source import SourceConfig

BUILD = ROOT / "build" / "peer"
PAGE = ROOT / "docs" / "peers.md"
SHARED = Path(os.environ.get("SWEEP_SHARED_DATA", ROOT.parent / "shared" / "data"))
RECORDING = SHARED / "taifex_l2" / "TXFD6_2026-04-09_replay_actual.parquet"
SHOWN = 5  # differing orders that are printed

QUEUES: dict[str, dict[str, Any]] = {
    "back": {"model": "back"},
    "power:1": {"model": "uniform"},
    "power:2": {"model": "power", "n": 2.0},
    "power2:2": {"model": "power2", "n": 2.0},
    "power3:3": {"model": "power3", "n": 3.0},
    "log": {"model": "log"},
    "log2": {"model": "log2"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One schedule on one feed.

    Attributes:
        feed: Name of a prepared feed.
        rule: What leaves the shared rules; empty: nothing, all orders must be equal.
    """

    feed: str
    latency_ns: int = 5_000_000
    queue: str = "back"
    rule: str = ""

    @property
    def name(self) -> str:
        """Identify files."""
        queue = self.queue.replace(":", "-")
        return f"{self.feed.replace(' ', '-')}-{self.latency_ns}-{queue}"


PLACES = "a queue that is not whole lots ahead, or a print before its level row: see the cases"
TAKES = "a print takes its lots from the book at once"
EXPLAINS = "a print explains the decrease of its own exchange time"
RUNS = (
    Run(feed="generated"),
    Run(feed="generated", latency_ns=0),
    Run(feed="generated", latency_ns=50_000_000),
    Run(feed="TXF day"),
    Run(feed="TXF day", latency_ns=50_000_000),
    Run(feed="TXF day, prints behind level rows", rule=EXPLAINS),
    Run(feed="TXF day as recorded", rule=f"{TAKES}; {EXPLAINS}"),
    Run(feed="generated, messages together", rule="messages of one time are one event"),
    *(Run(feed="generated", queue=queue, rule=PLACES) for queue in QUEUES if queue != "back"),
)


def prepare(rows: int) -> dict[str, Feed]:
    """Return the feeds by name; those of the recording only where it is."""
    together = generate(rows)
    feeds = {"generated": one_message_a_time(together), "generated, messages together": together}
    if not RECORDING.exists():
        print(f"!!! NO RECORDING at {RECORDING}: the TXF day is left out", file=sys.stderr)
        return feeds
    source = SourceConfig(reader="shioaji_parquet", instrument="TXF", paths=(RECORDING,))
    (tape,) = ensure_tapes(source, BUILD / "tapes")
    export_tape(Path(tape.path), BUILD / "txf.npz")
    recorded = feed_of_events(BUILD / "txf.npz", 1.0)
    return feeds | {
        "TXF day": levels_after_prints(prints_first(recorded)),
        "TXF day, prints behind level rows": levels_after_prints(recorded),
        "TXF day as recorded": recorded,
    }


def play_there(python: str, runs: list[Run]) -> None:
    """Let hftbacktest play all runs; each saves its outcomes."""
    jobs = [
        {
            "feed": str(BUILD / f"{run.feed}.npy"),
            "schedule": str(BUILD / f"{run.name}.schedule.npy"),
            "out": str(BUILD / f"{run.name}.there.npy"),
            "latency_ns": run.latency_ns,
            "queue": run.queue,
        }
        for run in runs
    ]
    path = BUILD / "jobs.json"
    path.write_text(json.dumps(jobs))
    script = str(ROOT / "benches" / "hftbacktest_orders.py")
    subprocess.run([python, script, "--jobs", str(path)], check=True, timeout=1_800)


def compare(
    run: Run, here: npt.NDArray[np.int64], schedule: npt.NDArray[np.void]
) -> dict[str, Any]:
    """Return the figures of a run, and print the first orders that differ without leave."""
    there = np.load(BUILD / f"{run.name}.there.npy")
    # Price and lots of a fill mean nothing for an order that has none.
    there[there[:, 1] != FILLED, 3:6] = 0
    differing = np.flatnonzero((here != there).any(axis=1))
    for index in differing[:SHOWN] if not run.rule else ():
        print(f"!!! {run.name}: here {dict(zip(COLUMNS, here[index].tolist(), strict=True))}")
        print(f"    there {there[index].tolist()}")
        print(f"    schedule {schedule[schedule['order_id'] == index + 1].tolist()}")
    ends = np.unique(here[:, 1], return_counts=True)
    return {
        "feed": run.feed,
        "latency_ms": run.latency_ns / 1e6,
        "queue": run.queue,
        "rule": run.rule,
        "orders": len(here),
        "cancels": int((schedule["action"] == CANCEL).sum()),
        "amends": int((schedule["action"] == AMEND).sum()),
        "ends": {STATUS[int(code)]: int(count) for code, count in zip(*ends, strict=True)},
        "maker_fills": int(here[:, 5].sum()),
        "differing": len(differing),
    }


def check_orders(python: str, rows: int, orders: int) -> list[dict[str, Any]]:
    """Play every run on both sides and return the figures."""
    feeds = prepare(rows)
    tapes: dict[str, rustsim.Tape] = {}
    for name, feed in feeds.items():
        path = BUILD / f"{name}.tape"
        path.unlink(missing_ok=True)
        write_tape(feed, path)
        write_hftbacktest(feed, BUILD / f"{name}.npy")
        tapes[name] = rustsim.Tape.open(str(path))
    runs = [run for run in RUNS if run.feed in feeds]
    played = []
    for number, run in enumerate(runs):
        schedule = random_schedule(feeds[run.feed], orders, run.latency_ns, seed=number)
        assert int((schedule["action"] == PLACE).sum()) == orders
        np.save(BUILD / f"{run.name}.schedule.npy", schedule)
        here = play_here(tapes[run.feed], schedule, run.latency_ns, QUEUES[run.queue])
        played.append((run, here, schedule))
    play_there(python, runs)
    figures = []
    for run, here, schedule in played:
        found = compare(run, here, schedule)
        print(f"{run.name}: {found['orders'] - found['differing']:,} of {found['orders']:,} equal")
        figures.append(found | {"rows": len(feeds[run.feed])})
    return figures


def main() -> int:
    """Run both parts, write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the generated feed")
    parser.add_argument("--orders", type=int, default=20_000, help="orders of each run")
    parser.add_argument("--write", action="store_true", help="write docs/peers.md")
    given = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    python = find_python(HFTBACKTEST, install=True)
    if python is None:
        print(
            "Make its environment by hand and name its Python:\n"
            f"  python3 -m venv hbt && hbt/bin/pip install {HFTBACKTEST.package}\n"
            "  HBT_PYTHON=hbt/bin/python make peer-check",
            file=sys.stderr,
        )
        return 1
    cases = answer_cases(python, BUILD)
    figures = check_orders(python, given.rows, given.orders)
    (ROOT / "build" / "peer-check.json").write_text(
        json.dumps({"runs": figures, "cases": cases}, indent=1)
    )
    if given.write:
        write_page(PAGE, figures, cases)
    wrong = [case["case"] for case in cases if not case["as_stated"]]
    unequal = [run for run in figures if run["differing"] and not run["rule"]]
    for name in wrong:
        print(f"!!! not as stated: {name}")
    return 1 if wrong or unequal else 0


if __name__ == "__main__":
    sys.exit(main())
