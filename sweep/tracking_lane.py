"""The driver's lane to the tracking store: a process that writes runs, so that no trial waits."""

import contextlib
import dataclasses
import json
import logging
import os
import subprocess
import sys
import time
from collections import deque
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, Final

from sweep.child_environment import same_modules
from sweep.job import SweepJob, TrackingInfo
from sweep.tracking import describe_study, store_uri
from sweep.tracking_process import RETRY_S, LaneSetup

# Without any progress for this long the end of a sweep no longer waits for the store.
PATIENCE_S: Final = 90.0
# Orders on their way at once: so few that sending one never waits for the other side.
ON_THE_WAY_MAX: Final = 256
# A process that dies at the end of a sweep is started again this often.
FINAL_STARTS: Final = 2
EXIT_TIMEOUT_S: Final = 5.0

_log = logging.getLogger(__name__)


class Tracker:
    """The driver's end of the lane; every method returns at once, but for `finish`."""

    def __init__(self, job: SweepJob, *, study_id: str, log_path: Path) -> None:
        """Make an idle lane; nothing is started yet."""
        self.info = TrackingInfo(uri=store_uri(job.folder, job.tracking_uri))
        self.place: dict[str, Any] | None = None  # set once workers may log
        self._setup = LaneSetup(
            folder=job.folder,
            document=describe_study(job, study_id),
            log_path=log_path,
            log_size=log_path.stat().st_size,
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._link: Connection | None = None
        self._next_start_s = 0.0  # monotonic; of a process that died
        self._orders: deque[dict[str, Any]] = deque()  # not sent yet
        self._on_the_way = 0  # sent and not done
        self._news: list[TrackingInfo | str] = []
        self._missed = 0  # records that workers could not log
        self._is_ended = False

    def start(self) -> None:
        """Start the process, which opens the store."""
        mine, its = Pipe()
        self._error_log.parent.mkdir(parents=True, exist_ok=True)
        with its, self._error_log.open("ab") as log_file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sweep.tracking_process", str(its.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                pass_fds=(its.fileno(),),
                env={**os.environ, **same_modules()},
                # Ctrl-C is for the driver.
                start_new_session=True,
            )
        mine.send_bytes(json.dumps(self._setup.to_json()).encode())
        self._link = mine

    def project(self, offset: int) -> None:
        """Write the run of the durable record at `offset` of the result log soon."""
        self._orders.append({"kind": "project", "offset": offset})

    def note(self, offset: int) -> None:
        """Note on the parent run if a record is the best so far; its run is a worker's business."""
        self._orders.append({"kind": "note", "offset": offset})

    @property
    def _error_log(self) -> Path:
        return self._setup.folder / "logs" / "tracking.log"

    @property
    def backlog(self) -> int:
        """Records that wait for the store."""
        return len(self._orders) + self._on_the_way

    def on_logged(self, run_id: str | None, reason: str) -> None:
        """Hear from a worker what became of a record released to it."""
        if run_id is None:
            self._missed += 1
            _log.info("run not written by worker reason=%s", reason)

    def poll(self) -> list[TrackingInfo | str]:
        """Send what waits; return what the caller should hear since the last poll."""
        self._exchange(0.0)
        news, self._news = self._news, []
        return news

    def finish(self, status: str) -> None:
        """Write everything, end the parent run with `status`; wait while there is progress."""
        order = {"kind": "finish", "status": status, "missed": self._missed}
        starts_left = FINAL_STARTS
        self._orders.append(order)
        heard_s = time.monotonic()
        while not self._is_ended:
            if self._link is None and starts_left:
                starts_left -= 1
                self._restart()
                self._orders.append(order)
            if self._exchange(1.0):
                heard_s = time.monotonic()
            elif self._link is None and not starts_left:
                self._news.append(self._setup.advice())
                break
            elif time.monotonic() - heard_s > PATIENCE_S:
                self._news.append(f"the tracking store takes too long; {self._setup.advice()}")
                break
        if not self._is_ended:
            self.close()

    def close(self) -> None:
        """End the process, whatever it does; safe to call twice."""
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._process is not None:
            # It ends by itself once nobody is at the other end.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(EXIT_TIMEOUT_S)
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _restart(self) -> None:
        # What was ordered is in the log by now, and compared with the store at the start.
        self._orders.clear()
        self._on_the_way = 0
        size = self._setup.log_path.stat().st_size
        self._setup = dataclasses.replace(self._setup, log_size=size)
        self.start()

    def _exchange(self, timeout_s: float) -> bool:
        """Send and receive; wait for the first message, at most so long. Tell if one came."""
        if self._link is None:
            if self._next_start_s and time.monotonic() > self._next_start_s:
                self._restart()
            return False
        has_heard = False
        try:
            self._send()
            while self._link.poll(0.0 if has_heard else timeout_s):
                kind, value = json.loads(self._link.recv_bytes())
                has_heard = True
                self._hear(kind, value)
                self._send()
        except (EOFError, OSError):
            if not self._is_ended:
                self._mourn()
        return has_heard

    def _send(self) -> None:
        assert self._link is not None
        while self._orders and self._on_the_way < ON_THE_WAY_MAX:
            self._link.send_bytes(json.dumps(self._orders.popleft()).encode())
            self._on_the_way += 1

    def _hear(self, kind: str, value: Any) -> None:
        match kind:
            case "info":
                self.info = TrackingInfo(**value["info"])
                self.place = value["place"]
                self._news.append(self.info)
            case "news":
                self._news.append(value)
            case "done":
                self._on_the_way -= 1
            case "ended":
                self._is_ended = True
                self.info = dataclasses.replace(self.info, cpu_s=value)

    def _mourn(self) -> None:
        self.close()
        self._next_start_s = time.monotonic() + RETRY_S
        self._news.append(
            f"the process that writes runs died (see {self._error_log}); "
            "trials go on, their runs are written later"
        )
