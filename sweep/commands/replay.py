"""`replay`: one recorded trial again: every fill, its certificates and the equity, for a look."""

import argparse
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sweep.errors import EXIT_DONE, InputError, ResourceError
from sweep.objective import CERTIFICATE_METRICS, pool
from sweep.progress import number
from sweep.replays import ReplayTables, sample_trades, write_tables
from sweep.space import Scalar
from sweep.status import trial_record
from sweep.studyfolder import find_study, read_plan

if TYPE_CHECKING:
    from sweep.trial import CellRunner

EQUITY_SAMPLES: Final = 4_000  # about two per pixel of the picture
OWN_SHARE_P95_MAX: Final = 0.10  # beyond it the record would have looked different with us in it
VALIDITY: Final = CERTIFICATE_METRICS | {
    "own_share_p50",
    "own_share_p95",
    "own_share_max",
    "own_size_share",
    "beyond_best_share",
    "short_print_share",
}


def replay(options: argparse.Namespace) -> int:
    """Run the command `replay`."""
    folder = find_study(options.runs_dir, options.study)
    plan = read_plan(folder)
    record = trial_record(folder, options.trial)
    from sweep.plots import plot_replay
    from sweep.trial import CellRunner

    runner = CellRunner(plan["runner"]["payload"])
    is_naive = bool(plan["runner"]["payload"]["world"].get("is_naive"))
    if options.naive and is_naive:
        raise InputError(f"{folder}: the world of this study is the naive one already")
    own = _replay(runner, record["params"])
    naive = _replay(runner, record["params"], is_naive=True) if options.naive else None
    output = folder / "replays" / f"trial-{options.trial}"
    try:
        output.mkdir(parents=True, exist_ok=True)
        paths = write_tables(own.tables, output)
        if naive is not None:
            paths |= write_tables(naive.tables, output, prefix="naive_")
        title = f"{plan['study']}, trial {options.trial}"
        paths["picture"] = output / "replay.png"
        beside = naive.tables if naive is not None else None
        plot_replay(own.tables, paths["picture"], title=title, naive=beside)
    except OSError as error:
        raise ResourceError(f"{output}: cannot be written: {error.strerror or error}") from error
    document = {
        "study": plan["study"],
        "trial": options.trial,
        "fills": len(own.tables.fills["exch_ns"]) if own.tables.fills else 0,
        "live_like": own.figures(),
        "files": {name: str(path) for name, path in paths.items()},
        "validity": own.validity(),
        "digests": own.digests,
    }
    if naive is not None:
        document["naive"] = naive.figures()
    if options.json:
        print(json.dumps(document))
        return EXIT_DONE
    if naive is None:
        sys.stdout.write(f"trial {options.trial}: {_words(own)}\n")
    else:
        sys.stdout.write(f"trial {options.trial}\n")
        sys.stdout.write(f"  live-like       {_words(own)}\n")
        sys.stdout.write(f"  naive backtest  {_words(naive)}\n")
    sys.stdout.writelines(f"{line}\n" for line in _verdict(own.validity(), is_naive=is_naive))
    for name, path in paths.items():
        sys.stdout.write(f"{name:<12} {path}\n")
    return EXIT_DONE


@dataclass(slots=True)
class _Replayed:
    """All cells of a trial in one world."""

    tables: ReplayTables = field(default_factory=ReplayTables)
    cells: list[dict[str, Any]] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    net_pnl: dict[tuple[str, int], float] = field(default_factory=dict)

    def figures(self) -> dict[str, Any]:
        """Return sums over slices, means over replications, as the metrics of a trial are."""
        replications = len({replication for _, replication in self.net_pnl})
        fills = len(self.tables.fills["exch_ns"]) if self.tables.fills else 0
        return {
            "net_pnl": math.fsum(self.net_pnl.values()) / replications,
            "fills": fills / replications,
        }

    def validity(self) -> dict[str, float]:
        """Return the figures that say how far the replay can be believed."""
        return {name: value for name, value in pool(self.cells).items() if name in VALIDITY}


def _replay(
    runner: "CellRunner", params: Mapping[str, Scalar], *, is_naive: bool = False
) -> _Replayed:
    done = _Replayed()
    for cell in sorted(
        runner.cells, key=lambda cell: (cell.replication, cell.tape, cell.row_start)
    ):
        tables = done.tables
        # Nothing is drawn in the naive world: all replications of a slice are equal.
        if is_naive and cell.slice in tables.prices:
            continue
        result = runner.replay(
            params, cell, samples=EQUITY_SAMPLES, is_naive=is_naive, certificates=not is_naive
        )
        tables.add(cell.slice, cell.replication, result)
        done.cells.append(runner.document(cell, result))
        if cell.slice not in tables.prices:
            rows = (cell.row_start, cell.row_stop)
            tables.prices[cell.slice] = sample_trades(runner.tape(cell), *rows)
        done.digests["/".join(map(str, cell.key))] = result.digest
        done.net_pnl[cell.slice, cell.replication] = result.metrics["net_pnl"]
    return done


def _words(replayed: _Replayed) -> str:
    figures = replayed.figures()
    return f"net PnL {number(figures['net_pnl'])}, {number(figures['fills'])} fills"


def _verdict(validity: Mapping[str, float], *, is_naive: bool) -> list[str]:
    """Say how far the replay can be believed."""
    if is_naive:
        return ["the naive world knows no queues and no sizes: nothing bounds what it fills"]

    def percent(name: str) -> str:
        return f"{validity[name]:.1%}" if name in validity else "-"

    lines = [
        f"of the lots that rested {percent('fill_certain_share')} fill under every queue model, "
        f"{percent('fill_impossible_share')} under none; the model decides about "
        f"{percent('fill_dependent_share')}",
        f"own share of the prints that filled us: p50 {percent('own_share_p50')}, "
        f"p95 {percent('own_share_p95')}, max {percent('own_share_max')}",
        f"own size at arrival {percent('own_size_share')} of the level; beyond the best level "
        f"{percent('beyond_best_share')} of taker lots; prints too small for queue and order "
        f"{percent('short_print_share')}",
    ]
    if validity.get("own_share_p95", 0.0) > OWN_SHARE_P95_MAX:
        lines.append(
            f"! own share p95 is above {OWN_SHARE_P95_MAX:.0%}: a recorded market would have "
            "answered orders of this size"
        )
    return lines
