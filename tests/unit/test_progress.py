"""What a person reads: names, numbers, tables, progress."""

import io
from pathlib import Path
from typing import Any

import pytest

from sweep.job import RunnerSpec, SweepJob, TrackingInfo, TrialSpec
from sweep.progress import LiveObserver, duration, number, ranked_table, short_name


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.4, "9.4 s"), (42.4, "42 s"), (187, "3:07"), (7500, "2:05:00")],
)
def test_duration_reads_like_a_clock(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, "3"),
        (1234567, "1,234,567"),
        (-174.0, "-174"),
        (0.034607, "0.03461"),
        (12345.678, "12,346"),
        ("back", "back"),
        (True, "True"),
    ],
)
def test_numbers_are_short(value: Any, words: str) -> None:
    assert number(value) == words


def test_short_names_are_unique_and_say_what_they_are() -> None:
    paths = [
        "strategy.params.half_spread_ticks",
        "world.latency.place.mean_us",
        "world.latency.cancel.mean_us",
        "world.queue",
    ]
    assert [short_name(path, paths) for path in paths] == [
        "half_spread_ticks",
        "place.mean_us",
        "cancel.mean_us",
        "world.queue",
    ]


def record(trial: int, objective: float) -> dict[str, Any]:
    return {
        "trial": trial,
        "state": "complete",
        "reason": "",
        "params": {"strategy.params.half_spread_ticks": 1.5},
        "result": {"objective": objective, "metrics": {"net_pnl": objective, "fills": 12.0}},
    }


def test_table_holds_every_trial_whole() -> None:
    stream = io.StringIO()
    ranked_table(
        [record(4, 1234.5), record(2, -7.0)], metric="net_pnl", direction="maximize", stream=stream
    )
    lines = stream.getvalue().splitlines()
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert rows[0][:5] == ["1", "4", "1,234", "1.5", "12"]
    assert rows[1][:5] == ["2", "2", "-7", "1.5", "12"]
    assert "…" not in stream.getvalue()


def test_table_of_nothing_says_so() -> None:
    stream = io.StringIO()
    ranked_table([], metric="net_pnl", direction="maximize", stream=stream)
    assert stream.getvalue() == "no complete trial\n"


def make_job(direction: Any, trials: int) -> SweepJob:
    return SweepJob(
        name="x",
        folder=Path("runs/x"),
        seed=1,
        trials=trials,
        space={},
        sampler="tpe",
        direction=direction,
        metric="net_pnl",
        runner=RunnerSpec(target="a:b", payload={}),
        backend="inline",
        workers=1,
        address="local",
        tracking_uri="none",
        experiment="x",
        attempts_max=1,
        trial_timeout_s=None,
        failures_max=0,
        constants={},
        study_text="",
        fingerprint="",
    )


@pytest.mark.parametrize(("direction", "best"), [("maximize", 2), ("minimize", 3)])
def test_observer_counts_and_keeps_the_best(
    direction: str, best: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with LiveObserver() as observer:
        observer.on_start(make_job(direction, 5), {"complete": 1, "failed": 0})
        observer.on_ready(1)
        observer.on_trial_started(TrialSpec(number=1, attempt=1, params={}))
        for trial, value in ((1, 5.0), (2, 9.0), (3, -1076050.0)):
            observer.on_trial_finished(record(trial, value))
        failed = {"trial": 4, "state": "failed", "reason": "overflow", "result": None}
        observer.on_trial_finished(failed)
        observer.on_tracking(TrackingInfo(uri="sqlite:///x", url="http://127.0.0.1:5000/#/x"))
        observer.on_tracking(TrackingInfo(uri="http://host:5000", url="http://host:5000/#/x"))
        observer.on_message("a [retry] happened")
    assert observer.best is not None
    assert observer.best[1] == best
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "going on with x: 1 of 5 trials are done" in shown.err
    assert "trial 4 failed: overflow" in shown.err
    words = {2: "9", 3: "-1,076,050"}[best]
    assert f"best {words} (trial {best}), 1 failed" in shown.err
    assert "5/5 " in shown.err
    assert "127.0.0.1" not in shown.err
    assert "MLflow: http://host:5000/#/x" in shown.err
    assert "a [retry] happened" in shown.err
