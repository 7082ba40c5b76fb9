"""`replay`: one recorded trial again, with every fill and the equity curve kept for a look."""

import argparse
import json
import sys

from sweep.errors import EXIT_DONE, ResourceError
from sweep.replays import ReplayTables, sample_trades, write_tables
from sweep.status import trial_record
from sweep.studyfolder import find_study, read_plan

EQUITY_SAMPLES = 4_000  # about two per pixel of the picture


def replay(options: argparse.Namespace) -> int:
    """Run the command `replay`."""
    folder = find_study(options.runs_dir, options.study)
    plan = read_plan(folder)
    record = trial_record(folder, options.trial)
    from sweep.plots import plot_replay
    from sweep.trial import CellRunner

    runner = CellRunner(plan["runner"]["payload"])
    tables = ReplayTables()
    digests: dict[str, str] = {}
    for cell in sorted(
        runner.cells, key=lambda cell: (cell.replication, cell.tape, cell.row_start)
    ):
        result = runner.replay(record["params"], cell, samples=EQUITY_SAMPLES)
        tables.add(cell.slice, cell.replication, result.fills(), result.equity)
        if cell.slice not in tables.prices:
            rows = (cell.row_start, cell.row_stop)
            tables.prices[cell.slice] = sample_trades(runner.tape(cell), *rows)
        digests["/".join(map(str, cell.key))] = result.digest
    output = folder / "replays" / f"trial-{options.trial}"
    try:
        output.mkdir(parents=True, exist_ok=True)
        paths = write_tables(tables, output)
        title = f"{plan['study']}, trial {options.trial}"
        paths["picture"] = output / "replay.png"
        plot_replay(tables, paths["picture"], title=title)
    except OSError as error:
        raise ResourceError(f"{output}: cannot be written: {error.strerror or error}") from error
    document = {
        "study": plan["study"],
        "trial": options.trial,
        "fills": len(tables.fills["exch_ns"]) if tables.fills else 0,
        "files": {name: str(path) for name, path in paths.items()},
        "digests": digests,
    }
    if options.json:
        print(json.dumps(document))
    else:
        sys.stdout.write(f"trial {options.trial}: {document['fills']:,} fills\n")
        for name, path in paths.items():
            sys.stdout.write(f"{name:<9} {path}\n")
    return EXIT_DONE
