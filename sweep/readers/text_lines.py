"""Reads lines of text from plain, gzip, zip and zstd files, block by block.

Blocks hold whole lines, so that a file larger than the memory is read in bounded space. A damaged
container is refused with the line before which the damage was found.
"""

import errno
import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from sweep.errors import DataError
from sweep.readers.packed_files import open_inner

BLOCK_BYTES: Final = 4 << 20
LINE_BYTES_MAX: Final = 64 << 20

_MAGIC: Final = {b"\x1f\x8b": ".gz", b"PK\x03\x04": ".zip", b"\x28\xb5\x2f\xfd": ".zst"}
# IndexError: an archive with a nameless member; RuntimeError: one with a password.
_DAMAGE: Final = (
    EOFError,
    zlib.error,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    IndexError,
    RuntimeError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some whole lines of a file.

    Attributes:
        first_line: Number of the first of them, from 1.
        text: The lines, each with its end; only the last line of a file may lack it.
        line_count: Number of lines.
    """

    first_line: int
    text: bytes
    line_count: int

    @classmethod
    def of(cls, first_line: int, text: bytes) -> Self:
        """Return a block of a text that is not empty."""
        count = text.count(b"\n") + (not text.endswith(b"\n"))
        return cls(first_line=first_line, text=text, line_count=count)

    def without_first(self) -> Self | None:
        """Return the lines after the first; None if there are none."""
        text = self.text.partition(b"\n")[2]
        if not text:
            return None
        return replace(
            self, first_line=self.first_line + 1, text=text, line_count=self.line_count - 1
        )

    @property
    def is_cut(self) -> bool:
        """Whether the last line has no end."""
        return not self.text.endswith(b"\n")


def line_blocks(path: Path, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Yield the lines of a file in blocks of about `block_bytes` bytes of text.

    Raises:
        DataError: The file cannot be read, is damaged, or holds a line without end.
    """
    first_line = 1
    pieces: list[bytes] = []
    held = 0
    try:
        with ExitStack() as stack:
            stream = open_inner(path, _kind(path), stack)
            while piece := stream.read(block_bytes):
                end = piece.rfind(b"\n") + 1
                held += len(piece) - end
                if not end:
                    pieces.append(piece)
                    if held > LINE_BYTES_MAX:
                        message = f"longer than {LINE_BYTES_MAX >> 20} MiB"
                        raise DataError(f"{path}: line {first_line}: {message}")
                    continue
                text = b"".join((*pieces, piece[:end]))
                pieces = [piece[end:]] if end < len(piece) else []
                held = len(piece) - end
                block = Block.of(first_line, text)
                first_line += block.line_count
                yield block
    except _DAMAGE as error:
        raise DataError(f"{path}: damaged after line {first_line - 1}: {error}") from error
    except OSError as error:
        # An archive that points outside of itself; none: what pyarrow raises.
        if error.errno in (errno.EINVAL, None):
            raise DataError(f"{path}: damaged after line {first_line - 1}: {error}") from error
        raise DataError(f"{path}: cannot be read: {error}") from error
    if pieces:
        yield Block.of(first_line, b"".join(pieces))


def _kind(path: Path) -> str:
    """Return how a file is packed: its first bytes tell, whatever it is called."""
    with path.open("rb") as raw:
        start = raw.read(4)
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), "")
