"""A tracking server that dies, hangs or comes back: trials go on, and sync finds everything."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweep.controller import run_sweep
from sweep.tracking import sync
from tests.toys.driver import start_driver
from tests.toys.inject import inject_into_lane
from tests.toys.store import Server, assert_one_finished_run_for_each
from tests.toys.study import Recorder, toy_job

TRIALS = 24
# The driver is killed while MLflow makes the tables of its store.
KILL_THE_DRIVER = """
import os, signal
import sqlalchemy

@sqlalchemy.event.listens_for(sqlalchemy.Engine, "after_cursor_execute")
def kill(connection, cursor, statement, *rest):
    if "CREATE TABLE secrets" in statement:
        os.kill(os.getppid(), signal.SIGKILL)
"""
FAIL_ONCE = """
from pathlib import Path
import sqlalchemy

@sqlalchemy.event.listens_for(sqlalchemy.Engine, "after_cursor_execute")
def fail(connection, cursor, statement, *rest):
    mark = Path({mark!r})
    if "CREATE TABLE secrets" in statement and not mark.exists():
        mark.touch()
        raise OSError("No space left on device")
"""
DIE_AT_THE_THIRD = """
import os
from pathlib import Path
import sweep.tracking

complete, count = sweep.tracking.RunWriter.complete, 0

def die(self, run_id, record):
    global count
    count += 1
    if count == 3 and not Path({mark!r}).exists():
        Path({mark!r}).touch()
        os._exit(7)
    complete(self, run_id, record)

sweep.tracking.RunWriter.complete = die
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


def test_a_driver_killed_while_the_store_is_made_leaves_none_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "study"
    with monkeypatch.context() as patch:
        inject_into_lane(patch, tmp_path / "inject", KILL_THE_DRIVER)
        driver = start_driver(folder, {"trials": 4, "tracking_uri": "embedded"})
        _, errors = driver.communicate(timeout=120)
    assert driver.returncode == -signal.SIGKILL, errors
    summary = run_sweep(toy_job(folder, trials=4, tracking_uri="embedded"), Recorder())
    assert summary.tracking.parent_run_id is not None
    assert_one_finished_run_for_each(summary.tracking.uri, 4)
    assert not list(folder.glob(".mlflow.db*")), "what was half made is gone"


def test_a_store_that_could_not_be_made_is_made_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    mark = tmp_path / "failed"
    inject_into_lane(monkeypatch, tmp_path / "inject", FAIL_ONCE.format(mark=str(mark)))
    folder = tmp_path / "study"
    recorder = Recorder()
    job = toy_job(folder, trials=4, tracking_uri="embedded", payload={"sleep_s": 2.0})
    summary = run_sweep(job, recorder)
    assert mark.exists()
    assert "No space left on device" in " ".join(recorder.messages)
    assert_one_finished_run_for_each(summary.tracking.uri, 4)
    assert capfd.readouterr().err == "", "the store's own log is not for our user"


def test_a_dead_lane_costs_no_run_and_makes_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "died"
    inject_into_lane(monkeypatch, tmp_path / "inject", DIE_AT_THE_THIRD.format(mark=str(mark)))
    recorder = Recorder()
    job = toy_job(tmp_path / "study", trials=12, tracking_uri="embedded")
    summary = run_sweep(job, recorder)
    assert mark.exists()
    assert "died" in " ".join(recorder.messages)
    assert summary.trials["complete"] == 12
    assert_one_finished_run_for_each(summary.tracking.uri, 12)


def test_a_study_ends_where_no_lane_can_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject_into_lane(monkeypatch, tmp_path / "inject", "import os\nos._exit(7)\n")
    recorder = Recorder()
    job = toy_job(tmp_path / "study", trials=4, tracking_uri="embedded")
    summary = run_sweep(job, recorder)
    assert summary.trials["complete"] == 4
    assert "python -m sweep sync toy" in " ".join(recorder.messages)


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
