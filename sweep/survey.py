"""What a tape holds, measured in one pass: spans, mix, spreads, queues, clocks, rates.

The core counts (rustsim/src/tape/survey.rs); here the counts of the sessions become figures.
Figures of book and trades are those of trading time.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import rustsim
from sweep.data import open_info
from sweep.support import judge

PERCENTILES: Final = (1, 5, 25, 50, 75, 95, 99)
STEP_ROWS: Final = 1 << 20
# Widths of the stretches of time over which rates are counted: the first that gives few enough.
BIN_SECONDS: Final = (1, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400)
BINS_MAX: Final = 300
# Periods of a feed that shows images of the book on a grid of time.
GRID_MS: Final = (1_000, 500, 250, 200, 125, 100, 50, 40, 25, 20)
GRID_OFF_MS: Final = 2
GRID_EXCESS_MIN: Final = 0.25

# Hears how many rows are measured.
Progress = Callable[[int], None]


@dataclass(slots=True)
class Histogram:
    """Counts by value; values of 256 and more are rounded by up to 0.4 %."""

    count: int = 0
    total: float = 0.0
    total_squares: float = 0.0
    low: int = 0
    high: int = 0
    bins: dict[int, int] = field(default_factory=dict)

    @classmethod
    def from_core(cls, document: Mapping[str, Any]) -> Self:
        """Return what the core counted."""
        return cls(
            count=document["count"],
            total=document["sum"],
            total_squares=document["sum_squares"],
            low=document["min"],
            high=document["max"],
            bins={int(value): count for value, count in document["bins"].items()},
        )

    def merge(self, other: "Histogram") -> None:
        """Add the counts of another one."""
        if not other.count:
            return
        self.low = min(self.low, other.low) if self.count else other.low
        self.high = max(self.high, other.high) if self.count else other.high
        self.count += other.count
        self.total += other.total
        self.total_squares += other.total_squares
        for value, count in other.bins.items():
            self.bins[value] = self.bins.get(value, 0) + count

    def percentile(self, percent: float) -> int:
        """Return the smallest value that so many percent of all do not exceed."""
        left = self.count * percent / 100.0
        for value, count in sorted(self.bins.items()):
            left -= count
            if left <= 0.0:
                return min(max(value, self.low), self.high)
        return self.high

    @property
    def mean(self) -> float:
        """Mean, 0 without values."""
        return self.total / self.count if self.count else 0.0

    @property
    def cv(self) -> float:
        """Standard deviation over mean, 0 where it has no meaning."""
        if not self.count or self.mean == 0.0:
            return 0.0
        variance = max(0.0, self.total_squares / self.count - self.mean**2)
        return math.sqrt(variance) / abs(self.mean)

    def figures(self, unit: float = 1.0) -> dict[str, Any]:
        """Return plain figures in another unit; nothing without values."""
        if not self.count:
            return {}
        found = {f"p{p}": _round(self.percentile(p) / unit) for p in PERCENTILES}
        low, high = _round(self.low / unit), _round(self.high / unit)
        spread = {"cv": _round(self.cv)} if self.low >= 0 else {}
        middle = {"count": self.count, "mean": _round(self.mean / unit)}
        return middle | spread | {"min": low} | found | {"max": high}

    def shares(self, most: int) -> dict[str, float]:
        """Return the share of each of the most frequent values, in their order."""
        kept = sorted(sorted(self.bins, key=lambda value: -self.bins[value])[:most])
        return {str(value): _round(self.bins[value] / self.count) for value in kept}


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A tape and its figures.

    Attributes:
        document: Everything as plain JSON, the verdicts of `sweep.support` included.
        histograms: Counts behind the figures, by name, for pictures.
        bins: Stretches of time with rows, in order, for pictures.
        bin_seconds: Width of these.
    """

    document: dict[str, Any]
    histograms: dict[str, Histogram]
    bins: list[dict[str, Any]]
    bin_seconds: int


HISTOGRAMS: Final = (
    "group_rows",
    "gaps_ns",
    "spread_us",
    "best_lots",
    "levels",
    "trade_lots",
    "delay_ns",
)


def survey_tape(path: Path, progress: Progress | None = None) -> Survey:
    """Check all of a tape and measure it, session by session.

    Raises:
        DataError: The tape is damaged.
    """
    info = open_info(path)
    tape = rustsim.Tape.open(str(path))
    rows = tape.row_count
    span_s = (tape.exch_ns(rows - 1) - tape.exch_ns(0)) / 1e9 if rows else 0.0
    bin_seconds = next((s for s in BIN_SECONDS if span_s / s <= BINS_MAX), BIN_SECONDS[-1])
    histograms = {name: Histogram() for name in (*HISTOGRAMS, "orders_at_best")}
    sessions, reports, bins = [], [], []
    for session in info.sessions:
        core = rustsim.TapeSurvey(
            tape, session.row_start, session.row_stop, bin_ns=bin_seconds * 1_000_000_000
        )
        while left := core.advance(STEP_ROWS):
            if progress:
                progress(session.row_stop - left)
        if progress:
            progress(session.row_stop)
        report = json.loads(core.report())
        bins += report.pop("bins")
        mine = {name: Histogram.from_core(report.pop(name)) for name in HISTOGRAMS}
        mine["orders_at_best"] = Histogram.from_core(report["queues"].pop("orders_at_best"))
        for name, histogram in mine.items():
            histograms[name].merge(histogram)
        place = {"row_start": session.row_start, "row_stop": session.row_stop}
        sessions.append({"name": session.name} | place | _session(report, mine))
        reports.append(report)
    total = _add_up(reports)
    document = {
        "path": str(path),
        "rows": rows,
        "bytes": path.stat().st_size,
        "content_hash": info.content_hash,
        "has_local_clock": tape.has_local,
        "first": time_text(tape.exch_ns(0)) if rows else None,
        "last": time_text(tape.exch_ns(rows - 1)) if rows else None,
        "span_seconds": span_s,
        "instrument": dict(info.instrument),
        "sessions": sessions,
        "facts": dict(info.facts),
    } | _origin(tape)
    document["kinds"] = total["kinds"]
    document["measured"] = _measured(total, histograms, _peak(bins, bin_seconds))
    document["support"] = [verdict.to_json() for verdict in judge(document)]
    return Survey(document=document, histograms=histograms, bins=bins, bin_seconds=bin_seconds)


def _origin(tape: rustsim.Tape) -> dict[str, Any]:
    metadata = json.loads(tape.metadata)
    return {"reader": metadata.get("reader"), "source": metadata.get("source", [])}


def _add_up(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the reports of all sessions as one; gaps between sessions are not gaps."""
    total: dict[str, Any] = {}
    for report in reports:
        _add_into(total, report)
    total["longest_gaps"] = sorted(total.get("longest_gaps", []), key=lambda gap: -gap[1])[:10]
    for name, pick in (("price_min", min), ("price_max", max)):
        found = [report[name] for report in reports if report[name] is not None]
        total[name] = pick(found) if found else None
    total["time_step_ns"] = math.gcd(*(report["time_step_ns"] for report in reports))
    crossed = [r["crossed_first_ns"] for r in reports if r["crossed_first_ns"] is not None]
    total["crossed_first_ns"] = min(crossed, default=None)
    total["has_joins"] = any(report["has_joins"] for report in reports)
    return total


def _add_into(total: dict[str, Any], part: Mapping[str, Any]) -> None:
    for name, value in part.items():
        if isinstance(value, dict):
            _add_into(total.setdefault(name, {}), value)
        elif isinstance(value, list) and name != "longest_gaps":
            before = total.get(name, [0] * len(value))
            total[name] = [left + right for left, right in zip(before, value, strict=True)]
        elif isinstance(value, list):
            total[name] = total.get(name, []) + value
        else:
            total[name] = total.get(name, 0) + (value or 0)


def _session(report: Mapping[str, Any], histograms: Mapping[str, Histogram]) -> dict[str, Any]:
    return {
        "rows": report["rows"],
        "first": time_text(report["first_ns"]),
        "last": time_text(report["last_ns"]),
        "groups": report["groups"],
        "trades": report["mix"]["trades"],
        "lots_traded": report["prints"]["lots"],
        "spread_mean_ticks": _round(histograms["spread_us"].mean),
        "best_lots_mean": _round(histograms["best_lots"].mean),
        "crossed_groups": report["crossed_groups"],
        "locked_groups": report["locked_groups"],
        "longest_gap_s": _round(histograms["gaps_ns"].high / 1e9),
    }


def _measured(
    total: Mapping[str, Any], histograms: Mapping[str, Histogram], peak: Mapping[str, Any]
) -> dict[str, Any]:
    groups = max(1, total["trading_groups"])
    samples = max(1, total["depth_samples"])
    return {
        "trading_rows": total["trading_rows"],
        "auction_rows": total["rows"] - total["trading_rows"],
        "image_rows": total["image_rows"],
        "gap_rows": total["gap_rows"],
        "groups": total["groups"],
        "trading_groups": total["trading_groups"],
        "two_sided_groups": total["two_sided_groups"],
        "crossed_groups": total["crossed_groups"],
        "locked_groups": total["locked_groups"],
        "crossed_first": _time_or_none(total["crossed_first_ns"]),
        "best_change_share": _round(total["best_change_groups"] / groups),
        "time_step_ns": total["time_step_ns"],
        "price_ticks": [total["price_min"], total["price_max"]],
        "mix": dict(total["mix"]),
        "prints": dict(total["prints"]),
        "has_joins": total["has_joins"],
        "queues": _queues(total["queues"]) if total["has_joins"] else {},
        "orders_at_best": histograms["orders_at_best"].figures(),
        "rows_per_group": histograms["group_rows"].figures(),
        "spread_ticks": _by_time(histograms["spread_us"]),
        "spread_time_share": histograms["spread_us"].shares(8),
        "best_lots": histograms["best_lots"].figures(),
        "trade_lots": histograms["trade_lots"].figures(),
        "levels_a_side": histograms["levels"].figures(),
        "depth_mean_lots": [_round(lots / samples) for lots in total["depth_lots"]],
        "gap_ms": histograms["gaps_ns"].figures(1e6),
        "longest_gaps": [
            {"from": time_text(start), "seconds": _round(gap / 1e9)}
            for start, gap in total["longest_gaps"]
        ],
        "image_grid": image_grid({int(ms): n for ms, n in total["level_gaps_ms"].items()}),
        "local_less_exchange_ms": histograms["delay_ns"].figures(1e6),
        "local_clock_falls": total["local_falls"],
        "peak": dict(peak),
    }


def _by_time(spread: Histogram) -> dict[str, Any]:
    """Return figures of values that count for as long as they stood."""
    figures = spread.figures()
    if figures:
        figures["stood_seconds"] = _round(figures.pop("count") / 1e6)
    return figures


def _queues(queues: Mapping[str, Any]) -> dict[str, Any]:
    """Return where cancels and prints stood in their queues."""
    placed = queues["cancels_placed"]
    prints = queues["prints_first"] + queues["prints_not_first"]
    return {
        "cancels_placed": placed,
        "cancels_alone": queues["cancels_alone"],
        "cancels_unknown": queues["cancels_unknown"],
        "place_from_back": list(queues["place_from_back"]),
        "place_from_back_mean": _round(queues["place_sum"] / placed) if placed else None,
        "last_share": _round(queues["last"] / placed) if placed else None,
        "first_share": _round(queues["first"] / placed) if placed else None,
        "prints_first": queues["prints_first"],
        "prints_not_first": queues["prints_not_first"],
        "prints_unknown": queues["prints_unknown"],
        "fifo_share": _round(queues["prints_first"] / prints) if prints else None,
    }


def image_grid(gaps_ms: Mapping[int, int]) -> dict[str, Any] | None:
    """Return the grid of time on which the feed shows its images, None if there is none.

    The share of gaps between book messages that are whole multiples of a period (give or take
    2 ms), less what chance gives, tells a grid; the last bin (2 s and more) is left out.
    """
    gaps = {gap: count for gap, count in gaps_ms.items() if 0 < gap < 2_000}
    total = sum(gaps.values())
    best: dict[str, Any] | None = None
    for period in GRID_MS:
        on_grid = sum(
            count
            for gap, count in gaps.items()
            if gap > period / 2 and min(gap % period, -gap % period) <= GRID_OFF_MS
        )
        chance = (2 * GRID_OFF_MS + 1) / period
        excess = (on_grid / total - chance) / (1.0 - chance) if total else 0.0
        if excess >= GRID_EXCESS_MIN and (best is None or excess > best["excess"]):
            share = _round(on_grid / total)
            best = {"period_ms": period, "gap_share": share, "excess": _round(excess)}
    return best


def _peak(bins: list[dict[str, Any]], bin_seconds: int) -> dict[str, Any]:
    if not bins:
        return {}
    busiest = max(bins, key=lambda part: int(part["rows"]))
    return {
        "rows_per_second_mean": _round(
            sum(part["rows"] for part in bins) / len(bins) / bin_seconds
        ),
        "rows_per_second": _round(busiest["rows"] / bin_seconds),
        "at": time_text(busiest["start_ns"]),
        "over_seconds": bin_seconds,
    }


def flatten(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the figures by dotted names."""
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def time_text(ns: int) -> str:
    """Return a time as ISO 8601 in UTC with nine digits."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def _time_or_none(ns: int | None) -> str | None:
    return None if ns is None else time_text(ns)


def _round(value: float) -> float:
    """Return four digits after the point, or four significant ones if the value is small."""
    if value == 0.0 or abs(value) >= 1.0:
        return round(float(value), 4)
    return float(f"{value:.4g}")
