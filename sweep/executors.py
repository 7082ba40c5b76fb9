"""Executors: where trials run. Inline and processes here, Ray in a room of its own.

An executor takes trials with `submit` and tells what became of them with `next_events`; the rest
of its face starts and ends it. Whatever the executor, a trial gives the same result: workers hold
nothing but their runner.

Every worker may hold a second trial that waits, so that it never idles while the driver writes.
When a worker dies, the trial at the head of its queue is `TrialLost`; the ones behind it never
started and come back as `TrialReturned`.
"""

import contextlib
import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from sweep.child_environment import ONE_CORE, same_modules
from sweep.events import (
    IN_FLIGHT_PER_WORKER,
    Event,
    Executor,
    RunLogged,
    TrialLost,
    TrialReturned,
    WorkerPoolError,
    WorkerReady,
    outcome_from,
)
from sweep.job import Runner, RunnerSpec, SweepJob, TrialSpec
from sweep.worker import load_runner, run_trial

# Workers that die this often in a row without a trial to blame will not get better.
IDLE_DEATHS_MAX: Final = 3
LOG_TAIL_BYTES: Final = 2_000

_log = logging.getLogger(__name__)


def make_executor(job: SweepJob) -> Executor:
    """Return the executor that a job asks for, not started."""
    match job.backend:
        case "inline":
            return InlineExecutor(job.runner)
        case "processes":
            return ProcessExecutor(
                job.runner,
                workers=job.workers,
                timeout_s=job.trial_timeout_s,
                log_folder=job.folder / "logs",
            )
        case "ray":
            from sweep.executors_ray import RayExecutor

            return RayExecutor(
                job.runner,
                workers=job.workers,
                timeout_s=job.trial_timeout_s,
                address=job.address,
            )


class InlineExecutor:
    """Runs trials in the calling thread, one by one.

    Known limits: no time limit, and a crash takes the driver with it (a resume copes).
    """

    def __init__(self, runner: RunnerSpec) -> None:
        """Make an executor; the runner is loaded by the first `next_events`."""
        self._spec = runner
        self._runner: Runner | None = None
        self._waiting: deque[TrialSpec] = deque()
        self._events: list[Event] = []

    @property
    def capacity(self) -> int:
        """One trial runs, none waits: the caller's thread is the worker."""
        return 1

    def start(self) -> None:
        """Do nothing: the runner is loaded when it is needed."""

    def submit(self, trial: TrialSpec) -> None:
        """Queue a trial."""
        self._waiting.append(trial)

    def next_events(self, timeout_s: float) -> list[Event]:  # noqa: ARG002 - a trial takes its time
        """Run one trial."""
        events, self._events = self._events, []
        if self._runner is None:
            self._runner = load_runner(self._spec.target, self._spec.payload)
            events.append(WorkerReady(worker="inline"))
        if not events and self._waiting:
            trial = self._waiting.popleft()
            # The runner must get what a worker would get: plain JSON values.
            events.append(outcome_from(run_trial(self._runner, trial), "inline"))
        return events

    def release(self, place: dict[str, Any], record: dict[str, Any]) -> bool:  # noqa: ARG002
        """Return False: the driver logs."""
        return False

    def recall(self) -> None:
        """Give back what waits."""
        self._events += [TrialReturned(trial=trial.number) for trial in self._waiting]
        self._waiting.clear()

    def flush(self, timeout_s: float) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Forget what waits."""
        self._waiting.clear()


@dataclass(slots=True)
class _Slot:
    name: str
    process: subprocess.Popen[bytes]
    log_path: Path
    queue: deque[TrialSpec] = field(default_factory=deque)  # head runs, the others wait
    head_since: float = 0.0  # monotonic; meaningful while ready and the queue is not empty
    is_ready: bool = False
    overdue: int | None = None  # trial for whose sake the process was killed
    is_flushed: bool = True
    buffer: bytearray = field(default_factory=bytearray)

    @property
    def sink(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin

    @property
    def source(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout


class ProcessExecutor:
    """Runs trials in long-lived processes on this machine; see `sweep.worker` for the messages."""

    def __init__(
        self, runner: RunnerSpec, *, workers: int, timeout_s: float | None, log_folder: Path
    ) -> None:
        """Make an executor.

        Args:
            runner: What the workers load.
            workers: Number of processes.
            timeout_s: Time limit of one attempt.
            log_folder: Where the workers' standard error goes, one file each.
        """
        self._runner = runner
        self._workers = workers
        self._timeout_s = timeout_s
        self._log_folder = log_folder
        self._slots: dict[str, _Slot] = {}
        self._selector = selectors.DefaultSelector()
        self._events: list[Event] = []
        self._ran_by: dict[int, str] = {}  # trial -> worker, until released
        self._idle_deaths = 0

    @property
    def capacity(self) -> int:
        """Two trials for each worker."""
        return self._workers * IN_FLIGHT_PER_WORKER

    def start(self) -> None:
        """Start all processes; they load the runner while the driver goes on."""
        try:
            self._log_folder.mkdir(parents=True, exist_ok=True)
            for number in range(self._workers):
                self._start_slot(f"process-{number}")
        except OSError as error:
            message = f"Workers cannot be started: {error}"
            raise WorkerPoolError(message) from error

    def submit(self, trial: TrialSpec) -> None:
        """Give the trial to the worker with the shortest queue."""
        slot = min(self._slots.values(), key=lambda item: len(item.queue))
        if not slot.queue:
            slot.head_since = time.monotonic()
        slot.queue.append(trial)
        self._send(
            slot,
            {
                "kind": "run",
                "trial": trial.number,
                "attempt": trial.attempt,
                "params": trial.params,
            },
        )

    def next_events(self, timeout_s: float) -> list[Event]:
        """Wait for messages, deaths and time limits."""
        if not self._events:
            limit = self._until_limit()
            for key, _ in self._selector.select(
                timeout_s if limit is None else min(timeout_s, limit)
            ):
                self._read(self._slots[key.data])
            self._end_overdue()
        events, self._events = self._events, []
        return events

    def release(self, place: dict[str, Any], record: dict[str, Any]) -> bool:
        """Send the record to the worker that ran it, if that one still lives."""
        slot = self._slots.get(self._ran_by.pop(record["trial"], ""))
        if slot is None or not slot.is_ready:
            return False
        self._send(slot, {"kind": "release", "place": place, "record": record})
        return True

    def recall(self) -> None:
        """Ask every worker for what it has not started."""
        for slot in self._slots.values():
            self._send(slot, {"kind": "recall"})

    def flush(self, timeout_s: float) -> None:
        """Wait until every worker has logged what was released to it."""
        deadline = time.monotonic() + timeout_s
        for slot in self._slots.values():
            if slot.is_ready:
                slot.is_flushed = False
                self._send(slot, {"kind": "flush", "timeout_s": timeout_s})
        while not all(slot.is_flushed for slot in self._slots.values()):
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return
            for key, _ in self._selector.select(left_s):
                self._read(self._slots[key.data])

    def stop(self) -> None:
        """Kill every worker and wait for it; their results are with the driver by now."""
        for slot in self._slots.values():
            slot.process.kill()
        for slot in self._slots.values():
            self._close(slot)
        self._slots.clear()
        self._selector.close()

    def _start_slot(self, name: str) -> None:
        log_path = self._log_folder / f"{name}.log"
        with log_path.open("ab") as log_file:
            process = subprocess.Popen(
                [sys.executable, "-m", "sweep.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log_file,
                env={**os.environ, **same_modules(), **ONE_CORE},
                # Ctrl-C is for the driver: it decides what becomes of running trials.
                start_new_session=True,
            )
        slot = _Slot(name=name, process=process, log_path=log_path)
        self._slots[name] = slot
        self._selector.register(slot.source, selectors.EVENT_READ, name)
        self._send(slot, {"target": self._runner.target, "payload": self._runner.payload})

    def _send(self, slot: _Slot, message: dict[str, Any]) -> None:
        data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        # A dead worker shows at its other pipe, where its trials are accounted for.
        with contextlib.suppress(BrokenPipeError):
            slot.sink.write(data)
            slot.sink.flush()

    def _read(self, slot: _Slot) -> None:
        data = os.read(slot.source.fileno(), 1 << 20)
        if not data:
            self._bury(slot)
            return
        slot.buffer += data
        *lines, rest = bytes(slot.buffer).split(b"\n")
        slot.buffer = bytearray(rest)
        for line in lines:
            self._handle(slot, json.loads(line))

    def _handle(self, slot: _Slot, message: dict[str, Any]) -> None:
        match message["kind"]:
            case "ready":
                slot.is_ready = True
                slot.head_since = time.monotonic()
                self._events.append(WorkerReady(worker=slot.name))
            case "broken":
                text = f"Workers cannot load their runner {self._runner.target}: "
                raise WorkerPoolError(f"{text}{message['reason']}; see {slot.log_path}")
            case "outcome":
                self._idle_deaths = 0
                head = slot.queue.popleft()
                assert head.number == message["trial"], (head, message["trial"])
                slot.head_since = time.monotonic()
                self._ran_by[head.number] = slot.name
                self._events.append(outcome_from(message, slot.name))
            case "returned":
                numbers = set(message["trials"])
                slot.queue = deque(item for item in slot.queue if item.number not in numbers)
                self._events += [TrialReturned(trial=number) for number in sorted(numbers)]
            case "logged":
                self._events.append(
                    RunLogged(
                        trial=message["trial"], run_id=message["run_id"], reason=message["reason"]
                    )
                )
            case "flushed":
                slot.is_flushed = True

    def _until_limit(self) -> float | None:
        if self._timeout_s is None:
            return None
        now = time.monotonic()
        left = [slot.head_since + self._timeout_s - now for slot in self._running()]
        return max(0.0, min(left)) if left else None

    def _running(self) -> Iterator[_Slot]:
        return (
            slot
            for slot in self._slots.values()
            if slot.is_ready and slot.queue and slot.overdue is None
        )

    def _end_overdue(self) -> None:
        if self._timeout_s is None:
            return
        now = time.monotonic()
        for slot in self._running():
            if now - slot.head_since >= self._timeout_s:
                slot.overdue = slot.queue[0].number
                # What it wrote before it died is read first, then the end of the pipe.
                slot.process.kill()

    def _bury(self, slot: _Slot) -> None:
        slot.process.kill()
        code = slot.process.wait()
        self._close(slot)
        reason = f"worker {slot.name} {_describe_exit(code)}"
        _log.info("worker ended name=%s reason=%s queue=%d", slot.name, reason, len(slot.queue))
        was_running = slot.is_ready and bool(slot.queue)
        if not was_running:
            self._idle_deaths += 1
            if self._idle_deaths >= IDLE_DEATHS_MAX:
                message = f"Workers die without a trial: {reason}; last words: "
                raise WorkerPoolError(message + _tail(slot.log_path))
        for position, trial in enumerate(slot.queue):
            self._events.append(
                self._lost(slot, trial, reason)
                if position == 0 and was_running
                else TrialReturned(trial=trial.number)
            )
        self._ran_by = {trial: name for trial, name in self._ran_by.items() if name != slot.name}
        self._start_slot(slot.name)

    def _lost(self, slot: _Slot, trial: TrialSpec, reason: str) -> Event:
        if slot.overdue is not None and slot.overdue != trial.number:
            # The overdue trial ended after all; this one had barely begun.
            return TrialReturned(trial=trial.number)
        is_timeout = slot.overdue is not None
        return TrialLost(
            trial=trial.number,
            attempt=trial.attempt,
            reason=f"timeout: no result after {self._timeout_s} s" if is_timeout else reason,
            is_timeout=is_timeout,
            worker=slot.name,
        )

    def _close(self, slot: _Slot) -> None:
        self._selector.unregister(slot.source)
        slot.process.wait()
        slot.source.close()
        with contextlib.suppress(BrokenPipeError):
            slot.sink.close()


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
        return file.read().decode(errors="replace").strip() or "(none)"
