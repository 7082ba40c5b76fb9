"""The statistics that hold a generated market against a recorded one, each with a tolerance."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Verdict = Literal["within", "outside", "not reproduced", "not measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far a generated figure may lie from the recorded one: the widest that applies.

    Attributes:
        absolute: In the unit of the figure.
        relative: As a share of the recorded figure.
        factor: The figure may be this many times as large or as small; for what spans decades.
    """

    absolute: float = 0.0
    relative: float = 0.0
    factor: float = 1.0

    def distance(self, recorded: float, generated: float) -> float:
        """Return the signed distance in tolerances: between -1 and 1 is within."""
        room = max(self.absolute, self.relative * abs(recorded))
        plain = (generated - recorded) / room if room > 0.0 else math.inf
        if self.factor > 1.0 and recorded > 0.0 and generated > 0.0:
            ratio = math.log(generated / recorded) / math.log(self.factor)
            return min(plain, ratio, key=abs)
        return plain

    def __str__(self) -> str:
        """Return the tolerance in words for a table."""
        words = []
        if self.absolute:
            words.append(f"±{self.absolute:g}")
        if self.relative:
            words.append(f"±{self.relative:.0%}")
        if self.factor > 1.0:
            words.append(f"x/÷{self.factor:g}")
        return " or ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """One figure of `sweep.market_figures` that is compared."""

    keys: tuple[str, ...]
    tolerance: Tolerance

    @property
    def name(self) -> str:
        """Its keys, joined by dots."""
        return ".".join(self.keys)

    def of(self, figures: Mapping[str, Any]) -> float | None:
        """Return the figure, None where it was not measured."""
        found: Any = figures
        for key in self.keys:
            if not isinstance(found, Mapping) or key not in found:
                return None
            found = found[key]
        return None if found is None else float(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One line of the report."""

    name: str
    recorded: float | None
    generated: float | None
    tolerance: str
    verdict: Verdict
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the line as plain JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


_SHARE: Final = Tolerance(absolute=0.05)
_SMALL_SHARE: Final = Tolerance(absolute=0.02, relative=0.2)
_SIZE: Final = Tolerance(absolute=1.0, relative=0.25)
_MEAN: Final = Tolerance(relative=0.2)
_RATIO: Final = Tolerance(relative=0.35)
_CORRELATION: Final = Tolerance(absolute=0.08)
_DECADES: Final = Tolerance(factor=2.0)
_PLACE: Final = Tolerance(absolute=0.08)


def _statistics() -> Iterator[Statistic]:
    def each(key: str, names: str, tolerance: Tolerance) -> Iterator[Statistic]:
        for name in names.split():
            yield Statistic(keys=(key, name), tolerance=tolerance)

    def one(key: str, tolerance: Tolerance) -> Statistic:
        return Statistic(keys=(key,), tolerance=tolerance)

    yield one("rows_per_group", Tolerance(relative=0.15))
    yield one("trade_row_share", _SMALL_SHARE)
    yield one("level_times_per_trade_time", Tolerance(relative=0.25))
    yield one("best_change_group_share", Tolerance(absolute=0.03, relative=0.25))
    yield from each("spread_ticks", "mean", _MEAN)
    yield from each("spread_ticks", "p5 p25 p50 p75 p95", _SIZE)
    yield from each("spread_ticks_share", "1 2 3 4 5 6", Tolerance(absolute=0.08))
    yield from each("best_lots", "mean", _MEAN)
    yield from each("best_lots", "p25 p50 p75 p95 p99", _SIZE)
    yield from each("depth_lots", "2 3 5 10", Tolerance(relative=0.25))
    yield from each("depth_distance_ticks", "2 3 5 10", Tolerance(absolute=0.25, relative=0.25))
    yield from each("trade_lots", "mean", _MEAN)
    yield from each("trade_lots", "p25 p50 p75 p95 p99", _SIZE)
    yield from each("level_gap_ms", "mean", Tolerance(relative=0.15))
    yield from each("level_gap_ms", "p5 p25 p50 p75 p95 p99", _DECADES)
    yield from each("level_gap_ms", "cv", _RATIO)
    yield from each("trade_gap_ms", "mean", Tolerance(relative=0.2))
    yield from each("trade_gap_ms", "p5 p25 p50 p75 p95 p99", _DECADES)
    yield from each("trade_gap_ms", "cv", _RATIO)
    yield one("level_seconds_dispersion", Tolerance(relative=0.5))
    yield one("trade_seconds_dispersion", Tolerance(relative=0.5))
    yield from each("trade_sign_correlation", "1 2 5 10 20 50", _CORRELATION)
    yield from each("mid_move_ticks_std", "125 1000 10000 60000", Tolerance(relative=0.25))
    yield one("mid_unmoved_share_125_ms", _SHARE)
    yield one("cancel_share", _SHARE)
    yield from each("added_lots", "mean", _MEAN)
    yield from each("added_lots", "p25 p50 p75 p95 p99", _SIZE)
    yield one("added_round_share", _SHARE)
    for key in ("added_distance_ticks", "cancelled_distance_ticks"):
        yield from each(key, "inside_share best_share", _PLACE)
        yield from each(key, "behind_p50 behind_p90", Tolerance(absolute=1.0, relative=0.35))
    yield one("best_orders_mean", Tolerance(relative=0.25))
    yield one("cancel_back_tenth_share", _PLACE)
    yield one("cancel_back_exponent", Tolerance(relative=0.2))


STATISTICS: Final = tuple(_statistics())

DISTANCE_MAX: Final = 8.0

_FAR: Final = "makers quote a limited band: nobody rests hundreds of ticks away"
_FLOCK: Final = "makers look at the fair value: they do not flock to a price because it is the best"
_PLACES: Final = "sizes of orders are the same at every place, in front and deep in the book"
_DECADES_ALIKE: Final = "clusters give every decade of time the same weight"

# What the model has no part for, by the beginning of the name; see rustsim/src/synthetic/mod.rs.
REASONS: Final[dict[str, str]] = {
    "added_distance_ticks.behind_p90": _FAR,
    "cancelled_distance_ticks.behind_p90": _FAR,
    "depth_lots": _PLACES,
    "trade_lots": _PLACES,
    "best_lots.p9": _PLACES,
    "added_distance_ticks.best_share": _FLOCK,
    "best_orders_mean": _FLOCK,
    "level_gap_ms.p": _DECADES_ALIKE,
    "trade_gap_ms.p": _DECADES_ALIKE,
}

MISSING: Final = "too rare in the generated market to be measured"


def lack(item: Statistic) -> str:
    """Return why the model cannot reproduce a statistic; empty if it can."""
    return next((words for key, words in REASONS.items() if item.name.startswith(key)), "")


def measured(recorded: Mapping[str, Any]) -> tuple[Statistic, ...]:
    """Return the statistics that a recording has."""
    return tuple(item for item in STATISTICS if item.of(recorded) is not None)


def distances(
    statistics: tuple[Statistic, ...], recorded: Mapping[str, Any], generated: Mapping[str, Any]
) -> list[float]:
    """Return how far each generated figure lies from the recorded one, in tolerances.

    Capped, so that no figure rules the others. One that the generated market has not counts 0: a
    search must not bend everything else until it can just be measured.
    """
    return [_distance(item, recorded, generated) for item in statistics]


def _distance(item: Statistic, recorded: Mapping[str, Any], generated: Mapping[str, Any]) -> float:
    there, here = item.of(recorded), item.of(generated)
    assert there is not None, item.name
    if here is None:
        return 0.0
    return max(-DISTANCE_MAX, min(DISTANCE_MAX, item.tolerance.distance(there, here)))


def compare(
    item: Statistic, recorded: Mapping[str, Any], generated: Mapping[str, Any]
) -> Comparison:
    """Return one line of the report.

    A figure outside of its tolerance is not reproduced where the model has no part for it.
    """
    there, here = item.of(recorded), item.of(generated)
    reason = ""
    verdict: Verdict = "not measured"
    if there is not None:
        is_within = here is not None and abs(_distance(item, recorded, generated)) <= 1.0
        reason = "" if is_within else lack(item)
        reason = MISSING if here is None else reason
        verdict = "within" if is_within else "not reproduced" if reason else "outside"
    return Comparison(
        name=item.name,
        recorded=there,
        generated=here,
        tolerance=str(item.tolerance),
        verdict=verdict,
        reason=reason,
    )
