"""Databento's encoding: decoded as by the official decoder; broken files are refused."""

import datetime
import tracemalloc
from pathlib import Path
from typing import Any

import databento_dbn as dbn
import numpy as np
import pyarrow as pa
import pytest

from sweep.errors import DataError, InputError
from sweep.readers import READERS, dbn_file, make_request
from sweep.readers.dbn_file import RECORD_KINDS, UNDEF_PRICE, DbnFile
from tests.toys.databento import (
    ENUM,
    ES_ID,
    LAST,
    PRICE,
    START_NS,
    TICK,
    Interval,
    Recording,
    SymbolMap,
    compressed,
    images,
    metadata,
    orders,
    read,
    rows_of,
    trades,
)

# --- decoding -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("ts_out", [False, True])
def test_every_version_decodes_as_the_official_decoder_does(
    version: int, ts_out: bool, tmp_path: Path
) -> None:
    path = orders(ts_out=ts_out).write(tmp_path, version=version, limit=99)
    decoder = dbn.DBNDecoder(upgrade_policy=ENUM.VersionUpgradePolicy.AS_IS)
    theirs: list[Any] = decoder.write_and_decode(path.read_bytes())
    file = DbnFile(path)
    meta = file.metadata
    assert (meta.version, meta.has_ts_out, meta.limit) == (version, ts_out, 99)
    assert (meta.dataset, meta.schema) == (theirs[0].dataset, "mbo")
    assert (meta.start_ns, meta.end_ns) == (theirs[0].start, theirs[0].end)
    assert meta.symbols == ("ESH4",)
    assert [(m.symbol, m.target) for m in meta.mappings] == [("ESH4", str(ES_ID))]
    ours = np.concatenate([found for _, _, found in file.records(RECORD_KINDS["mbo"], None)])
    file.close()
    assert ours.tobytes() == b"".join(bytes(record) for record in theirs[1:])
    for name in ours.dtype.names or ():
        if name not in ("length", "action", "side"):
            expected = [int(getattr(record, name)) for record in theirs[1:]]
            assert ours[name].tolist() == expected, name
    rows = rows_of(read(path)[0])
    assert rows == rows_of(read(orders().write(tmp_path))[0])


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        ("mbp-1", images(1)),
        ("mbp-10", images(10)),
        ("tbbo", images(1)),
        ("trades", trades()),
        ("mbo", orders()),
    ],
)
def test_every_schema_decodes_as_the_official_decoder_does(
    schema: str, made: Recording, tmp_path: Path
) -> None:
    path = made.write(tmp_path, schema)
    file = DbnFile(path)
    assert file.metadata.schema == schema
    found = np.concatenate([found for _, _, found in file.records(RECORD_KINDS[schema], None)])
    file.close()
    assert found.dtype.itemsize == made.records[0].size_hint
    assert found.tobytes() == b"".join(bytes(record) for record in made.records)
    for name in found.dtype.names or ():
        if name not in ("length", "action", "side", "levels"):
            assert found[name].tolist() == [int(getattr(r, name)) for r in made.records], name
    if "levels" in (found.dtype.names or ()):
        for name in found.dtype["levels"].base.names or ():
            told = [[getattr(level, name) for level in r.levels] for r in made.records]
            assert found["levels"][name].tolist() == told


def test_compressed_files_read_as_plain_ones(tmp_path: Path) -> None:
    plain = orders().write(tmp_path)
    path = tmp_path / "b.dbn.zst"
    path.write_bytes(compressed(plain.read_bytes()))
    assert rows_of(read(path)[0]) == rows_of(read(plain)[0])


def test_several_frames_read_as_one(tmp_path: Path) -> None:
    content = orders().content()
    path = tmp_path / "b.dbn.zst"
    parts = (content[:300], content[300:700], content[700:])
    path.write_bytes(b"".join(pa.compress(part, "zstd", asbytes=True) for part in parts))
    assert rows_of(read(path)[0]) == rows_of(read(orders().write(tmp_path))[0])


@pytest.mark.parametrize("block", [61, 97, 1_000])
def test_rows_do_not_depend_on_blocks(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = images(10)
    made.image("T", "A", PRICE - 3, 2, [(PRICE - 3, 3)], [(PRICE + 1, 7)], 10, flags=0)
    made.image("C", "B", PRICE - 3, 2, [(PRICE - 3, 1)], [(PRICE + 1, 7)], 10)
    for schema, recording in (("mbo", orders()), ("mbp-10", made), ("trades", trades())):
        path = recording.write(tmp_path, schema)
        whole = rows_of(read(path)[0])
        with monkeypatch.context() as patched:
            patched.setattr(dbn_file, "_BLOCK_BYTES", block)
            assert rows_of(read(path)[0]) == whole


# --- what is refused ------------------------------------------------------------------------------


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.dbn"
    for content, words in (
        (b"", "ends inside of its metadata"),
        (b"DB", "ends inside of its metadata"),
        (b"DBZ\1" + bytes(200), "older form DBZ"),
        (b"DBN\4" + bytes(200), "version 1 to 3, found 4"),
        (b"DBN\3\1\0\0\0" + bytes(200), "metadata of 1 bytes"),
        (b"PAR1" + bytes(200), "not a DBN file"),
        (orders().content()[:300], "ends inside of its metadata"),
        (metadata("mbo"), "holds no record"),
        (metadata("ohlcv-1s"), "holds ohlcv-1s, this reader reads mbo"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=words):
            read(path)
    with pytest.raises(DataError, match=r"missing\.dbn: cannot be read"):
        read(tmp_path / "missing.dbn")


def change(row: int, **values: Any) -> Recording:
    """Return the orders with one record whose fields differ."""
    made = orders()
    kind = RECORD_KINDS["mbo"].layout
    raw = np.frombuffer(bytes(made.records[row]), kind).copy()
    for name, value in values.items():
        raw[name] = value
    made.records[row] = raw.tobytes()
    return made


@pytest.mark.parametrize(
    ("row", "values", "words"),
    [
        (2, {"length": 15}, r"record 3 .*type 160 and 56 bytes, found type 160 and 60 bytes"),
        (2, {"length": 0}, r"record 3 .*found type 160 and 0 bytes"),
        (2, {"rtype": 161}, r"record 3 .*found type 161"),
        (2, {"action": ord("X")}, r"record 3 .*AMCRTFN as action .*found 88"),
        (2, {"side": 0}, r"record 3 .*ABN as side .*found 0"),
        (2, {"price": PRICE * TICK + 1}, r"record 3 .*steps of 0.25, found 5000.000000001"),
        (2, {"price": UNDEF_PRICE}, r"record 3 .*steps of 0.25, found none"),
        (2, {"size": 0}, r"record 3 .*whole lots of 1, found 0"),
        (2, {"size": 2**32 - 1}, r"record 3 .*whole lots of 1, found 4294967295"),
        (2, {"ts_event": 2**64 - 1}, r"record 3 .*before 2200"),
        (2, {"ts_event": START_NS - 1}, r"record 3 .*ts_event is before"),
        (2, {"ts_recv": START_NS * 2}, r"record 3 .*ts_recv is outside of"),
        (2, {"flags": LAST | 64}, r"record 3 .*about an order, not about a level"),
        (2, {"order_id": 2}, r"record 3 .*A of order 2.*added once"),
        (2, {"side": ord("N")}, r"record 3 .*fit together"),
        (5, {"order_id": 7}, r"record 6 .*F of order 7.*known before"),
        (5, {"price": (PRICE - 1) * TICK}, r"record 6 .*state side and price of their order"),
        (14, {"order_id": 7}, r"record 15 .*C of order 7.*known before"),
        (14, {"side": ord("B")}, r"record 15 .*state side and price"),
        (14, {"flags": 0}, r"record 15 .*ends inside of a packet"),
    ],
)
def test_bad_records_are_refused(
    row: int, values: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=words):
        read(change(row, **values).write(tmp_path))


def test_milder_actions_go_on(tmp_path: Path) -> None:
    path = change(2, ts_event=START_NS - 1).write(tmp_path)
    ticks, counts = read(path, policy={"time_order": "repair"})
    assert counts["time_order"] == 1
    assert (np.diff(ticks.columns["exch_ns"]) >= 0).all()
    path = change(14, order_id=7).write(tmp_path)
    ticks, counts = read(path, policy={"unknown_order": "drop"})
    assert (len(ticks.columns["kind"]), counts["unknown_order"]) == (10, 1)
    path = change(2, ts_recv=0, flags=LAST | 8).write(tmp_path)
    ticks, counts = read(path, policy={"time_range": "count"})
    assert counts["local_clock"] == 1
    assert ticks.columns["local_ns"][3] == ticks.columns["exch_ns"][3]


@pytest.mark.parametrize(
    ("book", "words"),
    [
        (([(PRICE, 5), (PRICE + 1, 5)], [(PRICE + 3, 4)]), "levels from the best on"),
        (([(PRICE, 5), (PRICE, 5)], [(PRICE + 3, 4)]), "levels from the best on"),
        (([(PRICE, 5)], [(PRICE + 3, 4), (PRICE + 2, 4)]), "levels from the best on"),
        (([(PRICE, 0)], [(PRICE + 3, 4)]), "whole lots of 1, found 0"),
    ],
)
def test_bad_images_are_refused(book: Any, words: str, tmp_path: Path) -> None:
    made = Recording()
    made.image("A", "B", PRICE, 5, [(PRICE, 5)], [(PRICE + 3, 4)], 10)
    made.image("A", "B", PRICE, 5, book[0], book[1], 10)
    with pytest.raises(DataError, match=rf"record 2 .*{words}"):
        read(made.write(tmp_path, "mbp-10"))


@pytest.mark.parametrize("text", ["17:00", "25:00 UTC", "17:00 Nowhere/Town", "1700 UTC", "5 UTC"])
def test_bad_times_of_the_open_are_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="open_time is a time of day and a zone"):
        read(orders().write(tmp_path), options={"open_time": text})


def test_every_cut_is_found(tmp_path: Path) -> None:
    content = orders().content()
    path = tmp_path / "a.dbn"
    head = len(metadata("mbo"))
    whole = {head + 56 * count for count in (1, 2, 3, 8, 9, 14)}  # packets end there
    for size in range(0, len(content), 2):
        path.write_bytes(content[:size])
        if size in whole:
            continue
        with pytest.raises(DataError):
            read(path)
    coded = compressed(content)
    for size in range(0, len(coded), 3):
        path.write_bytes(coded[:size])
        with pytest.raises(DataError):
            read(path)


def test_every_flipped_bit_of_a_compressed_file_is_found(tmp_path: Path) -> None:
    coded = compressed(orders().content())
    path = tmp_path / "a.dbn.zst"
    path.write_bytes(coded)
    good = rows_of(read(path)[0])
    unseen = 0
    for bit in range(0, len(coded) * 8, 5):
        damaged = bytearray(coded)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            rows = rows_of(read(path)[0])
        except DataError:
            continue
        assert rows == good, bit  # a bit of a frame's header that means nothing
        unseen += 1
    assert unseen < len(coded) * 8 // 100


def test_a_large_file_is_read_in_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dbn_file, "_BLOCK_BYTES", 1 << 18)
    kind = RECORD_KINDS["mbo"].layout
    base = np.frombuffer(b"".join(bytes(record) for record in orders().records), kind)
    rounds = 14_000
    records = np.tile(base, rounds)
    number = np.repeat(np.arange(rounds), len(base))
    records["order_id"] += (number * 100).astype(np.uint64)
    for name in ("ts_event", "ts_recv"):
        records[name] = base[name][0] + (np.arange(len(records)) // len(base)).astype(np.uint64)
    records["sequence"] = np.arange(len(records)) + 1
    path = tmp_path / "large.dbn"
    path.write_bytes(metadata("mbo") + records.tobytes())
    del records, number
    request = make_request("databento", path, "ES")
    tracemalloc.start()
    try:
        rows = sum(len(columns["kind"]) for columns in READERS["databento"].read(request))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows > 100_000
    assert peak < path.stat().st_size / 5


def test_a_symbol_of_several_instruments_needs_an_id(tmp_path: Path) -> None:
    days = [datetime.date(2024, 3, day) for day in (4, 5, 6)]
    intervals = [
        Interval(days[0], days[1], "7"),
        Interval(days[1], days[2], str(ES_ID)),
        Interval(days[2], days[2], ""),  # no contract on that day
    ]
    path = orders().write(
        tmp_path,
        symbols=["ES.c.0"],
        stype_in=ENUM.SType.CONTINUOUS,
        mappings=[SymbolMap("ES.c.0", intervals)],
    )
    with pytest.raises(InputError, match=r"ES\.c\.0 names 2 instruments"):
        read(path, options={"symbol": "ES.c.0"})
    ticks, _ = read(path, options={"symbol": "ES.c.0", "instrument_id": ES_ID})
    assert ticks.facts["symbol"] == "ES.c.0"
    assert rows_of(ticks) == rows_of(read(path)[0])
