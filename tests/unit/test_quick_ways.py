"""The quick way through sound rows gives what judging each row gives, or steps aside."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pytest

import rustsim
from sweep.errors import DataError
from sweep.readers import generic, make_request, read_rows
from sweep.readers.event_arrays import EVENT_LAYOUT
from sweep.readers.hftbacktest import BUY, CLEAR, DEPTH, EXCHANGE, LOCAL, SELL, SNAPSHOT, TRADE
from sweep.readers.ticks import collect

BOTH: Final = EXCHANGE | LOCAL
START: Final = 1_767_573_900_000_000_000
DAY_NS: Final = 86_400_000_000_000
ROWS: Final = 60

Outcome = tuple[Any, ...]


def outcome(reader: str, path: Path, options: dict[str, Any], policy: dict[str, str]) -> Outcome:
    """Return everything that a reader tells about a file, or its refusal."""
    request = make_request(reader, path, "TXF", options, policy=policy)
    try:
        ticks = collect(read_rows(reader, request))
    except DataError as error:
        return (str(error),)
    columns = {name: values.tolist() for name, values in ticks.columns.items()}
    return columns, ticks.sessions, ticks.facts, ticks.instrument, request.audit.report()


def damaged(rows: Any, random: np.random.Generator, changes: list[tuple[str, list[Any]]]) -> Any:
    """Change a value or two of some rows; half of the files stay as they are."""
    for _ in range(random.integers(0, 3) * random.integers(0, 2)):
        name, values = changes[random.integers(len(changes))]
        rows[name][random.integers(ROWS)] = values[random.integers(len(values))]
    return rows


def some_events(random: np.random.Generator) -> Any:
    rows = np.zeros(ROWS, EVENT_LAYOUT)
    sides = random.choice([BUY, SELL], ROWS)
    rows["ev"] = BOTH | random.choice([DEPTH, DEPTH, TRADE], ROWS) | sides
    rows["exch_ts"] = START + np.cumsum(random.integers(0, 3, ROWS))
    rows["local_ts"] = np.maximum.accumulate(rows["exch_ts"] + random.integers(5, 9, ROWS))
    if random.integers(4) == 0:
        rows["local_ts"] = 0
    rows["px"] = random.integers(20_000, 20_010, ROWS)
    rows["qty"] = random.integers(1, 9, ROWS)
    changes: list[tuple[str, list[Any]]] = [
        ("ev", [BOTH | CLEAR, BOTH | CLEAR | BUY, BOTH | SNAPSHOT | SELL, BOTH | DEPTH]),
        ("ev", [EXCHANGE | DEPTH | BUY, LOCAL | DEPTH | BUY, DEPTH | SELL, BOTH | TRADE | SELL]),
        ("ev", [BOTH | DEPTH | BUY | SELL, BOTH | DEPTH | BUY | 1 << 40, BOTH | 5 | BUY, 0]),
        ("exch_ts", [-1, 0, START - 1, START, START + 500, 1 << 62]),
        ("local_ts", [-1, START - DAY_NS - 9, START + DAY_NS + 900, -(1 << 63), START, 1 << 62]),
        ("px", [0.0, -1.0, 0.5, 20_000.000001, float("nan"), float("inf"), 2.0**30, 1e300, 1.0]),
        ("qty", [0.0, -1.0, 0.5, 1 + 1e-12, float("nan"), 2.0**31, 2.0**31 - 1]),
    ]
    return damaged(rows, random, changes)


def some_table(random: np.random.Generator) -> pl.DataFrame:
    times = START + np.cumsum(random.integers(0, 3, ROWS))
    rows: dict[str, Any] = {
        "time": times.astype(object),
        "local": np.maximum.accumulate(times + random.integers(5, 9, ROWS)).astype(object),
        "kind": random.choice(["level", "level", "trade"], ROWS).astype(object),
        "side": random.choice(["bid", "ask"], ROWS).astype(object),
        "price": random.integers(20_000, 20_010, ROWS).astype(object),
        "qty": random.integers(1, 9, ROWS).astype(object),
    }
    changes: list[tuple[str, list[Any]]] = [
        ("time", [None, -1, START - 1, START + 500, 1 << 62, -(1 << 63)]),
        ("local", [None, 0, START - DAY_NS - 9, START + DAY_NS + 900, -(1 << 63), (1 << 63) - 1]),
        ("kind", [None, "clear", "other", ""]),
        ("side", [None, "other", ""]),
        ("price", [None, 0, -1, 1 << 30, 1 << 62, -(1 << 63)]),
        ("qty", [None, 0, -1, 1 << 31, (1 << 31) - 1]),
    ]
    kinds = dict.fromkeys(("time", "local", "price", "qty"), pl.Int64())
    made = {name: values.tolist() for name, values in damaged(rows, random, changes).items()}
    return pl.DataFrame(made, schema_overrides=kinds)


MAPPING: Final = {
    "time": "time",
    "local_time": "local",
    "kind": "kind",
    "side": "side",
    "price": "price",
    "qty": "qty",
    "trade_side": "taker",
}


def never(*_: Any, **__: Any) -> None:
    """Say of nothing that it is plain."""


def test_plain_events_are_judged_as_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.readers.hftbacktest._PIECE_ROWS", 16)
    random = np.random.Generator(np.random.PCG64(11))
    path = tmp_path / "a.npy"
    taken: list[bool] = []
    quick = rustsim.plain_events

    def spied(*arguments: Any, **settings: Any) -> Any:
        found = quick(*arguments, **settings)
        taken.append(found is not None)
        return found

    refused = 0
    for seed in range(300):
        np.save(path, some_events(random))
        policy = {"known_event": "drop", "trade_lots": "drop"} if seed % 2 else {}
        results = []
        ways: list[Callable[..., Any]] = [spied, never]
        for way in ways:
            monkeypatch.setattr(rustsim, "plain_events", way)
            results.append(outcome("hftbacktest", path, {}, policy))
        assert results[0] == results[1], seed
        refused += len(results[0]) == 1
    assert taken.count(True) > 300, "most pieces are plain"
    assert taken.count(False) > 50, "some are not"
    assert refused > 40, "some files are refused"


def test_plain_tables_are_judged_as_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.Generator(np.random.PCG64(12))
    refused = 0
    for seed in range(150):
        frame = some_table(random)
        path = tmp_path / ("a.csv" if seed % 3 == 0 else "a.parquet")
        frame.write_csv(path) if seed % 3 == 0 else frame.write_parquet(path)
        words = ("known_kind", "known_side", "trade_lots")
        policy = dict.fromkeys(words, "drop") if seed % 2 else {}
        quick = outcome("generic", path, MAPPING, policy)
        with monkeypatch.context() as patch:
            patch.setattr(generic, "within", lambda *_: False)
            patch.setattr(generic, "rises", lambda *_: False)
            patch.setattr("sweep.readers.mapped_tables.within", lambda *_: False)
            assert outcome("generic", path, MAPPING, policy) == quick, seed
        refused += len(quick) == 1
    assert 20 < refused < 130, "some files are refused, some are not"


TEXTS: Final = {
    "plain": MAPPING,
    "seconds": MAPPING | {"time_unit": "s", "price_unit": "0.1"},
    "iso": MAPPING | {"time_unit": "iso", "zone": "Asia/Taipei"},
}


def some_text(random: np.random.Generator, kind: str) -> bytes:
    """Return a text of one kind, with a byte or two of others in half of them."""
    frame = some_table(random)
    if kind == "seconds":
        seconds = [pl.col(name).cast(pl.String).str.head(10) for name in ("time", "local")]
        frame = frame.with_columns(*seconds, (pl.col("price").cast(pl.Float64) * 10))
    elif kind == "iso":
        stamps = pl.col("time", "local").cast(pl.Datetime("ns")).dt.to_string("%F %T%.6f")
        frame = frame.with_columns(stamps)
    text = bytearray(frame.write_csv().encode())
    if random.integers(4) == 0:
        text = bytearray(text.replace(b"\n", b"\r\n"))
    for _ in range(random.integers(0, 3) * random.integers(0, 2)):
        at = int(random.integers(len(text)))
        wanted = [b"", b",", b"\n", b'"', b"-", b".", b"e", b" ", b"\r", b"5", b"\xff", b",,"]
        text[at : at + 1] = wanted[random.integers(len(wanted))]
    return bytes(text)


def test_plain_texts_are_read_as_with_care(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.Generator(np.random.PCG64(13))
    refused = 0
    for seed in range(600):
        kind = list(TEXTS)[seed % len(TEXTS)]
        path = tmp_path / "a.csv"
        path.write_bytes(some_text(random, kind))
        words = ("known_kind", "known_side", "trade_lots")
        policy = dict.fromkeys(words, "drop") if seed % 2 else {}
        quick = outcome("generic", path, TEXTS[kind], policy)
        with monkeypatch.context() as patch:
            patch.setattr(rustsim, "TextColumns", partial(rustsim.TextColumns, quick=False))
            assert outcome("generic", path, TEXTS[kind], policy) == quick, (seed, kind)
        refused += len(quick) == 1
    assert 200 < refused < 450, "some files are refused, some are not"
