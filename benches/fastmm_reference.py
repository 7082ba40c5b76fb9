"""Replay and maker of FastMM on a feed, in its own environment: one JSON document on stdout.

Run by `benches.replay_bench` with another Python; it imports nothing of this repository. FastMM's
strategies state the quotes that they want and its quote manager sends what follows, by replacing
orders, so its maker is the same idea and not the same orders: `orders` says how many there were.
Every figure is CPU time after a warm-up, so compilation is left out.
"""

import argparse
import importlib.metadata
import json
import math
import os
import time

import fastmm
import numpy as np

LATENCY_US = 5_000
FEED_US = 1_000
FIRST_ROWS = 20_000
SNAPSHOT, DELTA, TRADE = 0, 1, 2
SCALE = 100_000_000  # of its integers


class Nothing(fastmm.Strategy):
    """Has no hooks, so the book is kept and nobody is asked."""


class Idle(fastmm.Strategy):
    """Reads the best prices after every event and does nothing: plain Python."""

    def on_book(self, ctx, inst, book):
        if book.valid:
            self.seen = book.best_bid[0] + book.best_ask[0]


class Maker(fastmm.Strategy):
    """Quotes around the mid, moved against the position; compiled by Numba."""

    half_spread_ticks = fastmm.Param(1.0, min=0.0, max=1e6)
    skew_ticks_per_lot = fastmm.Param(0.0, min=0.0, max=1e6)
    threshold_ticks = fastmm.Param(1, min=1, max=1_000_000)
    limit_lots = fastmm.Param(10, min=1, max=1_000_000)
    bid_at = fastmm.State(0)
    ask_at = fastmm.State(0)
    position_seen = fastmm.State(0)

    @fastmm.hot
    def on_book(self, ctx, book):
        if not book.valid:
            ctx.pull()
            self.bid_at = 0
            return
        tick = ctx.tick_raw
        position = ctx.position_raw // ctx.lot_raw
        best_bid = book.bid_px_raw[0] // tick
        best_ask = book.ask_px_raw[0] // tick
        skew = self.skew_ticks_per_lot * position
        mid = 0.5 * (best_bid + best_ask)
        bid = min(math.floor(mid - self.half_spread_ticks - skew), best_ask - 1)
        ask = max(math.ceil(mid + self.half_spread_ticks - skew), best_bid + 1)
        if (
            self.bid_at != 0
            and position == self.position_seen
            and abs(bid - self.bid_at) < self.threshold_ticks
            and abs(ask - self.ask_at) < self.threshold_ticks
        ):
            return
        ctx.clear()
        if position < self.limit_lots:
            ctx.bid_raw(bid * tick, ctx.lot_raw)
        if position > -self.limit_lots:
            ctx.ask_raw(ask * tick, ctx.lot_raw)
        ctx.keep_passive()
        if ctx.quoting_enabled:
            self.bid_at, self.ask_at, self.position_seen = bid, ask, position


def columns(rows):
    """Return the columns of a feed as FastMM takes them."""
    is_trade = rows["ev"] & 0xFF == 2
    is_buy = rows["ev"] & (1 << 29) != 0
    kind = np.where(is_trade, TRADE, DELTA).astype(np.uint8)
    kind[rows["exch_ts"] == rows["exch_ts"][0]] = SNAPSHOT
    return {
        "ts": rows["exch_ts"].astype(np.int64),
        "type": kind,
        "inst": np.zeros(len(rows), np.uint32),
        "side": np.where(is_buy, 0, 1).astype(np.int8),
        "price": (rows["px"] * SCALE).astype(np.int64),
        "qty": (rows["qty"] * SCALE).astype(np.int64),
    }


def config():
    """Return a backtest: 5 ms each way, 1 ms for data, queue positions, no fees."""
    cfg = fastmm.BacktestConfig.single_instrument("SYN", tick="1", lot="1")
    cfg.fill_model = "l2_queue"
    cfg.latency_fixed_us = LATENCY_US
    cfg.latency_jitter_us = 0
    cfg.latency_md_us = FEED_US
    cfg.latency_md_jitter_us = 0
    cfg.maker_fee_bps = 0.0
    cfg.taker_fee_bps = 0.0
    cfg.markout_horizons_s = []
    return cfg


def measure(data, strategy, params, repeats):
    """Return CPU seconds of each run and how many orders there were."""
    seconds, ends = [], set()
    for turn in range(repeats + 1):
        before = time.process_time()
        result = fastmm.run_backtest(config(), data=data, strategy=strategy, params=params)
        if turn:  # the first run compiles
            seconds.append(time.process_time() - before)
        ends.add(result.outbound_sha256)
    if len(ends) != 1:
        raise RuntimeError(f"Runs differ: {ends}")
    stats = result.stats()
    if stats["kill_reason"]:
        raise RuntimeError(f"The engine stopped quoting: {stats['kill_reason']}")
    return {
        "events": len(data["ts"]),
        "ns": [second * 1e9 / len(data["ts"]) for second in seconds],
        "orders": int(stats["orders"]),
        "fills": int(stats["fills"]),
    }


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--feed", required=True)
    parser.add_argument("--core", type=int, required=True)
    parser.add_argument("--repeats", type=int, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--half-spread-ticks", type=float, required=True)
    parser.add_argument("--skew-ticks-per-lot", type=float, required=True)
    parser.add_argument("--requote-threshold-ticks", type=int, required=True)
    parser.add_argument("--position-limit-lots", type=int, required=True)
    given = parser.parse_args()
    os.sched_setaffinity(0, {given.core})
    data = columns(np.load(given.feed, mmap_mode="r")[: given.rows])
    rules = {
        "half_spread_ticks": given.half_spread_ticks,
        "skew_ticks_per_lot": given.skew_ticks_per_lot,
        "threshold_ticks": given.requote_threshold_ticks,
        "limit_lots": given.position_limit_lots,
    }
    few = {name: values[:FIRST_ROWS] for name, values in data.items()}
    fastmm.run_backtest(config(), data=few, strategy=Nothing, params={})
    before = time.perf_counter()
    fastmm.run_backtest(config(), data=few, strategy=Maker, params=rules)
    first_s = time.perf_counter() - before
    found = {
        "replay": measure(data, Nothing, {}, given.repeats),
        "maker": measure(data, Maker, rules, given.repeats),
        "every": measure(data, Idle, {}, given.repeats),
    }
    version = importlib.metadata.version("fastmm-engine")
    print(json.dumps({"version": version, "first_s": first_s, "rows": found}))


if __name__ == "__main__":
    main()
