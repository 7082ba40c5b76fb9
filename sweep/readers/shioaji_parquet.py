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

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import rustsim
from sweep.errors import DataError, InputError
from sweep.products import Product
from sweep.readers.parquet_batches import ParquetBatches
from sweep.readers.price_grid import off_steps
from sweep.readers.standing import StandingLevels
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
    Columns,
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


_RECORDED: Final[dict[str, type[np.generic]]] = {
    "ev": np.uint64,
    "exch_ts": np.int64,
    "px": np.float64,
    "qty": np.float64,
}
_SCANNED: Final = ("exch_ns", "kind", "side", "flags", "price", "qty")

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
    file = ParquetBatches(path)
    file.check_types(_RECORDED)
    if file.row_count == 0:
        raise DataError(f"{path}: the file holds no row")
    first_ns, is_restored, time_note = _survey_times(file)
    product = request.product(date_of(first_ns))
    reading = _Reading(product)
    held: Columns = {}
    done = 0
    for batch in file.arrays(list(_RECORDED)):
        columns = _canonical(path, done, batch, product, is_restored=is_restored)
        done += len(columns["exch_ns"])
        if held:
            columns = {name: np.concatenate((held[name], columns[name])) for name in columns}
        # A group is looked at whole: its last rows wait for the next batch.
        last = int(np.searchsorted(columns["exch_ns"], columns["exch_ns"][-1]))
        held = {name: values[last:] for name, values in columns.items()}
        if last:
            yield from reading.take({name: values[:last] for name, values in columns.items()})
    yield from reading.take(held)
    facts = reading.facts() | {
        "rows_recorded": done,
        "rows_added": reading.row_count - done,
        "time": time_note,
        "local_clock": False,
        "product": product.to_json(),
    }
    return Summary(
        instrument=product.exchange_part(visible_levels=VISIBLE_LEVELS),
        sessions=reading.sessions(),
        facts=facts,
    )


def _canonical(
    path: Path, first: int, raw: Columns, product: Product, *, is_restored: bool
) -> Columns:
    """Return rows as they were recorded, from row number `first` on, under canonical names."""
    kind, side = _events(path, first, raw["ev"])
    exch_ns = _whole_ms(raw["exch_ts"]) if is_restored else raw["exch_ts"]
    columns = {
        "exch_ns": exch_ns,
        "kind": kind,
        "side": side,
        "flags": futures_flags(exch_ns) | np.where(kind == KIND_TRADE, 0, FLAG_IMAGE),
        "price": _prices(path, first, raw["px"], kind, product),
        "qty": _quantities(path, first, raw["qty"], kind),
    }
    columns["flags"][kind == KIND_CLEAR] = 0
    return {name: contiguous(values, COLUMNS[name]) for name, values in columns.items()}


class _Reading:
    """One pass over the rows: puts sessions on their own feet, flags what left the view, counts."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.book = StandingLevels()
        self.row_count = 0
        self._key: int | None = None
        self._starts: list[tuple[str, int]] = []
        self._counts = dict.fromkeys(
            (
                "groups",
                "crossed_groups",
                "locked_groups",
                "levels_max",
                "out_of_view_rows",
                "indicative_rows",
                "trades",
                "repeated_levels",
            ),
            0,
        )

    def take(self, columns: Columns) -> Iterator[Columns]:
        """Yield whole groups of rows, with what goes in front of a session."""
        keys = futures_session_key(columns["exch_ns"])
        before = keys[0] - 1 if self._key is None else self._key
        starts = np.flatnonzero(np.diff(keys, prepend=before)).tolist()
        self._key = int(keys[-1])
        edges = sorted({0, *starts, len(keys)})
        for start, stop in itertools.pairwise(edges):
            part = {name: values[start:stop] for name, values in columns.items()}
            context = self.book.front(int(part["exch_ns"][0]) - 1, FLAG_INDICATIVE)
            if start in starts:
                self._starts.append((futures_session_name(int(keys[start])), self.row_count))
                if part["kind"][0] != KIND_CLEAR:
                    flags = int(part["flags"][0]) & FLAG_INDICATIVE | FLAG_IMAGE
                    front = self.book.front(int(part["exch_ns"][0]), flags)
                    part = {
                        name: np.concatenate((front[name], values)) for name, values in part.items()
                    }
            self._look(part, {name: values[1:] for name, values in context.items()})
            self.book.apply(part)
            self.row_count += len(part["exch_ns"])
            yield part

    def _look(self, part: Columns, context: Columns) -> None:
        """Flag the levels that left the view, in place, and count what the book looks like.

        The context is the standing levels, as a group of their own that counts for nothing.
        """
        joined = [np.concatenate((context[name], part[name])) for name in _SCANNED]
        scan = rustsim.scan_book(*joined, visible_levels=VISIBLE_LEVELS)
        extra = len(context["exch_ns"])
        out_of_view = np.frombuffer(scan["out_of_view"], np.uint8)[extra:] > 0
        part["flags"] = part["flags"] | np.where(out_of_view, FLAG_OUT_OF_VIEW, 0).astype(np.uint8)
        counts = self._counts
        counts["groups"] += scan["groups"] - (extra > 0)
        counts["crossed_groups"] += scan["crossed_groups"]
        counts["locked_groups"] += scan["locked_groups"]
        counts["levels_max"] = max(counts["levels_max"], scan["levels_max"])
        counts["out_of_view_rows"] += int(out_of_view.sum())
        counts["indicative_rows"] += int((part["flags"] & FLAG_INDICATIVE > 0).sum())
        counts["trades"] += int((part["kind"] == KIND_TRADE).sum())
        counts["repeated_levels"] += _repeated_levels(part)

    def facts(self) -> dict[str, Any]:
        return dict(self._counts)

    def sessions(self) -> tuple[Session, ...]:
        stops = [start for _, start in self._starts[1:]] + [self.row_count]
        return tuple(
            Session(name=name, row_start=start, row_stop=stop)
            for (name, start), stop in zip(self._starts, stops, strict=True)
        )


def _refuse(path: Path, first: int, bad: npt.NDArray[np.bool_], values: Any, what: str) -> None:
    """Raise for the first row that is bad, if there is one; `first` is the number of row 0."""
    if bad.any():
        row = int(bad.argmax())
        raise DataError(f"{path}: row {first + row}: {what}, found {values[row].item()!r}")


def _events(
    path: Path, first: int, ev: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    code = ev & ~np.uint64(_EVENT_EXCHANGE | _EVENT_LOCAL)
    kind = np.full(len(ev), 255, np.uint8)
    side = np.zeros(len(ev), np.uint8)
    for event, (event_kind, event_side) in _EVENTS.items():
        rows = code == event
        kind[rows] = event_kind
        side[rows] = event_side
    known = "expected depth (1), trade (2) with a buy or sell flag, or clear (3) in ev"
    _refuse(path, first, kind == 255, ev, known)
    return kind, side


def _survey_times(file: ParquetBatches) -> tuple[int, bool, str]:
    """Return the first time, and whether and why times are restored to whole milliseconds."""
    path = file.path
    first = 0
    error_ns = 0
    start_ns, last_ns = -1, 0
    for batch in file.arrays(["exch_ts"]):
        exch_ts = batch["exch_ts"]
        out_of_range = (exch_ts < 0) | (exch_ts >= 1 << 62)
        _refuse(
            path, first, out_of_range, exch_ts, "expected exch_ts as nanoseconds UTC since 1970"
        )
        falls = np.diff(exch_ts, prepend=last_ns) < 0
        what = "exch_ts is before that of the row above; sort by time"
        _refuse(path, first, falls, exch_ts, what)
        start_ns = int(exch_ts[0]) if start_ns < 0 else start_ns
        last_ns = int(exch_ts[-1])
        error_ns = max(error_ns, int(np.abs(_whole_ms(exch_ts) - exch_ts).max()))
        first += len(exch_ts)
    if error_ns > _TIME_ERROR_NS_MAX:
        return start_ns, False, "as recorded"
    note = f"whole milliseconds, restored from values off by up to {error_ns} ns"
    return start_ns, True, note


def _whole_ms(exch_ts: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    nearest: npt.NDArray[np.int64] = (exch_ts + _MS_NS // 2) // _MS_NS * _MS_NS
    return nearest


def _prices(
    path: Path, first: int, px: npt.NDArray[Any], kind: npt.NDArray[Any], product: Product
) -> npt.NDArray[Any]:
    is_clear = kind == KIND_CLEAR
    # Written so that NaN fails.
    good = is_clear | ((px > 0.0) & (px <= _PRICE_POINTS_MAX))
    _refuse(path, first, ~good, px, "expected a price above 0")
    scaled = np.where(is_clear, 0.0, px) / float(product.tick_size)
    ticks: npt.NDArray[Any] = np.rint(scaled)
    off_grid = (np.abs(scaled - ticks) > 1e-6) | ((ticks < 1.0) & ~is_clear)
    off_grid |= off_steps(ticks, product.step_ticks())
    _refuse(path, first, off_grid, px, "expected a price on the exchange's tick grid")
    return ticks


def _quantities(
    path: Path, first: int, qty: npt.NDArray[Any], kind: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    # Written so that NaN fails.
    good = (qty >= 0.0) & (qty <= _QTY_MAX) & (qty == np.floor(qty))
    good |= (kind == KIND_CLEAR) & (qty == 0.0)
    _refuse(path, first, ~good, qty, f"expected a whole quantity in [0, {_QTY_MAX}]")
    _refuse(
        path, first, (kind == KIND_TRADE) & (qty < 1.0), qty, "expected a trade of at least 1 lot"
    )
    return np.where(kind == KIND_CLEAR, 0.0, qty)


def _repeated_levels(columns: dict[str, npt.NDArray[Any]]) -> int:
    """Count level rows that the same millisecond tells again; the last word counts."""
    import polars as pl

    names = ("exch_ns", "side", "price")
    rows = columns["kind"] == KIND_LEVEL
    frame = pl.DataFrame({name: columns[name][rows] for name in names})
    return frame.height - frame.n_unique()
