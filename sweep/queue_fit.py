"""Queue models fitted to recordings with order ids, and scored on the other half of them.

The protocol is that of ghost orders: `rustsim.GhostScan` lets one-lot orders join recorded queues
that nobody else sees, knows from the joins which orders stand ahead of them, and walks every model
along as a replay does. Here is decided what is fitted on which rows, and what the sums mean.
"""

import functools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import rustsim
from sweep.data import TapeInfo, open_info
from sweep.errors import InputError
from sweep.readers.ticks import FLAG_INDICATIVE, KIND_CLEAR
from sweep.survey import time_text

STEP_ROWS: Final = 50_000
SECOND_NS: Final = 1_000_000_000
BLOCK_NS: Final = 150 * SECOND_NS  # ghosts of one stretch share their events
BLOCKS_MIN: Final = 6  # fewer say nothing about how uncertain a mean is
DRAWS: Final = 2_000
DIGITS: Final = 4

PARAMETERS: Final[dict[str, tuple[str, ...]]] = {
    "power": ("n",),
    "power2": ("n",),
    "power3": ("n",),
    "odds": ("alpha", "beta"),
    "odds_size": ("alpha", "beta", "gamma"),
}
# What people use without fitting anything.
STANDARD: Final[tuple[dict[str, Any], ...]] = (
    {"model": "back"},
    {"model": "front"},
    {"model": "uniform"},
    {"model": "power", "n": 2.0},
    {"model": "power2", "n": 2.0},
    {"model": "power3", "n": 3.0},
    {"model": "log"},
    {"model": "log2"},
)
AGAINST: Final = "odds"  # differences of scores are to the fitted model of this name

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class GhostSettings:
    """How ghosts are placed and followed.

    Attributes:
        every_s: Seconds between two sets of ghosts.
        horizon_s: Seconds for which a ghost is followed.
        replications: Random paths of every model, for probabilities of fills.
        seed: Of these.
    """

    every_s: float = 2.0
    horizon_s: float = 60.0
    replications: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("every_s", "horizon_s"):
            value = getattr(self, name)
            if not 1e-3 <= value <= 86_400.0:
                raise InputError(f"{name}: expected 0.001 to 86400 seconds, found {value:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The trading time of one session of a tape, and the time that divides it."""

    tape: TapeInfo
    session: str
    row_start: int
    row_stop: int
    first_ns: int
    split_ns: int
    last_ns: int

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        times = {"first": self.first_ns, "split": self.split_ns, "last": self.last_ns}
        texts = {name: time_text(ns) for name, ns in times.items()}
        return {"path": str(self.tape.path), "session": self.session} | texts


def stretches(tapes: Sequence[Path], session: str | None = None) -> list[Stretch]:
    """Return the sessions of tapes that can be scanned; of one name if it is given.

    Raises:
        DataError: A tape is damaged.
        InputError: A tape names no orders, or there is no such session.
    """
    found = []
    for path in tapes:
        info = open_info(path)
        tape = rustsim.Tape.open(str(path))
        if not tape.has_join:
            message = f"{path}: no row names the order that it concerns"
            hint = "Queue models are fitted on recordings of single orders (databento, lobster)"
            raise InputError(f"{message}. {hint}")
        found += [
            stretch
            for part in info.sessions
            if session in (None, part.name)
            and (stretch := _stretch(tape, info, part.name, part.row_start, part.row_stop))
        ]
    if not found:
        wanted = f"session {session!r}" if session else "trading time"
        raise InputError(f"{', '.join(str(path) for path in tapes)}: there is no {wanted}")
    return found


def _stretch(
    tape: rustsim.Tape, info: TapeInfo, name: str, start: int, stop: int
) -> Stretch | None:
    flags = np.frombuffer(tape.column("flags", start, stop), np.uint8)
    kinds = np.frombuffer(tape.column("kind", start, stop), np.uint8)
    trading = np.flatnonzero(((flags & FLAG_INDICATIVE) == 0) & (kinds != KIND_CLEAR))
    if not len(trading):
        return None
    first, last = (tape.exch_ns(start + int(row)) for row in (trading[0], trading[-1]))
    return Stretch(
        tape=info,
        session=name,
        row_start=start,
        row_stop=stop,
        first_ns=first,
        split_ns=first + (last - first) // 2,
        last_ns=last,
    )


def calibrate_queue(
    parts: Sequence[Stretch],
    settings: GhostSettings,
    *,
    is_scored: bool,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Fit every queue model with parameters, and score all models if asked to.

    Args:
        parts: What is scanned; the orders of all of it are pooled.
        settings: How ghosts are placed.
        is_scored: Whether to fit on the first half of each part's trading time and to score on the
            second one; else everything is fitted on.
        progress: Hears how many rows were scanned so far; see `rows_to_scan`.

    Returns:
        A document of plain values.

    Raises:
        SpecError: Too few cancels are undecided for a fit.
    """
    count = _Counter(progress)
    scan = _new_scan(settings, [], keeps_cancels=True)
    for part in parts:
        until_ns = part.split_ns if is_scored else part.last_ns
        tape = rustsim.Tape.open(str(part.tape.path))
        stop = min(part.row_stop, tape.first_row_at(until_ns)) if is_scored else part.row_stop
        scan.open(tape, part.row_start, stop, from_ns=part.first_ns, until_ns=until_ns)
        _run(scan, count)
    fits = {model: json.loads(scan.fit(model)) for model in PARAMETERS}
    seen = json.loads(scan.report())["counts"]
    document: dict[str, Any] = {
        "sources": [part.to_json() for part in parts],
        "every_s": settings.every_s,
        "horizon_s": settings.horizon_s,
        "granularity": "one row per order event",
        "fit": {
            model: {
                "queue": rounded(fit["queue"]),
                "cancels": fit["cancels"],
                "log_loss": fit["loss"],
            }
            for model, fit in fits.items()
        },
        "fit_counts": seen,
        "study": study_fragment(fits["odds_size"]["queue"]),
        "study_coarse": study_fragment(fits["odds"]["queue"]),
    }
    if is_scored:
        document |= _score(parts, settings, fits, seen, count)
    return document


def rows_to_scan(parts: Sequence[Stretch], *, is_scored: bool) -> int:
    """Return about how many rows `calibrate_queue` will have told of at its end."""
    rows = sum(part.row_stop - part.row_start for part in parts)
    return rows + rows // 2 if is_scored else rows


def rounded(queue: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model and its own parameters, as a study file would write them."""
    own = {key: round(queue[key], DIGITS) for key in PARAMETERS.get(queue["model"], ())}
    return {"model": queue["model"]} | own


def study_fragment(queue: Mapping[str, Any]) -> str:
    """Return the lines of a study file that use a fitted model."""
    own = rounded(queue)
    model = own.pop("model")
    lines = [f"      {key}: {value}" for key, value in own.items()]
    return "\n".join(["world:", "  queue:", f"    {model}:", *lines, ""])


class _Counter:
    """Adds up the rows of all passes for the progress."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._rows = 0

    def add(self, rows: int) -> None:
        self._rows += rows
        if self._progress is not None:
            self._progress(self._rows)


def _new_scan(
    settings: GhostSettings, models: Sequence[Mapping[str, Any]], *, keeps_cancels: bool
) -> rustsim.GhostScan:
    options = {
        "every_ns": round(settings.every_s * SECOND_NS),
        "horizon_ns": round(settings.horizon_s * SECOND_NS),
        "block_ns": BLOCK_NS,
        "replications": settings.replications if models else 0,
        "seed": settings.seed,
        "models": list(models),
        "keeps_cancels": keeps_cancels,
    }
    return rustsim.GhostScan(json.dumps(options))


def _run(scan: rustsim.GhostScan, count: _Counter) -> None:
    while scan.advance(STEP_ROWS):
        count.add(STEP_ROWS)


def _score(
    parts: Sequence[Stretch],
    settings: GhostSettings,
    fits: Mapping[str, Any],
    seen: Mapping[str, int],
    count: _Counter,
) -> dict[str, Any]:
    named = [(_name(spec), spec, False) for spec in STANDARD]
    named += [(f"{model} fitted", fit["queue"], True) for model, fit in fits.items()]
    scan = _new_scan(settings, [spec for _, spec, _ in named], keeps_cancels=False)
    for part in parts:
        tape = rustsim.Tape.open(str(part.tape.path))
        span = {"from_ns": part.split_ns, "until_ns": part.last_ns}
        scan.open(tape, part.row_start, part.row_stop, **span)
        _run(scan, count)
    report = json.loads(scan.report())
    counts = report["counts"]
    if not counts["cancels"]:
        raise InputError("no ghost of the second half lived to its horizon: take a shorter one")
    scores = {name: score for (name, _, _), score in zip(named, report["scores"], strict=True)}
    against = scores[f"{AGAINST} fitted"]
    models = [
        {"name": name, "queue": rounded(spec), "is_fitted": is_fitted}
        | model_figures(scores[name])
        | {f"less_{AGAINST}": differences(scores[name], against)}
        for name, spec, is_fitted in named
    ]
    share = seen["cancels_ahead"] / seen["cancels"]
    truth = counts["cancels_ahead"] / counts["cancels"]
    base = -truth * math.log(share) - (1.0 - truth) * math.log(1.0 - share)
    return {
        "score_counts": counts,
        "replications": settings.replications,
        "base_rate_log_loss": base,
        "models": models,
    }


def _name(spec: Mapping[str, Any]) -> str:
    numbers = " ".join(f"{key} {value:g}" for key, value in spec.items() if key != "model")
    return f"{spec['model']} {numbers}".strip()


def model_figures(score: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of one model from its sums; None where there is none.

    The log-loss is None if what a model called impossible happened.
    """
    cancels, ghosts, episodes = (score[key] for key in ("cancels", "ghosts", "episodes"))
    loss = _mean(score["loss"], cancels) if not score["impossible"] else None
    return {
        "log_loss": loss,
        "impossible": score["impossible"],
        "brier": _mean(score["brier"], cancels),
        "ece": calibration_error(score["bins"]),
        "position_mae": _mean(score["error_abs"], ghosts),
        "position_bias": _mean(score["error"], ghosts),
        "false_fills": _mean(score["false_fills"], episodes),
        "missed_fills": _mean(score["missed_fills"], episodes),
        "fill_brier": _mean(score["fill_brier"], episodes),
        "fill_log_loss": _mean(score["fill_loss"], episodes),
        "fill_ece": calibration_error(score["fill_bins"]),
        "fill_time_error_s": _mean(score["fill_time_abs_s"], score["both_filled"]),
        "calibration": [_bin(item) for item in score["bins"]],
        "fill_calibration": [_bin(item) for item in score["fill_bins"]],
    }


def _mean(total: float, count: int) -> float | None:
    return total / count if count else None


def _bin(item: Mapping[str, Any]) -> dict[str, Any]:
    count = item["count"]
    return {
        "count": count,
        "said": _mean(item["said"], count),
        "came_true": _mean(item["came"], count),
    }


def calibration_error(bins: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the mean distance of what was said and what came true, weighted by count."""
    count = sum(item["count"] for item in bins)
    return _mean(sum(abs(item["said"] - item["came"]) for item in bins), count)


def differences(score: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return 95 % intervals of log-loss and position error less those of another model.

    Whole stretches of time are drawn, since ghosts of one stretch share their events; None where
    there are too few of them, or a loss is infinite.
    """
    keys = sorted(set(score["blocks"]) & set(other["blocks"]))
    pairs = (
        ("log_loss", "loss", "cancels", not (score["impossible"] or other["impossible"])),
        ("position_mae", "error_abs", "ghosts", True),
    )
    found: dict[str, Any] = {}
    for name, total, count, is_finite in pairs:
        found[name] = None
        if len(keys) >= BLOCKS_MIN and is_finite:
            rows = np.array(
                [[s["blocks"][key][part] for s in (score, other) for part in (total, count)]
                 for key in keys],
                dtype=float,
            )  # fmt: skip
            found[name] = _interval(rows)
    return found


def _interval(rows: npt.NDArray[np.float64]) -> list[float]:
    drawn = _draws(len(rows)) @ rows
    gaps = drawn[:, 0] / drawn[:, 1] - drawn[:, 2] / drawn[:, 3]
    low, high = np.quantile(gaps[np.isfinite(gaps)], (0.025, 0.975))
    return [float(low), float(high)]


@functools.cache
def _draws(blocks: int) -> npt.NDArray[np.float64]:
    """Return how often each stretch is drawn in each of the draws: the same for all models."""
    generator = np.random.Generator(np.random.Philox(key=[0, blocks]))
    return generator.multinomial(blocks, [1.0 / blocks] * blocks, size=DRAWS).astype(float)


def calibration_lines(
    models: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[str, list[tuple[float, float, int]]]]:
    """Yield name and (said, came true, count) of the bins that were used, for a picture."""
    for model in models:
        bins = [item for item in model["calibration"] if item["count"]]
        points = [(item["said"], item["came_true"], item["count"]) for item in bins]
        yield model["name"], points
