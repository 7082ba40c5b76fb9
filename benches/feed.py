"""A deterministic level-2 feed for measurements: the same bytes for every engine.

Randomness is drawn from numpy's PCG64 at once and only consumed afterwards, so the rows depend on
the seed and the count alone. Actions: 10 % market orders that eat at most two levels, 50 % added
and 40 % cancelled limit orders, near the best prices; a third of them in bursts. About 8 % of the
rows change a best price, and 87 % have an exchange time of their own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

import rustsim

LEVEL, TRADE = 0, 1
LAST = 1
BID, ASK = 0, 1

START_NS = 1_700_000_000_000_000_000
MID_TICKS = 20_000
SPAN_TICKS = 8_192
LEVELS = 40

EVENT_LAYOUT = np.dtype(
    [
        ("ev", "u8"),
        ("exch_ts", "i8"),
        ("local_ts", "i8"),
        ("px", "f8"),
        ("qty", "f8"),
        ("order_id", "u8"),
        ("ival", "i8"),
        ("fval", "f8"),
    ],
    align=True,
)  # hftbacktest's 64-byte rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Columns of a feed, as docs/semantics.md describes them."""

    exch_ns: npt.NDArray[np.int64]
    local_ns: npt.NDArray[np.int64]
    kind: npt.NDArray[np.uint8]
    side: npt.NDArray[np.uint8]
    flags: npt.NDArray[np.uint8]
    price: npt.NDArray[np.int32]
    qty: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.exch_ns)


@njit  # type: ignore[untyped-decorator]
def _walk(rows: Any, times: Any, kinds: Any, sides: Any, distances: Any, lots: Any) -> int:
    """Fill `rows` (times, kind, side, flags, price, qty) and return how many there are."""
    row_ns, row_kind, row_side, row_flags, row_price, row_qty = rows
    depth = np.zeros((2, 2 * SPAN_TICKS), np.int32)
    best = np.array([SPAN_TICKS, SPAN_TICKS + 1])
    away = np.array([-1, 1])  # the direction that leads from the best price into the book
    n = 0
    for i in range(LEVELS):
        for s in range(2):
            p = best[s] + away[s] * i
            depth[s, p] = 15 + 2 * i
            row_ns[n], row_kind[n], row_side[n] = times[0], LEVEL, s
            row_price[n], row_qty[n] = p, depth[s, p]
            n += 1
    row_flags[n - 1] = LAST
    for i in range(1, len(times)):
        if n + 4 > len(row_ns) or best[0] < 2 * LEVELS or best[1] > 2 * (SPAN_TICKS - LEVELS):
            break
        s, q, first = sides[i], lots[i], n
        if kinds[i] == 0:
            for _ in range(2):
                p = best[s]
                take = min(q, depth[s, p])
                depth[s, p] -= take
                q -= take
                row_kind[n], row_side[n], row_price[n], row_qty[n] = TRADE, s, p, take
                n += 1
                row_kind[n], row_side[n], row_price[n], row_qty[n] = LEVEL, s, p, depth[s, p]
                n += 1
                while depth[s, best[s]] == 0:
                    best[s] += away[s]
                if q == 0:
                    break
        else:
            p = best[s] + away[s] * distances[i]
            if best[1] - best[0] > 1:
                p = best[s] - away[s]  # a wide spread is filled before anything else
                depth[s, p] = q
                best[s] = p
            elif kinds[i] == 1:
                depth[s, p] += q
            else:
                # Large levels lose more; away from the best a level never quite empties.
                left = depth[s, p] - q - depth[s, p] // 16
                depth[s, p] = max(left, 1 if distances[i] > 0 else 0)
                while depth[s, best[s]] == 0:
                    best[s] += away[s]
            row_kind[n], row_side[n], row_price[n], row_qty[n] = LEVEL, s, p, depth[s, p]
            n += 1
        row_ns[first:n] = times[i]
        row_flags[n - 1] = LAST
    return n


def generate(rows: int, seed: int = 11) -> Feed:
    """Return a feed of exactly `rows` rows."""
    rng = np.random.Generator(np.random.PCG64(seed))
    gaps = rng.exponential(4e6, rows)
    gaps[rng.random(rows) < 0.35] *= 0.002
    times = START_NS + np.cumsum(gaps).astype(np.int64) // 1_000 * 1_000
    choice = rng.random(rows)
    kinds = np.where(choice < 0.1, 0, np.where(choice < 0.6, 1, 2)).astype(np.int64)
    sides = rng.integers(0, 2, rows)
    distances = np.minimum(rng.geometric(0.35, rows) - 1, 19)
    lots = rng.geometric(0.22, rows).astype(np.int32)
    lots[rng.random(rows) < 0.02] *= 6
    delays = 400_000 + rng.exponential(6e5, rows).astype(np.int64)

    capacity = rows + 8
    columns = (
        np.zeros(capacity, np.int64),
        np.zeros(capacity, np.uint8),
        np.zeros(capacity, np.uint8),
        np.zeros(capacity, np.uint8),
        np.zeros(capacity, np.int32),
        np.zeros(capacity, np.int32),
    )
    count = _walk(columns, times, kinds, sides, distances, lots)
    if count < rows:
        raise RuntimeError(f"The feed ended after {count} of {rows} rows; choose another seed")
    exch_ns, kind, side, flags, price, qty = columns
    exch_ns = exch_ns[:rows]
    flags[rows - 1] |= LAST
    # One delay per exchange time, and no row overtakes another on its way to the strategy.
    delay = delays[np.searchsorted(times, exch_ns)]
    local_ns = np.maximum.accumulate(exch_ns + delay)
    return Feed(
        exch_ns=exch_ns,
        local_ns=local_ns,
        kind=kind[:rows],
        side=side[:rows],
        flags=flags[:rows],
        price=price[:rows] + np.int32(MID_TICKS - SPAN_TICKS),
        qty=qty[:rows],
    )


def best_change_share(feed: Feed) -> float:
    """Return the share of rows after which a best price differs."""
    return float(_best_changes(feed.kind, feed.side, feed.price, feed.qty)) / len(feed)


@njit  # type: ignore[untyped-decorator]
def _best_changes(kind: Any, side: Any, price: Any, qty: Any) -> int:
    low = price.min()
    depth = np.zeros((2, price.max() - low + 2), np.int64)
    best = np.array([0, depth.shape[1] - 1])
    changes = 0
    for i in range(len(kind)):
        if kind[i] != LEVEL:
            continue
        s, p = side[i], price[i] - low
        before = best[s]
        depth[s, p] = qty[i]
        if s == BID:
            best[s] = max(best[s], p) if qty[i] > 0 else best[s]
            while best[s] > 0 and depth[s, best[s]] == 0:
                best[s] -= 1
        else:
            best[s] = min(best[s], p) if qty[i] > 0 else best[s]
            while best[s] < depth.shape[1] - 1 and depth[s, best[s]] == 0:
                best[s] += 1
        changes += before != best[s]
    return changes


def write_tape(feed: Feed, path: Path) -> None:
    """Write the feed as a tape with a local clock."""
    builder = rustsim.TapeBuilder(str(path), has_local=True, source="benches/feed.py")
    builder.append(
        feed.exch_ns, feed.local_ns, feed.kind, feed.side, feed.flags, feed.price, feed.qty
    )
    builder.finish('{"reader": "bench"}')


def write_hftbacktest(feed: Feed, path: Path) -> None:
    """Write the feed in hftbacktest's layout; its trades carry the side of the taker."""
    depth_event, trade_event = 1, 2
    buy, sell, both_clocks = 1 << 29, 1 << 28, 3 << 30
    rows = np.zeros(len(feed), EVENT_LAYOUT)
    is_trade = feed.kind == TRADE
    is_buy = (feed.side == BID) != is_trade
    rows["ev"] = (
        np.where(is_trade, trade_event, depth_event) | np.where(is_buy, buy, sell) | both_clocks
    )
    rows["exch_ts"], rows["local_ts"] = feed.exch_ns, feed.local_ns
    rows["px"], rows["qty"] = feed.price, feed.qty
    np.save(path, rows)
