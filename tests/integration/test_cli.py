"""The command line as a user meets it: exit codes, streams, help."""

import itertools
import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.errors import EXIT_CODES
from sweep.lease import Lease
from sweep.status import trial_record

ROOT = Path(__file__).resolve().parents[2]
VERBS = ("launch", "plan", "status", "replay", "verify", "sync", "ui")
ACTIONS = ("import", "check", "inspect", "export", "generate", "readers", "products")
LATENCY_ACTIONS = ("show", "profiles")
WITH_SET = ("launch", "plan", "import", "check", "inspect", "generate", "show")


def sweep(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder that is not the repository, without touching the user's runs."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "sweep", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_help_lists_every_verb_and_exit_code(tmp_path: Path) -> None:
    done = sweep("--help", folder=tmp_path)
    assert done.returncode == 0
    for verb in (*VERBS, "data", "latency"):
        assert f"\n    {verb} " in done.stdout
    for code, words in EXIT_CODES.items():
        assert f"{code:>3}  {words}" in done.stdout
    done = sweep("data", "--help", folder=tmp_path)
    assert "example:\n  python -m sweep data generate" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        *((verb,) for verb in VERBS),
        *(("data", action) for action in ACTIONS),
        *(("latency", action) for action in LATENCY_ACTIONS),
    ],
)
def test_help_of_every_verb_has_an_example_and_the_options(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    done = sweep(*words, "--help", folder=tmp_path)
    assert done.returncode == 0
    assert f"example:\n  python -m sweep {' '.join(words)}" in done.stdout
    for option in ("--runs-dir", "--json"):
        assert option in done.stdout
    assert ("--set" in done.stdout) == (words[-1] in WITH_SET)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("lunch",), "invalid choice: 'lunch'"),
        (("launch",), "the following arguments are required: STUDY.yaml"),
        (("launch", "gone.yaml"), "gone.yaml:1:1: Cannot read the study file"),
        (("plan", "bad.yaml"), "bad.yaml:2:1: sead: Unknown key 'sead'"),
        (("launch", "bad.yaml", "--set", "seed"), "--set seed:1:1: An override has the form"),
        (("status",), "say which study; there are: none"),
        (("status", "--top", "-3"), "expected a number from 0, found '-3'"),
        (("status", "nope"), "no study 'nope'"),
        (("replay", "1", "../x"), "no study '../x'"),
        (("verify", "one"), "invalid int value: 'one'"),
        (("sync", "nope"), "no study 'nope'"),
        (("ui", "nope"), "no study 'nope'"),
    ],
)
def test_bad_input_ends_with_2_and_a_word_on_stderr(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    (tmp_path / "bad.yaml").write_text("study: x\nsead: 7\n")
    done = sweep(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "runs").exists()


def test_bad_study_is_refused_before_heavy_imports(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("study: x\nsead: 7\n")
    program = (
        "import sys\nfrom sweep.studyfile import StudyError, load_study\nfrom pathlib import Path\n"
        "try:\n    load_study(Path('bad.yaml'))\nexcept StudyError:\n    pass\n"
        "heavy = {'ray', 'mlflow', 'optuna', 'polars', 'numba', 'matplotlib', 'pandas'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("verb", ["launch", "plan"])
def test_bad_study_is_refused_within_a_second(verb: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("study: x\nsead: 7\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = sweep(verb, "bad.yaml", folder=tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor time: a machine that does other things as well is no reason to fail.
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert done.returncode == 2
    assert used_s < 1.0, f"{used_s:.2f} s"


STUDY = """\
study: small
seed: 3
data:
  source: {reader: synthetic, instrument: SYN, generate: {events: 20000, seed: 5}}
venue: {profile: taifex, commission_per_lot: 20}
strategy:
  class: strategies.maker:MakerStrategy
  params:
    half_spread_ticks: {float: [0.5, 3.0]}
    skew_ticks_per_lot: {float: [0.0, 1.0]}
world:
  latency:
    place: {model: gamma, mean_us: {float: [500, 20000], log: true}, cv: 0.5, floor_us: 200}
    cancel: {model: constant, mean_us: 2000}
  queue: uniform
  replications: 2
objective: {maximize: net_pnl}
search: {sampler: tpe, trials: 6}
run: {backend: inline}
tracking: {uri: none}
"""


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the small study was launched."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "small.yaml").write_text(STUDY)
    done = sweep("launch", "small.yaml", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    (folder / "launch.json").write_text(done.stdout)
    (folder / "launch.err").write_text(done.stderr)
    return folder


def test_launch_prints_one_document_and_talks_on_stderr(launched: Path) -> None:
    document = json.loads((launched / "launch.json").read_text())
    assert list(document)[:7] == [
        "study",
        "folder",
        "trials",
        "events",
        "wall_s",
        "best",
        "tracking",
    ]
    assert document["study"] == "small"
    assert Path(document["folder"]) == launched / "runs" / "small"
    assert document["trials"] == {"complete": 6, "failed": 0, "running": 0, "waiting": 0}
    assert document["best"]["objective"] == document["best"]["metrics"]["net_pnl"]
    assert len(document["best"]["digest"]) == 64
    plan = json.loads((launched / "runs" / "small" / "plan.json").read_text())
    cells = plan["runner"]["payload"]["cells"]
    assert document["events"] == 6 * sum(c["row_stop"] - c["row_start"] for c in cells)
    talk = (launched / "launch.err").read_text()
    assert "maximize net_pnl" in talk
    assert "python -m sweep replay" in talk


def test_status_says_the_same_as_launch(launched: Path) -> None:
    done = sweep("status", "--json", folder=launched)
    assert done.returncode == 0, done.stderr
    told, found = json.loads((launched / "launch.json").read_text()), json.loads(done.stdout)
    assert (found["driver"], found["failures"]) == (None, [])
    for key in ("study", "folder", "trials", "events", "best"):
        assert found[key] == told[key]


def test_status_without_trials_does_not_say_that_there_are_none(launched: Path) -> None:
    done = sweep("status", "--top", "0", folder=launched)
    assert done.returncode == 0
    assert done.stdout.startswith("trials    6 complete"), done.stdout


def test_commands_that_are_shown_can_be_pasted(launched: Path) -> None:
    trials = ("--set", "search.trials=1")
    done = sweep("launch", "small.yaml", "--runs-dir", "my runs", *trials, folder=launched)
    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stderr.splitlines() if "--runs-dir" in line]
    assert len(shown) == 2, done.stderr
    assert all("--runs-dir 'my runs'" in line for line in shown), shown


def test_launching_again_does_no_trial_twice(launched: Path) -> None:
    before = (launched / "runs" / "small" / "results" / "log").read_bytes()
    done = sweep("launch", "small.yaml", "--json", folder=launched)
    assert done.returncode == 0, done.stderr
    after = (launched / "runs" / "small" / "results" / "log").read_bytes()
    assert after[: len(before)] == before
    assert after.count(b'"kind":"trial"') == 6
    told = json.loads((launched / "launch.json").read_text())
    assert json.loads(done.stdout)["best"] == told["best"]


def test_other_inputs_under_the_same_name_are_refused(launched: Path) -> None:
    done = sweep("launch", "small.yaml", "--set", "world.queue=back", folder=launched)
    assert done.returncode == 5
    assert "started with another study file" in done.stderr
    assert "--set study=NAME" in done.stderr


def test_verify_finds_the_digest_again(launched: Path) -> None:
    done = sweep("verify", "0", "--json", folder=launched)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["equal"] is True
    assert document["recorded"] == document["replayed"]


def test_verify_tells_a_difference(launched: Path, tmp_path: Path) -> None:
    source = launched / "runs" / "small"
    target = tmp_path / "runs" / "small"
    (target / "results").mkdir(parents=True)
    (target / "results" / "log").write_bytes((source / "results" / "log").read_bytes())
    plan = json.loads((source / "plan.json").read_text())
    plan["runner"]["payload"]["seed"] += 1
    (target / "plan.json").write_text(json.dumps(plan))
    done = sweep("verify", "0", folder=tmp_path)
    assert done.returncode == 3
    assert "differs in" in done.stdout


def recorded_digests(folder: Path, trial: int) -> dict[str, str]:
    cells = trial_record(folder / "runs" / "small", trial)["result"]["cells"]
    return {f"{c['slice']}/{c['scenario']}/{c['replication']}": c["digest"] for c in cells}


def test_replay_keeps_fills_equity_and_a_picture(launched: Path) -> None:
    done = sweep("replay", "1", "small", "--json", folder=launched)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    import polars

    fills = polars.read_parquet(document["files"]["fills"])
    equity = polars.read_parquet(document["files"]["equity"])
    certificates = polars.read_parquet(document["files"]["certificates"])
    assert fills.height == document["fills"]
    makers = fills.filter(polars.col("is_maker") == 1)
    assert certificates["filled_lots"].sum() == makers["lots"].sum()
    assert certificates["certain_lots"].sum() == fills["certain_lots"].sum()
    columns = ("certain_lots", "filled_lots", "possible_lots", "rested_lots")
    for low, high in itertools.pairwise(columns):
        assert (certificates[low] <= certificates[high]).all()
    known = makers.drop_nulls(["queue_ahead_lots"])
    assert (known["queue_ahead_front_lots"] <= known["queue_ahead_lots"]).all()
    assert (known["queue_ahead_lots"] <= known["queue_ahead_back_lots"]).all()
    fates = ("certain", "dependent", "impossible")
    assert sum(document["validity"][f"fill_{fate}_share"] for fate in fates) == pytest.approx(1.0)
    # Certificates judge a run; they do not change it.
    assert document["digests"] == recorded_digests(launched, 1)
    assert set(equity["replication"].unique()) == {0, 1}
    assert Path(document["files"]["picture"]).read_bytes().startswith(b"\x89PNG")
    assert Path(document["files"]["fills"]).parent == launched / "runs/small/replays/trial-1"


def test_replay_draws_the_naive_world_beside(launched: Path) -> None:
    done = sweep("replay", "1", "small", "--naive", "--json", folder=launched)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    import polars

    fills = polars.read_parquet(document["files"]["naive_fills"])
    assert fills.height == document["naive"]["fills"]
    assert set(fills["replication"].unique()) == {0}
    assert document["naive"]["fills"] > document["live_like"]["fills"]
    assert fills["queue_ahead_lots"].is_null().all()
    talk = sweep("replay", "1", "small", "--naive", folder=launched).stdout
    assert "live-like" in talk
    assert "naive backtest" in talk


def test_replay_of_a_naive_study_claims_no_validity(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(STUDY)
    words = ("--set", "world=naive", "--set", "search.trials=1")
    done = sweep("launch", "small.yaml", *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    talk = sweep("replay", "0", folder=tmp_path).stdout
    assert "the naive world knows no queues and no sizes" in talk
    assert "own share" not in talk
    refused = sweep("replay", "0", "--naive", folder=tmp_path)
    assert refused.returncode == 2
    assert "is the naive one already" in refused.stderr


def test_unknown_trial_is_bad_input(launched: Path) -> None:
    for verb in ("replay", "verify"):
        done = sweep(verb, "99", folder=launched)
        assert done.returncode == 2
        assert "trial 99 has no final record" in done.stderr


def test_plan_tells_cost_and_starts_nothing(launched: Path) -> None:
    done = sweep("plan", "small.yaml", "--json", "--set", "study=other", folder=launched)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["cells_per_trial"] == 2 * len(document["slices"])
    assert document["events"] == 6 * document["events_per_trial"]
    assert not (launched / "runs" / "other").exists()


def test_damaged_tape_is_refused_as_data(launched: Path, tmp_path: Path) -> None:
    source = launched / "runs" / "small"
    target = tmp_path / "runs" / "small"
    (target / "results").mkdir(parents=True)
    (target / "results" / "log").write_bytes((source / "results" / "log").read_bytes())
    plan = json.loads((source / "plan.json").read_text())
    tape = plan["runner"]["payload"]["tapes"][0]
    raw = bytearray(Path(tape["path"]).read_bytes())
    raw[len(raw) // 2] ^= 1
    damaged = tmp_path / "damaged.tape"
    damaged.write_bytes(raw)
    tape["path"] = str(damaged)
    (target / "plan.json").write_text(json.dumps(plan))
    done = sweep("verify", "0", folder=tmp_path)
    assert done.returncode == 4
    assert "damaged.tape" in done.stderr


def test_failing_trials_end_the_study_with_3_and_their_reasons(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(STUDY)
    overrides = (
        "objective.maximize=markout_1s_ticks",
        "strategy.params.half_spread_ticks=5000",  # never filled: no markout to speak of
        "search.trials=12",
    )
    options = [word for text in overrides for word in ("--set", text)]
    done = sweep("launch", "small.yaml", "--json", *options, folder=tmp_path)
    assert done.returncode == 3
    document = json.loads(done.stdout)
    assert document["trials"] == {"complete": 0, "failed": 10, "running": 0, "waiting": 2}
    assert document["best"] is None
    assert done.stderr.count("markout_1s_ticks is undefined") == 5
    assert "further failures are only counted" in done.stderr
    status = json.loads(sweep("status", "--json", folder=tmp_path).stdout)
    assert status["trials"] == document["trials"]
    (failure,) = status["failures"]
    assert (failure["count"], failure["trial"]) == (10, 0)
    done = sweep("verify", "0", folder=tmp_path)
    assert done.returncode == 2
    assert "trial 0 has no digest, it failed" in done.stderr


def test_locked_study_ends_with_5_and_the_holder(launched: Path) -> None:
    with Lease(launched / "runs" / "small"):
        done = sweep("launch", "small.yaml", folder=launched)
    assert done.returncode == 5
    assert f"{os.getpid()}" in done.stderr


def test_damaged_recording_ends_with_4_and_its_name(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 this is no table PAR1")
    source = "{reader: shioaji_parquet, instrument: TXF, paths: [bad.parquet]}"
    lines = STUDY.splitlines()
    lines[3] = f"  source: {source}"
    (tmp_path / "small.yaml").write_text("\n".join(lines))
    for verb in (("launch",), ("plan",), ("data", "import")):
        done = sweep(*verb, "small.yaml", folder=tmp_path)
        assert done.returncode == 4, done.stderr
        assert "bad.parquet" in done.stderr
        assert "Traceback" not in done.stderr


def test_synthetic_market_is_written_and_inspected(tmp_path: Path) -> None:
    made = sweep("data", "generate", "syn.tape", "--set", "events=5000", "--json", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    seen = sweep("data", "inspect", "syn.tape", "--json", folder=tmp_path)
    assert seen.returncode == 0, seen.stderr
    (tape,) = json.loads(seen.stdout)["tapes"]
    (told,) = json.loads(made.stdout)["tapes"]
    assert {name: tape[name] for name in ("path", "rows", "bytes", "content_hash", "facts")} == {
        name: told[name] for name in ("path", "rows", "bytes", "content_hash", "facts")
    }
    assert tape["rows"] >= 5000
    assert sum(tape["kinds"].values()) == tape["rows"]
    assert tape["sessions"][-1]["row_stop"] == tape["rows"]


def test_options_of_a_synthetic_market_are_checked(tmp_path: Path) -> None:
    done = sweep("data", "generate", "syn.tape", "--set", "events=0", folder=tmp_path)
    assert done.returncode == 2
    assert "--set events=0:1:8: events: Expected an integer (rows) from 1 to" in done.stderr
    assert not (tmp_path / "syn.tape").exists()


def test_ui_refuses_a_port_in_use(launched: Path) -> None:
    done = sweep("launch", "small.yaml", "--set", "tracking.uri=embedded", folder=launched)
    assert done.returncode == 0, done.stderr
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = sweep("ui", "small", "--port", port, folder=launched)
    assert done.returncode == 6
    assert f"Port {port} of 127.0.0.1 cannot be used" in done.stderr


def test_sync_finds_every_run_in_place(launched: Path) -> None:
    done = sweep("launch", "small.yaml", "--set", "tracking.uri=embedded", folder=launched)
    assert done.returncode == 0, done.stderr
    done = sweep("sync", "small", "--json", folder=launched)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "study": "small",
        "runs": {"present": 6, "created": 0, "repaired": 0, "removed": 0},
    }
