"""The files of a LOBSTER recording: which belong together, and what their lines say, checked."""

import datetime
import re
import zoneinfo
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.errors import DataError, InputError
from sweep.products import Product
from sweep.readers.audit import Audit
from sweep.readers.book_images import misordered
from sweep.readers.number_tables import count_columns
from sweep.readers.packed_files import SUFFIXES
from sweep.readers.price_grid import PriceGrid, whole_lots
from sweep.readers.ticks import SIDE_ASK, SIDE_BID

Array = npt.NDArray[Any]

ADD, REDUCE, DELETE, EXECUTE, HIDDEN, CROSS, HALT = range(1, 8)
HALTED, QUOTING, TRADING = -1, 0, 1  # prices of a message of type HALT

MESSAGE_COLUMNS: Final = {
    "time": "float64",
    "type": "int64",
    "order_id": "int64",
    "size": "int64",
    "price": "int64",
    "direction": "int64",
}
# Some files tell the broker in a seventh column.
MESSAGE_COLUMNS_MAX: Final = len(MESSAGE_COLUMNS) + 1

_ZONE: Final = "America/New_York"
_DAY_S: Final = 86_400
_SECOND_NS: Final = 1_000_000_000
_PRICE_UNIT: Final = Decimal("0.0001")
_PRICE_UNITS_MAX: Final = 1 << 40
_TICKS_MAX: Final = 1 << 30
_LOTS_MAX: Final = (1 << 31) - 1
_DATE: Final = re.compile(r"(?<!\d)(\d{4}-\d{2}-\d{2})(?!\d)")
_LEVELS: Final = re.compile(r"message_(\d+)")


def beside(path: Path, named: str) -> Path:
    """Return the file that an option names, from the folder of the message file on."""
    return path.parent / named


def find_orderbook(path: Path) -> Path | None:
    """Return the orderbook file beside a message file, by its name; None if there is none."""
    head, found, tail = path.name.rpartition("message")
    if not found:
        return None
    stem = f"{head}orderbook{tail}"
    plain = stem.removesuffix(path.suffix) if path.suffix in SUFFIXES[1:] else stem
    for name in (stem, *(plain + suffix for suffix in SUFFIXES)):
        if (path.parent / name).is_file():
            return path.parent / name
    return None


def named_levels(path: Path) -> int:
    """Return the levels a side that the name of a message file states; 0: it states none."""
    found = _LEVELS.search(path.name)
    return int(found[1]) if found else 0


def trading_date(path: Path, stated: str) -> datetime.date:
    """Return the day of a message file, from the option or the file's name.

    Raises:
        InputError: Neither states a day.
    """
    found = _DATE.search(path.name)
    text = stated or (found[1] if found else "")
    if not text:
        message = f"{path}: the name states no day (YYYY-MM-DD)"
        raise InputError(f"{message}; set data.source.options.date")
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{path}: {text!r} is no day: {error}") from error


def midnight_ns(day: datetime.date) -> int:
    """Return the nanoseconds UTC of midnight in New York by the clock that holds at noon.

    Times count from midnight, and clocks change on Sundays at night, so that only the offset
    during the day matters.
    """
    noon = datetime.datetime.combine(day, datetime.time(12), zoneinfo.ZoneInfo(_ZONE))
    return (int(noon.timestamp()) - _DAY_S // 2) * _SECOND_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """Consecutive lines of a message file; prices in ticks, quantities in lots.

    Attributes:
        line: Number of the first line, from 1.
        side: Of the order that was added, cancelled or hit.
        price: 0 where `is_off_grid`, and for crosses and halts.
        is_off_grid: A hidden execution between two ticks.
        state: Of halts: HALTED, QUOTING or TRADING.
    """

    line: int
    exch_ns: Array
    kind: Array
    order_id: Array
    side: Array
    price: Array
    qty: Array
    is_off_grid: Array
    state: Array

    def __len__(self) -> int:
        return len(self.exch_ns)


class Lines:
    """Turns lines of the files into ticks and lots of a product on one day."""

    def __init__(self, audit: Audit, product: Product, day: datetime.date) -> None:
        """Make a converter.

        Raises:
            InputError: The lot of the product is no whole number of shares.
        """
        if product.lot_size % 1:
            message = f"A lot of {product.name} is {product.lot_size} shares"
            raise InputError(f"{message}; LOBSTER counts whole shares")
        self._audit = audit
        self._lot = int(product.lot_size)
        self._grid = PriceGrid(product, _PRICE_UNIT)
        self._midnight_ns = midnight_ns(day)
        self._last_ns = 0

    def messages(self, columns: dict[str, Array], line: int) -> Messages:
        """Return messages, checked."""
        kind, price = columns["type"], columns["price"]
        self._check_values(columns, line)
        exch_ns = np.rint(columns["time"] * _SECOND_NS).astype(np.int64) + self._midnight_ns
        falls = np.diff(exch_ns, prepend=self._last_ns) < 0
        self._refuse("time_order", falls, line, columns["time"], "the time is before the one above")
        self._last_ns = int(exch_ns[-1])
        is_order = kind <= HIDDEN
        ticks, off = self._grid.ticks(np.where(is_order, price, 0))
        off &= is_order
        visible = off & (kind != HIDDEN)
        self._refuse("off_grid", visible, line, price, "the price is not on the tick grid")
        self._audit.hit_rows(
            "hidden_off_grid",
            off,
            lambda row: f"line {line + row}",
            lambda row: f"a hidden execution at {price[row] / 10_000} is between two ticks",
        )
        lots, odd = whole_lots(np.where(is_order, columns["size"], 0), self._lot)
        self._refuse("odd_lot", odd, line, columns["size"], f"not in lots of {self._lot}")
        return Messages(
            line=line,
            exch_ns=exch_ns,
            kind=kind,
            order_id=np.maximum(columns["order_id"], 0).astype(np.uint64),
            side=np.where(columns["direction"] > 0, SIDE_BID, SIDE_ASK).astype(np.uint8),
            price=np.where(off, 0, ticks).astype(np.int32),
            qty=lots.astype(np.int32),
            is_off_grid=off,
            state=np.where(kind == HALT, price, TRADING),
        )

    def _check_values(self, columns: dict[str, Array], line: int) -> None:
        time, kind, price = columns["time"], columns["type"], columns["price"]
        is_order = (kind >= ADD) & (kind <= HIDDEN)
        named = (kind >= ADD) & (kind <= EXECUTE)
        size, direction = columns["size"], columns["direction"]
        good_price = (price > 0) & (price < _PRICE_UNITS_MAX)
        halts = np.isin(price, (HALTED, QUOTING, TRADING))
        # Written so that NaN fails.
        checks = {
            "time": (~((time >= 0) & (time < _DAY_S)), "seconds of one day"),
            "type": ((kind < ADD) | (kind > HALT), "a type from 1 to 7"),
            "order_id": (named & (columns["order_id"] < 0), "an order id"),
            "size": (is_order & ~((size > 0) & (size <= _LOTS_MAX)), "a size above 0"),
            "direction": (is_order & (np.abs(direction) != 1), "a direction, 1 or -1"),
            "price": (is_order & ~good_price | (kind == HALT) & ~halts, "a price or trading state"),
        }
        for name, (bad, words) in checks.items():
            self._refuse("bad_value", bad, line, columns[name], f"expected {words}")
        ticks, _ = self._grid.ticks(np.where(is_order, price, 0))
        wide = np.abs(ticks) >= _TICKS_MAX
        self._refuse("bad_value", wide, line, price, f"expected fewer than {_TICKS_MAX} ticks")

    def books(self, columns: dict[str, Array], line: int, name: str) -> Array:
        """Return rows of an orderbook file: ask price, ask lots, bid price, bid lots per level."""
        book = np.stack(list(columns.values()), axis=1)
        where = f" of {name}"
        price, size = book[:, 0::2], book[:, 1::2]
        outside = (price <= 0) | (price >= _PRICE_UNITS_MAX)
        bad = (size < 0) | (size > _LOTS_MAX) | (size > 0) & outside
        bad_row = np.asarray(bad.any(axis=1))
        self._refuse("bad_value", bad_row, line, size[:, 0], "not a row of levels", where)
        has = size > 0
        ticks, off = self._grid.ticks(np.where(has, price, 0))
        off_row = np.asarray(off.any(axis=1))
        self._refuse("off_grid", off_row, line, price[:, 0], "a price off the tick grid", where)
        lots, odd = whole_lots(size, self._lot)
        odd_row = np.asarray(odd.any(axis=1))
        self._refuse("odd_lot", odd_row, line, size[:, 0], f"not in lots of {self._lot}", where)
        wide = np.asarray((np.abs(ticks) >= _TICKS_MAX).any(axis=1))
        wide |= misordered(ticks[:, 0::2], lots[:, 0::2], side=SIDE_ASK)
        wide |= misordered(ticks[:, 1::2], lots[:, 1::2], side=SIDE_BID)
        self._refuse("bad_value", wide, line, price[:, 0], "levels are not in order", where)
        book[:, 0::2], book[:, 1::2] = ticks, lots
        return book

    def _refuse(
        self, rule: str, bad: Array, line: int, values: Array, words: str, where: str = ""
    ) -> None:
        self._audit.hit_rows(rule, bad, lambda row: f"line {line + row}{where}", words, values)


def check_columns(path: Path, count: int, *, of_book: bool) -> None:
    """Refuse a file whose first line has another form.

    Raises:
        DataError: It has another number of columns.
    """
    if of_book:
        good, words = count > 0 and count % 4 == 0, "4 columns for each level"
    else:
        good = len(MESSAGE_COLUMNS) <= count <= MESSAGE_COLUMNS_MAX
        words = f"{len(MESSAGE_COLUMNS)} or {MESSAGE_COLUMNS_MAX} columns"
    if not good:
        what = "an orderbook file" if of_book else "a message file"
        raise DataError(f"{path}: line 1: expected {words} of {what}, found {count}")


def book_levels(path: Path) -> int:
    """Return the levels a side of an orderbook file, from its first line.

    Raises:
        DataError: The file cannot be opened, or its line is none of an orderbook file.
    """
    count = count_columns(path)
    check_columns(path, count, of_book=True)
    return count // 4


def book_columns(levels: int) -> dict[str, str]:
    """Return the columns of an orderbook file."""
    return {f"c{number}": "int64" for number in range(4 * levels)}
