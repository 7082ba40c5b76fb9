"""Efficiency of the outer loop: `make bench-sweep` prints a table, writes build/bench-sweep.json.

The objective burns a stated amount of CPU and releases the interpreter lock, as a replay does. The
first trials of a study only wait, while everything is imported and the store is made; the trials
that count come after them, in the same launch. Efficiency is objective CPU over workers times wall
time, from the start of the first counted trial until the last result is recorded, told and, with
MLflow, its run is stored and the parent run is ended.

References are Ray Tune with OptunaSearch and its MLflow callback on the same kind of machine (two
cores); they are constants here, because measuring them takes minutes and another environment.
"""

import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benches.report import Figure, show, write  # noqa: E402
from sweep.controller import run_sweep  # noqa: E402
from sweep.job import RunnerSpec, SweepJob, TrackingInfo, TrialSpec  # noqa: E402
from sweep.results import LOG_NAME, ResultLog, read_finals, read_index  # noqa: E402
from sweep.space import ChoiceSpace, FloatSpace, IntSpace, Space  # noqa: E402
from sweep.storage import Proposer  # noqa: E402

OUTPUT = ROOT / "build" / "bench-sweep.json"
WORKERS = 2
WARM_UP_TRIALS = 12
WARM_UP_S = 1.5  # of each: nine seconds on two workers
METRICS = 19  # besides objective, events and wall time of a run: 21 and more
SPACE: dict[str, Space] = {
    "half_spread": FloatSpace(low=0.5, high=8.0),
    "skew": FloatSpace(low=0.0, high=1.0),
    "latency_us": FloatSpace(low=1e3, high=4e4, log=True),
    "lots": IntSpace(low=1, high=10),
    "limit": IntSpace(low=1, high=50),
    "requote": ChoiceSpace(options=("never", "touch", "always")),
}
# (CPU seconds of a trial, counted trials, bar with MLflow, bar without, Tune with, Tune without)
SIZES = (
    (2.0, 40, 0.90, 0.90, 0.77, None),
    (0.2, 80, 0.75, 0.75, 0.39, None),
    (0.02, 300, 0.30, 0.30, 0.066, 0.28),
)
OVERHEAD_MS_MAX = 40.0
OVERHEAD_MS_TUNE = 284.0
LAUNCH_S_MAX = {"processes": 4.0, "ray": 10.0}


class Burner:
    """Burns `cpu_s` of CPU time per trial, without the interpreter lock."""

    def __init__(self, payload: dict[str, Any]) -> None:
        self._cpu_s = float(payload["cpu_s"])
        self._is_rate = bool(payload.get("is_rate"))

    def run(self, trial: TrialSpec) -> dict[str, Any]:
        if trial.number < WARM_UP_TRIALS and not self._is_rate:
            time.sleep(WARM_UP_S)
        started_s = time.thread_time()
        salt = str(sorted(trial.params.items())).encode()
        digest = hashlib.sha256(salt).digest()
        while time.thread_time() - started_s < self._cpu_s:
            # About a quarter of a millisecond.
            digest = hashlib.pbkdf2_hmac("sha256", digest, salt, 500)
        burnt_s = time.thread_time() - started_s
        objective = -((float(trial.params["skew"]) - 0.3) ** 2)
        return {
            "objective": objective,
            "metrics": {f"metric_{number:02d}": objective * number for number in range(METRICS)}
            | {"burnt_s": burnt_s},
            "digest": hashlib.sha256(salt).hexdigest()[:32],
            "events": 1,
            "engine_ns": int(burnt_s * 1e9),
        }


class Clock:
    """An observer that notes when the sweep was last heard of."""

    def __init__(self) -> None:
        self.last_unix_s = 0.0
        self.cpu_s = 0.0
        self.cpu_ready_s = 0.0

    def _note(self) -> None:
        self.last_unix_s = time.time()
        self.cpu_s = time.process_time()

    def on_start(self, job: SweepJob, recorded: Mapping[str, int]) -> None:
        self._note()

    def on_ready(self, workers: int) -> None:
        pass

    def on_trial_started(self, trial: TrialSpec) -> None:
        # What starting costs is told by the time to the first trial.
        if trial.number <= WARM_UP_TRIALS:
            self.cpu_ready_s = time.process_time()

    def on_trial_finished(self, record: Mapping[str, Any]) -> None:
        self._note()

    def on_tracking(self, info: TrackingInfo) -> None:
        pass

    def on_message(self, text: str) -> None:
        self._note()


def job_of(folder: Path, *, cpu_s: float, trials: int, backend: str, tracking: str) -> SweepJob:
    return SweepJob(
        name="bench",
        folder=folder,
        seed=1,
        trials=trials,
        space=SPACE,
        sampler="tpe" if cpu_s > 0 else "random",
        direction="maximize",
        metric="metric_01",
        runner=RunnerSpec(
            target="benches.sweep_bench:Burner", payload={"cpu_s": cpu_s, "is_rate": cpu_s == 0}
        ),
        backend=backend,  # type: ignore[arg-type] # from our own tables
        workers=WORKERS,
        address="local",
        tracking_uri=tracking,
        experiment="bench",
        attempts_max=1,
        trial_timeout_s=None,
        failures_max=1,
        constants={},
        study_text="study: bench\n",
        fingerprint="bench",
    )


def measure(folder: Path, *, cpu_s: float, trials: int, backend: str, tracking: str) -> Any:
    """Return (efficiency, driver core-ms per trial, lost core-ms per trial)."""
    settings: dict[str, Any] = {"cpu_s": cpu_s, "backend": backend, "tracking": tracking}
    clock = Clock()
    summary = run_sweep(job_of(folder, trials=WARM_UP_TRIALS + trials, **settings), clock)
    assert summary.trials["complete"] == WARM_UP_TRIALS + trials, summary
    counted = [r for r in read_finals(folder / LOG_NAME) if r["trial"] >= WARM_UP_TRIALS]
    assert len(counted) == trials
    burnt_s = sum(record["result"]["metrics"]["burnt_s"] for record in counted)
    first_unix_s = min(record["started_unix_ns"] for record in counted) / 1e9
    wall_s = clock.last_unix_s - first_unix_s
    core_s = WORKERS * wall_s
    # Writing runs is part of what the driver costs; opening the store, once a launch, is not a
    # trial's: it shows in the efficiency.
    driver_s = clock.cpu_s - clock.cpu_ready_s + summary.tracking.cpu_s
    driver_ms = 1e3 * driver_s / trials
    return burnt_s / core_s, driver_ms, 1e3 * (core_s - burnt_s) / trials


def measure_alone(folder: Path, **settings: Any) -> tuple[float, float, float]:
    """Return what `measure` finds in a process of its own, as every launch is one.

    In one process for all rows the garbage collector of the driver would walk through what the rows
    before have left.
    """
    command = [sys.executable, __file__, json.dumps({"folder": str(folder), **settings})]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1_800)
    if done.returncode != 0:
        raise RuntimeError(f"{settings} failed:\n{done.stderr[-2_000:]}")
    share, driver_ms, lost_ms = json.loads(done.stdout.splitlines()[-1])
    return share, driver_ms, lost_ms


def efficiency_figures(scratch: Path) -> list[Figure]:
    figures = []
    for cpu_s, trials, bar_with, bar_without, tune_with, tune_without in SIZES:
        for backend, tracking in (
            ("processes", "none"),
            ("processes", "embedded"),
            ("ray", "embedded"),
        ):
            folder = scratch / f"{backend}-{tracking}-{cpu_s}"
            share, driver_ms, lost_ms = measure_alone(
                folder, cpu_s=cpu_s, trials=trials, backend=backend, tracking=tracking
            )
            is_tracked = tracking == "embedded"
            words = f"{backend}, {'an MLflow run each' if is_tracked else 'no MLflow'}"
            size = f"{cpu_s:g} s" if cpu_s >= 1 else f"{1e3 * cpu_s:g} ms"
            reference = tune_with if is_tracked else tune_without
            figures.append(
                Figure(
                    name=f"efficiency {size}, {words}",
                    value=100 * share,
                    unit="%",
                    bar=100 * (bar_with if is_tracked else bar_without),
                    reference=None if reference is None else 100 * reference,
                    facts={"trials": trials, "lost_core_ms": lost_ms},
                )
            )
            if cpu_s == SIZES[-1][0]:
                figures.append(
                    Figure(
                        name=f"driver CPU per trial, {words}",
                        value=driver_ms,
                        unit="core-ms",
                        bar=OVERHEAD_MS_MAX,
                        reference=OVERHEAD_MS_TUNE if is_tracked else None,
                        higher_is_better=False,
                        facts={"trials": trials},
                    )
                )
    return figures


def launch_figures(scratch: Path, repeats: int = 3) -> list[Figure]:
    """Time from the command of a user to the first trial running; the tape exists already."""
    figures = []
    runs_dir = scratch / "launches"
    launch(runs_dir, "warm-up", "processes")
    for backend, bar in LAUNCH_S_MAX.items():
        values = []
        for repeat in range(repeats):
            name = f"{backend}-{repeat}"
            started_unix_s = time.time()
            launch(runs_dir, name, backend)
            log = runs_dir / name / LOG_NAME
            first = min(record["started_unix_ns"] for record in read_finals(log))
            values.append(first / 1e9 - started_unix_s)
        figures.append(
            Figure(
                name=f"launch to first trial running, {backend}",
                value=statistics.median(values),
                unit="s",
                bar=bar,
                higher_is_better=False,
                runs=tuple(values),
            )
        )
    return figures


def launch(runs_dir: Path, name: str, backend: str) -> None:
    settings = (f"study={name}", f"run.backend={backend}", f"run.workers={WORKERS}")
    command = [sys.executable, "-m", "sweep", "launch", str(ROOT / "experiments/quickstart.yaml")]
    for setting in (*settings, "search.trials=4"):
        command += ["--set", setting]
    subprocess.run(
        [*command, "--runs-dir", str(runs_dir)],
        check=True,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def proposal_figures(scratch: Path) -> list[Figure]:
    """Cost of one ask and tell by TPE in a study of some size, journal included."""
    figures = []
    for told, bar in ((100, 10.0), (1_000, 15.0)):
        proposer = Proposer(
            scratch / f"journal-{told}",
            name="bench",
            seed=1,
            space=SPACE,
            sampler="tpe",
            sampler_options={},
            direction="maximize",
            window=8,
        )
        draws = Proposer(
            scratch / f"draws-{told}",
            name="bench",
            seed=2,
            space=SPACE,
            sampler="random",
            sampler_options={},
            direction="maximize",
            window=told + 8,
        )
        past = [
            {"trial": trial, "state": "complete", "params": draws.ask(), "objective": trial % 97}
            for trial in range(told)
        ]
        proposer.restore(past)
        values = []
        for _ in range(30):
            started_s = time.process_time()
            proposer.tell(proposer.told, state="complete", objective=0.5)
            proposer.ask()
            proposer.flush()
            values.append(1e3 * (time.process_time() - started_s))
        figures.append(
            Figure(
                name=f"ask and tell, TPE, {told:,} trials told",
                value=statistics.median(values),
                unit="ms",
                bar=bar,
                reference={100: 29.0, 1_000: 32.0}[told],  # SQLite storage of Optuna
                higher_is_better=False,
                runs=tuple(values),
            )
        )
        proposer.close()
        draws.close()
    return figures


def rate_figures(scratch: Path) -> list[Figure]:
    trials = 600
    job = job_of(scratch / "rate", cpu_s=0.0, trials=trials, backend="processes", tracking="none")
    clock = Clock()
    run_sweep(job, clock)
    first = min(record["started_unix_ns"] for record in read_finals(job.folder / LOG_NAME))
    rate = Figure(
        name="trials that do nothing, random sampler, no MLflow",
        value=trials / (clock.last_unix_s - first / 1e9),
        unit="trials/s",
        bar=150.0,
    )
    path = scratch / "many" / "log"
    record = next(iter(read_finals(job.folder / LOG_NAME)))
    with ResultLog(path) as log:
        log.append({"kind": "study", "format": 1, "study_id": "s", "identity": {}})
        for trial in range(10_000):
            log.append({**record, "trial": trial})
        log.commit()
    started_s = time.perf_counter()
    read_index(path)
    opening = Figure(
        name="open a result log of 10,000 trials",
        value=time.perf_counter() - started_s,
        unit="s",
        bar=1.0,
        higher_is_better=False,
    )
    return [rate, opening]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-sweep-") as name:
        scratch = Path(name)
        figures = [
            *proposal_figures(scratch),
            *rate_figures(scratch),
            *launch_figures(scratch),
            *efficiency_figures(scratch),
        ]
    write(figures, OUTPUT)
    show(figures, OUTPUT)


if __name__ == "__main__":
    if len(sys.argv) > 1:  # one row of the table, asked for by `measure_alone`
        row = json.loads(sys.argv[1])
        print(json.dumps(measure(Path(row.pop("folder")), **row)))
    else:
        main()
