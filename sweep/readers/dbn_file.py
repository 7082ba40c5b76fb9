"""Decodes files of the Databento binary encoding (DBN), versions 1 to 3, plain or under Zstandard.

Layout, little endian: `DBN`, a version byte and the length of the metadata (u32); the metadata;
then records, each with its length in units of four bytes, a record type, a publisher, an
instrument and `ts_event`. The versions differ in the metadata (version 1: symbols of 22 bytes and a
record count that is no longer used; later ones state the length of symbols) and in records that
hold no market data. With `ts_out` every record ends in eight more bytes.

Everything is read in blocks, so that a file larger than the memory can be read. Zstandard frames of
Databento carry checksums, plain files carry none: there only the rules of the reader find damage.
"""

import datetime
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from sweep.errors import DataError
from sweep.readers.audit import Audit

VERSION_MAX: Final = 3
UNDEF_PRICE: Final = 2**63 - 1
UNDEF_TIMESTAMP: Final = 2**64 - 1
NS_END: Final = 7_258_118_400_000_000_000  # the year 2200, the end of times on tapes
PRICE_UNITS: Final = 10**9  # units of a recorded price in a price of 1

FLAG_LAST: Final = 128  # last record of its packet
FLAG_TOB: Final = 64  # about the best level, not about an order
FLAG_SNAPSHOT: Final = 32
FLAG_MBP: Final = 16  # about a level, not about an order
FLAG_BAD_TS_RECV: Final = 8
FLAG_MAYBE_BAD_BOOK: Final = 4  # records were lost for good

SCHEMAS: Final = [
    "mbo",
    "mbp-1",
    "mbp-10",
    "tbbo",
    "trades",
    "ohlcv-1s",
    "ohlcv-1m",
    "ohlcv-1h",
    "ohlcv-1d",
    "definition",
    "statistics",
    "status",
    "imbalance",
    "ohlcv-eod",
    "cmbp-1",
    "cbbo-1s",
    "cbbo-1m",
    "tcbbo",
    "bbo-1s",
    "bbo-1m",
]
STYPES: Final = [
    "instrument_id",
    "raw_symbol",
    "smart",
    "continuous",
    "parent",
    "nasdaq_symbol",
    "cms_symbol",
    "isin",
    "us_code",
    "bbg_comp_id",
    "bbg_comp_ticker",
    "figi",
    "figi_ticker",
    "listing_id",
    "issuer_id",
    "security_id",
]

_HEADER: Final[list[tuple[Any, ...]]] = [
    ("length", "u1"),
    ("rtype", "u1"),
    ("publisher_id", "<u2"),
    ("instrument_id", "<u4"),
    ("ts_event", "<u8"),
]
_TAIL: Final[list[tuple[Any, ...]]] = [
    ("ts_recv", "<u8"),
    ("ts_in_delta", "<i4"),
    ("sequence", "<u4"),
]
_TRADE: Final[list[tuple[Any, ...]]] = [
    *_HEADER,
    ("price", "<i8"),
    ("size", "<u4"),
    ("action", "u1"),
    ("side", "u1"),
    ("flags", "u1"),
    ("depth", "u1"),
    *_TAIL,
]
_LEVEL: Final[list[tuple[Any, ...]]] = [
    ("bid_px", "<i8"),
    ("ask_px", "<i8"),
    ("bid_sz", "<u4"),
    ("ask_sz", "<u4"),
    ("bid_ct", "<u4"),
    ("ask_ct", "<u4"),
]
MBO: Final = np.dtype(
    [
        *_HEADER,
        ("order_id", "<u8"),
        ("price", "<i8"),
        ("size", "<u4"),
        ("flags", "u1"),
        ("channel_id", "u1"),
        ("action", "u1"),
        ("side", "u1"),
        *_TAIL,
    ]
)
TRADES: Final = np.dtype(_TRADE)
MBP_1: Final = np.dtype([*_TRADE, ("levels", _LEVEL, (1,))])
MBP_10: Final = np.dtype([*_TRADE, ("levels", _LEVEL, (10,))])


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordKind:
    """Records of one schema: their type, their layout, and the levels a side that they show."""

    rtype: int
    layout: np.dtype[Any]
    levels: int


# `tbbo` tells the best prices before each trade, in the layout of mbp-1.
RECORD_KINDS: Final[dict[str, RecordKind]] = {
    "mbo": RecordKind(rtype=160, layout=MBO, levels=0),
    "mbp-1": RecordKind(rtype=1, layout=MBP_1, levels=1),
    "tbbo": RecordKind(rtype=1, layout=MBP_1, levels=1),
    "mbp-10": RecordKind(rtype=10, layout=MBP_10, levels=10),
    "trades": RecordKind(rtype=0, layout=TRADES, levels=0),
}
# Types that may lie between market data (live recordings) and tell nothing about the book.
_RTYPES_BESIDE: Final = {
    18: "status",
    19: "definition",
    20: "imbalance",
    21: "error",
    22: "symbol mapping",
    23: "system",
    24: "statistics",
}

_MAGIC_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_PRELUDE_BYTES: Final = 8
_DATASET_BYTES: Final = 16
_METADATA_BYTES_MIN: Final = 100  # of the part of fixed size; the prelude is not counted
_METADATA_BYTES_MAX: Final = 1 << 28
_RESERVED_BYTES: Final = {1: 47, 2: 53, 3: 53}
_SYMBOL_BYTES_V1: Final = 22
_HEADER_BYTES: Final = 16
_LENGTH_UNIT: Final = 4
_BLOCK_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """What a requested symbol stood for in [since, until): with ids as output an instrument id."""

    symbol: str
    since: datetime.date
    until: datetime.date
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What stands in front of the records; times in ns UTC, None where it is not stated."""

    version: int
    dataset: str
    schema: str | None
    start_ns: int
    end_ns: int | None
    limit: int | None
    stype_in: str | None
    stype_out: str
    has_ts_out: bool
    symbols: tuple[str, ...]
    partial: tuple[str, ...]
    not_found: tuple[str, ...]
    mappings: tuple[Mapping, ...]


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class DbnFile:
    """One open file: its metadata, then its records block by block."""

    def __init__(self, path: Path) -> None:
        """Open a file and read its metadata.

        Raises:
            DataError: The file cannot be read, is damaged, or is of a form that is not known.
        """
        self._path = path
        self._stream = _open(path)
        self._offset = 0
        try:
            self.metadata = self._metadata()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def records(
        self, kind: RecordKind, audit: Audit | None
    ) -> Iterator[tuple[int, int, npt.NDArray[Any]]]:
        """Yield (number of the first, from 1; its offset; records) until the file ends.

        Args:
            kind: What the records are.
            audit: Hears of records of other kinds, rule `other_records`; None: it has heard.

        Raises:
            DataError: The file is damaged or cut, or holds records that cannot be there.
        """
        layout = kind.layout
        if self.metadata.has_ts_out:
            fields: Any = layout.descr
            layout = np.dtype([*fields, ("ts_out", "<u8")])
        number, rest = 1, b""
        while True:
            at = self._offset - len(rest)
            block = self._read(_BLOCK_BYTES)
            if not block:
                break
            rest = rest + block if rest else block
            place = 0
            while True:
                good = self._good(rest, place, kind, layout)
                if len(good):
                    yield number, at + place, good
                    number += len(good)
                    place += len(good) * layout.itemsize
                skipped = self._skip_other(rest, place, at, number, kind, layout, audit)
                if not skipped:
                    break
                place += skipped
                number += 1
            rest = rest[place:]
        if rest:
            where = f"record {number} (offset {self._offset - len(rest):#x})"
            raise DataError(
                f"{self._path}: {where}: the file ends inside of a record, it was cut short"
            )

    def _good(
        self, data: bytes, place: int, kind: RecordKind, layout: np.dtype[Any]
    ) -> npt.NDArray[Any]:
        # The longest run of whole records of the kind.
        count = (len(data) - place) // layout.itemsize
        found = np.frombuffer(data, layout, count, place)
        bad = (found["length"] != layout.itemsize // _LENGTH_UNIT) | (found["rtype"] != kind.rtype)
        return found[: int(bad.argmax())] if bad.any() else found

    def _skip_other(
        self,
        data: bytes,
        place: int,
        at: int,
        number: int,
        kind: RecordKind,
        layout: np.dtype[Any],
        audit: Audit | None,
    ) -> int:
        """Return the length of the record of another kind at `place`, 0 if it is not whole yet."""
        if len(data) - place < 2:
            return 0
        length, rtype = data[place] * _LENGTH_UNIT, data[place + 1]
        where = f"record {number} (offset {at + place:#x})"
        if rtype == kind.rtype and length == layout.itemsize:
            return 0
        if rtype not in _RTYPES_BESIDE or length < _HEADER_BYTES:
            raise DataError(
                f"{self._path}: {where}: expected a record of type {kind.rtype} and "
                f"{layout.itemsize} bytes, found type {rtype} and {length} bytes"
            )
        if len(data) - place < length:
            return 0
        if audit is not None:
            audit.hit("other_records", where, f"a record about {_RTYPES_BESIDE[rtype]}")
        return length

    def _read(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
        except OSError as error:
            where = f"after {self._offset:#x} bytes of content"
            raise DataError(f"{self._path}: damaged or cut {where}: {error}") from error
        self._offset += len(data)
        return data

    def _read_all(self, size: int) -> bytes:
        parts = []
        while size:
            part = self._read(min(size, _BLOCK_BYTES))
            if not part:
                raise DataError(f"{self._path}: the file ends inside of its metadata")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _metadata(self) -> Metadata:
        prelude = self._read_all(_PRELUDE_BYTES)
        if prelude[:3] != b"DBN":
            hint = ": the older form DBZ must be converted first" if prelude[:3] == b"DBZ" else ""
            raise DataError(f"{self._path}: not a DBN file, it starts with {prelude[:4]!r}{hint}")
        version, length = prelude[3], int.from_bytes(prelude[4:], "little")
        if not 1 <= version <= VERSION_MAX:
            raise DataError(
                f"{self._path}: offset 0x3: expected DBN version 1 to 3, found {version}"
            )
        if not _METADATA_BYTES_MIN <= length <= _METADATA_BYTES_MAX:
            raise DataError(f"{self._path}: offset 0x4: metadata of {length} bytes cannot be")
        return _MetadataReader(self._path, version, self._read_all(length)).metadata()


def _open(path: Path) -> _Stream:
    try:
        file = path.open("rb")
        head = file.read(len(_MAGIC_ZSTD))
        file.seek(0)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if head != _MAGIC_ZSTD:
        return file
    import pyarrow as pa

    stream: _Stream = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
    return stream


class _MetadataReader:
    """Reads metadata from front to back, and refuses what does not add up."""

    def __init__(self, path: Path, version: int, data: bytes) -> None:
        self._path = path
        self._version = version
        self._data = io.BytesIO(data)
        self._end = len(data)
        self._symbol_bytes = _SYMBOL_BYTES_V1

    def metadata(self) -> Metadata:
        dataset = self._text(_DATASET_BYTES, "dataset")
        schema = self._code(2, SCHEMAS, "schema")
        start_ns, end_ns, limit = self._int(8), self._int(8), self._int(8)
        if self._version == 1:
            self._int(8)  # a record count, no longer used
        stype_in = self._code(1, STYPES, "kind of input symbols")
        stype_out = self._code(1, STYPES, "kind of output symbols")
        if stype_out is None:
            raise self._error("the kind of output symbols is missing")
        ts_out = self._int(1)
        if ts_out > 1:
            raise self._error(f"expected 0 or 1 for ts_out, found {ts_out}")
        if self._version > 1:
            self._symbol_bytes = self._int(2)
            if self._symbol_bytes == 0:
                raise self._error("symbols of no length cannot be")
        self._take(_RESERVED_BYTES[self._version])
        if self._int(4):
            raise self._error("a schema definition follows, which no known version has")
        symbols, partial, not_found = self._symbols(), self._symbols(), self._symbols()
        mappings = tuple(self._mappings())
        rest = self._data.read()
        if rest.strip(b"\0"):
            raise self._error(f"{len(rest)} bytes are left over")
        if end_ns in (0, UNDEF_TIMESTAMP):
            end_ns = 0
        elif end_ns < start_ns:
            raise self._error(f"the data end at {end_ns} ns, before they start at {start_ns} ns")
        return Metadata(
            version=self._version,
            dataset=dataset,
            schema=schema,
            start_ns=start_ns,
            end_ns=end_ns or None,
            limit=limit or None,
            stype_in=stype_in,
            stype_out=stype_out,
            has_ts_out=bool(ts_out),
            symbols=symbols,
            partial=partial,
            not_found=not_found,
            mappings=mappings,
        )

    def _error(self, what: str) -> DataError:
        offset = _PRELUDE_BYTES + self._data.tell()
        return DataError(f"{self._path}: offset {offset:#x}: bad metadata: {what}")

    def _take(self, size: int) -> bytes:
        data = self._data.read(size)
        if len(data) < size:
            raise self._error("they end too early")
        return data

    def _int(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")

    def _text(self, size: int, what: str) -> str:
        data = self._take(size).rstrip(b"\0")
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise self._error(f"the {what} {data!r} is no text") from error
        if not text.isprintable():
            raise self._error(f"the {what} {text!r} cannot be")
        return text

    def _code(self, size: int, names: list[str], what: str) -> str | None:
        code = self._int(size)
        if code == (1 << 8 * size) - 1:
            return None
        if code >= len(names):
            raise self._error(f"no {what} has the code {code}")
        return names[code]

    def _count(self, size: int) -> int:
        count = self._int(4)
        if count * size > self._end - self._data.tell():
            raise self._error(f"they are too short for {count} entries of {size} bytes")
        return count

    def _symbols(self) -> tuple[str, ...]:
        count = self._count(self._symbol_bytes)
        return tuple(self._text(self._symbol_bytes, "symbol") for _ in range(count))

    def _mappings(self) -> Iterator[Mapping]:
        for _ in range(self._count(self._symbol_bytes + 4)):
            symbol = self._text(self._symbol_bytes, "symbol")
            for _ in range(self._count(8 + self._symbol_bytes)):
                since, until = self._date(), self._date()
                target = self._text(self._symbol_bytes, "symbol")
                yield Mapping(symbol=symbol, since=since, until=until, target=target)

    def _date(self) -> datetime.date:
        number = self._int(4)
        try:
            return datetime.date(number // 10_000, number // 100 % 100, number % 100)
        except ValueError as error:
            raise self._error(f"expected a date like 20240131, found {number}") from error
