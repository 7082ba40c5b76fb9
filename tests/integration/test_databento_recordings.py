"""The Databento reader on recordings: against the official decoder and an order book kept apart."""

import heapq
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import databento_dbn
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from sweep.data import ensure_tapes
from sweep.readers import READERS, make_request
from sweep.readers.dbn_file import RECORD_KINDS, DbnFile
from sweep.readers.ticks import (
    FLAG_INDICATIVE,
    FLAG_OUT_OF_VIEW,
    KIND_CLEAR,
    KIND_LEVEL,
    KIND_TRADE,
    Ticks,
    collect,
)
from sweep.source import SourceConfig

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("SWEEP_SHARED_DATA", ROOT.parent / "shared" / "data"))
FOLDER = SHARED / "cme_es_mbo"
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"the recordings of {FOLDER} are not here (SWEEP_SHARED_DATA)"
)

SNAPSHOT: Final = "esh4-glbx-mdp3-20231224.mbo.dbn.zst"
ORDERS: Final = "esh4-glbx-mdp3-20231225.mbo.dbn.zst"
IMAGES: Final = "futures_mbp-1_2024-07-01.dbn.zst"
TRADES: Final = "futures_trades_2024-07-01.dbn.zst"
NAMES: Final = (SNAPSHOT, ORDERS, IMAGES, TRADES)
# 2023-12-25 23:00 UTC, when the market opens.
OPEN_NS: Final = 1_703_545_200_000_000_000
TICK: Final = 250_000_000
# Typed as numbers, which they are not.
AS_IS: Final[Any] = databento_dbn.VersionUpgradePolicy.AS_IS

Values = npt.NDArray[Any]


@cache
def decoded(name: str) -> Values:
    """Return all records of a file as this project decodes them."""
    file = DbnFile(FOLDER / name)
    kind = RECORD_KINDS[str(file.metadata.schema)]
    records = np.concatenate([found for _, _, found in file.records(kind, None)])
    file.close()
    return records


@cache
def official(name: str) -> list[Any]:
    """Return metadata and records as the official decoder does."""
    decoder = databento_dbn.DBNDecoder(
        upgrade_policy=AS_IS, compression=databento_dbn.Compression.from_str("zstd")
    )
    decoder.write((FOLDER / name).read_bytes())
    return decoder.decode()


@cache
def read(name: str) -> tuple[Ticks, dict[str, Any]]:
    request = make_request("databento", FOLDER / name, "ES")
    ticks = collect(READERS["databento"].read(request))
    return ticks, request.audit.report()


# --- against the official decoder -----------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_metadata_equal_those_of_the_official_decoder(name: str) -> None:
    file = DbnFile(FOLDER / name)
    ours, theirs = file.metadata, official(name)[0]
    file.close()
    assert (ours.version, ours.dataset, ours.start_ns) == (1, theirs.dataset, theirs.start)
    assert (ours.schema, ours.end_ns, ours.limit) == (str(theirs.schema), theirs.end, theirs.limit)
    assert (ours.stype_in, ours.stype_out) == (str(theirs.stype_in), str(theirs.stype_out))
    assert ours.has_ts_out == theirs.ts_out
    assert list(ours.symbols) == theirs.symbols
    assert list(ours.partial) == theirs.partial
    assert list(ours.not_found) == theirs.not_found
    mapped = [
        (symbol, interval["start_date"], interval["end_date"], interval["symbol"])
        for symbol, intervals in theirs.mappings.items()
        for interval in intervals
    ]
    assert [(m.symbol, m.since, m.until, m.target) for m in ours.mappings] == mapped


@pytest.mark.parametrize("name", NAMES)
def test_records_equal_those_of_the_official_decoder(name: str) -> None:
    ours, theirs = decoded(name), official(name)[1:]
    assert len(ours) == len(theirs)
    assert ours.tobytes() == b"".join(bytes(record) for record in theirs)
    names = [field for field in ours.dtype.names or () if field not in ("length", "levels")]
    for field in names:
        values = [getattr(record, field) for record in theirs]
        if field in ("action", "side"):
            values = [ord(str(value)) for value in values]
        expected = np.array([int(value) for value in values], ours.dtype[field])
        assert np.array_equal(ours[field], expected), field
    assert {record.record_size() for record in theirs} == {ours.dtype.itemsize}
    if "levels" in (ours.dtype.names or ()):
        for field in ours.dtype["levels"].base.names or ():
            values = [[getattr(level, field) for level in record.levels] for record in theirs]
            assert np.array_equal(ours["levels"][field], np.array(values)), field


# --- facts ----------------------------------------------------------------------------------------


def test_facts_of_the_order_recording() -> None:
    records = decoded(ORDERS)
    assert len(records) == 68_792
    assert ((records["flags"] & 32) > 0).sum() == 8_725
    assert (records["flags"][:8_725] == 40).all()
    assert (np.diff(records["ts_event"].astype(np.int64)) >= 0).all()
    assert (np.diff(records["ts_recv"].astype(np.int64)) >= 0).all()
    assert (records["price"] % TICK == 0).all()
    ticks, checks = read(ORDERS)
    facts = ticks.facts
    assert (facts["records"], facts["snapshot_orders"], facts["symbol"]) == (68_792, 8_725, "ESH4")
    assert facts["dbn_version"] == 1
    assert facts["auctions_ns"] == [[0, OPEN_NS]]
    assert facts["auction_lots"] == 44
    broken = {name: entry["count"] for name, entry in checks.items() if entry["count"]}
    assert broken == {"excess": 27, "not_front": 534}
    assert facts["orders"]["executions"] == 6_229
    assert facts["orders"]["executions_front"] == 5_695
    # Lots of icebergs beyond those displayed.
    assert facts["orders"]["prints_inside"] == 25
    assert facts["orders"]["prints_beside"] == 2
    assert facts["orders"]["orders_left"] == 11_217


def test_facts_of_the_snapshot() -> None:
    records = decoded(SNAPSHOT)
    assert len(records) == 8_725
    assert set(records["action"].tolist()) == {ord("A")}
    assert (records["flags"][:-1] == 40).all()
    assert records["flags"][-1] == 168
    ticks, checks = read(SNAPSHOT)
    assert not any(entry["count"] for entry in checks.values())
    assert ticks.columns["kind"].tolist() == [KIND_CLEAR] + [KIND_LEVEL] * 8_725
    assert len(set(ticks.columns["exch_ns"].tolist())) == 1


def test_trades_are_those_of_the_images() -> None:
    images, trades = decoded(IMAGES), decoded(TRADES)
    assert (len(images), len(trades)) == (2_288, 120)
    told = images[images["action"] == ord("T")]
    for field in ("ts_event", "ts_recv", "price", "size", "side", "sequence", "flags"):
        assert np.array_equal(told[field], trades[field]), field
    rows = [
        list(zip(*(ticks.columns[name][is_trade].tolist() for name in names), strict=True))
        for ticks in (read(IMAGES)[0], read(TRADES)[0])
        for names in [("exch_ns", "local_ns", "side", "price", "qty")]
        for is_trade in [ticks.columns["kind"] == KIND_TRADE]
    ]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 120
    assert read(TRADES)[0].facts["queue_position"].startswith("not knowable")


# --- rows against books kept apart ----------------------------------------------------------------


class Levels:
    """Lots by price of one side; the best price comes from a heap that forgets lazily."""

    def __init__(self, sign: int) -> None:
        self.lots: dict[int, int] = {}
        self._sign = sign
        self._heap: list[int] = []

    def put(self, price: int, lots: int) -> None:
        if price not in self.lots:
            heapq.heappush(self._heap, self._sign * price)
        self.lots[price] = lots

    def best(self) -> tuple[int, int]:
        while self._heap:
            price = self._sign * self._heap[0]
            if self.lots[price] > 0:
                return price, self.lots[price]
            heapq.heappop(self._heap)
            del self.lots[price]
        return 0, 0


def quotes_of_rows(ticks: Ticks) -> dict[int, tuple[int, int, int, int]]:
    """Return best bid, its lots, best ask, its lots after each exchange time, by the rows."""
    found = {}
    book = (Levels(-1), Levels(1))
    names = ("exch_ns", "kind", "side", "flags", "price", "qty")
    columns = [ticks.columns[name].tolist() for name in names]
    ends = [*columns[0][1:], -1]
    for at, kind, side, flags, price, qty, following in zip(*columns, ends, strict=True):
        levels = book[side]
        if kind == KIND_CLEAR:
            book = (Levels(-1), Levels(1))
        elif kind == KIND_LEVEL:
            levels.put(price, qty)
        elif not flags & FLAG_INDICATIVE:
            levels.put(price, max(0, levels.lots.get(price, 0) - qty))
        if at != following:
            found[at] = (*book[0].best(), *book[1].best())
    return found


def quotes_of_orders(records: Values) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
    """Yield time and best quotes after each packet: orders alone, trades and fills ignored."""
    orders: dict[int, tuple[str, int, int]] = {}
    book = {"B": Levels(-1), "A": Levels(1)}

    def change(side: str, price: int, lots: int) -> None:
        book[side].put(price, book[side].lots.get(price, 0) + lots)

    names = ("ts_event", "action", "side", "order_id", "price", "size", "flags")
    for at, action, side, order_id, price, size, flags in zip(
        *(records[name].tolist() for name in names), strict=True
    ):
        kind, tick = chr(action), price // TICK
        if kind in "CM":
            known, stood, lots = orders.pop(order_id)
            change(known, stood, -lots)
            stands = (known, stood, lots - size) if kind == "C" else (known, tick, size)
        elif kind == "A":
            stands = (chr(side), tick, size)
        if kind in "ACM" and stands[2]:
            orders[order_id] = stands
            change(*stands)
        if flags & 128:
            yield at, (*book["B"].best(), *book["A"].best())


def test_best_quotes_of_rows_are_those_of_the_orders() -> None:
    expected = dict(quotes_of_orders(decoded(ORDERS)))
    found = quotes_of_rows(read(ORDERS)[0])
    trading = {at: quotes for at, quotes in expected.items() if at > OPEN_NS}
    assert len(trading) > 40_000
    assert {at: found[at] for at in trading} == trading
    # The recording is crossed before the open, and never after it.
    crossed = [at for at, (bid, _, ask, _) in expected.items() if bid >= ask]
    assert crossed
    assert max(crossed) < OPEN_NS


def test_rows_are_indicative_before_the_open_only() -> None:
    columns = read(ORDERS)[0].columns
    is_indicative = (columns["flags"] & FLAG_INDICATIVE) > 0
    assert np.array_equal(is_indicative, columns["exch_ns"] <= OPEN_NS)
    assert not (is_indicative & (columns["kind"] == KIND_TRADE)).any()


def test_executions_name_the_row_by_which_their_order_joined() -> None:
    columns = read(ORDERS)[0].columns
    is_trade = columns["kind"] == KIND_TRADE
    assert (is_trade & (columns["join"] == 0)).sum() == 25  # hidden lots of icebergs
    rows = np.flatnonzero(is_trade & (columns["join"] > 0))
    joins = columns["join"][rows].astype(np.int64) - 1
    assert (joins >= 0).all()
    assert (joins < rows).all()
    for name in ("price", "side"):
        assert np.array_equal(columns[name][joins], columns[name][rows])
    assert (columns["kind"][joins] == KIND_LEVEL).all()


def test_levels_of_rows_are_the_images() -> None:
    records = decoded(IMAGES)
    last = np.flatnonzero(np.append(np.diff(records["ts_event"]) != 0, values=[True]))
    level = records["levels"][last, 0]
    expected = {
        at: (bid // TICK, bid_lots, ask // TICK, ask_lots)
        for at, bid, bid_lots, ask, ask_lots in zip(
            records["ts_event"][last].tolist(),
            *(level[name].tolist() for name in ("bid_px", "bid_sz", "ask_px", "ask_sz")),
            strict=True,
        )
    }
    ticks = read(IMAGES)[0]
    found = quotes_of_rows(ticks)
    assert set(found) <= set(expected)
    standing = None
    for at, quotes in expected.items():
        standing = found.get(at, standing)
        assert standing == quotes
    is_out = (ticks.columns["flags"] & FLAG_OUT_OF_VIEW) > 0
    assert 0 < is_out.sum() < 100


@pytest.mark.parametrize("name", NAMES)
def test_a_tape_is_built(name: str, tmp_path: Path) -> None:
    source = SourceConfig(reader="databento", instrument="ES", paths=(FOLDER / name,))
    tape = ensure_tapes(source, tmp_path)[0]
    assert tape.row_count == read(name)[0].row_count
    assert tape.instrument["tick_value_minor"] == 1_250


def test_plain_files_read_as_compressed_ones(tmp_path: Path) -> None:
    content = pa.CompressedInputStream(pa.OSFile(str(FOLDER / ORDERS)), "zstd").read()
    path = tmp_path / "a.dbn"
    path.write_bytes(content)
    ticks = collect(READERS["databento"].read(make_request("databento", path, "ES")))
    for name, values in read(ORDERS)[0].columns.items():
        assert np.array_equal(ticks.columns[name], values), name
