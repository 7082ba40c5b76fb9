"""The driver's lane to the tracking store: a thread, so that no trial ever waits for the store."""

import logging
import queue
import shlex
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sweep.job import SweepJob, TrackingInfo
from sweep.results import read_finals, read_record
from sweep.tracking import EMBEDDED, StudyRuns, brief, describe_study, store_uri

# Without any progress for this long the end of a sweep no longer waits for the store.
PATIENCE_S: Final = 90.0
# A store that cannot be opened is tried again after this long.
RETRY_S: Final = 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    offset: int  # of a final record in the result log: a queue of records would fill the memory
    is_logged: bool


class Tracker:
    """The driver's lane to the store: a thread that opens it and writes records."""

    def __init__(self, job: SweepJob, *, study_id: str, log_path: Path) -> None:
        """Make an idle lane; nothing is imported or opened yet."""
        self.info = TrackingInfo(uri=store_uri(job.folder, job.tracking_uri))
        self.place: dict[str, Any] | None = None  # set once workers may log
        self._job = job
        self._document = describe_study(job, study_id)
        self._log_path = log_path
        self._log_size = log_path.stat().st_size  # records before it are synced at the start
        self._orders: queue.SimpleQueue[_Order | str] = queue.SimpleQueue()
        self._news: queue.SimpleQueue[TrackingInfo | str] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_done = threading.Event()
        self._study_runs: StudyRuns | None = None
        self._next_try_s = 0.0  # monotonic; 0 until opening failed
        self._done = 0  # orders handled
        self._missed = 0  # runs that could not be written and wait for sync
        self._best: float | None = None
        self._finished = 0  # records seen, in the order of the log

    def start(self) -> None:
        """Open the store in the background."""
        self._thread = threading.Thread(target=self._loop, name="tracking", daemon=True)
        self._thread.start()

    def project(self, offset: int) -> None:
        """Write the run of the durable record at `offset` of the result log soon."""
        self._orders.put(_Order(offset=offset, is_logged=False))

    def note(self, offset: int) -> None:
        """Note on the parent run if a record is the best so far; its run is a worker's business."""
        self._orders.put(_Order(offset=offset, is_logged=True))

    @property
    def backlog(self) -> int:
        """Records that wait for the store."""
        return self._orders.qsize()

    def on_logged(self, run_id: str | None, reason: str) -> None:
        """Hear from a worker what became of a record released to it."""
        if run_id is None:
            self._missed += 1
            _log.info("run not written by worker reason=%s", reason)

    def poll(self) -> list[TrackingInfo | str]:
        """Return what the caller should hear since the last poll."""
        news: list[TrackingInfo | str] = []
        while True:
            try:
                news.append(self._news.get_nowait())
            except queue.Empty:
                return news

    def finish(self, status: str) -> None:
        """Write everything, end the parent run with `status`; wait while there is progress."""
        if self._thread is None:
            self.start()
        self._orders.put(status)
        done_before = -1
        while not self._is_done.wait(PATIENCE_S):
            if self._done == done_before:
                self._news.put(f"the tracking store takes too long; {self._advice()}")
                return
            done_before = self._done

    def _advice(self) -> str:
        runs_dir = shlex.quote(str(self._job.folder.parent))
        command = f"python -m sweep sync {self._job.name} --runs-dir {runs_dir}"
        return f"no result is lost; when the store is back, run: {command}"

    def _loop(self) -> None:
        self._try_open()
        while True:
            order = self._orders.get()
            try:
                if isinstance(order, str):
                    self._finish(order)
                    return
                if self._study_runs is None and not self._try_open():
                    self._missed += 1
                else:
                    self._write(order)
            except Exception as error:  # noqa: BLE001 - whatever the store does, trials go on
                self._missed += 1
                _log.info("tracking store failed error=%s", error)
                if isinstance(order, str):
                    self._news.put(f"tracking store failed: {brief(error)}; {self._advice()}")
                    self._is_done.set()
                    return
            self._note_progress()

    def _try_open(self) -> bool:
        if time.monotonic() < self._next_try_s:
            return False
        try:
            self._open()
        except Exception as error:  # noqa: BLE001 - as above
            _log.info("tracking store cannot be opened error=%s", error)
            if self._next_try_s == 0.0:
                self._news.put(
                    f"tracking store cannot be opened: {brief(error)}; trials go on without it"
                )
            self._next_try_s = time.monotonic() + RETRY_S
            return False
        return True

    def _open(self) -> None:
        study_runs = StudyRuns(self._job.folder, self._document)
        self.info = study_runs.info
        self._news.put(self.info)
        # Records of earlier launches; this launch's own come as orders.
        study_runs.sync(read_finals(self._log_path, end=self._log_size), self._note_progress)
        self._best, self._finished = None, 0
        for record in read_finals(self._log_path, end=self._log_size):
            self._note_best(study_runs, record)
        self._study_runs = study_runs
        if self._job.tracking_uri != EMBEDDED:
            self.place = asdict(study_runs.place)

    def _note_progress(self) -> None:
        self._done += 1

    def _write(self, order: _Order) -> None:
        assert self._study_runs is not None
        record = read_record(self._log_path, order.offset)
        if not order.is_logged:
            self._study_runs.writer.write(record)
        self._note_best(self._study_runs, record)

    def _note_best(self, study_runs: StudyRuns, record: Mapping[str, Any]) -> None:
        self._finished += 1
        if record["state"] != "complete":
            return
        sign = 1.0 if self._job.direction == "maximize" else -1.0
        value = sign * float(record["result"]["objective"])
        if self._best is None or value > self._best:
            self._best = value
            study_runs.note_best(record, self._finished)

    def _finish(self, status: str) -> None:
        if self._study_runs is None:
            self._open()
        assert self._study_runs is not None
        # Over HTTP an answer can be lost after the server acted, which only a look can tell.
        if self._missed or self._job.tracking_uri != EMBEDDED:
            report = self._study_runs.sync(read_finals(self._log_path), self._note_progress)
            _log.info("runs synced report=%s", report)
        self._study_runs.finish(status)
        self._news.put(f"compare the best runs: {self._study_runs.compare_best_url()}")
        self._is_done.set()
