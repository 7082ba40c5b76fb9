"""Runs in the tracking store: the only room that names MLflow.

The store is a projection of the result log: one parent run for the study, one run for each final
record. A run takes exactly three calls (create, log everything, terminate). All its times and
values come from the record, so writing it again changes nothing; creating it again would make a
second run, so a repetition looks for the run first. `sync` compares store and log, makes what is
missing, finishes what was cut short and removes what is double; it may run at any time.

With the embedded store (SQLite in the study's folder) one process beside the driver writes. With a
tracking server the workers write their own records, after the driver has made them durable, and
that process writes what no worker can. Nothing here ever stops or delays a trial: a
store that does not answer is left alone for a while, and `sync` at the end fills the gaps.
"""

import json
import logging
import math
import os
import sqlite3
import subprocess
import sys
import time
import urllib.parse
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from sweep.errors import InputError, TrackingError
from sweep.job import SweepJob, TrackingInfo
from sweep.lease import Lease
from sweep.results import LOG_NAME, read_finals
from sweep.whole_files import replace_text

STORE_NAME: Final = "mlflow.db"
PLACE_NAME: Final = "tracking.json"
EMBEDDED: Final = "embedded"
UI_PORT: Final = 5000
# MLflow takes 1,000 entries in one call; names of metrics besides the series need some of them.
SERIES_POINTS_MAX: Final = 800
PARAMS_PER_CALL: Final = 100
TEXT_LENGTH_MAX: Final = 5_000
PAGE_SIZE: Final = 1_000
COMPARED_RUNS_MAX: Final = 20
# After a failed call the store is left alone for this long; records wait for `sync`.
QUIET_S: Final = 10.0

_ENVIRONMENT: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "GIT_PYTHON_REFRESH": "quiet",
    # The defaults let one call to a dead server block for four minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the runs of one study go, and what they have in common."""

    uri: str
    experiment: str
    study: str
    study_id: str
    metric: str
    direction: str
    experiment_id: str = ""
    parent_run_id: str = ""


@dataclass(slots=True, kw_only=True)
class SyncReport:
    """What a comparison of store and result log found and did, in runs of trials."""

    present: int = 0
    created: int = 0
    repaired: int = 0
    removed: int = 0


def _import_mlflow() -> Any:
    """Import MLflow with the settings that it reads while it is imported, and keep it quiet."""
    for key, value in _ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    # Libraries below warn about each other, which is nothing that our user could act on.
    for package in ("mlflow", "sqlalchemy", "alembic", "urllib3", "pydantic"):
        warnings.filterwarnings("ignore", module=rf"{package}(\.|$)")
    # Heavy, and of use only here.
    import mlflow

    # What fails is raised as well, and told by us in one line instead of a page.
    for name in ("alembic", "mlflow", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return mlflow


def _client(uri: str) -> Any:
    return _import_mlflow().MlflowClient(tracking_uri=uri)


def brief(error: BaseException) -> str:
    """Return an error of the store in one short line; some hold whole pages."""
    return " ".join(str(error).split())[:200]


# --- one run -------------------------------------------------------------------------------------


class RunWriter:
    """Writes records as runs of one place."""

    def __init__(self, place: Place, client: Any) -> None:
        """Write to `place` through an MLflow client."""
        self.place = place
        self._client = client
        self._quiet_until_s = 0.0

    @classmethod
    def from_json(cls, place: Mapping[str, Any]) -> Self:
        """Return a writer for a place as sent to a worker."""
        made = Place(**place)
        return cls(made, _client(made.uri))

    def write(self, record: Mapping[str, Any]) -> str:
        """Make the run of a record that has none; return its id.

        Raises:
            TrackingError: The store failed a moment ago and is left alone.
        """
        if time.monotonic() < self._quiet_until_s:
            message = "the tracking store failed a moment ago; sync will add the run"
            raise TrackingError(message)
        try:
            run = self._client.create_run(
                self.place.experiment_id,
                start_time=record["started_unix_ns"] // 1_000_000,
                tags=self._tags(record),
                run_name=f"trial-{record['trial']:04d}",
            )
            run_id: str = run.info.run_id
            self.complete(run_id, record)
        except Exception:
            self._quiet_until_s = time.monotonic() + QUIET_S
            raise
        return run_id

    def wake(self) -> None:
        """Try the store again even if it failed a moment ago."""
        self._quiet_until_s = 0.0

    def complete(self, run_id: str, record: Mapping[str, Any]) -> None:
        """Give a run everything its record holds, and end it."""
        from mlflow.entities import Param

        self._client.log_batch(
            run_id,
            metrics=_metrics(record),
            params=[Param(key, _text(value)) for key, value in record["params"].items()],
        )
        self._client.set_terminated(
            run_id, status=run_status(record), end_time=record["finished_unix_ns"] // 1_000_000
        )

    def _tags(self, record: Mapping[str, Any]) -> dict[str, str]:
        tags = {
            "mlflow.parentRunId": self.place.parent_run_id,
            "sweep.kind": "trial",
            "sweep.study": self.place.study,
            "sweep.study_id": self.place.study_id,
            "sweep.trial": str(record["trial"]),
            "sweep.attempt": str(record["attempt"]),
            "sweep.worker": str(record["worker"]),
        }
        if record["reason"]:
            tags["sweep.reason"] = _text(record["reason"])
        digest = (record["result"] or {}).get("digest")
        if digest:
            tags["sweep.digest"] = str(digest)
        return tags


def run_status(record: Mapping[str, Any]) -> str:
    """Return the status of a record's run."""
    return "FINISHED" if record["state"] == "complete" else "FAILED"


def _metrics(record: Mapping[str, Any]) -> list[Any]:
    from mlflow.entities import Metric

    result = record["result"] or {}
    finished_ms = record["finished_unix_ns"] // 1_000_000
    values: dict[str, Any] = {
        # The ledger's exact integers stay in the result log: the store keeps floats, and its pages
        # are readable with few, well named metrics only.
        **result.get("metrics", {}),
        "events": result.get("events"),
        "engine_s": result["engine_ns"] / 1e9 if "engine_ns" in result else None,
        # One name in every study, so that saved views and the compare page fit all of them.
        "objective": result.get("objective") if record["state"] == "complete" else None,
        "wall_s": (record["finished_unix_ns"] - record["started_unix_ns"]) / 1e9,
    }
    metrics = [
        Metric(key, float(value), finished_ms, 0)
        for key, value in values.items()
        if _is_finite_number(value)
    ]
    series = [item for item in result.get("series", []) if _is_finite_number(item[1])]
    stride = max(1, math.ceil(len(series) / SERIES_POINTS_MAX))
    metrics += [
        Metric("series", float(value), finished_ms, round(step)) for step, value in series[::stride]
    ]
    return metrics


def _is_finite_number(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e300
        and math.isfinite(value)
    )


def _text(value: object) -> str:
    return str(value)[:TEXT_LENGTH_MAX]


# --- one study -----------------------------------------------------------------------------------


class StudyRuns:
    """The parent run of a study, and the comparison of its runs with the result log."""

    def __init__(self, folder: Path, document: Mapping[str, Any]) -> None:
        """Open the store, make experiment and parent run where they are missing.

        The caller holds the lease of the study: two at once would make two runs of one trial.

        Args:
            folder: Folder of the study.
            document: What `describe_study` wrote there.
        """
        self._folder = folder
        self._document = dict(document)
        self._uri = store_uri(folder, document["uri"])
        if document["uri"] == EMBEDDED:
            _ensure_store(folder)
        self._client = _client(self._uri)
        experiment_id = self._ensure_experiment(document["experiment"])
        place = Place(
            uri=self._uri,
            experiment=document["experiment"],
            study=document["study"],
            study_id=document["study_id"],
            metric=document["metric"],
            direction=document["direction"],
            experiment_id=experiment_id,
        )
        parent_run_id = self._ensure_parent(place)
        self.place = Place(**{**asdict(place), "parent_run_id": parent_run_id})
        self.writer = RunWriter(self.place, self._client)

    @property
    def base_url(self) -> str:
        """Address of the UI: of the server, or of the one that `sweep ui` will start."""
        uri: str = self._document["uri"]
        return f"http://127.0.0.1:{UI_PORT}" if uri == EMBEDDED else uri

    @property
    def info(self) -> TrackingInfo:
        """Where the runs can be seen."""
        return TrackingInfo(
            uri=self._uri,
            experiment_id=self.place.experiment_id,
            parent_run_id=self.place.parent_run_id,
            url=runs_url(self.base_url, self.place),
        )

    def finish(self, status: str) -> None:
        """End the parent run."""
        self._client.set_terminated(self.place.parent_run_id, status=status)

    def note_best(self, record: Mapping[str, Any], finished: int) -> None:
        """Log a new best objective on the parent run, by the number of finished trials.

        The store takes the value of the highest step for the last one, and trials do not finish in
        the order of their numbers.
        """
        finished_ms = record["finished_unix_ns"] // 1_000_000
        self._client.log_metric(
            self.place.parent_run_id,
            "best_objective",
            float(record["result"]["objective"]),
            timestamp=finished_ms,
            step=finished,
        )

    def sync(
        self,
        records: Iterable[Mapping[str, Any]],
        on_each: Callable[[], None] = lambda: None,
    ) -> SyncReport:
        """Make the store agree with the final records; call `on_each` with each of them."""
        report = SyncReport()
        self.writer.wake()
        found = self._find_runs()
        for record in records:
            on_each()
            runs = found.get(str(record["trial"]), [])
            if not runs:
                self.writer.write(record)
                report.created += 1
                continue
            status = run_status(record)
            # The finished one is kept, of several the one with the lowest id.
            (run_id, status_now), *others = sorted(
                runs, key=lambda item: (item[1] != status, item[0])
            )
            for other, _ in others:
                self._client.delete_run(other)
                report.removed += 1
            if status_now == status:
                report.present += 1
            else:
                self.writer.complete(run_id, record)
                report.repaired += 1
        return report

    def compare_best_url(self, count: int = COMPARED_RUNS_MAX) -> str:
        """Return the address of the page that compares the best finished runs."""
        order = "DESC" if self.place.direction == "maximize" else "ASC"
        runs = self._client.search_runs(
            [self.place.experiment_id],
            filter_string=f"{self._filter()} and attributes.status = 'FINISHED'",
            max_results=count,
            order_by=[f"metrics.objective {order}"],
        )
        run_ids = [run.info.run_id for run in runs]
        return compare_url(self.base_url, self.place.experiment_id, run_ids)

    def _ensure_experiment(self, name: str) -> str:
        experiment = self._client.get_experiment_by_name(name)
        if experiment is not None:
            experiment_id: str = experiment.experiment_id
            return experiment_id
        location = None
        if self._document["uri"] == EMBEDDED:
            location = (self._folder / "artifacts").resolve().as_uri()
        tags = {"mlflow.experimentKind": "custom_model_development"}
        try:
            made: str = self._client.create_experiment(name, artifact_location=location, tags=tags)
        except Exception:
            # Another study may have made it a moment ago.
            experiment = self._client.get_experiment_by_name(name)
            if experiment is None:
                raise
            made = experiment.experiment_id
        return made

    def _ensure_parent(self, place: Place) -> str:
        from mlflow.entities import Param, RunTag

        found = self._client.search_runs(
            [place.experiment_id],
            filter_string=(
                f"tags.`sweep.study_id` = '{place.study_id}' and tags.`sweep.kind` = 'study'"
            ),
            max_results=PAGE_SIZE,
        )
        if found:
            run_ids = sorted(run.info.run_id for run in found)
            for other in run_ids[1:]:
                self._client.delete_run(other)
            kept: str = run_ids[0]
            self._client.update_run(kept, status="RUNNING")
            return kept
        run = self._client.create_run(
            place.experiment_id,
            tags={
                "sweep.kind": "study",
                "sweep.study": place.study,
                "sweep.study_id": place.study_id,
                "mlflow.note.content": _note(place),
            },
            run_name=place.study,
        )
        run_id: str = run.info.run_id
        constants = [Param(key, _text(value)) for key, value in self._document["constants"].items()]
        for start in range(0, len(constants), PARAMS_PER_CALL):
            self._client.log_batch(run_id, params=constants[start : start + PARAMS_PER_CALL])
        self._client.log_batch(run_id, tags=[RunTag("sweep.objective", place.metric)])
        self._client.log_text(run_id, self._document["study_text"], "study.yaml")
        return run_id

    def _filter(self) -> str:
        return f"tags.`sweep.study_id` = '{self.place.study_id}' and tags.`sweep.kind` = 'trial'"

    def _find_runs(self) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        token = None
        while True:
            page = self._client.search_runs(
                [self.place.experiment_id],
                filter_string=self._filter(),
                max_results=PAGE_SIZE,
                page_token=token,
            )
            for run in page:
                trial = run.data.tags["sweep.trial"]
                found.setdefault(trial, []).append((run.info.run_id, run.info.status))
            token = page.token
            if not token:
                return found


def _note(place: Place) -> str:
    return (
        f"Study **{place.study}**: {place.direction} `{place.metric}`.\n\n"
        "Its trials are the runs with the tag `sweep.kind` = `trial`; the metric `objective` of "
        f"each is its `{place.metric}`. To see them as a flat table, filter by "
        f"``tags.`sweep.study_id` = '{place.study_id}' and tags.`sweep.kind` = 'trial'`` and add "
        "parameters and metrics under *Columns*.\n\n"
        "The result log in the folder of the study holds exact integers and every cell; these "
        "runs are made from it and can be made again with `sweep sync`."
    )


def _ensure_store(folder: Path) -> None:
    """Make the embedded store if there is none; it appears under its name only when it is whole.

    MLflow makes its tables one by one, for seconds, and cannot go on with half of them: a driver
    that is killed meanwhile would leave a file that no later launch could open.
    """
    path = folder / STORE_NAME
    if path.exists():
        return
    for stale in folder.glob(f".{STORE_NAME}.*"):
        stale.unlink(missing_ok=True)  # we hold the lease, so nobody is making it
    # A name of its own: MLflow keeps connections by name, and a second attempt must not get the
    # one to the file that the first attempt left.
    partial = folder / f".{STORE_NAME}.{time.monotonic_ns()}"
    _import_mlflow()
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    artifacts = (folder / "artifacts").resolve().as_uri()
    store = SqlAlchemyStore(f"sqlite:///{partial.resolve()}", artifacts)
    store.engine.dispose()
    _set_wal(partial)
    partial.rename(path)


def _set_wal(path: Path) -> None:
    # Sticks to the file. Readers, such as the UI, then do not block the writer.
    connection = sqlite3.connect(path, timeout=20)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def store_uri(folder: Path, uri: str) -> str:
    """Return the URI that MLflow takes for the `tracking.uri` of a study."""
    if uri == EMBEDDED:
        return f"sqlite:///{(folder / STORE_NAME).resolve()}"
    return uri


def runs_url(base: str, place: Place) -> str:
    """Return the address of the flat, sorted table of a study's trials."""
    query = urllib.parse.urlencode(
        {
            "searchFilter": (
                f"tags.`sweep.study_id` = '{place.study_id}' and tags.`sweep.kind` = 'trial'"
            ),
            "orderByKey": "metrics.`objective`",
            "orderByAsc": "false" if place.direction == "maximize" else "true",
        },
        quote_via=urllib.parse.quote,
    )
    return f"{base.rstrip('/')}/#/experiments/{place.experiment_id}/runs?{query}"


def compare_url(base: str, experiment_id: str, run_ids: Sequence[str]) -> str:
    """Return the address of the page that compares some runs."""
    query = urllib.parse.urlencode(
        {
            "runs": json.dumps(list(run_ids), separators=(",", ":")),
            "experiments": json.dumps([experiment_id]),
        },
        quote_via=urllib.parse.quote,
    )
    return f"{base.rstrip('/')}/#/compare-runs?{query}"


def describe_study(job: SweepJob, study_id: str) -> dict[str, Any]:
    """Write down in the study's folder what `sync` needs, and return it."""
    document = {
        "uri": job.tracking_uri,
        "experiment": job.experiment,
        "study": job.name,
        "study_id": study_id,
        "metric": job.metric,
        "direction": job.direction,
        "constants": job.constants,
        "study_text": job.study_text,
        "trials": job.trials,
    }
    replace_text(job.folder / PLACE_NAME, json.dumps(document, indent=1, sort_keys=True) + "\n")
    return document


# --- commands ------------------------------------------------------------------------------------


def _read_document(folder: Path) -> dict[str, Any]:
    path = folder / PLACE_NAME
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        message = f"{folder}: no study that was launched with tracking (no {PLACE_NAME} there)"
        raise InputError(message) from error
    return document


def sync(folder: Path) -> SyncReport:
    """Make the runs of a study agree with its result log.

    Args:
        folder: Folder of the study.

    Raises:
        InputError: There is no study, or it was launched without tracking.
        StudyLockedError: A driver works on the study; it syncs itself when it ends.
        TrackingError: The store cannot be used.
    """
    document = _read_document(folder)
    with Lease(folder):
        try:
            study_runs = StudyRuns(folder, document)
            report = study_runs.sync(read_finals(folder / LOG_NAME))
            count = report.present + report.created + report.repaired
            study_runs.finish("FINISHED" if count >= document["trials"] else "KILLED")
        except Exception as error:
            message = f"{folder}: the tracking store {document['uri']} cannot be used: "
            raise TrackingError(message + brief(error)) from error
    return report


def ui_command(folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """Return command line and environment of an MLflow server on a study's embedded store.

    Raises:
        InputError: The study's runs are on a server of their own, or there are none yet.
    """
    document = _read_document(folder)
    if document["uri"] != EMBEDDED:
        message = f"{folder}: the runs are at {document['uri']}, which has its own UI"
        raise InputError(message)
    if not (folder / STORE_NAME).exists():
        # The server would make a store of its own while the driver makes its one.
        hint = "a launch opens its store within seconds; `sync` makes one of a finished study"
        raise InputError(f"{folder}: there are no runs yet; {hint}")
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", store_uri(folder, EMBEDDED)),
        *("--artifacts-destination", (folder / "artifacts").resolve().as_uri()),
        *("--host", "127.0.0.1", "--port", str(port)),
        # More workers make every answer wait for a delayed acknowledgement of the kernel.
        *("--workers", "1"),
    ]
    environment = {**os.environ, **_ENVIRONMENT, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return command, environment


def start_ui(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    """Start the MLflow server of a study on 127.0.0.1; it logs to the study's folder."""
    command, environment = ui_command(folder, port)
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    with (logs / "ui.log").open("ab") as log_file:
        return subprocess.Popen(command, env=environment, stdout=log_file, stderr=log_file)
