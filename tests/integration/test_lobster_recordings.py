"""The LOBSTER reader on recordings: the facts that were checked by hand, and a book kept apart."""

import itertools
import os
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pytest

from sweep.data import ensure_tapes
from sweep.readers import make_request, read_rows
from sweep.readers.ticks import FLAG_IMAGE, KIND_CLEAR, KIND_LEVEL, KIND_TRADE, Ticks, collect
from sweep.source import SourceConfig

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("SWEEP_SHARED_DATA", ROOT.parent / "shared" / "data"))
APPLE, GOOGLE = SHARED / "lobster_aapl", SHARED / "lobster_goog"
pytestmark = pytest.mark.skipif(
    not (APPLE.is_dir() and GOOGLE.is_dir()),
    reason=f"the recordings of {SHARED} are not here (SWEEP_SHARED_DATA)",
)

TEN: Final = "AAPL_2012-06-21_message_10_first_999_rows.csv.zst"
TEN_BOOK: Final = "AAPL_2012-06-21_orderbook_10_first_999_rows.csv.zst"
FIFTY: Final = "AAPL_2012-06-21_34200000_36600000_message_50.csv.zst"
BEST: Final = "AAPL_2012-06-21_orderbook_1_first_19959_rows.csv.zst"
ONE: Final = "GOOG_2012-06-21_34200000_57600000_message_1.csv.zst"
# 09:30 in New York, which is four hours behind UTC in June.
OPEN_NS: Final = 1_340_285_400_000_000_000

FIFTY_OPTIONS: Final = {"orderbook": "none", "seed": TEN_BOOK, "best_states": BEST}


@cache
def read(folder: Path, name: str) -> tuple[Ticks, dict[str, int]]:
    """Return the ticks of a file, and how often each broken rule was broken."""
    options: dict[str, Any] = dict(FIFTY_OPTIONS) if name == FIFTY else {}
    instrument = name.split("_", 1)[0]
    request = make_request("lobster", folder / name, instrument, options)
    ticks = collect(read_rows("lobster", request))
    report = request.audit.report()
    return ticks, {rule: found["count"] for rule, found in report.items() if found["count"]}


def messages(folder: Path, name: str) -> pl.DataFrame:
    names = ["time", "type", "order_id", "size", "price", "direction"]
    return pl.read_csv(folder / name, has_header=False, new_columns=names)


def test_ten_levels_hold_against_every_row_of_the_orderbook() -> None:
    ticks, broken = read(APPLE, TEN)
    assert ticks.facts["lines"] == 999
    # Both files of this excerpt lack their last line end; nothing else is odd in them.
    assert broken == {"cut_line": 2}
    orders = ticks.facts["orders"]
    assert (orders["executions"], orders["executions_anonymous"]) == (90, 8)
    assert orders["fifo_share"] == 1.0
    book = pl.read_csv(APPLE / TEN_BOOK, has_header=False).to_numpy()
    times = messages(APPLE, TEN)["time"].to_numpy()
    is_last = np.append(np.diff(times) > 0, True)
    assert best_quotes(ticks) == book[is_last][:, [2, 3, 0, 1]].tolist()


def best_quotes(ticks: Ticks) -> list[list[int]]:
    """Replay the rows in the plainest way; bid, lots, ask, lots after each time."""
    names = ("exch_ns", "kind", "side", "price", "qty")
    rows = list(zip(*(ticks.columns[name].tolist() for name in names), strict=True))
    book: list[dict[int, int]] = [{}, {}]
    found = []
    for number, (at, kind, side, price, qty) in enumerate(rows):
        if kind == KIND_CLEAR:
            book = [{}, {}]
        elif kind == KIND_LEVEL:
            book[side][price] = qty
        elif book[side].get(price):
            book[side][price] -= qty
        if number + 1 < len(rows) and rows[number + 1][0] == at:
            continue
        bid = max(price for price, lots in book[0].items() if lots)
        ask = min(price for price, lots in book[1].items() if lots)
        found.append([bid * 100, book[0][bid], ask * 100, book[1][ask]])
    return found


def changes(states: list[list[int]]) -> list[list[int]]:
    return [state for before, state in itertools.pairwise([[], *states]) if state != before]


def test_fifty_levels_have_the_facts_that_were_checked_by_hand() -> None:
    ticks, broken = read(APPLE, FIFTY)
    facts = ticks.facts
    assert facts["lines"] == 65_718
    counts = {"adds": 31_571, "reduces": 333, "deletes": 28_986, "executions": 3_110}
    assert facts["messages"] == counts | {"hidden": 1_718, "crosses": 0, "halts": 0}
    states = facts["best_states"]
    assert (states["rows"], states["distinct"]) == (19_959, 18_241)
    assert round(states["share"], 3) == 0.999
    assert round(facts["orders"]["fifo_share"], 3) == 0.994
    assert facts["orders"]["prints_beside"] == 1
    assert broken == {"unknown_order": 34, "not_front": 19, "hidden_off_grid": 17}
    assert ticks.instrument["visible_levels"] == 50
    times = ticks.columns["exch_ns"]
    assert OPEN_NS < times[0] <= times[-1] < OPEN_NS + 40 * 60 * 10**9
    assert (np.diff(times) >= 0).all()


def test_joins_of_fifty_levels_name_the_orders_of_the_file() -> None:
    ticks, _ = read(APPLE, FIFTY)
    told = messages(APPLE, FIFTY)
    columns = ticks.columns
    rows = np.flatnonzero((columns["flags"] & FLAG_IMAGE == 0) & (columns["kind"] != KIND_CLEAR))
    # Lines and rows pair by time, side, price and what they do; lines without a row are few.
    at_ns = np.rint(told["time"].to_numpy() * 1e9).astype(np.int64) + OPEN_NS - 34_200 * 10**9
    order_id, kind = told["order_id"].to_numpy(), told["type"].to_numpy()
    price, side = told["price"].to_numpy() // 100, told["direction"].to_numpy() < 0
    order_of_row: dict[int, int] = {}
    line = checked = 0
    for row in rows.tolist():
        is_trade = columns["kind"][row] == KIND_TRADE
        while not (
            at_ns[line] == columns["exch_ns"][row]
            and price[line] == columns["price"][row]
            and side[line] == columns["side"][row]
            and is_trade == (kind[line] >= 4)
        ):
            line += 1
        order_of_row[row] = int(order_id[line])
        join = int(columns["join"][row])
        if join:
            assert order_of_row[join - 1] == order_id[line], (row, line)
            checked += 1
        line += 1
    assert checked > 32_000


def test_one_level_tells_no_queue_and_executes_at_the_best_price() -> None:
    ticks, broken = read(GOOGLE, ONE)
    assert ticks.facts["lines"] == 49_482
    orders = ticks.facts["orders"]
    # All but the first, which stands on line 1: the row before it is not told.
    assert orders["executions"] == orders["executions_at_best"] == 7_764
    assert broken == {"hidden_off_grid": 50}
    assert "join" not in ticks.columns
    assert "not reconstructible" in ticks.facts["queue"]
    trades = int((ticks.columns["kind"] == KIND_TRADE).sum())
    assert trades == 7_765 + orders["prints_inside"]
    book = pl.read_csv(GOOGLE / ONE.replace("message", "orderbook"), has_header=False).to_numpy()
    times = messages(GOOGLE, ONE)["time"].to_numpy()
    is_last = np.append(np.diff(times) > 0, True)
    # Messages that change nothing make no row.
    assert changes(best_quotes(ticks)) == changes(book[is_last][:, [2, 3, 0, 1]].tolist())


def test_tapes_are_built_of_all_three(tmp_path: Path) -> None:
    for folder, name in ((APPLE, TEN), (APPLE, FIFTY), (GOOGLE, ONE)):
        source = SourceConfig(
            reader="lobster",
            instrument=name.split("_", 1)[0],
            paths=(folder / name,),
            options=dict(FIFTY_OPTIONS) if name == FIFTY else {},
        )
        (tape,) = ensure_tapes(source, tmp_path)
        assert tape.row_count == read(folder, name)[0].row_count
        assert [session.name for session in tape.sessions] == ["2012-06-21"]
