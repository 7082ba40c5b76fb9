"""The tape cache: builds tapes from sources once, verifies them, hands out what plans need.

A tape's name ends in a key: a hash over the content of its source, the reader, its options and its
code. Whatever shapes the rows changes the name, so a tape is never out of date, and times of files
are never trusted. One lock per name keeps builders of several processes apart; a tape appears under
its name only when it is whole, synced and read-only.
"""

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import rustsim
from sweep import products
from sweep.errors import DataError, InputError, ResourceError
from sweep.name_lock import name_lock
from sweep.products import CATALOGUE
from sweep.readers import READERS, RULES, Reader, make_request, read_rows
from sweep.readers.ahead import read_ahead
from sweep.readers.ticks import COLUMNS, KIND_LEVEL, Request, Rows, Session, Summary
from sweep.source import SourceConfig

# Goes up whenever this module makes other tapes of the same ticks.
BUILDER_VERSION: Final = 2

KEY_DIGITS: Final = 16
_PIECE_ROWS: Final = 1 << 16
_STEM_MAX: Final = 80  # of the source's name, so that the tape's is no longer than names may be
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TapeInfo:
    """A verified tape, and what its metadata say.

    Attributes:
        instrument: The part `instrument` of an exchange description.
        sessions: Cover every row exactly once, in order.
        facts: Plain JSON values that the reader found worth telling.
        has_book: Whether any row sets a level; without one nothing but crossings could ever fill.
        has_joins: Whether rows name the orders that lose lots.
    """

    path: Path
    row_count: int
    content_hash: str
    instrument: Mapping[str, Any]
    sessions: tuple[Session, ...]
    facts: Mapping[str, Any]
    has_book: bool
    has_joins: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """One tape to be made: from which file, with what, under which name.

    `files` is the file and what is read along with it; see `Reader.companions`.
    """

    path: Path | None
    files: tuple[Path, ...]
    reader: Reader
    source: SourceConfig
    name: str
    document: dict[str, Any]

    def request(self, seen: rustsim.FileHash) -> Request:
        """Return a request for the rows, with nothing counted yet."""
        source = self.source
        request = make_request(
            source.reader,
            self.path,
            source.instrument,
            source.options,
            policy=source.check,
            product=source.product,
        )
        return replace(request, seen=seen)


def ensure_tapes(
    source: SourceConfig,
    cache: Path,
    progress: Progress | None = None,
    on_rows: Callable[[int], None] | None = None,
) -> list[TapeInfo]:
    """Return the tapes of a source, in the order of its files; build those that are missing.

    Args:
        source: Reader, files and options.
        cache: Folder of the tapes; made if it is missing.
        progress: Hears what is built and waited for.
        on_rows: Hears how many rows of a tape under way are read.

    Raises:
        DataError: A file is missing, damaged or breaks a rule; the message names file and row.
        InputError: There is no such reader, option or instrument.
        ResourceError: The disk is full or the folder cannot be used.
    """
    orders = _orders(source)
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(f"{cache}: cannot make the folder for tapes: {error}") from error
    return [_ensure(order, cache, progress, on_rows) for order in orders]


def files_without_tape(source: SourceConfig, cache: Path) -> list[Path]:
    """Return the files of a source whose tapes are not in the cache.

    Raises:
        DataError: A file is missing or cannot be read.
        InputError: There is no such reader, option or instrument.
    """
    orders = _orders(source)
    return [order.path for order in orders if order.path and not (cache / order.name).exists()]


def open_info(path: Path) -> TapeInfo:
    """Return what a tape holds, after checking all of it.

    Raises:
        DataError: The tape is damaged, or its metadata are not those of this package.
    """
    try:
        tape = rustsim.Tape.open(str(path))
        return _info_of(
            path,
            tape.row_count,
            tape.content_hash,
            tape.metadata,
            has_book=_sets_levels(tape),
            has_joins=tape.has_join,
        )
    except rustsim.TapeError as error:
        raise DataError(str(error)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: the metadata have another form: {error!r}") from error


def _sets_levels(tape: rustsim.Tape) -> bool:
    # The first rows tell, as a rule.
    pieces = range(0, tape.row_count, _PIECE_ROWS)
    kinds = (tape.column("kind", at, min(at + _PIECE_ROWS, tape.row_count)) for at in pieces)
    return any(KIND_LEVEL in piece for piece in kinds)


def _info_of(
    path: Path,
    row_count: int,
    content_hash: str,
    metadata: str,
    *,
    has_book: bool,
    has_joins: bool,
) -> TapeInfo:
    document = json.loads(metadata)
    return TapeInfo(
        path=path,
        row_count=row_count,
        content_hash=content_hash,
        instrument=document["instrument"],
        sessions=tuple(Session(**entry) for entry in document["sessions"]),
        facts=document["facts"],
        has_book=has_book,
        has_joins=has_joins,
    )


def _orders(source: SourceConfig) -> list[_Order]:
    if not _NAME.fullmatch(source.instrument):
        message = "Expected a product of up to 64 letters, digits, dots and dashes"
        raise InputError(f"{message}, found {source.instrument!r}")
    paths: tuple[Path | None, ...] = source.paths or (None,)
    return [_order(source, path) for path in paths]


def _order(source: SourceConfig, path: Path | None) -> _Order:
    # Refuses options, rules and files that do not fit before anything is read.
    request = make_request(
        source.reader,
        path,
        source.instrument,
        source.options,
        policy=source.check,
        product=source.product,
    )
    reader = READERS[source.reader]
    files = () if path is None else (path, *reader.companions(path, request.options))
    document = {
        "builder": BUILDER_VERSION,
        "reader": source.reader,
        "reader_code": _code_hash(reader),
        "instrument_name": source.instrument,
        "options": asdict(request.options),
        "check": {rule: request.audit.action(rule) for rule in RULES[source.reader]},
        "product": source.product,
        # The name without its folder: a tape is the same wherever its source lies.
        "source": [_fingerprint(file) for file in files],
    }
    key = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:KEY_DIGITS]
    stem = source.reader if path is None else path.stem[:_STEM_MAX]
    return _Order(
        path=path,
        files=files,
        reader=reader,
        source=source,
        name=f"{stem}-{source.instrument}-{key}.tape",
        document=document,
    )


def _code_hash(reader: Reader) -> str:
    """Return a hash over what makes rows: the reader, what readers share, products, versions."""
    digest = hashlib.sha256(f"{reader.version}\n{rustsim.__version__}\n".encode())
    own = Path(inspect.getfile(reader.read))
    others = {Path(inspect.getfile(other.read)) for other in READERS.values()} - {own}
    for path in (*sorted({*own.parent.glob("*.py")} - others), Path(products.__file__), CATALOGUE):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _fingerprint(path: Path) -> dict[str, Any]:
    try:
        found = rustsim.file_hash(str(path))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return _identity(path, found)


def _identity(path: Path, found: tuple[int, str]) -> dict[str, Any]:
    size, digest = found
    return {"name": path.name, "bytes": size, "xxh3": digest}


def _ensure(
    order: _Order,
    cache: Path,
    progress: Progress | None,
    on_rows: Callable[[int], None] | None,
) -> TapeInfo:
    path = cache / order.name
    say = progress or (lambda _: None)
    with name_lock(path, say):
        if path.exists():
            try:
                return open_info(path)
            except DataError as error:
                # A tape can always be made again; its source is what must not be lost.
                say(f"{error}; building it again")
        for stale in cache.glob(f".{order.name}.*.partial"):
            stale.unlink(missing_ok=True)  # left by a builder that was killed; we hold its lock
        say(f"building {order.name} from {order.path or order.document['reader']}")
        return _build(order, path, on_rows)


def _build(order: _Order, path: Path, on_rows: Callable[[int], None] | None) -> TapeInfo:
    """Build a tape and return what it holds; whoever maps it checks every block of it."""
    seen = rustsim.FileHash()
    request = order.request(seen)
    metadata = ""
    rows = read_ahead(read_rows(order.source.reader, request))
    if on_rows is not None:
        rows = _counted(rows, on_rows)

    def describe(summary: Summary) -> str:
        nonlocal metadata
        for file, known in zip(order.files, order.document["source"], strict=True):
            # The reader may know what it read of the file itself; others are read once more.
            found = seen.result()
            is_seen = file == order.path and found[0] > 0
            if (_identity(file, found) if is_seen else _fingerprint(file)) != known:
                raise DataError(f"{file}: changed while it was read; wait until it is complete")
        document = order.document | {
            "instrument": dict(summary.instrument),
            "sessions": [asdict(session) for session in summary.sessions],
            "facts": dict(summary.facts) | {"checks": request.audit.report()},
        }
        metadata = json.dumps(document, sort_keys=True)
        return metadata

    made = write_tape(path, rows, request.audit.source, describe)
    return _info_of(
        path,
        made["row_count"],
        made["content_hash"],
        metadata,
        has_book=made["has_book"],
        has_joins=made["has_join"],
    )


def _counted(rows: Rows, on_rows: Callable[[int], None]) -> Rows:
    count = 0
    while True:
        try:
            chunk = next(rows)
        except StopIteration as stop:
            summary: Summary = stop.value
            return summary
        count += len(chunk["exch_ns"])
        on_rows(count)
        yield chunk


def write_tape(
    path: Path, rows: Rows, source: str, describe: Callable[[Summary], str]
) -> dict[str, Any]:
    """Write rows as a tape, chunk by chunk; nothing is left behind if that fails.

    Args:
        path: The tape.
        rows: What a reader yields.
        source: Named in messages about bad rows.
        describe: Makes the metadata once every row is read.

    Returns:
        What `rustsim.TapeBuilder.finish` returns, and `has_book` as of `TapeInfo`.

    Raises:
        DataError: A row breaks a rule; the message names source and row.
        ResourceError: The disk is full or the folder cannot be written.
    """
    first = next(rows, None)
    if first is None:
        raise DataError(f"{source}: the file holds no row")
    has_local = "local_ns" in first
    try:
        builder = rustsim.TapeBuilder(str(path), has_local=has_local, source=source)
        try:
            chunk = first
            has_book = False
            while True:
                has_book = has_book or KIND_LEVEL in chunk["kind"]
                builder.append(*(chunk.get(name) for name in COLUMNS))
                try:
                    chunk = next(rows)
                except StopIteration as stop:
                    summary: Summary = stop.value
                    break
            return builder.finish(describe(summary)) | {"has_book": has_book}
        finally:
            rows.close()
            builder.abort()  # does nothing after finish
    except rustsim.TickError as error:
        raise DataError(str(error)) from error
    except rustsim.TapeError as error:
        # The builder reads no tape: only the disk can fail it.
        raise ResourceError(str(error)) from error
