"""Order events as canonical rows: the compiled converter with its findings fed to an audit.

What an event may be and what becomes of it: `rustsim.OrderFlow`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import rustsim
from sweep.readers.audit import Audit, Rule
from sweep.readers.ticks import COLUMNS, Columns

Array = npt.NDArray[Any]

ACTION_ADD: Final = 0
ACTION_DELETE: Final = 1
ACTION_EXECUTE: Final = 2
ACTION_REDUCE: Final = 3
ACTION_MODIFY: Final = 4
ACTION_FILL: Final = 5
ACTION_PRINT: Final = 6
ACTION_SEED: Final = 7
ACTION_CLEAR: Final = 8
ACTION_PAUSE: Final = 9
ACTION_NONE: Final = 10

# What the converter takes, in the order of its arguments.
EVENT_COLUMNS: Final[dict[str, type[np.generic]]] = {
    "exch_ns": np.int64,
    "action": np.uint8,
    "order_id": np.uint64,
    "side": np.uint8,
    "price": np.int32,
    "qty": np.int32,
}

QUOTE_COLUMNS: Final = ("bid_price", "bid_lots", "ask_price", "ask_lots")

# Rules that every source of orders obeys, by the names of `rustsim.OrderFlow.FAULTS`.
ORDER_RULES: Final = {
    "unknown_order": Rule(
        doc="Orders are added before they lose lots; drop leaves the event out",
        actions=("drop", "error"),
    ),
    "duplicate_order": Rule(
        doc="An order is added once; drop leaves the second out", actions=("error", "drop")
    ),
    "excess": Rule(
        doc="No order loses more lots than it has; repair takes what it has",
        actions=("error", "repair"),
    ),
    "mismatch": Rule(
        doc="Events repeat side and price of their order; repair believes the order",
        actions=("error", "repair"),
    ),
    "not_front": Rule(
        doc="An execution hits the first order of its queue", actions=("count", "error")
    ),
    "too_many_lots": Rule(doc="A level holds fewer than 2^31 lots"),
    "crossed": Rule(doc="The best bid is below the best ask", actions=("error", "count")),
    "locked": Rule(doc="The best bid is not equal to the best ask", actions=("error", "count")),
    "image_mismatch": Rule(
        doc="The book that the orders make is the one told beside them; repair believes the latter",
        actions=("error", "repair"),
    ),
}

_WORDS: Final = {
    "bad_value": "an event that cannot be",
    "unknown_order": "was never added, or is gone",
    "duplicate_order": "stands already",
    "excess": "loses more lots than it has",
    "mismatch": "side, price or size differ from those it had",
    "not_front": "traded although others stood in front of it",
    "too_many_lots": "its level would hold 2^31 lots or more",
    "crossed": "the best bid is above the best ask after it",
    "locked": "the best bid equals the best ask after it",
    "image_mismatch": "the book after it is another than the one told",
}


class OrderRows:
    """Turns order events into rows, chunk by chunk."""

    def __init__(self, audit: Audit, *, has_quotes: bool = False) -> None:
        """Start with an empty book; `has_quotes` collects every change of a best level."""
        self._audit = audit
        self._flow = rustsim.OrderFlow(quotes=has_quotes)
        self._has_quotes = has_quotes
        self.row_count = 0
        self.quotes: list[Array] = []

    def push(
        self,
        events: Mapping[str, Any],
        where: Callable[[int], str],
        *,
        flags: Array | None = None,
        images: Array | None = None,
        local_ns: Array | None = None,
    ) -> Columns:
        """Return the rows of events, as columns with joins.

        Args:
            events: Arrays by the names of `EVENT_COLUMNS`.
            where: Tells a user where the event of this number stands in the source.
            flags: Flags of the rows; LAST ends a packet. None: each event is a packet.
            images: Row by event: ask price, ask lots, bid price, bid lots per level.
            local_ns: Local times, None without a local clock.

        Raises:
            DataError: An event breaks a rule whose action is `error`.
        """
        arrays = [np.ascontiguousarray(events[name], kind) for name, kind in EVENT_COLUMNS.items()]
        found = self._flow.push(
            *arrays,
            local_ns=None if local_ns is None else np.ascontiguousarray(local_ns, np.int64),
            flags=None if flags is None else np.ascontiguousarray(flags, np.uint8),
            images=None if images is None else np.ascontiguousarray(images, np.int32).ravel(),
        )
        self._tell(found, events, where)
        if self._has_quotes:
            quotes = [np.frombuffer(found[name], np.int32) for name in QUOTE_COLUMNS]
            self.quotes.append(np.stack(quotes, axis=1))
        columns = {
            name: np.frombuffer(found[name], kind)
            for name, kind in COLUMNS.items()
            if name in found
        }
        self.row_count += len(columns["exch_ns"])
        return columns

    def _tell(
        self, found: Mapping[str, bytes], events: Mapping[str, Any], where: Callable[[int], str]
    ) -> None:
        code = np.frombuffer(found["fault"], np.uint8)
        at = np.frombuffer(found["fault_event"], np.uint32)
        codes, first, count = np.unique(code, return_index=True, return_counts=True)
        for index in np.argsort(first):
            rule = self._flow.FAULTS[int(codes[index])]
            event = int(at[first[index]])
            order = int(np.asarray(events["order_id"])[event])
            self._audit.hit(
                rule, where(event), f"order {order}: {_WORDS[rule]}", count=int(count[index])
            )

    def levels(self, side: int) -> list[tuple[int, int, int]]:
        """Return price, lots and anonymous lots of the levels of a side, best first."""
        return self._flow.levels(side)

    def facts(self) -> dict[str, Any]:
        """Return what was met so far, with the share of executions that hit the front."""
        counts: dict[str, Any] = dict(self._flow.counts())
        known = counts["executions"]
        # Lots whose order nobody knows may be gone already: they do not tell against an order.
        first = counts["executions_front"] + counts["executions_behind_anonymous"]
        counts["fifo_share"] = round(first / known, 6) if known else None
        return counts
