"""Compiled tapes are made once, mapped by all, made again when bad, and never fail a study."""

import logging
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import rustsim
from sweep import compiled_tapes
from sweep.compiled_tapes import CompiledRows, compiled_path, make_compiled
from tests.toys.synthetic_tape import synthetic_tape


@pytest.fixture
def tape(tmp_path: Path) -> rustsim.Tape:
    return synthetic_tape(tmp_path / "syn.tape")


def rows_of(tape: rustsim.Tape) -> tuple[int, int]:
    return 0, tape.row_count


def made(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def digest(tape: rustsim.Tape, compiled: rustsim.CompiledTape | None) -> tuple[str, str]:
    class Taker:
        """Takes a lot at every hundredth best change."""

        def __init__(self, exchange: rustsim.SimulatedExchange) -> None:
            self.exchange = exchange
            self.count = 0

        def on_tick(self, view: rustsim.MarketView) -> None:
            self.count += 1
            if self.count % 100 == 0 and view.best_ask_ticks is not None:
                self.exchange.place_order(0, view.best_ask_ticks, 1)

    exchange = rustsim.SimulatedExchange()
    taker = Taker(exchange)
    result = exchange.replay(tape, *rows_of(tape), taker, compiled=compiled)
    assert taker.count > 100
    return result.engine, result.digest


def identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


def test_made_once_and_then_mapped(tmp_path: Path, tape: rustsim.Tape) -> None:
    path = compiled_path(tmp_path / "syn.tape", *rows_of(tape))
    assert path.name == f"syn.0-{tape.row_count}.v{rustsim.CompiledTape.FORM}.compiled"
    first = CompiledRows().of(tape, *rows_of(tape))
    before = identity(path)
    again = CompiledRows().of(tape, *rows_of(tape))
    assert identity(path) == before
    assert made(tmp_path) == [path.name, "syn.tape"]
    assert digest(tape, first) == digest(tape, again) == ("compiled", digest(tape, None)[1])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    replace(path, bytes(data))


def replace(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def from_another_tape(path: Path) -> None:
    other = synthetic_tape(path.with_name("other.tape"), seed=2)
    path.unlink()
    rustsim.CompiledTape.write(str(path), other, 0, other.row_count)
    path.with_name("other.tape").unlink()


def with_other_rows(path: Path) -> None:
    tape = rustsim.Tape.open(str(path.with_name("syn.tape")))
    path.unlink()
    rustsim.CompiledTape.write(str(path), tape, 0, tape.first_row_at(tape.exch_ns(5_000)))


def of_another_form(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[8] += 1
    replace(path, bytes(data))


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a bit is flipped": (flip, "does not match its checksum"),
    "truncated": (lambda path: replace(path, path.read_bytes()[:-100]), "truncated"),
    "cut in its header": (lambda path: replace(path, path.read_bytes()[:60]), "unfinished"),
    "empty": (lambda path: replace(path, b""), "unfinished"),
    "something else": (lambda path: replace(path, b"x" * 10_000), "no compiled tape"),
    "of another form": (of_another_form, "compiled form"),
    "of another tape": (from_another_tape, "compiled from another tape"),
    "of other rows": (with_other_rows, "it has other rows"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_bad_one_is_made_again(
    name: str, tmp_path: Path, tape: rustsim.Tape, caplog: pytest.LogCaptureFixture
) -> None:
    damage, reason = DAMAGES[name]
    path = compiled_path(tmp_path / "syn.tape", *rows_of(tape))
    CompiledRows().of(tape, *rows_of(tape))
    damage(path)
    assert digest(tape, CompiledRows().of(tape, *rows_of(tape))) == (
        "compiled",
        digest(tape, None)[1],
    )
    assert "compiled tape is made again" in caplog.text
    assert reason in caplog.text
    caplog.clear()
    CompiledRows().of(tape, *rows_of(tape))
    assert caplog.text == ""
    assert made(tmp_path) == [path.name, "syn.tape"]


def test_leftovers_of_a_killed_builder_are_removed(tmp_path: Path, tape: rustsim.Tape) -> None:
    path = compiled_path(tmp_path / "syn.tape", *rows_of(tape))
    (tmp_path / f".{path.name}.12345").write_bytes(b"half")
    CompiledRows().of(tape, *rows_of(tape))
    assert made(tmp_path) == [path.name, "syn.tape"]


@contextmanager
def read_only_folder(path: Path) -> Iterator[None]:
    if os.geteuid() == 0:
        pytest.skip("nothing is read-only for this user")
    path.parent.chmod(0o555)
    try:
        yield
    finally:
        path.parent.chmod(0o755)


@contextmanager
def lock_in_the_way(path: Path) -> Iterator[None]:
    path.with_name(f".{path.name}.lock").mkdir()
    yield


@contextmanager
def folder_in_the_way(path: Path) -> Iterator[None]:
    path.mkdir()
    yield


@contextmanager
def full_disk(_path: Path) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize(
    "trouble", [read_only_folder, lock_in_the_way, folder_in_the_way, full_disk]
)
def test_without_a_place_it_is_compiled_in_memory(
    trouble: Callable[[Path], Any],
    tmp_path: Path,
    tape: rustsim.Tape,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = compiled_path(tmp_path / "syn.tape", *rows_of(tape))
    with trouble(path):
        make_compiled(payload_of(tape), jobs=1)
        found = CompiledRows().of(tape, *rows_of(tape))
    assert digest(tape, found) == ("compiled", digest(tape, None)[1])
    assert "compiled in memory" in caplog.text
    assert not path.is_file()
    assert not list(tmp_path.glob(f".{path.name}.[0-9]*"))


def test_memory_is_bounded_where_nothing_can_be_mapped(
    tmp_path: Path, tape: rustsim.Tape, caplog: pytest.LogCaptureFixture
) -> None:
    half = tape.first_row_at(tape.exch_ns(tape.row_count // 2))
    pieces = [(0, half), (half, tape.row_count)]
    for piece in pieces:
        compiled_path(tmp_path / "syn.tape", *piece).mkdir()
    held = CompiledRows(held_rows_max=half + 100)
    first = held.of(tape, *pieces[0])
    assert first is not None
    assert held.of(tape, *pieces[1]) is None
    assert "too many rows to compile in memory" in caplog.text
    caplog.clear()
    # Neither is tried again.
    assert held.of(tape, *pieces[0]) is first
    assert held.of(tape, *pieces[1]) is None
    assert caplog.text == ""
    unbounded = CompiledRows(held_rows_max=None)
    assert all(unbounded.of(tape, *piece) is not None for piece in pieces)


def test_rows_that_cannot_be_compiled_are_left_to_the_direct_engine(
    tape: rustsim.Tape, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Narrow:
        """Stands for rows that no book can hold."""

        FORM = 1

        @staticmethod
        def write(*_: object) -> None:
            raise rustsim.TickError("row 7: too far from the others")

    monkeypatch.setattr(rustsim, "CompiledTape", Narrow)
    assert CompiledRows().of(tape, *rows_of(tape)) is None
    assert "too far from the others" in caplog.text


def payload_of(tape: rustsim.Tape, slices: int = 1) -> dict[str, Any]:
    """Return what a plan says about slices with two replications each."""
    starts = [tape.row_count * at // slices for at in range(slices)]
    starts = [tape.first_row_at(tape.exch_ns(row)) for row in starts]
    cells = [
        {"tape": 0, "row_start": start, "row_stop": stop}
        for start, stop in zip(starts, [*starts[1:], tape.row_count], strict=True)
        for _ in range(2)
    ]
    return {"tapes": [{"path": tape.path}], "cells": cells}


def test_all_that_a_plan_needs_is_made_once(
    tmp_path: Path, tape: rustsim.Tape, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    make_compiled(payload_of(tape, 5), jobs=2, tell=said.append)
    assert said == []  # it takes no time that is worth a line
    files = sorted(tmp_path.glob("*.compiled"))
    assert len(files) == 5
    before = [identity(path) for path in files]
    files[2].unlink()
    monkeypatch.setattr(compiled_tapes, "TOLD_S", 0.0)
    make_compiled(payload_of(tape, 5), jobs=2, tell=said.append)
    after = [identity(path) for path in files]
    assert [at for at in range(5) if before[at] != after[at]] == [2]
    assert said in ([], ["compiling 1 slice(s) of tapes, kept for later launches"])


def test_builders_at_the_same_time_disturb_nobody(
    tmp_path: Path, tape: rustsim.Tape, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    code = (
        "import sys, rustsim\nfrom sweep.compiled_tapes import CompiledRows\n"
        "tape = rustsim.Tape.open(sys.argv[1])\n"
        "found = CompiledRows().of(tape, 0, tape.row_count)\n"
        "print(found.byte_count, rustsim.SimulatedExchange().replay(tape, 0, tape.row_count, "
        "compiled=found).engine)"
    )
    command = [sys.executable, "-c", code, tape.path]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: CompiledRows().of(tape, *rows_of(tape)), range(8)))
    said = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0] * 4
    sizes = {one.byte_count for one in found if one is not None}
    assert len(sizes) == 1
    assert all(one is not None for one in found)
    assert set(said) == {(f"{sizes.pop()} compiled\n", "")}
    assert caplog.text == ""
    assert made(tmp_path) == sorted(
        [compiled_path(tmp_path / "syn.tape", *rows_of(tape)).name, "syn.tape"]
    )
