"""`launch`: start a study, or go on with it, with live progress and a ranked table at the end."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.commands import RUNS_DIR
from sweep.compiled_tapes import make_compiled
from sweep.engine import DIRECT
from sweep.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_TRIALS_FAILED
from sweep.job import SweepJob, SweepSummary, TrackingInfo
from sweep.planning import StudyPlan, make_plan, write_plan
from sweep.progress import LiveObserver, ranked_table, talk
from sweep.status import open_index, ranking, records
from sweep.studyfolder import write_place

TOP = 10


class _LaunchObserver(LiveObserver):
    """Keeps the plan once the study is ours: two drivers must not write one folder."""

    def __init__(self, plan: StudyPlan) -> None:
        super().__init__()
        self._plan = plan

    def on_start(self, job: SweepJob, recorded: Mapping[str, int]) -> None:
        write_plan(self._plan)
        super().on_start(job, recorded)
        best = ranking(open_index(job.folder), job.direction)[:1]
        if best and best[0].objective is not None:
            self.best = (best[0].objective, best[0].trial)

    def on_tracking(self, info: TrackingInfo) -> None:
        write_place(self._plan.job.folder, info)
        super().on_tracking(info)


def launch(options: argparse.Namespace) -> int:
    """Run the command `launch`."""
    jobs = os.cpu_count() or 1
    plan = make_plan(options.loaded, options.runs_dir, talk, jobs=jobs)
    if plan.job.runner.payload["engine"] != DIRECT:
        make_compiled(plan.job.runner.payload, jobs=jobs, tell=talk)
    # Workers, optimiser and tracking store cost seconds: a wrong study never gets here.
    from sweep.controller import run_sweep

    with _LaunchObserver(plan) as observer:
        summary = run_sweep(plan.job, observer)
    _show_end(options, plan.job, summary)
    if summary.stopped == "interrupted":
        return EXIT_INTERRUPTED
    if summary.stopped == "failures" or summary.trials.get("complete", 0) == 0:
        return EXIT_TRIALS_FAILED
    return EXIT_DONE


def summary_document(summary: SweepSummary) -> dict[str, Any]:
    """Return what `--json` prints."""
    tracking = summary.tracking
    return {
        "study": summary.study,
        "folder": str(summary.folder),
        "trials": summary.trials,
        "events": summary.events,
        "wall_s": round(summary.wall_s, 3),
        "best": summary.best,
        "tracking": {
            "uri": tracking.uri,
            "experiment_id": tracking.experiment_id,
            "parent_run_id": tracking.parent_run_id,
            "url": tracking.url,
        },
        "stopped": summary.stopped,
    }


def _show_end(options: argparse.Namespace, job: SweepJob, summary: SweepSummary) -> None:
    index = open_index(job.folder)
    top = list(records(job.folder, ranking(index, job.direction)[:TOP]))
    stream = sys.stderr if options.json else sys.stdout
    ranked_table(top, metric=job.metric, direction=job.direction, stream=stream)
    if options.json:
        print(json.dumps(summary_document(summary), allow_nan=False))
    _show_where(options, summary)


def _show_where(options: argparse.Namespace, summary: SweepSummary) -> None:
    counts = ", ".join(f"{count} {state}" for state, count in summary.trials.items() if count)
    talk(f"{summary.study}: {counts} in {summary.wall_s:.1f} s, {summary.events:,} events")
    runs_dir = shlex.quote(str(options.runs_dir))
    where = "" if options.runs_dir == Path(RUNS_DIR) else f" --runs-dir {runs_dir}"
    again = f"python -m sweep launch {shlex.quote(str(options.file))}{where}"
    kept = [text for text in options.overrides if not text.startswith("search.trials=")]
    kept_words = "".join(f" --set {shlex.quote(text)}" for text in kept)
    talk(f"results   {summary.folder}")
    is_served = summary.tracking.uri.startswith(("http://", "https://"))
    if summary.tracking.uri != "none" and not is_served:
        talk(f"MLflow    python -m sweep ui {summary.study}{where}")
    if summary.tracking.url:
        talk(f"{'MLflow' if is_served else '   then':<9} {summary.tracking.url}")
    if summary.best is not None:
        trial = summary.best["trial"]
        talk(f"look      python -m sweep replay {trial} {summary.study}{where}")
    trials = sum(summary.trials.values())
    if summary.stopped or summary.trials.get("waiting", 0):
        words = kept_words + (f" --set search.trials={trials}" if kept != options.overrides else "")
        talk(f"go on     {again}{words}")
    else:
        talk(f"more      {again}{kept_words} --set search.trials={2 * trials}")
