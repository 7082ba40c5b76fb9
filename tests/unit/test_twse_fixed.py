"""The reader of TWSE's fixed-width files: on files made here, sound and broken."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rustsim
from sweep.errors import DataError
from sweep.readers import READERS, make_request, read_ticks
from sweep.readers.ticks import (
    FLAG_IMAGE,
    FLAG_INDICATIVE,
    FLAG_OUT_OF_VIEW,
    KIND_CLEAR,
    KIND_LEVEL,
    KIND_TRADE,
    SIDE_ASK,
    SIDE_BID,
    Ticks,
    collect,
)

Level = tuple[int, int]
BIDS: list[Level] = [(9_990, 5), (9_980, 6), (9_970, 7), (9_960, 8), (9_950, 9)]
ASKS: list[Level] = [(10_000, 1), (10_050, 2), (10_100, 3), (10_150, 4), (10_200, 5)]


def side(levels: list[Level], mark: str = " ", count: int | None = None) -> str:
    filled = [*levels, *[(0, 0)] * (5 - len(levels))]
    stated = len(levels) if count is None else count
    return f"{stated}{mark}" + "".join(f"{price:06}{lots:08}" for price, lots in filled)


def quote(
    time: str,
    volume: int,
    *,
    price: int = 9_990,
    marks: str = "    ",
    bids: str = side(BIDS),
    asks: str = side(ASKS),
    code: str = "2330",
    date: str = "20241111",
) -> str:
    return f"{code:<6}{time}{marks}{price:06}{volume:08}{bids}{asks}{date}AA"


def day() -> list[str]:
    return [
        quote("083000000001", 0, price=0, marks="T   "),
        quote("083005000000", 0, price=0, marks="T   ", bids=side([(0, 40), *BIDS[:4]])),
        quote("090000100000", 10, marks="  Y "),
        quote("090001000000", 12, price=10_000, marks="  Y ", asks=side(ASKS[1:])),
        quote("090002000000", 15, price=10_050, marks=" CY ", bids=side([]), asks=side([])),
        quote("090002000000", 17, price=10_100, marks="  Y ", asks=side(ASKS[3:], "R")),
        quote("090003000000", 17, price=10_100, bids=side(BIDS[1:])),
    ]


def write(path: Path, lines: list[str], end: str = "\n") -> Path:
    path.write_bytes(end.join([*lines, ""]).encode())
    return path


def read(path: Path, instrument: str = "2330", **settings: Any) -> Ticks:
    return read_ticks("twse_fixed", path, instrument, **settings)


def rows(ticks: Ticks) -> list[tuple[int, ...]]:
    names = ("kind", "side", "flags", "price", "qty")
    return list(zip(*(ticks.columns[name].tolist() for name in names), strict=True))


def test_a_day_of_quotes_becomes_images_and_trades(tmp_path: Path) -> None:
    ticks = read(write(tmp_path / "dsp", day()))
    found = rows(ticks)
    trial = FLAG_IMAGE | FLAG_INDICATIVE
    assert found[0] == (KIND_CLEAR, 0, 0, 0, 0)
    assert found[1:6] == [(KIND_LEVEL, SIDE_BID, trial, *level) for level in BIDS]
    # Market orders in the auction take a place of the five: the fifth level leaves the view.
    trades = [row for row in found if row[0] == KIND_TRADE]
    assert trades == [
        (KIND_TRADE, SIDE_BID, 0, 9_990, 10),
        (KIND_TRADE, SIDE_ASK, 0, 10_000, 2),
        (KIND_TRADE, SIDE_ASK, 0, 10_050, 3),
        (KIND_TRADE, SIDE_ASK, 0, 10_100, 2),
    ]
    # The record in the middle of an order shows no book: no level was emptied by it.
    middle = found.index(trades[2])
    assert found[middle + 1] == trades[3]
    assert (KIND_LEVEL, SIDE_ASK, FLAG_IMAGE, 10_100, 0) in found
    facts = ticks.facts
    assert facts["trades"] == 4
    assert facts["auction_trades"] == 1
    assert facts["intermediate_prices"] == 1
    assert facts["limit_up_records"] == 1
    assert facts["images"] == 6
    assert facts["records_chosen"] == 7
    assert ticks.sessions[0].name == "2024-11-11"
    assert ticks.instrument["visible_levels"] == 5


def test_levels_that_leave_the_view_are_told_apart(tmp_path: Path) -> None:
    lines = [
        quote("090000000000", 0, price=0),
        quote("090001000000", 0, price=0, bids=side([*BIDS[1:], (9_940, 2)])),
        quote("090002000000", 0, price=0),
    ]
    found = rows(read(write(tmp_path / "dsp", lines)))
    assert (KIND_LEVEL, SIDE_BID, FLAG_IMAGE, 9_990, 0) in found  # was the best: emptied
    assert found[-2:] == [
        (KIND_LEVEL, SIDE_BID, FLAG_IMAGE | FLAG_OUT_OF_VIEW, 9_940, 0),
        (KIND_LEVEL, SIDE_BID, FLAG_IMAGE, 9_990, 5),
    ]


def test_the_rows_rebuild_every_picture(tmp_path: Path) -> None:
    """Random books: after each record the standing levels are those of its picture."""
    rng = np.random.default_rng(4)
    lines, pictures = [], []
    for number in range(300):
        mid = int(rng.integers(200, 210)) * 50
        bids = sorted(rng.choice(np.arange(1, 20), rng.integers(0, 6), replace=False).tolist())
        asks = sorted(rng.choice(np.arange(0, 20), rng.integers(0, 6), replace=False).tolist())
        book = (
            [(mid - 50 * step, int(rng.integers(1, 9))) for step in bids],
            [(mid + 50 * step, int(rng.integers(1, 9))) for step in asks],
        )
        pictures.append(book)
        time = f"0900{number // 60:02}{number % 60:06}"
        lines.append(quote(f"{time}", 0, price=0, bids=side(book[0]), asks=side(book[1])))
    path = write(tmp_path / "dsp", lines)
    ticks = read(path, "0050", options={"code": "2330"})
    columns = ticks.columns
    standing: dict[tuple[int, int], int] = {}
    seen = []
    ends = [*np.flatnonzero(np.diff(columns["exch_ns"])).tolist(), ticks.row_count - 1]
    for row, (kind, book_side, _, price, qty) in enumerate(rows(ticks)):
        if kind == KIND_CLEAR:
            standing.clear()
        elif qty:
            standing[(book_side, price)] = qty
        else:
            assert standing.pop((book_side, price))
        if row in ends:
            seen.append(dict(standing))
    expected = [
        {(s, price): lots for s, levels in enumerate(book) for price, lots in levels}
        for book in pictures
    ]
    # A picture equal to the one before makes no row.
    distinct = [
        now for before, now in zip([None, *expected], expected, strict=False) if now != before
    ]
    assert seen == distinct
    names = ("exch_ns", "kind", "side", "flags", "price", "qty")
    scan = rustsim.scan_book(*(columns[name] for name in names), visible_levels=5)
    out_of_view = columns["flags"] & FLAG_OUT_OF_VIEW > 0
    assert (np.frombuffer(scan["out_of_view"], np.uint8) > 0).tolist() == out_of_view.tolist()


def test_old_and_new_lengths_line_ends_and_gzip_agree(tmp_path: Path) -> None:
    new = read(write(tmp_path / "new", day()))
    crlf = read(write(tmp_path / "crlf", day(), "\r\n"))
    bare = tmp_path / "bare"
    bare.write_text("\n".join(day()))
    packed = tmp_path / "dsp.gz"
    packed.write_bytes(gzip.compress("\n".join([*day(), ""]).encode()))
    for other in (crlf, read(bare), read(packed)):
        for name, values in new.columns.items():
            assert np.array_equal(values, other.columns[name]), name
    old = read(write(tmp_path / "old", [line[:14] + line[18:] for line in day()]))
    assert rows(old) == rows(new)
    assert old.facts["time"] == "hundredths of a second"


def test_lots_before_a_cut_file_make_no_trade(tmp_path: Path) -> None:
    lines = [quote("110000000000", 900), quote("110001000000", 903, marks="  Y ")]
    ticks = read(write(tmp_path / "dsp", lines))
    assert [row[4] for row in rows(ticks) if row[0] == KIND_TRADE] == [3]
    assert ticks.facts["lots_before_the_file"] == 900


def changed(number: int, **values: Any) -> list[str]:
    lines = day()
    arguments: dict[str, Any] = {"time": "090001000000", "volume": 12, "price": 10_000}
    arguments |= {"marks": "  Y ", "asks": side(ASKS[1:])} | values
    lines[number] = quote(**arguments)
    return lines


BROKEN = [
    (changed(3, asks=side([(10_010, 1)])), "line 4: a price off the tick grid", "drop"),
    (changed(3, price=10_010), "line 4: a price off the tick grid", "drop"),
    (changed(3, asks=side([ASKS[2], ASKS[1]])), "line 4: levels that are no ladder", "drop"),
    (
        changed(3, bids=side([BIDS[0], (0, 0), BIDS[1]])),
        "line 4: levels that are no ladder",
        "drop",
    ),
    (changed(3, asks=side(ASKS, count=4)), "line 4: another number of levels", "count"),
    (changed(3, marks="    "), "line 4: volume or price changes without the mark Y", "count"),
    (changed(3, volume=10), "line 4: volume or price changes without the mark Y", "count"),
    (changed(3, volume=9), "line 4: less volume than in the record above", "count"),
    (changed(3, time="085959000000"), "line 4: a time before that of the record above", "repair"),
    (changed(3, time="246000000000"), "line 4, column 7: expected a time of day", ""),
    (changed(3, date="20241350"), "line 4, column 181: expected a date", ""),
    (changed(3, marks="x Y "), "line 4, column 19: expected the remark", ""),
    (changed(3, marks="  YQ"), "line 4, column 22: expected a limit mark", ""),
    (changed(3, time="09000100000x"), "line 4, column 7: expected a time as 12 digits", ""),
    (changed(3, price=0), "line 4, column 23: expected a price of the trade", ""),
    (changed(3, bids=side([(0, 4)])), "line 4, column 37: expected no lots at the price 0", ""),
    ([*day()[:3], day()[3][:-1], *day()[4:]], "line 4: expected 190 characters, found 189", ""),
    ([*day()[:3], day()[3] + "A", *day()[4:]], "line 4: expected 190 characters, found 191", ""),
    ([*day()[:3], "", *day()[4:]], "line 4: expected 190 characters, found 0", ""),
    (["x" * 100], "line 1: expected 186 or 190 characters", ""),
    ([], "the file holds no line", ""),
    ([day()[0][:-1].replace("2330", "2317") + "A"], "no record of 2330 among 1", ""),
]


@pytest.mark.parametrize(("lines", "message", "milder"), BROKEN)
def test_a_broken_record_is_named(
    tmp_path: Path, lines: list[str], message: str, milder: str
) -> None:
    path = write(tmp_path / "dsp", lines) if lines else tmp_path / "dsp"
    path.touch()
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert ("data.source.check." in str(caught.value)) == bool(milder)
    if milder:
        request = make_request("twse_fixed", path, "2330", is_check=True)
        collect(READERS["twse_fixed"].read(request))
        assert sum(entry["count"] for entry in request.audit.report().values()) >= 1


def test_a_crossed_book_is_counted_or_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "dsp", changed(3, asks=side([(9_980, 1), *ASKS[1:]])))
    request = make_request("twse_fixed", path, "2330")
    collect(READERS["twse_fixed"].read(request))
    assert request.audit.report()["crossed"]["count"] == 1
    left_out = read(path, policy={"crossed": "drop"})
    assert left_out.facts["images"] == 5
    assert left_out.facts["trades"] == 4


def trade(
    side: str, number: int, *, shares: int = 2_000, price: str = "0034.60", **other: str
) -> str:
    values = {"kind": "0", "time": "10291900", "date": "20170531", "print": "6210"} | other
    head = f"{values['date']}{'9945':<6}{side}{values['kind']}{values['time']}{number:08}"
    return f"{head}Ac639{price}{shares:09}{values['print']}0J000M"


def test_two_lines_make_one_trade(tmp_path: Path) -> None:
    lines = [
        trade("S", 1),
        trade("B", 2, shares=3_000),
        trade("S", 2, shares=1_000),
        trade("S", 2, shares=2_000),
        trade("B", 3, kind="2", shares=7),
        trade("B", 4, price="0034.55"),
        trade("S", 4, price="0034.55"),
    ]
    path = write(tmp_path / "mth", lines)
    request = make_request("twse_fixed", path, "9945")
    ticks = collect(READERS["twse_fixed"].read(request))
    assert [(row[3], row[4], row[1]) for row in rows(ticks)] == [
        (3_460, 2, 1),
        (3_460, 3, 1),
        (3_455, 2, 0),
    ]
    report = request.audit.report()
    assert report["two_sides"]["count"] == 1
    assert report["two_sides"]["first"].startswith("line 1:")
    assert report["trade_kind"]["first"].startswith("line 5:")
    assert len(rows(read(path, "9945", policy={"two_sides": "drop"}))) == 2
    long = [line[:24] + "0000" + line[24:] for line in lines]
    assert rows(read(write(tmp_path / "mth67", long), "9945")) == rows(ticks)


def test_trades_are_joined_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.readers.fixed_width._BLOCK_LINES", 3)
    lines = [trade(side, number) for number in range(10) for side in "BS"]
    request = make_request("twse_fixed", write(tmp_path / "mth", lines), "9945")
    ticks = collect(READERS["twse_fixed"].read(request))
    assert ticks.row_count == 10
    assert request.audit.report()["two_sides"]["count"] == 0


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_blocks_do_not_change_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    path = write(
        tmp_path / "dsp", [*day(), quote("090000000000", 1, marks="  Y ", date="20241112")]
    )
    whole = read(path)
    monkeypatch.setattr("sweep.readers.fixed_width._BLOCK_LINES", size)
    pieces = read(path)
    assert rows(pieces) == rows(whole)
    assert pieces.facts == whole.facts
    assert pieces.sessions == whole.sessions
    assert [session.name for session in whole.sessions] == ["2024-11-11", "2024-11-12"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (trade("S", 1, shares=1_500), "line 1: shares that are no whole lots"),
        (trade("S", 1, price="0034.61"), "line 1: a price off the tick grid"),
        (trade("S", 1, price="0000.00"), "line 1: a price off the tick grid"),
        (trade("X", 1), "line 1, column 15: expected the side"),
        (trade("S", 1, kind="9"), "line 1, column 16: expected the kind of trade"),
        (trade("S", 1, date="20170532"), "line 1, column 1: expected a date"),
        (trade("S", 1, kind="1"), "every trade of 9945 was left out"),
    ],
)
def test_a_broken_trade_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(write(tmp_path / "mth", [line]), "9945")


@pytest.mark.parametrize("filler", ["", "20A"])
def test_order_files_are_refused_for_what_they_are(tmp_path: Path, filler: str) -> None:
    time = "08300110" + ("1234" if filler else "")
    tail = f"{filler} J7003" if filler else "0855J7003"
    line = f"201612300050  S0{time}u55584" + "0078.35+0000001000" + "4 " + tail
    assert len(line) == (63 if filler else 59)
    path = write(tmp_path / "odr", [line])
    with pytest.raises(DataError, match="an order file: orders without their trades"):
        read(path, "0050")


def test_a_damaged_gzip_is_refused(tmp_path: Path) -> None:
    data = gzip.compress("\n".join(day() * 20).encode())
    path = tmp_path / "dsp.gz"
    for broken in (data[: len(data) // 2], data[:-6] + b"\0" + data[-5:], data[:40] + b"\xff" * 9):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"dsp\.gz"):
            read(path)
