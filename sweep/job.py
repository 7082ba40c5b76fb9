"""Values that pass between the front of a sweep and its engine room; they know nothing of ticks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias

from sweep.space import Scalar, Space

# Keeps eight workers busy, each with a second trial waiting.
WINDOW_DEFAULT: Final = 16

Direction: TypeAlias = Literal["maximize", "minimize"]
Backend: TypeAlias = Literal["inline", "processes", "ray"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSpec:
    """One parameter set to evaluate; `attempt` counts from 1 and fences late results."""

    number: int
    attempt: int
    params: dict[str, Scalar]


class Runner(Protocol):
    """Evaluates trials; lives in a worker for the worker's whole life."""

    def run(self, trial: TrialSpec) -> dict[str, Any]:
        """Return the result document of one trial (see docs/interfaces.md)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerSpec:
    """How a worker makes its runner: `target(payload)`, where payload is plain JSON."""

    target: str  # "package.module:name"
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepJob:
    """Everything the controller needs to start or resume one study.

    Attributes:
        folder: Folder of the study; the caller made it.
        trials: Number of trials that shall reach a final state.
        metric: Name of the objective, for tables and the tracking store.
        workers: Number of workers, at least 1.
        address: Cluster address for the ray backend; `local` starts one here.
        tracking_uri: `embedded`, `none`, or an http(s) URL.
        attempts_max: Attempts per trial before it is recorded as failed.
        trial_timeout_s: Wall time after which an attempt is stopped; None for no limit.
        failures_max: Failed trials after which the sweep stops.
        constants: Parameters that are the same in every trial, by dotted key path.
        window: Trials that may be proposed and not yet told. Proposals depend on it, so it belongs
            to the study and does not follow the number of workers; more workers than this idle.
        fingerprint: Hash over everything that shapes results; resuming needs it unchanged.
    """

    name: str
    folder: Path
    seed: int
    trials: int
    space: dict[str, Space]
    sampler: str
    sampler_options: dict[str, Any] = field(default_factory=dict)
    direction: Direction
    metric: str
    runner: RunnerSpec
    backend: Backend
    workers: int
    address: str
    tracking_uri: str
    experiment: str
    attempts_max: int
    trial_timeout_s: float | None
    failures_max: int
    constants: dict[str, Scalar]
    study_text: str
    fingerprint: str
    window: int = WINDOW_DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingInfo:
    """Where the runs of a study can be seen.

    Attributes:
        uri: The tracking store.
        experiment_id: Experiment of the runs, None until the store is open.
        parent_run_id: Run of the study itself.
        url: Address of the table of runs.
        cpu_s: CPU time of writing the runs of this launch, from the opened store on.
    """

    uri: str
    experiment_id: str | None = None
    parent_run_id: str | None = None
    url: str | None = None
    cpu_s: float = field(default=0.0, compare=False)  # two launches of one place are the same


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSummary:
    """State of a study after a launch, or as read from its folder.

    Attributes:
        trials: Count of trials by state: complete, failed, running, waiting.
        events: Market rows replayed by all recorded results.
        wall_s: Wall time of this launch; of all recorded work when read from the folder.
        best: `{"trial", "params", "metrics", "digest", "objective"}` or None.
        stopped: Empty, or why the sweep ended early: interrupted, failures.
    """

    study: str
    folder: Path
    trials: dict[str, int]
    events: int
    wall_s: float
    best: dict[str, Any] | None
    tracking: TrackingInfo
    stopped: Literal["", "interrupted", "failures"] = ""


class Observer(Protocol):
    """Hears what a sweep does; called from the controller's thread only."""

    def on_start(self, job: SweepJob, recorded: Mapping[str, int]) -> None:
        """Hear that the sweep starts; `recorded` counts trials by state from earlier launches."""
        ...

    def on_ready(self, workers: int) -> None:
        """Hear that the workers are up."""
        ...

    def on_trial_started(self, trial: TrialSpec) -> None:
        """Hear that an attempt was handed to a worker."""
        ...

    def on_trial_finished(self, record: Mapping[str, Any]) -> None:
        """Hear a stored record, complete or failed."""
        ...

    def on_tracking(self, info: TrackingInfo) -> None:
        """Hear where the runs can be seen, once the store is open."""
        ...

    def on_message(self, text: str) -> None:
        """Hear one line for the user: a retry, a slow store, an interrupt."""
        ...
