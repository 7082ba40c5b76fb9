"""Runs the cells of one trial: tapes and parameters in, metrics and digest out.

Pure apart from `engine` and `engine_ns`: no clock, no randomness of its own, no Ray, no MLflow. A
runner maps its tapes once and keeps nothing from one trial to the next.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import rustsim
from strategies.adapters.rustsim import RustSimAdapter
from sweep.cells import Cell, cells_from_json
from sweep.compiled_tapes import HELD_ROWS_MAX, CompiledRows
from sweep.decode_strategy import load_class
from sweep.engine import AUTO, COMPILED, DIRECT
from sweep.errors import DataError, InputError
from sweep.exchange import exchange_spec
from sweep.job import TrialSpec
from sweep.kernels import open_kernel
from sweep.latency_traces import open_traces
from sweep.objective import NAIVE_PREFIX, objective_value, pool
from sweep.space import Scalar
from sweep.template import fill

SERIES_POINTS_MAX: Final = 200
NS_PER_S: Final = 1_000_000_000
LANES_MAX: Final = 64  # replays side by side, each with an exchange of its own in memory
_LEDGER_MARKS: Final = frozenset({"mid_ticks_x2"})  # a price at the end of a cell: no sum means it


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lane:
    """One exchange and its strategy, ready to be replayed."""

    exchange: RustSimAdapter
    strategy: Any
    wake: str
    compiled: rustsim.CompiledTape | None  # None where it needs the direct engine


class CellRunner:
    """Replays trials over the cells of a plan; one per worker, for the worker's whole life.

    Args:
        payload: `{"tapes": [{"path", "content_hash", "instrument"}], "cells": [...], "seed",
            "strategy", "venue", "world", "objective"}`, sections as templates, in plain JSON; with
            recorded latencies also `"traces": {name: {"path", "hash"}}`, with a compiled strategy
            `"kernels": folder`. `"engine"` is auto if it is left out.

    Raises:
        DataError: A tape or a recorded latency is not the one that the plan was made for.
    """

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._cells = cells_from_json(payload["cells"])
        self._seed: int = payload["seed"]
        self._sections = {key: payload[key] for key in ("strategy", "venue", "world")}
        self._objective: Mapping[str, Any] = payload["objective"]
        self._instruments = [tape["instrument"] for tape in payload["tapes"]]
        self._strategy = load_class(payload["strategy"]["reference"])
        self._kernel = open_kernel(payload["strategy"], payload.get("kernels"))
        self._traces = open_traces(payload.get("traces", {}))
        self._tapes = [_open_tape(tape) for tape in payload["tapes"]]
        self._engine: str = payload.get("engine", AUTO)
        # Whoever asks for the compiled engine by name gets it at any price.
        self._compiled = CompiledRows(
            held_rows_max=None if self._engine == COMPILED else HELD_ROWS_MAX
        )
        together: dict[tuple[int, int, int], list[Cell]] = {}
        for cell in self._cells:
            together.setdefault((cell.tape, cell.row_start, cell.row_stop), []).append(cell)
        self._together = [
            group[at : at + LANES_MAX]
            for group in together.values()
            for at in range(0, len(group), LANES_MAX)
        ]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells that every trial replays."""
        return self._cells

    def tape(self, cell: Cell) -> rustsim.Tape:
        """Return the tape that a cell replays."""
        return self._tapes[cell.tape]

    def run(self, trial: TrialSpec) -> dict[str, Any]:
        """Replay all cells with the parameters of a trial.

        Returns:
            The result document of docs/interfaces.md.

        Raises:
            ObjectiveError: The objective is not a finite number.
            RustsimError: The replay stopped: an impossible description, an overflow.
        """
        done: dict[tuple[str, str, int], tuple[dict[str, Any], list[tuple[int, int]]]] = {}
        beside: dict[str, dict[str, float]] = {}
        is_compared = self._sections["world"].get("compare") == "naive"
        for cell, result in self._replay_all(trial.params):
            document = self.document(cell, result)
            if is_compared:
                # Nothing is drawn in the naive world: one replay serves all replications.
                if cell.slice not in beside:
                    beside[cell.slice] = self._naive_metrics(trial.params, cell)
                document["metrics"] |= beside[cell.slice]
            done[cell.key] = (document, list(result.equity))
        # Canonical order: results do not show in which order cells were replayed.
        ordered = sorted(self._cells, key=lambda cell: (cell.tape, cell.row_start, cell.key))
        cells = [done[cell.key][0] for cell in ordered]
        world = ordered[0].replication
        equities = [done[cell.key][1] for cell in ordered if cell.replication == world]
        return {
            "objective": objective_value(self._objective, cells),
            "metrics": pool(cells),
            "ledger": _ledger_sum(cells),
            "digest": trial_digest(cells),
            "events": sum(cell["events"] for cell in cells),
            "engine_ns": sum(cell["engine_ns"] for cell in cells),
            "cells": cells,
            "series": equity_series(equities),
        }

    def replay(
        self,
        params: Mapping[str, Scalar],
        cell: Cell,
        *,
        row_stop: int | None = None,
        samples: int = SERIES_POINTS_MAX,
        is_naive: bool = False,
        certificates: bool = False,
    ) -> rustsim.ReplayResult:
        """Replay one cell.

        Args:
            params: Searched parameters by key path.
            cell: One of `cells`.
            row_stop: Stop before this row instead of the cell's end.
            samples: Points of the equity curve.
            is_naive: Replay it in the naive world instead of the study's own.
            certificates: Bound queue positions and fills even if the study does not ask for it.
        """
        lane = self._lane(params, cell, is_naive=is_naive, certificates=certificates)
        stop = cell.row_stop if row_stop is None else min(row_stop, cell.row_stop)
        return self._replay_alone(lane, cell, stop, samples)

    def _replay_alone(
        self, lane: _Lane, cell: Cell, row_stop: int, samples: int
    ) -> rustsim.ReplayResult:
        return lane.exchange.replay(
            self._tapes[cell.tape],
            cell.row_start,
            row_stop,
            lane.strategy,
            wake=lane.wake,
            samples=samples,
            compiled=lane.compiled,
        )

    def _replay_all(
        self, params: Mapping[str, Scalar]
    ) -> Iterator[tuple[Cell, rustsim.ReplayResult]]:
        """Replay all cells; those of the same rows side by side, if that can be done."""
        for cells in self._together:
            lanes = [self._lane(params, cell) for cell in cells]
            first = lanes[0]
            compiled = first.compiled
            if len(lanes) == 1 or compiled is None or any(x.compiled is None for x in lanes):
                for cell, lane in zip(cells, lanes, strict=True):
                    yield cell, self._replay_alone(lane, cell, cell.row_stop, SERIES_POINTS_MAX)
                continue
            results = rustsim.replay_lanes(
                [lane.exchange for lane in lanes],
                [lane.strategy for lane in lanes],
                self._tapes[cells[0].tape],
                cells[0].row_start,
                cells[0].row_stop,
                compiled=compiled,
                wake=first.wake,
                samples=SERIES_POINTS_MAX,
            )
            yield from zip(cells, results, strict=True)

    def _lane(
        self,
        params: Mapping[str, Scalar],
        cell: Cell,
        *,
        is_naive: bool = False,
        certificates: bool = False,
    ) -> _Lane:
        """Return what a replay of a cell needs."""
        sections = fill(self._sections, params)
        if certificates:
            sections["world"]["certificates"] = True
        spec = exchange_spec(
            self._instruments[cell.tape],
            sections["venue"],
            sections["world"] | {"is_naive": True} if is_naive else sections["world"],
            seed=self._seed,
            replication=cell.replication,
            traces=self._traces,
        )
        adapter = RustSimAdapter(spec=spec)
        wanted = sections["strategy"]
        strategy = self._strategy(adapter, self._strategy.Params(**wanted["params"]))
        wake = wanted["wake"]
        return _Lane(
            exchange=adapter,
            strategy=strategy if self._kernel is None else self._kernel.bind(strategy),
            wake=wake,
            compiled=None if is_naive else self._compiled_rows(cell, spec, wake),
        )

    def _compiled_rows(self, cell: Cell, spec: str, wake: str) -> rustsim.CompiledTape | None:
        """Return the rows of a cell for the compiled engine, None if the direct one replays them.

        Raises:
            InputError: The study asks for the compiled engine, and it cannot replay them.
        """
        if self._engine == DIRECT:
            return None
        reason = rustsim.needs_direct(spec, wake)
        compiled = None
        if reason is None:
            compiled = self._compiled.of(self.tape(cell), cell.row_start, cell.row_stop)
        if compiled is None and self._engine == COMPILED:
            message = f"run.engine: {cell.slice} cannot be replayed on a compiled tape"
            raise InputError(f"{message}: {reason or 'its rows cannot be compiled'}")
        return compiled

    def _naive_metrics(self, params: Mapping[str, Scalar], cell: Cell) -> dict[str, float]:
        metrics = self.replay(params, cell, samples=0, is_naive=True).metrics
        return {f"{NAIVE_PREFIX}{name}": float(metrics[name]) for name in ("net_pnl", "fills")}

    def document(self, cell: Cell, result: rustsim.ReplayResult) -> dict[str, Any]:
        """Return what a trial's result says about one cell."""
        tape = self._tapes[cell.tape]
        span_ns = tape.exch_ns(cell.row_stop - 1) - tape.exch_ns(cell.row_start)
        defined = {k: float(v) for k, v in result.metrics.items() if not math.isnan(v)}
        return {
            "slice": cell.slice,
            "scenario": cell.scenario,
            "replication": cell.replication,
            "digest": result.digest,
            "metrics": defined,
            "ledger": dict(result.ledger),
            "events": result.events,
            "engine": result.engine,
            "engine_ns": result.engine_ns,
            "seconds": span_ns / NS_PER_S,
        }


def _open_tape(tape: Mapping[str, Any]) -> rustsim.Tape:
    opened = rustsim.Tape.open(tape["path"])
    if opened.content_hash != tape["content_hash"]:
        message = f"{tape['path']}: expected a tape with the hash {tape['content_hash']}"
        raise DataError(f"{message}, found {opened.content_hash}; plan the study again")
    return opened


def trial_digest(cells: Sequence[Mapping[str, Any]]) -> str:
    """Return the digest of a trial: SHA-256 over its cells' names and digests, in order."""
    digest = hashlib.sha256()
    for cell in cells:
        line = f"{cell['slice']}\t{cell['scenario']}\t{cell['replication']}\t{cell['digest']}\n"
        digest.update(line.encode())
    return digest.hexdigest()


def _ledger_sum(cells: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Sum exact integers over all cells; what is a maximum in a cell is one in the trial."""
    total: dict[str, int] = {}
    for cell in cells:
        for key, value in cell["ledger"].items():
            if key in _LEDGER_MARKS:
                continue
            if "_max" in key:
                total[key] = max(total.get(key, value), value)
            else:
                total[key] = total.get(key, 0) + value
    return total


def equity_series(equities: Sequence[Sequence[tuple[int, int]]]) -> list[list[float]]:
    """Return one equity curve over several slices, each of which starts flat.

    Args:
        equities: Per slice, in order of time: (exchange time in ns, equity in half minor units).

    Returns:
        At most `SERIES_POINTS_MAX` pairs (whole seconds since the first point, minor units); the
        seconds between slices are left out, steps grow strictly.
    """
    points: dict[int, float] = {}
    seconds_before, equity_before = 0, 0
    for equity in equities:
        if not equity:
            continue
        start = equity[0][0]
        for time_ns, equity2 in equity:
            step = seconds_before + (time_ns - start) // NS_PER_S
            points[step] = (equity_before + equity2) / 2.0
        equity_before += equity[-1][1]
        seconds_before += (equity[-1][0] - start) // NS_PER_S + 1
    pairs = [[float(step), value] for step, value in points.items()]
    if len(pairs) <= SERIES_POINTS_MAX:
        return pairs
    last = len(pairs) - 1
    chosen = {index * last // (SERIES_POINTS_MAX - 1) for index in range(SERIES_POINTS_MAX)}
    return [pairs[index] for index in sorted(chosen)]
