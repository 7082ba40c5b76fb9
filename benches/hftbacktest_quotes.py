"""Best quotes that hftbacktest shows at every step of a feed, in its own environment.

Run with another Python; it imports nothing of this repository. Writes one row per step: local time,
ticks and sizes of the best bid and ask; a side without levels has size 0.
"""

import argparse

import numpy as np
from hftbacktest import BacktestAsset, HashMapMarketDepthBacktest
from numba import njit

FOREVER_NS = 10**15


@njit
def record(hbt, steps):
    """Fill one row per step and return their number."""
    count = 0
    while True:
        code = hbt.wait_next_feed(False, FOREVER_NS)
        if code != 1 and code != 2:
            return -1
        depth = hbt.depth(0)
        steps[count, 0] = hbt.current_timestamp
        steps[count, 1] = depth.best_bid_tick
        steps[count, 2] = round(depth.best_bid_qty / depth.lot_size)
        steps[count, 3] = depth.best_ask_tick
        steps[count, 4] = round(depth.best_ask_qty / depth.lot_size)
        count += 1
        if code == 1:
            # The last group is played, but the clock stays at the one before.
            return count


def main() -> None:
    """Replay the feed and save the steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--feed", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--tick-size", type=float, required=True)
    parser.add_argument("--lot-size", type=float, required=True)
    given = parser.parse_args()
    rows = np.load(given.feed)["data"]
    asset = (
        BacktestAsset()
        .data(given.feed)
        .linear_asset(1.0)
        .tick_size(given.tick_size)
        .lot_size(given.lot_size)
        .constant_order_latency(0, 0)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(0.0, 0.0)
        .last_trades_capacity(0)
    )
    hbt = HashMapMarketDepthBacktest([asset])
    steps = np.zeros((len(rows) + 1, 5), np.int64)
    count = record(hbt, steps)
    hbt.close()
    if count < 0:
        raise RuntimeError("The replay stopped before the end of its data")
    np.save(given.out, steps[:count])


if __name__ == "__main__":
    main()
