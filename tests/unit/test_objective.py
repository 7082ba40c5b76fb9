"""Pooling of cell metrics and the objective, with worked numbers."""

import math
import random
from typing import Any

import pytest

from sweep.objective import METRICS, ObjectiveError, cvar, objective_value, pool


def cell(
    slice_name: str, replication: int, seconds: float = 100.0, **metrics: float
) -> dict[str, Any]:
    return {
        "slice": slice_name,
        "scenario": "base",
        "replication": replication,
        "metrics": metrics,
        "ledger": {f"markout_{h}s_lots": metrics.get("lots", 0.0) for h in (1, 5, 30)},
        "seconds": seconds,
    }


CELLS = [
    cell(
        "a",
        0,
        100.0,
        net_pnl=10.0,
        max_drawdown=5.0,
        markout_1s_ticks=1.0,
        lots=1.0,
        inventory_mean_lots=2.0,
    ),
    cell(
        "a",
        1,
        100.0,
        net_pnl=20.0,
        max_drawdown=9.0,
        markout_1s_ticks=2.0,
        lots=3.0,
        inventory_mean_lots=2.0,
    ),
    cell(
        "b",
        0,
        300.0,
        net_pnl=-4.0,
        max_drawdown=7.0,
        markout_1s_ticks=math.nan,
        lots=0.0,
        inventory_mean_lots=4.0,
    ),
    cell(
        "b",
        1,
        300.0,
        net_pnl=-6.0,
        max_drawdown=1.0,
        lots=4.0,
        markout_1s_ticks=-1.0,
        inventory_mean_lots=4.0,
    ),
]


def objective(
    over: str | None = None, by: str = "mean", q: float = 0.25, **more: Any
) -> dict[str, Any]:
    return {"direction": "maximize", "metric": "net_pnl", "over": over, "by": by, "q": q, **more}


def test_each_rule_pools_as_documented() -> None:
    pooled = pool(CELLS)
    # Money: sum over slices, mean over the two worlds.
    assert pooled["net_pnl"] == (10 + 20 - 4 - 6) / 2
    assert pooled["max_drawdown"] == 9.0
    # Per lot: (1*1 + 2*3 - 1*4) / 8; the cell without fills has no say.
    assert pooled["markout_1s_ticks"] == pytest.approx(3 / 8, rel=1e-15)
    # Per second: (2*100 + 2*100 + 4*300 + 4*300) / 800.
    assert pooled["inventory_mean_lots"] == 3.5


def test_pooling_does_not_depend_on_order() -> None:
    generator = random.Random(7)
    cells = [
        cell(
            f"s{n}",
            0,
            net_pnl=generator.uniform(-1e9, 1e-3),
            lots=1.0,
            markout_1s_ticks=generator.random(),
        )
        for n in range(50)
    ]
    expected = pool(cells)
    generator.shuffle(cells)
    assert pool(cells) == expected


def test_metric_without_a_value_anywhere_is_absent() -> None:
    cells = [cell("a", 0, net_pnl=0.0, lots=0.0, markout_5s_ticks=math.nan)]
    assert pool(cells) == {"net_pnl": 0.0, "lots": 0.0}


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        (objective(), 10.0),
        (objective(over="slice"), (15.0 - 5.0) / 2),
        (objective(over="slice", by="min"), -5.0),
        (objective(over="slice", by="max"), 15.0),
        (objective(over="slice", by="sum"), 10.0),
        (objective(over="replication", by="min"), 6.0),
        (objective(over="cell", by="max"), 20.0),
        (objective(over="cell", by="cvar", q=0.5), -5.0),
        (objective(over="cell", by="cvar", q=0.375), (-6.0 - 4.0 * 0.5) / 1.5),
        (objective(over="cell", by="cvar", q=0.5, direction="minimize"), 15.0),
    ],
)
def test_objective_combines_groups(settings: dict[str, Any], value: float) -> None:
    assert objective_value(settings, CELLS) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(("q", "value"), [(0.1, -20.0), (0.2, -13.0), (0.25, -11.0), (1.0, 0.7)])
def test_cvar_averages_the_worst_share(q: float, value: float) -> None:
    values = [10.0, 8.0, 7.0, 5.0, 4.0, 2.0, 0.0, -3.0, -6.0, -20.0]
    assert cvar(values, q) == pytest.approx(value, rel=1e-12)
    assert cvar([-v for v in values], q, lowest=False) == pytest.approx(-value, rel=1e-12)


def test_undefined_objective_is_an_error_that_names_the_group() -> None:
    settings = objective(over="cell", metric="markout_1s_ticks")
    with pytest.raises(
        ObjectiveError, match=r"markout_1s_ticks is undefined for the cell b base 0"
    ):
        objective_value(settings, CELLS)


def test_infinite_metric_is_an_error() -> None:
    with pytest.raises(ObjectiveError, match="'net_pnl' is infinite"):
        pool([cell("a", 0, net_pnl=math.inf)])


def test_unknown_metric_is_an_error() -> None:
    with pytest.raises(ObjectiveError, match="No rule says how the metric 'luck' pools"):
        pool([cell("a", 0, luck=1.0)])


def test_mean_of_nothing_has_no_say() -> None:
    cells = [
        cell("a", 0, lots=0.0, markout_1s_ticks=0.0),
        cell("b", 0, lots=2.0, markout_1s_ticks=3.0),
    ]
    assert pool(cells)["markout_1s_ticks"] == 3.0
    assert "markout_1s_ticks" not in pool(cells[:1])


def test_missing_weight_is_an_error() -> None:
    with pytest.raises(ObjectiveError, match="The weight 'accepted' is neither"):
        pool([cell("a", 0, order_fill_ratio=0.5)])


def test_only_means_have_weights() -> None:
    for name, metric in METRICS.items():
        assert (metric.rule == "mean") == bool(metric.weight), name
