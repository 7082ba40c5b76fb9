"""Compiled tapes beside the tapes: what the compiled engine replays, made once and mapped by all.

A compiled tape tells nothing that its tape does not: one that is missing, damaged or of another
form is made again by whoever needs it first, one builder at a time. Where its folder cannot be
written, each process compiles some rows in its own memory and replays the others on the direct
engine; nothing here ever fails a study.
"""

import contextlib
import glob
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Final

import rustsim
from sweep.errors import ResourceError
from sweep.name_lock import name_lock

TOLD_S: Final = 1.0  # a wait that is worth a line
HELD_ROWS_MAX: Final = 4_000_000  # about 64 MB

_log = logging.getLogger(__name__)


def compiled_path(tape: Path, row_start: int, row_stop: int) -> Path:
    """Return where rows of a tape are kept compiled."""
    form = f"v{rustsim.CompiledTape.FORM}"
    return tape.with_name(f"{tape.stem}.{row_start}-{row_stop}.{form}.compiled")


class CompiledRows:
    """Compiled rows that one process replays, opened when they are first asked for."""

    def __init__(self, *, held_rows_max: int | None = HELD_ROWS_MAX) -> None:
        """Hold nothing yet.

        Args:
            held_rows_max: Bound on the rows that are compiled in memory, all together; None: none.
        """
        self._rows_left = held_rows_max
        self._found: dict[tuple[str, int, int], rustsim.CompiledTape | None] = {}

    def of(self, tape: rustsim.Tape, row_start: int, row_stop: int) -> rustsim.CompiledTape | None:
        """Return rows of a tape compiled: mapped if that can be, in memory else.

        Returns:
            None if they cannot be compiled, cut a group in two, or are too many to be held: the
            direct engine replays them, or says why nobody can.
        """
        key = (tape.path, row_start, row_stop)
        if key not in self._found:
            opened = self._open(tape, row_start, row_stop)
            is_whole = opened is not None and opened.holds(tape, row_start, row_stop)
            self._found[key] = opened if is_whole else None
        return self._found[key]

    def _open(
        self, tape: rustsim.Tape, row_start: int, row_stop: int
    ) -> rustsim.CompiledTape | None:
        path = compiled_path(Path(tape.path), row_start, row_stop)
        found = _mapped(path, tape, row_start, row_stop)
        if found is not None:
            return found
        try:
            _make(path, tape, row_start, row_stop)
            return rustsim.CompiledTape.open(str(path), tape)
        except rustsim.TickError as error:
            _log.warning("not compiled tape=%s reason=%s", tape.path, error)
            return None
        except (rustsim.TapeError, ResourceError) as error:
            reason = error
        row_count = row_stop - row_start
        if self._rows_left is not None and row_count > self._rows_left:
            _log.warning("too many rows to compile in memory: direct engine reason=%s", reason)
            return None
        if self._rows_left is not None:
            self._rows_left -= row_count
        _log.warning("compiled in memory, not to be shared reason=%s", reason)
        return rustsim.CompiledTape.of(tape, row_start, row_stop)


def make_compiled(
    payload: Mapping[str, Any], *, jobs: int, tell: Callable[[str], None] | None = None
) -> None:
    """Compile what the cells of a plan need and nobody has compiled yet.

    Whatever goes wrong is left to the workers, which open or make what they need themselves.

    Args:
        payload: Of the runner.
        jobs: Threads; each compiles one run of rows at a time.
        tell: Hears of it if it takes long.
    """
    missing: dict[str, list[tuple[int, int]]] = {}
    for name, row_start, row_stop in _wanted(payload):
        if not compiled_path(Path(name), row_start, row_stop).exists():
            missing.setdefault(name, []).append((row_start, row_stop))
    if not missing:
        return
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="compile")
    try:
        opened = {name: rustsim.Tape.open(name) for name in missing}
        pieces = [(name, rows) for name, found in missing.items() for rows in found]
        waiting = [pool.submit(_try_make, opened[name], *rows) for name, rows in pieces]
        if wait(waiting, TOLD_S).not_done and tell is not None:
            tell(f"compiling {len(pieces)} slice(s) of tapes, kept for later launches")
        wait(waiting)
    finally:
        pool.shutdown(cancel_futures=True)


def _wanted(payload: Mapping[str, Any]) -> Iterable[tuple[str, int, int]]:
    """Return path and rows of all cells; replications of a slice have the same."""
    tapes = [tape["path"] for tape in payload["tapes"]]
    rows = {(cell["tape"], cell["row_start"], cell["row_stop"]) for cell in payload["cells"]}
    return [(tapes[tape], start, stop) for tape, start, stop in sorted(rows)]


def _try_make(tape: rustsim.Tape, row_start: int, row_stop: int) -> None:
    path = compiled_path(Path(tape.path), row_start, row_stop)
    try:
        _make(path, tape, row_start, row_stop)
    except (rustsim.RustsimError, ResourceError) as error:
        _log.info("not compiled path=%s reason=%s", path, error)


def _make(path: Path, tape: rustsim.Tape, row_start: int, row_stop: int) -> None:
    """Write a compiled tape unless somebody else has done it meanwhile.

    Raises:
        ResourceError: The folder cannot be written.
        TapeError: The file cannot be written.
        TickError: The rows cannot be compiled.
    """
    with name_lock(path, lambda words: _log.info("%s", words)):
        if _mapped(path, tape, row_start, row_stop, is_told=False) is not None:
            return
        for stale in path.parent.glob(f".{glob.escape(path.name)}.[0-9]*"):
            with contextlib.suppress(OSError):
                stale.unlink()  # left by a builder that was killed; we hold its lock
        rustsim.CompiledTape.write(str(path), tape, row_start, row_stop)
        with contextlib.suppress(OSError):
            path.chmod(0o444)  # like a tape: it is mapped


def _mapped(
    path: Path, tape: rustsim.Tape, row_start: int, row_stop: int, *, is_told: bool = True
) -> rustsim.CompiledTape | None:
    if not path.exists():
        return None
    try:
        found = rustsim.CompiledTape.open(str(path), tape)
    except rustsim.TapeError as error:
        if is_told:
            _log.warning("compiled tape is made again reason=%s", error)
        return None
    if (found.row_start, found.row_stop) == (row_start, row_stop):
        return found
    if is_told:
        _log.warning("compiled tape is made again path=%s reason=it has other rows", path)
    return None
