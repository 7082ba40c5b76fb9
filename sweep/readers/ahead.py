"""Reads a little ahead: the next chunk is decoded while the one before becomes a tape."""

import contextlib
import queue
import threading
from typing import Any, Final

from sweep.readers.ticks import Rows, Summary

CHUNKS_AHEAD: Final = 2


def read_ahead(rows: Rows) -> Rows:
    """Hand on rows that a thread of its own reads, a few chunks ahead.

    Decoders release the interpreter lock, as the tape builder does, so both work at once. Nothing
    changes but the time: order, errors and summary are the reader's.
    """
    items: queue.Queue[tuple[str, Any]] = queue.Queue(CHUNKS_AHEAD)
    is_over = threading.Event()

    def work() -> None:
        try:
            while not is_over.is_set():
                items.put(("rows", next(rows)))
        except StopIteration as stop:
            items.put(("summary", stop.value))
        except BaseException as error:  # noqa: BLE001 - raised again by whom it concerns
            items.put(("error", error))
        finally:
            rows.close()

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = items.get()
            if kind == "error":
                raise value
            if kind == "summary":
                summary: Summary = value
                return summary
            yield value
    finally:
        is_over.set()
        while thread.is_alive():
            with contextlib.suppress(queue.Empty):
                items.get_nowait()  # it may wait for room
            thread.join(0.01)
