"""Small sound files of every format that a reader takes, and how each can be damaged."""

import gzip
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import polars as pl

from sweep.readers.event_arrays import EVENT_LAYOUT
from sweep.readers.synthetic import SyntheticOptions
from sweep.synthetic import write_market
from tests.integration.test_shioaji_parquet import day as shioaji_day
from tests.integration.test_shioaji_parquet import write as write_shioaji
from tests.toys import databento
from tests.toys.damage import BYTES, LINES, Damage, Source, table_damages
from tests.toys.lobster_day import make_day
from tests.unit import test_binance_raw as binance
from tests.unit import test_bybit_ob as bybit
from tests.unit import test_hftbacktest as hft
from tests.unit import test_shioaji_columns as saved
from tests.unit import test_shioaji_recording as recorded
from tests.unit import test_taifex_daily as taifex
from tests.unit import test_tardis_csv as tardis
from tests.unit import test_twse_fixed as twse

SEQUENCELESS: Final = "rows have neither number nor checksum"
MOVES_IN_A_GROUP: Final = "rows of one time may stand in any order"
CUT_NUMBER: Final = "what is left of a number at the end of a line is a number"
LAST_OF_A_CHAIN: Final = "nothing follows the last update or trade of a file"
UNREAD: Final = "columns that are not used for market data may hold anything"
DIGITS: Final = "a text without checksum: another digit of a time or hidden size is sound"
UNORDERED: Final = {
    "missing_row": SEQUENCELESS,
    "repeated_row": SEQUENCELESS,
    "swapped_rows": MOVES_IN_A_GROUP,
}


def parquet_damages() -> dict[str, Any]:
    def load(data: bytes) -> pl.DataFrame:
        return pl.read_parquet(io.BytesIO(data))

    def save(frame: pl.DataFrame) -> bytes:
        target = io.BytesIO()
        frame.write_parquet(target)
        return target.getvalue()

    return {**BYTES, **table_damages(load, save)}


def array_damages(*, is_archive: bool) -> dict[str, Any]:
    def load(data: bytes) -> pl.DataFrame:
        held = np.load(io.BytesIO(data))
        array = held["data"] if is_archive else held
        return pl.DataFrame({name: array[name] for name in array.dtype.names})

    def save(frame: pl.DataFrame) -> bytes:
        array = np.zeros(frame.height, EVENT_LAYOUT)
        for name in frame.columns:
            array[name] = frame[name].to_numpy()
        target = io.BytesIO()
        if is_archive:
            np.savez_compressed(target, data=array)
        else:
            np.save(target, array)
        return target.getvalue()

    rows = ("missing_row", "repeated_row", "swapped_rows", "nonsense_number")
    return {**BYTES, **table_damages(load, save, rows)}


def gzipped(damages: Mapping[str, Damage]) -> dict[str, Damage]:
    """Return damages of what a gzip file holds; the file around it is sound."""

    def damage(name: str) -> Damage:
        return lambda rng, data: gzip.compress(damages[name](rng, gzip.decompress(data)), 1)

    return {name: damage(name) for name in damages}


def canonical(folder: Path) -> Path:
    path = folder / "market.parquet"
    write_market(path, "SYN", SyntheticOptions(events=300))
    return path


def record_damages(size: int, record_bytes: int) -> dict[str, Damage]:
    """Return damages of a file of records of equal size behind a head of `size` bytes."""

    def on_records(change: Callable[[Random, list[bytes]], None]) -> Damage:
        def damage(rng: Random, data: bytes) -> bytes:
            stops = range(size, len(data), record_bytes)
            records = [data[at : at + record_bytes] for at in stops]
            change(rng, records)
            return data[:size] + b"".join(records)

        return damage

    def missing(rng: Random, records: list[bytes]) -> None:
        del records[rng.randrange(len(records))]

    def repeated(rng: Random, records: list[bytes]) -> None:
        at = rng.randrange(len(records))
        records.insert(at, records[at])

    def swapped(rng: Random, records: list[bytes]) -> None:
        a, b = rng.sample(range(len(records)), 2)
        records[a], records[b] = records[b], records[a]

    return {
        "missing_row": on_records(missing),
        "repeated_row": on_records(repeated),
        "swapped_rows": on_records(swapped),
    }


def recording(folder: Path) -> Path:
    """Return a recording of many small blocks."""
    feed = recorded.Feed(folder)
    for number in range(12):
        feed.book(number * 125, bids=[(20_000, 3 + number), *recorded.BIDS[1:]])
        feed.tick(number * 125 + 5, 20_001, 1 + number % 3)
        feed.recorder.flush()
    return feed.close()


def zipped(folder: Path) -> Path:
    path = folder / "Daily.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(taifex.write(folder / "Daily.csv", taifex.day()), "Daily.csv")
    return path


def _lines(name: str, lines: list[str]) -> Callable[[Path], Path]:
    text = "".join(f"{line}\n" for line in lines).encode()
    return _written(name, lambda path: path.write_bytes(text))


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
            **UNORDERED,
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
            **UNORDERED,
            "flip_bit": "recorded without checksums of pages",
        },
    ),
    Source(
        name="databento",
        reader="databento",
        instrument="ES",
        make=_written(
            "a.dbn.zst",
            lambda path: path.write_bytes(databento.compressed(databento.orders().content())),
        ),
        damages=BYTES,
    ),
    Source(
        name="databento_plain",
        reader="databento",
        instrument="ES",
        make=_written("a.dbn", lambda path: path.write_bytes(databento.orders().content())),
        damages={**BYTES, **record_damages(len(databento.metadata("mbo")), 56)},
        unseen={
            **UNORDERED,
            "flip_bit": "plain files carry no checksum",
            "zero_block": "plain files carry no checksum",
            "truncate": "the end of a packet may be the end of the file",
        },
    ),
    Source(
        name="taifex_daily",
        reader="taifex_daily",
        instrument="TXF",
        make=_written("Daily.csv", lambda path: taifex.write(path, taifex.day())),
        damages=LINES,
        unseen=UNORDERED,
    ),
    Source(
        name="hftbacktest_npz",
        reader="hftbacktest",
        instrument="BTCUSDT",
        make=_written("day.npz", lambda path: hft.save(path, hft.small())),
        damages=array_damages(is_archive=True),
        unseen={**UNORDERED, "nonsense_number": UNREAD},
    ),
    Source(
        name="hftbacktest_npy",
        reader="hftbacktest",
        instrument="BTCUSDT",
        make=_written("day.npy", lambda path: hft.save(path, hft.small())),
        damages=array_damages(is_archive=False),
        unseen={
            **UNORDERED,
            "nonsense_number": UNREAD,
            **dict.fromkeys(BYTES, "an array without checksum: other numbers are sound numbers"),
        },
    ),
    Source(
        name="twse_fixed",
        reader="twse_fixed",
        instrument="2330",
        make=_written("quotes.txt", lambda path: twse.write(path, twse.day())),
        damages=LINES,
        unseen={**UNORDERED, "nonsense_number": "another code is another security's record"},
    ),
    Source(
        name="taifex_zip",
        reader="taifex_daily",
        instrument="TXF",
        make=zipped,
        damages=BYTES,
    ),
    Source(
        name="twse_gzip",
        reader="twse_fixed",
        instrument="2330",
        make=_written(
            "quotes.gz",
            lambda path: path.write_bytes(gzip.compress("\n".join([*twse.day(), ""]).encode())),
        ),
        damages=BYTES,
    ),
    Source(
        name="twse_trades",
        reader="twse_fixed",
        instrument="9945",
        make=_written(
            "trades.txt",
            lambda path: twse.write(
                path, [twse.trade(side, number) for number in range(9) for side in "BS"]
            ),
        ),
        damages=LINES,
        unseen={**UNORDERED, "nonsense_number": "another code is another security's record"},
    ),
    Source(
        name="shioaji_recording",
        reader="shioaji_recording",
        instrument="TXFD6",
        make=recording,
        damages={**BYTES, **gzipped(LINES)},
        unseen={"truncate": "a file that ends with a whole block is one that is still written"},
    ),
    Source(
        name="shioaji_columns_csv",
        reader="shioaji_columns",
        instrument="TXFD6",
        make=_written("day.csv", lambda path: saved.text(path, saved.day())),
        damages=LINES,
        unseen={**UNORDERED, "nonsense_number": UNREAD},
    ),
    Source(
        name="shioaji_columns_parquet",
        reader="shioaji_columns",
        instrument="TXFD6",
        make=_written(
            "day.parquet",
            lambda path: saved.parquet(path, [saved.spread(row) for row in saved.day()]),
        ),
        damages=BYTES,
        unseen={"flip_bit": "written without checksums of pages"},
    ),
    Source(
        name="binance_raw",
        reader="binance_raw",
        instrument="BTCUSDT",
        make=_lines("recording.txt", binance.recording()),
        damages=LINES,
        unseen={"missing_row": LAST_OF_A_CHAIN},
    ),
    Source(
        name="binance_raw_gzip",
        reader="binance_raw",
        instrument="BTCUSDT",
        make=lambda folder: binance.write(folder, binance.recording()),
        damages=BYTES,
    ),
    Source(
        name="tardis_book",
        reader="tardis_csv",
        instrument="BTCUSDT",
        make=_lines("book.csv", tardis.book_lines()),
        damages=LINES,
        unseen={**UNORDERED, "short_line": CUT_NUMBER},
    ),
    Source(
        name="tardis_pair_gzip",
        reader="tardis_csv",
        instrument="BTCUSDT",
        make=tardis.write_both,
        damages=BYTES,
    ),
    Source(
        name="tardis_snapshots",
        reader="tardis_csv",
        instrument="BTCUSDT",
        make=_lines("book.csv", tardis.snapshot_lines()),
        damages=LINES,
        unseen={**UNORDERED, "short_line": CUT_NUMBER},
    ),
    Source(
        name="bybit_ob",
        reader="bybit_ob",
        instrument="XRPUSDT_BYBIT",
        make=_lines(bybit.NAME, bybit.lines()),
        damages=LINES,
        unseen={"missing_row": LAST_OF_A_CHAIN},
    ),
    Source(
        name="bybit_ob_zip",
        reader="bybit_ob",
        instrument="XRPUSDT_BYBIT",
        make=lambda folder: bybit.write(folder, bybit.lines(), f"{bybit.NAME}.zip"),
        damages=BYTES,
    ),
    Source(
        name="lobster",
        reader="lobster",
        instrument="AAPL",
        make=lambda folder: make_day(20, 3, 600).write(folder, 3),
        damages={**BYTES, **LINES},
        unseen={"flip_bit": DIGITS},
    ),
    Source(
        name="lobster_one_level",
        reader="lobster",
        instrument="AAPL",
        make=lambda folder: make_day(21, 1, 600).write(folder, 1),
        damages={**BYTES, **LINES},
        unseen={"flip_bit": DIGITS},
    ),
)
