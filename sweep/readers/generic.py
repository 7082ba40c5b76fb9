"""Reads Parquet and CSV files of any layout by a mapping: which column and which word is what.

Two forms. `events`: each row is a level, a trade or a clear. `images`: each row shows the best N
levels in columns of their own (`bid_{level}_price`), and may hold a trade beside them, or be told
apart by a column `kind`; pictures become differences, see `sweep.readers.book_images`.

Numbers of a CSV file become ticks and lots from their text, without a float between. Files may be
`.parquet`, `.csv` or other text, the latter plain, `.gz`, `.zst` or alone in a `.zip`.

Known limits: rows are in the order of exchange time. A trade without a side needs the form
`images`, where the picture before it tells which side it hit.
"""

import dataclasses
import datetime
import itertools
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.errors import DataError, InputError
from sweep.readers.audit import Audit, Rule
from sweep.readers.book_images import SIDE_UNKNOWN, BookImages, Records, crossed, misordered
from sweep.readers.bounds import rises, within
from sweep.readers.calendar_days import DAY_NS, day_numbered
from sweep.readers.generic_options import GenericOptions
from sweep.readers.ladder import LOTS_MAX, NUMBER_RULES, PRICE_TICKS_MAX, Ladder
from sweep.readers.mapped_tables import (
    BAD,
    CODE_BAD,
    CODE_EMPTY,
    EMPTY,
    Batch,
    Table,
    Wanted,
    open_table,
    require,
)
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

Array = npt.NDArray[Any]

KIND_IMAGE: Final = 3  # of the mapping only: rows that show the book
_TIME_END_NS: Final = 7_258_118_400_000_000_000

RULES: Final[dict[str, Rule]] = {
    "time_value": Rule(doc="The time of a row is there and is a time before the year 2200."),
    "time_order": Rule(doc="Times never fall from one row to the next."),
    "local_range": Rule(doc="The local time is there and within a day of the exchange time."),
    "local_order": Rule(
        doc="Local times never fall; `repair` raises one to the latest before it.",
        actions=("repair", "error"),
    ),
    "known_kind": Rule(doc="A kind is one of the words stated.", actions=("error", "drop")),
    "known_side": Rule(doc="A side is one of the words stated.", actions=("error", "drop")),
    "ladder": Rule(
        doc="A picture shows each side best first, without holes; `drop` leaves the row out.",
        actions=("error", "drop"),
    ),
    "crossed_image": Rule(
        doc="A picture shows its best bid below its best ask.", actions=("count", "error", "drop")
    ),
    **NUMBER_RULES,
}


def read(request: Request) -> Rows:
    """Read the ticks of one file.

    Raises:
        DataError: The file is damaged, a column is missing, or a row breaks a rule.
        InputError: The product is not known.
    """
    options: GenericOptions = request.options
    table = open_table(request.file, options.separator, options.columns)
    ladder = _ladder(request, table)
    wanted = _wanted(options, ladder)
    require(table, wanted)
    reading = _Reading(request, table.path, ladder)
    for batch in table.batches(wanted, request.seen):
        yield from reading.take(batch)
    return reading.summary()


def _ladder(request: Request, table: Table) -> Ladder:
    """Return the ladder of the product as it was on the day of the first row."""
    options: GenericOptions = request.options
    wanted = {"time": _wanted_time(options, "time", options.time)}
    require(table, wanted)
    first = next(table.batches(wanted), None)
    if first is None:
        raise DataError(f"{table.path}: the file holds no row")
    _check_times(request.audit, first, 0)
    at = datetime.datetime.fromtimestamp(
        int(first.values["time"][0]) // 10**9, zoneinfo.ZoneInfo(options.zone or "UTC")
    )
    product = request.product(at.date())
    return Ladder.of(product, price_unit=options.price_unit, qty_unit=options.qty_unit)


def _wanted_time(options: GenericOptions, option: str, column: str) -> Wanted:
    zone = options.zone if options.time_unit == "iso" else ""
    return Wanted(column=column, option=option, kind="time", unit=options.time_unit, zone=zone)


def _wanted(options: GenericOptions, ladder: Ladder) -> dict[str, Wanted]:
    wanted = {"time": _wanted_time(options, "time", options.time)}
    if options.local_time:
        wanted["local_time"] = _wanted_time(options, "local_time", options.local_time)
    kinds = {
        KIND_LEVEL: options.kind_level if options.form == "events" else (),
        KIND_TRADE: options.kind_trade,
        KIND_CLEAR: options.kind_clear,
        KIND_IMAGE: options.kind_image if options.form == "images" else (),
    }
    sides = {SIDE_BID: options.side_bid, SIDE_ASK: options.side_ask}
    for name, lists in (("kind", kinds), ("side", sides)):
        if column := getattr(options, name):
            words = {word: code for code, listed in lists.items() for word in listed}
            wanted[name] = Wanted(column=column, option=name, kind="code", words=words)

    def number(role: str, column: str, option: str) -> None:
        step = ladder.tick if option.endswith("price") else ladder.lot
        wanted[role] = Wanted(column=column, option=option, kind="steps", step=step)

    for name in ("price", "qty"):
        if column := getattr(options, name):
            number(name, column, name)
    for name in ("flags", "join"):
        if column := getattr(options, name):
            wanted[name] = Wanted(column=column, option=name, kind="steps")
    for name in ("bid_price", "bid_qty", "ask_price", "ask_qty"):
        for level in range(options.levels):
            shown = str(level + options.level_first)
            number(f"{name}_{level}", getattr(options, name).replace("{level}", shown), name)
    taken: dict[str, str] = {}
    for role, want in wanted.items():
        if want.column in taken:
            message = f"The column {want.column!r} is named twice"
            raise InputError(f"{message}: by {taken[want.column]} and {role}")
        taken[want.column] = role
    return wanted


def _hit(
    audit: Audit, batch: Batch, rule: str, wrong: Array, role: str, expected: str
) -> Array | None:
    """Count rows that break a rule; return which rows stay if they are to be dropped."""
    values = batch.values.get(role)

    def detail(row: int) -> str:
        found = "nothing"
        if values is not None and (text := batch.bad(role, row)) is not None:
            found = repr(text)
        elif values is not None and values[row] not in (EMPTY, CODE_EMPTY):
            found = str(int(values[row]))
        return f"{expected}, found {found}"

    action = audit.hit_rows(rule, wrong, batch.where, detail)
    return ~wrong if action == "drop" else None


def _check_times(audit: Audit, batch: Batch, last_ns: int) -> int:
    times = batch.values["time"]
    # Of times that rise from one in range on, the last tells whether all are.
    if last_ns >= 0 and rises(times, last_ns) and within(times[-1:], 0, _TIME_END_NS - 1):
        return int(times[-1])
    wrong = (times < 0) | (times >= _TIME_END_NS)
    _hit(audit, batch, "time_value", wrong, "time", "expected a time since 1970, before 2200")
    falls = np.diff(times, prepend=last_ns) < 0
    _hit(audit, batch, "time_order", falls, "time", "the time is before that of the row above")
    return int(times[-1])


class _Reading:
    """One pass over a file: batches in, canonical rows out."""

    def __init__(self, request: Request, path: Path, ladder: Ladder) -> None:
        self.options: GenericOptions = request.options
        self.audit = request.audit
        self.path = path
        self.ladder = ladder
        self.images = BookImages(max(1, self.options.levels))
        self.book = StandingLevels()
        self.time_last = 0
        self.local_last = -DAY_NS
        self.session: int | None = None
        self.starts: list[tuple[str, int]] = []
        self.row_count = 0
        self.recorded = 0
        self.counts = {"trades": 0, "clears": 0}

    def take(self, batch: Batch) -> Iterator[Columns]:
        self.recorded += batch.row_count
        self.time_last = _check_times(self.audit, batch, self.time_last)
        keep = np.ones(batch.row_count, np.bool_)
        local = self._local(batch)
        made = self._events if self.options.form == "events" else self._pictures
        for part in made(batch, local, keep):
            if len(part["exch_ns"]):
                self.counts["trades"] += int(np.count_nonzero(part["kind"] == KIND_TRADE))
                self.counts["clears"] += int(np.count_nonzero(part["kind"] == KIND_CLEAR))
                self.row_count += len(part["exch_ns"])
                yield part

    def _local(self, batch: Batch) -> Array | None:
        if "local_time" not in batch.values:
            return None
        local, exch = batch.values["local_time"], batch.values["time"]
        # What does not fit a difference of sound times is far from a day, too.
        if within(local - exch, -DAY_NS, DAY_NS) and rises(local, self.local_last):
            self.local_last = int(local[-1])
            return local
        far = (local < exch - DAY_NS) | (local > exch + DAY_NS)
        what = "expected a local time within a day of the exchange time"
        _hit(self.audit, batch, "local_range", far, "local_time", what)
        raised = np.maximum(np.maximum.accumulate(local), self.local_last)
        what = "the local time is before that of a row above"
        _hit(self.audit, batch, "local_order", raised != local, "local_time", what)
        self.local_last = int(raised[-1])
        return raised

    def _codes(self, batch: Batch, role: str, default: int, rule: str, keep: Array) -> Array:
        """Return the codes of a column; rows without a known word are refused or left out."""
        if role not in batch.values:
            return np.full(batch.row_count, default, np.uint8)
        codes = batch.values[role]
        wrong = (codes == CODE_BAD) | (codes == CODE_EMPTY)
        what = f"expected one of the words of {role}"
        staying = _hit(self.audit, batch, rule, wrong, role, what)
        if staying is not None:
            keep &= staying
        return codes

    def _numbers(
        self, batch: Batch, price: str, qty: str, used: Array, traded: Array, keep: Array
    ) -> tuple[Array, Array]:
        """Return ticks and lots of the rows in use, zeros elsewhere, after `NUMBER_RULES`."""
        ticks, lots = batch.values[price], batch.values[qty]
        outside = (ticks < -PRICE_TICKS_MAX) | (ticks > PRICE_TICKS_MAX)
        off = used & (outside | off_steps(ticks, self.ladder.product.step_ticks()))
        grid = f"expected a price on the grid of {self.ladder.product.tick_size}"
        _hit(self.audit, batch, "price_grid", off, price, grid)
        low = used & (ticks <= 0)
        _hit(self.audit, batch, "price_sign", low, price, "expected a price above 0")
        off = used & ((lots < 0) | (lots > LOTS_MAX))
        unit = f"expected a whole number of lots of {self.ladder.product.lot_size}"
        _hit(self.audit, batch, "whole_lots", off, qty, unit)
        what = "expected a trade of at least one lot"
        staying = _hit(self.audit, batch, "trade_lots", traded & (lots < 1), qty, what)
        if staying is not None:
            keep &= staying
        if used.all():
            return ticks, lots
        return np.where(used, ticks, 0), np.where(used, lots, 0)

    # --- events -----------------------------------------------------------------------------------

    def _events(self, batch: Batch, local: Array | None, keep: Array) -> Iterator[Columns]:
        kind, side, ticks, lots = self._plain(batch) or self._judged(batch, keep)
        if self.options.trade_side == "taker":
            side = side ^ (kind == KIND_TRADE)
        columns: Columns = {
            "exch_ns": batch.values["time"],
            "kind": kind,
            "side": side,
            "flags": self._canonical(batch, "flags", 255),
            "price": ticks,
            "qty": lots,
        }
        if local is not None:
            columns["local_ns"] = local
        if self.options.join:
            columns["join"] = self._canonical(batch, "join", (1 << 32) - 1)
        if not keep.all():
            columns = {name: values[keep] for name, values in columns.items()}
        columns = {name: contiguous(values, COLUMNS[name]) for name, values in columns.items()}
        if self.options.sessions == "day":
            yield from self._by_session(columns)
        else:
            yield columns

    def _plain(self, batch: Batch) -> tuple[Array, Array, Array, Array] | None:
        """Return kind, side, ticks and lots if all are levels and trades that keep every rule."""
        values = batch.values
        side, ticks, lots = (values[name] for name in ("side", "price", "qty"))
        kind = values.get("kind")
        if kind is None:
            kind = np.full(batch.row_count, KIND_LEVEL, np.uint8)
        is_plain = (
            within(kind, KIND_LEVEL, KIND_TRADE)
            and within(side, SIDE_BID, SIDE_ASK)
            and within(ticks, 1, PRICE_TICKS_MAX)
            and within(lots, 0, LOTS_MAX)
            and (lots.min() > 0 or not ((kind == KIND_TRADE) & (lots < 1)).any())
            and not off_steps(ticks, self.ladder.product.step_ticks()).any()
        )
        return (kind, side, ticks, lots) if is_plain else None

    def _judged(self, batch: Batch, keep: Array) -> tuple[Array, Array, Array, Array]:
        """Return kind, side, ticks and lots after every rule; `keep` loses the rows to drop."""
        kind = self._codes(batch, "kind", KIND_LEVEL, "known_kind", keep)
        is_clear = kind == KIND_CLEAR
        side = batch.values["side"]
        wrong = ((side == CODE_BAD) | (side == CODE_EMPTY)) & ~is_clear & keep
        what = "expected one of the words of side"
        staying = _hit(self.audit, batch, "known_side", wrong, "side", what)
        if staying is not None:
            keep &= staying
        traded = (kind == KIND_TRADE) & keep
        ticks, lots = self._numbers(batch, "price", "qty", ~is_clear & keep, traded, keep)
        return kind, np.where(is_clear, SIDE_BID, side), ticks, lots

    def _canonical(self, batch: Batch, role: str, most: int) -> Array:
        if role not in batch.values:
            return np.zeros(batch.row_count, np.uint8)
        values = batch.values[role]
        wrong = (values < 0) | (values > most)
        _hit(self.audit, batch, "whole_lots", wrong, role, f"expected {role} from 0 to {most}")
        return values

    def _by_session(self, columns: Columns) -> Iterator[Columns]:
        dates = self._dates(columns["exch_ns"])
        starts = self._session_rows(dates)
        for start, stop in itertools.pairwise(sorted({0, *starts, len(dates)})):
            part = {name: values[start:stop] for name, values in columns.items()}
            if start in starts:
                if self.starts and part["kind"][0] != KIND_CLEAR:
                    part = self._fronted(part)
                self.starts.append((day_numbered(int(dates[start])).isoformat(), self.row_count))
            self.book.apply(part)
            yield part

    def _fronted(self, part: Columns) -> Columns:
        """Put what stands in front of the first rows of a session."""
        local_ns = int(part["local_ns"][0]) if "local_ns" in part else None
        front = self.book.front(int(part["exch_ns"][0]), FLAG_IMAGE, local_ns=local_ns)
        if "join" in part:
            front["join"] = np.zeros(len(front["kind"]), np.uint32)
        return {name: np.concatenate((front[name], values)) for name, values in part.items()}

    def _session_rows(self, dates: Array) -> list[int]:
        """Return the rows of a batch at which a session begins."""
        if not len(dates):
            return []
        before = dates[0] - 1 if self.session is None else self.session
        self.session = int(dates[-1])
        rows: list[int] = np.flatnonzero(np.diff(dates, prepend=before)).tolist()
        return rows

    # --- pictures ---------------------------------------------------------------------------------

    def _pictures(self, batch: Batch, local: Array | None, keep: Array) -> Iterator[Columns]:
        options = self.options
        kind = self._codes(batch, "kind", KIND_IMAGE, "known_kind", keep)
        is_image = (kind == KIND_IMAGE) & keep
        traded = (kind == KIND_TRADE) & keep
        if options.price and not options.kind:
            lots = batch.values["qty"]
            traded = (lots != EMPTY) & (lots != 0)
        trade_price = trade_qty = np.zeros(batch.row_count, np.int64)
        trade_side = np.full(batch.row_count, SIDE_UNKNOWN, np.int64)
        if options.price:
            trade_price, trade_qty = self._numbers(batch, "price", "qty", traded, traded, keep)
        if options.side:
            trade_side = self._trade_sides(batch, traded & keep, keep)
        sides = {name: self._levels(batch, name, is_image) for name in ("bid", "ask")}
        records = Records(
            exch_ns=batch.values["time"],
            local_ns=local,
            is_indicative=np.zeros(batch.row_count, np.bool_),
            is_reset=kind == KIND_CLEAR,
            is_gap=np.zeros(batch.row_count, np.bool_),
            is_image=is_image,
            bid_price=sides["bid"][0],
            bid_qty=sides["bid"][1],
            ask_price=sides["ask"][0],
            ask_qty=sides["ask"][1],
            trade_price=trade_price,
            trade_qty=np.where(traded & keep, trade_qty, 0),
            trade_side=trade_side,
        )
        records = self._sound(batch, records, keep)
        dates = self._dates(records.exch_ns)
        starts = self._session_rows(dates) if options.sessions == "day" else []
        records.is_reset[starts] = True
        columns, firsts = self.images.rows(records)
        for row in starts:
            self.starts.append(
                (day_numbered(int(dates[row])).isoformat(), self.row_count + int(firsts[row]))
            )
        yield columns

    def _trade_sides(self, batch: Batch, traded: Array, keep: Array) -> Array:
        side = batch.values["side"]
        wrong = traded & (side == CODE_BAD)
        what = "expected one of the words of side, or nothing"
        staying = _hit(self.audit, batch, "known_side", wrong, "side", what)
        if staying is not None:
            keep &= staying
        known = side <= SIDE_ASK
        hit = side ^ 1 if self.options.trade_side == "taker" else side
        return np.where(known, hit, SIDE_UNKNOWN).astype(np.int64)

    def _levels(self, batch: Batch, name: str, is_image: Array) -> tuple[Array, Array]:
        count = self.options.levels
        prices = np.zeros((batch.row_count, count), np.int64)
        lots = np.zeros((batch.row_count, count), np.int64)
        nothing = np.zeros(batch.row_count, np.bool_)
        for level in range(count):
            price, qty = f"{name}_price_{level}", f"{name}_qty_{level}"
            # No price or no quantity: no level.
            there = is_image & (batch.values[qty] != EMPTY) & (batch.values[qty] != 0)
            there &= batch.values[price] != EMPTY
            found = self._numbers(batch, price, qty, there, nothing, nothing.copy())
            prices[:, level], lots[:, level] = found
        return prices, lots

    def _sound(self, batch: Batch, records: Records, keep: Array) -> Records:
        wrong = records.is_image & (
            misordered(records.bid_price, records.bid_qty, side=SIDE_BID)
            | misordered(records.ask_price, records.ask_qty, side=SIDE_ASK)
        )
        what = "expected levels best first and without holes"
        staying = _hit(self.audit, batch, "ladder", wrong, "", what)
        if staying is not None:
            keep &= staying
        what = "expected the best bid below the best ask"
        staying = _hit(self.audit, batch, "crossed_image", crossed(records) & keep, "", what)
        if staying is not None:
            keep &= staying
        if keep.all():
            return records
        kept: dict[str, Any] = {
            name: None if getattr(records, name) is None else getattr(records, name)[keep]
            for name in records.__slots__
        }
        return dataclasses.replace(records, **kept)

    # --- sessions ---------------------------------------------------------------------------------

    def _dates(self, exch_ns: Array) -> Array:
        """Return days since 1970 in the zone."""
        zone = self.options.zone or "UTC"
        if zone == "UTC":
            return exch_ns // DAY_NS
        import polars as pl

        local = pl.Series(exch_ns).cast(pl.Datetime("ns", "UTC")).dt.convert_time_zone(zone)
        days: Array = local.dt.date().to_physical().to_numpy().astype(np.int64)
        return days

    def summary(self) -> Summary:
        if not self.row_count:
            raise DataError(f"{self.path}: the file holds no row that is used")
        options, product = self.options, self.ladder.product
        facts: dict[str, Any] = {"rows_recorded": self.recorded} | self.counts
        if options.form == "images":
            facts |= {name: self.images.counts[name] for name in ("images", "sides_guessed")}
        facts |= {"local_clock": bool(options.local_time), "product": product.to_json()}
        starts = self.starts or [("all", 0)]
        stops = [start for _, start in starts[1:]] + [self.row_count]
        return Summary(
            instrument=product.exchange_part(
                visible_levels=options.visible_levels or options.levels
            ),
            sessions=tuple(
                Session(name=name, row_start=start, row_stop=stop)
                for (name, start), stop in zip(starts, stops, strict=True)
            ),
            facts=facts,
        )


assert BAD < EMPTY < -PRICE_TICKS_MAX, "marks are no prices"
