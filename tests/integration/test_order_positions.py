"""The queue model l3 on recordings by order: no error in the place of any order one can follow.

A tape from Python, the replay of all its orders as own ones in Rust, and for AAPL the orders of the
message file once more, by their numbers and in lists.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pytest

import rustsim
from sweep.data import TapeInfo, ensure_tapes
from sweep.source import SourceConfig

ROOT: Final = Path(__file__).resolve().parents[2]
SHARED: Final = Path(os.environ.get("SWEEP_SHARED_DATA", ROOT.parent / "shared" / "data"))
APPLE: Final = SHARED / "lobster_aapl"
MESSAGES: Final = APPLE / "AAPL_2012-06-21_34200000_36600000_message_50.csv.zst"
OPENING: Final = APPLE / "AAPL_2012-06-21_orderbook_10_first_999_rows.csv.zst"
ES: Final = SHARED / "cme_es_mbo" / "esh4-glbx-mdp3-20231225.mbo.dbn.zst"
LEVELS: Final = 10
ADD, REDUCE, DELETE, EXECUTE = 1, 2, 3, 4


def tape_of(reader: str, instrument: str, path: Path, cache: Path, **options: Any) -> TapeInfo:
    if not path.exists():
        pytest.skip(f"No recording at {path}: set SWEEP_SHARED_DATA to the data folder")
    if shutil.which("cargo") is None:
        pytest.skip("No cargo: the replay of all orders is a Rust test")
    source = SourceConfig(reader=reader, instrument=instrument, paths=(path,), options=options)
    (tape,) = ensure_tapes(source, cache)
    return tape


def replay_ghosts(tape: TapeInfo) -> str:
    """Put an own order in the place of every recorded one; return the summary."""
    manifest = str(ROOT / "rustsim" / "Cargo.toml")
    command = ["cargo", "test", "--locked", "--manifest-path", manifest, "--test", "ghosts"]
    done = subprocess.run(
        [*command, "--", "--ignored", "--exact", "ghosts_stand_where_recorded_orders_stood"],
        env=os.environ | {"SWEEP_GHOST_TAPE": str(tape.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "1 passed" in done.stdout
    return Path(f"{tape.path}.ghosts").read_text()


def test_places_of_es_orders_have_no_error(tmp_path: Path) -> None:
    summary = replay_ghosts(tape_of("databento", "ES", ES, tmp_path))
    assert "27986 orders" in summary
    ghosts, moved = re.findall(r"(\d+) ghosts|(\d+) moved", summary)
    assert int(ghosts[0]) > 26_000
    assert int(moved[1]) > 80_000
    assert "\n0 errors" in summary


def test_places_of_aapl_orders_are_those_of_the_message_file(tmp_path: Path) -> None:
    options = {"orderbook": "none", "seed": OPENING.name}
    tape = tape_of("lobster", "AAPL", MESSAGES, tmp_path, **options)
    summary = replay_ghosts(tape)
    assert "31217 ghosts, not placed {}, 0 ended early" in summary
    assert "\n0 errors" in summary
    ends = np.loadtxt(f"{tape.path}.ends", dtype=np.int64, delimiter=",")
    ends = ends[np.argsort(ends[:, 1])]
    opened = rustsim.Tape.open(str(tape.path))
    price = np.frombuffer(opened.column("price"), np.int32)[ends[:, 1]]
    side = np.frombuffer(opened.column("side"), np.uint8)[ends[:, 1]]
    found = list(zip(side.tolist(), price.tolist(), ends[:, 2].tolist(), strict=True))
    assert found == ends_by_number()


def opening_queues() -> dict[tuple[int, int], list[list[int]]]:
    """Return the opening levels, each with its lots under the number 0."""
    book = pl.read_csv(OPENING, has_header=False).row(0)
    first = pl.read_csv(APPLE / OPENING.name.replace("orderbook", "message"), has_header=False)
    queues: dict[tuple[int, int], list[list[int]]] = {}
    for level in range(LEVELS):
        ask, ask_lots, bid, bid_lots = book[4 * level : 4 * level + 4]
        queues[1, ask // 100] = [[0, ask_lots]]
        queues[0, bid // 100] = [[0, bid_lots]]
    # The first line's message is in the picture already.
    _, kind, _, lots, price, direction = first.row(0)
    assert kind == ADD
    queues[int(direction < 0), price // 100][0][1] -= lots
    return queues


def ends_by_number() -> list[tuple[int, int, int]]:
    """Return side, price and lots ahead of every order that leaves whole, line by line."""
    queues = opening_queues()
    ends = []
    for line in pl.read_csv(MESSAGES, has_header=False).iter_rows():
        _, kind, number, lots, price, direction = line
        key = (int(direction < 0), price // 100)
        queue = queues.setdefault(key, [])
        if kind == ADD:
            queue.append([number, lots])
            continue
        if kind not in (REDUCE, DELETE, EXECUTE):
            continue
        place = next((at for at, order in enumerate(queue) if order[0] == number), None)
        if place is None:
            # From before the file; those in levels that the picture did not show are left out.
            if queue and queue[0][0] == 0 and queue[0][1] >= lots:
                queue[0][1] -= lots
            continue
        queue[place][1] -= lots
        if queue[place][1] == 0:
            ends.append((*key, sum(order[1] for order in queue[:place])))
            del queue[place]
    return ends
