"""What lives in a worker process: the runner, the trials that wait for it, the runs it may log.

A worker reads one JSON document per line from its standard input and writes one per line to what
was its standard output; prints of strategies go to standard error, which is a file of the study.
Both directions carry plain JSON, never pickles.

In:  `setup` (once), `run` (trial, attempt, params), `recall` (give back what has not started),
     `release` (record is durable: log it to the tracking server), `flush` (finish logging).
Out: `ready` or `broken` (once), `outcome`, `returned`, `logged`, `flushed`.

Trials run one after the other in the main thread. A second thread reads, so that a driver that
dies ends its workers even in the middle of a trial.
"""

import contextlib
import importlib
import json
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from typing import IO, Any, Final

from sweep.errors import InputError
from sweep.job import Runner, TrialSpec
from sweep.results import finite_or_null

# Longer reasons are cut: they are stored with every failed trial and shown in tables.
WORKER_NICENESS: Final = 5
REASON_LENGTH_MAX: Final = 2_000


def step_back() -> None:
    """Let the driver and its tracking lane go first wherever they want a core.

    They need a few milliseconds for a trial, and every worker waits for them: on a machine whose
    cores are all taken by workers, their share alone would make them the slowest part.
    """
    with contextlib.suppress(OSError):
        os.nice(WORKER_NICENESS)


def load_runner(target: str, payload: Mapping[str, Any]) -> Runner:
    """Return `target(payload)`.

    Args:
        target: `package.module:name`.
        payload: Plain JSON, as in the study's job.

    Raises:
        InputError: There is no such thing to call.
    """
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        message = f"Runner {target!r} is not of the form package.module:name"
        raise InputError(message)
    try:
        factory = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        message = f"Runner {target!r} cannot be loaded: {error}"
        raise InputError(message) from error
    runner: Runner = factory(dict(payload))
    return runner


def describe_error(error: BaseException) -> str:
    """Return one line: class, message and the innermost place, without local values."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""  # noqa: PTH119
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}{place}"[:REASON_LENGTH_MAX]


def run_trial(runner: Runner, trial: TrialSpec) -> dict[str, Any]:
    """Return the outcome of one attempt: a result, or the reason why there is none.

    The finish time is the start plus a monotonic duration: no clock step makes a trial take
    negative time.
    """
    started_unix_ns = time.time_ns()
    started_ns = time.monotonic_ns()
    result: dict[str, Any] | None = None
    reason = ""
    try:
        result = runner.run(trial)
        # An objective that is not finite must reach the check, not become null on its way.
        objective = result.get("objective")
        json.dumps(result)
        result = {**finite_or_null(result), "objective": objective}
    except KeyboardInterrupt:
        raise  # inline only: workers live in sessions of their own
    except BaseException as error:  # noqa: BLE001 - also a panic of the core ends its trial only
        result = None
        reason = describe_error(error)
    return {
        "kind": "outcome",
        "trial": trial.number,
        "attempt": trial.attempt,
        "result": result,
        "reason": reason,
        "started_unix_ns": started_unix_ns,
        "finished_unix_ns": started_unix_ns + time.monotonic_ns() - started_ns,
    }


def trial_from(message: Mapping[str, Any]) -> TrialSpec:
    """Return the trial of a `run` message."""
    return TrialSpec(
        number=int(message["trial"]), attempt=int(message["attempt"]), params=message["params"]
    )


class RunLogging:
    """Logs released records to a tracking server, in a thread of its own."""

    def __init__(self, on_logged: Callable[[dict[str, Any]], None]) -> None:
        """Make an idle logger; `on_logged` hears of each record, from the logging thread."""
        self._on_logged = on_logged
        self._condition = threading.Condition()
        self._queue: deque[tuple[dict[str, Any], dict[str, Any]]] = deque()
        self._busy = False
        self._thread: threading.Thread | None = None

    def add(self, place: dict[str, Any], record: dict[str, Any]) -> None:
        """Log `record` to `place` soon."""
        with self._condition:
            self._queue.append((place, record))
            self._condition.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="run-log", daemon=True)
                self._thread.start()

    def flush(self, timeout_s: float) -> bool:
        """Wait until nothing is left; return False if time ran out."""
        with self._condition:
            return self._condition.wait_for(
                lambda: not self._queue and not self._busy, timeout=timeout_s
            )

    def _loop(self) -> None:
        # The tracking library takes a second to import and is not needed before this point.
        from sweep.tracking import RunWriter

        writers: dict[str, RunWriter] = {}
        while True:
            with self._condition:
                self._busy = False
                self._condition.notify_all()
                self._condition.wait_for(lambda: bool(self._queue))
                place, record = self._queue.popleft()
                self._busy = True
            key = json.dumps(place, sort_keys=True)
            run_id, reason = None, ""
            try:
                if key not in writers:
                    writers[key] = RunWriter.from_json(place)
                run_id = writers[key].write(record)
            except Exception as error:  # noqa: BLE001 - the driver's sync repairs it later
                reason = describe_error(error)
            self._on_logged(
                {"kind": "logged", "trial": record["trial"], "run_id": run_id, "reason": reason}
            )


class _Worker:
    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        self._source = source
        self._sink = sink
        self._sink_lock = threading.Lock()
        self._condition = threading.Condition()
        self._waiting: deque[TrialSpec] = deque()
        self._done = False
        self._logging = RunLogging(self._send)

    def serve(self) -> None:
        setup = json.loads(self._source.readline())
        try:
            runner = load_runner(setup["target"], setup["payload"])
        except Exception as error:  # noqa: BLE001 - told to the driver, which ends the sweep
            traceback.print_exc()
            self._send({"kind": "broken", "reason": describe_error(error)})
            return
        self._send({"kind": "ready"})
        threading.Thread(target=self._read, name="orders", daemon=True).start()
        while True:
            with self._condition:
                self._condition.wait_for(lambda: bool(self._waiting) or self._done)
                if not self._waiting:
                    return
                trial = self._waiting.popleft()
            self._send(run_trial(runner, trial))

    def _read(self) -> None:
        for line in self._source:
            message = json.loads(line)
            match message["kind"]:
                case "run":
                    with self._condition:
                        self._waiting.append(trial_from(message))
                        self._condition.notify_all()
                case "recall":
                    with self._condition:
                        back = list(self._waiting)
                        self._waiting.clear()
                    self._send({"kind": "returned", "trials": [item.number for item in back]})
                case "release":
                    self._logging.add(message["place"], message["record"])
                case "flush":
                    is_done = self._logging.flush(float(message["timeout_s"]))
                    self._send({"kind": "flushed", "done": is_done})
                case "stop":
                    with self._condition:
                        self._done = True
                        self._condition.notify_all()
                    return
        # The driver is gone, and whatever runs here has nobody to report to.
        os._exit(1)

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        with self._sink_lock:
            self._sink.write(data)
            self._sink.flush()


def main() -> None:
    """Serve the driver at the other end of the standard streams."""
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # Prints of a strategy must not end up between the messages.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    step_back()
    _Worker(source, sink).serve()
    sys.stdout.flush()


if __name__ == "__main__":
    main()
