"""The recorder: what is written is read back, through crashes, damage, rotation and full disks."""

import datetime
import gzip
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweep.errors import DataError, ResourceError
from sweep.readers.recording_format import (
    MESSAGE_FIELDS,
    Block,
    Damage,
    Record,
    decode_record,
    encode_block,
    encode_record,
    read_blocks,
    read_records,
)
from sweep.recorder import Recorder, fields_of, recordings, trade_day

# 2026-04-09 08:45:00 in Taipei.
OPEN_NS = 1_775_695_500_000_000_000
HOUR_NS = 3_600 * 1_000_000_000


class Exchange(StrEnum):
    """A text, as the SDK's enumerations are."""

    TAIFEX = "TAIFEX"


class Lot(Enum):
    """No text itself, but with one as its value."""

    COMMON = "Common"


class Pretender:
    """Passes for a text by `isinstance` without being one, as the SDK's Exchange does."""

    value = "TAIFEX"

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return str


class FakeClock:
    def __init__(self, wall_ns: int = OPEN_NS) -> None:
        self.wall_ns = wall_ns
        self.calls = itertools.count(1)  # safe among threads

    def __call__(self) -> tuple[int, int]:
        wall_ns = self.wall_ns + 1_000 * next(self.calls)
        return wall_ns - OPEN_NS + 77, wall_ns


def tick(number: int = 0) -> dict[str, Any]:
    return {
        "code": "TXFD6",
        "exchange": Exchange.TAIFEX,
        "datetime": datetime.datetime(2026, 4, 9, 8, 45, 0, 125_000),
        "date": datetime.date(2026, 4, 9),
        "time": datetime.time(8, 45, 0, 125_000),
        "open": Decimal("20000"),
        "close": Decimal("20001.50"),
        "amount": Decimal("1E+7"),
        "pct_chg": Decimal("-0.10"),
        "volume": 1 + number,
        "total_volume": 100,
        "tick_type": 1,
        "simtrade": False,
        "underlying_price": None,
        "bid_price": [Decimal("1.0"), Decimal("1.00"), Decimal("0")],
        "bid_volume": [3, 0, 2],
    }


def messages(path: Path) -> list[Record]:
    return [record for record in read_records(path) if record.kind in MESSAGE_FIELDS]


def events(path: Path) -> list[Any]:
    return [record.values["event"] for record in read_records(path) if record.kind == "event"]


def same(one: Any, other: Any) -> bool:
    """Equal in value and type: 1.0 is not 1.00, and no float."""
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and str(one) == str(other)


def test_every_value_is_read_back_as_it_was(tmp_path: Path) -> None:
    odd = {
        "code": "TXFD6",
        "close": "20001.50",  # a text where a decimal is expected
        "high": 3.1,
        "low": float("inf"),
        "datetime": "later",
        "unknown_price": Decimal("7.10"),
        "unknown_time": datetime.datetime(2026, 1, 1, 1, 2, 3),
        "unknown_text": '{"a": 1}\n臺',
        "date": datetime.datetime(2026, 1, 1),
        "flags": [True, None, 2],
        "lot": Lot.COMMON,
        "exchange": Pretender(),
    }
    with Recorder(tmp_path, clock=FakeClock()) as target:
        target.message("TickFOPv1", tick())
        target.message("TickFOPv1", odd, received=(5, OPEN_NS + 6))
        path = target.path
    first, second = messages(path)
    expected = tick() | {"exchange": "TAIFEX"}
    assert set(first.values) == set(expected)
    for name, value in expected.items():
        assert same(value, first.values[name]), name
    for name, value in (odd | {"lot": "Common", "exchange": "TAIFEX"}).items():
        assert same(value, second.values[name]), name
    assert (second.mono_ns, second.wall_ns) == (5, OPEN_NS + 6)
    assert [record.seq for record in read_records(path)] == list(range(5))


def test_others_read_it_with_gzip_and_json(tmp_path: Path) -> None:
    with Recorder(tmp_path, clock=FakeClock()) as target:
        for number in range(100):
            target.message("TickFOPv1", tick(number))
            target.flush()
        path = target.path
    assert path.name == "shioaji-2026-04-09.jsonl.gz"
    assert list(recordings(tmp_path)) == [path]
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert lines[0]["format"] == "sweep-recording"
    assert lines[0]["trade_day"] == "2026-04-09"
    assert lines[2]["close"] == "20001.50"
    assert lines[2]["datetime"] == "2026-04-09T08:45:00.125000"
    assert [line["seq"] for line in lines] == list(range(103))
    assert subprocess.run(["gzip", "-t", str(path)], check=False).returncode == 0


def test_unknown_kinds_and_values_are_refused_and_leave_no_gap(tmp_path: Path) -> None:
    with Recorder(tmp_path, clock=FakeClock()) as target:
        for kind, values in [
            ("TickXYZ", tick()),
            ("TickFOPv1", {"code": object()}),
            ("TickFOPv1", {"seq": 1}),
            ("TickFOPv1", {"code": "x" * (1 << 19)}),
        ]:
            with pytest.raises(DataError):
                target.message(kind, values)
        target.message("TickFOPv1", tick())
        path = target.path
    assert len(messages(path)) == 1
    assert [record.seq for record in read_records(path)] == [0, 1, 2, 3]


def test_fields_of_reads_all_of_a_message() -> None:
    names = MESSAGE_FIELDS["TickFOPv1"]
    kind = type("TickFOPv1", (SimpleNamespace,), {})
    assert fields_of(kind(**dict.fromkeys(names, 1))) == dict.fromkeys(names, 1)
    with pytest.raises(DataError, match="another version of the SDK"):
        fields_of(kind(code="TXFD6"))
    with pytest.raises(DataError, match="no message 'SimpleNamespace'"):
        fields_of(SimpleNamespace())


def whole_file(tmp_path: Path, blocks: int = 4) -> Path:
    with Recorder(tmp_path, clock=FakeClock()) as target:
        for number in range(blocks):
            target.message("TickFOPv1", tick(number))
            target.flush()
        return target.path


def test_a_file_cut_anywhere_goes_on_behind_its_last_whole_block(tmp_path: Path) -> None:
    path = whole_file(tmp_path)
    data = path.read_bytes()
    blocks = [block for block in read_blocks(path) if isinstance(block, Block)]
    ends = [block.offset + block.size for block in blocks]
    rng = random.Random(7)
    for cut in sorted({*rng.sample(range(1, len(data)), 60), *ends, ends[0] - 1, 1}):
        path.write_bytes(data[:cut])
        kept = max([end for end in ends if end <= cut], default=0)
        lines = sum(len(block.lines) for block in blocks if block.offset + block.size <= cut)
        with Recorder(tmp_path, clock=FakeClock()) as target:
            resumed = target.resumed
            target.message("TickFOPv1", tick(99))
        assert resumed is not None
        assert (resumed.records, resumed.cut_bytes, resumed.cut_offset) == (lines, cut - kept, kept)
        assert path.read_bytes()[:kept] == data[:kept]
        records = list(read_records(path))
        assert [record.seq for record in records] == list(range(len(records)))
        told = [record.values for record in records if record.values.get("event") == "resumed"]
        assert told == [{"event": "resumed", "cut_bytes": cut - kept, "cut_offset": kept}]
        assert messages(path)[-1].values["volume"] == 100


def test_no_flipped_bit_goes_unseen(tmp_path: Path) -> None:
    path = whole_file(tmp_path)
    data = path.read_bytes()
    sound = list(read_blocks(path))
    last = sound[-1].offset
    rng = random.Random(11)
    for _ in range(400):
        bit = rng.randrange(len(data) * 8)
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        path.write_bytes(broken)
        (damage,) = [item for item in read_blocks(path) if isinstance(item, Damage)]
        assert damage.offset <= bit // 8 < damage.offset + damage.size
        assert damage.is_tail == (bit // 8 >= last)
        with pytest.raises(DataError, match=f"offset {damage.offset:#x}"):
            list(read_records(path))


def test_damage_within_a_file_is_never_cut(tmp_path: Path) -> None:
    path = whole_file(tmp_path)
    data = bytearray(path.read_bytes())
    second = list(read_blocks(path))[1]
    data[second.offset + 30] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="whole blocks behind; move the file away"):
        Recorder(tmp_path, clock=FakeClock())
    assert path.read_bytes() == data
    path.write_bytes(bytes(data[: second.offset]) + bytes(data[second.offset + second.size :]))
    with pytest.raises(DataError, match=r"expected record 2, found 3"):
        Recorder(tmp_path, clock=FakeClock())


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shioaji-2026-04-09.jsonl.gz"
    path.write_bytes(gzip.compress(b"precious"))
    with pytest.raises(DataError, match="no recording; move the file away"):
        Recorder(tmp_path, clock=FakeClock())
    assert gzip.decompress(path.read_bytes()) == b"precious"


def test_one_recorder_a_file(tmp_path: Path) -> None:
    with (
        Recorder(tmp_path, clock=FakeClock()),
        pytest.raises(ResourceError, match="another recorder writes this file"),
    ):
        Recorder(tmp_path, clock=FakeClock())
    Recorder(tmp_path, clock=FakeClock()).close()


@pytest.mark.parametrize(
    ("taipei", "expected"),
    [
        ("2026-04-09T08:45", "2026-04-09"),
        ("2026-04-09T14:44", "2026-04-09"),
        ("2026-04-09T14:45", "2026-04-10"),
        ("2026-04-10T04:59", "2026-04-10"),
        ("2026-04-10T15:00", "2026-04-14"),  # Friday night, and Monday is a holiday
        ("2026-04-11T04:59", "2026-04-14"),
        ("2026-04-12T12:00", "2026-04-14"),
    ],
)
def test_the_night_belongs_to_the_next_trade_day(taipei: str, expected: str) -> None:
    moment = datetime.datetime.fromisoformat(f"{taipei}+08:00")
    wall_ns = int(moment.timestamp()) * 1_000_000_000
    assert trade_day(wall_ns, {datetime.date(2026, 4, 13)}).isoformat() == expected


def test_files_turn_over_with_the_trade_day(tmp_path: Path) -> None:
    clock = FakeClock()
    with Recorder(tmp_path, clock=clock) as target:
        target.message("TickFOPv1", tick(1))
        first = target.path
        clock.wall_ns += 6 * HOUR_NS  # 14:45
        target.message("TickFOPv1", tick(2))
        second = target.path
        clock.wall_ns -= HOUR_NS  # the clock was set back: no way back
        target.message("TickFOPv1", tick(3))
        assert target.path == second
    assert second.name == "shioaji-2026-04-10.jsonl.gz"
    assert [record.values["volume"] for record in messages(first)] == [2]
    assert [record.values["volume"] for record in messages(second)] == [3, 4]
    assert events(first) == events(second) == ["started", "closed"]


def test_messages_are_on_disk_within_a_second_without_a_call(tmp_path: Path) -> None:
    arrived = threading.Event()
    with Recorder(tmp_path, clock=FakeClock(), flush_seconds=0.05) as target:
        target.message("TickFOPv1", tick())
        for _ in range(200):
            if messages(target.path):
                arrived.set()
                break
            threading.Event().wait(0.05)
    assert arrived.is_set()


def test_threads_record_every_message_once(tmp_path: Path) -> None:
    with Recorder(tmp_path, clock=FakeClock(), block_bytes=4_096) as target:

        def work(start: int) -> None:
            for number in range(start, start + 200):
                target.message("TickFOPv1", tick(number))

        threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 800, 200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        path = target.path
    records = list(read_records(path))
    assert [record.seq for record in records] == list(range(len(records)))
    volumes = sorted(record.values["volume"] for record in messages(path))
    assert volumes == list(range(1, 801))


def test_threads_and_a_turn_of_the_day_number_without_a_hole(tmp_path: Path) -> None:
    clock = FakeClock(OPEN_NS + 6 * HOUR_NS - 2_000_000)  # 14:45 comes while threads write
    with Recorder(tmp_path, clock=clock, block_bytes=4_096) as target:

        def work(start: int) -> None:
            for number in range(start, start + 300):
                target.message("TickFOPv1", tick(number))

        threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 1_200, 300)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    volumes: list[int] = []
    paths = list(recordings(tmp_path))
    assert len(paths) == 2
    for path in paths:
        records = list(read_records(path))
        assert [record.seq for record in records] == list(range(len(records)))
        assert [record.kind for record in records[:2]] == ["header", "event"]
        walls = [record.wall_ns for record in records]
        assert walls == sorted(walls)
        volumes += [record.values["volume"] for record in messages(path)]
    assert sorted(volumes) == list(range(1, 1_201))


def test_a_slow_disk_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages are taken while a block is being synced."""
    is_syncing, may_end = threading.Event(), threading.Event()
    target = Recorder(tmp_path, clock=FakeClock(), flush_seconds=1.0)

    def sync(fd: int) -> None:
        is_syncing.set()
        assert may_end.wait(30)

    monkeypatch.setattr("sweep.recorder.os.fsync", sync)
    target.message("TickFOPv1", tick(0))
    writer = threading.Thread(target=target.flush)
    writer.start()
    assert is_syncing.wait(30)
    target.message("TickFOPv1", tick(1))  # would wait for ever otherwise
    may_end.set()
    writer.join()
    monkeypatch.undo()
    path = target.path
    target.close()
    assert [record.values["volume"] for record in messages(path)] == [1, 2]


def test_many_waiting_lines_become_several_blocks(tmp_path: Path) -> None:
    with Recorder(tmp_path, clock=FakeClock(), flush_seconds=1.0, block_bytes=2_000) as target:
        for number in range(40):
            target.message("TickFOPv1", tick(number))
        path = target.path
    blocks = [block for block in read_blocks(path) if isinstance(block, Block)]
    assert len(blocks) > 5
    assert all(sum(len(line) + 1 for line in block.lines) <= 2_000 for block in blocks)
    assert len(messages(path)) == 40


def test_a_failed_write_is_cut_back_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Recorder(tmp_path, clock=FakeClock(), flush_seconds=1.0)
    path, size = target.path, target.path.stat().st_size
    real_write = os.write

    def half(fd: int, data: Any) -> int:
        if len(data) > 100:
            return real_write(fd, bytes(data)[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sweep.recorder.os.write", half)
    target.message("TickFOPv1", tick())
    with pytest.raises(ResourceError, match=r"No space left.*recording has stopped"):
        target.flush()
    monkeypatch.undo()
    assert path.stat().st_size == size
    for call in (target.flush, target.close, lambda: target.message("TickFOPv1", tick())):
        with pytest.raises(ResourceError, match=r"stopped|closed"):
            call()
    with Recorder(tmp_path, clock=FakeClock()) as again:
        assert again.resumed is not None
        assert again.resumed.cut_bytes == 0


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from sweep.recorder import Recorder
target = Recorder(Path(sys.argv[1]), flush_seconds=0.01)
print(target.path, flush=True)
number = 0
while True:
    target.message("TickFOPv1", {{"code": "TXFD6", "volume": number}})
    number += 1
    if number % 50 == 0:
        target.flush()
        print(number, flush=True)
"""


def test_a_killed_recorder_keeps_what_it_had_flushed(tmp_path: Path) -> None:
    code = KILLED.format(tests=str(Path(__file__).parent))
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    path = Path(child.stdout.readline().strip())
    flushed = 0
    for _ in range(20):
        flushed = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    day = datetime.date.fromisoformat(path.name[8:18])
    monday = datetime.datetime.combine(day, datetime.time(1), datetime.UTC)
    clock = FakeClock(int(monday.timestamp()) * 1_000_000_000)
    with Recorder(tmp_path, clock=clock) as target:
        assert target.resumed is not None
        assert target.path == path
    volumes = [record.values["volume"] for record in messages(path)]
    assert volumes == list(range(len(volumes)))
    assert len(volumes) >= flushed


def test_lines_that_are_no_records_are_refused() -> None:
    for line in (b"", b"[]", b"{}", b'{"seq":1}', b"\xff", b'{"seq":"1","mono_ns":1}'):
        with pytest.raises(DataError, match="not a line of a recording"):
            decode_record(line)
    record = Record(seq=1, mono_ns=2, wall_ns=3, kind="event", values={"event": "login"})
    line = encode_record(record)
    assert decode_record(line) == record
    for broken in (b'{"odd":1}', b'{"decimal":"x"}', b'{"a":"1","b":"2"}'):
        with pytest.raises(DataError, match="not a line of a recording"):
            decode_record(line.replace(b'"login"', broken))


def test_damage_in_a_long_file_is_stepped_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next block is found however the windows of the search fall."""
    blocks = [encode_block(b'{"seq":%d,"a":1}\n' % number) for number in range(5)]
    path = tmp_path / "recording"
    path.write_bytes(blocks[0] + b"\x1f\x8b\x08junk" * 9 + blocks[1])
    for window in (17, 18, 24, 31, 64, 1 << 20):
        monkeypatch.setattr("sweep.readers.recording_format._SEARCH_BYTES", window)
        found = list(read_blocks(path))
        assert [type(item) for item in found] == [Block, Damage, Block]
        assert found[1].size == 7 * 9
