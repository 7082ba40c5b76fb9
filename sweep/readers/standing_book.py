"""The book that rows of a recording add up to, chunk by chunk: what stands, is it ever crossed."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import rustsim
from sweep.readers.audit import Audit, Rule
from sweep.readers.standing import Arrays, levels_after, no_levels, with_levels

BOOK_RULES: Final[dict[str, Rule]] = {
    "crossed_book": Rule(
        doc="After a message the best bid is below the best ask",
        actions=("count", "error"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bests:
    """Best levels after each message; 0 lots: the side is empty."""

    number: npt.NDArray[np.int64]
    bid_price: npt.NDArray[np.int32]
    bid_lots: npt.NDArray[np.int32]
    ask_price: npt.NDArray[np.int32]
    ask_lots: npt.NDArray[np.int32]


@dataclass(slots=True)
class CheckedBook:
    """Levels that stand, and what was seen of the book so far.

    Attributes:
        visible_levels: Levels a side that the feed shows, 0 for all.
        unit: What messages are counted in, `line` or `row`.
        levels: Side, price and lots of each level that stands.
    """

    audit: Audit
    visible_levels: int
    unit: str
    levels: Arrays = field(default_factory=no_levels)
    messages: int = 0
    crossed: int = 0
    locked: int = 0
    levels_max: int = 0
    out_of_view: int = 0

    def add(self, rows: Arrays) -> tuple[Bests, npt.NDArray[np.bool_]]:
        """Apply rows in the order of their messages.

        Args:
            rows: `number` (ascending; rows of one number are one message), kind, side, price and
                qty; trades may be among them and change nothing.

        Returns:
            The best levels after each message, and which rows left a limited view.

        Raises:
            DataError: The book is crossed and the rule is an error.
        """
        count = len(self.levels["price"])
        whole = with_levels(self.levels, rows)
        scan = rustsim.scan_book(
            # What stands goes in front as a message of its own.
            np.concatenate((np.full(count, -1, np.int64), rows["number"].astype(np.int64))),
            whole["kind"],
            whole["side"],
            np.zeros(len(whole["kind"]), np.uint8),
            whole["price"],
            whole["qty"],
            visible_levels=self.visible_levels,
        )
        first = 1 if count else 0
        bests = Bests(
            number=np.frombuffer(scan["group_ns"], np.int64)[first:],
            **{
                name: np.frombuffer(scan[name], np.int32)[first:]
                for name in ("bid_price", "bid_lots", "ask_price", "ask_lots")
            },
        )
        self._judge(bests)
        self.levels_max = max(self.levels_max, scan["levels_max"])
        self.levels = levels_after(whole)
        out_of_view = np.frombuffer(scan["out_of_view"], np.uint8)[count:] > 0
        self.out_of_view += int(out_of_view.sum())
        return bests, out_of_view

    def _judge(self, bests: Bests) -> None:
        two_sided = (bests.bid_lots > 0) & (bests.ask_lots > 0)
        crossed = np.flatnonzero(two_sided & (bests.bid_price > bests.ask_price))
        self.messages += len(bests.number)
        self.locked += int((two_sided & (bests.bid_price == bests.ask_price)).sum())
        self.crossed += len(crossed)
        if len(crossed):
            row = int(crossed[0])
            found = f"tick {bests.bid_price[row]} above the best ask {bests.ask_price[row]}"
            where = f"{self.unit} {bests.number[row]}"
            self.audit.hit("crossed_book", where, f"the best bid is {found}", count=len(crossed))

    def facts(self) -> dict[str, Any]:
        """Return what was seen."""
        return {
            "book_messages": self.messages,
            "crossed_messages": self.crossed,
            "locked_messages": self.locked,
            "levels_max": self.levels_max,
            "out_of_view_rows": self.out_of_view,
        }


def differences(standing: Arrays, image: Arrays) -> Arrays:
    """Return the rows that turn what stands into an image; levels that stay the same make none.

    Args:
        standing: Side, price and lots of the levels that stand.
        image: The same of the levels that the image shows.

    Returns:
        Side, price and lots: first the levels that are gone (0 lots), then those that are new or
        changed, in the order of the image.
    """
    keys = [part["price"].astype(np.int64) * 2 + part["side"] for part in (standing, image)]
    gone = ~np.isin(keys[0], keys[1])
    order = np.argsort(keys[0], kind="stable")
    place = np.searchsorted(keys[0][order], keys[1]).clip(0, max(0, len(order) - 1))
    is_same = np.zeros(len(keys[1]), bool)
    if len(order):
        found = order[place]
        is_same = (keys[0][found] == keys[1]) & (standing["qty"][found] == image["qty"])
    return {
        name: np.concatenate(
            (
                standing[name][gone] if name != "qty" else np.zeros(int(gone.sum()), np.int32),
                image[name][~is_same],
            )
        )
        for name in ("side", "price", "qty")
    }
