"""State of a study as its result log tells it: counts, best trial, ranking."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweep.errors import InputError
from sweep.lease import read_holder
from sweep.results import LOG_NAME, LogIndex, TrialEntry, read_index, read_record
from sweep.studyfolder import read_place


def open_index(folder: Path) -> LogIndex:
    """Return the index of a study's result log."""
    return read_index(folder / LOG_NAME)


def ranking(index: LogIndex, direction: str) -> list[TrialEntry]:
    """Return the complete trials, best first; equal ones in order of number."""
    sign = -1.0 if direction == "maximize" else 1.0
    done = [entry for entry in index.finals.values() if entry.objective is not None]
    return sorted(done, key=lambda entry: (sign * (entry.objective or 0.0), entry.trial))


def records(folder: Path, entries: list[TrialEntry]) -> Iterator[dict[str, Any]]:
    """Yield the stored records of some trials."""
    for entry in entries:
        yield read_record(folder / LOG_NAME, entry.offset)


def trial_record(folder: Path, trial: int) -> dict[str, Any]:
    """Return the final record of a trial.

    Raises:
        InputError: The trial has no final record.
    """
    entry = open_index(folder).finals.get(trial)
    if entry is None:
        hint = "list what there is with: python -m sweep status"
        raise InputError(f"{folder}: trial {trial} has no final record; {hint}")
    return read_record(folder / LOG_NAME, entry.offset)


def status_document(folder: Path, plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same document that `launch --json` prints, from what is on disk."""
    index = open_index(folder)
    states = [entry.state for entry in index.finals.values()]
    counts = {state: states.count(state) for state in ("complete", "failed")}
    driver = read_holder(folder)
    started = sum(1 for trial in index.attempts if trial not in index.finals)
    # Without a driver nothing runs: what was started waits for the next launch.
    counts["running"] = started if driver is not None else 0
    counts["waiting"] = max(0, plan["trials"] - len(states) - counts["running"])
    ranked = ranking(index, plan["direction"])
    best = next(records(folder, ranked[:1]), None)
    return {
        "study": plan["study"],
        "folder": str(folder),
        "trials": counts,
        "events": sum(entry.events for entry in index.finals.values()),
        "wall_s": _wall_s(folder, index),
        "best": best_document(best),
        "tracking": read_place(folder),
        "driver": driver,
        "failures": _failures(folder, index),
    }


def _failures(folder: Path, index: LogIndex) -> list[dict[str, Any]]:
    """Return the reasons of failed trials, the most frequent first, each with one trial."""
    failed = [entry for entry in index.finals.values() if entry.state == "failed"]
    reasons: dict[str, list[int]] = {}
    for record in records(folder, failed):
        reasons.setdefault(record["reason"], []).append(record["trial"])
    ordered = sorted(reasons.items(), key=lambda item: -len(item[1]))
    return [
        {"reason": reason, "count": len(trials), "trial": trials[0]} for reason, trials in ordered
    ]


def _wall_s(folder: Path, index: LogIndex) -> float:
    times = [
        (record["started_unix_ns"], record["finished_unix_ns"])
        for record in records(folder, list(index.finals.values()))
    ]
    if not times:
        return 0.0
    return float(max(stop for _, stop in times) - min(start for start, _ in times)) / 1e9


def best_document(record: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what a user wants to know of the best trial."""
    if record is None:
        return None
    result = record["result"]
    return {
        "trial": record["trial"],
        "params": record["params"],
        "metrics": result["metrics"],
        "digest": result["digest"],
        "objective": result["objective"],
    }
