"""`data`: make tapes, look at them, make synthetic markets."""

import argparse
import json
import shutil
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import rustsim
from sweep.decode_data import SYNTHETIC, decode_options
from sweep.errors import EXIT_DONE, ResourceError
from sweep.planning import TAPES_FOLDER
from sweep.progress import talk
from sweep.readers import OPTIONS, make_options
from sweep.reading import Fields, Reading
from sweep.source import SourceConfig
from sweep.studyfile import parse_override

KINDS: Final = {0: "level", 1: "trade", 2: "clear"}


def import_data(options: argparse.Namespace) -> int:
    """Run the command `data import`."""
    from sweep.data import ensure_tapes

    study = options.loaded
    tapes = ensure_tapes(study.data.source, options.runs_dir.resolve() / TAPES_FOLDER, talk)
    _show(options, [inspect_tape(Path(tape.path)) for tape in tapes])
    return EXIT_DONE


def inspect(options: argparse.Namespace) -> int:
    """Run the command `data inspect`."""
    documents = [inspect_tape(path) for path in options.tapes]
    if options.figures:
        from sweep.market_figures import tape_figures

        for document, path in zip(documents, options.tapes, strict=True):
            document["figures"] = tape_figures(path)
    _show(options, documents)
    return EXIT_DONE


def generate(options: argparse.Namespace) -> int:
    """Run the command `data generate`."""
    from sweep.data import ensure_tapes

    values = _generate_options(options.overrides)
    if options.output.suffix == ".parquet":
        from sweep.synthetic import write_market

        market = write_market(options.output, options.instrument, make_options(SYNTHETIC, values))
        _show_file(options, market)
        return EXIT_DONE
    source = SourceConfig(reader=SYNTHETIC, instrument=options.instrument, options=values)
    made = ensure_tapes(source, options.runs_dir.resolve() / TAPES_FOLDER, talk)
    assert len(made) == 1, f"a synthetic market is one tape, found {len(made)}"
    temporary = options.output.with_name(f".{options.output.name}.part")
    try:
        shutil.copyfile(made[0].path, temporary)
        temporary.replace(options.output)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ResourceError(f"{options.output}: cannot be written: {error.strerror}") from error
    _show(options, [inspect_tape(options.output)])
    return EXIT_DONE


def _generate_options(overrides: list[str]) -> dict[str, Any]:
    """Check `key=value` options as strictly as a study file's."""
    reading = Reading()
    node = parse_override(overrides)
    values = decode_options(Fields(node, reading), OPTIONS[SYNTHETIC])
    reading.problems.raise_any()
    return values


def inspect_tape(path: Path) -> dict[str, Any]:
    """Return what a tape holds; opening it checks every block.

    Raises:
        TapeError: The tape is damaged or of another version.
    """
    tape = rustsim.Tape.open(str(path))
    metadata = json.loads(tape.metadata) if tape.metadata else {}
    kinds = Counter(tape.column("kind"))
    rows = tape.row_count
    return {
        "path": str(path),
        "rows": rows,
        "bytes": path.stat().st_size,
        "content_hash": tape.content_hash,
        "has_local_clock": tape.has_local,
        "first": _time(tape.exch_ns(0)) if rows else None,
        "last": _time(tape.exch_ns(rows - 1)) if rows else None,
        "kinds": {name: kinds.get(kind, 0) for kind, name in KINDS.items()},
        "instrument": metadata.get("instrument", {}),
        "reader": metadata.get("reader"),
        "source": metadata.get("source", []),
        "sessions": metadata.get("sessions", []),
        "facts": metadata.get("facts", {}),
    }


def _time(ns: int) -> str:
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def _show(options: argparse.Namespace, documents: list[dict[str, Any]]) -> None:
    if options.json:
        print(json.dumps({"tapes": documents}))
        return
    write = sys.stdout.write
    for document in documents:
        write(f"{document['path']}\n")
        write(
            f"  rows      {document['rows']:,} in {document['bytes'] / 1e6:,.1f} MB, all checked\n"
        )
        kinds = ", ".join(f"{count:,} {name}" for name, count in document["kinds"].items())
        write(f"  kinds     {kinds}\n")
        write(f"  time      {document['first']} to {document['last']}\n")
        write(f"  hash      {document['content_hash']}\n")
        write(f"  product   {json.dumps(document['instrument'])}\n")
        for session in document["sessions"]:
            count = session["row_stop"] - session["row_start"]
            write(f"  session   {session['name']}: {count:,} rows\n")
        for name, fact in document["facts"].items():
            write(f"  fact      {name}: {json.dumps(fact)}\n")
        for session, figures in document.get("figures", {}).items():
            write(f"  figures   {session}\n")
            for name, figure in figures.items():
                write(f"    {name:<26} {json.dumps(figure)}\n")


def _show_file(options: argparse.Namespace, market: dict[str, Any]) -> None:
    if options.json:
        print(json.dumps(market))
        return
    size = f"{market['rows']:,} rows in {market['bytes'] / 1e6:,.1f} MB"
    sys.stdout.write(f"{market['path']}\n  {size}, mode {market['mode']}\n")
