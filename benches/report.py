"""How a measurement is reported: a table for people, one JSON list for programs."""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured figure, larger is better unless the name says otherwise.

    Attributes:
        reference: The same figure of the reference program, None if it could not be had.
        bar: What the house promises on the machine that it was stated for.
        speed: How fast this machine is beside that one, by a program that is not ours; the bar
            counts in that proportion.
        runs: Single values behind the median.
    """

    name: str
    value: float
    unit: str
    bar: float
    reference: float | None = None
    higher_is_better: bool = True
    speed: float = 1.0
    runs: tuple[float, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Value over reference."""
        return self.value / self.reference if self.reference else None

    @property
    def bar_here(self) -> float:
        """The bar in proportion to the speed of this machine."""
        return self.bar * self.speed if self.higher_is_better else self.bar / self.speed

    @property
    def met(self) -> bool:
        """Whether the bar is reached on this machine."""
        value, bar = self.value, self.bar_here
        return value >= bar if self.higher_is_better else value <= bar

    @property
    def spread(self) -> float | None:
        """Range of the runs over their median."""
        if not self.runs:
            return None
        return (max(self.runs) - min(self.runs)) / statistics.median(self.runs)


def machine() -> dict[str, Any]:
    """Return what a figure depends on besides the code."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "load_1min": os.getloadavg()[0],
        "python": platform.python_version(),
        "system": platform.platform(),
        "commit": commit(),
    }


def commit() -> str:
    """Return the commit measured, marked if the tree differs from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def write(figures: Sequence[Figure], path: Path) -> None:
    """Write the list of figures, each with the machine and commit it was measured on."""
    here = machine()
    rows = [
        {
            **asdict(figure),
            "ratio": figure.ratio,
            "bar_here": figure.bar_here,
            "met": figure.met,
            "spread": figure.spread,
            "machine": here,
        }
        for figure in figures
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1) + "\n")


def show(figures: Sequence[Figure], path: Path) -> None:
    """Print the table."""
    here = machine()
    print(f"{here['cpu']}, {here['cores']} cores, load {here['load_1min']:.1f}, {here['commit']}")
    head = f"{'figure':<50}{'value':>12} {'unit':<12}{'reference':>12}{'ratio':>8}"
    print(f"{head}{'bar':>12}{'here':>10}  met")
    for figure in figures:
        reference = f"{figure.reference:,.2f}" if figure.reference is not None else "none"
        ratio = f"{figure.ratio:.2f}" if figure.ratio is not None else "-"
        print(
            f"{figure.name:<50}{figure.value:>12,.2f} {figure.unit:<12}{reference:>12}{ratio:>8}"
            f"{figure.bar:>12,.2f}{figure.bar_here:>10,.2f}  {'yes' if figure.met else 'NO'}"
            + (f"  (spread {figure.spread:.0%})" if figure.spread is not None else "")
        )
    print(f"written to {path}")
