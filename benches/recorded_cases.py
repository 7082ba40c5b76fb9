"""Recorded days in the benchmark: the maker on real feeds, where the recordings are at hand.

They are looked for in ../shared/data beside the repository, or where SWEEP_SHARED_DATA says; rows
whose recording is missing say so. The quotes are those of a desk that follows the market without
chasing every tick: a basis point or so from the mid, moved when they are off by a good part of it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import rustsim
from benches.bench_row import Row
from benches.feed import LEVEL, TRADE, Feed, write_hftbacktest
from benches.peers import HFTBACKTEST, run_peer, warn
from benches.replay_cases import (
    SPEC,
    Case,
    Stretch,
    idle,
    kernel_maker,
    measure_cases,
    plain_maker,
    run_case,
    stretch,
)
from benches.report import ROOT
from sweep.data import TapeInfo, ensure_tapes
from sweep.source import SourceConfig

SHARED = Path(os.environ.get("SWEEP_SHARED_DATA", ROOT.parent / "shared" / "data"))
FOLDER = ROOT / "build" / "bench-recorded"
FEED_NS = 1_000_000  # where a recording has no local clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A file, and the maker that trades on it.

    Attributes:
        bar_ns: For the compiled engine.
        times_bar: How many times faster than the direct engine it has to be.
    """

    name: str
    file: str
    reader: str
    instrument: str
    rules: Mapping[str, float]
    bar_ns: float
    times_bar: float | None = None
    check: Mapping[str, str] | None = None

    @property
    def path(self) -> Path:
        """Where it is looked for."""
        return SHARED / self.file


TXF = Recording(
    name="TXF day",
    file="taifex_l2/TXFD6_2026-04-09_replay_actual.parquet",
    reader="shioaji_parquet",
    instrument="TXF",
    rules={
        "half_spread_ticks": 4.0,
        "skew_ticks_per_lot": 0.1,
        "requote_threshold_ticks": 3,
        "position_limit_lots": 20,
    },
    bar_ns=12.0,
    times_bar=2.0,
)
BTC = Recording(
    name="BTC depth",
    file="binance/usdm_btcusdt_20240808.gz",
    reader="binance_raw",
    instrument="BTCUSDT",
    rules={
        "half_spread_ticks": 60.0,
        "skew_ticks_per_lot": 0.5,
        "requote_threshold_ticks": 30,
        "position_limit_lots": 20,
    },
    bar_ns=1.5,
    check={"clock_offset": "repair"},
)
RECORDINGS = (TXF, BTC)


def import_recording(recording: Recording) -> TapeInfo:
    """Return its tape, made if need be."""
    source = SourceConfig(
        reader=recording.reader,
        instrument=recording.instrument,
        paths=(recording.path,),
        check=dict(recording.check or {}),
    )
    (info,) = ensure_tapes(source, FOLDER)
    return info


def spec_of(info: TapeInfo, tape: rustsim.Tape) -> dict[str, Any]:
    """Return the exchange that trades it: 5 ms each way, and 1 ms for a feed without a clock."""
    latency = dict(SPEC["latency"])
    if not tape.has_local:
        latency["feed"] = {"model": "constant", "mean_ns": FEED_NS}
    return SPEC | {"instrument": dict(info.instrument), "latency": latency}


def feed_of(tape: rustsim.Tape) -> Feed:
    """Return the rows that hftbacktest knows as well: level sizes and trades."""
    kinds = {"kind": np.uint8, "side": np.uint8, "flags": np.uint8}
    wide = {"exch_ns": np.int64, "price": np.int32, "qty": np.int32}
    columns: dict[str, Any] = {
        name: np.frombuffer(tape.column(name), dtype) for name, dtype in (kinds | wide).items()
    }
    columns["local_ns"] = (
        np.frombuffer(tape.column("local_ns"), np.int64)
        if tape.has_local
        else columns["exch_ns"] + FEED_NS
    )
    kept = (columns["kind"] == LEVEL) | (columns["kind"] == TRADE)
    return Feed(**{name: values[kept] for name, values in columns.items()})


def measure_recording(recording: Recording, core: int, repeats: int) -> list[Row]:
    """Return its rows; without the file they are absent."""
    names = [
        f"{recording.name}, compiled maker",
        f"{recording.name}, compiled maker, direct",
    ]
    times = f"{recording.name}, direct engine over compiled engine"
    if not recording.path.exists():
        warn(f"NO {recording.name}: {recording.path} is not there (SWEEP_SHARED_DATA names it)")
        why = f"{recording.file} is not at hand"
        return [Row(name=name, absent=why) for name in (*names, times)]
    info = import_recording(recording)
    tape = rustsim.Tape.open(str(info.path))
    parts = [stretch(tape, part.row_start, part.row_stop) for part in info.sessions]
    spec = spec_of(info, tape)
    rows_path = FOLDER / "rows.npy"
    write_hftbacktest(feed_of(tape), rows_path)
    reference = run_peer(HFTBACKTEST, rows_path, core, repeats, 1 << 62, recording.rules)
    rows_path.unlink()
    make = kernel_maker(recording.rules)
    cases = [
        Case(
            name=names[0],
            make=make,
            group=recording.name,
            is_compiled=True,
            bar_ns=recording.bar_ns,
            peer_row="maker",
        ),
        Case(name=names[1], make=make, group=recording.name, peer_row="maker"),
        Case(
            name=f"{recording.name}, maker in plain Python",
            make=plain_maker(recording.rules),
            group=recording.name,
            is_compiled=True,
        ),
    ]
    rows = measure_cases(cases, parts, spec, repeats, {HFTBACKTEST.name: reference})
    share = best_change_share(parts, spec)
    for row in rows:
        row.facts["best_change_share"] = share
    ratio = Row(
        name=times,
        unit="times",
        runs=tuple(slow / fast for fast, slow in zip(rows[0].runs, rows[1].runs, strict=True)),
        bar=recording.times_bar,
        higher_is_better=True,
        is_scaled=False,
    )
    return [*rows, ratio]


def best_change_share(parts: list[Stretch], spec: Mapping[str, Any]) -> float:
    """Return in which share of the events the strategy sees another best price."""
    case = Case(name="idle", make=idle, group="idle", is_compiled=True)
    run = run_case(case, parts, spec)
    wakes = sum(result.wakes for result in run.results)
    return wakes / sum(part.rows for part in parts)
