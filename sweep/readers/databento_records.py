"""What all schemas of Databento share: sound records of one instrument, their times and units."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.errors import DataError, InputError
from sweep.readers.audit import Audit, Rule
from sweep.readers.calendar_days import DAY_NS
from sweep.readers.databento_survey import Source
from sweep.readers.dbn_file import (
    FLAG_BAD_TS_RECV,
    FLAG_SNAPSHOT,
    NS_END,
    PRICE_UNITS,
    UNDEF_PRICE,
    UNDEF_TIMESTAMP,
    DbnFile,
)
from sweep.readers.price_grid import off_steps

Values = npt.NDArray[Any]

_SIDES: Final = b"ABN"
_QTY_MAX: Final = 1_000_000_000
_TICKS_END: Final = 1 << 30  # of tick indices on tapes
_GROUP_RECORDS_MAX: Final = 1 << 22

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
    "repeated_record": Rule(
        doc="No record is the same as the one before it, to the last byte",
        actions=("count", "error"),
    ),
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
        audit.hit_rows(
            "time_stated", stated >= NS_END, batch.where, "expected ts_event before 2200", stated
        )
        exch_ns = stated.astype(np.int64)
        is_snapshot = self._snapshot(records, exch_ns)
        before = np.concatenate(([self._exch_ns], exch_ns[:-1]))
        falls = exch_ns < np.maximum.accumulate(before)
        expected = "ts_event is before that of a record above"
        audit.hit_rows("time_order", falls, batch.where, expected, stated)
        np.maximum(exch_ns, self._exch_ns, out=exch_ns)
        np.maximum.accumulate(exch_ns, out=exch_ns)
        self._range(batch)
        _check_repeats(audit, batch)
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
                    self._snapshot_ns = next(self._snapshots, self._snapshot_ns)
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
        self._source.request.audit.hit_rows("time_range", outside, batch.where, expected, received)

    def _sequences(self, batch: Batch, is_snapshot: Values) -> None:
        numbers = batch.records["sequence"]
        live = np.flatnonzero(~is_snapshot)
        if not len(live):
            return
        before = np.concatenate(([self._sequence], numbers[live][:-1]))
        falls = np.zeros(len(numbers), np.bool_)
        falls[live] = numbers[live] < before
        expected = "the sequence number is below that of the record above"
        self._source.request.audit.hit_rows("sequence", falls, batch.where, expected, numbers)
        self._sequence = int(numbers[live[-1]])

    def _local(self, batch: Batch, exch_ns: Values, is_snapshot: Values) -> Values:
        records = batch.records
        is_bad = (records["flags"] & FLAG_BAD_TS_RECV) > 0
        is_bad &= ~is_snapshot  # the time at which the snapshot was taken is a good one
        is_bad |= records["ts_recv"] >= NS_END
        local_ns = np.where(is_bad, 0, records["ts_recv"]).astype(np.int64)
        is_bad |= np.abs(local_ns - exch_ns) > DAY_NS
        local_ns[is_bad] = 0
        before = np.concatenate(([self._local_ns], local_ns[:-1]))
        is_bad |= local_ns < np.maximum.accumulate(before)
        expected = "ts_recv is not stated, marked as bad, falls or is far from ts_event"
        received = records["ts_recv"]
        self._source.request.audit.hit_rows("local_clock", is_bad, batch.where, expected, received)
        good = ~(is_bad | is_snapshot)
        if good.any():
            latency = int((local_ns[good] - exch_ns[good]).min())
            known = self.latency_min_ns
            self.latency_min_ns = latency if known is None else min(known, latency)
        local_ns[is_bad] = exch_ns[is_bad]
        np.maximum(local_ns, self._local_ns, out=local_ns)
        result: Values = np.maximum.accumulate(local_ns)
        return result


def _check_repeats(audit: Audit, batch: Batch) -> None:
    records = batch.records
    rows = np.flatnonzero((np.diff(records["sequence"]) == 0) & (np.diff(records["ts_recv"]) == 0))
    words = np.ascontiguousarray(records).view(np.uint64).reshape(len(records), -1)
    is_same = np.zeros(len(records), np.bool_)
    is_same[rows + 1] = (words[rows] == words[rows + 1]).all(axis=1)
    expected = "a record that is not the one before it once more"
    audit.hit_rows("repeated_record", is_same, batch.where, expected, records["sequence"])


def check_codes(audit: Audit, batch: Batch, actions: bytes) -> None:
    """Refuse records with actions or sides that their schema does not have."""
    for name, known in (("action", actions), ("side", _SIDES)):
        codes = batch.records[name]
        is_bad = ~np.isin(codes, np.frombuffer(known, np.uint8))
        expected = (
            f"expected one of {known.decode()} as {name} (codes {', '.join(map(str, known))})"
        )
        audit.hit_rows("code", is_bad, batch.where, expected, codes)


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
    is_bad = needs & (~good | off_steps(ticks, source.product.step_ticks()))
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
    """Return sizes as lots, one or a row of them per record; whatever is stated, where unneeded."""
    audit, lots = source.request.audit, sizes.astype(np.int64)
    lot = int(source.product.lot_size)
    if lot != source.product.lot_size:
        message = f"{source.product.name}: a lot of {source.product.lot_size} is no whole number"
        raise InputError(f"{message}, as the sizes of this source are")
    is_bad = needs & ((lots < lot) | (lots > _QTY_MAX * lot) | (lots % lot != 0))
    if is_bad.any():
        columns = is_bad.reshape(len(batch), -1)
        row = int(columns.any(axis=1).argmax())
        found = int(sizes.reshape(len(batch), -1)[row, int(columns[row].argmax())])
        detail = f"expected a size of whole lots of {lot}, found {found}"
        audit.hit("quantity", batch.where(row), detail, count=int(columns.any(axis=1).sum()))
    return lots // lot if lot > 1 else lots
