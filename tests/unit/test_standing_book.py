"""The book that rows add up to, held against a plain dictionary."""

from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.readers import standing
from sweep.readers.audit import Audit
from sweep.readers.standing import Arrays, StandingLevels
from sweep.readers.standing_book import BOOK_RULES, CheckedBook, differences
from sweep.readers.ticks import KIND_CLEAR, KIND_LEVEL

Row = tuple[int, int, int, int]  # kind, side, price, lots
ROWS = st.lists(
    st.tuples(
        st.sampled_from([KIND_LEVEL] * 20 + [KIND_CLEAR]),
        st.integers(0, 1),
        st.integers(1, 12),
        st.integers(0, 3),
    ),
    max_size=60,
)


def arrays(rows: list[Row], first: int = 0) -> Arrays:
    return {
        "number": np.arange(first, first + len(rows), dtype=np.int64),
        "kind": np.array([row[0] for row in rows], np.uint8),
        "side": np.array([row[1] for row in rows], np.uint8),
        "price": np.array([row[2] for row in rows], np.int32),
        "qty": np.array([row[3] for row in rows], np.int32),
    }


def plain(rows: list[Row]) -> dict[tuple[int, int], int]:
    book: dict[tuple[int, int], int] = {}
    for kind, side, price, lots in rows:
        if kind == KIND_CLEAR:
            book = {}
        elif lots:
            book[side, price] = lots
        else:
            book.pop((side, price), None)
    return book


def levels_of(levels: Arrays) -> dict[tuple[int, int], int]:
    names = ("side", "price", "qty")
    found = zip(*(levels[name].tolist() for name in names), strict=True)
    return {(side, price): lots for side, price, lots in found}


@pytest.mark.parametrize("table_max", [0, 1 << 23])
@given(rows=ROWS, cut=st.integers(0, 60))
def test_levels_stand_as_in_a_dictionary(table_max: int, rows: list[Row], cut: int) -> None:
    book = CheckedBook(audit=Audit("x", BOOK_RULES), visible_levels=0, unit="row")
    with mock.patch.object(standing, "_TABLE_MAX", table_max):
        for part, first in ((rows[:cut], 0), (rows[cut:], cut)):
            if not part:
                continue
            bests, _ = book.add(arrays(part, first))
            assert bests.number.tolist() == list(range(first, first + len(part)))
            for place, number in enumerate(bests.number.tolist()):
                check_bests(plain(rows[: number + 1]), bests, place)
    assert levels_of(book.levels) == plain(rows)
    assert book.messages == len(rows)


@given(rows=ROWS, cut=st.integers(0, 60))
def test_levels_after_chunks_open_a_session(rows: list[Row], cut: int) -> None:
    book = StandingLevels()
    chunk = arrays(rows)
    book.apply(chunk, 0, cut)
    book.apply(chunk, cut)
    expected = plain(rows)
    assert list(book.levels().items()) == sorted(expected.items())
    front = book.front(7, 2, local_ns=9)
    assert front["kind"].tolist() == [KIND_CLEAR] + [KIND_LEVEL] * len(expected)
    assert front["flags"].tolist() == [0] + [2] * len(expected)
    assert set(front["exch_ns"].tolist()) == {7}
    assert set(front["local_ns"].tolist()) == {9}
    told = zip(*(front[name].tolist()[1:] for name in ("side", "price", "qty")), strict=True)
    assert {(side, price): lots for side, price, lots in told} == expected


def check_bests(expected: dict[tuple[int, int], int], bests: Any, place: int) -> None:
    bids = [price for side, price in expected if side == 0]
    asks = [price for side, price in expected if side == 1]
    assert (bests.bid_lots[place] > 0) == bool(bids)
    assert (bests.ask_lots[place] > 0) == bool(asks)
    if bids:
        assert bests.bid_price[place] == max(bids)
        assert bests.bid_lots[place] == expected[0, max(bids)]
    if asks:
        assert bests.ask_price[place] == min(asks)


@given(ROWS, ROWS)
def test_differences_turn_one_book_into_another(first: list[Row], second: list[Row]) -> None:
    standing, image = (
        arrays([(KIND_LEVEL, *key, lots) for key, lots in plain(rows).items()])
        for rows in (first, second)
    )
    found = differences(standing, image)
    changes = [
        (KIND_LEVEL, side, price, lots)
        for side, price, lots in zip(
            *(found[name].tolist() for name in ("side", "price", "qty")), strict=True
        )
    ]
    before, after = plain(first), plain(second)
    rows = [(KIND_LEVEL, *key, lots) for key, lots in before.items()]
    assert plain(rows + changes) == after
    # No level is told that stays as it is.
    assert all(before.get((side, price), 0) != lots for _, side, price, lots in changes)
