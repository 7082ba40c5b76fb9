"""Every recording of the developer set imports, or is refused with the right reason.

One line per file: how it is read, what a check finds, what the README of the set says about it.
Skipped where the set is absent; `SWEEP_SHARED_DATA` says where it lies.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from sweep.checking import check_source
from sweep.data import ensure_tapes
from sweep.errors import InputError
from sweep.readers import READERS
from sweep.sniff import guess_reader
from sweep.source import SourceConfig
from sweep.survey import survey_tape

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("SWEEP_SHARED_DATA", ROOT.parent / "shared" / "data"))

pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"NOT TESTED: no recordings in {SHARED} (SWEEP_SHARED_DATA)"
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is known about one file.

    Attributes:
        path: Below the folder of the set.
        reader: The reader that fits, which a guess finds as well.
        instrument: Product.
        outcome: Of a check with the reader's default actions.
        options: Of the reader.
        rows: Rows of the tape.
        problem: Part of the reason for a refusal.
        rules: Counts of broken rules; all others hold, but `far_price`, which deep books break.
        facts: Facts of the reader, by dotted name.
        check: Actions with which the file is imported.
        product: Description in place of the catalogue's.
        measured: Figures of the tape, by dotted name; see `sweep.survey`.
        support: Answers of verdicts, by a word of their question.
        guesses: Reader that is guessed, if it is another one or none.
    """

    path: str
    reader: str
    instrument: str
    outcome: str
    options: Mapping[str, Any] = field(default_factory=dict)
    rows: int = 0
    problem: str = ""
    rules: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    check: Mapping[str, str] = field(default_factory=dict)
    product: Mapping[str, Any] = field(default_factory=dict)
    measured: Mapping[str, Any] = field(default_factory=dict)
    support: Mapping[str, str] = field(default_factory=dict)
    guesses: str | None = "reader"

    @property
    def config(self) -> SourceConfig:
        """The source, with the actions with which it is imported."""
        return SourceConfig(
            reader=self.reader,
            instrument=self.instrument,
            paths=(SHARED / self.path,),
            options=dict(self.options),
            check=dict(self.check),
            product=dict(self.product),
        )


def taifex_l2(name: str, instrument: str, recorded: int, added: int, **more: Any) -> Case:
    return Case(
        path=f"taifex_l2/{name}_replay_actual.parquet",
        reader="shioaji_parquet",
        instrument=instrument,
        outcome=more.pop("outcome", "sound"),
        rows=recorded + added,
        facts={
            "rows_recorded": recorded,
            "crossed_groups": 0,
            "levels_max": 5,
            "local_clock": False,
            "time": "whole milliseconds, restored from values off by up to 192 ns",
        },
        measured={
            "crossed_groups": 0,
            "levels_a_side.p50": 5.0,
            "levels_a_side.max": 5.0,
            "image_grid.period_ms": 125,
            "time_step_ns": 1_000_000,
            "has_joins": False,
        },
        support={"place of an order": "partly", "told by itself": "no", "delay": "no"},
        **more,
    )


def binance(name: str, instrument: str, lines: int, rows: int, negative: int, **more: Any) -> Case:
    """Every clock of these recordings is 1.25 to 1.28 s behind the exchange's."""
    rules = {"clock_offset": negative} | more.pop("rules", {})
    return Case(
        path=f"binance/{name}_20240808.gz",
        reader="binance_raw",
        instrument=instrument,
        outcome="broken",
        rows=rows,
        rules=rules,
        facts={
            "lines": lines,
            "depth_gaps": 0,
            "crossed_messages": 0,
            "quote_prices_differ": 0,
            "clock.negative_latencies": negative,
        },
        check={"clock_offset": "repair"} | more.pop("check", {}),
        support={"place of an order": "partly", "started a trade": "yes", "deep": "yes"},
        **more,
    )


def tardis(name: str, instrument: str, *, lines: int, rows: int, **more: Any) -> Case:
    return Case(
        path=f"tardis_samples/{name}.csv",
        reader="tardis_csv",
        instrument=instrument,
        outcome="sound",
        rows=rows,
        facts={"lines": lines, "clock.negative_latencies": 0, "clock.local_clock": True},
        measured={"crossed_groups": 0},
        support={"delay": "yes"},
        **more,
    )


# The catalogue's tick is that of later years.
BTCUSDT_OF_2020 = {
    "venue": "BINANCE_USDM",
    "currency": "USDT",
    "minor_per_unit": 100_000_000,
    "tick_size": "0.01",
    "lot_size": "0.001",
    "multiplier": "1",
}
AAPL = "lobster_aapl/AAPL_2012-06-21"
GOOG = "lobster_goog/GOOG_2012-06-21_34200000_57600000"

CASES = [
    taifex_l2("TXFD6_2026-04-09", "TXF", 1_056_292, 11),
    taifex_l2("TXFD6_2026-04-10", "TXF", 899_554, 11),
    taifex_l2("TMFD6_2026-04-10", "TMF", 1_069_308, 11),
    taifex_l2("TXO35000Q6_2026-04-17", "TXO", 66_907, 10, outcome="noted"),
    Case(
        path="cme_es_mbo/esh4-glbx-mdp3-20231225.mbo.dbn.zst",
        reader="databento",
        instrument="ES",
        outcome="noted",
        rows=69_517,
        rules={"excess": 27, "not_front": 534},
        facts={
            "schema": "mbo",
            "dbn_version": 1,
            "records": 68_792,
            "snapshot_orders": 8_725,
            "symbol": "ESH4",
        },
        # Crossed only before the open, which is auction time.
        measured={"crossed_groups": 0, "has_joins": True},
        support={"place of an order": "yes", "delay": "yes", "exchange times": "yes"},
    ),
    Case(
        path="cme_es_mbo/esh4-glbx-mdp3-20231224.mbo.dbn.zst",
        reader="databento",
        instrument="ES",
        outcome="noted",
        rows=8_726,  # and a clear
        facts={"records": 8_725, "snapshot_orders": 8_725, "orders.packets": 1},
    ),
    Case(
        path="cme_es_mbo/futures_mbp-1_2024-07-01.dbn.zst",
        reader="databento",
        instrument="ES",
        outcome="noted",
        rows=2_268,
        rules={"local_clock": 1},
        facts={"schema": "mbp-1", "records": 2_288, "trades": 120, "traded_lots": 253},
        measured={"levels_a_side.p50": 1.0, "crossed_groups": 0, "mix.trades": 120},
        support={"place of an order": "partly", "deep": "no"},
    ),
    Case(
        path="cme_es_mbo/futures_trades_2024-07-01.dbn.zst",
        reader="databento",
        instrument="ES",
        outcome="sound",
        rows=121,
        facts={"schema": "trades", "records": 120, "trades": 120, "traded_lots": 253},
        support={"place of an order": "no"},
    ),
    Case(
        path="taifex_trades/Daily_2021_07_26.zip",
        reader="taifex_daily",
        instrument="TXF",
        outcome="sound",
        rows=95_414,
        facts={"lines": 449_454, "contract": "TX 202108", "trades_per_second_max": 317},
        measured={"time_step_ns": 1_000_000_000},
        support={"place of an order": "no", "exchange times": "no", "started a trade": "no"},
    ),
    Case(
        path="taifex_trades/Daily_2021_07_26_B.zip",
        reader="taifex_daily",
        instrument="TXF",
        outcome="refused",
        problem="a summary of spread volumes",
    ),
    Case(
        path="taifex_trades/Daily_2021_07_26_C.zip",
        reader="taifex_daily",
        instrument="TXF",
        outcome="refused",
        problem="the trades of TX are calendar spreads",
    ),
    Case(
        path="twse_eshop/dsp_sample_190b.txt",
        reader="twse_fixed",
        instrument="0050",
        outcome="sound",
        rows=112,
        facts={"records": 40, "records_chosen": 20, "time": "microseconds"},
    ),
    Case(
        path="twse_eshop/dsp_sample_old.txt",
        reader="twse_fixed",
        instrument="0050",
        outcome="refused",
        problem="no record of 0050 among 33",
    ),
    Case(
        path="twse_eshop/mth_sample.txt",
        reader="twse_fixed",
        instrument="9945",
        outcome="noted",
        rows=18,
        rules={"two_sides": 3},
        facts={"records": 33, "trades": 18, "time": "hundredths of a second"},
        support={"place of an order": "no", "started a trade": "no"},
    ),
    Case(
        path="twse_eshop/odr_sample.txt",
        reader="twse_fixed",
        instrument="0050",
        outcome="refused",
        problem="an order file",
    ),
    Case(
        path=f"{AAPL}_34200000_36600000_message_50.csv.zst",
        reader="lobster",
        instrument="AAPL",
        outcome="noted",
        options={
            "orderbook": "none",
            "seed": "AAPL_2012-06-21_orderbook_10_first_999_rows.csv.zst",
            "best_states": "AAPL_2012-06-21_orderbook_1_first_19959_rows.csv.zst",
        },
        rows=65_686,
        rules={"hidden_off_grid": 17, "not_front": 19, "unknown_order": 34},
        facts={
            "lines": 65_718,
            "best_states.rows": 19_959,
            "best_states.distinct": 18_241,
            "best_states.found_in_order": 18_223,
            "best_states.share": 0.999013,  # the 99.9 % of the README
            "orders.fifo_share": 0.993867,  # and its 99.4 %
        },
        measured={"has_joins": True, "crossed_groups": 0},
        support={"place of an order": "yes", "told by itself": "yes", "exchange times": "yes"},
    ),
    Case(
        path=f"{AAPL}_message_10_first_999_rows.csv.zst",
        reader="lobster",
        instrument="AAPL",
        outcome="noted",
        rows=1_665,
        rules={"cut_line": 2},  # the files end inside of a line
        facts={"lines": 999, "levels": 10, "orders.fifo_share": 1.0},
        measured={"has_joins": True, "crossed_groups": 0},
    ),
    Case(
        path=f"{AAPL}_orderbook_10_first_999_rows.csv.zst",
        reader="lobster",
        instrument="AAPL",
        outcome="refused",
        problem="no orderbook file lies beside it",
        guesses=None,
    ),
    Case(
        path=f"{AAPL}_orderbook_1_first_19959_rows.csv.zst",
        reader="lobster",
        instrument="AAPL",
        outcome="refused",
        problem="no orderbook file lies beside it",
        guesses=None,
    ),
    Case(
        path=f"{GOOG}_message_1.csv.zst",
        reader="lobster",
        instrument="GOOG",
        outcome="noted",
        rows=81_283,
        rules={"hidden_off_grid": 50},
        facts={
            "lines": 49_482,
            "levels": 1,
            "orders.executions": 7_764,
            "orders.executions_at_best": 7_764,  # 100 % of the visible ones
            "queue": "not reconstructible: orders are told only while they are at the best price",
        },
        measured={"crossed_groups": 0, "has_joins": False},
        support={"place of an order": "partly", "deep": "no"},
    ),
    Case(
        path=f"{GOOG}_orderbook_1.csv.zst",
        reader="lobster",
        instrument="GOOG",
        outcome="refused",
        problem="no orderbook file lies beside it",
        guesses=None,
    ),
    tardis(
        "binance-futures_book_snapshot_25_BTCUSDT",
        "BTCUSDT",
        lines=10,
        rows=64,
        product=BTCUSDT_OF_2020,
    ),
    tardis(
        "binance-futures_book_snapshot_5_BTCUSDT",
        "BTCUSDT",
        lines=10,
        rows=26,
        product=BTCUSDT_OF_2020,
    ),
    tardis("bitmex_trades_XBTUSD", "XBTUSD", lines=10, rows=10),
    tardis("deribit_incremental_book_L2_BTC-PERPETUAL", "BTC-PERPETUAL", lines=15, rows=16),
    tardis("huobi-dm-swap_quotes_BTC-USD", "BTC-USD_HUOBI", lines=10, rows=13),
    Case(
        path="bybit/xrpusdt-ob500.data.zip",
        reader="bybit_ob",
        instrument="XRPUSDT_BYBIT",
        outcome="sound",
        rows=3_967,
        facts={"lines": 50, "deltas": 49, "depth_gaps": 0, "levels_max": 500},
        measured={"crossed_groups": 0, "time_step_ns": 1_000_000},
        support={"place of an order": "partly", "delay": "no"},
    ),
    binance("usdm_btcusdt", "BTCUSDT", 93_954, 466_572, 93_953),
    binance("usdm_ethusdt", "ETHUSDT", 74_655, 444_487, 74_654),
    binance(
        "spot_btcusdt",
        "BTCUSDT_SPOT",
        41_249,
        135_830,
        13_208,
        rules={"lot_grid": 3},
        check={"lot_grid": "repair"},
    ),
    binance("cm_btcusd_perp", "BTCUSD_PERP", 48_270, 300_033, 48_269),
]


def name_of(case: Case) -> str:
    name = case.path.rsplit("/", 1)[-1]
    return f"{name}:{case.options['schema']}" if "schema" in case.options else name


def value_of(document: Mapping[str, Any], dotted: str) -> Any:
    value: Any = document
    for part in dotted.split("."):
        value = value[part]
    return value


def test_every_file_of_the_set_is_in_the_table() -> None:
    known = {case.path for case in CASES}
    files = {path.relative_to(SHARED).as_posix() for path in SHARED.glob("*/*")}
    assert files == known


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_check_finds_what_is_known_about_the_file(case: Case) -> None:
    if case.reader not in READERS:
        pytest.skip(f"NOT TESTED: no reader {case.reader}")
    found = check_source(replace(case.config, check={}), SHARED / case.path)
    assert case.problem in found["problem"]
    assert bool(found["problem"]) == (case.outcome == "refused"), found["problem"]
    assert found["outcome"] == case.outcome
    if case.outcome == "refused":
        assert case.path in found["problem"]
        return
    assert found["rows"] == case.rows
    assert sum(session["rows"] for session in found["sessions"]) == case.rows
    for name, expected in case.facts.items():
        assert value_of(found["facts"], name) == expected, name
    broken = {name: rule["count"] for name, rule in found["rules"].items() if rule["count"]}
    assert {name: n for name, n in broken.items() if name != "far_price"} == dict(case.rules)
    for rule in broken:
        assert found["rules"][rule]["first"], rule


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_reader_is_guessed(case: Case) -> None:
    if case.reader not in READERS:
        pytest.skip(f"NOT TESTED: no reader {case.reader}")
    expected = case.reader if case.guesses == "reader" else case.guesses
    try:
        assert guess_reader(SHARED / case.path).reader == expected
    except InputError:
        assert expected is None


@pytest.mark.parametrize("case", [case for case in CASES if case.outcome != "refused"], ids=name_of)
def test_tape_of_the_file_can_be_inspected(case: Case, tmp_path: Path) -> None:
    if case.reader not in READERS:
        pytest.skip(f"NOT TESTED: no reader {case.reader}")
    (tape,) = ensure_tapes(case.config, tmp_path)
    document = survey_tape(tape.path).document
    assert document["rows"] == sum(session["rows"] for session in document["sessions"])
    for name, expected in case.measured.items():
        assert value_of(document["measured"], name) == expected, name
    answers = {verdict["question"]: verdict["answer"] for verdict in document["support"]}
    for word, expected in case.support.items():
        (question,) = [question for question in answers if word in question]
        assert answers[question] == expected, question
