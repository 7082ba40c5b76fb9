"""A small deterministic runner for tests of the generic sweep; workers import it by name."""

import hashlib
import json
import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from sweep.job import TrialSpec


class ToyRunner:
    """Objective of `x` and `n`; can be told to be slow, to fail, to hang or to die.

    Payload: `sleep_s` for every trial, `jitter_s` times 0 to 6 by number; `faults` maps a trial
    number to raise, nan, inf, bool, text, no_json, hang, exit, kill (always) or kill_once; `marks`
    is a folder where each run leaves a line; `prints` goes to standard output; `broken`.
    """

    def __init__(self, payload: dict[str, Any]) -> None:
        self._sleep_s = float(payload.get("sleep_s", 0.0))
        self._jitter_s = float(payload.get("jitter_s", 0.0))
        self._prints = str(payload.get("prints", ""))
        self._faults: dict[str, str] = payload.get("faults", {})
        self._marks = Path(payload["marks"]) if "marks" in payload else None
        if payload.get("broken"):
            message = "this runner can not be made"
            raise RuntimeError(message)

    def run(self, trial: TrialSpec) -> dict[str, Any]:
        fault = self._faults.get(str(trial.number), "")
        if self._marks is not None:
            with (self._marks / "runs").open("a") as file:
                file.write(f"{trial.number} {trial.attempt} {os.getpid()}\n")
        time.sleep(self._sleep_s + self._jitter_s * (trial.number * 5 % 7))
        if self._prints:
            print(self._prints, flush=True)  # noqa: T201 - strategies do that
        if fault == "exit":
            sys.exit(3)
        if fault == "raise":
            message = "strategy error"
            raise ValueError(message)
        if fault == "hang":
            while True:
                time.sleep(0.05)
        if fault == "kill" or (fault == "kill_once" and trial.attempt == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        text = json.dumps(trial.params, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        objective: Any = toy_objective(trial.params)
        if fault == "no_json":
            objective = {1, 2}
        special = {"nan": math.nan, "inf": math.inf, "bool": True, "text": "high"}
        return {
            "objective": special.get(fault, objective),
            "metrics": {"net_pnl": objective, "undefined": math.nan, "fills": 3.0},
            "ledger": {"cash_minor": 2**60 + trial.number},
            "digest": digest,
            "events": 1000,
            "engine_ns": 5,
            "cells": [],
            "series": [[float(second), objective * second] for second in range(5)],
        }


def toy_objective(params: dict[str, Any]) -> float:
    x, n = float(params["x"]), float(params["n"])
    bonus = {"a": 0.0, "b": 0.5, "c": 0.2}[str(params["kind"])]
    return bonus - (x - 0.3) ** 2 - 0.001 * (n - 12) ** 2
