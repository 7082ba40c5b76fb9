"""Reads five-level books and trades of Taiwan futures as recorded through the Shioaji feed.

One file is one contract and one or more sessions, with the columns `ev` (u64), `exch_ts` (i64, ns),
`px` and `qty` (f64). What was found in such recordings, and what is made of it:

- `ev` holds hftbacktest's flags: 1 depth, 2 trade, 3 clear; bit 29 buy, bit 28 sell, bit 31
  exchange, bit 30 local. A buyer-initiated trade hits asks, so its book side is 1.
- Depth rows are the differences between five-level images. A level that leaves the window is told
  like an emptied one, by size 0; it is flagged out-of-view if it is worse than the five left.
- Times went through a 64-bit float and are off by up to 256 ns; if all of a file are that near to
  whole milliseconds, those are restored. There is no local clock.
- Before the open (08:30 to 08:45 and 14:50 to 15:00 in Taipei) the feed shows the trial matching of
  the call auction; such rows, and any outside of trading hours, are flagged indicative.
- A session must stand alone. Recordings go on with differences across the break, so where a new
  session starts a clear row and the levels still standing are put in front of its first row.

Known limits: the exchange's own message boundaries are not recorded; rows of one millisecond are
one message. A last image up to one second after the close counts as trading time. The print of the
opening auction is an ordinary trade. Expiry days (close at 13:30) and holidays are not known.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import rustsim
from sweep.errors import DataError, InputError
from sweep.products import Product
from sweep.readers.taiwan_clock import (
    date_of,
    futures_flags,
    futures_session_key,
    futures_session_name,
)
from sweep.readers.ticks import (
    COLUMNS,
    FLAG_IMAGE,
    FLAG_INDICATIVE,
    FLAG_OUT_OF_VIEW,
    KIND_CLEAR,
    KIND_LEVEL,
    KIND_TRADE,
    SIDE_ASK,
    SIDE_BID,
    Request,
    Rows,
    Session,
    Summary,
    contiguous,
)

VISIBLE_LEVELS: Final = 5

_EVENT_EXCHANGE: Final = 1 << 31
_EVENT_LOCAL: Final = 1 << 30
_EVENT_BUY: Final = 1 << 29
_EVENT_SELL: Final = 1 << 28

# Kind and book side by event, the exchange and local bits left out.
_EVENTS: Final = {
    1 | _EVENT_BUY: (KIND_LEVEL, SIDE_BID),
    1 | _EVENT_SELL: (KIND_LEVEL, SIDE_ASK),
    2 | _EVENT_BUY: (KIND_TRADE, SIDE_ASK),
    2 | _EVENT_SELL: (KIND_TRADE, SIDE_BID),
    3: (KIND_CLEAR, SIDE_BID),
}

_MS_NS: Final = 1_000_000
_TIME_ERROR_NS_MAX: Final = 256
_QTY_MAX: Final = 1_000_000
_PRICE_POINTS_MAX: Final = 10_000_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShioajiParquetOptions:
    """Options of the reader of recorded five-level files: none so far."""


PRODUCTS: Final = ("TXF", "MXF", "TMF", "TXO")


def read(request: Request) -> Rows:
    """Read the ticks of one recorded file.

    Raises:
        DataError: The file is damaged or a row breaks a rule; the message names file and row.
        InputError: The instrument is not one that this reader knows.
    """
    path = request.file
    if request.instrument not in PRODUCTS:
        message = f"The reader shioaji_parquet knows {', '.join(PRODUCTS)}"
        raise InputError(f"{message}, found {request.instrument!r}")
    raw = _load(path)
    kind, side = _events(path, raw["ev"])
    exch_ns, time_note = _times(path, raw["exch_ts"])
    product = request.product(date_of(int(exch_ns[0])))
    columns = {
        "exch_ns": exch_ns,
        "kind": kind,
        "side": side,
        "flags": futures_flags(exch_ns) | np.where(kind == KIND_TRADE, 0, FLAG_IMAGE),
        "price": _prices(path, raw["px"], kind, product),
        "qty": _quantities(path, raw["qty"], kind),
    }
    columns["flags"][kind == KIND_CLEAR] = 0
    columns = {name: contiguous(values, COLUMNS[name]) for name, values in columns.items()}
    names, starts = _session_starts(exch_ns)
    columns, starts = _stand_alone(columns, starts)
    facts = _scan(columns) | {
        "rows_recorded": len(exch_ns),
        "rows_added": len(columns["exch_ns"]) - len(exch_ns),
        "trades": int((kind == KIND_TRADE).sum()),
        "repeated_levels": _repeated_levels(columns),
        "time": time_note,
        "local_clock": False,
        "product": product.to_json(),
    }
    stops = [*starts[1:], len(columns["exch_ns"])]
    yield columns
    return Summary(
        instrument=product.exchange_part(visible_levels=VISIBLE_LEVELS),
        sessions=tuple(
            Session(name=name, row_start=start, row_stop=stop)
            for name, start, stop in zip(names, starts, stops, strict=True)
        ),
        facts=facts,
    )


def _load(path: Path) -> dict[str, npt.NDArray[Any]]:
    import polars as pl

    expected = {"ev": pl.UInt64(), "exch_ts": pl.Int64(), "px": pl.Float64(), "qty": pl.Float64()}
    try:
        schema = pl.read_parquet_schema(path)
        for name, kind in expected.items():
            if name not in schema:
                found = ", ".join(schema) or "no column"
                raise DataError(f"{path}: the column {name} is missing; found {found}")
            if schema[name] != kind:
                raise DataError(
                    f"{path}: expected the column {name} as {kind}, found {schema[name]}"
                )
        frame = pl.read_parquet(path, columns=list(expected))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file: {error}") from error
    if frame.height == 0:
        raise DataError(f"{path}: the file holds no row")
    for name in expected:
        if frame[name].null_count():
            row = frame[name].is_null().arg_max()
            raise DataError(f"{path}: row {row}: {name} is missing (null)")
    return {name: frame[name].to_numpy() for name in expected}


def _refuse(path: Path, bad: npt.NDArray[np.bool_], values: Any, what: str) -> None:
    """Raise for the first row that is bad, if there is one."""
    if bad.any():
        row = int(bad.argmax())
        raise DataError(f"{path}: row {row}: {what}, found {values[row].item()!r}")


def _events(path: Path, ev: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    code = ev & ~np.uint64(_EVENT_EXCHANGE | _EVENT_LOCAL)
    kind = np.full(len(ev), 255, np.uint8)
    side = np.zeros(len(ev), np.uint8)
    for event, (event_kind, event_side) in _EVENTS.items():
        rows = code == event
        kind[rows] = event_kind
        side[rows] = event_side
    known = "expected depth (1), trade (2) with a buy or sell flag, or clear (3) in ev"
    _refuse(path, kind == 255, ev, known)
    return kind, side


def _times(path: Path, exch_ts: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], str]:
    out_of_range = (exch_ts < 0) | (exch_ts >= 1 << 62)
    _refuse(path, out_of_range, exch_ts, "expected exch_ts as nanoseconds UTC since 1970")
    falls = np.concatenate(([False], exch_ts[1:] < exch_ts[:-1]))
    _refuse(path, falls, exch_ts, "exch_ts is before that of the row above; sort by time")
    restored = (exch_ts + _MS_NS // 2) // _MS_NS * _MS_NS
    error_ns = int(np.abs(restored - exch_ts).max())
    if error_ns > _TIME_ERROR_NS_MAX:
        return exch_ts, "as recorded"
    note = f"whole milliseconds, restored from values off by up to {error_ns} ns"
    return restored, note


def _prices(
    path: Path, px: npt.NDArray[Any], kind: npt.NDArray[Any], product: Product
) -> npt.NDArray[Any]:
    is_clear = kind == KIND_CLEAR
    # Written so that NaN fails.
    good = is_clear | ((px > 0.0) & (px <= _PRICE_POINTS_MAX))
    _refuse(path, ~good, px, "expected a price above 0")
    scaled = np.where(is_clear, 0.0, px) / float(product.tick_size)
    ticks: npt.NDArray[Any] = np.rint(scaled)
    off_grid = np.abs(scaled - ticks) > 1e-6
    for low, step in product.step_ticks():
        off_grid |= (ticks > low) & (ticks % step != 0)
    _refuse(path, off_grid, px, "expected a price on the exchange's tick grid")
    return ticks


def _quantities(path: Path, qty: npt.NDArray[Any], kind: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # Written so that NaN fails.
    good = (qty >= 0.0) & (qty <= _QTY_MAX) & (qty == np.floor(qty))
    good |= (kind == KIND_CLEAR) & (qty == 0.0)
    _refuse(path, ~good, qty, f"expected a whole quantity in [0, {_QTY_MAX}]")
    _refuse(path, (kind == KIND_TRADE) & (qty < 1.0), qty, "expected a trade of at least 1 lot")
    return np.where(kind == KIND_CLEAR, 0.0, qty)


def _session_starts(exch_ns: npt.NDArray[Any]) -> tuple[list[str], list[int]]:
    """Return names and first rows of the sessions; a night belongs to the date it starts on."""
    key = futures_session_key(exch_ns)
    starts = np.concatenate(([0], np.flatnonzero(np.diff(key)) + 1)).tolist()
    return [futures_session_name(int(key[start])) for start in starts], starts


def _stand_alone(
    columns: dict[str, npt.NDArray[Any]], starts: list[int]
) -> tuple[dict[str, npt.NDArray[Any]], list[int]]:
    """Put a clear row and the levels still standing in front of each session but a cleared one."""
    added = 0
    for number, start in enumerate(starts):
        row = start + added
        starts[number] = row
        if columns["kind"][row] == KIND_CLEAR:
            continue
        side, price, qty = _standing(columns, row)
        count = len(price)
        flags = int(columns["flags"][row]) & FLAG_INDICATIVE
        front: dict[str, Any] = {
            "exch_ns": np.full(count + 1, columns["exch_ns"][row]),
            "kind": [KIND_CLEAR] + [KIND_LEVEL] * count,
            "side": [SIDE_BID, *side],
            "flags": [0] + [flags | FLAG_IMAGE] * count,
            "price": [0, *price],
            "qty": [0, *qty],
        }
        for name, values in front.items():
            pieces = (columns[name][:row], values, columns[name][row:])
            columns[name] = contiguous(np.concatenate(pieces), COLUMNS[name])
        added += count + 1
    return columns, starts


def _standing(
    columns: dict[str, npt.NDArray[Any]], row: int
) -> tuple[list[int], list[int], list[int]]:
    """Return side, price and lots of the levels that stand in front of a row."""
    clears = np.flatnonzero(columns["kind"][:row] == KIND_CLEAR)
    first = int(clears[-1]) + 1 if len(clears) else 0
    rows = np.flatnonzero(columns["kind"][first:row] == KIND_LEVEL) + first
    # The last word on each level: unique() keeps the first of equal keys, so look from the end.
    key = columns["price"][rows[::-1]].astype(np.int64) * 2 + columns["side"][rows[::-1]]
    last = rows[::-1][np.unique(key, return_index=True)[1]]
    last = last[columns["qty"][last] > 0]
    side, price, qty = (columns[name][last].tolist() for name in ("side", "price", "qty"))
    return side, price, qty


def _scan(columns: dict[str, npt.NDArray[Any]]) -> dict[str, Any]:
    """Flag the levels that left the view, in place, and return what the book looks like."""
    names = ("exch_ns", "kind", "side", "flags", "price", "qty")
    scan = rustsim.scan_book(*(columns[name] for name in names), visible_levels=VISIBLE_LEVELS)
    out_of_view = np.frombuffer(scan["out_of_view"], np.uint8) > 0
    columns["flags"][out_of_view] |= FLAG_OUT_OF_VIEW
    return {
        "groups": scan["groups"],
        "crossed_groups": scan["crossed_groups"],
        "locked_groups": scan["locked_groups"],
        "levels_max": scan["levels_max"],
        "out_of_view_rows": int(out_of_view.sum()),
        "indicative_rows": int((columns["flags"] & FLAG_INDICATIVE > 0).sum()),
    }


def _repeated_levels(columns: dict[str, npt.NDArray[Any]]) -> int:
    """Count level rows that the same millisecond tells again; the last word counts."""
    import polars as pl

    names = ("exch_ns", "side", "price")
    rows = columns["kind"] == KIND_LEVEL
    frame = pl.DataFrame({name: columns[name][rows] for name in names})
    return frame.height - frame.n_unique()
