"""Valid study files: what they mean, with overrides and defaults."""

from pathlib import Path

import pytest

from sweep.reading import Searched
from sweep.schema import Study
from sweep.space import ChoiceSpace, FloatSpace, IntSpace, space_from_json, space_to_json
from sweep.studyfile import StudyError, emit_yaml, load_study, parse_yaml
from sweep.template import to_template

TEXT = """\
# A comment that the stored text keeps.
study: quick
seed: 7
data:
  source: {reader: synthetic, instrument: SYN, generate: {events: 1000, seed: 11}}
venue: {profile: taifex, commission_per_lot: {int: [10, 20]}}
strategy:
  class: strategies.maker:MakerStrategy
  params:
    half_spread_ticks: {float: [0.5, 4]}
    order_lots: {choice: [1, 2, 5]}
world:
  latency:
    place: {model: gamma, mean_us: {float: [1e3, 4e4], log: true}, cv: .5, floor_us: 300}
    cancel: {model: constant, mean_us: 20000}
  queue: {power: {n: {int: [1, 4]}, mode: sampled}}
objective: {minimize: max_drawdown, aggregate: {over: slice, by: cvar, q: 0.25}}
search: {trials: 40, startup_trials: 5}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "study.yaml"
    file.write_text(TEXT, encoding="utf-8")
    return file


def test_spaces_are_listed_by_key_path_in_the_order_of_the_file(path: Path) -> None:
    assert list(load_study(path).space.items()) == [
        ("venue.commission_per_lot", IntSpace(low=10, high=20)),
        ("strategy.params.half_spread_ticks", FloatSpace(low=0.5, high=4.0)),
        ("strategy.params.order_lots", ChoiceSpace(options=(1, 2, 5))),
        ("world.latency.place.mean_us", FloatSpace(low=1000.0, high=40000.0, log=True)),
        ("world.queue.power.n", IntSpace(low=1, high=4)),
    ]


def test_sections_carry_values_and_defaults(path: Path) -> None:
    study = load_study(path)
    assert (study.name, study.seed, study.text) == ("quick", 7, TEXT)
    assert study.data.source.options == {"events": 1000, "seed": 11}
    assert study.data.slices == "session"
    assert study.venue.tax_rate == 0.00002
    assert study.venue.visible_levels == 5
    assert study.world.latency["place"].cv == 0.5
    assert study.world.latency["feed"].mean_us == 0.0
    assert (study.world.queue, study.world.queue_mode) == ("power", "sampled")
    assert isinstance(study.world.queue_power, Searched)
    assert study.world.replications == 1
    assert study.strategy.params["requote_threshold_ticks"] == 1
    assert (study.objective.direction, study.objective.metric) == ("minimize", "max_drawdown")
    assert (study.objective.over, study.objective.by, study.objective.q) == ("slice", "cvar", 0.25)
    assert (study.search.sampler, study.search.options) == ("tpe", {"startup_trials": 5})
    assert (study.run.backend, study.run.workers) == ("processes", 0)
    assert (study.tracking.uri, study.tracking.experiment) == ("embedded", "quick")


def test_override_changes_value_text_and_fingerprint(path: Path) -> None:
    plain = load_study(path)
    changed = load_study(path, ["world.latency.place.cv=0.8", "run.backend=inline"])
    assert changed.world.latency["place"].cv == 0.8
    assert changed.run.backend == "inline"
    assert changed.fingerprint != plain.fingerprint
    again = path.with_name("again.yaml")
    again.write_text(changed.text, encoding="utf-8")
    reread = load_study(again)
    assert reread.fingerprint == changed.fingerprint
    assert reread.space == changed.space
    assert '# --set "world.latency.place.cv=0.8"' in changed.text


@pytest.mark.parametrize(
    "override",
    [
        "search.trials=400",
        "run.workers=2",
        "run.timeout_s=5",
        "run.engine=direct",
        "tracking.uri=none",
    ],
)
def test_what_shapes_no_result_is_not_in_the_fingerprint(path: Path, override: str) -> None:
    assert load_study(path, [override]).fingerprint == load_study(path).fingerprint


@pytest.mark.parametrize(
    "override",
    [
        "seed=8",
        "data.slices=all",
        "data.source.generate.seed=12",
        "strategy.wake=touch",
        "strategy.params.skew_ticks_per_lot=0.5",
        "strategy.params.half_spread_ticks={float: [0.5, 5]}",
        "world.queue=back",
        "world.replications=2",
        "objective.aggregate.q=0.5",
        "search.sampler=random",
    ],
)
def test_what_shapes_results_is_in_the_fingerprint(path: Path, override: str) -> None:
    overrides = [override]
    if override == "search.sampler=random":
        overrides = ["search={sampler: random, trials: 40}"]
    assert load_study(path, overrides).fingerprint != load_study(path).fingerprint


@pytest.mark.parametrize(
    ("override", "column", "key_path", "message"),
    [
        ("search.trials=1e3", 15, "search.trials", "Expected an integer from 1 to"),
        ("search.trials=010", 15, "search.trials", "means different things"),
        ("search.trials", 1, "", "has the form dotted.key=value"),
        ("search..trials=1", 1, "", "has the form dotted.key=value"),
        ("search.trails=1", 1, "search.trails", "Unknown key 'trails'"),
        ("seed.x=1", 8, "seed.x", "seed has no keys, it is the number 7"),
        ("world.queue={power: {n: -1}}", 25, "world.queue.power.n", "above 0"),
        ("seed=&a 7", 6, "seed", "Anchors are not allowed"),
        ("seed=", 6, "seed", "An override needs a value"),
        ("seed=1\udcff", 7, "seed", "Not UTF-8 text"),
    ],
)
def test_override_is_as_strict_as_the_file(
    path: Path, override: str, column: int, key_path: str, message: str
) -> None:
    with pytest.raises(StudyError) as caught:
        load_study(path, [override])
    error = caught.value
    assert (error.file, error.line, error.column) == (f"--set {override}", 1, column)
    assert error.key_path == key_path
    assert message in error.message


@pytest.mark.parametrize(
    "value",
    [
        "yes",
        "1e-3",
        "010",
        "12:30",
        "",
        "~",
        "a: b",
        "é\n\t\x07",
        "\U0001f600",
        "#x",
        "a b",
        "*a",
        "- a",
    ],
)
def test_written_yaml_reads_back_to_the_same_text(value: str) -> None:
    text = f"a: {{b: [{_quoted(value)}, 1, 1.5, true, null], c: {{}}}}\nd: {_quoted(value)}\n"
    node = parse_yaml(text, source="x")
    again = parse_yaml(emit_yaml(node), source="y")
    assert to_values(again.value) == to_values(node.value)
    assert to_values(node.value)["d"] == value


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + escaped.replace("\t", "\\t").replace("\x07", "\\a") + '"'


def to_values(value: object) -> dict[str, object]:
    def plain(item: object) -> object:
        if isinstance(item, dict):
            return {key: plain(node.value) for key, node in item.items()}
        if isinstance(item, tuple):
            return [plain(node.value) for node in item]
        return item

    result = plain(value)
    assert isinstance(result, dict)
    return result


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 100000.0),
        (".5", 0.5),
        ("-0.0", -0.0),
        ("+3", 3),
        ("0", 0),
        ("true", True),
        ("null", None),
        ("~", None),
        ("2026-04-08", "2026-04-08"),
        ("'010'", "010"),
        ("TXF", "TXF"),
        ("5ms", "5ms"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = parse_yaml(f"a: {text}", source="x").value
    assert isinstance(found, dict)
    assert found["a"].value == value
    assert type(found["a"].value) is type(value)


def test_paths_resolve_against_the_study_file_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b.parquet", "a.parquet", "c.txt"):
        (tmp_path / name).touch()
    monkeypatch.setenv("SOME_DATA", str(tmp_path))
    path = tmp_path / "studies" / "study.yaml"
    path.parent.mkdir()
    source = (
        '{reader: shioaji_parquet, instrument: TXF, paths: ["${SOME_DATA}/*.parquet", ../c.txt]}'
    )
    text = TEXT.splitlines()
    text[4] = f"  source: {source}"
    path.write_text("\n".join(text), encoding="utf-8")
    found = load_study(path).data.source.paths
    assert found == tuple(tmp_path / name for name in ("a.parquet", "b.parquet", "c.txt"))


def test_template_has_holes_where_spaces_are(path: Path) -> None:
    study: Study = load_study(path)
    template = to_template(study.world)
    assert template["latency"]["place"]["mean_us"] == {"$": "world.latency.place.mean_us"}
    assert template["latency"]["place"]["cv"] == 0.5
    assert template["queue_power"] == {"$": "world.queue.power.n"}


@pytest.mark.parametrize(
    "space",
    [
        IntSpace(low=1, high=9, step=2),
        IntSpace(low=1, high=1024, log=True),
        FloatSpace(low=0.1, high=1.0, log=True),
        ChoiceSpace(options=("a", 1, 1.0, True)),
    ],
)
def test_space_survives_json(space: IntSpace | FloatSpace | ChoiceSpace) -> None:
    assert space_from_json(space_to_json(space)) == space


def test_choice_tells_equal_values_of_different_types_apart() -> None:
    space = ChoiceSpace(options=(1, "x"))
    assert space.contains(1)
    assert not space.contains(True)
    assert not space.contains(1.0)
