"""The readers of TAIFEX's and TWSE's own files, on real ones."""

import os
from pathlib import Path

import numpy as np
import pytest

from sweep.data import ensure_tapes
from sweep.errors import DataError
from sweep.readers import READERS, make_request, read_ticks
from sweep.readers.ticks import KIND_TRADE, collect
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


TWSE = SHARED / "twse_eshop"
needs_twse = pytest.mark.skipif(not TWSE.is_dir(), reason=f"no real files in {TWSE}")


@needs_twse
def test_real_trial_quotes_are_indicative() -> None:
    ticks = read_ticks("twse_fixed", TWSE / "dsp_sample_190b.txt", "0050")
    facts = ticks.facts
    assert (facts["records"], facts["records_chosen"], facts["images"]) == (40, 20, 20)
    assert (facts["trades"], facts["time"]) == (0, "microseconds")
    # All but the clear row in front.
    assert facts["indicative_rows"] == ticks.row_count - 1 == 111
    assert [session.name for session in ticks.sessions] == ["2024-11-11"]


@needs_twse
def test_the_real_closing_auction_is_one_trade() -> None:
    ticks = read_ticks("twse_fixed", TWSE / "dsp_sample_190b.txt", "9958")
    facts, columns = ticks.facts, ticks.columns
    assert facts["lots_before_the_file"] == 9_491
    assert (facts["trades"], facts["auction_trades"]) == (1, 1)
    (row,) = np.flatnonzero(columns["kind"] == KIND_TRADE)
    assert (columns["price"][row], columns["qty"][row], columns["flags"][row]) == (18_500, 345, 0)
    # 13:30:00 in Taipei
    assert columns["exch_ns"][row] == 1_731_303_000_000_000_000


@needs_twse
def test_real_quotes_of_the_old_length_hold_eleven_trades() -> None:
    ticks = read_ticks("twse_fixed", TWSE / "dsp_sample_old.txt", "2033")
    facts, columns = ticks.facts, ticks.columns
    assert (facts["records"], facts["trades"]) == (33, 11)
    assert facts["time"] == "hundredths of a second"
    # The volume of the last record.
    assert columns["qty"][columns["kind"] == KIND_TRADE].sum() == 55


@needs_twse
def test_real_trades_pair_their_sides() -> None:
    request = make_request("twse_fixed", TWSE / "mth_sample.txt", "9945")
    ticks = collect(READERS["twse_fixed"].read(request))
    assert ticks.facts["records"] == 33
    assert ticks.row_count == 18
    report = request.audit.report()
    # The sample begins and ends in the middle of trades.
    assert {rule for rule, entry in report.items() if entry["count"]} == {"two_sides"}
    assert report["two_sides"]["count"] == 3


@needs_twse
def test_the_real_order_file_is_refused() -> None:
    with pytest.raises(DataError, match="an order file: orders without their trades"):
        read_ticks("twse_fixed", TWSE / "odr_sample.txt", "0050")


@needs_twse
def test_a_real_tape_of_quotes_is_built(tmp_path: Path) -> None:
    source = SourceConfig(
        reader="twse_fixed", instrument="9958", paths=(TWSE / "dsp_sample_190b.txt",)
    )
    (info,) = ensure_tapes(source, tmp_path)
    assert info.row_count == 70
