"""Plays schedules of orders through hftbacktest, in its own environment, and saves their ends.

Run by `benches.peer_check` with another Python; it imports nothing of this repository. The schedule
is an array of `benches.peer_orders.SCHEDULE`; the outcome has one row per order: id, status, time
at the exchange, tick and lots of the fill, whether as maker, and when the strategy knew.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from hftbacktest import GTC, GTX, LIMIT, MARKET, BacktestAsset, HashMapMarketDepthBacktest
from numba import njit

FOREVER_NS = 10**15
END_OF_DATA = 1
PLACE, CANCEL, AMEND = 0, 1, 2
OUTCOME = 7  # columns


@njit
def note_changes(hbt, live, count, seen):
    """Look at the orders that have not ended; return how many still have not."""
    orders = hbt.orders(0)
    now = hbt.current_timestamp
    kept = 0
    for i in range(count):
        oid = live[i]
        order = orders.get(oid)
        is_new = order.status != seen[oid, 1] or order.exch_timestamp != seen[oid, 2]
        if is_new and order.status != 0:
            seen[oid, 1] = order.status
            seen[oid, 2] = order.exch_timestamp
            seen[oid, 6] = now
        if order.status == 0 or order.status == 1 or order.req != 0:
            live[kept] = oid
            kept += 1
    return kept


@njit
def play(hbt, rows, tick, seen, sent):
    """Send every row of the schedule at its time, after all that is known by then."""
    live = np.zeros(len(seen), np.int64)
    count = 0
    hbt.elapse(0)
    for i in range(len(rows)):
        while hbt.current_timestamp < rows[i].at_ns:
            code = hbt.wait_next_feed(True, rows[i].at_ns - hbt.current_timestamp)
            count = note_changes(hbt, live, count, seen)
            if code == END_OF_DATA:
                return i
        oid = rows[i].order_id
        price = rows[i].price * tick
        if rows[i].action == CANCEL:
            sent[i] = hbt.cancel(0, oid, False)
        elif rows[i].action == AMEND:
            sent[i] = hbt.modify(0, oid, price, float(rows[i].lots), False)
        else:
            live[count] = oid
            count += 1
            send = rows[i].time_in_force
            kind = rows[i].order_type
            if rows[i].side == 0:
                sent[i] = hbt.submit_buy_order(
                    0, oid, price, float(rows[i].lots), send, kind, False
                )
            else:
                sent[i] = hbt.submit_sell_order(
                    0, oid, price, float(rows[i].lots), send, kind, False
                )
    while hbt.wait_next_feed(True, FOREVER_NS) != END_OF_DATA:
        count = note_changes(hbt, live, count, seen)
    note_changes(hbt, live, count, seen)
    return len(rows)


@njit
def last_state(hbt, out):
    """Write what the orders say of themselves at the end."""
    values = hbt.orders(0).values()
    while values.has_next():
        order = values.get()
        row = out[order.order_id]
        row[0] = order.order_id
        row[1] = order.status
        row[2] = order.exch_timestamp
        row[3] = order.exec_price_tick
        row[4] = round(order.exec_qty)
        row[5] = order.arr[0].maker


def queue_of(asset, model):
    """Return the asset with the queue model of a name such as `power:2`."""
    name, _, parameter = model.partition(":")
    if name == "back":
        return asset.risk_adverse_queue_model()
    if name == "log":
        return asset.log_prob_queue_model()
    if name == "log2":
        return asset.log_prob_queue_model2()
    models = {
        "power": asset.power_prob_queue_model,
        "power2": asset.power_prob_queue_model2,
        "power3": asset.power_prob_queue_model3,
    }
    return models[name](float(parameter))


def build(rows, latency_ns, queue, tick):
    """Return a backtest: constant delays, whole fills only, no fees."""
    asset = (
        BacktestAsset()
        .data(rows)
        .linear_asset(1.0)
        .tick_size(tick)
        .lot_size(1.0)
        .constant_order_latency(latency_ns, latency_ns)
        .no_partial_fill_exchange()
        .trading_value_fee_model(0.0, 0.0)
        .last_trades_capacity(0)
    )
    return HashMapMarketDepthBacktest([queue_of(asset, queue)])


def run(job):
    """Play one schedule and save what became of its orders."""
    rows = np.load(job["schedule"])
    seen = np.zeros((int(rows["order_id"].max()) + 1, OUTCOME), np.int64)
    sent = np.zeros(len(rows), np.int64)
    feed = np.load(job["feed"])  # the library keeps no reference to it
    hbt = build(feed, job["latency_ns"], job["queue"], 1.0)
    played = play(hbt, rows, 1.0, seen, sent)
    if played != len(rows):
        raise RuntimeError(f"Only {played} of {len(rows)} rows were played")
    out = np.zeros_like(seen)
    last_state(hbt, out)
    hbt.close()
    out[:, 6] = seen[:, 6]
    np.save(job["out"], out[1:])


def main() -> None:
    """Play all jobs; one process, since every process compiles again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--jobs", required=True, help="JSON: feed, schedule, out, latency_ns, queue"
    )
    given = parser.parse_args()
    for job in json.loads(Path(given.jobs).read_text()):
        run(job)


# The codes of the schedule are the library's: a version that changes them is noticed.
assert (GTC, GTX, LIMIT, MARKET) == (0, 1, 0, 1)

if __name__ == "__main__":
    main()
