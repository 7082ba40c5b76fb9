"""The reader of Tardis' CSV files, on small files made here and broken on purpose."""

import gzip
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from sweep.data import ensure_tapes
from sweep.errors import DataError
from sweep.readers import csv_blocks, read_ticks
from sweep.readers.text_lines import line_blocks
from sweep.readers.ticks import (
    FLAG_GAP,
    FLAG_IMAGE,
    FLAG_OUT_OF_VIEW,
    KIND_CLEAR,
    KIND_LEVEL,
    KIND_TRADE,
    Ticks,
)
from sweep.source import SourceConfig

START_US: Final = 1_700_000_000_000_000
BOOK_HEADER: Final = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
TRADE_HEADER: Final = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
QUOTE_HEADER: Final = (
    "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount"
)
FRONT: Final = "binance-futures,BTCUSDT"


def book(at_ms: int, rest: str, *, local_ms: int = -1, snapshot: bool = False) -> str:
    local = local_ms if local_ms >= 0 else at_ms + 5
    word = "true" if snapshot else "false"
    return f"{FRONT},{START_US + at_ms * 1000},{START_US + local * 1000},{word},{rest}"


def trade(at_ms: int, rest: str, *, local_ms: int = -1) -> str:
    local = local_ms if local_ms >= 0 else at_ms + 5
    return f"{FRONT},{START_US + at_ms * 1000},{START_US + local * 1000},id-1,{rest}"


def book_lines() -> list[str]:
    return [
        BOOK_HEADER,
        book(0, "bid,100.0,1.5", snapshot=True),
        book(0, "bid,99.9,2", snapshot=True),
        book(0, "ask,100.2,0.5", snapshot=True),
        book(10, "ask,100.2,0.4"),
        book(30, "ask,100.3,7"),
        book(30, "ask,100.2,0"),
    ]


def trade_lines() -> list[str]:
    return [
        TRADE_HEADER,
        trade(-5, "buy,100.2,0.1", local_ms=0),
        trade(10, "buy,100.2,0.1"),
        trade(29, "buy,100.2,0.400", local_ms=36),
        trade(31, "sell,100.0,0.001"),
    ]


EXPECTED_BOOK: Final = [
    (0, KIND_CLEAR, 0, 0, 0),
    (0, KIND_LEVEL, 0, 1000, 1500),
    (0, KIND_LEVEL, 0, 999, 2000),
    (0, KIND_LEVEL, 1, 1002, 500),
    (10, KIND_LEVEL, 1, 1002, 400),
    (30, KIND_LEVEL, 1, 1003, 7000),
    (30, KIND_LEVEL, 1, 1002, 0),
]
EXPECTED_BOTH: Final = [
    *EXPECTED_BOOK[:4],
    (10, KIND_TRADE, 1, 1002, 100),
    EXPECTED_BOOK[4],
    (29, KIND_TRADE, 1, 1002, 400),
    *EXPECTED_BOOK[5:],
    (31, KIND_TRADE, 0, 1000, 1),
]


def write(path: Path, lines: list[str]) -> Path:
    text = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def write_both(folder: Path, suffix: str = ".csv.gz") -> Path:
    path = folder / f"binance-futures_incremental_book_L2_2023-11-14_BTCUSDT{suffix}"
    beside = folder / f"binance-futures_trades_2023-11-14_BTCUSDT{suffix}"
    write(beside, trade_lines())
    return write(path, book_lines())


def read(path: Path, instrument: str = "BTCUSDT", **settings: Any) -> Ticks:
    return read_ticks("tardis_csv", path, instrument, **settings)


def rows(ticks: Ticks) -> list[tuple[int, int, int, int, int]]:
    columns = ticks.columns
    ms = (columns["exch_ns"] - START_US * 1000) // 1_000_000
    names = ("kind", "side", "price", "qty")
    return list(zip(ms.tolist(), *(columns[name].tolist() for name in names), strict=True))


def test_book_alone_is_a_snapshot_and_its_changes(tmp_path: Path) -> None:
    ticks = read(write(tmp_path / "book.csv", book_lines()))
    assert rows(ticks) == EXPECTED_BOOK
    assert ticks.columns["flags"].tolist() == [0] + [FLAG_IMAGE] * 3 + [0] * 3
    assert (ticks.columns["local_ns"] - ticks.columns["exch_ns"] == 5_000_000).all()
    assert ticks.facts["files"] == {"book.csv": "incremental_book_L2"}
    assert ticks.facts["book_messages"] == 3
    assert ticks.facts["crossed_messages"] == 0


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_trades_beside_the_book_are_merged_by_exchange_time(tmp_path: Path, suffix: str) -> None:
    ticks = read(write_both(tmp_path, suffix))
    assert rows(ticks) == EXPECTED_BOTH
    assert ticks.facts["trades"] == 3
    assert ticks.facts["trades_without_book"] == 1
    assert list(ticks.facts["files"].values()) == ["incremental_book_L2", "trades"]


def test_trades_may_be_left_or_named(tmp_path: Path) -> None:
    path = write_both(tmp_path)
    assert rows(read(path, options={"trades": "none"})) == EXPECTED_BOOK
    beside = next(tmp_path.glob("*trades*"))
    beside.rename(tmp_path / "other.csv.gz")
    assert rows(read(path)) == EXPECTED_BOOK
    assert rows(read(path, options={"trades": "other.csv.gz"})) == EXPECTED_BOTH
    with pytest.raises(DataError, match=r"nowhere\.csv: cannot be read"):
        read(path, options={"trades": "nowhere.csv"})


def test_tape_changes_its_name_with_the_trades_beside_it(tmp_path: Path) -> None:
    path = write_both(tmp_path)
    source = SourceConfig(reader="tardis_csv", instrument="BTCUSDT", paths=(path,))
    (first,) = ensure_tapes(source, tmp_path / "tapes")
    assert first.row_count == len(EXPECTED_BOTH)
    write(next(tmp_path.glob("*trades*")), trade_lines()[:-1])
    (second,) = ensure_tapes(source, tmp_path / "tapes")
    assert second.row_count == len(EXPECTED_BOTH) - 1
    assert second.path != first.path


@pytest.mark.parametrize("block_bytes", [150, 400])
def test_rows_do_not_depend_on_the_size_of_blocks(
    tmp_path: Path, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(3)
    changes = [
        book(40 + k // 3, f"{generator.choice(['bid,99', 'ask,101'])}.{k % 10},{k % 4}")
        for k in range(60)
    ]
    trades = [trade(40 + k, f"buy,100.3,0.0{k % 9 + 1}") for k in range(20)]
    path = write_both(tmp_path, ".csv")
    write(path, book_lines() + changes)
    write(next(tmp_path.glob("*trades*")), trade_lines() + trades)
    whole = read(path)
    monkeypatch.setattr(csv_blocks, "line_blocks", lambda path: line_blocks(path, block_bytes))
    pieces = read(path)
    for name, values in whole.columns.items():
        np.testing.assert_array_equal(values, pieces.columns[name], err_msg=name)
    assert whole.facts == pieces.facts


def test_second_snapshot_starts_the_book_anew_with_a_gap(tmp_path: Path) -> None:
    lines = [
        *book_lines(),
        book(50, "bid,98.0,1", snapshot=True),
        book(50, "ask,98.5,1", snapshot=True),
        book(60, "ask,98.5,2"),
    ]
    path = write(tmp_path / "book.csv", lines)
    ticks = read(path)
    assert rows(ticks)[7:] == [
        (50, KIND_CLEAR, 0, 0, 0),
        (50, KIND_LEVEL, 0, 980, 1000),
        (50, KIND_LEVEL, 1, 985, 1000),
        (60, KIND_LEVEL, 1, 985, 2000),
    ]
    assert ticks.columns["flags"].tolist()[7:] == [FLAG_GAP, FLAG_IMAGE, FLAG_IMAGE, 0]
    assert ticks.facts["snapshots"] == 2
    with pytest.raises(DataError, match="line 8: another snapshot"):
        read(path, policy={"reconnect": "error"})


def test_changes_before_the_snapshot_are_left_out(tmp_path: Path) -> None:
    lines = [BOOK_HEADER, book(-9, "bid,1.0,1"), *book_lines()[1:]]
    ticks = read(write(tmp_path / "book.csv", lines))
    assert rows(ticks) == EXPECTED_BOOK
    assert ticks.facts["rows_before_snapshot"] == 1


def test_book_without_a_snapshot_grows(tmp_path: Path) -> None:
    lines = [line.replace("true", "false") for line in book_lines()]
    path = write(tmp_path / "book.csv", lines)
    assert rows(read(path)) == EXPECTED_BOOK
    assert read(path).facts["book_start"] == "grown from updates"
    with pytest.raises(DataError, match="line 2: no row is part of a snapshot"):
        read(path, policy={"no_snapshot": "error"})


def test_quotes_become_differences_of_pictures(tmp_path: Path) -> None:
    lines = [
        QUOTE_HEADER,
        f"{FRONT},{START_US},{START_US + 5000},2,100.2,100.0,1",
        f"{FRONT},{START_US + 1000},{START_US + 6000},2,100.2,100.1,3",
        f"{FRONT},{START_US + 2000},{START_US + 7000},1,100.2,100.0,1",
        f"{FRONT},{START_US + 3000},{START_US + 8000},1,100.2,,",
    ]
    path = write(tmp_path / "x_quotes_y.csv", lines)
    write(tmp_path / "x_trades_y.csv", [TRADE_HEADER, trade(2, "sell,100.1,0.5")])
    ticks = read(path)
    assert rows(ticks) == [
        (0, KIND_CLEAR, 0, 0, 0),
        (0, KIND_LEVEL, 0, 1000, 1000),
        (0, KIND_LEVEL, 1, 1002, 2000),
        (1, KIND_LEVEL, 0, 1000, 0),
        (1, KIND_LEVEL, 0, 1001, 3000),
        (2, KIND_TRADE, 0, 1001, 500),
        (2, KIND_LEVEL, 0, 1001, 0),
        (2, KIND_LEVEL, 0, 1000, 1000),
        (2, KIND_LEVEL, 1, 1002, 1000),
        (3, KIND_LEVEL, 0, 1000, 0),
    ]
    # A better bid hides the old best one; a worse one shows that the better one is gone.
    assert ticks.columns["flags"][3] == FLAG_IMAGE | FLAG_OUT_OF_VIEW
    assert ticks.columns["flags"][6] == FLAG_IMAGE
    assert ticks.instrument["visible_levels"] == 1


def snapshot_lines() -> list[str]:
    sides = [f"{side}[{n}].{part}" for n in range(2) for side in ("asks", "bids") for part in "pa"]
    names = [name.replace(".p", ".price").replace(".a", ".amount") for name in sides]
    header = ",".join(["exchange,symbol,timestamp,local_timestamp", *names])
    return [
        header,
        f"{FRONT},{START_US},{START_US + 5000},100.2,1,100.1,2,100.3,1,100.0,4",
        f"{FRONT},{START_US + 1000},{START_US + 5000},100.2,1,100.1,2,100.3,1,99.9,4",
    ]


def test_snapshots_become_differences_of_pictures(tmp_path: Path) -> None:
    path = write(tmp_path / "book.csv", snapshot_lines())
    ticks = read(path)
    assert ticks.row_count == 5 + 2
    assert rows(ticks)[5:] == [(1, KIND_LEVEL, 0, 1000, 0), (1, KIND_LEVEL, 0, 999, 4000)]
    assert ticks.facts["images"] == 2
    assert ticks.instrument["visible_levels"] == 2


def test_picture_that_is_no_ladder_is_refused(tmp_path: Path) -> None:
    lines = snapshot_lines()
    lines[2] = lines[2].replace("100.1,2,100.3", "100.1,2,100.2")
    path = write(tmp_path / "book.csv", lines)
    with pytest.raises(DataError, match="line 3: levels that are no ladder"):
        read(path)
    assert read(path, policy={"bad_image": "drop"}).row_count == 5


def test_trades_alone_are_a_tape_of_trades(tmp_path: Path) -> None:
    ticks = read(write(tmp_path / "trades.csv", trade_lines()))
    assert [row[1] for row in rows(ticks)] == [KIND_TRADE] * 4


@pytest.mark.parametrize(
    ("number", "old", "new", "message"),
    [
        (3, "99.9", "99.95", r"line 3: expected a price in steps of 0\.1 .*'99\.95'"),
        (3, ",2", ",2.0001", r"line 3: expected a quantity in lots"),
        (3, ",2", ",-2", r"line 3: expected a quantity, found '-2'"),
        (3, ",2", ",", r"line 3: expected a quantity, found None"),
        (3, ",2", ",nan", r"line 3: expected a quantity, found 'nan'"),
        (3, ",2", ",2,3", r"line 3: expected 8 fields"),
        (3, ",2", "", r"line 3: expected 8 fields, found"),
        (3, "bid", "bad", r"line 3: expected side bid or ask, found 'bad'"),
        (3, "true", "yes", r"line 3: expected is_snapshot false or true, found 'yes'"),
        (3, "BTCUSDT", "ETHUSDT", r"line 3: expected binance-futures BTCUSDT, found"),
        (3, "170000", "1.0000", r"line 3: expected microseconds since 1970"),
        (3, "binance-futures", "", r"line 3: expected binance-futures BTCUSDT, found None"),
        (1, "amount", "size", r"line 1: expected the columns of incremental_book_L2"),
        (1, "price", "side", r"line 1: the header names a column twice"),
    ],
)
def test_damaged_line_is_named(
    tmp_path: Path, number: int, old: str, new: str, message: str
) -> None:
    lines = book_lines()
    assert old in lines[number - 1]
    head, _, tail = (
        lines[number - 1].rpartition(old) if old == ",2" else (lines[number - 1].partition(old))
    )
    lines[number - 1] = head + new + tail
    with pytest.raises(DataError, match=message):
        read(write(tmp_path / "book.csv", lines))


def test_last_line_without_an_end_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "book.csv", book_lines())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="line 7: the line has no end"):
        read(path)
    assert rows(read(path, policy={"cut_line": "count"})) == EXPECTED_BOOK


def test_empty_files_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "book.csv", [])
    with pytest.raises(DataError, match="holds no line"):
        read(path)
    with pytest.raises(DataError, match="holds no row"):
        read(write(path, [BOOK_HEADER]))


def test_exchange_of_another_product_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "book.csv", book_lines())
    with pytest.raises(DataError, match="the exchange is binance-futures, the product BTCUSDT_SPO"):
        read(path, "BTCUSDT_SPOT")
    with pytest.raises(DataError, match="the symbol is BTCUSDT, the product ETHUSDT"):
        read(path, "ETHUSDT")


def test_clock_behind_is_refused_repaired_or_forgotten(tmp_path: Path) -> None:
    lines = [BOOK_HEADER] + [
        book(at, rest, local_ms=at - 2, snapshot=at == 10)
        for at, rest in ((10, "bid,100.0,1"), (10, "ask,101.0,1"), (20, "bid,100.0,2"))
    ]
    path = write(tmp_path / "book.csv", lines)
    with pytest.raises(DataError, match=r"line 2: the local clock is at least 2\.000 ms behind"):
        read(path)
    ticks = read(path, policy={"clock_offset": "repair"})
    assert (ticks.columns["local_ns"] - ticks.columns["exch_ns"] == 1_000_000).all()
    assert "local_ns" not in read(path, policy={"clock_offset": "drop"}).columns


def test_book_whose_time_falls_is_raised(tmp_path: Path) -> None:
    lines = [*book_lines(), book(25, "bid,99.0,1", local_ms=40)]
    path = write(tmp_path / "book.csv", lines)
    assert rows(read(path))[-1] == (30, KIND_LEVEL, 0, 990, 1000)
    with pytest.raises(DataError, match=r"line 8: 5\.0 ms before"):
        read(path, policy={"time_back": "error"})
