"""A feed, a random schedule of orders, and what becomes of each of them here.

The schedule keeps to rules that this exchange and hftbacktest share: orders of one lot, one order
at a price, no order that would meet an own one. Everything else is random: side, price from deep
in the book to through it, resting, post-only, IOC, FOK and market orders, cancels and amends.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import rustsim
from benches.feed import EVENT_LAYOUT, LEVEL, TRADE, Feed
from strategies.adapters.rustsim import RustSimAdapter
from strategies.base import Strategy, StrategyParams
from strategies.gateway import OrderEvent

SCHEDULE = np.dtype(
    [
        ("at_ns", "i8"),
        ("action", "i8"),
        ("order_id", "i8"),
        ("side", "i8"),
        ("price", "i8"),
        ("lots", "i8"),
        ("time_in_force", "i8"),  # hftbacktest's codes: 0 GTC, 1 GTX, 2 FOK, 3 IOC
        ("order_type", "i8"),  # 0 limit, 1 market
    ]
)
PLACE, CANCEL, AMEND = 0, 1, 2
GTC, GTX, FOK, IOC = 0, 1, 2, 3
LIMIT, MARKET = 0, 1
NEW, EXPIRED, FILLED, CANCELLED = 1, 2, 3, 4
STATUS = {0: "none", NEW: "new", EXPIRED: "expired", FILLED: "filled", CANCELLED: "cancelled"}
COLUMNS = ("order", "status", "exchange time", "fill price", "filled lots", "maker", "known at")

_NEVER = np.iinfo(np.int64).max
_LIFE_NS = 400_000_000
_TRIES = 60


@dataclass(slots=True)
class _Live:
    """An order that may rest somewhere."""

    side: int
    price: int
    until_ns: int


def random_schedule(feed: Feed, count: int, latency_ns: int, seed: int) -> npt.NDArray[np.void]:
    """Return `count` orders and their cancels and amends, sorted by time."""
    rng = np.random.Generator(np.random.PCG64(seed))
    trades = feed.kind == TRADE
    trade_ns, trade_price = feed.local_ns[trades], feed.price[trades]
    first, last = int(trade_ns[100]), int(feed.local_ns[-1]) - 20_000_000_000
    # Some orders are sent so that they arrive exactly with a row of the market.
    times = rng.integers(first, last, count)
    on_row = rng.random(count) < 0.2
    arrivals = np.searchsorted(feed.exch_ns, times[on_row])
    times[on_row] = np.maximum(feed.exch_ns[arrivals] - latency_ns, first)
    times = np.sort(times)
    known = trade_price[np.maximum(np.searchsorted(trade_ns, times) - 1, 0)]
    settled = 2 * latency_ns + 1_000_000
    live: list[_Live] = []
    rows: list[tuple[int, ...]] = []
    for number, (at, base) in enumerate(zip(times.tolist(), known.tolist(), strict=True), 1):
        live = [order for order in live if order.until_ns > at]
        side, price, force, kind = _draw(rng, base, live)
        until = at + settled
        rows.append((at, PLACE, number, side, price, 1, force, kind))
        if force in (GTC, GTX) and kind == LIMIT:
            until = _end(
                rng,
                rows,
                (at, number, side, price, force),
                settled,
                live,
                is_late=number > 0.99 * count,
            )
        live.append(_Live(side=side, price=price, until_ns=until))
    schedule = np.array(rows, SCHEDULE)
    return schedule[np.argsort(schedule["at_ns"], kind="stable")]


def _is_free(side: int, price: int, live: list[_Live]) -> bool:
    """Whether an order can neither share a level with an own one nor meet one."""
    sign = 1 if side == 0 else -1
    for order in live:
        if order.side == side and order.price == price:
            return False
        if order.side != side and sign * (price - order.price) >= 0:
            return False
    return True


def _draw(rng: np.random.Generator, base: int, live: list[_Live]) -> tuple[int, int, int, int]:
    for _ in range(_TRIES):
        side = int(rng.integers(0, 2))
        sign = 1 if side == 0 else -1
        price = base - sign * int(rng.integers(-2, 6))
        force = int(rng.choice([GTC, GTX, FOK, IOC], p=[0.45, 0.35, 0.05, 0.15]))
        kind = LIMIT
        reach = price
        if rng.random() < 0.03:
            kind, force, reach = MARKET, GTC, price + sign * 10**9
        if _is_free(side, reach, live):
            return side, price, force, kind
    # Everything near is taken: far away there is room.
    return 0, base - 50 - len(live), GTC, LIMIT


def _end(
    rng: np.random.Generator,
    rows: list[tuple[int, ...]],
    order: tuple[int, int, int, int, int],
    settled: int,
    live: list[_Live],
    *,
    is_late: bool,
) -> int:
    """Add an amend to another price, then a cancel, or neither; return until when it may rest."""
    at, number, side, price, force = order
    choice = rng.random()
    if is_late and choice < 0.1:
        return _NEVER  # rests until it is filled or the data ends
    at += settled + int(rng.exponential(_LIFE_NS))
    # A post-only order that an amend would let take stays here and expires there.
    if choice > 0.85 and force == GTC:
        moved = price + int(rng.choice([-1, 1]))
        later = [other for other in live if other.until_ns > at]
        if _is_free(side, moved, later):
            rows.append((at, AMEND, number, side, moved, 1, GTC, LIMIT))
            live.append(_Live(side=side, price=moved, until_ns=at + settled))
            at += settled + int(rng.exponential(_LIFE_NS))
            live[-1].until_ns = at + settled
    rows.append((at, CANCEL, number, side, 0, 0, GTC, LIMIT))
    return at + settled


class Scheduled(Strategy):
    """Sends the rows of a schedule at their times and remembers what it hears of each order."""

    def __init__(self, gateway: RustSimAdapter, schedule: npt.NDArray[np.void]) -> None:
        super().__init__(gateway, StrategyParams())
        self._rows = schedule.tolist()
        self._next = 0
        self.outcomes = np.zeros((int(schedule["order_id"].max()) + 1, 7), np.int64)
        self._ids: dict[int, int] = {}  # here -> schedule
        self._theirs: dict[int, int] = {}  # schedule -> here

    def on_start(self) -> None:
        """Ask to be woken for every row."""
        for row in self._rows:
            self.gateway.set_timer(row[0])

    def on_timer(self, now_ns: int) -> None:
        """Send what is due."""
        while self._next < len(self._rows) and self._rows[self._next][0] <= now_ns:
            self._send(self._rows[self._next])
            self._next += 1

    def _send(self, row: tuple[int, ...]) -> None:
        _, action, number, side, price, lots, force, kind = row
        if action == CANCEL:
            self.gateway.cancel_order(self._theirs[number])
        elif action == AMEND:
            self.gateway.amend_order(self._theirs[number], price_ticks=price, quantity_lots=lots)
        else:
            known = self.gateway.place_order(
                side,
                price,
                lots,
                order_type="market" if kind == MARKET else "limit",
                time_in_force="ioc"
                if kind == MARKET
                else {FOK: "fok", IOC: "ioc"}.get(force, "rod"),
                post_only=force == GTX,
            )
            self._ids[known], self._theirs[number] = number, known

    def on_order_event(self, event: OrderEvent) -> None:
        """Keep the last thing that happened to the order."""
        row = self.outcomes[self._ids[event.order_id]]
        status = {
            "accepted": NEW,
            "amended": NEW,
            "rejected": EXPIRED,
            "expired": EXPIRED,
            "filled": FILLED,
            "cancelled": CANCELLED,
        }.get(event.kind)
        if status is None:
            return  # a refused cancel or amend changes nothing
        row[1], row[2], row[6] = status, event.exch_ns, event.local_ns
        if event.kind == "filled":
            row[3], row[4], row[5] = event.price_ticks, row[4] + event.quantity_lots, event.is_maker


def play_here(
    tape: rustsim.Tape, schedule: npt.NDArray[np.void], latency_ns: int, queue: dict[str, Any]
) -> npt.NDArray[np.int64]:
    """Return the outcomes of all orders, columns as in `COLUMNS`."""
    way = {"model": "constant", "mean_ns": latency_ns}
    gateway = RustSimAdapter.from_spec(
        {
            "latency": {"place": way, "cancel": way, "amend": way, "report": way},
            "queue": queue,
            "impact": {"half_life_ns": 0},  # takers leave no trace, as there
        }
    )
    strategy = Scheduled(gateway, schedule)
    gateway.replay(tape, 0, tape.row_count, strategy, wake="own")
    strategy.outcomes[:, 0] = np.arange(len(strategy.outcomes))
    return strategy.outcomes[1:]


def one_message_a_time(feed: Feed) -> Feed:
    """Return the feed with an exchange time of its own for every message, a nanosecond apart."""
    starts = np.concatenate(([True], (feed.flags[:-1] & 1) > 0))
    return feed_at(feed, _apart(feed.exch_ns, starts))


def _apart(exch_ns: npt.NDArray[np.int64], starts: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return times that rise by at least 1 ns from message to message."""
    message = np.cumsum(starts) - 1
    first = exch_ns[starts]
    step = np.arange(len(first))
    apart: npt.NDArray[np.int64] = np.maximum.accumulate(first - step) + step
    spread: npt.NDArray[np.int64] = apart[message]
    return spread


def feed_at(feed: Feed, exch_ns: npt.NDArray[np.int64]) -> Feed:
    """Return the feed at other exchange times, seen no earlier than they happen."""
    local_ns = np.maximum.accumulate(np.maximum(feed.local_ns, exch_ns))
    ends = np.append(exch_ns[1:] != exch_ns[:-1], True)
    last = np.flatnonzero(ends)
    local_ns = local_ns[last[np.searchsorted(last, np.arange(len(exch_ns)))]]
    return Feed(
        exch_ns=exch_ns,
        local_ns=local_ns,
        kind=feed.kind,
        side=feed.side,
        flags=ends.astype(np.uint8),
        price=feed.price,
        qty=feed.qty,
    )


def prints_first(feed: Feed) -> Feed:
    """Return the feed with the prints of an exchange time in front of its level rows."""
    order = np.lexsort((feed.kind != TRADE, feed.exch_ns))
    return feed_at(
        Feed(
            exch_ns=feed.exch_ns,
            local_ns=feed.local_ns,
            kind=feed.kind[order],
            side=feed.side[order],
            flags=feed.flags,
            price=feed.price[order],
            qty=feed.qty[order],
        ),
        feed.exch_ns,
    )


def levels_after_prints(feed: Feed) -> Feed:
    """Return the feed with a level row behind every print that tells what the print left."""
    columns: list[npt.NDArray[Any]] = [feed.kind, feed.side, feed.price, feed.qty]
    book: dict[tuple[int, int], int] = {}
    rows: list[tuple[int, int, int, int, int]] = []
    for row, (kind, side, price, lots) in enumerate(
        zip(*(column.tolist() for column in columns), strict=True)
    ):
        if kind != TRADE:
            book[side, price] = lots
            continue
        left = max(0, book.get((side, price), 0) - lots)
        if book.get((side, price), 0) > 0:
            rows.append((row, LEVEL, side, price, left))
            book[side, price] = left
    after, kinds, sides, prices, lots_left = (list(column) for column in zip(*rows, strict=True))
    place = np.array(after) + 1
    added = Feed(
        exch_ns=np.insert(feed.exch_ns, place, feed.exch_ns[after]),
        local_ns=np.insert(feed.local_ns, place, feed.local_ns[after]),
        kind=np.insert(feed.kind, place, kinds),
        side=np.insert(feed.side, place, sides),
        flags=np.insert(feed.flags, place, 0),
        price=np.insert(feed.price, place, prices),
        qty=np.insert(feed.qty, place, lots_left),
    )
    return feed_at(added, added.exch_ns)


def feed_of_events(path: Path, tick_size: float) -> Feed:
    """Return the rows of a file in hftbacktest's layout that trade: no auction rows, no flags."""
    with np.load(path) as archive:
        events = archive["data"]
    if events.dtype != EVENT_LAYOUT:
        raise ValueError(f"{path}: not hftbacktest's layout")
    events = events[(events["ival"] & 4) == 0]  # auction rows, as our export marks them
    kind = (events["ev"] & 0xFF).astype(np.int64)
    is_trade = kind == 2
    is_buy = (events["ev"] & (1 << 29)) > 0
    keep = kind != 3
    exch_ns = events["exch_ts"][keep]
    ends = np.append(exch_ns[1:] != exch_ns[:-1], True)
    return Feed(
        exch_ns=exch_ns,
        local_ns=np.maximum(events["local_ts"][keep], exch_ns),
        kind=is_trade[keep].astype(np.uint8),
        side=(is_buy == is_trade)[keep].astype(np.uint8),
        flags=ends.astype(np.uint8),
        price=np.round(events["px"][keep] / tick_size).astype(np.int32),
        qty=np.round(events["qty"][keep]).astype(np.int32),
    )
