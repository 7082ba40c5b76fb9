"""The LOBSTER reader: on recordings of a market whose every order is known, and on broken ones."""

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.data import ensure_tapes
from sweep.errors import DataError, InputError
from sweep.readers import lobster, make_request, number_tables, read_rows, read_ticks
from sweep.readers.ticks import (
    FLAG_IMAGE,
    FLAG_INDICATIVE,
    FLAG_OUT_OF_VIEW,
    KIND_CLEAR,
    KIND_LEVEL,
    KIND_TRADE,
    Ticks,
    collect,
)
from sweep.source import SourceConfig
from tests.toys.lobster_day import TICK, Day, make_day, write_lines

STEPS = 3_000
# 2012-06-21 in New York is four hours behind UTC.
MIDNIGHT_NS = 1_340_251_200_000_000_000


def views(ticks: Ticks, levels: int) -> list[list[int]]:
    """Replay rows in the plainest way and return the view after each time, as LOBSTER writes it."""
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
        if number + 1 == len(rows) or rows[number + 1][0] != at:
            found.append(view(book, levels))
    return found


def view(book: list[dict[int, int]], levels: int) -> list[int]:
    sides = [
        sorted((p for p, lots in book[side].items() if lots), reverse=side == 0)[:levels]
        for side in (0, 1)
    ]
    row = []
    for level in range(levels):
        for side, nothing in ((1, 9_999_999_999), (0, -9_999_999_999)):
            prices = sides[side]
            shown = level < len(prices)
            row += [prices[level] * TICK, book[side][prices[level]]] if shown else [nothing, 0]
    return row


def last_books(day: Day) -> list[list[int]]:
    """Return the last row of the orderbook at each time."""
    times = [message[0] for message in day.messages]
    return [
        book
        for number, book in enumerate(day.books)
        if number + 1 == len(times) or times[number + 1] != times[number]
    ]


@pytest.mark.parametrize("levels", [2, 5, 10])
@pytest.mark.parametrize("seed", [1, 2])
def test_rows_make_the_book_of_every_line(tmp_path: Path, seed: int, levels: int) -> None:
    day = make_day(seed, levels, STEPS)
    ticks = read_ticks("lobster", day.write(tmp_path, levels), "AAPL")
    assert views(ticks, levels) == last_books(day)
    orders = ticks.facts["orders"]
    assert orders["fifo_share"] == 1.0
    assert orders["levels_came"] > 10
    assert orders["prints_inside"] == sum(message[1] == 5 for message in day.messages)
    assert ticks.instrument["visible_levels"] == levels
    assert ticks.facts["lines"] == len(day.messages)


@pytest.mark.parametrize("seed", [3, 4])
def test_joins_name_the_row_by_which_the_removed_order_came(tmp_path: Path, seed: int) -> None:
    day = make_day(seed, 5, STEPS)
    ticks = read_ticks("lobster", day.write(tmp_path, 5), "AAPL")
    columns = ticks.columns
    # Which message made a row: messages of equal times stand in order, and make one row each
    # beside those of their picture.
    own = (columns["flags"] & FLAG_IMAGE == 0) & (columns["kind"] != KIND_CLEAR)
    rows = np.flatnonzero(own)
    assert len(rows) == len(day.messages)
    order_of_row = {int(row): day.messages[line][2] for line, row in enumerate(rows)}
    known = 0
    for line, row in enumerate(rows.tolist()):
        join = int(columns["join"][row])
        if line in day.removed and join:
            known += 1
            assert order_of_row[join - 1] == day.removed[line][0]
            assert day.messages[[*rows].index(join - 1)][1] == 1
        elif line not in day.removed:
            assert join == 0
    assert known > 0.5 * len(day.removed)
    assert (columns["join"][~own] == 0).all()


def test_one_level_becomes_a_level_2_tape(tmp_path: Path) -> None:
    day = make_day(5, 1, STEPS)
    ticks = read_ticks("lobster", day.write(tmp_path, 1), "AAPL")
    assert "join" not in ticks.columns
    assert views(ticks, 1) == last_books(day)
    orders = ticks.facts["orders"]
    assert orders["executions"] == orders["executions_at_best"] > 100
    assert "not reconstructible" in ticks.facts["queue"]
    trades = ticks.columns["kind"] == KIND_TRADE
    assert trades.sum() == sum(message[1] in (4, 5) for message in day.messages)


def test_chunks_do_not_show_in_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = {levels: make_day(6, levels, 500).write(tmp_path, levels) for levels in (1, 5)}
    whole = {levels: read_ticks("lobster", path, "AAPL") for levels, path in paths.items()}
    monkeypatch.setattr(lobster, "_CHUNK_LINES", 7)
    monkeypatch.setattr(number_tables, "_BLOCK_BYTES", 1_000)
    for levels, path in paths.items():
        request = make_request("lobster", path, "AAPL")
        chunks = list(read_rows("lobster", request))
        assert len(chunks) > 10
        parts = read_ticks("lobster", path, "AAPL")
        for name, values in whole[levels].columns.items():
            assert np.array_equal(parts.columns[name], values), name
        assert parts.facts == whole[levels].facts


@pytest.mark.parametrize(
    ("date", "offset_h"),
    [("2012-06-21", 4), ("2012-01-17", 5), ("2024-03-08", 5), ("2024-03-11", 4)],
)
def test_times_are_of_new_york(tmp_path: Path, date: str, offset_h: int) -> None:
    path = make_day(1, 2, 5).write(tmp_path, 2, f"TEST_{date}")
    at = read_ticks("lobster", path, "AAPL").columns["exch_ns"][0]
    day_ns = np.datetime64(date, "ns").astype(np.int64)
    seconds = float(path.read_text(encoding="utf-8").split(",", 1)[0])
    assert at == day_ns + offset_h * 3_600 * 10**9 + round(seconds * 1e9)


def pack(path: Path, suffix: str) -> None:
    data = path.read_bytes()
    target = path.with_name(path.name + suffix)
    if suffix == ".gz":
        target.write_bytes(gzip.compress(data))
    elif suffix == ".zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(path.name, data)
    else:
        import pyarrow as pa

        with pa.CompressedOutputStream(str(target), "zstd") as stream:
            stream.write(data)
    path.unlink()


@pytest.mark.parametrize("suffix", [".gz", ".zip", ".zst"])
def test_packed_files_are_read_and_damage_is_named(tmp_path: Path, suffix: str) -> None:
    day = make_day(7, 3, 400)
    path = day.write(tmp_path, 3)
    plain = read_ticks("lobster", path, "AAPL")
    book = tmp_path / path.name.replace("message", "orderbook")
    pack(path, suffix)
    assert lobster.companions(Path(f"{path}{suffix}"), lobster.LobsterOptions()) == (book,)
    pack(book, suffix)
    packed = path.with_name(path.name + suffix)
    ticks = read_ticks("lobster", packed, "AAPL")
    for name, values in plain.columns.items():
        assert np.array_equal(ticks.columns[name], values), name
    packed.write_bytes(packed.read_bytes()[:-200])
    with pytest.raises(DataError, match=path.name):
        read_ticks("lobster", packed, "AAPL")


def test_halts_are_flagged_until_trading_resumes(tmp_path: Path) -> None:
    day = make_day(8, 3, 300)
    for place, price in ((60, 1), (50, 0), (40, -1)):
        day.messages.insert(place, (day.messages[place - 1][0], 7, 0, 0, price, -1))
        day.books.insert(place, day.books[place - 1])
    day.messages.append((day.messages[-1][0], 6, -1, 500, 500_000, 1))
    day.books.append(day.books[-1])
    ticks = read_ticks("lobster", day.write(tmp_path, 3), "AAPL")
    flags = ticks.columns["flags"] & FLAG_INDICATIVE > 0
    rows = np.flatnonzero(flags)
    assert len(rows) > 15
    assert (np.diff(rows) == 1).all()  # one run, with the row that pauses first
    first = rows[0]
    assert (ticks.columns["kind"][first], ticks.columns["qty"][first]) == (KIND_LEVEL, 0)
    at = [MIDNIGHT_NS + round(float(day.messages[line][0]) * 1e9) for line in (40, 51, 62)]
    assert [halt["exch_ns"] for halt in ticks.facts["halts"]] == at
    assert [halt["state"] for halt in ticks.facts["halts"]] == [
        "halted",
        "quoting resumes",
        "trading resumes",
    ]
    assert ticks.facts["messages"]["crosses"] == 1
    assert ticks.facts["cross_shares"] == 500
    assert views(ticks, 3)[-1] == day.books[-1]


def test_messages_alone_need_no_orderbook(tmp_path: Path) -> None:
    day = make_day(9, 30, 1_500)  # so many levels that nothing is out of view
    path = day.write(tmp_path, 30)
    full = read_ticks("lobster", path, "AAPL")
    assert full.facts["orders"]["levels_left"] == 0
    (tmp_path / path.name.replace("message", "orderbook")).rename(tmp_path / "seed.csv")
    with pytest.raises(DataError, match="no orderbook file lies beside it"):
        read_ticks("lobster", path, "AAPL")
    options = {"orderbook": "none", "seed": "seed.csv", "best_states": "seed.csv"}
    seeded = read_ticks("lobster", path, "AAPL", options=options)
    for name, values in full.columns.items():
        assert np.array_equal(seeded.columns[name], values), name
    states = seeded.facts["best_states"]
    assert states["share"] == 1.0
    assert states["distinct"] == states["found_in_order"] > 300
    alone = read_ticks("lobster", path, "AAPL", options={"orderbook": "none"})
    checks = checks_of(path, {"orderbook": "none"})
    assert checks["unknown_order"] > 10
    assert alone.facts["opening_book"] == "empty"
    named = read_ticks("lobster", path, "AAPL", options={"orderbook": "seed.csv"})
    assert named.facts == full.facts


def checks_of(path: Path, options: dict[str, Any] | None = None) -> dict[str, int]:
    """Return how often each rule is broken, where the rule knows a milder action than error."""
    request = make_request("lobster", path, "AAPL", options or {}, is_check=True)
    collect(read_rows("lobster", request))
    return {rule: found["count"] for rule, found in request.audit.report().items()}


def test_levels_that_leave_the_view_are_flagged(tmp_path: Path) -> None:
    ticks = read_ticks("lobster", make_day(10, 2, 1_000).write(tmp_path, 2), "AAPL")
    out = ticks.columns["flags"] & FLAG_OUT_OF_VIEW > 0
    assert out.sum() == ticks.facts["orders"]["levels_left"] > 10
    assert (ticks.columns["qty"][out] == 0).all()


Change = Callable[[Day], object]


def edit(line: int, column: int, value: object) -> Change:
    def change(day: Day) -> None:
        message: list[Any] = list(day.messages[line - 1])
        message[column] = value
        day.messages[line - 1] = tuple(message)

    return change


def edit_book(line: int, column: int, value: int) -> Change:
    def change(day: Day) -> None:
        day.books[line - 1][column] = value

    return change


ERRORS: list[tuple[str, Change]] = [
    ("line 7: the time is before the one above", edit(7, 0, "34199.5")),
    ("line 7: expected seconds of one day, found nan", edit(7, 0, "nan")),
    ("line 7: expected seconds of one day", edit(7, 0, "86400")),
    ("line 7: expected a type from 1 to 7, found 8", edit(7, 1, 8)),
    ("line 7: expected a size above 0, found 0", edit(7, 3, 0)),
    ("line 7: expected a size above 0", edit(7, 3, 1 << 40)),
    ("line 7: expected a direction, 1 or -1, found 0", edit(7, 5, 0)),
    ("line 7: expected a price", edit(7, 4, -100)),
    ("line 7: expected fewer than", edit(7, 4, (1 << 40) - 76)),
    ("line 7: the price is not on the tick grid, found 500050", edit(7, 4, 500_050)),
    ("line 7: expected 6 numbers divided by commas", edit(7, 2, "x")),
    ("line 7: expected 6 numbers divided by commas", edit(7, 2, "1,2")),
    ("line 7: expected 6 numbers divided by commas", edit(7, 2, 1 << 70)),
    ("line 1: expected 6 or 7 columns of a message file", edit(1, 2, "1,2,3")),
    ("line 9 of .*orderbook.*: not a row of levels", edit_book(9, 1, -5)),
    ("line 9 of .*orderbook.*: a price off the tick grid", edit_book(9, 0, 500_001)),
    ("line 9 of .*orderbook.*: levels are not in order", edit_book(9, 0, 900_000)),
    ("line 9: order .*the book after it is another than the one told", edit_book(9, 1, 77)),
    ("line 201 of .*orderbook.*: .*message_3.csv ends here", lambda day: day.messages.pop()),
    ("line 201 of .*message_3.csv: .*orderbook_3.csv ends here", lambda day: day.books.pop()),
]


@pytest.mark.parametrize(("words", "change"), ERRORS, ids=lambda value: str(value)[:40])
def test_broken_lines_are_refused_with_their_place(
    tmp_path: Path, words: str, change: Change
) -> None:
    day = make_day(11, 3, 600)
    del day.messages[201:], day.books[201:]
    change(day)
    with pytest.raises(DataError, match=words):
        read_ticks("lobster", day.write(tmp_path, 3), "AAPL")


def test_a_book_that_differs_is_believed_if_told_so(tmp_path: Path) -> None:
    day = make_day(12, 3, 600)
    day.books[99] = [*day.books[99]]
    day.books[99][1] += 30
    path = day.write(tmp_path, 3)
    policy = {"image_mismatch": "repair", "unknown_order": "drop"}
    ticks = read_ticks("lobster", path, "AAPL", policy=policy)
    assert views(ticks, 3) == last_books(day)
    assert checks_of(path)["image_mismatch"] in (1, 2)  # the line, and the one that is right again


def test_rules_with_other_actions_count(tmp_path: Path) -> None:
    day = make_day(13, 3, 400)
    hidden = [line for line, message in enumerate(day.messages) if message[1] == 5]
    edit(hidden[0] + 1, 4, day.messages[hidden[0]][4] + 50)(day)
    day.messages.pop()
    path = day.write(tmp_path, 3)
    path.write_text(path.read_text(encoding="utf-8").rstrip("\n"), encoding="utf-8")
    checks = checks_of(path)
    broken = {rule for rule, count in checks.items() if count}
    assert broken == {"hidden_off_grid", "line_count", "cut_line"}


def test_options_must_fit(tmp_path: Path) -> None:
    path = make_day(1, 2, 20).write(tmp_path, 2)
    with pytest.raises(InputError, match="orderbook: none only"):
        read_ticks("lobster", path, "AAPL", options={"seed": "x.csv"})
    undated = path.rename(tmp_path / "message_2.csv")
    with pytest.raises(InputError, match="states no day"):
        read_ticks("lobster", undated, "AAPL", options={"orderbook": "none"})
    options = {"orderbook": "none", "date": "2012-06-21"}
    assert read_ticks("lobster", undated, "AAPL", options=options).row_count > 3
    with pytest.raises(InputError, match="is no day"):
        read_ticks("lobster", undated, "AAPL", options=options | {"date": "June"})
    with pytest.raises(DataError, match="cannot be opened"):
        read_ticks("lobster", undated, "AAPL", options=options | {"seed": "missing.csv"})
    single = undated.rename(tmp_path / "message_1.csv")
    with pytest.raises(DataError, match="one level alone tells no book"):
        read_ticks("lobster", single, "AAPL", options=options)
    write_lines(single, [])
    with pytest.raises(DataError, match="the file is empty"):
        read_ticks("lobster", single, "AAPL", options=options)


def test_a_tape_depends_on_its_orderbook_too(tmp_path: Path) -> None:
    day = make_day(14, 2, 200)
    path = day.write(tmp_path, 2)
    source = SourceConfig(reader="lobster", instrument="AAPL", paths=(path,))
    first = ensure_tapes(source, tmp_path / "tapes")[0]
    assert ensure_tapes(source, tmp_path / "tapes")[0].path == first.path
    write_lines(tmp_path / path.name.replace("message", "orderbook"), day.books[:-1])
    shorter = SourceConfig(
        reader="lobster", instrument="AAPL", paths=(path,), check={"line_count": "drop"}
    )
    assert ensure_tapes(shorter, tmp_path / "tapes")[0].path != first.path


def test_a_broker_in_a_seventh_column_is_left_out(tmp_path: Path) -> None:
    day = make_day(15, 2, 100)
    path = day.write(tmp_path, 2)
    plain = read_ticks("lobster", path, "AAPL")
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("".join(f"{line},null\n" for line in lines), encoding="utf-8")
    named = read_ticks("lobster", path, "AAPL")
    assert np.array_equal(named.columns["join"], plain.columns["join"])


def test_lots_of_a_product_must_divide_the_sizes(tmp_path: Path) -> None:
    path = make_day(16, 2, 100).write(tmp_path, 2)
    product = {
        "venue": "NASDAQ",
        "currency": "USD",
        "minor_per_unit": 100,
        "tick_size": "0.01",
        "lot_size": "100",
        "multiplier": "1",
    }
    with pytest.raises(DataError, match="not in lots of 100"):
        read_ticks("lobster", path, "TEST", product=product)
    ticks = read_ticks("lobster", path, "TEST", product=product | {"lot_size": "1"})
    assert ticks.row_count > 20
