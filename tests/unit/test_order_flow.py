"""The order converter against its slow twin, on flows of every kind of event, sound and broken."""

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

import rustsim
from tests.toys.order_twin import (
    ADD,
    CLEAR,
    DELETE,
    EXECUTE,
    FILL,
    GAP,
    IMAGE,
    INDICATIVE,
    LAST,
    MODIFY,
    NO_PRICE,
    NO_SIDE,
    NONE,
    OUT_OF_VIEW,
    PAUSE,
    PRINT,
    REDUCE,
    SEED,
    Event,
    Twin,
)

ACTIONS = (
    [ADD] * 8 + [EXECUTE] * 4 + [REDUCE] * 3 + [DELETE] * 3 + [MODIFY] * 4 + [FILL] * 4
    + [PRINT] * 2 + [SEED] * 2 + [PAUSE, NONE, 11]
)  # fmt: skip


def flow(rng: random.Random, count: int) -> list[Event]:
    """Return events around few prices and few ids, so that they meet often; some are nonsense."""
    events: list[Event] = []
    for _ in range(count):
        action = CLEAR if rng.random() < 0.002 else rng.choice(ACTIONS)
        side = rng.choice((0, 0, 0, 1, 1, 1, NO_SIDE, 7)) if rng.random() < 0.3 else 0
        price = rng.randint(95, 104)
        if rng.random() < 0.8:
            side = int(price >= 100)
        if rng.random() < 0.05:
            price = rng.choice((NO_PRICE, 1 << 30, -(1 << 30), 0))
        qty = rng.randint(0, 6)
        if rng.random() < 0.02:
            qty = rng.choice((-1, (1 << 31) - 1, -(1 << 31)))
        flags = rng.choice((0, 0, 0, IMAGE, INDICATIVE, GAP, OUT_OF_VIEW))
        flags |= LAST if rng.random() < 0.6 else 0
        events.append((action, rng.randint(1, 30), side, price, qty, flags))
    return events


def columns(events: list[Event]) -> dict[str, Any]:
    values = list(zip(*events, strict=True)) if events else [()] * 6
    kinds = (np.uint8, np.uint64, np.uint8, np.int32, np.int32, np.uint8)
    names = ("action", "order_id", "side", "price", "qty", "flags")
    found: dict[str, Any] = {
        name: np.array(value, kind) for name, value, kind in zip(names, values, kinds, strict=True)
    }
    return found | {"exch_ns": np.zeros(len(events), np.int64)}


ROW_COLUMNS = {
    "kind": np.uint8,
    "side": np.uint8,
    "flags": np.uint8,
    "price": np.int32,
    "qty": np.int32,
    "join": np.uint32,
    "event": np.uint32,
    "ahead": np.int32,
    "behind": np.int32,
}
QUOTE_COLUMNS = {
    "quote_event": np.uint32,
    "bid_price": np.int32,
    "bid_lots": np.int32,
    "ask_price": np.int32,
    "ask_lots": np.int32,
}


def told(found: dict[str, bytes], kinds: dict[str, Any], first: int) -> list[tuple[int, ...]]:
    lists = {name: np.frombuffer(found[name], kind).tolist() for name, kind in kinds.items()}
    for name in ("event", "quote_event"):
        if name in lists:
            lists[name] = [first + event for event in lists[name]]
    return list(zip(*lists.values(), strict=True))


def run(events: list[Event], sizes: list[int]) -> dict[str, list[Any]]:
    """Push events in chunks and return what came out, with the events numbered through."""
    converter = rustsim.OrderFlow(places=True, quotes=True)
    out: dict[str, list[Any]] = {"rows": [], "faults": [], "quotes": []}
    first = 0
    for size in sizes:
        found = converter.push(**columns(events[first : first + size]))
        out["rows"] += told(found, ROW_COLUMNS, first)
        out["quotes"] += told(found, QUOTE_COLUMNS, first)
        codes = np.frombuffer(found["fault"], np.uint8).tolist()
        places = np.frombuffer(found["fault_event"], np.uint32).tolist()
        out["faults"] += [
            (converter.FAULTS[code], first + place)
            for code, place in zip(codes, places, strict=True)
        ]
        first += size
    assert first == len(events)
    return out


@pytest.mark.parametrize("seed", range(40))
def test_converter_equals_its_slow_twin(seed: int) -> None:
    rng = random.Random(seed)
    events = flow(rng, 600)
    twin = Twin()
    for number, event in enumerate(events):
        twin.push(number, event)
    out = run(events, [200, 0, 1, 399])
    # Row ordinals, and so joins, go on from chunk to chunk.
    assert out["rows"] == twin.rows
    assert out["faults"] == twin.faults
    assert out["quotes"] == twin.quotes


def test_random_flows_meet_every_rule_and_kind_of_row() -> None:
    met: Counter[str] = Counter()
    for seed in range(40):
        out = run(flow(random.Random(seed), 600), [600])
        met.update(name for name, _ in out["faults"])
        met.update(f"row {row[0]}" for row in out["rows"])
        met["joined"] += sum(row[5] > 0 for row in out["rows"])
        met["ahead"] += sum(row[7] > 0 for row in out["rows"])
    names = set(rustsim.OrderFlow.FAULTS) - {"image_mismatch"}  # pictures have tests of their own
    assert {name for name in names if met[name] < 5} == set()
    assert min(met["row 0"], met["row 1"], met["row 2"], met["joined"], met["ahead"]) > 20


def test_restating_leaves_book_and_ordinals_as_they_are() -> None:
    converter = rustsim.OrderFlow()
    events = [(ADD, 1, 0, 10, 4, LAST), (ADD, 2, 1, 12, 5, LAST), (SEED, 0, 0, 9, 7, LAST)]
    converter.push(**columns(events))
    told_anew = converter.restate(77, local_ns=78)
    assert np.frombuffer(told_anew["exch_ns"], np.int64).tolist() == [77] * 4
    assert np.frombuffer(told_anew["local_ns"], np.int64).tolist() == [78] * 4
    assert np.frombuffer(told_anew["kind"], np.uint8).tolist() == [2, 0, 0, 0]
    assert np.frombuffer(told_anew["price"], np.int32).tolist() == [0, 10, 9, 12]
    assert converter.next_row == 7
    assert (converter.levels(0), converter.levels(1)) == ([(10, 4, 0), (9, 7, 7)], [(12, 5, 0)])
    found = converter.push(**columns([(DELETE, 1, 0, 10, 4, LAST)]))
    assert np.frombuffer(found["join"], np.uint32).tolist() == [1]
    with pytest.raises(ValueError, match="Side 2"):
        converter.levels(2)


def test_rows_made_elsewhere_count_in_the_joins() -> None:
    converter = rustsim.OrderFlow()
    converter.next_row = 100
    found = converter.push(**columns([(ADD, 1, 0, 10, 4, LAST), (DELETE, 1, 0, 10, 0, LAST)]))
    assert np.frombuffer(found["join"], np.uint32).tolist() == [0, 101]
    converter.next_row = (1 << 32) - 1  # ordinals that no join can tell are unknown
    found = converter.push(**columns([(ADD, 1, 0, 10, 4, LAST), (DELETE, 1, 0, 10, 0, LAST)]))
    assert np.frombuffer(found["join"], np.uint32).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"side": np.zeros(1, np.uint8)}, "column side has 1 rows, exch_ns has 2"),
        ({"price": np.zeros(2, np.int64)}, "column price must be a buffer of i32"),
        ({"images": np.zeros(4, np.int32)}, "expected 4 x levels for each event"),
        ({"images": np.zeros(6, np.int32)}, "expected 4 x levels for each event"),
    ],
)
def test_buffers_that_do_not_fit_are_refused(change: dict[str, Any], words: str) -> None:
    events = columns([(ADD, 1, 0, 10, 4, LAST)] * 2)
    with pytest.raises(rustsim.TickError, match=words):
        rustsim.OrderFlow().push(**events | change)
