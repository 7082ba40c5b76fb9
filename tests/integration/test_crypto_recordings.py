"""The readers of crypto recordings, on real ones: what is known about the files comes out."""

import os
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from sweep.errors import DataError
from sweep.readers import read_ticks
from sweep.readers.ticks import KIND_CLEAR, KIND_TRADE, Ticks

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("SWEEP_SHARED_DATA", ROOT.parent / "shared" / "data"))
BINANCE = SHARED / "binance"

needs_binance = pytest.mark.skipif(
    not BINANCE.is_dir(), reason=f"no Binance recordings under {BINANCE}: set SWEEP_SHARED_DATA"
)

# File, product, lines, depth updates, bookTicker lines, trades.
RECORDINGS: Final = [
    ("usdm_btcusdt", "BTCUSDT", 93_954, 6_551, 66_089, 21_313),
    ("usdm_ethusdt", "ETHUSDT", 74_655, 6_586, 53_992, 14_076),
    ("spot_btcusdt", "BTCUSDT_SPOT", 41_249, 3_451, 28_040, 9_757),
    ("cm_btcusd_perp", "BTCUSD_PERP", 48_270, 26_847, 19_136, 2_286),
]
# Three levels of the spot book rest there since lots were finer.
POLICY: Final = {"clock_offset": "repair", "lot_grid": "repair"}


def read_binance(stem: str, product: str, **policy: str) -> Ticks:
    path = BINANCE / f"{stem}_20240808.gz"
    return read_ticks("binance_raw", path, product, policy=POLICY | policy)


@needs_binance
@pytest.mark.parametrize(("stem", "product", "lines", "depth", "quotes", "trades"), RECORDINGS)
def test_binance_recording_is_what_is_known_about_it(
    stem: str, product: str, lines: int, depth: int, quotes: int, trades: int
) -> None:
    strict = {"depth_gap": "error", "quote_crossed": "error", "quote_differs": "error"}
    strict |= {"crossed_book": "error", "missing_trades": "error", "time_back": "error"}
    ticks = read_binance(stem, product, **strict)
    facts: Any = ticks.facts
    assert facts["lines"] == lines
    by_stream = {"bookTicker": quotes, "depth": depth, "snapshot": 1, "trade": trades}
    assert facts["lines_by_stream"] == by_stream
    # The chain of updates is whole, and the book is right: after every update its best prices
    # and sizes are those that the stream of best quotes tells.
    assert facts["depth_gaps"] == 0
    assert facts["snapshots_used"] == 1
    assert facts["quotes_compared"] >= facts["depth_updates"] - 20
    assert facts["quote_prices_differ"] == 0
    assert facts["quote_sizes_differ"] == 0
    assert (facts["crossed_messages"], facts["locked_messages"]) == (0, 0)
    # The local clock is 1.25 to 1.28 s behind.
    clock = facts["clock"]
    assert clock["negative_latencies"] == clock["messages"]
    assert -1_280_000 < clock["latency_us_minimum"] < clock["latency_us_median"] < -1_250_000
    assert clock["local_shift_us"] == pytest.approx(1_000 - clock["latency_us_minimum"], abs=0.1)
    assert abs(clock["drift_ppm"]) < 10
    columns = ticks.columns
    assert (np.diff(columns["exch_ns"]) >= 0).all()
    assert (columns["local_ns"] > columns["exch_ns"]).all()
    assert columns["kind"][0] == KIND_CLEAR
    assert int((columns["kind"] == KIND_CLEAR).sum()) == 1
    found = int((columns["kind"] == KIND_TRADE).sum())
    assert found == facts["trades"] == trades - facts["trades_without_book"]
    assert facts["trades_without_book"] <= 4
    span_s = (columns["exch_ns"][-1] - columns["exch_ns"][0]) / 1e9
    assert 340 < span_s < 350


@needs_binance
def test_binance_clock_is_refused_unless_the_study_chooses() -> None:
    with pytest.raises(DataError, match=r"line 1: the local clock is at least 1272\.549 ms behind"):
        read_binance("usdm_btcusdt", "BTCUSDT", clock_offset="error")
    assert "local_ns" not in read_binance("usdm_btcusdt", "BTCUSDT", clock_offset="drop").columns


@needs_binance
def test_binance_product_of_another_market_is_refused() -> None:
    with pytest.raises(DataError, match="depth updates of the spot market"):
        read_binance("spot_btcusdt", "BTCUSDT")
    with pytest.raises(DataError, match="the symbol is ETHUSDT, the product BTCUSDT"):
        read_binance("usdm_ethusdt", "BTCUSDT")
