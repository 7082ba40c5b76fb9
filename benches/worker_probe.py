"""Processes that the benchmark starts: workers on cores of their own, and a worker that is new.

    python -m benches.worker_probe busy | fresh      # a JSON document on standard input

`busy` maps a tape, opens it compiled, says `ready`, and replays all of its parameter sets once for
every line that it reads. `fresh` imports what a worker imports and then takes the time until its
first result.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent


def busy(job: Mapping[str, Any]) -> None:
    """Replay whenever asked."""
    import rustsim
    from benches.replay_cases import Stretch, kernel_maker, run_lanes

    os.sched_setaffinity(0, {job["core"]})
    tape = rustsim.Tape.open(job["tape"])
    parts = [
        Stretch(
            tape=tape,
            start=start,
            stop=stop,
            compiled=rustsim.CompiledTape.open(path, tape),
        )
        for start, stop, path in job["parts"]
    ]
    makers = [kernel_maker(rules) for rules in job["sets"]]
    print("ready", flush=True)
    for _ in sys.stdin:
        before = time.perf_counter()
        digests = [run.digests for run in run_lanes(makers, parts, job["spec"])]
        seconds = time.perf_counter() - before
        print(json.dumps({"seconds": seconds, "digests": digests}), flush=True)


def fresh(job: Mapping[str, Any]) -> None:
    """Start as a worker does; tell how long the first result took."""
    import sweep.trial
    import sweep.worker
    from sweep.job import TrialSpec

    del sweep.trial
    os.sched_setaffinity(0, {job["core"]})
    before = time.perf_counter()
    runner = sweep.worker.load_runner(job["target"], job["payload"])
    loaded = time.perf_counter()
    result = runner.run(TrialSpec(number=0, attempt=1, params=job["params"]))
    done = time.perf_counter()
    found = {
        "seconds": done - before,
        "start_seconds": loaded - before,
        "digest": result["digest"],
        "events": result["events"],
        "is_compiler_loaded": "numba" in sys.modules,
    }
    print(json.dumps(found))


def ask(what: str, job: Mapping[str, Any]) -> dict[str, Any]:
    """Run a process to its end; return what it says last."""
    done = subprocess.run(
        [sys.executable, "-m", "benches.worker_probe", what],
        input=json.dumps(job) + "\n",
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode != 0:
        raise RuntimeError(f"a worker failed:\n{done.stderr[-2_000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class Busy:
    """A worker on a core of its own."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benches.worker_probe", "busy"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._say(json.dumps(job))
        if self._hear() != "ready":
            raise RuntimeError("a worker did not get ready")

    def start(self) -> None:
        """Let it begin."""
        self._say("go")

    def result(self) -> dict[str, Any]:
        """Wait for its end; return wall time and digests, a list per set."""
        found: dict[str, Any] = json.loads(self._hear())
        return found

    def close(self) -> None:
        """End it."""
        pipe: IO[str] | None = self._process.stdin
        if pipe is not None:
            pipe.close()
        self._process.wait(timeout=60)

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None, "the pipe was asked for"
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None, "the pipe was asked for"
        return self._process.stdout.readline().strip()


def together(workers: Sequence[Busy]) -> list[dict[str, Any]]:
    """Let workers run at the same time; return what each found."""
    for worker in workers:
        worker.start()
    return [worker.result() for worker in workers]


if __name__ == "__main__":
    {"busy": busy, "fresh": fresh}[sys.argv[1]](json.loads(sys.stdin.readline()))
