"""The result log: whole records survive everything, half ones are cut, damage is named."""

import errno
import math
from pathlib import Path
from typing import Any

import pytest

from sweep.errors import InputError
from sweep.results import (
    FORMAT_VERSION,
    ResultLog,
    ResultLogError,
    canonical_json,
    decode_line,
    encode_line,
    read_finals,
    read_index,
)

STUDY = {"kind": "study", "format": FORMAT_VERSION, "study_id": "s", "identity": {}}


def final(trial: int, **changes: Any) -> dict[str, Any]:
    record = {
        "kind": "trial",
        "trial": trial,
        "attempt": 1,
        "state": "complete",
        "reason": "",
        "params": {"x": 0.1 * trial},
        "result": {"objective": 0.1 * trial, "metrics": {"fills": 3.0}, "events": 10},
        "started_unix_ns": 1,
        "finished_unix_ns": 2,
        "worker": "w",
    }
    return record | changes


def write_log(path: Path, count: int) -> None:
    with ResultLog(path) as log:
        log.append(STUDY)
        for trial in range(count):
            log.append(final(trial))
        log.commit()


class FailingFile:
    """Fails one operation with an errno; before it, writes at most `step` bytes at a time."""

    def __init__(self, path: Path, *, fail_at: int, code: int, step: int = 1_000_000) -> None:
        size = read_index(path).size
        self._file = path.open("r+b" if path.exists() else "w+b", buffering=0)
        self._file.truncate(size)
        self._file.seek(size)
        self._fail_at = fail_at
        self._code = code
        self._step = step
        self.operations = 0

    def _count(self) -> None:
        self.operations += 1
        if self.operations == self._fail_at:
            raise OSError(self._code, "injected")

    def write(self, data: bytes) -> int:
        self._count()
        written = self._file.write(data[: self._step])
        assert written is not None
        return written

    def sync(self) -> None:
        self._count()

    def close(self) -> None:
        self._file.close()


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write_log(path, 3)
    assert [record["trial"] for record in read_finals(path)] == [0, 1, 2]
    index = read_index(path)
    assert index.finals[2].objective == 0.2
    assert index.cut == 0
    with ResultLog(path) as log:
        assert log.read(1) == final(1)


def test_integers_beyond_floats_keep_every_digit(tmp_path: Path) -> None:
    path = tmp_path / "log"
    cash = 2**53 + 1
    with ResultLog(path) as log:
        log.append(STUDY)
        log.append(final(0, result={"objective": 1.0, "ledger": {"cash": cash, "big": 10**40}}))
        log.commit()
    (record,) = read_finals(path)
    assert record["result"]["ledger"] == {"cash": cash, "big": 10**40}


@pytest.mark.parametrize("value", [0.1, 1e-308, 5e-324, 1.7976931348623157e308, -0.0, 1 / 3])
def test_floats_come_back_bit_for_bit(value: float) -> None:
    document = decode_line(encode_line({"value": value}))
    assert document is not None
    assert math.copysign(1.0, document["value"]) == math.copysign(1.0, value)
    assert document["value"] == value


def test_values_that_are_not_finite_become_null() -> None:
    text = canonical_json({"b": [math.nan, {"c": -math.inf}], "a": 1.0})
    assert text == b'{"a":1.0,"b":[null,{"c":null}]}'


def test_a_document_that_is_not_plain_json_is_refused() -> None:
    with pytest.raises(TypeError):
        canonical_json({"a": {1, 2}})


def test_a_cut_at_every_byte_of_the_last_record_drops_only_that_record(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write_log(path, 3)
    whole = path.read_bytes()
    start = read_index(path).finals[2].offset
    for end in range(start, len(whole)):
        path.write_bytes(whole[:end])
        index = read_index(path)
        assert sorted(index.finals) == [0, 1]
        assert index.cut == end - start
        with ResultLog(path) as log:
            log.append(final(2))
            log.commit()
        assert path.read_bytes() == whole


def test_a_cut_in_the_first_line_gives_an_empty_log(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write_log(path, 0)
    path.write_bytes(path.read_bytes()[:-5])
    with ResultLog(path) as log:
        assert log.index.study is None
    assert path.read_bytes() == b""


def test_every_flipped_bit_before_the_last_record_is_an_error_naming_the_offset(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log"
    write_log(path, 2)
    whole = path.read_bytes()
    offset = read_index(path).finals[0].offset
    last = read_index(path).finals[1].offset
    for position in range(offset, last):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(bytes(damaged))
        with pytest.raises(ResultLogError, match=f"damaged record at offset {offset}"):
            read_index(path)


def test_a_second_final_record_is_refused_when_written_and_when_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write_log(path, 1)
    with ResultLog(path) as log, pytest.raises(InputError, match="Trial 0 has its final"):
        log.append(final(0, attempt=2))
    with path.open("ab") as file:
        file.write(encode_line(final(0, attempt=2)))
    with pytest.raises(ResultLogError, match="trial 0 has a second final record"):
        read_index(path)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("step", [7, 1_000_000])
def test_nothing_durable_is_lost_whichever_operation_fails(
    tmp_path: Path, code: int, step: int
) -> None:
    for fail_at in range(1, 1_000):
        path = tmp_path / f"log-{fail_at}"
        durable: list[int] = []
        is_failed = False
        file = FailingFile(path, fail_at=fail_at, code=code, step=step)
        log = ResultLog(path, file=file)
        try:
            log.append(STUDY)
            log.commit()
            for trial in range(4):
                log.append(final(trial))
                log.commit()
                durable.append(trial)
        except ResultLogError:
            is_failed = True
            before = file.operations
            with pytest.raises(ResultLogError, match="launch again"):
                log.commit()
            assert file.operations == before, "a failed writer must not touch the file again"
        log.close()
        index = read_index(path)
        assert set(durable) <= set(index.finals), "a committed record is gone"
        with ResultLog(path) as again:
            if again.index.study is None:
                again.append(STUDY)
            for trial in range(4):
                if trial not in again.index.finals:
                    again.append(final(trial))
            again.commit()
        assert [record["trial"] for record in read_finals(path)] == [0, 1, 2, 3]
        if not is_failed:
            return
    pytest.fail("the loop over failing operations never ran clean")


def test_unknown_formats_and_kinds_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(encode_line(STUDY | {"format": 99}))
    with pytest.raises(ResultLogError, match="format 99"):
        read_index(path)
    path.write_bytes(encode_line(STUDY) + encode_line({"kind": "gossip"}))
    with pytest.raises(ResultLogError, match="unknown kind 'gossip'"):
        read_index(path)
    path.write_bytes(encode_line(final(0)))
    with pytest.raises(ResultLogError, match="only the first, describes the study"):
        read_index(path)


def test_clear_refuses_to_drop_finished_trials(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write_log(path, 1)
    with ResultLog(path) as log, pytest.raises(InputError, match="1 finished trials"):
        log.clear()
