"""Streams structured arrays out of `.npy` and `.npz` files, a piece at a time."""

import json
import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

import rustsim
from sweep.errors import DataError

# One event of hftbacktest 2.x.
EVENT_LAYOUT: Final = np.dtype(
    [
        ("ev", "<u8"),
        ("exch_ts", "<i8"),
        ("local_ts", "<i8"),
        ("px", "<f8"),
        ("qty", "<f8"),
        ("order_id", "<u8"),
        ("ival", "<i8"),
        ("fval", "<f8"),
    ]
)
DATA_KEY: Final = "data"
# What `data export` adds to the archive: which tape it was, and what the spare fields hold.
DOCUMENT_MEMBER: Final = "tape.json"
_DOCUMENT_BYTES_MAX: Final = 64 << 20

# What the archive modules of Python raise about damaged files, encrypted ones included.
_DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
)


@dataclass(slots=True)
class EventArray:
    """One open array of events.

    Attributes:
        row_count: Rows that its header promises.
        document: What the exporter of this house wrote beside it; empty for other files.
    """

    path: Path
    row_count: int
    document: dict[str, Any] = field(default_factory=dict)

    def pieces(self, rows: int, seen: rustsim.FileHash | None = None) -> Iterator[bytes]:
        """Yield the bytes of the rows in order, `rows` at a time; their layout is `EVENT_LAYOUT`.

        Args:
            rows: At a time.
            seen: Hears of all bytes of a plain file.

        Raises:
            DataError: The file is damaged or holds another number of rows.
        """
        if self.path.suffix == ".npz":
            yield from self._zipped(rows)
        else:
            yield from self._plain(rows, seen)

    def _plain(self, rows: int, seen: rustsim.FileHash | None) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            _header(self.path, file)
            if seen is not None:
                start = file.tell()
                file.seek(0)
                seen.restart()
                seen.update(file.read(start))
            expected = file.tell() + self.row_count * EVENT_LAYOUT.itemsize
            found = self.path.stat().st_size
            if found != expected:
                message = (
                    f"{self.path}: the header promises {self.row_count} rows, {expected} bytes"
                )
                raise DataError(f"{message}; the file has {found}")
            done = 0
            try:
                while done < self.row_count:
                    count = min(rows, self.row_count - done)
                    piece = _exactly(file, count)
                    if seen is not None:
                        seen.update(piece)
                    yield piece
                    done += count
            except (OSError, EOFError) as error:
                raise DataError(f"{self.path}: row {done}: cannot be read: {error}") from error

    def _zipped(self, rows: int) -> Iterator[bytes]:
        done = 0
        try:
            with (
                zipfile.ZipFile(self.path) as archive,
                archive.open(f"{DATA_KEY}.npy") as member,
            ):
                _header(self.path, member)
                while done < self.row_count:
                    count = min(rows, self.row_count - done)
                    yield _exactly(member, count)
                    done += count
                # The checksum of the member is compared at its end.
                if member.read(1):
                    raise DataError(f"{self.path}: more data than {self.row_count} rows")
        except _DAMAGE as error:
            raise DataError(f"{self.path}: row {done}: the archive is damaged: {error}") from error


def _exactly(member: IO[bytes], rows: int) -> bytes:
    wanted = rows * EVENT_LAYOUT.itemsize
    taken = member.read(wanted)
    while len(taken) < wanted:
        piece = member.read(wanted - len(taken))
        if not piece:
            raise EOFError(f"{len(taken)} of {wanted} bytes")
        taken += piece
    return taken


def open_events(path: Path) -> EventArray:
    """Return the array of a file, its header checked.

    Raises:
        DataError: The file is missing, damaged or holds another array.
    """
    try:
        if path.suffix != ".npz":
            with path.open("rb") as file:
                return EventArray(path, _header(path, file))
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if f"{DATA_KEY}.npy" not in names:
                found = ", ".join(names) or "nothing"
                raise DataError(f"{path}: expected an array {DATA_KEY!r}, found {found}")
            with archive.open(f"{DATA_KEY}.npy") as member:
                count = _header(path, member)
            document = _document(path, archive) if DOCUMENT_MEMBER in names else {}
            return EventArray(path, count, document)
    except _DAMAGE as error:
        raise DataError(f"{path}: not a readable array file: {error}") from error


def _header(path: Path, file: IO[bytes]) -> int:
    """Read the header of an array and return its number of rows."""
    try:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        shape, _, layout = read[version](file)
    except (ValueError, KeyError, SyntaxError, tokenize.TokenError, UnicodeError) as error:
        raise DataError(f"{path}: not a numpy array: {error}") from error
    if layout.names is None:
        advice = "arrays of hftbacktest 1.x have to be converted by its data.utils.migration2"
        raise DataError(f"{path}: expected events of hftbacktest 2.x, found {layout}; {advice}")
    expected = [(name, EVENT_LAYOUT[name]) for name in EVENT_LAYOUT.names or ()]
    found = [(name, layout[name]) for name in layout.names]
    if found != expected or layout.itemsize != EVENT_LAYOUT.itemsize:
        words = ", ".join(f"{name} {kind.str[1:]}" for name, kind in found)
        raise DataError(f"{path}: expected the fields of hftbacktest 2.x events, found {words}")
    if len(shape) != 1:
        raise DataError(f"{path}: expected an array of one dimension, found {len(shape)}")
    return int(shape[0])


def _document(path: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    info = archive.getinfo(DOCUMENT_MEMBER)
    if info.file_size > _DOCUMENT_BYTES_MAX:
        raise DataError(f"{path}: {DOCUMENT_MEMBER} has {info.file_size} bytes")
    try:
        document = json.loads(archive.read(DOCUMENT_MEMBER))
    except ValueError as error:
        raise DataError(f"{path}: {DOCUMENT_MEMBER} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: {DOCUMENT_MEMBER} is no JSON object")
    return document
