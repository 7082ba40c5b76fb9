"""Recorded latencies of a study: read once, kept as a mapped file named by its content."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sweep.errors import DataError, InputError, ResourceError
from sweep.reading import Leaf, leaf_words
from sweep.schema import LATENCY_LEGS, LatencyLeg, Study
from sweep.whole_files import whole_file

TRACES_FOLDER: Final = ".latencies"
HASH_DIGITS: Final = 32  # in the name of a mapped file


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A mapped file of recorded latencies.

    Attributes:
        name: As the study calls it.
        path: The mapped file.
        hash: Over its content: equal rows, equal hash.
        spans: First and last time of every operation that has rows.
    """

    name: str
    path: Path
    hash: str
    spans: Mapping[str, tuple[int, int]]

    def to_json(self) -> dict[str, str]:
        """Return what a worker needs."""
        return {"path": str(self.path), "hash": self.hash}


def ensure_traces(study: Study, runs_dir: Path) -> dict[str, Trace]:
    """Return the recorded latencies of a study by name, each read and kept for all workers.

    Raises:
        DataError: A file is refused.
        InputError: A latency asks for rows that its file lacks, or rows would be left unread.
        ResourceError: The cache cannot be written.
    """
    traces = {
        name: _ensure(name, path, runs_dir.resolve() / TRACES_FOLDER)
        for name, path in study.traces.items()
    }
    _check_read(study.world.latency, traces)
    return traces


def _ensure(name: str, path: Path, cache: Path) -> Trace:
    # Loads slowly, and few studies have recorded latencies.
    from sweep.readers.latency_rows import read_latency_rows, trace_image

    rows = read_latency_rows(path)
    image = trace_image(rows)
    digest = hashlib.sha256(image).hexdigest()
    kept = cache / f"{digest[:HASH_DIGITS]}.trace"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(f"{cache}: cannot be made: {error.strerror or error}") from error
    with whole_file(kept) as draft:
        draft.write_bytes(image)
        draft.chmod(0o444)
    spans = {op: (int(times[0]), int(times[-1])) for op, (times, _) in rows.items()}
    return Trace(name=name, path=kept, hash=digest, spans=spans)


def _check_read(legs: Mapping[str, LatencyLeg], traces: Mapping[str, Trace]) -> None:
    """Refuse operations that a file lacks, and rows of messages that would take no time."""
    read: dict[str, set[str]] = {name: set() for name in traces}
    for key, leg in legs.items():
        for name in _files(leg.file):
            assert leg.operation is not None, f"a trace without operation: {key}"
            read[name].add(leg.operation)
            if leg.operation not in traces[name].spans:
                message = f"world.latency.{key}: {name} has no row of {leg.operation!r}"
                raise InputError(f"{message}, only of {', '.join(traces[name].spans)}")
    for name, trace in traces.items():
        for operation in sorted(set(trace.spans) - read[name]):
            if legs[operation] == LatencyLeg():
                message = f"{name}: nothing reads its rows of {operation!r}"
                hint = f"add {operation}: {{model: trace, file: {name}}}, or remove these rows"
                raise InputError(f"{message}, and the study gives no other latency; {hint}")


def _files(leaf: Leaf | None) -> tuple[str, ...]:
    return () if leaf is None else leaf_words(leaf)


def doubts(traces: Iterable[Trace], slices: Iterable[tuple[str, int, int]]) -> list[str]:
    """Return what is doubtful: slices (name, first and last time) outside of a trace's rows."""
    found = []
    spans = list(slices)
    for trace in traces:
        for operation in LATENCY_LEGS:
            if operation not in trace.spans:
                continue
            first, last = trace.spans[operation]
            outside = [name for name, start, stop in spans if stop < first or start > last]
            if outside:
                message = f"{trace.name}: no row of {operation!r} lies in {', '.join(outside[:5])}"
                found.append(f"{message}: the nearest row holds there throughout")
    return found


def open_traces(documents: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the mapped files by name, as a worker finds them.

    Raises:
        DataError: A file is not the one that the plan was made for.
    """
    paths = {}
    for name, document in documents.items():
        try:
            found = hashlib.sha256(Path(document["path"]).read_bytes()).hexdigest()
        except OSError as error:
            message = f"{document['path']}: cannot be read: {error.strerror or error}"
            raise DataError(f"{message}; plan the study again") from error
        if found != document["hash"]:
            message = f"{document['path']}: expected the hash {document['hash']}, found {found}"
            raise DataError(f"{message}; plan the study again")
        paths[name] = document["path"]
    return paths
