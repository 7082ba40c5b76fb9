"""Every latency and queue model of the core can be named in a study file, and arrives there."""

import json
from pathlib import Path
from typing import Any

import pytest

import rustsim
from sweep.document import StudyError
from sweep.exchange import exchange_spec
from sweep.schema import LATENCY_MODELS, QUEUE_MODELS
from sweep.studyfile import load_study
from sweep.template import fill, to_template

STUDY = Path(__file__).parents[2] / "experiments" / "quickstart.yaml"
OPTIONS = {
    "power": "{power: {n: 3}}",
    "power2": "{power2: {n: 3}}",
    "power3": "{power3: {n: 3, mode: sampled}}",
    "odds": "{odds: {alpha: -1.8, beta: 0.6}}",
    "odds_size": "{odds_size: {alpha: -1.8, beta: 0.6, gamma: -2}}",
}


def described(*overrides: str) -> dict[str, Any]:
    study = load_study(STUDY, overrides)
    middle = {"world.latency.place.mean_us": 5000.0, "world.latency.place.cv": 0.5}
    sections = fill({"venue": to_template(study.venue), "world": to_template(study.world)}, middle)
    text = exchange_spec({"name": "X"}, sections["venue"], sections["world"], seed=1, replication=0)
    canonical: dict[str, Any] = json.loads(rustsim.validate_spec(text))
    return canonical


@pytest.mark.parametrize("model", QUEUE_MODELS)
def test_queue_model(model: str) -> None:
    queue = described(f"world.queue={OPTIONS.get(model, model)}")["queue"]
    assert queue["model"] == model
    if model.startswith("power"):
        assert queue["n"] == 3.0
    if model.startswith("odds"):
        assert (queue["alpha"], queue["beta"]) == (-1.8, 0.6)
        assert queue["gamma"] == (-2.0 if model == "odds_size" else 0.0)


LATENCIES: dict[str, tuple[str, dict[str, Any]]] = {
    "constant": ("mean_us: 7000", {"mean_ns": 7e6}),
    **dict.fromkeys(
        ("gamma", "lognormal", "pareto"),
        ("mean_us: 7000, cv: 0.8, floor_us: 300", {"mean_ns": 7e6, "cv": 0.8, "floor_ns": 3e5}),
    ),
    "uniform": ("mean_us: 7000, cv: 0.5", {"mean_ns": 7e6, "cv": 0.5}),
    "shifted_lognormal": (
        "floor_us: 174000, median_us: 27800, sigma: 1.26",
        {"floor_ns": 1.74e8, "median_ns": 2.78e7, "sigma": 1.26},
    ),
    "empirical": (
        "quantiles: [[0, 1], [0.5, 2.5], [1, 10]], scale: 2, floor_us: 3",
        {"quantiles": [[0.0, 1e3], [0.5, 2.5e3], [1.0, 1e4]], "scale": 2.0, "floor_ns": 3e3},
    ),
    "mixture": (
        "modes: [{weight: 3, latency: {model: constant, mean_us: 2}}], floor_us: 4",
        {"floor_ns": 4e3},
    ),
}


@pytest.mark.parametrize("model", [name for name in LATENCY_MODELS if name != "trace"])
def test_latency_model(model: str) -> None:
    words, expected = LATENCIES[model]
    leg = described(f"world.latency.cancel={{model: {model}, {words}}}")["latency"]["cancel"]
    assert leg["model"] == model
    assert {key: leg[key] for key in expected} == expected
    if model == "mixture":
        (mode,) = leg["modes"]
        assert (mode["weight"], mode["latency"]["mean_ns"]) == (3.0, 2e3)


def test_parts_of_a_mixture_can_be_searched() -> None:
    study = load_study(
        STUDY,
        [
            "world.latency.cancel={model: mixture, modes: [{weight: 1, latency: {mean_us: 2}}, "
            "{weight: {float: [0.01, 0.5]}, latency: {model: gamma, mean_us: 9, cv: 1}}]}"
        ],
    )
    path = "world.latency.cancel.modes[1].weight"
    assert path in study.space
    filled = fill(to_template(study.world), dict.fromkeys(study.space, 0.25))
    assert filled["latency"]["cancel"]["modes"][1]["weight"] == 0.25


def test_weather_and_regime_reach_the_core() -> None:
    latency = described(
        "world.latency.weather={tau_us: 2000000, weight: 0.4}",
        "world.latency.regime={calm_us: 900000000, stressed_us: 100000000}",
        "world.latency.cancel={model: gamma, mean_us: 9, cv: 1, "
        "stressed: {model: pareto, mean_us: 90, cv: 2}}",
    )["latency"]
    assert latency["weather"] == {"tau_ns": 2_000_000_000, "weight": 0.4}
    assert latency["regime"] == {"calm_ns": 900_000_000_000, "stressed_ns": 100_000_000_000}
    assert latency["cancel"]["stressed"]["mean_ns"] == 9e4


SHARED_WRONG = [
    (["world.latency.regime={calm_us: 9, stressed_us: 5}"], "No latency has a stressed part"),
    (
        ["world.latency.cancel={model: gamma, mean_us: 9, cv: 1, stressed: {mean_us: 5}}"],
        "Without regime",
    ),
    (["world.latency.weather={weight: 0.5}"], "tau_us"),
    (["world.latency.weather={tau_us: 5, weight: 1.5}"], "from 0 to 1"),
    (
        [
            "world.latency.weather={tau_us: 5}",
            *(
                f"world.latency.{leg}={{mean_us: 1}}"
                for leg in ("place", "cancel", "amend", "report", "feed")
            ),
        ],
        "Every latency is constant",
    ),
    (
        [
            "world.latency.cancel={mean_us: 9, stressed: {mean_us: 5, stressed: {mean_us: 1}}}",
            "world.latency.regime={calm_us: 9, stressed_us: 5}",
        ],
        "Unknown key 'stressed'",
    ),
]


@pytest.mark.parametrize(("overrides", "message"), SHARED_WRONG)
def test_what_nothing_reads_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(StudyError) as refused:
        load_study(STUDY, overrides)
    assert message in str(refused.value)


WRONG = [
    ("model: empirical", "quantiles"),
    ("model: empirical, quantiles: [[0, 1]]", "list of 2 to 1001"),
    ("model: empirical, quantiles: [[0, 1], [1, 0.5]]", "must rise"),
    ("model: empirical, quantiles: [[0, 1], [0.9, 2]]", "from probability 0 to probability 1"),
    ("model: empirical, quantiles: [[0, 1], 5]", "[probability, microseconds]"),
    ("model: shifted_lognormal, median_us: 5", "sigma"),
    ("model: shifted_lognormal, median_us: 5, sigma: 1, mean_us: 3", "has no 'mean_us'"),
    ("model: gamma, mean_us: 5, cv: 1, sigma: 1", "has no 'sigma'"),
    ("model: uniform, mean_us: 5, cv: 0.6", "at most 0.577"),
    ("model: mixture, modes: []", "list of 1 to 8"),
    ("model: mixture, modes: [{weight: 0, latency: {mean_us: 1}}]", "above 0"),
    ("model: mixture, modes: [{weight: 1, latency: {model: mixture}}]", "one of"),
    ("model: mixture, modes: [{weight: 1, latency: {mean_us: 1}, x: 1}]", "Unknown key 'x'"),
    ("model: {choice: [gamma, empirical]}, mean_us: 5, cv: 1", "same keys"),
]


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_wrong_latencies_are_refused(words: str, message: str) -> None:
    with pytest.raises(StudyError) as refused:
        load_study(STUDY, [f"world.latency.cancel={{{words}}}"])
    assert message in str(refused.value)
    assert "world.latency.cancel" in str(refused.value)


def test_lists_of_models_are_those_of_the_core() -> None:
    with pytest.raises(rustsim.SpecError) as refused:
        rustsim.validate_spec('{"queue": {"model": "none"}}')
    assert all(f"{model}" in str(refused.value) for model in QUEUE_MODELS)
    with pytest.raises(rustsim.SpecError) as refused:
        rustsim.validate_spec('{"latency": {"place": {"model": "none"}}}')
    assert all(f"{model}" in str(refused.value) for model in LATENCY_MODELS)


def test_sessions_and_refusals_reach_the_core() -> None:
    latency = described("world.latency.reject_probability=0.02")["latency"]
    assert (latency["reject_probability"], latency["sessions"]) == (0.02, "fifo")
    latency = described("world.latency.sessions=independent", "world.latency.gap_us=0")["latency"]
    assert latency["sessions"] == "independent"


def test_backlog_of_the_venue() -> None:
    latency = described("world.latency.backlog_capacity_per_us=0.1")["latency"]
    assert latency["backlog_capacity_per_us"] == 0.1


def test_naive_world() -> None:
    spec = described("world=naive")
    assert spec["world"] == "naive"
    assert spec["latency"]["place"]["mean_ns"] == 0.0
    assert spec["fees"]["commission_per_lot_minor"] == 20
    study = load_study(STUDY, ["world.compare=naive", "objective.maximize=naive_net_pnl"])
    assert study.world.compare == "naive"
    assert not study.world.is_naive


NAIVE_WRONG = [
    ("world=niave", "Did you mean 'naive'"),
    ("world.compare=live", "one of naive"),
    ("objective.maximize=naive_net_pnl", "Give world.compare"),
    ("objective.maximize=net_pnl_after_impact", "Give world.impact.charge"),
]


@pytest.mark.parametrize(("override", "message"), NAIVE_WRONG)
def test_wrong_words_for_worlds_are_refused(override: str, message: str) -> None:
    with pytest.raises(StudyError) as refused:
        load_study(STUDY, [override])
    assert message in str(refused.value)


def test_own_impact_reaches_the_core() -> None:
    impact = described(
        "world.impact={half_life_ms: 500, reaction: -0.25, "
        "charge: {square_root: {daily_volume_lots: 90000, daily_sigma_bp: 110, parent_gap_ms: 20}}}"
    )["impact"]
    assert impact["half_life_ns"] == 500_000_000
    assert impact["reaction"] == -0.25
    assert impact["charge"] == {
        "model": "square_root",
        "y": 1.0,
        "daily_sigma_bp": 110.0,
        "daily_volume_lots": 90_000.0,
        "parent_gap_ns": 20_000_000,
    }
    impact = described("world.impact.charge={propagator: {g0_ticks: 0.05, tau0_ms: 1000}}")[
        "impact"
    ]
    assert (impact["half_life_ns"], impact["reaction"]) == (None, 0.0)
    assert impact["charge"] == {
        "model": "propagator",
        "g0_ticks": 0.05,
        "delta": 0.5,
        "tau0_ns": 1e9,
        "gamma": 0.5,
    }
    study = load_study(
        STUDY,
        [
            "world.impact={reaction: {float: [-1, 1]}, charge: {propagator: {g0_ticks: "
            "{float: [0, 1]}, tau0_ms: 5}}}"
        ],
    )
    assert "world.impact.reaction" in study.space
    assert "world.impact.charge.propagator.g0_ticks" in study.space


IMPACT_WRONG = [
    ("reaction: 1.5", "from -1 to 1"),
    ("charge: square_root", "Expected one model of impact"),
    ("charge: {sqrt: {y: 1}}", "Unknown model of impact 'sqrt'"),
    ("charge: {square_root: {daily_sigma_bp: 5}}", "'daily_volume_lots' is missing"),
    (
        "charge: {square_root: {daily_sigma_bp: 5, daily_volume_lots: 9, g0_ticks: 1}}",
        "Unknown key",
    ),
    ("charge: {propagator: {g0_ticks: 1, tau0_ms: 0}}", "milliseconds"),
    ("charge: {propagator: {g0_ticks: 1, tau0_ms: 1, delta: 2}}", "from 0 to 1"),
    ("own: 1", "Unknown key 'own'"),
]


@pytest.mark.parametrize(("words", "message"), IMPACT_WRONG)
def test_wrong_impact_is_refused(words: str, message: str) -> None:
    with pytest.raises(StudyError) as refused:
        load_study(STUDY, [f"world.impact={{{words}}}"])
    assert message in str(refused.value)
