"""The reader of recorded five-level files: on the recordings, and on files broken on purpose."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pytest

import rustsim
from sweep.data import TapeInfo, ensure_tapes
from sweep.errors import DataError, InputError
from sweep.readers import read_ticks
from sweep.readers.ticks import (
    FLAG_IMAGE,
    FLAG_INDICATIVE,
    FLAG_OUT_OF_VIEW,
    KIND_CLEAR,
    KIND_LEVEL,
    KIND_TRADE,
    Ticks,
)
from sweep.source import SourceConfig

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("SWEEP_SHARED_DATA", ROOT.parent / "shared" / "data"))
RECORDINGS = SHARED / "taifex_l2"

CLEAR: Final = 0xC000_0003
BID: Final = 0xE000_0001
ASK: Final = 0xD000_0001
BUY: Final = 0xE000_0002
SELL: Final = 0xD000_0002

# 2026-04-09 08:30:55 in Taipei, before the open; the open is at 08:45:00.
PRE_OPEN_NS: Final = 1_775_694_655_000_000_000
OPEN_NS: Final = 1_775_695_500_000_000_000
NIGHT_PRE_OPEN_NS: Final = OPEN_NS + (6 * 3_600 + 5 * 60) * 1_000_000_000

Row = tuple[int, int, float, float]


def write(path: Path, rows: list[Row]) -> Path:
    schema = {"ev": pl.UInt64, "exch_ts": pl.Int64, "px": pl.Float64, "qty": pl.Float64}
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(path)
    return path


def image(time_ns: int, bid: float = 100.0) -> list[Row]:
    """Return five levels a side: bids from `bid` down, asks from `bid + 2` up."""
    bids = [(BID, time_ns, bid - level, 3.0 + level) for level in range(5)]
    asks = [(ASK, time_ns, bid + 2 + level, 3.0 + level) for level in range(5)]
    return [*bids, *asks]


def day() -> list[Row]:
    """Return a small good recording: pre-open, trades, a new best bid, a night session."""
    later = OPEN_NS + 125_000_000
    return [
        (CLEAR, PRE_OPEN_NS, 0.0, 0.0),
        *image(PRE_OPEN_NS),
        (BUY, PRE_OPEN_NS + 5_000_000_000, 101.0, 9.0),
        (SELL, OPEN_NS, 100.0, 2.0),
        (BID, OPEN_NS, 100.0, 1.0),
        (BID, later, 101.0, 4.0),
        (BID, later, 96.0, 0.0),  # leaves the view
        (ASK, later, 102.0, 0.0),  # is emptied: 107 comes into view
        (ASK, later, 107.0, 8.0),
        (BID, NIGHT_PRE_OPEN_NS, 97.0, 0.0),  # is emptied
        (BID, NIGHT_PRE_OPEN_NS, 95.0, 2.0),
        (BUY, NIGHT_PRE_OPEN_NS + 1_000_000_000, 103.0, 5.0),
    ]


def read(path: Path, instrument: str = "TXF") -> Ticks:
    return read_ticks("shioaji_parquet", path, instrument)


# --- what is made of the rows ---------------------------------------------------------------------


def test_rows_become_canonical(tmp_path: Path) -> None:
    ticks = read(write(tmp_path / "a.parquet", day()))
    names = ("exch_ns", "kind", "side", "flags", "price", "qty")
    rows = list(zip(*(ticks.columns[name].tolist() for name in names), strict=True))
    later = OPEN_NS + 125_000_000
    assert rows[0] == (PRE_OPEN_NS, KIND_CLEAR, 0, 0, 0, 0)
    assert rows[1] == (PRE_OPEN_NS, KIND_LEVEL, 0, FLAG_IMAGE | FLAG_INDICATIVE, 100, 3)
    auction = PRE_OPEN_NS + 5_000_000_000
    assert rows[11] == (auction, KIND_TRADE, 1, FLAG_INDICATIVE, 101, 9)
    assert rows[12] == (OPEN_NS, KIND_TRADE, 0, 0, 100, 2)
    assert rows[13] == (OPEN_NS, KIND_LEVEL, 0, FLAG_IMAGE, 100, 1)
    assert rows[15] == (later, KIND_LEVEL, 0, FLAG_IMAGE | FLAG_OUT_OF_VIEW, 96, 0)
    assert rows[16] == (later, KIND_LEVEL, 1, FLAG_IMAGE, 102, 0)


def test_night_session_stands_alone(tmp_path: Path) -> None:
    ticks = read(write(tmp_path / "a.parquet", day()))
    assert [session.name for session in ticks.sessions] == ["2026-04-09-day", "2026-04-09-night"]
    start = ticks.sessions[1].row_start
    assert ticks.facts["rows_added"] == 11
    kinds, sides, prices, flags = (
        ticks.columns[name][start:].tolist() for name in ("kind", "side", "price", "flags")
    )
    assert kinds[0] == KIND_CLEAR
    standing = set(zip(sides[1:11], prices[1:11], strict=True))
    bids = {(0, price) for price in (97, 98, 99, 100, 101)}
    asks = {(1, price) for price in (103, 104, 105, 106, 107)}
    assert standing == bids | asks
    assert set(flags[1:11]) == {FLAG_IMAGE | FLAG_INDICATIVE}
    # The emptied level of the first message is no level that left the view: 95 is worse.
    assert flags[11] & FLAG_OUT_OF_VIEW == 0


def test_times_are_restored_to_milliseconds(tmp_path: Path) -> None:
    rows = [(ev, ns - 192 if n % 2 else ns, px, qty) for n, (ev, ns, px, qty) in enumerate(day())]
    rows.sort(key=lambda row: row[1])
    rows.insert(0, rows.pop(next(n for n, row in enumerate(rows) if row[0] == CLEAR)))
    rows[0] = (CLEAR, rows[1][1], 0.0, 0.0)
    ticks = read(write(tmp_path / "a.parquet", rows))
    assert (ticks.columns["exch_ns"] % 1_000_000 == 0).all()
    assert "off by up to 192 ns" in ticks.facts["time"]
    rows = [(ev, ns + 300_000, px, qty) for ev, ns, px, qty in day()]
    ticks = read(write(tmp_path / "a.parquet", rows))
    assert (ticks.columns["exch_ns"] % 1_000_000 == 300_000).all()
    assert ticks.facts["time"] == "as recorded"


def test_option_prices_count_in_tenths(tmp_path: Path) -> None:
    rows = [(ev, ns, px / 10, qty) for ev, ns, px, qty in day()]
    with pytest.raises(DataError, match="tick grid"):
        read(write(tmp_path / "a.parquet", rows), "TXO")  # 10.1 is off the grid above 10
    rows = [(ev, ns, px / 20 - 1 if px else 0.0, qty) for ev, ns, px, qty in day()]
    rows = [
        (ev, ns, round(px, 1) - 2, qty) if px else (ev, ns, px, qty) for ev, ns, px, qty in rows
    ]
    ticks = read(write(tmp_path / "b.parquet", rows), "TXO")
    assert ticks.columns["price"].max() < 50
    assert ticks.instrument["tick_value_minor"] == 5


def test_batches_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.parquet", day())
    whole = read(path)
    for rows in (1, 2, 7):
        monkeypatch.setattr("sweep.readers.parquet_batches.BATCH_ROWS", rows)
        parts = read(path)
        assert (parts.sessions, parts.facts) == (whole.sessions, whole.facts)
        for name, values in whole.columns.items():
            assert (parts.columns[name] == values).all(), (rows, name)


# --- what is refused ------------------------------------------------------------------------------


def replaced(row: int, **changes: Any) -> Callable[[], list[Row]]:
    names = ("ev", "exch_ts", "px", "qty")

    def make() -> list[Row]:
        rows = day()
        values = dict(zip(names, rows[row], strict=True)) | changes
        rows[row] = (values["ev"], values["exch_ts"], values["px"], values["qty"])
        return rows

    return make


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (replaced(5, px=float("nan")), r"row 5: expected a price above 0, found nan"),
        (replaced(5, px=float("inf")), r"row 5: expected a price above 0, found inf"),
        (replaced(5, px=-1.0), r"row 5: expected a price above 0"),
        (replaced(5, px=0.0), r"row 5: expected a price above 0"),
        (replaced(5, px=1e12), r"row 5: expected a price above 0"),
        (replaced(5, px=99.5), r"row 5: .* tick grid, found 99\.5"),
        (replaced(5, qty=float("nan")), r"row 5: expected a whole quantity"),
        (replaced(5, qty=1.5), r"row 5: expected a whole quantity .*, found 1\.5"),
        (replaced(5, qty=-1.0), r"row 5: expected a whole quantity"),
        (replaced(5, qty=1e9), r"row 5: expected a whole quantity"),
        (replaced(11, qty=0.0), r"row 11: expected a trade of at least 1 lot"),
        (replaced(0, qty=float("nan")), r"row 0: expected a whole quantity"),
        (replaced(5, ev=BID | 4), r"row 5: expected depth"),
        (replaced(5, ev=BID | ASK), r"row 5: expected depth"),
        (replaced(5, ev=1 << 31 | 1), r"row 5: expected depth"),
        (replaced(5, ev=BID | 1 << 40), r"row 5: expected depth"),
        (replaced(13, exch_ts=PRE_OPEN_NS), r"row 13: exch_ts is before that of the row above"),
        (replaced(0, exch_ts=-1), r"row 0: expected exch_ts as nanoseconds"),
        (list, r"holds no row"),
    ],
)
def test_bad_rows_are_refused_with_file_and_row(
    tmp_path: Path, make: Callable[[], list[Row]], words: str
) -> None:
    path = write(tmp_path / "bad.parquet", make())
    with pytest.raises(DataError, match=rf"bad\.parquet: .*{words}|bad\.parquet: {words}"):
        read(path)
    source = SourceConfig(reader="shioaji_parquet", instrument="TXF", paths=(path,))
    with pytest.raises(DataError):
        ensure_tapes(source, tmp_path / "tapes")
    assert [entry for entry in (tmp_path / "tapes").iterdir() if entry.suffix != ".lock"] == []


def test_wrong_columns_are_refused(tmp_path: Path) -> None:
    good = pl.read_parquet(write(tmp_path / "a.parquet", day()))
    path = tmp_path / "bad.parquet"
    table = [
        (good.drop("qty"), r"the column qty is missing; found ev, exch_ts, px"),
        (good.cast({"px": pl.Float32}), r"expected the column px as float64, found float32"),
        (good.cast({"ev": pl.Int64}), r"expected the column ev as uint64, found int64"),
        (
            good.with_columns(px=pl.when(pl.int_range(pl.len()) != 7).then("px")),
            r"row 7: px is missing",
        ),
    ]
    for frame, words in table:
        frame.write_parquet(path)
        with pytest.raises(DataError, match=rf"bad\.parquet: {words}"):
            read(path)


def test_damaged_files_are_refused_or_read_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", day())
    good = path.read_bytes()
    bad = tmp_path / "bad.parquet"
    for length in (0, 4, len(good) // 2, len(good) - 1):
        bad.write_bytes(good[:length])
        with pytest.raises(DataError, match=r"bad\.parquet"):
            read(bad)


def test_unknown_product_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="TXF, MXF, TMF, TXO"):
        read(write(tmp_path / "a.parquet", day()), "ES")


# --- the recordings -------------------------------------------------------------------------------

FILES = [  # file, product, rows as its README states them, sessions
    ("TXFD6_2026-04-09_replay_actual.parquet", "TXF", 1_056_292, "2026-04-09"),
    ("TXFD6_2026-04-10_replay_actual.parquet", "TXF", 899_554, "2026-04-10"),
    ("TMFD6_2026-04-10_replay_actual.parquet", "TMF", 1_069_308, "2026-04-10"),
    ("TXO35000Q6_2026-04-17_replay_actual.parquet", "TXO", 66_907, "2026-04-17"),
]


@pytest.fixture(scope="module", params=FILES, ids=lambda entry: entry[0].split("_replay")[0])
def recording(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TapeInfo, int, str]:
    name, instrument, rows, date = request.param
    path = RECORDINGS / name
    if not path.exists():
        pytest.skip(f"NOT TESTED: the recording {path} is not here (set SWEEP_SHARED_DATA)")
    source = SourceConfig(reader="shioaji_parquet", instrument=instrument, paths=(path,))
    (tape,) = ensure_tapes(source, tmp_path_factory.mktemp("tapes"))
    return tape, rows, date


def test_recording_is_whole(recording: tuple[TapeInfo, int, str]) -> None:
    tape, rows, date = recording
    assert tape.facts["rows_recorded"] == rows
    # Only what lets the night stand alone is added: a clear row and the standing levels.
    assert tape.row_count - rows == tape.facts["rows_added"] <= 11
    assert [session.name for session in tape.sessions] == [f"{date}-day", f"{date}-night"]
    assert tape.sessions[0].row_start == 0
    assert tape.sessions[0].row_stop == tape.sessions[1].row_start
    assert tape.sessions[1].row_stop == tape.row_count
    assert "whole milliseconds" in tape.facts["time"]


def test_recording_is_never_crossed_and_shows_five_levels(
    recording: tuple[TapeInfo, int, str],
) -> None:
    tape, _, _ = recording
    assert tape.facts["crossed_groups"] == 0
    assert tape.facts["locked_groups"] == 0
    assert tape.facts["levels_max"] == 5


def test_auction_rows_are_indicative_and_no_others(recording: tuple[TapeInfo, int, str]) -> None:
    tape, _, _ = recording
    opened = rustsim.Tape.open(str(tape.path))
    exch_ns = np.frombuffer(opened.column("exch_ns"), np.int64)
    flags = np.frombuffer(opened.column("flags"), np.uint8)
    kind = np.frombuffer(opened.column("kind"), np.uint8)
    minute = (exch_ns // 60_000_000_000 + 8 * 60) % (24 * 60)
    before_open = ((minute >= 510) & (minute < 525)) | ((minute >= 890) & (minute < 900))
    indicative = (flags & FLAG_INDICATIVE > 0) | (kind == KIND_CLEAR)
    assert (indicative[before_open]).all()
    outside = indicative & ~before_open & (kind != KIND_CLEAR)
    assert outside.sum() == 0


def test_each_session_replays_alone_like_in_one_run(recording: tuple[TapeInfo, int, str]) -> None:
    """Goal: the book at the end of the night is the same with and without the day before it."""
    tape, _, _ = recording
    opened = rustsim.Tape.open(str(tape.path))
    names = {"kind": np.uint8, "side": np.uint8, "price": np.int32, "qty": np.int32}
    columns = {name: np.frombuffer(opened.column(name), kind) for name, kind in names.items()}

    def book_at_end(start: int) -> dict[tuple[int, int], int]:
        frame = pl.DataFrame({name: values[start:] for name, values in columns.items()})
        frame = frame.with_columns(clears=(pl.col("kind") == KIND_CLEAR).cum_sum())
        frame = frame.filter(pl.col("clears") == pl.col("clears").max(), kind=KIND_LEVEL)
        frame = frame.group_by("side", "price").agg(pl.col("qty").last()).filter(pl.col("qty") > 0)
        return {(side, price): qty for side, price, qty in frame.rows()}

    night = tape.sessions[1].row_start
    assert columns["kind"][night] == KIND_CLEAR
    assert book_at_end(night) == book_at_end(0) != {}
    # And the clear row hides nothing: without it the recording goes on to the same book.
    raw = pl.DataFrame({name: np.delete(v, night) for name, v in columns.items()})
    raw = raw.filter(kind=KIND_LEVEL).group_by("side", "price").agg(pl.col("qty").last())
    whole = {(side, price): qty for side, price, qty in raw.rows() if qty > 0}
    assert whole == book_at_end(night)
