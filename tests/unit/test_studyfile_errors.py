"""Malformed study files: each is refused quickly, at the right place, in words that help."""

import time
from pathlib import Path

import pytest

import strategies
from sweep.errors import EXIT_BAD_INPUT
from sweep.studyfile import BYTES_MAX, StudyError, load_study

BASE = """\
study: quick
seed: 7
data:
  source: {reader: synthetic, instrument: SYN}
  slices: session
venue: {profile: taifex, commission_per_lot: 13}
strategy:
  class: strategies.maker:MakerStrategy
  params:
    half_spread_ticks: {int: [1, 8]}
    skew_ticks_per_lot: 0.5
world:
  latency:
    place: {model: gamma, mean_us: {float: [1000, 40000], log: true}, cv: 0.5, floor_us: 300}
    cancel: {model: constant, mean_us: 20000}
  queue: back
  replications: 2
objective:
  maximize: net_pnl
search: {sampler: tpe, trials: 40}
run: {backend: inline}
tracking: {uri: none}
"""

# What is replaced in BASE, by what; the mark § stands where the error must point (it is taken out
# of the text before the file is read); key path; part of the message; part of the hint.
CASES: dict[str, tuple[str, str, str, str, str]] = {
    # --- the form of the text ---
    "not yaml": ("seed: 7", "seed: [7\ndata§:", "", "Not valid YAML", ""),
    "tab": ("  slices", "§\tslices", "", "Not valid YAML", "Indent with spaces"),
    "control character": ("seed: 7", "seed: §\x01", "", "Not valid YAML", ""),
    "duplicate key": ("seed: 7", "seed: 7\n§seed: 8", "seed", "appears twice", "line 2, column 1"),
    "duplicate nested key": (
        "instrument: SYN",
        "instrument: SYN, §reader: synthetic",
        "data.source.reader",
        "appears twice",
        "line 4",
    ),
    "anchor": ("seed: 7", "seed: §&a 7", "seed", "Anchors are not allowed: &a", "Remove"),
    "alias": ("seed: 7", "seed: §*a", "seed", "Aliases are not allowed: *a", "Write the value"),
    "merge key": ("seed: 7", "§<<: {seed: 7}", "", "Merge keys", "Write the keys out"),
    "tag": ("seed: 7", "seed: §!!int 7", "seed", "Tags are not allowed", "Remove the tag"),
    "python tag": (
        "seed: 7",
        "seed: §!!python/object/apply:os.system [ls]",
        "seed",
        "Tags are not allowed",
        "",
    ),
    "directive": ("study: quick", "§%YAML 1.1\n---\nstudy: quick", "", "Directives", ""),
    "second document": ("seed: 7", "seed: 7\n§---\nx: 1", "", "second document", "one document"),
    "key is a list": ("seed: 7", "§[a]: 7", "", "A key must be a word", ""),
    "key with a space": ("seed: 7", "§se ed: 7", "", "A key must be a word, found 'se ed'", ""),
    "key is a number": ("seed: 7", "§7: 7", "", "A key must be a word, found '7'", ""),
    # --- scalars that YAML versions read differently ---
    "octal": ("seed: 7", "seed: §010", "seed", "'010' means different things", "plain decimal"),
    "hexadecimal": ("seed: 7", "seed: §0x1F", "seed", "means different things", "plain decimal"),
    "underscores": ("seed: 7", "seed: §1_000", "seed", "means different things", "plain decimal"),
    "clock": ("seed: 7", "seed: §12:30:45", "seed", "means different things", "seconds"),
    "yes": ("seed: 7", "seed: §yes", "seed", "'yes' means different things", "true or false"),
    "the Norway problem": ("study: quick", "study: §NO", "study", "means different", '"NO"'),
    "off": ("uri: none", "uri: §off", "tracking.uri", "means different things", "in quotes"),
    "True": ("log: true", "log: §True", "world.latency.place.mean_us.log", "means different", ""),
    "nan": ("cv: 0.5", "cv: §.nan", "world.latency.place.cv", "must be finite", ""),
    "infinity": ("cv: 0.5", "cv: §-.inf", "world.latency.place.cv", "must be finite", ""),
    "plain nan": ("cv: 0.5", "cv: §NaN", "world.latency.place.cv", "must be finite", ""),
    "float overflow": ("cv: 0.5", "cv: §1e999", "world.latency.place.cv", "too large", ""),
    "integer overflow": ("seed: 7", "seed: §9223372036854775808", "seed", "64 bits", ""),
    "huge integer": ("seed: 7", f"seed: §{'9' * 5000}", "seed", "64 bits", ""),
    # --- keys ---
    "unknown key": ("seed: 7", "§sead: 7", "sead", "Unknown key 'sead'", "Did you mean 'seed'?"),
    "unknown nested key": (
        "instrument: SYN",
        "instrument: SYN, §pahts: [a]",
        "data.source.pahts",
        "Unknown key 'pahts'",
        "Allowed: reader, instrument, generate",
    ),
    "unknown leg": ("    cancel:", "    §cancle:", "world.latency.cancle", "Unknown key", "cancel"),
    "unknown parameter": (
        "skew_ticks_per_lot",
        "§skew_tick_per_lot",
        "strategy.params.skew_tick_per_lot",
        "Unknown key",
        "Allowed: half_spread_ticks, skew_ticks_per_lot, requote_threshold_ticks, ",
    ),
    "missing section": ("search: {sampler: tpe, trials: 40}\n", "", "", "'search' is missing", ""),
    "missing key": (
        "{sampler: tpe, trials: 40}",
        "§{sampler: tpe}",
        "search",
        "'trials' is missing",
        "",
    ),
    "no commission": (
        "{profile: taifex, commission_per_lot: 13}",
        "§{profile: taifex}",
        "venue",
        "'commission_per_lot' is missing",
        "",
    ),
    "empty value": ("seed: 7", "seed:§", "seed", "found nothing", ""),
    "section is a list": ("{backend: inline}", "§[inline]", "run", "Expected a mapping", ""),
    # --- types and ranges ---
    "text for a number": ("seed: 7", 'seed: §"7"', "seed", "found the text '7'", "without quotes"),
    "unit in a value": (
        "mean_us: 20000",
        "mean_us: §20ms",
        "world.latency.cancel.mean_us",
        "found the text '20ms'",
        "the unit is in the key's name",
    ),
    "float for an integer": ("seed: 7", "seed: §7.0", "seed", "Expected an integer", ""),
    "boolean for an integer": ("seed: 7", "seed: §true", "seed", "found the boolean true", ""),
    "negative seed": ("seed: 7", "seed: §-1", "seed", "from 0 to", ""),
    "zero cv": ("cv: 0.5", "cv: §0", "world.latency.place.cv", "from 0.01 to 10", ""),
    "negative latency": (
        "mean_us: 20000",
        "mean_us: §-5",
        "world.latency.cancel.mean_us",
        "from 0",
        "",
    ),
    "no trials": ("trials: 40", "trials: §0", "search.trials", "from 1 to", ""),
    "unknown option": ("sampler: tpe", "sampler: §tep", "search.sampler", "one of tpe", "'tpe'"),
    "unknown metric": ("net_pnl", "§net_pln", "objective.maximize", "one of net_pnl", "'net_pnl'"),
    "unknown reader": (
        "reader: synthetic",
        "reader: §sinthetic",
        "data.source.reader",
        "",
        "synth",
    ),
    "both directions": (
        "  maximize: net_pnl",
        "  §maximize: net_pnl\n  minimize: fees",
        "objective",
        "found both",
        "",
    ),
    "cv of a constant": (
        "model: constant, mean_us: 20000",
        "model: constant, mean_us: 20000, §cv: 1",
        "world.latency.cancel.cv",
        "The model constant has no 'cv'",
        "model: gamma",
    ),
    "gamma without mean": (
        "{model: constant, mean_us: 20000}",
        "§{model: gamma, cv: 1}",
        "world.latency.cancel",
        "'mean_us' is missing",
        "",
    ),
    "floor above the mean": (
        "mean_us: {float: [1000, 40000], log: true}, cv: 0.5, floor_us: 300",
        "mean_us: §{float: [1000, 40000], log: true}, cv: 0.5, floor_us: 1500",
        "world.latency.place.mean_us",
        "must stay above floor_us",
        "part of the mean",
    ),
    # --- search spaces ---
    "low above high": (
        "[1, 8]",
        "§[8, 1]",
        "strategy.params.half_spread_ticks.int",
        "above upper",
        "",
    ),
    "log from zero": (
        "[1000, 40000]",
        "§[0, 40000]",
        "world.latency.place.mean_us.float",
        "log scale",
        "",
    ),
    "three bounds": (
        "[1, 8]",
        "§[1, 4, 8]",
        "strategy.params.half_spread_ticks.int",
        "two bounds",
        "",
    ),
    "bound is a text": (
        "[1, 8]",
        "[1, §many]",
        "strategy.params.half_spread_ticks.int[1]",
        "Expected an integer",
        "",
    ),
    "float space of an integer": (
        "skew_ticks_per_lot: 0.5",
        "position_limit_lots: {§float: [1, 8]}",
        "strategy.params.position_limit_lots.float",
        "its search space is int or choice, found float",
        "",
    ),
    "bounds beyond the range": (
        "[1, 8]",
        "[§-1, 8]",
        "strategy.params.half_spread_ticks.int[0]",
        "found the number -1",
        "",
    ),
    "unknown space": (
        "{int: [1, 8]}",
        "§{itn: [1, 8]}",
        "strategy.params.half_spread_ticks",
        "or a search space",
        "'int'",
    ),
    "unknown key in a space": (
        "{int: [1, 8]}",
        "{int: [1, 8], §setp: 2}",
        "strategy.params.half_spread_ticks.setp",
        "Unknown key 'setp' in the int search space",
        "step",
    ),
    "uneven step": (
        "{int: [1, 8]}",
        "{int: §[1, 8], step: 2}",
        "strategy.params.half_spread_ticks.int",
        "whole number of steps",
        "",
    ),
    "empty choice": (
        "queue: back",
        "queue: {choice: §[]}",
        "world.queue.choice",
        "at least one",
        "",
    ),
    "choice twice": (
        "queue: back",
        "queue: {choice: §[back, back]}",
        "world.queue.choice",
        "lists an option twice",
        "",
    ),
    "choice unknown": (
        "queue: back",
        "queue: {choice: [back, §frnot]}",
        "world.queue.choice[1]",
        "one of back, front",
        "'front'",
    ),
    "space where none may be": (
        "replications: 2",
        "replications: §{int: [1, 2]}",
        "world.replications",
        "found a mapping",
        "fixed value",
    ),
    "nothing to search": (
        "search: {sampler: tpe, trials: 40}",
        "search: §{trials: 40, sampler: tpe}",
        "search",
        "nothing to search",
        "search space",
    ),
    # --- planned, not there yet ---
    "scenario": (
        "queue: back",
        "queue: {scenario: §[back, front]}",
        "world.queue.scenario",
        "'scenario' is not built yet",
        "",
    ),
    "split": ("  slices: session", "  §split: {}", "data.split", "not built yet", "Remove it"),
    "slices by day": ("session", "§day", "data.slices", "not built yet", "session"),
    "pruner": ("trials: 40", "trials: 40, §pruner: {}", "search.pruner", "not built yet", ""),
    "confirm_top": ("trials: 40", "trials: 40, §confirm_top: 3", "search.confirm_top", "not", ""),
    "constraints": (
        "  maximize: net_pnl",
        "  maximize: net_pnl\n  §constraints: {}",
        "objective.constraints",
        "not built yet",
        "",
    ),
    "latency profile": (
        "{model: constant, mean_us: 20000}",
        "{profile: §shioaji_2026_life}",
        "world.latency.cancel.profile",
        "one of shioaji",
        "'shioaji_2026_live'",
    ),
    "planned latency model": (
        "model: constant",
        "model: §weather",
        "world.latency.cancel.model",
        "one of constant, gamma",
        "",
    ),
    "reaction that a bound does not read": (
        "queue: back",
        "queue: {choice: [back, front]}\n  impact: §{reaction: 0.5}",
        "world.impact",
        "The queue model back or front is a bound: nothing reads the reaction",
        "Remove world.impact.reaction",
    ),
    "time of losses without losses": (
        "    cancel: {model: constant, mean_us: 20000}",
        "    loss_timeout_us: §500",
        "world.latency.loss_timeout_us",
        "No request gets lost",
        "add loss_probability",
    ),
    "queue model without a draw": (
        "queue: back",
        "queue: {l3: {§mode: sampled}}",
        "world.queue.l3.mode",
        "Unknown key 'mode'",
        "It takes none: remove it",
    ),
    # --- names that reach the file system, other processes or the interpreter ---
    "study climbs": ("study: quick", "study: §../etc", "study", "Expected a name", ""),
    "study is absolute": ("study: quick", "study: §/tmp/x", "study", "Expected a name", ""),
    "study with dots": ("study: quick", "study: §a..b", "study", "Expected a name", ""),
    "study encoded": ("study: quick", 'study: §"%2e%2e"', "study", "Expected a name", ""),
    "study with a newline": ("study: quick", 'study: §"a\\nb"', "study", "Expected a name", ""),
    "study too long": ("study: quick", f"study: §{'a' * 300}", "study", "Expected a name", ""),
    "study look-alike": ("study: quick", "study: §quіck", "study", "Expected a name", ""),  # noqa: RUF001
    "experiment climbs": (
        "uri: none",
        "uri: none, experiment: §../x",
        "tracking.experiment",
        "Expected a name",
        "",
    ),
    "tracking to a file": (
        "uri: none",
        "uri: §file:///etc/passwd",
        "tracking.uri",
        "embedded, none or an http(s) URL",
        "",
    ),
    "password in a url": (
        "uri: none",
        "uri: §http://me:pw@host:5000",
        "tracking.uri",
        "without user and password",
        "",
    ),
    "class of the system": (
        "strategies.maker:MakerStrategy",
        "§os:system",
        "strategy.class",
        "only classes of the package strategies",
        "sweep.strategies",
    ),
    "class is code": (
        "strategies.maker:MakerStrategy",
        "§\"__import__('os').system('ls')\"",
        "strategy.class",
        "Expected a class as module:Class",
        "strategies.maker:MakerStrategy",
    ),
    "class unknown": (
        "strategies.maker:MakerStrategy",
        "§strategies.maker:MakerStrateg",
        "strategy.class",
        "no class 'MakerStrateg'",
        "",
    ),
    "module unknown": (
        "strategies.maker:MakerStrategy",
        "§strategies.taker:T",
        "strategy.class",
        "no module 'strategies.taker'",
        "",
    ),
    "class is no strategy": (
        "strategies.maker:MakerStrategy",
        "§strategies.base:StrategyError",
        "strategy.class",
        "has no dataclass Params",
        "",
    ),
    "mode unknown": (
        "  params:",
        "  mode: §jit\n  params:",
        "strategy.mode",
        "Expected one of auto, compiled, interpreted",
        "",
    ),
    "compiled, but only hooks": (
        "class: strategies.maker:MakerStrategy\n  params:\n    half_spread_ticks: {int: [1, 8]}\n"
        "    skew_ticks_per_lot: 0.5\n",
        "class: strategies.base:Strategy\n  mode: §compiled\n",
        "strategy.mode",
        "decides in hooks",
        "KernelStrategy",
    ),
    # --- files and environment ---
    "file missing": (
        "{reader: synthetic, instrument: SYN}",
        "{reader: shioaji_parquet, instrument: TXF, paths: [§gone.parquet]}",
        "data.source.paths[0]",
        "No such file: gone.parquet",
        "relative to",
    ),
    "paths missing": (
        "{reader: synthetic, instrument: SYN}",
        "§{reader: shioaji_parquet, instrument: TXF}",
        "data.source",
        "'paths' is missing",
        "",
    ),
    "paths empty": (
        "{reader: synthetic, instrument: SYN}",
        "{reader: shioaji_parquet, instrument: TXF, paths: §[]}",
        "data.source.paths",
        "an empty list",
        "",
    ),
    "variable not set": (
        "{reader: synthetic, instrument: SYN}",
        '{reader: shioaji_parquet, instrument: TXF, paths: §"${SWEEP_NOT_SET_ANYWHERE}/a"}',
        "data.source.paths",
        "SWEEP_NOT_SET_ANYWHERE is not set",
        "export",
    ),
    "variable without braces": (
        "{reader: synthetic, instrument: SYN}",
        '{reader: shioaji_parquet, instrument: TXF, paths: [§"$HOME/a"]}',
        "data.source.paths[0]",
        "without braces",
        "${NAME}",
    ),
    "path is a folder": (
        "{reader: synthetic, instrument: SYN}",
        "{reader: shioaji_parquet, instrument: TXF, paths: [§.]}",
        "data.source.paths[0]",
        "found a folder",
        "*.parquet",
    ),
    # --- run ---
    "workers of inline": (
        "{backend: inline}",
        "{backend: inline, workers: §4}",
        "run.workers",
        "one worker",
        "",
    ),
    "no workers": (
        "{backend: inline}",
        "{backend: ray, workers: §0}",
        "run.workers",
        "from 1 to",
        "",
    ),
    "cluster of unknown size": (
        "{backend: inline}",
        '§{backend: ray, address: "10.0.0.1:6379"}',
        "run",
        "not known here",
        "workers: 32",
    ),
}


def check(path: Path, text: str) -> StudyError:
    path.write_text(text, encoding="utf-8")
    started_s = time.process_time()
    with pytest.raises(StudyError) as caught:
        load_study(path)
    assert time.process_time() - started_s < 1.0
    return caught.value


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def f(:", "SyntaxError: invalid syntax"),
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("raise SystemExit(0)", "SystemExit: 0"),
    ],
)
def test_strategy_that_cannot_be_imported_is_the_only_problem(
    source: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text(source)
    monkeypatch.setattr(strategies, "__path__", [*strategies.__path__, str(tmp_path)])
    text = BASE.replace("strategies.maker:MakerStrategy", "strategies.broken:Mine")
    error = check(tmp_path / "study.yaml", text)
    assert len(error.problems) == 1, str(error)
    assert error.key_path == "strategy.class"
    assert f"importing strategies.broken raises {words}" in error.message


@pytest.mark.parametrize("name", CASES)
def test_malformed_study_is_refused(name: str, tmp_path: Path) -> None:
    old, new, key_path, message, hint = CASES[name]
    base = BASE if name != "nothing to search" else BASE_FIXED
    assert base.count(old) >= 1, "the case edits nothing"
    marked = base.replace(old, new, 1)
    before, mark, after = marked.partition("§")
    error = check(tmp_path / "study.yaml", before + after)
    expected_line = before.count("\n") + 1 if mark else 1
    expected_column = len(before.rsplit("\n", 1)[-1]) + 1 if mark else 1
    assert (error.line, error.column) == (expected_line, expected_column), str(error)
    assert error.file == str(tmp_path / "study.yaml")
    assert error.key_path == key_path
    assert message in error.message
    assert hint in error.hint
    assert error.exit_code == EXIT_BAD_INPUT
    assert f"study.yaml:{error.line}:{error.column}: " in str(error)


BASE_FIXED = BASE.replace("{int: [1, 8]}", "2").replace("{float: [1000, 40000], log: true}", "5000")


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 60


def test_base_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(BASE, encoding="utf-8")
    assert load_study(path).name == "quick"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The document is empty"),
        ("# only a comment\n", "The document is empty"),
        ("- a\n- b\n", "Expected a mapping, found a list of 2"),
        ("just text\n", "Expected a mapping, found the text 'just text'"),
    ],
)
def test_document_is_no_mapping(text: str, message: str, tmp_path: Path) -> None:
    error = check(tmp_path / "study.yaml", text)
    assert (error.line, error.column) == (1, 1)
    assert error.problems[0].message == message


def test_all_problems_are_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = BASE.replace("seed: 7", "seed: x").replace("trials: 40", "trials: 0, typo: 1")
    error = check(tmp_path / "study.yaml", text)
    assert [problem.path for problem in error.problems] == ["seed", "search.trials", "search.typo"]
    assert str(error).count("study.yaml:") == 3


def test_alias_bomb_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    error = check(tmp_path / "study.yaml", "\n".join(lines))
    assert (error.line, error.column) == (1, 5)
    assert "Anchors" in error.message


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    error = check(tmp_path / "study.yaml", "seed: " + "[" * 5000 + "]" * 5000)
    assert (error.line, error.column) == (1, 7 + 31)
    assert "nested 32 deep" in error.message


def test_many_values_are_refused(tmp_path: Path) -> None:
    error = check(tmp_path / "study.yaml", "seed: [" + "1," * 200_000 + "1]")
    assert "at most 20000 values" in error.message


def test_large_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(StudyError, match=f"at most {BYTES_MAX} bytes"):
        load_study(path)


def test_text_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(b"study: quick\nseed: \xff\n")
    with pytest.raises(StudyError, match="Not UTF-8 text: byte 0xff") as caught:
        load_study(path)
    assert (caught.value.line, caught.value.column) == (2, 7)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="No such file or directory"):
        load_study(tmp_path / "gone.yaml")
