"""The synthetic market fitted to recorded ones: what is near, and what is known not to be."""

import os
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from sweep.calibration import calibrate, compare, generated_figures, read_recording
from sweep.data import ensure_tapes
from sweep.market_statistics import STATISTICS
from sweep.source import SourceConfig

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("SWEEP_SHARED_DATA", ROOT.parent / "shared" / "data"))

# Recording, reader, product, options of the reader, and how many statistics may be outside of their
# tolerances without a reason: as many as docs/data.md shows, and a few for other machines' trials.
RECORDINGS: Final[list[tuple[str, str, str, dict[str, Any], int]]] = [
    ("taifex_l2/TXFD6_2026-04-09_replay_actual.parquet", "shioaji_parquet", "TXF", {}, 3),
    ("cme_es_mbo/esh4-glbx-mdp3-20231225.mbo.dbn.zst", "databento", "ES", {}, 4),
    (
        "lobster_aapl/AAPL_2012-06-21_34200000_36600000_message_50.csv.zst",
        "lobster",
        "AAPL",
        {
            "orderbook": "none",
            "seed": "AAPL_2012-06-21_orderbook_10_first_999_rows.csv.zst",
        },
        4,
    ),
]


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize(
    ("name", "reader", "product", "options", "outside_max"),
    RECORDINGS,
    ids=[entry[2] for entry in RECORDINGS],
)
def test_generated_market_is_near_the_recorded_one(
    tmp_path: Path,
    name: str,
    reader: str,
    product: str,
    options: dict[str, Any],
    outside_max: int,
) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"no recording at {path}: set SWEEP_SHARED_DATA to the folder of recordings")
    source = SourceConfig(reader=reader, instrument=product, paths=(path,), options=options)
    recording = read_recording(ensure_tapes(source, tmp_path / "tapes")[0].path)
    found = calibrate(recording, {}, tmp_path / "trials", seconds_max=1e9)
    assert found.is_done
    values = {**found.options, "events": recording.figures["rows"]}
    lines = compare(recording.figures, generated_figures(values))
    verdicts = Counter(line.verdict for line in lines)
    assert len(lines) == len(STATISTICS)
    assert verdicts["outside"] <= outside_max, [line for line in lines if line.verdict == "outside"]
    measured = len(lines) - verdicts["not measured"]
    assert verdicts["within"] >= 0.8 * measured
    assert all(line.reason for line in lines if line.verdict == "not reproduced")
