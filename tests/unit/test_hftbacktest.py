"""The reader of hftbacktest's event arrays: what becomes of the rows, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest

from sweep.errors import DataError
from sweep.readers import hftbacktest, read_ticks
from sweep.readers.event_arrays import EVENT_LAYOUT
from sweep.readers.hftbacktest import BUY, CLEAR, DEPTH, EXCHANGE, LOCAL, SELL, SNAPSHOT, TRADE
from sweep.readers.ticks import FLAG_IMAGE, KIND_CLEAR, KIND_LEVEL, KIND_TRADE, Ticks

BOTH: Final = EXCHANGE | LOCAL
START: Final = 1_767_573_900_000_000_000

Event = tuple[int, int, int, float, float]  # ev, exch and local time after START, price, quantity


def events(rows: list[Event]) -> npt.NDArray[Any]:
    made = np.zeros(len(rows), EVENT_LAYOUT)
    for number, (ev, exch, local, px, qty) in enumerate(rows):
        made[number] = (ev, START + exch, START + local, px, qty, 0, 0, 0.0)
    return made


def save(path: Path, rows: list[Event] | npt.NDArray[Any]) -> Path:
    array = rows if isinstance(rows, np.ndarray) else events(rows)
    if path.suffix == ".npz":
        np.savez_compressed(path, data=array)
    else:
        np.save(path, array)
    return path


def read(path: Path, product: str = "BTCUSDT", **settings: Any) -> Ticks:
    return read_ticks("hftbacktest", path, product, **settings)


def rows_of(ticks: Ticks) -> list[tuple[int, ...]]:
    names = ("kind", "side", "flags", "price", "qty")
    return list(zip(*(ticks.columns[name].tolist() for name in names), strict=True))


def small() -> list[Event]:
    return [
        (BOTH | DEPTH | BUY, 0, 5, 100.0, 0.010),
        (BOTH | DEPTH | SELL, 0, 5, 100.3, 0.020),
        (BOTH | TRADE | BUY, 10, 14, 100.3, 0.005),
        (BOTH | DEPTH | SELL, 10, 15, 100.3, 0.015),
        (BOTH | DEPTH | BUY, 20, 26, 100.1, 0.001),
        (BOTH | DEPTH | BUY, 30, 33, 100.1, 0.0),
    ]


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_rows_become_canonical(tmp_path: Path, name: str) -> None:
    ticks = read(save(tmp_path / name, small()))
    assert rows_of(ticks) == [
        (KIND_LEVEL, 0, 0, 1000, 10),
        (KIND_LEVEL, 1, 0, 1003, 20),
        (KIND_TRADE, 1, 0, 1003, 5),
        (KIND_LEVEL, 1, 0, 1003, 15),
        (KIND_LEVEL, 0, 0, 1001, 1),
        (KIND_LEVEL, 0, 0, 1001, 0),
    ]
    assert (ticks.columns["exch_ns"] - START).tolist() == [0, 0, 10, 10, 20, 30]
    assert (ticks.columns["local_ns"] - START).tolist() == [5, 5, 14, 15, 26, 33]
    assert ticks.facts["local_behind_ns"] == {"min": 3, "max": 6}
    assert [session.name for session in ticks.sessions] == ["all"]


def test_uncompressed_archive_is_the_same(tmp_path: Path) -> None:
    np.savez(tmp_path / "b.npz", data=events(small()))
    expected = read(save(tmp_path / "a.npy", small()))
    assert rows_of(read(tmp_path / "b.npz")) == rows_of(expected)


def test_pieces_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(
        tmp_path / "a.npz", doubled() + [(e, 50 + t, 60, p, q) for e, t, _, p, q in small()]
    )
    whole = read(path)
    for size in (1, 2, 3, 5):
        monkeypatch.setattr(hftbacktest, "_PIECE_ROWS", size)
        part = read(path)
        assert rows_of(part) == rows_of(whole)
        assert (part.columns["local_ns"] == whole.columns["local_ns"]).all()
        assert part.facts == whole.facts


def doubled() -> list[Event]:
    """Return a feed whose second message overtook the first on its way to the local side."""
    first = (DEPTH | BUY, 0, 9, 100.0, 0.01)
    second = (DEPTH | SELL, 5, 7, 100.5, 0.02)
    return [
        (EXCHANGE | first[0], *first[1:]),
        (BOTH | second[0], *second[1:]),
        (LOCAL | first[0], *first[1:]),
        (BOTH | DEPTH | BUY, 10, 12, 100.1, 0.03),
    ]


def test_rows_written_twice_count_once(tmp_path: Path) -> None:
    ticks = read(save(tmp_path / "a.npz", doubled()))
    assert [row[3] for row in rows_of(ticks)] == [1000, 1005, 1001]
    # The second message is seen with the first: messages of one feed do not overtake in a replay.
    assert (ticks.columns["local_ns"] - START).tolist() == [9, 9, 12]
    assert ticks.facts["exchange_only"] == ticks.facts["local_only"] == 1


def test_local_side_that_saw_other_rows_is_counted_or_refused(tmp_path: Path) -> None:
    rows = [row for row in doubled() if row[0] & BOTH != LOCAL]
    path = save(tmp_path / "a.npz", rows)
    assert len(rows_of(read(path))) == 3
    with pytest.raises(DataError, match="1 rows are valid for the exchange only, 0 other"):
        read(path, policy={"sides_agree": "error"})


def test_file_without_local_times_has_no_local_clock(tmp_path: Path) -> None:
    rows = [(ev, exch, -START, px, qty) for ev, exch, _, px, qty in small()]
    ticks = read(save(tmp_path / "a.npz", rows))
    assert "local_ns" not in ticks.columns
    assert ticks.facts["local_clock"] is False


def test_snapshot_after_a_clear_becomes_differences(tmp_path: Path) -> None:
    rows = [
        *small(),
        (BOTH | CLEAR | BUY, 40, 41, 99.0, 0.0),
        (BOTH | SNAPSHOT | BUY, 40, 41, 100.0, 0.010),  # as it was
        (BOTH | SNAPSHOT | BUY, 40, 41, 99.5, 0.007),  # new
        (BOTH | CLEAR | SELL, 40, 41, 101.0, 0.0),
        (BOTH | SNAPSHOT | SELL, 40, 41, 100.4, 0.002),  # 100.3 is gone
    ]
    ticks = read(save(tmp_path / "a.npz", rows))
    assert rows_of(ticks)[6:] == [
        (KIND_LEVEL, 1, FLAG_IMAGE, 1003, 0),
        (KIND_LEVEL, 0, FLAG_IMAGE, 995, 7),
        (KIND_LEVEL, 1, FLAG_IMAGE, 1004, 2),
    ]
    assert ticks.facts["rows_added"] == -2


def test_clear_of_one_side_reaches_up_to_its_price(tmp_path: Path) -> None:
    rows = [
        (BOTH | DEPTH | BUY, 0, 1, 100.0, 0.01),
        (BOTH | DEPTH | BUY, 0, 1, 99.0, 0.01),
        (BOTH | DEPTH | SELL, 0, 1, 101.0, 0.01),
        (BOTH | CLEAR | BUY, 5, 6, 99.5, 0.0),
        (BOTH | TRADE | SELL, 6, 7, 99.0, 0.001),
        (BOTH | CLEAR, 7, 8, 0.0, float("nan")),
    ]
    ticks = read(save(tmp_path / "a.npz", rows))
    assert rows_of(ticks)[3:] == [
        (KIND_LEVEL, 0, FLAG_IMAGE, 1000, 0),
        (KIND_TRADE, 0, 0, 990, 1),
        (KIND_CLEAR, 0, 0, 0, 0),
    ]


# --- feeds by order -------------------------------------------------------------------------------

ADD, CANCEL, MODIFY, FILL = 10, 11, 12, 13
Order = tuple[int, int, float, float, int]  # ev, time after START, price, quantity, id


def by_order(rows: list[Order]) -> npt.NDArray[Any]:
    made = events([(BOTH | ev, time, time + 5, px, qty) for ev, time, px, qty, _ in rows])
    made["order_id"] = [row[4] for row in rows]
    return made


def orders() -> list[Order]:
    return [
        (CLEAR, 0, 0.0, 0.0, 0),
        (ADD | BUY, 0, 100.0, 0.005, 1),
        (ADD | BUY, 1, 100.0, 0.003, 2),
        (ADD | SELL, 2, 100.5, 0.004, 3),
        # A seller takes 0.002 from order 1: trade, fill, then the book loses them.
        (TRADE | SELL, 10, 100.0, 0.002, 99),
        (FILL | BUY, 10, 100.0, 0.002, 1),
        (MODIFY | BUY, 10, 100.0, 0.003, 1),
        (MODIFY | BUY, 20, 100.0, 0.007, 1),  # larger: behind order 2
        (CANCEL | BUY, 30, 100.0, 0.003, 2),
        (TRADE | BUY, 40, 100.2, 0.001, 98),  # no fill: a print between the best prices
        (CANCEL | SELL, 50, float("nan"), 0.0, 3),
    ]


def test_orders_become_rows_with_joins(tmp_path: Path) -> None:
    ticks = read(save(tmp_path / "a.npz", by_order(orders())))
    joins = ticks.columns["join"].tolist()
    found = [(*row[:2], *row[3:], join) for row, join in zip(rows_of(ticks), joins, strict=True)]
    assert found == [
        (KIND_CLEAR, 0, 0, 0, 0),
        (KIND_LEVEL, 0, 1000, 5, 0),
        (KIND_LEVEL, 0, 1000, 8, 0),
        (KIND_LEVEL, 1, 1005, 4, 0),
        (KIND_TRADE, 0, 1000, 2, 2),  # joined by row 1, counted from 1
        (KIND_LEVEL, 0, 1000, 3, 2),  # leaves its place ...
        (KIND_LEVEL, 0, 1000, 10, 0),  # ... and joins the back
        (KIND_LEVEL, 0, 1000, 7, 3),
        (KIND_TRADE, 1, 1002, 1, 0),
        (KIND_LEVEL, 1, 1005, 0, 4),
    ]
    assert (ticks.columns["local_ns"] - ticks.columns["exch_ns"] == 5).all()
    assert ticks.facts["trades_told_by_fills"] == 1
    assert ticks.facts["orders"]["fifo_share"] == 1.0


def test_pieces_of_orders_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.npy", by_order(orders()))
    whole = read(path)
    for size in (2, 5):  # the kind of a file is told by its first rows
        monkeypatch.setattr(hftbacktest, "_PIECE_ROWS", size)
        part = read(path)
        assert rows_of(part) == rows_of(whole)
        assert (part.columns["join"] == whole.columns["join"]).all()


@pytest.mark.parametrize(
    ("row", "change", "words"),
    [
        (1, {"px": float("nan")}, "row 1: expected a price on the grid"),
        (1, {"qty": 0.0}, "row 1: expected a whole number of lots of 0.001, at least one"),
        (2, {"order_id": 1}, "row 2: order 1: stands already"),
        (2, {"ev": BOTH | DEPTH | BUY}, "row 2: expected add, cancel, modify, fill"),
        (2, {"ev": BOTH | ADD}, "row 2: expected add, cancel, modify, fill"),
        (0, {"ev": BOTH | CLEAR | BUY}, "row 0: expected add, cancel, modify, fill"),
    ],
)
def test_bad_orders_are_refused(
    tmp_path: Path, row: int, change: dict[str, Any], words: str
) -> None:
    made = by_order(orders())
    for name, value in change.items():
        made[name][row] = value
    with pytest.raises(DataError, match=words):
        read(save(tmp_path / "bad.npy", made))


# --- what is refused ------------------------------------------------------------------------------


def replaced(row: int, **changes: Any) -> Callable[[], npt.NDArray[Any]]:
    def make() -> npt.NDArray[Any]:
        rows = events(small())
        for name, value in changes.items():
            rows[name][row] = value
        return rows

    return make


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (replaced(3, px=np.nan), r"row 3: expected a price on the grid of 0\.1, found nan"),
        (replaced(3, px=np.inf), r"row 3: expected a price on the grid"),
        (replaced(3, px=100.25), r"row 3: expected a price on the grid of 0\.1, found 100\.25"),
        (replaced(3, px=100.3 + 1e-7), r"row 3: expected a price on the grid"),
        (replaced(3, px=1e300), r"row 3: expected a price on the grid"),
        (replaced(3, px=-100.3), r"row 3: expected a price above 0"),
        (replaced(3, px=0.0), r"row 3: expected a price above 0"),
        (replaced(3, qty=0.0005), r"row 3: expected a whole number of lots of 0\.001"),
        (replaced(3, qty=-1.0), r"row 3: expected a whole number of lots"),
        (replaced(3, qty=np.nan), r"row 3: expected a whole number of lots"),
        (replaced(3, qty=1e12), r"row 3: expected a whole number of lots"),
        (replaced(2, qty=0.0), r"row 2: expected a trade of at least one lot"),
        (replaced(3, ev=BOTH | DEPTH), r"row 3: expected depth"),
        (replaced(3, ev=BOTH | DEPTH | BUY | SELL), r"row 3: expected depth"),
        (replaced(3, ev=BOTH | 5 | BUY), r"row 3: expected depth"),
        (replaced(3, ev=BOTH | DEPTH | BUY | 1 << 40), r"row 3: expected depth"),
        (replaced(3, ev=DEPTH | BUY), r"row 3: expected a row valid for the exchange"),
        (replaced(3, exch_ts=START - 1), r"row 3: exch_ts is before"),
        (replaced(3, exch_ts=-1), r"row 3: expected exch_ts as nanoseconds"),
        (replaced(5, exch_ts=7_300_000_000_000_000_000), r"row 5: expected exch_ts as nanoseconds"),
        (replaced(3, local_ts=0), r"row 3: expected local_ts within a day"),
        (replaced(3, local_ts=-(1 << 63)), r"row 3: expected local_ts within a day"),
        (lambda: events([]), r"holds no row"),
    ],
)
@pytest.mark.parametrize("name", ["bad.npy", "bad.npz"])
def test_bad_rows_are_refused(
    tmp_path: Path, make: Callable[[], npt.NDArray[Any]], words: str, name: str
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read(save(tmp_path / name, make()))
    assert name in str(caught.value)


def test_policy_drops_what_it_may(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npy", replaced(3, ev=BOTH | 5 | BUY)())
    assert len(rows_of(read(path, policy={"known_event": "drop"}))) == 5
    path = save(tmp_path / "a.npy", replaced(2, qty=0.0)())
    assert len(rows_of(read(path, policy={"trade_lots": "drop"}))) == 5


def test_prices_are_exact_up_to_what_floats_do(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npy", replaced(1, px=1003 * 0.1)())  # 100.30000000000001
    assert rows_of(read(path))[1][3] == 1003


def test_other_arrays_are_refused(tmp_path: Path) -> None:
    old = tmp_path / "old.npz"
    np.savez(old, data=np.zeros((5, 6)))
    with pytest.raises(DataError, match=r"old\.npz: .*hftbacktest 1\.x"):
        read(old)
    other = tmp_path / "other.npz"
    np.savez(other, rows=events(small()))
    with pytest.raises(DataError, match=r"expected an array 'data', found rows\.npy"):
        read(other)
    fields = tmp_path / "fields.npy"
    np.save(fields, np.zeros(3, [("ev", "<u8"), ("exch_ts", "<i8")]))
    with pytest.raises(DataError, match="expected the fields of hftbacktest 2"):
        read(fields)


def damages(content: bytes) -> list[bytes]:
    cuts = [content[:length] for length in (0, 5, 60, len(content) // 2, len(content) - 1)]
    return [*cuts, content + b"more", b"\x00" * len(content)]


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_damaged_files_are_refused(tmp_path: Path, name: str) -> None:
    content = save(tmp_path / name, small() * 1).read_bytes()
    bad = tmp_path / f"bad{Path(name).suffix}"
    for damaged in damages(content):
        bad.write_bytes(damaged)
        if name.endswith("npz") and damaged[:-4] == content:
            # Bytes behind a zip archive are allowed by its format, and change nothing.
            assert rows_of(read(bad)) == rows_of(read(tmp_path / name))
            continue
        with pytest.raises(DataError, match=bad.name):
            read(bad)


def test_flipped_bits_of_an_archive_are_never_silent(tmp_path: Path) -> None:
    good = save(tmp_path / "a.npz", small())
    expected = rows_of(read(good))
    content = good.read_bytes()
    bad = tmp_path / "bad.npz"
    for place in range(len(content)):
        for bit in (0, 5):
            changed = bytearray(content)
            changed[place] ^= 1 << bit
            bad.write_bytes(changed)
            refusal = ""
            try:
                assert rows_of(read(bad)) == expected, place
            except DataError as error:
                refusal = str(error)
            assert not refusal or "bad.npz" in refusal
