"""Reads sources as an import would, without writing anything, and tells what it found in each."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import rustsim
from sweep.errors import DataError, SweepError
from sweep.file_processes import ENDED, each_source
from sweep.naming import NamedSource
from sweep.readers import RULES, make_request, read_rows
from sweep.readers.audit import Audit, Rule
from sweep.readers.ticks import COLUMNS, KIND_TRADE, Columns, Request, Summary
from sweep.source import SourceConfig
from sweep.survey import time_text

Outcome = Literal["sound", "noted", "unclear", "broken", "refused", "bug"]
OUTCOMES: Final[dict[Outcome, str]] = {
    "sound": "every rule holds",
    "noted": "rules are broken whose action is milder than error",
    "unclear": "not known how to read it",
    "broken": "a rule whose action is error is broken: an import would refuse it",
    "refused": "cannot be read",
    "bug": "the reader failed: a bug in this program",
}
# Hears rows read and bytes of files done, of all files.
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class _Count:
    """What is seen of the rows that pass."""

    rows: int = 0
    first_ns: int | None = None
    last_ns: int = 0
    trades: int = 0
    with_join: int = 0


def check_source(
    config: SourceConfig, path: Path | None, progress: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """Read one source to its end in check mode and return what was found, as plain JSON.

    Args:
        config: How to read it.
        path: The file; None for a reader that needs none.
        progress: Hears how many rows were read so far.
    """
    started = time.perf_counter()
    rules = RULES[config.reader]
    document: dict[str, Any] = {"reader": config.reader, "instrument": config.instrument}
    count, audit = _Count(), Audit("", rules)
    try:
        request = _request(config, path)
        audit = request.audit
        summary = _read(config.reader, request, count, progress)
        document |= {
            "sessions": [
                {"name": session.name, "rows": session.row_stop - session.row_start}
                for session in summary.sessions
            ],
            "facts": dict(summary.facts),
        }
        problem = ""
    except (SweepError, rustsim.TickError, MemoryError) as error:
        problem = str(error) or "not enough memory"
    document["rules"] = _rules(rules, config.check, audit)
    document |= _figures(count) | {"seconds": round(time.perf_counter() - started, 3)}
    is_broken = any(
        rule["count"] and rule["action"] == "error" for rule in document["rules"].values()
    )
    is_noted = any(rule["count"] for rule in document["rules"].values())
    outcome: Outcome = "refused" if problem else "noted" if is_noted else "sound"
    if is_broken:
        outcome = "broken"
    return document | {"outcome": outcome, "problem": problem}


def _request(config: SourceConfig, path: Path | None) -> Request:
    return make_request(
        config.reader,
        path,
        config.instrument,
        config.options,
        policy=config.check,
        product=config.product,
        is_check=True,
    )


def _read(
    reader: str, request: Request, count: _Count, progress: Callable[[int], None] | None
) -> Summary:
    source = request.audit.source
    rows = read_rows(reader, request)
    tape_rules = None
    try:
        while True:
            chunk = next(rows)
            if tape_rules is None:
                tape_rules = rustsim.RowCheck(has_local="local_ns" in chunk, source=source)
            tape_rules.append(*(chunk.get(name) for name in COLUMNS))
            _count_chunk(count, chunk)
            if progress:
                progress(count.rows)
    except StopIteration as stop:
        summary: Summary = stop.value
    if not count.rows:
        raise DataError(f"{source}: the file holds no row")
    return summary


def _count_chunk(count: _Count, chunk: Columns) -> None:
    times = chunk["exch_ns"]
    if not len(times):
        return
    if count.first_ns is None:
        count.first_ns = int(times[0])
    count.last_ns = int(times[-1])
    count.rows += len(times)
    count.trades += int((chunk["kind"] == KIND_TRADE).sum())
    if "join" in chunk:
        count.with_join += int((chunk["join"] != 0).sum())


def _rules(
    rules: Mapping[str, Rule], policy: Mapping[str, str], audit: Audit
) -> dict[str, dict[str, Any]]:
    """Return every rule with what an import would do, how often it was broken and where first."""
    return {
        name: {
            "doc": rule.doc,
            "action": policy.get(name, rule.actions[0]),
            "allowed": list(rule.actions),
            "count": audit.findings[name].count,
        }
        | ({"first": audit.findings[name].first} if audit.findings[name].count else {})
        for name, rule in rules.items()
    }


def _figures(count: _Count) -> dict[str, Any]:
    figures: dict[str, Any] = {"rows": count.rows, "trades": count.trades}
    if count.first_ns is not None:
        figures["first"] = time_text(count.first_ns)
        figures["last"] = time_text(count.last_ns)
        figures["span_seconds"] = (count.last_ns - count.first_ns) / 1e9
        figures["rows_with_join"] = count.with_join
    return figures


def check_sources(
    named: Sequence[NamedSource], jobs: int, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """Check sources, up to `jobs` at a time, and return what was found in each, in their order."""
    found: list[dict[str, Any]] = [{} for _ in named]
    sizes = [_size(source.path) for source in named]
    seen = dict.fromkeys(range(len(named)), 0)
    done_bytes = 0
    for index, source in enumerate(named):
        found[index] = _where(source, sizes[index])
        if source.config is None:
            found[index] |= _failed("unclear", source.problem)
    for index, message in each_source(named, _check, jobs):
        if isinstance(message, int):
            seen[index] = message
        elif isinstance(message, dict):
            result = _failed("bug", message[ENDED]) if ENDED in message else message
            found[index] |= result
            seen[index] = int(result.get("rows", 0))
            done_bytes += sizes[index]
        if progress:
            progress(sum(seen.values()), done_bytes)
    return found


def _where(source: NamedSource, size: int) -> dict[str, Any]:
    note = {"guessed": source.note} if source.note else {}
    return {"path": str(source.path) if source.path else None, "bytes": size} | note


def _size(path: Path | None) -> int:
    return path.stat().st_size if path is not None and path.is_file() else 0


def _check(source: NamedSource, tell: Callable[[int | str], None]) -> dict[str, Any]:
    assert source.config is not None, source
    try:
        return check_source(source.config, source.path, tell)
    except Exception as error:  # noqa: BLE001 - one file's bug must not hide the others' results
        return _failed("bug", f"{type(error).__name__}: {error}")


def _failed(outcome: Outcome, problem: str) -> dict[str, Any]:
    return {"outcome": outcome, "problem": problem, "rules": {}}
