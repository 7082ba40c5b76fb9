"""Reads CSV files as columns of texts, block by block, and finds the rows of another form."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from sweep.errors import DataError
from sweep.readers.audit import Audit, Rule, numbered
from sweep.readers.text_lines import Block, line_blocks

if TYPE_CHECKING:
    import polars as pl

CSV_RULES: Final[dict[str, Rule]] = {
    "bad_line": Rule(
        doc="Every line has a field for each column of the header. drop: leave the line out",
        actions=("error", "drop"),
    ),
    "cut_line": Rule(
        doc="The last line has an end; without one its last number may be cut. count: keep it",
        actions=("error", "count"),
    ),
}

_COMMA: Final = ord(",")


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvBlock:
    """Some rows of a file; `number` is the line of each."""

    frame: "pl.DataFrame"
    number: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvFile:
    """A CSV file with a header and without quotes.

    Attributes:
        unit: What a line is called in messages: `line`, with the name of a second file before it.
    """

    path: Path
    header: tuple[str, ...]
    unit: str

    def blocks(self, audit: Audit, columns: tuple[str, ...] = ()) -> Iterator[CsvBlock]:
        """Yield all rows; an empty field is null.

        Args:
            audit: Hears of lines of another form.
            columns: Those wanted, all if empty; others are not looked at.

        Raises:
            DataError: The file is damaged, or a line is bad and the rule is an error.
        """
        for block in line_blocks(self.path):
            if block.is_cut and not columns:
                number = block.first_line + block.line_count - 1
                audit.hit("cut_line", f"{self.unit} {number}", "the line has no end")
            body = block.without_first() if block.first_line == 1 else block
            if body is not None:
                yield self._parse(body, audit, columns)

    def _parse(self, block: Block, audit: Audit, columns: tuple[str, ...]) -> CsvBlock:
        number = np.arange(block.first_line, block.first_line + block.line_count)
        commas = len(self.header) - 1
        # Lines of too few fields would be filled up in silence, ones of too many are refused.
        found = int(np.count_nonzero(np.frombuffer(block.text, np.uint8) == _COMMA))
        frame = self._frame(block.text, columns) if found == commas * len(number) else None
        if frame is not None and frame.height == len(number):
            return CsvBlock(frame=frame, number=number)
        lines = block.text.removesuffix(b"\n").split(b"\n")
        good = np.array([line.count(b",") == commas and _is_text(line) for line in lines])
        audit.hit_rows(
            "bad_line",
            ~good,
            numbered(self.unit, number),
            lambda row: f"expected {commas + 1} fields, found {lines[row][:80]!r}",
        )
        kept = [line for line, is_good in zip(lines, good, strict=True) if is_good]
        frame = self._frame(b"".join(line + b"\n" for line in kept), columns)
        if frame is None or frame.height != len(kept):
            message = f"{self.unit} {block.first_line}: lines that cannot be taken apart"
            raise DataError(f"{self.path}: {message}")
        return CsvBlock(frame=frame, number=number[good])

    def _frame(self, text: bytes, columns: tuple[str, ...]) -> "pl.DataFrame | None":
        import polars as pl

        schema = dict.fromkeys(self.header, pl.String())
        if not text:
            return pl.DataFrame(schema=schema)
        try:
            return pl.read_csv(
                text,
                has_header=False,
                quote_char=None,
                schema=schema,
                columns=[self.header.index(name) for name in columns] or None,
            )
        except pl.exceptions.PolarsError:
            return None


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def open_csv(path: Path, unit: str) -> CsvFile:
    """Return a file, its header read.

    Raises:
        DataError: The file cannot be read, is empty, or the header names a column twice.
    """
    first = next(line_blocks(path), None)
    if first is None:
        raise DataError(f"{path}: the file holds no line")
    try:
        header = tuple(first.text.partition(b"\n")[0].decode().rstrip("\r").split(","))
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: line 1: not UTF-8 text: {error}") from error
    if len(set(header)) != len(header):
        raise DataError(f"{path}: line 1: the header names a column twice")
    return CsvFile(path=path, header=header, unit=unit)
