"""The message objects of the real SDK, recorded and read back; skipped where it is missing."""

from pathlib import Path
from typing import Any

import pytest

from sweep.readers import read_ticks
from sweep.readers.recording_format import MESSAGE_FIELDS, read_records
from sweep.recorder import Recorder, fields_of

PRICES = ["1000", "999", "998", "997", "996"], ["1005", "1010", "1015", "1020", "1025"]
LOTS, NONE = [1, 2, 3, 4, 5], [0] * 5
WHEN = ["2026/04/09", "09:00:00.125000"]
# 2026-04-09 09:00:00.200 in Taipei.
RECEIVED_NS = 1_775_696_400_200_000_000

MESSAGES: dict[str, list[Any]] = {
    "TickSTKv1": [
        *("2330", *WHEN, "1000", "1000.5", "1005", "1005", "995", "1005000", "2005000"),
        *(1, 100, 1, 2, "5", 50, 10, 11, 3, 4, 0, "", "", "", "", 0, "", False, False),
    ],
    "BidAskSTKv1": [
        *("2330", *WHEN, PRICES[0], LOTS, NONE, PRICES[1], LOTS, NONE, False, False),
    ],
    "TickFOPv1": [
        *("TXFD6", *WHEN, "20000", "20001.5", 10, 11, "20000.1", "20001", "20002", "19999"),
        *("20001.0", "200010", 1, 100, 1, 2, "5", "0.03", False),
    ],
    "BidAskFOPv1": [
        *("TXFD6", *WHEN, 15, 16, PRICES[0], LOTS, NONE, PRICES[1], LOTS, NONE),
        *("1000", "1001", 1, 2, "20000.5", False),
    ],
}


def packed(value: Any) -> bytes:
    """Return a value as MessagePack, as far as the messages need it."""
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return bytes([value])
    if isinstance(value, str):
        return bytes([0xA0 | len(value)]) + value.encode()
    count = len(value)
    head = bytes([0x90 | count]) if count < 16 else b"\xdc" + count.to_bytes(2, "big")
    return head + b"".join(packed(item) for item in value)


@pytest.fixture
def messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.setenv("SJ_LOG_PATH", str(tmp_path / "shioaji.log"))
    core = pytest.importorskip("shioaji._core", reason="the SDK is not installed")
    return [getattr(core, kind).from_msgpack(packed(row)) for kind, row in MESSAGES.items()]


def test_real_messages_are_read_back_type_for_type(tmp_path: Path, messages: list[Any]) -> None:
    with Recorder(tmp_path / "recordings", clock=lambda: (5, RECEIVED_NS)) as recorder:
        for message in messages:
            recorder.message(type(message).__name__, fields_of(message))
        path = recorder.path
    records = [record for record in read_records(path) if record.kind in MESSAGE_FIELDS]
    assert len(records) == len(messages)
    for record, message in zip(records, messages, strict=True):
        expected = fields_of(message)
        # Enumerations are recorded by their value, which they equal.
        assert record.values["exchange"] == expected.pop("exchange")
        for name, value in expected.items():
            assert type(record.values[name]) is type(value), (record.kind, name)
            assert str(record.values[name]) == str(value), (record.kind, name)
    for code in ("2330", "TXFD6"):
        assert read_ticks("shioaji_recording", path, code).row_count == 12


@pytest.mark.parametrize("kind", MESSAGE_FIELDS)
def test_every_field_exists_in_the_sdk(kind: str) -> None:
    core = pytest.importorskip("shioaji._core", reason="the SDK is not installed")
    assert [name for name in MESSAGE_FIELDS[kind] if not hasattr(getattr(core, kind), name)] == []
