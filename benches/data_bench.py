"""Speed and size of imports: nanoseconds and bytes per event of each kind of file.

    make bench-data

Prints a table and writes build/bench-data.json. An import is everything from the file to a tape
that was opened and verified: both hashes of the file, decoding, checks, building. CPU time, fastest
of a few runs, since other work on a machine only ever adds. The reference is what polars (of a
`.npz`: numpy) takes to decode the same file into columns and nothing else.

The bar was stated for a machine on which hftbacktest replays 21.3 million events a second; with
HBT_PYTHON it counts in proportion to what that does here and now.
"""

import argparse
import gzip
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benches.feed import Feed, generate, write_hftbacktest
from benches.replay_bench import BUILD, MILLION, PEER_AT_BAR, measure_reference
from benches.report import Figure, show, write
from sweep.data import ensure_tapes
from sweep.readers import READERS, canonical_parquet, make_request
from sweep.readers.ticks import Session, Ticks, make_instrument
from sweep.source import SourceConfig

IMPORT_BAR_NS = 60.0
TAPE_BAR_BYTES = 16.0
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


def prepare(feed: Feed) -> list[Source]:
    """Write the feed in every format."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    names = ("exch_ns", "local_ns", "kind", "side", "flags", "price", "qty")
    ticks = Ticks(
        columns={name: getattr(feed, name) for name in names},
        instrument=make_instrument("TXF", tick_value_minor=200, visible_levels=0),
        sessions=(Session(name="all", row_start=0, row_stop=len(feed)),),
    )
    canonical_parquet.write(FOLDER / "canonical.parquet", ticks)
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
    table.write_parquet(FOLDER / "table.parquet")
    table.write_csv(FOLDER / "table.csv")
    packed = FOLDER / "table.csv.gz"
    packed.write_bytes(gzip.compress((FOLDER / "table.csv").read_bytes(), 4))
    write_hftbacktest(feed, FOLDER / "events.npy")
    np.savez_compressed(FOLDER / "events.npz", data=np.load(FOLDER / "events.npy"))

    def source(file: str, reader: str, decode: Callable[[Path], Any], *, mapped: bool) -> Source:
        return Source(
            name=f"{file} ({reader})",
            path=FOLDER / file,
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


def cpu_ns(work: Callable[[], Any], rows: int, repeats: int) -> tuple[float, ...]:
    """Return CPU nanoseconds per row of each run; a first one warms the page cache."""
    found = []
    for _ in range(repeats + 1):
        before = time.process_time()
        work()
        found.append((time.process_time() - before) * 1e9 / rows)
    return tuple(found[1:])


def measure(source: Source, rows: int, repeats: int, speed: float) -> list[Figure]:
    """Return the figures of one file."""
    config = SourceConfig(
        reader=source.reader, instrument="TXF", paths=(source.path,), options=source.options
    )
    tapes = FOLDER / "tapes"
    sizes = []

    def import_file() -> None:
        shutil.rmtree(tapes, ignore_errors=True)
        (tape,) = ensure_tapes(config, tapes)
        if tape.row_count != rows:
            raise RuntimeError(f"{source.name}: {tape.row_count} rows of {rows}")
        sizes.append(tape.path.stat().st_size)

    def read_file() -> None:
        request = make_request(source.reader, source.path, "TXF", source.options)
        for _ in READERS[source.reader].read(request):
            pass

    imports = cpu_ns(import_file, rows, repeats)
    decodes = cpu_ns(read_file, rows, repeats)
    reference = cpu_ns(lambda: source.decode(source.path), rows, repeats)
    shutil.rmtree(tapes, ignore_errors=True)
    return [
        Figure(
            name=f"import {source.name}",
            value=min(imports),
            unit="ns/event",
            bar=IMPORT_BAR_NS,
            reference=min(reference),
            higher_is_better=False,
            speed=speed,
            runs=imports,
            facts={
                "rows": rows,
                "reader_ns": min(decodes),
                "file_bytes_per_event": source.path.stat().st_size / rows,
                "tape_bytes_per_event": statistics.median(sizes) / rows,
            },
        ),
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
    sources = prepare(generate(given.rows))
    peer = measure_reference(FOLDER / "events.npy", 0, 1)
    speed = peer["replay"]["events_per_s"] / MILLION / PEER_AT_BAR if peer else 1.0
    figures = []
    for source in sources:
        figures += measure(source, given.rows, given.repeats, speed)
        print(f"{source.name}: reader alone {figures[-2].facts['reader_ns']:.1f} ns/event")
    write(figures, given.out)
    show(figures, given.out)
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
