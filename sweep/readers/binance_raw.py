"""Reads raw recordings of Binance: a local time and one message of a websocket per line.

A line is `local_ns SPACE json`, as the recorder of hftbacktest writes it, in gzip or plain text:
depth updates, best quotes (bookTicker), trades or aggregated trades, of a combined stream or bare,
and answers to a request for the whole book. What is made of them:

- the book starts at the first snapshot that the chain of updates links to; what came before it is
  left out. Each update makes LEVEL rows; a snapshot that nobody needs is left out and counted;
- exchange times are those of the matching engine (`T`), or of the message (`E`) where that is all
  there is (depth of the spot market). Streams overtake each other: rows are sorted by exchange
  time, equal times in the order of the file;
- best quotes make no rows. They are compared with the book;
- a trade makes one TRADE row; trades of the insurance fund and the like (`X` other than MARKET, or
  no price) never were in the book and are left out;
- one file is one session.

Cost: the file is read twice, first for the clocks and the places of snapshots.
Known limits: a level beyond the snapshot's depth shows only when it changes.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from sweep.errors import DataError
from sweep.products import Product
from sweep.readers.audit import Rule, numbered
from sweep.readers.binance_depth import CHAIN_RULES, DepthChain, Run, State
from sweep.readers.binance_lines import LINE_RULES, LineDecoder, Messages, Snapshot
from sweep.readers.binance_quotes import QUOTE_RULES, QuoteCheck
from sweep.readers.binance_trades import TRADE_RULES, TradeChain
from sweep.readers.calendar_days import day_of
from sweep.readers.feed_clock import (
    CLOCK_RULES,
    LATENCY_FLOOR_US,
    LatencySurvey,
    LocalClock,
    LocalOrder,
    judge_clock,
)
from sweep.readers.json_lines import block_lines
from sweep.readers.options import option
from sweep.readers.price_levels import NUMBER_RULES, Grid, level_rows
from sweep.readers.standing_book import BOOK_RULES, CheckedBook
from sweep.readers.text_lines import line_blocks
from sweep.readers.ticks import (
    FLAG_GAP,
    FLAG_IMAGE,
    KIND_CLEAR,
    KIND_TRADE,
    SIDE_BID,
    Columns,
    Request,
    Rows,
    Session,
    Summary,
)
from sweep.readers.time_order import NS_PER_MS, ORDER_RULES, Arrivals, TapeRows, TimeOrder

if TYPE_CHECKING:
    import polars as pl

RULES: Final[dict[str, Rule]] = (
    LINE_RULES
    | NUMBER_RULES
    | CHAIN_RULES
    | CLOCK_RULES
    | ORDER_RULES
    | BOOK_RULES
    | QUOTE_RULES
    | TRADE_RULES
    | {
        "market": Rule(
            doc="The file is of the market that the product trades on, and of its symbol: the "
            "product's name starts with it, or data.source.options.symbol names it"
        ),
        "time_back": Rule(
            doc="Exchange times of depth updates do not fall. repair: raise to the one before",
            actions=("repair", "error"),
        ),
    }
)

_US_TIME_MIN: Final = 10**15


@dataclass(frozen=True, slots=True, kw_only=True)
class BinanceRawOptions:
    """Options of the reader of raw Binance recordings."""

    symbol: str = option("", "Symbol to read; empty: the only one of the file")
    trades: Literal["auto", "trade", "aggregate"] = option(
        "auto", "Stream of trades; auto: trade if the file has it, else aggTrade"
    )
    exchange_time: Literal["engine", "message"] = option(
        "engine", "Time of the matching engine (T), or of the message (E)"
    )
    reorder_ms: int = option(
        1_000, "How much later than a newer message one may come", "ms", 0, 60_000
    )
    latency_floor_us: int = option(
        LATENCY_FLOOR_US, "Smallest latency after clock_offset: repair", "us", 0, 10_000_000
    )


def read(request: Request) -> Rows:
    """Read one recording.

    Raises:
        DataError: The file is damaged or a line breaks a rule; the message names file and line.
    """
    survey = _survey(request)
    options: BinanceRawOptions = request.options
    clock = judge_clock(survey.latencies, request.audit, options.latency_floor_us)
    recording = _Recording(request=request, options=options, survey=survey, clock=clock)
    for block in line_blocks(request.file):
        yield from recording.take(recording.decoder.decode(block))
    yield from recording.finish()
    return recording.summary()


@dataclass(slots=True)
class _Survey:
    """What is known after the first pass over the file."""

    lines: int = 0
    snapshots: list[int] = field(default_factory=list)
    has_trades: bool = False
    latencies: LatencySurvey = field(default_factory=LatencySurvey)


def _survey(request: Request) -> _Survey:
    import polars as pl

    found = _Survey()
    text = pl.col("text").str
    # The answer to a request comes late: no latency of the feed. Streams of partial books repeat
    # the key of snapshots.
    is_answer = text.contains('"lastUpdateId":', literal=True)
    for block in line_blocks(request.file):
        lines = block_lines(block, request.audit.source)
        frame = (
            lines.alias("text")
            .to_frame()
            .select(
                local=text.extract(r"^([0-9]{18,19}) ").cast(pl.Int64, strict=False),
                event=text.extract(r'"E": ?([0-9]{13,16})[,}]').cast(pl.Int64),
                is_answer=is_answer & ~text.contains('"stream":', literal=True),
                is_trade=text.contains(r'"e": ?"trade"'),
            )
        )
        event = frame["event"].fill_null(0).to_numpy()
        event_ns = event * np.where(event >= _US_TIME_MIN, 1_000, NS_PER_MS)
        answers = frame["is_answer"].fill_null(value=False).to_numpy()
        found.latencies.add(
            frame["local"].fill_null(0).to_numpy(),
            np.where(answers, 0, event_ns),
            block.first_line,
            "line",
        )
        found.snapshots += (np.flatnonzero(answers) + block.first_line).tolist()
        found.has_trades |= bool(frame["is_trade"].any())
        found.lines += len(lines)
    if not found.lines:
        raise DataError(f"{request.audit.source}: the file holds no line")
    return found


class _Recording:
    """Makes rows of the messages of one file, block by block."""

    def __init__(
        self, *, request: Request, options: BinanceRawOptions, survey: _Survey, clock: LocalClock
    ) -> None:
        audit = request.audit
        self.decoder = LineDecoder(source=audit.source, audit=audit)
        self._request = request
        self._audit = audit
        self._options = options
        self._survey = survey
        self._clock = clock
        self._stream = _trade_stream(options, survey)
        self._symbol = options.symbol
        self._local = LocalOrder(audit=audit, unit="line")
        self._arrivals = Arrivals(audit=audit, reach_ns=options.reorder_ms * NS_PER_MS, unit="line")
        self._chain = DepthChain(audit=audit, snapshots_ahead=survey.snapshots)
        self._book = CheckedBook(audit=audit, visible_levels=0, unit="line")
        self._quotes = QuoteCheck(audit=audit)
        self._order = TimeOrder()
        self._grid: Grid | None = None
        self._counts: Counter[str] = Counter()
        self._others: Counter[str] = Counter()
        self._trades = TradeChain(audit=audit)
        self._trades_blind = 0  # left out: there was no book
        self._depth_ns = 0  # exchange time of the newest depth update
        self._linked_ns = 0  # of the newest one that was applied
        # Spans of exchange time without a book: their trades are left out.
        self._blind: list[tuple[int, int]] = []
        self._is_gap_due = False
        self._tape = TapeRows(has_local=clock.is_kept)

    def take(self, messages: Messages) -> Iterator[Columns]:
        """Yield the rows that are complete with the messages of the next block."""
        self._others += messages.others
        depth = self._of_symbol(messages.depth)
        trades = self._of_symbol(messages.trades[self._stream])
        tickers = self._of_symbol(messages.tickers)
        for name, frame in (
            ("depth", depth),
            ("bookTicker", tickers),
            *messages.trades.items(),
        ):
            self._counts[name] += frame.height
        self._counts["snapshot"] += len(messages.snapshots)
        locals_by_number = self._settle_locals(depth, tickers, trades, messages.snapshots)
        depth, trades = self._settle_times(depth, trades)
        if self._grid is None:
            if not depth.height and not trades.height:
                return
            self._grid = self._find_grid(depth, trades)
        self._check_market(depth)
        self._push_trades(trades, locals_by_number)
        self._quotes.add_quotes(tickers, self._grid)
        self._push_depth(depth, messages.snapshots, locals_by_number)
        yield from self._pop(
            min(self._linked_ns, self._arrivals.newest_ns - self._arrivals.reach_ns)
        )

    def _of_symbol(self, frame: "pl.DataFrame") -> "pl.DataFrame":
        import polars as pl

        if not frame.height:
            return frame
        if not self._symbol:
            self._symbol = str(frame["s"][0])
            name = self._request.instrument
            if not name.startswith(self._symbol):
                detail = f"the symbol is {self._symbol}, the product {name}"
                advice = f"set data.source.options.symbol to {self._symbol} if they are the same"
                where = f"line {frame['number'][0]}"
                self._audit.hit("market", where, f"{detail}; {advice}")
        is_other = (frame["s"] != self._symbol).to_numpy()
        if not is_other.any():
            return frame
        if not self._options.symbol:
            self._audit.hit_rows(
                "other_symbol",
                is_other,
                numbered("line", frame["number"]),
                lambda row: f"expected the symbol {self._symbol}, found {frame['s'][row]}",
            )
        self._counts["other_symbol"] += int(is_other.sum())
        return frame.filter(pl.Series(~is_other))

    def _settle_locals(
        self,
        depth: "pl.DataFrame",
        tickers: "pl.DataFrame",
        trades: "pl.DataFrame",
        snapshots: list[Snapshot],
    ) -> dict[str, npt.NDArray[np.int64]]:
        """Return numbers and local times of all lines, in order, the clocks' offset mended."""
        frames = (depth, tickers, trades)
        numbers = [frame["number"].to_numpy() for frame in frames]
        locals_ns = [frame["local_ns"].to_numpy() for frame in frames]
        # Typed: an empty list would turn nanoseconds into floats.
        number = np.concatenate([*numbers, np.array([s.number for s in snapshots], np.int64)])
        local = np.concatenate([*locals_ns, np.array([s.local_ns for s in snapshots], np.int64)])
        order = np.argsort(number, kind="stable")
        number, local = number[order], local[order]
        if self._clock.is_kept:
            local = self._local.settle(local, number) + self._clock.shift_ns
        return {"number": number, "local_ns": local}

    def _settle_times(
        self, depth: "pl.DataFrame", trades: "pl.DataFrame"
    ) -> tuple["pl.DataFrame", "pl.DataFrame"]:
        """Return both with `exch_ns` as the tape has it; what is out of reach may be gone."""
        import polars as pl

        frames = []
        for frame in (depth, trades):
            at = (
                pl.when(pl.col("exch_ns") > 0).then(pl.col("exch_ns")).otherwise(pl.col("event_ns"))
            )
            if self._options.exchange_time == "message":
                is_told = pl.col("event_ns") > 0
                at = pl.when(is_told).then(pl.col("event_ns")).otherwise(pl.col("exch_ns"))
            frames.append(frame.with_columns(exch_ns=at))
        sizes = [frame.height for frame in frames]
        exch = np.concatenate([frame["exch_ns"].to_numpy() for frame in frames])
        number = np.concatenate([frame["number"].to_numpy() for frame in frames])
        exch[: sizes[0]] = self._rising(exch[: sizes[0]], number)
        order = np.argsort(number, kind="stable")
        settled, keeps = self._arrivals.settle(exch[order], number[order])
        exch[order] = settled
        kept = np.ones(len(exch), bool)
        kept[order] = keeps
        if sizes[0]:
            exch[: sizes[0]] = np.maximum.accumulate(exch[: sizes[0]])
        parts = zip(frames, np.split(exch, [sizes[0]]), np.split(kept, [sizes[0]]), strict=True)
        made = [
            frame.with_columns(exch_ns=pl.Series(times)).filter(pl.Series(keep))
            for frame, times, keep in parts
        ]
        return made[0], made[1]

    def _rising(
        self, exch: npt.NDArray[np.int64], number: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Return times of depth updates that do not fall."""
        if not len(exch):
            return exch
        highest = np.maximum.accumulate(np.maximum(exch, self._depth_ns))
        self._depth_ns = int(highest[-1])
        falls = np.flatnonzero(highest > exch)
        if len(falls):
            row = int(falls[0])
            detail = f"{(highest[row] - exch[row]) / NS_PER_MS} ms before the update before it"
            self._audit.hit("time_back", f"line {number[row]}", detail, count=len(falls))
        return highest

    def _find_grid(self, depth: "pl.DataFrame", trades: "pl.DataFrame") -> Grid:
        first = depth if depth.height else trades
        day = day_of(int(first["exch_ns"][0]))
        return Grid(product=self._request.product(day), audit=self._audit, unit="line")

    @property
    def _product(self) -> Product:
        assert self._grid is not None, "a file without a message makes no product"
        return self._grid.product

    def _check_market(self, depth: "pl.DataFrame") -> None:
        venue = self._product.venue
        if not venue.startswith("BINANCE_") or not depth.height:
            return
        is_spot = (depth["before_id"] < 0).to_numpy()
        wrong = ~is_spot if venue == "BINANCE_SPOT" else is_spot
        if wrong.any():
            row = int(wrong.argmax())
            kind = "spot" if is_spot[row] else "futures"
            detail = f"depth updates of the {kind} market, the product {self._product.name}"
            where = f"line {depth['number'][row]}"
            self._audit.hit("market", where, f"{detail} trades on {venue}")

    def _push_trades(self, frame: "pl.DataFrame", known: dict[str, npt.NDArray[np.int64]]) -> None:
        assert self._grid is not None, "the grid is found before rows are made"
        rows = self._trades.rows(frame, self._grid)
        rows["local_ns"] = _local_of(rows["number"], known)
        self._order.push(rows)

    def _push_depth(
        self,
        depth: "pl.DataFrame",
        snapshots: list[Snapshot],
        known: dict[str, npt.NDArray[np.int64]],
    ) -> None:
        import polars as pl

        number, local = known["number"], known["local_ns"]
        # Updates that were held keep the local time that was settled with their block.
        places = np.searchsorted(number, depth["number"].to_numpy())
        depth = depth.with_columns(local_ns=pl.Series(local[places])).select(
            "number", "local_ns", "exch_ns", "first_id", "last_id", "before_id", "b", "a"
        )
        runs = self._chain.feed(depth, [s for s in snapshots if s.symbol in ("", self._symbol)])
        if not runs:
            return
        parts = []
        for run in runs:
            if run.start is not None:
                parts.append(self._start_rows(run, known))
            parts.append(self._update_rows(run))
        for part in parts:
            self._order.push(part)
        rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        rows["number"] = rows.pop("message_number")
        bests, _ = self._book.add(rows)
        updates = pl.concat([run.updates for run in runs])
        at = np.searchsorted(updates["number"].to_numpy(), bests.number)
        self._quotes.add_books(bests, updates["last_id"].to_numpy()[at])

    def _start_rows(
        self, run: Run, known: dict[str, npt.NDArray[np.int64]]
    ) -> dict[str, npt.NDArray[Any]]:
        """Return a row that clears the book, and the levels of the snapshot."""
        import polars as pl

        start = run.start
        assert start is not None, "a run that starts anew"
        assert self._grid is not None, "the grid is found before rows are made"
        first_ns, first_number = int(run.updates["exch_ns"][0]), int(run.updates["number"][0])
        exch_ns, local_ns = first_ns, int(run.updates["local_ns"][0])
        rows: dict[str, Any] = {"kind": [], "side": [], "price": [], "qty": []}
        snapshot = start.snapshot
        if snapshot is not None:
            # The update that links may have begun before the snapshot was taken.
            exch_ns = min(first_ns, snapshot.exch_ns or first_ns)
            exch_ns = max(exch_ns, self._linked_ns)
            local_ns = int(_local_of(np.array([snapshot.number]), known)[0])
            schema = {"number": pl.Int64} | dict.fromkeys("ba", pl.List(pl.List(pl.String)))
            picture = {"number": [snapshot.number], "b": [snapshot.bids], "a": [snapshot.asks]}
            rows = level_rows(pl.DataFrame(picture, schema=schema), self._grid)
        self._blind.append((self._linked_ns, exch_ns))
        count = len(rows["price"]) + 1
        flags = np.full(count, FLAG_IMAGE, np.uint8)
        flags[0] = FLAG_GAP if start.is_gap else 0
        # The tape begins with this row; later ones take their place in the file.
        number = first_number if start.is_gap else -1
        front = {"kind": KIND_CLEAR, "side": SIDE_BID, "price": 0, "qty": 0}
        return {
            name: np.concatenate(([value], rows[name])).astype(
                np.int32 if name in ("price", "qty") else np.uint8
            )
            for name, value in front.items()
        } | {
            "exch_ns": np.full(count, exch_ns),
            "local_ns": np.full(count, local_ns),
            "flags": flags,
            "number": np.full(count, number),
            "message_number": np.full(count, first_number),
        }

    def _update_rows(self, run: Run) -> dict[str, npt.NDArray[Any]]:
        assert self._grid is not None, "the grid is found before rows are made"
        rows = level_rows(run.updates, self._grid)
        message = rows.pop("message")
        rows["message_number"] = rows["number"]
        rows["exch_ns"] = run.updates["exch_ns"].to_numpy()[message]
        rows["local_ns"] = run.updates["local_ns"].to_numpy()[message]
        rows["flags"] = np.zeros(len(message), np.uint8)
        self._is_gap_due |= run.is_gap
        if self._is_gap_due and len(message):
            rows["flags"][0] = FLAG_GAP
            self._is_gap_due = False
        self._linked_ns = int(run.updates["exch_ns"][-1])
        return rows

    def _pop(self, before_ns: int | None) -> Iterator[Columns]:
        rows = self._order.pop(before_ns)
        if rows is None:
            return
        is_blind = np.zeros(len(rows["exch_ns"]), bool)
        for start, stop in self._blind:
            is_blind |= (rows["exch_ns"] > start) & (rows["exch_ns"] < stop)
        is_blind |= rows["number"] < 0  # a snapshot that starts the tape is no trade
        is_blind &= rows["kind"] == KIND_TRADE
        self._trades_blind += int(is_blind.sum())
        if before_ns is not None:
            self._blind = [span for span in self._blind if span[1] >= before_ns]
        yield from self._tape.chunks({name: values[~is_blind] for name, values in rows.items()})

    def finish(self) -> Iterator[Columns]:
        """Yield what waited for more lines."""
        self._chain.end()
        if self._chain.state is not State.LINKED:
            self._blind.append((self._linked_ns, 1 << 62))
        yield from self._pop(None)
        if not self._tape.row_count:
            updates = self._counts["depth"]
            if updates:
                reason = f"no depth update can be applied: none of {updates:,} connects to a"
                reason += " snapshot of the book"
            else:
                streams = ", ".join(sorted(+self._counts)) or "none"
                reason = f"the file holds no depth update; streams found: {streams}"
            raise DataError(f"{self._audit.source}: {reason}")

    def summary(self) -> Summary:
        """Return what is known about the whole file."""
        day = day_of(self._tape.first_ns)
        session = Session(name=day.isoformat(), row_start=0, row_stop=self._tape.row_count)
        facts = {
            "lines": self._survey.lines,
            "lines_by_stream": dict(sorted((self._counts - Counter()).items())),
            "other_streams": dict(sorted(self._others.items())),
            "symbol": self._symbol,
            **self._tape.facts(),
            "trades_without_book": self._trades_blind,
            "clock": self._survey.latencies.facts() | self._clock.facts(),
            **self._chain.facts(),
            **self._book.facts(),
            **self._quotes.facts(),
            **self._arrivals.facts(),
            "product": self._product.to_json(),
        }
        return Summary(
            instrument=self._product.exchange_part(visible_levels=0),
            sessions=(session,),
            facts=facts,
        )


def _trade_stream(options: BinanceRawOptions, survey: _Survey) -> str:
    if options.trades != "auto":
        return options.trades
    return "trade" if survey.has_trades else "aggregate"


def _local_of(
    number: npt.NDArray[np.int64], known: dict[str, npt.NDArray[np.int64]]
) -> npt.NDArray[np.int64]:
    return known["local_ns"][np.searchsorted(known["number"], number)]
