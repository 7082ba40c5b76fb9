"""What the latencies of a study come to: mean and quantiles of every kind of message."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import rustsim
from sweep.exchange import NS_PER_US, latency_spec

POINTS: Final = 100_000  # p99.9 is the hundredth from above
QUANTILES: Final = (("p50_us", 0.5), ("p99_us", 0.99), ("p999_us", 0.999))


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyLine:
    """One distribution.

    Attributes:
        name: Kind of message, with "(stressed)" for its part in stressed stretches.
        model: The family.
        mean_us: Mean.
        quantiles_us: Rising quantiles at the middles of `POINTS` equal shares.
    """

    name: str
    model: str
    mean_us: float
    quantiles_us: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the line without the distribution."""
        shown = {
            name: self.quantiles_us[int(share * len(self.quantiles_us))]
            for name, share in QUANTILES
        }
        return {"operation": self.name, "model": self.model, "mean_us": self.mean_us, **shown}


def latency_lines(
    legs: Mapping[str, Mapping[str, Any]], traces: Mapping[str, str]
) -> list[LatencyLine]:
    """Return the distributions of resolved latencies, before load and the order of sessions.

    Args:
        legs: Latencies by kind of message, every search space filled.
        traces: Mapped files of recorded latencies by name.

    Raises:
        SpecError: The compiled core refuses one.
    """
    lines = []
    for name, leg in legs.items():
        lines.append(_line(name, {**leg, "stressed": None}, traces))
        if leg.get("stressed") is not None:
            lines.append(_line(f"{name} (stressed)", leg["stressed"], traces))
    return lines


def _line(name: str, leg: Mapping[str, Any], traces: Mapping[str, str]) -> LatencyLine:
    shares = [(rank + 0.5) / POINTS for rank in range(POINTS)]
    spec = json.dumps(latency_spec(leg, traces))
    # A mixture does not rise with its uniform.
    found = sorted(value / NS_PER_US for value in rustsim.latency_quantiles_ns(spec, shares))
    return LatencyLine(
        name=name,
        model=leg["model"],
        mean_us=sum(found) / POINTS,
        quantiles_us=tuple(found),
    )
