"""Keeps builders of one file apart, in this process and in others."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from sweep.errors import ResourceError


@contextlib.contextmanager
def name_lock(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the right to build a file; the system drops it if its holder dies, however it dies.

    Args:
        path: The file; the lock lies beside it.
        say: Hears that another builder is waited for.

    Raises:
        ResourceError: The folder cannot be written, or knows no locks.
    """
    lock = path.with_name(f".{path.name}.lock")
    try:
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ResourceError(f"{lock}: cannot make the lock of a tape: {error}") from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise ResourceError(f"{lock}: cannot be locked: {error}") from error
            say(f"waiting for another process that builds {path.name}")
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        # The file stays: removing it would let two builders lock two files of one name.
        os.close(fd)
