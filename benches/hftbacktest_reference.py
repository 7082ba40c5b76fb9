"""Replay and maker of hftbacktest on a feed, in its own environment: one JSON document on stdout.

Run by `benches.replay_bench` with another Python; it imports nothing of this repository. The maker
follows the rules of `strategies/maker.py`: one post-only order a side, cancelled when it is off
target, replaced when its end is seen. Every figure is CPU time after a warm-up, so compilation is
left out.
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import time

import numpy as np
from hftbacktest import (
    GTX,
    LIMIT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
    ROIVectorMarketDepthBacktest,
)
from numba import njit

LATENCY_NS = 5_000_000
FOREVER_NS = 10**15
FIRST_ROWS = 20_000
STEPS_MOST = 200_000  # of those that are made from the interpreter


@njit
def replay(hbt):
    """Keep the book to the end of the data, in one call."""
    return hbt.elapse(FOREVER_NS)


@njit
def slot_is_free(orders, order_id):
    """Whether an order of ours has ended."""
    order = orders.get(order_id)
    return order is None or order.status == 2 or order.status == 3 or order.status == 4


@njit
def quote(hbt, now, half, skew, limit, threshold):
    """Bring both sides to their targets; `now` holds id and price of both, then the last id."""
    depth = hbt.depth(0)
    bid, ask = depth.best_bid_tick, depth.best_ask_tick
    position = hbt.position(0)
    orders = hbt.orders(0)
    mid = (bid + ask) / 2
    targets = (
        min(int(np.floor(mid - half - skew * position)), ask - 1),
        max(int(np.ceil(mid + half - skew * position)), bid + 1),
    )
    for side in range(2):
        if now[side, 0] > 0 and slot_is_free(orders, now[side, 0]):
            now[side, 0] = 0
        if now[side, 0] > 0:
            # A cancel before the acknowledgement is refused by this library.
            is_off = abs(now[side, 1] - targets[side]) >= threshold
            if is_off and orders.get(now[side, 0]).cancellable:
                hbt.cancel(0, now[side, 0], False)
        elif (position < limit) if side == 0 else (position > -limit):
            now[2, 0] += 1
            now[side, 0], now[side, 1] = now[2, 0], targets[side]
            price = targets[side] * depth.tick_size
            if side == 0:
                hbt.submit_buy_order(0, now[2, 0], price, 1.0, GTX, LIMIT, False)
            else:
                hbt.submit_sell_order(0, now[2, 0], price, 1.0, GTX, LIMIT, False)


@njit
def maker_by_event(hbt, half, skew, limit, threshold):
    """Look at every feed event and reply, act when a best price changed or a reply came."""
    now = np.zeros((3, 2), np.int64)
    bid = ask = -1
    while True:
        code = hbt.wait_next_feed(True, FOREVER_NS)
        if code != 0 and code != 2 and code != 3:
            return now[2, 0]
        depth = hbt.depth(0)
        if depth.best_bid_tick < 0 or depth.best_ask_tick > 1_000_000_000:
            continue
        if code == 3 or depth.best_bid_tick != bid or depth.best_ask_tick != ask:
            bid, ask = depth.best_bid_tick, depth.best_ask_tick
            quote(hbt, now, half, skew, limit, threshold)
            if code == 3:
                hbt.clear_inactive_orders(0)


@njit
def maker_by_clock(hbt, half, skew, limit, threshold):
    """Look and act every 10 ms, the cheaper habit of the library's examples."""
    now = np.zeros((3, 2), np.int64)
    while hbt.elapse(10_000_000) == 0:
        depth = hbt.depth(0)
        if depth.best_bid_tick < 0 or depth.best_ask_tick > 1_000_000_000:
            continue
        quote(hbt, now, half, skew, limit, threshold)
        hbt.clear_inactive_orders(0)
    return now[2, 0]


def read_every(hbt):
    """Look at every feed event from the interpreter, and read the best prices."""
    seen = 0
    while hbt.wait_next_feed(False, FOREVER_NS) in (0, 2):
        depth = hbt.depth(0)
        seen += depth.best_bid_tick < depth.best_ask_tick
    return seen


def build(rows, book):
    """Return a backtest on the rows: 5 ms each way, uniform queue model, orders of one lot."""
    asset = (
        BacktestAsset()
        .data(rows)
        .linear_asset(1.0)
        .tick_size(1.0)
        .lot_size(1.0)
        .constant_order_latency(LATENCY_NS, LATENCY_NS)
        .power_prob_queue_model(1.0)
        .no_partial_fill_exchange()
        .trading_value_fee_model(0.0, 0.0)
        .last_trades_capacity(0)
    )
    if book == "hash":
        return HashMapMarketDepthBacktest([asset])
    asset = asset.roi_lb(float(rows["px"].min() - 50)).roi_ub(float(rows["px"].max() + 50))
    return ROIVectorMarketDepthBacktest([asset])


def measure(rows, function, arguments, repeats, book):
    """Return CPU time of each run and the final state."""
    warm = build(rows[:FIRST_ROWS], book)
    function(warm, *arguments)
    warm.close()
    ns, states = [], set()
    for _ in range(repeats):
        hbt = build(rows, book)
        before = time.process_time()
        result = function(hbt, *arguments)
        ns.append((time.process_time() - before) * 1e9 / len(rows))
        state = hbt.state_values(0)
        states.add((int(result), float(state.position), int(state.num_trades)))
        hbt.close()
    if len(states) != 1:
        raise RuntimeError(f"Runs differ: {states}")
    orders, position, fills = states.pop()
    return {
        "events": len(rows),
        "ns": ns,
        "orders": orders if arguments else 0,
        "fills": fills,
        "position": position,
        "how": f"{function.__name__}, {book} book",
    }


def fastest(runs):
    """Return the run with the lowest median."""
    return min(runs, key=lambda run: statistics.median(run["ns"]))


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--feed", required=True)
    parser.add_argument("--core", type=int, required=True)
    parser.add_argument("--repeats", type=int, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--half-spread-ticks", type=float, required=True)
    parser.add_argument("--skew-ticks-per-lot", type=float, required=True)
    parser.add_argument("--position-limit-lots", type=float, required=True)
    parser.add_argument("--requote-threshold-ticks", type=int, required=True)
    given = parser.parse_args()
    os.sched_setaffinity(0, {given.core})
    rows = np.load(given.feed)[: given.rows]
    rules = (
        given.half_spread_ticks,
        given.skew_ticks_per_lot,
        given.position_limit_lots,
        given.requote_threshold_ticks,
    )
    books = ("roi", "hash")
    makers = (maker_by_event, maker_by_clock)
    few = rows[:STEPS_MOST]
    # Nothing is compiled yet: what a process waits before its first result.
    before = time.perf_counter()
    maker_by_event(build(rows[:FIRST_ROWS], "roi"), *rules)
    first_s = time.perf_counter() - before
    found = {
        "replay": fastest([measure(rows, replay, (), given.repeats, book) for book in books]),
        "maker": fastest(
            [measure(rows, maker, rules, given.repeats, book) for maker in makers for book in books]
        ),
        "every": measure(few, read_every, (), min(given.repeats, 3), "roi"),
    }
    version = importlib.metadata.version("hftbacktest")
    print(json.dumps({"version": version, "first_s": first_s, "rows": found}))


if __name__ == "__main__":
    main()
