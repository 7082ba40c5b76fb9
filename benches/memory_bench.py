"""Memory of a worker: what a large tape costs it, and whether trials leave something behind.

    make bench-memory

Prints a table and writes build/bench-memory.json. Both figures are anonymous memory as Linux counts
it for a process of its own: what only that process has. Pages of a mapped tape belong to the page
cache and are shared by all workers. Memory does not depend on the speed of a machine, so the bars
count as they are.
"""

import argparse
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import rustsim  # noqa: E402
from benches.feed import generate, write_tape  # noqa: E402
from benches.report import Figure, show, write  # noqa: E402
from sweep.compiled_tapes import CompiledRows, compiled_path  # noqa: E402
from sweep.engine import COMPILED, DIRECT  # noqa: E402
from sweep.job import TrialSpec  # noqa: E402
from sweep.planning import make_plan, middle_params  # noqa: E402
from sweep.space import FloatSpace  # noqa: E402
from sweep.studyfile import load_study  # noqa: E402
from sweep.trial import CellRunner  # noqa: E402

BUILD = ROOT / "build"
FOLDER = BUILD / "bench-memory"
MB = 1e6
TAPE_BYTES = 200e6
TAPE_BAR_MB = 10.0
GROWTH_BAR_MB = 1.0
# Interpreter, allocator and caches reach their size during the first trials.
WARM_UP_TRIALS = 100
TRIALS = 1_000
STUDY = ROOT / "experiments" / "quickstart.yaml"


def anonymous_mb() -> float:
    """Return the memory that this process has alone."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return float(line.split()[1]) * 1024 / MB
    raise RuntimeError("the kernel does not say how much memory is anonymous")


def plan_of(events: int) -> dict[str, Any]:
    """Return the payload of a worker for the quickstart, and its parameter space."""
    study = load_study(STUDY, [f"data.source.generate.events={events}"])
    plan = make_plan(study, FOLDER)
    return {"payload": plan.job.runner.payload, "space": plan.job.space}


class Probe:
    """A strategy that does nothing but ask for the memory while everything is in use."""

    def __init__(self) -> None:
        self.most_mb = 0.0

    def on_end(self) -> None:
        """Note what the replay holds after its last row."""
        self.most_mb = anonymous_mb()


def hold_tape(path: str, engine: str) -> dict[str, float]:
    """Replay a whole large tape as a worker does; return what it took."""
    before_mb = anonymous_mb()
    tape = rustsim.Tape.open(path)
    compiled = CompiledRows().of(tape, 0, tape.row_count) if engine == COMPILED else None
    exchange = rustsim.SimulatedExchange(spec=json.dumps({"queue": {"model": "uniform"}}))
    probe = Probe()
    result = exchange.replay(tape, 0, tape.row_count, probe, wake="own", compiled=compiled)
    if result.events != tape.row_count or result.engine != engine:
        raise RuntimeError(f"{result.events} events of {tape.row_count} rows, {result.engine}")
    size_mb = (compiled.byte_count if compiled else Path(path).stat().st_size) / MB
    took_mb = probe.most_mb - before_mb
    return {"took_mb": took_mb, "events": result.events, "mapped_mb": size_mb}


def make_compiled(path: Path) -> Path:
    """Compile a tape, as a launch does before its workers; return the file."""
    tape = rustsim.Tape.open(str(path))
    if CompiledRows().of(tape, 0, tape.row_count) is None:
        raise RuntimeError("the tape cannot be compiled")
    return compiled_path(path, 0, tape.row_count)


def run_trials(count: int) -> dict[str, float]:
    """Run many trials with parameters of their own in one worker; return how much it grew."""
    made = plan_of(20_000)
    runner = CellRunner(made["payload"])
    dice = random.Random(1)
    settled_mb = 0.0
    fills = 0
    for number in range(count):
        params = middle_params(made["space"])
        for path, space in made["space"].items():
            if isinstance(space, FloatSpace):
                params[path] = dice.uniform(space.low, space.high)
        result = runner.run(TrialSpec(number=number, attempt=1, params=params))
        fills += int(result["ledger"]["fills"])
        if number + 1 == WARM_UP_TRIALS:
            settled_mb = anonymous_mb()
    return {"grew_mb": anonymous_mb() - settled_mb, "fills": fills, "settled_mb": settled_mb}


def in_a_worker(*arguments: str) -> dict[str, float]:
    """Run this file in a process of its own; return what it found."""
    command = [sys.executable, __file__, "--worker", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3_600)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2_000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def make_tape(tape_bytes: float) -> Path:
    """Write a tape of at least that size."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / "large.tape"
    path.unlink(missing_ok=True)
    trial_rows = 1_000_000
    write_tape(generate(trial_rows), path)
    per_row = path.stat().st_size / trial_rows
    path.unlink()
    write_tape(generate(int(tape_bytes / per_row * 1.01)), path)
    return path


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tape-mb", type=float, default=TAPE_BYTES / MB)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--worker", nargs="+", metavar="WORD", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        what, *words = given.worker
        print(json.dumps(hold_tape(*words) if what == "tape" else run_trials(int(*words))))
        return
    tape = make_tape(given.tape_mb * MB)
    size_mb = tape.stat().st_size / MB
    compiled = make_compiled(tape)
    held = {engine: in_a_worker("tape", str(tape), engine) for engine in (DIRECT, COMPILED)}
    for path in (tape, compiled):
        path.unlink()
    grown = in_a_worker("trials", str(given.trials))
    figures = [
        *(
            Figure(
                name=f"private memory for a tape of {size_mb:.0f} MB, {engine} engine",
                value=found["took_mb"],
                unit="MB",
                bar=TAPE_BAR_MB,
                higher_is_better=False,
                facts=found,
            )
            for engine, found in held.items()
        ),
        Figure(
            name=f"growth over {given.trials:,} trials",
            value=grown["grew_mb"],
            unit="MB",
            bar=GROWTH_BAR_MB,
            higher_is_better=False,
            facts=grown,
        ),
    ]
    output = BUILD / "bench-memory.json"
    show(figures, output)
    write(figures, output)


if __name__ == "__main__":
    main()
