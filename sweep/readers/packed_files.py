"""Opens files that may be packed: plain, `.gz`, `.zst`, or the only file in a `.zip`."""

import contextlib
import gzip
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import rustsim
from sweep.errors import DataError

SUFFIXES: Final = ("", ".zst", ".gz", ".zip")


class ByteSource(Protocol):
    """What can be read from front to back."""

    def read(self, size: int, /) -> bytes:
        """Return up to this many bytes; none at the end."""
        ...


class PackedFile:
    """The unpacked bytes of a file; reading damaged ones raises DataError with the offset."""

    def __init__(self, path: Path, inner: ByteSource, seen: rustsim.FileHash | None = None) -> None:
        """Read from `inner`, which holds the unpacked bytes of `path`; tell `seen` of them."""
        self._path = path
        self._inner = inner
        self._seen = seen
        self.offset = 0
        self.last = b""
        self.closed = False
        self.fault: DataError | None = None

    def read(self, size: int = -1, /) -> bytes:
        """Return up to this many bytes; none at the end.

        Raises:
            DataError: The file is cut short or damaged.
        """
        try:
            data = self._inner.read(size)
        except (OSError, EOFError, RuntimeError, ValueError, zlib.error) as error:
            # RuntimeError: an archive with a password; ValueError: what pyarrow raises.
            message = f"{self._path}: damaged after offset {self.offset:#x} of the unpacked data"
            self.fault = DataError(f"{message}: {error}")
            raise self.fault from error
        except (zipfile.BadZipFile, NotImplementedError) as error:
            self.fault = DataError(f"{self._path}: not a readable zip archive: {error}")
            raise self.fault from error
        if self._seen is not None:
            self._seen.update(data)
        self.offset += len(data)
        self.last = data[-1:] or self.last
        return bytes(data)

    def readable(self) -> bool:
        """Return True, as pyarrow asks."""
        return True

    def close(self) -> None:
        """Do nothing: the file belongs to `open_packed`."""


@contextlib.contextmanager
def open_packed(path: Path, seen: rustsim.FileHash | None = None) -> Iterator[PackedFile]:
    """Open a file by its suffix; see the head of this module.

    Args:
        path: The file.
        seen: Hears of all bytes that are read, if these are the file's own: of a plain one.

    Raises:
        DataError: The file is missing or is not packed as its name says.
    """
    with contextlib.ExitStack() as stack:
        try:
            inner = open_inner(path, path.suffix, stack)
        except (OSError, RuntimeError, ValueError, IndexError, zipfile.BadZipFile) as error:
            # IndexError: an archive with a nameless member.
            reason = getattr(error, "strerror", None) or error
            if path.suffix == ".zip" and path.is_file():
                message = f"{path}: cannot be opened: not a readable zip archive: {reason}"
                raise DataError(message) from error
            raise DataError(f"{path}: cannot be opened: {reason}") from error
        if seen is None or path.suffix in SUFFIXES[1:]:
            yield PackedFile(path, inner)
            return
        seen.restart()
        yield PackedFile(path, inner, seen)


def open_inner(path: Path, kind: str, stack: contextlib.ExitStack) -> Any:
    """Return the unpacked bytes of a file as a stream; damage raises what its library raises.

    Args:
        path: The file.
        kind: How it is packed: `.gz`, `.zst` or `.zip`; anything else is not.
        stack: Closes what is opened.

    Raises:
        DataError: An archive holds none or several files.
    """
    if kind == ".gz":
        return stack.enter_context(gzip.open(path, "rb"))
    if kind == ".zst":
        import pyarrow as pa

        raw = stack.enter_context(pa.OSFile(str(path), "rb"))
        return stack.enter_context(pa.CompressedInputStream(raw, "zstd"))
    if kind == ".zip":
        archive = stack.enter_context(zipfile.ZipFile(path))
        names = [info for info in archive.infolist() if not info.is_dir()]
        if not names:
            raise DataError(f"{path}: the archive holds no file")
        if len(names) != 1:
            found = ", ".join(info.filename for info in names[:5])
            raise DataError(f"{path}: expected one file in the archive, found {found}; unpack it")
        return stack.enter_context(archive.open(names[0]))
    return stack.enter_context(path.open("rb"))
