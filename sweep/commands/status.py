"""`status`: what has happened in a study so far."""

import argparse
import json
import sys
from typing import Final

from sweep.errors import EXIT_DONE
from sweep.progress import ranked_table
from sweep.status import open_index, ranking, records, status_document
from sweep.studyfolder import find_study, read_plan

FAILURES_SHOWN: Final = 5


def status(options: argparse.Namespace) -> int:
    """Run the command `status`."""
    folder = find_study(options.runs_dir, options.study)
    plan = read_plan(folder)
    document = status_document(folder, plan)
    if options.json:
        print(json.dumps(document, allow_nan=False))
        return EXIT_DONE
    top = ranking(open_index(folder), plan["direction"])[: options.top]
    if options.top:
        ranked_table(
            list(records(folder, top)),
            metric=plan["metric"],
            direction=plan["direction"],
            stream=sys.stdout,
        )
    counts = ", ".join(f"{count} {state}" for state, count in document["trials"].items())
    sys.stdout.write(f"trials    {counts}\n")
    for failure in document["failures"][:FAILURES_SHOWN]:
        words = f"{failure['count']} like trial {failure['trial']}: {failure['reason']}"
        sys.stdout.write(f"failed    {words}\n")
    driver = document["driver"]
    if driver:
        sys.stdout.write(f"driver    process {driver['pid']} on {driver['host']}\n")
    sys.stdout.write(f"events    {document['events']:,} in {document['wall_s']:.1f} s\n")
    sys.stdout.write(f"folder    {folder}\n")
    if document["tracking"]["url"]:
        sys.stdout.write(f"MLflow    {document['tracking']['url']}\n")
    return EXIT_DONE
