"""Saved messages of the Shioaji feed in columns: the forms that people have, and broken ones."""

import datetime
import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from sweep.data import ensure_tapes
from sweep.errors import DataError
from sweep.readers import READERS, make_request, read_ticks
from sweep.readers.ticks import KIND_LEVEL, KIND_TRADE, SIDE_ASK, SIDE_BID, Ticks, collect
from sweep.source import SourceConfig

# 2026-04-09 08:45:00 in Taipei.
OPEN_NS = 1_775_695_500_000_000_000
MS = 1_000_000
START = datetime.datetime(2026, 4, 9, 8, 45)
LEVELS = range(5)

Row = dict[str, Any]


def at(ms: int) -> datetime.datetime:
    return START + datetime.timedelta(milliseconds=ms)


def tick(ms: int, price: str, lots: int, total: int, tick_type: int = 1, **more: Any) -> Row:
    return {
        "datetime": at(ms),
        "code": "TXFD6",
        "close": price,
        "volume": lots,
        "total_volume": total,
        "tick_type": tick_type,
    } | more


def book(ms: int, bid: int, ask: int, **more: Any) -> Row:
    return {
        "datetime": at(ms),
        "code": "TXFD6",
        "bid_price": [str(bid - level) for level in LEVELS],
        "bid_volume": [1 + level for level in LEVELS],
        "ask_price": [str(ask + level) for level in LEVELS],
        "ask_volume": [2 + level for level in LEVELS],
        "simtrade": False,
    } | more


def day() -> list[Row]:
    return [
        book(0, 20_000, 20_001),
        tick(1, "20001", 2, 102),
        book(125, 20_001, 20_002),
        tick(130, "20001", 1, 103, 2),
        tick(131, "20002", 4, 107, 0),
    ]


def parquet(path: Path, rows: list[Row]) -> Path:
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(path)
    return path


def text(path: Path, rows: list[Row]) -> Path:
    """As `pandas` writes dictionaries: lists by their `str`."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [",".join(names)]
    for row in rows:
        cells = ["" if row.get(name) is None else str(row[name]) for name in names]
        lines.append(",".join(f'"{cell}"' if "," in cell else cell for cell in cells))
    data = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read(path: Path, instrument: str = "TXFD6", **settings: Any) -> Ticks:
    return read_ticks("shioaji_columns", path, instrument, **settings)


def check(path: Path, **settings: Any) -> tuple[Ticks, dict[str, int]]:
    request = make_request("shioaji_columns", path, "TXFD6", **settings)
    ticks = collect(READERS["shioaji_columns"].read(request))
    report = request.audit.report()
    return ticks, {name: entry["count"] for name, entry in report.items() if entry["count"]}


def trades(ticks: Ticks) -> list[tuple[int, ...]]:
    columns = ticks.columns
    which = columns["kind"] == KIND_TRADE
    names = ("side", "price", "qty")
    return list(zip(*(columns[name][which].tolist() for name in names), strict=True))


def assert_same(one: Ticks, other: Ticks) -> None:
    for name, values in one.columns.items():
        assert np.array_equal(values, other.columns[name]), name


def test_a_mixed_file_becomes_trades_and_pictures(tmp_path: Path) -> None:
    ticks, found = check(parquet(tmp_path / "day.parquet", day()))
    assert not found
    assert trades(ticks) == [
        (SIDE_ASK, 20_001, 2),
        (SIDE_BID, 20_001, 1),
        (SIDE_ASK, 20_002, 4),
    ]
    columns = ticks.columns
    assert columns["exch_ns"][-1] == OPEN_NS + 131 * MS
    assert "local_ns" not in columns
    assert (columns["kind"] == KIND_LEVEL).sum() == 10 + 12
    assert ticks.facts["messages"] == {"BidAskFOPv1": 2, "TickFOPv1": 3}
    assert ticks.facts["rows"] == 5


def decimals(row: Row) -> Row:
    changed = dict(row)
    for name in ("bid_price", "ask_price"):
        if name in row:
            changed[name] = [Decimal(price) for price in row[name]]
    return changed


def floats(row: Row) -> Row:
    changed = dict(row)
    for name in ("bid_price", "ask_price"):
        if name in row:
            changed[name] = [float(price) for price in row[name]]
    if "close" in row:
        changed["close"] = float(row["close"])
    return changed


def spread(row: Row, first: int = 1, mark: str = "_") -> Row:
    changed = {name: value for name, value in row.items() if not isinstance(value, list)}
    for name, value in row.items():
        if isinstance(value, list):
            changed |= {f"{name}{mark}{first + place}": item for place, item in enumerate(value)}
    return changed


def split_time(row: Row) -> Row:
    rest = {name: value for name, value in row.items() if name != "datetime"}
    moment = row["datetime"]
    return {"date": f"{moment:%Y/%m/%d}", "time": f"{moment:%H:%M:%S.%f}"} | rest


@pytest.mark.parametrize(
    "change",
    [decimals, floats, spread, lambda row: spread(row, 0, ""), split_time, dict],
    ids=["decimals", "floats", "columns", "columns_from_0", "date_and_time", "texts"],
)
@pytest.mark.parametrize("form", ["day.csv", "day.csv.gz", "day.parquet"])
def test_every_form_gives_the_same_rows(tmp_path: Path, form: str, change: Any) -> None:
    expected = read(parquet(tmp_path / "plain.parquet", day()))
    rows = [change(row) for row in day()]
    path = tmp_path / form
    found = parquet(path, rows) if form.endswith("parquet") else text(path, rows)
    assert_same(expected, read(found))


def test_ticks_and_books_in_two_files_are_merged(tmp_path: Path) -> None:
    rows = day()
    rows[3] = tick(125, "20001", 1, 103, 2)  # at the time of a book: in front of it
    expected = read(parquet(tmp_path / "one.parquet", [*rows[:2], rows[3], rows[2], rows[4]]))
    parquet(tmp_path / "books.parquet", [row for row in rows if "bid_price" in row])
    path = text(tmp_path / "ticks.csv", [row for row in rows if "close" in row])
    ticks = read(path, options={"beside": "books.parquet"})
    assert_same(expected, ticks)
    assert ticks.facts["files"] == ["ticks.csv", "books.parquet"]
    source = SourceConfig(
        reader="shioaji_columns",
        instrument="TXFD6",
        paths=(path,),
        options={"beside": "books.parquet"},
    )
    (first,) = ensure_tapes(source, tmp_path / "tapes")
    parquet(tmp_path / "books.parquet", [book(0, 20_000, 20_001)])
    (second,) = ensure_tapes(source, tmp_path / "tapes")
    assert first.content_hash != second.content_hash
    with pytest.raises(DataError, match=r"nothing\.csv"):
        read(path, options={"beside": "nothing.csv"})


def test_history_has_the_best_level_and_no_total(tmp_path: Path) -> None:
    # Nanoseconds of Taipei's wall clock counted as UTC.
    first = OPEN_NS + 8 * 3_600 * 1_000 * MS
    rows = [
        {
            "ts": first + number * MS,
            "close": 20_000.0 + number,
            "volume": 2,
            "bid_price": 20_000.0,
            "bid_volume": 5,
            "ask_price": 20_002.0,
            "ask_volume": 7,
            "tick_type": number % 3,
        }
        for number in range(3)
    ]
    for path in (
        parquet(tmp_path / "ticks.parquet", rows),
        text(tmp_path / "ticks.csv", rows),
    ):
        ticks = read(path)
        assert ticks.instrument["visible_levels"] == 1
        assert ticks.columns["exch_ns"].tolist()[-1] == OPEN_NS + 2 * MS
        assert trades(ticks) == [
            (SIDE_ASK, 20_000, 2),
            (SIDE_ASK, 20_001, 2),
            (SIDE_BID, 20_002, 2),
        ]
        assert (ticks.columns["kind"] == KIND_LEVEL).sum() == 2


def test_a_receive_time_may_be_a_column(tmp_path: Path) -> None:
    rows = [row | {"got": OPEN_NS + (500 + number) * MS} for number, row in enumerate(day())]
    ticks = read(parquet(tmp_path / "day.parquet", rows), options={"local_column": "got"})
    assert ticks.columns["local_ns"][-1] == OPEN_NS + 504 * MS
    with pytest.raises(DataError, match="row 0: expected nanoseconds in the column other"):
        read(tmp_path / "day.parquet", options={"local_column": "other"})


def test_quotes_and_other_contracts(tmp_path: Path) -> None:
    rows = [book(ms, 20_000, 20_001) | tick(ms, "20001", 9, 100 + ms) for ms in (0, 5, 9)]
    rows.insert(1, tick(2, "1", 1, 1, code="MXFD6"))
    path = parquet(tmp_path / "quotes.parquet", rows)
    ticks = read(path, options={"messages": "quote"})
    assert [row[2] for row in trades(ticks)] == [5, 4]
    with pytest.raises(DataError, match=r"messages_of_the_other_kind 3.*choose"):
        read(path)


def test_shares_are_told_by_the_venue(tmp_path: Path) -> None:
    rows = [
        {**book(0, 999, 1_000), "ask_price": ["1000", "1005", "1010", "1015", "1020"]},
        tick(1_000, "1000", 3, 3),
    ]
    path = parquet(tmp_path / "share.parquet", [row | {"code": "2330"} for row in rows])
    ticks = read(path, "2330")
    assert ticks.facts["messages"] == {"BidAskSTKv1": 1, "TickSTKv1": 1}
    assert trades(ticks) == [(SIDE_ASK, 100_000, 3)]


BROKEN: list[tuple[Row, str]] = [
    ({"datetime": "soon"}, "line 3: expected datetime, date and time, or ts"),
    ({"datetime": None}, "line 3: expected datetime, date and time, or ts"),
    ({"close": "20001.5"}, "line 3: expected a price, found '20001.5'"),
    ({"close": "nan"}, "line 3: expected a price, found 'nan'"),
    ({"close": None}, "line 3: expected close and volume, or bid_price"),
    ({"volume": "1.5"}, "line 3: expected a quantity, found '1.5'"),
    ({"volume": -1}, "line 3: expected a quantity, found -1"),
    ({"volume": 1e400}, "line 3: expected a quantity, found 'inf'"),
    ({"tick_type": 9}, "line 3: expected tick_type as 0, 1 or 2, found 9"),
    ({"simtrade": "maybe"}, "line 3: expected simtrade as true or false"),
    ({"datetime": at(-7_000)}, "line 3: a time 7000000 us before that of the message above"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN)
def test_a_broken_row_is_named(tmp_path: Path, change: Row, message: str) -> None:
    rows = day()
    rows[1] |= change
    with pytest.raises(DataError, match=message):
        read(text(tmp_path / "day.csv", rows))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "expected a header of distinct names"),
        (b"datetime,close\n", "holds no row"),
        (b"close,close\n1,1\n", "line 1: expected a header of distinct names"),
        (b"datetime,close\n1\n", "line 2: expected 2 columns, found 1"),
        (b"datetime,close\n\xff,1\n", "line 2: expected UTF-8"),
        (b'datetime,close\n"1,1\n', "line 2: not CSV"),
        (b"datetime,close\n2026-04-09 08:45:00,1", "line 2: the file ends within a line"),
        (b"datetime,close\n2026-04-09 08:45:00,1\n", "line 2: expected close and volume"),
        (b"x" * 200_000, "a line of more than 65536 bytes"),
    ],
)
def test_files_that_are_no_table_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "day.csv"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message):
        read(path)


def test_damaged_parquet_is_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path / "day.parquet", day())
    data = path.read_bytes()
    path.write_bytes(data[:-20])
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read(path)


def test_a_list_that_is_none_is_refused(tmp_path: Path) -> None:
    rows = day()
    rows[0]["bid_price"] = "['20000', 'many']"
    with pytest.raises(DataError, match="line 2: expected up to 5 bid prices and as many volumes"):
        read(text(tmp_path / "day.csv", rows))
