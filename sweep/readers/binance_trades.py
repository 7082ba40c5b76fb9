"""Trades of Binance as rows: which are repeated, missing, or were never in the book."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from sweep.readers.audit import Audit, Rule
from sweep.readers.price_levels import Grid
from sweep.readers.ticks import KIND_TRADE, SIDE_ASK, SIDE_BID

if TYPE_CHECKING:
    import polars as pl

TRADE_RULES: Final[dict[str, Rule]] = {
    "odd_trade": Rule(
        doc="Trades have a price, a quantity and the type MARKET. drop: leave the others out",
        actions=("drop", "error"),
    ),
    "old_trade": Rule(
        doc="Ids of trades rise. drop: leave a repeated or older one out",
        actions=("drop", "error"),
    ),
    "missing_trades": Rule(
        doc="Ids of trades rise by one. count: trades are missing, the rest is kept",
        actions=("count", "error"),
    ),
}

_ZERO: Final = r"^0*(\.0*)?$"


@dataclass(slots=True)
class TradeChain:
    """Takes trades in the order of the file."""

    audit: Audit
    _last_id: int = -1

    def rows(self, frame: "pl.DataFrame", grid: Grid) -> dict[str, npt.NDArray[Any]]:
        """Return the rows of the next trades, local times apart.

        Args:
            frame: Trades as of `Messages.trades`.
            grid: Turns texts into ticks and lots.

        Raises:
            DataError: A trade breaks a rule that is an error.
        """
        frame = self._sound(frame)
        number = frame["number"].to_numpy()
        found = grid.read(frame["p"], frame["q"], number)
        # m: the buyer was the maker, so the trade hit bids.
        side = np.where(frame["m"].to_numpy(), SIDE_BID, SIDE_ASK)
        rows = {
            "exch_ns": frame["exch_ns"].to_numpy(),
            "kind": np.full(len(number), KIND_TRADE, np.uint8),
            "side": side.astype(np.uint8),
            "flags": np.zeros(len(number), np.uint8),
            "price": found.price,
            "qty": found.qty,
            "number": number,
        }
        return {name: values[found.is_good] for name, values in rows.items()}

    def _sound(self, frame: "pl.DataFrame") -> "pl.DataFrame":
        """Leave out what is repeated or was no trade in the book."""
        import polars as pl

        if not frame.height:
            return frame
        ids = frame["id"].to_numpy()
        highest = np.maximum.accumulate(np.maximum(ids, self._last_id))
        before = np.concatenate(([self._last_id], highest[:-1]))
        old = ids <= before
        missing = np.where(old | (before < 0), 0, ids - before - 1)
        self._last_id = int(highest[-1])
        has_numbers = ~pl.col("p").str.contains(_ZERO) & ~pl.col("q").str.contains(_ZERO)
        is_market = pl.col("X").is_null() | (pl.col("X") == "MARKET")
        odd = ~frame.select(sound=has_numbers & is_market)["sound"].to_numpy()
        for rule, rows, what in (
            ("old_trade", old, "not above the id before it"),
            ("missing_trades", missing > 0, "trades are missing before it"),
            ("odd_trade", odd & ~old, "no trade of the book"),
        ):
            if rows.any():
                row = int(rows.argmax())
                count = int(missing.sum()) if rule == "missing_trades" else int(rows.sum())
                detail = f"trade {ids[row]} (price {frame['p'][row]}, {frame['X'][row]}): {what}"
                self.audit.hit(rule, f"line {frame['number'][row]}", detail, count=count)
        return frame.filter(pl.Series(~(old | odd)))
