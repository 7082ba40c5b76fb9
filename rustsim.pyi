"""Typed face of the compiled simulator core.

Prices are tick indices, quantities lots, money minor units, times nanoseconds UTC, unless a name says otherwise.
"""

from collections.abc import Sequence
from typing import Any, Final, final

from typing_extensions import disjoint_base

__version__: Final[str]
__all__ = [
    "CompiledTape",
    "FileHash",
    "GhostScan",
    "Kernel",
    "LedgerError",
    "MarketView",
    "OrderEvent",
    "OrderFlow",
    "ReplayError",
    "ReplayResult",
    "RowCheck",
    "RustsimError",
    "SimulatedExchange",
    "SpecError",
    "Tape",
    "TapeBuilder",
    "TapeError",
    "TapeSurvey",
    "TextColumns",
    "TickError",
    "__version__",
    "file_hash",
    "kernel_layout",
    "latency_quantile_ns",
    "latency_quantiles_ns",
    "needs_direct",
    "philox4x32_10",
    "philox4x64_10",
    "plain_events",
    "queue_probability_ahead",
    "replay_lanes",
    "scan_book",
    "scan_queues",
    "synthetic_market",
    "validate_spec",
]

class RustsimError(Exception):
    """Base of every error that the core raises."""

class SpecError(RustsimError, ValueError):
    """The description of an exchange is wrong; the message names the key, what was found and what is allowed."""

class TickError(RustsimError, ValueError):
    """A tick or tape row breaks a rule; the message names file and row."""

class TapeError(RustsimError):
    """A tape file is damaged, truncated, of another version or cannot be written."""

class LedgerError(RustsimError, ArithmeticError):
    """An amount does not fit its integer, or an accounting identity broke; the replay stops at that event."""

class ReplayError(RustsimError):
    """A replay cannot go on (for example a strategy that never stops acting at one instant)."""

@final
class OrderEvent:
    """One thing that happened to an own order, as the strategy sees it."""

    @property
    def kind(self) -> str:
        """accepted, rejected, filled, cancelled, cancel_rejected, amended, amend_rejected or expired."""
    @property
    def order_id(self) -> int: ...
    @property
    def exch_ns(self) -> int: ...
    @property
    def local_ns(self) -> int: ...
    @property
    def side(self) -> int:
        """0 buy, 1 sell."""
    @property
    def price_ticks(self) -> int: ...
    @property
    def quantity_lots(self) -> int:
        """Lots of this fill, lots cancelled or expired, or the total quantity of the order for the other kinds."""
    @property
    def leaves_lots(self) -> int: ...
    @property
    def is_maker(self) -> bool: ...
    @property
    def reason(self) -> str:
        """Empty, or why: post_only, price_limit, quantity, market_needs_ioc, self_match, phase, unknown_order, too_late, below_filled, lost, refused, ioc, fok, end_of_data."""

@final
class Tape:
    """A read-only mapped tape: packed blocks of rows with checksums, verified when opened."""

    @staticmethod
    def open(path: str) -> Tape:
        """Map and verify a tape; raise TapeError with file, block and reason if anything is off."""
    @property
    def path(self) -> str: ...
    @property
    def row_count(self) -> int: ...
    @property
    def has_local(self) -> bool: ...
    @property
    def has_join(self) -> bool:
        """Whether any row carries a level-3 join ordinal."""
    @property
    def content_hash(self) -> str:
        """32 hex digits over all rows and the metadata."""
    @property
    def metadata(self) -> str:
        """The JSON text given when the tape was built."""
    def exch_ns(self, row: int) -> int: ...
    def first_row_at(self, exch_ns: int) -> int:
        """First row with exchange time >= exch_ns (row_count if none)."""
    def rows(self, start: int, stop: int) -> list[tuple[int, int, int, int, int, int, int, int]]:
        """Rows as (exch_ns, local_ns, kind, side, flags, price, qty, join), for inspection."""
    def column(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """Rows [start, stop) of one column (by default all) as native-endian bytes: exch_ns, local_ns (i64), price, qty (i32), join (u32), kind, side, flags (u8)."""

@final
class CompiledTape:
    """Rows of a tape with all that no parameter can change worked off: replays on it give equal results, and look at few of the rows."""

    FORM: Final[int]
    """Version of the form of files; no other is opened."""
    @staticmethod
    def of(tape: Tape, start: int, stop: int) -> CompiledTape:
        """Compile rows [start, stop) in memory; raise IndexError if the tape has fewer."""
    @staticmethod
    def write(path: str, tape: Tape, start: int, stop: int) -> None:
        """Compile rows [start, stop) into a file, under a temporary name that is renamed when all is written; raise TapeError, IndexError."""
    @staticmethod
    def open(path: str, tape: Tape) -> CompiledTape:
        """Map and verify a file that write() made of this tape; raise TapeError with file and reason if it is none, damaged, or of another tape."""
    def holds(self, tape: Tape, start: int, stop: int) -> bool:
        """Whether rows [start, stop) of this tape can be replayed on it: it is of this tape, starts there and holds them, and no group is cut in two."""
    @property
    def row_start(self) -> int: ...
    @property
    def row_stop(self) -> int: ...
    @property
    def byte_count(self) -> int:
        """Bytes that it takes, in memory or in its file."""

@final
class TapeBuilder:
    """Write a tape in chunks to a temporary name; finish() syncs and renames it into place."""

    def __new__(cls, path: str, *, has_local: bool = False, source: str = "") -> TapeBuilder: ...
    def append(
        self,
        exch_ns: Any,
        local_ns: Any | None,
        kind: Any,
        side: Any,
        flags: Any,
        price: Any,
        qty: Any,
        join: Any | None = None,
    ) -> None:
        """Append equally long 1-d buffers (i64, i64, u8, u8, u8, i32, i32, u32). Raise TickError with source and row."""
    def finish(self, metadata: str) -> dict[str, Any]:
        """Seal the tape; return row_count, content_hash, price_min, price_max, exch_ns_first, exch_ns_last, bytes, has_join."""
    def abort(self) -> None: ...

@final
class RowCheck:
    """Test rows as a tape would, without writing one."""

    def __new__(cls, *, has_local: bool = False, source: str = "") -> RowCheck: ...
    def append(
        self,
        exch_ns: Any,
        local_ns: Any | None,
        kind: Any,
        side: Any,
        flags: Any,
        price: Any,
        qty: Any,
        join: Any | None = None,
    ) -> None:
        """Test the next rows, columns as of TapeBuilder.append. Raise TickError with source and row."""

@final
class TapeSurvey:
    """Measure rows of a tape in one pass and bounded memory; a session at a time, since it starts with an empty book."""

    def __new__(cls, tape: Tape, start: int, stop: int, *, bin_ns: int) -> TapeSurvey:
        """Prepare for the rows [start, stop); raise IndexError if the tape has fewer. bin_ns: width of the stretches of time."""
    def advance(self, rows: int) -> int:
        """Measure up to so many further rows; return how many are left."""
    def report(self) -> str:
        """Return everything measured as JSON; rustsim/src/tape/survey.rs says what the keys mean."""

@final
class GhostScan:
    """Let ghost orders join recorded queues, and score queue models on what became of the orders ahead; rustsim/src/ghosts says how."""

    def __new__(cls, options: str) -> GhostScan:
        """Prepare; options (JSON): every_ns, horizon_ns, block_ns, replications, seed, models (queue specs), keeps_cancels. Raise SpecError."""
    def open(self, tape: Tape, start: int, stop: int, *, from_ns: int, until_ns: int) -> None:
        """Go on with rows [start, stop) of a tape with joins, from an empty book; ghosts join in [from_ns, until_ns)."""
    def advance(self, rows: int) -> int:
        """Scan up to so many further rows; return how many are left. With the last one the ghosts still alive are cut short."""
    def fit(self, model: str) -> str:
        """Return {queue, cancels, loss} as JSON: the model with the parameters that make the kept cancels most likely. Raise SpecError."""
    def report(self) -> str:
        """Return {counts, scores} as JSON, one score per model."""

@final
class FileHash:
    """What file_hash returns, from the bytes of a file piece by piece."""

    def __new__(cls) -> FileHash: ...
    def restart(self) -> None:
        """Forget what was taken: the file is read from its start again."""
    def update(self, data: bytes) -> None:
        """Take the next piece."""
    def result(self) -> tuple[int, str]:
        """Size and hash of the pieces so far."""

@final
class TextColumns:
    """Columns out of delimited text, piece by piece: exact times, steps of a ladder and codes; rustsim/src/text/mod.rs says what a line may be."""

    def __new__(cls, spec: str, *, lines_before: int = 0, quick: bool = True) -> TextColumns:
        """Prepare; spec as JSON: separator (a byte) and columns, one per field of a line; lines_before lines of the file were read before.

        Kinds of columns: skip; steps (a number times numerator / denominator, whole); time (digits: 0 ns, 3 us, 6 ms, 9 s); iso_time (has_offset);
        code (words: pairs of a text and 0 to 253). Without quick every line is read field by field: the same in more time, to compare with.
        Raise SpecError if it is wrong.
        """
    def push(self, data: bytes, *, is_last: bool = False) -> dict[str, Any]:
        """Take a piece of text and return what its whole lines hold; raise TickError with the line.

        Return rows, columns (native-endian bytes: None for skip, u8 for code with 255 no word of the list and 254 empty, else i64 with -2^63 no value
        and -2^63 + 1 empty) and bad: the first field of each column that is no value, as (column, row, text).
        """

def scan_book(
    exch_ns: Any,
    kind: Any,
    side: Any,
    flags: Any,
    price: Any,
    qty: Any,
    *,
    visible_levels: int,
    trades_take: bool = False,
) -> dict[str, Any]:
    """Look at sorted rows as a book. Trades take lots from it if `trades_take`: in level-3 rows no level row follows them.

    Return the counts groups, crossed_groups, locked_groups (after whole groups, auction data left out) and levels_max, the mask out_of_view
    (u8 per row: the level left a window of visible_levels instead of becoming empty; 0: no limit) and per group, as native-endian bytes,
    group_ns (i64), bid_price, bid_lots, ask_price, ask_lots (i32; 0 lots: the side is empty).
    """

@final
class OrderFlow:
    """A full order book that turns order events into canonical rows; state and row ordinals go on from push to push.

    Actions: 0 add (joins the back of its queue), 1 delete (leaves whole; qty may state its lots, 0: not stated), 2 execute (resting lots trade),
    3 reduce (keeps its place), 4 modify (price and size afterwards: a larger size or another price goes to the back; an unknown id is added),
    5 fill (as execute, but a delete, reduce or modify of the same id later in the packet tells the same lots again), 6 print (a trade that touches
    no displayed order), 7 seed (the level holds qty lots of unknown orders and nothing else; qty 0 with flag 16: it left the view), 8 clear,
    9 pause (a row that changes nothing but is flagged INDICATIVE: nothing trades from here on), 10 none (for the sake of its picture).

    Rows: LEVEL for add, cancel, modify (two where a place is lost) and seed, one TRADE with join for an execution, CLEAR. Lots of unknown ids are
    taken from the seeded (anonymous) lots of the stated side and price, join 0. A print is a TRADE row if it lies strictly between the best prices,
    else no row: it took nothing from a displayed queue. Events flagged INDICATIVE: an execution is a TRADE and a LEVEL row.
    """

    FAULTS: Final[tuple[str, ...]]
    """Rules by code: bad_value, unknown_order, duplicate_order (left out), excess (takes what is there), mismatch (the order's own side and price
    hold), not_front (an execution behind others: applied, and in front from then on), too_many_lots (left out), crossed, locked (after the packet,
    at its last event), image_mismatch (the picture holds; orders of the levels that differ are forgotten)."""

    def __new__(cls, *, places: bool = False, quotes: bool = False) -> OrderFlow:
        """Make an empty book; places: also return where in its queue every removed order stood; quotes: also every change of a best level."""
    def push(
        self,
        exch_ns: Any,
        action: Any,
        order_id: Any,
        side: Any,
        price: Any,
        qty: Any,
        *,
        local_ns: Any = None,
        flags: Any = None,
        images: Any = None,
    ) -> dict[str, bytes]:
        """Apply events given as equally long 1-d buffers (i64, u8, u64, u8, i32, i32, i64, u8) and return what they make.

        side is 0 bid, 1 ask, 255 not stated; price -2^31: not stated (both only for known orders). flags are the canonical ones and go to the rows;
        LAST ends a packet (after the last event of a packet only; without flags every event is a packet of its own).

        images (i32, 4 numbers per level and event: ask price, ask lots, bid price, bid lots, best first, 0 lots: no level) show the N best levels
        after each event: levels that fell out of them are forgotten (flag 16), levels that came into them are seeded, other differences are faults.

        Return columns as native-endian bytes: exch_ns (i64), local_ns (i64, if given), kind, side, flags (u8), price, qty (i32), join (u32), event
        (u32: event of the push that made the row); with places ahead and behind (i32: lots in front of and behind the removed order, -1: none or
        unknown); with quotes quote_event (u32), bid_price, bid_lots, ask_price, ask_lots (i32; 0 lots: empty);
        broken rules as fault (u8, index in FAULTS) and fault_event (u32). Raise TickError if the buffers do not fit.
        """
    def restate(self, exch_ns: int, *, local_ns: int | None = None) -> dict[str, bytes]:
        """Return rows, columns as of push, that tell the whole book anew: CLEAR and every level, for a session that must stand alone."""
    def levels(self, side: int) -> list[tuple[int, int, int]]:
        """Return price, lots and anonymous lots of the levels of a side, best first."""
    def counts(self) -> dict[str, int]:
        """Return what was met so far.

        Events: adds, deletes, executes, reduces, modifies, fills, prints, seeds, clears, pauses, nones; packets. Of known orders outside of auctions:
        executions, executions_front (at the front of their queue), executions_behind_anonymous (nothing but anonymous lots in front). Of others:
        executions_anonymous, cancels_anonymous. prints_inside (rows), prints_beside (no rows); levels_came, levels_left (the view of the pictures);
        orders_max, orders_left.
        """
    @property
    def next_row(self) -> int:
        """Ordinal, in the tape, of the next row; set it after rows that were made elsewhere."""
    @next_row.setter
    def next_row(self, next_row: int) -> None: ...

def scan_queues(
    exch_ns: Any,
    kind: Any,
    side: Any,
    flags: Any,
    price: Any,
    qty: Any,
    join: Any | None = None,
    *,
    first_row: int,
    trades_take: bool,
) -> dict[str, Any]:
    """Look at sorted rows as queues of orders; auction data left out.

    `first_row` is the ordinal of the first row in its tape, to which joins refer. Trades take lots from the book if `trades_take`: in
    level-3 rows no level row follows them.

    Return as native-endian bytes, per group in which both sides stand, group_ns (i64), bid_price, bid_lots, ask_price, ask_lots (i32); per add
    and cancel change (u8: 0 add, 1 cancel), change_lots, change_distance (i32: ticks behind the best price of its side), behind and orders
    (u32: orders behind the one that left whole, and of its queue; 0 and 0 where unknown); and depth: per rank (times it stood, sum of lots,
    of orders, of ticks from the best level), at most ten ranks.
    """

def synthetic_market(options: str) -> dict[str, Any]:
    """Generate a synthetic market from options as JSON (every key of `SyntheticOptions` in sweep/readers/synthetic.py, start as start_ns).

    Return session_starts (list of rows) and columns as native-endian bytes: exch_ns (i64), kind, side, flags (u8), price, qty (i32); in the mode
    l3 also join (u32), and orders: exch_ns, order_id (u64), action (0 add, 1 cancel, 2 execute), side, price, qty. Raise SpecError if an option is out of range.
    """

@final
class MarketView:
    """What the strategy sees of the market; one object, updated in place before every wake-up."""

    @property
    def local_ns(self) -> int: ...
    @property
    def exch_ns(self) -> int:
        """Exchange time of the newest group seen."""
    @property
    def best_bid_ticks(self) -> int | None: ...
    @property
    def best_ask_ticks(self) -> int | None: ...
    @property
    def best_bid_lots(self) -> int: ...
    @property
    def best_ask_lots(self) -> int: ...
    @property
    def mid2_ticks(self) -> int | None:
        """Twice the mid (bid + ask), None while a side is empty."""
    @property
    def last_trade_ticks(self) -> int | None: ...
    @property
    def last_trade_lots(self) -> int: ...
    @property
    def last_trade_side(self) -> int:
        """0 it hit bids, 1 it hit asks."""

@final
class ReplayResult:
    """Outcome of one replay: exact ledger, metrics, digest, samples."""

    @property
    def digest(self) -> str: ...
    @property
    def events(self) -> int:
        """Market rows replayed."""
    @property
    def wakes(self) -> int: ...
    @property
    def fills_out_of_turn(self) -> int:
        """Own fills by prints that went past recorded lots ahead (queue model l3): the record breaks price-time priority there."""
    @property
    def engine(self) -> str:
        """Which engine made it: direct or compiled. Their results are equal."""
    @property
    def engine_ns(self) -> int:
        """Wall time of the replay, strategy included."""
    @property
    def ledger(self) -> dict[str, int]:
        """Exact integers: those of the account, which the digest covers, and those that judge the run."""
    @property
    def metrics(self) -> dict[str, float]:
        """Figures derived from the ledger, in the units of their names."""
    @property
    def equity(self) -> list[tuple[int, int]]:
        """Down-sampled (exch_ns, equity in half minor units)."""
    def fills(self) -> dict[str, list[int]]:
        """Columns of the fills, one row each.

        Columns: exch_ns, order_id, side, price_ticks, lots, fee_minor, tax_minor, impact_minor, is_maker, position_lots, mid2_ticks, queue_ahead_lots_x2p20, arrival_ns,
        local_ns (when the strategy sees it), queue_ahead_at_arrival_lots_x2p20, cause_lots and cause_row (the print; 0 and -1: none), equity_minor_x2;
        with certificates queue_ahead_front_lots, queue_ahead_back_lots (bounds before the fill), certain_lots. Queue positions are -1 where unknown.
        """
    def markouts(self) -> dict[str, list[int | None]]:
        """Gain per lot of each fill in half ticks at markout_1s_ticks_x2, markout_5s_ticks_x2, markout_30s_ticks_x2; None: the data ended before."""
    def certificates(self) -> dict[str, list[int]]:
        """Columns of what every queue model agrees on, a row per order and stay in a queue.

        In order of their ends: order_id, side, price_ticks, joined_ns, ended_ns, rested_lots, filled_lots, certain_lots
        (filled by ended_ns under every queue model), possible_lots (under some). Empty unless the spec says "certificates": true.
        """
    def events_log(self) -> list[OrderEvent]: ...

@final
class Kernel:
    """A compiled strategy with its parameters; made by strategies/kernel_compile.py, called without the interpreter."""

    def __new__(
        cls, address: int, code: object, *, params: bytes, state: bytes, layout: str
    ) -> Kernel:
        """Make one of the address of a function (rustsim/src/kernel.rs has its signature).

        code is kept as long as the kernel, and must keep the function loaded. params and state are its 64-bit words. Raise ValueError if layout is
        not what kernel_layout returns: nothing else about the function can be checked.
        """
    @property
    def state(self) -> bytes:
        """Its state as the replay that ended last left it; every replay starts from the first one."""

def kernel_layout() -> str:
    """Fields, places and sizes of the records that compiled strategies work on, as JSON."""

@disjoint_base
class SimulatedExchange:
    """The embedded exchange: also the gateway that a strategy trades through."""

    def __new__(
        cls,
        latency_model: str = "constant",
        mean: float = 0.0,
        *,
        cv: float = 0.5,
        floor: float = 0.0,
        queue: str = "uniform",
        queue_power: float = 2.0,
        seed: int = 0,
        spec: str | None = None,
    ) -> SimulatedExchange:
        """Build from a few words (mean and floor in microseconds, used for place, cancel, amend and report; feed without latency) or from a full JSON spec."""
    @property
    def spec(self) -> str:
        """The full description as canonical JSON."""
    @property
    def view(self) -> MarketView: ...
    @property
    def now_ns(self) -> int:
        """Local time of the strategy host."""
    @property
    def position_lots(self) -> int:
        """Position from the fills the strategy has seen."""
    def place_order(
        self,
        side: int,
        price_ticks: int,
        quantity_lots: int,
        *,
        order_type: str = "limit",
        time_in_force: str = "rod",
        post_only: bool = False,
        session: int = 0,
    ) -> int:
        """Send an order (side 0 buy, 1 sell); return its id. Outcomes arrive as events."""
    def cancel_order(self, order_id: int, *, session: int = 0) -> bool: ...
    def amend_order(
        self,
        order_id: int,
        *,
        price_ticks: int | None = None,
        quantity_lots: int | None = None,
        session: int = 0,
    ) -> bool: ...
    def set_timer(self, at_ns: int) -> None:
        """Ask for on_timer at local time at_ns (now, if it is past)."""
    def on_tick(self, tick: Any) -> list[OrderEvent]:
        """Advance to one market event and return what the strategy sees by then.

        A tick is ("level", exch_ns, side, price, lots), ("trade", exch_ns, side, price, lots) or
        ("book", exch_ns, [(price, lots), ...] bids best first, the same for asks): the whole image is one event.
        With the queue model l3 levels and trades have a sixth value, the join: 1 + the number (from 0) of the tick by which the order that loses lots
        came to the back of its queue, 0 where there is none; a book is refused.
        Times lie in [0, 7258118400000000000) and never run backwards. Messages of one time are handled one by one; a print still explains a decrease
        of the same time that came before it. After a tick that failed half-way the run is over: every later call raises the same error.
        """
    def advance_to(self, local_ns: int) -> list[OrderEvent]:
        """Let time pass without a market event."""
    def queue_ahead(self, order_id: int) -> float | None:
        """OPI of a resting order in lots (exchange truth), None if it is unknown or the order does not rest."""
    def queue_ahead_range(self, order_id: int) -> tuple[int, int] | None:
        """Least and greatest OPI in lots, whatever the queue model; None without certificates, and where `queue_ahead` is."""
    def level_lots(self, side: int, price_ticks: int) -> int:
        """Displayed size on the exchange clock."""
    def available_lots(self, side: int, price_ticks: int) -> int:
        """Displayed size less what own takers consumed (exchange clock)."""
    def finish(self) -> ReplayResult:
        """End the run: expire what is under way, mark the position, seal the ledger."""
    def replay(
        self,
        tape: Tape,
        start: int,
        stop: int,
        strategy: Any | None = None,
        *,
        wake: str = "best",
        samples: int = 200,
        log: bool = False,
        compiled: CompiledTape | None = None,
    ) -> ReplayResult:
        """Replay tape rows [start, stop) and finish. The interpreter lock is released except inside strategy calls.

        wake: best (a best price changed), touch (price or size at the best changed), every (each market message), own (own events and timers only).
        compiled: used if it is of this tape, starts at start and holds the rows, and the replay can be made on it (wake best or own, a feed
        that is not drawn, no load on the venue, not the naive world); results are the same without it, only later.
        With the queue model l3 the tape must have joins, and its first 2^32 rows only can be replayed; raise SpecError or ReplayError.
        The strategy may define on_start(), on_tick(view), on_order_event(event), on_timer(now_ns), on_end(). A Kernel is called in their place, without the
        interpreter: raise ReplayError if it raises, or writes a wrong command or too many.
        """

def needs_direct(spec: str, wake: str = "best") -> str | None:
    """Why replays of a JSON spec with this wake filter need the direct engine; None if they can be made on a CompiledTape. Raise SpecError, ReplayError."""

def replay_lanes(
    exchanges: Sequence[SimulatedExchange],
    strategies: Sequence[Any],
    tape: Tape,
    start: int,
    stop: int,
    *,
    compiled: CompiledTape,
    wake: str = "best",
    samples: int = 200,
    log: bool = False,
) -> list[ReplayResult]:
    """Replay rows [start, stop) of a compiled tape with several fresh exchanges side by side, each with its strategy.

    Each result is what the exchange's own replay would give; the tape is fetched from memory once. engine_ns is the mean over all. Raise what the first
    failing strategy raised, and ReplayError if a replay cannot be made on this compiled tape; nothing is replayed then.
    """

def philox4x32_10(counter: Sequence[int], key: Sequence[int]) -> list[int]:
    """One Philox 4x32-10 block."""

def philox4x64_10(counter: Sequence[int], key: Sequence[int]) -> list[int]:
    """One Philox 4x64-10 block."""

def plain_events(
    data: bytes, scale: str, *, exch_ns_before: int, local_ns_before: int | None
) -> dict[str, Any] | None:
    """Columns of a piece of an hftbacktest event array (64-byte rows) whose rows are all plain, as bytes by name, and "latency_ns" (least, most); None for any other piece.

    Plain: depth or trade, valid for both sides, sorted from the times before on (local_ns_before None: no local clock), on the grid, in
    whole lots; rustsim/src/event_rows.rs. scale: JSON {"price": [up, down], "qty": [up, down], "price_most": ticks, "qty_most": lots}.
    """

def file_hash(path: str) -> tuple[int, str]:
    """Size of a file and 32 hex digits over its content (xxh3-128): the same for equal content, whatever its name and times. Raise OSError."""

def latency_quantile_ns(latency: str, u: float) -> float:
    """Quantile of a latency model given as JSON ({"model": "gamma", "mean_ns": ..., "cv": ..., "floor_ns": ...}), unrounded."""

def latency_quantiles_ns(latency: str, us: Sequence[float]) -> list[float]:
    """Quantiles of a latency model given as JSON, unrounded; those of a trace are over its rows."""

def queue_probability_ahead(
    queue: str, ahead_lots: float, behind_lots: float, *, is_size_behind: bool = False
) -> float:
    """P(cancel is ahead) of a queue model given as JSON ({"model": "power", "n": 2}).

    is_size_behind: an order of the cancel's size is known to be behind (read by odds_size).
    """

def validate_spec(spec: str) -> str:
    """Check a JSON spec and return it in canonical form with every default filled in; raise SpecError."""
