"""Seeded damage to files, and what a reader makes of it."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import polars as pl

from sweep.data import write_tape
from sweep.errors import DataError, InputError
from sweep.readers import make_request, read_rows
from sweep.readers.ticks import Summary

Damage = Callable[[Random, bytes], bytes]

# A message is of use if it says where: a row, a line, an offset, or a part of the file.
PLACE: Final = re.compile(
    r"row|line|offset|block|byte|member|column|header|footer|metadata|magic|empty|truncated"
    r"|cut off|ends|checksum|holds no|not a readable|not a|damaged|record|field|schema"
    r"|name|an array|order file|no depth update"
)


# --- bytes: any file -----------------------------------------------------------------------------


def flip_bit(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def truncate(rng: Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def cut_middle(rng: Random, data: bytes) -> bytes:
    start, stop = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:start] + data[max(stop, start + 1) :]


def repeat_middle(rng: Random, data: bytes) -> bytes:
    start, stop = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:stop] + data[start:stop] + data[stop:]


def swap_blocks(rng: Random, data: bytes) -> bytes:
    size = max(1, len(data) // 16)
    first, second = sorted(rng.sample(range(len(data) // size), 2))
    a, b = (slice(place * size, (place + 1) * size) for place in (first, second))
    return data[: a.start] + data[b] + data[a.stop : b.start] + data[a] + data[b.stop :]


def zero_block(rng: Random, data: bytes) -> bytes:
    size = rng.randint(1, max(1, len(data) // 8))
    at = rng.randrange(len(data))
    return data[:at] + bytes(min(size, len(data) - at)) + data[at + size :]


BYTES: Final[dict[str, Damage]] = {
    "flip_bit": flip_bit,
    "truncate": truncate,
    "cut_middle": cut_middle,
    "repeat_middle": repeat_middle,
    "swap_blocks": swap_blocks,
    "zero_block": zero_block,
}


# --- lines: text files ---------------------------------------------------------------------------


def _on_lines(change: Callable[[Random, list[bytes]], None]) -> Damage:
    def damage(rng: Random, data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        change(rng, lines)
        return b"".join(lines)

    return damage


def _missing_row(rng: Random, lines: list[bytes]) -> None:
    del lines[rng.randrange(len(lines))]


def _repeated_row(rng: Random, lines: list[bytes]) -> None:
    at = rng.randrange(len(lines))
    lines.insert(at, lines[at])


def _swapped_rows(rng: Random, lines: list[bytes]) -> None:
    a, b = rng.sample(range(len(lines)), 2)
    lines[a], lines[b] = lines[b], lines[a]


def _short_line(rng: Random, lines: list[bytes]) -> None:
    at = rng.randrange(len(lines))
    body = lines[at].rstrip(b"\r\n")
    ending = lines[at][len(body) :]
    lines[at] = body[: rng.randrange(max(1, len(body)))] + ending


def _joined_lines(rng: Random, lines: list[bytes]) -> None:
    at = rng.randrange(len(lines))
    lines[at] = lines[at].rstrip(b"\r\n")


def _foreign_line(rng: Random, lines: list[bytes]) -> None:
    words = [
        b"\xff\xfe\x00\n",
        b"<html>\n",
        b"\n",
        b"nan,nan,nan\n",
        b",".join([b"1"] * 99) + b"\n",
    ]
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(words))


NUMBER: Final = re.compile(rb"-?\d+(?:\.\d+)?")
NONSENSE: Final = (b"nan", b"inf", b"-1", b"", b"x", b"1e400", b"9223372036854775808", b"0x10")


def _nonsense_number(rng: Random, lines: list[bytes]) -> None:
    for _ in range(100):
        at = rng.randrange(len(lines))
        found = list(NUMBER.finditer(lines[at]))
        if found:
            number = rng.choice(found)
            word = rng.choice(NONSENSE)
            lines[at] = lines[at][: number.start()] + word + lines[at][number.end() :]
            return


LINES: Final[dict[str, Damage]] = {
    "missing_row": _on_lines(_missing_row),
    "repeated_row": _on_lines(_repeated_row),
    "swapped_rows": _on_lines(_swapped_rows),
    "short_line": _on_lines(_short_line),
    "joined_lines": _on_lines(_joined_lines),
    "foreign_line": _on_lines(_foreign_line),
    "nonsense_number": _on_lines(_nonsense_number),
}


# --- cells: tables -------------------------------------------------------------------------------

# Values that no column of ticks may hold, by the kind of the column.
BAD_FLOATS: Final = (float("nan"), float("inf"), -1.0, 1e300, 0.5e-12)
BAD_INTS: Final = (-1, -(2**62), 2**62, 2**31, 2**63 - 1)


def bad_value(rng: Random, kind: np.dtype[Any]) -> Any:
    """Return a value of the type that makes no sense in a market."""
    if kind.kind == "f":
        return rng.choice(BAD_FLOATS)
    limits = np.iinfo(kind)
    return rng.choice([value for value in BAD_INTS if limits.min <= value <= limits.max] or [255])


def damage_table(rng: Random, name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table with one damage of `TABLES`."""
    rows = frame.height
    order = list(range(rows))
    if name == "missing_row":
        del order[rng.randrange(rows)]
    elif name == "repeated_row":
        at = rng.randrange(rows)
        order.insert(at, at)
    elif name == "swapped_rows":
        a, b = rng.sample(range(rows), 2)
        order[a], order[b] = order[b], order[a]
    elif name == "nonsense_number":
        column = rng.choice(frame.columns)
        values = frame[column].to_numpy().copy()
        values[rng.randrange(rows)] = bad_value(rng, values.dtype)
        return frame.with_columns(pl.Series(column, values, dtype=frame.schema[column]))
    elif name == "null":
        column, at = rng.choice(frame.columns), rng.randrange(rows)
        keep = pl.Series(range(rows)) != at
        return frame.with_columns(pl.when(keep).then(pl.col(column)).otherwise(None).alias(column))
    elif name == "missing_column":
        return frame.drop(rng.choice(frame.columns))
    elif name == "other_type":
        return frame.with_columns(pl.col(rng.choice(frame.columns)).cast(pl.String))
    else:
        raise ValueError(name)
    return frame[order]


TABLES: Final = (
    "missing_row",
    "repeated_row",
    "swapped_rows",
    "nonsense_number",
    "null",
    "missing_column",
    "other_type",
)


def table_damages(
    load: Callable[[bytes], pl.DataFrame],
    save: Callable[[pl.DataFrame], bytes],
    names: Iterable[str] = TABLES,
) -> dict[str, Damage]:
    """Return damages of `TABLES` for a container of tables."""

    def damage(name: str) -> Damage:
        return lambda rng, data: save(damage_table(rng, name, load(data)))

    return {name: damage(name) for name in names}


# --- verdicts ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One sound file that a reader takes, to be damaged.

    Attributes:
        name: Of the case.
        reader: Name of the reader.
        instrument: Product.
        make: Writes the sound file, and whatever lies beside it, into a folder; returns its path.
        damages: Ways to damage its bytes by name.
        options: Options of the reader.
        unseen: Damages that no reader of this format can always see, with the reason: the format
            has no checksum and no sequence there, so another sound file may come out.
        settings: Further arguments of `make_request`.
    """

    name: str
    reader: str
    instrument: str
    make: Callable[[Path], Path]
    damages: Mapping[str, Damage]
    options: Mapping[str, Any] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What became of a file: the content of its tape and the findings, or a refusal."""

    content: str = ""
    findings: Mapping[str, int] = field(default_factory=dict)
    refusal: str = ""


def read_source(source: Source, path: Path, scratch: Path) -> Reading:
    """Make a tape of a file; whatever is raised besides the two expected errors comes through."""
    tape = scratch / "damaged.tape"
    tape.unlink(missing_ok=True)
    try:
        request = make_request(
            source.reader, path, source.instrument, source.options, **source.settings
        )
        made = write_tape(tape, read_rows(source.reader, request), str(path), _describe)
    except (DataError, InputError) as error:
        return Reading(refusal=str(error))
    counts = {name: finding.count for name, finding in request.audit.findings.items()}
    return Reading(content=made["content_hash"], findings=counts)


def _describe(summary: Summary) -> str:
    sessions = [asdict(session) for session in summary.sessions]
    return json.dumps({"instrument": dict(summary.instrument), "sessions": sessions})


def verdict(sound: Reading, damaged: Reading, path: Path) -> str:
    """Say what became of damage: refused, placeless, reported, equal or silent."""
    if damaged.refusal:
        has_place = path.name in damaged.refusal and PLACE.search(damaged.refusal)
        return "refused" if has_place else "placeless"
    if any(count > sound.findings[name] for name, count in damaged.findings.items()):
        return "reported"
    return "equal" if damaged.content == sound.content else "silent"
