"""Pictures of one trial; the only room that names matplotlib, imported when a picture is drawn."""

from pathlib import Path
from typing import Any, Final

from sweep.replays import ReplayTables

NS_PER_HOUR: Final = 3.6e12
BUY_COLOUR: Final = "#1b7837"
SELL_COLOUR: Final = "#b2182b"


def plot_replay(tables: ReplayTables, path: Path, *, title: str) -> None:
    """Draw price with fills, position and equity of the first replication, slice after slice.

    The time axis is hours since the first event, without the gaps between slices.
    """
    from matplotlib.figure import Figure

    fills, equity = _first_world(tables.fills), _first_world(tables.equity)
    starts = _starts(fills, equity)
    figure = Figure(figsize=(14, 9), layout="constrained")
    price, position, money = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1, 2))
    hours = _hours(fills, starts)
    if hours:
        price.plot(hours, [mid / 2 for mid in fills["mid2_ticks"]], color="0.75", linewidth=0.8)
    for side, word, colour, marker in ((0, "buy", BUY_COLOUR, "^"), (1, "sell", SELL_COLOUR, "v")):
        for is_maker, words, filled in ((1, "maker", True), (0, "taker", False)):
            rows = [
                row
                for row in range(len(hours))
                if fills["side"][row] == side and bool(fills["is_maker"][row]) == bool(is_maker)
            ]
            if rows:
                price.scatter(
                    [hours[row] for row in rows],
                    [fills["price_ticks"][row] for row in rows],
                    marker=marker,
                    s=18,
                    facecolors=colour if filled else "none",
                    edgecolors=colour,
                    linewidths=0.8,
                    label=f"{word}, {words} ({len(rows):,})",
                )
    price.set_ylabel("price (ticks)")
    price.set_title(title)
    if hours:
        price.legend(loc="upper left", fontsize="small")
        position.step(hours, fills["position_lots"], where="post", color="0.3", linewidth=0.8)
    position.axhline(0, color="0.8", linewidth=0.8)
    position.set_ylabel("position (lots)")
    times, values = _equity_curve(equity, starts)
    money.plot(times, values, color="#2166ac", linewidth=1.0)
    money.axhline(0, color="0.8", linewidth=0.8)
    money.set_ylabel("equity after costs")
    money.set_xlabel("hours of trading")
    figure.savefig(path, dpi=110)


def _first_world(table: dict[str, list[Any]]) -> dict[str, list[Any]]:
    if not table or not table["replication"]:
        return table
    first = min(table["replication"])
    rows = [row for row, value in enumerate(table["replication"]) if value == first]
    return {name: [values[row] for row in rows] for name, values in table.items()}


def _starts(*tables: dict[str, list[Any]]) -> dict[str, tuple[int, float]]:
    """Return for every slice its first time (ns) and the hours that went before it."""
    spans: dict[str, list[int]] = {}
    for table in tables:
        for name, time_ns in zip(table.get("slice", []), table.get("exch_ns", []), strict=True):
            span = spans.setdefault(name, [time_ns, time_ns])
            span[0], span[1] = min(span[0], time_ns), max(span[1], time_ns)
    starts: dict[str, tuple[int, float]] = {}
    before = 0.0
    for name, (first, last) in sorted(spans.items(), key=lambda item: item[1]):
        starts[name] = (first, before)
        before += (last - first) / NS_PER_HOUR
    return starts


def _hours(table: dict[str, list[Any]], starts: dict[str, tuple[int, float]]) -> list[float]:
    hours: list[float] = []
    for name, time_ns in zip(table.get("slice", []), table.get("exch_ns", []), strict=True):
        first, before = starts[name]
        hours.append(before + (time_ns - first) / NS_PER_HOUR)
    return hours


def _equity_curve(
    table: dict[str, list[Any]], starts: dict[str, tuple[int, float]]
) -> tuple[list[float], list[float]]:
    """Return the curve over all slices; each starts flat, so it goes on from the one before."""
    values: list[float] = []
    before, last, current = 0.0, 0.0, ""
    for name, value in zip(table.get("slice", []), table.get("equity_minor", []), strict=True):
        if name != current:
            before, current = before + last, name
        values.append(before + value)
        last = value
    return _hours(table, starts), values
