"""Figures of a market: what a recording and a synthetic market are compared by.

All are taken per session, from trading time only (auction data left out). Groups are the rows of
one exchange time; gaps are between different exchange times. Figures of single orders are there
only if rows carry joins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import rustsim
from sweep.data import TapeInfo, open_info
from sweep.readers.ticks import (
    COLUMNS,
    FLAG_IMAGE,
    FLAG_INDICATIVE,
    KIND_CLEAR,
    KIND_LEVEL,
    KIND_TRADE,
    SIDE_ASK,
    Session,
)

LAGS: Final = (1, 2, 5, 10, 20, 50)
HORIZONS_MS: Final = (125, 1_000, 10_000, 60_000)
SPREADS_TICKS: Final = 8
PERCENTILES: Final = (5, 25, 50, 75, 95, 99)
GROUPS_MIN: Final = 100
CANCELS_MIN: Final = 50
ROUND_LOTS: Final = 100  # a round lot of shares
DEPTH_RANKS: Final = (2, 3, 5, 10)
ORDERS_MIN: Final = 4  # of a queue, for the place of cancels to say something
ORDERS_TENTH_MIN: Final = 10  # of a queue, for it to have a last tenth

GAP_MS_MAX: Final = 60_000  # of a feed that tells images on a grid of time
ROUND_TICKS: Final = (5, 10, 20, 25, 40, 50, 100)
ROUND_PRICES_MIN: Final = 5  # on which something stood
ROUND_LOTS_MIN: Final = 1.5  # for a price to stand out
SIZES_KEPT: Final = 30  # by themselves in a table of sizes; as many stand for the others

_NAMES: Final = ("exch_ns", "kind", "side", "flags", "price", "qty", "join")
_Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Book:
    """Best levels after each group of trading time in which both sides stand."""

    time_ms: _Array
    spread: _Array
    bid_lots: _Array
    ask_lots: _Array
    mid: _Array


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSizes:
    """Sizes of orders of a recorded session, as options of the synthetic market take them.

    Attributes:
        limit: Limit orders; empty where orders can't be told apart.
        market: Market orders: the prints of one time and side together.
        round_ticks: Distance of the prices at which most stands; 0: none stands out.
        round_lots: How many times as much as elsewhere stands there.
        conflate_us: Most frequent time between two messages that change levels, in whole ms.
    """

    limit: str
    market: str
    round_ticks: int
    round_lots: float
    conflate_us: int


def tape_figures(path: Path) -> dict[str, dict[str, Any]]:
    """Return the figures of each session of a tape, by the session's name.

    Raises:
        DataError: The tape is damaged.
    """
    info, columns = tape_columns(path)
    return {session.name: session_figures(columns, session) for session in info.sessions}


def tape_columns(path: Path) -> tuple[TapeInfo, dict[str, _Array]]:
    """Return what a tape holds, and its columns.

    Raises:
        DataError: The tape is damaged.
    """
    info = open_info(path)
    tape = rustsim.Tape.open(str(path))
    return info, {name: np.frombuffer(tape.column(name), COLUMNS[name]) for name in _NAMES}


def session_figures(columns: Mapping[str, _Array], session: Session) -> dict[str, Any]:
    """Return the figures of one session; `columns` are those of its whole tape."""
    part = _session_part(columns, session)
    trading = part["flags"] & FLAG_INDICATIVE == 0
    trades = trading & (part["kind"] == KIND_TRADE)
    levels = trading & (part["kind"] == KIND_LEVEL)
    has_orders = _has_orders(part)
    scan = _scan(part, session)
    book = _book(scan)
    rows = int(trading.sum())
    if len(book.time_ms) < GROUPS_MIN:
        return {"rows": rows, "groups": len(book.time_ms)}
    level_times, trade_times = (np.unique(part["exch_ns"][mask]) for mask in (levels, trades))
    return {
        "rows": rows,
        "groups": len(book.time_ms),
        "rows_per_group": _round(rows / len(book.time_ms)),
        "trade_row_share": _round(float(trades.sum()) / rows),
        "level_times_per_trade_time": _round(len(level_times) / max(1, len(trade_times))),
        "best_change_group_share": _best_change_share(book),
        "crossed_groups": int((book.spread < 0).sum()),
        "spread_ticks": _distribution(book.spread),
        "spread_ticks_share": {
            str(spread): _round(float((book.spread == spread).mean()))
            for spread in range(1, SPREADS_TICKS + 1)
        },
        "best_lots": _distribution(np.concatenate([book.bid_lots, book.ask_lots])),
        "depth_lots": _depth(scan["depth"], 1),
        "depth_distance_ticks": _depth(scan["depth"], 3),
        "trade_lots": _distribution(part["qty"][trades]),
        "level_gap_ms": _gaps(level_times),
        "trade_gap_ms": _gaps(trade_times),
        "level_seconds_dispersion": _dispersion(level_times),
        "trade_seconds_dispersion": _dispersion(trade_times),
        "trade_sign_correlation": _sign_correlation(part["side"][trades]),
        "mid_move_ticks_std": {str(ms): _moves(book, ms)[0] for ms in HORIZONS_MS},
        "mid_unmoved_share_125_ms": _moves(book, HORIZONS_MS[0])[1],
    } | (_order_figures(scan) if has_orders else {})


def session_span(columns: Mapping[str, _Array], session: Session) -> tuple[int, int, int]:
    """Return the first and last time of trading, and the first price with both sides standing."""
    part = _session_part(columns, session)
    # The row that clears the book before an auction is no auction data itself.
    trading = (part["flags"] & FLAG_INDICATIVE == 0) & (part["kind"] != KIND_CLEAR)
    times = part["exch_ns"][trading]
    return int(times[0]), int(times[-1]), int(_book(_scan(part, session)).mid[0])


def session_mode(columns: Mapping[str, _Array], session: Session) -> str:
    """Return the mode of the synthetic market that tells the same kinds of rows."""
    part = _session_part(columns, session)
    if _has_orders(part):
        return "l3"
    levels = part["kind"] == KIND_LEVEL
    return "five_level" if bool((part["flags"][levels] & FLAG_IMAGE).any()) else "l2"


def order_sizes(columns: Mapping[str, _Array], session: Session) -> OrderSizes:
    """Return how large orders were."""
    part = _session_part(columns, session)
    trading = part["flags"] & FLAG_INDICATIVE == 0
    trades = trading & (part["kind"] == KIND_TRADE)
    levels = np.unique(part["exch_ns"][trading & (part["kind"] == KIND_LEVEL)])
    gaps_ms = np.round(np.diff(levels) / 1e6).astype(np.int64)
    gaps_ms = gaps_ms[gaps_ms > 0]
    frequent_ms = int(np.bincount(gaps_ms[gaps_ms < GAP_MS_MAX]).argmax()) if len(gaps_ms) else 0
    keys = 2 * (part["exch_ns"][trades] - part["exch_ns"][0]) + part["side"][trades]
    taken = np.bincount(np.unique(keys, return_inverse=True)[1], weights=part["qty"][trades])
    limit = ""
    if _has_orders(part):
        scan = _scan(part, session)
        is_add = np.frombuffer(scan["change"], np.uint8) == 0
        limit = _lots_table(np.frombuffer(scan["change_lots"], np.int32)[is_add])
    stands = trading & (part["kind"] == KIND_LEVEL) & (part["qty"] > 0)
    round_ticks, round_lots = _round_prices(part["price"][stands], part["qty"][stands])
    return OrderSizes(
        limit=limit,
        market=_lots_table(taken.astype(np.int64)),
        round_ticks=round_ticks,
        round_lots=round_lots,
        conflate_us=1_000 * frequent_ms,
    )


def _round_prices(price: _Array, lots: _Array) -> tuple[int, float]:
    """Return the distance of round prices, and how many times as much stands there."""
    found = (0, 1.0)
    for ticks in ROUND_TICKS:
        is_round = price % ticks == 0
        if len(np.unique(price[is_round])) < ROUND_PRICES_MIN or is_round.all():
            continue
        times = float(lots[is_round].mean() / lots[~is_round].mean())
        # Coarser steps stand out among finer ones that hold them: they must do so clearly.
        if times > max(ROUND_LOTS_MIN, 1.4 * found[1]):
            found = (ticks, round(times, 2))
    return found


def _lots_table(lots: _Array) -> str:
    """Return sizes and shares as `lots:share ...`; rare sizes are put together."""
    sizes, counts = np.unique(lots, return_counts=True)
    if len(sizes) > 2 * SIZES_KEPT:
        kept = np.isin(sizes, sizes[np.argsort(-counts, kind="stable")[:SIZES_KEPT]])
        rare = np.array_split(np.repeat(sizes[~kept], counts[~kept]), SIZES_KEPT)
        means = [round(float(part.mean())) for part in rare]
        sizes = np.concatenate([sizes[kept], means])
        counts = np.concatenate([counts[kept], [len(part) for part in rare]])
    found = np.unique(sizes)
    shares = [float(counts[sizes == size].sum()) / len(lots) for size in found]
    return " ".join(f"{size}:{share:.4g}" for size, share in zip(found, shares, strict=True))


def _session_part(columns: Mapping[str, _Array], session: Session) -> dict[str, _Array]:
    rows = slice(session.row_start, session.row_stop)
    return {name: columns[name][rows] for name in _NAMES if name in columns}


def _has_orders(part: Mapping[str, _Array]) -> bool:
    # Only level-3 rows let a trade stand for the change of its level.
    return "join" in part and bool(part["join"][part["kind"] == KIND_TRADE].any())


def _scan(part: Mapping[str, _Array], session: Session) -> dict[str, Any]:
    return rustsim.scan_queues(
        *part.values(), first_row=session.row_start, trades_take=_has_orders(part)
    )


def _order_figures(scan: dict[str, Any]) -> dict[str, Any]:
    """Return figures that need the identity of orders."""
    is_cancel = np.frombuffer(scan["change"], np.uint8) == 1
    lots = np.frombuffer(scan["change_lots"], np.int32)
    distance = np.frombuffer(scan["change_distance"], np.int32)
    behind = np.frombuffer(scan["behind"], np.uint32).astype(np.float64)
    orders = np.frombuffer(scan["orders"], np.uint32).astype(np.float64)
    best = scan["depth"][0]
    found = {
        "cancel_share": _round(is_cancel.mean()),
        "added_lots": _distribution(lots[~is_cancel]),
        "added_round_share": _round((lots[~is_cancel] % ROUND_LOTS == 0).mean()),
        "added_distance_ticks": _distances(distance[~is_cancel]),
        "cancelled_distance_ticks": _distances(distance[is_cancel]),
        "best_orders_mean": _round(best[2] / best[0]),
    }
    # The place from the back is u^b: -log of it has the mean b, whatever the unit of places is.
    long = orders >= ORDERS_MIN
    if long.sum() >= CANCELS_MIN:
        places = (behind[long] + 0.5) / orders[long]
        found["cancel_back_exponent"] = _round(-np.log(places).mean())
    longer = orders >= ORDERS_TENTH_MIN
    if longer.sum() >= CANCELS_MIN:
        found["cancel_back_tenth_share"] = _round(
            (behind / np.maximum(orders, 1.0) < 0.1)[longer].mean()
        )
    return found


def _distances(ticks: _Array) -> dict[str, float]:
    """Return how far from the best price of their side things happen."""
    behind = ticks[ticks > 0]
    return {
        "inside_share": _round((ticks < 0).mean()),
        "best_share": _round((ticks == 0).mean()),
        "behind_p50": float(np.percentile(behind, 50)) if len(behind) else 0.0,
        "behind_p90": float(np.percentile(behind, 90)) if len(behind) else 0.0,
    }


def _depth(depth: list[tuple[int, int, int, int]], item: int) -> dict[str, float]:
    """Return the mean of one item by rank of levels."""
    found = {rank: depth[rank - 1] for rank in DEPTH_RANKS if rank <= len(depth)}
    return {str(rank): _round(sums[item] / sums[0]) for rank, sums in found.items()}


def _book(scan: dict[str, Any]) -> _Book:
    names = ("bid_price", "bid_lots", "ask_price", "ask_lots")
    best = {name: np.frombuffer(scan[name], np.int32).astype(np.int64) for name in names}
    return _Book(
        time_ms=np.frombuffer(scan["group_ns"], np.int64) / 1e6,
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


def _gaps(times_ns: _Array) -> dict[str, float]:
    gaps = np.diff(times_ns) / 1e6
    if not len(gaps):
        return {}
    return _distribution(gaps) | {"cv": _round(gaps.std() / gaps.mean())}


def _dispersion(times_ns: _Array) -> float | None:
    """Return variance over mean of the distinct times per second; 1 for a Poisson process."""
    if not len(times_ns):
        return None
    counts = np.bincount(((times_ns - times_ns[0]) // 1_000_000_000).astype(np.int64))
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
