"""The comparison with hftbacktest: its page is true of us, its schedules keep the shared rules."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from benches.feed import LEVEL, TRADE, Feed, generate
from benches.peer_cases import GROUPS, Case
from benches.peer_orders import (
    AMEND,
    CANCEL,
    GTC,
    GTX,
    LIMIT,
    PLACE,
    levels_after_prints,
    one_message_a_time,
    prints_first,
    random_schedule,
)
from benches.peer_page import cell
from benches.peer_scenarios import answer_here

ROOT = Path(__file__).resolve().parents[2]
LATENCY_NS = 5_000_000
CASES = [case for members in GROUPS.values() for case in members]


def page() -> dict[str, list[str]]:
    """Return the rows of docs/peers.md by their first column."""
    lines = (ROOT / "docs" / "peers.md").read_text().splitlines()
    rows = [[part.strip() for part in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in rows if len(row) == 4}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_page_says_what_we_answer(case: Case, tmp_path: Path) -> None:
    there, here, answer = page()[case.name]
    assert here == cell(case.here or answer_here(case.scenario(), tmp_path))
    assert answer == (f"differs because: {case.because}" if case.because else "same")
    assert (there == here) == (not case.because)


def test_page_holds_every_case_once() -> None:
    assert set(page()) - {"case", "---"} == {case.name for case in CASES}
    assert len(CASES) == len({case.name for case in CASES}) >= 50


@pytest.fixture(scope="module")
def feed() -> Feed:
    return one_message_a_time(generate(60_000))


def rests(rows: npt.NDArray[np.void]) -> list[tuple[int, int, int, int]]:
    """Return (side, price, from, until) of everything that an order may rest at."""
    found = []
    for number in np.unique(rows["order_id"]).tolist():
        own = rows[rows["order_id"] == number]
        side, at, price = int(own["side"][0]), int(own["at_ns"][0]), int(own["price"][0])
        for row in own[1:]:
            end = int(row["at_ns"]) + LATENCY_NS
            found.append((side, price, at, end))
            if row["action"] == AMEND:
                at, price = int(row["at_ns"]), int(row["price"])
    return found


def test_schedule_keeps_the_shared_rules(feed: Feed) -> None:
    rows = random_schedule(feed, 1_000, LATENCY_NS, seed=1)
    assert (np.diff(rows["at_ns"]) >= 0).all()
    assert (rows["lots"][rows["action"] != CANCEL] == 1).all()
    assert (rows["action"] == PLACE).sum() == 1_000
    for action in (CANCEL, AMEND):
        assert (rows["action"] == action).sum() > 20
    stays = rests(rows)
    for index, (side, price, start, end) in enumerate(stays):
        for other in stays[index + 1 :]:
            if other[2] < end and start < other[3] and (side, price) == other[:2]:
                # An amend leaves one price for another; no two orders share one.
                raise AssertionError(f"two orders at {side, price}")
    forces = rows["time_in_force"][(rows["action"] == PLACE) & (rows["order_type"] == LIMIT)]
    assert {GTC, GTX} < set(forces.tolist())


def columns_of(feed: Feed) -> list[tuple[Any, ...]]:
    return list(
        zip(
            feed.exch_ns.tolist(),
            feed.kind.tolist(),
            feed.side.tolist(),
            feed.price.tolist(),
            feed.qty.tolist(),
            strict=True,
        )
    )


def test_prints_are_told_before_levels_and_with_what_they_left() -> None:
    rows = [(0, LEVEL, 0, 99, 10), (5, LEVEL, 0, 99, 6), (5, TRADE, 0, 99, 4), (9, TRADE, 0, 99, 7)]
    times, kind, side, price, qty = (np.array(column) for column in zip(*rows, strict=True))
    feed = Feed(
        exch_ns=times,
        local_ns=times,
        kind=kind.astype(np.uint8),
        side=side.astype(np.uint8),
        flags=np.ones(len(rows), np.uint8),
        price=price.astype(np.int32),
        qty=qty.astype(np.int32),
    )
    made = levels_after_prints(prints_first(feed))
    assert columns_of(made) == [
        (0, LEVEL, 0, 99, 10),
        (5, TRADE, 0, 99, 4),
        (5, LEVEL, 0, 99, 6),
        (5, LEVEL, 0, 99, 6),
        (9, TRADE, 0, 99, 7),
        (9, LEVEL, 0, 99, 0),
    ]
    assert made.flags.tolist() == [1, 0, 0, 1, 0, 1]


@pytest.mark.slow
def test_orders_end_equal_in_hftbacktest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benches import peer_check

    python = os.environ.get("HBT_PYTHON")
    if not python:
        pytest.skip(
            "HBT_PYTHON names no Python with hftbacktest 2.4.4; `make peer-check` makes one"
        )
    monkeypatch.setattr(peer_check, "BUILD", tmp_path)
    monkeypatch.setattr(peer_check, "RUNS", peer_check.RUNS[:2])
    monkeypatch.setattr(peer_check, "RECORDING", tmp_path / "none")
    for run in peer_check.check_orders(python, 100_000, 1_000):
        assert run["differing"] == 0
