"""A tracking server that dies, hangs or comes back: trials go on, and sync finds everything."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from sweep.controller import run_sweep
from sweep.tracking import sync
from tests.toys.driver import ROOT
from tests.toys.store import Server, assert_one_finished_run_for_each
from tests.toys.study import Recorder, toy_job

TRIALS = 24
# A driver that is killed while MLflow makes the tables of its store.
KILLED = """
import os, sys
from pathlib import Path
import sqlalchemy
from sweep.controller import run_sweep
from tests.toys.study import Recorder, toy_job

@sqlalchemy.event.listens_for(sqlalchemy.Engine, "after_cursor_execute")
def kill(connection, cursor, statement, *rest):
    if "CREATE TABLE secrets" in statement:
        os._exit(9)

run_sweep(toy_job(Path(sys.argv[1]), trials=4, tracking_uri="embedded"), Recorder())
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    made = Server(folder)
    made.start()
    yield made
    made.kill()


def test_a_server_that_dies_and_comes_back_has_every_run_once(
    tmp_path: Path, server: Server
) -> None:
    folder = tmp_path / "study"
    recorder = Recorder()
    threads: list[threading.Thread] = []

    def disturb(finished: int) -> None:
        if finished == 8:
            server.kill()
        if finished == 16:
            threads.append(threading.Thread(target=server.start))
            threads[0].start()

    recorder.on_each_finish = disturb
    job = toy_job(
        folder,
        trials=TRIALS,
        tracking_uri=server.uri,
        backend="processes",
        payload={"sleep_s": 0.5},
    )
    summary = run_sweep(job, recorder)
    threads[0].join()
    assert summary.trials["complete"] == TRIALS
    first = sync(folder)
    assert first.present + first.created + first.repaired == TRIALS
    again = sync(folder)
    assert (again.present, again.created, again.repaired, again.removed) == (TRIALS, 0, 0, 0)
    assert_one_finished_run_for_each(server.uri, TRIALS)


def test_a_driver_killed_while_the_store_is_made_leaves_none_behind(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 9, done.stderr
    summary = run_sweep(toy_job(folder, trials=4, tracking_uri="embedded"), Recorder())
    assert summary.tracking.parent_run_id is not None
    assert_one_finished_run_for_each(summary.tracking.uri, 4)
    assert not list(folder.glob(".mlflow.db*")), "what was half made is gone"


def test_a_store_that_could_not_be_made_is_made_at_the_end(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    failures: list[str] = []

    def fail_once(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "CREATE TABLE secrets" in statement and not failures:
            failures.append(statement)
            raise OSError("No space left on device")

    folder = tmp_path / "study"
    recorder = Recorder()
    sqlalchemy.event.listen(sqlalchemy.Engine, "after_cursor_execute", fail_once)
    try:
        job = toy_job(folder, trials=4, tracking_uri="embedded", payload={"sleep_s": 2.0})
        summary = run_sweep(job, recorder)
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "after_cursor_execute", fail_once)
    assert len(failures) == 1
    assert "No space left on device" in " ".join(recorder.messages)
    assert_one_finished_run_for_each(summary.tracking.uri, 4)
    assert capfd.readouterr().err == "", "the store's own log is not for our user"


@pytest.mark.slow
def test_a_server_that_hangs_does_not_delay_a_trial(tmp_path: Path, server: Server) -> None:
    folder = tmp_path / "study"
    recorder = Recorder()

    def hang(finished: int) -> None:
        if finished == 6:
            server.signal(signal.SIGSTOP)

    recorder.on_each_finish = hang
    job = toy_job(
        folder,
        trials=TRIALS,
        tracking_uri=server.uri,
        backend="processes",
        payload={"sleep_s": 0.3},
    )
    thread = threading.Timer(45.0, server.signal, [signal.SIGCONT])
    thread.start()
    summary = run_sweep(job, recorder)
    thread.join()
    assert summary.trials["complete"] == TRIALS
    sync(folder)
    assert_one_finished_run_for_each(server.uri, TRIALS)
