"""The readers of crypto recordings, on real ones: what is known about the files comes out."""

import csv
import json
import os
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

import rustsim
from sweep.data import ensure_tapes
from sweep.errors import DataError
from sweep.readers import read_ticks
from sweep.readers.ticks import KIND_CLEAR, KIND_LEVEL, KIND_TRADE, Ticks
from sweep.source import SourceConfig

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("SWEEP_SHARED_DATA", ROOT.parent / "shared" / "data"))
BINANCE = SHARED / "binance"
TARDIS = SHARED / "tardis_samples"
BYBIT = SHARED / "bybit" / "xrpusdt-ob500.data.zip"

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


@needs_binance
def test_binance_recording_becomes_a_tape_of_every_product(tmp_path: Path) -> None:
    for stem, product, *_ in RECORDINGS:
        source = SourceConfig(
            reader="binance_raw",
            instrument=product,
            paths=(BINANCE / f"{stem}_20240808.gz",),
            check=POLICY,
        )
        (tape,) = ensure_tapes(source, tmp_path)
        opened = rustsim.Tape.open(str(tape.path))
        assert opened.has_local
        assert tape.facts["rows_seen_later_ms_max"] < 200
        value = tape.instrument["tick_value_minor"]
        assert (value is None) == (product == "BTCUSD_PERP")


# In September 2020 a tick of the perpetual was a tenth of today's.
BTCUSDT_2020: Final = {
    "venue": "BINANCE_USDM",
    "currency": "USDT",
    "minor_per_unit": 100_000_000,
    "tick_size": "0.01",
    "lot_size": "0.001",
    "multiplier": "1",
}

TARDIS_FILES: Final = [
    ("binance-futures_book_snapshot_25_BTCUSDT", "BTCUSDT", 10, 25),
    ("binance-futures_book_snapshot_5_BTCUSDT", "BTCUSDT", 10, 5),
    ("bitmex_trades_XBTUSD", "XBTUSD", 10, 0),
    ("deribit_incremental_book_L2_BTC-PERPETUAL", "BTC-PERPETUAL", 15, 0),
    ("huobi-dm-swap_quotes_BTC-USD", "BTC-USD_HUOBI", 10, 1),
]


@pytest.mark.skipif(not TARDIS.is_dir(), reason=f"no Tardis samples under {TARDIS}")
@pytest.mark.parametrize(("stem", "product", "lines", "visible"), TARDIS_FILES)
def test_tardis_sample_replays_what_its_text_says(
    stem: str, product: str, lines: int, visible: int
) -> None:
    path = TARDIS / f"{stem}.csv"
    described = BTCUSDT_2020 if product == "BTCUSDT" else None
    ticks = read_ticks("tardis_csv", path, product, product=described)
    assert ticks.facts["lines"] == lines
    assert ticks.instrument["visible_levels"] == visible
    assert ticks.facts["clock"]["negative_latencies"] == 0
    with path.open(encoding="utf-8") as file:
        records = list(csv.DictReader(file))
    assert int(ticks.columns["exch_ns"][0]) == int(records[0]["timestamp"]) * 1_000
    assert int(ticks.columns["local_ns"][-1]) <= int(records[-1]["local_timestamp"]) * 1_000
    tick, lot = (Decimal(ticks.facts["product"][name]) for name in ("tick_size", "lot_size"))
    if "trades" in stem:
        told = [(Decimal(one["price"]) / tick, Decimal(one["amount"]) / lot) for one in records]
        assert told == list(
            zip(*(ticks.columns[n].tolist() for n in ("price", "qty")), strict=True)
        )
        return
    expected = book_of(records, tick, lot)
    assert standing(ticks) == expected


def book_of(records: list[dict[str, str]], tick: Decimal, lot: Decimal) -> dict[Any, int]:
    """Return the levels that stand at the end, by side and tick, as the text tells them."""
    last = records[-1]
    if "is_snapshot" in last:
        pairs = [(one["side"] == "ask", one["price"], one["amount"]) for one in records]
    elif "ask_price" in last:
        pairs = [
            (is_ask, last[f"{n}_price"], last[f"{n}_amount"])
            for is_ask, n in ((False, "bid"), (True, "ask"))
        ]
    else:
        names = [key.removesuffix(".price") for key in last if key.endswith(".price")]
        pairs = [(n.startswith("ask"), last[f"{n}.price"], last[f"{n}.amount"]) for n in names]
    book = {}
    for is_ask, price, amount in pairs:
        book[int(is_ask), int(Decimal(price) / tick)] = int(Decimal(amount) / lot)
    return {key: lots for key, lots in book.items() if lots}


def standing(ticks: Ticks) -> dict[Any, int]:
    """Return the levels that stand after the last row, by side and tick."""
    book: dict[Any, int] = {}
    names = ("kind", "side", "price", "qty")
    for kind, side, price, qty in zip(*(ticks.columns[n].tolist() for n in names), strict=True):
        if kind == KIND_CLEAR:
            book = {}
        elif kind == KIND_LEVEL:
            book[side, price] = qty
    return {key: lots for key, lots in book.items() if lots}


@pytest.mark.skipif(not BYBIT.is_file(), reason=f"no Bybit archive at {BYBIT}")
def test_bybit_archive_replays_what_its_text_says() -> None:
    ticks = read_ticks("bybit_ob", BYBIT, "XRPUSDT_BYBIT")
    facts = ticks.facts
    assert (facts["lines"], facts["snapshots"], facts["deltas"]) == (50, 1, 49)
    assert (facts["depth_gaps"], facts["crossed_messages"], facts["locked_messages"]) == (0, 0, 0)
    assert facts["levels_max"] == 500
    assert facts["topic"] == "orderbook.500.XRPUSDT"
    assert (np.diff(ticks.columns["exch_ns"]) >= 0).all()
    with zipfile.ZipFile(BYBIT) as archive:
        messages = [json.loads(line) for line in archive.open(archive.namelist()[0])]
    book: dict[Any, int] = {}
    for message in messages:
        for side, name in ((0, "b"), (1, "a")):
            for price, size in message["data"][name]:
                book[side, int(Decimal(price) * 10_000)] = int(size)
    assert standing(ticks) == {key: lots for key, lots in book.items() if lots}
