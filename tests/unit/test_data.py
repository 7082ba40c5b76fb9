"""The tape cache: built once, verified, never half, never out of date."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rustsim
from sweep import data
from sweep.data import TapeInfo, ensure_tapes, open_info
from sweep.errors import DataError, InputError
from sweep.readers import canonical_parquet, read_ticks
from sweep.readers.event_arrays import EVENT_LAYOUT
from sweep.readers.hftbacktest import BUY, DEPTH, EXCHANGE, LOCAL
from sweep.readers.ticks import Session, Ticks
from sweep.source import SourceConfig


@pytest.fixture
def ticks() -> Ticks:
    return read_ticks("synthetic", None, "SYN", options={"events": 2_000})


@pytest.fixture
def parquet(tmp_path: Path, ticks: Ticks) -> Path:
    path = tmp_path / "day.parquet"
    canonical_parquet.write(path, ticks)
    return path


def source(*paths: Path, instrument: str = "SYN", **options: Any) -> SourceConfig:
    return SourceConfig(
        reader="canonical_parquet", instrument=instrument, paths=paths, options=options
    )


def ensure(cache: Path, *paths: Path, **options: Any) -> tuple[TapeInfo, list[str]]:
    said: list[str] = []
    (tape,) = ensure_tapes(source(*paths, **options), cache, said.append)
    return tape, said


def tapes(cache: Path) -> list[Path]:
    return sorted(path for path in cache.iterdir() if not path.name.endswith(".lock"))


def test_tape_is_built_once(tmp_path: Path, parquet: Path) -> None:
    first, said = ensure(tmp_path / "tapes", parquet)
    assert [line.split(" from ")[0] for line in said] == [f"building {first.path.name}"]
    again, said = ensure(tmp_path / "tapes", parquet)
    assert said == []
    assert again == first
    assert tapes(tmp_path / "tapes") == [first.path]


def test_tape_follows_the_content_of_its_source_not_its_time_or_folder(
    tmp_path: Path, parquet: Path, ticks: Ticks
) -> None:
    cache = tmp_path / "tapes"
    first, _ = ensure(cache, parquet)
    (tmp_path / "elsewhere").mkdir()
    moved = tmp_path / "elsewhere" / parquet.name
    shutil.copy(parquet, moved)
    assert ensure(cache, moved) == (first, [])
    stamp = parquet.stat()
    ticks.columns["qty"].setflags(write=False)
    changed = dict(ticks.columns) | {"qty": np.where(ticks.columns["kind"] == 1, 9, 5)}
    changed["qty"] = np.where(ticks.columns["kind"] == 2, 0, changed["qty"]).astype(np.int32)
    changed["flags"] = ticks.columns["flags"] & np.uint8(255 - 16)
    canonical_parquet.write(
        parquet, Ticks(columns=changed, instrument=ticks.instrument, sessions=ticks.sessions)
    )
    os.utime(parquet, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    other, said = ensure(cache, parquet)
    assert other.path != first.path
    assert len(said) == 1


def test_options_and_product_are_part_of_the_name(tmp_path: Path, parquet: Path) -> None:
    cache = tmp_path / "tapes"
    first, _ = ensure(cache, parquet)
    (other,) = ensure_tapes(source(parquet, instrument="TXF"), cache)
    (third,) = ensure_tapes(source(parquet, tick_value_minor=5), cache)
    assert len({first.path, other.path, third.path}) == 3
    assert other.instrument["name"] == "TXF"


def test_damaged_tape_is_built_again(tmp_path: Path, parquet: Path) -> None:
    first, _ = ensure(tmp_path / "tapes", parquet)
    content = bytearray(first.path.read_bytes())
    content[1_000] ^= 1
    first.path.chmod(0o644)
    first.path.write_bytes(content)
    again, said = ensure(tmp_path / "tapes", parquet)
    assert again == first
    assert "block 0" in said[0]
    assert said[0].endswith("building it again")


def test_leftovers_of_a_killed_builder_are_removed(tmp_path: Path, parquet: Path) -> None:
    first, _ = ensure(tmp_path / "tapes", parquet)
    first.path.unlink()
    leftover = first.path.with_name(f".{first.path.name}.12345-0.partial")
    leftover.write_bytes(b"half a tape")
    ensure(tmp_path / "tapes", parquet)
    assert tapes(tmp_path / "tapes") == [first.path]


def test_processes_that_want_one_tape_build_it_once(tmp_path: Path, parquet: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sweep.data import ensure_tapes;"
        "from sweep.source import SourceConfig;"
        "p = (Path(sys.argv[1]),);"
        "s = SourceConfig(reader='canonical_parquet', instrument='SYN', paths=p);"
        "t = ensure_tapes(s, Path(sys.argv[2]), print)[0]; print('hash', t.content_hash)"
    )
    command = [sys.executable, "-c", code, str(parquet), str(tmp_path / "tapes")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0, 0]
    assert sum(text.count("building ") for text in said) == 1
    assert len({text.split("hash ")[1] for text in said}) == 1
    assert len(tapes(tmp_path / "tapes")) == 1


def test_interrupt_leaves_no_half_tape(
    tmp_path: Path, parquet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = rustsim.TapeBuilder

    class Interrupted:
        def __init__(self, path: str, *, has_local: bool, source: str) -> None:
            self.builder = real(path, has_local=has_local, source=source)
            self.abort = self.builder.abort

        def append(self, *columns: Any) -> None:
            self.builder.append(*columns)
            raise KeyboardInterrupt

    monkeypatch.setattr(rustsim, "TapeBuilder", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        ensure(tmp_path / "tapes", parquet)
    assert tapes(tmp_path / "tapes") == []
    monkeypatch.undo()
    ensure(tmp_path / "tapes", parquet)


def test_source_that_grows_while_it_is_read_is_refused(
    tmp_path: Path, parquet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = data._fingerprint
    sizes = iter([1, 2])
    monkeypatch.setattr(data, "_fingerprint", lambda path: real(path) | {"bytes": next(sizes)})
    with pytest.raises(DataError, match="changed while it was read"):
        ensure(tmp_path / "tapes", parquet)
    assert tapes(tmp_path / "tapes") == []


def plain_text(path: Path) -> SourceConfig:
    lines = [f"{1_767_573_900_000_000_000 + row},bid,{20_000 + row % 9},1" for row in range(999)]
    path.write_text("time,side,price,qty\n" + "\n".join(lines) + "\n")
    named = {name: name for name in ("time", "side", "price", "qty")}
    return SourceConfig(reader="generic", instrument="TXF", paths=(path,), options=named)


def event_array(path: Path) -> SourceConfig:
    rows = np.zeros(999, EVENT_LAYOUT)
    rows["ev"] = EXCHANGE | LOCAL | BUY | DEPTH
    rows["exch_ts"] = 1_767_573_900_000_000_000 + np.arange(999)
    rows["px"], rows["qty"] = 20_000, 1
    np.save(path, rows)
    return SourceConfig(reader="hftbacktest", instrument="TXF", paths=(path,))


@pytest.mark.parametrize(("made", "name"), [(plain_text, "a.csv"), (event_array, "a.npy")])
def test_what_was_read_is_what_a_tape_is_named_after(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    made: Callable[[Path], SourceConfig],
    name: str,
) -> None:
    path = tmp_path / name
    config = made(path)
    sound = path.read_bytes()
    lots = {
        "a.csv": (b",1\n", b",2\n"),
        "a.npy": (np.float64(1).tobytes(), np.float64(2).tobytes()),
    }
    other = sound.replace(*lots[name], 1)
    assert len(other) == len(sound)
    assert other != sound
    real = data._fingerprint
    asked: list[Path] = []

    def replaced(file: Path) -> dict[str, Any]:
        asked.append(file)
        found = real(file)
        path.write_bytes(other)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(data, "_fingerprint", replaced)
        with pytest.raises(DataError, match="changed while it was read"):
            ensure_tapes(config, tmp_path / "tapes")
    assert asked == [path], "read once to find the name, and once for its rows"
    assert tapes(tmp_path / "tapes") == []
    path.write_bytes(sound)
    (tape,) = ensure_tapes(config, tmp_path / "tapes")
    size, digest = rustsim.file_hash(str(path))
    (recorded,) = json.loads(rustsim.Tape.open(str(tape.path)).metadata)["source"]
    assert recorded == {"name": name, "bytes": size, "xxh3": digest}


def test_pieces_hash_as_their_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    random = np.random.Generator(np.random.PCG64(5))
    path.write_bytes(random.bytes(70_001))
    pieces = rustsim.FileHash()
    pieces.update(b"forgotten")
    pieces.restart()
    with path.open("rb") as file:
        while piece := file.read(int(random.integers(1, 3_000))):
            pieces.update(piece)
    assert pieces.result() == rustsim.file_hash(str(path))


def test_bad_row_of_a_source_is_named_before_any_tape(tmp_path: Path, ticks: Ticks) -> None:
    columns = {name: values.copy() for name, values in ticks.columns.items()}
    columns["exch_ns"][1_234] = 7
    path = tmp_path / "bad.parquet"
    canonical_parquet.write(
        path, Ticks(columns=columns, instrument=ticks.instrument, sessions=ticks.sessions)
    )
    with pytest.raises(DataError, match=r"bad\.parquet: row 1234: exch_ns 7 is before"):
        ensure(tmp_path / "tapes", path)
    assert tapes(tmp_path / "tapes") == []


def test_wrong_sources_are_refused(tmp_path: Path, parquet: Path) -> None:
    cache = tmp_path / "tapes"
    with pytest.raises(DataError, match=r"none\.parquet: cannot be read"):
        ensure(cache, tmp_path / "none.parquet")
    with pytest.raises(InputError, match="needs files"):
        ensure_tapes(source(), cache)
    with pytest.raises(InputError, match="reads no files"):
        ensure_tapes(SourceConfig(reader="synthetic", instrument="SYN", paths=(parquet,)), cache)
    with pytest.raises(InputError, match="no reader 'csv'"):
        ensure_tapes(SourceConfig(reader="csv", instrument="SYN"), cache)
    with pytest.raises(InputError, match="Expected a product"):
        ensure_tapes(SourceConfig(reader="synthetic", instrument="../SYN"), cache)
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(DataError, match=r"text\.parquet: not a readable Parquet file"):
        ensure(cache, tmp_path / "text.parquet")


def test_foreign_tape_has_no_info(tmp_path: Path) -> None:
    for metadata in ("{}", "no json", '{"sessions": 3}'):
        rustsim.TapeBuilder(str(tmp_path / "a.tape")).finish(metadata)
        with pytest.raises(DataError, match="metadata have another form"):
            open_info(tmp_path / "a.tape")


def test_canonical_columns_are_checked(tmp_path: Path, ticks: Ticks) -> None:
    columns = dict(ticks.columns)
    path = tmp_path / "a.parquet"
    table: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({"price": columns["price"].astype(np.int64)}, {}, "column price as int32, found int64"),
        ({"kind": None}, {}, "column kind is missing"),
        ({}, {"sessions": [{"name": "a", "row_start": 0, "row_stop": 9}]}, "do not cover"),
        ({}, {"sessions": [{"name": "a"}]}, "another form"),
        ({}, {}, "what a tick is worth"),
    ]
    for changes, document, words in table:
        merged = {name: v for name, v in (columns | changes).items() if v is not None}
        canonical_parquet.write_columns(path, merged, document)
        with pytest.raises(DataError, match=words):
            ensure(tmp_path / "tapes", path)


def test_file_without_metadata_takes_its_instrument_from_the_options(
    tmp_path: Path, ticks: Ticks
) -> None:
    path = tmp_path / "a.parquet"
    canonical_parquet.write_columns(path, dict(ticks.columns), {})
    tape, _ = ensure(tmp_path / "tapes", path, tick_value_minor=50, visible_levels=5)
    assert tape.instrument["tick_value_minor"] == 50
    assert tape.sessions == (Session(name="all", row_start=0, row_stop=ticks.row_count),)


def test_a_tape_of_trades_has_no_book(tmp_path: Path, ticks: Ticks) -> None:
    trades = {name: values[ticks.columns["kind"] == 1] for name, values in ticks.columns.items()}
    rows = len(trades["kind"])
    path = tmp_path / "trades.parquet"
    canonical_parquet.write(
        path,
        Ticks(
            columns=trades,
            instrument=ticks.instrument,
            sessions=(Session(name="all", row_start=0, row_stop=rows),),
        ),
    )
    source = SourceConfig(reader="canonical_parquet", instrument="SYN", paths=(path,))
    (tape,) = ensure_tapes(source, tmp_path / "tapes")
    assert not tape.has_book
    assert not open_info(tape.path).has_book
    (whole,) = ensure_tapes(SourceConfig(reader="synthetic", instrument="SYN"), tmp_path / "tapes")
    assert whole.has_book
    assert open_info(whole.path).has_book
