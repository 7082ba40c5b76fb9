"""The readers of TAIFEX's and TWSE's own files, on real ones."""

import os
from pathlib import Path

import numpy as np
import pytest

from sweep.data import ensure_tapes
from sweep.errors import DataError
from sweep.readers import read_ticks
from sweep.source import SourceConfig

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("SWEEP_SHARED_DATA", ROOT.parent / "shared" / "data"))
TAIFEX = SHARED / "taifex_trades"

needs_taifex = pytest.mark.skipif(not TAIFEX.is_dir(), reason=f"no real trades in {TAIFEX}")
DAILY = TAIFEX / "Daily_2021_07_26.zip"


@needs_taifex
def test_the_real_day_gives_the_front_month() -> None:
    ticks = read_ticks("taifex_daily", DAILY, "TXF")
    facts = ticks.facts
    assert facts["lines"] == 449_454
    assert facts["contract"] == "TX 202108"
    assert facts["trades_per_second_max"] == 317
    assert facts["auction_trades"] == 2
    assert facts["lots_by_expiry"]["202108"] == 142_126 == ticks.columns["qty"].sum()
    assert ticks.row_count == facts["trades"] == 95_414
    assert (np.diff(ticks.columns["exch_ns"]) >= 0).all()
    assert [session.name for session in ticks.sessions] == ["2021-07-23-night", "2021-07-26-day"]
    assert ticks.sessions[1].row_start == 22_474


@needs_taifex
@pytest.mark.parametrize(
    ("instrument", "expiry", "trades"),
    [
        ("MXF", "202107W4", 393),
        ("EXF", "", 1_974),
        ("FXF", "", 1_432),
        ("CDF", "", 1_584),
        ("CDF", "202108/202109", 74),
    ],
)
def test_other_real_contracts_obey_every_rule(instrument: str, expiry: str, trades: int) -> None:
    ticks = read_ticks("taifex_daily", DAILY, instrument, options={"expiry": expiry})
    assert ticks.row_count == trades


@needs_taifex
def test_real_spreads_are_read_when_one_is_named() -> None:
    path = TAIFEX / "Daily_2021_07_26_C.zip"
    with pytest.raises(DataError, match="the trades of TX are calendar spreads"):
        read_ticks("taifex_daily", path, "TXF")
    ticks = read_ticks("taifex_daily", path, "TXF", options={"expiry": "202108/202109"})
    assert ticks.facts["lines"] == 9_399
    assert ticks.row_count == 589
    assert ticks.columns["price"].max() < 0


@needs_taifex
def test_the_real_summary_is_refused() -> None:
    with pytest.raises(DataError, match="line 1: a summary of spread volumes"):
        read_ticks("taifex_daily", TAIFEX / "Daily_2021_07_26_B.zip", "TXF")


@needs_taifex
def test_a_real_tape_is_built(tmp_path: Path) -> None:
    source = SourceConfig(reader="taifex_daily", instrument="TXF", paths=(DAILY,))
    (info,) = ensure_tapes(source, tmp_path)
    assert info.row_count == 95_414
    assert {entry["count"] for entry in info.facts["checks"].values()} == {0}
