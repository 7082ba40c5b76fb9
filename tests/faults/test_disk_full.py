"""A disk that fills up while a tape is written: a clear error, no half tape, and work goes on."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROWS = 20_000  # about 640 kB

# Builds a tape under a limit on the size of files, which fails writes like a full disk does.
CODE = """
import resource, sys
from pathlib import Path
from sweep.data import ensure_tapes
from sweep.errors import ResourceError
from sweep.source import SourceConfig

cache, limit, rows = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
source = SourceConfig(reader="synthetic", instrument="SYN", options={"events": rows})
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    print(ensure_tapes(source, cache)[0].content_hash)
except ResourceError as error:
    print("refused:", error)
    sys.exit(error.exit_code)
"""


def build(cache: Path, limit: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CODE, str(cache), str(limit), str(ROWS)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def left_in(cache: Path) -> list[str]:
    return [path.name for path in cache.iterdir() if not path.name.endswith(".lock")]


def test_every_place_of_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    # In the header, in the first and a later block, in the checksums and the metadata.
    whole = build(tmp_path / "whole", 0)
    assert whole.returncode == 0, whole.stderr
    (tape,) = (tmp_path / "whole").glob("*.tape")
    size = tape.stat().st_size
    cache = tmp_path / "tapes"
    for limit in (64, 1_000, 100_000, size - 1_200, size - 1):
        done = build(cache, limit)
        assert done.returncode == 6, (limit, done.stdout, done.stderr)
        assert "cannot write" in done.stdout
        assert "free some space" in done.stdout
        assert left_in(cache) == [], limit
    done = build(cache, size)
    assert done.returncode == 0, done.stderr
    assert done.stdout == whole.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: mounting a small disk needs root")
def test_full_disk_leaves_nothing_and_freed_space_is_used(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"NOT TESTED: a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        filler = disk / "filler"
        filler.write_bytes(bytes(700_000))
        done = build(disk / "tapes", 0)
        assert done.returncode == 6, (done.stdout, done.stderr)
        assert "No space left" in done.stdout
        assert left_in(disk / "tapes") == []
        filler.unlink()
        done = build(disk / "tapes", 0)
        assert done.returncode == 0, done.stderr
        assert len(left_in(disk / "tapes")) == 1
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_limits_can_be_set_here() -> None:
    """The tests above mean nothing where the limit is not enforced."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] != 0
