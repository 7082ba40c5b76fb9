"""Recordings of the live feed, written and read back as rows."""

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.data import ensure_tapes
from sweep.errors import DataError, InputError
from sweep.readers import READERS, make_request, read_ticks
from sweep.readers.recording_format import Block, encode_block, read_blocks
from sweep.readers.ticks import (
    FLAG_GAP,
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
from sweep.recorder import Recorder
from sweep.source import SourceConfig

# 2026-04-09 08:45:00 in Taipei.
OPEN_NS = 1_775_695_500_000_000_000
MS = 1_000_000
LATENCY_NS = 12 * MS
BOOT_NS = 123_456_789

BIDS = [(20_000 - level, 3 + level) for level in range(5)]
ASKS = [(20_001 + level, 4 + level) for level in range(5)]


class Feed:
    """A feed whose messages arrive 12 ms after their time."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.at_ms = 0
        self.total = 100
        self.recorder = Recorder(folder, clock=self.clock, **settings)

    def clock(self) -> tuple[int, int]:
        wall_ns = OPEN_NS + self.at_ms * MS + LATENCY_NS
        return wall_ns - BOOT_NS, wall_ns

    def when(self) -> datetime.datetime:
        start = datetime.datetime(2026, 4, 9, 8, 45)
        return start + datetime.timedelta(milliseconds=self.at_ms)

    def send(self, at_ms: int, kind: str, **values: Any) -> None:
        self.at_ms = at_ms
        fields = {"code": "TXFD6", "datetime": self.when(), "simtrade": False} | values
        self.recorder.message(kind, fields)

    def book(self, at_ms: int, bids: Any = BIDS, asks: Any = ASKS, **values: Any) -> None:
        kind = values.pop("kind", "BidAskFOPv1")
        filled = {}
        for side, levels in (("bid", bids), ("ask", asks)):
            full = [*levels, *[("0", 0)] * (5 - len(levels))]
            filled[f"{side}_price"] = [Decimal(str(price)) for price, _ in full]
            filled[f"{side}_volume"] = [lots for _, lots in full]
        self.send(at_ms, kind, **(filled | values))

    def tick(self, at_ms: int, price: Any, lots: int, tick_type: int = 1, **values: Any) -> None:
        kind = values.pop("kind", "TickFOPv1")
        self.total += lots
        total = values.pop("total_volume", self.total)
        self.send(
            at_ms,
            kind,
            **(
                {
                    "close": Decimal(str(price)),
                    "volume": lots,
                    "total_volume": total,
                    "tick_type": tick_type,
                }
                | values
            ),
        )

    def close(self) -> Path:
        path = self.recorder.path
        self.recorder.close()
        return path


def read(path: Path, instrument: str = "TXFD6", **settings: Any) -> Ticks:
    return read_ticks("shioaji_recording", path, instrument, **settings)


def check(path: Path, instrument: str = "TXFD6", **settings: Any) -> tuple[Ticks, Any]:
    request = make_request("shioaji_recording", path, instrument, **settings)
    ticks = collect(READERS["shioaji_recording"].read(request))
    found = {rule: entry for rule, entry in request.audit.report().items() if entry["count"]}
    return ticks, found


def rows(ticks: Ticks) -> list[tuple[int, ...]]:
    names = ("kind", "side", "flags", "price", "qty")
    return list(zip(*(ticks.columns[name].tolist() for name in names), strict=True))


def trades(ticks: Ticks) -> list[tuple[int, ...]]:
    return [row for row in rows(ticks) if row[0] == KIND_TRADE]


def test_ticks_and_books_become_one_tape(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.book(-10_000, simtrade=True)
    feed.tick(-9_000, 20_000, 50, simtrade=True, total_volume=0)
    feed.total = 100
    feed.book(0)
    feed.tick(1, 20_001, 2)
    feed.send(2, "TickFOPv1", code="MXFD6", close=Decimal(1), volume=1)
    feed.book(5, asks=[(20_001, 2), *ASKS[1:]])
    feed.book(130, bids=[(20_001, 9), *BIDS[:4]], asks=ASKS[1:])
    feed.tick(131, 20_001, 1, 2)
    feed.tick(132, 20_002, 3, 0)
    feed.recorder.event("subscribe", {"code": "TXFD6"})
    ticks, found = check(feed.close())
    trial = FLAG_IMAGE | FLAG_INDICATIVE
    body = rows(ticks)
    assert body[:3] == [
        (KIND_CLEAR, 0, 0, 0, 0),
        (KIND_LEVEL, SIDE_BID, trial, 20_000, 3),
        (KIND_LEVEL, SIDE_BID, trial, 19_999, 4),
    ]
    assert body[11:] == [
        (KIND_TRADE, SIDE_ASK, FLAG_INDICATIVE, 20_000, 50),
        (KIND_TRADE, SIDE_ASK, 0, 20_001, 2),
        (KIND_LEVEL, SIDE_ASK, FLAG_IMAGE, 20_001, 2),
        (KIND_LEVEL, SIDE_BID, FLAG_IMAGE | FLAG_OUT_OF_VIEW, 19_996, 0),
        (KIND_LEVEL, SIDE_ASK, FLAG_IMAGE, 20_001, 0),
        (KIND_LEVEL, SIDE_BID, FLAG_IMAGE, 20_001, 9),
        (KIND_TRADE, SIDE_BID, 0, 20_001, 1),
        (KIND_TRADE, SIDE_ASK, 0, 20_002, 3),
    ]
    assert not found
    columns = ticks.columns
    assert columns["exch_ns"][12] == OPEN_NS + MS
    assert (columns["local_ns"] - columns["exch_ns"] == LATENCY_NS).all()
    facts = ticks.facts
    assert facts["messages"] == {"BidAskFOPv1": 4, "TickFOPv1": 4}
    assert facts["sides_guessed"] == 1
    assert facts["sides"] == "recorded"
    assert facts["events"] == {"started": 1, "subscribe": 1, "closed": 1}
    assert facts["trade_day"] == "2026-04-09"
    assert [session.name for session in ticks.sessions] == ["2026-04-09-day"]
    assert ticks.instrument["tick_value_minor"] == 200


def test_sessions_stand_alone(tmp_path: Path) -> None:
    # A file holds the night first: 02:45, then 08:45.
    feed = Feed(tmp_path / "both")
    feed.book(-6 * 3_600_000)
    feed.tick(-6 * 3_600_000 + 5, 20_000, 1, 2)
    feed.tick(10, 20_001, 5)
    feed.book(20)
    ticks, found = check(feed.close())
    assert not found
    assert [(s.name, s.row_start) for s in ticks.sessions] == [
        ("2026-04-08-night", 0),
        ("2026-04-09-day", 12),
    ]
    second = rows(ticks)[12:]
    assert second[0] == (KIND_CLEAR, 0, 0, 0, 0)
    assert second[1] == (KIND_TRADE, SIDE_ASK, 0, 20_001, 5)
    assert len(second) == 12


def test_lost_data_wait_for_the_next_picture(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.book(0)
    feed.recorder.event("reconnected")
    feed.tick(10, 20_001, 1)
    feed.book(20, asks=ASKS[1:])
    feed.tick(30, 20_002, 1)
    path = feed.close()
    ticks, found = check(path)
    assert found == {
        "gap": {"action": "drop", "count": 1, "first": found["gap"]["first"]},
    }
    assert found["gap"]["first"].startswith("offset 0x")
    body = rows(ticks)
    assert body[11] == (KIND_CLEAR, 0, FLAG_GAP, 0, 0)
    assert body[12:17] == [(KIND_LEVEL, SIDE_BID, FLAG_IMAGE, *level) for level in BIDS]
    assert len(trades(ticks)) == 1
    assert ticks.facts["messages_after_gaps"] == 1
    assert ticks.facts["gaps"] == 1
    with pytest.raises(DataError, match=r"the event reconnected.*data\.source\.check\.gap"):
        read(path, policy={"gap": "error"})
    whole = read(path, policy={"gap": "count"})
    assert len(trades(whole)) == 2
    assert not any(row[2] & FLAG_GAP for row in rows(whole))


def test_a_crash_is_a_torn_tail_and_a_gap(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.book(0)
    feed.recorder.flush()
    feed.tick(10, 20_001, 1)
    path = feed.close()
    data = path.read_bytes()
    blocks = [block for block in read_blocks(path) if isinstance(block, Block)]
    path.write_bytes(data[: blocks[2].offset + 40])
    ticks, found = check(path)
    assert found["torn_tail"]["count"] == 1
    assert f"offset {blocks[2].offset:#x}" in found["torn_tail"]["first"]
    assert not trades(ticks)
    with pytest.raises(DataError, match="torn_tail"):
        read(path, policy={"torn_tail": "error"})
    again = Feed(tmp_path)
    again.at_ms = 5_000
    again.book(5_000)
    ticks, found = check(again.close())
    assert set(found) == {"gap"}
    assert (KIND_CLEAR, 0, FLAG_GAP, 0, 0) in rows(ticks)
    assert (ticks.columns["local_ns"] > ticks.columns["exch_ns"]).all()


def test_damage_and_missing_blocks_are_refused_or_gaps(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    for at in range(0, 60, 10):
        feed.book(at, bids=[(20_000, 10 + at), *BIDS[1:]])
        feed.recorder.flush()
    path = feed.close()
    data = path.read_bytes()
    blocks = [block for block in read_blocks(path) if isinstance(block, Block)]
    third = blocks[3]
    broken = bytearray(data)
    broken[third.offset + 40] ^= 4
    path.write_bytes(broken)
    with pytest.raises(DataError, match=rf"offset {third.offset:#x}: the checksum.*damaged_block"):
        read(path)
    ticks, found = check(path, policy={"damaged_block": "drop"})
    assert found["damaged_block"]["count"] == found["gap"]["count"] == 1
    assert sum(row[2] == FLAG_GAP for row in rows(ticks)) == 1
    for pieces in (
        data[: third.offset] + data[third.offset + third.size :],
        data[: third.offset] + data[blocks[2].offset :],
    ):
        path.write_bytes(pieces)
        with pytest.raises(DataError, match=r"expected record \d+, found \d+.*sequence"):
            read(path)


def test_shares_have_lots_odd_lots_and_halts(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    shown: dict[str, Any] = {"code": "2330", "suspend": False, "intraday_odd": False}
    odd_lots = shown | {"intraday_odd": True}
    bids = [("999", 5), ("998", 1)]
    asks = [("1000", 2), ("1005", 3)]
    feed.book(0, bids, asks, kind="BidAskSTKv1", **shown)
    feed.tick(1_000, "1000", 2, kind="TickSTKv1", **shown)
    feed.book(2_000, [("999", 700)], [("1000", 30)], kind="BidAskSTKv1", **odd_lots)
    feed.tick(2_500, "1000", 30, kind="TickSTKv1", **odd_lots)
    feed.book(3_000, bids, [], kind="BidAskSTKv1", **(shown | {"suspend": True}))
    path = feed.close()
    lots, found = check(path, "2330")
    assert not found
    assert trades(lots) == [(KIND_TRADE, SIDE_ASK, 0, 100_000, 2)]
    assert rows(lots)[-1] == (KIND_LEVEL, SIDE_ASK, FLAG_IMAGE | FLAG_INDICATIVE, 100_500, 0)
    assert lots.facts["messages_of_the_other_board"] == 2
    assert lots.facts["suspended_messages"] == 1
    assert lots.instrument["tick_value_minor"] == 10
    assert lots.sessions[0].name == "2026-04-09"
    odd, found = check(path, "2330", options={"board": "odd_lot"})
    assert trades(odd) == [(KIND_TRADE, SIDE_ASK, 0, 100_000, 30)]
    # A hundredth of a dollar for one share, in hundredths of a dollar.
    assert odd.instrument["tick_value_minor"] == 1
    assert odd.facts["product"]["lot_size"] == "1"


def test_quotes_hold_both(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    for at, total in ((0, 100), (125, 100), (250, 103)):
        trade = {"close": Decimal(20_001), "volume": 7, "total_volume": total, "tick_type": 1}
        feed.book(at, kind="QuoteFOPv1", **trade)
    path = feed.close()
    ticks, found = check(path, options={"messages": "quote"})
    assert not found
    assert trades(ticks) == [(KIND_TRADE, SIDE_ASK, 0, 20_001, 3)]
    with pytest.raises(DataError, match="messages_of_the_other_kind 3"):
        read(path)


BROKEN: list[tuple[str, dict[str, Any], str, str]] = [
    ("book", {"bids": [("20000.5", 3)]}, "expected a price, found '20000.5'", "price_grid"),
    ("book", {"bids": [(20_000, -3)]}, "expected a quantity, found -3", "whole_lots"),
    ("book", {"bids": [(19_999, 3), (20_000, 3)]}, "levels that are no ladder", "level_order"),
    ("book", {"bids": [(0, 3), (20_000, 3)]}, "levels that are no ladder", "level_order"),
    ("book", {"bid_volume": [1]}, "expected up to 5 bid prices and as many volumes", ""),
    ("book", {"bid_price": "20000"}, "expected lists of bid prices", ""),
    ("book", {"datetime": "yesterday"}, "expected a datetime", ""),
    ("book", {"code": 5}, "no message of TXFD6", ""),
    ("tick", {"volume": 0}, "a tick without volume", "whole_lots"),
    ("tick", {"volume": True}, "expected a quantity, found True", "whole_lots"),
    ("tick", {"volume": Decimal("1.5")}, "expected a quantity", "whole_lots"),
    ("tick", {"close": Decimal("NaN")}, "expected a price, found 'NaN'", "price_grid"),
    ("tick", {"close": None}, "expected a price of the trade, found None", ""),
    ("tick", {"tick_type": 3}, "expected tick_type as 0, 1 or 2", ""),
    ("tick", {"kind": "TickSTKv1"}, "expected messages of one market", ""),
]


@pytest.mark.parametrize(("what", "values", "message", "rule"), BROKEN)
def test_a_broken_message_is_named(
    tmp_path: Path, what: str, values: dict[str, Any], message: str, rule: str
) -> None:
    feed = Feed(tmp_path)
    is_code = "code" in values
    if not is_code:
        feed.book(0)
    if what == "book":
        feed.book(10, **values)
    else:
        feed.tick(10, 20_001, 1, **values)
    path = feed.close()
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert is_code or "offset 0x" in str(caught.value)
    if rule:
        ticks, found = check(path, is_check=True)
        assert found[rule]["count"] >= 1
        assert not trades(ticks)


def test_an_overtaking_stream_keeps_its_place(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.book(0)
    feed.book(20, asks=ASKS[1:])
    feed.send(
        21,
        "TickFOPv1",
        datetime=datetime.datetime(2026, 4, 9, 8, 45, 0, 19_000),
        close=Decimal(20_001),
        volume=1,
        total_volume=101,
        tick_type=1,
    )
    path = feed.close()
    ticks, found = check(path)
    assert found["time_order"]["count"] == 1
    assert "a time 1000 us before" in found["time_order"]["first"]
    assert ticks.columns["exch_ns"][-1] == OPEN_NS + 20 * MS
    assert not trades(read(path, policy={"time_order": "drop"}))


def test_repeated_and_missing_ticks_show_in_the_total(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.book(0)
    feed.tick(1, 20_001, 2, total_volume=102)
    feed.tick(2, 20_001, 2, total_volume=102)
    feed.tick(3, 20_001, 2, total_volume=110)
    path = feed.close()
    ticks, found = check(path)
    assert found["total_volume"]["count"] == 2
    assert len(trades(ticks)) == 3
    assert len(trades(read(path, policy={"total_volume": "drop"}))) == 2


def test_either_clock_may_be_taken(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.book(0)
    # The wall clock was set forward by two seconds; the monotonic clock was not.
    feed.recorder.message(
        "BidAskFOPv1",
        {
            "code": "TXFD6",
            "datetime": datetime.datetime(2026, 4, 9, 8, 45, 1),
            "bid_price": [Decimal(20_000)],
            "bid_volume": [1],
            "ask_price": [],
            "ask_volume": [],
        },
        received=(OPEN_NS + 1_012 * MS - BOOT_NS, OPEN_NS + 3_012 * MS),
    )
    path = feed.close()
    for clock, latency in (("monotonic", LATENCY_NS), ("wall", LATENCY_NS + 2_000 * MS)):
        columns = read(path, options={"clock": clock}).columns
        assert columns["local_ns"][-1] - columns["exch_ns"][-1] == latency


def test_files_that_are_no_recordings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    for data in (b"", b"\x1f\x8b\x08", b"hello" * 100):
        path.write_bytes(data)
        with pytest.raises(DataError, match="no block of a recording"):
            read(path)
    line = b'{"seq":0,"mono_ns":1,"wall_ns":1,"kind":"header","format":"other","version":1}\n'
    path.write_bytes(encode_block(line))
    with pytest.raises(DataError, match="expected sweep-recording version 1"):
        read(path)
    path.write_bytes(encode_block(b'{"seq":0,"mono_ns":1,"wall_ns":1,"kind":"event"}\n'))
    with pytest.raises(DataError, match="expected a header first"):
        read(path)
    path.write_bytes(encode_block(b"[1]\n"))
    with pytest.raises(DataError, match=r"offset 0x0, line 1: not a line of a recording"):
        read(path)
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "missing")
    feed = Feed(tmp_path / "good")
    feed.book(0)
    good = feed.close()
    with pytest.raises(DataError, match="no message of MXFD6 makes a row"):
        read(good, "MXFD6")
    with pytest.raises(InputError, match="has no product 'XYZ'"):
        read(good, "XYZ", options={"code": "TXFD6"})


def test_chunks_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    feed = Feed(tmp_path, block_bytes=2_048)
    for number in range(300):
        mid = 20_000 + int(rng.integers(-3, 4))
        bids = [(mid - level, int(rng.integers(1, 9))) for level in range(int(rng.integers(0, 6)))]
        asks = [(mid + 1 + level, int(rng.integers(1, 9))) for level in range(5)]
        feed.book(number * 10, bids, asks)
        if number % 3 == 0:
            feed.tick(number * 10 + 5, mid, int(rng.integers(1, 5)), int(rng.integers(0, 3)))
        if number % 50 == 49:
            feed.recorder.event("reconnected")
    path = feed.close()
    whole = read(path)
    assert whole.facts["gaps"] == 6
    monkeypatch.setattr("sweep.readers.shioaji_messages._CHUNK_RECORDS", 7)
    pieces = read(path)
    for name, values in whole.columns.items():
        assert np.array_equal(values, pieces.columns[name]), name
    assert whole.facts == pieces.facts
    assert whole.sessions == pieces.sessions


def test_a_recording_becomes_a_tape_with_a_local_clock(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.book(0)
    feed.tick(1, 20_001, 2)
    path = feed.close()
    source = SourceConfig(reader="shioaji_recording", instrument="TXFD6", paths=(path,))
    (info,) = ensure_tapes(source, tmp_path / "tapes")
    assert info.row_count == 12
    assert info.facts["local_clock"] is True
