"""The reader of Bybit's order-book archives, on small archives made here and broken on purpose."""

import contextlib
import gzip
import json
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from sweep.errors import DataError
from sweep.readers import read_ticks
from sweep.readers.ticks import (
    FLAG_GAP,
    FLAG_IMAGE,
    FLAG_OUT_OF_VIEW,
    KIND_CLEAR,
    KIND_LEVEL,
    KIND_TRADE,
    Ticks,
)

START_MS: Final = 1_700_000_000_000
NAME: Final = "2023-11-14_XRPUSDT_ob2.data"

Levels = list[list[str]]


def message(at_ms: int, kind: str, update: int, bids: Levels, asks: Levels) -> str:
    data = {"s": "XRPUSDT", "b": bids, "a": asks, "u": update, "seq": update * 100}
    at = START_MS + at_ms
    document = {"topic": "orderbook.2.XRPUSDT", "type": kind, "ts": at + 2, "data": data}
    return json.dumps(document | {"cts": at}, separators=(",", ":"))


def lines() -> list[str]:
    return [
        message(
            0,
            "snapshot",
            7,
            [["1.0000", "10"], ["0.9999", "20"]],
            [["1.0002", "5"], ["1.0003", "6"]],
        ),
        # A better bid pushes 0.9999 out of the window of two levels.
        message(10, "delta", 8, [["1.0001", "1"], ["0.9999", "0"]], []),
        message(20, "delta", 9, [], [["1.0002", "0"], ["1.0004", "9"]]),
    ]


EXPECTED: Final = [
    (0, KIND_CLEAR, 0, 0, 0),
    (0, KIND_LEVEL, 0, 10000, 10),
    (0, KIND_LEVEL, 0, 9999, 20),
    (0, KIND_LEVEL, 1, 10002, 5),
    (0, KIND_LEVEL, 1, 10003, 6),
    (10, KIND_LEVEL, 0, 10001, 1),
    (10, KIND_LEVEL, 0, 9999, 0),
    (20, KIND_LEVEL, 1, 10002, 0),
    (20, KIND_LEVEL, 1, 10004, 9),
]


def write(folder: Path, texts: list[str], name: str = NAME) -> Path:
    path = folder / name
    body = "".join(f"{text}\n" for text in texts).encode()
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name.removesuffix(".zip"), body)
    else:
        path.write_bytes(gzip.compress(body) if name.endswith(".gz") else body)
    return path


def read(path: Path, instrument: str = "XRPUSDT_BYBIT", **settings: Any) -> Ticks:
    return read_ticks("bybit_ob", path, instrument, **settings)


def rows(ticks: Ticks) -> list[tuple[int, int, int, int, int]]:
    columns = ticks.columns
    ms = columns["exch_ns"] // 1_000_000 - START_MS
    names = ("kind", "side", "price", "qty")
    return list(zip(ms.tolist(), *(columns[name].tolist() for name in names), strict=True))


@pytest.mark.parametrize("name", [NAME, f"{NAME}.zip", f"{NAME}.gz"])
def test_snapshot_and_deltas_become_rows(tmp_path: Path, name: str) -> None:
    ticks = read(write(tmp_path, lines(), name))
    assert rows(ticks) == EXPECTED
    hidden = FLAG_OUT_OF_VIEW
    assert ticks.columns["flags"].tolist() == [0] + [FLAG_IMAGE] * 4 + [0, hidden, 0, 0]
    assert "local_ns" not in ticks.columns
    assert ticks.instrument["visible_levels"] == 2
    assert ticks.facts["deltas"] == 2
    assert ticks.facts["levels_max"] == 2
    assert ticks.facts["out_of_view_rows"] == 1


def test_trades_beside_the_book_are_merged(tmp_path: Path) -> None:
    text = (
        "timestamp,symbol,side,size,price,tickDirection\n"
        "1699999999.9990,XRPUSDT,Buy,1,1.0002,ZeroPlusTick\n"
        "1700000000.0200,XRPUSDT,Buy,5,1.0002,ZeroPlusTick\n"
        "1700000000.0215,XRPUSDT,Sell,1,1.0001,MinusTick\n"
    )
    (tmp_path / "XRPUSDT2023-11-14.csv.gz").write_bytes(gzip.compress(text.encode()))
    path = write(tmp_path, lines(), f"{NAME}.zip")
    ticks = read(path)
    assert rows(ticks) == [
        *EXPECTED[:7],
        (20, KIND_TRADE, 1, 10002, 5),
        *EXPECTED[7:],
        (21, KIND_TRADE, 0, 10001, 1),
    ]
    assert int(ticks.columns["exch_ns"][-1]) == START_MS * 1_000_000 + 21_500_000
    assert ticks.facts["trades_without_book"] == 1
    assert rows(read(path, options={"trades": "none"})) == EXPECTED


def test_snapshot_that_continues_the_count_becomes_differences(tmp_path: Path) -> None:
    picture = [["1.0003", "6"], ["1.0004", "8"]]
    more = message(30, "snapshot", 10, [["1.0001", "1"], ["1.0000", "10"]], picture)
    ticks = read(write(tmp_path, [*lines(), more]))
    assert rows(ticks)[9:] == [(30, KIND_LEVEL, 1, 10004, 8)]
    assert ticks.columns["flags"].tolist()[9:] == [FLAG_IMAGE]


def test_snapshot_after_a_restart_starts_the_book_anew(tmp_path: Path) -> None:
    more = [
        message(30, "snapshot", 1, [["1.1", "1"]], []),
        message(40, "delta", 2, [], [["1.2", "2"]]),
    ]
    path = write(tmp_path, lines() + more)
    ticks = read(path)
    assert rows(ticks)[9:] == [
        (30, KIND_CLEAR, 0, 0, 0),
        (30, KIND_LEVEL, 0, 11000, 1),
        (40, KIND_LEVEL, 1, 12000, 2),
    ]
    assert ticks.columns["flags"].tolist()[9:] == [FLAG_GAP, FLAG_IMAGE, 0]
    with pytest.raises(DataError, match="line 4: a snapshot with u 1 after 9"):
        read(path, policy={"reconnect": "error"})


def test_gap_is_an_error_dropped_or_counted(tmp_path: Path) -> None:
    broken = [*lines()[:1], *lines()[2:], message(30, "snapshot", 12, [["1.1", "1"]], [])]
    path = write(tmp_path, broken)
    with pytest.raises(DataError, match="line 2: u 9 follows 7"):
        read(path)
    dropped = read(path, policy={"depth_gap": "drop"})
    assert rows(dropped)[5:] == [(30, KIND_CLEAR, 0, 0, 0), (30, KIND_LEVEL, 0, 11000, 1)]
    assert dropped.facts["deltas_left_out"] == 1
    counted = read(path, policy={"depth_gap": "count"})
    assert rows(counted)[5:7] == EXPECTED[7:]
    assert counted.columns["flags"].tolist()[5:7] == [FLAG_GAP, 0]


def test_repeated_delta_is_left_out(tmp_path: Path) -> None:
    texts = lines()
    path = write(tmp_path, [*texts[:2], texts[1], *texts[2:]])
    assert rows(read(path)) == EXPECTED
    with pytest.raises(DataError, match="line 3: u 8 is not above 8"):
        read(path, policy={"old_update": "error"})


def test_archive_without_a_snapshot_grows(tmp_path: Path) -> None:
    path = write(tmp_path, lines()[1:])
    assert rows(read(path))[:2] == [(10, KIND_CLEAR, 0, 0, 0), (10, KIND_LEVEL, 0, 10001, 1)]
    with pytest.raises(DataError, match="line 1: no line is a snapshot"):
        read(path, policy={"no_snapshot": "error"})


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('"1.0001"', '"1.00011"', "line 2: expected a price in steps"),
        ('"delta"', '"sigma"', "line 2: a message of another form"),
        ('"u":8,', "", "line 2: a message of another form"),
        ('"u":8', '"u":8.5', "line 2: a message of another form"),
        ('"cts":1', '"cts":9', "line 2: a message of another form"),
        ("orderbook.2.", "orderbook.5.", "line 2: expected the topic orderbook"),
        ("}", "", "line 2: no JSON at column"),
        ('"b":[[', '"b":[[[', "line 2: no JSON at column"),
    ],
)
def test_damaged_line_is_named(tmp_path: Path, old: str, new: str, found: str) -> None:
    texts = lines()
    assert old in texts[1]
    texts[1] = texts[1].replace(old, new, 1)
    with pytest.raises(DataError, match=found):
        read(write(tmp_path, texts))


def test_symbol_of_another_product_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the symbol is XRPUSDT, the product BTCUSDT"):
        read(write(tmp_path, lines()), "BTCUSDT")


def test_archive_of_two_files_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, lines(), f"{NAME}.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.data", "x")
    with pytest.raises(DataError, match="expected one file in the archive"):
        read(path)


def test_flipped_bits_of_a_zip_are_never_silent(tmp_path: Path) -> None:
    path = write(tmp_path, lines(), f"{NAME}.zip")
    good = path.read_bytes()
    expected = read(path)
    generator = np.random.default_rng(1)
    refused = 0
    for bit in generator.integers(0, len(good) * 8, 80).tolist():
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(bad))
        found: list[Ticks] = []
        with contextlib.suppress(DataError):
            found.append(read(path))
        refused += not found
        # Bits of names, dates and attributes are nobody's data.
        for ticks in found:
            for name, values in expected.columns.items():
                np.testing.assert_array_equal(values, ticks.columns[name])
    assert refused > 40
