"""Replay and maker of NautilusTrader, in its own environment: one JSON document on stdout.

Run by `benches.replay_bench` with another Python; it imports nothing of this repository. The maker
follows the rules of `strategies/maker.py`: one post-only order a side, cancelled when it is off
target, replaced when its end is seen. NautilusTrader delivers data without delay of its own and
has one delay for commands; it does not know the queue in front of an order. Every figure is CPU
time of `BacktestEngine.run`, after a warm-up; making the objects that it takes is told apart.
"""

import argparse
import importlib.metadata
import json
import math
import os
import time

import numpy as np
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import LatencyModel
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import BookOrder, OrderBookDelta, TradeTick
from nautilus_trader.model.enums import (
    AccountType,
    AggressorSide,
    BookAction,
    BookType,
    OmsType,
    OrderSide,
    RecordFlag,
)
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TradeId, Venue
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

LATENCY_NS = 5_000_000
VENUE = Venue("SIM")
SYN = InstrumentId(Symbol("SYN"), VENUE)


def instrument():
    """Return an instrument whose prices and sizes are whole numbers."""
    return CryptoPerpetual(
        instrument_id=SYN,
        raw_symbol=Symbol("SYN"),
        base_currency=USDT,
        quote_currency=USDT,
        settlement_currency=USDT,
        is_inverse=False,
        price_precision=0,
        size_precision=0,
        price_increment=Price.from_int(1),
        size_increment=Quantity.from_int(1),
        ts_event=0,
        ts_init=0,
    )


def objects(rows):
    """Return the feed as the objects that the engine takes."""
    made = []
    ends = np.append(rows["exch_ts"][1:] != rows["exch_ts"][:-1], True)
    for at, (row, is_last) in enumerate(zip(rows.tolist(), ends.tolist(), strict=True)):
        ev, exch_ns, local_ns, price, lots = row[:5]
        px = Price.from_int(int(price))
        is_buy = ev & (1 << 29) != 0
        if ev & 0xFF == 2:
            side = AggressorSide.BUYER if is_buy else AggressorSide.SELLER
            size = Quantity.from_int(int(lots))
            made.append(TradeTick(SYN, px, size, side, TradeId(str(at)), exch_ns, local_ns))
            continue
        action = BookAction.UPDATE if lots > 0 else BookAction.DELETE
        side = OrderSide.BUY if is_buy else OrderSide.SELL
        order = BookOrder(side, px, Quantity.from_int(int(lots)), int(price))
        flags = RecordFlag.F_LAST if is_last else 0
        made.append(OrderBookDelta(SYN, action, order, flags, at, exch_ns, local_ns))
    return made


class Nothing(Strategy):
    """Subscribes to nothing: the exchange keeps its book, nobody is asked."""


class Idle(Strategy):
    """Is asked at every message and reads the best prices."""

    def on_start(self):
        self.subscribe_order_book_deltas(SYN, BookType.L2_MBP)

    def on_order_book_deltas(self, deltas):
        book = self.cache.order_book(SYN)
        self.seen = (book.best_bid_price(), book.best_ask_price())


class Maker(Strategy):
    """Quotes both sides of the mid, moved against the position."""

    def __init__(self, half, skew, threshold, limit):
        super().__init__()
        self.rules = half, skew, threshold, limit
        self.position_lots = self.sent = 0
        self.seen = None
        self.resting = {OrderSide.BUY: None, OrderSide.SELL: None}
        self.placed_at = {OrderSide.BUY: 0, OrderSide.SELL: 0}

    def on_start(self):
        self.subscribe_order_book_deltas(SYN, BookType.L2_MBP)

    def on_order_book_deltas(self, deltas):
        book = self.cache.order_book(SYN)
        best = book.best_bid_price(), book.best_ask_price()
        if best != self.seen:
            self.seen = best
            self.quote()

    def quote(self):
        if self.seen is None or None in self.seen:
            return
        bid, ask = (int(price.as_double()) for price in self.seen)
        half, skew, threshold, limit = self.rules
        centre = (bid + ask) / 2 - skew * self.position_lots
        self.bring(OrderSide.BUY, min(math.floor(centre - half), ask - 1), threshold, limit)
        self.bring(OrderSide.SELL, max(math.ceil(centre + half), bid + 1), threshold, limit)

    def bring(self, side, target, threshold, limit):
        order = self.resting[side]
        if order is not None and order.is_closed:
            order = self.resting[side] = None
        if order is not None:
            is_off = abs(self.placed_at[side] - target) >= threshold
            if is_off and order.is_open and not order.is_pending_cancel:
                self.cancel_order(order)
            return
        room = self.position_lots if side == OrderSide.BUY else -self.position_lots
        if room < limit:
            size = Quantity.from_int(1)
            order = self.order_factory.limit(
                SYN, side, size, Price.from_int(target), post_only=True
            )
            self.resting[side], self.placed_at[side] = order, target
            self.sent += 1
            self.submit_order(order)

    def on_order_filled(self, event):
        lots = int(event.last_qty.as_double())
        self.position_lots += lots if event.order_side == OrderSide.BUY else -lots
        self.quote()

    def on_order_canceled(self, event):
        self.quote()


def run(made, make):
    """Return CPU seconds, the strategy and the number of fills of one run."""
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(bypass=True),
            run_analysis=False,
        )
    )
    engine.add_venue(
        venue=VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        starting_balances=[Money(1e9, USDT)],
        book_type=BookType.L2_MBP,
        latency_model=LatencyModel(base_latency_nanos=LATENCY_NS),
    )
    engine.add_instrument(instrument())
    engine.add_data(made)
    strategy = make()
    engine.add_strategy(strategy)
    before = time.process_time()
    engine.run()
    seconds = time.process_time() - before
    fills = sum(int(order.is_closed and order.filled_qty > 0) for order in engine.cache.orders())
    engine.dispose()
    return seconds, strategy, fills


def measure(made, make, repeats):
    """Return CPU nanoseconds per event of each run and how many orders there were."""
    run(made[: len(made) // 10], make)
    ns, ends = [], set()
    for _ in range(repeats):
        seconds, strategy, fills = run(made, make)
        ns.append(seconds * 1e9 / len(made))
        ends.add((getattr(strategy, "sent", 0), fills))
    if len(ends) != 1:
        raise RuntimeError(f"Runs differ: {ends}")
    orders, fills = ends.pop()
    return {"events": len(made), "ns": ns, "orders": orders, "fills": fills}


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
    rows = np.load(given.feed, mmap_mode="r")[: given.rows]
    rules = (
        given.half_spread_ticks,
        given.skew_ticks_per_lot,
        given.requote_threshold_ticks,
        given.position_limit_lots,
    )
    before = time.process_time()
    made = objects(rows)
    making_ns = (time.process_time() - before) * 1e9 / len(made)
    found = {
        "replay": measure(made, Nothing, given.repeats),
        "maker": measure(made, lambda: Maker(*rules), given.repeats),
        "every": measure(made, Idle, given.repeats),
    }
    version = importlib.metadata.version("nautilus_trader")
    print(json.dumps({"version": version, "making_ns": making_ns, "rows": found}))


if __name__ == "__main__":
    main()
