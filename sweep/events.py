"""What the driver and an executor say to each other: the face of an executor, and its events."""

from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from sweep.errors import ResourceError
from sweep.job import TrialSpec

# One trial runs and one waits, so that a worker does not idle while the driver writes.
IN_FLIGHT_PER_WORKER: Final = 2


class WorkerPoolError(ResourceError):
    """Workers cannot be started or kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """An attempt ended in its worker: with a result, or with the reason why there is none."""

    trial: int
    attempt: int
    result: dict[str, Any] | None
    reason: str
    started_unix_ns: int
    finished_unix_ns: int
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialLost:
    """An attempt ended with its worker; `is_timeout` if the driver ended it on purpose."""

    trial: int
    attempt: int
    reason: str
    is_timeout: bool
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialReturned:
    """A submitted attempt never started and can be submitted again."""

    trial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLogged:
    """A worker has written the run of a released record, or says why not."""

    trial: int
    run_id: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReady:
    """A worker has its runner."""

    worker: str


Event: TypeAlias = TrialOutcome | TrialLost | TrialReturned | RunLogged | WorkerReady


class Executor(Protocol):
    """Runs trials on workers."""

    @property
    def capacity(self) -> int:
        """How many trials may be submitted and not ended."""
        ...

    def start(self) -> None:
        """Begin to start the workers; trials may be submitted at once."""
        ...

    def submit(self, trial: TrialSpec) -> None:
        """Hand over a trial."""
        ...

    def next_events(self, timeout_s: float) -> list[Event]:
        """Wait for at least one event, at most `timeout_s`."""
        ...

    def release(self, place: dict[str, Any], record: dict[str, Any]) -> bool:
        """Let the worker of a durable record log it; False if there is none that could."""
        ...

    def recall(self) -> None:
        """Ask for the trials that have not started; they come back as `TrialReturned`."""
        ...

    def flush(self, timeout_s: float) -> None:
        """Let workers finish logging; what they did comes from `next_events`."""
        ...

    def stop(self) -> None:
        """End the workers at once, with whatever they run."""
        ...


def outcome_from(message: dict[str, Any], worker: str) -> TrialOutcome:
    """Return the event of a worker's `outcome` message."""
    return TrialOutcome(
        trial=message["trial"],
        attempt=message["attempt"],
        result=message["result"],
        reason=message["reason"],
        started_unix_ns=message["started_unix_ns"],
        finished_unix_ns=message["finished_unix_ns"],
        worker=worker,
    )
