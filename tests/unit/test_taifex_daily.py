"""The reader of TAIFEX's daily trade files: on files made here, sound and broken."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from sweep.decode_data import decode_options
from sweep.errors import DataError
from sweep.readers import READERS, make_request, read_ticks
from sweep.readers.ticks import KIND_TRADE, Ticks, collect
from sweep.reading import Fields, Reading
from sweep.studyfile import parse_override

HEADER = (
    "成交日期,商品代號,到期月份(週別),成交時間,成交價格,成交數量(B+S),近月價格,遠月價格,{} \r\n"
)
OUTRIGHT, SPREAD = "開盤集合競價", "屬價差對價差成交者"

# 2021-07-26 00:00 in Taipei.
MIDNIGHT_NS = 1_627_228_800_000_000_000
SECOND_NS = 1_000_000_000


def line(
    date: str, expiry: str, time: str, price: str, qty: int, mark: str = " ", code: str = "TX"
) -> str:
    return f"{date},{code:<7},{expiry:<11},{time},{price},{qty},-,-,{mark}\r\n"


def day() -> list[str]:
    return [
        line("20210723", "202108", "150000", "17500", 4, "*"),
        line("20210723", "202108", "235959", "17501", 2),
        line("20210724", "202108", "000001", "17501", 6),
        line("20210726", "202108", "084500", "17480", 20, "*"),
        line("20210726", "202108", "084500", "17481", 2),
        line("20210726", "202108", "134500", "17490", 2),
        line("20210726", "202109", "084501", "17400", 8),
        line("20210726", "202108/202109", "090000", "-80", 40),
        line("20210726", "202108", "084500", "580", 2, code="CDF"),
    ]


def write(path: Path, lines: list[str], last: str = OUTRIGHT) -> Path:
    path.write_bytes((HEADER.format(last) + "".join(lines)).encode("cp950"))
    return path


def read(path: Path, instrument: str = "TXF", **settings: object) -> Ticks:
    return read_ticks("taifex_daily", path, instrument, **settings)


def test_the_front_month_is_read_with_halved_quantities(tmp_path: Path) -> None:
    ticks = read(write(tmp_path / "Daily.csv", day()))
    columns = ticks.columns
    assert (columns["kind"] == KIND_TRADE).all()
    assert columns["qty"].tolist() == [2, 1, 3, 10, 1, 1]
    assert columns["price"].tolist() == [17500, 17501, 17501, 17480, 17481, 17490]
    assert columns["side"].tolist() == [1, 1, 1, 0, 1, 1]
    assert columns["exch_ns"][3] == MIDNIGHT_NS + (8 * 3600 + 45 * 60) * SECOND_NS
    assert columns["exch_ns"][2] == MIDNIGHT_NS - 2 * 86_400 * SECOND_NS + SECOND_NS
    assert [(s.name, s.row_start, s.row_stop) for s in ticks.sessions] == [
        ("2021-07-23-night", 0, 3),
        ("2021-07-26-day", 3, 6),
    ]
    facts = ticks.facts
    assert facts["contract"] == "TX 202108"
    assert facts["lines"] == 9
    assert facts["lots_by_expiry"] == {"202108": 18, "202108/202109": 20, "202109": 4}
    assert facts["auction_trades"] == 2
    assert facts["trades_per_second_max"] == 2
    assert "not knowable" in facts["queue_position"]


def test_zip_and_csv_give_the_same_rows(tmp_path: Path) -> None:
    plain = write(tmp_path / "Daily.csv", day())
    packed = tmp_path / "Daily.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(plain, "Daily.csv")
    first, second = read(plain), read(packed)
    for name, values in first.columns.items():
        assert np.array_equal(values, second.columns[name]), name
    assert first.facts == second.facts


def test_other_contracts_and_spreads_are_chosen_by_option(tmp_path: Path) -> None:
    path = write(tmp_path / "Daily.csv", day())
    assert read(path, options={"expiry": "202109"}).columns["qty"].tolist() == [4]
    spread = read(path, options={"expiry": "202108/202109"})
    assert spread.columns["price"].tolist() == [-80]
    share = read(path, "CDF")
    assert share.columns["price"].tolist() == [58_000]
    named = read(path, "TXF", options={"product_code": "TX"})
    assert named.row_count == 6


def test_a_file_of_spreads_asks_for_one(tmp_path: Path) -> None:
    path = write(tmp_path / "Daily_C.csv", [day()[7].replace(" \r", "*\r")], SPREAD)
    with pytest.raises(DataError, match=r"are calendar spreads \(202108/202109\); choose one by"):
        read(path)
    facts = read(path, options={"expiry": "202108/202109"}).facts
    assert facts["spread_against_spread_trades"] == 1
    assert "auction_trades" not in facts


def test_the_summary_of_spreads_is_refused_for_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "Daily_B.csv"
    path.write_bytes("期貨價差委託成交概況表,,,, \r\n".encode("cp950"))
    with pytest.raises(DataError, match="line 1: a summary of spread volumes"):
        read(path)


BROKEN = [
    (line("20210726", "202108", "084500", "17480", 3), "line 2: expected an even quantity"),
    (line("20210726", "202108", "084500", "17480", 0), "line 2: expected a quantity in"),
    (line("20210726", "202108", "084500", "17480.5", 2), "line 2: expected a price on the tick"),
    (line("20210726", "202108", "246000", "17480", 2), "line 2: expected a time as HHMMSS"),
    (line("20210732", "202108", "084500", "17480", 2), "line 2: expected a date"),
    ("20210726,TX,202108,084500,17480\r\n", "line 2: expected date, product"),
    ("20210726,TX,202108,084500,NaN,2,-,-, \r\n", "line 2: expected date, product"),
    ("20210726,TX,202108,084500,17480,2,-,-, ", "line 2: expected date, product"),
    ("20210726,TX,202108,084500,17480,99999999999,-,-, \r\n", "line 2: expected date"),
    ("\r\n", "line 2: expected date, product"),
    ("x" * 2_000, "line 2: expected date, product"),
    ("", "no trade of TX"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_a_broken_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(write(tmp_path / "Daily.csv", [text]))


def test_falling_times_follow_the_policy(tmp_path: Path) -> None:
    lines = [*day()[3:6], line("20210726", "202108", "084459", "17470", 2)]
    path = write(tmp_path / "Daily.csv", lines)
    with pytest.raises(DataError, match=r"line 5: .*before that of the trade above.*repair"):
        read(path)
    repaired = read(path, policy={"time_order": "repair"}).columns
    assert repaired["exch_ns"][-1] == repaired["exch_ns"][-2]
    assert len(read(path, policy={"time_order": "drop"}).columns["qty"]) == 3


def test_findings_are_counted_in_a_check(tmp_path: Path) -> None:
    lines = [line("20210726", "202108", "084500", "17480", 3), *day()[3:6]]
    lines.append(line("20210726", "202108", "144500", "17480", 2))
    request = make_request(
        "taifex_daily", write(tmp_path / "Daily.csv", lines), "TXF", is_check=True
    )
    assert collect(READERS["taifex_daily"].read(request)).row_count == 4
    report = request.audit.report()
    assert report["even_quantity"]["count"] == 1
    assert report["trading_hours"] == {
        "action": "count",
        "count": 1,
        "first": "line 6: a trade outside of trading hours",
    }


def test_a_file_in_another_encoding_or_form_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "Daily.csv"
    path.write_bytes(b"\xff\xfe\x00\n")
    with pytest.raises(DataError, match="line 1: expected a header in Big5"):
        read(path)
    path.write_text("date,price\n")
    with pytest.raises(DataError, match="line 1: expected a header starting"):
        read(path)


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    plain = write(tmp_path / "Daily.csv", day() * 50)
    good = tmp_path / "Daily.zip"
    with zipfile.ZipFile(good, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(plain, "Daily.csv")
    data = good.read_bytes()
    bad = tmp_path / "Bad.zip"
    for cut in (3, 40, len(data) // 2, len(data) - 1):
        bad.write_bytes(data[:cut])
        with pytest.raises(DataError, match=r"Bad\.zip"):
            read(bad)
    flipped = bytearray(data)
    flipped[len(data) // 2 - 60] ^= 0x10
    bad.write_bytes(flipped)
    with pytest.raises(DataError, match=r"Bad\.zip"):
        read(bad)
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("a.csv", "x")
        archive.writestr("b.csv", "y")
    with pytest.raises(DataError, match=r"expected one file in the archive, found a\.csv, b\.csv"):
        read(bad)


def test_a_single_month_trades_above_zero(tmp_path: Path) -> None:
    lines = day()
    lines.insert(3, line("20210724", "202108", "000002", "0", 2))
    path = write(tmp_path / "Daily.csv", lines)
    with pytest.raises(DataError, match="line 5: expected a price above 0, found 0"):
        read_ticks("taifex_daily", path, "TXF")
    ticks = read_ticks("taifex_daily", path, "TXF", policy={"price_sign": "drop"})
    assert ticks.columns["price"].min() > 0


def test_an_expiry_may_be_written_as_a_number() -> None:
    fields = Fields(parse_override(["expiry=202108"]), Reading())
    options = decode_options(fields, READERS["taifex_daily"].options)
    assert options == {"expiry": "202108"}
    assert not fields.reading.problems.found
