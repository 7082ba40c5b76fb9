"""Exact prices and quantities: from what a file states to ticks and lots, never rounded."""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.products import Product

Array = npt.NDArray[Any]

# Marks a text that is no number, or not on the grid.
OFF_GRID: Final = -(1 << 62)


def off_steps(ticks: Array, steps: Iterable[tuple[int, int]]) -> Array:
    """Return which ticks are none of the coarser steps that hold there.

    Args:
        ticks: Whole numbers, of any type.
        steps: As of `Product.step_ticks`; where one begins, the step below holds, too.
    """
    off = np.zeros(ticks.shape, np.bool_)
    for low, step in steps:
        if step > 1:
            off |= (ticks > low) & (ticks % step != 0)
    return off


class PriceGrid:
    """Turns prices in units of a file into ticks of a product."""

    def __init__(self, product: Product, unit: Decimal, *, is_difference: bool = False) -> None:
        """Make a grid.

        Args:
            product: Gives the tick and the coarser steps.
            unit: Price of one unit of the file: 0.01 for prices in hundredths.
            is_difference: Prices are differences of prices (spreads), for which only the finest
                step holds; they may be zero or negative.
        """
        ratio = Fraction(unit) / Fraction(product.tick_size)
        self._up, self._down = ratio.numerator, ratio.denominator
        self._steps = () if is_difference else product.step_ticks()

    def ticks(self, units: Array) -> tuple[Array, Array]:
        """Return ticks, and which of them are off the grid; units are below 2^40 in size."""
        scaled = units * self._up
        ticks = scaled // self._down
        off = scaled % self._down != 0
        return ticks, off | off_steps(ticks, self._steps)


class PriceTexts:
    """Turns prices written as decimals into ticks; prices repeat, so each text is read once."""

    def __init__(self, product: Product, *, is_difference: bool = False) -> None:
        """Make a table without entries; arguments as of `PriceGrid`."""
        self._size = Fraction(product.tick_size)
        self._steps = () if is_difference else product.step_ticks()
        self._known: dict[str, int] = {}

    def tick(self, text: str) -> int:
        """Return the tick of a price, OFF_GRID if the text is none."""
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = self._read(text)
        return known

    def known(self, texts: list[Any]) -> list[int] | None:
        """Return the ticks of texts that were read before; None if one was not, or is no price."""
        try:
            found = [self._known[text] for text in texts]
        except (KeyError, TypeError):  # TypeError: not even a text
            return None
        return None if OFF_GRID in found else found

    def _read(self, text: str) -> int:
        try:
            value = Fraction(Decimal(text)) / self._size
        except (ArithmeticError, ValueError):
            return OFF_GRID  # no number, or not a finite one
        if value.denominator != 1 or not -(1 << 30) < value < 1 << 30:
            return OFF_GRID
        tick = value.numerator
        if any(tick > low and tick % step for low, step in self._steps):
            return OFF_GRID
        return tick


def whole_lots(quantity: Array, lot: int) -> tuple[Array, Array]:
    """Return quantities in lots, and which of them are no whole number of lots.

    Args:
        quantity: Integers in units of the file.
        lot: Units in one lot.
    """
    return quantity // lot, quantity % lot != 0


def tick_rule(price: Array, last: tuple[int, int] | None = None) -> Array:
    """Return the book side that each trade probably hit, from prices alone.

    The rule of Lee and Ready without quotes: a trade above the one before was a purchase and hit
    asks (1), one below was a sale and hit bids (0), one at the same price was like the one before.
    It is right for about three trades in four; the first trade counts as a purchase.

    Args:
        price: Prices in order.
        last: Price and side of the trade before them.
    """
    if not len(price):
        return np.zeros(0, np.uint8)
    before, side = last if last is not None else (int(price[0]), 1)
    change = np.sign(np.diff(price, prepend=before))
    # The last trade that changed the price decides: carry its position forward.
    at = np.maximum.accumulate(np.where(change != 0, np.arange(len(price)), -1))
    sides = np.where(at < 0, side, change[at] > 0)
    return sides.astype(np.uint8)
