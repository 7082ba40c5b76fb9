"""Which engine replays the cells of a study: both give equal results, one of them sooner."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import rustsim
from sweep.errors import InputError
from sweep.exchange import exchange_spec
from sweep.space import ChoiceSpace, FloatSpace, IntSpace, Scalar, Space
from sweep.template import fill

AUTO: Final = "auto"
DIRECT: Final = "direct"
COMPILED: Final = "compiled"

FEED_PATH: Final = "world.latency.feed."  # the only searched values that decide about the engine
_VARIANTS_MAX: Final = 4_096  # of feeds that are tried for what they need


def settle_engine(
    engine: str,
    payload: Mapping[str, Any],
    space: Mapping[str, Space],
    params: Mapping[str, Scalar],
    tell: Callable[[str], None] | None = None,
) -> str:
    """Return what a word of the study file means for its cells.

    Args:
        engine: The word; `auto` becomes `direct` if no trial could be replayed otherwise.
        payload: Of the runner.
        space: Search spaces by key path.
        params: One parameter set.
        tell: Hears why `auto` becomes `direct`.

    Raises:
        InputError: The word is `compiled`, and a trial could need the direct engine.
    """
    if engine == DIRECT:
        return DIRECT
    reasons = {_reason(payload, variant) for variant in _variants(space, params)}
    needs = sorted(reason for reason in reasons if reason is not None)
    if engine == COMPILED and needs:
        message = f"run.engine: compiled tapes cannot replay this study: {needs[0]}"
        raise InputError(f"{message}. Use auto, which takes the direct engine where it must")
    if None in reasons or not needs:
        return engine
    if tell is not None:
        tell(f"replays take the direct engine: {needs[0]}")
    return DIRECT


def _reason(payload: Mapping[str, Any], params: Mapping[str, Scalar]) -> str | None:
    sections = fill({key: payload[key] for key in ("strategy", "venue", "world")}, params)
    traces = {name: trace["path"] for name, trace in payload.get("traces", {}).items()}
    spec = exchange_spec(
        payload["tapes"][0]["instrument"],
        sections["venue"],
        sections["world"],
        seed=payload["seed"],
        replication=0,
        traces=traces,
    )
    try:
        return rustsim.needs_direct(spec, sections["strategy"]["wake"])
    except rustsim.SpecError:
        return None  # the trials that ask for it fail, and say why


def _variants(
    space: Mapping[str, Space], params: Mapping[str, Scalar]
) -> Iterator[dict[str, Scalar]]:
    """Yield parameter sets with every word and both ends of what is searched about the feed."""
    searched = {path: item for path, item in space.items() if path.startswith(FEED_PATH)}
    corners = itertools.product(*(_ends(item) for item in searched.values()))
    for values in itertools.islice(corners, _VARIANTS_MAX):
        yield {**params, **dict(zip(searched, values, strict=True))}


def _ends(space: Space) -> tuple[Scalar, ...]:
    match space:
        case ChoiceSpace():
            return tuple(space.options)
        case IntSpace() | FloatSpace():
            return (space.low, space.high)
