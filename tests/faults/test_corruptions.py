"""Damaged sources: none is read in silence, none ends the process, each is named with its place.

The suite runs about a hundred damages of each format; `make corruptions` runs ten thousand and
more, and writes the table of verdicts to build/corruptions.json.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest

from sweep.data import ensure_tapes, open_info
from sweep.errors import DataError
from sweep.source import SourceConfig
from tests.toys.damage import BYTES, PLACE, Reading, Source, read_source, verdict
from tests.toys.driver import ROOT
from tests.toys.sources import SOURCES

DAMAGES = int(os.environ.get("SWEEP_DAMAGES", "12"))  # of each kind and format
MEMORY = Path("/dev/shm")
counts: dict[str, dict[str, Counter[str]]] = {}


@pytest.fixture
def scratch() -> Iterator[Path]:
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    yield
    if "SWEEP_DAMAGES" in os.environ:
        total = Counter[str]()
        for by_damage in counts.values():
            for verdicts in by_damage.values():
                total.update(verdicts)
        (ROOT / "build").mkdir(exist_ok=True)
        text = json.dumps({"total": total, "by_source": counts}, indent=1, sort_keys=True)
        (ROOT / "build" / "corruptions.json").write_text(text + "\n", encoding="utf-8")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_no_damage_is_silent(source: Source, scratch: Path) -> None:
    folder = scratch / "sound"
    folder.mkdir()
    path = source.make(folder)
    data = path.read_bytes()
    sound = read_source(source, path, scratch)
    assert not sound.refusal, sound.refusal
    found = counts.setdefault(source.name, {})
    problems = []
    for name, damage in source.damages.items():
        rng = Random(f"{source.name} {name}")
        for number in range(DAMAGES):
            damaged = damage(rng, data)
            if damaged == data:
                result = "equal"
            else:
                result, reading = _verdict_of(source, sound, path, damaged, scratch)
            if result == "silent" and name in source.unseen:
                result = "unseen"
            found.setdefault(name, Counter())[result] += 1
            if result in ("silent", "placeless"):
                problems.append(f"{name} {number}: {result} {reading.refusal[:300]}")
    shutil.rmtree(folder)
    assert not problems, f"{len(problems)} of {source.name}:\n" + "\n".join(problems[:20])


def _verdict_of(
    source: Source, sound: Reading, path: Path, damaged: bytes, scratch: Path
) -> tuple[str, Reading]:
    path.write_bytes(damaged)
    reading = read_source(source, path, scratch)
    return verdict(sound, reading, path), reading


@pytest.mark.parametrize("mode", ["five_level", "l2"])
def test_no_damage_to_a_tape_is_silent(mode: str, scratch: Path) -> None:
    config = SourceConfig(
        reader="synthetic", instrument="SYN", options={"events": 3_000, "mode": mode}
    )
    (made,) = ensure_tapes(config, scratch / "cache")
    data = made.path.read_bytes()
    path = scratch / "damaged.tape"
    found = counts.setdefault(f"tape_{mode}", {})
    problems = []
    for name, damage in BYTES.items():
        rng = Random(f"tape {mode} {name}")
        for number in range(DAMAGES * 2):
            damaged = damage(rng, data)
            path.write_bytes(damaged)
            result = "equal" if damaged == data else _verdict_of_tape(path, made.content_hash)
            found.setdefault(name, Counter())[result] += 1
            if result not in ("refused", "equal"):
                problems.append(f"{name} {number}: {result}")
    assert not problems, "\n".join(problems[:20])


def _verdict_of_tape(path: Path, content_hash: str) -> str:
    try:
        opened = open_info(path)
    except DataError as error:
        return "refused" if path.name in str(error) and PLACE.search(str(error)) else str(error)
    return "equal" if opened.content_hash == content_hash else "silent"


def test_what_cannot_be_seen_has_a_reason() -> None:
    for source in SOURCES:
        assert source.unseen.keys() <= source.damages.keys()
        assert all(source.unseen.values())
