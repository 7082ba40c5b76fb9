"""Prices and quantities as integers: recorded numbers become ticks and lots, or are refused."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.products import Product
from sweep.readers.audit import Audit, Rule, Where
from sweep.readers.price_grid import off_steps
from sweep.readers.ticks import KIND_CLEAR, KIND_TRADE

# A recorded number may be off by what arithmetic on floats does to it, and by no more: a billionth
# of a step, and four units in its last place.
_STEP_ERROR: Final = 1e-9
_LAST_PLACES: Final = 2.0**-50

PRICE_TICKS_MAX: Final = (1 << 30) - 1
LOTS_MAX: Final = (1 << 31) - 1

# What every reader of floating prices asks of its rows.
NUMBER_RULES: Final[dict[str, Rule]] = {
    "price_grid": Rule(doc="A price is a number on the product's tick grid."),
    "price_sign": Rule(
        doc="A price is above 0; `count` takes others as they are, for spreads.",
        actions=("error", "count"),
    ),
    "whole_lots": Rule(doc="A quantity is a whole number of lots, at least 0."),
    "trade_lots": Rule(doc="A trade has at least one lot.", actions=("error", "drop")),
}


@dataclass(frozen=True, slots=True)
class Ladder:
    """The price ladder and the lot of one product, for columns of numbers."""

    product: Product
    tick: Fraction
    lot: Fraction

    @classmethod
    def of(
        cls, product: Product, *, price_unit: str | Decimal = "1", qty_unit: str | Decimal = "1"
    ) -> "Ladder":
        """Return the ladder of a product.

        Args:
            product: Tick size, coarser steps and lot size.
            price_unit: What a recorded price of 1 is, in prices of the product.
            qty_unit: What a recorded quantity of 1 is, in quantities of the product.
        """
        tick = Fraction(product.tick_size) / Fraction(price_unit)
        return cls(product, tick, Fraction(product.lot_size) / Fraction(qty_unit))

    def ticks(self, px: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return tick indices, and where a price is none (NaN, off the grid, too large)."""
        steps, bad = whole_steps(px, self.tick, PRICE_TICKS_MAX)
        return steps, bad | off_steps(steps, self.product.step_ticks())

    def lots(self, qty: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return lots, and where a quantity is none (NaN, negative, fractional, too large)."""
        steps, bad = whole_steps(qty, self.lot, LOTS_MAX)
        return steps, bad | (steps < 0)

    def checked(
        self,
        audit: Audit,
        kind: npt.NDArray[Any],
        px: npt.NDArray[Any],
        qty: npt.NDArray[Any],
        where: Where,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return ticks, lots and which rows to keep, after `NUMBER_RULES`.

        Args:
            audit: Hears of rows that break a rule.
            kind: Kinds of canonical rows; numbers of clear rows do not count.
            px: Recorded prices.
            qty: Recorded quantities.
            where: Names a row of this chunk as the user finds it.
        """
        is_clear = kind == KIND_CLEAR
        ticks, bad = self.ticks(px)
        bad &= ~is_clear
        grid = f"expected a price on the grid of {self.product.tick_size}"
        audit.hit_rows("price_grid", bad, where, grid, px)
        audit.hit_rows(
            "price_sign", (ticks <= 0) & ~is_clear & ~bad, where, "expected a price above 0", px
        )
        lots, bad = self.lots(qty)
        bad &= ~is_clear
        unit = f"expected a whole number of lots of {self.product.lot_size}"
        audit.hit_rows("whole_lots", bad, where, unit, qty)
        keep = np.ones(len(kind), np.bool_)
        empty = (kind == KIND_TRADE) & (lots < 1)
        what = "expected a trade of at least one lot"
        if audit.hit_rows("trade_lots", empty, where, what, qty) == "drop":
            keep &= ~empty
        if is_clear.any():
            ticks, lots = np.where(is_clear, 0, ticks), np.where(is_clear, 0, lots)
        return ticks, lots, keep

    def prices(self, ticks: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return prices: the doubles next to the exact ones."""
        return _values(ticks, self.tick)

    def quantities(self, lots: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return quantities: the doubles next to the exact ones."""
        return _values(lots, self.lot)


def whole_steps(
    values: npt.NDArray[Any], step: Fraction, most: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return how many steps numbers are, and which are none: off, NaN, or more than `most`."""
    with np.errstate(invalid="ignore", over="ignore"):
        # One rounding each: the product with a small integer is exact for all sound values.
        scaled = np.asarray(values, np.float64)
        if step.denominator != 1:
            scaled = scaled * float(step.denominator)
        if step.numerator != 1:
            scaled = scaled / float(step.numerator)
        whole = np.rint(scaled)
        # Written so that NaN and infinity fail.
        size = np.abs(whole)
        good = (np.abs(scaled - whole) <= _STEP_ERROR + size * _LAST_PLACES) & (size <= most)
    if not good.all():
        whole = np.where(good, whole, 0.0)
    return whole.astype(np.int64), ~good


def _values(steps: npt.NDArray[Any], step: Fraction) -> npt.NDArray[np.float64]:
    # The product is exact below 2^53, so the division rounds once: the nearest double.
    exact = np.asarray(steps, np.float64) * float(step.numerator)
    values: npt.NDArray[np.float64] = exact / float(step.denominator)
    return values
