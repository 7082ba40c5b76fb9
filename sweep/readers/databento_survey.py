"""Chooses the instrument of a Databento file and finds its auctions, in a first pass over the file.

The survey looks at ids, times and trades alone. Auctions: no record states the phase of the market,
but trades do: a print of an auction has no aggressor (side N). A *phase* starts with the file or
after a silence; if its first trade has no aggressor, everything up to and including that trade's
time belongs to an auction. With the option `open_time` the phase lasts up to that time of day
instead, unless an aggressor trades before.
"""

import datetime
import re
import zoneinfo
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.errors import DataError, InputError
from sweep.products import Product
from sweep.readers.calendar_days import day_of
from sweep.readers.dbn_file import (
    FLAG_SNAPSHOT,
    NS_END,
    RECORD_KINDS,
    DbnFile,
    Metadata,
    RecordKind,
)
from sweep.readers.ticks import FLAG_INDICATIVE, Request

Values = npt.NDArray[Any]

_MINUTE_NS: Final = 60 * 10**9
_CLOCK: Final = re.compile(r"\d\d:\d\d(:\d\d)?")


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
    if symbol and not symbol.startswith(request.instrument):
        expected = f"expected a symbol of {request.instrument}, found {symbol}"
        request.audit.hit("symbol", "metadata", f"{expected} for id {surveyor.instrument_id}")
    return Source(
        request=request,
        schema=schema,
        metadata=metadata,
        instrument_id=surveyor.instrument_id,
        symbol=symbol,
        product=request.product(day_of(survey.first_ns or survey.last_ns)),
        survey=survey,
    )


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
        sound = received[received < NS_END]
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
                taken.append(min(int(records["ts_recv"][row]), NS_END - 1))
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
