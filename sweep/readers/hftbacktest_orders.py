"""Order-level rows of hftbacktest's event arrays: adds, cancels, modifies and fills with ids.

Such arrays come from a feed by order, where a fill (13) leaves the book as it is and the cancel or
modify that takes the lots away follows at the same time: rows of one exchange time are one packet.
A trade (2) tells again what the fills of its time tell and makes no row; without a fill it is a
print. A fill on the side of its trade's taker is the taker's own. A cancel (11) takes the order
whole, as hftbacktest's book does.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.readers.audit import Audit
from sweep.readers.ladder import Ladder
from sweep.readers.order_rows import (
    ACTION_ADD,
    ACTION_CLEAR,
    ACTION_DELETE,
    ACTION_FILL,
    ACTION_MODIFY,
    ACTION_PRINT,
    OrderRows,
)
from sweep.readers.ticks import FLAG_LAST, SIDE_ASK, SIDE_BID, Columns

Array = npt.NDArray[Any]

ADD: Final = 10
CANCEL: Final = 11
MODIFY: Final = 12
FILL: Final = 13
_TRADE: Final = 2
_CLEAR: Final = 3
_BUY: Final = 1 << 29
_SELL: Final = 1 << 28

_NOT_STATED: Final = 255
_NO_PRICE: Final = np.iinfo(np.int32).min
_LEFT_OUT: Final = 255
_ACTIONS: Final = {
    ADD: ACTION_ADD,
    CANCEL: ACTION_DELETE,
    MODIFY: ACTION_MODIFY,
    FILL: ACTION_FILL,
    _TRADE: ACTION_PRINT,
    _CLEAR: ACTION_CLEAR,
}


def has_orders(rows: Array) -> bool:
    """Tell whether rows are about single orders."""
    kind = rows["ev"] & np.uint64(0xFF)
    return bool(((kind >= ADD) & (kind <= FILL)).any())


class OrderEvents:
    """Turns rows of whole times into canonical rows; the book lives on from call to call."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._rows = OrderRows(audit)
        self.told_by_fills = 0
        self.own_fills = 0

    def rows(
        self, raw: Array, ladder: Ladder, where: Callable[[int], str], local_ns: Array | None
    ) -> Columns:
        """Return canonical rows with joins.

        Raises:
            DataError: A row breaks a rule.
        """
        ev = raw["ev"]
        kind = (ev & np.uint64(0xFF)).astype(np.int64)
        action = np.full(len(raw), _LEFT_OUT, np.uint8)
        for event, meaning in _ACTIONS.items():
            action[kind == event] = meaning
        is_buy, is_sell = ev & np.uint64(_BUY) > 0, ev & np.uint64(_SELL) > 0
        unknown = (action == _LEFT_OUT) | (is_buy & is_sell)
        unknown |= (action == ACTION_CLEAR) & (is_buy | is_sell)
        unknown |= ((action == ACTION_ADD) | (action == ACTION_FILL)) & ~(is_buy | is_sell)
        what = "expected add, cancel, modify, fill, trade or a whole clear in a feed by order"
        self._audit.hit_rows("known_event", unknown, where, what, ev)
        action[unknown] = _LEFT_OUT
        side = np.where(is_buy, SIDE_BID, np.where(is_sell, SIDE_ASK, _NOT_STATED))
        ticks, lots = self._numbers(raw, ladder, action, where)
        self._pair_trades(raw, action, side, kind == _TRADE, kind == FILL)
        # A trade names its taker's side, a print the book side that was hit.
        side = np.where(action == ACTION_PRINT, 1 - side, side)
        side[action == ACTION_CLEAR] = SIDE_BID
        kept = np.flatnonzero(action != _LEFT_OUT)
        exch_ns = raw["exch_ts"][kept]
        ends = np.diff(exch_ns, append=exch_ns[-1] + 1 if len(exch_ns) else 0) != 0
        events = {
            "exch_ns": exch_ns,
            "action": action[kept],
            "order_id": raw["order_id"][kept],
            "side": side[kept],
            "price": ticks[kept],
            "qty": lots[kept],
        }
        return self._rows.push(
            events,
            lambda event: where(int(kept[event])),
            flags=np.where(ends, FLAG_LAST, 0),
            local_ns=None if local_ns is None else local_ns[kept],
        )

    def _numbers(
        self, raw: Array, ladder: Ladder, action: Array, where: Callable[[int], str]
    ) -> tuple[Array, Array]:
        """Return ticks and lots; those of a cancel need not be stated."""
        needed = (action != _LEFT_OUT) & (action != ACTION_CLEAR) & (action != ACTION_DELETE)
        ticks, off = ladder.ticks(raw["px"])
        what = f"expected a price on the grid of {ladder.product.tick_size}"
        self._audit.hit_rows("price_grid", off & needed, where, what, raw["px"])
        low = needed & (ticks <= 0)
        self._audit.hit_rows("price_sign", low, where, "expected a price above 0", raw["px"])
        lots, bad = ladder.lots(raw["qty"])
        what = f"expected a whole number of lots of {ladder.product.lot_size}, at least one"
        bad = needed & (bad | (lots < 1))
        self._audit.hit_rows("whole_lots", bad, where, what, raw["qty"])
        ticks = np.where(action == ACTION_DELETE, _NO_PRICE, np.where(needed, ticks, 0))
        return ticks, np.where(needed, lots, 0)

    def _pair_trades(
        self, raw: Array, action: Array, side: Array, is_trade: Array, is_fill: Array
    ) -> None:
        """Leave out trades that fills tell, and fills that are the taker's own."""
        row = np.arange(len(raw))
        trade = np.maximum.accumulate(np.where(is_trade, row, -1))
        paired = is_fill & (trade >= 0) & (raw["exch_ts"][trade] == raw["exch_ts"])
        own = paired & (side == side[trade])
        action[own] = _LEFT_OUT
        self.own_fills += int(own.sum())
        told = np.zeros(len(raw), np.bool_)
        told[trade[paired & ~own]] = True
        # A trade without a side is an auction's: its orders leave by their cancels.
        told |= is_trade & (side == _NOT_STATED)
        self.told_by_fills += int((told & (action == ACTION_PRINT)).sum())
        action[told] = _LEFT_OUT

    def facts(self) -> dict[str, Any]:
        """Return what was met."""
        counts = {"trades_told_by_fills": self.told_by_fills, "own_fills": self.own_fills}
        return counts | {"orders": self._rows.facts()}
