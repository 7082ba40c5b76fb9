"""The plan: every row once per replication, in one order for everybody."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.cells import Cell, cells_from_json, cells_to_json, plan_cells
from sweep.errors import DataError


@dataclass(frozen=True)
class FakeSession:
    name: str
    row_start: int
    row_stop: int


@dataclass(frozen=True)
class FakeTape:
    row_count: int
    sessions: tuple[FakeSession, ...]


def tape(*sizes: int, prefix: str = "s") -> FakeTape:
    sessions, row = [], 0
    for number, size in enumerate(sizes):
        sessions.append(FakeSession(f"{prefix}{number}", row, row + size))
        row += size
    return FakeTape(row, tuple(sessions))


@given(
    sizes=st.lists(st.integers(1, 1000), min_size=1, max_size=12),
    replications=st.integers(1, 4),
    seed=st.integers(0, 2**63 - 1),
)
def test_every_row_is_replayed_once_per_replication(
    sizes: list[int], replications: int, seed: int
) -> None:
    cells = plan_cells([tape(*sizes)], slices="session", replications=replications, seed=seed)
    assert len({cell.key for cell in cells}) == len(cells) == len(sizes) * replications
    assert sum(cell.events for cell in cells) == sum(sizes) * replications
    assert cells_from_json(cells_to_json(cells)) == cells


def test_order_is_shuffled_by_the_seed_and_nothing_else() -> None:
    tapes = [tape(*[10] * 20)]
    first = plan_cells(tapes, slices="session", replications=2, seed=7)
    assert first == plan_cells(tapes, slices="session", replications=2, seed=7)
    other = plan_cells(tapes, slices="session", replications=2, seed=8)
    assert set(first) == set(other)
    assert first != other
    assert list(first) != sorted(first, key=lambda cell: cell.row_start)


def test_more_data_keeps_the_order_of_the_cells_before() -> None:
    before = plan_cells([tape(10, 10, 10, 10)], slices="session", replications=1, seed=7)
    after = plan_cells([tape(10, 10, 10, 10, 10)], slices="session", replications=1, seed=7)
    assert [cell for cell in after if cell.slice != "s4"] == list(before)


def test_one_slice_for_all_of_a_tape() -> None:
    cells = plan_cells([tape(10, 20)], slices="all", replications=1, seed=1)
    assert cells == (
        Cell(tape=0, slice="all", scenario="base", replication=0, row_start=0, row_stop=30),
    )


def test_several_tapes_keep_their_slices_apart() -> None:
    cells = plan_cells([tape(10), tape(5)], slices="all", replications=1, seed=1)
    assert {(cell.tape, cell.slice, cell.events) for cell in cells} == {
        (0, "all-1", 10),
        (1, "all-2", 5),
    }


def test_two_slices_of_one_name_are_refused() -> None:
    with pytest.raises(DataError, match="Two slices are named 's0'"):
        plan_cells([tape(10), tape(5)], slices="session", replications=1, seed=1)


def test_data_without_rows_is_refused() -> None:
    with pytest.raises(DataError, match="no rows"):
        plan_cells([tape(0)], slices="session", replications=1, seed=1)
