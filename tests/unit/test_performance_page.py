"""The table of measurements: how a figure counts against its bar, and that the page is its run."""

import json
import re
from pathlib import Path

import pytest

from benches.bench_row import Row, cells, row_from
from benches.peers import FASTMM, run_peer, speed_of
from benches.performance_page import PAGE, STORED, page, verdict
from benches.replay_cases import check_equal

ROOT = Path(__file__).resolve().parents[2]


def test_page_and_stored_run_agree() -> None:
    assert PAGE.read_text() == page(json.loads(STORED.read_text()))


def test_stored_run_names_no_place() -> None:
    assert not re.search(r"(?<![\w.])/(?:home|work|tmp|root|usr)/", STORED.read_text())


def test_times_scale_with_the_machine_and_ratios_do_not() -> None:
    slow = Row(name="time", runs=(12.0, 14.0, 13.0), bar=10.0)
    assert slow.value == 13.0
    assert slow.spread == pytest.approx(2 / 13)
    assert slow.bar_here(0.5) == 20.0
    assert slow.is_met(0.5)
    assert not slow.is_met(1.0)
    rate = Row(name="rate", runs=(1.8,), bar=2.0, higher_is_better=True)
    assert rate.is_met(0.8)
    ratio = Row(name="ratio", runs=(1.8,), bar=2.0, higher_is_better=True, is_scaled=False)
    assert not ratio.is_met(0.1)
    assert Row(name="no promise", runs=(1.0,)).is_met(1.0) is None


def test_row_survives_being_stored() -> None:
    row = Row(name="a", runs=(1.0, 2.0), bar=3.0, peers={"other": 4.0}, facts={"engine": "direct"})
    assert row_from(json.loads(json.dumps(row.document()))) == row


def test_other_programs_are_told_as_multiples_of_our_time() -> None:
    row = Row(name="a", runs=(2.0,), peers={"other": 50.0})
    assert cells(row, 1.0, ["other", "absent one"])[-2:] == ["50 (x 25)", ""]


def test_what_was_not_measured_is_told() -> None:
    rows = [
        Row(name="fast", runs=(1.0,), bar=2.0),
        Row(name="slow", runs=(3.0,), bar=2.0),
        Row(name="gone", absent="no file", bar=2.0),
    ]
    assert cells(rows[2], 1.0, ["other"])[1] == "not measured"
    text = verdict(rows, 1.0)
    assert "1 of 2 bars are met. Not met: slow (3, bar 2). Not measured: gone (no file)." in text


def test_different_results_stop_the_benchmark() -> None:
    check_equal({"direct": ("a", "b"), "compiled": ("a", "b")}, "maker")
    with pytest.raises(RuntimeError, match="maker: different results"):
        check_equal({"direct": ("a", "b"), "compiled": ("a", "c")}, "maker")


def test_program_that_is_not_there_is_told_with_the_command_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(FASTMM.variable, str(tmp_path / "python"))
    found = run_peer(FASTMM, tmp_path / "feed.npy", 0, 1, 10, {})
    assert found["absent"] == "not installed"
    assert found["install"] == (
        "python3 -m venv build/fastmm && build/fastmm/bin/pip install 'fastmm-engine[hot]==0.9.0'"
    )
    assert "!!! NO FastMM" in capsys.readouterr().err


def test_speed_of_a_machine_is_that_of_the_reference() -> None:
    runs = {"rows": {"replay": {"ns": [90.0, 2_000 / 21.3, 100.0]}}}
    assert speed_of(runs) == pytest.approx(0.5)
    assert speed_of({"absent": "not installed"}) == 1.0


def test_page_names_missing_programs_and_recordings() -> None:
    document = json.loads(STORED.read_text())
    document["peers"][FASTMM.name] = {"absent": "not installed", "install": FASTMM.install}
    document["rows"].append(Row(name="TXF day", absent="no file").document())
    text = page(document)
    assert f"| FastMM | not installed |  |  | `{FASTMM.install}`" in text
    assert "Not measured: TXF day (no file)." in text
