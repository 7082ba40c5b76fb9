"""Whole studies on real replays: every backend, an interruption and a kill give one result."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sweep.results import LOG_NAME, read_finals

ROOT = Path(__file__).resolve().parents[2]
TRIALS = 12
STUDY = f"""\
study: small
seed: 3
data:
  source: {{reader: synthetic, instrument: SYN, generate: {{events: 60000, seed: 5}}}}
venue: {{profile: taifex, commission_per_lot: 20}}
strategy:
  class: strategies.maker:MakerStrategy
  params:
    half_spread_ticks: {{float: [0.5, 5.0]}}
    skew_ticks_per_lot: {{float: [0.0, 1.0]}}
    order_lots: {{choice: [1, 2]}}
world:
  latency:
    place: {{model: gamma, mean_us: {{float: [500, 20000], log: true}}, cv: 0.5, floor_us: 200}}
    cancel: {{model: constant, mean_us: 2000}}
  queue: {{choice: [back, uniform]}}
  replications: 2
objective: {{maximize: net_pnl}}
search: {{sampler: tpe, trials: {TRIALS}, startup_trials: 4}}
run: {{backend: inline}}
tracking: {{uri: none}}
"""


def command(*overrides: str) -> list[str]:
    options = [word for text in overrides for word in ("--set", text)]
    return [sys.executable, "-m", "sweep", "launch", "small.yaml", "--json", *options]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}


def launch(folder: Path, *overrides: str) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    (folder / "small.yaml").write_text(STUDY)
    done = subprocess.run(
        command(*overrides),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def outcomes(folder: Path) -> dict[int, tuple[str, str]]:
    """Return parameters and digest of every trial; reading refuses two final records of one."""
    records = list(read_finals(folder / "runs" / "small" / LOG_NAME))
    assert all(record["state"] == "complete" for record in records)
    assert len({record["trial"] for record in records}) == len(records)
    return {
        record["trial"]: (json.dumps(record["params"]), record["result"]["digest"])
        for record in records
    }


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[str, str]]:
    folder = tmp_path_factory.mktemp("inline")
    launch(folder)
    found = outcomes(folder)
    assert sorted(found) == list(range(TRIALS))
    # The digests are worth comparing: no two trials did the same.
    assert len({digest for _, digest in found.values()}) == TRIALS
    return found


def test_run_again_gives_the_same(reference: dict[int, tuple[str, str]], tmp_path: Path) -> None:
    launch(tmp_path)
    assert outcomes(tmp_path) == reference


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_give_the_same(
    workers: int, reference: dict[int, tuple[str, str]], tmp_path: Path
) -> None:
    launch(tmp_path, "run.backend=processes", f"run.workers={workers}")
    assert outcomes(tmp_path) == reference


def test_ray_gives_the_same_and_mlflow_has_one_run_per_trial(
    reference: dict[int, tuple[str, str]], tmp_path: Path
) -> None:
    document = launch(tmp_path, "run.backend=ray", "run.workers=2", "tracking.uri=embedded")
    assert outcomes(tmp_path) == reference
    with sqlite3.connect(tmp_path / "runs" / "small" / "mlflow.db") as store:
        rows = store.execute(
            "SELECT runs.status, trial.value, digest.value FROM runs"
            " JOIN tags AS trial ON trial.run_uuid = runs.run_uuid AND trial.key = 'sweep.trial'"
            " LEFT JOIN tags AS digest"
            " ON digest.run_uuid = runs.run_uuid AND digest.key = 'sweep.digest'"
        ).fetchall()
    assert {(status, int(trial), digest) for status, trial, digest in rows} == {
        ("FINISHED", trial, digest) for trial, (_, digest) in reference.items()
    }
    assert len(rows) == TRIALS
    assert document["tracking"]["parent_run_id"]
    assert document["tracking"]["url"].startswith("http://127.0.0.1:")


def _finals_on_disk(folder: Path) -> int:
    log = folder / "runs" / "small" / LOG_NAME
    return log.read_bytes().count(b'"kind":"trial"') if log.exists() else 0


def _start_and_wait_for(folder: Path, finals: int) -> "subprocess.Popen[bytes]":
    folder.mkdir(exist_ok=True)
    (folder / "small.yaml").write_text(STUDY)
    driver = subprocess.Popen(
        command("run.backend=processes", "run.workers=2"),
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline_s = time.monotonic() + 120
    while _finals_on_disk(folder) < finals:
        assert driver.poll() is None, "the driver ended early"
        assert time.monotonic() < deadline_s, "no trial finished"
        time.sleep(0.002)
    return driver


def test_killed_driver_loses_nothing_and_repeats_nothing(
    reference: dict[int, tuple[str, str]], tmp_path: Path
) -> None:
    driver = _start_and_wait_for(tmp_path, 3)
    driver.kill()
    driver.wait()
    before = outcomes(tmp_path)
    document = launch(tmp_path, "run.backend=processes", "run.workers=2")
    after = outcomes(tmp_path)
    assert after == reference
    assert before.items() <= after.items()
    assert document["trials"] == {"complete": TRIALS, "failed": 0, "running": 0, "waiting": 0}


def test_interrupted_driver_says_how_to_go_on(
    reference: dict[int, tuple[str, str]], tmp_path: Path
) -> None:
    driver = _start_and_wait_for(tmp_path, 1)
    driver.send_signal(signal.SIGINT)
    code = driver.wait(timeout=60)
    if _finals_on_disk(tmp_path) < TRIALS:
        assert code == 130
    launch(tmp_path)
    assert outcomes(tmp_path) == reference
