"""Figures of a tape, the verdicts on it, and the guesses about files."""

import gzip
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.data import ensure_tapes
from sweep.errors import DataError, InputError
from sweep.sniff import guess_instrument, guess_reader
from sweep.source import SourceConfig
from sweep.support import judge
from sweep.survey import Histogram, image_grid, survey_tape


def histogram(values: list[int]) -> Histogram:
    return Histogram(
        count=len(values),
        total=float(sum(values)),
        total_squares=float(sum(value * value for value in values)),
        low=min(values),
        high=max(values),
        bins=dict(Counter(values)),
    )


def test_percentiles_are_those_of_the_values() -> None:
    values = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3]
    counts = histogram(values)
    for percent in (1, 10, 25, 50, 75, 90, 99, 100):
        expected = np.percentile(values, percent, method="inverted_cdf")
        assert counts.percentile(percent) == expected, percent
    assert counts.mean == np.mean(values)
    assert counts.cv == pytest.approx(np.std(values) / np.mean(values))


def test_merged_counts_are_those_of_all_values() -> None:
    left, right = histogram([1, 2, 2]), histogram([0, 2, 7])
    left.merge(right)
    assert left == histogram([1, 2, 2, 0, 2, 7])
    left.merge(Histogram())
    assert left == histogram([1, 2, 2, 0, 2, 7])
    empty = Histogram()
    empty.merge(right)
    assert empty == right


@pytest.mark.parametrize(
    ("gaps", "period"),
    [
        ({125: 70, 250: 20, 375: 5, 124: 5}, 125),
        ({250: 70, 500: 20, 251: 5}, 250),
        ({100: 500, 200: 200, 37: 20}, 100),
        (dict.fromkeys(range(1, 1000), 10), None),
        ({1: 900, 2: 50, 3: 20}, None),
        ({}, None),
    ],
)
def test_grid_of_images_is_found(gaps: dict[int, int], period: int | None) -> None:
    found = image_grid(gaps)
    assert (found and found["period_ms"]) == period


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    cache = tmp_path_factory.mktemp("tapes")
    options = {"events": 30_000, "session_minutes": 1}
    config = SourceConfig(reader="synthetic", instrument="SYN", options=options)
    (tape,) = ensure_tapes(config, cache)
    return survey_tape(tape.path).document


def test_sessions_add_up(document: dict[str, Any]) -> None:
    sessions, measured = document["sessions"], document["measured"]
    assert len(sessions) > 1
    assert sum(session["rows"] for session in sessions) == document["rows"]
    assert sum(session["trades"] for session in sessions) == measured["mix"]["trades"]
    assert sum(session["lots_traded"] for session in sessions) == measured["prints"]["lots"]
    assert measured["trade_lots"]["count"] == measured["mix"]["trades"]
    # The nights between sessions are no gaps.
    assert measured["gap_ms"]["max"] < 60_000.0
    assert sum(measured["spread_time_share"].values()) == pytest.approx(1.0, abs=0.02)


def test_icebergs_show_that_not_all_is_displayed(document: dict[str, Any]) -> None:
    prints = document["measured"]["prints"] | {"inside": 0}
    facts = document["facts"] | {"checks": {"excess": {"action": "repair", "count": 27}}}
    measured = document["measured"] | {"prints": prints, "image_grid": None}
    for changed, answer in ((facts, "partly"), (document["facts"] | {"checks": {}}, "yes")):
        verdicts = judge(document | {"measured": measured, "facts": changed})
        found = [verdict for verdict in verdicts if verdict.question.endswith("displayed?")]
        assert [verdict.answer for verdict in found] == [answer]


def test_verdicts_follow_the_facts(document: dict[str, Any]) -> None:
    def answers(**changes: Any) -> dict[str, str]:
        changed = document | {"measured": document["measured"] | changes}
        return {verdict.question: verdict.answer for verdict in judge(changed)}

    queue = "Is the place of an order in its queue known?"
    whole = "Is the recording whole?"
    assert answers()[queue] == "partly"
    assert answers()[whole] == "yes"
    assert answers(gap_rows=3)[whole] == "partly"
    silence = [{"from": "2026-01-05T00:00:00Z", "seconds": 5_000.0}]
    assert answers(longest_gaps=silence)[whole] == "partly"
    assert answers(time_step_ns=1_000_000_000)["How fine are exchange times?"] == "no"
    assert answers(crossed_groups=1)["Is the book always sound?"] == "partly"
    empty = dict.fromkeys(document["measured"]["mix"], 0)
    assert answers(mix=empty)[queue] == "no"


def test_damaged_tape_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tape").write_bytes(b"no tape")
    with pytest.raises(DataError, match="too few"):
        survey_tape(tmp_path / "x.tape")


def pack(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("inside.csv", text)
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "text", "reader"),
    [
        ("day.gz", '1723161256000000000 {"stream": "x"}\n', "binance_raw"),
        ("day.txt", '1723161256000000000 {"stream": "x"}\n', "binance_raw"),
        ("book.csv", "exchange,symbol,timestamp,local_timestamp,side\n", "tardis_csv"),
        ("book.csv.gz", "exchange,symbol,timestamp,local_timestamp,side\n", "tardis_csv"),
        ("x.data.zip", '{"topic":"orderbook.500.XRPUSDT","type":"snapshot"}\n', "bybit_ob"),
        ("Daily_2021_07_26.zip", "", "taifex_daily"),
        ("es.mbo.dbn.zst", "", "databento"),
        ("es.dbn", "DBN\1", "databento"),
        ("AAPL_2012-06-21_34200000_57600000_message_10.csv", "34200.1,1,2,3,4,1\n", "lobster"),
        ("events.npz", "", "hftbacktest"),
        ("quotes.txt", ("x" * 190 + "\n") * 2, "twse_fixed"),
        ("AAPL_2012-06-21_34200000_57600000_orderbook_10.csv", "1,2,3,4\n", None),
        ("notes.txt", "hello\n", None),
        ("empty.csv", "", None),
        ("cut.gz", "", None),
    ],
)
def test_reader_is_guessed_from_name_and_content(
    name: str, text: str, reader: str | None, tmp_path: Path
) -> None:
    path = pack(tmp_path / name, text)
    if reader is None:
        with pytest.raises(InputError, match=re_of(path)):
            guess_reader(path)
    else:
        assert guess_reader(path).reader == reader


def re_of(path: Path) -> str:
    return path.name.replace(".", r"\.")


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("TXFD6_2026-04-09_replay_actual.parquet", "TXF"),
        ("TXO35000Q6_2026-04-17.parquet", "TXO"),
        ("esh4-glbx-mdp3-20231225.mbo.dbn.zst", "ES"),
        ("usdm_btcusdt_20240808.gz", "BTCUSDT"),
        ("spot_btcusdt_20240808.gz", "BTCUSDT_SPOT"),
        ("cm_btcusd_perp_20240808.gz", "BTCUSD_PERP"),
        ("deribit_incremental_book_L2_BTC-PERPETUAL.csv", "BTC-PERPETUAL"),
        ("AAPL_GOOG.csv", None),
        ("futures_2024-07-01.dbn.zst", None),
        ("replay.parquet", None),
    ],
)
def test_product_is_guessed_from_the_name(name: str, product: str | None, tmp_path: Path) -> None:
    if product is None:
        with pytest.raises(InputError, match="give --instrument"):
            guess_instrument(tmp_path / name)
    else:
        assert guess_instrument(tmp_path / name) == product
