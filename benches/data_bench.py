"""Speed and size of imports: nanoseconds and bytes per event of each kind of file.

    make bench-data

Prints a table and writes build/bench-data.json. An import is everything from the file to a tape
that whoever maps it verifies: both hashes of the file, decoding, checks, building, syncing. The
fastest of a few runs counts, since other work on a machine only ever adds. The reference is what
polars (of a `.npz`: numpy) takes to decode the same file into columns and nothing else. Of packed
files the note behind "reader alone" says what unpacking takes, which no reader can do without.

The bar, "100 million rows in about 10 s" at 60 ns/event, is stated for two cores. Three figures of
each file stand beside it: the CPU time of both threads of an import together, which is what it
costs; the wall time of one file, whose decoding and building overlap; and the wall time over the
rows of two files that `data import` works on at a time, a process each, in which both cores count.
Starting the processes, a second or two whatever the size of the files, is measured with files of a
few rows and taken off, as the bar is about large files; at few rows what is left is noise.

The bar was stated for a machine on which hftbacktest replays 21.3 million events a second; with
HBT_PYTHON it counts in proportion to what that does here and now.
"""

import argparse
import gzip
import os
import shutil
import statistics
import time
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benches.feed import Feed, generate, write_hftbacktest
from benches.peers import BUILD, HFTBACKTEST, run_peer, speed_of
from benches.report import Figure, show, write
from sweep.data import ensure_tapes
from sweep.importing import import_sources
from sweep.naming import NamedSource
from sweep.readers import READERS, canonical_parquet, make_request
from sweep.readers.ticks import Session, Ticks, make_instrument
from sweep.source import SourceConfig

IMPORT_BAR_NS = 60.0
TAPE_BAR_BYTES = 16.0
FEW_ROWS = 1_000
PIECE_BYTES = 1 << 21
PACKED = (".gz", ".npz")
# Of the maker of the reference, whose script measures it as well.
RULES = {
    "half_spread_ticks": 1.5,
    "skew_ticks_per_lot": 0.05,
    "requote_threshold_ticks": 2,
    "position_limit_lots": 50,
}
FOLDER = BUILD / "bench-data"
MAPPING = {
    "time": "time",
    "local_time": "local",
    "kind": "kind",
    "side": "side",
    "price": "price",
    "qty": "qty",
    "trade_side": "resting",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file, how to read it, and what a decoder alone takes."""

    name: str
    path: Path
    reader: str
    decode: Callable[[Path], Any]
    options: dict[str, Any] = field(default_factory=dict)


def prepare(feed: Feed, folder: Path) -> list[Source]:
    """Write the feed in every format."""
    folder.mkdir(parents=True)
    names = ("exch_ns", "local_ns", "kind", "side", "flags", "price", "qty")
    ticks = Ticks(
        columns={name: getattr(feed, name) for name in names},
        instrument=make_instrument("TXF", tick_value_minor=200, visible_levels=0),
        sessions=(Session(name="all", row_start=0, row_stop=len(feed)),),
    )
    canonical_parquet.write(folder / "canonical.parquet", ticks)
    table = pl.DataFrame(
        {
            "time": feed.exch_ns,
            "local": feed.local_ns,
            "kind": np.where(feed.kind == 1, "trade", "level"),
            "side": np.where(feed.side == 0, "bid", "ask"),
            "price": feed.price,
            "qty": feed.qty,
        }
    )
    table.write_parquet(folder / "table.parquet")
    table.write_csv(folder / "table.csv")
    packed = folder / "table.csv.gz"
    packed.write_bytes(gzip.compress((folder / "table.csv").read_bytes(), 4))
    write_hftbacktest(feed, folder / "events.npy")
    np.savez_compressed(folder / "events.npz", data=np.load(folder / "events.npy"))

    def source(file: str, reader: str, decode: Callable[[Path], Any], *, mapped: bool) -> Source:
        return Source(
            name=f"{file} ({reader})",
            path=folder / file,
            reader=reader,
            decode=decode,
            options=MAPPING if mapped else {},
        )

    return [
        source("canonical.parquet", "canonical_parquet", pl.read_parquet, mapped=False),
        source("table.parquet", "generic", pl.read_parquet, mapped=True),
        source("table.csv", "generic", pl.read_csv, mapped=True),
        source("table.csv.gz", "generic", pl.read_csv, mapped=True),
        source("events.npy", "hftbacktest", np.load, mapped=False),
        source("events.npz", "hftbacktest", lambda path: np.load(path)["data"], mapped=False),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Nanoseconds per row of each run."""

    cpu: tuple[float, ...]
    wall: tuple[float, ...]


def timed(work: Callable[[], Any], rows: int, repeats: int) -> Timed:
    """Time some runs; a first one warms the page cache and whatever starts once."""
    cpu, wall = [], []
    for _ in range(repeats + 1):
        before = time.process_time(), time.perf_counter()
        work()
        after = time.process_time(), time.perf_counter()
        cpu.append((after[0] - before[0]) * 1e9 / rows)
        wall.append((after[1] - before[1]) * 1e9 / rows)
    return Timed(cpu=tuple(cpu[1:]), wall=tuple(wall[1:]))


def unpack(path: Path) -> None:
    """Unpack a file as its reader does, and make nothing of it."""
    with ExitStack() as stack:
        if path.suffix == ".npz":
            archive = stack.enter_context(zipfile.ZipFile(path))
            stream: Any = stack.enter_context(archive.open("data.npy"))
        else:
            stream = stack.enter_context(gzip.open(path))
        while stream.read(PIECE_BYTES):
            pass


def config_of(source: Source, path: Path) -> SourceConfig:
    """Return how a file is imported."""
    return SourceConfig(
        reader=source.reader, instrument="TXF", paths=(path,), options=source.options
    )


def time_two(source: Source, tapes: Path, rows: int, repeats: int) -> Timed:
    """Time the import of the file and of its twin at the same time, per row of both."""
    twin = source.path.with_name(f"twin-{source.path.name}")
    twin.unlink(missing_ok=True)
    os.link(source.path, twin)
    named = [NamedSource(config=config_of(source, path), path=path) for path in (source.path, twin)]

    def import_both() -> None:
        shutil.rmtree(tapes, ignore_errors=True)
        tapes.mkdir()
        for found in import_sources(named, tapes, 2, lambda *_: None, lambda _: None):
            if found.problem or len(found.tapes) != 1:
                raise RuntimeError(f"{source.name}: {found.problem}")

    return timed(import_both, 2 * rows, repeats)


def time_two_running(source: Source, few: Source, tapes: Path, rows: int, repeats: int) -> Timed:
    """Return `time_two` less what starting takes, which is the time of files of a few rows."""
    start_ns = min(time_two(few, tapes, FEW_ROWS, repeats).wall) * FEW_ROWS / rows
    two = time_two(source, tapes, rows, repeats)
    return Timed(cpu=two.cpu, wall=tuple(wall - start_ns for wall in two.wall))


def measure(source: Source, few: Source, rows: int, repeats: int, speed: float) -> list[Figure]:
    """Return the figures of one file."""
    tapes = FOLDER / "tapes"
    sizes = []

    def import_file() -> None:
        shutil.rmtree(tapes, ignore_errors=True)
        (tape,) = ensure_tapes(config_of(source, source.path), tapes)
        if tape.row_count != rows:
            raise RuntimeError(f"{source.name}: {tape.row_count} rows of {rows}")
        sizes.append(tape.path.stat().st_size)

    def read_file() -> None:
        request = make_request(source.reader, source.path, "TXF", source.options)
        for _ in READERS[source.reader].read(request):
            pass

    one = timed(import_file, rows, repeats)
    two = time_two_running(source, few, tapes, rows, repeats)
    reading = min(timed(read_file, rows, repeats).cpu)
    is_packed = source.path.suffix in PACKED
    unpacking = min(timed(lambda: unpack(source.path), rows, 1).cpu) if is_packed else 0.0
    reference = timed(lambda: source.decode(source.path), rows, repeats)
    shutil.rmtree(tapes, ignore_errors=True)
    facts = {
        "rows": rows,
        "reader_ns": reading,
        "unpacking_ns": unpacking,
        "file_bytes_per_event": source.path.stat().st_size / rows,
        "tape_bytes_per_event": statistics.median(sizes) / rows,
    }

    def figure(what: str, runs: tuple[float, ...], beside: float | None) -> Figure:
        return Figure(
            name=f"import {source.name}, {what}",
            value=min(runs),
            unit="ns/event",
            bar=IMPORT_BAR_NS,
            reference=beside,
            higher_is_better=False,
            speed=speed,
            runs=runs,
            facts=facts,
        )

    return [
        figure("CPU", one.cpu, min(reference.cpu)),
        figure("wall", one.wall, min(reference.wall)),
        figure("wall of two", two.wall, None),
        Figure(
            name=f"tape of {source.path.name}",
            value=statistics.median(sizes) / rows,
            unit="B/event",
            bar=TAPE_BAR_BYTES,
            reference=source.path.stat().st_size / rows,
            higher_is_better=False,
        ),
    ]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=BUILD / "bench-data.json")
    given = parser.parse_args()
    BUILD.mkdir(exist_ok=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    sources = prepare(generate(given.rows), FOLDER)
    few = prepare(generate(FEW_ROWS), FOLDER / "few")
    rows_path, core = FOLDER / "events.npy", min(os.sched_getaffinity(0))
    peer = run_peer(HFTBACKTEST, rows_path, core, 1, given.rows, RULES, install=True)
    speed = speed_of(peer)
    figures = []
    for source, small in zip(sources, few, strict=True):
        figures += measure(source, small, given.rows, given.repeats, speed)
        reading, unpacking = (figures[-4].facts[name] for name in ("reader_ns", "unpacking_ns"))
        note = f", of which unpacking {unpacking:.1f}" if unpacking else ""
        print(f"{source.name}: reader alone {reading:.1f} ns/event{note}")
    write(figures, given.out)
    show(figures, given.out)
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
