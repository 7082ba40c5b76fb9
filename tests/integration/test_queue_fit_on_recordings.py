"""`calibrate queue` as a user meets it, and its figures on recordings of single orders."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_cli import sweep

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("SWEEP_SHARED_DATA", ROOT.parent / "shared" / "data"))
ES = SHARED / "cme_es_mbo" / "esh4-glbx-mdp3-20231225.mbo.dbn.zst"
APPLE = SHARED / "lobster_aapl" / "AAPL_2012-06-21_34200000_36600000_message_50.csv.zst"
APPLE_BOOK = "AAPL_2012-06-21_orderbook_10_first_999_rows.csv.zst"


def scored(folder: Path, path: Path, *arguments: str) -> dict[str, Any]:
    if not path.exists():
        pytest.skip(f"no recording at {path}: set SWEEP_SHARED_DATA to the folder of recordings")
    words = ("calibrate", "queue", "--score", "--json", "--replications", "4")
    done = sweep(*words, str(path), *arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def by_name(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {model["name"]: model for model in document["models"]}


def test_fitted_odds_are_near_the_truth_of_es(tmp_path: Path) -> None:
    found = scored(tmp_path, ES)
    models = by_name(found)
    odds, sizes = models["odds fitted"], models["odds_size fitted"]
    assert odds["log_loss"] <= 0.50
    assert odds["position_mae"] <= 0.050
    assert sizes["log_loss"] <= 0.40
    assert sizes["position_mae"] <= 0.040
    assert found["score_counts"]["consistent"] > 2_500
    # The customary models, measured elsewhere on the same hour: 0.519 / 0.060 and 1.008 / 0.120.
    assert models["log2"]["log_loss"] == pytest.approx(0.519, abs=0.01)
    assert models["log2"]["position_mae"] == pytest.approx(0.060, abs=0.006)
    assert models["uniform"]["log_loss"] == pytest.approx(1.008, abs=0.05)
    assert models["uniform"]["position_mae"] == pytest.approx(0.120, abs=0.006)
    # What a model says comes true, and the better of two is not so by chance.
    assert odds["ece"] < 0.03
    assert sizes["less_odds"]["log_loss"][1] < 0.0
    assert sizes["less_odds"]["position_mae"][1] < 0.0
    assert models["uniform"]["less_odds"]["log_loss"][0] > 0.0
    # Bounds: nothing fills less than back, nothing more than front.
    assert models["back"]["false_fills"] == 0.0
    assert models["front"]["missed_fills"] == 0.0


def test_sizes_tell_most_on_apple(tmp_path: Path) -> None:
    options = ("--set", "orderbook=none", "--set", f"seed={APPLE_BOOK}")
    found = scored(tmp_path, APPLE, "--reader", "lobster", "--instrument", "AAPL", *options)
    models = by_name(found)
    assert models["odds fitted"]["log_loss"] < models["log2"]["log_loss"]
    assert models["odds_size fitted"]["log_loss"] < 0.5 * models["odds fitted"]["log_loss"]
    assert models["odds fitted"]["queue"]["beta"] >= 0.0


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("market")
    options = ("--set", "mode=l3", "--set", "events=20000", "--set", "mean_gap_us=40000")
    made = sweep("data", "generate", "orders.tape", *options, folder=folder)
    assert made.returncode == 0, made.stderr
    return folder / "orders.tape"


def test_page_shows_every_model_and_a_study(tape: Path, tmp_path: Path) -> None:
    arguments = (str(tape), "--every", "1", "--horizon", "10", "--replications", "4")
    done = sweep("calibrate", "queue", "--score", *arguments, "--png", "page.png", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in ("back", "power3 n 3", "log2", "odds (", "odds_size (", "always the same share"):
        assert words in done.stdout
    assert "      odds_size:\n        alpha: " in done.stdout
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    plain = sweep("calibrate", "queue", *arguments, folder=tmp_path)
    assert plain.returncode == 0, plain.stderr
    assert "log-loss on the same cancels" in plain.stdout


def test_scores_are_told_even_if_the_picture_cannot_be_written(tape: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    arguments = (str(tape), "--every", "1", "--horizon", "10", "--replications", "1")
    for picture, code, words in (
        ("taken/page.png", 6, "cannot be written: "),
        ("page.unknown", 2, "no form of picture; its name must end in one of"),
    ):
        done = sweep("calibrate", "queue", "--score", *arguments, "--png", picture, folder=tmp_path)
        assert done.returncode == code, (picture, done.stderr)
        assert f"{picture}: {words}" in done.stderr
        assert "Traceback" not in done.stderr
        assert "always the same share" in done.stdout


def test_wrong_calls_are_refused(tape: Path, tmp_path: Path) -> None:
    for arguments, words in (
        ((str(tape), "--png", "page.png"), "give --score too"),
        ((str(tape), "--session", "night"), "no session 'night'"),
        ((str(tape), "--every", "0"), "every_s"),
        ((str(tape), "--every", "1e5"), "every_s"),
        (("missing.tape",), "no such file"),
    ):
        done = sweep("calibrate", "queue", *arguments, folder=tmp_path)
        assert done.returncode == 2, (arguments, done.stderr)
        assert words in done.stderr
        assert "Traceback" not in done.stderr
