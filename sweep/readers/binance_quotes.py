"""Compares best quotes, as a stream of their own tells them, with the book of the depth updates."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from sweep.readers.audit import Audit, Rule
from sweep.readers.price_levels import Grid
from sweep.readers.standing_book import Bests

if TYPE_CHECKING:
    import polars as pl

QUOTE_RULES: Final[dict[str, Rule]] = {
    "quote_crossed": Rule(
        doc="The best bid of a bookTicker line is below its best ask",
        actions=("count", "error"),
    ),
    "quote_differs": Rule(
        doc="After a depth update the best prices are those of the last bookTicker line up to that "
        "update",
        actions=("count", "error"),
    ),
}

_NAMES: Final = ("bid_price", "bid_lots", "ask_price", "ask_lots")
_ZERO: Final = r"^0*(\.0*)?$"

Table = dict[str, npt.NDArray[Any]]


@dataclass(slots=True)
class QuoteCheck:
    """Quotes and bests of the book wait for each other: either stream may come first.

    Attributes:
        quotes: Lines seen.
        compared: Depth updates with a quote to compare.
        prices_differ: Updates after which a best price was another one.
        sizes_differ: Updates after which prices agreed, and a size did not.
    """

    audit: Audit
    quotes: int = 0
    compared: int = 0
    prices_differ: int = 0
    sizes_differ: int = 0
    _quotes: list[Table] = field(default_factory=list)
    _books: list[Table] = field(default_factory=list)

    def add_quotes(self, frame: "pl.DataFrame", grid: Grid) -> None:
        """Take in bookTicker lines.

        Raises:
            DataError: A quote breaks a rule that is an error.
        """
        import polars as pl

        self.quotes += frame.height
        # A side without orders is told as price 0.
        is_empty = pl.col("b").str.contains(_ZERO) | pl.col("a").str.contains(_ZERO)
        frame = frame.filter(~is_empty)
        if not frame.height:
            return
        number = frame["number"].to_numpy()
        bid = grid.read(frame["b"], frame["B"], number)
        ask = grid.read(frame["a"], frame["A"], number)
        kept = bid.is_good & ask.is_good
        crossed = np.flatnonzero(kept & (bid.price >= ask.price))
        if len(crossed):
            row = int(crossed[0])
            detail = f"bid {frame['b'][row]} is not below ask {frame['a'][row]}"
            self.audit.hit("quote_crossed", f"line {number[row]}", detail, count=len(crossed))
        table = {
            "id": frame["last_id"].to_numpy(),
            "number": number,
            "bid_price": bid.price,
            "bid_lots": bid.qty,
            "ask_price": ask.price,
            "ask_lots": ask.qty,
        }
        self._quotes.append({name: values[kept] for name, values in table.items()})

    def add_books(self, bests: Bests, last_ids: npt.NDArray[np.int64]) -> None:
        """Take in the best levels after depth updates, and compare what can be.

        Args:
            bests: After each update.
            last_ids: The last id of each update.

        Raises:
            DataError: A price differs and the rule is an error.
        """
        table: Table = {"id": last_ids, "number": bests.number}
        self._books.append(table | {name: getattr(bests, name) for name in _NAMES})
        if not self._quotes or not self._books:
            return
        quotes = _join(self._quotes)
        order = np.argsort(quotes["id"], kind="stable")
        quotes = {name: values[order] for name, values in quotes.items()}
        books = _join(self._books)
        # A quote that changes the best at an update is told by a line with an id up to that
        # update's; it may come later in the file, so updates wait for a later quote.
        is_ready = books["id"] <= quotes["id"][-1] if len(order) else np.zeros(0, bool)
        ready = {name: values[is_ready] for name, values in books.items()}
        place = np.searchsorted(quotes["id"], ready["id"], side="right") - 1
        self._compare(
            {name: values[place >= 0] for name, values in ready.items()},
            {name: values[place[place >= 0]] for name, values in quotes.items()},
        )
        self._books = [{name: values[~is_ready] for name, values in books.items()}]
        first = max(0, int(place[-1])) if len(place) else 0
        self._quotes = [{name: values[first:] for name, values in quotes.items()}]

    def _compare(self, books: Table, quotes: Table) -> None:
        other = [(books[name] != quotes[name]) for name in _NAMES]
        prices = other[0] | other[2]
        self.compared += len(prices)
        self.prices_differ += int(prices.sum())
        self.sizes_differ += int(((other[1] | other[3]) & ~prices).sum())
        if prices.any():
            row = int(prices.argmax())
            book = f"{books['bid_price'][row]} / {books['ask_price'][row]}"
            quote = f"{quotes['bid_price'][row]} / {quotes['ask_price'][row]}"
            detail = f"best ticks of the book {book}, of bookTicker {quote}"
            where = f"line {books['number'][row]}"
            self.audit.hit("quote_differs", where, detail, count=int(prices.sum()))

    def facts(self) -> dict[str, Any]:
        """Return what was found."""
        return {
            "quotes": self.quotes,
            "quotes_compared": self.compared,
            "quote_prices_differ": self.prices_differ,
            "quote_sizes_differ": self.sizes_differ,
        }


def _join(tables: list[Table]) -> Table:
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
