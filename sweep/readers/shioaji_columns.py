"""Reads what people save of the Shioaji feed: its fields as the columns of a Parquet or CSV file.

Names are those of the SDK. A row is a tick (`close`, `volume`, `total_volume`, `tick_type`), a book
(`bid_price`, `bid_volume`, `ask_price`, `ask_volume`), both (a quote message), or a row of the
SDK's `ticks()`: a trade with the best prices and without `total_volume`. What is accepted:

- time: `datetime`, or `date` and `time`, in Taipei; or `ts`, nanoseconds of Taipei's wall clock
  counted as if they were UTC, as `ticks()` returns them.
- levels: a list; the text of one, as `str` or JSON write it; or columns `bid_price_1` ... or
  `bid_price1` ... (from 0 or 1 on). One plain number is a book of one level.
- prices: decimal text, `Decimal('1.5')`, or a number that is exact as a double.
- truth values: true, 1, `True`. Missing `simtrade`, `suspend`, `intraday_odd` are false.
- `code`: rows of other contracts are passed over; without that column all rows are the contract.

Ticks and books lie in one file in the order of receipt, or in two: the option `beside` names the
other one, and the two are merged by time, a tick in front of a book of the same time. What becomes
of the messages: `shioaji_messages`.

CSV may be packed (`.gz`, `.zst`, `.zip`). It has no checksum: damage that leaves another sound
number cannot be seen.
"""

import csv
import datetime
import heapq
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sweep.errors import DataError
from sweep.readers.options import option
from sweep.readers.packed_files import open_packed
from sweep.readers.parquet_batches import ParquetBatches
from sweep.readers.shioaji_messages import RULES as MESSAGE_RULES
from sweep.readers.shioaji_messages import VISIBLE_LEVELS, MessageOptions, MessageRows
from sweep.readers.ticks import Request, Rows

RULES: Final = MESSAGE_RULES

_READ_BYTES: Final = 1 << 20
_LINE_BYTES_MAX: Final = 1 << 16
_BOOK: Final = ("bid_price", "bid_volume", "ask_price", "ask_volume")
_LEVEL: Final = re.compile(r"((?:bid|ask)_(?:price|volume))_?(\d)")
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORDS: Final = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}

# Row as a user counts it, its moment, and its fields.
_Row = tuple[datetime.datetime, int, str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShioajiColumnsOptions(MessageOptions):
    """Which messages are read, and from which columns."""

    beside: str = option(
        "", "Second file in the same folder: books beside ticks; empty: one file holds both"
    )
    local_column: str = option(
        "", "Column with the receive time, nanoseconds UTC; empty: no local clock"
    )


def companions(path: Path, options: ShioajiColumnsOptions) -> tuple[Path, ...]:
    """Return the second file, if there is one."""
    return (path.parent / options.beside,) if options.beside else ()


def read(request: Request) -> Rows:
    """Read one contract of saved messages.

    Raises:
        DataError: A file is damaged, or a row breaks a rule.
        InputError: The product is not known.
    """
    options: ShioajiColumnsOptions = request.options
    paths = (request.file, *companions(request.file, options))
    files = [_rows(path, number) for number, path in enumerate(paths)]
    merged = files[0] if len(files) == 1 else heapq.merge(*files, key=_merge_key)
    messages: MessageRows | None = None
    rows = 0
    for moment, _, where, fields in merged:
        if messages is None:
            levels = _levels_of(fields)
            messages = MessageRows(
                request,
                options,
                has_local=bool(options.local_column),
                visible_levels=levels,
            )
            market = _market(request, moment)
        rows += 1
        fields.setdefault("code", messages.code)
        local_ns = _local(request, fields, options.local_column, where)
        fields["datetime"] = moment
        messages.add(_kind(request, fields, where, market), fields, where, local_ns)
        if messages.is_full and (columns := messages.rows()) is not None:
            yield columns
    if messages is None:
        raise DataError(f"{request.file}: the file holds no row")
    if (columns := messages.rows()) is not None:
        yield columns
    return messages.summary({"rows": rows, "files": [path.name for path in paths]})


def _merge_key(row: _Row) -> tuple[datetime.datetime, bool]:
    return row[0], "bid_price" in row[3]


def _market(request: Request, moment: datetime.datetime) -> str:
    product = request.product(moment.date())
    return "FOP" if product.venue == "TAIFEX" else "STK"


def _levels_of(fields: Mapping[str, Any]) -> int:
    """Return the levels of a whole picture: one in rows of `ticks()`."""
    is_history = "close" in fields and "bid_price" in fields and "total_volume" not in fields
    return 1 if is_history else VISIBLE_LEVELS


def _kind(request: Request, fields: Mapping[str, Any], where: str, market: str) -> str:
    has_book, has_trade = "bid_price" in fields, "close" in fields and "volume" in fields
    if has_book and has_trade:
        return f"{'Quote' if 'total_volume' in fields else 'History'}{market}v1"
    if has_book:
        return f"BidAsk{market}v1"
    if has_trade:
        return f"Tick{market}v1" if "total_volume" in fields else f"History{market}v1"
    message = "expected close and volume, or bid_price, bid_volume, ask_price and ask_volume"
    raise DataError(f"{request.file}: {where}: {message}; found {', '.join(fields) or 'nothing'}")


def _local(request: Request, fields: Mapping[str, Any], name: str, where: str) -> int:
    if not name:
        return 0
    value = fields.get(name)
    try:
        return int(str(value))
    except ValueError as error:
        message = f"expected nanoseconds in the column {name}, found {value!r}"
        raise DataError(f"{request.file}: {where}: {message}") from error


def _rows(path: Path, number: int) -> Iterator[_Row]:
    """Yield the rows of a file, in its order, with plain fields; missing ones left out."""
    with open_packed(path) as file:
        is_parquet = file.read(4) == b"PAR1"
    source = _parquet(path) if is_parquet else _csv(path)
    beside = f"{path.name}: " if number else ""
    for where, raw in source:
        place = f"{beside}{where}"
        fields = _fields(path, place, raw)
        yield _moment(path, place, fields), number, place, fields


def _parquet(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pyarrow as pa

    file = ParquetBatches(path)
    row = 0
    for batch in file.batches(list(file.types)):
        columns = {}
        for name in batch.schema.names:
            column = batch.column(name)
            if pa.types.is_timestamp(column.type):  # Python's times have microseconds
                column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
            try:
                columns[name] = column.to_pylist()
            except (ValueError, OverflowError) as error:  # texts that are none, times beyond years
                message = f"row {row} or later: a damaged value of {name}"
                raise DataError(f"{path}: {message}: {error}") from error
        for values in zip(*columns.values(), strict=True):
            yield f"row {row}", dict(zip(columns, values, strict=True))
            row += 1


def _csv(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.reader(_lines(path), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if len(set(header)) != len(header) or not header:
            found = ",".join(header)[:200]
            raise DataError(f"{path}: line 1: expected a header of distinct names, found {found!r}")
        for cells in reader:
            where = f"line {reader.line_num}"
            if len(cells) != len(header):
                message = f"expected {len(header)} columns, found {len(cells)}"
                raise DataError(f"{path}: {where}: {message}")
            yield where, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: not CSV: {error}") from error


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a packed or plain file as text."""
    with open_packed(path) as file:
        number, rest = 0, b""
        while chunk := file.read(_READ_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                number += 1
                yield _text_line(path, number, line)
            if len(rest) > _LINE_BYTES_MAX:
                message = f"line {number + 1}: a line of more than {_LINE_BYTES_MAX} bytes"
                raise DataError(f"{path}: {message}: not CSV")
        if rest:
            raise DataError(f"{path}: line {number + 1}: the file ends within a line")


def _text_line(path: Path, number: int, line: bytes) -> str:
    try:
        return line.removeprefix(b"\xef\xbb\xbf" if number == 1 else b"").decode() + "\n"
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: line {number}: expected UTF-8: {error}") from error


def _fields(path: Path, where: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that are there, in the form that messages have."""
    fields: dict[str, Any] = {}
    levels: dict[str, dict[int, Any]] = {}
    for name, value in raw.items():
        if value is None or value == "" or value != value:  # NaN differs from itself
            continue
        match = _LEVEL.fullmatch(name)
        if match:
            levels.setdefault(match[1], {})[int(match[2])] = value
        elif name in _BOOK:
            fields[name] = _list(value)
        else:
            fields[name] = value
    for name, found in levels.items():
        fields[name] = [found[place] for place in sorted(found)]
    for name in ("bid_price", "ask_price"):
        if name in fields:
            fields[name] = [_price(value) for value in fields[name]]
    for name in ("bid_volume", "ask_volume"):
        if name in fields:
            fields[name] = [_whole(value) for value in fields[name]]
    if not {"bid_price", "ask_price"}.isdisjoint(fields):
        for name in _BOOK:  # a side without any level
            fields.setdefault(name, [])
    for name in ("volume", "total_volume", "tick_type"):
        if name in fields:
            fields[name] = _whole(fields[name])
    for name in ("simtrade", "suspend", "intraday_odd"):
        if name in fields:
            fields[name] = _truth(path, where, name, fields[name])
    if "close" in fields:
        fields["close"] = _price(fields["close"])
    if "code" in fields:
        fields["code"] = str(fields["code"])
    return fields


def _list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        # "[Decimal('1.5'), 2]" or a number: what is no number between the numbers is punctuation.
        left = _NUMBER.sub("", value.replace("Decimal", ""))
        return _NUMBER.findall(value) if not left.strip("[]()'\", ") else [value]
    return [value]


def _price(value: Any) -> str:
    text = repr(value) if isinstance(value, float) else str(value).strip()
    match = re.fullmatch(r"Decimal\('(.*)'\)", text)
    return match[1] if match else text


def _whole(value: Any) -> Any:
    """Return an integer if the value is one, else the value itself, which a rule refuses."""
    if isinstance(value, bool):
        return value
    try:
        number = float(value) if isinstance(value, str) else value
        return int(number) if number == int(number) else value
    except (ValueError, TypeError, OverflowError):
        return value


def _truth(path: Path, where: str, name: str, value: Any) -> bool:
    known = _WORDS.get(str(value).strip().lower())
    if known is None:
        message = f"expected {name} as true or false, found {value!r}"
        raise DataError(f"{path}: {where}: {message}")
    return known


def _moment(path: Path, where: str, fields: Mapping[str, Any]) -> datetime.datetime:
    """Return the time of a row, Taipei, without a zone."""
    try:
        if "ts" in fields and "datetime" not in fields:
            nanoseconds = int(str(fields["ts"]))
            start = datetime.datetime(1970, 1, 1)
            moment = start + datetime.timedelta(microseconds=nanoseconds // 1_000)
        else:
            joined = f"{fields.get('date', '')} {fields.get('time', '')}"
            moment = _parsed(fields.get("datetime", joined))
    except (ValueError, TypeError, OverflowError) as error:
        message = "expected datetime, date and time, or ts"
        raise DataError(f"{path}: {where}: {message}: {error}") from error
    if moment.tzinfo is not None:
        zone = datetime.timezone(datetime.timedelta(hours=8))
        moment = moment.astimezone(zone).replace(tzinfo=None)
    return moment


def _parsed(value: Any) -> datetime.datetime:
    if isinstance(value, datetime.datetime):
        return value
    return datetime.datetime.fromisoformat(str(value).strip().replace("/", "-"))
