"""Tables of unknown origin: named columns of Parquet and CSV files as times, steps and codes.

The two kinds of files give the same batches. A value that is none of its column becomes a mark
(`BAD`, `EMPTY`), since what that means is for the reader to say.
"""

import csv
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

import rustsim
from sweep.document import nearest
from sweep.errors import DataError
from sweep.readers.bounds import within
from sweep.readers.packed_files import open_packed
from sweep.readers.parquet_batches import ParquetBatches

Array = npt.NDArray[Any]

BAD: Final = -(1 << 63)
EMPTY: Final = BAD + 1
CODE_BAD: Final = 255
CODE_EMPTY: Final = 254

TimeUnit = Literal["ns", "us", "ms", "s", "iso"]
_DIGITS: Final[dict[str, int]] = {"ns": 0, "us": 3, "ms": 6, "s": 9}
_PIECE_BYTES: Final = 1 << 21
_HEADER_BYTES_MAX: Final = 1 << 20
_LARGE: Final = float(1 << 62)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One column that a reader asks for.

    Attributes:
        column: Its name in the file.
        option: The option that named it, for messages.
        kind: What to make of its values.
        unit: Unit of a time.
        zone: Time zone of ISO times without an offset; empty: every one has its offset.
        step: What one step of a number is.
        words: Codes by text.
    """

    column: str
    option: str
    kind: Literal["time", "steps", "code"]
    unit: TimeUnit = "ns"
    zone: str = ""
    step: Fraction = Fraction(1)
    words: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows: arrays by the roles that were asked for.

    Attributes:
        first: Number of the first row, as the user counts.
        unit: What the user counts: `line` or `row`.
        values: Numbers (i64) and codes (u8).
        bad: Tells what stands in a row of a role whose value is none, if that is known.
    """

    first: int
    unit: str
    row_count: int
    values: dict[str, Array]
    bad: Callable[[str, int], str | None]

    def where(self, row: int) -> str:
        """Name a row."""
        return f"{self.unit} {self.first + row}"


class Table(Protocol):
    """A file with named columns."""

    path: Path
    names: list[str]

    def batches(
        self, wanted: Mapping[str, Wanted], seen: rustsim.FileHash | None = None
    ) -> Iterator[Batch]:
        """Yield the rows in order; `seen` hears of all bytes of the file, if they are read so."""
        ...


def open_table(path: Path, separator: str, names: Sequence[str]) -> Table:
    """Return the table of a file: Parquet by its suffix, else delimited text, packed or not.

    Args:
        path: The file.
        separator: Character between fields of a text.
        names: Names of the columns of a text without a header line; empty: it has one.

    Raises:
        DataError: The file is missing or damaged.
    """
    if path.suffix in (".parquet", ".pq"):
        return _ParquetTable(path)
    return _TextTable(path, separator, names)


def require(table: Table, wanted: Mapping[str, Wanted]) -> None:
    """Refuse a table that lacks a column.

    Raises:
        DataError: A column is missing; the message names the nearest one and all found.
    """
    for want in wanted.values():
        if want.column not in table.names:
            guess = nearest(want.column, table.names)
            hint = f"; did you mean {guess!r}?" if guess else ""
            message = f"{table.path}: there is no column {want.column!r}"
            named = f"data.source.options.{want.option}"
            raise DataError(f"{message} ({named}){hint} Found: {', '.join(table.names)}")


# --- text -----------------------------------------------------------------------------------------


class _TextTable:
    def __init__(self, path: Path, separator: str, names: Sequence[str]) -> None:
        self.path = path
        self._separator = separator
        self._has_header = not names
        with open_packed(path) as file:
            head = file.read(_HEADER_BYTES_MAX)
        if not head:
            raise DataError(f"{path}: the file is empty")
        self.names = list(names) or self._header(head)
        for number, name in enumerate(self.names):
            if name in self.names[:number]:
                raise DataError(f"{path}: line 1: the column {name!r} is named twice")

    def _header(self, head: bytes) -> list[str]:
        line, end, _ = head.partition(b"\n")
        if not end and len(head) == _HEADER_BYTES_MAX:
            raise DataError(f"{self.path}: line 1: no line end within {_HEADER_BYTES_MAX} bytes")
        try:
            text = line.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
            (names,) = csv.reader([text.rstrip("\r")], delimiter=self._separator, strict=True)
        except (UnicodeDecodeError, csv.Error, ValueError) as error:
            raise DataError(f"{self.path}: line 1: not a line of column names: {error}") from error
        return [name.strip() for name in names]

    def batches(
        self, wanted: Mapping[str, Wanted], seen: rustsim.FileHash | None = None
    ) -> Iterator[Batch]:
        lines_before = int(self._has_header)
        parser = rustsim.TextColumns(self._spec(wanted), lines_before=lines_before)
        # A column may serve two roles; the parser reads it once.
        roles = {role: self.names.index(want.column) for role, want in wanted.items()}
        done = 0
        with open_packed(self.path, seen) as file:
            text = file.read(_PIECE_BYTES)
            if self._has_header:
                while b"\n" not in text and (more := file.read(_PIECE_BYTES)):
                    text += more
                text = text.partition(b"\n")[2]
            while True:
                following = file.read(_PIECE_BYTES)
                try:
                    piece = parser.push(text, is_last=not following)
                except rustsim.TickError as error:
                    raise DataError(f"{self.path}: {error}") from error
                if piece["rows"]:
                    yield self._batch(piece, wanted, roles, done + lines_before + 1)
                    done += piece["rows"]
                if not following:
                    break
                text = following

    def _batch(
        self, piece: dict[str, Any], wanted: Mapping[str, Wanted], roles: dict[str, int], first: int
    ) -> Batch:
        # The first one of each column.
        bad = {(column, row): text for column, row, text in piece["bad"]}
        values = {}
        for role, want in wanted.items():
            kind = np.uint8 if want.kind == "code" else np.int64
            values[role] = np.frombuffer(piece["columns"][roles[role]], kind)

        def told(role: str, row: int) -> str | None:
            return bad.get((roles[role], row))

        return Batch(first, "line", piece["rows"], _zoned(values, wanted), told)

    def _spec(self, wanted: Mapping[str, Wanted]) -> str:
        columns: list[dict[str, Any]] = [{"kind": "skip"} for _ in self.names]
        for want in wanted.values():
            columns[self.names.index(want.column)] = _column_spec(want)
        return json.dumps({"separator": ord(self._separator), "columns": columns})


def _column_spec(want: Wanted) -> dict[str, Any]:
    if want.kind == "code":
        return {"kind": "code", "words": list(want.words.items())}
    if want.kind == "steps":
        step = want.step
        return {"kind": "steps", "numerator": step.denominator, "denominator": step.numerator}
    if want.unit == "iso":
        return {"kind": "iso_time", "has_offset": not want.zone}
    return {"kind": "time", "digits": _DIGITS[want.unit]}


def _zoned(values: dict[str, Array], wanted: Mapping[str, Wanted]) -> dict[str, Array]:
    """Return values with local times of a zone turned into UTC."""
    return {
        role: _to_utc(array, wanted[role].zone)
        if wanted[role].kind == "time" and wanted[role].unit == "iso" and wanted[role].zone
        else array
        for role, array in values.items()
    }


def _to_utc(local: Array, zone: str) -> Array:
    """Return UTC of times of a zone; what never was or was twice there becomes a mark."""
    import polars as pl

    missing = local <= EMPTY
    series = pl.Series(np.where(missing, 0, local)).cast(pl.Datetime("ns"))
    placed = series.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    utc = placed.dt.convert_time_zone("UTC").to_physical().fill_null(BAD).to_numpy()
    return np.where(missing, local, utc)


# --- Parquet --------------------------------------------------------------------------------------


class _ParquetTable:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = ParquetBatches(path)
        self.names = list(self._file.types)

    def batches(
        self, wanted: Mapping[str, Wanted], seen: rustsim.FileHash | None = None
    ) -> Iterator[Batch]:
        del seen  # columns are read from all over the file
        columns = list(dict.fromkeys(want.column for want in wanted.values()))
        codes = [want.column for want in wanted.values() if want.kind == "code"]
        texts = [name for name in codes if "string" in self._file.types[name]]
        done = 0
        for batch in ParquetBatches(self.path, as_dictionary=texts).batches(columns):
            values: dict[str, Array] = {
                role: self._values(batch.column(want.column), want) for role, want in wanted.items()
            }
            if batch.num_rows:
                told = functools.partial(_told, batch, wanted, values)
                yield Batch(done, "row", batch.num_rows, values, told)
            done += batch.num_rows

    def _values(self, column: Any, want: Wanted) -> Array:
        import pyarrow as pa

        kind = column.type
        if pa.types.is_dictionary(kind) and want.kind != "code":
            column = column.dictionary_decode()
            kind = column.type
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if want.kind == "code":
            return _codes(column, want.words)
        if is_text:
            return self._parsed(column, want)
        if want.kind == "time" and pa.types.is_timestamp(kind):
            return self._timestamps(column, want)
        if want.kind == "time" and want.unit == "iso":
            message = f"{self.path}: expected {want.column!r} as text or timestamps"
            raise DataError(f"{message}, found {kind}")
        if pa.types.is_integer(kind):
            return self._integers(column, want)
        if pa.types.is_float64(kind) or (pa.types.is_decimal(kind) and want.kind == "steps"):
            return self._floats(column, want)
        message = f"{self.path}: the column {want.column!r} is {kind}; expected integers, float64"
        raise DataError(f"{message} or text: other types are too coarse for exact {want.kind}")

    def _parsed(self, column: Any, want: Wanted) -> Array:
        """Return values of texts, read like a column of a CSV file."""
        spec = {"separator": 1, "columns": [_column_spec(want)]}
        parser = rustsim.TextColumns(json.dumps(spec))
        quoted = ['"' + (text or "").replace('"', '""') + '"' for text in column.to_pylist()]
        try:
            piece = parser.push("\n".join(quoted).encode(), is_last=True)
        except rustsim.TickError as error:
            raise DataError(f"{self.path}: column {want.column!r}: {error}") from error
        values = {"it": np.frombuffer(piece["columns"][0], np.int64)}
        return _zoned(values, {"it": want})["it"]

    def _timestamps(self, column: Any, want: Wanted) -> Array:
        import pyarrow as pa

        scale = 10 ** _DIGITS[column.type.unit]
        is_null = column.is_null().to_numpy(zero_copy_only=False)
        raw = column.cast(pa.int64(), safe=False).fill_null(0).to_numpy()
        far = np.abs(raw) > (1 << 62) // scale
        utc = np.where(far, BAD, np.where(far, 0, raw) * scale)
        if column.type.tz is None:
            utc = _to_utc(utc, want.zone or "UTC")
        return np.where(is_null, EMPTY, utc)

    def _integers(self, column: Any, want: Wanted) -> Array:
        import pyarrow as pa

        is_null = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None
        raw = (column if is_null is None else column.fill_null(0)).to_numpy()
        if pa.types.is_uint64(column.type):
            raw = np.where(raw > np.uint64(1 << 62), np.uint64(1 << 62), raw)
        raw = raw.astype(np.int64, copy=False)
        if want.kind == "time":
            up, down = 10 ** _DIGITS[want.unit], 1
        else:
            up, down = want.step.denominator, want.step.numerator
        most = (1 << 62) // up
        if up == down == 1 and within(raw, -most, most):
            return raw if is_null is None else np.where(is_null, EMPTY, raw)
        far = (raw < -most) | (raw > most)
        product = raw if up == 1 and not far.any() else np.where(far, 0, raw) * up
        if down > 1:
            far |= product % down != 0
            product = product // down
        if far.any():
            product = np.where(far, BAD, product)
        return product if is_null is None else np.where(is_null, EMPTY, product)

    def _floats(self, column: Any, want: Wanted) -> Array:
        import pyarrow as pa

        from sweep.readers.ladder import LOTS_MAX, whole_steps

        is_null = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None
        raw = column.cast(pa.float64())
        raw = (raw.fill_null(0.0) if is_null is not None else raw).to_numpy()
        if want.kind == "time":
            # A double cannot hold nanoseconds since 1970; it holds units that are whole.
            with np.errstate(invalid="ignore"):
                good = (raw == np.rint(raw)) & (np.abs(raw) < _LARGE / 10 ** _DIGITS[want.unit])
                good &= np.abs(raw) <= float(1 << 53)
            whole = np.where(good, raw, 0.0).astype(np.int64) * 10 ** _DIGITS[want.unit]
            steps, bad = whole, ~good
        else:
            steps, bad = whole_steps(raw, want.step, LOTS_MAX)
        if bad.any():
            steps = np.where(bad, BAD, steps)
        return steps if is_null is None else np.where(is_null, EMPTY, steps)


def _told(
    batch: Any, wanted: Mapping[str, Wanted], values: dict[str, Array], role: str, row: int
) -> str | None:
    want = wanted[role]
    is_bad = values[role][row] == (CODE_BAD if want.kind == "code" else BAD)
    return str(batch.column(want.column)[row].as_py()) if is_bad else None


def _codes(column: Any, words: Mapping[str, int]) -> Array:
    import pyarrow as pa

    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    known = [words.get(_word(value), CODE_BAD) for value in encoded.dictionary.to_pylist()]
    table = np.array([*known, CODE_EMPTY], np.uint8)
    indices = encoded.indices
    if indices.null_count:
        indices = indices.fill_null(len(known))
    codes: Array = np.take(table, indices.to_numpy(zero_copy_only=False))
    return codes


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | Decimal) and value == int(value):
        return str(int(value))
    return str(value)
