"""A replay that nobody looks at keeps one book, and its account is that of one that is watched."""

from pathlib import Path

import pytest

import rustsim
from strategies.adapters.rustsim import RustSimAdapter
from strategies.base import Strategy, StrategyParams

START_NS = 1_700_000_000_000_000_000


def tape_with_local_clock(path: Path) -> rustsim.Tape:
    array = pytest.importorskip("numpy")
    rng = array.random.default_rng(3)
    rows = 4_000
    exch_ns = START_NS + array.cumsum(rng.integers(0, 3, rows) * 50_000)
    side = rng.integers(0, 2, rows).astype("u1")
    price = (1_000 + array.where(side == 0, -1, 1) * rng.integers(0, 4, rows)).astype("i4")
    builder = rustsim.TapeBuilder(str(path), has_local=True)
    builder.append(
        exch_ns,
        exch_ns + 400_000,
        array.zeros(rows, "u1"),
        side,
        array.ones(rows, "u1"),
        price,
        rng.integers(0, 5, rows).astype("i4"),
    )
    builder.finish("{}")
    return rustsim.Tape.open(str(path))


def test_unwatched_replay_equals_one_with_an_idle_strategy(tmp_path: Path) -> None:
    tape = tape_with_local_clock(tmp_path / "ticks.tape")
    results = []
    for strategy in (True, False):
        for wake in ("every", "own"):
            exchange = RustSimAdapter(latency_model="gamma", mean=300.0)
            idle = Strategy(exchange, StrategyParams()) if strategy else None
            results.append(exchange.replay(tape, 0, tape.row_count, idle, wake=wake))
    assert results[0].wakes > 1_000
    assert results[2].wakes == 0
    assert len({result.digest for result in results}) == 1
    assert len({str(result.ledger) for result in results}) == 1
    assert results[2].events == tape.row_count
