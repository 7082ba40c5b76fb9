"""Makes the tapes that sources lack, several files at a time, and goes on after a bad one."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rustsim
from sweep.data import ensure_tapes
from sweep.errors import EXIT_BUG, EXIT_ENVIRONMENT, ResourceError, SweepError
from sweep.file_processes import ENDED, each_source
from sweep.naming import NamedSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of one source: tapes, or a problem.

    Attributes:
        tapes: Its tapes, verified.
        problem: Why there are none.
        exit_code: Of the problem.
    """

    tapes: tuple[Path, ...] = ()
    problem: str = ""
    exit_code: int = 0


def import_sources(
    named: Sequence[NamedSource],
    cache: Path,
    jobs: int,
    progress: Callable[[int, int], None],
    say: Callable[[str], None],
) -> list[Imported]:
    """Make the tapes that are missing and return what became of each source, in their order.

    Args:
        named: The sources.
        cache: Folder of the tapes.
        jobs: Files at a time.
        progress: Hears rows read and bytes of files done, of all files.
        say: Hears what is built and waited for.

    Raises:
        ResourceError: The disk is full or the folder cannot be used: no source can go on.
    """
    found = [Imported(problem=source.problem, exit_code=SweepError.exit_code) for source in named]
    rows = dict.fromkeys(range(len(named)), 0)
    done_bytes = 0
    for index, message in each_source(named, functools.partial(_build, cache), jobs):
        if isinstance(message, str):
            say(message)
        elif isinstance(message, int):
            rows[index] = message
        else:
            found[index] = _imported(message)
            path = named[index].path
            done_bytes += path.stat().st_size if path is not None and path.is_file() else 0
        progress(sum(rows.values()), done_bytes)
    return found


def _imported(message: dict[str, Any]) -> Imported:
    if ENDED in message:
        return Imported(problem=message[ENDED], exit_code=EXIT_BUG)
    if message["exit_code"] == EXIT_ENVIRONMENT:
        raise ResourceError(message["problem"])
    tapes = tuple(Path(path) for path in message["tapes"])
    return Imported(tapes=tapes, problem=message["problem"], exit_code=message["exit_code"])


def _build(cache: Path, source: NamedSource, tell: Callable[[int | str], None]) -> dict[str, Any]:
    assert source.config is not None, source
    document: dict[str, Any] = {"tapes": [], "problem": "", "exit_code": 0}
    try:
        tapes = ensure_tapes(source.config, cache, tell, tell)
    except (SweepError, rustsim.RustsimError, MemoryError) as error:
        code = getattr(error, "exit_code", EXIT_ENVIRONMENT)
        return document | {"problem": str(error) or "not enough memory", "exit_code": code}
    except Exception as error:  # noqa: BLE001 - one file's bug must not hide the others' tapes
        problem = f"{source.path}: {type(error).__name__}: {error}; this is a bug of the reader"
        return document | {"problem": problem, "exit_code": EXIT_BUG}
    return document | {"tapes": [str(tape.path) for tape in tapes]}
