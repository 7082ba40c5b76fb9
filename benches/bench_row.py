"""One row of the benchmark's table, and how it counts against its bar."""

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

NS = "ns/event"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A measured figure.

    Attributes:
        runs: Single values; the figure is their median.
        bar: What the house promises on the machine that bars are stated for; None: no promise.
        is_scaled: The bar counts in proportion to the speed of the machine; ratios and sizes do
            not.
        peers: The same of other programs, in the same unit.
        facts: What was replayed and what came out: events, wakes, orders, engine, digest.
        absent: Why there are no runs.
    """

    name: str
    unit: str = NS
    runs: tuple[float, ...] = ()
    bar: float | None = None
    higher_is_better: bool = False
    is_scaled: bool = True
    peers: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    absent: str = ""

    @property
    def value(self) -> float:
        """Median of the runs."""
        return statistics.median(self.runs)

    @property
    def spread(self) -> float:
        """Range of the runs over their median."""
        return (max(self.runs) - min(self.runs)) / abs(self.value)

    def bar_here(self, speed: float) -> float | None:
        """Return the bar on a machine of this speed; 1 is the one that bars are stated for."""
        if self.bar is None or not self.is_scaled:
            return self.bar
        return self.bar * speed if self.higher_is_better else self.bar / speed

    def is_met(self, speed: float) -> bool | None:
        """Return whether the bar is reached, None if there is none."""
        bar = self.bar_here(speed)
        if bar is None or not self.runs:
            return None
        return self.value >= bar if self.higher_is_better else self.value <= bar

    def document(self) -> dict[str, Any]:
        """Return plain JSON that `row_from` reads back."""
        return asdict(self)


def row_from(document: dict[str, Any]) -> Row:
    """Return the row that a document describes."""
    return Row(**(document | {"runs": tuple(document["runs"])}))


def number(value: float) -> str:
    """Return a figure with three digits that matter."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def cells(row: Row, speed: float, peer_names: list[str]) -> list[str]:
    """Return the texts of a row of the table."""
    if not row.runs:
        return [row.name, "not measured", *[""] * (6 + len(peer_names))]
    rate = f"{1_000 / row.value:,.1f}" if row.unit.startswith("ns/") else ""
    bar = row.bar_here(speed)
    sign = "≥" if row.higher_is_better else "≤"
    met = {True: "yes", False: "NO", None: ""}[row.is_met(speed)]
    facts = row.facts
    shares = [
        f"{facts[key]:.4f}" if facts.get(key) is not None else ""
        for key in ("wakes_per_event", "orders_per_event")
    ]
    beside = []
    for name in peer_names:
        peer = row.peers.get(name)
        beside.append(f"{number(peer)} (x {number(peer / row.value)})" if peer else "")
    return [
        row.name,
        f"{number(row.value)} {row.unit}",
        rate,
        f"{row.spread:.0%}" if len(row.runs) > 1 else "",
        f"{sign} {number(bar)} {met}" if bar is not None else "",
        *shares,
        facts.get("engine", ""),
        *beside,
    ]


HEADS = ("figure", "median", "M/s", "spread", "bar here", "wakes", "orders", "engine")
