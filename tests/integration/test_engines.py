"""Direct or compiled, inline or in processes: one study, one result, and `verify` checks it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from strategies.kernel_compile import is_available
from sweep.cells import Cell
from sweep.job import TrialSpec
from sweep.planning import make_plan, middle_params
from sweep.replays import fill_columns
from sweep.results import LOG_NAME, ResultLog, read_finals
from sweep.status import trial_record
from sweep.studyfile import load_study
from sweep.trial import CellRunner

ROOT = Path(__file__).resolve().parents[2]
TRIALS = 5
STUDY = f"""\
study: small
seed: 3
data:
  source: {{reader: synthetic, instrument: SYN, generate: {{events: 40000, seed: 5}}}}
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
    feed: {{model: constant, mean_us: 1000}}
  queue: {{choice: [back, uniform]}}
  replications: 2
objective: {{maximize: net_pnl}}
search: {{sampler: random, trials: {TRIALS}}}
run: {{backend: inline}}
tracking: {{uri: none}}
"""
MIXED = "world.latency.feed={model: {choice: [constant, gamma]}, mean_us: 1000, cv: 0.5}"


def sweep(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "small.yaml").write_text(STUDY)
    return subprocess.run(
        [sys.executable, "-m", "sweep", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def launch(folder: Path, *overrides: str) -> list[dict[str, Any]]:
    words = [word for text in overrides for word in ("--set", text)]
    done = sweep("launch", "small.yaml", "--json", *words, folder=folder)
    assert done.returncode == 0, done.stderr
    return sorted(
        read_finals(folder / "runs" / "small" / LOG_NAME), key=lambda item: int(item["trial"])
    )


def digests(records: list[dict[str, Any]]) -> list[str]:
    return [record["result"]["digest"] for record in records]


def engines(records: list[dict[str, Any]]) -> set[str]:
    return {cell["engine"] for record in records for cell in record["result"]["cells"]}


def files(folder: Path) -> list[Path]:
    return sorted((folder / "runs" / ".tapes").glob("*.compiled"))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """Launch on the compiled engine, as every study does."""
    folder = tmp_path_factory.mktemp("compiled")
    records = launch(folder)
    assert len(records) == TRIALS
    assert engines(records) == {"compiled"}
    assert len(set(digests(records))) == TRIALS
    return folder, records


@pytest.mark.parametrize("backend", ["inline", "processes"])
@pytest.mark.parametrize("engine", ["direct", "compiled"])
def test_every_engine_and_backend_gives_the_same(
    engine: str, backend: str, compiled: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    workers = ["run.workers=2"] if backend == "processes" else []
    records = launch(tmp_path, f"run.engine={engine}", f"run.backend={backend}", *workers)
    assert engines(records) == {engine}
    assert digests(records) == digests(compiled[1])
    for mine, other in zip(records, compiled[1], strict=True):
        assert mine["params"] == other["params"]
        assert mine["result"]["metrics"] == other["result"]["metrics"]
        assert mine["result"]["ledger"] == other["result"]["ledger"]
        assert mine["result"]["series"] == other["result"]["series"]
    assert bool(files(tmp_path)) == (engine == "compiled")


def test_launching_again_on_another_engine_goes_on(
    compiled: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    shutil.copytree(compiled[0] / "runs", tmp_path / "runs")
    records = launch(tmp_path, "run.engine=direct", f"search.trials={TRIALS + 1}")
    assert digests(records)[:TRIALS] == digests(compiled[1])
    assert engines(records[:TRIALS]) == {"compiled"}
    assert engines(records[TRIALS:]) == {"direct"}


def test_compiled_is_refused_where_it_cannot_be(tmp_path: Path) -> None:
    words = ("--set", "run.engine=compiled", "--set", "strategy.wake=every")
    done = sweep("launch", "small.yaml", *words, folder=tmp_path)
    assert done.returncode == 2
    assert "run.engine: compiled tapes cannot replay this study" in done.stderr
    assert "woken for more than best prices" in done.stderr
    assert not (tmp_path / "runs" / "small").exists()


def test_a_wrong_word_is_refused_with_its_place(tmp_path: Path) -> None:
    done = sweep("launch", "small.yaml", "--set", "run.engine=fast", folder=tmp_path)
    assert done.returncode == 2
    assert (
        "run.engine: Expected one of auto, direct, compiled, found the text 'fast'" in done.stderr
    )


def verify(folder: Path, *arguments: str) -> dict[str, Any]:
    done = sweep("verify", "1", "--json", *arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["equal"] is True
    return document


def test_verify_takes_the_other_engine(
    compiled: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    folder, _ = compiled
    document = verify(folder)
    assert document["engines_recorded"] == ["compiled"]
    assert document["engines_replayed"] == ["direct"]
    assert verify(folder, "--engine", "compiled")["engines_replayed"] == ["compiled"]
    done = sweep("verify", "1", folder=folder)
    assert "recorded on the compiled engine, replayed on the direct engine" in done.stdout
    # What the direct engine made is made again on a compiled tape.
    launch(tmp_path, "run.engine=direct", "search.trials=2")
    document = verify(tmp_path)
    assert document["engines_recorded"] == ["direct"]
    assert document["engines_replayed"] == ["compiled"]
    assert verify(tmp_path, "--engine", "direct")["engines_replayed"] == ["direct"]


def test_verify_says_where_there_is_no_other_engine(tmp_path: Path) -> None:
    launch(tmp_path, "strategy.wake=touch", "search.trials=2")
    done = sweep("verify", "1", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "only the direct engine can replay this trial" in done.stderr
    assert "recorded on the direct engine, replayed on the direct engine" in done.stdout
    done = sweep("verify", "1", "--engine", "compiled", folder=tmp_path)
    assert done.returncode == 2
    assert "woken for more than best prices" in done.stderr


def test_records_and_plans_of_old_name_no_engine(
    compiled: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    shutil.copytree(compiled[0] / "runs", tmp_path / "runs")
    study = tmp_path / "runs" / "small"
    plan = json.loads((study / "plan.json").read_text())
    del plan["runner"]["payload"]["engine"]
    (study / "plan.json").write_text(json.dumps(plan))
    record = trial_record(study, 1)
    for cell in record["result"]["cells"]:
        del cell["engine"]
    with ResultLog(study / LOG_NAME) as log:
        first = log.index.study
    assert first is not None
    (study / LOG_NAME).unlink()
    with ResultLog(study / LOG_NAME) as log:
        log.append(first)
        log.append(record)
        log.commit()
    document = verify(tmp_path)
    assert document["engines_recorded"] == ["direct"]
    assert document["engines_replayed"] == ["compiled"]


def test_what_replay_shows_is_the_same_from_either_engine(tmp_path: Path) -> None:
    found: list[dict[str, Any]] = []
    for engine in ("compiled", "direct"):
        runner, params = runner_of(tmp_path, engine)
        cell = runner.cells[0]
        result = runner.replay(params, cell, samples=4_000, certificates=True)
        assert result.engine == engine
        shown = {"fills": fill_columns(result), "certificates": result.certificates()}
        found.append({**shown, "equity": list(result.equity), "metrics": dict(result.metrics)})
    assert len(found[0]["fills"]["exch_ns"]) > 10
    assert str(found[0]) == str(found[1])  # as text, for what is undefined equals nothing


def test_bad_files_are_made_again_by_workers(
    compiled: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    shutil.copytree(compiled[0] / "runs" / ".tapes", tmp_path / "runs" / ".tapes")
    path, *_ = files(tmp_path)
    good = path.read_bytes()
    path.unlink()
    path.write_bytes(good[: len(good) // 2])
    records = launch(tmp_path, "run.backend=processes", "run.workers=2")
    assert digests(records) == digests(compiled[1])
    assert engines(records) == {"compiled"}
    assert path.read_bytes() == good
    logs = (tmp_path / "runs" / "small" / "logs").glob("*.log")
    # By one worker: the other one waited, and mapped it.
    assert "".join(log.read_text() for log in logs).count("made again") in (1, 2)


def runner_of(tmp_path: Path, engine: str, *overrides: str) -> tuple[CellRunner, dict[str, Any]]:
    (tmp_path / "small.yaml").write_text(STUDY)
    study = load_study(tmp_path / "small.yaml", list(overrides))
    plan = make_plan(study, tmp_path / "runs")
    runner = CellRunner(plan.job.runner.payload | {"engine": engine})
    return runner, dict(middle_params(plan.job.space))


def test_some_trials_of_a_study_may_need_the_direct_engine(tmp_path: Path) -> None:
    runner, params = runner_of(tmp_path, "auto", MIXED)
    direct, _ = runner_of(tmp_path, "direct", MIXED)
    used = []
    # The second constant one finds its compiled rows where the first has left them.
    for model in ("gamma", "constant", "gamma", "constant"):
        wanted = params | {"world.latency.feed.model": model}
        result = runner.replay(wanted, runner.cells[0])
        used.append(result.engine)
        assert result.digest == direct.replay(wanted, direct.cells[0]).digest
    assert used == ["direct", "compiled", "direct", "compiled"]


def test_fewer_rows_than_were_compiled(tmp_path: Path) -> None:
    runner, params = runner_of(tmp_path, "compiled")
    direct, _ = runner_of(tmp_path, "direct")
    cell: Cell = runner.cells[0]
    tape = runner.tape(cell)
    used = set()
    for row in range(cell.row_start + 3_000, cell.row_stop, 3_001):
        result = runner.replay(params, cell, row_stop=row)
        other = direct.replay(params, cell, row_stop=row)
        assert (result.digest, result.events) == (other.digest, other.events)
        is_cut = tape.exch_ns(row) == tape.exch_ns(row - 1)
        assert result.engine == ("direct" if is_cut else "compiled")
        used.add(result.engine)
        whole = tape.first_row_at(tape.exch_ns(row))
        assert runner.replay(params, cell, row_stop=whole).engine == "compiled"
    assert "direct" in used


@pytest.mark.parametrize(
    "strategy", ["maker:MakerStrategy", "inventory_maker:InventoryMakerStrategy"]
)
@pytest.mark.parametrize("wake", ["best", "own"])
def test_strategies_of_every_mode_give_the_same_on_both(
    strategy: str, wake: str, tmp_path: Path
) -> None:
    params = (
        "{half_spread_ticks: 1.0, skew_ticks_per_lot: {float: [0.0, 1.0]}}"
        if strategy.startswith("maker")
        else "{risk_aversion: {float: [0.01, 1.0]}, fill_decay: 1.5, levels: 2}"
    )
    words = [
        f"strategy.class=strategies.{strategy}",
        f"strategy.params={params}",
        f"strategy.wake={wake}",
    ]
    modes = ["interpreted", *(["compiled"] if is_available() else [])]
    found = {}
    for mode in modes:
        for engine in ("direct", "compiled"):
            runner, middle = runner_of(tmp_path, engine, *words, f"strategy.mode={mode}")
            result = runner.run(TrialSpec(number=0, attempt=1, params=middle))
            assert {cell["engine"] for cell in result["cells"]} == {engine}
            found[mode, engine] = (result["digest"], result["metrics"], result["ledger"])
    assert len({digest for digest, _, _ in found.values()}) == 1
    first = found["interpreted", "direct"]
    assert all(other == first for other in found.values())
