"""Reads LOBSTER recordings of NASDAQ: every order within the best N levels of one stock on one day.

A recording is a message file and an orderbook file of equally many lines: line i of the orderbook
is the book after message i. The source names the message file; the orderbook file lies beside it,
`message` in its name replaced by `orderbook`. Both may be packed (`.zst`, `.gz`, `.zip`).

- Several levels: a level-3 tape. The book before message 1 is the first orderbook row with that
  message taken back; its orders have no names, so they stand as anonymous lots in front of their
  queues (join 0). Every orderbook row is held against the book that the messages make. A level that
  leaves the N best is forgotten and flagged OUT_OF_VIEW, since LOBSTER tells nothing of it any
  more; one that comes into them holds anonymous lots.
- One level: queues cannot be known, because orders are told only while they are at the best price.
  The rows are those of a level-2 feed of one level: differences of the orderbook rows, and trades.
- No orderbook file (`orderbook: none`): the messages alone, from an opening book (`seed`) or from
  nothing. What was there before, or came in from behind the N levels, is missing; messages about
  such orders break the rule `unknown_order`.

| type | made of it |
|---|---|
| 1, 2, 3 | an order joins, loses lots, leaves |
| 4 | a trade that hit that order |
| 5 | hidden execution: a trade strictly between the best prices, else no row (`prints_beside`) |
| 6 | cross: no row, counted |
| 7 | halt: what follows is flagged INDICATIVE until trading resumes |

Times are seconds after midnight in New York, to the nanosecond. Known limits: a one-level tape has
no row at the start of a halt; the opening and closing crosses are not told as auctions.
"""

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from sweep.errors import DataError, InputError
from sweep.readers.audit import Rule
from sweep.readers.best_states import distinct, found_in_order
from sweep.readers.book_images import BookImages, Records
from sweep.readers.lobster_files import (
    ADD,
    CROSS,
    DELETE,
    EXECUTE,
    HALT,
    HALTED,
    HIDDEN,
    MESSAGE_COLUMNS,
    MESSAGE_COLUMNS_MAX,
    REDUCE,
    TRADING,
    Array,
    Lines,
    Messages,
    beside,
    book_columns,
    book_levels,
    check_columns,
    find_orderbook,
    named_levels,
    trading_date,
)
from sweep.readers.number_tables import NumberTable, count_columns, open_table
from sweep.readers.options import option
from sweep.readers.order_rows import (
    ACTION_ADD,
    ACTION_CLEAR,
    ACTION_DELETE,
    ACTION_EXECUTE,
    ACTION_NONE,
    ACTION_PAUSE,
    ACTION_PRINT,
    ACTION_REDUCE,
    ACTION_SEED,
    ORDER_RULES,
    OrderRows,
)
from sweep.readers.ticks import (
    FLAG_IMAGE,
    FLAG_INDICATIVE,
    FLAG_LAST,
    SIDE_ASK,
    SIDE_BID,
    Columns,
    Request,
    Rows,
    Session,
    Summary,
)

_CHUNK_LINES: Final = 1 << 18
_CHUNK_NUMBERS: Final = 1 << 22  # of the orderbook, so that many levels do not cost more memory
_HALTS_TOLD: Final = 100
_BESIDE: Final = "beside"
_NONE: Final = "none"

_ACTIONS: Final = np.full(HALT + 1, ACTION_NONE, np.uint8)
_ACTIONS[[ADD, REDUCE, DELETE, EXECUTE, HIDDEN]] = (
    ACTION_ADD,
    ACTION_REDUCE,
    ACTION_DELETE,
    ACTION_EXECUTE,
    ACTION_PRINT,
)
_STATES: Final = {HALTED: "halted", 0: "quoting resumes", TRADING: "trading resumes"}

RULES: Final = ORDER_RULES | {
    "bad_value": Rule(doc="Times, types, sizes, directions and prices are what LOBSTER describes"),
    "time_order": Rule(doc="Times never fall"),
    "off_grid": Rule(doc="Visible prices are on the tick grid of the product"),
    "odd_lot": Rule(doc="Sizes are whole lots of the product"),
    "hidden_off_grid": Rule(
        doc="Hidden executions are on the tick grid; drop leaves those at midpoints out",
        actions=("drop", "error"),
    ),
    "line_count": Rule(
        doc="Message and orderbook file have equally many lines; drop ends with the shorter",
        actions=("error", "drop"),
    ),
    "cut_line": Rule(doc="The last line of each file is ended", actions=("count", "error")),
    "not_best": Rule(
        doc="One level: a visible execution is at the best price of the row above",
        actions=("count", "error"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LobsterOptions:
    """Which files belong to a message file; names count from its folder."""

    date: str = option("", "Trading day, YYYY-MM-DD; empty: the name of the file states it")
    orderbook: str = option(
        _BESIDE, "Orderbook file; beside: named as the message file; none: there is none"
    )
    seed: str = option(
        "", "Orderbook file of which the first row opens the book; only with orderbook: none"
    )
    best_states: str = option(
        "", "Orderbook file of other lines whose best states are looked for in the replay"
    )


def companions(path: Path, options: LobsterOptions) -> tuple[Path, ...]:
    """Return the other files that are read along with a message file."""
    book = _orderbook(path, options)
    named = (beside(path, name) for name in (options.seed, options.best_states) if name)
    return (*([book] if book else []), *named)


def _orderbook(path: Path, options: LobsterOptions) -> Path | None:
    if options.orderbook == _NONE:
        return None
    if options.orderbook != _BESIDE:
        return beside(path, options.orderbook)
    found = find_orderbook(path)
    if found is None:
        advice = "name it in data.source.options.orderbook, or state none"
        raise DataError(f"{path}: no orderbook file lies beside it; {advice}")
    return found


def read(request: Request) -> Rows:
    """Read one day of one stock.

    Raises:
        DataError: A file is damaged or missing, or a line breaks a rule.
        InputError: The day or the product is not known, or options do not go together.
    """
    path, options = request.file, request.options
    book = _orderbook(path, options)
    if options.seed and book is not None:
        raise InputError("data.source.options.seed goes with orderbook: none only")
    day = trading_date(path, options.date)
    product = request.product(day)
    recording = _Recording(request, Lines(request.audit, product, day), book)
    facts = yield from (
        _rows_of_levels(recording) if recording.levels == 1 else _rows_of_orders(recording, options)
    )
    levels = recording.levels or named_levels(path)
    session = Session(name=day.isoformat(), row_start=0, row_stop=facts["rows"])
    return Summary(
        instrument=product.exchange_part(visible_levels=levels),
        sessions=(session,),
        facts=recording.facts() | facts | {"levels": levels, "product": product.to_json()},
    )


class _Recording:
    """The files of one day, and what is met in them whatever becomes of it."""

    def __init__(self, request: Request, lines: Lines, book: Path | None) -> None:
        self.path = request.file
        self.audit = request.audit
        self.lines = lines
        self.book = book
        self.levels = 0
        self._columns = self._message_columns()
        self._types = np.zeros(HALT + 1, np.int64)
        self._cross_shares = 0
        self._halts: list[dict[str, Any]] = []
        if book is not None:
            self.levels = book_levels(book)
        elif named_levels(self.path) == 1:
            message = f"{self.path}: one level alone tells no book"
            raise DataError(f"{message}; name the orderbook file in data.source.options.orderbook")

    def _message_columns(self) -> dict[str, str]:
        count = count_columns(self.path)
        check_columns(self.path, count, of_book=False)
        extra = {"broker": ""} if count == MESSAGE_COLUMNS_MAX else {}
        return MESSAGE_COLUMNS | extra

    def facts(self) -> dict[str, Any]:
        """Return what the messages are."""
        names = ("adds", "reduces", "deletes", "executions", "hidden", "crosses", "halts")
        return {
            "lines": int(self._types.sum()),
            "messages": dict(zip(names, self._types[ADD:].tolist(), strict=True)),
            "cross_shares": self._cross_shares,
            "halts": self._halts,
            "local_clock": False,
        }

    def chunks(self) -> Iterator[tuple[Messages, Array | None]]:
        """Yield messages, with the rows of the orderbook if there is one."""
        count = min(_CHUNK_LINES, _CHUNK_NUMBERS // (4 * max(self.levels, 1)))
        with contextlib.ExitStack() as stack:
            table = stack.enter_context(open_table(self.path, self._columns))
            book = None
            if self.book is not None:
                book = stack.enter_context(open_table(self.book, book_columns(self.levels)))
            line = 1
            while True:
                columns = table.take(count)
                columns, rows = self._pair(columns, line, book, count)
                if not len(columns["time"]):
                    break
                messages = self.lines.messages(columns, line)
                self._count(messages, columns["size"])
                yield messages, rows
                line += len(messages)
            for file in (table, book):
                if file is not None and file.is_cut:
                    where = f"line {file.lines} of {file.path.name}"
                    self.audit.hit("cut_line", where, "the file ends within the line")

    def _pair(
        self, columns: dict[str, Array], line: int, book: NumberTable | None, count: int
    ) -> tuple[dict[str, Array], Array | None]:
        if book is None:
            return columns, None
        levels = book.take(count)
        lines, rows = len(columns["time"]), len(levels["c0"])
        both = min(lines, rows)
        if lines != rows:
            short, long = (book.path, self.path) if rows < lines else (self.path, book.path)
            self.audit.hit("line_count", f"line {line + both} of {long.name}", f"{short} ends here")
        columns = {name: values[:both] for name, values in columns.items()}
        levels = {name: values[:both] for name, values in levels.items()}
        return columns, self.lines.books(levels, line, book.path.name)

    def _count(self, messages: Messages, size: Array) -> None:
        self._types += np.bincount(messages.kind, minlength=HALT + 1)
        self._cross_shares += int(size[messages.kind == CROSS].sum())
        for index in np.flatnonzero(messages.kind == HALT)[: _HALTS_TOLD - len(self._halts)]:
            state = _STATES[int(messages.state[index])]
            self._halts.append({"exch_ns": int(messages.exch_ns[index]), "state": state})


class _Phase:
    """Whether the stock is halted, from chunk to chunk."""

    def __init__(self) -> None:
        self._is_halted = False

    def halted(self, messages: Messages) -> Array:
        """Return which messages come after a halt and before trading resumes."""
        at = np.flatnonzero(messages.kind == HALT)
        changes = np.concatenate(([self._is_halted], messages.state[at] != TRADING))
        self._is_halted = bool(changes[-1])
        found: Array = changes[np.searchsorted(at, np.arange(len(messages)), side="right")]
        return found


def _rows_of_orders(
    recording: _Recording, options: LobsterOptions
) -> Generator[Columns, None, dict[str, Any]]:
    """Yield level-3 rows; see the head of this module."""
    orders = OrderRows(recording.audit, has_quotes=bool(options.best_states))
    phase = _Phase()
    is_open = False
    for messages, rows in recording.chunks():
        if not is_open:
            is_open = True
            first = rows[0] if rows is not None else _seed_row(recording, options)
            yield _opening(orders, messages, first)
        yield _push(orders, messages, rows, phase.halted(messages))
    counts = orders.facts()
    facts = {
        "rows": orders.row_count,
        "orders": counts,
        "opening_book": _opening_words(recording, options),
        "queue": "known by order: places from before the file are anonymous",
        "book": "every row of the orderbook file was held against the orders"
        if recording.book
        else "from messages alone: what came in from behind the levels is missing",
    }
    if options.best_states:
        facts["best_states"] = _best_states(recording, options, orders)
    return facts


def _opening_words(recording: _Recording, options: LobsterOptions) -> str:
    if recording.book:
        return "row 1 of the orderbook file, message 1 taken back"
    return f"row 1 of {options.seed}, message 1 taken back" if options.seed else "empty"


def _seed_row(recording: _Recording, options: LobsterOptions) -> Array | None:
    if not options.seed:
        return None
    path = beside(recording.path, options.seed)
    with open_table(path, book_columns(book_levels(path))) as table:
        rows = recording.lines.books(table.take(1), 1, path.name)
    first: Array = rows[0]  # there is one: `book_levels` has seen it
    return first


def _opening(orders: OrderRows, messages: Messages, row: Array | None) -> Columns:
    """Return a clear row and the levels that stood before message 1."""
    levels = [] if row is None else _levels_before(messages, row)
    count = len(levels) + 1
    events = {
        "exch_ns": np.full(count, messages.exch_ns[0]),
        "action": [ACTION_CLEAR] + [ACTION_SEED] * len(levels),
        "order_id": np.zeros(count),
        "side": [SIDE_BID, *(side for side, _, _ in levels)],
        "price": [0, *(price for _, price, _ in levels)],
        "qty": [0, *(lots for _, _, lots in levels)],
    }
    # One packet, so that only the whole book is looked at.
    flags = np.full(count, FLAG_IMAGE)
    flags[0], flags[-1] = 0, flags[-1] | FLAG_LAST
    return orders.push(events, lambda _: "line 1 of the orderbook file", flags=flags)


def _levels_before(messages: Messages, row: Array) -> list[tuple[int, int, int]]:
    """Return side, price and lots of the levels of a row with message 1 taken back."""
    book = {
        (side, int(row[at])): int(row[at + 1])
        for side, start in ((SIDE_BID, 2), (SIDE_ASK, 0))
        for at in range(start, len(row), 4)
        if row[at + 1] > 0
    }
    key = (int(messages.side[0]), int(messages.price[0]))
    kind, lots = int(messages.kind[0]), int(messages.qty[0])
    if kind == ADD and book.get(key, 0) >= lots:
        book[key] -= lots
    elif kind in (REDUCE, DELETE, EXECUTE):
        book[key] = book.get(key, 0) + lots
    return [(side, price, lots) for (side, price), lots in book.items() if lots > 0]


def _push(orders: OrderRows, messages: Messages, rows: Array | None, halted: Array) -> Columns:
    action = _ACTIONS[messages.kind]
    action[messages.is_off_grid] = ACTION_NONE
    action[(messages.kind == HALT) & (messages.state == HALTED)] = ACTION_PAUSE
    events = {
        "exch_ns": messages.exch_ns,
        "action": action,
        "order_id": messages.order_id,
        "side": messages.side,
        "price": messages.price,
        "qty": messages.qty,
    }
    # Each message is a packet of its own.
    flags = np.where(halted, FLAG_INDICATIVE | FLAG_LAST, FLAG_LAST)
    return orders.push(
        events, lambda event: f"line {messages.line + event}", flags=flags, images=rows
    )


def _best_states(
    recording: _Recording, options: LobsterOptions, orders: OrderRows
) -> dict[str, Any]:
    path = beside(recording.path, options.best_states)
    recorded = []
    with open_table(path, book_columns(book_levels(path))) as table:
        line = 1
        while len(rows := recording.lines.books(table.take(_CHUNK_LINES), line, path.name)):
            recorded.append(rows[:, [2, 3, 0, 1]])  # in the order of quotes
            line += len(rows)
    if not recorded:
        raise DataError(f"{path}: the file holds no row")
    wanted = distinct(np.concatenate(recorded))
    found = found_in_order(wanted, np.concatenate(orders.quotes))
    return {
        "file": path.name,
        "rows": line - 1,
        "distinct": len(wanted),
        "found_in_order": found,
        "share": round(found / len(wanted), 6),
    }


def _rows_of_levels(recording: _Recording) -> Generator[Columns, None, dict[str, Any]]:
    """Yield level-2 rows of a recording of one level; see the head of this module."""
    images, phase = BookImages(1), _Phase()
    standing = np.zeros((1, 4), np.int64)
    counts = {"executions": 0, "executions_at_best": 0, "prints_inside": 0, "prints_beside": 0}
    row_count, is_open = 0, False
    for messages, rows in recording.chunks():
        assert rows is not None, "a recording of one level has an orderbook file"
        above = np.concatenate((standing, rows[:-1]))
        standing = rows[-1:]
        _hold_levels_against(recording, messages, above, rows, is_first=not is_open)
        is_trade = _trades(recording, messages, above, counts, is_first=not is_open)
        resets = np.zeros(len(messages), bool)
        resets[0] = not is_open
        is_open = True
        columns, _ = images.rows(
            Records(
                exch_ns=messages.exch_ns,
                local_ns=None,
                is_indicative=phase.halted(messages),
                is_reset=resets,
                is_gap=np.zeros(len(messages), bool),
                is_image=np.ones(len(messages), bool),
                bid_price=rows[:, 2:3],
                bid_qty=rows[:, 3:4],
                ask_price=rows[:, 0:1],
                ask_qty=rows[:, 1:2],
                trade_price=messages.price.astype(np.int64),
                trade_qty=np.where(is_trade, messages.qty, 0).astype(np.int64),
                trade_side=messages.side.astype(np.int64),
            )
        )
        row_count += len(columns["exch_ns"])
        yield columns
    return {
        "rows": row_count,
        "orders": counts,
        "images": images.counts,
        "book": "every row of the orderbook file was held against its message",
        "queue": "not reconstructible: orders are told only while they are at the best price",
    }


def _trades(
    recording: _Recording,
    messages: Messages,
    above: Array,
    counts: dict[str, int],
    *,
    is_first: bool,
) -> Array:
    """Return which messages are trades, and count what they hit; `above`: the rows before."""
    price, is_bid = messages.price, messages.side == SIDE_BID
    bid, has_bid, ask, has_ask = above[:, 2], above[:, 3] > 0, above[:, 0], above[:, 1] > 0
    executed = messages.kind == EXECUTE
    at_best = np.where(is_bid, has_bid & (price == bid), has_ask & (price == ask))
    known = executed.copy()
    if is_first:
        known[0] = False  # the book before line 1 is not told
    wrong = np.flatnonzero(known & ~at_best)
    if len(wrong):
        where = f"line {messages.line + int(wrong[0])}"
        words = "an execution away from the best price of the row above"
        recording.audit.hit("not_best", where, words, count=len(wrong))
    hidden = (messages.kind == HIDDEN) & ~messages.is_off_grid
    inside = hidden & (~has_bid | (price > bid)) & (~has_ask | (price < ask))
    counts["executions"] += int(known.sum())
    counts["executions_at_best"] += int((known & at_best).sum())
    counts["prints_inside"] += int(inside.sum())
    counts["prints_beside"] += int((hidden & ~inside).sum())
    return np.asarray(executed | inside)


def _hold_levels_against(
    recording: _Recording, messages: Messages, above: Array, rows: Array, *, is_first: bool
) -> None:
    """Hold rows of one level against the rows above and what the messages did to them."""
    at = np.arange(len(messages))
    own = np.where(messages.side == SIDE_BID, 2, 0)
    before, lots_before = above[at, own], above[at, own + 1]
    after, lots_after = rows[at, own], rows[at, own + 1]
    other = (above[at, 2 - own] == rows[at, 2 - own]) & (above[at, 3 - own] == rows[at, 3 - own])
    price, qty = messages.price, messages.qty.astype(np.int64)
    touches = (messages.kind >= ADD) & (messages.kind <= EXECUTE)
    change = np.where(messages.kind == ADD, qty, -qty)
    is_best = (price == before) & (lots_before > 0)
    left = np.where(is_best, lots_before, 0) + change
    stands = (after == price) & (lots_after == left)
    same = (after == before) & (lots_after == lots_before)
    sign = np.where(messages.side == SIDE_BID, 1, -1)
    improves = (messages.kind == ADD) & ((lots_before == 0) | (sign * (price - before) > 0))
    # An emptied level gives way to one behind it that is not known.
    gone = is_best & (left == 0) & ((lots_after == 0) | (sign * (before - after) > 0))
    explained = np.where(touches, (is_best | improves) & (stands & (left > 0) | gone), same)
    wrong = np.flatnonzero(~(explained & other))
    if is_first and len(wrong) and wrong[0] == 0:
        wrong = wrong[1:]  # the book before line 1 is not told
    if len(wrong):
        where = f"line {messages.line + int(wrong[0])}"
        words = "the message does not explain the change of the orderbook row"
        recording.audit.hit("image_mismatch", where, words, count=len(wrong))
