"""Trials on Ray: plain long-lived actors, one per core; the only room that names Ray.

Ray restarts an actor whose process died, but repeats no call: attempts are counted by the driver.
Messages are JSON text, as between the driver and its own processes; Ray's pickles carry nothing
of ours but text. Records released for logging ride on the next call of the actor that ran them.

`address: local` starts a cluster of this machine's own, never one that another program left
behind, with a token that exists only in this process and its children. Any other address names a
running cluster, whose token is the user's to give (RAY_AUTH_MODE, RAY_AUTH_TOKEN), and which must
have this package installed.

Known limits: a cluster that is lost as a whole ends the sweep; launching again goes on.
"""

import contextlib
import json
import logging
import os
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from sweep.child_environment import ONE_CORE, same_modules
from sweep.events import (
    IN_FLIGHT_PER_WORKER,
    Event,
    RunLogged,
    TrialLost,
    TrialReturned,
    WorkerPoolError,
    WorkerReady,
    outcome_from,
)
from sweep.job import RunnerSpec, TrialSpec
from sweep.worker import RunLogging, describe_error, load_runner, run_trial, step_back, trial_from

LOCAL: Final = "local"
# Nothing of ours goes through the object store; its smallest size starts fastest.
OBJECT_STORE_BYTES: Final = 80 * 1024 * 1024
START_TIMEOUT_S: Final = 120.0
CONNECT_TIMEOUT_S: Final = 5.0
# Calls of this group run beside a trial; all others run one after the other.
CONTROL: Final = "control"
# Pings of a restarting actor before it is given up, about a second apart.
PINGS_MAX: Final = 30
IDLE_DEATHS_MAX: Final = 3
# Ray tells of a death two seconds late; until then the attempt must not look overdue.
DEATH_NOTICE_S: Final = 4.0

_log = logging.getLogger(__name__)


class RayWorker:
    """The actor: a runner and what it may log."""

    def __init__(self, target: str, payload: str) -> None:
        """Load the runner; `payload` is JSON."""
        step_back()
        self._reason = ""
        try:
            self._runner = load_runner(target, json.loads(payload))
        except Exception as error:  # noqa: BLE001 - told to the driver, which ends the sweep
            self._reason = describe_error(error)
        self._is_recalled = False
        self._lock = threading.Lock()
        self._logged: list[dict[str, Any]] = []
        self._logging = RunLogging(self._on_logged)

    def ping(self) -> str:
        """Return, once the runner is loaded, why it could not be; empty if it could."""
        return self._reason

    def recall(self) -> None:
        """Run nothing any more; called beside a running trial."""
        self._is_recalled = True

    def run(self, order: str) -> str:
        """Log what is released, run one trial, return its outcome and what was logged."""
        message = json.loads(order)
        self._release(message["releases"])
        if self._is_recalled:
            return json.dumps({"outcome": None, "logged": self._take_logged()})
        outcome = run_trial(self._runner, trial_from(message))
        return json.dumps({"outcome": outcome, "logged": self._take_logged()})

    def flush(self, order: str) -> str:
        """Finish logging; return what was logged."""
        message = json.loads(order)
        self._release(message["releases"])
        self._logging.flush(float(message["timeout_s"]))
        return json.dumps({"logged": self._take_logged()})

    def _release(self, items: list[dict[str, Any]]) -> None:
        for item in items:
            self._logging.add(item["place"], item["record"])

    def _on_logged(self, message: dict[str, Any]) -> None:
        with self._lock:
            self._logged.append(message)

    def _take_logged(self) -> list[dict[str, Any]]:
        with self._lock:
            taken, self._logged = self._logged, []
        return taken


@dataclass(slots=True)
class _Slot:
    name: str
    actor: Any
    ping: Any  # reference of the call that tells that the actor is up; None once it is
    queue: deque[tuple[Any, TrialSpec]] = field(default_factory=deque)  # head runs
    head_since: float = 0.0  # monotonic; meaningful while the queue is not empty
    overdue: int | None = None  # trial for whose sake the actor was killed
    releases: list[dict[str, Any]] = field(default_factory=list)
    pings: int = 0


class RayExecutor:
    """Runs trials on Ray actors."""

    def __init__(
        self, runner: RunnerSpec, *, workers: int, timeout_s: float | None, address: str
    ) -> None:
        """Make an executor.

        Args:
            runner: What the actors load.
            workers: Number of actors, one core each.
            timeout_s: Time limit of one attempt.
            address: `local`, or the address of a running cluster.
        """
        self._runner = runner
        self._workers = workers
        self._timeout_s = timeout_s
        self._limit_s = None if timeout_s is None else timeout_s + DEATH_NOTICE_S
        self._address = address
        self._ray: Any = None
        self._start_error: BaseException | None = None
        self._starter: threading.Thread | None = None
        self._is_started = threading.Event()
        self._is_stopping = threading.Event()
        self._slots: list[_Slot] = []
        self._waiting: deque[TrialSpec] = deque()
        self._events: list[Event] = []
        self._ran_by: dict[int, _Slot] = {}
        self._idle_deaths = 0
        self._down_since_s: float | None = None  # monotonic; None while a worker is up

    @property
    def capacity(self) -> int:
        """Two trials for each worker."""
        return self._workers * IN_FLIGHT_PER_WORKER

    def start(self) -> None:
        """Start or join the cluster in the background: it takes seconds of waiting."""
        self._starter = threading.Thread(target=self._hold_cluster, name="ray", daemon=True)
        self._starter.start()

    def submit(self, trial: TrialSpec) -> None:
        """Queue the trial for the next worker that has room."""
        self._waiting.append(trial)
        self._dispatch()

    def next_events(self, timeout_s: float) -> list[Event]:
        """Wait for outcomes, deaths and time limits."""
        if not self._is_connected(timeout_s):
            return []
        self._dispatch()
        if not self._events:
            self._poll(timeout_s)
            self._end_overdue()
        events, self._events = self._events, []
        return events

    def release(self, place: dict[str, Any], record: dict[str, Any]) -> bool:
        """Keep the record for the next call of the actor that ran it, if that one still lives."""
        slot = self._ran_by.pop(record["trial"], None)
        if slot is None:
            return False
        slot.releases.append({"place": place, "record": record})
        return True

    def recall(self) -> None:
        """Give back what waits here, and let the actors give back what waits there."""
        self._events += [TrialReturned(trial=trial.number) for trial in self._waiting]
        self._waiting.clear()
        for slot in self._slots:
            # Not Ray's cancel: it also takes back calls that have begun.
            slot.actor.recall.options(concurrency_group=CONTROL).remote()

    def flush(self, timeout_s: float) -> None:
        """Wait until every actor has logged what was released to it."""
        order = {"timeout_s": timeout_s}
        calls = []
        for slot in self._slots:
            if slot.ping is None:
                text = json.dumps({**order, "releases": slot.releases})
                slot.releases = []
                calls.append(slot.actor.flush.remote(text))
        deadline = time.monotonic() + timeout_s
        while calls and time.monotonic() < deadline:
            done, calls = self._ray.wait(calls, timeout=max(0.0, deadline - time.monotonic()))
            for reference in done:
                # An actor that died took its releases along; the driver's sync finds them.
                with contextlib.suppress(self._ray.exceptions.RayError):
                    self._note_logged(json.loads(self._ray.get(reference)))

    def stop(self) -> None:
        """End the actors, and the cluster if it is ours."""
        if self._starter is not None:
            self._is_stopping.set()
            self._starter.join(START_TIMEOUT_S)

    # --- start ---

    def _hold_cluster(self) -> None:
        # Ray's processes die with the thread that started them (the kernel's parent-death signal
        # is about threads), so this one lives as long as the cluster does.
        self._connect()
        self._is_started.set()
        self._is_stopping.wait()
        if self._ray is not None:
            for slot in self._slots:
                self._ray.kill(slot.actor)
            self._slots.clear()
            self._ray.shutdown()

    def _connect(self) -> None:
        try:
            _check_address(self._address)
            with _environment(is_local=self._address == LOCAL):
                # Heavy, and of use only here.
                import ray

                # Ray prints deaths of workers to standard output, which is not its to use; the
                # driver tells them in its own words.
                ray._private.worker._worker_logs_enabled = False
                logging.getLogger("ray").setLevel(logging.ERROR)
                options: dict[str, Any] = {"address": self._address}
                if self._address == LOCAL:
                    options |= {
                        "num_cpus": self._workers,
                        "include_dashboard": False,
                        "object_store_memory": OBJECT_STORE_BYTES,
                    }
                else:
                    options["runtime_env"] = {"env_vars": ONE_CORE}
                ray.init(
                    log_to_driver=False, configure_logging=False, logging_level="ERROR", **options
                )
            self._ray = ray
            self._slots = [self._new_slot(f"ray-{number}") for number in range(self._workers)]
        except BaseException as error:  # noqa: BLE001 - raised again in the driver's thread
            self._start_error = error

    def _is_connected(self, timeout_s: float) -> bool:
        if not self._is_started.wait(timeout_s):
            return False
        if self._start_error is not None:
            message = (
                f"Ray cannot be used at address {self._address!r}: {self._start_error}; check the "
                "address and token, or set run.backend to processes"
            )
            raise WorkerPoolError(message) from self._start_error
        return True

    def _new_slot(self, name: str) -> _Slot:
        factory = self._ray.remote(
            num_cpus=1, max_restarts=-1, max_task_retries=0, concurrency_groups={CONTROL: 1}
        )(RayWorker)
        actor = factory.remote(self._runner.target, json.dumps(self._runner.payload))
        return _Slot(name=name, actor=actor, ping=actor.ping.remote())

    # --- the loop ---

    def _dispatch(self) -> None:
        while self._waiting:
            slots = [
                slot
                for slot in self._slots
                if slot.ping is None and len(slot.queue) < IN_FLIGHT_PER_WORKER
            ]
            if not slots:
                return
            slot = min(slots, key=lambda item: len(item.queue))
            trial = self._waiting.popleft()
            order = {
                "trial": trial.number,
                "attempt": trial.attempt,
                "params": trial.params,
                "releases": slot.releases,
            }
            slot.releases = []
            if not slot.queue:
                slot.head_since = time.monotonic()
            slot.queue.append((slot.actor.run.remote(json.dumps(order)), trial))

    def _poll(self, timeout_s: float) -> None:
        references = [slot.ping for slot in self._slots if slot.ping is not None]
        references += [reference for slot in self._slots for reference, _ in slot.queue]
        if not references:
            return
        limit = self._until_limit()
        wait_s = timeout_s if limit is None else min(timeout_s, limit)
        done, _ = self._ray.wait(references, timeout=wait_s)
        self._check_cluster()
        if not done:
            return
        done, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        finished = set(done)
        for slot in self._slots:
            if slot.ping in finished:
                self._handle_ping(slot)
            # Calls of one actor end in their order.
            for reference, trial in list(slot.queue):
                if reference in finished:
                    self._handle_call(slot, reference, trial)

    def _check_cluster(self) -> None:
        """Refuse to wait for ever for workers that have no node to come up on."""
        now_s = time.monotonic()
        if any(slot.ping is None for slot in self._slots):
            self._down_since_s = None
            return
        if self._down_since_s is None:
            self._down_since_s = now_s
        message = ""
        if not any(node["Alive"] for node in self._ray.nodes()):
            message = "The cluster has lost its last node"
        elif self._address == LOCAL and now_s - self._down_since_s > START_TIMEOUT_S:
            # Another cluster may be growing for us; this one has all it will ever have.
            message = f"No worker came up within {START_TIMEOUT_S:.0f} s"
        if message:
            raise WorkerPoolError(f"{message}; finished trials are safe, launch again to go on")

    def _handle_ping(self, slot: _Slot) -> None:
        exceptions = self._ray.exceptions
        try:
            reason = self._ray.get(slot.ping)
        except exceptions.ActorUnavailableError as error:
            slot.pings += 1
            if slot.pings >= PINGS_MAX:
                message = f"Worker {slot.name} does not come back: {error}"
                raise WorkerPoolError(message) from error
            time.sleep(1.0)
            slot.ping = slot.actor.ping.remote()
        except exceptions.RayActorError as error:
            message = f"Worker {slot.name} died while it started: {_first_lines(str(error))}"
            raise WorkerPoolError(message) from error
        else:
            if reason:
                message = f"Workers cannot load their runner {self._runner.target}: {reason}"
                raise WorkerPoolError(message)
            slot.ping = None
            slot.pings = 0
            self._events.append(WorkerReady(worker=slot.name))

    def _handle_call(self, slot: _Slot, reference: Any, trial: TrialSpec) -> None:
        exceptions = self._ray.exceptions
        if not any(item[0] is reference for item in slot.queue):
            return  # accounted for when its actor died
        try:
            answer = json.loads(self._ray.get(reference))
        except exceptions.RayActorError as error:
            self._bury(slot, error)
        except exceptions.RayError as error:
            message = f"Ray failed with trial {trial.number}: {_first_lines(str(error))}"
            raise WorkerPoolError(message) from error
        else:
            assert slot.queue[0][0] is reference, "calls of one actor end in their order"
            slot.queue.popleft()
            slot.head_since = time.monotonic()
            self._idle_deaths = 0
            self._note_logged(answer)
            if answer["outcome"] is None:
                self._events.append(TrialReturned(trial=trial.number))
                return
            self._ran_by[trial.number] = slot
            self._events.append(outcome_from(answer["outcome"], slot.name))

    def _bury(self, slot: _Slot, error: BaseException) -> None:
        """Account for every trial of a dead actor; Ray makes a new one in its place."""
        _log.info("worker ended name=%s error=%s", slot.name, error)
        head = slot.queue[0][1]
        is_blamed = slot.overdue is None or slot.overdue == head.number
        if is_blamed:
            is_timeout = slot.overdue is not None
            self._events.append(
                TrialLost(
                    trial=head.number,
                    attempt=head.attempt,
                    reason=f"timeout: no result after {self._timeout_s} s"
                    if is_timeout
                    else f"worker {slot.name} died: {type(error).__name__}",
                    is_timeout=is_timeout,
                    worker=slot.name,
                )
            )
        self._events += [
            TrialReturned(trial=item.number)
            for position, (_, item) in enumerate(slot.queue)
            if position > 0 or not is_blamed
        ]
        slot.queue.clear()
        slot.releases.clear()
        slot.overdue = None
        self._ran_by = {number: item for number, item in self._ran_by.items() if item is not slot}
        if isinstance(error, self._ray.exceptions.ActorDiedError):
            # For good: its node is gone, say.
            self._idle_deaths += 1
            if self._idle_deaths >= IDLE_DEATHS_MAX:
                message = f"Workers die for good: {_first_lines(str(error))}"
                raise WorkerPoolError(message) from error
            fresh = self._new_slot(slot.name)
            slot.actor, slot.ping = fresh.actor, fresh.ping
        else:
            slot.ping = slot.actor.ping.remote()

    def _until_limit(self) -> float | None:
        if self._limit_s is None:
            return None
        now = time.monotonic()
        left = [slot.head_since + self._limit_s - now for slot in self._running()]
        return max(0.0, min(left)) if left else None

    def _running(self) -> Iterator[_Slot]:
        return (slot for slot in self._slots if slot.queue and slot.overdue is None)

    def _end_overdue(self) -> None:
        if self._limit_s is None:
            return
        now = time.monotonic()
        for slot in self._running():
            if now - slot.head_since >= self._limit_s:
                slot.overdue = slot.queue[0][1].number
                self._ray.kill(slot.actor, no_restart=False)

    def _note_logged(self, answer: dict[str, Any]) -> None:
        self._events += [
            RunLogged(trial=item["trial"], run_id=item["run_id"], reason=item["reason"])
            for item in answer["logged"]
        ]


@contextlib.contextmanager
def _environment(*, is_local: bool) -> Iterator[None]:
    """Set what the processes of a local cluster inherit, and only them."""
    values = {"RAY_USAGE_STATS_ENABLED": "0"}
    if is_local:
        values |= {**ONE_CORE, **same_modules()}
        if "RAY_AUTH_MODE" not in os.environ:
            # Ray would write a token that anybody on this machine can read into the home folder.
            # These two stay set: calls of this process need them as long as the cluster lives.
            os.environ["RAY_AUTH_MODE"] = "token"
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def _check_address(address: str) -> None:
    """Refuse an address where nothing listens: Ray would try for a minute, then end the process."""
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if separator and port.isdigit():
        with socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S):
            pass


def _first_lines(text: str) -> str:
    return " ".join(text.split())[:500]
