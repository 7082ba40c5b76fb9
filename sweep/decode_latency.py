"""The latencies of a study: the family of each kind of message, and what they share."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sweep.decode_data import find_file
from sweep.document import Node, NodeValue
from sweep.latency_profiles import LatencyProfile, latency_profiles
from sweep.reading import Fields, Leaf, Rule, leaf_ends, leaf_words
from sweep.schema import (
    LATENCY_KEYS,
    LATENCY_LEGS,
    LATENCY_MODELS,
    LatencyLeg,
    LatencyMode,
    Regime,
    Weather,
)

US_MAX: Final = 6e7  # the compiled core takes means up to a minute
CV_MIN, CV_MAX = 0.01, 10.0
SIGMA_MIN, SIGMA_MAX = 0.01, 5.0
WEIGHT_MAX: Final = 1e9
ENTRIES_MAX: Final = 1_001
MODES_MAX: Final = 8

_DURATION: Final = Rule(kind="float", low=0.0, high=US_MAX, unit="microseconds")
_MEDIAN: Final = Rule(kind="float", low=1e-6, high=US_MAX, unit="microseconds")
_CV: Final = Rule(kind="float", low=CV_MIN, high=CV_MAX, unit="standard deviation / mean")
_SIGMA: Final = Rule(kind="float", low=SIGMA_MIN, high=SIGMA_MAX, unit="sd of the logarithm")
_PROBABILITY: Final = Rule(kind="float", low=0.0, high=1.0)
_SCALE: Final = Rule(kind="float", low=1e-6, high=1e3, unit="factor")
_STRETCH: Final = Rule(kind="float", low=1.0, high=1e12, unit="microseconds")
_SHARE: Final = Rule(kind="float", low=0.0, high=1.0, unit="share of the variance")
_WEIGHT: Final = Rule(kind="float", low=0.0, high=WEIGHT_MAX, is_open=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """The kinds of messages, what they share, and the files of recorded latencies by name."""

    legs: dict[str, LatencyLeg]
    traces: dict[str, Path]
    weather: Weather | None
    regime: Regime | None


def decode_latencies(fields: Fields, folder: Path) -> Latencies:
    """Return every kind of message, the weather and the regime; what nothing reads is refused.

    Args:
        fields: The section `world.latency`.
        folder: What paths of recorded latencies are relative to.
    """
    traces: dict[str, Path] = {}
    legs = {}
    for key, section in _with_profiles(fields).items():
        legs[key] = _leg(section, key)
        traces |= _traces(section, legs[key].file, folder)
    weather = regime = None
    for key in ("weather", "regime"):
        fields.allow(key)
    if fields.has("weather"):
        part = fields.section("weather")
        weather = Weather(
            tau_us=part.leaf("tau_us", _STRETCH), weight=part.leaf("weight", _SHARE, 1.0)
        )
        part.close()
    if fields.has("regime"):
        part = fields.section("regime")
        regime = Regime(
            calm_us=part.leaf("calm_us", _STRETCH), stressed_us=part.leaf("stressed_us", _STRETCH)
        )
        part.close()
    _check_read(fields, legs, regime)
    return Latencies(legs=legs, traces=traces, weather=weather, regime=regime)


def _with_profiles(fields: Fields) -> dict[str, Fields]:
    """Return the section of every kind of message, with what profiles say written in."""
    shared = _profile(fields)
    sections: dict[str, Fields] = {}
    readers = 0
    for key in LATENCY_LEGS:
        section = fields.section(key)
        own = _profile(section)
        if own is not None and key not in own.latency:
            node = section.node("profile")
            assert node is not None
            message = f"The profile {own.name} has no {key!r}, only {', '.join(own.latency)}"
            fields.reading.problems.add(node, message)
            own = None
        elif own is None and shared is not None and key in shared.latency:
            # A latency with a model of its own takes nothing from the profile of all.
            own = None if section.has("model") or section.has("profile") else shared
            readers += own is not None
        if own is not None and section.has("model"):
            node = section.node("profile")
            assert node is not None
            message = "A latency with a model of its own reads no profile"
            fields.reading.problems.add(node, message, "Remove one of both")
        sections[key] = section if own is None else _filled(section, own, key)
    node = fields.node("profile")
    if shared is not None and node is not None and readers == 0:
        message = f"Nothing reads the profile {shared.name}: {', '.join(shared.latency)}"
        fields.reading.problems.add(node, f"{message} are given otherwise", "Remove it")
    return sections


def _profile(fields: Fields) -> LatencyProfile | None:
    node = fields.node("profile")
    if node is None:
        return None
    names = tuple(latency_profiles())
    name = fields.reading.scalar(node, Rule(kind="text", options=names))
    return latency_profiles().get(str(name))


def _filled(section: Fields, profile: LatencyProfile, key: str) -> Fields:
    """Return a section with the words of a profile for what it does not say itself."""
    node = section.node_self
    given = node.value if isinstance(node.value, dict) else {}

    def from_profile(value: Any, path: str) -> Node:
        inner: NodeValue = value
        if isinstance(value, dict):
            inner = {name: from_profile(item, f"{path}.{name}") for name, item in value.items()}
        elif isinstance(value, list):
            inner = tuple(from_profile(item, f"{path}[{at}]") for at, item in enumerate(value))
        return Node(path=path, place=node.place, key_place=node.key_place, value=inner)

    words = {
        name: from_profile(value, f"{node.path}.{name}")
        for name, value in profile.latency[key].items()
    }
    own = {name: item for name, item in given.items() if name != "profile"}
    if node.value is not None and not isinstance(node.value, dict):
        return section  # closing it says what is wrong
    return Fields(replace(node, value={**words, **own}), section.reading)


def _traces(section: Fields, file: Leaf | None, folder: Path) -> dict[str, Path]:
    """Return the files that a latency may read, by the names that the study gives them."""
    node = section.node("file")
    if file is None or node is None:
        return {}
    found = {name: find_file(node, name, section, folder) for name in leaf_words(file)}
    return {name: path for name, path in found.items() if path is not None}


def _check_read(fields: Fields, legs: dict[str, LatencyLeg], regime: Regime | None) -> None:
    problems = fields.reading.problems
    parts = [part for leg in legs.values() for part in (leg, leg.stressed) if part is not None]
    node = fields.node("weather")
    is_fixed = [set(leaf_words(part.model)) <= {"constant", "trace"} for part in parts]
    if node is not None and all(is_fixed):
        problems.add(node, "Every latency is constant or recorded: none would follow the weather")
    node = fields.node("regime")
    if node is not None and all(leg.stressed is None for leg in legs.values()):
        hint = "Give one a part of its own: place: {model: gamma, ..., stressed: {model: ...}}"
        problems.add(node, "No latency has a stressed part", hint)
    for key, leg in legs.items():
        if leg.stressed is not None and regime is None:
            node = fields.section(key).node("stressed")
            assert node is not None
            problems.add(node, "Without regime no stretch is stressed", "Add latency.regime")


def _leg(fields: Fields, key: str) -> LatencyLeg:
    fields.allow("stressed")
    node = fields.node("stressed")
    stressed = None
    if node is not None:
        stressed = _part(fields.section("stressed"), key, without=("trace",))
    leg = _part(fields, key)
    if node is not None and "trace" in leaf_words(leg.model):
        message = "Recorded latencies have their own stressed stretches"
        fields.reading.problems.add(node, message, "Remove it", at_key=True)
    return replace(leg, stressed=stressed)


def _part(fields: Fields, key: str, *, without: tuple[str, ...] = ()) -> LatencyLeg:
    """Return a latency without stretches; none if nothing is said."""
    models = tuple(name for name in LATENCY_MODELS if name not in without)
    model = fields.leaf("model", Rule(kind="text", options=models), "constant")
    words = [word for word in leaf_words(model) if word in LATENCY_KEYS]
    keys = LATENCY_KEYS[words[0]] if words else ()
    # A constant beside other models: their mean serves it, what spreads them does not.
    if {LATENCY_KEYS[word] for word in words} <= {("mean_us",), ("mean_us", "cv", "floor_us")}:
        keys = max((LATENCY_KEYS[word] for word in words), key=len, default=())
    elif len({LATENCY_KEYS[word] for word in words}) > 1:
        node = fields.node("model")
        assert node is not None
        fields.reading.problems.add(node, "Models of one search must be given by the same keys")
    problems_before = len(fields.reading.problems.found)
    # A leg that says nothing has no latency; one that names a model says how much.
    needs_mean = fields.has("model") and "mean_us" in keys
    leg = LatencyLeg(
        model=model,
        mean_us=fields.leaf("mean_us", _DURATION, None if needs_mean else 0.0),
        cv=fields.leaf("cv", _CV, None if "cv" in keys else 1.0),
        floor_us=fields.leaf("floor_us", _DURATION, 0.0),
        median_us=fields.leaf("median_us", _MEDIAN) if "median_us" in keys else None,
        sigma=fields.leaf("sigma", _SIGMA) if "sigma" in keys else None,
        quantiles=_quantiles(fields) if "quantiles" in keys else (),
        modes=_modes(fields, key) if "modes" in keys else (),
        scale=fields.leaf("scale", _SCALE, 1.0) if "scale" in keys else None,
        file=fields.leaf("file", Rule(kind="text")) if "file" in keys else None,
        operation=(
            fields.option("operation", LATENCY_LEGS, default=key) if "operation" in keys else None
        ),
    )
    _refuse_unread(fields, words, keys)
    if "cv" in keys and len(fields.reading.problems.found) == problems_before:
        _check_mean(fields, leg)
    fields.close()
    return leg


def _refuse_unread(fields: Fields, words: list[str], keys: tuple[str, ...]) -> None:
    if not words:
        return  # the model itself is wrong
    for key in dict.fromkeys(key for read in LATENCY_KEYS.values() for key in read):
        node = fields.node(key)
        if node is not None and key not in keys and (fields.has("model") or key != "mean_us"):
            message = f"The model {' or '.join(words)} has no {key!r}"
            others = [name for name, read in LATENCY_KEYS.items() if key in read]
            hint = f"Remove it, or use model: {others[0]}"
            fields.reading.problems.add(node, message, hint, at_key=True)


def _check_mean(fields: Fields, leg: LatencyLeg) -> None:
    node = fields.node("mean_us")
    problems = fields.reading.problems
    if node is not None and leaf_ends(leg.mean_us)[0] <= leaf_ends(leg.floor_us)[1]:
        message = f"The mean ({leaf_ends(leg.mean_us)[0]:g}) must stay above floor_us"
        message += f" ({leaf_ends(leg.floor_us)[1]:g})"
        problems.add(node, message, "The floor is part of the mean")
    node = fields.node("cv")
    if "uniform" in leaf_words(leg.model) and node and leaf_ends(leg.cv)[1] > 3**-0.5:
        message = f"The cv of a uniform is at most 0.577, found {leaf_ends(leg.cv)[1]:g}"
        problems.add(node, message, "Above it the lower bound would be below the floor")


def _items(fields: Fields, key: str, least: int, most: int) -> tuple[Node, ...]:
    node = fields.node(key, required=True)
    if node is None:
        return ()
    items = node.value
    if not isinstance(items, tuple) or not least <= len(items) <= most:
        message = f"Expected a list of {least} to {most}, found {node.describe()}"
        fields.reading.problems.add(node, message)
        return ()
    return items


def _quantiles(fields: Fields) -> tuple[tuple[float, float], ...]:
    problems = fields.reading.problems
    found: list[tuple[float, float]] = []
    for item in _items(fields, "quantiles", 2, ENTRIES_MAX):
        pair = item.value
        if not isinstance(pair, tuple) or len(pair) != 2:
            problems.add(item, f"Expected [probability, microseconds], found {item.describe()}")
            return ()
        probability = float(fields.reading.scalar(pair[0], _PROBABILITY))
        latency_us = float(fields.reading.scalar(pair[1], _DURATION))
        if found and not (found[-1][0] < probability and found[-1][1] <= latency_us):
            problems.add(item, "Probabilities and latencies must rise from entry to entry")
        found.append((probability, latency_us))
    if found and (found[0][0], found[-1][0]) != (0.0, 1.0):
        node = fields.node("quantiles")
        assert node is not None
        problems.add(node, "Expected entries from probability 0 to probability 1")
    return tuple(found)


def _modes(fields: Fields, key: str) -> tuple[LatencyMode, ...]:
    found = []
    for item in _items(fields, "modes", 1, MODES_MAX):
        mode = Fields(item, fields.reading)
        weight = mode.leaf("weight", _WEIGHT)
        found.append(
            LatencyMode(
                weight=weight,
                latency=_part(mode.section("latency"), key, without=("mixture", "trace")),
            )
        )
        mode.close()
    return tuple(found)
