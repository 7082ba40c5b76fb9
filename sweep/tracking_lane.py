"""The driver's lane to the tracking store: a thread, so that no trial ever waits for the store."""

import logging
import queue
import shlex
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from sweep.job import SweepJob, TrackingInfo
from sweep.results import read_finals
from sweep.tracking import EMBEDDED, StudyRuns, brief, describe_study, store_uri

FINISH_TIMEOUT_S: Final = 90.0

_log = logging.getLogger(__name__)


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
        self._orders: queue.SimpleQueue[dict[str, Any] | str] = queue.SimpleQueue()
        self._news: queue.SimpleQueue[TrackingInfo | str] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_done = threading.Event()
        self._study_runs: StudyRuns | None = None
        self._missed = 0  # runs that could not be written and wait for sync
        self._best: float | None = None
        self._finished = 0  # records seen, in the order of the log

    def start(self) -> None:
        """Open the store in the background."""
        self._thread = threading.Thread(target=self._loop, name="tracking", daemon=True)
        self._thread.start()

    def project(self, record: dict[str, Any]) -> None:
        """Write the run of a durable record soon."""
        self._orders.put(record)

    def note(self, record: dict[str, Any]) -> None:
        """Note on the parent run if a record is the best so far; its run is a worker's business."""
        self._orders.put({**record, "logged": True})

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
        """Write everything, end the parent run with `status`; wait for it, but not for ever."""
        if self._thread is None:
            self.start()
        self._orders.put(status)
        if not self._is_done.wait(FINISH_TIMEOUT_S):
            self._news.put(f"the tracking store takes too long; {self._advice()}")

    def _advice(self) -> str:
        runs_dir = shlex.quote(str(self._job.folder.parent))
        command = f"python -m sweep sync {self._job.name} --runs-dir {runs_dir}"
        return f"no result is lost; when the store is back, run: {command}"

    def _loop(self) -> None:
        while True:
            order = self._orders.get() if self._study_runs is not None else self._open_or_wait()
            try:
                if isinstance(order, str):
                    self._finish(order)
                    return
                self._write(order)
            except Exception as error:  # noqa: BLE001 - whatever the store does, trials go on
                self._missed += 1
                _log.info("tracking store failed error=%s", error)
                if isinstance(order, str):
                    self._news.put(f"tracking store failed: {brief(error)}; {self._advice()}")
                    self._is_done.set()
                    return

    def _open_or_wait(self) -> dict[str, Any] | str:
        try:
            self._open()
        except Exception as error:  # noqa: BLE001 - as above
            _log.info("tracking store cannot be opened error=%s", error)
            self._news.put(
                f"tracking store cannot be opened: {brief(error)}; trials go on without it"
            )
            # Everything up to the end is left to one last attempt.
            while True:
                order = self._orders.get()
                if isinstance(order, str):
                    self._missed += 1
                    return order
        return self._orders.get()

    def _open(self) -> None:
        study_runs = StudyRuns(self._job.folder, self._document)
        self.info = study_runs.info
        self._news.put(self.info)
        # Records of earlier launches; this launch's own come as orders.
        study_runs.sync(read_finals(self._log_path, end=self._log_size))
        for record in read_finals(self._log_path, end=self._log_size):
            self._note_best(study_runs, record)
        self._study_runs = study_runs
        if self._job.tracking_uri != EMBEDDED:
            self.place = asdict(study_runs.place)

    def _write(self, record: dict[str, Any]) -> None:
        assert self._study_runs is not None
        if not record.pop("logged", False):
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
            report = self._study_runs.sync(read_finals(self._log_path))
            _log.info("runs synced report=%s", report)
        self._study_runs.finish(status)
        self._news.put(f"compare the best runs: {self._study_runs.compare_best_url()}")
        self._is_done.set()
