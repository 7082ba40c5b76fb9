"""Reads the daily trade files of TAIFEX: every trade of every futures contract of one trade day.

A file is `Daily_YYYY_MM_DD.zip` with one CSV, or that CSV, in Big5 with a header line. What was
found in such files, and what is made of it:

- Columns: date, product, expiry, HHMMSS, price, quantity, near price, far price, auction mark. The
  product and the expiry are padded with blanks.
- The quantity counts both sides (B+S): it is halved. An odd one breaks a rule.
- Expiries: a month (`202108`), a week (`202107W4`), or two months (`202108/202109`) for a calendar
  spread traded against a spread. The price of a spread is far minus near, may be 0 or below, and
  has its own finer grid. The file `_C` holds spreads alone; `_B` is a summary without trades.
- The file is sorted by contract, then by time. Times are whole seconds; trades of one second keep
  the order of the file and form one group.
- The night session of a trade day comes first and carries the dates of its two calendar days.
- `*` marks a trade of the opening call auction; it stays an ordinary trade. In the file `_C` it
  marks a spread that traded against a spread.

There is no book and no side. Where queues stand cannot be known from such a file: it serves
prices, volumes and activity, not queue positions. Sides come from the tick rule and are a guess.
"""

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.errors import DataError
from sweep.products import Product
from sweep.readers.audit import Rule
from sweep.readers.options import option
from sweep.readers.packed_files import open_packed
from sweep.readers.price_grid import OFF_GRID, PriceTexts, tick_rule
from sweep.readers.taiwan_clock import (
    SECOND_NS,
    Sessions,
    date_of,
    futures_flags,
    futures_session_key,
    futures_session_name,
    midnight_ns,
)
from sweep.readers.ticks import COLUMNS, KIND_TRADE, Columns, Request, Rows, Summary

_CHUNK_ROWS: Final = 1 << 18
_LINE_BYTES_MAX: Final = 512
_READ_BYTES: Final = 1 << 20
_QUANTITY_MAX: Final = 2_000_000

# Codes of the trade files where they differ from those of contracts.
_FILE_CODES: Final = {"TXF": "TX", "MXF": "MTX", "EXF": "TE", "FXF": "TF"}

# Whole lines of trades, as many as there are; and the ones of a product, between line ends.
_TRADE_LINES: Final = re.compile(
    rb"(?:\d{8},[A-Z0-9]{2,3} *,[0-9W/F]+ *,\d{6},-?\d*\.?\d+,\d{1,9},"
    rb"(?:-|\d*\.?\d+),(?:-|\d*\.?\d+),[ *]? ?\r?\n)*+"
)
_OF_PRODUCT: Final = (
    rb"\n(\d{8}),%b *,([0-9W/F]+) *,(\d{6}),(-?\d*\.?\d+),(\d{1,9}),[^,\n]*,[^,\n]*,([ *]?)"
)
_TRADES_HEADER: Final = ("成交日期", "商品代號", "到期月份(週別)", "成交時間", "成交價格")
# What a star in the last column means, by the name of the column.
_MARKS: Final = {
    "開盤集合競價": "auction_trades",
    "屬價差對價差成交者": "spread_against_spread_trades",
}
_SUMMARY_TITLE: Final = "期貨價差委託成交概況表"

RULES: Final = {
    "even_quantity": Rule(
        doc="The quantity counts buyer and seller, so it is even; drop leaves the trade out",
        actions=("error", "drop"),
    ),
    "price_grid": Rule(
        doc="Prices are on the tick grid of the product; drop leaves the trade out",
        actions=("error", "drop"),
    ),
    "price_sign": Rule(
        doc="A contract of a single month trades above 0; drop leaves the trade out",
        actions=("error", "drop"),
    ),
    "time_order": Rule(
        doc="Times of a contract never fall; repair raises a time to that of the trade before",
        actions=("error", "repair", "drop"),
    ),
    "trading_hours": Rule(
        doc="Trades lie within 15:00 to 05:00 or 08:45 to 13:45; count keeps them",
        actions=("count", "drop", "error"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaifexDailyOptions:
    """Which contract of the file is read."""

    product_code: str = option(
        "", "Code in the file; empty: that of the instrument (TXF is TX, MXF is MTX)"
    )
    expiry: str = option(
        "", "202108, 202107W4 or 202108/202109; empty: the month with the most volume"
    )


@dataclass(slots=True)
class _Found:
    """What the first pass learns: lines, meaning of the mark, and the volume of each expiry."""

    lines: int = 0
    mark: str = ""
    lots: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Batch:
    """Trades of the contract, as columns."""

    line: list[int]
    exch_ns: list[int]
    price: list[int]
    lots: list[int]

    def add(self, line: int, exch_ns: int, price: int, lots: int) -> None:
        self.line.append(line)
        self.exch_ns.append(exch_ns)
        self.price.append(price)
        self.lots.append(lots)


def read(request: Request) -> Rows:
    """Read the trades of one contract of a daily file.

    Raises:
        DataError: The file is damaged, is a summary, or a row breaks a rule.
        InputError: The product is not known.
    """
    options: TaifexDailyOptions = request.options
    code = options.product_code or _FILE_CODES.get(request.instrument, request.instrument)
    found = _survey(request, code)
    expiry = options.expiry or _front(request, code, found)
    if expiry not in found.lots:
        known = ", ".join(sorted(found.lots)) or "none of this product"
        raise DataError(f"{request.file}: no trade of {code} {expiry}; found {known}")
    reading = _Reading(request, code, expiry)
    yield from reading.chunks()
    return reading.summary(found)


def _front(request: Request, code: str, found: _Found) -> str:
    """Return the single month with the most volume; the nearest of equals."""
    months = {name: lots for name, lots in found.lots.items() if "/" not in name}
    if months:
        return min(months, key=lambda name: (-months[name], name))
    if found.lots:
        spreads = ", ".join(sorted(found.lots))
        message = f"{request.file}: the trades of {code} are calendar spreads ({spreads})"
        raise DataError(f"{message}; choose one by data.source.options.expiry")
    raise DataError(
        f"{request.file}: no trade of {code}; data.source.options.product_code names it"
    )


def _survey(request: Request, code: str) -> _Found:
    """Read all lines once: form of each, and the volume of each expiry of the product."""
    found = _Found()
    lots: dict[bytes, int] = {}
    for _, match in _matches(request, code, found):
        lots[match[2]] = lots.get(match[2], 0) + int(match[5]) // 2
    found.lots = {name.decode(): count for name, count in lots.items()}
    return found


class _Reading:
    """The second pass, over the trades of one contract."""

    def __init__(self, request: Request, code: str, expiry: str) -> None:
        self._request = request
        self._code = code
        self._expiry = expiry
        self._product: Product | None = None
        self._prices: PriceTexts | None = None
        self._midnights: dict[bytes, int] = {}
        self._last_ns = 0
        self._last_trade: tuple[int, int] | None = None
        self._sessions = Sessions(futures_session_name)
        self._rows = 0
        self._marked = 0
        self._second = (0, 0)  # time and trades of the running second
        self._second_max = 0

    def chunks(self) -> Iterator[Columns]:
        """Yield the rows of the contract."""
        batch = _Batch([], [], [], [])
        wanted = self._expiry.encode()
        for line, match in _matches(self._request, self._code, _Found()):
            if match[2] == wanted:
                self._take(batch, line, match)
                if len(batch.line) == _CHUNK_ROWS:
                    yield self._columns(batch)
                    batch = _Batch([], [], [], [])
        if batch.line:
            yield self._columns(batch)
        if not self._rows:
            message = (
                f"{self._request.file}: every trade of {self._code} {self._expiry} was left out"
            )
            raise DataError(f"{message}; see the rules")

    def _take(self, batch: _Batch, line: int, match: re.Match[bytes]) -> None:
        audit = self._request.audit
        where = f"line {line}"
        exch_ns = self._time(line, match[1], match[3])
        quantity = int(match[5])
        if not 0 < quantity <= _QUANTITY_MAX:
            found = f"expected a quantity in [2, {_QUANTITY_MAX}], found {quantity}"
            raise DataError(f"{self._request.file}: {where}: {found}")
        if quantity % 2:
            detail = f"expected an even quantity (B+S), found {quantity}"
            audit.hit("even_quantity", where, detail)
            return
        price = self._price(match[4].decode(), exch_ns)
        if price == OFF_GRID:
            detail = f"expected a price on the tick grid, found {match[4].decode()}"
            audit.hit("price_grid", where, detail)
            return
        if price <= 0 and "/" not in self._expiry:
            detail = f"expected a price above 0, found {match[4].decode()}"
            audit.hit("price_sign", where, detail)
            return
        if exch_ns < self._last_ns:
            detail = f"the time {match[3].decode()} is before that of the trade above"
            if audit.hit("time_order", where, detail) == "drop":
                return
            exch_ns = self._last_ns
        self._last_ns = exch_ns
        self._marked += match[6] == b"*"
        batch.add(line, exch_ns, price, quantity // 2)

    def _time(self, line: int, date: bytes, clock: bytes) -> int:
        start = self._midnights.get(date)
        if start is None:
            try:
                day = datetime.datetime.strptime(date.decode(), "%Y%m%d").date()
            except ValueError as error:
                message = (
                    f"{self._request.file}: line {line}: expected a date, found {date.decode()}"
                )
                raise DataError(message) from error
            start = self._midnights[date] = midnight_ns(day)
        hour, minute, second = int(clock[:2]), int(clock[2:4]), int(clock[4:])
        if hour > 23 or minute > 59 or second > 59:
            found = f"expected a time as HHMMSS, found {clock.decode()}"
            raise DataError(f"{self._request.file}: line {line}: {found}")
        return start + (hour * 3_600 + minute * 60 + second) * SECOND_NS

    def _price(self, text: str, exch_ns: int) -> int:
        if self._prices is None:
            self._product = self._request.product(date_of(exch_ns))
            self._prices = PriceTexts(self._product, is_difference="/" in self._expiry)
        return self._prices.tick(text)

    def _columns(self, batch: _Batch) -> Columns:
        exch_ns = np.array(batch.exch_ns, np.int64)
        line = np.array(batch.line)
        price = np.array(batch.price, np.int64)
        lots = np.array(batch.lots, np.int64)
        kept = self._inside(exch_ns, line)
        exch_ns, price, lots = exch_ns[kept], price[kept], lots[kept]
        side = tick_rule(price, self._last_trade)
        if len(price):
            self._last_trade = (int(price[-1]), int(side[-1]))
        if len(exch_ns):
            key = futures_session_key(exch_ns)
            self._sessions.note(key, self._rows + np.arange(len(key)))
        self._note_seconds(exch_ns)
        self._rows += len(price)
        values: dict[str, Any] = {
            "exch_ns": exch_ns,
            "kind": np.full(len(price), KIND_TRADE),
            "side": side,
            "flags": np.zeros(len(price)),
            "price": price,
            "qty": lots,
        }
        return {name: array.astype(COLUMNS[name]) for name, array in values.items()}

    def _inside(self, exch_ns: npt.NDArray[Any], line: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        outside = futures_flags(exch_ns) > 0
        if outside.any():
            first = int(outside.argmax())
            detail = "a trade outside of trading hours"
            count = int(outside.sum())
            action = self._request.audit.hit(
                "trading_hours", f"line {line[first]}", detail, count=count
            )
            if action == "drop":
                return ~outside
        return np.ones(len(exch_ns), bool)

    def _note_seconds(self, exch_ns: npt.NDArray[Any]) -> None:
        times, counts = np.unique(exch_ns, return_counts=True)
        if not len(times):
            return
        if times[0] == self._second[0]:
            counts[0] += self._second[1]
        self._second = (int(times[-1]), int(counts[-1]))
        self._second_max = max(self._second_max, int(counts.max()))

    def summary(self, found: _Found) -> Summary:
        """Return what is known once every chunk was taken."""
        assert self._product is not None
        facts = {
            "lines": found.lines,
            "contract": f"{self._code} {self._expiry}",
            "lots_by_expiry": dict(sorted(found.lots.items())),
            "trades": self._rows,
            found.mark: self._marked,
            "trades_per_second_max": self._second_max,
            "time": "whole seconds; trades of one second in the order of the file",
            "sides": "guessed by the tick rule",
            "queue_position": "not knowable: no book is recorded",
            "local_clock": False,
            "product": self._product.to_json(),
        }
        instrument = self._product.exchange_part(visible_levels=0)
        return Summary(
            instrument=instrument, sessions=self._sessions.listed(self._rows), facts=facts
        )


def _matches(request: Request, code: str, found: _Found) -> Iterator[tuple[int, re.Match[bytes]]]:
    """Yield the trade lines of a product with their numbers, the header being line 1.

    Every line of the file is checked; what was found is noted.

    Raises:
        DataError: The file is no such file, or a line has another form.
    """
    path = request.file
    of_product = re.compile(_OF_PRODUCT % re.escape(code.encode()))
    with open_packed(path) as file:
        rest = file.read(_READ_BYTES)
        header, end, rest = rest.partition(b"\n")
        found.mark = _read_header(request, header + end)
        while True:
            cut = rest.rfind(b"\n") + 1
            lines, rest = rest[:cut], rest[cut:]
            number = found.lines + 1  # of the line before these
            found.lines += _checked(path, lines, number)
            at, text = 0, b"\n" + lines
            for match in of_product.finditer(text):
                number += text.count(b"\n", at, match.start() + 1)
                at = match.start() + 1
                yield number, match
            chunk = file.read(_READ_BYTES)
            if not chunk or len(rest) > _LINE_BYTES_MAX:
                break
            rest += chunk
        if rest:
            raise _bad_line(path, found.lines + 2, rest)


def _checked(path: Path, lines: bytes, before: int) -> int:
    """Return the number of lines, all of which are trades."""
    match = _TRADE_LINES.match(lines)
    good = match.end() if match else 0
    if good < len(lines):
        raise _bad_line(path, before + lines.count(b"\n", 0, good) + 1, lines[good:])
    return lines.count(b"\n")


def _bad_line(path: Path, number: int, text: bytes) -> DataError:
    message = "expected date, product, expiry, time, price, quantity, near, far, mark"
    found = text.split(b"\n", 1)[0][:80]
    return DataError(f"{path}: line {number}: {message}; found {found!r}")


def _read_header(request: Request, line: bytes) -> str:
    """Return what the mark of the last column means."""
    path = request.file
    try:
        text = line.decode("cp950")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: line 1: expected a header in Big5: {error}") from error
    cells = [cell.strip() for cell in text.split(",")]
    if cells[0] == _SUMMARY_TITLE:
        message = "a summary of spread volumes by product, which holds no trade"
        raise DataError(f"{path}: line 1: {message}; use the daily file without _B")
    if tuple(cells[:5]) != _TRADES_HEADER or cells[-1] not in _MARKS:
        expected = ",".join(_TRADES_HEADER)
        raise DataError(f"{path}: line 1: expected a header starting {expected}, found {text!r}")
    return _MARKS[cells[-1]]
