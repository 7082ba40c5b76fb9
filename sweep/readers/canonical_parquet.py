"""Reads and writes canonical ticks as Parquet: the door for sources that have no reader here.

The columns are those of `sweep.readers.ticks.COLUMNS`, with exactly their types; `local_ns` and
`join` may be missing. Instrument, sessions and facts lie as JSON under the key `sweep` of the
file's metadata; a file without them is one session, its instrument comes from the options.
"""

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy.typing as npt

from sweep.errors import DataError
from sweep.readers.options import option
from sweep.readers.parquet_batches import ParquetBatches
from sweep.readers.ticks import (
    COLUMNS,
    OPTIONAL_COLUMNS,
    Request,
    Rows,
    Session,
    Summary,
    Ticks,
    make_instrument,
)
from sweep.whole_files import whole_file

METADATA_KEY: Final = b"sweep"
# SHA-256 of that document: pages of a Parquet file have checksums, its metadata have none.
CHECKSUM_KEY: Final = b"sweep_sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalParquetOptions:
    """What a file does not say about its instrument; ignored where it does."""

    tick_value_minor: int = option(
        0, "Value of one tick for one lot; 0: the file says so", "minor units", 0, 10**9
    )
    visible_levels: int = option(0, "Levels a side that the feed shows; 0: all", "levels", 0, 1_000)


def read(request: Request) -> Rows:
    """Read the ticks of one file; the tape builder checks the rows.

    Raises:
        DataError: The file is damaged, or columns or metadata are not as stated.
    """
    path, instrument = request.file, request.instrument
    options: CanonicalParquetOptions = request.options
    file = ParquetBatches(path)
    columns = {
        name: kind
        for name, kind in COLUMNS.items()
        if name in file.types or name not in OPTIONAL_COLUMNS
    }
    file.check_types(columns)
    if file.row_count == 0:
        raise DataError(f"{path}: the file holds no row")
    document = _document(path, file.metadata)
    sessions = _sessions(path, document, file.row_count)
    stated = document.get("instrument")
    if not isinstance(stated, dict):
        if options.tick_value_minor == 0:
            message = f"{path}: the file does not say what a tick is worth"
            raise DataError(f"{message}; set data.source.options.tick_value_minor")
        stated = make_instrument(
            instrument,
            tick_value_minor=options.tick_value_minor,
            visible_levels=options.visible_levels,
        )
    yield from file.arrays(list(columns))
    return Summary(
        instrument=stated | {"name": instrument},
        sessions=sessions,
        facts=document.get("facts", {}),
    )


def _document(path: Path, metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    text = metadata.get(METADATA_KEY)
    stated = metadata.get(CHECKSUM_KEY)
    if stated is not None and stated != metadata_of(text or b"")[CHECKSUM_KEY]:
        raise DataError(f"{path}: the metadata {METADATA_KEY.decode()!r} do not fit their checksum")
    if text is None:
        return {}
    try:
        document = json.loads(text)
    except ValueError as error:
        raise DataError(
            f"{path}: the metadata {METADATA_KEY.decode()!r} is no JSON: {error}"
        ) from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: the metadata {METADATA_KEY.decode()!r} is no JSON object")
    return document


def _sessions(path: Path, document: dict[str, Any], row_count: int) -> tuple[Session, ...]:
    listed = document.get("sessions")
    if listed is None:
        return (Session(name="all", row_start=0, row_stop=row_count),)
    try:
        sessions = tuple(Session(**entry) for entry in listed)
        edges = [0, *(session.row_stop for session in sessions)]
        whole = edges[-1] == row_count and all(a < b for a, b in itertools.pairwise(edges))
        whole = whole and [session.row_start for session in sessions] == edges[:-1]
    except TypeError as error:
        raise DataError(
            f"{path}: the sessions in the metadata have another form: {error}"
        ) from error
    if not whole:
        raise DataError(
            f"{path}: the sessions in the metadata do not cover {row_count} rows in order"
        )
    return sessions


def metadata_of(document: bytes) -> dict[bytes, bytes]:
    """Return the metadata of a file: the JSON document and its checksum."""
    return {METADATA_KEY: document, CHECKSUM_KEY: hashlib.sha256(document).hexdigest().encode()}


def write(path: Path, ticks: Ticks) -> None:
    """Write ticks as one Parquet file, under a temporary name first.

    Raises:
        ResourceError: The disk is full or the folder cannot be written.
    """
    document = {
        "instrument": dict(ticks.instrument),
        "sessions": [asdict(session) for session in ticks.sessions],
        "facts": dict(ticks.facts),
    }
    write_columns(path, dict(ticks.columns), document)


def write_columns(
    path: Path, columns: dict[str, npt.NDArray[Any]], document: dict[str, Any]
) -> None:
    """Write columns and a JSON document as one Parquet file, under a temporary name first.

    Raises:
        ResourceError: The disk is full or the folder cannot be written.
    """
    with whole_file(path) as temporary, temporary.open("wb") as file:
        write_chunks(file, [columns], document)


def write_chunks(
    file: IO[bytes], chunks: Iterable[Mapping[str, npt.NDArray[Any]]], document: dict[str, Any]
) -> None:
    """Write chunks of columns, at least one, and a JSON document to an open file, as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    metadata = metadata_of(json.dumps(document, sort_keys=True).encode())
    writer = None
    try:
        for columns in chunks:
            arrays = [pa.array(values) for values in columns.values()]
            fields = zip(columns, arrays, strict=True)
            # No value is ever missing: readers need not look which are there.
            schema = pa.schema(
                [pa.field(name, array.type, nullable=False) for name, array in fields], metadata
            )
            table = pa.Table.from_arrays(arrays, schema=schema)
            if writer is None:
                # Times as small steps, everything else as codes of few values: as small as a
                # stronger compression makes it, and read in half the time.
                times = [name for name in columns if schema.field(name).type == pa.int64()]
                writer = pq.ParquetWriter(
                    file,
                    schema,
                    compression="lz4",
                    use_dictionary=[name for name in columns if name not in times],
                    column_encoding=dict.fromkeys(times, "DELTA_BINARY_PACKED"),
                    write_page_checksum=True,
                )
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
