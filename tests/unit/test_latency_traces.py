"""Recorded latencies: read row by row, shared as a mapped file, part of a study's identity."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import rustsim
from sweep.document import StudyError
from sweep.errors import DataError, InputError, StudyLockedError
from sweep.job import TrialSpec
from sweep.latency_traces import open_traces
from sweep.planning import make_plan, write_plan
from sweep.readers.latency_rows import read_latency_rows, trace_image
from sweep.studyfile import load_study
from sweep.trial import CellRunner

HEAD = "time_ns,operation,delay_us\n"
ROWS = "0,place,0.1\n10,place,0.3\n10,place,0.05\n3,cancel,0.2\n"
STUDY = """\
study: recorded
seed: 3
data: {source: {reader: synthetic, instrument: SYN, generate: {events: 20000, seed: 5}}}
strategy:
  class: strategies.maker:MakerStrategy
  params: {half_spread_ticks: {float: [0.5, 6.0]}}
world: {latency: %s}
objective: {maximize: net_pnl}
search: {trials: 2}
run: {backend: inline}
tracking: {uri: none}
"""


def write(folder: Path, text: str, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def study(folder: Path, latency: str) -> Any:
    return load_study(write(folder, STUDY % latency, "study.yaml"))


# --- reading -------------------------------------------------------------------------------------


def test_rows_are_read_by_operation(tmp_path: Path) -> None:
    rows = read_latency_rows(write(tmp_path, HEAD + ROWS))
    assert {name: [list(c) for c in columns] for name, columns in rows.items()} == {
        "place": [[0, 10, 10], [100, 300, 50]],
        "cancel": [[3], [200]],
    }


def test_the_same_rows_have_one_image_whatever_the_file(tmp_path: Path) -> None:
    times = [1_600_000_000_000_000_000 + step for step in (0, 5_000, 9_000)]
    lines = "".join(f"{time},feed,{delay}\n" for time, delay in zip(times, (5, 7, 6), strict=True))
    image = trace_image(read_latency_rows(write(tmp_path, HEAD + lines)))
    seconds = datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "delay_us": [5, 7, 6],
            "operation": ["feed"] * 3,
            "time_ns": [seconds.replace(microsecond=at) for at in (0, 5, 9)],
        }
    )
    path = tmp_path / "rows.parquet"
    frame.write_parquet(path)
    assert trace_image(read_latency_rows(path)) == image
    frame.with_columns(time_ns=pl.Series(times)).write_parquet(path)
    assert trace_image(read_latency_rows(path)) == image


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as recorded latencies"),
        (HEAD, "expected 1 to 50,000,000 rows, found 0"),
        ("time,operation,delay_us\n1,place,1\n", "expected the columns time_ns, operation"),
        (HEAD + "1,place,1\nx,place,1\n", "row 2: time_ns is 'x': expected an integer"),
        (HEAD + "1.5,place,1\n", "row 1: time_ns is '1.5'"),
        (HEAD + "1,plcae,1\n", "row 1: operation is 'plcae': Did you mean 'place'?"),
        (HEAD + "1,place,1\n2,place,-1\n", "row 2: delay_us is '-1': expected a number from 0"),
        (HEAD + "1,place,nan\n", "row 1: delay_us is 'nan'"),
        (HEAD + "1,place,inf\n", "row 1: delay_us is 'inf'"),
        (HEAD + "1,place,6.1e7\n", "row 1: delay_us is '6.1e7'"),
        (HEAD + "1,place,\n", "row 1: delay_us is None"),
        (
            HEAD + "5,place,1\n1,cancel,1\n4,place,1\n",
            "row 3: time_ns is 4, before 5 of the place row before it; sort the file by time",
        ),
    ],
)
def test_wrong_rows_are_refused_with_file_and_row(text: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError) as refused:
        read_latency_rows(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("time_ns", 1.0, "time_ns holds Float64, expected integers or timestamps"),
        ("operation", ["feed"], r"operation holds List\(String\), expected texts"),
        ("operation", 1, "operation holds Int64, expected texts"),
        ("delay_us", [1.0], r"delay_us holds List\(Float64\), expected numbers"),
        ("delay_us", {"a": 1}, "delay_us holds Struct"),
        ("delay_us", True, "delay_us holds Boolean, expected numbers"),
    ],
)
def test_columns_of_other_kinds_are_refused(
    column: str, value: object, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.parquet"
    row = {"time_ns": 1, "operation": "feed", "delay_us": 1.0} | {column: value}
    pl.DataFrame([row]).write_parquet(path)
    with pytest.raises(DataError, match=message):
        read_latency_rows(path)


# --- the core ------------------------------------------------------------------------------------


def test_the_core_reads_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "rows.trace"
    path.write_bytes(trace_image(read_latency_rows(write(tmp_path, HEAD + ROWS))))
    latency = {"model": "trace", "file": str(path), "operation": "place"}
    # Rows (0, 100), (10, 300), (10, 50): 100 before 0, 180 at 4, 50 from 10 on.
    for scale, floor, expected in ((1.0, 0, [100, 180, 50]), (2.0, 7, [207, 367, 107])):
        spec = {"latency": {"place": latency | {"scale": scale, "floor_ns": floor}}}
        arrivals = []
        for sent in (0, 4, 1_000):
            venue = rustsim.SimulatedExchange(spec=json.dumps(spec))
            venue.on_tick(("book", sent, [(99, 10)], [(101, 10)]))
            venue.place_order(0, 99, 1)
            (event,) = venue.advance_to(5_000)
            arrivals.append(event.exch_ns - sent)
        assert arrivals == expected
    assert rustsim.latency_quantiles_ns(json.dumps(latency), [0.1, 0.5, 0.9]) == [50, 100, 300]


# --- studies -------------------------------------------------------------------------------------


def test_a_study_replays_recorded_latencies(tmp_path: Path) -> None:
    first = 1_000_000_000
    lines = [f"{first + second * 1_000_000_000},place,{1000 + second}\n" for second in range(3)]
    write(tmp_path, HEAD + "".join(lines) + "0,report,500\n", "slow.csv")
    write(tmp_path, HEAD + "0,place,0\n", "fast.csv")
    latency = "{place: {model: trace, file: {choice: [slow.csv, fast.csv]}}, report: {mean_us: 9}}"
    told: list[str] = []
    plan = make_plan(study(tmp_path, latency), tmp_path / "runs", told.append)
    assert any("no row of 'place' lies in" in line for line in told)
    assert set(plan.job.runner.payload["traces"]) == {"slow.csv", "fast.csv"}
    runner = CellRunner(plan.job.runner.payload)
    digests = []
    for name in ("slow.csv", "fast.csv", "slow.csv"):
        params = {"strategy.params.half_spread_ticks": 1.0, "world.latency.place.file": name}
        digests.append(runner.run(TrialSpec(number=0, attempt=1, params=params))["digest"])
    assert digests[0] == digests[2] != digests[1]


def test_rows_are_part_of_the_identity(tmp_path: Path) -> None:
    latency = "{place: {model: trace, file: rows.csv}, cancel: {model: trace, file: rows.csv}}"
    write(tmp_path, HEAD + ROWS)
    before = make_plan(study(tmp_path, latency), tmp_path / "runs")
    write(tmp_path, HEAD + "3,cancel,0.2\n" + ROWS.replace("3,cancel,0.2\n", ""))
    same = make_plan(study(tmp_path, latency), tmp_path / "runs")
    assert same.job.fingerprint == before.job.fingerprint
    before.job.folder.mkdir(parents=True)
    write_plan(before)
    write(tmp_path, HEAD + ROWS.replace("0.05", "0.06"))
    with pytest.raises(StudyLockedError, match="another recorded latencies"):
        make_plan(study(tmp_path, latency), tmp_path / "runs")


def test_a_worker_refuses_other_rows(tmp_path: Path) -> None:
    write(tmp_path, HEAD + ROWS.replace("3,cancel,0.2\n", ""))
    plan = make_plan(study(tmp_path, "{place: {model: trace, file: rows.csv}}"), tmp_path / "runs")
    (document,) = plan.job.runner.payload["traces"].values()
    path = Path(document["path"])
    assert path.stat().st_mode & 0o222 == 0
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(DataError, match="expected the hash"):
        open_traces(plan.job.runner.payload["traces"])
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        CellRunner(plan.job.runner.payload)


@pytest.mark.parametrize(
    ("latency", "message"),
    [
        (
            "{amend: {model: trace, file: rows.csv}, place: {mean_us: 1}, cancel: {mean_us: 1}}",
            "world.latency.amend: rows.csv has no row of 'amend', only of place, cancel",
        ),
        ("{place: {model: trace, file: rows.csv}}", "nothing reads its rows of 'cancel'"),
    ],
)
def test_rows_that_are_missing_or_unread_are_refused(
    latency: str, message: str, tmp_path: Path
) -> None:
    write(tmp_path, HEAD + ROWS)
    with pytest.raises(InputError) as refused:
        make_plan(study(tmp_path, latency), tmp_path / "runs")
    assert message in str(refused.value)


def test_rows_of_another_operation_can_be_taken(tmp_path: Path) -> None:
    write(tmp_path, HEAD + ROWS)
    latency = (
        "{amend: {model: trace, file: rows.csv, operation: cancel, scale: {float: [0.5, 2]}}, "
        "place: {mean_us: 1}}"
    )
    loaded = study(tmp_path, latency)
    assert "world.latency.amend.scale" in loaded.space
    plan = make_plan(loaded, tmp_path / "runs")
    assert plan.parts["recorded latencies"].keys() == {"rows.csv"}


@pytest.mark.parametrize(
    ("latency", "message"),
    [
        ("{place: {model: trace}}", "The key 'file' is missing in world.latency.place"),
        ("{place: {model: trace, file: none.csv}}", "No such file: none.csv"),
        ("{place: {model: trace, file: '${NOT_THERE}/a.csv'}}", "NOT_THERE is not set"),
        ("{place: {model: trace, file: rows.csv, operation: plcae}}", "Did you mean 'place'?"),
        ("{place: {model: trace, file: rows.csv, mean_us: 5}}", "trace has no 'mean_us'"),
        ("{place: {model: trace, file: rows.csv, scale: 0}}", "from 1e-06 to 1000"),
        ("{place: {model: gamma, mean_us: 5, cv: 1, file: rows.csv}}", "gamma has no 'file'"),
        (
            "{place: {model: trace, file: rows.csv, stressed: {mean_us: 5}}, "
            "regime: {calm_us: 90, stressed_us: 50}}",
            "Recorded latencies have their own stressed stretches",
        ),
        (
            "{place: {mean_us: 1, stressed: {model: trace, file: rows.csv}}, "
            "regime: {calm_us: 90, stressed_us: 50}}",
            "world.latency.place.stressed.model",
        ),
        (
            "{place: {model: mixture, modes: [{weight: 1, latency: {model: trace}}]}}",
            "world.latency.place.modes[0].latency.model",
        ),
        (
            "{place: {model: trace, file: rows.csv}, weather: {tau_us: 5}}",
            "none would follow the weather",
        ),
        ("{place: {model: {choice: [trace, gamma]}, mean_us: 5, cv: 1}}", "by the same keys"),
        ("{sessions: independent, gap_us: 5}", "nothing would read it"),
        ("{sessions: free}", "one of fifo, independent"),
        ("{reject_probability: 1.5}", "from 0 to 1"),
        ("{backlog_capacity_per_us: 1e-7}", "from 1e-06 to 1e+06"),
    ],
)
def test_wrong_descriptions_are_refused(latency: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, HEAD + ROWS)
    with pytest.raises(StudyError) as refused:
        study(tmp_path, latency)
    assert message in str(refused.value)
