"""What the reader of any layout is told: columns, words, units; checked before a file is opened."""

import zoneinfo
from dataclasses import MISSING, dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

from sweep.errors import InputError
from sweep.readers.mapped_tables import TimeUnit
from sweep.readers.options import option

LEVELS_MAX: Final = 50


def _words(doc: str, *default: str) -> Any:
    return option(default, doc)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenericOptions:
    """Which column is what; names are those of the file."""

    time: str = option(MISSING, "Column of the exchange time")
    form: Literal["events", "images"] = option(
        "events", "events: a row is one event; images: a row shows the book"
    )
    time_unit: TimeUnit = option(
        "ns", "Unit of times since 1970 UTC; iso: text like 2026-01-05T08:45:00.5+08:00"
    )
    zone: str = option("", "Time zone of iso times without offset, and of dates of sessions")
    local_time: str = option("", "Column of the local time, in the same unit; none: no local clock")
    kind: str = option("", "Column that tells kinds; none: every row is a level, or a picture")
    kind_level: tuple[str, ...] = _words("Words for levels", "level", "depth", "quote")
    kind_trade: tuple[str, ...] = _words("Words for trades", "trade", "Trade", "TRADE")
    kind_clear: tuple[str, ...] = _words("Words for clears", "clear")
    kind_image: tuple[str, ...] = _words("Words for pictures", "book", "image", "snapshot")
    side: str = option("", "Column of the side; in the form images that of the trade")
    side_bid: tuple[str, ...] = _words("Words for bids, buys", "bid", "buy", "B", "b", "Buy", "BUY")
    side_ask: tuple[str, ...] = _words(
        "Words for asks, sells", "ask", "sell", "A", "a", "S", "s", "Sell", "SELL"
    )
    trade_side: Literal["taker", "resting"] = option("taker", "What the side of a trade names")
    price: str = option("", "Column of the price; in the form images that of the trade")
    qty: str = option("", "Column of the quantity; in the form images that of the trade")
    levels: int = option(0, "Levels a side of a picture", "levels", 0, LEVELS_MAX)
    level_first: int = option(1, "Number of the best level", "1", 0, 1)
    bid_price: str = option("", "Pattern of its columns, as bid_{level}_price")
    bid_qty: str = option("", "Pattern of its columns")
    ask_price: str = option("", "Pattern of its columns")
    ask_qty: str = option("", "Pattern of its columns")
    price_unit: str = option("1", "What a price of 1 in the file is, in prices of the product")
    qty_unit: str = option("1", "What a quantity of 1 in the file is, in quantities of the product")
    flags: str = option("", "Column of canonical flags, of files that were exported from a tape")
    join: str = option("", "Column of canonical joins, likewise")
    separator: str = option(",", "Character between the fields of a text")
    columns: tuple[str, ...] = _words("Names of the columns of a text without a header line")
    visible_levels: int = option(
        0, "Levels a side that the feed shows; 0: all, or those of a picture", "levels", 0, 1_000
    )
    sessions: Literal["all", "day"] = option("all", "One session, or one a date in the zone")

    def __post_init__(self) -> None:
        for name in ("price_unit", "qty_unit"):
            _check_unit(name, getattr(self, name))
        if len(self.separator) != 1 or self.separator in '\r\n"' or not self.separator.isascii():
            raise InputError(f"separator: expected one character, found {self.separator!r}")
        if self.zone:
            try:
                zoneinfo.ZoneInfo(self.zone)
            except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
                message = "zone: expected a name like Asia/Taipei or UTC"
                raise InputError(f"{message}, found {self.zone!r}") from error
        for names in ("kind_level kind_trade kind_clear kind_image", "side_bid side_ask"):
            _check_words(self, names.split())
        self._check_form()

    def _check_form(self) -> None:
        patterns = ("bid_price", "bid_qty", "ask_price", "ask_qty")
        if self.form == "events":
            for name in ("side", "price", "qty"):
                if not getattr(self, name):
                    raise InputError(f"{name}: the form events needs this column")
            for name in (*patterns, "levels"):
                if getattr(self, name):
                    raise InputError(f"{name}: this is for the form images")
            return
        if not self.levels:
            raise InputError("levels: the form images needs the number of levels a side")
        for name in patterns:
            pattern = getattr(self, name)
            if not pattern:
                raise InputError(f"{name}: the form images needs this pattern")
            if "{level}" not in pattern and self.levels > 1:
                message = f"{name}: expected a pattern with {{level}} in it"
                raise InputError(f"{message}, found {pattern!r}")
        if bool(self.price) != bool(self.qty):
            raise InputError("price, qty: a trade needs both columns, or none")
        if self.kind and not self.price:
            raise InputError("price, qty: kinds tell trades apart, so their columns are needed")
        if self.flags or self.join:
            raise InputError("flags, join: these are for the form events")


def _check_unit(name: str, text: str) -> None:
    try:
        unit = Decimal(text)
    except InvalidOperation as error:
        raise InputError(f"{name}: expected a number as text, found {text!r}") from error
    if not unit.is_finite() or unit <= 0:
        raise InputError(f"{name}: expected a number above 0, found {text!r}")


def _check_words(options: GenericOptions, names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        for word in getattr(options, name):
            if word in seen:
                raise InputError(f"{name}: {word!r} is also a word of {seen[word]}")
            seen[word] = name
