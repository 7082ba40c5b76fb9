"""Prices and quantities of a feed as ticks and lots, exactly; levels of depth messages as rows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from sweep.products import Product
from sweep.readers.audit import Audit, Rule, numbered
from sweep.readers.exact_numbers import units
from sweep.readers.price_grid import off_steps
from sweep.readers.ticks import KIND_LEVEL, SIDE_ASK, SIDE_BID

if TYPE_CHECKING:
    import polars as pl

NUMBER_RULES: Final[dict[str, Rule]] = {
    "bad_number": Rule(
        doc="Prices are numbers above 0, quantities of 0 or more. drop: leave the row out",
        actions=("error", "drop"),
    ),
    "price_grid": Rule(
        doc="Prices are whole ticks of the product. drop: leave the row out",
        actions=("error", "drop"),
    ),
    "lot_grid": Rule(
        doc="Quantities are whole lots of the product. repair: the next whole lot above (orders "
        "that are older than today's lot rest deep in some books); drop: leave the row out",
        actions=("error", "repair", "drop"),
    ),
    "large_number": Rule(
        doc="Prices and quantities fit 31 bits in ticks and lots. drop: leave the row out",
        actions=("error", "drop"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceQuantities:
    """Ticks and lots of some rows; `is_good` leaves out what the rules drop."""

    price: npt.NDArray[np.int32]
    qty: npt.NDArray[np.int32]
    is_good: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Turns texts into ticks and lots of a product.

    Attributes:
        unit: What rows are counted in, `line` or `row`.
    """

    product: Product
    audit: Audit
    unit: str

    def read(
        self, prices: "pl.Series", quantities: "pl.Series", numbers: npt.NDArray[np.int64]
    ) -> PriceQuantities:
        """Return ticks and lots.

        Args:
            prices: Decimal texts.
            quantities: Decimal texts.
            numbers: Number of the line or row of each.

        Raises:
            DataError: A text breaks a rule that is an error.
        """
        price = units(prices, self.product.tick_size)
        qty = units(quantities, self.product.lot_size)
        off = price.is_off | off_steps(price.values, self.product.step_ticks())
        no_price = price.is_bad | ((price.values == 0) & ~price.is_off & ~price.is_large)
        is_good = self._judge("bad_number", no_price, prices, numbers, "a price above 0")
        is_good &= self._judge("bad_number", qty.is_bad, quantities, numbers, "a quantity")
        name = f"({self.product.name}; data.source.product may describe another)"
        tick = f"a price in steps of {self.product.tick_size} {name}"
        is_good &= self._judge("price_grid", off, prices, numbers, tick)
        lot = f"a quantity in lots of {self.product.lot_size} {name}"
        whole = self._judge("lot_grid", qty.is_off, quantities, numbers, lot)
        lots = qty.values
        if self.audit.action("lot_grid") == "repair":
            lots = lots + qty.is_off
        else:
            is_good &= whole
        is_good &= self._judge("large_number", price.is_large, prices, numbers, "fewer ticks")
        is_good &= self._judge("large_number", qty.is_large, quantities, numbers, "fewer lots")
        return PriceQuantities(
            price=price.values.astype(np.int32), qty=lots.astype(np.int32), is_good=is_good
        )

    def _judge(
        self,
        rule: str,
        bad: npt.NDArray[np.bool_],
        texts: "pl.Series",
        numbers: npt.NDArray[np.int64],
        expected: str,
    ) -> npt.NDArray[np.bool_]:
        where = numbered(self.unit, numbers)
        self.audit.hit_rows(rule, bad, where, f"expected {expected}", texts)
        return ~bad


def level_rows(frame: "pl.DataFrame", grid: Grid) -> dict[str, npt.NDArray[Any]]:
    """Return the levels of depth messages as rows, in the order of messages, bids first.

    Args:
        frame: `number` (of the line, ascending), `b` and `a` (lists of [price, quantity]).
        grid: Turns texts into ticks and lots.

    Returns:
        number, message (index in the frame), kind, side, price and qty.

    Raises:
        DataError: A level breaks a rule that is an error.
    """
    import polars as pl

    texts = []
    places = []
    sides = []
    for name, side in (("b", SIDE_BID), ("a", SIDE_ASK)):
        lists = frame[name]
        counts = lists.list.len().to_numpy()
        levels = lists.explode(empty_as_null=False)
        assert len(levels) == int(counts.sum()), (len(levels), counts.sum())
        # A level is a pair; anything else has no quantity.
        quantity = pl.when(pl.col("pair").list.len() == 2).then(
            pl.col("pair").list.get(1, null_on_oob=True)
        )
        pair = levels.alias("pair").to_frame()
        price = pl.col("pair").list.get(0, null_on_oob=True)
        texts.append(pair.select(p=price, q=quantity.otherwise(None)))
        places.append(np.repeat(np.arange(len(frame)), counts))
        sides.append(np.full(len(levels), side, np.uint8))
    both = pl.concat(texts)
    message = np.concatenate(places)
    number = frame["number"].to_numpy()[message]
    found = grid.read(both["p"], both["q"], number)
    order = np.argsort(message, kind="stable")
    order = order[found.is_good[order]]
    return {
        "number": number[order],
        "message": message[order],
        "kind": np.full(len(order), KIND_LEVEL, np.uint8),
        "side": np.concatenate(sides)[order],
        "price": found.price[order],
        "qty": found.qty[order],
    }
