"""Merges a recorded book with the trades recorded beside it, by exchange time, chunk by chunk."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from sweep.readers.audit import Audit, Rule
from sweep.readers.feed_clock import LocalClock, LocalOrder
from sweep.readers.ticks import KIND_TRADE, Columns
from sweep.readers.time_order import NS_PER_MS, ORDER_RULES, Arrivals, TapeRows, TimeOrder

if TYPE_CHECKING:
    import polars as pl

MERGE_RULES: Final[dict[str, Rule]] = ORDER_RULES | {
    "time_back": Rule(
        doc="Exchange times of a book do not fall. repair: raise to the one before",
        actions=("repair", "error"),
    ),
}

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some messages of one stream, in the order of its file.

    Attributes:
        frame: What they tell.
        number: Line of each.
        exch_ns: Exchange time of each.
        local_ns: When each was received; 0 without a local clock.
    """

    frame: "pl.DataFrame"
    number: npt.NDArray[np.int64]
    exch_ns: npt.NDArray[np.int64]
    local_ns: npt.NDArray[np.int64]

    def where(self, keeps: npt.NDArray[np.bool_]) -> "Batch":
        """Return some of the messages."""
        import polars as pl

        if keeps.all():
            return self
        return Batch(
            frame=self.frame.filter(pl.Series(keeps)),
            number=self.number[keeps],
            exch_ns=self.exch_ns[keeps],
            local_ns=self.local_ns[keeps],
        )

    def followed_by(self, other: "Batch") -> "Batch":
        """Return the messages of both."""
        return Batch(
            frame=self.frame.vstack(other.frame),
            number=np.concatenate((self.number, other.number)),
            exch_ns=np.concatenate((self.exch_ns, other.exch_ns)),
            local_ns=np.concatenate((self.local_ns, other.local_ns)),
        )

    def part(self, start: int, stop: int) -> "Batch":
        """Return the messages [start, stop)."""
        return Batch(
            frame=self.frame[start:stop],
            number=self.number[start:stop],
            exch_ns=self.exch_ns[start:stop],
            local_ns=self.local_ns[start:stop],
        )

    def last_message(self) -> int:
        """Return where the rows of the last pair of exchange and local time begin."""
        changes = np.flatnonzero((np.diff(self.exch_ns) != 0) | (np.diff(self.local_ns) != 0))
        return int(changes[-1]) + 1 if len(changes) else 0


class Maker(Protocol):
    """Makes rows of the messages of one stream.

    Attributes:
        is_book: Whether the rows make a book; else they are trades.
        visible_levels: Levels a side that the stream shows; 0: all, or none of its own.
    """

    is_book: bool
    visible_levels: int

    def rows(self, batch: Batch) -> Arrays:
        """Return exch_ns, local_ns, kind, side, flags, price and qty, and `message`.

        `message` is equal for the rows of one message, and differs from that of its neighbours.
        """

    def facts(self) -> dict[str, Any]:
        """Return what was found."""


@dataclass(slots=True)
class Stream:
    """One file that is read along.

    Attributes:
        unit: What a line is called in messages.
    """

    blocks: Iterator[Batch]
    maker: Maker
    unit: str
    is_over: bool = False
    newest_ns: int = 0


class Merge:
    """Rows of all streams in the order of exchange time.

    Attributes:
        tape: Counts the rows that were yielded.
    """

    def __init__(
        self, *, streams: list[Stream], audit: Audit, clock: LocalClock, reach_ns: int
    ) -> None:
        """Start in front of the first row.

        Args:
            streams: At most one of them a book.
            audit: Hears of messages out of order.
            clock: What becomes of local times.
            reach_ns: How late a message may be.
        """
        self.tape = TapeRows(has_local=clock.is_kept)
        self._streams = streams
        self._audit = audit
        self._clock = clock
        self._locals = [LocalOrder(audit=audit, unit=stream.unit) for stream in streams]
        self._arrivals = [
            Arrivals(audit=audit, reach_ns=reach_ns, unit=stream.unit) for stream in streams
        ]
        self._highest_local = [0] * len(streams)
        self._highest_book = 0
        self._order = TimeOrder()
        self._has_book = any(stream.maker.is_book for stream in streams)
        # Exchange time of the first row of the book; trades before it are left out.
        self._start_ns: int | None = None if self._has_book else 0
        self._trades_blind = 0

    def rows(self) -> Iterator[Columns]:
        """Yield rows in order."""
        while True:
            places = [place for place, one in enumerate(self._streams) if not one.is_over]
            if not places:
                break
            # The stream that is furthest behind holds up the others.
            place = min(places, key=lambda one: self._streams[one].newest_ns)
            batch = next(self._streams[place].blocks, None)
            if batch is None:
                self._streams[place].is_over = True
            else:
                self._take(place, batch)
            open_streams = [stream for stream in self._streams if not stream.is_over]
            if open_streams:
                yield from self._pop(self._settled_ns(open_streams))
        yield from self._pop(None)

    def _settled_ns(self, streams: list[Stream]) -> int:
        reach_ns = self._arrivals[0].reach_ns
        until = min(stream.newest_ns for stream in streams) - reach_ns
        return until if self._start_ns is not None else 0

    def _take(self, place: int, batch: Batch) -> None:
        stream = self._streams[place]
        if not len(batch.number):
            return
        raised = np.maximum.accumulate(np.maximum(batch.local_ns, self._highest_local[place]))
        self._highest_local[place] = int(raised[-1])
        local_ns = batch.local_ns
        if self._clock.is_kept:
            settled = self._locals[place].settle(local_ns, batch.number)
            local_ns = settled + self._clock.shift_ns
        exch_ns, keeps = self._arrivals[place].settle(batch.exch_ns, batch.number)
        stream.newest_ns = self._arrivals[place].newest_ns
        if stream.maker.is_book:
            exch_ns = self._rising(exch_ns, batch.number, stream.unit)
        # Equal exchange times go by arrival, a trade in front of the book.
        key = raised * 2 + stream.maker.is_book
        settled_batch = Batch(
            frame=batch.frame.with_columns(key=key),
            number=batch.number,
            exch_ns=exch_ns,
            local_ns=local_ns,
        )
        rows = stream.maker.rows(settled_batch.where(keeps))
        self._push(rows, is_book=stream.maker.is_book)

    def _push(self, rows: Arrays, *, is_book: bool) -> None:
        if not len(rows["exch_ns"]):
            return
        message = rows.pop("message")
        if is_book and self._start_ns is None:
            self._start_ns = int(rows["exch_ns"][0])
            # Nothing stands in front of the first message.
            rows["number"] = np.where(message == message[0], -1, rows["number"])
        self._order.push(rows)

    def _rising(
        self, exch_ns: npt.NDArray[np.int64], number: npt.NDArray[np.int64], unit: str
    ) -> npt.NDArray[np.int64]:
        highest = np.maximum.accumulate(np.maximum(exch_ns, self._highest_book))
        self._highest_book = int(highest[-1])
        falls = np.flatnonzero(highest > exch_ns)
        if len(falls):
            row = int(falls[0])
            detail = f"{(highest[row] - exch_ns[row]) / NS_PER_MS} ms before the one before it"
            self._audit.hit("time_back", f"{unit} {number[row]}", detail, count=len(falls))
        return highest

    def _pop(self, before_ns: int | None) -> Iterator[Columns]:
        rows = self._order.pop(before_ns)
        if rows is None:
            return
        is_trade = rows["kind"] == KIND_TRADE
        start_ns = self._start_ns if self._start_ns is not None else 1 << 62
        is_blind = is_trade & (rows["exch_ns"] < start_ns)
        self._trades_blind += int(is_blind.sum())
        yield from self.tape.chunks({name: values[~is_blind] for name, values in rows.items()})

    def facts(self) -> dict[str, Any]:
        """Return what was found."""
        found: dict[str, Any] = {
            **self.tape.facts(),
            "trades_without_book": self._trades_blind,
            "messages_out_of_order": sum(one.late for one in self._arrivals),
            "out_of_order_ms_max": max(one.late_ns_max for one in self._arrivals) / NS_PER_MS,
        }
        for stream in self._streams:
            found |= stream.maker.facts()
        return found
