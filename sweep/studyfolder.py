"""The folder of a study: finding it, and the small files that say what is in it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from sweep.errors import InputError
from sweep.job import TrackingInfo
from sweep.whole_files import replace_text

PLAN_NAME: Final = "plan.json"
STUDY_NAME: Final = "study.yaml"
PLACE_NAME: Final = "runs.json"
PLAN_FORMAT: Final = 1


def find_study(runs_dir: Path, name: str | None) -> Path:
    """Return the folder of a study.

    Args:
        runs_dir: Where studies live.
        name: Name of the study; None takes the only one there is.

    Raises:
        InputError: There is no such study, or no only one.
    """
    known = sorted(path.parent.name for path in runs_dir.glob("*/plan.json"))
    if name is None and len(known) == 1:
        return runs_dir.resolve() / known[0]
    shown = ", ".join(known) or "none; start one with: python -m sweep launch STUDY.yaml"
    if name is None:
        raise InputError(f"{runs_dir}: say which study; there are: {shown}")
    if name not in known:
        raise InputError(f"{runs_dir}: no study {name!r}; there are: {shown}")
    return runs_dir.resolve() / name


def read_plan(folder: Path) -> dict[str, Any]:
    """Return the plan of a started study.

    Raises:
        InputError: There is none, or it is of another version.
    """
    path = folder / PLAN_NAME
    try:
        plan: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such plan; launch the study first") from error
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if not isinstance(plan, dict) or plan.get("format") != PLAN_FORMAT:
        raise InputError(f"{path}: not a plan of this version ({PLAN_FORMAT})")
    return plan


def write_place(folder: Path, info: TrackingInfo) -> None:
    """Keep where the runs of a study can be seen, for those who ask later."""
    replace_text(folder / PLACE_NAME, json.dumps(asdict(info)) + "\n")


def read_place(folder: Path) -> dict[str, str | None]:
    """Return where the runs of a study can be seen; empty where that is not known yet."""
    try:
        info = TrackingInfo(**json.loads((folder / PLACE_NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        info = TrackingInfo(uri=read_plan(folder)["tracking_uri"])
    return asdict(info)
