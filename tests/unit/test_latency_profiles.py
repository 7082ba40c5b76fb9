"""Named latencies: they hold what their source says, and a study takes them whole or in part."""

import json
from pathlib import Path
from typing import Any

import pytest

import rustsim
from sweep.cli import main
from sweep.document import StudyError
from sweep.exchange import latency_spec
from sweep.latency_profiles import LatencyProfile, latency_profiles
from sweep.schema import LATENCY_LEGS, LatencyLeg
from sweep.studyfile import load_study
from sweep.template import to_template

STUDY = """\
study: named
data: {source: {reader: synthetic, instrument: SYN, generate: {events: 2000}}}
strategy:
  class: strategies.maker:MakerStrategy
  params: {half_spread_ticks: {float: [0.5, 6.0]}}
world: {latency: %s}
objective: {maximize: net_pnl}
search: {trials: 2}
"""
US_PER_UNIT = {"us": 1.0, "ms": 1e3}
PROFILES = list(latency_profiles().values())


def legs(folder: Path, latency: str) -> dict[str, LatencyLeg]:
    path = folder / "study.yaml"
    path.write_text(STUDY % latency)
    return load_study(path).world.latency


def refusal(folder: Path, latency: str) -> str:
    with pytest.raises(StudyError) as refused:
        legs(folder, latency)
    return str(refused.value)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_every_profile_is_taken_by_a_study_and_by_the_core(
    profile: LatencyProfile, tmp_path: Path
) -> None:
    found = legs(tmp_path, f"{{profile: {profile.name}}}")
    for key in LATENCY_LEGS:
        assert (found[key] == LatencyLeg()) == (key not in profile.latency)
    described = {key: latency_spec(to_template(leg), {}) for key, leg in found.items()}
    rustsim.validate_spec(json.dumps({"latency": described}))
    assert set(profile.figures) == set(profile.latency)
    assert all((profile.source, profile.setting, profile.fit, profile.limits, profile.date))


# How far the model of a profile may be from a figure of its source.
TOLERANCES = {
    ("shioaji_2026_live", "place"): 0.002,
    ("shioaji_2026_live", "cancel"): 0.012,
    ("shioaji_2026_live_calls", "place"): 0.001,
    ("shioaji_2026_live_calls", "cancel"): 0.012,
    ("shioaji_2026_simulation", "place"): 0.001,
    ("shioaji_2026_simulation", "cancel"): 0.075,
    ("shioaji_2026_simulation", "amend"): 0.111,
    ("eurex_t7_2013", "place"): 0.06,
    ("eurex_t7_2013", "cancel"): 0.06,
    ("eurex_t7_2013", "amend"): 0.06,
    ("eurex_t7_gateway_2013", "place"): 0.05,
    ("eurex_t7_gateway_2013", "cancel"): 0.05,
    ("eurex_t7_gateway_2013", "amend"): 0.05,
}


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_models_of_a_profile_have_the_figures_of_its_source(
    profile: LatencyProfile, tmp_path: Path
) -> None:
    found = legs(tmp_path, f"{{profile: {profile.name}}}")
    for key, figures in profile.figures.items():
        spec = json.dumps(latency_spec(to_template(found[key]), {}))
        for name, value in figures.items():
            if name in ("max", "mean"):
                continue
            modelled = rustsim.latency_quantile_ns(spec, float(name[1:]) / 100.0) / 1e3
            expected = value * US_PER_UNIT[profile.unit]
            assert modelled == pytest.approx(expected, rel=TOLERANCES[profile.name, key]), name


def test_own_keys_win_over_a_profile(tmp_path: Path) -> None:
    found = legs(
        tmp_path,
        "{profile: shioaji_2026_live, place: {median_us: {float: [10000, 40000]}}, "
        "cancel: {model: constant, mean_us: 7}, amend: {profile: shioaji_2026_simulation}}",
    )
    assert (found["place"].floor_us, found["place"].sigma) == (174_000.0, 1.26)
    path = tmp_path / "study.yaml"
    assert list(load_study(path).space) == [
        "strategy.params.half_spread_ticks",
        "world.latency.place.median_us",
    ]
    assert (found["cancel"].model, found["cancel"].mean_us) == ("constant", 7.0)
    assert found["amend"].mean_us == 38_253.0
    assert found["report"] == LatencyLeg()


def test_a_profile_can_have_a_stressed_part(tmp_path: Path) -> None:
    found = legs(
        tmp_path,
        "{profile: shioaji_2026_live, regime: {calm_us: 9e8, stressed_us: 1e8}, "
        "place: {stressed: {model: gamma, mean_us: 9e5, cv: 1}}}",
    )
    stressed = found["place"].stressed
    assert found["place"].model == "shifted_lognormal"
    assert stressed is not None
    assert stressed.mean_us == 9e5


@pytest.mark.parametrize(
    ("latency", "path", "message"),
    [
        ("{profile: shioaji_2026_life}", "world.latency.profile", "mean 'shioaji_2026_live'"),
        ("{profile: 5}", "world.latency.profile", "Expected one of shioaji"),
        ("{profile: {choice: [eurex_t7_2013]}}", "world.latency.profile", "fixed value"),
        (
            "{place: {profile: eurex_t7_2031}}",
            "world.latency.place.profile",
            "mean 'eurex_t7_2013'",
        ),
        (
            "{report: {profile: eurex_t7_2013}}",
            "world.latency.report.profile",
            "has no 'report', only place, cancel, amend",
        ),
        (
            "{profile: shioaji_2026_live, place: {mean_us: 1, model: constant}, "
            "cancel: {profile: eurex_t7_2013}}",
            "world.latency.profile",
            "Nothing reads the profile shioaji_2026_live",
        ),
        (
            "{place: {profile: eurex_t7_2013, model: constant, mean_us: 5}}",
            "world.latency.place.profile",
            "reads no profile",
        ),
        (
            "{profile: shioaji_2026_live, place: {mean_us: 5}}",
            "world.latency.place.mean_us",
            "shifted_lognormal has no 'mean_us'",
        ),
        ("{profile: shioaji_2026_live, place: 5}", "world.latency.place", "Expected a mapping"),
    ],
)
def test_what_no_profile_has_and_what_nothing_reads_is_refused(
    latency: str, path: str, message: str, tmp_path: Path
) -> None:
    found = refusal(tmp_path, latency)
    assert f": {path}: " in found
    assert message in found


def test_profiles_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["latency", "profiles"]) == 0
    listed = capsys.readouterr().out
    assert all(profile.name in listed and profile.date in listed for profile in PROFILES)
    assert main(["latency", "profiles", "shioaji_2026_live", "--json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    place: dict[str, Any] = document["models"][0]
    assert (place["operation"], place["model"]) == ("place", "shifted_lognormal")
    assert place["p50_us"] == pytest.approx(201_800, rel=1e-4)
    assert place["mean_us"] == pytest.approx(235_490, rel=1e-3)
    assert main(["latency", "profiles", "shioaji_live"]) == 2
    assert "Did you mean 'shioaji_2026_live'?" in capsys.readouterr().err


def test_show_gives_table_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(
        STUDY % "{place: {model: mixture, modes: [{weight: 3, latency: {mean_us: 10}}, "
        "{weight: 1, latency: {mean_us: 100}}]}, cancel: {model: gamma, "
        "mean_us: {float: [4000, 6000]}, cv: 0.5}, reject_probability: 0.02}"
    )
    picture = tmp_path / "made" / "latency.png"
    options = [str(study), "--runs-dir", str(tmp_path / "runs"), "--png", str(picture)]
    assert main(["latency", "show", *options, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    place, cancel, *_ = document["latency"]
    assert (place["p50_us"], place["p99_us"], place["mean_us"]) == (10.0, 100.0, 32.5)
    shown = [cancel[key] for key in ("mean_us", "p50_us", "p99_us", "p999_us")]
    assert shown == pytest.approx([5000.0, 4590.1, 12556.4, 16327.8], rel=2e-3)
    assert document["shared"] == {"reject_probability": 0.02}
    assert document["searched"] == {"world.latency.cancel.mean_us": 5000.0}
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["latency", "show", *options]) == 0
    assert "reject_probability 0.02" in capsys.readouterr().out
    assert main(["latency", "show", *options, "--set", "world=naive"]) == 2
