"""Damage to the footer of a Parquet file, which no checksum covers."""

from pathlib import Path

import pytest

from sweep.errors import DataError
from sweep.readers import canonical_parquet, read_ticks
from sweep.readers.parquet_batches import ParquetBatches


def test_footer_that_ends_early_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "day.parquet"
    canonical_parquet.write(path, read_ticks("synthetic", None, "SYN", options={"events": 500}))
    sound = path.read_bytes()
    length = int.from_bytes(sound[-8:-4], "little")
    ended = 0
    for at in range(len(sound) - 8 - length, len(sound) - 8, 5):
        path.write_bytes(sound[:at] + b"\0" + sound[at + 1 :])
        if path.read_bytes() == sound:
            continue
        try:
            metadata = ParquetBatches(path).metadata
        except DataError as error:
            ended += "ends after" in str(error)
        else:
            assert len(metadata) >= 2, "read to its end: a document and its checksum"
    assert ended > 0, "some zeros end it early"


def test_file_without_a_footer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "day.parquet"
    for content in (b"", b"PAR1", b"PAR1" * 3):
        path.write_bytes(content)
        with pytest.raises(DataError, match="not a readable Parquet file"):
            ParquetBatches(path)
