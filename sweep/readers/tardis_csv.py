"""Reads CSV files of Tardis: books, quotes and trades of one instrument.

The header tells what a file holds: `incremental_book_L2` (all levels as they change),
`book_snapshot_N` (pictures of the best N levels), `quotes` (pictures of the best level) or
`trades`. Trades of a book's day are a file of their own; it is found beside the book by its name,
and merged by exchange time, rows of one time in the order of arrival. What is made of them:

- a run of rows with `is_snapshot` starts the book anew: a CLEAR row and its levels. Every such run
  but the first means that the recorder had lost its connection: the CLEAR row is flagged GAP;
- an amount of 0 deletes a level; pictures become their differences, flagged IMAGE;
- a buyer's trade hit asks. Times are microseconds: `timestamp` of the exchange, `local_timestamp`
  of the recorder;
- one file is one session.

Known limits: what an exchange calls its time differs; Tardis takes its own where there is none.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from sweep.errors import DataError
from sweep.products import Product
from sweep.readers.audit import Audit, Rule
from sweep.readers.calendar_days import day_of
from sweep.readers.csv_blocks import CSV_RULES, CsvBlock, CsvFile, open_csv
from sweep.readers.exact_numbers import integers
from sweep.readers.feed_clock import (
    CLOCK_RULES,
    LATENCY_FLOOR_US,
    LatencySurvey,
    judge_clock,
)
from sweep.readers.options import option
from sweep.readers.price_levels import NUMBER_RULES, Grid
from sweep.readers.recorded_merge import MERGE_RULES, Batch, Maker, Merge, Stream
from sweep.readers.standing_book import BOOK_RULES
from sweep.readers.tardis_books import (
    BOOK_STREAM_RULES,
    ImageMaker,
    LevelMaker,
    TradeMaker,
)
from sweep.readers.ticks import Request, Rows, Session, Summary

if TYPE_CHECKING:
    import polars as pl

RULES: Final[dict[str, Rule]] = (
    CSV_RULES
    | NUMBER_RULES
    | CLOCK_RULES
    | MERGE_RULES
    | BOOK_RULES
    | BOOK_STREAM_RULES
    | {
        "market": Rule(
            doc="The file is of the exchange that the product trades on, and of its symbol: the "
            "product's name starts with it, or data.source.options.symbol names it"
        ),
        "other_symbol": Rule(
            doc="The file holds one symbol of one exchange. drop: leave others out",
            actions=("error", "drop"),
        ),
        "bad_time": Rule(
            doc="timestamp and local_timestamp are microseconds since 1970. drop: leave the "
            "row out",
            actions=("error", "drop"),
        ),
    }
)

_FRONT: Final = ("exchange", "symbol", "timestamp", "local_timestamp")
_KINDS: Final[dict[tuple[str, ...], str]] = {
    ("is_snapshot", "side", "price", "amount"): "incremental_book_L2",
    ("id", "side", "price", "amount"): "trades",
    ("ask_amount", "ask_price", "bid_price", "bid_amount"): "quotes",
}
_LEVELS_MAX: Final = 64
_VENUES: Final = {
    "binance-futures": "BINANCE_USDM",
    "binance-delivery": "BINANCE_COINM",
    "binance": "BINANCE_SPOT",
    "bitmex": "BITMEX",
    "bybit": "BYBIT",
    "deribit": "DERIBIT",
    "huobi-dm-swap": "HUOBI",
}
_US_MIN: Final = 10**15
_US_MAX: Final = 4 * 10**15


@dataclass(frozen=True, slots=True, kw_only=True)
class TardisCsvOptions:
    """Options of the reader of Tardis' CSV files."""

    symbol: str = option("", "Symbol to read; empty: the only one of the file")
    trades: str = option(
        "auto",
        "Trades beside a book: auto (the file whose name says trades in place of the book's kind, "
        "if there is one), none, or a path from the book's folder",
    )
    visible_levels: int = option(
        0,
        "Levels a side that incremental_book_L2 of this exchange shows; 0: all",
        "levels",
        0,
        10_000,
    )
    reorder_ms: int = option(
        1_000, "How much later than a newer message one may come", "ms", 0, 60_000
    )
    latency_floor_us: int = option(
        LATENCY_FLOOR_US, "Smallest latency after clock_offset: repair", "us", 0, 10_000_000
    )


def companions(path: Path, options: TardisCsvOptions) -> tuple[Path, ...]:
    """Return the file of trades beside a book, if there is one."""
    if options.trades == "none":
        return ()
    if options.trades != "auto":
        return (path.parent / options.trades,)
    for kind in ("incremental_book_L2", "quotes", *_snapshot_kinds(path.name)):
        beside = path.with_name(path.name.replace(kind, "trades", 1))
        if kind in path.name and beside.is_file():
            return (beside,)
    return ()


def _snapshot_kinds(name: str) -> list[str]:
    _, found, rest = name.partition("book_snapshot_")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return [found + digits] if digits else []


def kind_of(file: CsvFile) -> str:
    """Return what a file holds, by its header.

    Raises:
        DataError: It is none of the kinds known.
    """
    front, rest = file.header[:4], file.header[4:]
    kind = _KINDS.get(rest, "")
    levels = len(rest) // 4
    names = [
        f"{side}[{level}].{part}"
        for level in range(levels)
        for side in ("asks", "bids")
        for part in ("price", "amount")
    ]
    if rest and rest == tuple(names) and levels <= _LEVELS_MAX:
        kind = f"book_snapshot_{levels}"
    if front != _FRONT or not kind:
        known = "incremental_book_L2, trades, quotes or book_snapshot_N"
        message = f"line 1: expected the columns of {known}, found {','.join(file.header)[:200]}"
        raise DataError(f"{file.path}: {message}")
    return kind


def read(request: Request) -> Rows:
    """Read one file, and the trades beside it.

    Raises:
        DataError: A file is damaged or a row breaks a rule; the message names file and line.
    """
    options: TardisCsvOptions = request.options
    files = [open_csv(request.file, "line")]
    files += [open_csv(path, f"{path.name} line") for path in companions(request.file, options)]
    kinds = [kind_of(file) for file in files]
    if len(files) > 1 and kinds[1] != "trades":
        raise DataError(f"{files[1].path}: line 1: expected trades, found {kinds[1]}")
    if kinds[0] == "trades":
        files, kinds = files[:1], kinds[:1]
    survey = _survey(request, files)
    clock = judge_clock(survey.latencies, request.audit, options.latency_floor_us)
    door = _Door(request=request, options=options)
    day = day_of(survey.first_ns)
    product = request.product(day)
    streams = []
    for file, kind in zip(files, kinds, strict=True):
        grid = Grid(product=product, audit=request.audit, unit=file.unit)
        maker = _maker(kind, grid, options, has_snapshot=survey.has_snapshot)
        blocks = door.batches(file, product)
        streams.append(Stream(blocks=blocks, maker=maker, unit=file.unit))
    merge = Merge(
        streams=streams, audit=request.audit, clock=clock, reach_ns=options.reorder_ms * 1_000_000
    )
    yield from merge.rows()
    if not merge.tape.row_count:
        raise DataError(f"{request.audit.source}: no row can be used")
    first = day_of(merge.tape.first_ns)
    facts: dict[str, Any] = {
        "files": {file.path.name: kind for file, kind in zip(files, kinds, strict=True)},
        "lines": survey.lines,
        "symbol": door.symbol,
        "exchange": door.exchange,
        "clock": survey.latencies.facts() | clock.facts(),
        **merge.facts(),
        "product": product.to_json(),
    }
    visible = max(stream.maker.visible_levels for stream in streams)
    return Summary(
        instrument=product.exchange_part(visible_levels=visible),
        sessions=(Session(name=first.isoformat(), row_start=0, row_stop=merge.tape.row_count),),
        facts=facts,
    )


def _maker(kind: str, grid: Grid, options: TardisCsvOptions, *, has_snapshot: bool) -> Maker:
    if kind == "trades":
        return TradeMaker(grid=grid)
    if kind == "incremental_book_L2":
        return LevelMaker(
            grid=grid, visible_levels=options.visible_levels, has_snapshot=has_snapshot
        )
    levels = 1 if kind == "quotes" else int(kind.rpartition("_")[2])
    return ImageMaker(grid=grid, visible_levels=levels)


@dataclass(slots=True)
class _Survey:
    """What is known after the first pass over the files."""

    lines: int = 0
    first_ns: int = 0
    has_snapshot: bool = False
    latencies: LatencySurvey = field(default_factory=LatencySurvey)


def _survey(request: Request, files: list[CsvFile]) -> _Survey:
    found = _Survey()
    for file in files:
        names = ("timestamp", "local_timestamp")
        has_flags = "is_snapshot" in file.header
        # What is wrong with lines is told when they are read for good.
        lenient = Audit(request.audit.source, CSV_RULES, {"bad_line": "drop", "cut_line": "count"})
        for block in file.blocks(lenient, names + ("is_snapshot",) * has_flags):
            if not len(block.number):
                continue
            times = [_times(block.frame[name]) for name in names]
            found.latencies.add(times[1], times[0], int(block.number[0]), file.unit)
            found.lines += len(block.number)
            known = times[0][times[0] > 0]
            if not found.first_ns and len(known):
                found.first_ns = int(known[0])
            if has_flags:
                found.has_snapshot |= bool((block.frame["is_snapshot"] == "true").any())
    if not found.lines:
        raise DataError(f"{request.audit.source}: the file holds no row")
    return found


def _times(texts: "pl.Series") -> npt.NDArray[np.int64]:
    """Return nanoseconds, 0 for what is no time."""
    values, bad = integers(texts)
    return np.where(bad | (values < _US_MIN) | (values > _US_MAX), 0, values * 1_000)


@dataclass(slots=True)
class _Door:
    """Lets in the rows of one symbol, their times read."""

    request: Request
    options: TardisCsvOptions
    symbol: str = ""
    exchange: str = ""

    def batches(self, file: CsvFile, product: Product) -> Iterator[Batch]:
        """Yield the rows of a file, whole messages together."""
        audit = self.request.audit
        held: Batch | None = None
        for block in file.blocks(audit):
            if not len(block.number):
                continue
            self._meet(block, file, product)
            frame = block.frame
            is_other = (frame["symbol"].ne_missing(self.symbol)).to_numpy()
            is_other |= frame["exchange"].ne_missing(self.exchange).to_numpy()
            if is_other.any() and not self.options.symbol:
                row = int(is_other.argmax())
                found = f"{frame['exchange'][row]} {frame['symbol'][row]}"
                detail = f"expected {self.exchange} {self.symbol}, found {found}"
                where = f"{file.unit} {block.number[row]}"
                audit.hit("other_symbol", where, detail, count=int(is_other.sum()))
            exch_ns, local_ns = _times(frame["timestamp"]), _times(frame["local_timestamp"])
            bad = ((exch_ns == 0) | (local_ns == 0)) & ~is_other
            if bad.any():
                row = int(bad.argmax())
                found = f"{frame['timestamp'][row]!r}, {frame['local_timestamp'][row]!r}"
                where = f"{file.unit} {block.number[row]}"
                detail = f"expected microseconds since 1970, found {found}"
                audit.hit("bad_time", where, detail, count=int(bad.sum()))
            whole = Batch(frame=frame, number=block.number, exch_ns=exch_ns, local_ns=local_ns)
            whole = whole.where(~(is_other | bad))
            held = whole if held is None else held.followed_by(whole)
            # A message may go on in the next block: its rows stay together.
            start = held.last_message()
            yield held.part(0, start)
            held = held.part(start, len(held.number))
        if held is not None:
            yield held

    def _meet(self, block: CsvBlock, file: CsvFile, product: Product) -> None:
        """Learn exchange and symbol from the first row, and hold them against the product."""
        if self.symbol:
            return
        self.symbol = self.options.symbol or str(block.frame["symbol"][0])
        self.exchange = str(block.frame["exchange"][0])
        where = f"{file.unit} {block.number[0]}"
        venue = _VENUES.get(self.exchange, "")
        if venue and product.venue in _VENUES.values() and venue != product.venue:
            detail = f"the exchange is {self.exchange}, the product {product.name}"
            self.request.audit.hit("market", where, f"{detail} trades on {product.venue}")
        if not self.options.symbol and not product.name.startswith(self.symbol):
            detail = f"the symbol is {self.symbol}, the product {product.name}"
            advice = f"set data.source.options.symbol to {self.symbol} if they are the same"
            self.request.audit.hit("market", where, f"{detail}; {advice}")
