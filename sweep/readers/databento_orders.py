"""Rows of Databento's books by order (mbo).

What the records mean (Databento's documentation of the schema and of order tracking), and what is
made of them. A packet ends with the flag 128; its records are one step of the exchange.

- `A` adds an order, `C` takes lots of one away, `M` gives one another price or size: back of the
  queue if the price changes or the size grows. `R` wipes the book.
- `T` is an aggressor that traded and `F` a resting order that was filled. Neither changes the book:
  the `C` or `M` that takes the lots away follows in the same packet. So `F` becomes the execution
  (one TRADE row with the order's join, which takes the lots), and what it took is taken off the
  next `C` or `M` of the order, which then usually changes nothing.
- `F` with the order id or on the side of its `T` is the aggressor's own: an order that was moved
  through the spread. Its `C` or `M` tells all about it, the `F` makes no row.
- More lots filled than displayed: an iceberg, renewed within the packet. The displayed lots are
  executed (rule `excess` counts); the hidden ones are a print behind the other fills of the packet,
  as hidden lots stand behind all displayed ones of their price.
- `T` without `F` traded with nothing displayed here (a spread leg, a hidden order): a print.
- In an auction `T` and `F` state no side, and the auction's price instead of the orders'. They make
  no rows; the `C` and `M` of the packet take the orders off the book.
- A snapshot (flag 32) is the book when it was taken (`ts_recv`): a CLEAR row, then its orders in
  the order of their queues. Their joins are their rows in the tape.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

import rustsim
from sweep.readers.audit import Rule
from sweep.readers.databento_records import (
    RECORD_RULES,
    Batch,
    Clock,
    check_codes,
    lots_of,
    ticks_of,
)
from sweep.readers.databento_survey import Source
from sweep.readers.dbn_file import FLAG_LAST as PACKET_LAST
from sweep.readers.dbn_file import FLAG_MAYBE_BAD_BOOK, FLAG_MBP, FLAG_TOB, PRICE_UNITS, UNDEF_PRICE
from sweep.readers.ticks import (
    COLUMNS,
    FLAG_GAP,
    FLAG_LAST,
    SIDE_ASK,
    SIDE_BID,
    Columns,
    contiguous,
)

Values = npt.NDArray[Any]

# Actions of `rustsim.OrderFlow`.
_ADD: Final = 0
_REDUCE: Final = 3
_MODIFY: Final = 4
_FILL: Final = 5
_PRINT: Final = 6
_CLEAR: Final = 8
_LEFT_OUT: Final = 255

_NOT_STATED: Final = 255
_PRICE_NOT_STATED: Final = np.iinfo(np.int32).min
_ACTIONS: Final = {"A": _ADD, "C": _REDUCE, "M": _MODIFY, "F": _FILL, "T": _PRINT, "R": _CLEAR}
_ACTION_OF: Final = np.full(256, _LEFT_OUT, np.uint8)
_SIDE_OF: Final = np.full(256, _NOT_STATED, np.uint8)
for _letter, _action in _ACTIONS.items():
    _ACTION_OF[ord(_letter)] = _action
_SIDE_OF[ord("B")], _SIDE_OF[ord("A")] = SIDE_BID, SIDE_ASK
_EVENT_TYPES: Final[dict[str, type[np.generic]]] = {
    "exch_ns": np.int64,
    "action": np.uint8,
    "order_id": np.uint64,
    "side": np.uint8,
    "price": np.int32,
    "qty": np.int32,
    "local_ns": np.int64,
    "flags": np.uint8,
}

ORDER_RULES: Final[dict[str, Rule]] = {
    "not_an_order": Rule(doc="Records are about orders (no flag 64 or 16): levels have no queue"),
    "open_packet": Rule(
        doc="The last packet ends (flag 128); else the file was cut", actions=("error", "count")
    ),
    "unknown_order": Rule(
        doc="Orders are known before they change; drop: the record is left out, a moved order is"
        " added",
        actions=("error", "drop"),
    ),
    "duplicate_order": Rule(
        doc="An order is added once; drop: the second is left out", actions=("error", "drop")
    ),
    "mismatch": Rule(
        doc="Records state side and price of their order; repair: the order's hold",
        actions=("error", "repair"),
    ),
    "excess": Rule(
        doc="No more lots are filled or cancelled than displayed; repair: what is displayed goes,"
        " the hidden lots of a fill are a print. An iceberg that is renewed within its packet"
        " breaks this",
        actions=("repair", "error"),
    ),
    "not_front": Rule(
        doc="Fills hit the order at the front of its queue", actions=("count", "error")
    ),
    "too_many_lots": Rule(doc="A level holds fewer than 2^31 lots"),
    "bad_value": Rule(doc="Every record has an action, side, price and size that fit together"),
}


class OrderRows:
    """Turns records into rows; the book lives on between batches."""

    def __init__(self, source: Source) -> None:
        """Make a converter that has seen nothing."""
        self.clock = Clock(source)
        self.flow = rustsim.OrderFlow()
        self.own_fills = 0
        self.auction_lots = 0
        self.is_packet_open = False
        self._source = source
        self._is_first = True
        self._was_snapshot = False
        self._is_lost = False

    def rows(self, batch: Batch) -> Columns:
        """Return the rows of whole packets.

        Raises:
            DataError: A record breaks a rule.
        """
        records, audit = batch.records, self._source.request.audit
        check_codes(audit, batch, b"AMCRTFN")
        is_level = (records["flags"] & (FLAG_TOB | FLAG_MBP)) > 0
        expected = "expected a record about an order, not about a level (flag 64 or 16)"
        audit.hit_rows("not_an_order", is_level, batch.where, expected, records["flags"])
        exch_ns, local_ns, is_snapshot = self.clock.times(batch)
        is_last = (records["flags"] & PACKET_LAST) > 0
        self.is_packet_open = not is_last[-1]
        packet: Values = np.cumsum(is_last) - is_last
        flags = self._source.survey.indicative(exch_ns)
        events = self._changes(batch, packet, flags)
        events |= {"exch_ns": exch_ns, "local_ns": local_ns, "order_id": records["order_id"]}
        is_wipe = self._wipes(records, is_snapshot)
        is_lost = self._lost(batch, is_snapshot, is_wipe)
        flags[is_wipe & np.concatenate(([self._is_lost], is_lost[:-1]))] |= FLAG_GAP
        self._is_lost = bool(is_lost[-1])
        events["flags"] = flags
        events["action"][is_lost] = _LEFT_OUT
        return self._push(batch, events, packet, np.flatnonzero(is_wipe))

    def _changes(self, batch: Batch, packet: Values, flags: Values) -> Columns:
        """Return what every record does to the book; `_LEFT_OUT`: nothing."""
        records = batch.records
        codes = records["action"]
        action = _ACTION_OF[codes]
        side = _SIDE_OF[records["side"]]
        is_priced = np.isin(action, (_ADD, _REDUCE, _MODIFY, _FILL, _PRINT))
        has_price = is_priced & ((action != _REDUCE) | (records["price"] != UNDEF_PRICE))
        price = ticks_of(self._source, batch, records["price"], has_price)
        price[(action == _REDUCE) & ~has_price] = _PRICE_NOT_STATED
        qty = lots_of(self._source, batch, records["size"], is_priced)

        # Which trade every fill belongs to, and which fills are the aggressor's own.
        is_trade, is_fill = action == _PRINT, action == _FILL
        rows = np.arange(len(records))
        trade = np.maximum.accumulate(np.where(is_trade, rows, -1))
        has_trade = is_fill & (trade >= 0) & (packet[trade] == packet)
        is_own = has_trade & (side != _NOT_STATED) & (side == side[trade])
        is_own |= has_trade & (records["order_id"] == records["order_id"][trade])
        is_auction = flags > 0
        self.own_fills += int((is_own & ~is_auction).sum())
        self.auction_lots += int(qty[is_trade & is_auction].sum())
        action[is_own | (is_fill & is_auction)] = _LEFT_OUT

        # A trade is told by its fills, if it has any.
        told = np.zeros(len(records), np.bool_)
        told[trade[has_trade & ~is_own]] = True
        action[is_trade & (told | is_auction)] = _LEFT_OUT
        has_no_side = (action == _PRINT) & (side == _NOT_STATED)
        expected = "expected a trade that states its aggressor's side"
        audit = self._source.request.audit
        audit.hit_rows("trade_side", has_no_side, batch.where, expected, records["side"])
        action[has_no_side] = _LEFT_OUT
        # The side of a trade is the aggressor's; a print names the book side that was hit.
        side = np.where(action == _PRINT, 1 - side, side)
        return {"action": action, "side": side, "price": price, "qty": qty}

    def _wipes(self, records: Values, is_snapshot: Values) -> Values:
        """Return the records in front of which the book is wiped."""
        before = np.concatenate(([self._was_snapshot], is_snapshot[:-1]))
        self._was_snapshot = bool(is_snapshot[-1])
        is_wipe: Values = is_snapshot & ~before
        if self._is_first:
            is_wipe[0] = True
            self._is_first = False
        is_wipe |= records["action"] == ord("R")
        return is_wipe

    def _lost(self, batch: Batch, is_snapshot: Values, is_wipe: Values) -> Values:
        """Return the records between a loss and the next whole picture of the book."""
        records = batch.records
        is_bad = (records["flags"] & FLAG_MAYBE_BAD_BOOK) > 0
        is_bad &= ~is_snapshot & ~is_wipe
        rows = np.arange(len(records))
        bad = np.maximum.accumulate(np.where(is_bad, rows, 0 if self._is_lost else -1))
        wiped = np.maximum.accumulate(np.where(is_wipe, rows, -1))
        is_lost: Values = (bad > wiped) & (bad >= 0)
        starts = is_lost & ~np.concatenate(([self._is_lost], is_lost[:-1]))
        expected = "records were lost in front of it (flag 4)"
        audit = self._source.request.audit
        audit.hit_rows("lost_records", starts, batch.where, expected, records["flags"])
        if audit.action("lost_records") == "drop":  # also of those lost before these records
            return is_lost
        return np.zeros(len(records), np.bool_)

    def _push(self, batch: Batch, events: Columns, packet: Values, wipes: Values) -> Columns:
        # A record that wipes the book itself needs no other wipe in front of it.
        wipes = wipes[batch.records["action"][wipes] != ord("R")]
        row = np.insert(np.arange(len(batch)), wipes, wipes)
        is_added = np.zeros(len(row), np.bool_)
        is_added[wipes + np.arange(len(wipes))] = True
        events = {name: values[row] for name, values in events.items()}
        events["action"][is_added] = _CLEAR
        later = np.flatnonzero(is_added) + 1
        events["flags"][later] &= ~np.uint8(FLAG_GAP)
        is_clear = events["action"] == _CLEAR
        for name in ("side", "price", "qty"):
            events[name][is_clear] = 0
        kept = events["action"] != _LEFT_OUT
        row, events = row[kept], {name: values[kept] for name, values in events.items()}
        if not len(row):
            return {}
        ends = np.append(np.diff(packet[row]) != 0, True)
        events["flags"] |= np.where(ends, FLAG_LAST, 0).astype(np.uint8)
        values = {name: contiguous(events[name], kind) for name, kind in _EVENT_TYPES.items()}
        made = self.flow.push(**values)
        faults = np.frombuffer(made["fault"], np.uint8)
        if len(faults):
            self._audit(batch, faults, row[np.frombuffer(made["fault_event"], np.uint32)])
        return {name: np.frombuffer(made[name], kind) for name, kind in COLUMNS.items()}

    def _audit(self, batch: Batch, faults: Values, rows: Values) -> None:
        codes, firsts = np.unique(faults, return_index=True)
        for code in codes[np.argsort(firsts)].tolist():  # the first in the file is named first
            found = rows[faults == code]
            record = batch.records[found[0]]
            what = (
                f"{chr(record['action'])} of order {record['order_id']}, side"
                f" {chr(record['side'])},"
                f" price {record['price'] / PRICE_UNITS}, size {record['size']}"
            )
            rule = rustsim.OrderFlow.FAULTS[code]
            words = (ORDER_RULES | RECORD_RULES)[rule].doc.split(";")[0]
            detail = f"{what}: {words}, here not"
            self._source.request.audit.hit(
                rule, batch.where(int(found[0])), detail, count=len(found)
            )
