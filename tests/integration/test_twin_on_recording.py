"""The engine against its slow twin on one recorded hour: a tape from Python, a test in Rust."""

import os
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sweep.data import ensure_tapes
from sweep.source import SourceConfig

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("SWEEP_SHARED_DATA", ROOT.parent / "shared" / "data"))
RECORDINGS = {
    "levels": (
        "shioaji_parquet",
        "TXF",
        "taifex_l2/TXFD6_2026-04-09_replay_actual.parquet",
        datetime(2026, 4, 9, 9, tzinfo=ZoneInfo("Asia/Taipei")),
    ),
    "orders": (
        "databento",
        "ES",
        "cme_es_mbo/esh4-glbx-mdp3-20231225.mbo.dbn.zst",
        datetime(2023, 12, 25, 23, tzinfo=ZoneInfo("UTC")),
    ),
}


@pytest.mark.parametrize("case", RECORDINGS)
def test_twin_agrees_with_the_engine_on_a_recorded_hour(case: str, tmp_path: Path) -> None:
    reader, instrument, name, hour = RECORDINGS[case]
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"No recording at {path}: set SWEEP_SHARED_DATA to the data folder")
    cargo = shutil.which("cargo")
    if cargo is None:
        pytest.skip("No cargo: the twin is a Rust test")
    source = SourceConfig(reader=reader, instrument=instrument, paths=(path,))
    (tape,) = ensure_tapes(source, tmp_path)
    environment = os.environ | {
        "SWEEP_TWIN_TAPE": str(tape.path),
        "SWEEP_TWIN_FROM_NS": str(int(hour.timestamp()) * 1_000_000_000),
    }
    manifest = str(ROOT / "rustsim" / "Cargo.toml")
    command = [cargo, "test", "--locked", "--manifest-path", manifest, "--test", "reference"]
    test = "engine_and_twin_agree_on_a_recorded_hour"
    done = subprocess.run(
        [*command, "--", "--ignored", "--exact", test],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "1 passed" in done.stdout
