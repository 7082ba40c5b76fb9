"""Fills, certificates and equity of one trial as columns, and as Parquet files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import rustsim

QUEUE_SCALE: Final = 1 << 20  # fixed point of the queue position
NS_PER_S: Final = 1e9
# Columns that may lack every value, and would have no type then.
_FLOATS: Final = (
    "queue_ahead_lots",
    "queue_ahead_at_arrival_lots",
    "queue_s",
    "markout_1s_ticks",
    "markout_5s_ticks",
    "markout_30s_ticks",
)
_INTEGERS: Final = ("cause_lots", "cause_row", "queue_ahead_front_lots", "queue_ahead_back_lots")
TRADE_KIND: Final = 1
FLAG_INDICATIVE: Final = 4
PRICE_SAMPLES: Final = 2_000  # per slice
SCAN_ROWS_MAX: Final = 20_000  # how far to look for a trade from a sampled row


@dataclass(slots=True)
class ReplayTables:
    """Columns over all cells of a trial, each row with its slice and replication."""

    fills: dict[str, list[Any]] = field(default_factory=dict)
    certificates: dict[str, list[Any]] = field(default_factory=dict)
    equity: dict[str, list[Any]] = field(default_factory=dict)
    prices: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # by slice

    def add(self, name: str, replication: int, result: rustsim.ReplayResult) -> None:
        """Append one cell.

        Args:
            name: Of the slice.
            replication: Of the cell.
            result: Of its replay.
        """
        fills = fill_columns(result)
        _extend(self.fills, _placed(name, replication, fills))
        _extend(self.certificates, _placed(name, replication, result.certificates()))
        equity: dict[str, list[Any]] = {
            "exch_ns": [time_ns for time_ns, _ in result.equity],
            "equity_minor": [half / 2.0 for _, half in result.equity],
        }
        _extend(self.equity, _placed(name, replication, equity))


def fill_columns(result: rustsim.ReplayResult) -> dict[str, Sequence[Any]]:
    """Return the fill log for people: what is unknown or does not apply is None, not a number."""
    fills = result.fills()
    columns: dict[str, Sequence[Any]] = dict(fills)
    for key in ("queue_ahead_lots", "queue_ahead_at_arrival_lots"):
        units = fills[f"{key}_x2p20"]
        del columns[f"{key}_x2p20"]
        columns[key] = [None if ahead < 0 else ahead / QUEUE_SCALE for ahead in units]
    waits = zip(fills["is_maker"], fills["exch_ns"], fills["arrival_ns"], strict=True)
    columns["queue_s"] = [(at - since) / NS_PER_S if maker else None for maker, at, since in waits]
    for key, halves in result.markouts().items():
        ticks = [None if half is None else half / 2.0 for half in halves]
        columns[key.removesuffix("_x2")] = ticks
    columns["equity_minor"] = [half / 2.0 for half in fills["equity_minor_x2"]]
    del columns["equity_minor_x2"]
    printed = [row >= 0 for row in fills["cause_row"]]
    for key in ("cause_row", "cause_lots"):
        values = zip(fills[key], printed, strict=True)
        columns[key] = [value if is_printed else None for value, is_printed in values]
    for key in ("queue_ahead_front_lots", "queue_ahead_back_lots"):
        if key in fills:
            columns[key] = [None if ahead < 0 else ahead for ahead in fills[key]]
    return columns


def _placed(
    name: str, replication: int, columns: Mapping[str, Sequence[Any]]
) -> dict[str, Sequence[Any]]:
    rows = len(next(iter(columns.values())))
    return {"slice": [name] * rows, "replication": [replication] * rows, **columns}


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
    """Write every table as Parquet and return the paths by name; a prefix goes before names."""
    import polars

    tabled = {"fills": tables.fills, "certificates": tables.certificates, "equity": tables.equity}
    types: dict[str, Any] = {"slice": polars.String}
    types |= dict.fromkeys(_FLOATS, polars.Float64) | dict.fromkeys(_INTEGERS, polars.Int64)
    paths: dict[str, Path] = {}
    for name, table in tabled.items():
        if name == "certificates" and not any(table.values()):
            continue  # a world without queues has nothing to bound
        paths[prefix + name] = folder / f"{prefix}{name}.parquet"
        overrides = {key: types[key] for key in table if key in types}
        polars.DataFrame(table, schema_overrides=overrides).write_parquet(paths[prefix + name])
    return paths
