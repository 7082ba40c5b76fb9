"""A runner on a small tape: results are pure, complete and equal wherever they are made."""

import json
import random
from array import array
from pathlib import Path
from typing import Any

import pytest

import rustsim
from sweep.cells import Cell, cells_to_json
from sweep.errors import DataError
from sweep.job import TrialSpec
from sweep.objective import MEASURED_BY, METRICS
from sweep.trial import SERIES_POINTS_MAX, CellRunner, equity_series, trial_digest

INSTRUMENT = {"name": "SYN", "tick_value_minor": 200, "visible_levels": 5}
IMAGE, LAST = 2, 1


def write_tape(path: Path, *, seed: int = 3, images: int = 3_000) -> None:
    """Write a five-level market that wanders by one tick at a time and trades at the best."""
    generator = random.Random(seed)
    columns = [array(code) for code in "qBBBii"]

    def row(*values: int) -> None:
        for column, value in zip(columns, values, strict=True):
            column.append(value)

    time_ns, bid = 1_700_000_000_000_000_000, 20_000
    shown: set[tuple[int, int]] = set()
    for _ in range(images):
        time_ns += 125_000_000
        bid += generator.choice((-1, 0, 0, 0, 0, 0, 0, 0, 0, 1))
        best = {0: bid, 1: bid + 1}
        wanted = {
            (side, best[side] + (2 * side - 1) * level) for side in (0, 1) for level in range(5)
        }
        for side, price in sorted(shown - wanted):
            row(time_ns, 0, side, IMAGE, price, 0)
        for side, price in sorted(wanted):
            row(time_ns, 0, side, IMAGE, price, generator.randrange(1, 30))
        columns[3][-1] |= LAST
        shown = wanted
        if generator.random() < 0.5:
            time_ns += 1_000_000
            side = generator.randrange(2)
            row(time_ns, 1, side, LAST, best[side], generator.randrange(1, 12))
    builder = rustsim.TapeBuilder(str(path), source="test")
    builder.append(columns[0], None, *columns[1:])
    builder.finish(json.dumps({"instrument": INSTRUMENT}))


LEG = {"model": "constant", "mean_us": 2000.0, "cv": 1.0, "floor_us": 0.0}


def make_payload(path: Path) -> dict[str, Any]:
    tape = rustsim.Tape.open(str(path))
    half = tape.row_count // 2
    parts = (("b", half, tape.row_count), ("a", 0, half))
    cells = [
        Cell(tape=0, slice=name, scenario="base", replication=rep, row_start=start, row_stop=stop)
        for rep in (1, 0)
        for name, start, stop in parts
    ]
    place = {"model": "gamma", "mean_us": {"$": "world.place"}, "cv": 0.5, "floor_us": 300.0}
    return {
        "seed": 7,
        "strategy": {
            "reference": "strategies.maker:MakerStrategy",
            "wake": "best",
            "params": {
                "half_spread_ticks": {"$": "strategy.half"},
                "skew_ticks_per_lot": 0.1,
                "requote_threshold_ticks": 1,
                "position_limit_lots": 3,
                "order_lots": 1,
            },
        },
        "venue": {
            "profile": "taifex",
            "commission_per_lot": 13,
            "tick_value": None,
            "tax_rate": 0.00002,
            "maker_rate": 0.0,
            "taker_rate": 0.0,
            "fee_minimum": 0,
            "grain": "lot",
            "visible_levels": None,
            "order_lots_max": None,
        },
        "world": {
            "latency": {"place": place, "cancel": LEG, "amend": LEG, "report": LEG, "feed": LEG},
            "sessions": "fifo",
            "reject_probability": 0.0,
            "gap_us": 0.0,
            "loss_probability": 0.0,
            "loss_timeout_us": 1e6,
            "backlog_capacity_per_us": None,
            "queue": "uniform",
            "queue_power": 2.0,
            "queue_alpha": 0.0,
            "queue_beta": 1.0,
            "queue_mode": "expected",
            "replications": 2,
            "impact_half_life_ms": None,
            "amend_below_filled": "reject",
        },
        "objective": {
            "direction": "maximize",
            "metric": "net_pnl",
            "over": None,
            "by": "mean",
            "q": 0.25,
        },
        "tapes": [
            {
                "path": str(path),
                "content_hash": tape.content_hash,
                "rows": tape.row_count,
                "instrument": INSTRUMENT,
            }
        ],
        "cells": cells_to_json(cells),
    }


@pytest.fixture(scope="module")
def payload(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("tapes") / "small.tape"
    write_tape(path)
    return make_payload(path)


def trial(number: int, half: float = 0.5, place: float = 5000.0) -> TrialSpec:
    params = {"strategy.half": half, "world.place": place}
    return TrialSpec(number=number, attempt=1, params=dict(params))


def pure(result: dict[str, Any]) -> dict[str, Any]:
    """Leave out what measures this machine."""
    cells = [{k: v for k, v in cell.items() if k != "engine_ns"} for cell in result["cells"]]
    return {**{k: v for k, v in result.items() if k != "engine_ns"}, "cells": cells}


def test_result_is_complete(payload: dict[str, Any]) -> None:
    result = CellRunner(payload).run(trial(0))
    json.dumps(result, allow_nan=False)
    rows = payload["tapes"][0]["rows"]
    assert result["events"] == 2 * rows
    assert sum(cell["events"] for cell in result["cells"]) == result["events"]
    assert [(c["slice"], c["replication"]) for c in result["cells"]] == [
        ("a", 0),
        ("a", 1),
        ("b", 0),
        ("b", 1),
    ]
    assert result["metrics"]["fills"] > 0
    assert result["objective"] == result["metrics"]["net_pnl"]
    assert result["digest"] == trial_digest(result["cells"])
    assert 2 <= len(result["series"]) <= SERIES_POINTS_MAX
    lots = sum(cell["ledger"]["lots"] for cell in result["cells"])
    assert result["ledger"]["lots"] == lots == 2 * result["metrics"]["lots"]


def test_every_metric_of_the_core_has_a_pooling_rule(payload: dict[str, Any]) -> None:
    runner = CellRunner(payload)
    result = runner.replay(trial(0).params, runner.cells[0])
    assert set(result.metrics) == set(METRICS) - set(MEASURED_BY)
    always = [metric for name, metric in METRICS.items() if name not in MEASURED_BY]
    weights = {metric.weight for metric in always} - {"", "seconds"}
    assert weights <= set(result.metrics) | set(result.ledger)


def test_result_does_not_depend_on_what_the_worker_did_before(payload: dict[str, Any]) -> None:
    used = CellRunner(payload)
    used.run(trial(0, half=2.0, place=20_000.0))
    assert pure(used.run(trial(1))) == pure(CellRunner(payload).run(trial(5)))


def test_result_does_not_depend_on_the_order_of_cells(payload: dict[str, Any]) -> None:
    turned = {**payload, "cells": payload["cells"][::-1]}
    assert pure(CellRunner(turned).run(trial(0))) == pure(CellRunner(payload).run(trial(0)))


def test_parameters_and_worlds_make_a_difference(payload: dict[str, Any]) -> None:
    runner = CellRunner(payload)
    first = runner.run(trial(0))
    assert runner.run(trial(0, half=1.5))["digest"] != first["digest"]
    assert runner.run(trial(0, place=30_000.0))["digest"] != first["digest"]
    digests = [cell["digest"] for cell in first["cells"]]
    assert len(set(digests)) == len(digests)


def test_the_naive_world_stands_beside_and_changes_nothing(payload: dict[str, Any]) -> None:
    alone = CellRunner(payload).run(trial(1))
    world = payload["world"]
    compared = CellRunner(payload | {"world": world | {"compare": "naive"}}).run(trial(1))
    naive = {name for name, key in MEASURED_BY.items() if key == "world.compare"}
    assert set(compared["metrics"]) - set(alone["metrics"]) == naive
    assert compared["digest"] == alone["digest"]
    assert compared["metrics"]["net_pnl"] == alone["metrics"]["net_pnl"]
    # The same as a study of the naive world, whose replications are all equal.
    own = CellRunner(payload | {"world": world | {"is_naive": True}}).run(trial(1))
    assert own["metrics"]["net_pnl"] == compared["metrics"]["naive_net_pnl"]
    assert own["metrics"]["fills"] == compared["metrics"]["naive_fills"] > alone["metrics"]["fills"]
    assert len({cell["digest"] for cell in own["cells"]}) == 2  # one per slice


def test_impact_is_charged_beside_the_account(payload: dict[str, Any]) -> None:
    charge = {"model": "square_root", "daily_sigma_bp": 100.0, "daily_volume_lots": 1e4, "y": 1.0}
    world = payload["world"] | {"impact_charge": charge | {"parent_gap_ms": 0.0}}
    free = CellRunner(payload).run(trial(1))
    charged = CellRunner(payload | {"world": world}).run(trial(1))
    metrics = charged["metrics"]
    assert metrics["net_pnl"] == free["metrics"]["net_pnl"]
    after = metrics["net_pnl"] - metrics["impact_cost"]
    assert metrics["net_pnl_after_impact"] == pytest.approx(after)
    # Only takers are charged, and only what is asked for has a line.
    taken = charged["ledger"]["lots"] > charged["ledger"]["maker_lots"]
    assert (metrics["impact_cost"] > 0) == taken
    assert charged["ledger"]["impact_cost_minor"] >= 0
    assert "impact_cost_minor" not in free["ledger"]


def test_another_tape_under_the_same_path_is_refused(
    payload: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "other.tape"
    write_tape(path, seed=4, images=100)
    tapes = [{**payload["tapes"][0], "path": str(path)}]
    with pytest.raises(DataError, match=r"other\.tape: expected a tape with the hash"):
        CellRunner({**payload, "tapes": tapes})


def test_series_joins_slices_that_start_flat() -> None:
    second = 1_000_000_000
    first = [(0, 0), (second, 20), (2 * second, 30)]
    later = [(100 * second, 0), (101 * second, -10)]
    assert equity_series([first, [], later]) == [
        [0.0, 0.0],
        [1.0, 10.0],
        [2.0, 15.0],
        [3.0, 15.0],
        [4.0, 10.0],
    ]


def test_series_keeps_the_last_point_of_a_second_and_thins_out() -> None:
    points = [(index * 100_000_000, 2 * index) for index in range(10_000)]
    series = equity_series([points])
    assert len(series) == SERIES_POINTS_MAX
    assert series[0] == [0.0, 9.0]
    assert series[-1] == [999.0, 9999.0]
    steps = [step for step, _ in series]
    assert steps == sorted(set(steps))
