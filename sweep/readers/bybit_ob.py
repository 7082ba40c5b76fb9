"""Reads Bybit's archives of order books: one JSON message per line, in zip, gzip or plain text.

A message is a `snapshot` of the best N levels (topic `orderbook.N.SYMBOL`) or a `delta` of levels
that changed; `u` counts them. What is made of them:

- the first snapshot starts the book. A later one that continues the count becomes its differences,
  flagged IMAGE; one that does not (`u` 1: the exchange restarted) means that messages were lost:
  a CLEAR row, flagged GAP, and its levels;
- a size of 0 deletes a level, or tells that it left the window of N levels; the latter is flagged
  OUT_OF_VIEW;
- exchange times are those of the matching engine (`cts`), or of the message (`ts`) in archives
  without; there is no local clock;
- trades come from the archive of trades of the same day beside the book (SYMBOL2024-12-01.csv.gz),
  merged by exchange time, a trade in front of book messages of its time;
- one file is one session.

Known limits: engine times are whole milliseconds; a message is the sum of what happened since the
last one, 100 ms before in archives of 500 levels.
"""

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from sweep.errors import DataError
from sweep.products import Product
from sweep.readers.audit import Audit, Rule, numbered
from sweep.readers.bybit_books import BYBIT_RULES, DepthMaker
from sweep.readers.calendar_days import EPOCH, day_of
from sweep.readers.csv_blocks import CSV_RULES, CsvFile, open_csv
from sweep.readers.exact_numbers import integers, nanoseconds
from sweep.readers.feed_clock import NS_PER_MS, LocalClock
from sweep.readers.json_lines import JSON_RULES, block_lines, decode
from sweep.readers.options import option
from sweep.readers.price_levels import NUMBER_RULES, Grid
from sweep.readers.recorded_merge import MERGE_RULES, Batch, Merge, Stream
from sweep.readers.standing_book import BOOK_RULES
from sweep.readers.tardis_books import BOOK_STREAM_RULES, TradeMaker
from sweep.readers.text_lines import Block, line_blocks
from sweep.readers.ticks import Request, Rows, Session, Summary

if TYPE_CHECKING:
    import polars as pl

RULES: Final[dict[str, Rule]] = (
    CSV_RULES
    | JSON_RULES
    | NUMBER_RULES
    | MERGE_RULES
    | BOOK_RULES
    | BYBIT_RULES
    | {name: BOOK_STREAM_RULES[name] for name in ("bad_word", "no_snapshot")}
    | {
        "market": Rule(
            doc="The file is of the product's symbol: the product's name starts with it, or "
            "data.source.options.symbol names it"
        ),
        "other_symbol": Rule(
            doc="The file holds one topic. drop: leave lines of others out",
            actions=("error", "drop"),
        ),
    }
)

_NAME: Final = re.compile(r"(?P<day>\d{4}-\d\d-\d\d)_(?P<symbol>[A-Z0-9-]+)_ob\d+\.data")
_TOPIC: Final = re.compile(r"orderbook\.(?P<levels>[0-9]{1,4})\.(?P<symbol>[A-Z0-9-]+)")
_TRADE_COLUMNS: Final = ("timestamp", "symbol", "side", "size", "price")
_TIME_MIN: Final = 10**12
_TIME_MAX: Final = 4 * 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class BybitObOptions:
    """Options of the reader of Bybit's archives."""

    symbol: str = option("", "Symbol to read; empty: the only one of the file")
    trades: str = option(
        "auto",
        "Trades of the day: auto (SYMBOL2024-12-01.csv.gz or .csv beside the book, if it is "
        "there), none, or a path from the book's folder",
    )
    reorder_ms: int = option(
        1_000, "How much later than a newer message one may come", "ms", 0, 60_000
    )


def companions(path: Path, options: BybitObOptions) -> tuple[Path, ...]:
    """Return the archive of trades beside a book, if there is one."""
    if options.trades == "none":
        return ()
    if options.trades != "auto":
        return (path.parent / options.trades,)
    match = _NAME.match(path.name)
    if match is None:
        return ()
    stem = f"{match['symbol']}{match['day']}"
    beside = (path.with_name(f"{stem}.csv.gz"), path.with_name(f"{stem}.csv"))
    return tuple(one for one in beside if one.is_file())[:1]


def read(request: Request) -> Rows:
    """Read one archive, and the trades beside it.

    Raises:
        DataError: A file is damaged or a line breaks a rule; the message names file and line.
    """
    options: BybitObOptions = request.options
    door = _Door(request=request, options=options)
    survey = door.survey()
    product = request.product(survey.day)
    door.meet(survey, product)
    audit = request.audit
    maker = DepthMaker(
        grid=Grid(product=product, audit=audit, unit="line"),
        visible_levels=survey.levels,
        has_snapshot=survey.has_snapshot,
    )
    streams = [Stream(blocks=door.messages(survey.topic), maker=maker, unit="line")]
    for path in companions(request.file, options):
        unit = f"{path.name} line"
        grid = Grid(product=product, audit=audit, unit=unit)
        blocks = _trades(open_csv(path, unit), audit, survey.symbol)
        streams.append(Stream(blocks=blocks, maker=TradeMaker(grid=grid), unit=unit))
    merge = Merge(
        streams=streams,
        audit=audit,
        clock=LocalClock(is_kept=False),
        reach_ns=options.reorder_ms * NS_PER_MS,
    )
    yield from merge.rows()
    if not merge.tape.row_count:
        raise DataError(f"{audit.source}: no row can be used")
    day = day_of(merge.tape.first_ns)
    return Summary(
        instrument=product.exchange_part(visible_levels=survey.levels),
        sessions=(Session(name=day.isoformat(), row_start=0, row_stop=merge.tape.row_count),),
        facts={
            "lines": survey.lines,
            "topic": survey.topic,
            "trade_files": [path.name for path in companions(request.file, options)],
            "local_clock": False,
            **merge.facts(),
            "product": product.to_json(),
        },
    )


@dataclass(slots=True)
class _Survey:
    """What is known after the first pass over the file."""

    lines: int = 0
    topic: str = ""
    symbol: str = ""
    levels: int = 0
    day: datetime.date = EPOCH
    has_snapshot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Door:
    """Decodes the lines of the book."""

    request: Request
    options: BybitObOptions

    def survey(self) -> _Survey:
        """Return what the lines tell at a glance."""
        audit, found = self.request.audit, _Survey()
        for block in line_blocks(self.request.file):
            lines = block_lines(block, audit.source)
            found.lines += len(lines)
            found.has_snapshot |= bool(lines.str.contains(r'"type": ?"snapshot"').any())
            if not found.topic:
                # Lines that cannot be read are told when they are read for good.
                lenient = Audit(audit.source, JSON_RULES, {"bad_line": "drop"})
                self._first(self._frame(block, lenient), found)
        if not found.lines:
            raise DataError(f"{audit.source}: the file holds no line")
        if not found.topic:
            raise DataError(f"{audit.source}: line 1: no line is a message of an order book")
        return found

    def _first(self, frame: "pl.DataFrame", found: _Survey) -> None:
        """Take topic and day of the first message of the symbol."""
        for number, topic, exch_ns in frame.select("number", "topic", "exch_ns").iter_rows():
            match = _TOPIC.fullmatch(topic)
            if match is None:
                detail = f"expected a topic orderbook.N.SYMBOL, found {topic[:60]}"
                raise DataError(f"{self.request.audit.source}: line {number}: {detail}")
            if self.options.symbol in ("", match["symbol"]):
                found.topic, found.symbol = topic, match["symbol"]
                found.levels = int(match["levels"])
                found.day = day_of(exch_ns)
                return

    def meet(self, survey: _Survey, product: Product) -> None:
        """Hold the symbol against the product."""
        if not self.options.symbol and not product.name.startswith(survey.symbol):
            detail = f"the symbol is {survey.symbol}, the product {product.name}"
            advice = f"set data.source.options.symbol to {survey.symbol} if they are the same"
            self.request.audit.hit("market", "line 1", f"{detail}; {advice}")

    def messages(self, topic: str) -> Iterator[Batch]:
        """Yield the messages of a topic."""
        import polars as pl

        audit = self.request.audit
        for block in line_blocks(self.request.file):
            frame = self._frame(block, audit)
            is_other = (frame["topic"] != topic).to_numpy()
            if is_other.any() and not self.options.symbol:
                row = int(is_other.argmax())
                detail = f"expected the topic {topic}, found {frame['topic'][row]}"
                where = f"line {frame['number'][row]}"
                audit.hit("other_symbol", where, detail, count=int(is_other.sum()))
            frame = frame.filter(pl.Series(~is_other))
            yield Batch(
                frame=frame.select("number", "type", "update", "b", "a"),
                number=frame["number"].to_numpy(),
                exch_ns=frame["exch_ns"].to_numpy(),
                local_ns=np.zeros(frame.height, np.int64),
            )

    def _frame(self, block: Block, audit: Audit) -> "pl.DataFrame":
        """Return number, topic, type, exch_ns, update, b and a of good lines."""
        import polars as pl

        lines = block_lines(block, audit.source)
        number = np.arange(block.first_line, block.first_line + len(lines))
        empty = lines.is_null()
        if empty.any():
            audit.hit_rows("bad_line", empty.to_numpy(), numbered("line", number), "an empty line")
            number, lines = number[~empty.to_numpy()], lines.filter(~empty)
        levels = pl.List(pl.List(pl.String))
        data = pl.Struct({"s": pl.String, "b": levels, "a": levels, "u": pl.String})
        names = ("topic", "type", "ts", "cts")
        form = pl.Struct(dict.fromkeys(names, pl.String()) | {"data": data})
        decoded = decode(lines, form, number, audit)
        frame = decoded.values.struct.unnest().unnest("data")
        frame = frame.with_columns(number=pl.Series(number[decoded.is_good]))
        return _settle(frame, audit)


def _settle(frame: "pl.DataFrame", audit: Audit) -> "pl.DataFrame":
    """Check what must be there, and read times and counts."""
    import polars as pl

    bad = np.zeros(frame.height, bool)
    for name in ("topic", "type", "ts", "b", "a", "u"):
        bad |= frame[name].is_null().to_numpy()
    update, wrong = integers(frame["u"])
    bad |= wrong | ~frame["type"].is_in(["snapshot", "delta"]).fill_null(value=False).to_numpy()
    has_engine = frame["cts"].is_not_null()
    at, wrong = integers(frame.select(pl.coalesce("cts", "ts"))["cts"])
    bad |= wrong | (at < _TIME_MIN) | (at > _TIME_MAX)
    audit.hit_rows(
        "bad_line",
        bad,
        numbered("line", frame["number"]),
        lambda row: f"a message of another form: {frame.row(row, named=True)!r:.160}",
    )
    made = frame.with_columns(
        exch_ns=pl.Series(at * NS_PER_MS), update=pl.Series(update), has_engine=has_engine
    )
    return made.filter(pl.Series(~bad))


def _trades(file: CsvFile, audit: Audit, symbol: str) -> Iterator[Batch]:
    """Yield the trades of an archive."""
    import polars as pl

    missing = [name for name in _TRADE_COLUMNS if name not in file.header]
    if missing:
        found = ",".join(file.header)[:200]
        message = f"line 1: expected the columns {', '.join(_TRADE_COLUMNS)}, found {found}"
        raise DataError(f"{file.path}: {message}")
    for block in file.blocks(audit):
        exch_ns, bad = nanoseconds(block.frame["timestamp"])
        where = numbered(file.unit, block.number)
        audit.hit_rows("bad_line", bad, where, "a time in seconds is missing")
        other: npt.NDArray[np.bool_] = block.frame["symbol"].ne_missing(symbol).to_numpy()
        audit.hit_rows("other_symbol", other & ~bad, where, f"no trade of {symbol}")
        frame = block.frame.select(
            side=pl.col("side").str.to_lowercase(), price="price", amount="size"
        )
        whole = Batch(
            frame=frame,
            number=block.number,
            exch_ns=exch_ns,
            local_ns=np.zeros(len(exch_ns), np.int64),
        )
        yield whole.where(~(bad | other))
