"""Recordings larger than the memory: what a reader holds does not grow with the file."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

import pytest

START_MS: Final = 1_700_000_000_000
FRONT: Final = "binance-futures,BTCUSDT"

# Reads a file and prints the most memory that the process ever held, in MB.
READ: Final = """
import resource, sys
from pathlib import Path
from sweep.readers import make_request, read_rows
path = Path(sys.argv[2])
for _ in read_rows(sys.argv[1], make_request(sys.argv[1], path, "BTCUSDT")):
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def levels(rng: Random, *, best: int, step: int) -> str:
    return ",".join(
        f'["{best + step * rng.randrange(200)}.0","{rng.randrange(5_000) / 1_000:.3f}"]'
        for _ in range(10)
    )


def binance(path: Path, messages: int) -> None:
    rng = Random(1)
    with path.open("w", encoding="utf-8") as file:
        sides = '"bids":[["60000.0","1.000"]],"asks":[["60010.0","1.000"]]'
        head = f'{{"lastUpdateId":0,"E":{START_MS},"T":{START_MS},{sides}}}'
        file.write(f"{START_MS + 1}000000 {head}\n")
        for number in range(messages):
            at = START_MS + number * 2
            ids = f'"U":{number + 1},"u":{number + 1},"pu":{number}'
            bids = levels(rng, best=60_000, step=-1)
            book = f'"b":[{bids}],"a":[{levels(rng, best=60_010, step=1)}]'
            data = f'{{"e":"depthUpdate","E":{at},"T":{at},"s":"BTCUSDT",{ids},{book}}}'
            file.write(f"{at + 1}000000 {data}\n")


def tardis(path: Path, messages: int) -> None:
    rng = Random(1)
    header = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
    with path.open("w", encoding="utf-8") as file:
        file.write(f"{header}\n")
        for number in range(messages * 12):
            at = START_MS + number // 4
            side = ("bid,59", "ask,61")[number % 2]
            rest = f"{str(number < 4).lower()},{side}{rng.randrange(999):03}.5,{rng.randrange(9)}"
            file.write(f"{FRONT},{at}000,{at + 1}000,{rest}\n")


def peak_mb(reader: str, path: Path) -> int:
    command = [sys.executable, "-c", READ, reader, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=250)
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(("reader", "write"), [("binance_raw", binance), ("tardis_csv", tardis)])
def test_memory_does_not_grow_with_the_file(
    tmp_path: Path, reader: str, write: Callable[[Path, int], None]
) -> None:
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    write(small, 40_000)
    write(large, 200_000)
    sizes = [path.stat().st_size >> 20 for path in (small, large)]
    assert sizes[0] >= 16
    peaks = [peak_mb(reader, path) for path in (small, large)]
    assert peaks[1] - peaks[0] < (sizes[1] - sizes[0]) / 5, (sizes, peaks)
