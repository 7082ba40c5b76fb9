"""From a typed study to a job: tapes, cells, and the plan that the study's folder keeps."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import rustsim
from sweep.cells import Cell, cells_from_json, cells_to_json, plan_cells
from sweep.data import TapeInfo
from sweep.decode_strategy import strategy_source_hash
from sweep.engine import settle_engine
from sweep.errors import InputError, StudyLockedError
from sweep.exchange import check_money
from sweep.importing import ensure_in_parallel
from sweep.job import RunnerSpec, SweepJob
from sweep.kernels import prepare_strategy
from sweep.latency_traces import Trace, doubts, ensure_traces
from sweep.reading import Leaf, leaf_words
from sweep.schema import PROFILES, Study
from sweep.space import ChoiceSpace, FloatSpace, IntSpace, Scalar, Space
from sweep.studyfolder import PLAN_FORMAT, PLAN_NAME, STUDY_NAME, read_plan
from sweep.support import EVERY_EVENT
from sweep.survey import survey_tape
from sweep.template import constants, to_template
from sweep.whole_files import replace_text

TAPES_FOLDER: Final = ".tapes"
RUNNER_TARGET: Final = "sweep.trial:CellRunner"
READS_NAMES: Final = "l3"  # the queue model that follows single orders
READS_SIZES: Final = "odds_size"  # the queue model that compares sizes of single orders

# What the optimiser calls the options of its samplers.
_SAMPLER_NAMES: Final[dict[tuple[str, str], str]] = {
    ("tpe", "startup_trials"): "n_startup_trials",
    ("nsga2", "population_size"): "population_size",
    ("cmaes", "population_size"): "popsize",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """A job, and the hashes of everything that shapes its results, by name."""

    job: SweepJob
    parts: dict[str, Any]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells that every trial replays."""
        return cells_from_json(self.job.runner.payload["cells"])


def make_plan(
    study: Study,
    runs_dir: Path,
    progress: Callable[[str], None] | None = None,
    *,
    jobs: int = 1,
) -> StudyPlan:
    """Return the plan of a study; builds the tapes that are missing.

    Args:
        study: A checked study.
        runs_dir: Where studies live; the job's folder is below it and is not made here.
        progress: Hears what the building of tapes does.
        jobs: Tapes built at a time, each in a process of its own if there are several.

    Raises:
        DataError: The data is refused.
        InputError: The product is an inverse contract and the venue gives no tick value, or the
            queue model reads what a tape does not show, or recorded latencies do not have what
            the study asks for, or the strategy cannot be compiled, or the engine that the study
            asks for cannot replay it.
        StudyLockedError: The folder holds a study of this name that was started otherwise.
    """
    traces = ensure_traces(study, runs_dir)
    cache = runs_dir.resolve() / TAPES_FOLDER
    tapes = ensure_in_parallel(study.data.source, cache, jobs, progress)
    for tape in tapes:
        check_money(tape.instrument, study.venue.tick_value)
        _check_queue(tape, study.world.queue, progress)
        if progress is not None:
            _tell_doubts(tape, study.venue.profile, progress)
    cells = plan_cells(
        tapes,
        slices=study.data.slices,
        replications=study.world.replications,
        seed=study.seed,
    )
    if traces and progress is not None:
        for doubt in doubts(traces.values(), _spans(tapes, cells)):
            progress(doubt)
    payload = {
        **_sections(study, runs_dir, progress),
        "tapes": [_tape_to_json(tape) for tape in tapes],
        "cells": cells_to_json(cells),
    }
    if traces:
        payload["traces"] = {name: trace.to_json() for name, trace in traces.items()}
    middle = middle_params(study.space)
    payload["engine"] = settle_engine(study.run.engine, payload, study.space, middle, progress)
    folder = runs_dir.resolve() / study.name
    parts = _parts(study, tapes, traces)
    _check_parts(folder, parts)
    job = SweepJob(
        name=study.name,
        folder=folder,
        seed=study.seed,
        trials=study.search.trials,
        space=study.space,
        sampler=study.search.sampler,
        sampler_options={
            _SAMPLER_NAMES[study.search.sampler, key]: value
            for key, value in study.search.options.items()
        },
        direction=study.objective.direction,
        metric=study.objective.metric,
        runner=RunnerSpec(target=RUNNER_TARGET, payload=payload),
        backend=study.run.backend,
        workers=1 if study.run.backend == "inline" else study.run.workers or os.cpu_count() or 1,
        address=study.run.address,
        tracking_uri=study.tracking.uri,
        experiment=study.tracking.experiment,
        attempts_max=study.run.attempts_max,
        trial_timeout_s=study.run.timeout_s,
        failures_max=study.run.failures_max,
        constants=_constants(study, payload),
        study_text=study.text,
        fingerprint=_combine(parts),
        window=study.search.window,
    )
    return StudyPlan(job=job, parts=parts)


def _sections(
    study: Study, runs_dir: Path, progress: Callable[[str], None] | None
) -> dict[str, Any]:
    """Return the part of a runner's payload that the study file says; compiles the strategy."""
    strategy = to_template(study.strategy)
    return {
        "seed": study.seed,
        **prepare_strategy(strategy, runs_dir, progress),
        "strategy": strategy,
        "venue": to_template(study.venue),
        "world": to_template(study.world),
        "objective": to_template(study.objective),
    }


def _constants(study: Study, payload: Mapping[str, Any]) -> dict[str, Scalar]:
    fixed: dict[str, Scalar] = {}
    for key in ("strategy", "venue", "world"):
        fixed |= constants(payload[key], key)
    if study.world.is_naive:
        # What the naive world does not read would look as if it held.
        fixed = {path: v for path, v in fixed.items() if not path.startswith("world.")}
        fixed["world"] = "naive"
    return fixed


def _tell_doubts(tape: TapeInfo, profile: str, tell: Callable[[str], None]) -> None:
    if not tape.has_book:
        message = "no row sets a level: without a book fills cannot be simulated"
        tell(f"{tape.path.name}: {message}; `data inspect` says what it supports")
    own = tape.facts.get("product", {}).get("venue_profile")
    if own in PROFILES and own != profile:
        message = f"the product trades under the venue profile {own}, the study says {profile}"
        tell(f"{tape.path.name}: {message}; fees, taxes and visible levels are the study's")


def _check_queue(tape: TapeInfo, model: Leaf, tell: Callable[[str], None] | None) -> None:
    _check_names(tape, model)
    _check_sizes(tape, model, tell)


def _check_sizes(tape: TapeInfo, model: Leaf, tell: Callable[[str], None] | None) -> None:
    """Refuse a queue model that reads sizes of orders on a feed that does not show them.

    Raises:
        InputError: A change of a level in this tape is no single order.
    """
    if READS_SIZES not in leaf_words(model):
        return
    support = survey_tape(tape.path).document["support"]
    verdict = next((item for item in support if item["question"] == EVERY_EVENT), None)
    if verdict is None or verdict["answer"] == "yes":
        return
    reason = f"{verdict['words']} ({verdict['reason']})"
    message = f"{tape.path.name}: the queue model {READS_SIZES} needs one row per order event"
    if verdict["answer"] == "no":
        raise InputError(f"{message}. {reason}. Use world.queue odds for this feed")
    if tell is not None:
        tell(f"{message}: {reason}; odds is safe, fitted on this feed")


def _check_names(tape: TapeInfo, model: Leaf) -> None:
    """Refuse the queue model that follows single orders where rows name none.

    Raises:
        InputError: No row of this tape says which order lost lots.
    """
    if READS_NAMES in leaf_words(model) and not tape.has_joins:
        message = f"{tape.path.name}: the queue model {READS_NAMES} needs rows that name orders"
        hint = "Use a recording by order (data inspect says which), or world.queue back or odds"
        raise InputError(f"{message}, and none does. {hint}")


def _tape_to_json(tape: TapeInfo) -> dict[str, Any]:
    return {
        "path": str(tape.path),
        "content_hash": tape.content_hash,
        "rows": tape.row_count,
        "instrument": dict(tape.instrument),
    }


def _spans(tapes: Sequence[TapeInfo], cells: Sequence[Cell]) -> list[tuple[str, int, int]]:
    """Return name, first and last time of every slice."""
    opened = [rustsim.Tape.open(str(tape.path)) for tape in tapes]
    found = {
        cell.slice: (
            opened[cell.tape].exch_ns(cell.row_start),
            opened[cell.tape].exch_ns(cell.row_stop - 1),
        )
        for cell in cells
    }
    return sorted((name, *span) for name, span in found.items())


def _parts(study: Study, tapes: Sequence[TapeInfo], traces: Mapping[str, Trace]) -> dict[str, Any]:
    latencies = {name: trace.hash for name, trace in traces.items()}
    return {
        "study file": study.fingerprint,
        "data": [tape.content_hash for tape in tapes],
        **({"recorded latencies": latencies} if latencies else {}),
        **code_parts(study.strategy.reference),
    }


def code_parts(reference: str) -> dict[str, str]:
    """Return the hashes of the code that shapes results: the strategy's and the exchange's."""
    return {
        "strategy code": strategy_source_hash(reference),
        "exchange": rustsim.__version__,
    }


def _combine(parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _check_parts(folder: Path, parts: Mapping[str, Any]) -> None:
    """Refuse to mix results of different inputs, and say which input is different."""
    if not (folder / PLAN_NAME).exists():
        return
    before = read_plan(folder)["parts"]
    changed = [name for name, value in parts.items() if before.get(name) != value]
    if changed:
        message = f"{folder}: this study was started with another {' and '.join(changed)}"
        hint = "give it a new name (--set study=NAME), or remove the folder to start over"
        raise StudyLockedError(f"{message}; {hint}")


def write_plan(plan: StudyPlan) -> None:
    """Write plan and study file into the study's folder, each in one step.

    Raises:
        ResourceError: The folder cannot be written.
    """
    job = plan.job
    document = {
        "format": PLAN_FORMAT,
        "study": job.name,
        "fingerprint": job.fingerprint,
        "parts": plan.parts,
        "direction": job.direction,
        "metric": job.metric,
        "trials": job.trials,
        "experiment": job.experiment,
        "tracking_uri": job.tracking_uri,
        "runner": {"target": job.runner.target, "payload": job.runner.payload},
    }
    replace_text(job.folder / PLAN_NAME, json.dumps(document, indent=1, allow_nan=False) + "\n")
    replace_text(job.folder / STUDY_NAME, job.study_text)


def middle_params(space: Mapping[str, Space]) -> dict[str, Scalar]:
    """Return one parameter set from the middle of the space, for estimates of cost."""
    middle: dict[str, Scalar] = {}
    for path, item in space.items():
        match item:
            case IntSpace():
                middle[path] = item.low + (item.high - item.low) // item.step // 2 * item.step
            case FloatSpace():
                mean = (item.low + item.high) / 2
                middle[path] = (item.low * item.high) ** 0.5 if item.log else mean
            case ChoiceSpace():
                middle[path] = item.options[0]
    return middle
