"""The synthetic market as a source of ticks; the model is in rustsim/src/synthetic."""

import datetime
import json
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

import rustsim
from sweep.errors import InputError
from sweep.readers.options import option
from sweep.readers.ticks import COLUMNS, Columns, Request, Rows, Session, Summary, make_instrument

# Goes up whenever equal options give other rows than before; it is part of the names of tapes.
SYNTHETIC_VERSION: Final = 1

VISIBLE_LEVELS: Final = 5

ORDER_COLUMNS: Final[dict[str, type[np.generic]]] = {
    "exch_ns": np.int64,
    "order_id": np.uint64,
    "action": np.uint8,
    "side": np.uint8,
    "price": np.int32,
    "qty": np.int32,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticOptions:
    """Options of the synthetic market; defaults resemble the recorded front TXF by day."""

    events: int = option(
        400_000, "Rows wanted; a message is never cut, so a few more may come", "rows", 1, 10**9
    )
    seed: int = option(1, "Seed of all streams", "1", 0, 2**63 - 1)
    mode: Literal["five_level", "l2", "l3"] = option(
        "five_level",
        "Five-level images and prints, every level change and print, or every order with joins",
    )
    start: str = option("2026-01-05T08:45:00+08:00", "Exchange time of the first row, ISO 8601")
    session_minutes: int = option(
        120, "Length of a session, one a day; 0: one session without end", "minutes", 0, 1_380
    )
    mid_ticks: int = option(20_000, "First price", "ticks", 1_000, 10**8)
    tick_value_minor: int = option(200, "Value of one tick for one lot", "minor units", 1, 10**9)
    mean_gap_us: float = option(12_000.0, "Mean time between order events", "us", 0.01, 1e8)
    trade_share: float = option(0.018, "Share of market orders in order events", "1", 0.0, 0.5)
    burstiness: float = option(
        0.9, "Branching ratio of adds and cancels; 0: Poisson", "1", 0.0, 0.95
    )
    trade_burstiness: float = option(0.6, "Branching ratio of market orders", "1", 0.0, 0.9)
    cluster_gaps: float = option(
        1.5, "Longest time constant of clusters of adds and cancels", "mean gaps", 1e-3, 1e5
    )
    cluster_scales: int = option(
        1, "Time constants of such clusters, each a tenth of the one before", "1", 1, 10
    )
    trade_cluster_gaps: float = option(
        0.15, "Longest time constant of clusters of market orders", "mean gaps", 1e-3, 1e5
    )
    trade_cluster_scales: int = option(
        1, "Time constants of such clusters, each a tenth of the one before", "1", 1, 10
    )
    sign_persistence: float = option(
        0.7, "Weight of the past in the sign of the next trade", "1", 0.0, 0.95
    )
    sign_decay: float = option(
        1.3, "Exponent with which past signs lose weight; larger: sooner", "1", 0.5, 5.0
    )
    cancel_back_bias: float = option(
        3.3, "Cancels come at u^bias of the queue from its back; 1: uniform", "1", 0.1, 20.0
    )
    amend_share: float = option(
        0.0, "Share of cancels whose order comes back at once, as if amended", "1", 0.0, 1.0
    )
    volatility_ticks: float = option(
        2.0, "Deviation of the fair value by news over one second", "ticks", 0.0, 1_000.0
    )
    impact_ticks: float = option(
        0.8, "Move of the fair value by a wholly surprising trade", "ticks", 0.0, 100.0
    )
    half_spread_ticks: float = option(
        1.6, "Distance from the fair value at which makers start", "ticks", 0.0, 100.0
    )
    stale_ticks: float = option(
        0.6,
        "An order this near to the fair value is stale; negative: beyond it",
        "ticks",
        -5.0,
        100.0,
    )
    inside_share: float = option(
        0.07, "Share of limit orders that go inside of the spread", "1", 0.0, 1.0
    )
    refill_share: float = option(
        0.7, "Share of limit orders that go where lots are missing, not anywhere", "1", 0.0, 1.0
    )
    levels: int = option(14, "Levels that makers keep filled on each side", "1", 2, 500)
    activity_decay: float = option(
        0.0, "Adds and cancels go with (1 + level / levels)^-decay; 0: alike", "1", 0.0, 5.0
    )
    activity_levels: float = option(
        1.0, "Levels after which adds and cancels grow rarer", "levels", 0.01, 1_000.0
    )
    round_ticks: int = option(0, "Distance of round prices; 0: none is round", "ticks", 0, 10_000)
    round_lots: float = option(
        1.0, "Times as many lots stand at a round price, as much longer", "1", 1.0, 100.0
    )
    selective_share: float = option(
        0.0, "Share of market orders that wait until the best level can fill them", "1", 0.0, 1.0
    )
    level_lots: int = option(
        5, "Lots kept on a level; fewer than an order has: the book has gaps", "lots", 1, 10_000
    )
    lots_tail: float = option(2.1, "P(order >= n lots) = n^-tail", "1", 1.1, 20.0)
    lots_max: int = option(50, "Largest order", "lots", 1, 1_000)
    limit_lots: str = option(
        "", "Sizes of limit orders as lots:share ..., instead of the two above"
    )
    market_lots: str = option(
        "", "Sizes of market orders as lots:share ...; none: one or two draws"
    )
    conflate_us: int = option(
        125_000, "Time between images; 0: one after every event", "us", 0, 60_000_000
    )


def read(request: Request) -> Rows:
    """Read the ticks of a synthetic market.

    Raises:
        InputError: An option is out of range.
    """
    options: SyntheticOptions = request.options
    columns, sessions = generate_columns(options)
    yield columns
    return Summary(
        instrument=make_instrument(
            request.instrument,
            tick_value_minor=options.tick_value_minor,
            visible_levels=VISIBLE_LEVELS if options.mode == "five_level" else 0,
        ),
        sessions=sessions,
        facts={"synthetic": asdict(options), "version": SYNTHETIC_VERSION, "local_clock": False},
    )


def generate_columns(options: SyntheticOptions) -> tuple[Columns, tuple[Session, ...]]:
    """Return the rows of a synthetic market, by the names of `COLUMNS`, and its sessions.

    Raises:
        InputError: An option is out of range.
    """
    market = generate(options)
    names = [name for name in COLUMNS if name in market]
    columns = {name: np.frombuffer(market[name], COLUMNS[name]) for name in names}
    return columns, _sessions(options, market["session_starts"], len(columns["exch_ns"]))


def read_orders(options: SyntheticOptions) -> dict[str, npt.NDArray[Any]]:
    """Return the order events of a synthetic market of the mode l3, by `ORDER_COLUMNS`.

    Raises:
        InputError: An option is out of range.
    """
    orders = generate(options)["orders"]
    return {name: np.frombuffer(orders[name], kind) for name, kind in ORDER_COLUMNS.items()}


def generate(options: SyntheticOptions) -> dict[str, Any]:
    """Return what the core generates for these options, see `rustsim.synthetic_market`.

    Raises:
        InputError: An option is out of range.
    """
    values = asdict(options)
    values.pop("tick_value_minor")  # the core knows ticks and lots, not money
    values["start_ns"] = _start_ns(values.pop("start"))
    try:
        return rustsim.synthetic_market(json.dumps(values))
    except rustsim.SpecError as error:
        raise InputError(f"Synthetic market: {error}") from error


def _start_ns(text: str) -> int:
    try:
        start = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        message = f"start must be a time like 2026-01-05T08:45:00+08:00, found {text!r}"
        raise InputError(message) from error
    if start.tzinfo is None:
        raise InputError(f"start needs an offset from UTC, like +08:00 or Z, found {text!r}")
    since = start - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000


def _sessions(options: SyntheticOptions, starts: list[int], row_count: int) -> tuple[Session, ...]:
    first = datetime.datetime.fromisoformat(options.start).date()
    names = [(first + datetime.timedelta(days=day)).isoformat() for day in range(len(starts))]
    stops = [*starts[1:], row_count]
    return tuple(
        Session(name=name, row_start=start, row_stop=stop)
        for name, start, stop in zip(names, starts, stops, strict=True)
    )
