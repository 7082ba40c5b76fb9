"""Runs in a real MLflow store, embedded and over HTTP: exactly one finished run per trial."""

import json
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweep.controller import run_sweep
from sweep.errors import InputError, StudyLockedError, TrackingError
from sweep.job import SweepJob
from sweep.lease import Lease
from sweep.results import LOG_NAME, read_finals
from sweep.tracking import (
    PLACE_NAME,
    RunWriter,
    StudyRuns,
    _client,
    compare_url,
    start_ui,
    store_uri,
    sync,
)
from tests.toys.inject import inject_into_lane
from tests.toys.store import (
    Server,
    assert_one_finished_run_for_each,
    free_port,
    parent_runs,
    statuses_by_trial,
    trial_runs,
    wait_until_up,
)
from tests.toys.study import Recorder, toy_job

TRIALS = 12


def run(job: SweepJob) -> tuple[Any, Recorder]:
    recorder = Recorder()
    return run_sweep(job, recorder), recorder


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Recorder]:
    """A finished study with an embedded store, and what its driver said."""
    folder = tmp_path_factory.mktemp("embedded")
    faults = {"3": "nan", "5": "raise"}
    job = toy_job(
        folder,
        trials=TRIALS,
        tracking_uri="embedded",
        backend="processes",
        payload={"faults": faults},
    )
    summary, recorder = run(job)
    return folder, summary, recorder


class CountingClient:
    """Counts the calls that a writer makes, and passes them on."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def call(*values: Any, **named: Any) -> Any:
            self.calls.append(name)
            return getattr(self._client, name)(*values, **named)

        return call


def test_every_trial_has_one_run_with_everything_in_it(
    embedded: tuple[Path, Any, Recorder],
) -> None:
    folder, _, _ = embedded
    records = {record["trial"]: record for record in read_finals(folder / LOG_NAME)}
    runs = {int(run.data.tags["sweep.trial"]): run for run in trial_runs(store_uri_of(folder))}
    assert sorted(runs) == sorted(records) == list(range(TRIALS))
    for trial, record in records.items():
        run = runs[trial]
        assert run.info.status == ("FAILED" if trial in (3, 5) else "FINISHED")
        assert run.info.start_time == record["started_unix_ns"] // 1_000_000
        assert run.info.end_time == record["finished_unix_ns"] // 1_000_000
        assert run.data.params == {key: str(value) for key, value in record["params"].items()}
        if record["state"] == "complete":
            assert run.data.metrics["objective"] == record["result"]["objective"]
            assert run.data.metrics["net_pnl"] == record["result"]["metrics"]["net_pnl"]
            assert run.data.metrics["fills"] == 3.0
            assert run.data.metrics["events"] == 1000.0
            assert run.data.tags["sweep.digest"] == record["result"]["digest"]
            assert "undefined" not in run.data.metrics
    assert "objective" not in runs[3].data.metrics
    assert runs[3].data.metrics["fills"] == 3.0, "a failed run keeps the metrics it has"
    assert runs[3].data.tags["sweep.reason"].startswith("bad_objective")
    assert "strategy error" in runs[5].data.tags["sweep.reason"]


def test_the_series_is_stored_by_simulated_second(embedded: tuple[Path, Any, Recorder]) -> None:
    folder, _, _ = embedded
    client = _client(store_uri_of(folder))
    run = next(run for run in trial_runs(store_uri_of(folder)) if run.info.status == "FINISHED")
    points = client.get_metric_history(run.info.run_id, "series")
    assert sorted(point.step for point in points) == [0, 1, 2, 3, 4]


def test_the_parent_run_tells_about_the_study(embedded: tuple[Path, Any, Recorder]) -> None:
    folder, summary, recorder = embedded
    (parent,) = parent_runs(store_uri_of(folder))
    assert parent.info.status == "FINISHED"
    assert parent.data.params == {"venue.commission_per_lot": "13"}
    assert parent.data.metrics["best_objective"] == summary.best["objective"]
    assert "sweep.kind" in parent.data.tags["mlflow.note.content"]
    assert (folder / "artifacts" / parent.info.run_id / "artifacts" / "study.yaml").read_text()
    assert all(
        run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        for run in trial_runs(store_uri_of(folder))
    )
    assert summary.tracking == recorder.tracking[0]
    assert summary.tracking.parent_run_id == parent.info.run_id
    assert "searchFilter=tags.%60sweep.study_id%60" in summary.tracking.url
    assert any("#/compare-runs?" in message for message in recorder.messages)


def store_uri_of(folder: Path) -> str:
    return store_uri(folder, "embedded")


# One byte for each run that the lane writes.
SPY = """
import sweep.tracking
write = sweep.tracking.RunWriter.write
open({path!r}, "a").close()

def spy(self, record):
    with open({path!r}, "a") as file:
        file.write(".")
    return write(self, record)

sweep.tracking.RunWriter.write = spy
"""


def study_runs_of(folder: Path) -> StudyRuns:
    return StudyRuns(folder, json.loads((folder / PLACE_NAME).read_text()))


def test_one_run_takes_three_calls(embedded: tuple[Path, Any, Recorder]) -> None:
    folder, _, _ = embedded
    study_runs = study_runs_of(folder)
    counting = CountingClient(study_runs._client)
    record = next(iter(read_finals(folder / LOG_NAME)))
    run_id = RunWriter(study_runs.place, counting).write(record)
    assert counting.calls == ["create_run", "log_batch", "set_terminated"]
    study_runs._client.delete_run(run_id)


def test_sync_finds_everything_in_place_and_repairs_what_is_not(
    embedded: tuple[Path, Any, Recorder],
) -> None:
    folder, _, _ = embedded
    report = sync(folder)
    assert (report.present, report.created, report.repaired, report.removed) == (TRIALS, 0, 0, 0)

    study_runs = study_runs_of(folder)
    client = study_runs._client
    records = {record["trial"]: record for record in read_finals(folder / LOG_NAME)}
    by_trial = {int(r.data.tags["sweep.trial"]): r for r in trial_runs(store_uri_of(folder))}
    client.delete_run(by_trial[0].info.run_id)  # never arrived
    client.update_run(by_trial[1].info.run_id, status="RUNNING")  # its writer died
    study_runs.writer.write(records[2])  # the answer of the first create was lost
    half = client.create_run(
        study_runs.place.experiment_id, tags=study_runs.writer._tags(records[4])
    )
    assert half.info.status == "RUNNING"  # a second one, and its writer died as well

    report = sync(folder)
    assert (report.present, report.created, report.repaired, report.removed) == (10, 1, 1, 2)
    assert all(len(statuses) == 1 for statuses in statuses_by_trial(store_uri_of(folder)).values())
    again = sync(folder)
    assert (again.present, again.created, again.repaired, again.removed) == (TRIALS, 0, 0, 0)
    # Written twice, stored once.
    points = client.get_metric_history(by_trial[1].info.run_id, "series")
    assert len(points) == 5
    (parent,) = parent_runs(store_uri_of(folder))
    assert parent.info.status == "FINISHED"


def test_sync_leaves_a_study_alone_that_a_driver_works_on(
    embedded: tuple[Path, Any, Recorder], tmp_path: Path
) -> None:
    folder, _, _ = embedded
    with Lease(folder), pytest.raises(StudyLockedError, match="another driver"):
        sync(folder)
    with pytest.raises(InputError, match="launched with tracking"):
        sync(tmp_path)


def test_a_resumed_study_has_one_parent_and_one_run_for_each_trial(tmp_path: Path) -> None:
    run(toy_job(tmp_path, trials=5, tracking_uri="embedded"))
    # The driver was killed before three of its runs were written.
    client = _client(store_uri_of(tmp_path))
    for found in trial_runs(store_uri_of(tmp_path))[:3]:
        client.delete_run(found.info.run_id)
    summary, _ = run(toy_job(tmp_path, trials=9, tracking_uri="embedded"))
    assert summary.trials["complete"] == 9
    assert_one_finished_run_for_each(store_uri_of(tmp_path), 9)
    (parent,) = parent_runs(store_uri_of(tmp_path))
    assert parent.info.status == "FINISHED"


@pytest.mark.slow
def test_the_ui_serves_the_study_on_loopback(embedded: tuple[Path, Any, Recorder]) -> None:
    folder, summary, _ = embedded
    port = free_port()
    server = start_ui(folder, port)
    try:
        wait_until_up(f"http://127.0.0.1:{port}")
        body = json.dumps(
            {
                "experiment_ids": [summary.tracking.experiment_id],
                "filter": "tags.`sweep.kind` = 'trial'",
            }
        ).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/2.0/mlflow/runs/search",
            data=body,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = json.load(answer)
        assert len(found["runs"]) == TRIALS
    finally:
        server.terminate()
        server.wait()


def test_the_ui_of_a_study_without_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / PLACE_NAME).write_text('{"uri": "embedded"}')
    with pytest.raises(InputError, match="there are no runs yet"):
        start_ui(tmp_path, free_port())
    assert not (tmp_path / "mlflow.db").exists()


def test_the_compare_address_names_its_runs() -> None:
    url = compare_url("http://127.0.0.1:5000/", "7", ["a", "b"])
    assert url.startswith("http://127.0.0.1:5000/#/compare-runs?runs=%5B%22a%22%2C%22b%22%5D")
    assert url.endswith("experiments=%5B%227%22%5D")


# --- a tracking server ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"))
    made.start()
    yield made
    made.kill()


def test_with_a_server_the_workers_log(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    spied = tmp_path / "spied"
    inject_into_lane(monkeypatch, tmp_path / "inject", SPY.format(path=str(spied)))
    job = toy_job(
        tmp_path,
        name="by-workers",
        experiment="by-workers",
        trials=20,
        tracking_uri=server.uri,
        backend="processes",
        payload={"sleep_s": 0.5},
    )
    summary, _ = run(job)
    assert summary.trials["complete"] == 20
    runs = trial_runs(server.uri, "by-workers")
    assert len({run.data.tags["sweep.trial"] for run in runs}) == len(runs) == 20
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert spied.exists(), "the lane was not spied on"
    assert len(spied.read_text()) < 15, "the workers did not log their trials"


def test_two_studies_of_one_name_on_one_server_stay_apart(tmp_path: Path, server: Server) -> None:
    for folder in ("a", "b"):
        run(toy_job(tmp_path / folder, trials=3, experiment="shared", tracking_uri=server.uri))
    assert len(trial_runs(server.uri, "shared")) == 6
    report = sync(tmp_path / "a")
    assert (report.present, report.created, report.removed) == (3, 0, 0)


def test_an_unreachable_server_costs_no_trial(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    job = toy_job(tmp_path, trials=6, tracking_uri=uri, backend="processes")
    summary, recorder = run(job)
    assert summary.trials["complete"] == 6
    assert any("trials go on without it" in message for message in recorder.messages)
    command = f"python -m sweep sync toy --runs-dir {tmp_path.parent}"
    assert any(command in message for message in recorder.messages), recorder.messages
    with pytest.raises(TrackingError, match="cannot be used"):
        sync(tmp_path)
    names = {record.name.partition(".")[0] for record in caplog.records}
    assert names.isdisjoint({"urllib3", "mlflow"}), "every try again is a line on the terminal"


def test_a_server_that_appears_late_gets_every_run(tmp_path: Path, server: Server) -> None:
    # The store cannot be opened at first; trials do not wait, and the end of the sweep repairs it.
    job = toy_job(tmp_path, name="late", experiment="late", trials=8, tracking_uri=server.uri)
    server.signal(signal.SIGSTOP)
    recorder = Recorder()
    recorder.on_each_finish = lambda count: server.signal(signal.SIGCONT) if count == 8 else None
    summary = run_sweep(job, recorder)
    assert summary.trials["complete"] == 8
    runs = trial_runs(server.uri, "late")
    assert sorted(int(run.data.tags["sweep.trial"]) for run in runs) == list(range(8))
    assert {run.info.status for run in runs} == {"FINISHED"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_with_a_server_ray_actors_log(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    spied = tmp_path / "spied"
    inject_into_lane(monkeypatch, tmp_path / "inject", SPY.format(path=str(spied)))
    summary, _ = run(
        toy_job(
            tmp_path,
            name="by-actors",
            experiment="by-actors",
            trials=16,
            tracking_uri=server.uri,
            backend="ray",
            payload={"sleep_s": 0.5},
        )
    )
    assert summary.trials["complete"] == 16
    runs = trial_runs(server.uri, "by-actors")
    assert sorted(int(run.data.tags["sweep.trial"]) for run in runs) == list(range(16))
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert spied.exists(), "the lane was not spied on"
    assert len(spied.read_text()) < 12, "the actors did not log their trials"
