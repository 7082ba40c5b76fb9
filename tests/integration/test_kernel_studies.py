"""Studies run compiled strategies: the driver compiles, workers load, results are the same."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import strategies
from strategies import kernel_compile
from sweep.errors import EXIT_BAD_INPUT, InputError
from sweep.job import TrialSpec
from sweep.planning import make_plan
from sweep.results import LOG_NAME, read_finals
from sweep.space import Scalar
from sweep.studyfile import load_study
from sweep.trial import CellRunner

ROOT = Path(__file__).resolve().parents[2]
STUDY = """\
study: small
data:
  source: {reader: synthetic, instrument: SYN, generate: {events: 40000, seed: 5}}
strategy:
  class: strategies.inventory_maker:InventoryMakerStrategy
  params:
    risk_aversion: {float: [0.01, 1.0], log: true}
    fill_decay: 1.5
    levels: {int: [1, 3]}
world:
  latency: {place: {model: gamma, mean_us: 4000, cv: 0.5}, cancel: {model: constant, mean_us: 2000}}
  replications: 2
objective: {maximize: net_pnl}
search: {sampler: random, trials: 4}
run: {backend: inline}
tracking: {uri: none}
"""
PARAMS: dict[str, Scalar] = {"strategy.params.risk_aversion": 0.1, "strategy.params.levels": 2}

# Found and run by Python in every process that sees its folder.
WORKERS_WITHOUT_COMPILER = """\
import sys
if any(word.endswith(("sweep.worker", "default_worker.py")) for word in sys.orig_argv):
    sys.modules["numba"] = None
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(STUDY)
    return path


def kernels(runs_dir: Path) -> list[Path]:
    return sorted((runs_dir / ".kernels").glob("*"))


def run(study: Path, runs_dir: Path, mode: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a trial's result, and the payload it came from."""
    plan = make_plan(load_study(study, [f"strategy.mode={mode}"]), runs_dir)
    payload = plan.job.runner.payload
    result = CellRunner(payload).run(TrialSpec(number=0, attempt=1, params=PARAMS))
    cells = [{k: v for k, v in cell.items() if k != "engine_ns"} for cell in result["cells"]]
    return {**result, "engine_ns": 0, "cells": cells}, payload


def test_modes_give_one_result(study: Path, tmp_path: Path) -> None:
    interpreted, payload = run(study, tmp_path / "runs", "interpreted")
    assert payload["strategy"]["mode"] == "interpreted"
    assert not kernels(tmp_path / "runs")
    compiled, payload = run(study, tmp_path / "runs", "compiled")
    assert payload["kernels"] == str(tmp_path / "runs" / ".kernels")
    assert len(kernels(tmp_path / "runs")) == 1
    assert compiled == interpreted
    assert compiled["metrics"]["fills"] > 0


def test_auto_compiles_what_can_be_compiled(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mode(*overrides: str) -> str:
        plan = make_plan(load_study(study, overrides), tmp_path / "runs")
        found: str = plan.job.runner.payload["strategy"]["mode"]
        return found

    assert mode() == "compiled"
    monkeypatch.setattr("sweep.kernels.is_available", lambda: False)
    assert mode() == "interpreted"


def test_mode_does_not_make_another_study(study: Path) -> None:
    prints = {load_study(study, [f"strategy.mode={m}"]).fingerprint for m in ("auto", "compiled")}
    assert prints == {load_study(study).fingerprint}


def test_second_plan_and_its_runner_compile_nothing(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(study, tmp_path / "runs", "auto")
    monkeypatch.setattr(kernel_compile, "_compile", lambda *_: pytest.fail("compiled again"))
    run(study, tmp_path / "runs", "auto")


def test_workers_load_what_the_driver_compiled(study: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WORKERS_WITHOUT_COMPILER)
    digests = []
    modes = {"processes": "compiled", "ray": "compiled", "inline": "interpreted"}
    for backend, mode in modes.items():
        runs_dir = tmp_path / backend
        words = [f"run.backend={backend}", f"strategy.mode={mode}"]
        words += [] if backend == "inline" else ["run.workers=1"]
        options = [part for word in words for part in ("--set", word)]
        command = [sys.executable, "-m", "sweep", "launch", str(study), "--json"]
        done = subprocess.run(
            [*command, "--runs-dir", str(runs_dir), *options],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        records = list(read_finals(runs_dir / "small" / LOG_NAME))
        assert len(records) == 4
        digests.append({item["trial"]: item["result"]["digest"] for item in records})
    assert digests[0] == digests[1] == digests[2]


BROKEN = """\
from strategies.kernel import KernelStrategy

class Broken(KernelStrategy):
    @staticmethod
    def decide(market, event, params, state, out):
        names = [market.now_ns]
"""


def test_strategy_that_does_not_compile_is_refused_before_any_worker(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uncompilable.py").write_text(BROKEN)
    monkeypatch.setattr(strategies, "__path__", [*strategies.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "strategies.uncompilable", raising=False)
    text = STUDY.replace("inventory_maker:InventoryMakerStrategy", "uncompilable:Broken")
    head, _, tail = text.partition("  params:")
    study.write_text(head + "world" + tail.partition("world")[2])
    overrides = ["world.latency.place.mean_us={float: [1000, 2000]}"]
    where = r"uncompilable\.py:6: decide uses a list.*may use"
    with pytest.raises(InputError, match=where) as caught:
        make_plan(load_study(study, overrides), tmp_path / "runs")
    assert caught.value.exit_code == EXIT_BAD_INPUT
    assert not (tmp_path / "runs" / "small").exists()
    interpreted = [*overrides, "strategy.mode=interpreted"]
    assert make_plan(load_study(study, interpreted), tmp_path / "runs").cells
