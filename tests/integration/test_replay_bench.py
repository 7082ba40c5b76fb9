"""The benchmark of replays on a small feed: every row is made, and different results stop it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

import rustsim
from benches import replay_bench
from benches.feed import generate, write_tape
from benches.replay_bench import RULES, cases, measure_compiling, measure_scan, measure_sets
from benches.replay_cases import (
    SPEC,
    Case,
    Maker,
    Run,
    Stretch,
    kernel_maker,
    measure_cases,
    run_lanes,
    stretch,
)
from benches.worker_cases import parameter_sets

ROWS = 20_000


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Stretch:
    path = tmp_path_factory.mktemp("bench") / "bench.tape"
    write_tape(generate(ROWS), path)
    return stretch(rustsim.Tape.open(str(path)), 0, ROWS)


def test_every_case_gives_a_row_with_what_it_costs(part: Stretch) -> None:
    peers = {"other": {"rows": {"maker": {"ns": [300.0, 100.0, 200.0]}}}}
    rows = {row.name: row for row in measure_cases(cases(), [part], SPEC, 1, peers)}
    assert len(rows) == len(cases())
    assert all(row.value > 0.0 and row.facts["events"] == ROWS for row in rows.values())
    maker, direct = rows["compiled maker"], rows["compiled maker, direct"]
    assert maker.peers == {"other": 200.0}
    assert maker.facts["engine"] == "compiled"
    assert direct.facts["engine"] == "direct"
    assert maker.facts["digest"] == direct.facts["digest"]
    assert maker.facts["fills"] > 0
    assert 0.0 < maker.facts["orders_per_event"] < maker.facts["wakes_per_event"] < 1.0
    assert rows["replay only"].facts["orders_per_event"] == 0.0


def test_cases_that_must_agree_and_do_not_stop_the_benchmark(part: Stretch) -> None:
    other = RULES | {"half_spread_ticks": 3.0}
    pair = [
        Case(name=name, make=kernel_maker(rules), group="maker")
        for name, rules in (("one", RULES), ("other", other))
    ]
    with pytest.raises(RuntimeError, match="maker: different results"):
        measure_cases(pair, [part], SPEC, 1, {})


def test_parameter_sets_are_different_and_checked_one_by_one(
    part: Stretch, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = parameter_sets(RULES, 130)
    assert len({tuple(rules.values()) for rules in sets}) == 130
    rows = measure_sets(part, 3, 1)
    assert [row.facts for row in rows] == 2 * [{"engine": "compiled", "sets": 3}]

    def swapped(
        makers: Sequence[Maker], stretches: Sequence[Stretch], spec: Mapping[str, Any]
    ) -> list[Run]:
        return run_lanes(makers[::-1], stretches, spec)

    monkeypatch.setattr(replay_bench, "run_lanes", swapped)
    with pytest.raises(RuntimeError, match="parameter sets: different results"):
        measure_sets(part, 3, 1)


def test_floor_and_sizes_are_told(part: Stretch) -> None:
    assert measure_scan(1_000, 1).value > 0.0
    times, compiled, tape = measure_compiling(part.tape, 1)
    assert times.value > 0.0
    assert compiled.value * ROWS == part.compiled.byte_count
    assert 1.0 < tape.value < 16.0
