"""Studies of the toy runner, for tests of the generic sweep."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sweep.job import RunnerSpec, SweepJob, TrackingInfo, TrialSpec
from sweep.results import LOG_NAME, read_finals
from sweep.space import ChoiceSpace, FloatSpace, IntSpace


class Recorder:
    """An observer that keeps what it hears."""

    def __init__(self) -> None:
        self.started: list[tuple[int, int]] = []
        self.finished: list[int] = []
        self.messages: list[str] = []
        self.recorded: dict[str, int] = {}
        self.workers = 0
        self.tracking: list[TrackingInfo] = []
        self.on_each_finish: Callable[[int], None] | None = None

    def on_start(self, job: SweepJob, recorded: Mapping[str, int]) -> None:
        self.recorded = dict(recorded)

    def on_ready(self, workers: int) -> None:
        self.workers = workers

    def on_trial_started(self, trial: TrialSpec) -> None:
        self.started.append((trial.number, trial.attempt))

    def on_trial_finished(self, record: Mapping[str, Any]) -> None:
        self.finished.append(record["trial"])
        if self.on_each_finish is not None:
            self.on_each_finish(len(self.finished))

    def on_tracking(self, info: TrackingInfo) -> None:
        self.tracking.append(info)

    def on_message(self, text: str) -> None:
        self.messages.append(text)


def toy_job(folder: Path, **changes: Any) -> SweepJob:
    """Return a study of the toy runner without tracking; every field can be changed."""
    values: dict[str, Any] = {
        "name": "toy",
        "folder": folder,
        "seed": 3,
        "trials": 30,
        "space": {
            "x": FloatSpace(low=0.0, high=1.0),
            "n": IntSpace(low=1, high=30),
            "kind": ChoiceSpace(options=("a", "b", "c")),
        },
        "sampler": "tpe",
        "direction": "maximize",
        "metric": "net_pnl",
        "runner": RunnerSpec(
            target="tests.toys.runner:ToyRunner", payload=changes.pop("payload", {})
        ),
        "backend": "inline",
        "workers": 2,
        "address": "local",
        "tracking_uri": "none",
        "experiment": "toy",
        "attempts_max": 3,
        "trial_timeout_s": None,
        "failures_max": 50,
        "constants": {"venue.commission_per_lot": 13},
        "study_text": "study: toy\n",
        "fingerprint": "f",
    }
    return SweepJob(**(values | changes))


def outcomes(folder: Path) -> dict[int, tuple[Any, ...]]:
    """Return trial -> (state, parameters, digest) of a study."""
    return {
        record["trial"]: (
            record["state"],
            record["params"],
            (record["result"] or {}).get("digest"),
        )
        for record in read_finals(folder / LOG_NAME)
    }
