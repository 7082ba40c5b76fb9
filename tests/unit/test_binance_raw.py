"""The reader of raw Binance recordings, on small recordings made here and broken on purpose."""

import gzip
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from sweep.data import ensure_tapes
from sweep.errors import DataError, InputError
from sweep.readers import READERS, binance_raw, make_request, read_ticks
from sweep.readers.text_lines import line_blocks
from sweep.readers.ticks import (
    FLAG_GAP,
    FLAG_IMAGE,
    KIND_CLEAR,
    KIND_LEVEL,
    KIND_TRADE,
    Ticks,
)
from sweep.source import SourceConfig

START_MS: Final = 1_700_000_000_000
LATENCY_NS: Final = 5_000_000
OVERTAKEN_NS: Final = START_MS * 1_000_000 + 65_500_000

Levels = list[list[str]]
Row = tuple[int, int, int, int]


def line(at_ms: int, data: dict[str, Any], *, stream: str = "btcusdt@x", local: int = 0) -> str:
    local_ns = local or (START_MS + at_ms) * 1_000_000 + LATENCY_NS
    whole = {"stream": stream, "data": data} if stream else data
    return f"{local_ns} {json.dumps(whole, separators=(',', ':'))}"


def depth(
    at_ms: int, first: int, last: int, before: int, bids: Levels, asks: Levels, **more: Any
) -> str:
    local = more.pop("local", 0)
    stream = more.pop("stream", "btcusdt@depth@0ms")
    data: dict[str, Any] = {
        "e": "depthUpdate",
        "E": START_MS + at_ms,
        "T": START_MS + at_ms,
        "s": "BTCUSDT",
        "U": first,
        "u": last,
        "pu": before,
        "b": bids,
        "a": asks,
    }
    data |= more
    return line(at_ms, {k: v for k, v in data.items() if v is not None}, stream=stream, local=local)


def trade(at_ms: int, number: int, price: str, qty: str, *, sold: bool, **more: Any) -> str:
    at = START_MS + at_ms
    local = more.pop("local", 0)
    data = {"e": "trade", "E": at, "T": at, "s": "BTCUSDT", "t": number, "p": price, "q": qty}
    return line(at_ms, data | {"X": "MARKET", "m": sold} | more, local=local)


def quote(at_ms: int, last: int, bid: tuple[str, str], ask: tuple[str, str]) -> str:
    at = START_MS + at_ms
    data = {"e": "bookTicker", "u": last, "s": "BTCUSDT", "b": bid[0], "B": bid[1]}
    return line(at_ms, data | {"a": ask[0], "A": ask[1], "T": at, "E": at})


def snapshot(at_ms: int, last: int, bids: Levels, asks: Levels, **more: Any) -> str:
    at = START_MS + at_ms
    data = {"lastUpdateId": last, "E": at, "T": at, "bids": bids, "asks": asks} | more
    return line(at_ms + 20, {k: v for k, v in data.items() if v is not None}, stream="")


def recording() -> list[str]:
    """Return a small good recording; each message says what it is by its ids."""
    return [
        depth(0, 1, 10, 0, [["99.0", "9.000"]], []),  # 1: older than the snapshot
        trade(5, 7, "100.1", "0.001", sold=False),  # 2: before the book
        depth(30, 18, 25, 10, [["100.0", "2.000"]], [["100.3", "1.500"]]),  # 3: links to it
        snapshot(10, 20, [["100.0", "1.000"], ["99.9", "4.000"]], [["100.2", "0.500"]]),  # 4
        quote(31, 25, ("100.0", "2.000"), ("100.2", "0.500")),  # 5
        depth(60, 30, 35, 25, [], [["100.2", "0.400"]]),  # 6
        trade(55, 8, "100.2", "0.100", sold=False, local=OVERTAKEN_NS),  # 7: by the update
        quote(61, 35, ("100.0", "2.000"), ("100.2", "0.400")),  # 8
        trade(70, 9, "100.0", "0.250", sold=True),  # 9
        depth(90, 36, 40, 35, [["100.0", "0.000"]], []),  # 10
        quote(95, 40, ("99.9", "4.000"), ("100.2", "0.400")),  # 11
    ]


EXPECTED: Final[list[tuple[int, int, int, int, int]]] = [
    # ms, kind, side, price, lots
    (10, KIND_CLEAR, 0, 0, 0),
    (10, KIND_LEVEL, 0, 1000, 1000),
    (10, KIND_LEVEL, 0, 999, 4000),
    (10, KIND_LEVEL, 1, 1002, 500),
    (30, KIND_LEVEL, 0, 1000, 2000),
    (30, KIND_LEVEL, 1, 1003, 1500),
    (55, KIND_TRADE, 1, 1002, 100),
    (60, KIND_LEVEL, 1, 1002, 400),
    (70, KIND_TRADE, 0, 1000, 250),
    (90, KIND_LEVEL, 0, 1000, 0),
]


def write(folder: Path, lines: list[str]) -> Path:
    path = folder / "recording.gz"
    path.write_bytes(gzip.compress("".join(f"{text}\n" for text in lines).encode()))
    return path


def read(folder: Path, lines: list[str], instrument: str = "BTCUSDT", **settings: Any) -> Ticks:
    return read_ticks("binance_raw", write(folder, lines), instrument, **settings)


def rows(ticks: Ticks) -> list[tuple[int, int, int, int, int]]:
    """Return ms, kind, side, price and lots of every row."""
    columns = ticks.columns
    ms = (columns["exch_ns"] - START_MS * 1_000_000) // 1_000_000
    names = ("kind", "side", "price", "qty")
    return list(zip(ms.tolist(), *(columns[name].tolist() for name in names), strict=True))


def test_recording_starts_at_the_snapshot_and_is_sorted_by_exchange_time(tmp_path: Path) -> None:
    ticks = read(tmp_path, recording())
    assert rows(ticks) == EXPECTED
    assert ticks.columns["flags"].tolist() == [0] + [FLAG_IMAGE] * 3 + [0] * 6
    facts = ticks.facts
    assert facts["lines"] == 11
    assert facts["depth_updates_before_snapshot"] == 1
    assert facts["trades_without_book"] == 1
    assert facts["trades"] == 2
    assert facts["messages_out_of_order"] == 1
    assert facts["out_of_order_ms_max"] == 5.0
    assert (facts["quotes_compared"], facts["quote_prices_differ"]) == (3, 0)
    assert facts["quote_sizes_differ"] == 0
    assert facts["clock"]["latency_us_minimum"] == 5_000.0
    assert facts["book_start"] == "snapshot"


def test_local_times_are_those_of_the_lines(tmp_path: Path) -> None:
    ticks = read(tmp_path, recording())
    later = ticks.columns["local_ns"] - ticks.columns["exch_ns"]
    # The update that overtook the trade is seen no earlier than the trade.
    late = [LATENCY_NS] * 2 + [10_500_000, 5_500_000] + [LATENCY_NS] * 2
    assert later[4:].tolist() == late
    assert ticks.facts["rows_seen_later"] == 1
    assert ticks.facts["rows_seen_later_ms_max"] == 0.5
    assert set(later[:4].tolist()) == {LATENCY_NS + 20_000_000}, "the answer to a request is late"


def test_recording_becomes_a_tape(tmp_path: Path) -> None:
    path = write(tmp_path, recording())
    source = SourceConfig(reader="binance_raw", instrument="BTCUSDT", paths=(path,))
    (tape,) = ensure_tapes(source, tmp_path / "tapes")
    assert tape.row_count == len(EXPECTED)
    assert tape.facts["checks"]["depth_gap"]["count"] == 0


def test_bare_streams_and_spaces_make_the_same_rows(tmp_path: Path) -> None:
    bare = []
    for text in recording():
        local, _, message = text.partition(" ")
        document = json.loads(message)
        bare.append(f"{local} {json.dumps(document.get('data', document))}")
    assert rows(read(tmp_path, bare)) == EXPECTED


def test_plain_text_and_one_long_block_make_the_same_rows(tmp_path: Path) -> None:
    path = tmp_path / "recording.txt"
    path.write_text("\n".join(recording()), encoding="utf-8")  # the last line has no end
    assert rows(read_ticks("binance_raw", path, "BTCUSDT")) == EXPECTED


@pytest.mark.parametrize("block_bytes", [1_000, 5_000])
def test_rows_do_not_depend_on_the_size_of_blocks(
    tmp_path: Path, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = recording()
    lines += [
        depth(100 + k, 41 + k, 41 + k, 40 + k, [["98.0", f"{k % 7}.001"]], []) for k in range(150)
    ]
    lines += [trade(1_500 + k, 10 + k, "100.2", "0.010", sold=False) for k in range(40)]
    whole = read(tmp_path, lines)
    monkeypatch.setattr(binance_raw, "line_blocks", lambda path: line_blocks(path, block_bytes))
    pieces = read(tmp_path, lines)
    for name, values in whole.columns.items():
        np.testing.assert_array_equal(values, pieces.columns[name], err_msg=name)
    assert whole.facts == pieces.facts


def test_gap_is_an_error_that_names_line_and_ids(tmp_path: Path) -> None:
    lines = recording()
    del lines[5]
    with pytest.raises(DataError, match=r"line 9: the update follows 35, the last one was 25"):
        read(tmp_path, lines)


def test_dropping_after_a_gap_waits_for_a_snapshot_and_clears_with_a_gap(tmp_path: Path) -> None:
    lines = recording()
    del lines[5]
    later = [
        trade(95, 10, "99.9", "0.010", sold=True),
        depth(110, 41, 50, 40, [["99.9", "3.000"]], []),
        snapshot(105, 45, [["99.8", "7.000"]], [["100.5", "1.000"]]),
        depth(130, 51, 52, 50, [], [["100.4", "2.000"]]),
    ]
    ticks = read(tmp_path, lines + later, policy={"depth_gap": "drop"})
    found = rows(ticks)
    assert found[:6] == EXPECTED[:6]
    assert found[6:] == [
        (105, KIND_CLEAR, 0, 0, 0),
        (105, KIND_LEVEL, 0, 998, 7000),
        (105, KIND_LEVEL, 1, 1005, 1000),
        (110, KIND_LEVEL, 0, 999, 3000),
        (130, KIND_LEVEL, 1, 1004, 2000),
    ]
    flags = ticks.columns["flags"].tolist()
    assert flags[6] == FLAG_GAP
    assert ticks.facts["depth_gaps"] == 1
    assert ticks.facts["depth_updates_after_gap"] == 1
    assert ticks.facts["snapshots_used"] == 2
    assert ticks.facts["trades_without_book"] == 4


def test_counting_a_gap_goes_on_with_a_flag(tmp_path: Path) -> None:
    lines = recording()
    del lines[5]
    ticks = read(tmp_path, lines, policy={"depth_gap": "count", "quote_differs": "count"})
    assert rows(ticks) == [row for row in EXPECTED if row != (60, KIND_LEVEL, 1, 1002, 400)]
    assert ticks.columns["flags"].tolist()[-1] == FLAG_GAP
    assert ticks.facts["depth_gaps"] == 1
    assert ticks.facts["quote_sizes_differ"] == 1


def test_book_without_a_snapshot_grows_from_updates(tmp_path: Path) -> None:
    lines = [text for text in recording() if "lastUpdateId" not in text]
    ticks = read(tmp_path, lines)
    assert ticks.facts["book_start"] == "grown from updates"
    assert rows(ticks)[:3] == [
        (0, KIND_CLEAR, 0, 0, 0),
        (0, KIND_LEVEL, 0, 990, 9000),
        (5, KIND_TRADE, 1, 1001, 1),
    ]
    with pytest.raises(DataError, match="no line holds a snapshot"):
        read(tmp_path, lines, policy={"no_snapshot": "error"})


def test_snapshot_that_nothing_follows_is_refused(tmp_path: Path) -> None:
    lines = [
        snapshot(0, 5, [["100.0", "1.000"]], [["101.0", "1.000"]]),
        depth(30, 18, 25, 10, [["100.0", "2.000"]], []),
    ]
    with pytest.raises(DataError, match="no depth update can be applied: none of 1 connects"):
        read(tmp_path, lines)


def test_file_without_depth_says_what_it_holds(tmp_path: Path) -> None:
    lines = [text for text in recording() if '"depthUpdate"' not in text]
    with pytest.raises(DataError, match=r"holds no depth update; streams found: .*trade"):
        read(tmp_path, lines)


def test_snapshot_that_nobody_needs_changes_nothing(tmp_path: Path) -> None:
    extra = snapshot(62, 35, [["1.0", "1.000"]], [["2.0", "1.000"]])
    ticks = read(tmp_path, [*recording(), extra])
    assert rows(ticks) == EXPECTED
    assert ticks.facts["snapshots_left_out"] == 1


def test_repeated_update_is_left_out(tmp_path: Path) -> None:
    lines = recording()
    lines.insert(6, lines[5])
    ticks = read(tmp_path, lines)
    assert rows(ticks) == EXPECTED
    with pytest.raises(DataError, match="line 7: the update ends at 35"):
        read(tmp_path, lines, policy={"old_update": "error"})


def spot(text: str) -> str:
    local, _, message = text.partition(" ")
    document = json.loads(message)
    data = document.get("data", document)
    if data.get("e") != "trade":
        data.pop("T", None)
    if data.get("e") == "bookTicker":
        data.pop("E"), data.pop("e")
    if "lastUpdateId" in data:
        data.pop("E")
    data.pop("pu", None)
    data.pop("X", None)
    return f"{local} {json.dumps(document, separators=(',', ':'))}"


def spot_recording() -> list[str]:
    return [
        spot(text)
        for text in [
            depth(0, 1, 10, 0, [["99.00", "9.00000"]], []),
            depth(30, 11, 25, 0, [["100.00", "2.00000"]], [["100.30", "1.50000"]]),
            snapshot(10, 20, [["100.00", "1.00000"]], [["100.20", "0.00001"]]),
            quote(31, 25, ("100.00", "2.00000"), ("100.20", "0.00001")),
            depth(130, 26, 30, 0, [], [["100.20", "0.40000"]]),
            trade(120, 7, "100.20", "0.10000", sold=False),
        ]
    ]


def test_spot_market_links_by_ranges_and_has_no_engine_time(tmp_path: Path) -> None:
    ticks = read(tmp_path, spot_recording(), "BTCUSDT_SPOT")
    assert rows(ticks) == [
        (30, KIND_CLEAR, 0, 0, 0),
        (30, KIND_LEVEL, 0, 10000, 100_000),
        (30, KIND_LEVEL, 1, 10020, 1),
        (30, KIND_LEVEL, 0, 10000, 200_000),
        (30, KIND_LEVEL, 1, 10030, 150_000),
        (120, KIND_TRADE, 1, 10020, 10_000),
        (130, KIND_LEVEL, 1, 10020, 40_000),
    ]
    assert ticks.facts["quotes_compared"] == 1
    assert ticks.facts["quote_prices_differ"] == 0
    gap = [text.replace('"U":26', '"U":27') for text in spot_recording()]
    with pytest.raises(DataError, match="line 5: the update follows 26, the last one was 25"):
        read(tmp_path, gap, "BTCUSDT_SPOT")


def test_product_of_another_market_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"spot market, the product BTCUSDT trades on BINANCE_USDM"):
        read(tmp_path, spot_recording(), "BTCUSDT")
    with pytest.raises(DataError, match="futures market"):
        read(tmp_path, recording(), "BTCUSDT_SPOT", policy={"price_grid": "drop"})


def test_product_of_another_name_needs_the_symbol(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the symbol is BTCUSDT, the product ETHUSDT; set data"):
        read(tmp_path, recording(), "ETHUSDT")
    ticks = read(tmp_path, recording(), "ETHUSDT", options={"symbol": "BTCUSDT"})
    assert ticks.row_count == len(EXPECTED)


def behind(lines: list[str], offset_ns: int) -> list[str]:
    parts = [text.partition(" ") for text in lines]
    return [f"{int(local) - offset_ns} {message}" for local, _, message in parts]


def test_clock_behind_is_an_error_that_says_how_far(tmp_path: Path) -> None:
    lines = behind(recording(), 1_250_000_000)
    with pytest.raises(DataError, match=r"line 1: the local clock is at least 1245\.000 ms behind"):
        read(tmp_path, lines)


def test_clock_behind_is_shifted_to_the_stated_floor(tmp_path: Path) -> None:
    lines = behind(recording(), 1_250_000_000)
    ticks = read(
        tmp_path,
        lines,
        policy={"clock_offset": "repair"},
        options={"latency_floor_us": 700},
    )
    later = ticks.columns["local_ns"] - ticks.columns["exch_ns"]
    assert later[4:].tolist() == [700_000] * 2 + [6_200_000, 1_200_000] + [700_000] * 2
    assert ticks.facts["clock"]["local_shift_us"] == 1_245_700.0
    assert ticks.facts["clock"]["latency_us_minimum"] == -1_245_000.0


def test_clock_behind_may_be_forgotten(tmp_path: Path) -> None:
    lines = behind(recording(), 1_250_000_000)
    ticks = read(tmp_path, lines, policy={"clock_offset": "drop"})
    assert "local_ns" not in ticks.columns
    assert rows(ticks) == EXPECTED
    assert ticks.facts["clock"]["local_clock"] is False


def test_local_clock_that_falls_is_raised_and_one_set_back_is_an_error(tmp_path: Path) -> None:
    lines = recording()
    local, _, message = lines[8].partition(" ")
    lines[8] = f"{int(local) - 12_000_000} {message}"
    ticks = read(
        tmp_path, lines, options={"latency_floor_us": 0}, policy={"clock_offset": "repair"}
    )
    assert (np.diff(ticks.columns["local_ns"][7:]) >= 0).all()
    lines[8] = f"{int(local) - 2_000_000_000} {message}"
    with pytest.raises(DataError, match="line 9: the local time is"):
        read(tmp_path, lines, policy={"clock_offset": "repair"})


@pytest.mark.parametrize(
    ("number", "old", "new", "message"),
    [
        (3, '"100.3"', '"100.35"', r"line 3: expected a price in steps of 0\.1 .*'100\.35'"),
        (3, '"1.500"', '"1.5001"', r"line 3: expected a quantity in lots of 0\.001"),
        (3, '"1.500"', '"-1.5"', r"line 3: expected a quantity, found '-1\.5'"),
        (3, '"1.500"', '"NaN"', r"line 3: expected a quantity, found 'NaN'"),
        (3, '"1.500"', '"99999999.0"', r"line 3: expected fewer lots"),
        (3, '["100.3","1.500"]', '["100.3"]', r"line 3: expected a quantity, found None"),
        (3, '"100.3"', '"0"', r"line 3: expected a price above 0"),
        (6, '"U":30', '"U":99', r"line 6: a depth message of another form"),
        (6, '"u":35', '"u":35.5', r"line 6: a depth message of another form"),
        (6, '"E":', '"F":', r"line 6: a depth message of another form"),
        (6, '"a":[[', '"a":[[{', r"line 6: no JSON at column"),
        (6, "}}", "}", r"line 6: no JSON at column"),
        (9, '"m":true', '"m":null', r"line 9: a trade message of another form"),
        (9, '"p":"100.0"', '"p":"abc"', r"line 9: expected a price above 0, found 'abc'"),
        (9, '"s":"BTCUSDT"', '"s":"ETHUSDT"', r"line 9: expected the symbol BTCUSDT"),
        (4, '"bids":', '"bods":', r"line 4: a snapshot of another form: KeyError"),
        (4, '"1.000"', "1.0", r"line 4: a snapshot of another form: TypeError"),
    ],
)
def test_damaged_line_is_named(
    tmp_path: Path, number: int, old: str, new: str, message: str
) -> None:
    lines = recording()
    assert old in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(old, new, 1)
    with pytest.raises(DataError, match=message):
        read(tmp_path, lines)


def test_line_without_a_local_time_is_named(tmp_path: Path) -> None:
    lines = recording()
    lines[4] = lines[4].partition(" ")[2]
    with pytest.raises(DataError, match="line 5: expected a local time in ns"):
        read(tmp_path, lines)
    lines[4] = ""
    with pytest.raises(DataError, match="line 5: expected a local time in ns"):
        read(tmp_path, lines)


def test_bad_lines_may_be_left_out(tmp_path: Path) -> None:
    lines = recording()
    lines.insert(4, "garbage")
    lines.insert(7, lines[6][:-9])
    ticks = read(tmp_path, lines, policy={"bad_line": "drop"})
    assert rows(ticks) == EXPECTED


def test_other_streams_are_counted_by_name(tmp_path: Path) -> None:
    lines = recording()
    lines.insert(4, line(31, {"e": "markPriceUpdate", "E": START_MS + 31, "s": "BTCUSDT"}))
    lines.insert(5, line(32, {"result": None, "id": 1}, stream=""))
    ticks = read(tmp_path, lines)
    assert rows(ticks) == EXPECTED
    assert ticks.facts["other_streams"] == {"markPriceUpdate": 1, "reply": 1}


def test_another_symbol_is_left_out_if_one_is_chosen(tmp_path: Path) -> None:
    lines = recording()
    lines.insert(4, lines[2].replace("BTCUSDT", "ETHUSDT"))
    ticks = read(tmp_path, lines, options={"symbol": "BTCUSDT"})
    assert rows(ticks) == EXPECTED


def test_odd_repeated_and_missing_trades(tmp_path: Path) -> None:
    lines = recording()
    lines.insert(9, trade(71, 10, "100.0", "0.250", sold=True, X="INSURANCE_FUND"))
    lines.insert(10, trade(72, 11, "0", "0", sold=True, X="NA"))
    lines.insert(11, trade(73, 11, "100.0", "0.250", sold=True))
    lines.append(trade(99, 15, "99.9", "0.001", sold=True))
    ticks = read(tmp_path, lines)
    assert rows(ticks) == [*EXPECTED, (99, KIND_TRADE, 0, 999, 1)]
    request = make_request("binance_raw", write(tmp_path, lines), "BTCUSDT", is_check=True)
    for _ in READERS["binance_raw"].read(request):
        pass
    counts = {name: finding.count for name, finding in request.audit.findings.items()}
    assert counts["odd_trade"] == 2
    assert counts["old_trade"] == 1
    assert counts["missing_trades"] == 3
    assert request.audit.findings["missing_trades"].first.startswith("line 15: trade 15")


def test_aggregated_trades_are_used_where_there_are_no_others(tmp_path: Path) -> None:
    lines = [text.replace('"trade"', '"aggTrade"').replace('"t":', '"a":') for text in recording()]
    assert rows(read(tmp_path, lines)) == EXPECTED
    both = recording()
    both.insert(9, lines[8])
    ticks = read(tmp_path, both)
    assert rows(ticks) == EXPECTED
    assert ticks.facts["lines_by_stream"]["aggregate"] == 1


def test_late_message_is_an_error_beyond_the_window(tmp_path: Path) -> None:
    lines = recording()
    options = {"reorder_ms": 4}
    with pytest.raises(DataError, match=r"line 7: the exchange time is 5\.0 ms older"):
        read(tmp_path, lines, options=options)
    ticks = read(tmp_path, lines, options=options, policy={"late_message": "repair"})
    assert rows(ticks)[6] == (56, KIND_TRADE, 1, 1002, 100)
    ticks = read(tmp_path, lines, options=options, policy={"late_message": "drop"})
    assert ticks.facts["trades"] == 1


def test_update_whose_time_falls_is_raised(tmp_path: Path) -> None:
    lines = recording()
    lines[9] = depth(58, 36, 40, 35, [["100.0", "0.000"]], [])
    ticks = read(tmp_path, lines)
    assert (60, KIND_LEVEL, 0, 1000, 0) in rows(ticks)
    with pytest.raises(DataError, match=r"line 10: 2\.0 ms before"):
        read(tmp_path, lines, policy={"time_back": "error"})


def test_crossed_book_and_disagreeing_quotes_are_counted(tmp_path: Path) -> None:
    lines = recording()
    lines[5] = depth(60, 30, 35, 25, [["100.4", "1.000"]], [["100.2", "0.400"]])
    ticks = read(tmp_path, lines)
    assert ticks.facts["crossed_messages"] == 2
    assert ticks.facts["quote_prices_differ"] == 2
    with pytest.raises(
        DataError, match="line 6: the best bid is tick 1004 above the best ask 1002"
    ):
        read(tmp_path, lines, policy={"crossed_book": "error"})
    with pytest.raises(DataError, match=r"line 6: best ticks of the book 1004 / 1002, of bookT"):
        read(tmp_path, lines, policy={"quote_differs": "error"})


def test_crossed_quotes_are_counted(tmp_path: Path) -> None:
    lines = [*recording(), quote(99, 41, ("100.3", "1.000"), ("100.2", "1.000"))]
    with pytest.raises(DataError, match=r"line 12: bid 100\.3 is not below ask 100\.2"):
        read(tmp_path, lines, policy={"quote_crossed": "error"})


def test_fraction_of_a_lot_may_be_rounded_up(tmp_path: Path) -> None:
    lines = recording()
    lines[2] = lines[2].replace('"1.500"', '"1.50001"')
    ticks = read(tmp_path, lines, policy={"lot_grid": "repair"})
    assert (30, KIND_LEVEL, 1, 1003, 1501) in rows(ticks)


@pytest.mark.parametrize("keep", [0, 10, 60, -1, -9])
def test_truncated_gzip_is_refused(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path, recording())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"recording\.gz"):
        read_ticks("binance_raw", path, "BTCUSDT")


def test_flipped_bits_of_the_container_are_never_silent(tmp_path: Path) -> None:
    path = write(tmp_path, recording())
    good = path.read_bytes()
    generator = np.random.default_rng(1)
    header = 10  # time and name in the header of gzip are nobody's data
    for bit in generator.integers(header * 8, len(good) * 8, 60).tolist():
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(bad))
        with pytest.raises(DataError, match=r"recording\.gz"):
            read_ticks("binance_raw", path, "BTCUSDT")


def test_inverse_contract_gives_ticks_and_no_linear_money(tmp_path: Path) -> None:
    lines = [text.replace('"BTCUSDT"', '"BTCUSD_PERP"') for text in recording()]
    ticks = read(tmp_path, lines, "BTCUSD_PERP", policy={"lot_grid": "repair"})
    assert ticks.instrument["tick_value_minor"] is None
    assert ticks.facts["product"]["is_inverse"] is True


def test_policy_for_an_unknown_rule_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no rule"):
        read(tmp_path, recording(), policy={"nonsense": "drop"})
