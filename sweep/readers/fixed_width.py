"""Files of equally long lines, read block by block as matrices of bytes."""

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

import numpy as np
import numpy.typing as npt

from sweep.errors import DataError

Array = npt.NDArray[Any]

_BLOCK_LINES: Final = 1 << 16
_LINE_BYTES_MAX: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Some lines of a file.

    Attributes:
        path: The file.
        number: Number of each line in the file, the first is 1.
        text: One row of bytes per line, without the line end.
    """

    path: Path
    number: Array
    text: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.number)

    def chosen(self, which: Array) -> "Lines":
        """Return the lines of a mask or of positions."""
        return Lines(path=self.path, number=self.number[which], text=self.text[which])

    def holds(self, start: int, value: bytes) -> Array:
        """Return which lines hold these bytes at a position."""
        wanted = np.frombuffer(value, np.uint8)
        return np.asarray((self.text[:, start : start + len(value)] == wanted).all(axis=1))

    def numbers(self, start: int, width: int, what: str) -> Array:
        """Return an unsigned number of up to 18 digits from each line.

        Raises:
            DataError: A line holds something else there.
        """
        digits = self.text[:, start : start + width] - np.uint8(ord("0"))
        bad = np.asarray((digits > 9).any(axis=1))
        self.refuse(bad, start, width, f"expected {what} as {width} digits")
        return digits.astype(np.int64) @ 10 ** np.arange(width - 1, -1, -1, dtype=np.int64)

    def marks(self, start: int, known: bytes, what: str) -> Array:
        """Return one byte from each line.

        Raises:
            DataError: A line holds another byte than the known ones.
        """
        found: Array = self.text[:, start]
        bad = ~np.isin(found, np.frombuffer(known, np.uint8))
        self.refuse(bad, start, 1, f"expected {what} as one of {known.decode()!r}")
        return found

    def refuse(self, bad: Array, start: int, width: int, expected: str) -> None:
        """Raise DataError for the first bad line, if there is one; columns count from 1."""
        if bad.any():
            row = int(bad.argmax())
            found = self.text[row, start : start + width].tobytes()
            where = f"line {self.number[row]}, column {start + 1}"
            raise DataError(f"{self.path}: {where}: {expected}, found {found!r}")


def line_length(path: Path) -> int:
    """Return the length of the first line, without its end.

    Raises:
        DataError: The file cannot be read, is empty, or has no lines.
    """
    with _guard(path), _open(path) as file:
        first = file.readline(_LINE_BYTES_MAX)
    if not first:
        raise DataError(f"{path}: the file holds no line")
    return len(first.rstrip(b"\r\n"))


def read_lines(path: Path) -> Iterator[Lines]:
    """Yield all lines in blocks; the file may be compressed with gzip.

    Raises:
        DataError: The file cannot be read, or a line has another length than the first.
    """
    with _guard(path), _open(path) as file:
        first = file.readline(_LINE_BYTES_MAX)
        width = len(first.rstrip(b"\r\n"))
        end = first[width:] or b"\n"
        stride = width + len(end)
        read, carried = 0, first
        while True:
            block = carried + file.read(_BLOCK_LINES * stride - len(carried))
            carried = b""
            if not block:
                return
            is_last = len(block) < _BLOCK_LINES * stride
            if is_last and not block.endswith(b"\n"):
                block += end  # the last line of a file may lack its end
            yield _matrix(path, block, width, end, read)
            read += len(block) // stride


def _matrix(path: Path, block: bytes, width: int, end: bytes, read: int) -> Lines:
    stride = width + len(end)
    if len(block) % stride or block.count(b"\n") * stride != len(block):
        raise _odd_line(path, block, width, end, read)
    table = np.frombuffer(block, np.uint8).reshape(-1, stride)
    if not (table[:, width:] == np.frombuffer(end, np.uint8)).all():
        raise _odd_line(path, block, width, end, read)
    number = np.arange(read + 1, read + len(table) + 1)
    return Lines(path=path, number=number, text=table[:, :width])


def _odd_line(path: Path, block: bytes, width: int, end: bytes, read: int) -> DataError:
    lines = block.removesuffix(b"\n").split(b"\n")
    odd = [
        number
        for number, line in enumerate(lines, read + 1)
        if len(line) + 1 != width + len(end) or not (line + b"\n").endswith(end)
    ]
    length = len(lines[odd[0] - read - 1].rstrip(b"\r"))
    return DataError(f"{path}: line {odd[0]}: expected {width} characters, found {length}")


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    if is_gzip:
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return path.open("rb")


@contextlib.contextmanager
def _guard(path: Path) -> Iterator[None]:
    """Turn what a damaged file raises into a DataError that names it."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
