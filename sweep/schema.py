"""The typed study: what a checked study file says, in frozen values.

A `Leaf` is a fixed value or a search space. Spaces are listed once more in `Study.space` by their
key path; `sweep.template` replaces them by a trial's parameters.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from sweep.job import Backend, Direction
from sweep.reading import Leaf
from sweep.source import SourceConfig
from sweep.space import Scalar, Space

LATENCY_LEGS: Final = ("place", "cancel", "amend", "report", "feed")
# Latency models of the core, and the keys that each is given by.
LATENCY_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "constant": ("mean_us",),
    "gamma": ("mean_us", "cv", "floor_us"),
    "lognormal": ("mean_us", "cv", "floor_us"),
    "pareto": ("mean_us", "cv", "floor_us"),
    "uniform": ("mean_us", "cv", "floor_us"),
    "shifted_lognormal": ("floor_us", "median_us", "sigma"),
    "empirical": ("quantiles", "scale", "floor_us"),
    "mixture": ("modes", "floor_us"),
    "trace": ("file", "operation", "scale", "floor_us"),
}
LATENCY_MODELS: Final = tuple(LATENCY_KEYS)
SESSION_ORDERS: Final = ("fifo", "independent")
QUEUE_MODELS: Final = (
    "back",
    "front",
    "uniform",
    "power",
    "power2",
    "power3",
    "log",
    "log2",
    "odds",
    "odds_size",
    "l3",
)
QUEUE_MODES: Final = ("expected", "sampled")
WAKES: Final = ("best", "touch", "every", "own")
STRATEGY_MODES: Final = ("auto", "compiled", "interpreted")
ENGINES: Final = ("auto", "direct", "compiled")
SAMPLERS: Final = ("tpe", "random", "nsga2", "cmaes", "qmc")
BACKENDS: Final = ("inline", "processes", "ray")
PROFILES: Final = ("generic", "taifex")
AGGREGATES: Final = ("mean", "sum", "min", "max", "cvar")
WORLDS: Final = ("naive",)  # worlds that a word names; the live-like one is described
AGGREGATE_OVER: Final = ("slice", "replication", "cell")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSection:
    """Which ticks are replayed; `session` makes a slice of each session, `all` one per tape."""

    source: SourceConfig
    slices: Literal["session", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSection:
    """What trading costs and what the venue allows; amounts in minor units of the currency.

    Attributes:
        commission_per_lot: Per lot and side.
        tick_value: Money of one tick and lot; None takes the instrument's own.
        tax_rate: Share of the traded value, each side, rounded per `grain`.
        maker_rate: Share of the traded value charged to resting orders; negative is a rebate.
        taker_rate: The same for orders that take.
        fee_minimum: Least commission per `grain`.
        grain: `lot` rounds half up per lot, `fill` per fill.
        visible_levels: Levels a recording shows per side, 0 for all; None takes the instrument's.
        order_lots_max: Largest order, None for no bound.
    """

    profile: str
    commission_per_lot: Leaf
    tick_value: int | None
    tax_rate: Leaf
    maker_rate: Leaf
    taker_rate: Leaf
    fee_minimum: Leaf
    grain: str
    visible_levels: int | None
    order_lots_max: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategySection:
    """Which strategy decides: `module:Class`, when it is woken, all its parameters by name.

    `mode` says whether it runs as machine code, which changes no result.
    """

    reference: str
    mode: str
    wake: str
    params: dict[str, Leaf]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyLeg:
    """Latency of one kind of message; a model reads its keys of `LATENCY_KEYS` only.

    Attributes:
        model: Name of the family.
        mean_us: Mean, floor included.
        cv: Standard deviation over mean of the part above the floor.
        floor_us: Added to the rest of the distribution, so that no message is faster.
        median_us: Median of the part above the floor.
        sigma: Standard deviation of the logarithm of the part above the floor.
        quantiles: Rising pairs (probability, microseconds) from probability 0 to 1.
        modes: Parts of a mixture.
        scale: Factor of measured or recorded latencies.
        file: Recorded latencies, as the study names them.
        operation: Whose rows of that file are read.
        stressed: What holds in stressed stretches instead.
    """

    model: Leaf = "constant"
    mean_us: Leaf = 0.0
    cv: Leaf = 1.0
    floor_us: Leaf = 0.0
    median_us: Leaf | None = None
    sigma: Leaf | None = None
    quantiles: tuple[tuple[float, float], ...] = ()
    modes: "tuple[LatencyMode, ...]" = ()
    scale: Leaf | None = None
    file: Leaf | None = None
    operation: str | None = None
    stressed: "LatencyLeg | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyMode:
    """One part of a mixture: which share of the messages takes it, relative to the others."""

    weight: Leaf
    latency: LatencyLeg


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How long slow moments last, and which share of the variance of a latency is theirs."""

    tau_us: Leaf
    weight: Leaf


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """Mean lengths of calm and stressed stretches."""

    calm_us: Leaf
    stressed_us: Leaf


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSection:
    """What the strategy cannot choose: latencies, the queue, the number of random worlds.

    Attributes:
        latency: One leg per kind of message, keys of `LATENCY_LEGS`.
        sessions: `fifo` keeps the order of a session's messages, `independent` does not.
        gap_us: Least time between two messages of one order session at the exchange.
        loss_probability: Share of requests that never reach the exchange.
        loss_timeout_us: When a lost request is reported as rejected.
        reject_probability: Share of requests that are refused on arrival, before the order book.
        backlog_capacity_per_us: Messages that the venue works off per microsecond; None: load
            delays nothing.
        weather: What latencies of one moment share; None: they are independent.
        regime: Calm and stressed stretches; None: always calm.
        queue: Queue model: who cancels, those ahead of us or behind.
        queue_power: Exponent of the power models.
        queue_alpha: Intercept of the odds models.
        queue_beta: Slope of the odds models.
        queue_gamma: What a known size behind adds to the log-odds of `odds_size`.
        queue_mode: `expected` moves the queue by the mean, `sampled` draws.
        certificates: Whether replays bound every own queue position and fill.
        replications: Independent random worlds per slice.
        impact_half_life_ms: Refill of liquidity we took; None means never.
        impact_reaction: What others make of our resting orders, -1 to 1.
        impact_charge: Model and numbers of the charge for own takes; None: no such line.
        amend_below_filled: What an amendment below the filled quantity does: reject or cancel.
        is_naive: No latency, fills at a touch, last prices; nothing of the above is read.
        compare: World in which every trial is replayed beside its own; None: in no other.
    """

    latency: dict[str, LatencyLeg]
    sessions: Leaf
    gap_us: Leaf
    loss_probability: Leaf
    loss_timeout_us: Leaf
    reject_probability: Leaf
    backlog_capacity_per_us: Leaf | None
    weather: "Weather | None"
    regime: "Regime | None"
    queue: Leaf
    queue_power: Leaf
    queue_alpha: Leaf
    queue_beta: Leaf
    queue_gamma: Leaf
    queue_mode: str
    certificates: bool
    replications: int
    impact_half_life_ms: Leaf | None
    impact_reaction: Leaf
    impact_charge: dict[str, Leaf] | None
    amend_below_filled: str
    is_naive: bool = False
    compare: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveSection:
    """The figure to optimise.

    Attributes:
        metric: A key of `sweep.objective.METRICS`.
        over: Groups whose values are combined: slice, replication or cell; None pools all cells.
        by: How the groups' values are combined; `cvar` averages the worst share `q`.
    """

    direction: Direction
    metric: str
    over: str | None
    by: str
    q: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSection:
    """How parameters are proposed, and how many trials shall be final."""

    sampler: str
    options: dict[str, Scalar]
    trials: int
    window: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSection:
    """Where trials run, and on which engine; nothing here changes a result."""

    backend: Backend
    engine: str
    workers: int
    address: str
    attempts_max: int
    timeout_s: float | None
    failures_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingSection:
    """Where runs are shown: `embedded`, `none` or an http(s) URL."""

    uri: str
    experiment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A checked study.

    Attributes:
        traces: Files of recorded latencies by the name that the study gives them.
        space: Search spaces by dotted key path, in the order of the file.
        text: The effective study file: overrides applied, defaults not filled in.
        fingerprint: Hash of what shapes results, defaults included; not of trials, run, tracking
            and not of the data itself, which `sweep.cells` adds.
    """

    name: str
    seed: int
    data: DataSection
    venue: VenueSection
    strategy: StrategySection
    world: WorldSection
    objective: ObjectiveSection
    search: SearchSection
    run: RunSection
    tracking: TrackingSection
    traces: dict[str, Path]
    space: dict[str, Space]
    text: str
    fingerprint: str
