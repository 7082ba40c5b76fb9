"""Canonical ticks: what every reader returns and every tape holds."""

import datetime
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import rustsim
from sweep.products import Product
from sweep.readers.audit import Audit

KIND_LEVEL: Final = 0
KIND_TRADE: Final = 1
KIND_CLEAR: Final = 2

SIDE_BID: Final = 0
SIDE_ASK: Final = 1

FLAG_LAST: Final = 1
FLAG_IMAGE: Final = 2
FLAG_INDICATIVE: Final = 4
FLAG_GAP: Final = 8
FLAG_OUT_OF_VIEW: Final = 16

# Columns by name in the order of `TapeBuilder.append`; docs/semantics.md says what they mean.
COLUMNS: Final[dict[str, type[np.generic]]] = {
    "exch_ns": np.int64,
    "local_ns": np.int64,
    "kind": np.uint8,
    "side": np.uint8,
    "flags": np.uint8,
    "price": np.int32,
    "qty": np.int32,
    "join": np.uint32,
}
OPTIONAL_COLUMNS: Final = ("local_ns", "join")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A run of rows that starts and ends flat: rows [row_start, row_stop) of one tape."""

    name: str
    row_start: int
    row_stop: int


# Arrays of equal length by the names of `COLUMNS`; optional ones may be missing.
Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a reader is asked for.

    Attributes:
        path: The file; None for a reader that needs none.
        instrument: Name of the product, as under `data.source.instrument`.
        options: The reader's own options.
        audit: Hears of every row that breaks a rule of the reader.
        product: Finds the product as it was on a day; raises InputError for an unknown one.
        seen: Takes the bytes of the file from a reader that reads all of them in order, so that
            nobody has to read them again to know what was read. None: nobody asks.
    """

    path: Path | None
    instrument: str
    options: Any
    audit: Audit
    product: Callable[[datetime.date], Product]
    seen: rustsim.FileHash | None = None

    @property
    def file(self) -> Path:
        """The file of a reader that needs one."""
        assert self.path is not None, "the data room gives a file to every reader that needs one"
        return self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What is known once the last row is read; attributes as of `Ticks`."""

    instrument: Mapping[str, Any]
    sessions: tuple["Session", ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


# Yields columns chunk by chunk, in the order of rows and of bounded size, so that a file larger
# than the memory can be read; all chunks hold the same columns. Returns the summary.
Rows = Generator[Columns, None, Summary]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticks:
    """Columns of equal length, sorted by exchange time, and what is known about them.

    Attributes:
        columns: Arrays by the names of `COLUMNS`; optional ones may be missing.
        instrument: The part `instrument` of an exchange description.
        sessions: Cover every row exactly once, in order.
        facts: Plain JSON values that a user may want to know.
    """

    columns: Mapping[str, npt.NDArray[Any]]
    instrument: Mapping[str, Any]
    sessions: tuple[Session, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = self.row_count
        for name, kind in COLUMNS.items():
            assert name in self.columns or name in OPTIONAL_COLUMNS, name
            if name in self.columns:
                assert self.columns[name].dtype == kind, (name, self.columns[name].dtype)
                assert len(self.columns[name]) == rows, (name, len(self.columns[name]), rows)
        row = 0
        for session in self.sessions:
            assert session.row_start == row < session.row_stop, (session, row)
            row = session.row_stop
        assert row == rows, (row, rows)

    @property
    def row_count(self) -> int:
        """Number of rows."""
        return len(self.columns["exch_ns"])


def make_instrument(
    name: str, *, tick_value_minor: int, visible_levels: int, max_order_lots: int | None = None
) -> dict[str, Any]:
    """Return the part `instrument` of an exchange description; price limits are not recorded.

    Args:
        name: Product.
        tick_value_minor: Value of one tick for one lot, in minor units.
        visible_levels: Levels a side that the feed shows, 0 for all.
        max_order_lots: Largest order, None for no limit.
    """
    return {
        "name": name,
        "tick_value_minor": tick_value_minor,
        "price_min": None,
        "price_max": None,
        "visible_levels": visible_levels,
        "max_order_lots": max_order_lots,
    }


def collect(rows: Rows) -> Ticks:
    """Return all rows of a reader as one value; for files that fit into memory."""
    chunks = []
    while True:
        try:
            chunks.append(next(rows))
        except StopIteration as stop:
            summary: Summary = stop.value
            break
    columns = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    return Ticks(
        columns=columns,
        instrument=summary.instrument,
        sessions=summary.sessions,
        facts=summary.facts,
    )


def contiguous(values: Any, kind: type[np.generic]) -> npt.NDArray[Any]:
    """Return values as a contiguous array of the type, which they fit."""
    return np.ascontiguousarray(values, dtype=kind)
