"""Recorded latencies: CSV or Parquet with `time_ns`, `operation`, `delay_us`; their mapped form.

Times are nanoseconds UTC (in Parquet a timestamp will do) and do not fall within an operation,
delays are microseconds from 0 to a minute. The mapped form is that of
`rustsim/src/latency/trace.rs`: equal rows make equal bytes, whatever file they came from.
"""

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from sweep.document import did_you_mean
from sweep.errors import DataError

if TYPE_CHECKING:
    import polars as pl

Rows = dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]

OPERATIONS: Final = ("place", "cancel", "amend", "report", "feed")
COLUMNS: Final = ("time_ns", "operation", "delay_us")
DELAY_US_MAX: Final = 6e7
ROWS_MAX: Final = 50_000_000
MAGIC: Final = b"RSTRACE1"


def read_latency_rows(path: Path) -> Rows:
    """Return times and delays in nanoseconds by operation, in the order of the file.

    Raises:
        DataError: The file is no such table, or a row breaks a rule; the message names the row,
            counted from 1 without a header.
    """
    frame = _read(path)
    if not 0 < frame.height <= ROWS_MAX:
        raise DataError(f"{path}: expected 1 to {ROWS_MAX:,} rows, found {frame.height:,}")
    times, operations, delays_us = _columns(frame, path)
    found: Rows = {}
    for name in OPERATIONS:
        mine = np.flatnonzero(operations == name)
        if not len(mine):
            continue
        falls = np.flatnonzero(np.diff(times[mine]) < 0)
        if len(falls):
            row = int(mine[falls[0] + 1])
            before = int(times[mine[falls[0]]])
            message = f"time_ns is {int(times[row])}, before {before} of the {name} row before it"
            raise DataError(f"{path}: row {row + 1}: {message}; sort the file by time")
        found[name] = (times[mine], np.rint(delays_us[mine] * 1_000.0).astype(np.int64))
    return found


def _read(path: Path) -> "pl.DataFrame":
    import polars as pl

    try:
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path)
        else:
            # As texts: a wrong value shall be told with its row, not guessed away.
            frame = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: cannot be read as recorded latencies: {reason}") from error
    if sorted(frame.columns) != sorted(COLUMNS):
        found = ", ".join(frame.columns[:10])
        raise DataError(f"{path}: expected the columns {', '.join(COLUMNS)}, found {found}")
    return frame


def _columns(frame: "pl.DataFrame", path: Path) -> tuple[Any, Any, Any]:
    import polars as pl

    kind = frame.schema["time_ns"]
    # As a CSV is read, every column is text.
    allowed = {
        "time_ns": (kind.is_integer() or isinstance(kind, pl.Datetime), "integers or timestamps"),
        "operation": (isinstance(frame.schema["operation"], pl.Categorical | pl.Enum), "texts"),
        "delay_us": (frame.schema["delay_us"].is_numeric(), "numbers"),
    }
    for name, (is_right, expected) in allowed.items():
        if not (is_right or frame.schema[name] == pl.String):
            found = frame.schema[name]
            raise DataError(f"{path}: {name} holds {found}, expected {expected}")
    if isinstance(kind, pl.Datetime):
        times = frame["time_ns"].dt.timestamp("ns")
    else:
        times = frame["time_ns"].cast(pl.Int64, strict=False)
    operations = frame["operation"].cast(pl.String)
    delays = frame["delay_us"].cast(pl.Float64, strict=False)
    is_known = operations.is_in(OPERATIONS).fill_null(value=False)
    is_delay = delays.is_between(0.0, DELAY_US_MAX).fill_null(value=False)
    checks = (
        ("time_ns", times.is_not_null(), "an integer of nanoseconds"),
        ("operation", is_known, ""),
        ("delay_us", is_delay, f"a number from 0 to {DELAY_US_MAX:,.0f}"),
    )
    for name, is_good, expected in checks:
        if not is_good.all():
            row = int((~is_good).arg_max() or 0)
            value = frame[name][row]
            hint = expected and f"expected {expected}"
            hint = hint or did_you_mean(str(value), OPERATIONS)
            raise DataError(f"{path}: row {row + 1}: {name} is {value!r}: {hint}")
    return times.to_numpy(), operations.to_numpy(), delays.to_numpy()


def trace_image(rows: Rows) -> bytes:
    """Return the mapped form of recorded latencies."""
    counts = [len(rows[name][0]) if name in rows else 0 for name in OPERATIONS]
    parts = [MAGIC, struct.pack("<5Q", *counts)]
    for name in OPERATIONS:
        if name in rows:
            parts += [column.astype("<i8").tobytes() for column in rows[name]]
    return b"".join(parts)
