"""A real five-level recording, told again as messages of the feed, recorded and read back."""

import datetime
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.readers import READERS, make_request, read_ticks
from sweep.readers.ticks import (
    FLAG_INDICATIVE,
    KIND_CLEAR,
    KIND_LEVEL,
    KIND_TRADE,
    SIDE_BID,
    Ticks,
    collect,
)
from sweep.recorder import Recorder

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("SWEEP_SHARED_DATA", ROOT.parent / "shared" / "data"))
RECORDING = SHARED / "taifex_l2" / "TXO35000Q6_2026-04-17_replay_actual.parquet"
TAIPEI = datetime.timezone(datetime.timedelta(hours=8))
LATENCY_NS = 12_000_000

Book = dict[tuple[int, int], int]
Told = list[tuple[int, bool, list[tuple[int, int, int]], Book]]


def told(ticks: Ticks) -> Told:
    """Return time, trial matching, trades and standing levels of each group of rows."""
    names = ("exch_ns", "kind", "side", "flags", "price", "qty")
    standing: Book = {}
    found: Told = []
    for ns, kind, side, flags, price, qty in zip(
        *(ticks.columns[name].tolist() for name in names), strict=True
    ):
        if not found or found[-1][0] != ns:
            found.append((ns, bool(flags & FLAG_INDICATIVE), [], {}))
        if kind == KIND_CLEAR:
            standing.clear()
        elif kind == KIND_TRADE:
            found[-1][2].append((side, price, qty))
        elif qty:
            standing[(side, price)] = qty
        else:
            standing.pop((side, price), None)
        found[-1] = (*found[-1][:3], dict(standing))
    return found


def levels(book: Book, side: int) -> list[tuple[int, int]]:
    found = [(price, qty) for (its_side, price), qty in book.items() if its_side == side]
    return sorted(found, reverse=side == SIDE_BID)


@pytest.mark.skipif(not RECORDING.is_file(), reason=f"no real recording {RECORDING}")
def test_a_real_day_goes_through_the_recorder_unchanged(tmp_path: Path) -> None:
    direct = read_ticks("shioaji_parquet", RECORDING, "TXO")
    groups = told(direct)
    now = [groups[0][0]]
    total = 0

    def clock() -> tuple[int, int]:
        return now[0] + LATENCY_NS - 5, now[0] + LATENCY_NS

    recorder = Recorder(tmp_path, clock=clock, flush_seconds=1.0)
    messages = 0
    for ns, is_trial, trades, book in groups:
        now[0] = ns
        moment = datetime.datetime.fromtimestamp(ns // 1_000_000_000, TAIPEI)
        shown = moment.replace(microsecond=ns % 1_000_000_000 // 1_000, tzinfo=None)
        head = {"code": "TXO35000Q6", "datetime": shown, "simtrade": is_trial}
        for side, price, qty in trades:
            total += 0 if is_trial else qty
            recorder.message(
                "TickFOPv1",
                head
                | {
                    "close": Decimal(price) / 10,
                    "volume": qty,
                    "total_volume": total,
                    "tick_type": 2 if side == SIDE_BID else 1,
                },
            )
        fields: dict[str, Any] = {}
        for side, name in enumerate(("bid", "ask")):
            shown_levels = levels(book, side)
            fields[f"{name}_price"] = [Decimal(price) / 10 for price, _ in shown_levels]
            fields[f"{name}_volume"] = [qty for _, qty in shown_levels]
        recorder.message("BidAskFOPv1", head | fields)
        messages += len(trades) + 1
    recorder.close()
    columns: list[Any] = []
    found: Told = []
    for path in sorted(tmp_path.iterdir()):
        request = make_request("shioaji_recording", path, "TXO35000Q6")
        ticks = collect(READERS["shioaji_recording"].read(request))
        assert not [name for name, entry in request.audit.report().items() if entry["count"]]
        found += told(ticks)
        columns.append(ticks.columns)
        messages -= sum(ticks.facts["messages"].values())
    assert messages == 0
    # A picture equal to the one before, without a trade, makes no row.
    expected = [
        group
        for before, group in zip([None, *groups], groups, strict=False)
        if before is None or group[2] or group[3] != before[3]
    ]
    assert [group[2] for group in found if group[2]] == [g[2] for g in expected if g[2]]
    books = {group[0]: group[3] for group in groups}
    assert all(books[group[0]] == group[3] for group in found)
    missing = {group[0] for group in expected} - {group[0] for group in found}
    assert not missing
    late = np.concatenate([part["local_ns"] - part["exch_ns"] for part in columns])
    assert (late == LATENCY_NS).all()
    assert sum((part["kind"] == KIND_LEVEL).sum() for part in columns) > 10_000
