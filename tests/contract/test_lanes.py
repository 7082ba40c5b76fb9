"""Replays side by side on a compiled tape give what each gives alone, on every way to compare."""

import array
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rustsim
from strategies.adapters.rustsim import RustSimAdapter
from strategies.gateway import MarketView
from strategies.maker import MakerParams, MakerStrategy

LEVEL, TRADE = 0, 1
ROWS = 12_000


def write_tape(path: Path) -> rustsim.Tape:
    """Write a market that wanders by a tick now and then."""
    rows: list[tuple[int, int, int, int, int]] = []
    mid, state = 1_000, 7
    for index in range(ROWS):
        state = state * 6_364_136_223_846_793_005 % 2**64 + 1_442_695_040_888_963_407
        draw = state >> 40
        mid += (draw % 41 == 0) - (draw % 43 == 0)
        side = draw % 2
        price = mid + (draw // 2 % 4 + 1) * (1 if side else -1)
        kind = TRADE if draw % 9 == 0 else LEVEL
        lots = draw // 64 % 7 + (kind == TRADE)
        rows.append((10**18 + index * 1_000_000, kind, side, price, lots))
    exch_ns, kinds, sides, prices, lots_of = (list(column) for column in zip(*rows, strict=True))
    builder = rustsim.TapeBuilder(str(path))
    builder.append(
        array.array("q", exch_ns),
        None,
        array.array("B", kinds),
        array.array("B", sides),
        array.array("B", [0] * ROWS),
        array.array("i", prices),
        array.array("i", lots_of),
    )
    builder.finish("{}")
    return rustsim.Tape.open(str(path))


def exchange(seed: int) -> RustSimAdapter:
    legs = {name: {"mean_ns": 2e6 + seed} for name in ("place", "cancel", "report", "feed")}
    return RustSimAdapter.from_spec({"latency": legs, "seed": seed})


def maker(gateway: RustSimAdapter, seed: int) -> MakerStrategy:
    return MakerStrategy(gateway, MakerParams(half_spread_ticks=1.0 + seed % 3))


class Failing:
    """Raises in the middle."""

    def __init__(self) -> None:
        self.calls = 0

    def on_tick(self, _: MarketView) -> None:
        self.calls += 1
        if self.calls == 20:
            raise KeyError("lane")


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> rustsim.Tape:
    return write_tape(tmp_path_factory.mktemp("lanes") / "small.tape")


def facts(result: rustsim.ReplayResult) -> tuple[Any, ...]:
    return (result.digest, result.wakes, result.events, dict(result.ledger), list(result.equity))


def test_lanes_give_what_each_gives_alone(tape: rustsim.Tape) -> None:
    compiled = rustsim.CompiledTape.of(tape, 0, ROWS)
    exchanges = [exchange(seed) for seed in range(7)]
    strategies = [maker(gateway, seed) for seed, gateway in enumerate(exchanges)]
    results = rustsim.replay_lanes(exchanges, strategies, tape, 0, ROWS, compiled=compiled)
    for seed, result in enumerate(results):
        gateway = exchange(seed)
        alone = gateway.replay(tape, 0, ROWS, maker(gateway, seed))
        assert (alone.engine, result.engine) == ("direct", "compiled")
        assert facts(result) == facts(alone), seed
    assert len({result.digest for result in results}) == 7
    assert all(result.metrics["fills"] > 0 for result in results)


def test_rows_up_to_the_middle_of_a_compiled_tape_are_replayed(tape: rustsim.Tape) -> None:
    compiled = rustsim.CompiledTape.of(tape, 0, ROWS)
    for stop in (1, 63, 64, 4_097, 9_999):
        direct, quick = exchange(1), exchange(1)
        expected = direct.replay(tape, 0, stop, maker(direct, 1))
        found = quick.replay(tape, 0, stop, maker(quick, 1), compiled=compiled)
        assert found.engine == "compiled"
        assert facts(found) == facts(expected), stop


def test_what_one_lane_raises_ends_all(tape: rustsim.Tape) -> None:
    compiled = rustsim.CompiledTape.of(tape, 0, ROWS)
    exchanges = [exchange(seed) for seed in range(3)]
    failing = Failing()
    strategies = [maker(exchanges[0], 0), failing, maker(exchanges[2], 2)]
    with pytest.raises(KeyError, match="lane"):
        rustsim.replay_lanes(exchanges, strategies, tape, 0, ROWS, compiled=compiled)
    assert failing.calls == 20
    with pytest.raises(rustsim.ReplayError, match="fresh exchange"):
        exchanges[0].replay(tape, 0, ROWS)


def test_lanes_refuse_what_only_the_direct_engine_can_do(tape: rustsim.Tape) -> None:
    compiled = rustsim.CompiledTape.of(tape, 0, ROWS)
    gateway = exchange(1)
    strategies = [maker(gateway, 1)]
    with pytest.raises(rustsim.ReplayError, match="more than best prices"):
        rustsim.replay_lanes([gateway], strategies, tape, 0, ROWS, compiled=compiled, wake="every")
    with pytest.raises(rustsim.ReplayError, match="cannot be replayed on this compiled tape"):
        rustsim.replay_lanes([gateway], strategies, tape, 1, ROWS, compiled=compiled)
    with pytest.raises(ValueError, match="one for each of 1 exchanges, found 0"):
        rustsim.replay_lanes([gateway], [], tape, 0, ROWS, compiled=compiled)
    gateway.replay(tape, 0, ROWS, strategies[0])  # none of the refusals used it up


PROGRAM = """
import json, sys
import rustsim
from tests.contract.test_lanes import ROWS, exchange, maker
tape = rustsim.Tape.open(sys.argv[1])
gateway = exchange(2)
compiled = rustsim.CompiledTape.of(tape, 0, ROWS)
print(json.dumps(gateway.replay(tape, 0, ROWS, maker(gateway, 2), compiled=compiled).digest))
"""


def run_with(compare: str, tape: rustsim.Tape) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, tape.path],
        cwd=root,
        env={**os.environ, "RUSTSIM_COMPARE": compare, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_way_to_compare_gives_one_digest(tape: rustsim.Tape) -> None:
    gateway = exchange(2)
    expected = gateway.replay(tape, 0, ROWS, maker(gateway, 2)).digest
    refused = run_with("abacus", tape)
    assert "ReplayError: RUSTSIM_COMPARE: this machine has plain, words" in refused.stderr
    told = refused.stderr.partition("this machine has ")[2].partition(", found")[0]
    for name in told.split(", "):
        done = run_with(name, tape)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == expected, name
