"""Databento's records become rows: orders, images, trades, auctions, snapshots, instruments."""

import datetime
from pathlib import Path
from typing import Any

import databento_dbn as dbn
import numpy as np
import pytest

from sweep.errors import DataError, InputError
from sweep.readers.databento import RULES
from sweep.readers.ticks import (
    FLAG_GAP,
    FLAG_IMAGE,
    FLAG_INDICATIVE,
    FLAG_OUT_OF_VIEW,
    KIND_CLEAR,
    KIND_LEVEL,
    KIND_TRADE,
)
from tests.toys.databento import (
    ES_ID,
    LAST,
    LATENCY,
    MINUTE,
    PRICE,
    SECOND,
    START_NS,
    Interval,
    Recording,
    SymbolMap,
    orders,
    read,
    rows_of,
    trades,
)

# --- orders ---------------------------------------------------------------------------------------


def test_orders_become_rows_with_joins(tmp_path: Path) -> None:
    ticks, counts = read(orders().write(tmp_path))
    assert rows_of(ticks) == [
        (KIND_CLEAR, 0, 0, 0, 0, 0),
        (KIND_LEVEL, 0, 0, PRICE, 5, 0),
        (KIND_LEVEL, 0, 0, PRICE, 8, 0),
        (KIND_LEVEL, 1, 0, PRICE + 1, 4, 0),
        # The cancel and the change that follow the fills say nothing new.
        (KIND_TRADE, 0, 0, PRICE, 5, 2),
        (KIND_TRADE, 0, 0, PRICE, 2, 3),
        (KIND_LEVEL, 0, 0, PRICE - 2, 2, 0),
        (KIND_TRADE, 1, 0, PRICE + 1, 1, 4),
        (KIND_LEVEL, 0, 0, PRICE - 2, 0, 7),
        (KIND_LEVEL, 0, 0, PRICE, 2, 0),
        (KIND_LEVEL, 1, 0, PRICE + 1, 0, 4),
    ]
    assert not any(counts.values())
    assert ticks.facts["aggressor_fills"] == 1
    assert ticks.facts["orders"]["executions_front"] == 3
    assert ticks.instrument["visible_levels"] == 0
    assert ticks.columns["exch_ns"][1] == START_NS
    assert (ticks.columns["local_ns"] - ticks.columns["exch_ns"] == LATENCY).all()
    assert [session.name for session in ticks.sessions] == ["2024-03-05"]


def test_a_fill_and_a_cancel_of_the_rest_are_told_apart(tmp_path: Path) -> None:
    made = Recording()
    made.order("A", "B", 1, PRICE, 5)
    made.order("T", "A", 90, PRICE, 2, flags=0)
    made.order("F", "B", 1, PRICE, 2, flags=0)
    made.order("C", "B", 1, PRICE, 5)
    assert rows_of(read(made.write(tmp_path))[0])[2:] == [
        (KIND_TRADE, 0, 0, PRICE, 2, 2),
        (KIND_LEVEL, 0, 0, PRICE, 0, 2),
    ]


def test_a_cancel_in_a_later_packet_is_not_taken_for_the_fill(tmp_path: Path) -> None:
    made = Recording()
    made.order("A", "B", 1, PRICE, 5)
    made.order("T", "A", 90, PRICE, 2, flags=0)
    made.order("F", "B", 1, PRICE, 2, flags=0)
    made.order("M", "B", 1, PRICE, 3)
    made.order("C", "B", 1, PRICE, 2)  # two of the three that are left
    assert rows_of(read(made.write(tmp_path))[0])[-1] == (KIND_LEVEL, 0, 0, PRICE, 1, 2)


def test_an_iceberg_goes_to_the_back(tmp_path: Path) -> None:
    made = Recording()
    made.order("A", "B", 1, PRICE, 3)
    made.order("A", "B", 2, PRICE, 4)
    made.order("T", "A", 90, PRICE, 9, flags=0)
    made.order("F", "B", 1, PRICE, 5, flags=0)
    made.order("F", "B", 2, PRICE, 4, flags=0)
    made.order("C", "B", 2, PRICE, 4, flags=0)
    made.order("M", "B", 1, PRICE, 3)
    ticks, counts = read(made.write(tmp_path))
    assert rows_of(ticks)[3:] == [
        (KIND_TRADE, 0, 0, PRICE, 3, 2),
        (KIND_TRADE, 0, 0, PRICE, 4, 3),
        (KIND_TRADE, 0, 0, PRICE, 2, 0),  # hidden lots, behind the displayed ones
        (KIND_LEVEL, 0, 0, PRICE, 3, 0),
    ]
    assert counts["excess"] == 1


def test_a_trade_without_fills_is_a_print(tmp_path: Path) -> None:
    made = Recording()
    made.order("A", "B", 1, PRICE, 3)
    made.order("A", "A", 2, PRICE + 4, 3)
    made.order("T", "B", 0, PRICE + 2, 6)  # hidden, between the best prices
    made.order("T", "B", 0, PRICE + 4, 6)  # beside displayed orders: they lost nothing
    made.order("T", "N", 0, PRICE + 2, 6)
    ticks, counts = read(made.write(tmp_path))
    assert rows_of(ticks)[3:] == [(KIND_TRADE, 1, 0, PRICE + 2, 6, 0)]
    assert ticks.facts["orders"]["prints_beside"] == 1
    assert counts["trade_side"] == 1


def with_snapshot() -> Recording:
    """Return a snapshot, orders of an auction that cross, its print, and trading."""
    made = Recording()
    taken = {"ts_recv": START_NS - 40 * MINUTE, "sequence": 7}
    old = START_NS - 200 * MINUTE
    made.order("R", "N", 0, None, 0, 40, ts_event=old, **taken)
    made.order("A", "B", 1, PRICE, 5, 40, ts_event=old, **taken)
    made.order("A", "A", 2, PRICE + 1, 4, 168, ts_event=old - 5, **taken)
    made.at = START_NS
    made.order("A", "B", 3, PRICE + 3, 2)
    made.order("T", "N", 0, PRICE + 1, 2, flags=0)
    made.order("F", "N", 2, PRICE + 1, 2, flags=0)
    made.order("F", "N", 3, PRICE + 1, 2, flags=0)
    made.order("M", "A", 2, PRICE + 1, 2, flags=0)
    made.order("C", "B", 3, PRICE + 3, 2)
    made.order("A", "B", 4, PRICE, 1)
    return made


def test_a_snapshot_stands_since_it_was_taken_and_an_auction_is_indicative(tmp_path: Path) -> None:
    ticks, counts = read(with_snapshot().write(tmp_path))
    flag = FLAG_INDICATIVE
    assert rows_of(ticks) == [
        (KIND_CLEAR, 0, flag, 0, 0, 0),
        (KIND_LEVEL, 0, flag, PRICE, 5, 0),
        (KIND_LEVEL, 1, flag, PRICE + 1, 4, 0),
        (KIND_LEVEL, 0, flag, PRICE + 3, 2, 0),
        (KIND_LEVEL, 1, flag, PRICE + 1, 2, 3),
        (KIND_LEVEL, 0, flag, PRICE + 3, 0, 4),
        (KIND_LEVEL, 0, 0, PRICE, 6, 0),
    ]
    assert ticks.columns["exch_ns"][:3].tolist() == [START_NS - 40 * MINUTE] * 3
    assert ticks.facts["auctions_ns"] == [[0, START_NS + SECOND]]
    assert (ticks.facts["auction_lots"], ticks.facts["snapshot_orders"]) == (2, 3)
    assert not any(counts.values())


def test_a_later_snapshot_wipes_the_book(tmp_path: Path) -> None:
    made = orders()
    made.at += SECOND
    for number, flags in ((21, 40), (22, 168)):
        made.order("A", "B", number, PRICE - 3, 2, flags, sequence=1)
    made.order("C", "B", 21, PRICE - 3, 2, sequence=1)
    ticks, counts = read(made.write(tmp_path))
    assert rows_of(ticks)[11:] == [
        (KIND_CLEAR, 0, 0, 0, 0, 0),
        (KIND_LEVEL, 0, 0, PRICE - 3, 2, 0),
        (KIND_LEVEL, 0, 0, PRICE - 3, 4, 0),
        (KIND_LEVEL, 0, 0, PRICE - 3, 2, 13),
    ]
    assert counts["sequence"] == 1


@pytest.mark.parametrize(
    "open_time",
    ["15:30 Europe/London", "10:02 America/New_York", "14:30:01 UTC"],
)
def test_the_time_of_the_open_may_be_stated(open_time: str, tmp_path: Path) -> None:
    made = Recording()  # starts at 14:30 UTC, 09:30 in New York, 14:30 in London
    made.order("A", "B", 1, PRICE, 5)
    made.at = START_NS + 65 * MINUTE
    made.order("A", "B", 2, PRICE, 5)
    ticks, _ = read(made.write(tmp_path), options={"open_time": open_time, "pause_minutes": 100})
    found = [flags & FLAG_INDICATIVE > 0 for _, _, flags, *_ in rows_of(ticks)]
    assert found == [True, True, False]


def test_a_time_of_the_open_does_not_hide_trading(tmp_path: Path) -> None:
    ticks, _ = read(orders().write(tmp_path), options={"open_time": "14:31 UTC"})
    assert not any(flags & FLAG_INDICATIVE for _, _, flags, *_ in rows_of(ticks))


def test_rows_after_a_loss_wait_for_the_next_whole_book(tmp_path: Path) -> None:
    made = Recording()
    made.order("A", "B", 1, PRICE, 5)
    made.order("C", "B", 9, PRICE, 5, LAST | 4)  # unknown, as records were lost
    made.order("A", "B", 2, PRICE, 5)
    made.order("R", "N", 0, None, 0, LAST)
    made.order("A", "B", 3, PRICE, 5)
    path = made.write(tmp_path)
    ticks, counts = read(path)
    assert rows_of(ticks) == [
        (KIND_CLEAR, 0, 0, 0, 0, 0),
        (KIND_LEVEL, 0, 0, PRICE, 5, 0),
        (KIND_CLEAR, 0, FLAG_GAP, 0, 0, 0),
        (KIND_LEVEL, 0, 0, PRICE, 5, 0),
    ]
    assert counts["lost_records"] == 1
    with pytest.raises(DataError, match=r"record 2 \(offset 0x[0-9a-f]+\): records were lost"):
        read(path, policy={"lost_records": "error"})


def test_a_record_that_comes_twice_is_counted(tmp_path: Path) -> None:
    made = Recording()
    made.order("A", "B", 1, PRICE, 5)
    made.order("M", "B", 1, PRICE, 4)
    made.records.append(made.records[-1])
    path = made.write(tmp_path)
    assert read(path)[1]["repeated_record"] == 1
    with pytest.raises(DataError, match=r"record 3 .*the one before it once more"):
        read(path, policy={"repeated_record": "error"})


# --- images ---------------------------------------------------------------------------------------


def test_images_become_their_differences(tmp_path: Path) -> None:
    made = Recording()
    book = [(PRICE, 5), (PRICE - 1, 6)], [(PRICE + 1, 4)]
    made.image("A", "B", PRICE, 5, *book, 10)
    made.image("T", "A", PRICE, 3, *book, 10, flags=0)
    made.image("T", "A", PRICE, 2, *book, 10, flags=0)
    made.image("C", "B", PRICE, 3, [(PRICE, 2), (PRICE - 1, 6)], [(PRICE + 1, 4)], 10, flags=0)
    made.image("C", "B", PRICE, 2, [(PRICE - 1, 6)], [(PRICE + 1, 4)], 10)
    made.image("A", "B", PRICE, 2, [(PRICE, 2), (PRICE - 1, 6)], [(PRICE + 1, 7)], 10)
    ticks, counts = read(made.write(tmp_path, "mbp-10"))
    assert rows_of(ticks) == [
        (KIND_CLEAR, 0, 0, 0, 0),
        (KIND_LEVEL, 0, FLAG_IMAGE, PRICE, 5),
        (KIND_LEVEL, 0, FLAG_IMAGE, PRICE - 1, 6),
        (KIND_LEVEL, 1, FLAG_IMAGE, PRICE + 1, 4),
        (KIND_TRADE, 0, 0, PRICE, 3),
        (KIND_TRADE, 0, 0, PRICE, 2),  # the images after it say nothing new
        (KIND_LEVEL, 0, FLAG_IMAGE, PRICE, 2),
        (KIND_LEVEL, 1, FLAG_IMAGE, PRICE + 1, 7),
    ]
    assert not any(counts.values())
    assert ticks.instrument["visible_levels"] == 10
    assert "join" not in ticks.columns


def test_a_level_that_is_renewed_by_hidden_lots_is_told_again(tmp_path: Path) -> None:
    made = Recording()
    book = [(PRICE, 5)], [(PRICE + 1, 4)]
    made.image("A", "B", PRICE, 5, *book)
    made.image("T", "A", PRICE, 3, *book, flags=0)
    made.image("M", "B", PRICE, 5, *book)
    assert rows_of(read(made.write(tmp_path, "mbp-1"))[0])[3:] == [
        (KIND_TRADE, 0, 0, PRICE, 3),
        (KIND_LEVEL, 0, FLAG_IMAGE, PRICE, 5),
    ]


def test_levels_that_leave_the_view_are_told_from_emptied_ones(tmp_path: Path) -> None:
    made = Recording()
    made.image("A", "B", PRICE, 5, [(PRICE, 5)], [(PRICE + 5, 4)])
    made.image("A", "B", PRICE + 1, 1, [(PRICE + 1, 1)], [(PRICE + 5, 4)])
    made.image("C", "B", PRICE + 1, 1, [(PRICE, 5)], [(PRICE + 5, 4)])
    assert rows_of(read(made.write(tmp_path, "mbp-1"))[0])[3:] == [
        (KIND_LEVEL, 0, FLAG_IMAGE | FLAG_OUT_OF_VIEW, PRICE, 0),
        (KIND_LEVEL, 0, FLAG_IMAGE, PRICE + 1, 1),
        (KIND_LEVEL, 0, FLAG_IMAGE, PRICE + 1, 0),
        (KIND_LEVEL, 0, FLAG_IMAGE, PRICE, 5),
    ]


def test_an_image_after_a_loss_is_told_whole(tmp_path: Path) -> None:
    made = Recording()
    made.image("A", "B", PRICE, 5, [(PRICE, 5)], [(PRICE + 1, 4)])
    made.image("A", "A", PRICE, 5, [(PRICE, 5)], [(PRICE + 1, 5)], flags=LAST | 4)
    ticks, counts = read(made.write(tmp_path, "mbp-1"))
    assert rows_of(ticks)[3:] == [
        (KIND_CLEAR, 0, FLAG_GAP, 0, 0),
        (KIND_LEVEL, 0, FLAG_IMAGE, PRICE, 5),
        (KIND_LEVEL, 1, FLAG_IMAGE, PRICE + 1, 5),
    ]
    assert counts["lost_records"] == 1


def test_books_that_cross_are_counted(tmp_path: Path) -> None:
    made = Recording()
    for ask in (1, 0, -1):
        made.image("A", "B", PRICE, 5, [(PRICE, 5)], [(PRICE + ask, 4)])
    path = made.write(tmp_path, "mbp-1")
    assert {name: count for name, count in read(path)[1].items() if count} == {
        "crossed": 1,
        "locked": 1,
    }
    with pytest.raises(DataError, match=r"record 3 .* above the best ask"):
        read(path, policy={"crossed": "error"})


def test_orders_that_cross_are_counted(tmp_path: Path) -> None:
    made = Recording()
    made.order("A", "A", 1, PRICE + 1, 4)
    made.order("A", "B", 2, PRICE + 1, 3)
    made.order("A", "B", 3, PRICE + 2, 3)
    path = made.write(tmp_path, "mbo")
    assert {name: count for name, count in read(path)[1].items() if count} == {
        "crossed": 1,
        "locked": 1,
    }
    with pytest.raises(DataError, match=r"record 2 .* at the price of an ask"):
        read(path, policy={"locked": "error"})
    with pytest.raises(DataError, match=r"record 3 .* above an ask"):
        read(path, policy={"crossed": "error"})


def test_random_images_are_rebuilt_by_their_rows(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    made = Recording()
    expected: list[Any] = []
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    for _ in range(400):
        for book, first in ((bids, PRICE - 14), (asks, PRICE + 1)):
            for _ in range(3):
                price, lots = first + int(random.integers(14)), int(random.integers(0, 4))
                book[price] = lots
                if not lots:
                    del book[price]
        seen = (sorted(bids.items(), reverse=True)[:10], sorted(asks.items())[:10])
        if random.random() < 0.3 and expected:
            stood = expected[-1]
            if stood[0]:
                price, lots = stood[0][0]
                made.image("T", "A", price, lots + 1, stood[0], stood[1], 10, flags=0)
        made.image("A", "B", PRICE, 1, *seen, 10)
        expected.append(seen)
    ticks, _ = read(made.write(tmp_path, "mbp-10"))
    books: tuple[dict[int, int], dict[int, int]] = ({}, {})
    times = ticks.columns["exch_ns"].tolist()
    found: dict[int, Any] = {}
    for at, (kind, side, _, price, qty) in zip(times, rows_of(ticks), strict=True):
        if kind == KIND_LEVEL:
            books[side][price] = qty
        elif kind == KIND_TRADE:
            books[side][price] = max(0, books[side].get(price, 0) - qty)
        stand = [sorted((p, q) for p, q in book.items() if q) for book in books]
        found[at] = (stand[0][::-1], stand[1])
    standing = None
    for number, seen in enumerate(expected):
        standing = found.get(START_NS + number * SECOND, standing)
        assert standing == seen, number


# --- trades ---------------------------------------------------------------------------------------


def test_trades_alone_make_no_book(tmp_path: Path) -> None:
    made = trades()
    made.trade("N", PRICE, 3)
    ticks, counts = read(made.write(tmp_path, "trades"))
    assert rows_of(ticks) == [
        (KIND_CLEAR, 0, 0, 0, 0),
        (KIND_TRADE, 0, 0, PRICE, 1),
        (KIND_TRADE, 1, 0, PRICE + 1, 2),
        (KIND_TRADE, 0, 0, PRICE + 2, 3),
        (KIND_TRADE, 1, 0, PRICE + 3, 4),
    ]
    assert counts["trade_side"] == 1
    assert ticks.facts["queue_position"].startswith("not knowable")


# --- instruments ----------------------------------------------------------------------------------


def two_instruments(folder: Path) -> Path:
    made = Recording()
    made.order("A", "B", 1, PRICE, 5)
    made.order("A", "B", 1, PRICE + 9, 7, instrument_id=119)
    made.order("C", "B", 1, PRICE, 5)
    day = datetime.date(2024, 3, 5)
    maps = [
        SymbolMap(name, [Interval(day, datetime.date(2024, 3, 6), str(number))])
        for name, number in (("ESH4", ES_ID), ("ESM4", 119))
    ]
    return made.write(folder, mappings=maps, symbols=["ES.FUT"])


def test_several_instruments_are_listed(tmp_path: Path) -> None:
    path = two_instruments(tmp_path)
    listed = r"one instrument, found 118 \(ESH4, 2 records\), 119 \(ESM4, 1 records\)"
    with pytest.raises(InputError, match=listed):
        read(path)
    for options in ({"instrument_id": 119}, {"symbol": "ESM4"}):
        ticks, _ = read(path, options=options)
        assert rows_of(ticks)[1] == (KIND_LEVEL, 0, 0, PRICE + 9, 7, 0)
        assert ticks.facts["symbol"] == "ESM4"
        assert ticks.facts["records_of_other_instruments"] == 2
    assert len(rows_of(read(path, options={"symbol": "ESH4"})[0])) == 3
    with pytest.raises(InputError, match=r"ESZ4 names 0 instruments; the file maps ESH4 \(118\)"):
        read(path, options={"symbol": "ESZ4"})
    with pytest.raises(InputError, match="expected one instrument"):
        read(path, options={"instrument_id": 7})
    with pytest.raises(InputError, match="ESM4 is not the symbol of instrument 118"):
        read(path, options={"symbol": "ESM4", "instrument_id": 118})


def test_another_product_is_refused(tmp_path: Path) -> None:
    path = orders().write(tmp_path)
    with pytest.raises(DataError, match="metadata: expected a symbol of AAPL, found ESH4"):
        read(path, "AAPL")
    # Prices in quarters are prices in cents as well.
    assert read(path, "AAPL", policy={"symbol": "count"})[1]["symbol"] == 1


def test_live_recordings_need_their_schema_and_may_hold_other_records(tmp_path: Path) -> None:
    made = orders()
    made.records.insert(2, dbn.SystemMsg(ts_event=START_NS, msg="Heartbeat"))
    made.records.insert(7, dbn.SystemMsg(ts_event=START_NS, msg="Heartbeat"))
    path = made.write(tmp_path, None)
    with pytest.raises(InputError, match=r"set data\.source\.options\.schema"):
        read(path)
    ticks, counts = read(path, options={"schema": "mbo"})
    assert rows_of(ticks) == rows_of(read(orders().write(tmp_path))[0])
    assert counts["other_records"] == 2
    path = made.write(tmp_path, None)
    with pytest.raises(DataError, match=r"record 3 \(offset 0x\w+\): a record about system"):
        read(path, options={"schema": "mbo"}, policy={"other_records": "error"})
    with pytest.raises(DataError, match=r"record 1 .*expected a record of type 10 and 368 bytes"):
        read(path, options={"schema": "mbp-10"})
    with pytest.raises(InputError, match="holds mbo, the option schema says trades"):
        read(orders().write(tmp_path), options={"schema": "trades"})


def test_every_rule_is_documented() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text()
    for rule in RULES:
        assert f"`{rule}`" in page, rule
