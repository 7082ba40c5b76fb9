"""Answers of hftbacktest to the cases of `benches.peer_cases`, in its own environment.

Run by that module with another Python; it imports nothing of this repository. A case is a book,
rows, requests and questions, in nanoseconds from a common start; the answers are texts.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from hftbacktest import (
    GTC,
    GTX,
    LIMIT,
    MARKET,
    BacktestAsset,
    HashMapMarketDepthBacktest,
    ROIVectorMarketDepthBacktest,
)
from hftbacktest.data import correct_event_order
from hftbacktest.order import FOK, IOC
from hftbacktest.types import event_dtype

START_NS = 1_000_000
END = 1_000_000  # a far row closes the data
FEED_NS = 5
DEPTH, TRADE, CLEAR, SNAPSHOT = 1, 2, 3, 4
BOTH, BUY, SELL = 3 << 30, 1 << 29, 1 << 28
TIME_IN_FORCE = {"rod": GTC, "post_only": GTX, "ioc": IOC, "fok": FOK, "market": GTC}
LATENCY = np.dtype([("req_ts", "i8"), ("exch_ts", "i8"), ("resp_ts", "i8"), ("_padding", "i8")])


def events_of(rows):
    """Return the rows of a case as events."""
    events = []

    def add(kind, is_buy, t, price, lots):
        code = kind | (BUY if is_buy else SELL) | BOTH
        events.append((code, START_NS + t, START_NS + t + FEED_NS, price, lots, 0, 0, 0))

    for t, kind, side, *rest in rows:
        if kind == "trade":
            add(TRADE, side == 1, t, *rest)  # the taker's side
        elif kind == "level":
            add(DEPTH, side == 0, t, *rest)
        else:  # an image of one side: clear to its last price, then its levels
            levels = rest[0]
            add(CLEAR, side == 0, t, rest[1] if len(rest) > 1 else levels[-1][0], 0)
            for price, lots in levels:
                add(SNAPSHOT, side == 0, t, price, lots)
    add(DEPTH, True, END, 1, 1)
    return np.array(events, event_dtype)


def asset_of(case, data):
    """Return the asset of a case."""
    asset = BacktestAsset().data(data).linear_asset(1.0).tick_size(1.0).lot_size(1.0)
    if "latency_rows" in case:
        rows = [(*(START_NS + t for t in row), 0) for row in case["latency_rows"]]
        asset = asset.intp_order_latency(np.array(rows, LATENCY))
    else:
        latency = case.get("latency", 10)
        asset = asset.constant_order_latency(latency, latency)
    name, _, parameter = case.get("queue", "back").partition(":")
    if name == "back":
        asset = asset.risk_adverse_queue_model()
    elif name == "log":
        asset = asset.log_prob_queue_model()
    else:
        asset = asset.power_prob_queue_model(float(parameter))
    if case.get("partial"):
        asset = asset.partial_fill_exchange()
    else:
        asset = asset.no_partial_fill_exchange()
    return asset.trading_value_fee_model(0.0, 0.0).last_trades_capacity(10)


def state_of(bt, oid):
    """Say what is known of an order."""
    order = bt.orders(0).get(oid)
    if order is None or order.status == 0:
        return "nothing heard"
    t = order.exch_timestamp - START_NS
    if order.status == 3:
        return f"filled {order.exec_qty:g} at {order.exec_price_tick} (t {t})"
    return {1: "rests", 2: "expired", 4: "cancelled", 5: "filled in part"}[
        order.status
    ] + f" (t {t})"


def quotes_of(bt):
    """Say the best quotes that the strategy sees."""
    depth = bt.depth(0)
    bid = depth.best_bid_tick if depth.best_bid_tick > 0 else "none"
    ask = depth.best_ask_tick if depth.best_ask_tick < 1 << 40 else "none"
    return f"bid {bid} x {depth.best_bid_qty:g}, ask {ask} x {depth.best_ask_qty:g}"


def request(bt, verb, oid, arguments):
    """Send a request; return its code."""
    if verb == "cancel":
        return bt.cancel(0, oid, False)
    if verb == "amend":
        return bt.modify(0, oid, float(arguments[0]), float(arguments[1]), False)
    side, price, lots, how = arguments
    send = bt.submit_buy_order if side == 0 else bt.submit_sell_order
    kind = MARKET if how == "market" else LIMIT
    return send(0, oid, float(price), float(lots), TIME_IN_FORCE[how], kind, False)


def play(case):
    """Return the answers to the questions of a scenario."""
    data = events_of(case["rows"])
    bt = HashMapMarketDepthBacktest([asset_of(case, data)])
    bt.elapse(0)
    answers = []
    for t, verb, *rest in case["do"]:
        bt.elapse(START_NS + t - bt.current_timestamp)
        if verb == "order?":
            answers.append(state_of(bt, rest[0]))
        elif verb == "quotes?":
            answers.append(quotes_of(bt))
        elif verb == "position?":
            answers.append(f"position {bt.position(0):g}")
        else:
            code = request(bt, verb, rest[0], rest[1:])
            if code != 0:
                answers.append(f"{verb} refused (code {code})")
    if case.get("at_end"):
        while bt.elapse(1_000_000) == 0:
            pass
        answers.append(state_of(bt, case["at_end"]))
    bt.close()
    return "; ".join(answers)


def clock_of_two_assets(case):
    """Return where the clock starts if a second asset has earlier rows."""
    early = events_of([[-50, "level", 0, 99, 1]])
    data = events_of(case["rows"])
    bt = HashMapMarketDepthBacktest([asset_of(case, data), asset_of(case, early)])
    bt.elapse(0)
    answer = f"starts at t {bt.current_timestamp - START_NS}"
    bt.close()
    return answer


def steps(case):
    """Return how many steps the feed makes before its far row."""
    data = events_of(case["rows"])
    bt = HashMapMarketDepthBacktest([asset_of(case, data)])
    bt.elapse(0)
    count = 0
    while bt.wait_next_feed(False, 1_000) == 2:
        count += 1
    answer = f"{count} steps, the wait ends at t {bt.current_timestamp - START_NS}"
    bt.close()
    return answer


def same_id(case):
    """Return what becomes of the id of an order that has ended."""
    data = events_of(case["rows"])
    bt = HashMapMarketDepthBacktest([asset_of(case, data)])
    bt.elapse(0)
    request(bt, "place", 1, (0, 90, 1, "ioc"))
    bt.elapse(100)
    code = request(bt, "place", 1, (0, 90, 1, "rod"))
    bt.close()
    return f"refused (code {code})" if code else "taken"


def outside_of_range(case):
    """Return what an order outside of the declared range meets."""
    data = events_of(case["rows"])
    asset = asset_of(case, data).roi_lb(95.0).roi_ub(105.0)
    bt = ROIVectorMarketDepthBacktest([asset])
    bt.elapse(0)
    request(bt, "place", 1, (0, 90, 1, "rod"))
    bt.elapse(100)
    answer = f"{state_of(bt, 1)}, its level shows {bt.depth(0).bid_qty_at_tick(90)}"
    bt.close()
    return answer


def out_of_order(case):
    """Return what the library's own tools make of a row that comes late on one clock."""
    data = events_of(case["rows"])
    by_exchange = np.argsort(data["exch_ts"], kind="stable")
    data["local_ts"][0] = data["local_ts"][-2] + 1
    by_local = np.argsort(data["local_ts"], kind="stable")
    made = correct_event_order(data, by_exchange, by_local)
    return f"{len(data)} rows become {len(made)}"


SPECIAL = {
    "clock_of_two_assets": clock_of_two_assets,
    "steps": steps,
    "same_id": same_id,
    "outside_of_range": outside_of_range,
    "out_of_order": out_of_order,
}


def main() -> None:
    """Answer all cases, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", required=True)
    given = parser.parse_args()
    cases = json.loads(Path(given.cases).read_text())
    print(json.dumps([SPECIAL.get(case.get("special"), play)(case) for case in cases]))


if __name__ == "__main__":
    main()
