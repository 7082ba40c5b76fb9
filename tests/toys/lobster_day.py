"""Makes LOBSTER recordings: a full order book of random orders, shown N levels a side."""

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TICK: Final = 100  # 0.01 dollars in units of LOBSTER
NO_ASK, NO_BID = 9_999_999_999, -9_999_999_999

# Seconds, type, order id, size, price, direction.
Message = tuple[str, int, int, int, int, int]


@dataclass(slots=True)
class Day:
    """A recording: line i of `books` is the view after message i.

    `removed` tells, by line, which order lost how many lots how far behind the front.
    """

    messages: list[Message] = field(default_factory=list)
    books: list[list[int]] = field(default_factory=list)
    removed: dict[int, tuple[int, int, int]] = field(default_factory=dict)

    def write(self, folder: Path, levels: int, name: str = "TEST_2012-06-21") -> Path:
        path = folder / f"{name}_34200000_57600000_message_{levels}.csv"
        write_lines(path, self.messages)
        write_lines(folder / path.name.replace("message", "orderbook"), self.books)
        return path


def write_lines(path: Path, lines: list[Message] | list[list[int]]) -> None:
    path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines), encoding="utf-8")


class Exchange:
    """Queues by side (1 bid, -1 ask) and price: lists of [order id, lots]."""

    def __init__(self, rng: random.Random, levels: int) -> None:
        self.rng = rng
        self.levels = levels
        self.queues: dict[tuple[int, int], list[list[int]]] = {}
        self.day = Day()
        self.clock_ns = 34_200 * 10**9
        self.next_id = 1
        # Known to nobody who starts to record now.
        for _ in range(60):
            side = rng.choice((1, -1))
            self.add(side, 5_000 - side * rng.randint(1, 15), rng.randint(1, 9) * 10)

    def prices(self, side: int) -> list[int]:
        """Return the prices of a side, best first."""
        return sorted((p for s, p in self.queues if s == side), reverse=side == 1)

    def add(self, side: int, price: int, lots: int) -> int:
        self.queues.setdefault((side, price), []).append([self.next_id, lots])
        self.next_id += 1
        return self.next_id - 1

    def take(self, side: int, price: int, index: int, lots: int) -> int:
        """Take lots from an order and return its id."""
        queue = self.queues[side, price]
        order = queue[index]
        ahead = sum(lots for _, lots in queue[:index])
        self.day.removed[len(self.day.messages)] = (order[0], lots, ahead)
        order[1] -= lots
        if order[1] == 0:
            queue.pop(index)
        if not queue:
            del self.queues[side, price]
        return order[0]

    def show(self) -> list[int]:
        asks, bids = self.prices(-1)[: self.levels], self.prices(1)[: self.levels]
        row = []
        for level in range(self.levels):
            for side, prices, nothing in ((-1, asks, NO_ASK), (1, bids, NO_BID)):
                if level < len(prices):
                    lots = sum(lots for _, lots in self.queues[side, prices[level]])
                    row += [prices[level] * TICK, lots]
                else:
                    row += [nothing, 0]
        return row

    def tell(self, kind: int, number: int, lots: int, price: int, side: int) -> None:
        time = f"{self.clock_ns // 10**9}.{self.clock_ns % 10**9:09}"
        self.day.messages.append((time, kind, number, lots, price * TICK, side))
        self.day.books.append(self.show())

    def step(self) -> None:
        """Do something, and tell it if it happens within the view."""
        self.clock_ns += self.rng.choice((0, 1, 1_000, 1_000_000, 50_000_000))
        side = self.rng.choice((1, -1))
        own, other = self.prices(side), self.prices(-side)
        what = self.rng.random()
        if what < 0.5 or len(own) < 4 or len(other) < 4:
            spread = side * (other[0] - own[0]) if own and other else 5
            behind = self.rng.randint(1 - spread, 12)
            best = own[0] if own else 5_000 - side * 5
            price, lots = best - side * behind, self.rng.randint(1, 9) * 10
            number = self.add(side, price, lots)
            if price in self.prices(side)[: self.levels]:
                self.tell(1, number, lots, price, side)
        elif what < 0.7:
            self.hit(side, own[0])
        elif what < 0.75 and abs(own[0] - other[0]) > 1:
            price = own[0] + side * self.rng.randint(1, abs(own[0] - other[0]) - 1)
            self.tell(5, 0, self.rng.randint(1, 50), price, side)
        else:
            self.cancel(side, self.rng.choice(own))

    def hit(self, side: int, price: int) -> None:
        lots = self.rng.randint(1, self.queues[side, price][0][1])
        number = self.take(side, price, 0, lots)
        self.tell(4, number, lots, price, side)

    def cancel(self, side: int, price: int) -> None:
        is_shown = price in self.prices(side)[: self.levels]
        queue = self.queues[side, price]
        index = self.rng.randrange(len(queue))
        has, is_whole = queue[index][1], self.rng.random() < 0.7
        lots = has if is_whole or has == 1 else self.rng.randint(1, has - 1)
        number = self.take(side, price, index, lots)
        if is_shown:
            self.tell(3 if lots == has else 2, number, lots, price, side)
        else:
            del self.day.removed[len(self.day.messages)]


def make_day(seed: int, levels: int, steps: int) -> Day:
    """Return the recording of a market of random orders."""
    exchange = Exchange(random.Random(seed), levels)
    for _ in range(steps):
        exchange.step()
    return exchange.day
