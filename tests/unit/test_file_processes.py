"""Files are worked on in processes of their own: one that dies spoils no other."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweep.file_processes import ENDED, each_source
from sweep.naming import NamedSource
from sweep.source import SourceConfig


def count_or_die(source: NamedSource, tell: Callable[[int | str], None]) -> dict[str, Any]:
    assert source.path is not None
    tell(1)
    tell(f"working on {source.path.name}")
    if source.path.name == "killer":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"name": source.path.name}


def sources(*names: str) -> list[NamedSource]:
    config = SourceConfig(reader="synthetic", instrument="SYN")
    return [NamedSource(config=config, path=Path(name)) for name in names]


def test_process_that_dies_spoils_no_other() -> None:
    named = [*sources("a", "killer"), NamedSource(config=None), *sources("b")]
    results: dict[int, Any] = {}
    lines = []
    for index, message in each_source(named, count_or_die, jobs=2):
        if isinstance(message, dict):
            assert index not in results
            results[index] = message
        elif isinstance(message, str):
            lines.append(message)
    assert results.keys() == {0, 1, 3}
    assert (results[0], results[3]) == ({"name": "a"}, {"name": "b"})
    assert "ended with code -9: out of memory?" in results[1][ENDED]
    assert sorted(lines) == ["working on a", "working on b", "working on killer"]


def half_made(source: NamedSource, tell: Callable[[int | str], None]) -> dict[str, Any]:
    assert source.path is not None
    try:
        source.path.touch()
        tell(1)
        signal.pause()  # until it is told to end
    finally:
        source.path.unlink()
    return {}


def test_interrupt_ends_the_processes_and_leaves_nothing_half_made(tmp_path: Path) -> None:
    named = sources(*(str(tmp_path / name) for name in "abc"))
    messages = each_source(named, half_made, jobs=2)
    assert {next(messages)[0], next(messages)[0]} == {0, 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    messages.close()  # what an interrupt of the loop around it does
    assert list(tmp_path.iterdir()) == []
