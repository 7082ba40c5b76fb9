"""Every latency and queue model of the core can be named in a study file, and arrives there."""

import json
from pathlib import Path
from typing import Any

import pytest

import rustsim
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
    if model == "odds":
        assert (queue["alpha"], queue["beta"]) == (-1.8, 0.6)


@pytest.mark.parametrize("model", LATENCY_MODELS)
def test_latency_model(model: str) -> None:
    wanted = "mean_us: 7000" if model == "constant" else "mean_us: 7000, cv: 0.8, floor_us: 300"
    leg = described(f"world.latency.cancel={{model: {model}, {wanted}}}")["latency"]["cancel"]
    assert (leg["model"], leg["mean_ns"]) == (model, 7e6)
    if model != "constant":
        assert (leg["cv"], leg["floor_ns"]) == (0.8, 3e5)


def test_lists_of_models_are_those_of_the_core() -> None:
    with pytest.raises(rustsim.SpecError) as refused:
        rustsim.validate_spec('{"queue": {"model": "none"}}')
    assert all(f"{model}" in str(refused.value) for model in QUEUE_MODELS)
    with pytest.raises(rustsim.SpecError) as refused:
        rustsim.validate_spec('{"latency": {"place": {"model": "none"}}}')
    assert all(f"{model}" in str(refused.value) for model in LATENCY_MODELS)


def test_backlog_of_the_venue() -> None:
    latency = described("world.latency.backlog_capacity_per_us=0.1")["latency"]
    assert latency["backlog_capacity_per_us"] == 0.1
