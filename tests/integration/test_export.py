"""Exported tapes: read back equal, and replayed by hftbacktest with our quotes at every step."""

import datetime
import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest

import rustsim
from sweep.data import ensure_tapes, write_tape
from sweep.errors import DataError, InputError
from sweep.export import FORMATS, ExportOptions, export_tape
from sweep.products import find_product
from sweep.readers import make_request, read_ticks
from sweep.readers.ticks import (
    COLUMNS,
    FLAG_GAP,
    FLAG_INDICATIVE,
    Columns,
    Rows,
    Session,
    Summary,
    Ticks,
)
from sweep.source import SourceConfig

ROOT: Final = Path(__file__).resolve().parents[2]
SHARED: Final = Path(os.environ.get("SWEEP_SHARED_DATA", ROOT.parent / "shared" / "data"))
RECORDING: Final = SHARED / "taifex_l2" / "TXFD6_2026-04-09_replay_actual.parquet"
HBT: Final = os.environ.get("HBT_PYTHON", "")


def market(**options: Any) -> Ticks:
    return read_ticks("synthetic", None, "SYN", options={"events": 12_000} | options)


def make_tape(path: Path, columns: Columns, sessions: tuple[Session, ...], name: str) -> Path:
    product = find_product(name, datetime.date(2026, 1, 5))

    def rows() -> Rows:
        yield columns
        return Summary(instrument={}, sessions=sessions)

    def describe(summary: Summary) -> str:
        return json.dumps(
            {
                "instrument": product.exchange_part(visible_levels=5),
                "sessions": [
                    {"name": s.name, "row_start": s.row_start, "row_stop": s.row_stop}
                    for s in summary.sessions
                ],
                "facts": {"product": product.to_json()},
            }
        )

    write_tape(path, rows(), "a test", describe)
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tape of several sessions, without a local clock, with flags of every kind."""
    ticks = market(session_minutes=8)
    columns = {name: np.array(values) for name, values in ticks.columns.items()}
    columns["flags"][:40] |= FLAG_INDICATIVE
    columns["flags"][ticks.sessions[1].row_start] |= FLAG_GAP
    return make_tape(
        tmp_path_factory.mktemp("plain") / "a.tape", columns, ticks.sessions, "BTCUSDT"
    )


@pytest.fixture(scope="module")
def clocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tape whose local clock runs 1 ms behind the exchange's, with joins."""
    ticks = market()
    columns = {name: np.array(values) for name, values in ticks.columns.items()}
    rng = np.random.default_rng(5)
    delay = rng.exponential(3e6, ticks.row_count).astype(np.int64) - 1_000_000
    columns["local_ns"] = np.maximum.accumulate(columns["exch_ns"] + delay)
    columns["join"] = rng.integers(0, 5_000, ticks.row_count).astype(np.uint32)
    return make_tape(tmp_path_factory.mktemp("clocked") / "a.tape", columns, ticks.sessions, "TXF")


def columns_of(path: Path) -> Columns:
    tape = rustsim.Tape.open(str(path))
    return {name: np.frombuffer(tape.column(name), kind) for name, kind in COLUMNS.items()}


def assert_equal(tape_path: Path, ticks: Ticks) -> None:
    tape = rustsim.Tape.open(str(tape_path))
    expected = columns_of(tape_path)
    assert ("local_ns" in ticks.columns) == tape.has_local
    assert ticks.row_count == tape.row_count
    for name, values in ticks.columns.items():
        assert (values == expected[name]).all(), name


@pytest.mark.parametrize(("kind", "product"), [("plain", "BTCUSDT"), ("clocked", "TXF")])
def test_event_array_reads_back_equal(
    tmp_path: Path, kind: str, product: str, request: pytest.FixtureRequest
) -> None:
    tape = request.getfixturevalue(kind)
    told = export_tape(tape, tmp_path / "a.npz")
    ticks = read_ticks("hftbacktest", tmp_path / "a.npz", product)
    assert_equal(tape, ticks)
    assert [s.row_stop for s in ticks.sessions][-1] == told["rows"]
    assert (len(ticks.sessions) > 1) == (kind == "plain")
    assert ticks.instrument["visible_levels"] == 5
    assert [entry for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def test_losses_are_counted(tmp_path: Path, plain: Path, clocked: Path) -> None:
    told = export_tape(plain, tmp_path / "a.npz")["losses"]
    assert told["auction rows that hftbacktest takes for trading"] == 40
    assert told["first rows after a gap, not marked"] == 1
    moved = export_tape(clocked, tmp_path / "b.npz")["losses"]
    assert moved["local times moved to when a replay shows the group"] > 100
    assert export_tape(plain, tmp_path / "a.parquet")["losses"] == {}


@pytest.mark.parametrize("kind", ["plain", "clocked"])
def test_parquet_reads_back_equal(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    tape = request.getfixturevalue(kind)
    export_tape(tape, tmp_path / "a.parquet")
    source = SourceConfig(
        reader="canonical_parquet", instrument="SYN", paths=(tmp_path / "a.parquet",)
    )
    (made,) = ensure_tapes(source, tmp_path / "tapes")
    ours, theirs = columns_of(tape), columns_of(made.path)
    assert all((ours[name] == theirs[name]).all() for name in COLUMNS)


def test_chunks_do_not_show(
    tmp_path: Path, plain: Path, clocked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, tape in enumerate((plain, clocked)):
        for suffix in (".npz", ".csv"):
            export_tape(tape, tmp_path / f"a{number}{suffix}")
            with monkeypatch.context() as patch:
                patch.setattr("sweep.export.CHUNK_ROWS", 7)
                export_tape(tape, tmp_path / f"b{number}{suffix}")
        with np.load(tmp_path / f"a{number}.npz") as a, np.load(tmp_path / f"b{number}.npz") as b:
            assert (a["data"] == b["data"]).all()
        whole, parts = (tmp_path / f"{letter}{number}.csv" for letter in "ab")
        assert whole.read_bytes() == parts.read_bytes()


def test_unknown_formats_and_options_are_refused(tmp_path: Path, plain: Path) -> None:
    with pytest.raises(InputError, match="cannot tell the format"):
        export_tape(plain, tmp_path / "a.txt")
    with pytest.raises(InputError, match="no export format 'xml'"):
        export_tape(plain, tmp_path / "a.xml", "xml")
    with pytest.raises(InputError, match=r"ends in \.npz"):
        export_tape(plain, tmp_path / "a.csv", "hftbacktest")
    with pytest.raises(InputError, match="feed_latency_ns must lie"):
        export_tape(plain, tmp_path / "a.npz", options=ExportOptions(feed_latency_ns=-1))
    (tmp_path / "bad.tape").write_bytes(plain.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"bad\.tape"):
        export_tape(tmp_path / "bad.tape", tmp_path / "a.npz")
    assert not (tmp_path / "a.npz").exists()
    assert set(FORMATS) == {"hftbacktest", "parquet", "csv"}


# --- hftbacktest itself ---------------------------------------------------------------------------


def replayed(feed: Path, tick_size: float, lot_size: float) -> npt.NDArray[np.int64]:
    """Return the quotes that hftbacktest shows at each step."""
    if not HBT:
        pytest.skip("NOT TESTED: set HBT_PYTHON to a Python that has hftbacktest 2.4.4")
    out = feed.with_suffix(".steps.npy")
    script = ROOT / "benches" / "hftbacktest_quotes.py"
    command = [HBT, str(script), "--feed", str(feed), "--out", str(out)]
    command += ["--tick-size", str(tick_size), "--lot-size", str(lot_size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-2_000:]
    steps: npt.NDArray[np.int64] = np.load(out)
    return steps


def our_quotes(tape_path: Path, feed: Path) -> npt.NDArray[np.int64]:
    """Return our book's quotes after each message, at the time when a strategy sees it."""
    columns = columns_of(tape_path)
    names = ("exch_ns", "kind", "side", "flags", "price", "qty")
    scan = rustsim.scan_book(*(columns[name] for name in names), visible_levels=0)
    assert scan["crossed_groups"] == 0
    quotes = [
        np.frombuffer(scan[name], np.int32).astype(np.int64)
        for name in ("bid_price", "bid_lots", "ask_price", "ask_lots")
    ]
    with np.load(feed) as archive:
        rows = archive["data"]
    ends = np.flatnonzero(np.diff(rows["exch_ts"], append=rows["exch_ts"][-1] + 1))
    seen = rows["local_ts"][ends]
    steps = np.column_stack([seen, *quotes])
    # Messages that are seen at one time are one step.
    return steps[np.flatnonzero(np.diff(seen, append=seen[-1] + 1))]


def assert_equal_quotes(tape: Path, feed: Path, tick_size: float, lot_size: float) -> int:
    theirs = replayed(feed, tick_size, lot_size)
    ours = our_quotes(tape, feed)
    assert theirs.shape == ours.shape
    # At the end of its data hftbacktest plays the last step and leaves the clock where it was.
    assert (theirs[:-1, 0] == ours[:-1, 0]).all()
    for price, lots in ((1, 2), (3, 4)):
        assert (theirs[:, lots] == ours[:, lots]).all()
        there = ours[:, lots] > 0
        assert (theirs[there, price] == ours[there, price]).all()
    return len(ours)


@pytest.mark.parametrize(
    ("kind", "tick_size", "lot_size", "latency_ns"),
    [("plain", 0.1, 0.001, 0), ("plain", 0.1, 0.001, 250_000), ("clocked", 1.0, 1.0, 0)],
)
def test_hftbacktest_shows_our_quotes_at_every_step(
    tmp_path: Path,
    kind: str,
    tick_size: float,
    lot_size: float,
    latency_ns: int,
    request: pytest.FixtureRequest,
) -> None:
    tape = request.getfixturevalue(kind)
    feed = tmp_path / "a.npz"
    export_tape(tape, feed, options=ExportOptions(feed_latency_ns=latency_ns))
    with np.load(feed) as archive:
        rows = archive["data"]
    assert (np.diff(rows["local_ts"]) >= 0).all()
    assert (rows["local_ts"] >= rows["exch_ts"]).all()
    assert assert_equal_quotes(tape, feed, tick_size, lot_size) > 1_000


def test_hftbacktest_shows_our_quotes_of_a_recorded_day(tmp_path: Path) -> None:
    if not RECORDING.exists():
        pytest.skip(f"NOT TESTED: the recording {RECORDING} is not here (set SWEEP_SHARED_DATA)")
    source = SourceConfig(reader="shioaji_parquet", instrument="TXF", paths=(RECORDING,))
    (tape,) = ensure_tapes(source, tmp_path / "tapes")
    feed = tmp_path / "a.npz"
    export_tape(tape.path, feed)
    assert assert_equal_quotes(tape.path, feed, 1.0, 1.0) == 267_830
    request = make_request("hftbacktest", feed, "TXF")
    assert request.audit.report()
    assert_equal(tape.path, read_ticks("hftbacktest", feed, "TXF"))
