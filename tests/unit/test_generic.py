"""The reader of any layout: both forms, both kinds of files, and every way to be wrong."""

import datetime
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pytest

from sweep.document import StudyError
from sweep.errors import DataError, InputError
from sweep.export import export_tape
from sweep.readers import canonical_parquet, mapped_tables, parquet_batches, read_ticks
from sweep.readers.ticks import (
    FLAG_IMAGE,
    FLAG_OUT_OF_VIEW,
    KIND_CLEAR,
    KIND_LEVEL,
    KIND_TRADE,
    Ticks,
)
from sweep.studyfile import load_study

START: Final = 1_767_573_900_000_000_000  # 2026-01-05T00:45:00Z

EVENTS: Final = """\
ts,recv,what,side,px,size,note
1767573900000000,1767573900000300,depth,B,100.0,0.010,a
1767573900000000,1767573900000300,depth,S,100.3,0.020,"b, c"
1767573900000010,1767573900000350,trade,B,100.3,0.005,
1767573900000010,1767573900000340,depth,S,100.3,0.015,
1767573901000000,1767573901000300,clear,,,,
1767573901000000,1767573901000300,depth,B,99.9,1,
"""
EVENT_OPTIONS: Final[dict[str, Any]] = {
    "time": "ts",
    "time_unit": "us",
    "local_time": "recv",
    "kind": "what",
    "side": "side",
    "price": "px",
    "qty": "size",
}

IMAGES: Final = """\
time,b1,bq1,b2,bq2,a1,aq1,a2,aq2,last,vol
2026-01-05 08:45:00,100,5,99,4,102,3,103,2,,
2026-01-05 08:45:00.5,101,1,100,5,102,3,103,2,,
2026-01-05 08:45:01,101,1,100,5,103,2,,,102,3
2026-01-06 08:45:00,100,7,,,101,8,102,1,100,2
"""
IMAGE_OPTIONS: Final[dict[str, Any]] = {
    "form": "images",
    "time": "time",
    "time_unit": "iso",
    "zone": "Asia/Taipei",
    "levels": 2,
    "bid_price": "b{level}",
    "bid_qty": "bq{level}",
    "ask_price": "a{level}",
    "ask_qty": "aq{level}",
    "price": "last",
    "qty": "vol",
}


def read(path: Path, options: dict[str, Any], product: str = "BTCUSDT", **more: Any) -> Ticks:
    return read_ticks("generic", path, product, options=options, **more)


def save(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif path.suffix == ".zst":
        path.write_bytes(pa.Codec("zstd").compress(text.encode(), asbytes=True))
    elif path.suffix == ".parquet":
        pl.read_csv(text.encode(), infer_schema_length=100).write_parquet(path)
    else:
        path.write_text(text)
    return path


def rows_of(ticks: Ticks) -> list[tuple[int, ...]]:
    names = ("kind", "side", "flags", "price", "qty")
    return list(zip(*(ticks.columns[name].tolist() for name in names), strict=True))


EXPECTED_EVENTS: Final = [
    (KIND_LEVEL, 0, 0, 1000, 10),
    (KIND_LEVEL, 1, 0, 1003, 20),
    (KIND_TRADE, 1, 0, 1003, 5),
    (KIND_LEVEL, 1, 0, 1003, 15),
    (KIND_CLEAR, 0, 0, 0, 0),
    (KIND_LEVEL, 0, 0, 999, 1000),
]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.csv.zst", "a.txt", "a.parquet"])
def test_events_become_canonical(tmp_path: Path, name: str) -> None:
    ticks = read(save(tmp_path / name, EVENTS), EVENT_OPTIONS)
    assert rows_of(ticks) == EXPECTED_EVENTS
    exch = (ticks.columns["exch_ns"] - START).tolist()
    assert exch == [0, 0, 10_000, 10_000, 10**9, 10**9]
    local = (ticks.columns["local_ns"] - START).tolist()
    assert local == [300_000, 300_000, 350_000, 350_000, 10**9 + 300_000, 10**9 + 300_000]
    assert [session.name for session in ticks.sessions] == ["all"]
    assert ticks.facts["rows_recorded"] == 6


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_pictures_become_differences(tmp_path: Path, name: str) -> None:
    ticks = read(save(tmp_path / name, IMAGES), IMAGE_OPTIONS, "TXF")
    image, gone = FLAG_IMAGE, FLAG_IMAGE | FLAG_OUT_OF_VIEW
    assert rows_of(ticks) == [
        (KIND_LEVEL, 0, image, 100, 5),
        (KIND_LEVEL, 0, image, 99, 4),
        (KIND_LEVEL, 1, image, 102, 3),
        (KIND_LEVEL, 1, image, 103, 2),
        (KIND_LEVEL, 0, gone, 99, 0),
        (KIND_LEVEL, 0, image, 101, 1),
        (KIND_TRADE, 1, 0, 102, 3),  # at the best ask of the picture before
        (KIND_LEVEL, 1, image, 102, 0),
        (KIND_TRADE, 0, 0, 100, 2),  # below the best bid before
        (KIND_LEVEL, 0, image, 101, 0),
        (KIND_LEVEL, 1, gone, 103, 0),
        (KIND_LEVEL, 0, image, 100, 7),
        (KIND_LEVEL, 1, image, 101, 8),
        (KIND_LEVEL, 1, image, 102, 1),
    ]
    assert ticks.columns["exch_ns"][0] == START
    assert ticks.facts["sides_guessed"] == 2
    assert ticks.instrument["visible_levels"] == 2


@pytest.mark.parametrize("form", ["events", "images"])
def test_sessions_by_date_stand_alone(tmp_path: Path, form: str) -> None:
    if form == "images":
        ticks = read(save(tmp_path / "a.csv", IMAGES), IMAGE_OPTIONS | {"sessions": "day"}, "TXF")
    else:
        late = "1767632400000000,1767632400000000,depth,S,100.5,0.001,\n"  # 17:00Z, 01:00 in Taipei
        options = EVENT_OPTIONS | {"sessions": "day", "zone": "Asia/Taipei"}
        ticks = read(save(tmp_path / "a.csv", EVENTS + late), options)
    assert [session.name for session in ticks.sessions] == ["2026-01-05", "2026-01-06"]
    start = ticks.sessions[1].row_start
    rows = rows_of(ticks)[start:]
    assert rows[0] == (KIND_CLEAR, 0, 0, 0, 0)
    if form == "events":
        assert rows[1:] == [(KIND_LEVEL, 0, FLAG_IMAGE, 999, 1000), (KIND_LEVEL, 1, 0, 1005, 1)]
    else:
        assert {row[:2] for row in rows[1:]} == {(KIND_TRADE, 0), (KIND_LEVEL, 0), (KIND_LEVEL, 1)}


def test_pieces_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late = "".join(
        f"17676324{n:02}000000,1767632{n + 400}000000,depth,S,{n + 100}.5,0.001,\n"
        for n in range(9)
    )
    events = EVENT_OPTIONS | {"sessions": "day", "zone": "Asia/Taipei"}
    images = IMAGE_OPTIONS | {"sessions": "day"}
    for text, options, product in ((EVENTS + late, events, "BTCUSDT"), (IMAGES, images, "TXF")):
        for name in ("a.csv", "a.csv.gz", "a.parquet"):
            path = save(tmp_path / name, text)
            whole = read(path, options, product)
            for size in (1, 3, 50):
                with monkeypatch.context() as patch:
                    patch.setattr(mapped_tables, "_PIECE_BYTES", size)
                    patch.setattr(parquet_batches, "BATCH_ROWS", size)
                    part = read(path, options, product)
                assert part.sessions == whole.sessions
                assert part.facts == whole.facts
                assert rows_of(part) == rows_of(whole)


def test_rows_may_be_told_apart_by_kind(tmp_path: Path) -> None:
    text = """\
t;type;b0;bq0;a0;aq0;p;q;s
1767573900;book;100;5;102;3;;;
1767573901;trade;;;;;102;1;1
1767573902;book;100;5;102;2;;;
"""
    options = {
        "form": "images",
        "time": "t",
        "time_unit": "s",
        "kind": "type",
        "levels": 1,
        "level_first": 0,
        "bid_price": "b{level}",
        "bid_qty": "bq{level}",
        "ask_price": "a{level}",
        "ask_qty": "aq{level}",
        "price": "p",
        "qty": "q",
        "side": "s",
        "side_bid": ("1",),
        "side_ask": ("2",),
        "separator": ";",
    }
    for name in ("a.csv", "a.parquet"):
        if name == "a.csv":
            save(tmp_path / name, text)
        else:
            pl.read_csv(text.encode(), separator=";").write_parquet(tmp_path / name)
        ticks = read(tmp_path / name, options, "TXF")
        assert rows_of(ticks)[2:] == [
            (KIND_TRADE, 1, 0, 102, 1),
            (KIND_LEVEL, 1, FLAG_IMAGE, 102, 2),
        ]
        resting = read(tmp_path / name, options | {"trade_side": "resting"}, "TXF")
        assert rows_of(resting)[2][1] == 0


def test_units_and_headless_texts(tmp_path: Path) -> None:
    text = "1767573900000,0,10003,5\n1767573900001,1,10004,6\n"
    options = {
        "columns": ("t", "side", "px", "lots"),
        "time": "t",
        "time_unit": "ms",
        "side": "side",
        "side_bid": ("0",),
        "side_ask": ("1",),
        "price": "px",
        "qty": "lots",
        "price_unit": "0.01",
        "qty_unit": "0.001",
    }
    path = save(tmp_path / "a.csv", text.replace("10003", "10030").replace("10004", "10040"))
    assert [row[3:] for row in rows_of(read(path, options))] == [(1003, 5), (1004, 6)]
    with pytest.raises(DataError, match=r"line 1: expected a price on the grid of 0\.1, found"):
        read(save(tmp_path / "b.csv", text), options)


def test_typed_columns_of_parquet_are_read(tmp_path: Path) -> None:
    times = [datetime.datetime(2026, 1, 5, 0, 45, tzinfo=datetime.UTC)] * 2
    frame = pl.DataFrame({"t": times, "s": ["B", "S"], "p": ["100.1", "1e2"], "q": [0.001, 2.0]})
    options = {"time": "t", "side": "s", "price": "p", "qty": "q"}
    frame.with_columns(pl.col("s").cast(pl.Categorical)).write_parquet(tmp_path / "a.parquet")
    ticks = read(tmp_path / "a.parquet", options)
    assert [row[3:] for row in rows_of(ticks)] == [(1001, 1), (1000, 2000)]
    assert ticks.columns["exch_ns"].tolist() == [START, START]
    frame.with_columns(
        pl.col("p").cast(pl.Float64).cast(pl.Decimal(10, 2)), pl.col("t").dt.replace_time_zone(None)
    ).write_parquet(tmp_path / "b.parquet")
    ticks = read(tmp_path / "b.parquet", options | {"zone": "Asia/Taipei", "time_unit": "iso"})
    assert ticks.columns["exch_ns"].tolist() == [START - 8 * 3_600 * 10**9] * 2
    frame.with_columns(pl.col("q").cast(pl.Float32)).write_parquet(tmp_path / "c.parquet")
    with pytest.raises(DataError, match="too coarse for exact steps"):
        read(tmp_path / "c.parquet", options)


def test_exported_csv_reads_back_equal(tmp_path: Path) -> None:
    from sweep.data import ensure_tapes
    from sweep.source import SourceConfig

    market = read_ticks("synthetic", None, "SYN", options={"events": 3_000})
    canonical_parquet.write(tmp_path / "a.parquet", market)
    source = SourceConfig(
        reader="canonical_parquet", instrument="SYN", paths=(tmp_path / "a.parquet",)
    )
    (tape,) = ensure_tapes(source, tmp_path / "tapes")
    export_tape(tape.path, tmp_path / "a.csv")
    options = {
        "time": "exch_ns",
        "kind": "kind",
        "side": "side",
        "price": "price",
        "qty": "qty",
        "flags": "flags",
        "join": "join",
        "trade_side": "resting",
    }
    ticks = read(tmp_path / "a.csv", options, "TXF")
    for name, values in market.columns.items():
        # LAST stands in the flags of a tape, not in those of a reader.
        found = ticks.columns[name] & 254 if name == "flags" else ticks.columns[name]
        assert (found == values).all(), name


# --- what is refused ------------------------------------------------------------------------------


def edited(line: int, column: int, text: str) -> Callable[[str], str]:
    def edit(whole: str) -> str:
        lines = whole.splitlines()
        fields = lines[line - 1].replace('"b, c"', "b").split(",")
        fields[column] = text
        lines[line - 1] = ",".join(fields)
        return "\n".join(lines) + "\n"

    return edit


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (edited(3, 0, "x"), "line 3: expected a time since 1970, before 2200, found 'x'"),
        (edited(3, 0, ""), "line 3: expected a time since 1970, before 2200, found nothing"),
        (edited(3, 0, "1767573900000000.5"), None),
        (edited(3, 0, "1767573900000000.0001"), "line 3: expected a time"),
        (edited(3, 0, "1767573899999999"), "line 3: the time is before that of the row above"),
        (edited(3, 0, "9967573899999999"), "line 3: expected a time since 1970"),
        (edited(3, 1, "12"), "line 3: expected a local time within a day"),
        (edited(3, 1, ""), "line 3: expected a local time within a day .*found nothing"),
        (edited(3, 2, "quote2"), "line 3: expected one of the words of kind, found 'quote2'"),
        (edited(3, 2, ""), "line 3: expected one of the words of kind, found nothing"),
        (edited(3, 3, "X"), "line 3: expected one of the words of side, found 'X'"),
        (edited(3, 4, "100.35"), "line 3: expected a price on the grid of 0.1, found '100.35'"),
        (edited(3, 4, "nan"), "line 3: expected a price on the grid of 0.1, found 'nan'"),
        (edited(3, 4, ""), "line 3: expected a price on the grid of 0.1, found nothing"),
        (edited(3, 4, "-100.3"), "line 3: expected a price above 0"),
        (edited(3, 4, "1e12"), "line 3: expected a price on the grid"),
        (edited(3, 5, "0.0005"), "line 3: expected a whole number of lots of 0.001"),
        (edited(3, 5, "-1"), "line 3: expected a whole number of lots"),
        (edited(3, 5, ""), "line 3: expected a whole number of lots of 0.001, found nothing"),
        (edited(4, 5, "0"), "line 4: expected a trade of at least one lot"),
        (edited(3, 6, 'x"y,z'), "line 3: expected 7 fields, found 8"),
        (edited(3, 6, '"x'), "line 3: field 7: the quote is not closed"),
        (lambda text: text.replace("\n", "\n\n", 3), "line 2: a blank line stands in front"),
        (lambda text: text.splitlines()[0] + "\n", "holds no row"),
        (lambda text: "", "the file is empty"),
        (lambda text: text.replace("size", "px", 1), "the column 'px' is named twice"),
    ],
)
def test_bad_texts_are_refused(
    tmp_path: Path, edit: Callable[[str], str], words: str | None
) -> None:
    for name in ("bad.csv", "bad.csv.gz"):
        path = save(tmp_path / name, edit(EVENTS))
        if words is None:
            read(path, EVENT_OPTIONS)
            continue
        with pytest.raises(DataError, match=words) as caught:
            read(path, EVENT_OPTIONS)
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"p": [100.1, float("nan")]}, r"row 1: expected a price on the grid of 0\.1, found 'nan'"),
        ({"p": [100.1, None]}, r"row 1: expected a price on the grid of 0\.1, found nothing"),
        ({"p": [100.1, 100.15]}, r"row 1: expected a price on the grid of 0\.1, found '100\.15'"),
        ({"q": [1.0, -1.0]}, "row 1: expected a whole number of lots"),
        ({"q": [1.0, float("inf")]}, "row 1: expected a whole number of lots"),
        ({"t": [START, START - 1]}, "row 1: the time is before"),
        ({"t": [START, None]}, "row 1: expected a time .*, found nothing"),
        ({"s": ["B", "X"]}, "row 1: expected one of the words of side, found 'X'"),
        ({"s": ["B", None]}, "row 1: expected one of the words of side, found nothing"),
        ({"t": [], "s": [], "p": [], "q": []}, "holds no row"),
    ],
)
def test_bad_values_of_parquet_are_refused(
    tmp_path: Path, values: dict[str, list[Any]], words: str
) -> None:
    good: dict[str, list[Any]] = {
        "t": [START, START],
        "s": ["B", "S"],
        "p": [100.1, 100.2],
        "q": [1.0, 2.0],
    }
    path = tmp_path / "bad.parquet"
    pl.DataFrame(good | values).write_parquet(path)
    options = {"time": "t", "side": "s", "price": "p", "qty": "q"}
    with pytest.raises(DataError, match=words):
        read(path, options)


@pytest.mark.parametrize(
    ("line", "column", "text", "words"),
    [
        (3, 1, "99", "line 3: expected levels best first and without holes"),
        (3, 2, "0", "line 3: expected levels best first and without holes"),
        (3, 5, "104", "line 3: expected levels best first and without holes"),
        (3, 1, "100.5", "line 3: expected a price on the grid of 1, found '100.5'"),
        (4, 10, "1.5", "line 4: expected a whole number of lots of 1"),
    ],
)
def test_bad_pictures_are_refused(
    tmp_path: Path, line: int, column: int, text: str, words: str
) -> None:
    path = save(tmp_path / "bad.csv", edited(line, column, text)(IMAGES))
    with pytest.raises(DataError, match=words):
        read(path, IMAGE_OPTIONS, "TXF")


def test_policy_drops_counts_and_refuses(tmp_path: Path) -> None:
    path = save(tmp_path / "a.csv", edited(3, 2, "other")(EVENTS))
    ticks = read(path, EVENT_OPTIONS, policy={"known_kind": "drop"})
    assert rows_of(ticks) == [row for n, row in enumerate(EXPECTED_EVENTS) if n != 1]
    path = save(tmp_path / "b.csv", edited(3, 1, "102")(IMAGES))  # locked
    assert read(path, IMAGE_OPTIONS, "TXF").facts["images"] == 4
    dropped = read(path, IMAGE_OPTIONS, "TXF", policy={"crossed_image": "drop"})
    assert dropped.facts["images"] == 3
    with pytest.raises(DataError, match="line 3: expected the best bid below the best ask"):
        read(path, IMAGE_OPTIONS, "TXF", policy={"crossed_image": "error"})


def test_missing_column_names_the_nearest_and_all_found(tmp_path: Path) -> None:
    path = save(tmp_path / "a.csv", EVENTS)
    with pytest.raises(DataError) as caught:
        read(path, EVENT_OPTIONS | {"qty": "sizes"})
    words = "there is no column 'sizes' (data.source.options.qty); did you mean 'size'? Found: ts, "
    assert words in str(caught.value)
    with pytest.raises(DataError, match=r"no column 'b3' .*bid_price.*Found: time, b1"):
        read(save(tmp_path / "b.csv", IMAGES), IMAGE_OPTIONS | {"levels": 3}, "TXF")


def test_damaged_packed_files_are_refused(tmp_path: Path) -> None:
    for suffix in (".gz", ".zst"):
        content = save(tmp_path / f"a.csv{suffix}", EVENTS * 1).read_bytes()
        bad = tmp_path / f"bad.csv{suffix}"
        for damaged in (content[:-9], content[: len(content) // 2], b"no archive", content[3:]):
            bad.write_bytes(damaged)
            with pytest.raises(DataError, match=r"bad\.csv"):
                read(bad, EVENT_OPTIONS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"price_unit": "x"}, "price_unit: expected a number"),
        ({"qty_unit": "0"}, "qty_unit: expected a number above 0"),
        ({"separator": ";;"}, "separator: expected one character"),
        ({"zone": "Asia/Taipeh"}, "zone: expected a name like"),
        ({"side_ask": ("B",)}, "side_ask: 'B' is also a word of side_bid"),
        ({"kind_trade": ("depth",)}, "kind_trade: 'depth' is also a word of kind_level"),
        ({"price": ""}, "price: the form events needs this column"),
        ({"levels": 5}, "levels: this is for the form images"),
        ({"form": "images"}, "levels: the form images needs"),
        ({"px": "px"}, "does not take these options"),
        ({"price": "size"}, "The column 'size' is named twice"),
    ],
)
def test_contradictory_options_are_refused(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        read(save(tmp_path / "a.csv", EVENTS), EVENT_OPTIONS | change)
    pattern = IMAGE_OPTIONS | {"bid_price": "b"}
    with pytest.raises(InputError, match=r"bid_price: expected a pattern with \{level\}"):
        read(save(tmp_path / "b.csv", IMAGES), pattern, "TXF")


SOURCE: Final = """\
data:
  source:
    reader: generic
    instrument: BTCUSDT
    paths: [a.csv]
    options:
      time: ts
      side: side
      side_bid: 1
      side_ask: [2, sell]
      price: px
      qty: size
      price_unit: "0.01"
"""


def study(tmp_path: Path, text: str) -> Any:
    save(tmp_path / "a.csv", EVENTS)
    (tmp_path / "study.yaml").write_text(text)
    return load_study(tmp_path / "study.yaml")


def test_study_file_takes_words_and_patterns(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "experiments" / "quickstart.yaml").read_text()
    head, _, rest = text.partition("data:")
    made = head + SOURCE + rest[rest.index("\nstrategy:") + 1 :]
    options = study(tmp_path, made).data.source.options
    assert options["side_bid"] == ("1",)
    assert options["side_ask"] == ("2", "sell")
    for old, new, words in (
        ("side_bid: 1", "side_bid: {a: 1}", "Expected a text"),
        ("side_bid: 1", "side_bid: [1.5]", "Expected a text"),
        ("price: px", "prise: px", "Did you mean 'price'"),
        ("side_bid: 1", "side_bid: sell", "'sell' is also a word of side_bid"),
        ('price_unit: "0.01"', "price_unit: 0.01", "Expected a text"),
        ("      time: ts\n", "", "The key 'time' is missing"),
    ):
        with pytest.raises(StudyError, match=words):
            study(tmp_path, made.replace(old, new))
