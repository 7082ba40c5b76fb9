"""A driver in a process of its own, for tests that stop or kill it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sweep.results import LOG_NAME, read_index

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import json, sys
from pathlib import Path
from sweep.controller import run_sweep
from tests.toys.study import Recorder, toy_job
summary = run_sweep(toy_job(Path(sys.argv[1]), **json.loads(sys.argv[2])), Recorder())
print(json.dumps(summary.trials | {"stopped": summary.stopped}))
"""


def start_driver(folder: Path, changes: dict[str, Any]) -> "subprocess.Popen[str]":
    """Run the toy study of `folder` with changed fields; it prints its counts as JSON."""
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(folder), json.dumps(changes)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_finals(folder: Path, count: int, timeout_s: float = 60.0) -> None:
    """Return once the result log of a running study holds `count` final records."""
    log = folder / LOG_NAME
    deadline = time.monotonic() + timeout_s
    while len(read_index(log).finals) < count:
        assert time.monotonic() < deadline, "the driver makes no progress"
        time.sleep(0.01)
