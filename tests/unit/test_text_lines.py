"""Blocks of lines are the same however a file is packed, and damage is never silent."""

import gzip
import io
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from sweep.errors import DataError
from sweep.readers.text_lines import Block, line_blocks

TEXT = b"".join(b"%d a line of text\n" % number for number in range(2_000)) + b"the last"


def packed(kind: str) -> bytes:
    if kind == ".gz":
        return gzip.compress(TEXT)
    if kind == ".zst":
        return bytes(pa.Codec("zstd").compress(TEXT, asbytes=True))
    if kind == ".zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("folder/", "")
            archive.writestr("folder/lines.txt", TEXT)
        return buffer.getvalue()
    return TEXT


@pytest.mark.parametrize("kind", ["", ".gz", ".zst", ".zip"])
def test_first_bytes_tell_how_a_file_is_packed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "lines.dat"
    path.write_bytes(packed(kind))
    blocks = list(line_blocks(path, 1_000))
    assert len(blocks) > 10
    assert b"".join(block.text for block in blocks) == TEXT
    assert [block.is_cut for block in blocks] == [False] * (len(blocks) - 1) + [True]
    assert list(line_blocks(path)) == [
        Block.of(1, TEXT.removesuffix(b"the last")),
        Block.of(2_001, b"the last"),
    ]


@pytest.mark.parametrize("kind", [".gz", ".zst", ".zip"])
def test_damaged_containers_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "lines.dat"
    whole = packed(kind)
    for damaged in (whole[:-9], whole[: len(whole) // 2], whole[:5]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"lines\.dat: damaged after line \d+: "):
            list(line_blocks(path, 1_000))
