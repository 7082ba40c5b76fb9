"""A disk that is full: a clear error, nothing finished is lost, and a launch goes on."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweep.controller import run_sweep
from sweep.errors import ResourceError
from sweep.results import LOG_NAME, read_index
from tests.toys.study import Recorder, outcomes, toy_job


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("needs the right to mount a file system; the n-th failing write is tested")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=False
    )
    if done.returncode != 0:
        pytest.skip("this machine refuses to mount a file system")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill_up(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


@pytest.mark.parametrize("backend", ["inline", "processes"])
def test_a_full_disk_stops_the_sweep_and_loses_nothing(
    tmp_path: Path, small_disk: Path, backend: str
) -> None:
    run_sweep(toy_job(tmp_path / "clean"), Recorder())
    ballast = small_disk / "ballast"
    folder = small_disk / "study"
    job = toy_job(folder, backend=backend)
    recorder = Recorder()

    def fill(finished: int) -> None:
        if finished == 7:
            fill_up(ballast)

    recorder.on_each_finish = fill
    with pytest.raises(ResourceError, match="No space left on device"):
        run_sweep(job, recorder)
    index = read_index(folder / LOG_NAME)
    assert set(recorder.finished) <= set(index.finals), "a finished trial is gone"

    # Still full: refused again, and still nothing lost.
    with pytest.raises(ResourceError, match=r"No space left|cannot be"):
        run_sweep(job, Recorder())
    assert set(recorder.finished) <= set(read_index(folder / LOG_NAME).finals)

    ballast.unlink()
    again = Recorder()
    summary = run_sweep(job, again)
    assert summary.trials == {"complete": 30, "failed": 0, "running": 0, "waiting": 0}
    assert set(again.finished).isdisjoint(recorder.finished)
    assert outcomes(folder) == outcomes(tmp_path / "clean")
