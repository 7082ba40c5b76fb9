"""The plan of a study: which cells every trial replays, in an order that no trial can choose.

A cell is (slice, scenario, replication): one replay of one parameter set. The plan is made once,
is the same for all trials (so that trials are compared in pairs on the same markets), and is
shuffled by a key of the study seed. The key of a cell does not depend on the other cells.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from sweep.errors import DataError

SCENARIO_BASE = "base"


class SessionLike(Protocol):
    """A named run of rows of a tape."""

    @property
    def name(self) -> str:
        """What results call it."""
        ...

    @property
    def row_start(self) -> int:
        """First row."""
        ...

    @property
    def row_stop(self) -> int:
        """First row after it."""
        ...


class TapeLike(Protocol):
    """What a plan needs to know of a tape; `sweep.data.TapeInfo` is one."""

    @property
    def row_count(self) -> int:
        """Rows of all sessions."""
        ...

    @property
    def sessions(self) -> Sequence[SessionLike]:
        """Runs of rows that start and end flat, in order, without gaps."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One replay: rows [row_start, row_stop) of one tape in one random world."""

    tape: int  # index into the plan's tapes
    slice: str
    scenario: str
    replication: int
    row_start: int
    row_stop: int

    @property
    def key(self) -> tuple[str, str, int]:
        """What names the cell in results."""
        return (self.slice, self.scenario, self.replication)

    @property
    def events(self) -> int:
        """Market rows that the cell replays."""
        return self.row_stop - self.row_start


def plan_cells(
    tapes: Sequence[TapeLike],
    *,
    slices: Literal["session", "all"],
    replications: int,
    seed: int,
) -> tuple[Cell, ...]:
    """Return the cells of a study in their fixed, shuffled order.

    Raises:
        DataError: There are no rows to replay, or two slices have one name.
    """
    parts: list[tuple[int, str, int, int]] = []
    for index, tape in enumerate(tapes):
        if slices == "all":
            name = "all" if len(tapes) == 1 else f"all-{index + 1}"
            parts.append((index, name, 0, tape.row_count))
        else:
            parts += [(index, s.name, s.row_start, s.row_stop) for s in tape.sessions]
    names = [name for _, name, _, _ in parts]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"Two slices are named {twice[0]!r}; give every session once")
    cells = [
        Cell(
            tape=tape,
            slice=name,
            scenario=SCENARIO_BASE,
            replication=replication,
            row_start=start,
            row_stop=stop,
        )
        for tape, name, start, stop in parts
        if stop > start
        for replication in range(replications)
    ]
    if not cells:
        raise DataError("The data has no rows to replay")
    return tuple(sorted(cells, key=lambda cell: _shuffle_key(seed, cell)))


def _shuffle_key(seed: int, cell: Cell) -> bytes:
    text = f"{seed}/{cell.slice}/{cell.scenario}/{cell.replication}"
    return hashlib.sha256(text.encode()).digest()


def cells_to_json(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return cells as plain JSON values."""
    return [asdict(cell) for cell in cells]


def cells_from_json(documents: Sequence[dict[str, Any]]) -> tuple[Cell, ...]:
    """Return the cells written by `cells_to_json`."""
    return tuple(Cell(**document) for document in documents)
