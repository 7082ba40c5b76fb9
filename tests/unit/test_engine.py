"""What the words of `run.engine` mean for a study."""

from pathlib import Path
from typing import Any

import pytest

import rustsim
from sweep.document import StudyError
from sweep.errors import InputError
from sweep.planning import make_plan
from sweep.studyfile import load_study

STUDY = Path(__file__).parents[2] / "experiments" / "quickstart.yaml"
SMALL = "data.source.generate.events=20000"
NEEDS_DIRECT = {
    "strategy.wake=touch": "woken for more than best prices",
    "strategy.wake=every": "woken for more than best prices",
    "world=naive": "in the naive world every print counts",
    "world.latency.feed={model: gamma, mean_us: 1000, cv: 0.5}": "the delay of the feed is drawn",
    "world.latency.backlog_capacity_per_us=2.0": "load for the venue",
}
MAY_NEED_DIRECT = {
    "world.latency.feed={model: {choice: [constant, gamma]}, mean_us: 1000, cv: 0.5}": "is drawn",
    "world.latency.feed={model: {choice: [constant, pareto]}, mean_us: 1000, cv: 1}": "is drawn",
}


def planned(tmp_path: Path, *overrides: str) -> tuple[dict[str, Any], str, list[str]]:
    """Return the payload of the workers, the study's fingerprint, and what was said."""
    said: list[str] = []
    plan = make_plan(load_study(STUDY, [SMALL, *overrides]), tmp_path, said.append)
    return plan.job.runner.payload, plan.job.fingerprint, said


@pytest.mark.parametrize("override", NEEDS_DIRECT)
def test_auto_is_direct_where_nothing_else_can_be(override: str, tmp_path: Path) -> None:
    payload, _, said = planned(tmp_path, override)
    assert payload["engine"] == "direct"
    assert any(NEEDS_DIRECT[override] in line for line in said)


@pytest.mark.parametrize("override", MAY_NEED_DIRECT)
def test_auto_stays_auto_where_some_trials_can(override: str, tmp_path: Path) -> None:
    payload, _, said = planned(tmp_path, override)
    assert payload["engine"] == "auto"
    assert not any("engine" in line for line in said)


@pytest.mark.parametrize("override", NEEDS_DIRECT | MAY_NEED_DIRECT)
def test_compiled_is_refused_before_anything_runs(override: str, tmp_path: Path) -> None:
    reason = (NEEDS_DIRECT | MAY_NEED_DIRECT)[override]
    with pytest.raises(InputError, match=reason) as caught:
        planned(tmp_path, override, "run.engine=compiled")
    assert "run.engine" in str(caught.value)
    assert "Use auto" in str(caught.value)


def test_no_engine_is_another_study(tmp_path: Path) -> None:
    found = [planned(tmp_path, f"run.engine={word}") for word in ("auto", "direct", "compiled")]
    assert [payload["engine"] for payload, _, _ in found] == ["auto", "direct", "compiled"]
    assert len({fingerprint for _, fingerprint, _ in found}) == 1


def test_the_core_says_what_needs_the_direct_engine() -> None:
    assert rustsim.needs_direct("{}") is None
    assert rustsim.needs_direct("{}", "own") is None
    assert rustsim.needs_direct("{}", "every") is not None
    assert rustsim.needs_direct('{"world": "naive"}', "best") is not None
    with pytest.raises(rustsim.SpecError):
        rustsim.needs_direct('{"wurld": 1}', "best")
    with pytest.raises(rustsim.ReplayError, match="expected best, touch, every or own"):
        rustsim.needs_direct("{}", "often")


@pytest.mark.parametrize("word", ["compild", "1", "{choice: [direct, compiled]}", "[auto]"])
def test_other_words_are_refused_with_their_place(word: str, tmp_path: Path) -> None:
    text = STUDY.read_text().replace("workers: 2}", f"workers: 2, engine: {word}}}")
    (tmp_path / "study.yaml").write_text(text)
    lines = text.splitlines()
    (line,) = (at for at, words in enumerate(lines, 1) if f"engine: {word}" in words)
    with pytest.raises(StudyError, match="Expected one of auto, direct, compiled") as caught:
        load_study(tmp_path / "study.yaml")
    column = lines[line - 1].index(word) + 1
    assert (caught.value.line, caught.value.column) == (line, column)
    assert caught.value.key_path == "run.engine"
