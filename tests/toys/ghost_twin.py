"""A slow and obvious twin of the ghost scan: queues as lists of orders, formulas as in the docs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import rustsim

LEVEL, TRADE, CLEAR = range(3)
IMAGE, INDICATIVE, GAP, OUT_OF_VIEW = 2, 4, 8, 16
QUEUE_DECAY: Final = 6  # purpose of these draws
ONE: Final = 1 << 20

# exch_ns, local_ns, kind, side, flags, price, qty, join, as of `Tape.rows`.
Row = tuple[int, int, int, int, int, int, int, int]
Spec = Mapping[str, Any]


def probability(spec: Spec, a: float, b: float, is_known: bool) -> float:
    """Return P(ahead) by the formula of docs/models.md."""
    if a <= 0.0 or b <= 0.0:
        return float(b <= 0.0 < a)
    n = float(spec.get("n", 2.0))
    match spec["model"]:
        case "back" | "front":
            return float(spec["model"] == "front")
        case "uniform":
            return a / (a + b)
        case "power":
            return float(a**n / (a**n + b**n))
        case "power2":
            return float(1.0 - b**n / (a + b) ** n)
        case "power3":
            return float((a / (a + b)) ** n)
        case "log":
            return 1.0 - math.log(1.0 + b) / (math.log(1.0 + a) + math.log(1.0 + b))
        case "log2":
            return 1.0 - math.log(1.0 + b) / math.log(1.0 + a + b)
        case _:
            z = spec["alpha"] + spec["beta"] * math.log(a / b)
            return 1.0 / (1.0 + math.exp(-(z + spec.get("gamma", 0.0) * is_known)))


def uniform(seed: int, replication: int, at_ns: int, ordinal: int) -> float:
    """Return the draw of a row, as a replay keys it."""
    block = rustsim.philox4x64_10([QUEUE_DECAY, at_ns, ordinal, 0], [seed, replication])
    return ((block[0] >> 11) + 0.5) / float(1 << 53)


@dataclass(slots=True)
class Ghost:
    """One ghost, with the joins of the orders that it found."""

    side: int
    price: int
    joined_ns: int
    found: set[int]
    at_join: int
    beliefs: list[int]
    paths: list[list[list[Any]]]  # by model and replication: lots ahead in 2^-20, filled
    sizes: list[int] = field(default_factory=list)
    is_filled: bool = False
    is_wrong: bool = False
    errors: list[list[float]] = field(default_factory=list)
    cancels: list[tuple[int, int, bool, bool]] = field(default_factory=list)


class GhostTwin:
    """Scans rows; `episodes`, `joined` and `wrong` are what became of ghosts."""

    def __init__(self, options: Mapping[str, Any], from_ns: int, until_ns: int) -> None:
        self._options = options
        self._models: Sequence[Spec] = options["models"]
        self._next_ns, self._until_ns = from_ns, until_ns
        self._queues: dict[tuple[int, int], list[list[int]]] = {}  # [join, lots]
        self._live: list[Ghost] = []
        self._is_trading = False
        self.episodes: list[Ghost] = []
        self.joined = self.wrong = self.lost = 0

    def scan(self, rows: Sequence[Row]) -> None:
        """Scan all rows of a session."""
        groups: dict[int, list[tuple[int, Row]]] = {}
        for index, row in enumerate(rows):
            groups.setdefault(row[0], []).append((index, row))
        for now, group in groups.items():
            self._finish(now)
            self._join(now, group[0][0])
            for index, row in group:
                self._row(index + 1, row)
            self._is_trading = any(not row[4] & INDICATIVE for _, row in group)
            if self._is_trading:
                self._cross()

    def _best(self, side: int) -> int | None:
        prices = [price for (own, price), queue in self._queues.items() if own == side and queue]
        return (min(prices) if side else max(prices)) if prices else None

    def _lots(self, side: int, price: int) -> int:
        return sum(lots for _, lots in self._queues.get((side, price), []))

    def _ahead(self, ghost: Ghost) -> int:
        queue = self._queues.get((ghost.side, ghost.price), [])
        return sum(lots for join, lots in queue if join in ghost.found)

    def _finish(self, now: int) -> None:
        done = [g for g in self._live if now - g.joined_ns > self._options["horizon_ns"]]
        self.episodes += done
        self._live = [ghost for ghost in self._live if ghost not in done]

    def _join(self, now: int, rows_before: int) -> None:
        if not self._next_ns <= now < self._until_ns:
            return
        while self._next_ns <= now:
            self._next_ns += self._options["every_ns"]
        bid, ask = self._best(0), self._best(1)
        if bid is None or ask is None or bid >= ask or not self._is_trading:
            return
        for side, price in ((0, bid), (0, bid - 1), (1, ask), (1, ask + 1)):
            lots = self._lots(side, price)
            if lots:
                paths = [
                    [[lots * ONE, False] for _ in range(self._options["replications"])]
                    for _ in self._models
                ]
                found = {join for join, _ in self._queues[side, price]}
                beliefs = [lots * ONE] * len(self._models)
                self._live.append(Ghost(side, price, now, found, lots, beliefs, paths))
                self.joined += 1

    def _row(self, ordinal: int, row: Row) -> None:
        now, _, kind, side, flags, price, qty, join = row
        if kind == CLEAR or flags & GAP:
            self._lose(self._live)
        if kind == CLEAR:
            self._queues.clear()
            return
        if kind == TRADE and flags & INDICATIVE:
            return
        here = [g for g in self._live if (g.side, g.price) == (side, price)]
        if flags & (INDICATIVE | IMAGE | OUT_OF_VIEW):
            self._lose(here)
            here = []
        queue = self._queues.setdefault((side, price), [])
        before = self._lots(side, price)
        taken = qty if kind == TRADE else before - qty
        aheads = {id(ghost): self._ahead(ghost) for ghost in here}
        if taken < 0:
            queue.append([ordinal, -taken])
        else:
            self._take(queue, join, taken)
        if kind == TRADE:
            for ghost in self._live:
                if ghost.side == side and (ghost.price - price) * (1 - 2 * side) > 0:
                    self._fill(ghost)
        for ghost in here:
            if kind == TRADE:
                self._trade(ghost, join, taken, aheads[id(ghost)])
            elif taken > 0:
                draw_key = (now, ordinal)
                self._cancel(ghost, join, taken, before, aheads[id(ghost)], draw_key)
            elif taken < 0:
                ghost.sizes.append(-taken)
            self._bound(ghost, self._lots(side, price))
        self._drop_wrong()

    def _take(self, queue: list[list[int]], join: int, lots: int) -> None:
        for order in queue:
            if order[0] == join:
                order[1] -= lots
        queue[:] = [order for order in queue if order[1] > 0]

    def _lose(self, ghosts: Sequence[Ghost]) -> None:
        self.lost += len(ghosts)
        gone = {id(ghost) for ghost in ghosts}
        self._live = [ghost for ghost in self._live if id(ghost) not in gone]

    def _drop_wrong(self) -> None:
        self.wrong += sum(ghost.is_wrong for ghost in self._live)
        self._live = [ghost for ghost in self._live if not ghost.is_wrong]

    def _fill(self, ghost: Ghost) -> None:
        ghost.is_wrong |= self._ahead(ghost) > 0
        ghost.is_filled = True
        ghost.beliefs = [0] * len(ghost.beliefs)
        for path in (path for paths in ghost.paths for path in paths):
            path[:] = [0, True]

    def _cross(self) -> None:
        bid, ask = self._best(0), self._best(1)
        if bid is None or ask is None:
            return
        for ghost in self._live:
            if (ask <= ghost.price) if ghost.side == 0 else (bid >= ghost.price):
                self._fill(ghost)
        self._drop_wrong()

    def _trade(self, ghost: Ghost, join: int, lots: int, ahead: int) -> None:
        if join not in ghost.found:
            ghost.is_wrong |= ahead > 0
            ghost.is_filled = True
        ghost.beliefs = [max(0, belief - lots * ONE) for belief in ghost.beliefs]
        for path in (path for paths in ghost.paths for path in paths):
            path[:] = [max(0, path[0] - lots * ONE), path[1] or (lots * ONE - path[0]) >= ONE]

    def _cancel(
        self, ghost: Ghost, join: int, lots: int, level: int, ahead: int, key: tuple[int, int]
    ) -> None:
        is_known = lots in ghost.sizes
        if is_known:
            ghost.sizes.remove(lots)
        if 0 < ahead < level:
            ghost.cancels.append((ahead, level - ahead, is_known, join in ghost.found))
        for index, spec in enumerate(self._models):

            def part(a: int, draw: float | None, spec: Spec = spec) -> int:
                low, high = max(0, lots * ONE - (level * ONE - a)), min(a, lots * ONE)
                p = probability(spec, a / ONE, level - a / ONE, is_known)
                if draw is not None:
                    return high if draw < p else low
                return min(max(math.floor(p * lots * ONE + 0.5), low), high)

            ghost.beliefs[index] -= part(ghost.beliefs[index], None)
            for replication, path in enumerate(ghost.paths[index]):
                path[0] -= part(path[0], uniform(self._options["seed"], replication, *key))

    def _bound(self, ghost: Ghost, after: int) -> None:
        if after == 0:
            ghost.sizes.clear()
        ghost.beliefs = [min(belief, after * ONE) for belief in ghost.beliefs]
        for path in (path for paths in ghost.paths for path in paths):
            path[0] = min(path[0], after * ONE)
        ahead = self._ahead(ghost)
        ghost.errors.append([belief / ONE - ahead for belief in ghost.beliefs])


def sums(twin: GhostTwin, index: int, spec: Spec) -> dict[str, float]:
    """Return the sums of one model, named as in the core's report."""
    losses = []
    found = dict.fromkeys(("error_abs", "error", "false_fills", "missed_fills", "fill_brier"), 0.0)
    for ghost in twin.episodes:
        for ahead, behind, is_known, is_ahead in ghost.cancels:
            p = probability(spec, ahead, behind, is_known)
            losses.append(-math.log(p if is_ahead else 1.0 - p))
        errors = [row[index] for row in ghost.errors]
        if errors:
            found["error"] += sum(errors) / len(errors) / ghost.at_join
            found["error_abs"] += sum(map(abs, errors)) / len(errors) / ghost.at_join
        share = sum(path[1] for path in ghost.paths[index]) / len(ghost.paths[index])
        found["false_fills"] += share * (not ghost.is_filled)
        found["missed_fills"] += (1.0 - share) * ghost.is_filled
        found["fill_brier"] += (share - ghost.is_filled) ** 2
    return found | {"loss": math.fsum(losses)}
