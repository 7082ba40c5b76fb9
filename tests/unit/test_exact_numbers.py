"""Decimal texts as whole ticks, lots and times: held against exact arithmetic."""

from decimal import Decimal
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.readers.exact_numbers import integers, nanoseconds, units

STEPS = st.sampled_from(["1", "0.1", "0.5", "0.25", "0.01", "0.00001", "0.00000001", "10", "100"])
DIGITS = st.text("0123456789", min_size=1, max_size=12)
NUMBERS = st.one_of(
    st.tuples(DIGITS, DIGITS).map(lambda pair: f"{pair[0]}.{pair[1]}"),
    DIGITS,
    st.tuples(DIGITS, st.integers(-12, 12)).map(lambda pair: f"{pair[0]}e{pair[1]}"),
)


@given(st.lists(NUMBERS, min_size=1, max_size=8), STEPS)
def test_units_are_those_of_exact_arithmetic(texts: list[str], step: str) -> None:
    found = units(pl.Series(texts), Decimal(step))
    for row, text in enumerate(texts):
        exact = Fraction(Decimal(text)) / Fraction(Decimal(step))
        assert not found.is_bad[row]
        assert found.is_large[row] == (exact >= 2**31)
        if exact < 2**31:
            assert found.is_off[row] == (exact.denominator != 1), (text, step)
            assert found.values[row] == exact.numerator // exact.denominator


@given(st.lists(st.text(max_size=12), min_size=1, max_size=8))
def test_texts_that_are_no_number_are_told(texts: list[str]) -> None:
    found = units(pl.Series(texts), Decimal("0.1"))
    for row, text in enumerate(texts):
        if not found.is_bad[row]:
            assert Decimal(text) >= 0
            assert text.isascii()


@pytest.mark.parametrize(
    "text",
    [None, "", " 1", "1 ", "+1", "-1", ".5", "5.", "1_0", "0x1", "nan", "inf", "\uff11", "1,5"],
)
def test_odd_spellings_are_no_number(text: str | None) -> None:
    found = units(pl.Series([text, "1.5"], dtype=pl.String), Decimal("0.1"))
    assert found.is_bad.tolist() == [True, False]
    assert found.values.tolist() == [0, 15]


def test_number_of_any_length_is_large() -> None:
    found = units(pl.Series(["1e999999", "214748364.7", "214748364.8", "0e5"]), Decimal("0.1"))
    assert found.is_large.tolist() == [True, False, True, False]
    assert found.values.tolist() == [0, 2**31 - 1, 0, 0]


@given(st.lists(st.integers(0, 10**18 - 1), min_size=1, max_size=8))
def test_integers_are_read_exactly(numbers: list[int]) -> None:
    values, bad = integers(pl.Series([str(number) for number in numbers]))
    assert values.tolist() == numbers
    assert not bad.any()


@pytest.mark.parametrize(
    "text", [None, "", "-1", "+1", "01", "1.0", "1e3", " 1", "x", "1" + "0" * 18, "9" * 40]
)
def test_other_texts_are_no_integer(text: str | None) -> None:
    values, bad = integers(pl.Series([text, "7"], dtype=pl.String))
    assert bad.tolist() == [True, False]
    assert values.tolist() == [0, 7]


def test_seconds_become_nanoseconds() -> None:
    texts = ["1733011200.5", "1733011200", "1733011200.000000001", "173301120", None, "1733011200."]
    values, bad = nanoseconds(pl.Series(texts, dtype=pl.String))
    whole = 1_733_011_200_000_000_000
    assert values.tolist() == [whole + 500_000_000, whole, whole + 1, 0, 0, 0]
    assert bad.tolist() == [False, False, False, True, True, True]
