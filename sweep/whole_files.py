"""Writes files in one step: whoever looks finds the old file or all of the new one."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from sweep.errors import ResourceError


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; the file written there takes its place in the end.

    It is on the disk before it does, and gone if anything fails.

    Raises:
        ResourceError: The disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ResourceError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def replace_text(path: Path, text: str) -> None:
    """Write a text file in one step; its folder is made if it is missing.

    Raises:
        ResourceError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(f"{path}: cannot be written: {error.strerror or error}") from error
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
