"""Works on files in processes of their own, some at a time.

A file that ends its process (no memory left, a fault in a library) spoils no other.
"""

import multiprocessing
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from multiprocessing import connection
from typing import Any, Final

from sweep.naming import NamedSource

POLL_S: Final = 0.2
STOP_S: Final = 10.0  # for a process to take back what it has half made
ENDED: Final = "ended"

# Rows so far, a line for the user, or the result.
Message = int | str | dict[str, Any]
Task = Callable[[NamedSource, Callable[[int | str], None]], dict[str, Any]]


def each_source(
    named: Sequence[NamedSource], task: Task, jobs: int
) -> Generator[tuple[int, Message], None, None]:
    """Run a task on every source that is known how to read, up to `jobs` at a time.

    Args:
        named: The sources; those without a configuration are left out.
        task: A function that processes can import. It tells rows and lines, and returns plain
            values; it raises nothing.
        jobs: Processes at a time.

    Yields:
        Index of the source and a message; the last one of each is its result. That of a process
        that died is `{"ended": why}`.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sweep.checking"])
    waiting = [index for index, source in enumerate(named) if source.config is not None]
    waiting.reverse()
    running: dict[int, tuple[Any, Any]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                index = waiting.pop()
                ours, theirs = context.Pipe(duplex=False)
                arguments = (task, named[index], theirs)
                process = context.Process(target=_work, args=arguments, daemon=True)
                process.start()
                theirs.close()
                running[index] = (process, ours)
            yield from _hear(running)
    finally:
        for process, _ in running.values():
            process.terminate()
        for process, _ in running.values():
            process.join(STOP_S)
            process.kill()
            process.join()


def _hear(running: dict[int, tuple[Any, Any]]) -> Iterator[tuple[int, Message]]:
    """Yield what processes say, and take those that ended out of the running ones."""
    ready = connection.wait([pipe for _, pipe in running.values()], POLL_S)
    for index, (process, pipe) in list(running.items()):
        if pipe not in ready:
            continue
        try:
            message: Message = pipe.recv()
        except EOFError:
            process.join()
            hint = ": out of memory?" if process.exitcode == -signal.SIGKILL else ""
            code = process.exitcode
            message = {ENDED: f"the process that read it ended with code {code}{hint}"}
        if isinstance(message, dict):
            del running[index]
            pipe.close()
            process.join()
        yield index, message


def _work(task: Task, source: NamedSource, pipe: Any) -> None:
    # An interrupt is the parent's to handle: it ends this process, which leaves nothing half made.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    pipe.send(task(source, pipe.send))
    pipe.close()


def _leave(_signal: int, _frame: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)
