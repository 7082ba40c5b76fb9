"""Metrics of cells, pooled over the cells of a trial, and the one figure that is optimised.

How a metric pools over cells of several slices and replications (`METRICS`):

| rule | pooled value |
|---|---|
| sum | sum over slices, mean over replications: money and counts of one world |
| max | greatest of all cells |
| mean | mean weighted by the metric's weight, an integer of the ledger or another metric |

A cell whose weight is zero has no say (its mean is a mean of nothing), nor has one without the
metric. A metric that no cell defines, such as the markout of a trial without fills, is absent.
Sums are exact (`fsum`), so that the order of cells does not matter.

Known limits: the pooled drawdown is the greatest within one slice, since every slice starts flat;
percentiles of the own share pool as their maximum, for a percentile of percentiles means nothing;
deviations and ratios per minute pool as their mean over time, which is not the ratio of the pooled
minutes.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sweep.errors import SweepError


class ObjectiveError(SweepError):
    """The objective of a trial is not a finite number."""


@dataclass(frozen=True, slots=True)
class Metric:
    """How one metric pools; `weight` names what a mean is weighted by."""

    rule: Literal["sum", "max", "mean"]
    unit: str
    weight: str = ""


NAIVE_PREFIX: Final = "naive_"
METRICS: Final[dict[str, Metric]] = {
    "net_pnl": Metric("sum", "minor money"),
    "gross_pnl": Metric("sum", "minor money"),
    "fees": Metric("sum", "minor money"),
    "tax": Metric("sum", "minor money"),
    "fills": Metric("sum", "count"),
    "lots": Metric("sum", "lots"),
    "maker_share": Metric("mean", "share of lots", "lots"),
    "fill_ratio": Metric("mean", "share of accepted lots", "accepted_lots"),
    "order_fill_ratio": Metric("mean", "share of accepted orders", "accepted"),
    "turnover": Metric("sum", "minor money"),
    "max_drawdown": Metric("max", "minor money"),
    "inventory_max_lots": Metric("max", "lots"),
    "inventory_mean_lots": Metric("mean", "lots", "seconds"),
    "inventory_peak_time_share": Metric("mean", "share of time", "seconds"),
    "opi_at_arrival_mean_lots": Metric("mean", "lots", "orders_filled_ahead_known"),
    "opi_at_fill_mean_lots": Metric("mean", "lots", "maker_fills_ahead_known"),
    "queue_time_mean_s": Metric("mean", "seconds", "orders_queued"),
    "markout_1s_ticks": Metric("mean", "ticks per lot", "markout_1s_lots"),
    "markout_5s_ticks": Metric("mean", "ticks per lot", "markout_5s_lots"),
    "markout_30s_ticks": Metric("mean", "ticks per lot", "markout_30s_lots"),
    "spread_capture": Metric("sum", "minor money"),
    "inventory_pnl": Metric("sum", "minor money"),
    "own_share_p50": Metric("max", "share of volume"),
    "own_share_p95": Metric("max", "share of volume"),
    "own_share_max": Metric("max", "share of volume"),
    "own_size_share": Metric("mean", "share of displayed lots", "displayed_at_arrival_lots"),
    "beyond_best_share": Metric("mean", "share of taker lots", "taker_lots"),
    "short_print_share": Metric("mean", "share of fills by prints", "fills_printed"),
    "fill_certain_share": Metric("mean", "share of rested lots", "certified_lots"),
    "fill_dependent_share": Metric("mean", "share of rested lots", "certified_lots"),
    "fill_impossible_share": Metric("mean", "share of rested lots", "certified_lots"),
    "maker_certain_share": Metric("mean", "share of maker lots", "maker_lots"),
    "pnl_per_minute_sd": Metric("mean", "minor money", "seconds"),
    "pnl_per_minute_downside": Metric("mean", "minor money", "seconds"),
    "sharpe_per_minute": Metric("mean", "per minute", "seconds"),
    "sortino_per_minute": Metric("mean", "per minute", "seconds"),
    "orders": Metric("sum", "count"),
    "cancels": Metric("sum", "count"),
    "cancel_to_fill": Metric("mean", "per filled order", "orders_filled"),
    "amends": Metric("sum", "count"),
    "rejects": Metric("sum", "count"),
    "rejects_post_only": Metric("sum", "count"),
    "rejects_self_match": Metric("sum", "count"),
    "rejects_phase": Metric("sum", "count"),
    "rejects_lost": Metric("sum", "count"),
    "rejects_refused": Metric("sum", "count"),
    "cancel_rejects": Metric("sum", "count"),
    "expired": Metric("sum", "count"),
    # Measured only where the study asks for it, see `MEASURED_BY`.
    "impact_cost": Metric("sum", "minor money"),
    "net_pnl_after_impact": Metric("sum", "minor money"),
    "naive_net_pnl": Metric("sum", "minor money"),
    "naive_fills": Metric("sum", "count"),
}

CERTIFICATE_METRICS: Final = frozenset(
    {"fill_certain_share", "fill_dependent_share", "fill_impossible_share", "maker_certain_share"}
)


# Key of a study without which a metric is not there.
MEASURED_BY: Final = {
    "impact_cost": "world.impact.charge",
    "net_pnl_after_impact": "world.impact.charge",
    "naive_net_pnl": "world.compare",
    "naive_fills": "world.compare",
} | dict.fromkeys(CERTIFICATE_METRICS, "world.certificates")


def pool(cells: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the metrics of some cells taken together.

    Args:
        cells: Documents with `metrics`, `ledger`, `seconds` and `replication`.

    Raises:
        ObjectiveError: A cell has a metric that no rule is known for, or one that is infinite.
    """
    assert cells, "nothing to pool"
    replications = len({cell["replication"] for cell in cells})
    names: dict[str, None] = {name: None for cell in cells for name in cell["metrics"]}
    pooled: dict[str, float] = {}
    for name in names:
        if name not in METRICS:
            raise ObjectiveError(f"No rule says how the metric {name!r} pools over cells")
        value = _pool_one(name, METRICS[name], cells, replications)
        if value is not None:
            pooled[name] = value
    return pooled


def _pool_one(
    name: str, metric: Metric, cells: Sequence[Mapping[str, Any]], replications: int
) -> float | None:
    pairs = [(float(cell["metrics"].get(name, math.nan)), cell) for cell in cells]
    for value, _ in pairs:
        if math.isinf(value):
            raise ObjectiveError(f"The metric {name!r} is infinite")
    defined = [(value, cell) for value, cell in pairs if not math.isnan(value)]
    if not defined:
        return None
    values = [value for value, _ in defined]
    if metric.rule == "sum":
        return math.fsum(values) / replications
    if metric.rule == "max":
        return max(values)
    weights = [_weight(metric.weight, cell) for _, cell in defined]
    total = math.fsum(weights)
    if total <= 0.0:
        return None
    products = (value * weight for value, weight in zip(values, weights, strict=True))
    return math.fsum(products) / total


def _weight(name: str, cell: Mapping[str, Any]) -> float:
    for document in (cell["metrics"], cell["ledger"], cell):
        if name in document:
            weight = float(document[name])
            return 0.0 if math.isnan(weight) else weight
    raise ObjectiveError(f"The weight {name!r} is neither a metric nor in the ledger")


def cvar(values: Sequence[float], q: float, *, lowest: bool = True) -> float:
    """Return the mean of the worst share `q`; the last value counts with its fraction.

    Args:
        values: At least one number.
        q: Share in (0, 1].
        lowest: Whether low values are the worst.
    """
    assert 0.0 < q <= 1.0, f"share {q} is not in (0, 1]"
    ordered = sorted(values, reverse=not lowest)
    # A whole number of values must not gain one by the rounding of q * n.
    size = max(q * len(ordered), 1e-12)
    whole = math.floor(size + 1e-9)
    rest = max(0.0, size - whole)
    terms = ordered[:whole]
    if rest > 1e-9 and whole < len(ordered):
        terms = [*terms, ordered[whole] * rest]
        return math.fsum(terms) / size
    return math.fsum(terms) / whole


_COMBINE: Final[dict[str, Callable[[Sequence[float]], float]]] = {
    "mean": lambda values: math.fsum(values) / len(values),
    "sum": math.fsum,
    "min": min,
    "max": max,
}


def objective_value(objective: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]) -> float:
    """Return the figure that the search sees.

    Args:
        objective: `direction`, `metric`, `over`, `by` and `q` of the objective section.
        cells: All cells of the trial.

    Raises:
        ObjectiveError: The metric is undefined or not finite for a group of cells.
    """
    over, metric = objective["over"], objective["metric"]
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for cell in cells:
        groups.setdefault(_group(over, cell), []).append(cell)
    values: list[float] = []
    for key, members in groups.items():
        value = pool(members).get(metric)
        if value is None or not math.isfinite(value):
            raise ObjectiveError(_undefined(metric, value, over, key))
        values.append(value)
    if objective["by"] == "cvar":
        return cvar(values, objective["q"], lowest=objective["direction"] == "maximize")
    return _COMBINE[objective["by"]](values)


def _undefined(metric: str, value: float | None, over: str | None, key: tuple[Any, ...]) -> str:
    where = f" for the {over} {' '.join(str(part) for part in key)}" if over else ""
    found = "undefined" if value is None else str(value)
    hint = "a trial without fills has neither markouts nor queue times"
    return f"The objective {metric} is {found}{where}: {hint}"


def _group(over: str | None, cell: Mapping[str, Any]) -> tuple[Any, ...]:
    match over:
        case None:
            return ()
        case "slice":
            return (cell["slice"],)
        case "replication":
            return (cell["replication"],)
        case _:
            return (cell["slice"], cell["scenario"], cell["replication"])
