"""`verify`: a recorded trial, replayed here on the other engine and compared digest by digest."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from sweep.engine import AUTO, COMPILED, DIRECT
from sweep.errors import EXIT_DONE, EXIT_TRIALS_FAILED, InputError
from sweep.job import TrialSpec
from sweep.planning import code_parts
from sweep.progress import talk
from sweep.status import trial_record
from sweep.studyfolder import find_study, read_plan


def verify(options: argparse.Namespace) -> int:
    """Run the command `verify`."""
    folder = find_study(options.runs_dir, options.study)
    plan = read_plan(folder)
    record = trial_record(folder, options.trial)
    if record["state"] != "complete":
        raise InputError(f"{folder}: trial {options.trial} has no digest, it {record['state']}")
    _tell_changes(plan)
    from sweep.trial import CellRunner

    stored = record["result"]
    recorded_by = _engines(stored["cells"])
    # What one engine made, the other one makes again: that both are right is worth more than one
    # being right twice.
    other = DIRECT if COMPILED in recorded_by else AUTO
    runner = CellRunner(plan["runner"]["payload"] | {"engine": options.engine or other})
    trial = TrialSpec(number=record["trial"], attempt=record["attempt"], params=record["params"])
    result = runner.run(trial)
    replayed_by = _engines(result["cells"])
    if options.engine is None and recorded_by == replayed_by == [DIRECT]:
        talk("note: only the direct engine can replay this trial")
    differing = [
        f"{was['slice']}/{was['replication']}"
        for was, now in zip(stored["cells"], result["cells"], strict=True)
        if was["digest"] != now["digest"]
    ]
    is_equal = stored["digest"] == result["digest"]
    assert is_equal == (not differing), f"digests of trial and cells disagree: {differing}"
    document = {
        "study": plan["study"],
        "trial": options.trial,
        "equal": is_equal,
        "recorded": stored["digest"],
        "replayed": result["digest"],
        "engines_recorded": recorded_by,
        "engines_replayed": replayed_by,
        "cells_differing": differing,
        "events": result["events"],
    }
    if options.json:
        print(json.dumps(document))
        return EXIT_DONE if is_equal else EXIT_TRIALS_FAILED
    engines = f"recorded on {_words(recorded_by)}, replayed on {_words(replayed_by)}"
    if is_equal:
        sys.stdout.write(f"trial {options.trial}: equal, {stored['digest']}\n  {engines}\n")
    else:
        sys.stdout.write(f"trial {options.trial}: differs in {', '.join(differing)}\n")
        sys.stdout.write(f"  {engines}\n")
        sys.stdout.write(f"  recorded {stored['digest']}\n  replayed {result['digest']}\n")
    return EXIT_DONE if is_equal else EXIT_TRIALS_FAILED


def _engines(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return which engines made some cells; records of old say nothing, and knew one engine."""
    return sorted({cell.get("engine", DIRECT) for cell in cells})


def _words(engines: Sequence[str]) -> str:
    return f"the {' and the '.join(engines)} engine{'s' if len(engines) > 1 else ''}"


def _tell_changes(plan: Mapping[str, Any]) -> None:
    """Say what has changed since the study was launched: it explains a difference."""
    now = code_parts(plan["runner"]["payload"]["strategy"]["reference"])
    changed = [name for name, value in now.items() if plan["parts"].get(name) != value]
    if changed:
        talk(f"note: changed since the study was launched: {', '.join(changed)}")
