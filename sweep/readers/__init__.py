"""Readers of tick sources, by name: one file and one line in `READERS` each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sweep.errors import InputError
from sweep.readers import canonical_parquet, shioaji_parquet, synthetic
from sweep.readers.ticks import Ticks
from sweep.space import Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One kind of source.

    Attributes:
        options: Dataclass of its options, whose fields carry `doc`, `unit`, `low` and `high`.
        read: Takes a file (None if the reader needs none), a product and options.
        needs_files: Whether it reads files; one tape is made of each.
        version: Part of the names of tapes, beside the hash of the reader's source.
    """

    options: type
    read: Callable[[Path | None, str, Any], Ticks]
    needs_files: bool = True
    version: int = 1


READERS: Final[dict[str, Reader]] = {
    "synthetic": Reader(
        options=synthetic.SyntheticOptions,
        read=synthetic.read,
        needs_files=False,
        version=synthetic.SYNTHETIC_VERSION,
    ),
    "shioaji_parquet": Reader(
        options=shioaji_parquet.ShioajiParquetOptions, read=shioaji_parquet.read
    ),
    "canonical_parquet": Reader(
        options=canonical_parquet.CanonicalParquetOptions, read=canonical_parquet.read
    ),
}

OPTIONS: Final[dict[str, type]] = {name: reader.options for name, reader in READERS.items()}


def make_options(reader: str, values: Mapping[str, Scalar]) -> Any:
    """Return the options of a reader from plain values.

    Raises:
        InputError: There is no such reader or option.
    """
    if reader not in READERS:
        raise InputError(f"There is no reader {reader!r}; known: {', '.join(READERS)}")
    try:
        return READERS[reader].options(**values)
    except TypeError as error:
        raise InputError(f"The reader {reader} does not take these options: {error}") from error
