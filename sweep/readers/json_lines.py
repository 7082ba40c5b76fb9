"""Decodes lines of JSON in bulk, and finds the bad ones."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from sweep.errors import DataError
from sweep.readers.audit import Audit, Rule
from sweep.readers.text_lines import Block

if TYPE_CHECKING:
    import polars as pl

JSON_RULES: Final[dict[str, Rule]] = {
    "bad_line": Rule(
        doc="Every line is whole and of the expected form. drop: leave the line out",
        actions=("error", "drop"),
    ),
}


def block_lines(block: Block, source: str) -> "pl.Series":
    """Return the lines of a block as texts, without their ends; empty ones are null.

    Raises:
        DataError: The text is not UTF-8, or holds a control character that no text file holds.
    """
    import polars as pl

    # One column is read by a separator that text never holds.
    if b"\x01" in block.text:
        number = block.first_line + block.text[: block.text.index(b"\x01")].count(b"\n")
        raise DataError(f"{source}: line {number}: holds the control character 0x01")
    try:
        frame = pl.read_csv(
            block.text,
            has_header=False,
            separator="\x01",
            quote_char=None,
            schema={"text": pl.String},
            truncate_ragged_lines=False,
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{source}: line {_bad_text(block)}: not UTF-8 text: {error}") from error
    if frame.height != block.line_count:
        found = f"{frame.height} lines found where {block.line_count} end"
        raise DataError(f"{source}: lines from {block.first_line} on: {found}")
    return frame["text"]


def _bad_text(block: Block) -> int:
    try:
        block.text.decode()
    except UnicodeDecodeError as error:
        return block.first_line + block.text[: error.start].count(b"\n")
    return block.first_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """Values of the lines that could be decoded, and which ones those are."""

    values: "pl.Series"
    is_good: npt.NDArray[np.bool_]


def decode(texts: "pl.Series", form: Any, numbers: npt.NDArray[np.int64], audit: Audit) -> Decoded:
    """Return JSON texts as values of one form; missing keys become null.

    Whole numbers should be read as texts: the decoder would cut fractions off without a word.

    Args:
        texts: None of them null.
        form: A polars type.
        numbers: Number of the line of each.
        audit: Hears of lines that are no JSON or of another form (`bad_line`).

    Raises:
        DataError: A line is bad and the rule is an error.
    """
    import polars as pl

    is_good = np.ones(len(texts), bool)
    values = _decode(texts, form)
    if values is not None:
        return Decoded(values=values, is_good=is_good)
    bad = _bad_rows(texts, form, 0)
    number = int(numbers[bad[0]])
    audit.hit("bad_line", f"line {number}", explain(texts[bad[0]]), count=len(bad))
    is_good[bad] = False
    values = _decode(texts.filter(pl.Series(is_good)), form)
    assert values is not None, "lines that are good one by one are good together"
    return Decoded(values=values, is_good=is_good)


def _decode(texts: "pl.Series", form: Any) -> "pl.Series | None":
    import polars as pl

    # The decoder joins lines with commas: a line that is no whole object could fit another.
    shaped = texts.str.starts_with("{") & texts.str.ends_with("}")
    if not shaped.all():
        return None
    try:
        values = texts.str.json_decode(form)
    except pl.exceptions.PolarsError:
        return None
    return values if len(values) == len(texts) else None


def _bad_rows(texts: "pl.Series", form: Any, first: int) -> list[int]:
    """Return the bad rows of texts that cannot be decoded together, by halving."""
    if len(texts) == 1:
        return [first]
    half = len(texts) // 2
    found = []
    for start, part in ((0, texts[:half]), (half, texts[half:])):
        if _decode(part, form) is None:
            found += _bad_rows(part, form, first + start)
    return found


def explain(text: str) -> str:
    """Return what is wrong with a line that could not be decoded."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"no JSON at column {error.colno}: {error.msg}"
    except (ValueError, RecursionError) as error:
        return f"no JSON that can be read: {error}"
    return f"JSON of another form than expected: {text[:80]}"
