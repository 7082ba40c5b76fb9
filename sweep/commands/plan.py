"""`plan`: what a study will cost, before anything is spent."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from sweep.compiled_tapes import compiled_path
from sweep.engine import COMPILED
from sweep.errors import EXIT_DONE
from sweep.job import SweepJob
from sweep.planning import StudyPlan, make_plan, middle_params
from sweep.progress import duration, talk
from sweep.space import space_to_json

PROBE_ROWS: Final = 200_000  # enough for a rate, not for a wait


def plan(options: argparse.Namespace) -> int:
    """Run the command `plan`."""
    planned = make_plan(options.loaded, options.runs_dir, talk, jobs=os.cpu_count() or 1)
    document = plan_document(planned, *_probe(planned))
    if options.json:
        print(json.dumps(document, allow_nan=False))
    else:
        _show(document)
    return EXIT_DONE


def _probe(planned: StudyPlan) -> tuple[float, str]:
    """Replay the head of one cell with parameters from the middle of the space.

    Returns:
        Nanoseconds per event, and the engine.
    """
    from sweep.trial import CellRunner

    runner = CellRunner(planned.job.runner.payload)
    cell = runner.cells[0]
    stop = min(cell.row_start + PROBE_ROWS, cell.row_stop)
    if stop < cell.row_stop:
        # Compiled tapes end between two groups only.
        tape = runner.tape(cell)
        stop = tape.first_row_at(tape.exch_ns(stop)) or stop
    result = runner.replay(middle_params(planned.job.space), cell, row_stop=stop)
    return result.engine_ns / max(1, result.events), result.engine


def _compiled_bytes(planned: StudyPlan) -> int:
    """Return about what compiled tapes take, after the one that was made for the probe."""
    cell = planned.cells[0]
    tape = Path(planned.job.runner.payload["tapes"][cell.tape]["path"])
    path = compiled_path(tape, cell.row_start, cell.row_stop)
    if not path.is_file():
        return 0  # it could not be written
    rows = {(one.tape, one.row_start, one.row_stop): one.events for one in planned.cells}
    return round(path.stat().st_size / cell.events * sum(rows.values()))


def plan_document(planned: StudyPlan, ns_per_event: float, engine: str) -> dict[str, Any]:
    """Return the plan of a study as plain JSON values."""
    job: SweepJob = planned.job
    cells = planned.cells
    events = sum(cell.events for cell in cells)
    trial_s = events * ns_per_event / 1e9
    tapes = job.runner.payload["tapes"]
    return {
        "study": job.name,
        "folder": str(job.folder),
        "trials": job.trials,
        "cells_per_trial": len(cells),
        "slices": sorted({cell.slice for cell in cells}),
        "replications": len({cell.replication for cell in cells}),
        "events_per_trial": events,
        "events": events * job.trials,
        "tapes": [{"path": tape["path"], "rows": tape["rows"]} for tape in tapes],
        "tape_bytes_mapped": sum(Path(tape["path"]).stat().st_size for tape in tapes),
        "compiled_bytes_mapped": _compiled_bytes(planned) if engine == COMPILED else 0,
        "backend": job.backend,
        "workers": job.workers,
        "engine": engine,
        "ns_per_event": round(ns_per_event, 1),
        "trial_s": round(trial_s, 3),
        "eta_s": round(trial_s * job.trials / job.workers, 1),
        "space": {path: space_to_json(space) for path, space in job.space.items()},
        "constants": job.constants,
        "objective": {"direction": job.direction, "metric": job.metric},
        "fingerprint": job.fingerprint,
    }


def _show(document: dict[str, Any]) -> None:
    write = sys.stdout.write
    shown = ", ".join(document["slices"][:6]) + (" ..." if len(document["slices"]) > 6 else "")
    write(f"study      {document['study']} in {document['folder']}\n")
    write(f"slices     {len(document['slices'])}: {shown}\n")
    cells, replications = document["cells_per_trial"], document["replications"]
    write(f"cells      {cells} per trial ({replications} replication(s) of each slice)\n")
    events = document["events_per_trial"]
    write(
        f"events     {events:,} per trial, {document['events']:,} in {document['trials']} trials\n"
    )
    megabytes = document["tape_bytes_mapped"] / 1e6
    extra = document["compiled_bytes_mapped"] / 1e6
    words = f"{megabytes:,.0f} MB of tapes" + (f" and {extra:,.0f} MB compiled" if extra else "")
    write(f"memory     {words}, mapped once and shared by all workers\n")
    write(f"search     {document['objective']['direction']} {document['objective']['metric']}\n")
    for path, space in document["space"].items():
        write(f"           {path}: {json.dumps(space)}\n")
    rate = 1e3 / document["ns_per_event"] if document["ns_per_event"] else 0.0
    engine = f"the {document['engine']} engine, measured on a sample"
    write(f"speed      {rate:.1f} million events/s per worker on {engine}\n")
    workers = f"{document['workers']} worker(s), backend {document['backend']}"
    write(f"time       about {duration(document['eta_s'])} on {workers}\n")
