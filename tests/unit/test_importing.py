"""Tapes of several files are built at once, and are what they are when built one by one."""

from pathlib import Path

import pytest

from sweep import importing
from sweep.data import ensure_tapes
from sweep.errors import DataError, InputError
from sweep.importing import ensure_in_parallel
from sweep.readers import canonical_parquet, read_ticks
from sweep.source import SourceConfig


@pytest.fixture
def source(tmp_path: Path) -> SourceConfig:
    paths = []
    for seed in range(3):
        paths.append(tmp_path / f"day{seed}.parquet")
        options = {"events": 2_000, "seed": seed}
        canonical_parquet.write(paths[-1], read_ticks("synthetic", None, "SYN", options=options))
    return SourceConfig(reader="canonical_parquet", instrument="SYN", paths=tuple(paths))


def test_tapes_of_processes_are_those_of_one(
    tmp_path: Path, source: SourceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    many = ensure_in_parallel(source, tmp_path / "many", 2, lines.append)
    one = ensure_tapes(source, tmp_path / "one")
    assert [tape.content_hash for tape in many] == [tape.content_hash for tape in one]
    assert [tape.path.name for tape in many] == [tape.path.name for tape in one]
    assert sum("building" in line for line in lines) == 3
    # Nothing is missing now: no process is started.
    monkeypatch.setattr(importing, "each_source", None)
    assert ensure_in_parallel(source, tmp_path / "many", 2) == many


def test_refused_file_keeps_its_words_and_finished_tapes_stay(
    tmp_path: Path, source: SourceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    good = source.paths[1].read_bytes()
    source.paths[1].write_bytes(good[: len(good) // 2])
    with pytest.raises(DataError) as alone:
        ensure_tapes(source, tmp_path / "one")
    with pytest.raises(DataError) as refused:
        ensure_in_parallel(source, cache, 2)
    assert str(refused.value) == str(alone.value)
    assert len(list(cache.glob("*.tape"))) == 2
    assert list(cache.glob(".*.partial")) == []
    # Mended: only that one is made, without another process.
    source.paths[1].write_bytes(good)
    monkeypatch.setattr(importing, "each_source", None)
    assert len(ensure_in_parallel(source, cache, 2)) == 3


def test_wrong_options_are_refused_before_any_process(
    tmp_path: Path, source: SourceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "each_source", None)
    wrong = SourceConfig(reader=source.reader, instrument="../SYN", paths=source.paths)
    with pytest.raises(InputError, match="Expected a product"):
        ensure_in_parallel(wrong, tmp_path / "cache", 2)
