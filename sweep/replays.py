"""Fills and equity of one trial as columns, and as Parquet files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import rustsim

QUEUE_SCALE: Final = 1 << 20  # fixed point of the queue position
TRADE_KIND: Final = 1
FLAG_INDICATIVE: Final = 4
PRICE_SAMPLES: Final = 2_000  # per slice
SCAN_ROWS_MAX: Final = 20_000  # how far to look for a trade from a sampled row


@dataclass(slots=True)
class ReplayTables:
    """Columns over all cells of a trial, each row with its slice and replication."""

    fills: dict[str, list[Any]] = field(default_factory=dict)
    equity: dict[str, list[Any]] = field(default_factory=dict)
    prices: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # by slice

    def add(
        self,
        name: str,
        replication: int,
        fills: Mapping[str, Sequence[int]],
        equity: Sequence[tuple[int, int]],
    ) -> None:
        """Append one cell.

        Args:
            name: Of the slice.
            replication: Of the cell.
            fills: Columns as `ReplayResult.fills` gives them.
            equity: (exchange time in ns, equity in half minor units).
        """
        rows = len(fills["exch_ns"])
        columns: dict[str, Sequence[Any]] = {"slice": [name] * rows}
        columns["replication"] = [replication] * rows
        columns |= dict(fills)
        queue = columns.pop("queue_ahead_lots_x2p20")
        columns["queue_ahead_lots"] = [
            None if ahead < 0 else ahead / QUEUE_SCALE for ahead in queue
        ]
        _extend(self.fills, columns)
        points = len(equity)
        _extend(
            self.equity,
            {
                "slice": [name] * points,
                "replication": [replication] * points,
                "exch_ns": [time_ns for time_ns, _ in equity],
                "equity_minor": [half / 2.0 for _, half in equity],
            },
        )


def sample_trades(tape: rustsim.Tape, start: int, stop: int) -> list[tuple[int, int]]:
    """Return (exchange time in ns, price in ticks) of trades spread evenly over the rows.

    Empty for a tape without trades in reach of the sampled rows.
    """
    kinds = memoryview(tape.column("kind"))
    flags = memoryview(tape.column("flags"))
    prices = memoryview(tape.column("price")).cast("i")
    step = max(1, (stop - start) // PRICE_SAMPLES)
    samples: dict[int, tuple[int, int]] = {}
    for row in range(start, stop, step):
        reach = min(row + SCAN_ROWS_MAX, stop)
        rows = range(row, reach)
        # Auction trial prices are no prices.
        found = next(
            (at for at in rows if kinds[at] == TRADE_KIND and not flags[at] & FLAG_INDICATIVE), None
        )
        if found is not None:
            samples[found] = (tape.exch_ns(found), prices[found])
    return [samples[row] for row in sorted(samples)]


def _extend(table: dict[str, list[Any]], columns: Mapping[str, Sequence[Any]]) -> None:
    assert not table or list(table) == list(columns), "cells with different columns"
    for name, values in columns.items():
        table.setdefault(name, []).extend(values)


def write_tables(tables: ReplayTables, folder: Path, prefix: str = "") -> dict[str, Path]:
    """Write both tables as Parquet and return their paths by name; a prefix goes before names."""
    import polars

    texts = {"slice": polars.String}
    paths: dict[str, Path] = {}
    for name, table in (("fills", tables.fills), ("equity", tables.equity)):
        paths[prefix + name] = folder / f"{prefix}{name}.parquet"
        polars.DataFrame(table, schema_overrides=texts).write_parquet(paths[prefix + name])
    return paths
