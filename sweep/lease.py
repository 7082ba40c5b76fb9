"""The lease of a study: one driver at a time, on one machine or on a shared folder.

The lease is a lock that the operating system drops when its holder dies, however it dies; a lease
never goes stale. The file beside the lock says who holds it, for the message that a second driver
prints.

Known limits: on network folders the lock is as good as the file system's; NFS since version 4.
"""

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sweep.errors import ResourceError, StudyLockedError

LEASE_NAME: Final = "lease.json"


class Lease:
    """Holds a study folder for one driver, from construction to `release`."""

    def __init__(self, folder: Path) -> None:
        """Take the lease.

        Raises:
            StudyLockedError: Another driver has it; the message names process and host.
            ResourceError: The file cannot be written.
        """
        self.path = folder / LEASE_NAME
        try:
            self._take(folder)
        except OSError as error:
            message = f"{self.path}: cannot be written: {error.strerror or error}"
            raise ResourceError(message) from error

    def _take(self, folder: Path) -> None:
        self._fd: int | None = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            self._fd = None
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            message = f"{folder}: another driver is working on this study: {describe(folder)}; "
            message += "wait for it or stop it, then launch again"
            raise StudyLockedError(message) from error
        document = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since_unix_s": int(time.time()),
        }
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps(document).encode(), 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give the lease back."""
        if self._fd is not None:
            # The file stays: removing it would let two drivers lock two files of one name.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None


def read_holder(folder: Path) -> dict[str, Any] | None:
    """Return who holds the lease of a folder (`pid`, `host`, `since_unix_s`), or None."""
    try:
        fd = os.open(folder / LEASE_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            text = os.pread(fd, 4096, 0)
            try:
                document = json.loads(text)
            except ValueError:
                return {}  # held, and its holder is just writing who it is
            return document if isinstance(document, dict) else {}
        return None
    finally:
        os.close(fd)


def describe(folder: Path) -> str:
    """Return a phrase that names the holder."""
    holder = read_holder(folder)
    if not holder:
        return "one that has just started or ended"
    return f"process {holder.get('pid')} on host {holder.get('host')}"
