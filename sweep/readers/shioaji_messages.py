"""Canonical rows of the messages of the Shioaji feed, whatever container they lie in.

A contract is told by two streams in the order of their receipt: ticks (one trade each) and books
(five levels a side, whole pictures), or by quotes that hold both. What is made of them:

- Books become differences of pictures, trades come from ticks; see `book_images` for both.
- `tick_type` 1 was a buyer and hit asks, 2 a seller; with 0 the best prices of the last book
  decide.
- `simtrade` (trial matching of an auction) and `suspend` (halted) make INDICATIVE rows, and so does
  anything outside of the trading hours of futures.
- A trade of a quote message is the rise of its total volume since the quote before.
- Times are Taipei wall time. The streams may overtake each other by a little: see `time_order`.
- Lost data (a gap event, missing records): what follows is left out until the next whole picture,
  which comes with a CLEAR row flagged GAP.
- Intraday odd lots are a book of their own, in shares; the option `board` says which one is read.

Known limits: a trade and the picture that shows it carry their own times, so the two are one group
only if those are equal. Holidays and expiry days are not known. The first derived bid and ask of
combination books are recorded but make no rows.
"""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from sweep.errors import DataError
from sweep.products import Product
from sweep.readers.audit import Rule, Where
from sweep.readers.book_images import (
    SIDE_UNKNOWN,
    BookImages,
    Records,
    crossed,
    misordered,
    without_market_orders,
)
from sweep.readers.calendar_days import EPOCH
from sweep.readers.options import option
from sweep.readers.price_grid import OFF_GRID, PriceTexts
from sweep.readers.taiwan_clock import (
    SECOND_NS,
    TAIPEI_S,
    Sessions,
    date_of,
    futures_flags,
    futures_session_key,
    futures_session_name,
    stock_session_key,
    stock_session_name,
)
from sweep.readers.ticks import SIDE_ASK, SIDE_BID, Columns, Request, Summary

VISIBLE_LEVELS: Final = 5
# A message this much older than the one before it was not overtaken: the file is not in order.
_LATE_NS_MAX: Final = 5 * SECOND_NS
_CHUNK_RECORDS: Final = 1 << 15
_LOTS_MAX: Final = (1 << 31) - 1
_EPOCH_DAY: Final = EPOCH.toordinal()
_SIDES: Final = {0: SIDE_UNKNOWN, 1: SIDE_ASK, 2: SIDE_BID}
# Money of one tick of one share must be whole: hundredths of a dollar.
_ODD_LOT_MINOR_UNITS: Final = 100

RULES: Final = {
    "time_order": Rule(
        doc="Times of a contract never fall; repair keeps the order of receipt and raises a time "
        "to that of the message before",
        actions=("repair", "drop", "error"),
    ),
    "far_back": Rule(
        doc="No message is more than five seconds older than the one before it; drop leaves it out",
        actions=("error", "drop"),
    ),
    "local_order": Rule(
        doc="Receive times never fall; repair raises one to the latest before it",
        actions=("repair", "error"),
    ),
    "price_grid": Rule(
        doc="Prices are on the tick grid of the product; drop leaves the message out",
        actions=("error", "drop"),
    ),
    "whole_lots": Rule(
        doc="Quantities are integers from 0 on, those of trades from 1 on; drop leaves the message "
        "out",
        actions=("error", "drop"),
    ),
    "level_order": Rule(
        doc="Levels go from the best price on, without holes; drop leaves the picture out",
        actions=("error", "drop"),
    ),
    "crossed": Rule(
        doc="In continuous trading the best bid is below the best ask; drop leaves the picture out",
        actions=("count", "drop", "error"),
    ),
    "market_price_level": Rule(
        doc="A first level at price 0 holds market orders of an auction; drop leaves the level out",
        actions=("drop", "error"),
    ),
    "total_volume": Rule(
        doc="The total volume of a tick is that of the tick before plus its own volume (missing or "
        "repeated messages); drop leaves out a tick whose total does not rise",
        actions=("count", "drop", "error"),
    ),
    "gap": Rule(
        doc="No data were lost; drop leaves messages out until the next whole picture of the book, "
        "count goes on as if nothing had happened",
        actions=("drop", "count", "error"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageOptions:
    """Which messages are read.

    Attributes are described by their metadata.
    """

    code: str = option("", "Code of the contract; empty: the instrument's name")
    board: Literal["round_lot", "odd_lot"] = option(
        "round_lot", "Board of shares: lots of 1,000, or single shares traded as intraday odd lots"
    )
    messages: Literal["tick_bidask", "quote"] = option(
        "tick_bidask", "Read ticks and books, or quotes that hold both"
    )


@dataclass(slots=True)
class _Waiting:
    """Records that are not yet rows, one entry each."""

    where: list[str] = field(default_factory=list)
    exch_ns: list[int] = field(default_factory=list)
    local_ns: list[int] = field(default_factory=list)
    is_indicative: list[bool] = field(default_factory=list)
    is_gap: list[bool] = field(default_factory=list)
    is_image: list[bool] = field(default_factory=list)
    bid_price: list[Sequence[int]] = field(default_factory=list)
    bid_qty: list[Sequence[int]] = field(default_factory=list)
    ask_price: list[Sequence[int]] = field(default_factory=list)
    ask_qty: list[Sequence[int]] = field(default_factory=list)
    trade_price: list[int] = field(default_factory=list)
    trade_qty: list[int] = field(default_factory=list)
    trade_side: list[int] = field(default_factory=list)


class MessageRows:
    """Takes messages of one contract in order, gives rows."""

    def __init__(
        self,
        request: Request,
        options: MessageOptions,
        *,
        has_local: bool,
        visible_levels: int = VISIBLE_LEVELS,
    ) -> None:
        """Make a converter.

        Args:
            request: Instrument, audit and product.
            options: Which messages are read.
            has_local: Messages come with a receive time.
            visible_levels: Levels a side of a whole picture.
        """
        self._levels_max = visible_levels
        self._no_levels = [0] * visible_levels
        self._request, self._options = request, options
        self.code = options.code or request.instrument
        self._has_local = has_local
        self._product: Product | None = None
        self._prices: PriceTexts | None = None
        self._is_stock: bool | None = None
        self._waiting = _Waiting()
        self._images = BookImages(visible_levels)
        self._sessions: Sessions | None = None
        self._exch_ns = self._local_ns = 0
        self._total: int | None = None  # of the last tick, and its time
        self._total_ns = 0
        self._in_gap = False
        self._row_count = 0
        self.kinds: dict[str, int] = {}
        self._counts = {
            "gaps": 0,
            "messages_after_gaps": 0,
            "messages_of_the_other_board": 0,
            "messages_of_the_other_kind": 0,
            "suspended_messages": 0,
            "local_before_exchange": 0,
        }

    @property
    def is_full(self) -> bool:
        """Whether enough is waiting for a chunk."""
        return len(self._waiting.where) >= _CHUNK_RECORDS

    def gap(self, where: str, detail: str) -> None:
        """Take note that data were lost in front of the next message."""
        if not self.kinds:
            return  # nothing of this contract came before
        self._counts["gaps"] += 1
        if self._request.audit.hit("gap", where, detail) == "drop":
            self._in_gap = True
            self._total = None

    def add(self, kind: str, values: Mapping[str, Any], where: str, local_ns: int = 0) -> None:
        """Take one message.

        Args:
            kind: Type of the message in the SDK; `HistorySTK` and `HistoryFOP` for a row of its
                `ticks()`: a trade and the best prices.
            values: Its fields; prices as decimal text, times as ISO 8601 or datetime.
            where: Named in messages about it.
            local_ns: Receive time, UTC.

        Raises:
            DataError: A field is missing or of another form, or a rule is broken.
        """
        if not self._is_ours(kind, values, where):
            return
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        self._begin(kind, where, values)
        exch_ns = self._time(values, where)
        if exch_ns is None:
            return
        has_image = "bid_price" in values if _is_history(kind) else not kind.startswith("Tick")
        has_trade = not kind.startswith("BidAsk")
        if self._in_gap and not has_image:
            self._counts["messages_after_gaps"] += 1
            return
        image = self._levels(values, where) if has_image else None
        trade = self._trade(kind, values, where) if has_trade else (0, 0, SIDE_UNKNOWN)
        if trade is None or (has_image and image is None) or (not has_image and not trade[1]):
            return
        self._append(values, where, exch_ns, local_ns, image, trade)

    def _is_ours(self, kind: str, values: Mapping[str, Any], where: str) -> bool:
        code = values.get("code")
        if not isinstance(code, str):
            raise self._bad(where, "expected a code", code)
        if code != self.code:
            return False
        if kind.startswith("Quote") != (self._options.messages == "quote"):
            self._counts["messages_of_the_other_kind"] += 1
            return False
        is_odd = _truth(values.get("intraday_odd"))
        if is_odd != (self._options.board == "odd_lot"):
            self._counts["messages_of_the_other_board"] += 1
            return False
        return True

    def _begin(self, kind: str, where: str, values: Mapping[str, Any]) -> None:
        is_stock = "STK" in kind
        if self._is_stock is None:
            self._is_stock = is_stock
            self._sessions = Sessions(stock_session_name if is_stock else futures_session_name)
            day = date_of(self._moment(values, where))
            product = self._request.product(day)
            if self._options.board == "odd_lot":
                product = dataclasses.replace(
                    product,
                    lot_size=type(product.lot_size)(1),
                    minor_per_unit=product.minor_per_unit * _ODD_LOT_MINOR_UNITS,
                    order_lots_max=None,
                )
            self._product, self._prices = product, PriceTexts(product)
        if is_stock != self._is_stock:
            raise self._bad(where, "expected messages of one market, STK or FOP", kind)

    def _time(self, values: Mapping[str, Any], where: str) -> int | None:
        """Return the exchange time, None if the message is left out."""
        exch_ns = self._moment(values, where)
        if exch_ns < self._exch_ns:
            late = (self._exch_ns - exch_ns) // 1_000
            detail = f"a time {late} us before that of the message above"
            if self._exch_ns - exch_ns > _LATE_NS_MAX:
                self._request.audit.hit("far_back", where, detail)
                return None
            if self._request.audit.hit("time_order", where, detail) == "drop":
                return None
            exch_ns = self._exch_ns
        self._exch_ns = exch_ns
        return exch_ns

    def _moment(self, values: Mapping[str, Any], where: str) -> int:
        value = values.get("datetime")
        try:
            moment = (
                value
                if isinstance(value, datetime.datetime)
                else datetime.datetime.fromisoformat(_text(value))
            )
        except (ValueError, TypeError) as error:
            raise self._bad(where, "expected a datetime", value) from error
        if moment.tzinfo is not None:
            moment = moment.astimezone(datetime.timezone(datetime.timedelta(seconds=TAIPEI_S)))
        days = moment.toordinal() - _EPOCH_DAY
        seconds = days * 86_400 + moment.hour * 3_600 + moment.minute * 60 + moment.second
        if not 0 < seconds < 1 << 33:
            raise self._bad(where, "expected a datetime since 1970", value)
        return (seconds - TAIPEI_S) * SECOND_NS + moment.microsecond * 1_000

    def _levels(
        self, values: Mapping[str, Any], where: str
    ) -> tuple[list[int], list[int], list[int], list[int]] | None:
        """Return prices and lots of both sides, None if the message is left out."""
        found: list[list[int]] = []
        for side in ("bid", "ask"):
            prices, lots = values.get(f"{side}_price"), values.get(f"{side}_volume")
            if not isinstance(prices, list) or not isinstance(lots, list):
                raise self._bad(where, f"expected lists of {side} prices and volumes", prices)
            if len(prices) != len(lots) or len(prices) > self._levels_max:
                what = f"expected up to {self._levels_max} {side} prices and as many volumes"
                raise self._bad(where, what, [prices, lots])
            filled = [0] * (self._levels_max - len(prices))
            assert self._prices is not None
            ticks = self._prices.known(prices)
            if ticks is None or not _are_lots(lots):
                read = self._read_levels(prices, lots, where)
                if read is None:
                    return None
                ticks, lots = read
            found.append(ticks + filled)
            found.append(lots + filled)
        return found[0], found[1], found[2], found[3]

    def _read_levels(
        self, prices: list[Any], lots: list[Any], where: str
    ) -> tuple[list[int], list[int]] | None:
        quantities = [self._lots(value, where) for value in lots]
        ticks = [self._price(price, where) for price in prices]
        if None in quantities or any(
            price is None for price, qty in zip(ticks, quantities, strict=True) if qty
        ):
            return None
        return [price or 0 for price in ticks], [qty or 0 for qty in quantities]

    def _trade(
        self, kind: str, values: Mapping[str, Any], where: str
    ) -> tuple[int, int, int] | None:
        """Return price, lots and side of the trade; None if the message is left out."""
        if _is_history(kind):  # what the SDK hands out later has no total
            total = before = None
        else:
            total = self._lots(values.get("total_volume"), where)
            if total is None:
                return None
            before, self._total = self._total, total
        if kind.startswith("Quote"):
            assert total is not None
            volume = total - before if before is not None and total > before else 0
        else:
            stated = self._lots(values.get("volume"), where)
            if stated is None:
                return None
            volume = stated
            if _truth(values.get("simtrade")):
                self._total = before
                if not volume:
                    return None
            elif total is not None and not self._is_continued(before, total, volume, where):
                return None
            elif not volume:
                self._request.audit.hit("whole_lots", where, "a tick without volume")
                return None
        if not volume:
            return 0, 0, SIDE_UNKNOWN
        price = self._price(values.get("close"), where)
        if price is None:
            return None
        if price <= 0 and _truth(values.get("simtrade")):
            return None  # no trial price was found
        if price <= 0:
            raise self._bad(where, "expected a price of the trade", values.get("close"))
        side = _SIDES.get(values.get("tick_type", 0))
        if side is None:
            raise self._bad(where, "expected tick_type as 0, 1 or 2", values.get("tick_type"))
        return price, volume, side

    def _is_continued(self, before: int | None, total: int, volume: int, where: str) -> bool:
        """Return whether a tick counts; `_total` is its total already."""
        last_ns, self._total_ns = self._total_ns, self._exch_ns
        if before is None or total == before + volume or self._is_new_session(last_ns):
            return True
        detail = f"total_volume {total} after {before} with a volume of {volume}"
        action = self._request.audit.hit("total_volume", where, detail)
        if action == "drop" and total <= before:
            self._total = before
            return False
        return True

    def _is_new_session(self, last_ns: int) -> bool:
        times = np.array([last_ns, self._exch_ns])
        keys = stock_session_key(times) if self._is_stock else futures_session_key(times)
        return bool(keys[0] != keys[1])

    def _price(self, value: Any, where: str) -> int | None:
        """Return ticks; None if the message is left out."""
        text = value if type(value) is str else _text(value)
        if not text:
            return 0
        assert self._prices is not None
        tick = self._prices.tick(text)
        if tick == OFF_GRID:
            self._request.audit.hit("price_grid", where, f"expected a price, found {value!r}")
            return None
        return tick

    def _lots(self, value: Any, where: str) -> int | None:
        if type(value) is int and 0 <= value <= _LOTS_MAX:
            return value
        self._request.audit.hit("whole_lots", where, f"expected a quantity, found {value!r}")
        return None

    def _append(
        self,
        values: Mapping[str, Any],
        where: str,
        exch_ns: int,
        local_ns: int,
        image: tuple[list[int], list[int], list[int], list[int]] | None,
        trade: tuple[int, int, int],
    ) -> None:
        waiting = self._waiting
        if self._has_local:
            self._counts["local_before_exchange"] += local_ns < exch_ns
            if local_ns < self._local_ns:
                late = (self._local_ns - local_ns) // 1_000
                detail = f"a receive time {late} us before that of the message above"
                self._request.audit.hit("local_order", where, detail)
                local_ns = self._local_ns
            self._local_ns = local_ns
        is_suspended = _truth(values.get("suspend"))
        self._counts["suspended_messages"] += is_suspended
        waiting.where.append(where)
        waiting.exch_ns.append(exch_ns)
        waiting.local_ns.append(local_ns)
        waiting.is_indicative.append(is_suspended or _truth(values.get("simtrade")))
        waiting.is_gap.append(self._in_gap)
        waiting.is_image.append(image is not None)
        bid_price, bid_qty, ask_price, ask_qty = image or (self._no_levels,) * 4
        waiting.bid_price.append(bid_price)
        waiting.bid_qty.append(bid_qty)
        waiting.ask_price.append(ask_price)
        waiting.ask_qty.append(ask_qty)
        waiting.trade_price.append(trade[0])
        waiting.trade_qty.append(trade[1])
        waiting.trade_side.append(trade[2])
        self._in_gap = False

    def rows(self) -> Columns | None:
        """Return the rows of what is waiting, None if nothing is."""
        waiting, self._waiting = self._waiting, _Waiting()
        if not waiting.where:
            return None
        assert self._sessions is not None
        exch_ns = np.array(waiting.exch_ns, np.int64)
        is_indicative = np.array(waiting.is_indicative)
        if self._is_stock:
            key = stock_session_key(exch_ns)
        else:
            key = futures_session_key(exch_ns)
            is_indicative |= futures_flags(exch_ns) > 0
        records = Records(
            exch_ns=exch_ns,
            local_ns=np.array(waiting.local_ns, np.int64) if self._has_local else None,
            is_indicative=is_indicative,
            is_reset=self._sessions.begins(key),
            is_gap=np.array(waiting.is_gap),
            is_image=np.array(waiting.is_image),
            bid_price=np.array(waiting.bid_price, np.int64),
            bid_qty=np.array(waiting.bid_qty, np.int64),
            ask_price=np.array(waiting.ask_price, np.int64),
            ask_qty=np.array(waiting.ask_qty, np.int64),
            trade_price=np.array(waiting.trade_price, np.int64),
            trade_qty=np.array(waiting.trade_qty, np.int64),
            trade_side=np.array(waiting.trade_side, np.int64),
        )
        records = self._checked(records, waiting.where.__getitem__)
        columns, first_row = self._images.rows(records)
        self._sessions.note(key, self._row_count + first_row)
        self._row_count += len(columns["exch_ns"])
        return columns

    def _checked(self, records: Records, where: Where) -> Records:
        hit = self._request.audit.hit_rows
        market = ((records.bid_price == 0) & (records.bid_qty > 0)).any(axis=1)
        market |= ((records.ask_price == 0) & (records.ask_qty > 0)).any(axis=1)
        hit("market_price_level", market & records.is_indicative, where, "lots at price 0")
        bid = without_market_orders(records.bid_price, records.bid_qty)
        ask = without_market_orders(records.ask_price, records.ask_qty)
        records = dataclasses.replace(
            records, bid_price=bid[0], bid_qty=bid[1], ask_price=ask[0], ask_qty=ask[1]
        )
        bad = misordered(*bid, side=SIDE_BID) | misordered(*ask, side=SIDE_ASK)
        bad |= market & ~records.is_indicative
        keep = records.is_image
        if hit("level_order", bad, where, "levels that are no ladder") == "drop":
            keep = keep & ~bad
        over = crossed(dataclasses.replace(records, is_image=keep))
        if hit("crossed", over, where, "a best bid at or above the best ask") == "drop":
            keep = keep & ~over
        return dataclasses.replace(records, is_image=keep)

    def _bad(self, where: str, expected: str, found: Any) -> DataError:
        return DataError(f"{self._request.file}: {where}: {expected}, found {found!r}")

    def summary(self, facts: Mapping[str, Any]) -> Summary:
        """Return what is known once the last rows are taken.

        Raises:
            DataError: There were no rows.
        """
        if self._product is None or self._sessions is None or not self._row_count:
            message = f"{self._request.file}: no message of {self.code} makes a row"
            found = ", ".join(f"{name} {count}" for name, count in self._counts.items() if count)
            hint = "data.source.options.code, board and messages choose"
            raise DataError(f"{message} ({found or 'none there'}); {hint}")
        instrument = self._product.exchange_part(visible_levels=self._levels_max)
        guessed, trades = (self._images.counts[name] for name in ("sides_guessed", "trades"))
        own = {
            "code": self.code,
            "messages": dict(sorted(self.kinds.items())),
            "time": "as recorded, Taipei time",
            # Where tick_type is 0 the last book decides; `sides_guessed` counts those.
            "sides": "recorded" if guessed * 2 <= trades else "by the last book: tick_type is 0",
            "local_clock": self._has_local,
            "product": self._product.to_json(),
        }
        return Summary(
            instrument=instrument,
            sessions=self._sessions.listed(self._row_count),
            facts=own | self._images.counts | self._counts | dict(facts),
        )


def _are_lots(values: list[Any]) -> bool:
    return set(map(type, values)) <= {int} and all(0 <= value <= _LOTS_MAX for value in values)


def _is_history(kind: str) -> bool:
    return kind.startswith("History")


def _truth(value: Any) -> bool:
    return value is True or value == 1


def _text(value: Any) -> str:
    """Return a price or a time as text; a tagged value is what its only entry says."""
    if value is None:
        return ""
    if isinstance(value, dict) and len(value) == 1:
        ((tag, inner),) = value.items()
        return repr(float.fromhex(inner)) if tag == "float" else str(inner)
    return str(value)
