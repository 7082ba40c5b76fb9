"""Streams tables of numbers: CSV files without a header, packed or not, in bounded memory."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.errors import DataError
from sweep.readers.packed_files import PackedFile, open_packed

Array = npt.NDArray[Any]

_BLOCK_BYTES: Final = 1 << 23
_LINE_BYTES_MAX: Final = 1 << 16
_ROW: Final = re.compile(r"Row #(\d+): ?")


class NumberTable:
    """Lines of one file, taken from front to back."""

    def __init__(self, path: Path, file: PackedFile, columns: Mapping[str, str]) -> None:
        """Use `open_table`."""
        self.path = path
        self._file = file
        self._columns = columns
        self._batches = self._read()
        self._rest: dict[str, Array] | None = None
        self.lines = 0

    def take(self, count: int) -> dict[str, Array]:
        """Return the next lines as columns: as many as asked for, fewer at the end, then none.

        Raises:
            DataError: The file is damaged or holds something else; the message names the line.
        """
        found = [] if self._rest is None else [self._rest]
        have = 0 if self._rest is None else len(next(iter(self._rest.values())))
        while have < count:
            batch = next(self._batches, None)
            if batch is None:
                break
            found.append(batch)
            have += len(next(iter(batch.values())))
        if not found:
            return {name: np.zeros(0, kind) for name, kind in self._columns.items() if kind}
        joined = {
            name: np.concatenate([batch[name] for batch in found]) if len(found) > 1 else values
            for name, values in found[0].items()
        }
        self._rest = {name: values[count:] for name, values in joined.items()}
        self.lines += min(have, count)
        return {name: values[:count] for name, values in joined.items()}

    @property
    def is_cut(self) -> bool:
        """Whether the file, read to its end, ends within a line."""
        return self._file.last not in (b"", b"\n")

    def _read(self) -> Iterator[dict[str, Array]]:
        import pyarrow as pa
        import pyarrow.csv as pc

        kinds = {"float64": pa.float64(), "int64": pa.int64()}
        wanted = {name: kinds[kind] for name, kind in self._columns.items() if kind}
        names = list(self._columns)
        try:
            with pc.open_csv(
                self._file,
                # Without threads, so that messages know the line.
                read_options=pc.ReadOptions(
                    column_names=names, use_threads=False, block_size=_BLOCK_BYTES
                ),
                parse_options=pc.ParseOptions(quote_char=False, ignore_empty_lines=False),
                convert_options=pc.ConvertOptions(
                    column_types=wanted, include_columns=list(wanted), null_values=[]
                ),
            ) as reader:
                for batch in reader:
                    yield {
                        name: _numbers(batch.column(name), self._columns[name]) for name in wanted
                    }
        except (pa.ArrowException, OSError) as error:
            if self._file.fault is not None:
                raise self._file.fault from error
            raise self._refusal(str(error)) from error

    def _refusal(self, text: str) -> DataError:
        row = _ROW.search(text)
        where = f"line {row[1]}: " if row else ""
        text = _ROW.sub("", text, count=1)
        text = text.removeprefix("CSV parse error: ")[:200]
        message = f"{self.path}: {where}expected {len(self._columns)} numbers divided by commas"
        return DataError(f"{message}: {text}")


def _numbers(column: Any, kind: str) -> Array:
    # Not to_numpy, which loads pandas if it is there.
    size = np.dtype(kind).itemsize
    data: Array = np.frombuffer(column.buffers()[1], kind, len(column), column.offset * size)
    return data


@contextlib.contextmanager
def open_table(path: Path, columns: Mapping[str, str]) -> Iterator[NumberTable]:
    """Open a file for reading line by line.

    Args:
        path: The file.
        columns: `int64` or `float64` by name, in the order of the file; an empty text: left out.

    Raises:
        DataError: The file cannot be opened.
    """
    with open_packed(path) as file:
        yield NumberTable(path, file, columns)


def count_columns(path: Path) -> int:
    """Return the number of columns in the first line of a file.

    Raises:
        DataError: The file cannot be opened, is empty, or does not begin with a line.
    """
    with open_packed(path) as file:
        head = b""
        while b"\n" not in head and len(head) <= _LINE_BYTES_MAX:
            piece = file.read(_LINE_BYTES_MAX)
            if not piece:
                break
            head += piece
    if not head:
        raise DataError(f"{path}: the file is empty")
    line = head.split(b"\n", 1)[0]
    if len(line) > _LINE_BYTES_MAX:
        raise DataError(f"{path}: line 1 is longer than {_LINE_BYTES_MAX} bytes: not a table")
    return line.count(b",") + 1
