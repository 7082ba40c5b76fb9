"""Queue models fitted and scored: against a slow twin, and against sums done by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

import rustsim
from sweep.data import ensure_tapes
from sweep.errors import InputError
from sweep.queue_fit import (
    PARAMETERS,
    GhostSettings,
    calibrate_queue,
    calibration_error,
    differences,
    model_figures,
    rounded,
    stretches,
    study_fragment,
)
from sweep.source import SourceConfig
from sweep.studyfile import load_study
from tests.toys.ghost_twin import GhostTwin, probability, sums

SECOND = 1_000_000_000
STUDY = Path(__file__).parents[2] / "experiments" / "quickstart.yaml"
MODELS: list[dict[str, Any]] = [
    {"model": "uniform"},
    {"model": "power", "n": 0.6},
    {"model": "power2", "n": 0.2},
    {"model": "power3", "n": 3.0},
    {"model": "log"},
    {"model": "log2"},
    {"model": "odds", "alpha": -1.8, "beta": 0.6},
    {"model": "odds_size", "alpha": 0.5, "beta": 0.4, "gamma": -2.8},
]
OPTIONS: dict[str, Any] = {
    "every_ns": SECOND,
    "horizon_ns": 20 * SECOND,
    "block_ns": 30 * SECOND,
    "replications": 3,
    "seed": 5,
    "models": MODELS,
    "keeps_cancels": True,
}


def market(folder: Path, mode: str = "l3", **options: Any) -> Path:
    values = {"mode": mode, "events": 6_000, "seed": 4, "mean_gap_us": 40_000.0} | options
    source = SourceConfig(reader="synthetic", instrument="SYN", options=values)
    return ensure_tapes(source, folder)[0].path


@pytest.fixture(scope="module")
def tape_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return market(tmp_path_factory.mktemp("tapes"))


def scanned(path: Path, step: int) -> rustsim.GhostScan:
    tape = rustsim.Tape.open(str(path))
    from_ns, until_ns = tape.exch_ns(0) + 2 * SECOND, tape.exch_ns(tape.row_count - 1)
    scan = rustsim.GhostScan(json.dumps(OPTIONS))
    scan.open(tape, 0, tape.row_count, from_ns=from_ns, until_ns=until_ns)
    while scan.advance(step):
        pass
    return scan


@pytest.fixture(scope="module")
def twin(tape_path: Path) -> GhostTwin:
    tape = rustsim.Tape.open(str(tape_path))
    rows = tape.rows(0, tape.row_count)
    twin = GhostTwin(OPTIONS, rows[0][0] + 2 * SECOND, rows[-1][0])
    twin.scan(rows)
    return twin


def test_scan_is_that_of_its_slow_twin(tape_path: Path, twin: GhostTwin) -> None:
    assert len(twin.episodes) > 100
    report = json.loads(scanned(tape_path, 999).report())
    counts = report["counts"]
    assert counts["joined"] == twin.joined
    assert counts["contradicted"] == twin.wrong
    assert counts["lost"] == twin.lost
    assert counts["consistent"] == len(twin.episodes)
    assert counts["filled"] == sum(ghost.is_filled for ghost in twin.episodes)
    assert counts["cancels"] == sum(len(ghost.cancels) for ghost in twin.episodes)
    for index, (spec, score) in enumerate(zip(MODELS, report["scores"], strict=True)):
        expected = sums(twin, index, spec)
        assert {key: score[key] for key in expected} == pytest.approx(expected, rel=1e-6), spec


def test_pieces_of_rows_do_not_matter(tape_path: Path) -> None:
    reports = {scanned(tape_path, step).report() for step in (1_000, 1 << 20)}
    assert len(reports) == 1


@pytest.mark.parametrize("model", PARAMETERS)
def test_no_parameters_near_the_fitted_ones_are_more_likely(
    tape_path: Path, twin: GhostTwin, model: str
) -> None:
    cancels = [cancel for ghost in twin.episodes for cancel in ghost.cancels]

    def loss(spec: dict[str, Any]) -> float:
        scores = sums(twin, 0, spec)
        return scores["loss"] / len(cancels)

    found = json.loads(scanned(tape_path, 1 << 20).fit(model))
    best = loss(found["queue"])
    assert found["cancels"] == len(cancels)
    assert best == pytest.approx(found["loss"], rel=1e-9)
    for key in PARAMETERS[model]:
        for step in (-0.02, 0.02):
            moved = found["queue"] | {key: found["queue"][key] * (1.0 + step)}
            is_inside = moved[key] >= {"power3": 1.0}.get(model, 0.0)
            assert not is_inside or loss(moved) > best, key


def test_fitted_on_one_half_and_scored_on_the_other(tape_path: Path) -> None:
    settings = GhostSettings(every_s=1.0, horizon_s=10.0, replications=8)
    seen: list[int] = []
    parts = stretches([tape_path])
    found = calibrate_queue(parts, settings, is_scored=True, progress=seen.append)
    models = {model["name"]: model for model in found["models"]}
    assert len(models) == 8 + len(PARAMETERS)
    # The market cancels at u^3.3 of the queue from its back, so odds beats what leans otherwise.
    assert models["odds fitted"]["log_loss"] < models["uniform"]["log_loss"]
    assert models["odds fitted"]["position_mae"] < models["uniform"]["position_mae"]
    assert models["uniform"]["position_bias"] < 0.0 < models["back"]["position_bias"]
    assert models["back"]["log_loss"] is None
    assert models["back"]["false_fills"] == models["front"]["missed_fills"] == 0.0
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    again = calibrate_queue(parts, settings, is_scored=True)
    assert again == found


def test_fragment_is_a_study(tape_path: Path) -> None:
    found = calibrate_queue(stretches([tape_path]), GhostSettings(every_s=1.0), is_scored=False)
    for key, model in (("study", "odds_size"), ("study_coarse", "odds")):
        text = " ".join(found[key].split())
        assert text.startswith(f"world: queue: {model}: alpha:")
    queue = found["fit"]["odds_size"]["queue"]
    inner = ", ".join(f"{name}: {queue[name]}" for name in PARAMETERS["odds_size"])
    world = load_study(STUDY, [f"world.queue={{odds_size: {{{inner}}}}}"]).world
    assert (world.queue, world.queue_alpha, world.queue_gamma) == (
        "odds_size",
        queue["alpha"],
        queue["gamma"],
    )
    assert study_fragment({"model": "power", "n": 0.61234, "alpha": 0.0}).endswith("n: 0.6123\n")
    assert rounded({"model": "log2", "n": 2.0}) == {"model": "log2"}


def test_feeds_without_orders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no row names the order"):
        stretches([market(tmp_path, "l2")])


def test_unknown_sessions_and_odd_settings_are_refused(tape_path: Path) -> None:
    with pytest.raises(InputError, match="no session 'night'"):
        stretches([tape_path], "night")
    with pytest.raises(InputError, match="every_s"):
        GhostSettings(every_s=0.0)
    with pytest.raises(rustsim.SpecError, match="horizon_ns"):
        rustsim.GhostScan(json.dumps(OPTIONS | {"horizon_ns": 0}))
    with pytest.raises(rustsim.SpecError, match="unknown model"):
        rustsim.GhostScan(json.dumps(OPTIONS | {"models": [{"model": "middle"}]}))


BLOCK = {"cancels": 10, "loss": 5.0, "ghosts": 2, "error_abs": 0.2}


def score(**changes: Any) -> dict[str, Any]:
    bins = [{"count": 2, "said": 0.1, "came": 0}, {"count": 2, "said": 1.6, "came": 2}]
    numbers = dict.fromkeys(
        ("error", "fill_loss", "false_fills", "missed_fills", "fill_time_abs_s"), 0.0
    )
    sums = {"cancels": 4, "loss": 2.0, "brier": 1.0, "impossible": 0, "bins": bins}
    ghosts = {"ghosts": 2, "error_abs": 0.5, "episodes": 0, "fill_brier": 0.0, "fill_bins": bins}
    blocks = {"blocks": {str(key): BLOCK for key in range(8)}, "both_filled": 0}
    return numbers | sums | ghosts | blocks | changes


def test_figures_are_means_of_the_sums() -> None:
    figures = model_figures(score())
    assert (figures["log_loss"], figures["brier"], figures["position_mae"]) == (0.5, 0.25, 0.25)
    # Bins of 2 and 2: said 0.05 and 0.8, came true 0 and 1.
    assert calibration_error(score()["bins"]) == pytest.approx(0.5 * 0.05 + 0.5 * 0.2)
    assert figures["fill_brier"] is None
    assert model_figures(score(impossible=1))["log_loss"] is None


def test_intervals_are_of_the_difference() -> None:
    less = {key: BLOCK | {"loss": 3.0} for key in score()["blocks"]}
    found = differences(score(), score(blocks=less))
    assert found["log_loss"] == pytest.approx([0.2, 0.2])
    assert found["position_mae"] == pytest.approx([0.0, 0.0])
    assert differences(score(impossible=1), score())["log_loss"] is None
    few = score(blocks={"1": BLOCK})
    assert differences(few, few) == {"log_loss": None, "position_mae": None}


def test_twin_knows_the_worked_numbers() -> None:
    # 70 ahead, 50 behind: the column of docs/models.md.
    expected = (0.583333, 0.662162, 0.826389, 0.198495, 0.520188, 0.180151)
    names = ("uniform", "power", "power2", "power3", "log", "log2")
    for name, number in zip(names, expected, strict=True):
        spec = {"model": name, "n": 3.0 if name == "power3" else 2.0}
        assert probability(spec, 70.0, 50.0, False) == pytest.approx(number, abs=5e-7)
