"""What all schemas of Databento share: choosing an instrument, sound records, times, auctions.

A file is read twice. The survey looks at ids, times and trades alone; it finds which instruments
there are and which spans of time are auctions. The second pass makes rows.

Auctions. No record states the phase of the market, but trades do: a print of an auction has no
aggressor (side N). A *phase* starts with the file or after a silence; if its first trade has no
aggressor, everything up to and including that trade's packet belongs to an auction. With the
option `open_time` the phase lasts up to that time of day instead, unless an aggressor trades
before.
"""

import datetime
import re
import zoneinfo
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.errors import DataError, InputError
from sweep.products import Product
from sweep.readers.audit import Action, Audit, Rule
from sweep.readers.dbn_file import (
    FLAG_BAD_TS_RECV,
    FLAG_SNAPSHOT,
    PRICE_UNITS,
    RECORD_KINDS,
    UNDEF_PRICE,
    UNDEF_TIMESTAMP,
    DbnFile,
    Metadata,
    RecordKind,
)
from sweep.readers.ticks import FLAG_INDICATIVE, Request

Values = npt.NDArray[Any]

_SIDES: Final = b"ABN"
QTY_MAX: Final = 1_000_000_000
_DAY_NS: Final = 86_400 * 10**9
_MINUTE_NS: Final = 60 * 10**9
_NS_END: Final = 7_258_118_400_000_000_000  # the year 2200, the end of times on tapes
_TICKS_END: Final = 1 << 30  # of tick indices on tapes
_GROUP_RECORDS_MAX: Final = 1 << 22
_CLOCK: Final = re.compile(r"\d\d:\d\d(:\d\d)?")

RECORD_RULES: Final[dict[str, Rule]] = {
    "other_records": Rule(
        doc="Records are of the file's schema; count: others (status, system ...) are left out",
        actions=("count", "error"),
    ),
    "symbol": Rule(
        doc="The instrument's symbol starts with the name of the product",
        actions=("error", "count"),
    ),
    "code": Rule(doc="Actions are A, M, C, R, T, F or N and sides A, B or N"),
    "price_grid": Rule(doc="Prices are stated where they must be, and on the product's tick grid"),
    "quantity": Rule(doc="Sizes are whole lots; only cleared and empty levels have none"),
    "time_stated": Rule(doc="Every record states ts_event"),
    "time_order": Rule(
        doc="ts_event never falls; repair: the time of the row above holds",
        actions=("error", "repair"),
    ),
    "time_range": Rule(
        doc="ts_recv lies in the span that the metadata state", actions=("error", "count")
    ),
    "local_clock": Rule(
        doc="ts_recv is stated and good (no flag 8), never falls and is at most a day from"
        " ts_event; repair: local_ns is that of the row above, or ts_event if that is later",
        actions=("repair", "error"),
    ),
    "sequence": Rule(doc="Sequence numbers do not fall", actions=("count", "error")),
    "trade_side": Rule(
        doc="Trades outside of auctions state their aggressor; drop: the trade is left out",
        actions=("drop", "error"),
    ),
    "crossed": Rule(
        doc="Outside of auctions no bid stands above an ask when a packet ends",
        actions=("count", "error"),
    ),
    "locked": Rule(
        doc="Outside of auctions no bid stands at the price of an ask when a packet ends",
        actions=("count", "error"),
    ),
}


@dataclass(slots=True)
class Survey:
    """What a look at ids, times and trades finds; times in ns.

    Attributes:
        counts: Records by instrument id.
        first_ns: Exchange time of the first record of the chosen instrument, snapshots left out.
        last_ns: Latest ts_recv of the chosen instrument.
        auctions: Spans of exchange time, both ends included.
        snapshots_ns: When each snapshot was taken, but never after the record that follows it.
    """

    counts: dict[int, int] = field(default_factory=dict)
    first_ns: int = 0
    last_ns: int = 0
    auctions: list[tuple[int, int]] = field(default_factory=list)
    snapshots_ns: list[int] = field(default_factory=list)

    def indicative(self, exch_ns: Values) -> Values:
        """Return the flag of each time: indicative inside of auctions."""
        flags = np.zeros(len(exch_ns), np.uint8)
        for start_ns, end_ns in self.auctions:
            flags[(exch_ns >= start_ns) & (exch_ns <= end_ns)] = FLAG_INDICATIVE
        return flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One instrument of one file."""

    request: Request
    schema: str
    metadata: Metadata
    instrument_id: int
    symbol: str
    product: Product
    survey: Survey

    @property
    def kind(self) -> RecordKind:
        """What the records are."""
        return RECORD_KINDS[self.schema]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Records of the chosen instrument in the order of the file, and where they stand in it."""

    records: Values
    numbers: Values
    offsets: Values

    def where(self, row: int) -> str:
        """Return how a user finds a record."""
        return f"record {self.numbers[row]} (offset {self.offsets[row]:#x})"

    def __len__(self) -> int:
        return len(self.records)

    def part(self, rows: slice | Values) -> "Batch":
        """Return some of the records."""
        return Batch(
            records=self.records[rows], numbers=self.numbers[rows], offsets=self.offsets[rows]
        )

    def join(self, later: "Batch") -> "Batch":
        """Return these records and later ones."""
        if not len(self):
            return later
        return Batch(
            records=np.concatenate((self.records, later.records)),
            numbers=np.concatenate((self.numbers, later.numbers)),
            offsets=np.concatenate((self.offsets, later.offsets)),
        )


def open_source(request: Request) -> Source:
    """Survey a file and choose its instrument.

    Raises:
        DataError: The file is damaged, or of a schema that this reader does not read.
        InputError: The choice of an instrument fits no or several instruments of the file.
    """
    opened = DbnFile(request.file)
    try:
        metadata = opened.metadata
        schema = _schema(request, metadata)
        wanted = _wanted(request, metadata)
        surveyor = _Surveyor(request, wanted, has_orders=schema == "mbo")
        for _, _, records in opened.records(RECORD_KINDS[schema], request.audit):
            surveyor.look(records)
    finally:
        opened.close()
    survey = surveyor.finish()
    symbols = _symbols(metadata)
    if not survey.counts:
        raise DataError(f"{request.file}: the file holds no record")
    if (wanted is None and len(survey.counts) > 1) or surveyor.instrument_id not in survey.counts:
        listed = ", ".join(
            f"{found} ({symbols.get(found, 'no symbol')}, {count} records)"
            for found, count in sorted(survey.counts.items())
        )
        message = f"{request.file}: expected one instrument, found {listed}"
        raise InputError(f"{message}: choose by data.source.options.instrument_id")
    symbol = symbols.get(surveyor.instrument_id, "")
    if not symbol.startswith(request.instrument):
        expected = f"expected a symbol of {request.instrument}, found {symbol or 'none'}"
        request.audit.hit("symbol", "metadata", f"{expected} for id {surveyor.instrument_id}")
    day = datetime.date(1970, 1, 1) + datetime.timedelta(days=survey.last_ns // _DAY_NS)
    return Source(
        request=request,
        schema=schema,
        metadata=metadata,
        instrument_id=surveyor.instrument_id,
        symbol=symbol,
        product=request.product(day),
        survey=survey,
    )


def batches(source: Source) -> Iterator[Batch]:
    """Yield the records of the chosen instrument, in the order of the file."""
    opened = DbnFile(source.request.file)
    try:
        for number, offset, records in opened.records(source.kind, None):
            rows = np.arange(len(records))
            chosen = records["instrument_id"] == source.instrument_id
            if not chosen.all():
                records, rows = records[chosen], rows[chosen]
            if len(records):
                offsets = offset + rows * records.dtype.itemsize
                yield Batch(records=records, numbers=number + rows, offsets=offsets)
    finally:
        opened.close()


def groups(source: Source, ends: Callable[[Values], Values], what: str) -> Iterator[Batch]:
    """Yield batches that never split what belongs together.

    Args:
        source: What is read.
        ends: Tells of records which of them may be the last of a batch.
        what: What must not be split, for messages.
    """
    rest: Batch | None = None
    for batch in batches(source):
        held = batch if rest is None else rest.join(batch)
        stops = np.flatnonzero(ends(held.records))
        stop = int(stops[-1]) + 1 if len(stops) else 0
        if len(held) - stop > _GROUP_RECORDS_MAX:
            where = held.where(stop)
            raise DataError(f"{source.request.file}: {where}: {what} does not end")
        if stop:
            yield held.part(slice(0, stop))
        rest = held.part(slice(stop, None))
    if rest is not None and len(rest):
        yield rest


class Clock:
    """Checks and makes the times of records; remembers those of the record before."""

    def __init__(self, source: Source) -> None:
        """Make a clock for one pass."""
        self._source = source
        self._exch_ns = 0
        self._local_ns = 0
        self._sequence = 0
        self._snapshots = iter(source.survey.snapshots_ns)
        self._snapshot_ns = 0
        self._in_snapshot = False
        self.snapshot_records = 0
        self.latency_min_ns: int | None = None

    def times(self, batch: Batch) -> tuple[Values, Values, Values]:
        """Return exch_ns, local_ns and which records belong to a snapshot of orders.

        Raises:
            DataError: A time breaks a rule.
        """
        records, audit = batch.records, self._source.request.audit
        stated = records["ts_event"]
        hit(audit, "time_stated", batch, stated >= _NS_END, "expected ts_event before 2200", stated)
        exch_ns = stated.astype(np.int64)
        is_snapshot = self._snapshot(records, exch_ns)
        before = np.concatenate(([self._exch_ns], exch_ns[:-1]))
        falls = exch_ns < np.maximum.accumulate(before)
        expected = "ts_event is before that of a record above"
        hit(audit, "time_order", batch, falls, expected, stated)
        np.maximum(exch_ns, self._exch_ns, out=exch_ns)
        np.maximum.accumulate(exch_ns, out=exch_ns)
        self._range(batch)
        self._sequences(batch, is_snapshot)
        local_ns = self._local(batch, exch_ns, is_snapshot)
        self._exch_ns = int(exch_ns[-1])
        self._local_ns = int(local_ns[-1])
        return exch_ns, local_ns, is_snapshot

    def _snapshot(self, records: Values, exch_ns: Values) -> Values:
        # Orders of a snapshot state when they were entered; they stand since it was taken.
        if self._source.schema != "mbo":
            return np.zeros(len(records), np.bool_)
        is_snapshot: Values = (records["flags"] & FLAG_SNAPSHOT) > 0
        edges = np.flatnonzero(np.diff(is_snapshot)) + 1
        for start, stop in zip([0, *edges], [*edges, len(records)], strict=True):
            if is_snapshot[start]:
                if start > 0 or not self._in_snapshot:
                    self._snapshot_ns = next(self._snapshots)
                exch_ns[start:stop] = self._snapshot_ns
                self.snapshot_records += int(stop - start)
            self._in_snapshot = bool(is_snapshot[start])
        return is_snapshot

    def _range(self, batch: Batch) -> None:
        metadata, received = self._source.metadata, batch.records["ts_recv"]
        is_stated = received != UNDEF_TIMESTAMP
        outside = is_stated & (received < metadata.start_ns)
        if metadata.end_ns is not None:
            outside |= is_stated & (received > metadata.end_ns)
        expected = f"ts_recv is outside of [{metadata.start_ns}, {metadata.end_ns}]"
        hit(self._source.request.audit, "time_range", batch, outside, expected, received)

    def _sequences(self, batch: Batch, is_snapshot: Values) -> None:
        numbers = batch.records["sequence"]
        live = np.flatnonzero(~is_snapshot)
        if not len(live):
            return
        before = np.concatenate(([self._sequence], numbers[live][:-1]))
        falls = np.zeros(len(numbers), np.bool_)
        falls[live] = numbers[live] < before
        expected = "the sequence number is below that of the record above"
        hit(self._source.request.audit, "sequence", batch, falls, expected, numbers)
        self._sequence = int(numbers[live[-1]])

    def _local(self, batch: Batch, exch_ns: Values, is_snapshot: Values) -> Values:
        records = batch.records
        is_bad = (records["flags"] & FLAG_BAD_TS_RECV) > 0
        is_bad &= ~is_snapshot  # the time at which the snapshot was taken is a good one
        is_bad |= records["ts_recv"] >= _NS_END
        local_ns = np.where(is_bad, 0, records["ts_recv"]).astype(np.int64)
        is_bad |= np.abs(local_ns - exch_ns) > _DAY_NS
        local_ns[is_bad] = 0
        before = np.concatenate(([self._local_ns], local_ns[:-1]))
        is_bad |= local_ns < np.maximum.accumulate(before)
        expected = "ts_recv is not stated, marked as bad, falls or is far from ts_event"
        received = records["ts_recv"]
        hit(self._source.request.audit, "local_clock", batch, is_bad, expected, received)
        good = ~(is_bad | is_snapshot)
        if good.any():
            latency = int((local_ns[good] - exch_ns[good]).min())
            known = self.latency_min_ns
            self.latency_min_ns = latency if known is None else min(known, latency)
        local_ns[is_bad] = exch_ns[is_bad]
        np.maximum(local_ns, self._local_ns, out=local_ns)
        result: Values = np.maximum.accumulate(local_ns)
        return result


def hit(
    audit: Audit, rule: str, batch: Batch, is_bad: Values, expected: str, found: Values
) -> Action:
    """Count the records that break a rule, if there are any; the first is named."""
    count = int(np.count_nonzero(is_bad))
    if not count:
        return audit.action(rule)
    row = int(is_bad.argmax())
    return audit.hit(rule, batch.where(row), f"{expected}, found {found[row].item()}", count=count)


def check_codes(audit: Audit, batch: Batch, actions: bytes) -> None:
    """Refuse records with actions or sides that their schema does not have."""
    for name, known in (("action", actions), ("side", _SIDES)):
        codes = batch.records[name]
        is_bad = ~np.isin(codes, np.frombuffer(known, np.uint8))
        expected = (
            f"expected one of {known.decode()} as {name} (codes {', '.join(map(str, known))})"
        )
        hit(audit, "code", batch, is_bad, expected, codes)


def ticks_of(source: Source, batch: Batch, prices: Values, needs: Values) -> Values:
    """Return prices as tick indices; 0 where no price is needed.

    Args:
        source: Whose product has the grid.
        batch: Named in messages.
        prices: One price or a row of prices per record, in units of 1e-9.
        needs: Where a price must be.
    """
    step = source.product.tick_size * PRICE_UNITS
    unit = int(step)
    audit = source.request.audit
    if unit != step or unit == 0:
        raise InputError(f"{source.product.name}: a tick of less than 1e-9 cannot be recorded")
    ticks: Values = np.floor_divide(prices, unit)
    good = (prices - ticks * unit == 0) & (np.abs(ticks) < _TICKS_END)
    for low, coarse in source.product.step_ticks():
        if coarse > 1:
            good &= (ticks < low) | (ticks % coarse == 0)
    is_bad = needs & ~good
    if is_bad.any():
        columns = is_bad.reshape(len(batch), -1)
        row = int(columns.any(axis=1).argmax())
        value = int(prices.reshape(len(batch), -1)[row, int(columns[row].argmax())])
        found = "none" if value == UNDEF_PRICE else f"{value / PRICE_UNITS:.9f}"
        expected = f"expected a price in steps of {source.product.tick_size}, found {found}"
        audit.hit("price_grid", batch.where(row), expected, count=int(columns.any(axis=1).sum()))
    ticks[~needs | is_bad] = 0
    return ticks


def lots_of(source: Source, batch: Batch, sizes: Values, needs: Values) -> Values:
    """Return sizes as lots; where none is needed, whatever is stated."""
    lots = sizes.astype(np.int64)
    if source.product.lot_size != 1:
        lot = int(source.product.lot_size)
        if lot != source.product.lot_size:
            message = (
                f"{source.product.name}: a lot of {source.product.lot_size} is no whole number"
            )
            raise InputError(f"{message}, as the sizes of this source are")
        is_bad = needs & (lots % lot != 0)
        expected = f"expected a size in lots of {lot}"
        hit(source.request.audit, "quantity", batch, is_bad, expected, sizes)
        lots //= lot
    is_bad = needs & ((lots < 1) | (lots > QTY_MAX))
    expected = f"expected a size in [1, {QTY_MAX}] lots"
    hit(source.request.audit, "quantity", batch, is_bad, expected, sizes)
    return lots


class _Surveyor:
    """Counts instruments and finds silences, first trades and snapshots of one of them."""

    def __init__(self, request: Request, wanted: int | None, *, has_orders: bool) -> None:
        self.instrument_id = -1 if wanted is None else wanted
        self._open_time = _open_time(request.options.open_time)
        self._pause_ns = request.options.pause_minutes * _MINUTE_NS
        self._has_orders = has_orders
        self._survey = Survey()
        self._phases: list[_Phase] = []
        self._last_event_ns = 0
        self._in_snapshot = False

    def look(self, records: Values) -> None:
        """Take the next records."""
        ids = records["instrument_id"]
        if self.instrument_id < 0:
            self.instrument_id = int(ids[0])
        chosen = ids == self.instrument_id
        if not chosen.all():
            found, counts = np.unique(ids, return_counts=True)
            for one, count in zip(found.tolist(), counts.tolist(), strict=True):
                self._survey.counts[one] = self._survey.counts.get(one, 0) + count
            records = records[chosen]
        else:
            known = self._survey.counts.get(self.instrument_id, 0)
            self._survey.counts[self.instrument_id] = known + len(records)
        if len(records):
            self._look_at_chosen(records)

    def _look_at_chosen(self, records: Values) -> None:
        received = records["ts_recv"]
        sound = received[received < _NS_END]
        if len(sound):
            self._survey.last_ns = max(self._survey.last_ns, int(sound.max()))
        is_snapshot = np.zeros(len(records), np.bool_)
        if self._has_orders:
            is_snapshot = (records["flags"] & FLAG_SNAPSHOT) > 0
            self._look_at_snapshots(records, is_snapshot)
        live = records[~is_snapshot] if is_snapshot.any() else records
        if len(live):
            self._look_at_live(live)

    def _look_at_snapshots(self, records: Values, is_snapshot: Values) -> None:
        taken = self._survey.snapshots_ns
        edges = (np.flatnonzero(np.diff(is_snapshot)) + 1).tolist()
        for row in [0, *edges]:
            if is_snapshot[row] and not self._in_snapshot:
                taken.append(min(int(records["ts_recv"][row]), _NS_END - 1))
            elif self._in_snapshot and not is_snapshot[row]:
                taken[-1] = min(taken[-1], int(records["ts_event"][row]))
            self._in_snapshot = bool(is_snapshot[row])

    def _look_at_live(self, live: Values) -> None:
        event_ns = live["ts_event"].astype(np.int64)
        if not self._phases:
            self._survey.first_ns = int(event_ns[0])
            self._phases.append(_Phase(start_ns=int(event_ns[0])))
            self._last_event_ns = int(event_ns[0])
        gaps = np.diff(event_ns, prepend=self._last_event_ns) > self._pause_ns
        edges = np.flatnonzero(gaps).tolist()
        trades = np.flatnonzero(live["action"] == ord("T"))
        for start, stop in zip([0, *edges], [*edges, len(live)], strict=True):
            if start in edges:
                self._phases.append(_Phase(start_ns=int(event_ns[start])))
            phase = self._phases[-1]
            at = int(np.searchsorted(trades, start))
            if phase.trade_ns is None and at < len(trades) and trades[at] < stop:
                phase.trade_ns = int(event_ns[trades[at]])
                phase.is_auction = live["side"][trades[at]] == ord("N")
        self._last_event_ns = int(event_ns[-1])

    def finish(self) -> Survey:
        """Return what was found."""
        survey = self._survey
        is_open = False
        for phase in self._phases:
            end_ns = phase.trade_ns if phase.is_auction else None
            if self._open_time is not None:
                open_ns = _next_open(phase.start_ns, *self._open_time)
                if phase.is_auction or phase.trade_ns is None or phase.trade_ns >= open_ns:
                    end_ns = max(open_ns - 1, end_ns or 0)
            if end_ns is not None:
                survey.auctions.append((phase.start_ns if is_open else 0, end_ns))
            is_open = is_open or phase.trade_ns is not None
        return survey


@dataclass(slots=True, kw_only=True)
class _Phase:
    """A stretch without silences; times in ns, `trade_ns` of its first trade."""

    start_ns: int
    trade_ns: int | None = None
    is_auction: bool = False


def _schema(request: Request, metadata: Metadata) -> str:
    chosen: str = request.options.schema
    stated = metadata.schema
    if chosen != "file" and stated not in (None, chosen):
        raise InputError(f"{request.file}: holds {stated}, the option schema says {chosen}")
    schema = stated or chosen
    if schema == "file":
        message = f"{request.file}: the file does not state its schema (a live recording)"
        raise InputError(f"{message}: set data.source.options.schema")
    if schema not in RECORD_KINDS:
        known = ", ".join(RECORD_KINDS)
        raise DataError(f"{request.file}: holds {schema}, this reader reads {known}")
    return schema


def _symbols(metadata: Metadata) -> dict[int, str]:
    """Return the symbols by instrument id; an id that meant several names all of them."""
    names: dict[int, dict[str, None]] = {}
    for mapping in metadata.mappings:
        pair = (mapping.target, mapping.symbol)
        if metadata.stype_out != "instrument_id":
            pair = (mapping.symbol, mapping.target)
        if pair[0].isdecimal():
            names.setdefault(int(pair[0]), {})[pair[1]] = None
    return {found: " ".join(symbols) for found, symbols in names.items()}


def _wanted(request: Request, metadata: Metadata) -> int | None:
    chosen, symbol = request.options.instrument_id, request.options.symbol
    if not symbol:
        return chosen or None
    symbols = _symbols(metadata)
    ids = [found for found, names in symbols.items() if symbol in names.split(" ")]
    if chosen and chosen not in ids:
        raise InputError(f"{request.file}: {symbol} is not the symbol of instrument {chosen}")
    if len(ids) != 1 and not chosen:
        known = ", ".join(f"{names} ({found})" for found, names in symbols.items()) or "none"
        message = f"{request.file}: {symbol} names {len(ids)} instruments; the file maps {known}"
        raise InputError(f"{message}: choose by data.source.options.instrument_id")
    return chosen or ids[0]


def _open_time(text: str) -> tuple[datetime.time, zoneinfo.ZoneInfo] | None:
    if not text:
        return None
    clock, _, zone = text.partition(" ")
    message = f"open_time is a time of day and a zone, like 17:00 America/Chicago, found {text!r}"
    if not _CLOCK.fullmatch(clock):
        raise InputError(message)
    try:
        return datetime.time.fromisoformat(clock), zoneinfo.ZoneInfo(zone.strip())
    except (ValueError, OSError, KeyError) as error:  # zones unknown to the machine among them
        raise InputError(f"{message}: {error}") from error


def _next_open(start_ns: int, clock: datetime.time, zone: zoneinfo.ZoneInfo) -> int:
    """Return the first moment at or after the start at which clocks of the zone show the time."""
    start = datetime.datetime.fromtimestamp(start_ns / 10**9, zone)
    for days in (0, 1):
        day = start.date() + datetime.timedelta(days=days)
        found = datetime.datetime.combine(day, clock, zone)
        found_ns = int(found.timestamp()) * 10**9 + found.microsecond * 1_000
        if found_ns >= start_ns:
            break
    return found_ns
