"""The process that writes runs; the driver's lane starts it as `-m sweep.tracking_process FD`.

Messages are JSON on the socket FD. In: first the setup, then `project` and `note` with the offset
of a record in the result log, at last `finish`. Out: `info` once the store is open, `news` for the
user, `done` for every order handled, `progress` while store and log are compared, `ended`.

A process of its own, because MLflow takes about 20 ms of CPU for a run: beside the driver's own
work, under one interpreter lock, that would bound a sweep to the speed of one core. It ends with
the driver, however that one ends; what is cut short is repaired by the next launch, whose process
waits for the lock of this one.
"""

import fcntl
import functools
import gc
import json
import logging
import os
import queue
import shlex
import sqlite3
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any, Final, Self

from sweep.results import read_finals, read_record
from sweep.tracking import EMBEDDED, StudyRuns, brief

LOCK_NAME: Final = ".tracking.lock"
# A store that cannot be opened is tried again after this long.
RETRY_S: Final = 30.0
PROGRESS_S: Final = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSetup:
    """What the process needs to know.

    Attributes:
        folder: Folder of the study.
        document: What `describe_study` wrote there.
        log_path: The result log.
        log_size: Records before it are compared with the store when it is opened; later ones come
            as orders.
    """

    folder: Path
    document: Mapping[str, Any]
    log_path: Path
    log_size: int

    def advice(self) -> str:
        """Return what to do when the store did not take everything."""
        runs_dir = shlex.quote(str(self.folder.parent))
        command = f"python -m sweep sync {self.document['study']} --runs-dir {runs_dir}"
        return f"no result is lost; when the store is back, run: {command}"

    def to_json(self) -> dict[str, Any]:
        """Return the setup as plain JSON."""
        paths = {"folder": str(self.folder), "log_path": str(self.log_path)}
        return {**paths, "document": dict(self.document), "log_size": self.log_size}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the setup from plain JSON."""
        return cls(
            folder=Path(values["folder"]),
            document=values["document"],
            log_path=Path(values["log_path"]),
            log_size=values["log_size"],
        )


class _Lane:
    def __init__(self, link: Connection, setup: LaneSetup) -> None:
        self._link = link
        self._setup = setup
        self._orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._study_runs: StudyRuns | None = None
        self._next_try_s = 0.0  # monotonic; 0 until opening failed
        self._told_s = 0.0  # monotonic; of the last progress
        self._open_cpu_s = 0.0  # CPU time until the store was open
        self._missed = 0  # runs that could not be written and wait for sync
        self._best: float | None = None
        self._finished = 0  # records seen, in the order of the log

    def serve(self) -> None:
        threading.Thread(target=self._receive, name="orders", daemon=True).start()
        self._try_open()
        while True:
            order = self._orders.get()
            try:
                if order["kind"] == "finish":
                    self._finish(order)
                    break
                if self._study_runs is None and not self._try_open():
                    self._missed += 1
                else:
                    self._write(order)
            except Exception as error:  # noqa: BLE001 - whatever the store does, trials go on
                self._missed += 1
                _log.info("tracking store failed error=%s", error)
                if order["kind"] == "finish":
                    self._tell(
                        "news", f"tracking store failed: {brief(error)}; {self._setup.advice()}"
                    )
                    break
            self._tell("done", None)
        self._tell("ended", time.process_time() - self._open_cpu_s)

    def _receive(self) -> None:
        try:
            while True:
                self._orders.put(json.loads(self._link.recv_bytes()))
        except (EOFError, OSError):
            # The driver is gone, and another one may wait for the store. Whatever is cut short
            # here would be cut short in the driver as well.
            os._exit(1)

    def _tell(self, kind: str, value: Any) -> None:
        self._link.send_bytes(json.dumps([kind, value]).encode())

    def _tell_progress(self) -> None:
        if time.monotonic() - self._told_s > PROGRESS_S:
            self._told_s = time.monotonic()
            self._tell("progress", None)

    def _try_open(self) -> bool:
        if time.monotonic() < self._next_try_s:
            return False
        try:
            self._open()
        except Exception as error:  # noqa: BLE001 - as above
            _log.info("tracking store cannot be opened error=%s", error)
            if self._next_try_s == 0.0:
                message = f"tracking store cannot be opened: {brief(error)}"
                self._tell("news", f"{message}; trials go on without it")
            self._next_try_s = time.monotonic() + RETRY_S
            return False
        return True

    def _open(self) -> None:
        setup = self._setup
        if setup.document["uri"] == EMBEDDED:
            _hurry_commits()
        study_runs = StudyRuns(setup.folder, setup.document)
        info = asdict(study_runs.info)
        place = None if setup.document["uri"] == EMBEDDED else asdict(study_runs.place)
        # Records of earlier launches; this launch's own come as orders.
        earlier = read_finals(setup.log_path, end=setup.log_size)
        study_runs.sync(earlier, self._tell_progress)
        self._best, self._finished = None, 0
        for record in read_finals(setup.log_path, end=setup.log_size):
            self._note_best(study_runs, record)
        self._study_runs = study_runs
        # What is there now stays, and a run leaves no cycles behind that could grow: looking
        # through it all again and again is a tenth of what a run costs.
        gc.freeze()
        gc.set_threshold(20_000, 20, 100)
        self._open_cpu_s = time.process_time()
        self._tell("info", {"info": info, "place": place})

    def _write(self, order: Mapping[str, Any]) -> None:
        assert self._study_runs is not None
        record = read_record(self._setup.log_path, order["offset"])
        if order["kind"] == "project":
            self._study_runs.writer.write(record)
        self._note_best(self._study_runs, record)

    def _note_best(self, study_runs: StudyRuns, record: Mapping[str, Any]) -> None:
        self._finished += 1
        if record["state"] != "complete":
            return
        sign = 1.0 if study_runs.place.direction == "maximize" else -1.0
        value = sign * float(record["result"]["objective"])
        if self._best is None or value > self._best:
            self._best = value
            study_runs.note_best(record, self._finished)

    def _finish(self, order: Mapping[str, Any]) -> None:
        if self._study_runs is None:
            self._open()
        assert self._study_runs is not None
        # Over HTTP an answer can be lost after the server acted, which only a look can tell.
        if self._missed or order["missed"] or self._setup.document["uri"] != EMBEDDED:
            finals = read_finals(self._setup.log_path)
            report = self._study_runs.sync(finals, self._tell_progress)
            _log.info("runs synced report=%s", report)
        self._study_runs.finish(order["status"])
        self._tell("news", f"compare the best runs: {self._study_runs.compare_best_url()}")


@functools.cache
def _hurry_commits() -> None:
    """Let the embedded store of this process not wait for the disk at every commit.

    A run takes six commits. With its write-ahead log the store stays whole whatever happens; a
    power failure can take the last runs, which `sync` makes again from the result log.
    """
    import sqlalchemy

    @sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
    def ease(connection: Any, record: Any) -> None:  # noqa: ARG001 - what the event hands over
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=NORMAL")


def _lock(folder: Path) -> IO[bytes]:
    """Wait until no process of an earlier driver writes runs; those end within milliseconds."""
    file = (folder / LOCK_NAME).open("ab")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def main() -> None:
    """Serve the driver at the other end of the socket whose descriptor is the first argument."""
    link = Connection(int(sys.argv[1]))
    setup = LaneSetup.from_json(json.loads(link.recv_bytes()))
    with _lock(setup.folder):
        _Lane(link, setup).serve()


if __name__ == "__main__":
    main()
