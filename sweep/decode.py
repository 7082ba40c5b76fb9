"""From a parsed document to the typed study: every key, its rule and its default."""

import hashlib
import importlib.util
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from sweep.decode_data import decode_data
from sweep.decode_impact import decode_impact
from sweep.decode_latency import decode_latencies
from sweep.decode_strategy import decode_strategy
from sweep.document import Node, did_you_mean
from sweep.job import WINDOW_DEFAULT, Backend, Direction
from sweep.objective import MEASURED_BY, METRICS
from sweep.reading import (
    NOT_BUILT,
    Fields,
    Leaf,
    Reading,
    Rule,
    leaf_ends,
    leaf_words,
)
from sweep.schema import (
    AGGREGATE_OVER,
    AGGREGATES,
    BACKENDS,
    ENGINES,
    PROFILES,
    QUEUE_MODELS,
    QUEUE_MODES,
    SAMPLERS,
    SESSION_ORDERS,
    WORLDS,
    ObjectiveSection,
    RunSection,
    SearchSection,
    Study,
    TrackingSection,
    VenueSection,
    WorldSection,
)
from sweep.space import ChoiceSpace, Scalar, Space, space_to_json
from sweep.template import to_template

NAME_PATTERN: Final = r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
NAME_ALLOWED: Final = "a name of up to 100 letters, digits, '-', '_' and single '.'"
TAIFEX_TAX_RATE: Final = 0.00002  # futures transaction tax, each side, of the contract value
TAIFEX_VISIBLE_LEVELS: Final = 5
US_MAX: Final = 1e9  # gaps and time-outs up to 1,000 seconds
AMOUNT_MAX: Final = 1e9
WORKERS_MAX: Final = 1024


def decode_study(root: Node, *, text: str, folder: Path) -> Study:
    """Check a parsed document and return the typed study.

    Args:
        root: The document with overrides applied.
        text: The same as YAML text, kept in the study.
        folder: What relative data paths are relative to.

    Raises:
        StudyError: The document breaks a rule; every problem found is listed.
    """
    reading = Reading()
    fields = Fields(root, reading, planned=("scenarios", "confirm", "calibrate", "constraints"))
    name = fields.text("study", NAME_PATTERN, NAME_ALLOWED)
    seed = fields.integer("seed", low=0, high=(1 << 63) - 1, default=0)
    data = decode_data(fields.section("data", planned=("split",), required=True), folder)
    venue = _venue(fields.section("venue"))
    strategy = decode_strategy(fields.section("strategy", required=True))
    traces: dict[str, Path] = {}
    world = _world(fields, folder, traces)
    objective = _objective(fields.section("objective", planned=("constraints",), required=True))
    measured = {
        "world.compare": world.compare,
        "world.impact.charge": world.impact_charge,
        "world.certificates": world.certificates or None,
    }
    needed = MEASURED_BY.get(objective.metric)
    if needed is not None and measured[needed] is None:
        place = fields.node("objective") or fields.node_self
        message = f"Nothing measures {objective.metric} here"
        reading.problems.add(place, message, f"Give {needed}, or take another metric")
    planned = ("pruner", "confirm_top", "scenario")
    search = _search(fields.section("search", planned=planned, required=True), reading.spaces)
    run = _run(fields.section("run"))
    tracking = _tracking(fields.section("tracking"), name)
    fields.close()
    reading.problems.raise_any()
    shaping = {
        "study": name,
        "seed": seed,
        "data": {
            "reader": data.source.reader,
            "instrument": data.source.instrument,
            "options": data.source.options,
            "slices": data.slices,
        },
        "venue": to_template(venue),
        # Compiled or not, a strategy decides the same.
        "strategy": {**to_template(strategy), "mode": None},
        "world": to_template(world),
        "objective": to_template(objective),
        "search": {"sampler": search.sampler, "options": search.options, "window": search.window},
        "space": {path: space_to_json(space) for path, space in reading.spaces.items()},
    }
    return Study(
        name=name,
        seed=seed,
        data=data,
        venue=venue,
        strategy=strategy,
        world=world,
        objective=objective,
        search=search,
        run=run,
        tracking=tracking,
        traces=traces,
        space=dict(reading.spaces),
        text=text,
        fingerprint=_fingerprint(shaping),
    )


def _fingerprint(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _venue(fields: Fields) -> VenueSection:
    profile = fields.option("profile", PROFILES, default="generic")
    is_taifex = profile == "taifex"
    amount = Rule(kind="int", low=0, high=AMOUNT_MAX, unit="minor units of money")
    rate = Rule(kind="float", low=0.0, high=1.0, unit="share of the traded value")
    maker = Rule(kind="float", low=-1.0, high=1.0, unit="share of the traded value")
    # Commissions of futures are negotiated: there is no honest default for them.
    commission = fields.leaf("commission_per_lot", amount, None if is_taifex else 0)
    tick_value = _optional_int(fields, "tick_value", low=1, high=int(AMOUNT_MAX))
    levels = _optional_int(fields, "visible_levels", low=0, high=1000)
    venue = VenueSection(
        profile=profile,
        commission_per_lot=commission,
        tick_value=tick_value,
        tax_rate=fields.leaf("tax_rate", rate, TAIFEX_TAX_RATE if is_taifex else 0.0),
        maker_rate=fields.leaf("maker_rate", maker, 0.0),
        taker_rate=fields.leaf("taker_rate", rate, 0.0),
        fee_minimum=fields.leaf("fee_minimum", amount, 0),
        grain=fields.option("grain", ("lot", "fill"), default="lot"),
        visible_levels=TAIFEX_VISIBLE_LEVELS if levels is None and is_taifex else levels,
        order_lots_max=_optional_int(fields, "order_lots_max", low=1, high=int(AMOUNT_MAX)),
    )
    fields.close()
    return venue


def _optional_int(fields: Fields, key: str, *, low: int, high: int) -> int | None:
    fields.allow(key)
    return fields.integer(key, low=low, high=high) if fields.has(key) else None


def _world(study: Fields, folder: Path, traces: dict[str, Path]) -> WorldSection:
    node = study.node("world")
    if node is None or not isinstance(node.value, str):
        return _described_world(study.section("world", planned=("fees",)), folder, traces)
    study.option("world", WORLDS)
    # Every other key has its default, and none of them is read.
    nothing = Fields(replace(node, value=None), study.reading)
    return replace(_described_world(nothing, folder, traces), is_naive=True)


def _described_world(fields: Fields, folder: Path, traces: dict[str, Path]) -> WorldSection:
    duration = Rule(kind="float", low=0.0, high=US_MAX, unit="microseconds")
    probability = Rule(kind="float", low=0.0, high=1.0)
    latency = fields.section("latency")
    latencies = decode_latencies(latency, folder)
    traces |= latencies.traces
    sessions = latency.leaf("sessions", Rule(kind="text", options=SESSION_ORDERS), "fifo")
    gap = latency.leaf("gap_us", duration, 0.0)
    gap_node = latency.node("gap_us")
    if gap_node is not None and "independent" in leaf_words(sessions) and leaf_ends(gap)[1] > 0:
        message = "Independent messages keep no distance, so nothing would read it"
        fields.reading.problems.add(gap_node, message, "Remove it, or use sessions: fifo")
    loss = latency.leaf("loss_probability", probability, 0.0)
    loss_timeout = latency.leaf("loss_timeout_us", duration, 1e6)
    timeout_node = latency.node("loss_timeout_us")
    if timeout_node is not None and leaf_ends(loss)[1] <= 0.0:
        message = "No request gets lost, so nothing would read it"
        fields.reading.problems.add(timeout_node, message, "Remove it, or add loss_probability")
    reject = latency.leaf("reject_probability", probability, 0.0)
    latency.allow("backlog_capacity_per_us")
    backlog = None
    if latency.has("backlog_capacity_per_us"):
        capacity = Rule(kind="float", low=1e-6, high=1e6, unit="messages per microsecond")
        backlog = latency.leaf("backlog_capacity_per_us", capacity)
    latency.close()
    queue = _queue(fields)
    impact = decode_impact(fields.section("impact"))
    fields.allow("compare")
    if impact.reaction != 0.0:
        _check_reaction(fields, leaf_words(queue.model))
    world = WorldSection(
        latency=latencies.legs,
        weather=latencies.weather,
        regime=latencies.regime,
        sessions=sessions,
        gap_us=gap,
        loss_probability=loss,
        loss_timeout_us=loss_timeout,
        reject_probability=reject,
        backlog_capacity_per_us=backlog,
        queue=queue.model,
        queue_power=queue.power,
        queue_alpha=queue.alpha,
        queue_beta=queue.beta,
        queue_gamma=queue.gamma,
        queue_mode=queue.mode,
        certificates=bool(fields.scalar("certificates", Rule(kind="bool"), False)),
        replications=fields.integer("replications", low=1, high=10_000, default=1),
        impact_half_life_ms=impact.half_life_ms,
        impact_reaction=impact.reaction,
        impact_charge=impact.charge,
        amend_below_filled=fields.option(
            "amend_below_filled", ("reject", "cancel"), default="reject"
        ),
        compare=fields.option("compare", WORLDS) if fields.has("compare") else None,
    )
    fields.close()
    return world


def _check_reaction(fields: Fields, models: tuple[str, ...]) -> None:
    """Refuse a reaction that the queue model does not read."""
    place = fields.node("impact") or fields.node_self
    hint = "Remove world.impact.reaction"
    if "l3" in models:
        message = "The queue model l3 knows who cancels: nothing reads the reaction"
        fields.reading.problems.add(place, message, hint)
    elif set(models) <= {"back", "front"}:
        message = f"The queue model {' or '.join(models)} is a bound: nothing reads the reaction"
        fields.reading.problems.add(place, message, hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Queue:
    model: Leaf = "uniform"
    power: Leaf = 2.0
    alpha: Leaf = 0.0
    beta: Leaf = 1.0
    gamma: Leaf = 0.0
    mode: str = "expected"


def _queue(fields: Fields) -> _Queue:
    node = fields.node("queue")
    if node is None:
        return _Queue()
    reading = fields.reading
    if not isinstance(node.value, dict) or "choice" in node.value or "scenario" in node.value:
        model_leaf = reading.leaf(node, Rule(kind="text", options=QUEUE_MODELS))
        return _Queue(model=model_leaf)
    if len(node.value) != 1:
        hint = "For example back, {power: {n: 2}} or {uniform: {mode: sampled}}"
        message = f"Expected one queue model, found {node.describe()}"
        reading.problems.add(node, message, hint)
        return _Queue()
    model, options_node = next(iter(node.value.items()))
    if model not in QUEUE_MODELS:
        message = f"Unknown queue model {model!r}"
        hint = did_you_mean(model, QUEUE_MODELS)
        reading.problems.add(options_node, message, hint, at_key=True)
        return _Queue()
    options = Fields(options_node, reading)
    found: dict[str, Leaf] = {}
    if model in ("power", "power2", "power3"):
        low = 1.0 if model == "power3" else 0.0
        rule = Rule(kind="float", low=low, high=64.0, is_open=model != "power3")
        found["power"] = options.leaf("n", rule)
    elif model in ("odds", "odds_size"):
        found["alpha"] = options.leaf("alpha", Rule(kind="float", low=-50.0, high=50.0))
        found["beta"] = options.leaf("beta", Rule(kind="float", low=0.0, high=50.0))
        if model == "odds_size":
            found["gamma"] = options.leaf("gamma", Rule(kind="float", low=-50.0, high=50.0))
    # Rows that name orders leave nothing to a draw.
    mode = "expected" if model == "l3" else options.option("mode", QUEUE_MODES, default="expected")
    options.close()
    return _Queue(model=model, mode=mode, **found)


def _objective(fields: Fields) -> ObjectiveSection:
    problems = fields.reading.problems
    directions = ("maximize", "minimize")
    given = [key for key in directions if fields.has(key)]
    for key in directions:
        fields.allow(key)
    if len(given) != 1:
        found = "both" if given else "neither"
        message = f"Expected one of maximize and minimize, found {found}"
        problems.add(fields.node_self, message, "For example maximize: net_pnl")
    direction = given[0] if given else "maximize"
    metric = fields.option(direction, tuple(METRICS)) if given else "net_pnl"
    aggregate = fields.section("aggregate")
    over: str | None = None
    by, q = "mean", 0.25
    if fields.has("aggregate"):
        node = aggregate.node("over")
        if node is not None and node.value in ("scenario", "day"):
            problems.add(node, f"Aggregation over {node.value} is {NOT_BUILT}")
        else:
            over = aggregate.option("over", AGGREGATE_OVER)
        by = aggregate.option("by", AGGREGATES, default="mean")
        share = Rule(kind="float", low=0.0, high=1.0, is_open=True)
        if by == "cvar":
            q = float(aggregate.scalar("q", share))
        aggregate.close()
    fields.close()
    return ObjectiveSection(
        direction=cast(Direction, direction), metric=metric, over=over, by=by, q=q
    )


_SAMPLER_OPTIONS: Final[dict[str, dict[str, Rule]]] = {
    "tpe": {"startup_trials": Rule(kind="int", low=1, high=1_000_000)},
    "random": {},
    "nsga2": {"population_size": Rule(kind="int", low=2, high=100_000)},
    "cmaes": {"population_size": Rule(kind="int", low=3, high=100_000)},
    "qmc": {},
}


def _search(fields: Fields, spaces: dict[str, Space]) -> SearchSection:
    problems = fields.reading.problems
    node = fields.node("sampler")
    if node is not None and node.value in ("gp", "nsga3"):
        problems.add(node, f"The sampler {node.value!r} is {NOT_BUILT}", "Use tpe")
        sampler = "tpe"
    else:
        sampler = fields.option("sampler", SAMPLERS, default="tpe")
    trials = fields.integer("trials", low=1, high=1_000_000)
    window = fields.integer("window", low=1, high=10_000, default=WINDOW_DEFAULT)
    options: dict[str, Scalar] = {}
    for key, rule in _SAMPLER_OPTIONS.get(sampler, {}).items():
        if fields.has(key):
            options[key] = fields.scalar(key, rule)
        fields.allow(key)
    place = node or fields.node_self
    if sampler == "cmaes":
        words = [path for path, space in spaces.items() if isinstance(space, ChoiceSpace)]
        if words:
            problems.add(place, f"The sampler cmaes takes numbers only, not {words[0]}", "Use tpe")
        if importlib.util.find_spec("cmaes") is None:
            hint = "pip install cmaes, or use tpe"
            problems.add(place, "The sampler cmaes needs the package cmaes", hint)
    if sampler == "qmc" and importlib.util.find_spec("scipy") is None:
        problems.add(place, "The sampler qmc needs the package scipy", "Use random")
    # What could not be read may have held the spaces.
    if not spaces and trials > 1 and not problems.found:
        hint = "Give a leaf a search space, for example {int: [1, 8]}, or set trials: 1"
        problems.add(fields.node_self, f"{trials} trials, but nothing to search", hint)
    fields.close()
    return SearchSection(sampler=sampler, options=options, trials=trials, window=window)


def _run(fields: Fields) -> RunSection:
    backend = fields.option("backend", BACKENDS, default="processes")
    node = fields.node("workers")
    if node is not None and node.value != "auto":
        workers = fields.integer("workers", low=1, high=WORKERS_MAX)
    else:
        workers = 0  # the cores of this machine, or of the cluster
    address_pattern = r"local|auto|[A-Za-z0-9_.\[\]:/-]{1,200}"
    address = fields.text("address", address_pattern, "local or host:port", default="local")
    positive = Rule(kind="float", low=0.0, high=1e7, is_open=True, unit="seconds")
    has_timeout = fields.has("timeout_s")
    timeout = float(fields.scalar("timeout_s", positive)) if has_timeout else None
    fields.allow("timeout_s")
    section = RunSection(
        backend=cast(Backend, backend),
        engine=fields.option("engine", ENGINES, default="auto"),
        workers=workers,
        address=address,
        attempts_max=fields.integer("attempts_max", low=1, high=100, default=3),
        timeout_s=timeout,
        failures_max=fields.integer("failures_max", low=0, high=1_000_000, default=10),
    )
    problems = fields.reading.problems
    if backend == "inline" and workers > 1:
        problems.add(node or fields.node_self, "The backend inline has one worker")
    if backend == "ray" and address != "local" and workers == 0:
        hint = "Give the number of workers, for example workers: 32"
        problems.add(fields.node_self, "The size of another cluster is not known here", hint)
    if backend != "ray" and address != "local":
        problems.add(fields.node_self, f"The backend {backend} runs here: it has no address")
    fields.close()
    return section


def _tracking(fields: Fields, study: str) -> TrackingSection:
    uri = fields.text(
        "uri",
        r"embedded|none|https?://[A-Za-z0-9_.:\[\]/~-]+",
        "embedded, none or an http(s) URL without user and password",
        default="embedded",
    )
    experiment = fields.text("experiment", NAME_PATTERN, NAME_ALLOWED, default=study)
    fields.close()
    return TrackingSection(uri=uri, experiment=experiment)
