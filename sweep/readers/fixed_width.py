"""Files of equally long lines, read block by block as matrices of bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.errors import DataError
from sweep.readers.packed_files import open_packed

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
        DataError: The file cannot be read, or holds no line.
    """
    with open_packed(path) as file:
        width, _ = _first_line(path, file.read(_LINE_BYTES_MAX))
    return width


def read_lines(path: Path) -> Iterator[Lines]:
    """Yield all lines in blocks; the file may be packed, see `packed_files`.

    Raises:
        DataError: The file cannot be read, or a line has another length than the first.
    """
    with open_packed(path) as file:
        rest = file.read(_LINE_BYTES_MAX)
        width, end = _first_line(path, rest)
        stride = width + len(end)
        wanted = _BLOCK_LINES * stride
        number = 0
        while True:
            # A packed file may give less than is asked for.
            while len(rest) < wanted and (chunk := file.read(wanted - len(rest))):
                rest += chunk
            block, rest = rest[:wanted], rest[wanted:]
            if not block:
                return
            if len(block) < wanted and not block.endswith(b"\n"):
                block += end  # the last line of a file may lack its end
            yield _matrix(path, block, width, end, number)
            number += len(block) // stride


def _first_line(path: Path, head: bytes) -> tuple[int, bytes]:
    """Return the length of the first line and the end of all lines."""
    if not head:
        raise DataError(f"{path}: the file holds no line")
    first = head.split(b"\n", 1)[0]
    width = len(first.rstrip(b"\r"))
    return width, b"\r\n" if first.endswith(b"\r") else b"\n"


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
