"""Small sound files of every format that a reader takes, and how each can be damaged."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import polars as pl

from sweep.readers.synthetic import SyntheticOptions
from sweep.synthetic import write_market
from tests.integration.test_shioaji_parquet import day as shioaji_day
from tests.integration.test_shioaji_parquet import write as write_shioaji
from tests.toys.damage import BYTES, LINES, Source, table_damages
from tests.unit import test_taifex_daily as taifex

SEQUENCELESS: Final = "rows have neither number nor checksum"
MOVES_IN_A_GROUP: Final = "rows of one time may stand in any order"


def parquet_damages() -> dict[str, Any]:
    def load(data: bytes) -> pl.DataFrame:
        return pl.read_parquet(io.BytesIO(data))

    def save(frame: pl.DataFrame) -> bytes:
        target = io.BytesIO()
        frame.write_parquet(target)
        return target.getvalue()

    return {**BYTES, **table_damages(load, save)}


def canonical(folder: Path) -> Path:
    path = folder / "market.parquet"
    write_market(path, "SYN", SyntheticOptions(events=300))
    return path


def _written(name: str, write: Callable[[Path], object]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        write(path)
        return path

    return make


SOURCES: Final = (
    Source(
        name="canonical_parquet",
        reader="canonical_parquet",
        instrument="SYN",
        make=canonical,
        damages=parquet_damages(),
        options={"tick_value_minor": 200, "visible_levels": 5},
        unseen={
            "missing_row": SEQUENCELESS,
            "repeated_row": SEQUENCELESS,
            "swapped_rows": MOVES_IN_A_GROUP,
            "missing_column": "local_ns and join may be left out",
        },
    ),
    Source(
        name="shioaji_parquet",
        reader="shioaji_parquet",
        instrument="TXF",
        make=_written("day.parquet", lambda path: write_shioaji(path, shioaji_day())),
        damages=parquet_damages(),
        unseen={
            "flip_bit": "recorded without checksums of pages",
            "missing_row": SEQUENCELESS,
            "repeated_row": SEQUENCELESS,
            "swapped_rows": MOVES_IN_A_GROUP,
        },
    ),
    Source(
        name="taifex_daily",
        reader="taifex_daily",
        instrument="TXF",
        make=_written("Daily.csv", lambda path: taifex.write(path, taifex.day())),
        damages=LINES,
        unseen={
            "missing_row": SEQUENCELESS,
            "repeated_row": SEQUENCELESS,
            "swapped_rows": MOVES_IN_A_GROUP,
        },
    ),
)
