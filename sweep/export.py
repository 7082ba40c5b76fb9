"""Writes tapes in formats of others: event arrays of hftbacktest, canonical Parquet and CSV.

Every format is written chunk by chunk, under a temporary name first. What a format cannot hold is
said in `FORMATS` and counted in what `export_tape` returns.
"""

import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

import rustsim
from sweep.errors import DataError, InputError
from sweep.products import Product
from sweep.readers import canonical_parquet
from sweep.readers.event_arrays import DATA_KEY, DOCUMENT_MEMBER, EVENT_LAYOUT
from sweep.readers.hftbacktest import BUY, CLEAR, DEPTH, EXCHANGE, LOCAL, SELL, SNAPSHOT, TRADE
from sweep.readers.ladder import Ladder
from sweep.readers.ticks import (
    COLUMNS,
    FLAG_IMAGE,
    KIND_CLEAR,
    KIND_TRADE,
    SIDE_BID,
    Columns,
)
from sweep.whole_files import whole_file

CHUNK_ROWS: Final = 1 << 18
_FEED_LATENCY_NS_MAX: Final = 86_400_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What an export may be told.

    Attributes:
        feed_latency_ns: Local times of a tape without a local clock: exchange time plus this.
    """

    feed_latency_ns: int = 0


@dataclass(slots=True, kw_only=True)
class _Source:
    """A tape that is being exported."""

    tape: rustsim.Tape
    document: dict[str, Any]
    ladder: Ladder
    options: ExportOptions
    losses: dict[str, int] = field(default_factory=dict)

    def chunks(self) -> Iterator[Columns]:
        """Yield the rows in order, `CHUNK_ROWS` at a time."""
        for start in range(0, self.tape.row_count, CHUNK_ROWS):
            stop = min(start + CHUNK_ROWS, self.tape.row_count)
            yield {
                name: np.frombuffer(self.tape.column(name, start, stop), kind)
                for name, kind in COLUMNS.items()
                if name != "local_ns" or self.tape.has_local
            }

    def groups(self) -> Iterator[Columns]:
        """Yield the rows in order; no exchange time is spread over two chunks."""
        held: Columns = {}
        for chunk in self.chunks():
            joined = chunk if not held else _joined(held, chunk)
            last = int(np.searchsorted(joined["exch_ns"], joined["exch_ns"][-1]))
            if last:
                yield {name: values[:last] for name, values in joined.items()}
            held = {name: values[last:] for name, values in joined.items()}
        if held:
            yield held

    def lost(self, what: str, count: int) -> None:
        """Count rows that the format does not hold as they were."""
        if count:
            self.losses[what] = self.losses.get(what, 0) + count


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format.

    Attributes:
        suffix: Of its files.
        losses: What it cannot hold.
        write: Writes a tape to an open file.
    """

    suffix: str
    losses: str
    write: Callable[[_Source, IO[bytes]], None]


def export_tape(
    tape_path: Path,
    out_path: Path,
    format_name: str = "",
    options: ExportOptions | None = None,
) -> dict[str, Any]:
    """Write a tape in another format; the file appears when it is whole.

    Args:
        tape_path: The tape, checked before anything is written.
        out_path: File to write; replaced if it is there.
        format_name: A key of `FORMATS`; by default what the suffix of `out_path` says.
        options: See `ExportOptions`.

    Returns:
        Plain JSON: path, format, rows, bytes, and how many rows lost what.

    Raises:
        DataError: The tape is damaged.
        InputError: There is no such format, or an option is out of range.
        ResourceError: The disk is full or the folder cannot be written.
    """
    options = options or ExportOptions()
    name = format_name or _format_of(out_path)
    if name not in FORMATS:
        raise InputError(f"There is no export format {name!r}; known: {', '.join(FORMATS)}")
    if not out_path.name.endswith(FORMATS[name].suffix):
        raise InputError(f"{out_path}: a file of the format {name} ends in {FORMATS[name].suffix}")
    if not 0 <= options.feed_latency_ns <= _FEED_LATENCY_NS_MAX:
        message = f"feed_latency_ns must lie in [0, {_FEED_LATENCY_NS_MAX}]"
        raise InputError(f"{message}, found {options.feed_latency_ns}")
    source = _open(tape_path, options)
    with whole_file(out_path) as temporary, temporary.open("wb") as file:
        FORMATS[name].write(source, file)
    return {
        "path": str(out_path),
        "format": name,
        "rows": source.tape.row_count,
        "bytes": out_path.stat().st_size,
        "losses": source.losses,
    }


def _format_of(path: Path) -> str:
    for name, known in FORMATS.items():
        if path.name.endswith(known.suffix):
            return name
    suffixes = ", ".join(known.suffix for known in FORMATS.values())
    raise InputError(f"{path}: cannot tell the format; known suffixes: {suffixes}")


def _open(path: Path, options: ExportOptions) -> _Source:
    try:
        tape = rustsim.Tape.open(str(path))
        document = json.loads(tape.metadata) if tape.metadata else {}
    except rustsim.TapeError as error:
        raise DataError(str(error)) from error
    except ValueError as error:
        raise DataError(f"{path}: the metadata are no JSON: {error}") from error
    if tape.row_count == 0:
        raise DataError(f"{path}: the tape holds no row")
    return _Source(tape=tape, document=document, ladder=_ladder(document), options=options)


def _ladder(document: dict[str, Any]) -> Ladder:
    """Return the product's ladder; ticks and lots themselves where the tape does not tell it."""
    table = document.get("facts", {}).get("product")
    if not isinstance(table, dict):
        table = {
            "venue": "",
            "currency": "",
            "minor_per_unit": 1,
            "tick_size": "1",
            "lot_size": "1",
            "multiplier": "1",
        }
    values = {key: value for key, value in table.items() if key != "name" and value is not None}
    return Ladder.of(Product.from_table(str(table.get("name", "tape")), values))


def _joined(first: Columns, second: Columns) -> Columns:
    return {name: np.concatenate((values, second[name])) for name, values in first.items()}


# --- hftbacktest ----------------------------------------------------------------------------------


def _write_hftbacktest(source: _Source, file: IO[bytes]) -> None:
    tape = source.tape
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open(f"{DATA_KEY}.npy", "w", force_zip64=True) as member:
            header = {
                "descr": EVENT_LAYOUT.descr,
                "fortran_order": False,
                "shape": (tape.row_count,),
            }
            np.lib.format.write_array_header_1_0(member, header)
            local_last = 0
            for columns in source.groups():
                rows, local_last = _events(source, columns, local_last)
                member.write(rows.tobytes())
        archive.writestr(DOCUMENT_MEMBER, json.dumps(_tape_document(source), sort_keys=True))


def _tape_document(source: _Source) -> dict[str, Any]:
    document, product = source.document, source.ladder.product
    return {
        "tape": {
            "has_local": source.tape.has_local,
            "visible_levels": document.get("instrument", {}).get("visible_levels", 0),
            "sessions": document.get("sessions", []),
            "instrument": document.get("instrument", {}),
            "facts": document.get("facts", {}),
            "tick_size": str(product.tick_size),
            "lot_size": str(product.lot_size),
            "content_hash": source.tape.content_hash,
        },
        "ival": "flags of the row + 256 x join",
        "fval": "recorded local_ns - exch_ns",
    }


def _events(source: _Source, columns: Columns, local_last: int) -> tuple[npt.NDArray[Any], int]:
    """Return whole groups as events, and the latest local time so far."""
    kind, side, flags = columns["kind"], columns["side"], columns["flags"]
    exch_ns = columns["exch_ns"]
    is_trade, is_clear = kind == KIND_TRADE, kind == KIND_CLEAR
    # A trade carries the side of its taker, a level that of the book.
    is_buy = (side == SIDE_BID) != is_trade
    depth = np.where(flags & FLAG_IMAGE > 0, SNAPSHOT, DEPTH)
    event = np.where(is_trade, TRADE, depth) | np.where(is_buy, BUY, SELL)
    rows = np.zeros(len(kind), EVENT_LAYOUT)
    rows["ev"] = np.where(is_clear, CLEAR, event).astype(np.uint64) | np.uint64(EXCHANGE | LOCAL)
    rows["exch_ts"] = exch_ns
    rows["px"] = source.ladder.prices(columns["price"])
    rows["qty"] = source.ladder.quantities(columns["qty"])
    rows["ival"] = flags.astype(np.int64) + (columns["join"].astype(np.int64) << 8)
    local_ns, local_last = _seen(source, columns, local_last)
    rows["local_ts"] = local_ns
    if source.tape.has_local:
        rows["fval"] = columns["local_ns"] - exch_ns
        early = "local times moved to when a replay shows the group"
        source.lost(early, int(np.count_nonzero(local_ns != columns["local_ns"])))
    for flag, what in _FLAG_LOSSES.items():
        source.lost(what, int(np.count_nonzero(flags & flag)))
    return rows, local_last


# Not known to hftbacktest; our reader takes flags from the spare field.
_FLAG_LOSSES: Final = {
    4: "auction rows that hftbacktest takes for trading",
    8: "first rows after a gap, not marked",
    16: "levels out of view that hftbacktest takes for empty",
}


def _seen(source: _Source, columns: Columns, local_last: int) -> tuple[npt.NDArray[Any], int]:
    """Return when a strategy sees each row: with the last row of its group, never before others."""
    exch_ns = columns["exch_ns"]
    if not source.tape.has_local:
        return exch_ns + source.options.feed_latency_ns, local_last
    ends = np.flatnonzero(np.diff(exch_ns, append=exch_ns[-1] + 1))
    seen = np.maximum(exch_ns[ends], columns["local_ns"][ends])
    seen = np.maximum(np.maximum.accumulate(seen), local_last)
    return np.repeat(seen, np.diff(ends, prepend=-1)), int(seen[-1])


# --- canonical ------------------------------------------------------------------------------------


def _write_parquet(source: _Source, file: IO[bytes]) -> None:
    document = {name: source.document.get(name, {}) for name in ("instrument", "sessions", "facts")}
    canonical_parquet.write_chunks(file, source.chunks(), document)


def _write_csv(source: _Source, file: IO[bytes]) -> None:
    import polars as pl

    for number, columns in enumerate(source.chunks()):
        # Doubles are written with as few digits as tell them apart: those of the decimal price.
        shown = columns | {
            "price": source.ladder.prices(columns["price"]),
            "qty": source.ladder.quantities(columns["qty"]),
        }
        frame = pl.DataFrame(shown).with_columns(
            pl.col("kind").replace_strict({0: "level", 1: "trade", 2: "clear"}),
            pl.col("side").replace_strict({0: "bid", 1: "ask"}),
        )
        frame.write_csv(file, include_header=number == 0)


FORMATS: Final[dict[str, Format]] = {
    "hftbacktest": Format(
        suffix=".npz",
        losses="auction, gap and out-of-view flags mean nothing to hftbacktest",
        write=_write_hftbacktest,
    ),
    "parquet": Format(suffix=".parquet", losses="nothing", write=_write_parquet),
    "csv": Format(suffix=".csv", losses="sessions, instrument, facts", write=_write_csv),
}
