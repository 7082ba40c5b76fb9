"""Figures of a market: what a recording and a synthetic market are compared by.

All are taken per session, from trading time only (auction data left out). Groups are the rows of
one exchange time; gaps are between different exchange times.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import rustsim
from sweep.data import open_info
from sweep.readers.ticks import COLUMNS, FLAG_INDICATIVE, KIND_LEVEL, KIND_TRADE, SIDE_ASK, Session

LAGS: Final = (1, 2, 5, 10, 20, 50)
HORIZONS_MS: Final = (125, 1_000, 10_000, 60_000)
SPREADS_TICKS: Final = 8
PERCENTILES: Final = (5, 25, 50, 75, 95, 99)
GROUPS_MIN: Final = 100

_Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Book:
    """Best levels after each group of trading time in which both sides stand."""

    time_ms: _Array
    spread: _Array
    bid_lots: _Array
    ask_lots: _Array
    mid: _Array


def tape_figures(path: Path) -> dict[str, dict[str, Any]]:
    """Return the figures of each session of a tape, by the session's name.

    Raises:
        DataError: The tape is damaged.
    """
    info = open_info(path)
    tape = rustsim.Tape.open(str(path))
    names = ("exch_ns", "kind", "side", "flags", "price", "qty")
    columns = {name: np.frombuffer(tape.column(name), COLUMNS[name]) for name in names}
    return {session.name: _session_figures(columns, session) for session in info.sessions}


def _session_figures(columns: dict[str, _Array], session: Session) -> dict[str, Any]:
    part = {name: values[session.row_start : session.row_stop] for name, values in columns.items()}
    scan = rustsim.scan_book(*part.values(), visible_levels=0)
    trading = part["flags"] & FLAG_INDICATIVE == 0
    book = _book(scan, np.unique(part["exch_ns"][trading]))
    rows = int(trading.sum())
    if len(book.time_ms) < GROUPS_MIN:
        return {"rows": rows, "groups": len(book.time_ms)}
    trades = trading & (part["kind"] == KIND_TRADE)
    levels = trading & (part["kind"] == KIND_LEVEL)
    return {
        "rows": rows,
        "groups": len(book.time_ms),
        "rows_per_group": _round(rows / len(book.time_ms)),
        "trade_row_share": _round(float(trades.sum()) / rows),
        "best_change_group_share": _best_change_share(book),
        "crossed_groups": scan["crossed_groups"],
        "spread_ticks_share": {
            str(spread): _round(float((book.spread == spread).mean()))
            for spread in range(1, SPREADS_TICKS + 1)
        },
        "best_lots": _distribution(np.concatenate([book.bid_lots, book.ask_lots])),
        "trade_lots": _distribution(part["qty"][trades]),
        "level_gap_ms": _gaps(part["exch_ns"][levels]),
        "trade_gap_ms": _gaps(part["exch_ns"][trades]),
        "trade_seconds_dispersion": _dispersion(part["exch_ns"][trades]),
        "trade_sign_correlation": _sign_correlation(part["side"][trades]),
        "mid_move_ticks_std": {str(ms): _moves(book, ms)[0] for ms in HORIZONS_MS},
        "mid_unmoved_share_125_ms": _moves(book, HORIZONS_MS[0])[1],
    }


def _book(scan: dict[str, Any], trading_ns: _Array) -> _Book:
    time_ns = np.frombuffer(scan["group_ns"], np.int64)
    names = ("bid_price", "bid_lots", "ask_price", "ask_lots")
    best = {name: np.frombuffer(scan[name], np.int32) for name in names}
    keep = np.isin(time_ns, trading_ns) & (best["bid_lots"] > 0) & (best["ask_lots"] > 0)
    best = {name: values[keep].astype(np.int64) for name, values in best.items()}
    return _Book(
        time_ms=time_ns[keep] / 1e6,
        spread=best["ask_price"] - best["bid_price"],
        bid_lots=best["bid_lots"],
        ask_lots=best["ask_lots"],
        mid=(best["ask_price"] + best["bid_price"]) / 2.0,
    )


def _round(value: float) -> float:
    return round(float(value), 4)


def _best_change_share(book: _Book) -> float:
    changed = (np.diff(book.mid) != 0.0) | (np.diff(book.spread) != 0)
    return _round(changed.mean())


def _distribution(values: _Array) -> dict[str, float]:
    if not len(values):
        return {}
    found = {f"p{p}": float(np.percentile(values, p)) for p in PERCENTILES}
    return {"mean": _round(values.mean())} | found


def _gaps(exch_ns: _Array) -> dict[str, float]:
    gaps = np.diff(np.unique(exch_ns)) / 1e6
    if not len(gaps):
        return {}
    return _distribution(gaps) | {"cv": _round(gaps.std() / gaps.mean())}


def _dispersion(exch_ns: _Array) -> float | None:
    """Return variance over mean of the distinct trade times per second; 1 for a Poisson process."""
    times = np.unique(exch_ns)
    if not len(times):
        return None
    counts = np.bincount(((times - times[0]) // 1_000_000_000).astype(np.int64))
    return _round(counts.var() / counts.mean())


def _sign_correlation(side: _Array) -> dict[str, float]:
    sign = np.where(side == SIDE_ASK, 1.0, -1.0)
    if len(sign) <= max(LAGS) or sign.std() == 0.0:
        return {}
    sign = (sign - sign.mean()) / sign.std()
    return {str(lag): _round((sign[:-lag] * sign[lag:]).mean()) for lag in LAGS}


def _moves(book: _Book, horizon_ms: int) -> tuple[float | None, float | None]:
    """Return deviation, and share of zeros, of the moves of the mid on a grid of time."""
    grid = np.arange(book.time_ms[0], book.time_ms[-1], horizon_ms)
    if len(grid) < GROUPS_MIN // 5:
        return None, None
    moves = np.diff(book.mid[np.searchsorted(book.time_ms, grid, side="right") - 1])
    return _round(moves.std()), _round((moves == 0.0).mean())
