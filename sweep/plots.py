"""Pictures of trials, latencies, calibrations; the only room that names matplotlib."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sweep.errors import InputError, ResourceError
from sweep.replays import ReplayTables

NS_PER_HOUR: Final = 3.6e12
US_PER_MS: Final = 1e3
DISTINCT: Final = 10  # colours before they come again
MARK_MIN: Final = 8.0
MARK_MORE: Final = 80.0
DENSE_FILLS: Final = 1_000  # more of them at full size would hide the price
MARKS: Final = ((0, "buy", "#1b7837", "^"), (1, "sell", "#b2182b", "v"))  # side, word, look


def _save(figure: Any, path: Path) -> None:
    forms = sorted(figure.canvas.get_supported_filetypes())
    if path.suffix.lower()[1:] not in forms:
        raise InputError(
            f"{path}: no form of picture; its name must end in one of {', '.join(forms)}"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise ResourceError(f"{path}: cannot be written: {error.strerror or error}") from error


def plot_replay(
    tables: ReplayTables, path: Path, *, title: str, naive: ReplayTables | None = None
) -> None:
    """Draw price with fills, position and equity of the first replication, slice after slice.

    The time axis is hours of trading: the gaps between slices are left out. With `naive`, the
    equity of the same trial in the naive world is drawn beside its own.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 9), layout="constrained")
    price, position, money = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1, 2))
    spans = _spans(tables, *([naive] if naive else []))
    slices = _slices(tables, spans)
    counts: dict[tuple[str, str], int] = {}
    carried = 0.0
    fills = sum(len(points) for part in slices for points in part.fills.values())
    size = 12.0 if fills < DENSE_FILLS else 2.0
    for part in slices:
        price.plot(*part.prices, color="0.6", linewidth=0.6)
        position.step(*part.position, where="post", color="0.3", linewidth=0.8)
        hours, values = part.equity
        money.plot(hours, [carried + value for value in values], color="#2166ac", linewidth=0.9)
        carried += values[-1] if values else 0.0
        if part.start > 0.0:
            for axes in (price, position, money):
                axes.axvline(part.start, color="0.85", linewidth=0.8)
        for side, word, colour, marker in MARKS:
            for is_maker, kind in ((True, "maker"), (False, "taker")):
                points = part.fills[side, is_maker]
                counts[word, kind] = counts.get((word, kind), 0) + len(points)
                price.scatter(
                    [hour for hour, _ in points],
                    [ticks for _, ticks in points],
                    marker=marker,
                    s=size,
                    facecolors=colour if is_maker else "none",
                    edgecolors=colour,
                    linewidths=0.6,
                    zorder=3,
                )
    if naive is not None:
        _plot_naive(money, _slices(naive, spans))
    words = ", ".join(f"{count:,} {word} {kind}" for (word, kind), count in counts.items() if count)
    price.set_title(f"{title}: {words or 'no fills'} (hollow: taker)", loc="left")
    price.set_ylabel("price (ticks)")
    position.set_ylabel("position (lots)")
    money.set_ylabel("equity after costs")
    money.set_xlabel("hours of trading")
    for axes in (position, money):
        axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    _save(figure, path)


def _plot_naive(axes: Any, slices: Sequence["_Slice"]) -> None:
    axes.lines[0].set_label("live-like")
    look: dict[str, Any] = {"color": "#e08214", "linewidth": 0.9, "label": "naive backtest"}
    carried = 0.0
    for part in slices:
        hours, values = part.equity
        axes.plot(hours, [carried + value for value in values], **look)
        look.pop("label", None)
        carried += values[-1] if values else 0.0
    axes.legend(loc="upper left", frameon=False)


def plot_latencies(lines: Mapping[str, Sequence[float]], path: Path, *, title: str) -> None:
    """Draw the distributions of latencies, each given by its rising quantiles in microseconds.

    Shares lie on a scale that spreads the tail: 0.9, 0.99 and 0.999 are equally far apart.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.subplots()
    for name, quantiles in lines.items():
        count = len(quantiles)
        slower = [1.0 - (rank + 0.5) / count for rank in range(count)]
        axes.plot([value / US_PER_MS for value in quantiles], slower, label=name, linewidth=1.2)
    if any(quantiles[0] > 0.0 for quantiles in lines.values()):
        axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(1e-4, 1.0)
    axes.set_xlabel("latency (ms)")
    axes.set_ylabel("share of messages that take longer")
    axes.grid(visible=True, which="major", color="0.9")
    axes.set_title(title, loc="left")
    if lines:
        axes.legend()
    _save(figure, path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slice:
    """What is drawn of one slice; x values in hours."""

    start: float
    prices: tuple[list[float], list[float]]
    position: tuple[list[float], list[float]]
    equity: tuple[list[float], list[float]]
    fills: dict[tuple[int, bool], list[tuple[float, float]]]  # by (side, is maker)


def _spans(*several: ReplayTables) -> dict[str, tuple[int, int]]:
    """Return the first and the last time of each slice in any of the tables."""
    times: dict[str, list[int]] = {}
    for tables in several:
        for name, samples in tables.prices.items():
            times.setdefault(name, []).extend(time_ns for time_ns, _ in samples)
        for table in (_by_slice(tables.fills), _by_slice(tables.equity)):
            for name, columns in table.items():
                times.setdefault(name, []).extend(columns["exch_ns"])
    return {name: (min(found), max(found)) for name, found in times.items() if found}


def _slices(tables: ReplayTables, spans: Mapping[str, tuple[int, int]]) -> list[_Slice]:
    fills, equity = _by_slice(tables.fills), _by_slice(tables.equity)
    slices: list[_Slice] = []
    before = 0.0
    for name, (first, last) in sorted(spans.items(), key=lambda item: item[1]):
        length = (last - first) / NS_PER_HOUR

        def hours(times: list[int], first: int = first, before: float = before) -> list[float]:
            return [before + (time_ns - first) / NS_PER_HOUR for time_ns in times]

        mine = fills.get(name, {})
        at = hours(mine.get("exch_ns", []))
        marks: dict[tuple[int, bool], list[tuple[float, float]]] = {
            (side, is_maker): [] for side in (0, 1) for is_maker in (True, False)
        }
        for row, hour in enumerate(at):
            key = (mine["side"][row], bool(mine["is_maker"][row]))
            marks[key].append((hour, mine["price_ticks"][row]))
        held = [0.0, *mine.get("position_lots", [])]
        curve = equity.get(name, {})
        samples = tables.prices.get(name, [])
        slices.append(
            _Slice(
                start=before,
                prices=(hours([time for time, _ in samples]), [float(p) for _, p in samples]),
                # A slice starts flat and keeps its last position to its end.
                position=([before, *at, before + length], [*held, held[-1]]),
                equity=(hours(curve.get("exch_ns", [])), curve.get("equity_minor", [])),
                fills=marks,
            )
        )
        before += length
    return slices


def _by_slice(table: Mapping[str, list[Any]]) -> dict[str, dict[str, list[Any]]]:
    """Return the columns of the first replication, apart for each slice."""
    if not table or not table["replication"]:
        return {}
    first = min(table["replication"])
    parts: dict[str, list[int]] = {}
    for row, name in enumerate(table["slice"]):
        if table["replication"][row] == first:
            parts.setdefault(name, []).append(row)
    return {
        name: {key: [values[row] for row in rows] for key, values in table.items()}
        for name, rows in parts.items()
    }


def plot_calibration(
    lines: Iterable[tuple[str, Sequence[tuple[float, float, int]]]], path: Path, *, title: str
) -> None:
    """Draw what models said against what came true; a larger mark stands for more cases.

    Args:
        lines: Name of each model and its points (said, came true, count).
        path: File to write.
        title: Of the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 8), layout="constrained")
    axes = figure.subplots()
    axes.plot((0, 1), (0, 1), color="0.7", linewidth=0.8, label="right")
    drawn = [(name, points) for name, points in lines if points]
    most = max((count for _, points in drawn for *_, count in points), default=1)
    for index, (name, points) in enumerate(drawn):
        said, came, counts = zip(*points, strict=True)
        colour = f"C{index % 10}"
        style = "-" if index < DISTINCT else "--"
        axes.plot(said, came, style, color=colour, linewidth=1.0, label=name)
        sizes = [MARK_MIN + MARK_MORE * count / most for count in counts]
        axes.scatter(said, came, s=sizes, color=colour, linewidths=0)
    axes.set_xlabel("P(cancel is ahead), as the model says")
    axes.set_ylabel("share of cancels that were ahead")
    axes.set_title(title, loc="left", fontsize="small")
    axes.legend(fontsize="small")
    _save(figure, path)
