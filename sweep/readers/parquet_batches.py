"""Streams Parquet files: a batch of rows at a time, whatever the size of the row groups."""

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.errors import DataError

BATCH_ROWS: Final = 1 << 17
# Pages are read through a window of this size instead of whole column chunks.
_WINDOW_BYTES: Final = 1 << 20
# Length of the footer in front of it, and the mark of the format.
_ENDING: Final = struct.Struct("<I4s")
_NUMPY_NAMES: Final = {"double": "float64", "float": "float32"}


def _footer_bytes(path: Path) -> int:
    """Return how long the footer of a Parquet file is, as it says itself."""
    with path.open("rb") as file:
        file.seek(-_ENDING.size, os.SEEK_END)
        length, _ = _ENDING.unpack(file.read(_ENDING.size))
    return int(length)


class ParquetBatches:
    """One Parquet file, opened, its footer read."""

    def __init__(self, path: Path, *, as_dictionary: Sequence[str] = ()) -> None:
        """Open a file.

        Args:
            path: The file.
            as_dictionary: Columns of texts that are handed out as they are stored: each text once.

        Raises:
            DataError: It is missing or no Parquet file.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path = path
        self._damage = (pa.ArrowException, OSError, UnicodeDecodeError)
        try:
            self._file = pq.ParquetFile(
                path,
                memory_map=False,
                buffer_size=_WINDOW_BYTES,
                pre_buffer=False,
                page_checksum_verification=True,
                read_dictionary=list(as_dictionary),
            )
            schema = self._file.schema_arrow
            self.types: dict[str, str] = {field.name: str(field.type) for field in schema}
            stated = _footer_bytes(path)
        except self._damage as error:
            raise DataError(f"{path}: not a readable Parquet file: {error}") from error
        read = self._file.metadata.serialized_size
        # A zero in the wrong place ends the footer early, and what follows is left out in silence.
        if read != stated:
            message = f"the footer has {stated} bytes, what can be read of it ends after {read}"
            raise DataError(f"{path}: {message}: it is damaged")
        self.row_count: int = self._file.metadata.num_rows
        self.metadata: Mapping[bytes, bytes] = schema.metadata or {}

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yield record batches of some columns.

        Raises:
            DataError: The file is damaged.
        """
        done = 0
        batches = self._file.iter_batches(BATCH_ROWS, columns=list(columns), use_threads=False)
        while True:
            try:
                batch = next(batches, None)
            except self._damage as error:
                message = f"{self.path}: row {done}: not a readable Parquet file: {error}"
                raise DataError(message) from error
            if batch is None:
                break
            done += batch.num_rows
            yield batch
        if done != self.row_count:
            message = f"{self.path}: the footer promises {self.row_count} rows, found {done}"
            raise DataError(message)

    def arrays(self, columns: Sequence[str]) -> Iterator[dict[str, npt.NDArray[Any]]]:
        """Yield columns that `check_types` took, without missing values.

        Raises:
            DataError: The file is damaged or a value is missing.
        """
        done = 0
        for batch in self.batches(columns):
            found = {}
            for name in columns:
                column = batch.column(name)
                if column.null_count:
                    row = done + int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
                    raise DataError(f"{self.path}: row {row}: {name} is missing (null)")
                found[name] = column.to_numpy()
            done += batch.num_rows
            yield found

    def check_types(self, columns: Mapping[str, type[np.generic]]) -> None:
        """Refuse a file without these columns, or with other types.

        Raises:
            DataError: A column is missing or of another type.
        """
        for name, kind in columns.items():
            self.require(name)
            expected = np.dtype(kind).name
            found = _NUMPY_NAMES.get(self.types[name], self.types[name])
            if found != expected:
                message = f"{self.path}: expected the column {name} as {expected}"
                raise DataError(f"{message}, found {found}")

    def require(self, name: str) -> None:
        """Refuse a file without a column.

        Raises:
            DataError: The column is missing.
        """
        if name not in self.types:
            found = ", ".join(self.types) or "no column"
            raise DataError(f"{self.path}: the column {name} is missing; found {found}")
