"""The container of live recordings: JSON lines in gzip members, each checked and each whole.

Why this form. A recording must survive a crash at any byte, lose at most the last second, keep what
the feed said exactly, and be readable in ten years without this package: `zcat FILE | jq` reads it,
as does every JSON and gzip library. Parquet cannot be appended to and is unreadable without its
last bytes; one stream of compression cannot be cut. So:

- A **block** is one gzip member (RFC 1952) of some lines, at most `BLOCK_TEXT_MAX` bytes of text.
  Its header is constant but for an extra field `SW` with the size and the CRC-32 of the compressed
  bytes; its end has gzip's own CRC-32 and size of the text. No bit of it is unchecked, and a reader
  can step over it unread. Writers sync each block, at least once a second.
- A **line** is one JSON object: `seq` (counts on without a gap through a file), `mono_ns` and
  `wall_ns` (receive clock: monotonic, and UTC since 1970), `kind`, then the fields of the message.
- Kinds are the message types of the SDK (`TickSTKv1`, `BidAskSTKv1`, `QuoteSTKv1`, `TickFOPv1`,
  `BidAskFOPv1`, `QuoteFOPv1`), `header` (first line of a file), and `event` (connection; its values
  are texts, numbers and lists).
- Values: prices and amounts are the decimal text of the SDK, never floats; times are ISO 8601 with
  microseconds; numbers, truth values, null and lists as JSON has them. A value of another type than
  `FIELDS` states, or of an unknown field, is tagged: `{"decimal": "1.5"}`. What is read back equals
  what was written, type for type.

A file that ends within a block has a **torn** tail: what a crash leaves. Damage with a whole block
behind it is no tear, and is told apart.
"""

import json
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, Any, Final

from sweep.errors import DataError

FORMAT_NAME: Final = "sweep-recording"
FORMAT_VERSION: Final = 1
BLOCK_TEXT_MAX: Final = 1 << 20

_NAMES: Final = ("code", "exchange", "date", "time", "datetime")
_TICK_STK: Final = (
    *_NAMES,
    *("open", "avg_price", "close", "high", "low", "amount", "total_amount"),
    *("volume", "total_volume", "tick_type", "chg_type", "price_chg", "pct_chg"),
    *("bid_side_total_vol", "ask_side_total_vol", "bid_side_total_cnt", "ask_side_total_cnt"),
    *("closing_oddlot_shares", "closing_oddlot_close", "closing_oddlot_amount"),
    *("closing_oddlot_bid_price", "closing_oddlot_ask_price"),
    *("fixed_trade_vol", "fixed_trade_amount", "suspend", "simtrade", "intraday_odd"),
)
_BOOK: Final = (
    "bid_price",
    "bid_volume",
    "diff_bid_vol",
    "ask_price",
    "ask_volume",
    "diff_ask_vol",
)
_BOOK_STK: Final = (*_NAMES, *_BOOK, "suspend", "simtrade", "intraday_odd")
_DERIVED: Final = (
    *("first_derived_bid_price", "first_derived_ask_price"),
    *("first_derived_bid_vol", "first_derived_ask_vol"),
)
_TICK_FOP: Final = (
    *_NAMES,
    *("open", "underlying_price", "bid_side_total_vol", "ask_side_total_vol", "avg_price"),
    *("close", "high", "low", "amount", "total_amount", "volume", "total_volume"),
    *("tick_type", "chg_type", "price_chg", "pct_chg", "simtrade"),
)
_BOOK_FOP: Final = (
    *_NAMES,
    *("bid_total_vol", "ask_total_vol", *_BOOK, *_DERIVED, "underlying_price", "simtrade"),
)

# Fields of the SDK's messages (1.7.9), by type; their older names, such as target_kind_price for
# underlying_price, hold the same values and are left out.
MESSAGE_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "TickSTKv1": _TICK_STK,
    "BidAskSTKv1": _BOOK_STK,
    "QuoteSTKv1": (
        *(name for name in _TICK_STK if name != "intraday_odd"),
        *(*_BOOK, "avail_borrowing"),
    ),
    "TickFOPv1": _TICK_FOP,
    "BidAskFOPv1": _BOOK_FOP,
    "QuoteFOPv1": (*_TICK_FOP, *_BOOK, *_DERIVED),
}

# Fields whose values JSON does not have; a list holds one of such values. All other fields
# (volumes, tick_type, simtrade, ...) are numbers, truth values and texts.
_DECIMALS: Final = (
    *("open", "avg_price", "close", "high", "low", "amount", "total_amount", "price_chg"),
    *("pct_chg", "underlying_price", "target_kind_price", "bid_price", "ask_price"),
    *("closing_oddlot_close", "closing_oddlot_amount", "closing_oddlot_bid_price"),
    *("closing_oddlot_ask_price", "fixed_trade_amount"),
    *("first_derived_bid_price", "first_derived_ask_price"),
)
FIELDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(_DECIMALS, "decimal"),
    "date": "date",
    "time": "time",
    "datetime": "datetime",
}
_JSON: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
HEADER: Final = "header"
EVENT: Final = "event"
_LINE_KEYS: Final = ("seq", "mono_ns", "wall_ns", "kind")

# gzip, deflate, extra field, no time, no name; the extra field SW with 8 bytes.
_PREFIX: Final = bytes.fromhex("1f8b0804 00000000 00ff 0c00 5357 0800")
_SIZES: Final = struct.Struct("<II")
_HEAD_BYTES: Final = len(_PREFIX) + _SIZES.size
_TAIL_BYTES: Final = 8
# Deflate never makes text larger by more than a few bytes per 16 KiB.
_PAYLOAD_MAX: Final = BLOCK_TEXT_MAX + 4_096
_SEARCH_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line: a message, an event or a header, with the clocks of its receipt."""

    seq: int
    mono_ns: int
    wall_ns: int
    kind: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The lines of one block, and where it lies in the file."""

    offset: int
    size: int
    lines: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Bytes that are no block.

    Attributes:
        offset: Where they begin.
        size: How many they are.
        reason: What is wrong with the first of them.
        is_tail: Nothing whole follows: the file is torn.
    """

    offset: int
    size: int
    reason: str
    is_tail: bool


def encode_record(record: Record) -> bytes:
    """Return a record as one line.

    Raises:
        DataError: A value is of a type that cannot be written.
    """
    line: dict[str, Any] = {
        "seq": record.seq,
        "mono_ns": record.mono_ns,
        "wall_ns": record.wall_ns,
        "kind": record.kind,
    }
    for name, value in record.values.items():
        if name in _LINE_KEYS:
            raise DataError(f"A message field may not be called {name!r}")
        line[name] = _encoded(name, value)
    return _JSON.encode(line).encode() + b"\n"


def decode_record(line: bytes) -> Record:
    """Return the record of a line.

    Raises:
        DataError: The line is no record.
    """
    head, values = plain_record(line)
    try:
        decoded = {name: _decoded(name, value) for name, value in values.items()}
    except (ValueError, KeyError, AttributeError, TypeError, InvalidOperation) as error:
        raise DataError(f"not a line of a recording ({error!r}): {line[:80]!r}") from error
    return Record(**head, values=decoded)


def plain_record(line: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the head of a line and its values as JSON has them: decimals and times as text.

    Raises:
        DataError: The line is no record.
    """
    try:
        values = json.loads(line)
        head = {key: values.pop(key) for key in _LINE_KEYS}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise DataError(f"not a line of a recording ({error!r}): {line[:80]!r}") from error
    for key in ("seq", "mono_ns", "wall_ns"):
        if type(head[key]) is not int:
            raise DataError(f"not a line of a recording ({key} is no integer): {line[:80]!r}")
    return head, values


def may_begin(head: bytes) -> bool:
    """Return whether these are first bytes of a recording, as far as they go."""
    return head[: len(_PREFIX)] == _PREFIX[: len(head)]


def sequence_of(line: bytes) -> int:
    """Return the number of a line without reading the rest of it.

    Raises:
        DataError: The line does not begin with its number.
    """
    try:
        if line[:7] == b'{"seq":':
            return int(line[7 : line.index(b",", 7)])
    except ValueError:
        pass
    raise DataError(f"not a line of a recording: {line[:80]!r}")


def encode_block(text: bytes) -> bytes:
    """Return lines as one block."""
    assert len(text) <= BLOCK_TEXT_MAX, len(text)
    # Raw deflate: the frame around it is ours.
    packer = zlib.compressobj(level=6, method=zlib.DEFLATED, wbits=-15)
    payload = packer.compress(text) + packer.flush()
    head = _PREFIX + _SIZES.pack(len(payload), zlib.crc32(payload))
    return head + payload + _SIZES.pack(zlib.crc32(text), len(text))


def read_blocks(path: Path) -> Iterator[Block | Damage]:
    """Yield the blocks of a file, and the damage between and behind them.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            offset = 0
            while True:
                found = _block_at(file, offset)
                if found is None:
                    return
                if isinstance(found, str):
                    following = _next_block(file, offset + 1)
                    end = file.seek(0, 2) if following is None else following
                    yield Damage(
                        offset=offset,
                        size=end - offset,
                        reason=found,
                        is_tail=following is None,
                    )
                    if following is None:
                        return
                    offset = following
                    continue
                yield found
                offset += found.size
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def read_records(path: Path) -> Iterator[Record]:
    """Yield every record of a sound file; for tools and tests.

    Raises:
        DataError: A block or a line is damaged; the message names file and offset.
    """
    for block in read_blocks(path):
        if isinstance(block, Damage):
            raise DataError(f"{path}: offset {block.offset:#x}: {block.reason}")
        for line in block.lines:
            yield decode_record(line)


def _block_at(file: IO[bytes], offset: int) -> Block | str | None:
    """Return the block at an offset, what is wrong there, or None at the end of the file."""
    file.seek(offset)
    head = file.read(_HEAD_BYTES)
    if not head:
        return None
    if len(head) < _HEAD_BYTES:
        return "the file ends within the head of a block"
    if head[: len(_PREFIX)] != _PREFIX:
        return "no block begins here"
    size, checksum = _SIZES.unpack(head[len(_PREFIX) :])
    if size > _PAYLOAD_MAX:
        return f"a block of {size} bytes, more than any has"
    body = file.read(size + _TAIL_BYTES)
    if len(body) < size + _TAIL_BYTES:
        return "the file ends within a block"
    payload = body[:size]
    if zlib.crc32(payload) != checksum:
        return "the checksum of a block does not fit"
    try:
        unpacker = zlib.decompressobj(wbits=-15)
        text = unpacker.decompress(payload, BLOCK_TEXT_MAX + 1)
    except zlib.error as error:
        return f"a block cannot be unpacked: {error}"
    if body[size:] != _SIZES.pack(zlib.crc32(text), len(text)) or not unpacker.eof:
        return "the checksum of a block's text does not fit"
    if not text.endswith(b"\n"):
        return "a block that does not end with a line"
    lines = tuple(text[:-1].split(b"\n"))
    return Block(offset=offset, size=_HEAD_BYTES + size + _TAIL_BYTES, lines=lines)


def _next_block(file: IO[bytes], start: int) -> int | None:
    """Return where the next whole block begins."""
    while True:
        file.seek(start)
        window = file.read(_SEARCH_BYTES)
        if not window:
            return None
        at = window.find(_PREFIX)
        if at < 0:
            if len(window) < _SEARCH_BYTES:
                return None
            start += len(window) - len(_PREFIX) + 1  # it may lie across two windows
        elif isinstance(_block_at(file, start + at), Block):
            return start + at
        else:
            start += at + 1


def _encoded(name: str, value: Any) -> Any:
    kind = type(value)
    if kind is list or kind is tuple:
        return [_encoded(name, item) for item in value]
    if kind in _PLAIN:
        return value
    if kind in _ENCODERS:
        tag, encode = _ENCODERS[kind]
        text = encode(value)
    else:
        plain = _plain(name, value)
        if type(plain) is not str:
            return plain
        tag, text = "text", plain
    return text if tag == FIELDS.get(name, "text") else {tag: text}


def _plain(name: str, value: Any) -> str | int:
    """Return the plain value of a member of an enumeration or of another subclass."""
    # Not `isinstance`: the SDK's enumerations pass for texts there without being any.
    if issubclass(type(value), str):
        return str.__str__(value)
    if issubclass(type(value), int):
        return int(value)
    # Their members are recorded by their value, which is what they compare equal to.
    inner = getattr(value, "value", None)
    if type(inner) is str:
        return inner
    raise DataError(f"The field {name} holds a {type(value).__name__}, which cannot be recorded")


def _decoded(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(name, item) for item in value]
    if isinstance(value, dict):
        ((tag, text),) = value.items()
        return _DECODERS[tag](text)
    if isinstance(value, str):
        return _DECODERS[FIELDS.get(name, "text")](value)
    return value


_PLAIN: Final = frozenset((int, bool, type(None)))
_ENCODERS: Final[Mapping[type, tuple[str, Callable[[Any], str]]]] = {
    Decimal: ("decimal", str),
    str: ("text", str),
    float: ("float", float.hex),
    datetime: ("datetime", lambda value: value.isoformat(timespec="microseconds")),
    date: ("date", date.isoformat),
    time: ("time", lambda value: value.isoformat(timespec="microseconds")),
}
_DECODERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "decimal": Decimal,
    "float": float.fromhex,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "text": str,
}
