"""The Python face of tapes: columns in, columns out, errors with names."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rustsim

ROWS = 5_000
DAMAGES = 400  # each opens a file; the Rust suite tries thousands


def columns(rows: int = ROWS) -> dict[str, np.ndarray[Any, Any]]:
    draw = np.random.default_rng(7)
    return {
        "exch_ns": 1_700_000_000_000_000_000 + np.cumsum(draw.integers(0, 3, rows)) * 1_000_000,
        "kind": np.zeros(rows, np.uint8),
        "side": draw.integers(0, 2, rows, dtype=np.uint8),
        "flags": np.zeros(rows, np.uint8),
        "price": draw.integers(20_000, 20_050, rows, dtype=np.int32),
        "qty": draw.integers(0, 9, rows, dtype=np.int32),
    }


def append(builder: rustsim.TapeBuilder, values: dict[str, Any], local_ns: Any = None) -> None:
    builder.append(
        values["exch_ns"],
        local_ns,
        values["kind"],
        values["side"],
        values["flags"],
        values["price"],
        values["qty"],
    )


def build(path: Path, values: dict[str, Any], metadata: str = "{}") -> dict[str, Any]:
    builder = rustsim.TapeBuilder(str(path), source="sample.parquet")
    append(builder, values)
    return builder.finish(metadata)


def test_columns_come_back_as_written(tmp_path: Path) -> None:
    values = columns()
    facts = build(tmp_path / "a.tape", values, '{"name": "sample"}')
    tape = rustsim.Tape.open(str(tmp_path / "a.tape"))
    for name, expected in values.items():
        found = np.frombuffer(tape.column(name), expected.dtype)
        if name == "flags":
            last = np.concatenate((np.diff(values["exch_ns"]) != 0, [True]))
            expected = last.astype(np.uint8)  # LAST is set by the builder
        np.testing.assert_array_equal(found, expected, name)
    assert (tape.row_count, tape.has_local, tape.metadata) == (ROWS, False, '{"name": "sample"}')
    assert tape.content_hash == facts["content_hash"]
    assert len(tape.content_hash) == 32
    assert facts["bytes"] == (tmp_path / "a.tape").stat().st_size
    assert (facts["price_min"], facts["price_max"]) == (20_000, 20_049)
    row = tape.rows(17, 18)[0]
    assert row[0] == row[1] == tape.exch_ns(17) == values["exch_ns"][17]
    assert tape.first_row_at(int(values["exch_ns"][-1])) == int(
        np.searchsorted(values["exch_ns"], values["exch_ns"][-1])
    )


def test_content_hash_covers_rows_and_metadata(tmp_path: Path) -> None:
    values = columns()
    first = build(tmp_path / "a.tape", values)["content_hash"]
    assert build(tmp_path / "b.tape", values)["content_hash"] == first
    assert build(tmp_path / "c.tape", values, "[]")["content_hash"] != first
    values["qty"][ROWS // 2] += 1
    assert build(tmp_path / "d.tape", values)["content_hash"] != first


def test_local_clock_is_kept(tmp_path: Path) -> None:
    values = columns()
    local_ns = values["exch_ns"] - 1_250_000_000  # a host whose clock is behind
    builder = rustsim.TapeBuilder(str(tmp_path / "a.tape"), has_local=True)
    append(builder, values, local_ns)
    builder.finish("{}")
    tape = rustsim.Tape.open(str(tmp_path / "a.tape"))
    assert tape.has_local
    np.testing.assert_array_equal(np.frombuffer(tape.column("local_ns"), np.int64), local_ns)


def test_bad_row_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    values = columns()
    values["qty"][4_321] = -1
    with pytest.raises(rustsim.TickError, match=r"^sample\.parquet: row 4321: qty -1"):
        build(tmp_path / "a.tape", values)
    values = columns()
    values["exch_ns"][99] = 5
    with pytest.raises(rustsim.TickError, match=r"row 99: exch_ns 5 is before"):
        build(tmp_path / "a.tape", values)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("price", np.zeros(ROWS), "column price must be a buffer of i32"),
        ("price", np.zeros(ROWS, np.int64), "column price must be a buffer of i32"),
        ("qty", np.zeros(ROWS - 1, np.int32), "column qty has 4999 rows, exch_ns has 5000"),
        ("side", np.zeros(2 * ROWS, np.uint8)[::2], "column side must be one-dimensional"),
        ("exch_ns", [1, 2, 3], "column exch_ns must be a buffer of i64"),
    ],
)
def test_wrong_columns_are_refused_by_name(
    tmp_path: Path, name: str, value: Any, words: str
) -> None:
    builder = rustsim.TapeBuilder(str(tmp_path / "a.tape"))
    with pytest.raises(rustsim.TickError, match=words):
        append(builder, columns() | {name: value})
    builder.abort()
    assert list(tmp_path.iterdir()) == []


def test_local_clock_must_be_given_exactly_where_stated(tmp_path: Path) -> None:
    values = columns()
    with pytest.raises(rustsim.TickError, match="local_ns must be given"):
        append(rustsim.TapeBuilder(str(tmp_path / "a.tape"), has_local=True), values)
    with pytest.raises(rustsim.TickError, match="local_ns must be given"):
        append(rustsim.TapeBuilder(str(tmp_path / "a.tape")), values, values["exch_ns"])


def test_builder_is_over_after_finish_and_abort(tmp_path: Path) -> None:
    for end in ("finish", "abort"):
        builder = rustsim.TapeBuilder(str(tmp_path / "a.tape"))
        append(builder, columns(10))
        if end == "finish":
            builder.finish("{}")
        else:
            builder.abort()
        with pytest.raises(rustsim.TapeError, match="finished or aborted"):
            append(builder, columns(10))
        with pytest.raises(rustsim.TapeError, match="finished or aborted"):
            builder.finish("{}")
        builder.abort()


def test_forgotten_builder_leaves_nothing(tmp_path: Path) -> None:
    builder = rustsim.TapeBuilder(str(tmp_path / "a.tape"))
    append(builder, columns())
    del builder
    assert list(tmp_path.iterdir()) == []


def test_every_damage_is_refused_with_the_file(tmp_path: Path) -> None:
    path, bad = tmp_path / "a.tape", tmp_path / "bad.tape"
    build(path, columns())
    good = path.read_bytes()
    draw = random.Random(11)
    for _ in range(DAMAGES):
        at = draw.randrange(len(good))
        flipped = bytearray(good)
        flipped[at] ^= 1 << draw.randrange(8)
        bad.write_bytes(flipped if draw.random() < 0.7 else good[:at])
        with pytest.raises(rustsim.TapeError, match=r"bad\.tape"):
            rustsim.Tape.open(str(bad))


def test_tape_is_read_only(tmp_path: Path) -> None:
    build(tmp_path / "a.tape", columns(10))
    assert (tmp_path / "a.tape").stat().st_mode & 0o222 == 0


def test_missing_rows_and_columns_are_refused(tmp_path: Path) -> None:
    build(tmp_path / "a.tape", columns(10))
    tape = rustsim.Tape.open(str(tmp_path / "a.tape"))
    with pytest.raises(IndexError):
        tape.exch_ns(10)
    with pytest.raises(IndexError):
        tape.rows(5, 11)
    with pytest.raises(ValueError, match="columns are exch_ns"):
        tape.column("volume")
    with pytest.raises(rustsim.TapeError, match="cannot open"):
        rustsim.Tape.open(str(tmp_path / "none.tape"))
