"""Reads event arrays of hftbacktest 2.x: `.npy`, and `.npz` with the key `data`.

Each row is valid for the exchange, for the local side or for both; a converter that meets feeds out
of order writes a row twice, once for each. The rows for the exchange are the market; the local side
is the same rows seen later, so its rows are counted and compared, and their times are taken from
the exchange's rows.

A clear of one side up to a price, and the snapshot rows that follow it at the same time, are one
image: it becomes its differences to the standing book. A clear of both sides is a clear row.
Feeds by order (adds, cancels, modifies, fills) become rows with joins: `hftbacktest_orders`.
Archives written by `data export` say what their spare fields hold and come back as they were.

Known limits: rows of the kind "best quote" (5) and of one's own kinds (100 and up) are not book
rows. A file is one session, unless it was exported from a tape.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import rustsim
from sweep.errors import DataError
from sweep.readers.audit import Rule
from sweep.readers.calendar_days import DAY_NS, day_of
from sweep.readers.event_arrays import EVENT_LAYOUT, EventArray, open_events
from sweep.readers.hftbacktest_orders import OrderEvents, has_orders
from sweep.readers.ladder import LOTS_MAX, NUMBER_RULES, PRICE_TICKS_MAX, Ladder
from sweep.readers.options import option
from sweep.readers.order_rows import ORDER_RULES
from sweep.readers.price_grid import off_steps
from sweep.readers.standing import StandingLevels
from sweep.readers.ticks import (
    COLUMNS,
    FLAG_IMAGE,
    KIND_CLEAR,
    KIND_LEVEL,
    KIND_TRADE,
    SIDE_ASK,
    SIDE_BID,
    Columns,
    Request,
    Rows,
    Session,
    Summary,
    contiguous,
)

EXCHANGE: Final = 1 << 31
LOCAL: Final = 1 << 30
BUY: Final = 1 << 29
SELL: Final = 1 << 28

DEPTH: Final = 1
TRADE: Final = 2
CLEAR: Final = 3
SNAPSHOT: Final = 4

_KIND_MASK: Final = 0xFF
_PIECE_ROWS: Final = 1 << 16  # rows read at a time
_TIME_END_NS: Final = 7_258_118_400_000_000_000  # the year 2200, as tapes have it

# Kind and book side by event, without the bits for exchange and local.
_EVENTS: Final = {
    DEPTH | BUY: (KIND_LEVEL, SIDE_BID),
    DEPTH | SELL: (KIND_LEVEL, SIDE_ASK),
    SNAPSHOT | BUY: (KIND_LEVEL, SIDE_BID),
    SNAPSHOT | SELL: (KIND_LEVEL, SIDE_ASK),
    # The side of a trade is its taker's: a buyer hits asks.
    TRADE | BUY: (KIND_TRADE, SIDE_ASK),
    TRADE | SELL: (KIND_TRADE, SIDE_BID),
    CLEAR: (KIND_CLEAR, SIDE_BID),
    CLEAR | BUY: (KIND_CLEAR, SIDE_BID),
    CLEAR | SELL: (KIND_CLEAR, SIDE_ASK),
}

RULES: Final[dict[str, Rule]] = {
    "known_event": Rule(
        doc="An event is depth, trade, clear or snapshot and names its side.",
        actions=("error", "drop"),
    ),
    "valid_side": Rule(
        doc="A row is valid for the exchange, the local side or both.", actions=("error", "drop")
    ),
    "time_range": Rule(doc="exch_ts is nanoseconds UTC, before the year 2200."),
    "time_order": Rule(doc="exch_ts never falls from one exchange row to the next."),
    "local_range": Rule(doc="local_ts is within a day of exch_ts, if the file has local times."),
    "local_order": Rule(
        doc="local_ts never falls; `repair` raises it to the latest before it, which is when a "
        "strategy that keeps the order of messages sees the row.",
        actions=("repair", "error"),
    ),
    "sides_agree": Rule(
        doc="What reaches the exchange only reaches the local side only, and the other way round.",
        actions=("count", "error"),
    ),
    **NUMBER_RULES,
    **ORDER_RULES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HftbacktestOptions:
    """What an event array does not say."""

    visible_levels: int = option(0, "Levels a side that the feed shows; 0: all", "levels", 0, 1_000)


def read(request: Request) -> Rows:
    """Read the ticks of one event array.

    Raises:
        DataError: The file is damaged or a row breaks a rule; the message names file and row.
        InputError: The product is not known.
    """
    array = open_events(request.file)
    reading = _Reading(request, array)
    yield from reading.chunks()
    return reading.summary()


@dataclass(slots=True)
class _Piece:
    """Exchange rows of one run, with their numbers in the file."""

    rows: npt.NDArray[Any]
    numbers: npt.NDArray[np.int64]

    def where(self, row: int) -> str:
        return f"row {self.numbers[row]}"


class _Reading:
    """One pass over an array: rows in, canonical rows out, counts kept."""

    def __init__(self, request: Request, array: EventArray) -> None:
        self.request = request
        self.audit = request.audit
        self.array = array
        self.book = StandingLevels()
        self.has_local: bool | None = None
        self.exch_last = 0
        self.local_last = -DAY_NS
        self.row_count = 0
        self.ladder: Ladder | None = None
        self.orders: OrderEvents | None = None
        self.counts = dict.fromkeys(
            ("rows_recorded", "exchange_only", "local_only", "rows_added", "trades", "clears"), 0
        )
        self.latency_ns = [1 << 62, -(1 << 62)]
        # Sums over rows that one side alone saw: equal multisets have equal sums.
        self.sums = [0, 0]
        document = array.document.get("tape")
        self.tape: dict[str, Any] = document if isinstance(document, dict) else {}

    def chunks(self) -> Iterator[Columns]:
        held: list[_Piece] = []
        done = 0
        for data in self.array.pieces(_PIECE_ROWS, self.request.seen):
            rows = np.frombuffer(data, EVENT_LAYOUT)
            plain = self._plain(data, held)
            if plain is not None:
                if held:
                    yield from self._canonical(_joined(held))
                    held = []
                yield from self._counted(self._taken_plain(plain))
                done += len(rows)
                continue
            piece = self._exchange_rows(rows, done)
            done += len(rows)
            if not len(piece.rows):
                continue
            # A group is worked on whole: its last rows wait for the next piece.
            last = int(np.searchsorted(piece.rows["exch_ts"], piece.rows["exch_ts"][-1]))
            if last:
                head = _Piece(piece.rows[:last], piece.numbers[:last])
                # Joined, and so copied, only if the group that waited goes on.
                if held and held[-1].rows["exch_ts"][-1] != head.rows["exch_ts"][0]:
                    yield from self._canonical(_joined(held))
                    held = []
                yield from self._canonical(_joined([*held, head]))
                held = []
            held.append(_Piece(piece.rows[last:], piece.numbers[last:]))
        if held:
            yield from self._canonical(_joined(held))
        elif not self.row_count:
            raise DataError(f"{self.array.path}: the file holds no row for the exchange")
        if self.sums[0] != self.sums[1]:
            detail = (
                f"{self.counts['exchange_only']} rows are valid for the exchange only,"
                f" {self.counts['local_only']} other ones for the local side only"
            )
            self.audit.hit("sides_agree", f"row {done}", detail)

    def _plain(self, data: bytes, held: list[_Piece]) -> dict[str, Any] | None:
        """Return the columns of a piece in which there is nothing to judge, None for any other.

        Nearly all pieces of nearly all files: depth and trades that both sides saw, by every rule.
        The first one is never taken for plain, since it tells the product, the clock and the kind.
        """
        ladder = self.ladder
        if ladder is None or self.has_local is None or self.orders is not None or self.tape:
            return None
        local_last = max([self.local_last, *(int(part.rows["local_ts"].max()) for part in held)])
        found = rustsim.plain_events(
            data,
            self._scale(ladder),
            exch_ns_before=self.exch_last,
            local_ns_before=local_last if self.has_local else None,
        )
        if (
            found is None
            or off_steps(np.frombuffer(found["price"], np.int32), ladder.product.step_ticks()).any()
        ):
            return None
        return found

    def _scale(self, ladder: Ladder) -> str:
        price, qty = ((step.denominator, step.numerator) for step in (ladder.tick, ladder.lot))
        most = {"price_most": PRICE_TICKS_MAX, "qty_most": LOTS_MAX}
        return json.dumps({"price": price, "qty": qty, **most})

    def _taken_plain(self, found: dict[str, Any]) -> Columns:
        columns: Columns = {
            name: np.frombuffer(found[name], kind)
            for name, kind in COLUMNS.items()
            if name in found and (name != "local_ns" or self.has_local)
        }
        columns["flags"] = np.zeros(len(columns["kind"]), np.uint8)
        self.counts["rows_recorded"] += len(columns["kind"])
        self.exch_last = int(columns["exch_ns"][-1])
        if self.has_local:
            self.local_last = int(columns["local_ns"][-1])
            low, high = found["latency_ns"]
            self.latency_ns = [min(self.latency_ns[0], low), max(self.latency_ns[1], high)]
        self.book.apply(columns)
        return columns

    def _exchange_rows(self, rows: npt.NDArray[Any], first: int) -> _Piece:
        ev = rows["ev"]
        for_exchange = ev & np.uint64(EXCHANGE) > 0
        for_local = ev & np.uint64(LOCAL) > 0
        self.counts["rows_recorded"] += len(rows)
        one_only = for_exchange != for_local
        if one_only.any():
            for side, mask in enumerate((for_exchange & one_only, for_local & one_only)):
                name = ("exchange_only", "local_only")[side]
                self.counts[name] += int(mask.sum())
                self.sums[side] = (self.sums[side] + _checksum(rows[mask])) % (1 << 64)

        def where(row: int) -> str:
            return f"row {first + row}"

        what = "expected a row valid for the exchange (bit 31) or the local side (bit 30)"
        self.audit.hit_rows("valid_side", ~(for_exchange | for_local), where, what, ev)
        numbers = np.flatnonzero(for_exchange)
        taken = rows if len(numbers) == len(rows) else rows[for_exchange]
        self._check_times(taken, numbers, first)
        return _Piece(taken, numbers + first)

    def _check_times(
        self, rows: npt.NDArray[Any], numbers: npt.NDArray[np.int64], first: int
    ) -> None:
        exch = rows["exch_ts"]
        if not len(exch):
            return

        def where(row: int) -> str:
            return f"row {first + numbers[row]}"

        outside = (exch < 0) | (exch >= _TIME_END_NS)
        what = "expected exch_ts as nanoseconds UTC"
        self.audit.hit_rows("time_range", outside, where, what, exch)
        falls = np.diff(exch, prepend=self.exch_last) < 0
        what = "exch_ts is before that of the exchange row above"
        self.audit.hit_rows("time_order", falls, where, what, exch)
        self.exch_last = int(exch[-1])

    def _canonical(self, piece: _Piece) -> Iterator[Columns]:
        if self.ladder is None:
            on = day_of(int(piece.rows["exch_ts"][0]))
            self.ladder = Ladder.of(self.request.product(on))
            if has_orders(piece.rows):
                self.orders = OrderEvents(self.audit)
        if self.orders is not None:
            yield from self._by_order(piece, self.orders, self.ladder)
            return
        kind, side, piece = self._kinds(piece)
        if not len(kind):
            return
        local_ns = self._local(piece)
        ev = piece.rows["ev"]
        base = ev & np.uint64(_KIND_MASK)
        one_sided = (base == CLEAR) & (ev & np.uint64(BUY | SELL) > 0)
        # The price of a clear of one side counts: it is looked at like a level's.
        as_level = np.where(one_sided, KIND_LEVEL, kind).astype(np.uint8)
        qty = np.where(base == CLEAR, 0.0, piece.rows["qty"])
        ticks, lots, keep = self.ladder.checked(
            self.audit, as_level, piece.rows["px"], qty, piece.where
        )
        columns: Columns = {
            "exch_ns": piece.rows["exch_ts"],
            "kind": kind,
            "side": side,
            "flags": np.where(base == SNAPSHOT, FLAG_IMAGE, 0),
            "price": ticks,
            "qty": lots,
        }
        if self.has_local:
            columns["local_ns"] = local_ns
        if self.tape:
            _restore(columns, piece.rows["ival"])
        columns = {name: contiguous(values, COLUMNS[name]) for name, values in columns.items()}
        if not keep.all():
            columns = {name: values[keep] for name, values in columns.items()}
            one_sided, base = one_sided[keep], base[keep]
        for part in self._images(columns, one_sided, base):
            yield from self._counted(part)

    def _by_order(self, piece: _Piece, orders: OrderEvents, ladder: Ladder) -> Iterator[Columns]:
        local_ns = self._local(piece)
        seen = local_ns if self.has_local else None
        yield from self._counted(orders.rows(piece.rows, ladder, piece.where, seen))

    def _counted(self, part: Columns) -> Iterator[Columns]:
        self.counts["trades"] += int((part["kind"] == KIND_TRADE).sum())
        self.counts["clears"] += int((part["kind"] == KIND_CLEAR).sum())
        self.row_count += len(part["exch_ns"])
        if len(part["exch_ns"]):
            yield part

    def _kinds(self, piece: _Piece) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], _Piece]:
        ev = piece.rows["ev"]
        code = ev & np.uint64(_KIND_MASK | BUY | SELL)
        kind = np.full(len(ev), 255, np.uint8)
        side = np.zeros(len(ev), np.uint8)
        for event, (event_kind, event_side) in _EVENTS.items():
            rows = code == event
            kind[rows] = event_kind
            side[rows] = event_side
        # Bits between the kind and the sides, and above them, mean nothing that is known here.
        unknown = (kind == 255) | (ev & ~np.uint64(_KIND_MASK | BUY | SELL | EXCHANGE | LOCAL) > 0)
        what = "expected depth (1), trade (2), clear (3) or snapshot (4) with a buy or sell flag"
        if self.audit.hit_rows("known_event", unknown, piece.where, what, ev) == "drop":
            keep = ~unknown
            piece = _Piece(piece.rows[keep], piece.numbers[keep])
            kind, side = kind[keep], side[keep]
        return kind, side, piece

    def _local(self, piece: _Piece) -> npt.NDArray[np.int64]:
        exch = piece.rows["exch_ts"]
        local = piece.rows["local_ts"]
        if self.has_local is None:
            stated = self.tape.get("has_local")
            self.has_local = bool(local[0] > 0) if stated is None else bool(stated)
        if not self.has_local:
            return local
        if self.tape:
            # An exporter keeps the recorded offset here; local_ts is what a replay makes of it.
            offset = piece.rows["fval"]
            good = np.isfinite(offset) & (np.abs(offset) <= DAY_NS)
            what = "expected fval as the local time less exch_ts"
            self.audit.hit_rows("local_range", ~good, piece.where, what, offset)
            local = exch + offset.astype(np.int64)
        far = (local < exch - DAY_NS) | (local > exch + DAY_NS)
        what = "expected local_ts within a day of exch_ts"
        self.audit.hit_rows("local_range", far, piece.where, what, local)
        latency = local - exch
        self.latency_ns[0] = min(self.latency_ns[0], int(latency.min()))
        self.latency_ns[1] = max(self.latency_ns[1], int(latency.max()))
        raised = np.maximum(np.maximum.accumulate(local), self.local_last)
        what = "local_ts is before that of an exchange row above"
        self.audit.hit_rows("local_order", raised != local, piece.where, what, local)
        self.local_last = int(raised[-1])
        return raised

    def _images(
        self, columns: Columns, one_sided: npt.NDArray[np.bool_], base: npt.NDArray[Any]
    ) -> Iterator[Columns]:
        """Yield the rows, with clears of one side and their snapshots as differences."""
        at = 0
        count = len(one_sided)
        for start in np.flatnonzero(one_sided).tolist():
            if start < at:
                continue  # part of the image before
            stop = start + 1
            time_ns = columns["exch_ns"][start]
            while (
                stop < count
                and (one_sided[stop] or base[stop] == SNAPSHOT)
                and columns["exch_ns"][stop] == time_ns
            ):
                stop += 1
            yield self._taken(columns, at, start)
            yield self._difference(columns, one_sided, start, stop)
            at = stop
        yield self._taken(columns, at, count)

    def _taken(self, columns: Columns, start: int, stop: int) -> Columns:
        self.book.apply(columns, start, stop)
        return {name: values[start:stop] for name, values in columns.items()}

    def _difference(
        self, columns: Columns, one_sided: npt.NDArray[np.bool_], start: int, stop: int
    ) -> Columns:
        before = self.book.levels()
        after = dict(before)
        for row in range(start, stop):
            side, price = int(columns["side"][row]), int(columns["price"][row])
            if one_sided[row]:
                worst = price if side == SIDE_BID else -price
                gone = [
                    key
                    for key in after
                    if key[0] == side and (key[1] if side == SIDE_BID else -key[1]) >= worst
                ]
                for key in gone:
                    del after[key]
            else:
                after[side, price] = int(columns["qty"][row])
        emptied = [(*key, 0) for key in before if key not in after]
        changed = [(*key, lots) for key, lots in after.items() if before.get(key, 0) != lots]
        told = [*emptied, *changed]
        last = stop - 1
        made: dict[str, Any] = {
            "exch_ns": np.full(len(told), columns["exch_ns"][last]),
            "kind": np.full(len(told), KIND_LEVEL),
            "side": [entry[0] for entry in told],
            "flags": np.full(len(told), FLAG_IMAGE),
            "price": [entry[1] for entry in told],
            "qty": [entry[2] for entry in told],
        }
        if self.has_local:
            made["local_ns"] = np.full(len(told), columns["local_ns"][last])
        if "join" in columns:
            made["join"] = np.zeros(len(told))
        part = {name: contiguous(values, COLUMNS[name]) for name, values in made.items()}
        self.book.apply(part)
        self.counts["rows_added"] += len(told) - (stop - start)
        return part

    def summary(self) -> Summary:
        assert self.ladder is not None, "there is a row, or this is not reached"
        options: HftbacktestOptions = self.request.options
        facts: dict[str, Any] = dict(self.counts) | {"local_clock": bool(self.has_local)}
        if self.has_local:
            facts["local_behind_ns"] = {"min": self.latency_ns[0], "max": self.latency_ns[1]}
        if self.orders is not None:
            facts |= self.orders.facts()
        facts["product"] = self.ladder.product.to_json()
        levels = options.visible_levels or int(self.tape.get("visible_levels", 0))
        return Summary(
            instrument=self.ladder.product.exchange_part(visible_levels=levels),
            sessions=self._sessions(),
            facts=facts,
        )

    def _sessions(self) -> tuple[Session, ...]:
        try:
            sessions = tuple(Session(**entry) for entry in self.tape.get("sessions", ()))
            edges = [0, *(session.row_stop for session in sessions)]
            whole = edges[-1] == self.row_count and edges == sorted(set(edges))
            if sessions and whole and [s.row_start for s in sessions] == edges[:-1]:
                return sessions
        except TypeError as error:
            message = f"{self.array.path}: the sessions of the archive have another form"
            raise DataError(f"{message}: {error}") from error
        return (Session(name="all", row_start=0, row_stop=self.row_count),)


def _joined(pieces: list[_Piece]) -> _Piece:
    if len(pieces) == 1:
        return pieces[0]
    return _Piece(
        np.concatenate([piece.rows for piece in pieces]),
        np.concatenate([piece.numbers for piece in pieces]),
    )


def _restore(columns: Columns, spare: npt.NDArray[np.int64]) -> None:
    """Take flags and join ordinals from the spare field of an exported archive."""
    columns["flags"] = spare & 0xFF
    columns["join"] = spare >> 8


def _checksum(rows: npt.NDArray[Any]) -> int:
    """Return a sum of row hashes: the same whatever the order of the rows."""
    mixed = np.zeros(len(rows), np.uint64)
    clear = np.uint64(0xFFFF_FFFF_FFFF_FFFF ^ (EXCHANGE | LOCAL))
    for name in ("ev", "exch_ts", "local_ts", "px", "qty", "order_id"):
        word = np.ascontiguousarray(rows[name]).view(np.uint64)
        mixed ^= (word & clear) if name == "ev" else word
        mixed *= np.uint64(0x9E37_79B9_7F4A_7C15)  # wraps: a mixing step, as in SplitMix64
        mixed ^= mixed >> np.uint64(32)
    return int(mixed.sum(dtype=np.uint64))
