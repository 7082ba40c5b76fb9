"""`verify`: a recorded trial, replayed here and compared digest by digest."""

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

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

    runner = CellRunner(plan["runner"]["payload"])
    trial = TrialSpec(number=record["trial"], attempt=record["attempt"], params=record["params"])
    result = runner.run(trial)
    stored = record["result"]
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
        "cells_differing": differing,
        "events": result["events"],
    }
    if options.json:
        print(json.dumps(document))
    elif is_equal:
        sys.stdout.write(f"trial {options.trial}: equal, {stored['digest']}\n")
    else:
        sys.stdout.write(f"trial {options.trial}: differs in {', '.join(differing)}\n")
        sys.stdout.write(f"  recorded {stored['digest']}\n  replayed {result['digest']}\n")
    return EXIT_DONE if is_equal else EXIT_TRIALS_FAILED


def _tell_changes(plan: Mapping[str, Any]) -> None:
    """Say what has changed since the study was launched: it explains a difference."""
    now = code_parts(plan["runner"]["payload"]["strategy"]["reference"])
    changed = [name for name, value in now.items() if plan["parts"].get(name) != value]
    if changed:
        talk(f"note: changed since the study was launched: {', '.join(changed)}")
