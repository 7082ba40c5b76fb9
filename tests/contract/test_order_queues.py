"""The queue model l3, by hand: own orders among recorded ones (docs/semantics.md section 4)."""

from array import array
from pathlib import Path
from typing import Any

import pytest

import rustsim
from tests.toys.venue import ASK, BID, BUY, ahead, exchange, fills

L3 = {"model": "l3"}


class Bids:
    """Recorded orders at one price; each tick is one row, and an order's join its row's number."""

    def __init__(self, queue: dict[str, Any] | None = None) -> None:
        self.venue = exchange(queue=queue or L3)
        self.rows = 0
        self.size = 0

    def row(self, kind: str, lots: int, join: int) -> list[rustsim.OrderEvent]:
        self.rows += 1
        return self.venue.on_tick((kind, self.rows, BID, 50, lots, join))

    def add(self, lots: int) -> int:
        self.size += lots
        self.row("level", self.size, 0)
        return self.rows

    def cancel(self, lots: int, join: int) -> None:
        self.size -= lots
        self.row("level", self.size, join)

    def trade(self, lots: int, join: int) -> list[tuple[int, int]]:
        self.size -= lots
        return fills(self.row("trade", lots, join))

    def own(self, lots: int) -> int:
        order = self.venue.place_order(BUY, 50, lots)
        self.venue.advance_to(self.rows)
        return order


@pytest.mark.parametrize(("traded", "expected"), [(72, (5, 0)), (78, (5, 3)), (80, (5, 5))])
def test_volume_is_conserved_over_own_and_recorded_orders(
    traded: int, expected: tuple[int, int]
) -> None:
    bids = Bids()
    crowd = {bids.add(40): 40}
    first = bids.own(5)
    crowd[bids.add(30)] = 30
    second = bids.own(5)
    crowd[bids.add(30)] = 30
    assert (ahead(bids.venue, first), ahead(bids.venue, second)) == (40.0, 70.0)
    got = {first: 0, second: 0}
    for join, lots in crowd.items():
        part = min(traded, lots)
        traded -= part
        for order, filled in bids.trade(part, join) if part else []:
            got[order] += filled
    assert (got[first], got[second]) == expected


def test_a_cancel_ahead_moves_the_order_and_one_behind_does_not() -> None:
    bids = Bids()
    old, other = bids.add(7), bids.add(3)
    own = bids.own(1)
    young = bids.add(20)
    bids.cancel(20, young)
    assert ahead(bids.venue, own) == 10.0
    bids.cancel(5, old)  # it keeps its place with 2 lots
    assert ahead(bids.venue, own) == 5.0
    assert bids.trade(2, old) == []
    assert ahead(bids.venue, own) == 3.0
    # An iceberg: the displayed lots trade, and what is renewed stands behind.
    assert bids.trade(3, other) == []
    renewed = bids.add(3)
    assert ahead(bids.venue, own) == 0.0
    assert bids.trade(1, renewed) == [(own, 1)]


def test_orders_from_before_the_first_tick_stand_ahead() -> None:
    bids = Bids()
    bids.add(10)
    own = bids.own(1)
    bids.add(5)
    bids.cancel(4, 0)
    assert ahead(bids.venue, own) == 6.0
    assert bids.trade(6, 0) == []
    assert bids.trade(2, 0) == [(own, 1)]


def test_a_print_past_an_order_ahead_fills_and_is_counted() -> None:
    bids = Bids()
    bids.add(10)
    own = bids.own(1)
    young = bids.add(5)
    assert bids.trade(2, young) == [(own, 1)]
    assert bids.venue.finish().fills_out_of_turn == 1


def test_rows_that_name_no_order_are_refused(tmp_path: Path) -> None:
    bids = Bids()
    for tick in (("level", 1, BID, 50, 3), ("book", 1, [(50, 3)], [(51, 3)])):
        with pytest.raises(rustsim.TickError):
            bids.venue.on_tick(tick)
    path = str(tmp_path / "a.tape")
    builder = rustsim.TapeBuilder(path)
    ones = array("B", [0, 0])
    columns = (array("q", [1, 2]), None, ones, array("B", [BID, ASK]), ones)
    builder.append(*columns, array("i", [50, 51]), array("i", [3, 3]))
    builder.finish("{}")
    with pytest.raises(rustsim.SpecError, match=r"queue\.model: l3 needs rows that name the order"):
        exchange(queue=L3).replay(rustsim.Tape.open(path), 0, 2)
