"""Files five times larger than a memory limit are imported under that limit.

Counted is private memory of the whole process (RssAnon: what nobody else maps and no file backs),
sampled every few milliseconds; pages of files and of the mapped tape can be dropped by the kernel
at any time. The kernel itself enforces the limit where the libraries in use let it: RLIMIT_DATA
counts address space, of which Arrow's allocator reserves a gigabyte whatever it uses.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pytest

from sweep.readers.canonical_parquet import METADATA_KEY
from sweep.readers.event_arrays import EVENT_LAYOUT
from sweep.readers.hftbacktest import BUY, DEPTH, EXCHANGE, LOCAL, SELL, TRADE

ROOT: Final = Path(__file__).resolve().parents[2]
MB: Final = 1_000_000
START: Final = 1_767_573_900_000_000_000
BLOCK_ROWS: Final = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What one import took."""

    code: int
    private_bytes: int
    said: str


def run_import(
    path: Path, runs: Path, arguments: list[str], data_limit: int | None = None
) -> Import:
    """Import a file in a process of its own and watch its private memory."""

    def limit() -> None:
        if data_limit is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (data_limit, data_limit))

    command = [sys.executable, "-m", "sweep", "data", "import", str(path), "--instrument", "TXF"]
    process = subprocess.Popen(
        [*command, *arguments, "--runs-dir", str(runs)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"},
        preexec_fn=limit,
    )
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break  # it ended in between
        found = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")]
        peak = max(peak, int(found[0]) * 1024 if found else 0)
        time.sleep(0.003)
    _, said = process.communicate(timeout=280)
    return Import(code=process.returncode, private_bytes=peak, said=said)


def block(number: int) -> dict[str, Any]:
    """Return half a million rows of a market that goes on from block to block."""
    rng = np.random.default_rng(number)
    rows = BLOCK_ROWS
    times = START + (number * rows + np.arange(rows)) * 1_000_000
    side = rng.integers(0, 2, rows)
    traded = rng.random(rows) < 0.1
    distance = rng.integers(1, 60, rows)
    return {
        "time": times,
        "local": times + 1_000 * rng.integers(1, 400, rows).cumsum() % 900_000,
        "traded": traded,
        "side": side,
        "price": 20_000 + np.where(side == 0, -distance, distance),
        "qty": rng.integers(1, 400, rows),
    }


def write_csv(path: Path, size: int) -> None:
    number = 0
    with path.open("wb") as file:
        while file.tell() < size:
            rows = block(number)
            words = {
                "time": rows["time"],
                "kind": np.where(rows["traded"], "trade", "depth"),
                "side": np.where(rows["side"] == 0, "bid", "ask"),
                "price": rows["price"],
                "qty": rows["qty"],
            }
            pl.DataFrame(words).write_csv(file, include_header=number == 0)
            number += 1


def write_npy(path: Path, size: int) -> None:
    blocks = -(-size // (BLOCK_ROWS * EVENT_LAYOUT.itemsize))
    shape = (blocks * BLOCK_ROWS,)
    header = {"descr": EVENT_LAYOUT.descr, "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for number in range(blocks):
            file.write(events(number).tobytes())


def write_npz(path: Path, size: int) -> None:
    import zipfile

    array = path.with_suffix(".npy")
    write_npy(array, size)
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(array, "data.npy")
    array.unlink()


def events(number: int) -> Any:
    rows = block(number)
    made = np.zeros(BLOCK_ROWS, EVENT_LAYOUT)
    kind = np.where(rows["traded"], TRADE, DEPTH)
    side = np.where((rows["side"] == 0) != rows["traded"], BUY, SELL)
    made["ev"] = (kind | side).astype(np.uint64) | np.uint64(EXCHANGE | LOCAL)
    made["exch_ts"] = made["local_ts"] = rows["time"]
    made["px"], made["qty"] = rows["price"], rows["qty"]
    return made


def write_parquet(path: Path, size: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    document = b'{"instrument": {"tick_value_minor": 1}}'
    writer = None
    number = 0
    while writer is None or path.stat().st_size < size:
        rows = block(number)
        columns = {
            "exch_ns": rows["time"],
            "kind": rows["traded"].astype(np.uint8),
            "side": rows["side"].astype(np.uint8),
            "flags": np.zeros(BLOCK_ROWS, np.uint8),
            "price": rows["price"].astype(np.int32),
            "qty": rows["qty"].astype(np.int32),
        }
        table = pa.table(columns)
        if writer is None:
            schema = table.schema.with_metadata({METADATA_KEY: document})
            writer = pq.ParquetWriter(path, schema, compression="none", use_dictionary=False)
        writer.write_table(table.replace_schema_metadata({METADATA_KEY: document}))
        number += 1
    writer.close()


MAPPING: Final = [
    f"--set={option}"
    for option in (
        "time=time",
        "kind=kind",
        "side=side",
        "price=price",
        "qty=qty",
        "trade_side=resting",
    )
]
Writer = Callable[[Path, int], None]
FORMATS: Final[dict[str, tuple[str, Writer, list[str], int]]] = {
    # file, writer, how to read it, limit of private memory
    "csv": ("a.csv", write_csv, ["--reader", "generic", *MAPPING], 50 * MB),
    "npy": ("a.npy", write_npy, ["--reader", "hftbacktest"], 130 * MB),
    "npz": ("a.npz", write_npz, ["--reader", "hftbacktest"], 130 * MB),
    "parquet": ("a.parquet", write_parquet, ["--reader", "canonical_parquet"], 150 * MB),
}


def imported(folder: Path, name: str, data_limit: int | None = None) -> tuple[int, Import]:
    """Import a file of five times the limit and return its size and what that took."""
    file, write, arguments, limit = FORMATS[name]
    path = folder / file
    write(path, 5 * (data_limit or limit))
    size = path.stat().st_size
    done = run_import(path, folder / "runs", arguments, data_limit)
    path.unlink()
    assert done.code == 0, done.said
    return size, done


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="NOT TESTED: needs /proc")
def test_text_of_five_times_the_limit_is_imported(tmp_path: Path) -> None:
    size, done = imported(tmp_path, "csv")
    assert 0 < done.private_bytes <= FORMATS["csv"][3] <= size / 5


@pytest.mark.slow
@pytest.mark.parametrize("name", list(FORMATS))
def test_file_of_five_times_the_limit_is_imported(tmp_path: Path, name: str) -> None:
    size, done = imported(tmp_path, name)
    assert 0 < done.private_bytes <= FORMATS[name][3] <= size / 5


@pytest.mark.slow
def test_kernel_enforces_the_limit_on_text(tmp_path: Path) -> None:
    """Goal: private address space of the process, libraries and stacks included, is limited."""
    limit = 160 * MB
    size, _ = imported(tmp_path, "csv", data_limit=limit)
    assert size >= 5 * limit


@pytest.mark.slow
def test_limit_is_felt(tmp_path: Path) -> None:
    """Goal: the limit above is real; a process that takes more than it fails."""
    code = "x = bytearray(200_000_000); print(len(x))"
    limit = 160 * MB
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
    )
    assert done.returncode != 0
    assert b"MemoryError" in done.stderr
