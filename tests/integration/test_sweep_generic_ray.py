"""The generic sweep on a real Ray cluster of this machine."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from sweep.controller import run_sweep
from sweep.events import WorkerPoolError
from sweep.results import LOG_NAME, read_finals, read_index
from tests.toys.driver import start_driver, wait_for_finals
from tests.toys.study import Recorder, outcomes, toy_job

# Ray's own code warns while it starts; what is ours is tested without it.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(300)]


def run(folder: Path, **changes: Any) -> tuple[Any, Recorder]:
    recorder = Recorder()
    return run_sweep(toy_job(folder, **changes), recorder), recorder


def pids_of(folder: Path) -> set[int]:
    return {int(line.split()[2]) for line in (folder / "runs").read_text().splitlines()}


def test_ray_gives_the_trials_of_inline_through_dying_workers(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    faults = {"2": "raise", "4": "nan", "6": "kill_once", "11": "kill"}
    payload = {"faults": {"2": "raise", "4": "nan", "11": "raise"}}
    run(tmp_path / "inline", payload=payload)
    summary, recorder = run(
        tmp_path / "ray",
        backend="ray",
        attempts_max=2,
        payload={"faults": faults, "jitter_s": 0.01, "marks": str(tmp_path)},
    )
    assert recorder.workers >= 2
    assert summary.trials == {"complete": 27, "failed": 3, "running": 0, "waiting": 0}
    inline, ray = outcomes(tmp_path / "inline"), outcomes(tmp_path / "ray")
    assert ray == inline
    records = {record["trial"]: record for record in read_finals(tmp_path / "ray" / LOG_NAME)}
    assert records[6]["attempt"] == 2
    assert "quarantined" in records[11]["reason"]
    runs = [line.split()[0] for line in (tmp_path / "runs").read_text().splitlines()]
    assert runs.count("6") == runs.count("11") == 2
    assert all(runs.count(str(trial)) == 1 for trial in range(30) if trial not in (6, 11))
    assert os.getpid() not in pids_of(tmp_path)
    # Standard output belongs to the user's machine-readable answer.
    assert capfd.readouterr().out == ""


def test_a_killed_driver_on_ray_is_resumed_by_another_executor(tmp_path: Path) -> None:
    run(tmp_path / "clean")
    folder = tmp_path / "study"
    driver = start_driver(
        folder, {"backend": "ray", "payload": {"sleep_s": 0.2, "marks": str(tmp_path)}}
    )
    wait_for_finals(folder, 8)
    driver.kill()
    driver.communicate()
    before = set(read_index(folder / LOG_NAME).finals)
    summary, recorder = run(folder, backend="processes")
    assert summary.trials["complete"] == 30
    assert before.isdisjoint(recorder.finished)
    assert outcomes(folder) == outcomes(tmp_path / "clean")
    # The cluster was the driver's own and dies with it.
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in pids_of(tmp_path)):
        assert time.monotonic() < deadline, "actors outlive their driver"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_signal_lets_running_trials_finish_on_ray(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    driver = start_driver(
        folder, {"backend": "ray", "payload": {"sleep_s": 1.0, "marks": str(tmp_path)}}
    )
    wait_for_finals(folder, 2)
    driver.send_signal(signal.SIGINT)
    output, errors = driver.communicate(timeout=60)
    assert '"stopped": "interrupted"' in output, errors
    runs = {int(line.split()[0]) for line in (tmp_path / "runs").read_text().splitlines()}
    assert runs == set(read_index(folder / LOG_NAME).finals)


@pytest.mark.slow
def test_a_second_signal_ends_with_a_summary_on_ray(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    driver = start_driver(
        folder, {"backend": "ray", "payload": {"sleep_s": 3.0, "marks": str(tmp_path)}}
    )
    wait_for_finals(folder, 1)
    driver.send_signal(signal.SIGINT)
    time.sleep(0.5)  # the two signals must not melt into one
    driver.send_signal(signal.SIGINT)
    output, errors = driver.communicate(timeout=60)
    assert driver.returncode == 0, errors
    assert '"stopped": "interrupted"' in output, errors


@pytest.mark.slow
def test_a_lost_cluster_ends_the_sweep_and_a_launch_goes_on(tmp_path: Path) -> None:
    run(tmp_path / "clean")
    folder = tmp_path / "study"
    driver = start_driver(folder, {"backend": "ray", "payload": {"sleep_s": 3.0}})
    wait_for_finals(folder, 2)
    for process in psutil.Process(driver.pid).children(recursive=True):
        if process.name() == "raylet":
            process.kill()
    _, errors = driver.communicate(timeout=200)
    assert driver.returncode == 1
    assert "finished trials are safe, launch again to go on" in errors
    assert len(read_index(folder / LOG_NAME).finals) >= 2
    run(folder)
    assert outcomes(folder) == outcomes(tmp_path / "clean")


@pytest.mark.slow
def test_time_limits_hold_on_ray(tmp_path: Path) -> None:
    summary, _ = run(
        tmp_path, backend="ray", trials=8, trial_timeout_s=1.0, payload={"faults": {"3": "hang"}}
    )
    assert summary.trials == {"complete": 7, "failed": 1, "running": 0, "waiting": 0}
    (failed,) = [r for r in read_finals(tmp_path / LOG_NAME) if r["state"] == "failed"]
    assert failed["reason"] == "timeout: no result after 1.0 s"


@pytest.mark.slow
def test_a_runner_that_cannot_be_made_is_named_by_ray(tmp_path: Path) -> None:
    with pytest.raises(WorkerPoolError, match="this runner can not be made"):
        run(tmp_path, backend="ray", payload={"broken": True})


@pytest.mark.slow
def test_an_address_where_no_cluster_is_says_so(tmp_path: Path) -> None:
    with pytest.raises(WorkerPoolError, match=r"127\.0\.0\.1:1"):
        run(tmp_path, backend="ray", address="127.0.0.1:1")
