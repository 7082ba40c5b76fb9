"""Reads the fixed-width files of the TWSE data shop: five-level quotes and trades.

A file is one trade day of all securities, one record a line; the kind shows in the length of a
line (the exchange's descriptions H1 to H3, the longer ones hold since 2020-03):

- quotes (`dsp`, 186 or 190 characters): marks, last price, volume of the day so far in lots, five
  levels a side in lots, prices in hundredths. The volume's rise since the record before is the
  trade, at the last price; it comes before the picture, which shows the book after it.
- trades (`mth`, 63 or 67): a line for each side of a trade, joined by the trade number; shares.
- orders (`odr`, 59 or 63): refused. They are orders without the trades that consume them, keyed by
  broker and ticket, and trades are re-assigned between tickets later: no book can be rebuilt.

Marks of quotes: `T` trial matching before open and close, and `S` matching put off by the
stabilising measure, make INDICATIVE rows. `C` in the trend mark is a price in the middle of an
order that traded at several prices: its record shows no book, which is not an empty book. In trial
matching a level at price 0 holds market orders and has no place in the book.

Times are to the hundredth of a second up to 2020-03-22 and to the microsecond since. Until then the
exchange matched in call auctions every few seconds: each record is the result of one.

Known limits: the side of a trade is not told; it is the side of the best price it reached in the
record before (quotes) or the tick rule's guess (trades). Trades of the call auctions are ordinary
trades. Five levels are all that is known.
"""

import dataclasses
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.errors import DataError
from sweep.products import Product
from sweep.readers.audit import Action, Rule, numbered
from sweep.readers.book_images import (
    SIDE_UNKNOWN,
    BookImages,
    Records,
    crossed,
    misordered,
    without_market_orders,
)
from sweep.readers.fixed_width import Lines, line_length, read_lines
from sweep.readers.options import option
from sweep.readers.price_grid import PriceGrid, tick_rule, whole_lots
from sweep.readers.taiwan_clock import Sessions, midnight_ns
from sweep.readers.ticks import (
    COLUMNS,
    KIND_TRADE,
    SIDE_ASK,
    SIDE_BID,
    Columns,
    Request,
    Rows,
    Summary,
)

Array = npt.NDArray[Any]

VISIBLE_LEVELS: Final = 5
_HUNDREDTH: Final = Decimal("0.01")
_CODE_WIDTH: Final = 6
_PRICE_WIDTH: Final = 6
_VOLUME_WIDTH: Final = 8
_LEVEL_WIDTH: Final = _PRICE_WIDTH + _VOLUME_WIDTH

# A day's first record this early starts from no volume at all.
_OPENING_NS: Final = (9 * 3_600 + 5 * 60) * 1_000_000_000
_QUANTITY_MAX: Final = 1 << 30

RULES: Final = {
    "time_order": Rule(
        doc="Times of a security never fall; repair raises a time to that of the record before",
        actions=("error", "repair", "drop"),
    ),
    "price_grid": Rule(
        doc="Prices are on the tick grid of the product; drop leaves the record out",
        actions=("error", "drop"),
    ),
    "level_count": Rule(
        doc="As many levels are filled as the record says; count keeps what is filled",
        actions=("error", "count"),
    ),
    "level_order": Rule(
        doc="Levels go from the best price on, without holes; drop leaves the record out",
        actions=("error", "drop"),
    ),
    "crossed": Rule(
        doc="Outside of trial matching the best bid is below the best ask",
        actions=("count", "drop", "error"),
    ),
    "market_price_level": Rule(
        doc="A level at price 0 holds market orders of an auction; drop leaves the level out",
        actions=("drop", "error"),
    ),
    "match_mark": Rule(
        doc="Volume rises, and the price changes, in records marked Y only, and in each of them; "
        "count makes a trade of every rise",
        actions=("error", "count"),
    ),
    "volume_falls": Rule(
        doc="The volume of the day never falls; count starts anew from the lower volume",
        actions=("error", "count"),
    ),
    "trade_kind": Rule(
        doc="Trades are of board lots in regular trading; drop leaves blocks and odd lots out",
        actions=("drop", "error"),
    ),
    "two_sides": Rule(
        doc="The lines of one trade number buy and sell equal shares at one price and time; count "
        "takes the larger side, drop leaves the trade out",
        actions=("count", "drop", "error"),
    ),
    "board_lot": Rule(
        doc="Shares of a regular trade are whole lots; drop leaves the trade out",
        actions=("error", "drop"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TwseFixedOptions:
    """Which security of the file is read."""

    code: str = option("", "Code in the file; empty: the instrument's name")


@dataclass(frozen=True, slots=True)
class _Layout:
    """Kind of a file and the width of its times; all else follows from them."""

    kind: str
    time_width: int


def read(request: Request) -> Rows:
    """Read one security of a quote or trade file.

    Raises:
        DataError: The file is damaged, holds orders, or a record breaks a rule.
        InputError: The product is not known.
    """
    layout = _layout(request.file)
    reading: _Quotes | _Trades
    reading = _Quotes(request, layout) if layout.kind == "quotes" else _Trades(request, layout)
    yield from reading.chunks()
    return reading.summary()


def _layout(path: Path) -> _Layout:
    width = line_length(path)
    layouts = {186: _Layout("quotes", 8), 190: _Layout("quotes", 12), 67: _Layout("trades", 12)}
    if width in layouts:
        return layouts[width]
    if width == 63:
        # Trades of old and orders of today are equally long: a price has its point where an order
        # has the sign of its quantity.
        first = next(read_lines(path))
        if first.text[0, 41] == ord("."):
            return _Layout("trades", 8)
    if width in (59, 63):
        message = "an order file: orders without their trades, keyed by broker and ticket; no book"
        raise DataError(f"{path}: {message} can be rebuilt from it. Use the quotes or the trades")
    known = "186 or 190 characters (quotes), 63 or 67 (trades)"
    raise DataError(f"{path}: line 1: expected {known}, found {width}")


def _date(number: int) -> datetime.date:
    return datetime.date(number // 10_000, number // 100 % 100, number % 100)


class _Reading:
    """What both kinds share: choosing lines, times, sessions."""

    def __init__(self, request: Request, layout: _Layout) -> None:
        options: TwseFixedOptions = request.options
        self.request = request
        self.layout = layout
        self.code = (options.code or request.instrument).encode()
        self.product: Product | None = None
        self.records = 0
        self.records_chosen = 0
        self.row_count = 0
        self._last_ns = 0
        self.days = Sessions(lambda day: _date(day).isoformat())

    def lines(self, code_start: int) -> Iterator[Lines]:
        wanted = self.code.ljust(_CODE_WIDTH)
        for block in read_lines(self.request.file):
            self.records += len(block)
            chosen = block.chosen(block.holds(code_start, wanted))
            self.records_chosen += len(chosen)
            if len(chosen):
                yield chosen
        if not self.records_chosen:
            message = f"no record of {self.code.decode()} among {self.records}"
            raise DataError(f"{self.request.file}: {message}; data.source.options.code names it")

    def grid(self, date: int) -> PriceGrid:
        if self.product is None:
            self.product = self.request.product(_date(date))
        return PriceGrid(self.product, _HUNDREDTH)

    def times(self, lines: Lines, date_start: int, time_start: int) -> tuple[Array, Array]:
        """Return date and exchange time of each line."""
        width = self.layout.time_width
        date = lines.numbers(date_start, 8, "a date")
        clock = lines.numbers(time_start, width, "a time")
        hour, rest = np.divmod(clock, 10 ** (width - 2))
        minute, rest = np.divmod(rest, 10 ** (width - 4))
        second, part = np.divmod(rest, 10 ** (width - 6))
        bad = (hour > 23) | (minute > 59) | (second > 59)
        lines.refuse(bad, time_start, width, "expected a time of day")
        start = np.zeros(len(date), np.int64)
        for day in np.unique(date).tolist():
            rows = date == day
            try:
                start[rows] = midnight_ns(_date(day))
            except ValueError:
                lines.refuse(rows, date_start, 8, "expected a date")
        seconds = (hour * 60 + minute) * 60 + second
        return date, start + seconds * 1_000_000_000 + part * 10 ** (15 - width)

    def ordered(self, lines: Lines, exch_ns: Array) -> tuple[Array, Array]:
        """Return times that do not fall, and which lines stay."""
        high = np.maximum.accumulate(np.concatenate(([self._last_ns], exch_ns)))
        self._last_ns = int(high[-1])
        falls = exch_ns < high[:-1]
        if self.hit("time_order", lines, falls, "a time before that of the record above") == "drop":
            return exch_ns, ~falls
        return high[1:], np.ones(len(exch_ns), bool)

    def hit(self, rule: str, lines: Lines, bad: Array, detail: str) -> Action | None:
        """Count bad lines; return what to do about them, None if none is bad."""
        return self.request.audit.hit_rows(rule, bad, numbered("line", lines.number), detail)

    def facts(self) -> dict[str, Any]:
        assert self.product is not None
        return {
            "records": self.records,
            "records_chosen": self.records_chosen,
            "time": "hundredths of a second" if self.layout.time_width == 8 else "microseconds",
            "local_clock": False,
            "product": self.product.to_json(),
        }


class _Quotes(_Reading):
    """Five-level quotes."""

    def __init__(self, request: Request, layout: _Layout) -> None:
        super().__init__(request, layout)
        self._images = BookImages(VISIBLE_LEVELS)
        self._volume = 0
        self._price = 0
        self._was_trial = False
        self._counts = {
            "auction_trades": 0,
            "lots_before_the_file": 0,
            "intermediate_prices": 0,
            "stabilising_records": 0,
            "limit_up_records": 0,
            "limit_down_records": 0,
        }

    def chunks(self) -> Iterator[Columns]:
        for lines in self.lines(0):
            columns = self._columns(lines)
            if columns is not None:
                yield columns

    def _columns(self, lines: Lines) -> Columns | None:
        at = _CODE_WIDTH + self.layout.time_width
        body = at + 4
        date_start = body + _LEVEL_WIDTH + 2 * (2 + VISIBLE_LEVELS * _LEVEL_WIDTH)
        date, exch_ns = self.times(lines, date_start, _CODE_WIDTH)
        exch_ns, kept = self.ordered(lines, exch_ns)
        kept &= self._kept(lines, date, body)
        lines, date, exch_ns = lines.chosen(kept), date[kept], exch_ns[kept]
        if not len(lines):
            return None
        remark = lines.marks(at, b" TSA", "the remark")
        trend = lines.marks(at + 1, b" RFC", "the trend mark")
        is_trial = (remark == ord("T")) | (remark == ord("S"))
        is_middle = trend == ord("C")
        begins = self.days.begins(date)
        price, lots = self._trades(lines, at, begins, exch_ns, is_trial)
        bid_price, bid_qty = self._side(lines, date, body + _LEVEL_WIDTH, is_trial)
        ask_start = body + _LEVEL_WIDTH + 2 + VISIBLE_LEVELS * _LEVEL_WIDTH
        ask_price, ask_qty = self._side(lines, date, ask_start, is_trial)
        self._note_marks(lines, at, remark, is_middle)
        records = Records(
            exch_ns=exch_ns,
            local_ns=None,
            is_indicative=is_trial,
            is_reset=begins,
            is_gap=np.zeros(len(lines), bool),
            is_image=~is_middle,
            bid_price=bid_price,
            bid_qty=bid_qty,
            ask_price=ask_price,
            ask_qty=ask_qty,
            trade_price=price,
            trade_qty=lots,
            trade_side=np.full(len(lines), SIDE_UNKNOWN),
        )
        records = self._uncrossed(lines, records)
        columns, first_row = self._images.rows(records)
        self.days.note(date, self.row_count + first_row)
        self.row_count += len(columns["exch_ns"])
        return columns

    def _levels(self, lines: Lines, start: int) -> tuple[Array, Array]:
        """Return prices in hundredths and lots of one side."""
        offsets = range(start + 2, start + 2 + VISIBLE_LEVELS * _LEVEL_WIDTH, _LEVEL_WIDTH)
        prices = [lines.numbers(at, _PRICE_WIDTH, "a price") for at in offsets]
        lots = [lines.numbers(at + _PRICE_WIDTH, _VOLUME_WIDTH, "lots") for at in offsets]
        return np.stack(prices, axis=1), np.stack(lots, axis=1)

    def _kept(self, lines: Lines, date: Array, body: int) -> Array:
        """Return the records whose prices are on the grid and in order."""
        grid = self.grid(int(date[0]))
        keep = np.ones(len(lines), bool)
        price = lines.numbers(body, _PRICE_WIDTH, "the trade price")
        _, off = grid.ticks(price)
        bad_order = np.zeros(len(lines), bool)
        start = body + _LEVEL_WIDTH
        for side in (SIDE_BID, SIDE_ASK):
            prices, lots = self._levels(lines, start)
            _, level_off = grid.ticks(prices)
            off |= (level_off & (lots > 0)).any(axis=1)
            prices, lots = without_market_orders(prices, lots)
            bad_order |= misordered(prices, lots, side=side)
            start += 2 + VISIBLE_LEVELS * _LEVEL_WIDTH
        if self.hit("price_grid", lines, off, "a price off the tick grid") == "drop":
            keep &= ~off
        bad_order &= keep
        if self.hit("level_order", lines, bad_order, "levels that are no ladder") == "drop":
            keep &= ~bad_order
        return keep

    def _side(self, lines: Lines, date: Array, start: int, is_trial: Array) -> tuple[Array, Array]:
        """Return prices in ticks and lots of one side."""
        prices, lots = self._levels(lines, start)
        stated = lines.numbers(start, 1, "the number of levels")
        lines.marks(start + 1, b" RF", "the limit mark")
        odd = ((prices > 0) | (lots > 0)).sum(axis=1) != stated
        odd |= ((prices > 0) & (lots == 0)).any(axis=1)
        self.hit("level_count", lines, odd, "another number of levels than stated")
        market = (prices == 0) & (lots > 0)
        self.hit("market_price_level", lines, market.any(axis=1), "lots at the price 0")
        lines.refuse(market.any(axis=1) & ~is_trial, start, 2, "expected no lots at the price 0")
        prices, lots = without_market_orders(prices, lots)
        ticks, _ = self.grid(int(date[0])).ticks(prices)
        return ticks, lots

    def _trades(
        self, lines: Lines, at: int, begins: Array, exch_ns: Array, is_trial: Array
    ) -> tuple[Array, Array]:
        """Return price in ticks and lots of each record's trade, 0 lots where there is none."""
        match = lines.marks(at + 2, b" YS", "the match mark") == ord("Y")
        body = at + 4
        price = lines.numbers(body, _PRICE_WIDTH, "the trade price")
        volume = lines.numbers(body + _PRICE_WIDTH, _VOLUME_WIDTH, "the volume")
        before = np.concatenate(([self._volume], volume[:-1]))
        price_before = np.concatenate(([self._price], price[:-1]))
        late = begins & ((exch_ns + 8 * 3_600 * 10**9) % (86_400 * 10**9) >= _OPENING_NS)
        self._counts["lots_before_the_file"] += int(volume[late].sum())
        before = np.where(late, volume, np.where(begins, 0, before))
        price_before = np.where(begins, price, price_before)
        falls = volume < before
        self.hit("volume_falls", lines, falls, "less volume than in the record above")
        lots = np.where(falls, 0, volume - before)
        odd = ((lots > 0) != match) & ~(late & match)
        odd |= (price != price_before) & ~match
        detail = "volume or price changes without the mark Y, or a Y without a rise"
        self.hit("match_mark", lines, odd, detail)
        lines.refuse((lots > 0) & (price == 0), body, _PRICE_WIDTH, "expected a price of the trade")
        after_trial = np.concatenate(([self._was_trial], is_trial[:-1])) & ~is_trial
        self._counts["auction_trades"] += int(((lots > 0) & after_trial).sum())
        self._volume, self._price = int(volume[-1]), int(price[-1])
        self._was_trial = bool(is_trial[-1])
        assert self.product is not None
        ticks, _ = PriceGrid(self.product, _HUNDREDTH).ticks(price)
        return ticks, lots

    def _note_marks(self, lines: Lines, at: int, remark: Array, is_middle: Array) -> None:
        self._counts["intermediate_prices"] += int(is_middle.sum())
        self._counts["stabilising_records"] += int((remark == ord("S")).sum())
        bid_mark = at + 4 + _LEVEL_WIDTH + 1
        ask_mark = bid_mark + 2 + VISIBLE_LEVELS * _LEVEL_WIDTH
        places = (at + 3, bid_mark, ask_mark)
        marks = [lines.marks(place, b" RF", "a limit mark") for place in places]
        for name, mark in (("limit_up_records", b"R"), ("limit_down_records", b"F")):
            self._counts[name] += int((np.stack(marks) == mark[0]).any(axis=0).sum())

    def _uncrossed(self, lines: Lines, records: Records) -> Records:
        bad = crossed(records)
        if self.hit("crossed", lines, bad, "a best bid at or above the best ask") == "drop":
            return dataclasses.replace(records, is_image=records.is_image & ~bad)
        return records

    def summary(self) -> Summary:
        facts = self.facts() | self._images.counts | self._counts
        facts["sides"] = "by the best prices of the record before, else by the tick rule"
        assert self.product is not None
        instrument = self.product.exchange_part(visible_levels=VISIBLE_LEVELS)
        return Summary(
            instrument=instrument, sessions=self.days.listed(self.row_count), facts=facts
        )


class _Trades(_Reading):
    """Trades: a line for each side of each."""

    def __init__(self, request: Request, layout: _Layout) -> None:
        super().__init__(request, layout)
        self._last_trade: tuple[int, int] | None = None
        self._trades = 0

    def chunks(self) -> Iterator[Columns]:
        held: Lines | None = None
        for lines in self.lines(8):
            if held is not None:
                text = np.concatenate((held.text, lines.text))
                number = np.concatenate((held.number, lines.number))
                lines = Lines(path=lines.path, number=number, text=text)
            # The last trade of a block may go on in the next one.
            number_start = 16 + self.layout.time_width
            trade = lines.numbers(number_start, 8, "the trade number")
            others = np.flatnonzero(trade != trade[-1])
            first = int(others[-1]) + 1 if len(others) else 0
            held = lines.chosen(np.arange(first, len(lines)))
            if first:
                yield from self._columns(lines.chosen(np.arange(first)))
        if held is not None:
            yield from self._columns(held)
        if not self.row_count:
            message = f"every trade of {self.code.decode()} was left out"
            raise DataError(f"{self.request.file}: {message}; see the rules")

    def _columns(self, lines: Lines) -> Iterator[Columns]:
        kind = lines.marks(15, b"012", "the kind of trade")
        if self.hit("trade_kind", lines, kind != ord("0"), "a block or odd-lot trade") == "drop":
            lines = lines.chosen(kind == ord("0"))
        if not len(lines):
            return
        date, exch_ns = self.times(lines, 0, 16)
        side = lines.marks(14, b"BS", "the side")
        start = 16 + self.layout.time_width
        trade = lines.numbers(start, 8, "the trade number")
        price_start = start + 8 + 5
        whole = lines.numbers(price_start, 4, "the price")
        lines.marks(price_start + 4, b".", "the point of the price")
        price = whole * 100 + lines.numbers(price_start + 5, 2, "the price")
        shares = lines.numbers(price_start + 7, 9, "shares")
        grid = self.grid(int(date[0]))
        begins = np.flatnonzero(np.diff(trade, prepend=-1) != 0)
        bought = np.add.reduceat(np.where(side == ord("B"), shares, 0), begins)
        sold = np.add.reduceat(np.where(side == ord("S"), shares, 0), begins)
        one = np.ones(len(begins), bool)
        for values in (price, exch_ns, date):
            one &= np.maximum.reduceat(values, begins) == np.minimum.reduceat(values, begins)
        heads = lines.chosen(begins)
        date, exch_ns = date[begins], exch_ns[begins]
        keep = np.ones(len(begins), bool)
        odd = (bought != sold) | ~one
        if self.hit("two_sides", heads, odd, "the two sides of a trade differ") == "drop":
            keep &= ~odd
        ticks, off = grid.ticks(price[begins])
        off |= price[begins] == 0
        if self.hit("price_grid", heads, off, "a price off the tick grid") == "drop":
            keep &= ~off
        assert self.product is not None
        lots, broken = whole_lots(np.maximum(bought, sold), int(self.product.lot_size))
        broken |= (lots < 1) | (lots > _QUANTITY_MAX)
        if self.hit("board_lot", heads, broken, "shares that are no whole lots") == "drop":
            keep &= ~broken
        exch_ns, in_order = self.ordered(heads, exch_ns)
        keep &= in_order
        if keep.any():
            yield self._rows(date[keep], exch_ns[keep], ticks[keep], lots[keep])

    def _rows(self, date: Array, exch_ns: Array, ticks: Array, lots: Array) -> Columns:
        side = tick_rule(ticks, self._last_trade)
        self._last_trade = (int(ticks[-1]), int(side[-1]))
        self.days.note(date, self.row_count + np.arange(len(date)))
        self.row_count += len(ticks)
        values = {
            "exch_ns": exch_ns,
            "kind": np.full(len(ticks), KIND_TRADE),
            "side": side,
            "flags": np.zeros(len(ticks)),
            "price": ticks,
            "qty": lots,
        }
        return {name: array.astype(COLUMNS[name]) for name, array in values.items()}

    def summary(self) -> Summary:
        facts = self.facts() | {
            "trades": self.row_count,
            "sides": "guessed by the tick rule",
            "queue_position": "not knowable: no book is recorded",
        }
        assert self.product is not None
        instrument = self.product.exchange_part(visible_levels=0)
        return Summary(
            instrument=instrument, sessions=self.days.listed(self.row_count), facts=facts
        )
