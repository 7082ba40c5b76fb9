"""The generic sweep with real processes: same trials everywhere, killed or not."""

import math
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from sweep.controller import run_sweep
from sweep.errors import InputError, StudyLockedError
from sweep.events import WorkerPoolError
from sweep.job import RunnerSpec, SweepJob
from sweep.results import LOG_NAME, read_finals, read_index
from tests.toys.driver import start_driver, wait_for_finals
from tests.toys.study import Recorder, outcomes, toy_job


def run(job: SweepJob) -> tuple[Any, Recorder]:
    recorder = Recorder()
    return run_sweep(job, recorder), recorder


def runs_of(folder: Path) -> list[tuple[int, int]]:
    lines = (folder / "runs").read_text().splitlines()
    return [(int(line.split()[0]), int(line.split()[1])) for line in lines]


@pytest.fixture
def clean(tmp_path: Path) -> dict[int, tuple[Any, ...]]:
    """What an undisturbed inline run of the toy study gives."""
    run(toy_job(tmp_path / "clean"))
    return outcomes(tmp_path / "clean")


def test_a_study_runs_to_its_end(tmp_path: Path) -> None:
    summary, recorder = run(toy_job(tmp_path / "study"))
    assert summary.trials == {"complete": 30, "failed": 0, "running": 0, "waiting": 0}
    assert summary.events == 30_000
    assert summary.stopped == ""
    assert sorted(recorder.finished) == list(range(30))
    records = list(read_finals(tmp_path / "study" / LOG_NAME))
    best = max(records, key=lambda record: record["result"]["objective"])
    assert summary.best["trial"] == best["trial"]
    assert summary.best["digest"] == best["result"]["digest"]
    assert records[0]["result"]["ledger"]["cash_minor"] == 2**60 + records[0]["trial"]
    assert records[0]["result"]["metrics"]["undefined"] is None
    assert all(r["finished_unix_ns"] >= r["started_unix_ns"] > 0 for r in records)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_processes_give_the_trials_of_inline(
    tmp_path: Path, workers: int, clean: dict[int, tuple[Any, ...]]
) -> None:
    summary, recorder = run(toy_job(tmp_path / "study", backend="processes", workers=workers))
    assert summary.trials["complete"] == 30
    assert recorder.workers == workers
    assert outcomes(tmp_path / "study") == clean


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2"])
def test_the_order_of_results_does_not_matter(tmp_path: Path, sampler: str) -> None:
    # Trials of very different length finish out of order on three workers.
    payload = {"jitter_s": 0.02}
    run(toy_job(tmp_path / "one", sampler=sampler))
    job = toy_job(
        tmp_path / "many", sampler=sampler, backend="processes", workers=3, payload=payload
    )
    _, recorder = run(job)
    assert recorder.finished != sorted(recorder.finished), "the trials did finish in order"
    assert outcomes(tmp_path / "many") == outcomes(tmp_path / "one")


def test_launching_again_runs_nothing_again(tmp_path: Path) -> None:
    job = toy_job(tmp_path / "study", payload={"marks": str(tmp_path)})
    first, _ = run(job)
    # Neither does it start a worker, which would find that its runner is gone.
    second, recorder = run(
        toy_job(tmp_path / "study", backend="processes", payload={"broken": True})
    )
    assert recorder.workers == 0
    assert len(runs_of(tmp_path)) == 30
    assert recorder.started == []
    assert recorder.recorded["complete"] == 30
    assert second.best == first.best


def test_a_study_can_be_extended(tmp_path: Path) -> None:
    run(toy_job(tmp_path / "whole", trials=45))
    run(toy_job(tmp_path / "grown", trials=20))
    run(toy_job(tmp_path / "grown", trials=45))
    assert outcomes(tmp_path / "grown") == outcomes(tmp_path / "whole")


def test_failures_of_every_kind_end_as_one_failed_record(tmp_path: Path) -> None:
    faults = {
        "1": "raise", "2": "nan", "3": "inf", "4": "bool", "5": "text",
        "6": "kill", "7": "kill_once", "9": "hang", "10": "exit", "11": "no_json",
    }  # fmt: skip
    job = toy_job(
        tmp_path / "study",
        backend="processes",
        trial_timeout_s=1.0,
        payload={"faults": faults, "marks": str(tmp_path)},
    )
    summary, recorder = run(job)
    records = {record["trial"]: record for record in read_finals(tmp_path / "study" / LOG_NAME)}
    reasons = {trial: record["reason"] for trial, record in records.items() if record["reason"]}
    assert sorted(reasons) == [1, 2, 3, 4, 5, 6, 9, 10, 11]
    assert reasons[1].startswith("ValueError: strategy error")
    assert all(reasons[trial].startswith("bad_objective") for trial in (2, 3, 4, 5))
    assert "quarantined" in reasons[6]
    assert "SIGKILL" in reasons[6]
    assert "timeout" in reasons[9]
    assert "SystemExit" in reasons[10]
    assert "TypeError" in reasons[11]
    assert records[7]["state"] == "complete"
    assert records[7]["attempt"] == 2
    runs = runs_of(tmp_path)
    assert [attempt for trial, attempt in runs if trial == 6] == [1, 2, 3]
    assert [attempt for trial, attempt in runs if trial == 9] == [1]
    assert summary.trials == {"complete": 21, "failed": 9, "running": 0, "waiting": 0}
    assert any("repeated" in message for message in recorder.messages)


def test_the_failure_budget_stops_a_broken_study_and_a_launch_goes_on(tmp_path: Path) -> None:
    faults = {str(trial): "raise" for trial in range(5, 30)}
    job = toy_job(tmp_path / "study", failures_max=4, payload={"faults": faults})
    summary, _ = run(job)
    assert summary.stopped == "failures"
    assert summary.trials == {"complete": 5, "failed": 4, "running": 0, "waiting": 21}
    summary, _ = run(job)
    assert summary.trials["failed"] == 8


def test_a_result_is_used_even_if_the_driver_dies_before_telling_it(
    tmp_path: Path, clean: dict[int, tuple[Any, ...]]
) -> None:
    # The log holds trials 0..9 and 12; the driver died before 10 and 11 were finished.
    run(toy_job(tmp_path / "study"))
    log = tmp_path / "study" / LOG_NAME
    lines = log.read_bytes().splitlines(keepends=True)
    kept = [
        line
        for line in lines
        if b'"kind":"trial"' not in line
        or any(b'"trial":%d,' % trial in line for trial in (*range(10), 12))
    ]
    log.write_bytes(b"".join(kept))
    _, recorder = run(toy_job(tmp_path / "study", payload={"marks": str(tmp_path)}))
    assert sorted({trial for trial, _ in runs_of(tmp_path)}) == [10, 11, *range(13, 30)]
    assert all(attempt == 2 for trial, attempt in recorder.started if trial in (10, 11))
    assert outcomes(tmp_path / "study") == clean


@pytest.mark.parametrize("change", [{"seed": 4}, {"fingerprint": "g"}, {"sampler": "random"}])
def test_other_inputs_are_refused_once_there_are_results(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    run(toy_job(tmp_path / "study", trials=3))
    with pytest.raises(StudyLockedError, match=f"changed: {next(iter(change))}"):
        run(toy_job(tmp_path / "study", **change))


def test_a_mistake_shown_by_the_first_launch_can_be_corrected(tmp_path: Path) -> None:
    with pytest.raises(WorkerPoolError, match="this runner can not be made"):
        run(toy_job(tmp_path / "study", backend="processes", payload={"broken": True}))
    summary, _ = run(toy_job(tmp_path / "study", fingerprint="corrected"))
    assert summary.trials["complete"] == 30


def test_a_runner_that_does_not_exist_is_named(tmp_path: Path) -> None:
    runner = RunnerSpec(target="tests.toys.runner:Missing", payload={})
    with pytest.raises(InputError, match="Missing"):
        run(toy_job(tmp_path / "study", runner=runner))


def test_workers_print_to_their_log_not_to_our_output(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    job = toy_job(
        tmp_path / "study", backend="processes", trials=4, payload={"prints": "hello from a trial"}
    )
    summary, _ = run(job)
    assert summary.trials["complete"] == 4
    assert "hello" not in "".join(capfd.readouterr())
    logs = "".join(path.read_text() for path in (tmp_path / "study" / "logs").iterdir())
    assert logs.count("hello from a trial") == 4


# --- drivers that are stopped, killed, or two ----------------------------------------------------


def slow(marks: Path, sleep_s: float = 0.1) -> dict[str, Any]:
    return {"backend": "processes", "payload": {"sleep_s": sleep_s, "marks": str(marks)}}


@pytest.mark.parametrize("finals", [0, 1, 11, 24])
def test_a_killed_driver_loses_nothing_and_repeats_nothing(
    tmp_path: Path, finals: int, clean: dict[int, tuple[Any, ...]]
) -> None:
    folder = tmp_path / "study"
    changes = slow(tmp_path)
    driver = start_driver(folder, changes)
    wait_for_finals(folder, finals)
    driver.kill()
    driver.communicate()
    before = set(read_index(folder / LOG_NAME).finals)
    marks = len(runs_of(tmp_path)) if (tmp_path / "runs").exists() else 0
    payload = {"sleep_s": 0.0, "marks": str(tmp_path)}
    summary, recorder = run(toy_job(folder, backend="processes", payload=payload))
    assert summary.trials == {"complete": 30, "failed": 0, "running": 0, "waiting": 0}
    assert before.isdisjoint(trial for trial, _ in runs_of(tmp_path)[marks:])
    assert before.isdisjoint(recorder.finished)
    assert outcomes(folder) == clean


def test_workers_of_a_killed_driver_end(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    driver = start_driver(folder, slow(tmp_path, 60))
    deadline = time.monotonic() + 30
    while not (tmp_path / "runs").exists() or len(runs_of(tmp_path)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    pids = [int(line.split()[2]) for line in (tmp_path / "runs").read_text().splitlines()]
    driver.kill()
    driver.communicate()
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "workers outlive their driver"
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_lets_running_trials_finish(
    tmp_path: Path, number: signal.Signals, clean: dict[int, tuple[Any, ...]]
) -> None:
    folder = tmp_path / "study"
    driver = start_driver(folder, slow(tmp_path))
    wait_for_finals(folder, 4)
    driver.send_signal(number)
    output, errors = driver.communicate(timeout=20)
    assert driver.returncode == 0, errors
    assert '"stopped": "interrupted"' in output
    assert '"running": 0' in output
    finals = read_index(folder / LOG_NAME).finals
    assert 4 <= len(finals) < 30
    # Every attempt that began has its record: nothing that ran was thrown away.
    assert {trial for trial, _ in runs_of(tmp_path)} == set(finals)
    run(toy_job(folder))
    assert outcomes(folder) == clean


def test_a_second_signal_stops_at_once(tmp_path: Path, clean: dict[int, tuple[Any, ...]]) -> None:
    folder = tmp_path / "study"
    driver = start_driver(folder, slow(tmp_path, 30))
    deadline = time.monotonic() + 30
    while not (tmp_path / "runs").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    driver.send_signal(signal.SIGINT)
    time.sleep(0.5)  # the two signals must not melt into one
    assert driver.poll() is None
    driver.send_signal(signal.SIGINT)
    started = time.monotonic()
    output, errors = driver.communicate(timeout=20)
    assert time.monotonic() - started < 2.0
    assert driver.returncode == 0, errors
    assert '"stopped": "interrupted"' in output
    run(toy_job(folder))
    assert outcomes(folder) == clean


def test_of_two_drivers_the_second_is_refused_and_names_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    first = start_driver(folder, slow(tmp_path))
    wait_for_finals(folder, 1)
    with pytest.raises(StudyLockedError, match=f"process {first.pid} on host"):
        run(toy_job(folder))
    output, errors = first.communicate(timeout=60)
    assert '"complete": 30' in output, errors


def test_of_many_drivers_started_at_once_one_works(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    drivers = [
        start_driver(folder, {"trials": 12, "payload": {"sleep_s": 0.1, "marks": str(tmp_path)}})
        for _ in range(4)
    ]
    results = [driver.communicate(timeout=60) for driver in drivers]
    refused = [errors for _, errors in results if "another driver is working" in errors]
    assert len(refused) == 3
    assert len(runs_of(tmp_path)) == 12


def test_objectives_are_finite_in_every_complete_record(tmp_path: Path) -> None:
    run(toy_job(tmp_path / "study", payload={"faults": {"3": "inf", "4": "nan"}}))
    for record in read_finals(tmp_path / "study" / LOG_NAME):
        if record["state"] == "complete":
            assert math.isfinite(record["result"]["objective"])
