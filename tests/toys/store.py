"""An MLflow server for tests, and questions to the store of a study."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from sweep.tracking import _ENVIRONMENT, _client


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """`mlflow server` on a port of its own; can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        import os

        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
                    *("--backend-store-uri", f"sqlite:///{self.folder / 'store.db'}"),
                    *("--artifacts-destination", (self.folder / "artifacts").as_uri()),
                    *("--host", "127.0.0.1", "--port", str(self.port)),
                ],
                env={**os.environ, **_ENVIRONMENT, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until_up(self.uri)

    def kill(self) -> None:
        import os
        import signal

        if self.process is not None:
            # The server's worker is a child of its own group.
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def signal(self, number: int) -> None:
        import os

        assert self.process is not None
        os.killpg(self.process.pid, number)


def wait_until_up(uri: str, timeout_s: float = 90.0) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        assert time.monotonic() < deadline, f"no server at {uri}"
        time.sleep(0.1)


def trial_runs(uri: str, experiment: str = "toy") -> list[Any]:
    """Return the active runs of trials in a store."""
    client = _client(uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return []
    return list(
        client.search_runs(
            [found.experiment_id],
            filter_string="tags.`sweep.kind` = 'trial'",
            max_results=1_000,
        )
    )


def parent_runs(uri: str, experiment: str = "toy") -> list[Any]:
    client = _client(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return list(
        client.search_runs(
            [found.experiment_id], filter_string="tags.`sweep.kind` = 'study'", max_results=1_000
        )
    )


def statuses_by_trial(uri: str) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for run in trial_runs(uri):
        found.setdefault(int(run.data.tags["sweep.trial"]), []).append(run.info.status)
    return found


def assert_one_finished_run_for_each(uri: str, trials: int) -> None:
    found = statuses_by_trial(uri)
    assert sorted(found) == list(range(trials))
    counts = Counter(tuple(statuses) for statuses in found.values())
    assert counts == {("FINISHED",): trials}
