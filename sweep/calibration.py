"""Fits the synthetic market to a recording, and holds what it generates against it.

What a recording tells directly is taken over: its mode, its clock, the sizes of its orders. The
rest is searched for on small markets of another seed than the one that is written, so that the
comparison at the end is with a market that the search has not seen.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sweep import fitting, market_figures, market_statistics
from sweep.errors import InputError, ResourceError
from sweep.fitting import Parameter
from sweep.market_figures import OrderSizes
from sweep.market_statistics import Comparison
from sweep.readers.synthetic import SYNTHETIC_VERSION, SyntheticOptions, generate_columns
from sweep.readers.ticks import Session
from sweep.space import Scalar

TRIALS_MAX: Final = 240
TRIAL_ROWS: Final = 100_000
TRIAL_SEED: Final = 7_919  # not one that anybody asks for
LACK_WEIGHT: Final = 0.3  # of a statistic that the model cannot reproduce
SCALES_MAX: Final = 8
LEVELS_MIN: Final = 14
LEVELS_MAX: Final = 100  # each costs time in every trial
SAY_EVERY_S: Final = 5.0

# Nothing in a feed without order ids depends on them, so nothing can be learned about them.
NEEDS_ORDERS: Final = ("cancel_back_bias", "amend_share")

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recorded session.

    Attributes:
        mode: Form of the synthetic market that has the same kinds of rows.
        figures: See `sweep.market_figures`.
        sizes: Lots of its orders, as far as they can be told apart.
        content_hash: Of its tape.
        source: What the fit is to, for people.
    """

    mode: str
    figures: Mapping[str, Any]
    sizes: OrderSizes
    first_ns: int
    last_ns: int
    mid_ticks: int
    tick_value_minor: int
    content_hash: str
    source: str
    session: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Options that were found, and what is known about them.

    Attributes:
        options: Options of the synthetic market that differ from its defaults.
        fitted: Names of those that were searched for.
        is_done: Whether the search used all of its trials; if not, the same again goes on.
    """

    options: dict[str, Scalar]
    fitted: tuple[str, ...]
    loss: float
    trials: int
    is_done: bool


def read_recording(tape: Path, session_name: str | None = None) -> Recording:
    """Return one session of a tape; the first one if no name is given.

    Raises:
        DataError: The tape is damaged.
        InputError: There is no such session, or too little trading in it.
    """
    info, columns = market_figures.tape_columns(tape)
    session = _find_session(info.sessions, session_name, tape)
    figures = market_figures.session_figures(columns, session)
    if "spread_ticks" not in figures or not figures["trade_lots"]:
        few = f"{figures['groups']} messages with both sides, or no trade"
        raise InputError(f"{tape}: session {session.name} has too little to fit: {few}")
    first_ns, last_ns, mid_ticks = market_figures.session_span(columns, session)
    return Recording(
        mode=market_figures.session_mode(columns, session),
        figures=figures,
        sizes=market_figures.order_sizes(columns, session),
        first_ns=first_ns,
        last_ns=last_ns,
        mid_ticks=mid_ticks,
        # An inverse contract has no value of a tick; statistics of ticks need none.
        tick_value_minor=int(info.instrument["tick_value_minor"] or 1),
        content_hash=info.content_hash,
        source=tape.name,
        session=session.name,
    )


def _find_session(sessions: tuple[Session, ...], name: str | None, tape: Path) -> Session:
    for session in sessions:
        if name is None or session.name == name:
            return session
    known = ", ".join(session.name for session in sessions)
    raise InputError(f"{tape}: there is no session {name!r}; known: {known}")


def calibrate(
    recording: Recording,
    fixed: Mapping[str, Scalar],
    store: Path,
    *,
    seconds_max: float,
    trials_max: int = TRIALS_MAX,
    progress: Progress | None = None,
) -> Calibration:
    """Search for the options with which the synthetic market is most like a recording.

    Every trial is kept in `store`, so that the same search, started again, goes on where it ended.

    Args:
        recording: What the market is to be like.
        fixed: Options that the user has set; they are not searched for.
        store: Folder of finished trials; made if it is missing.
        seconds_max: No trial starts after so much time of the processor.
        trials_max: Most trials.
        progress: Hears how it goes.

    Raises:
        InputError: A fixed option is out of range.
        ResourceError: The folder cannot be written.
    """
    taken = {name: value for name, value in taken_options(recording).items() if name not in fixed}
    options = {**taken, **{name: value for name, value in fixed.items() if name != "events"}}
    parameters = [item for item in _parameters(recording) if item.name not in fixed]
    statistics = market_statistics.measured(recording.figures)
    weights = [LACK_WEIGHT if market_statistics.lack(item) else 1.0 for item in statistics]
    trials = _Trials(store, _key(recording, options, parameters))

    def residuals(values: Mapping[str, float]) -> list[float]:
        wanted = {**options, **_whole(values)}
        text = json.dumps(wanted, sort_keys=True)
        known = trials.known.get(text)
        if known is None:
            figures = generated_figures(
                {**wanted, "session_minutes": 0, "events": TRIAL_ROWS, "seed": TRIAL_SEED}
            )
            known = market_statistics.distances(statistics, recording.figures, figures)
            trials.keep(text, known)
        # Nothing else is bent for what the model has no part for.
        return [weight * distance for weight, distance in zip(weights, known, strict=True)]

    said_s, start_s = time.monotonic(), time.process_time()
    found = fitting.Found(values={}, loss=float("inf"), trials=0)
    for found in fitting.search(parameters, residuals, trials_max):
        if progress is not None and time.monotonic() - said_s > SAY_EVERY_S:
            said_s = time.monotonic()
            progress(f"fitting: trial {found.trials} of {trials_max}, loss {found.loss:.1f}")
        if time.process_time() - start_s > seconds_max:
            break
    return Calibration(
        options={**options, **_whole(found.values)},
        fitted=tuple(item.name for item in parameters),
        loss=round(found.loss, 2),
        trials=found.trials,
        is_done=found.trials >= trials_max or not parameters,
    )


def generated_figures(options: Mapping[str, Scalar]) -> dict[str, Any]:
    """Return the figures of the first session of a synthetic market.

    Raises:
        InputError: An option is out of range.
    """
    columns, sessions = generate_columns(SyntheticOptions(**options))  # type: ignore[arg-type]
    return market_figures.session_figures(columns, sessions[0])


def compare(recorded: Mapping[str, Any], generated: Mapping[str, Any]) -> list[Comparison]:
    """Return the report: every statistic of the recording beside the generated one."""
    return [
        market_statistics.compare(item, recorded, generated)
        for item in market_statistics.STATISTICS
    ]


def taken_options(recording: Recording) -> dict[str, Scalar]:
    """Return the options that follow from a recording without any search."""
    figures = recording.figures
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=recording.first_ns // 10**6)
    minutes = -(-(recording.last_ns - recording.first_ns) // 60_000_000_000)
    options: dict[str, Scalar] = {
        "mode": recording.mode,
        "start": start.isoformat(timespec="milliseconds"),
        "session_minutes": int(minutes) if minutes <= 1_380 else 0,
        "mid_ticks": max(1_000, recording.mid_ticks),
        "tick_value_minor": recording.tick_value_minor,
        "market_lots": recording.sizes.market,
        "cluster_scales": _scales(figures["level_gap_ms"]),
        "trade_cluster_scales": _scales(figures["trade_gap_ms"]),
    }
    if recording.sizes.limit:
        options["limit_lots"] = recording.sizes.limit
    if recording.mode == "five_level":
        options["conflate_us"] = recording.sizes.conflate_us
    if recording.sizes.round_ticks:
        options["round_ticks"] = recording.sizes.round_ticks
    if recording.mode == "l3":
        reach = figures["added_distance_ticks"]["behind_p90"] + figures["spread_ticks"]["mean"] / 2
        options["levels"] = min(LEVELS_MAX, max(LEVELS_MIN, round(reach)))
    return options


def _scales(gaps: Mapping[str, float]) -> int:
    """Return over how many decades gaps spread below their mean."""
    decades = 0
    while decades < SCALES_MAX - 1 and gaps["p5"] * 10 ** (decades + 1.5) < gaps["mean"]:
        decades += 1
    return decades + 1


def _parameters(recording: Recording) -> list[Parameter]:
    """Return what is searched for, each with a first guess from the recording."""
    figures = recording.figures
    gap_us = 1e3 * figures["level_gap_ms"]["mean"]
    moves = figures["mid_move_ticks_std"]
    move = moves["1000"] or moves["125"] or 1.0
    spread = figures["spread_ticks"]["mean"]
    edge = max(0.0, 0.35 * (spread - 1.0))
    sizes = _level_lots(figures)
    images = recording.mode == "five_level"
    # An image tells several order events at once: how many is part of the search.
    gap_us = gap_us / 20.0 if images else 0.95 * gap_us
    trades = 1.0 / (1.0 + figures["level_times_per_trade_time"])
    found = [
        _log("mean_gap_us", gap_us / 6.0, gap_us * 6.0, gap_us),
        _log(
            "trade_share", trades / 40.0, min(0.5, 3.0 * trades), trades / 10 if images else trades
        ),
        _plain("burstiness", 0.0, 0.95, 0.88),
        _plain("trade_burstiness", 0.0, 0.9, 0.65),
        _log("cluster_gaps", 0.05, 1_000.0, 1.5 if images else 10.0),
        _log("trade_cluster_gaps", 0.01, 100.0, 0.15),
        _plain("sign_persistence", 0.0, 0.95, 0.7),
        _plain("sign_decay", 0.5, 4.0, 1.4),
        _log("volatility_ticks", 0.01 * move, 3.0 * move, 0.85 * move),
        _plain("impact_ticks", 0.0, 2.0 * move, 0.1 * move),
        _plain("half_spread_ticks", 0.0, max(2.0, spread), edge),
        _plain("stale_ticks", -1.5, max(1.5, 0.5 * spread), 0.6 * edge - 0.4),
        _plain("inside_share", 0.0, 0.6, 0.07),
        _plain("refill_share", 0.0, 1.0, 0.6),
        _log("level_lots", max(1.0, sizes / 5.0), max(10.0, sizes * 5.0), sizes),
    ]
    if recording.sizes.round_ticks:
        found.append(_log("round_lots", 1.0, 50.0, recording.sizes.round_lots))
    if images:
        return [*found, _log("lots_tail", 1.1, 6.0, 2.1)]
    return [
        *found,
        _plain("activity_decay", 0.0, 4.0, 0.9),
        _log("activity_levels", 0.05, 50.0, max(0.5, 0.3 * spread)),
        _plain("selective_share", 0.0, 1.0, 0.3),
        _plain("amend_share", 0.0, 1.0, 0.1),
        _log("cancel_back_bias", 0.3, 15.0, figures.get("cancel_back_exponent", 2.0)),
    ]


def _plain(name: str, low: float, high: float, start: float) -> Parameter:
    return Parameter(name=name, low=low, high=high, start=start)


def _log(name: str, low: float, high: float, start: float) -> Parameter:
    return Parameter(name=name, low=low, high=high, start=start, is_log=True)


def _level_lots(figures: Mapping[str, Any]) -> float:
    """Return the mean lots per tick of price behind the best level."""
    lots, distance = figures["depth_lots"], figures["depth_distance_ticks"]
    if "3" not in lots:
        return float(figures["best_lots"]["mean"])
    return float(max(1.0, lots["3"] / max(1.0, distance["3"] - distance["2"])))


def _whole(values: Mapping[str, float]) -> dict[str, Scalar]:
    """Round what counts lots."""
    kinds = {item.name: type(item.default) for item in fields(SyntheticOptions)}
    return {
        name: max(1, round(value)) if kinds[name] is int else value
        for name, value in values.items()
    }


def _key(recording: Recording, options: Mapping[str, Scalar], parameters: list[Parameter]) -> str:
    document = {
        "version": SYNTHETIC_VERSION,
        "tape": recording.content_hash,
        "session": recording.session,
        "figures": recording.figures,
        "options": dict(options),
        "parameters": [asdict(item) for item in parameters],
        "statistics": [str(item) for item in market_statistics.STATISTICS],
        "trial": [TRIAL_ROWS, TRIAL_SEED, market_statistics.DISTANCE_MAX],
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


class _Trials:
    """Finished trials in a file of lines; what was cut off at its end is left out."""

    def __init__(self, folder: Path, key: str) -> None:
        self._path = folder / f"{key}.jsonl"
        self.known: dict[str, list[float]] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        except OSError as error:
            raise ResourceError(f"{folder}: cannot keep trials: {error.strerror}") from error
        for line in text.splitlines(keepends=True):
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                self.known[entry["options"]] = entry["distances"]
        # The next line must not be glued to one that was cut off.
        self._lead = "\n" if text and not text.endswith("\n") else ""

    def keep(self, options: str, distances: list[float]) -> None:
        """Remember one trial."""
        self.known[options] = distances
        line = self._lead + json.dumps({"options": options, "distances": distances}) + "\n"
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line)
                self._lead = ""
        except OSError as error:
            raise ResourceError(f"{self._path}: cannot be written: {error.strerror}") from error
