"""Fitting the synthetic market: to markets whose options are known, again and again the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from sweep import calibration, market_statistics
from sweep.calibration import Calibration, Recording, calibrate, compare, read_recording
from sweep.cli import main
from sweep.errors import InputError
from sweep.fitting import Parameter, search
from sweep.market_statistics import Tolerance
from sweep.readers import make_options
from sweep.synthetic import write_market_tape

# Far from the defaults, from which the search starts.
KNOWN: dict[str, Any] = {
    "five_level": {
        "mean_gap_us": 30_000.0,
        "trade_share": 0.04,
        "sign_persistence": 0.4,
        "volatility_ticks": 1.0,
        "half_spread_ticks": 2.6,
        "level_lots": 12,
        "conflate_us": 250_000,
    },
    "l3": {
        "mean_gap_us": 30_000.0,
        "trade_share": 0.06,
        "volatility_ticks": 1.0,
        "half_spread_ticks": 3.2,
        "level_lots": 8,
        "levels": 30,
        "cancel_back_bias": 2.0,
        "activity_decay": 0.5,
        "limit_lots": "1:0.5 2:0.3 10:0.2",
    },
}


def recording(folder: Path, mode: str, **options: Any) -> Recording:
    path = folder / "recorded.tape"
    values = {**KNOWN[mode], "mode": mode, "events": 60_000, "session_minutes": 0, **options}
    write_market_tape(path, "SYN", make_options("synthetic", values), {})
    return read_recording(path)


def fit(recorded: Recording, store: Path, **limits: Any) -> Calibration:
    return calibrate(recorded, {}, store, **{"seconds_max": 1e9, "trials_max": 90, **limits})


@pytest.fixture(autouse=True)
def small_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "TRIAL_ROWS", 25_000)


@pytest.mark.parametrize("mode", ["five_level", "l3"])
def test_statistics_of_a_known_market_are_recovered(tmp_path: Path, mode: str) -> None:
    recorded = recording(tmp_path, mode)
    assert recorded.mode == mode
    found = fit(recorded, tmp_path / "trials")
    made = calibration.generated_figures({**found.options, "events": 60_000})
    lines = compare(recorded.figures, made)
    measured = [line for line in lines if line.verdict != "not measured"]
    within = [line for line in measured if line.verdict == "within"]
    assert len(measured) > 50
    assert len(within) >= 0.93 * len(measured), [line for line in measured if line not in within]
    # The defaults would not do: it is the search that brings the market near.
    plain = compare(recorded.figures, calibration.generated_figures({"mode": mode, "seed": 9}))
    assert sum(line.verdict == "within" for line in plain) < 0.7 * len(measured)


def test_search_that_was_cut_off_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = recording(tmp_path, "five_level")
    whole = fit(recorded, tmp_path / "whole", trials_max=25)
    cut = fit(recorded, tmp_path / "parts", trials_max=25, seconds_max=0.0)
    assert (cut.is_done, cut.trials) == (False, 1)
    (file,) = (tmp_path / "parts").iterdir()
    with file.open("a") as stream:
        stream.write('{"options": "cut o')  # as if it had been killed there
    again = fit(recorded, tmp_path / "parts", trials_max=25)
    assert again == whole
    # All of it is known by now: nothing is generated.
    monkeypatch.setattr(calibration, "generated_figures", None)
    assert fit(recorded, tmp_path / "parts", trials_max=25) == whole


def test_options_that_are_set_are_not_searched_for(tmp_path: Path) -> None:
    recorded = recording(tmp_path, "five_level")
    found = calibrate(
        recorded,
        {"volatility_ticks": 0.7, "market_lots": ""},
        tmp_path / "trials",
        seconds_max=1e9,
        trials_max=3,
    )
    assert found.options["volatility_ticks"] == 0.7
    assert found.options["market_lots"] == ""
    assert "volatility_ticks" not in found.fitted


def test_command_writes_market_report_and_facts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording(tmp_path, "five_level")
    like = ["--like", str(tmp_path / "recorded.tape"), "--runs-dir", str(tmp_path / "runs")]
    made = tmp_path / "made.tape"
    call = ["data", "generate", str(made), *like, "--seconds", "1", "--set", "events=20000"]
    assert main([*call, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["options"]["events"] == 20_000
    names = [line["name"] for line in document["statistics"]]
    assert names == [item.name for item in market_statistics.STATISTICS]
    assert document["calibration"]["source"] == "recorded.tape"
    assert main(["data", "inspect", str(made), "--json"]) == 0
    (tape,) = json.loads(capsys.readouterr().out)["tapes"]
    assert tape["facts"]["calibration"] == document["calibration"]
    assert tape["facts"]["synthetic"].items() >= document["options"].items()
    # The text shows the same, and what to paste into a study file.
    assert main([*call, "--force"]) == 0
    text = capsys.readouterr().out
    assert "reader: synthetic" in text
    assert "spread_ticks.mean" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--like", "no.parquet"], "no such file"),
        (["--like", "no.tape"], "no.tape"),
        (["--like", "recorded.tape", "--session", "2020"], "no session '2020'"),
    ],
)
def test_what_cannot_be_fitted_to_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    recording(tmp_path, "five_level", events=2_000)
    monkeypatch.chdir(tmp_path)
    assert main(["data", "generate", "made.tape", *arguments]) != 0
    assert words in capsys.readouterr().err
    assert not (tmp_path / "made.tape").exists()


def test_too_little_trading_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too little to fit"):
        recording(tmp_path, "five_level", events=60)


def test_search_finds_the_lowest_place_of_a_noisy_valley() -> None:
    parameters = [
        Parameter(name="a", low=0.0, high=10.0, start=1.0),
        Parameter(name="b", low=0.01, high=100.0, start=0.05, is_log=True),
    ]

    def residuals(values: Any) -> list[float]:
        a, b = values["a"], values["b"]
        noise = 0.02 * ((round(a * 977) * 7919 + round(b * 977) * 104729) % 17 / 17 - 0.5)
        return [a - 7.0 + noise, 2.0 * (b / 5.0 - 1.0), 0.3 * (a - 7.0) * (b - 5.0) + noise]

    *_, found = search(parameters, residuals, 120)
    assert found.trials == 120
    assert found.values["a"] == pytest.approx(7.0, abs=0.15)
    assert found.values["b"] == pytest.approx(5.0, rel=0.05)


@pytest.mark.parametrize(
    ("tolerance", "generated", "distance"),
    [
        (Tolerance(absolute=2.0), 11.0, 0.5),
        (Tolerance(relative=0.1), 8.0, -2.0),
        (Tolerance(absolute=0.5, relative=0.1), 11.0, 1.0),
        (Tolerance(factor=2.0), 40.0, 2.0),
        (Tolerance(factor=2.0), 5.0, -1.0),
    ],
)
def test_distances_count_in_tolerances(
    tolerance: Tolerance, generated: float, distance: float
) -> None:
    assert tolerance.distance(10.0, generated) == pytest.approx(distance)
