"""Kills at seeded moments: nothing lost, nothing counted twice, the same trials as without."""

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from sweep.controller import run_sweep
from sweep.results import LOG_NAME, read_index
from tests.toys.driver import start_driver
from tests.toys.store import assert_one_finished_run_for_each, parent_runs
from tests.toys.study import Recorder, outcomes, toy_job

TRIALS = 30


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Any, ...]]:
    folder = tmp_path_factory.mktemp("clean")
    run_sweep(toy_job(folder), Recorder())
    return outcomes(folder)


def workers_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(text) for text in children.read_text().split()] if children.exists() else []


def attempts_started(folder: Path) -> int:
    return sum(read_index(folder / LOG_NAME).attempts.values())


@pytest.mark.parametrize("seed", range(3))
def test_workers_killed_at_any_moment(
    tmp_path: Path, seed: int, clean: dict[int, tuple[Any, ...]]
) -> None:
    # Five kills of a random worker each; the moments come from the seed.
    rng = random.Random(seed)
    folder = tmp_path / "study"
    driver = start_driver(
        folder, {"backend": "processes", "attempts_max": 20, "payload": {"sleep_s": 0.05}}
    )
    kills = 0
    while driver.poll() is None and kills < 5:
        time.sleep(rng.uniform(0.05, 0.3))
        workers = workers_of(driver.pid)
        if workers and read_index(folder / LOG_NAME).finals:
            os.kill(rng.choice(workers), signal.SIGKILL)
            kills += 1
    output, errors = driver.communicate(timeout=60)
    assert '"complete": 30' in output, (seed, errors)
    assert kills > 0
    assert outcomes(folder) == clean, seed


@pytest.mark.parametrize("seed", range(4))
def test_drivers_killed_at_any_moment_again_and_again(
    tmp_path: Path, seed: int, clean: dict[int, tuple[Any, ...]]
) -> None:
    # Each launch lives a random while after its first trial started, however slow the machine is;
    # with odd seeds the workers die with it (a power cut).
    rng = random.Random(seed)
    folder = tmp_path / "study"
    finished: set[int] = set()
    launches = 0
    while len(finished) < 20:
        launches += 1
        assert launches < 30, (seed, "the study makes no progress")
        before = attempts_started(folder)
        driver = start_driver(folder, {"backend": "processes", "payload": {"sleep_s": 0.1}})
        deadline = time.monotonic() + 60
        while attempts_started(folder) == before:
            assert time.monotonic() < deadline, (seed, "no trial started within a minute")
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.6))
        victims = [driver.pid, *(workers_of(driver.pid) if seed % 2 else [])]
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        driver.communicate()
        now = set(read_index(folder / LOG_NAME).finals)
        assert finished <= now, (seed, "a finished trial is gone")
        finished = now
    recorder = Recorder()
    summary = run_sweep(toy_job(folder), recorder)
    assert summary.trials["complete"] == TRIALS
    assert finished.isdisjoint(recorder.finished)
    assert outcomes(folder) == clean, seed


def test_a_driver_killed_between_result_and_run_leaves_one_run_for_each_trial(
    tmp_path: Path, clean: dict[int, tuple[Any, ...]]
) -> None:
    rng = random.Random(7)
    folder = tmp_path / "study"
    changes = {"backend": "processes", "tracking_uri": "embedded", "payload": {"sleep_s": 0.2}}
    for _ in range(2):
        driver = start_driver(folder, changes)
        deadline = time.monotonic() + 60
        before = len(read_index(folder / LOG_NAME).finals)
        while len(read_index(folder / LOG_NAME).finals) < before + rng.randint(6, 10):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        driver.kill()
        driver.communicate()
    summary = run_sweep(toy_job(folder, tracking_uri="embedded"), Recorder())
    assert summary.trials["complete"] == TRIALS
    assert outcomes(folder) == clean
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    assert_one_finished_run_for_each(uri, TRIALS)
    (parent,) = parent_runs(uri)
    assert parent.info.status == "FINISHED"
