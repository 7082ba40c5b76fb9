"""The driver of a sweep: ask, submit, handle one event, record, tell, project.

Order of writes: a result is durable in the result log, then it is told to the sampler, then it is
projected to the tracking store. The log alone decides what has happened; everything else can be
made again from it. A driver that is killed at any point loses nothing that was finished and runs
nothing of that again.

The order of proposals is fixed by `sweep.storage`: results wait here until the trials before them
are finished. A trial keeps its number through all its attempts; an attempt whose worker died is
repeated up to `attempts_max` times, then the trial is failed for good ("quarantined"). A runner
that raises, a result without a usable objective and an attempt over its time limit are failures at
once: a repetition would give the same.

Signals: the first SIGINT or SIGTERM lets running trials finish, the second stops at once. Both
leave the study such that launching again goes on.
"""

import logging
import signal
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final, Literal

from sweep.errors import InputError, StudyLockedError
from sweep.events import (
    Event,
    Executor,
    RunLogged,
    TrialLost,
    TrialOutcome,
    TrialReturned,
    WorkerReady,
)
from sweep.executors import make_executor
from sweep.job import Observer, SweepJob, SweepSummary, TrackingInfo, TrialSpec
from sweep.lease import Lease
from sweep.results import FORMAT_VERSION, LOG_NAME, ResultLog, read_finals
from sweep.space import space_to_json
from sweep.tracking_lane import Tracker

POLL_S: Final = 0.2  # how late a signal or a message of the tracking lane may be noticed
FLUSH_TIMEOUT_S: Final = 30.0
BACKLOG_TOLD: Final = 50  # runs still to be written at the end, from which on the user is told

_log = logging.getLogger(__name__)


class SecondSignal(KeyboardInterrupt):
    """The user wants to stop now."""


def run_sweep(job: SweepJob, observer: Observer) -> SweepSummary:
    """Start or resume a study and return its state when all trials are final, or it was stopped.

    Args:
        job: What to run.
        observer: Hears what happens, in the calling thread.

    Raises:
        StudyLockedError: Another driver has the study, or it was started with other inputs.
        InputError: The job does not make sense.
        ResourceError: Disk, workers or cluster are not usable; launching again goes on.
    """
    if job.trials < 1 or job.workers < 1 or job.attempts_max < 1:
        message = (
            f"Study {job.name}: trials {job.trials}, workers {job.workers} and attempts "
            f"{job.attempts_max} must be at least 1"
        )
        raise InputError(message)
    started_s = time.monotonic()
    job.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(Lease(job.folder))
        stop = stack.enter_context(_signals())
        log = stack.enter_context(ResultLog(job.folder / LOG_NAME))
        executor = make_executor(job)
        stack.callback(executor.stop)
        if any(number not in log.index.finals for number in range(job.trials)):
            executor.start()
        # Takes long to import; the workers load theirs meanwhile.
        from sweep.storage import check_sampler

        check_sampler(job.sampler, job.sampler_options, job.space)
        _open_study(log, job)
        driver = _Driver(job, observer, log, executor, stop)
        try:
            driver.run()
        except KeyboardInterrupt:
            # The second signal, under whatever name: Ray turns it into its plain base.
            driver.abandon()
        finally:
            driver.close()
        return driver.summary(time.monotonic() - started_s)


class StopFlag:
    """Counts the signals of this launch."""

    def __init__(self) -> None:
        self.count = 0
        self._is_interruptible = False

    def on_signal(self, *_: object) -> None:
        """Note a signal; the second one breaks a wait, but never a write."""
        self.count += 1
        if self.count >= 2 and self._is_interruptible:
            raise SecondSignal

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a second signal break the block, or prevent it if that came before."""
        self._is_interruptible = True
        try:
            if self.count >= 2:
                raise SecondSignal
            yield
        finally:
            self._is_interruptible = False


@contextmanager
def _signals() -> Iterator[StopFlag]:
    stop = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may have handlers; the caller decides then
        return
    before = {
        number: signal.signal(number, stop.on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _identity(job: SweepJob) -> dict[str, Any]:
    return {
        "name": job.name,
        "seed": job.seed,
        "space": {key: space_to_json(item) for key, item in job.space.items()},
        "sampler": job.sampler,
        "sampler_options": job.sampler_options,
        "direction": job.direction,
        "metric": job.metric,
        "window": job.window,
        "fingerprint": job.fingerprint,
    }


def _open_study(log: ResultLog, job: SweepJob) -> None:
    """Write the identity of a new study, or check that of an old one."""
    identity = _identity(job)
    study = log.index.study
    if study is not None and study["identity"] != identity and not log.index.finals:
        # Nothing to lose: most likely the first launch showed a mistake in the study file.
        log.clear()
        study = None
    if study is None:
        study = {
            "kind": "study",
            "format": FORMAT_VERSION,
            "study_id": uuid.uuid4().hex,
            "identity": identity,
        }
        log.append(study)
    else:
        changed = [key for key, value in identity.items() if study["identity"].get(key) != value]
        if changed:
            message = (
                f"{job.folder}: the study was started with other inputs (changed: "
                f"{', '.join(changed)}); give it another name, or restore the study file"
            )
            raise StudyLockedError(message)
    log.append({"kind": "driver", "fence": log.index.drivers + 1, "unix_ns": time.time_ns()})
    log.commit()


class _Driver:
    def __init__(
        self,
        job: SweepJob,
        observer: Observer,
        log: ResultLog,
        executor: Executor,
        stop: StopFlag,
    ) -> None:
        from sweep.storage import JOURNAL_NAME, Proposer, objective_error

        self.stopped: Literal["", "interrupted", "failures"] = ""
        self._job = job
        self._observer = observer
        self._log = log
        self._executor = executor
        self._stop = stop
        self._objective_error: Callable[[object], str | None] = objective_error
        self._ready: deque[TrialSpec] = deque()  # asked or returned, in order of number
        self._running: dict[int, TrialSpec] = {}
        self._past: dict[int, dict[str, Any]] = {}  # parameters of trials of earlier launches
        self._failures = 0  # of this launch
        self._workers_ready = 0
        self._is_recalled = False
        self._tracker = _make_tracker(job, log)
        self._proposer = Proposer(
            job.folder / JOURNAL_NAME,
            name=job.name,
            seed=job.seed,
            space=job.space,
            sampler=job.sampler,
            sampler_options=job.sampler_options,
            direction=job.direction,
            window=job.window,
        )

    # --- the loop ---

    def run(self) -> None:
        """Drive until every trial is final or the sweep is stopped and nothing runs."""
        self._observer.on_start(self._job, self._counts())
        if self._job.workers > self._job.window:
            self._observer.on_message(
                f"{self._job.workers} workers, but at most {self._job.window} trials run at once: "
                "a new study with a larger search.window would use them all"
            )
        self._restore()
        self._advance()
        self._submit()
        while self._running or (self._ready and not self.stopped):
            with self._stop.interruptible():
                events = self._executor.next_events(POLL_S)
            self._handle(events)
            self._check_stop()
            self._submit()
            self._report()
        self._finish()

    def _handle(self, events: list[Event]) -> None:
        finals: list[dict[str, Any]] = []
        for event in events:
            match event:
                case TrialOutcome():
                    finals += self._finals_of_outcome(event)
                case TrialLost():
                    finals += self._finals_of_loss(event)
                case TrialReturned():
                    trial = self._running.pop(event.trial)
                    self._put_back(trial)
                case WorkerReady():
                    if self._workers_ready == 0 and self._tracker is not None:
                        # Not before: opening the store takes seconds of the very cores that
                        # the workers need to start. The first trials run meanwhile.
                        self._tracker.start()
                    self._workers_ready += 1
                    if self._workers_ready == min(self._job.workers, self._executor.capacity):
                        self._observer.on_ready(self._workers_ready)
                case RunLogged():
                    if self._tracker is not None:
                        self._tracker.on_logged(event.run_id, event.reason)
        if not finals:
            return
        # Workers go on with what was asked before, while these become durable.
        self._submit()
        for record in finals:
            self._log.append(record)
        self._log.commit()
        for record in finals:
            self._after_final(record)
        self._advance()

    def _finals_of_outcome(self, event: TrialOutcome) -> list[dict[str, Any]]:
        trial = self._running.get(event.trial)
        if trial is None or trial.attempt != event.attempt:
            # The result of an attempt that was given up before; the trial lives on in another.
            _log.warning("late result dropped trial=%d attempt=%d", event.trial, event.attempt)
            return []
        del self._running[event.trial]
        reason = event.reason
        if event.result is not None:
            reason = self._objective_error(event.result.get("objective")) or ""
        return [
            {
                "kind": "trial",
                "trial": trial.number,
                "attempt": trial.attempt,
                "state": "failed" if reason or event.result is None else "complete",
                "reason": reason,
                "params": trial.params,
                "result": event.result,
                "started_unix_ns": event.started_unix_ns,
                "finished_unix_ns": event.finished_unix_ns,
                "worker": event.worker,
            }
        ]

    def _finals_of_loss(self, event: TrialLost) -> list[dict[str, Any]]:
        trial = self._running.pop(event.trial)
        self._log.append(
            {
                "kind": "lost",
                "trial": trial.number,
                "attempt": trial.attempt,
                "reason": event.reason,
            }
        )
        losses = self._log.index.lost[trial.number]
        if not event.is_timeout and losses < self._job.attempts_max:
            self._observer.on_message(
                f"trial {trial.number}: {event.reason}; it will be repeated "
                f"({losses} of {self._job.attempts_max} attempts used)"
            )
            self._put_back(self._next_attempt(trial.number, trial.params))
            return []
        reason = event.reason if event.is_timeout else f"quarantined: {event.reason}"
        now_unix_ns = time.time_ns()
        return [
            {
                "kind": "trial",
                "trial": trial.number,
                "attempt": trial.attempt,
                "state": "failed",
                "reason": reason,
                "params": trial.params,
                "result": None,
                "started_unix_ns": now_unix_ns,
                "finished_unix_ns": now_unix_ns,
                "worker": event.worker,
            }
        ]

    def _after_final(self, record: dict[str, Any]) -> None:
        if record["state"] == "failed":
            self._failures += 1
        self._observer.on_trial_finished(record)
        if self._tracker is not None:
            place = self._tracker.place
            offset = self._log.index.finals[record["trial"]].offset
            if place is not None and self._executor.release(place, record):
                self._tracker.note(offset)
            else:
                self._tracker.project(offset)

    # --- proposals ---

    def _restore(self) -> None:
        """Give the proposer the finished trials up to the first one that is not."""
        finals = self._log.index.finals
        if finals:
            self._past = {item["trial"]: item["params"] for item in read_finals(self._log.path)}
        past: list[dict[str, Any]] = []
        while len(past) in finals:
            past.append(self._told_form(len(past)))
        self._proposer.restore(past)

    def _told_form(self, number: int) -> dict[str, Any]:
        entry = self._log.index.finals[number]
        return {
            "trial": number,
            "state": entry.state,
            "objective": entry.objective,
            "params": self._past[number],
        }

    def _advance(self) -> None:
        """Ask and tell as far as the fixed order allows."""
        proposer = self._proposer
        while not self.stopped:
            if proposer.asked < min(proposer.told + proposer.window, self._job.trials):
                self._ask()
            elif proposer.told < proposer.asked and proposer.told in self._log.index.finals:
                entry = self._log.index.finals[proposer.told]
                proposer.tell(proposer.told, state=entry.state, objective=entry.objective)
            else:
                break
        proposer.flush()

    def _ask(self) -> None:
        number = self._proposer.asked
        if number in self._past:
            # Finished before one with a lower number was, and then the driver ended.
            self._proposer.replay(self._told_form(number))
            return
        params = self._proposer.ask()
        self._ready.append(self._next_attempt(number, params))

    def _next_attempt(self, number: int, params: dict[str, Any]) -> TrialSpec:
        attempt = self._log.index.attempts.get(number, 0) + 1
        return TrialSpec(number=number, attempt=attempt, params=params)

    # --- submitting and stopping ---

    def _submit(self) -> None:
        if self.stopped:
            return
        is_any = False
        while self._ready and len(self._running) < self._executor.capacity:
            trial = self._ready.popleft()
            self._log.append({"kind": "start", "trial": trial.number, "attempt": trial.attempt})
            is_any = True
            self._running[trial.number] = trial
            self._executor.submit(trial)
            self._observer.on_trial_started(trial)
        if is_any:
            self._log.commit(sync=False)

    def _put_back(self, trial: TrialSpec) -> None:
        """Queue a trial again, before those that were asked after it."""
        self._ready = deque(sorted([*self._ready, trial], key=lambda item: item.number))

    def _check_stop(self) -> None:
        if not self.stopped:
            if self._stop.count > 0:
                self.stopped = "interrupted"
                self._observer.on_message(
                    "interrupted: running trials will finish; once more to stop at once"
                )
            elif self._failures >= self._job.failures_max > 0:
                self.stopped = "failures"
                self._observer.on_message(
                    f"{self._failures} trials failed, the limit is {self._job.failures_max}: "
                    "running trials will finish"
                )
        if self.stopped and not self._is_recalled:
            self._is_recalled = True
            self._executor.recall()

    def _report(self) -> None:
        if self._tracker is not None:
            for item in self._tracker.poll():
                if isinstance(item, TrackingInfo):
                    self._observer.on_tracking(item)
                else:
                    self._observer.on_message(item)

    def _finish(self) -> None:
        self._check_stop()
        if self._tracker is None:
            return
        with self._stop.interruptible():
            self._executor.flush(FLUSH_TIMEOUT_S)
        self._handle(self._executor.next_events(0.0))
        if self._tracker.place is not None:
            # One party at a time writes runs: what workers have not written by now is the lane's.
            self._executor.stop()
        if self._tracker.backlog > BACKLOG_TOLD:
            self._observer.on_message(f"{self._tracker.backlog} runs are still being written")
        status = "KILLED" if self.stopped == "interrupted" else "FINISHED"
        with self._stop.interruptible():
            self._tracker.finish("FAILED" if self.stopped == "failures" else status)
        self._report()

    def abandon(self) -> None:
        """Forget what runs; a resume finds it in the log as started and not final."""
        self.stopped = "interrupted"
        self._running.clear()

    def close(self) -> None:
        """Give back what the driver holds besides log and workers."""
        self._proposer.close()
        if self._tracker is not None:
            self._tracker.close()

    # --- telling the caller ---

    def _counts(self) -> dict[str, int]:
        states = [entry.state for entry in self._log.index.finals.values()]
        counts = {state: states.count(state) for state in ("complete", "failed")}
        counts["running"] = len(self._running)
        counts["waiting"] = max(0, self._job.trials - len(states) - counts["running"])
        return counts

    def summary(self, wall_s: float) -> SweepSummary:
        """Return the state of the study."""
        tracking = TrackingInfo(uri=self._job.tracking_uri)
        if self._tracker is not None:
            tracking = self._tracker.info
        return SweepSummary(
            study=self._job.name,
            folder=self._job.folder,
            trials=self._counts(),
            events=sum(entry.events for entry in self._log.index.finals.values()),
            wall_s=wall_s,
            best=best_trial(self._log, self._job.direction),
            tracking=tracking,
            stopped=self.stopped,
        )


def best_trial(log: ResultLog, direction: str) -> dict[str, Any] | None:
    """Return the best complete trial; of equal ones the first."""
    sign = -1.0 if direction == "maximize" else 1.0
    entries = [entry for entry in log.index.finals.values() if entry.objective is not None]
    if not entries:
        return None
    best = min(entries, key=lambda entry: (sign * (entry.objective or 0.0), entry.trial))
    record = log.read(best.trial)
    result = record["result"]
    return {
        "trial": best.trial,
        "params": record["params"],
        "objective": best.objective,
        "metrics": result.get("metrics", {}),
        "digest": result.get("digest", ""),
    }


def _make_tracker(job: SweepJob, log: ResultLog) -> Tracker | None:
    if job.tracking_uri == "none":
        return None

    study = log.index.study
    assert study is not None
    return Tracker(job, study_id=study["study_id"], log_path=log.path)
