"""`data import`, `data export`, `data generate`: make tapes, and other files of them."""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from sweep.commands.data_check import asked
from sweep.decode_data import SYNTHETIC, decode_options
from sweep.errors import EXIT_DONE, InputError
from sweep.naming import NamedSource, name_sources
from sweep.planning import TAPES_FOLDER
from sweep.progress import FileBar, talk
from sweep.readers import OPTIONS, make_options
from sweep.reading import Fields, Reading
from sweep.source import SourceConfig
from sweep.studyfile import parse_override
from sweep.whole_files import whole_file

MARKET_SUFFIXES: Final = (".tape", ".parquet")


def import_data(options: argparse.Namespace) -> int:
    """Run the command `data import`."""
    named = name_sources(options.sources, asked(options))
    cache = options.runs_dir.resolve() / TAPES_FOLDER
    tapes, problems = make_tapes(named, cache, options.jobs)
    documents = [describe_tape(path) for path in tapes]
    if options.json:
        print(json.dumps({"tapes": documents, "problems": [text for text, _ in problems]}))
    else:
        for document in documents:
            _show(document)
    for text, _ in problems:
        talk(f"error: {text}")
    if len(named) > 1:
        talk(f"{len(named) - len(problems)} of {len(named)} sources are tapes now")
    return max((code for _, code in problems), default=EXIT_DONE)


def make_tapes(
    named: list[NamedSource], cache: Path, jobs: int
) -> tuple[list[Path], list[tuple[str, int]]]:
    """Make the tapes that are missing, with a progress bar; go on after a source that is refused.

    Args:
        named: The sources.
        cache: Folder of the tapes.
        jobs: Files at a time, 0 for as many as there are processors.

    Returns:
        The tapes, and message and exit code of each source without one.
    """
    from sweep.importing import import_sources

    total = sum(s.path.stat().st_size for s in named if s.path is not None and s.path.is_file())
    with FileBar("importing", total) as bar:
        for source in named:
            if source.note and source.config is not None:
                bar.say(f"{source.path}: guessed {source.note}")
        jobs = jobs or min(len(named), os.cpu_count() or 1)
        found = import_sources(named, cache, jobs, bar.update, bar.say)
    tapes = [path for imported in found for path in imported.tapes]
    return tapes, [(one.problem, one.exit_code) for one in found if one.problem]


def export(options: argparse.Namespace) -> int:
    """Run the command `data export`."""
    from sweep.export import FORMATS, ExportOptions, export_tape

    settings = ExportOptions(feed_latency_ns=options.feed_latency_ns)
    told = export_tape(options.tape, options.output, options.format or "", settings)
    if options.json:
        print(json.dumps(told))
        return EXIT_DONE
    size = f"{told['rows']:,} rows as {told['format']} in {told['bytes'] / 1e6:,.1f} MB"
    sys.stdout.write(f"{told['path']}\n  {size}\n")
    for what, count in told["losses"].items():
        sys.stdout.write(f"  lost: {count:,} {what}\n")
    sys.stdout.write(f"  the format: {FORMATS[told['format']].losses}\n")
    return EXIT_DONE


def generate(options: argparse.Namespace) -> int:
    """Run the command `data generate`."""
    from sweep.data import ensure_tapes

    _check_output(options.output, is_forced=options.force)
    values = _generate_options(options.overrides)
    if options.like is not None:
        from sweep.commands.calibrate import generate_like

        return generate_like(options, values)
    if options.output.suffix == ".parquet":
        from sweep.synthetic import write_market

        market = write_market(options.output, options.instrument, make_options(SYNTHETIC, values))
        _show_file(options, market)
        return EXIT_DONE
    source = SourceConfig(reader=SYNTHETIC, instrument=options.instrument, options=values)
    made = ensure_tapes(source, options.runs_dir.resolve() / TAPES_FOLDER, talk)
    assert len(made) == 1, f"a synthetic market is one tape, found {len(made)}"
    with whole_file(options.output) as temporary:
        shutil.copyfile(made[0].path, temporary)
    document = describe_tape(options.output)
    if options.json:
        print(json.dumps({"tapes": [document]}))
    else:
        _show(document)
    return EXIT_DONE


def _check_output(path: Path, *, is_forced: bool) -> None:
    """Refuse a file that would be of no known kind, or would replace another."""
    if path.suffix not in MARKET_SUFFIXES:
        raise InputError(f"{path}: expected a name that ends in {' or '.join(MARKET_SUFFIXES)}")
    if path.is_dir() or (path.exists() and not is_forced):
        hint = (
            "give another name" if path.is_dir() else "give another name, or --force to replace it"
        )
        raise InputError(f"{path}: is there already; {hint}")


def _generate_options(overrides: list[str]) -> dict[str, Any]:
    """Check `key=value` options as strictly as a study file's."""
    reading = Reading()
    node = parse_override(overrides)
    values = decode_options(Fields(node, reading), OPTIONS[SYNTHETIC])
    reading.problems.raise_any()
    return values


def describe_tape(path: Path) -> dict[str, Any]:
    """Return what the metadata of a tape say; opening it checks every block.

    Raises:
        DataError: The tape is damaged or of another version.
    """
    from sweep.data import open_info

    info = open_info(path)
    return {
        "path": str(path),
        "rows": info.row_count,
        "bytes": path.stat().st_size,
        "content_hash": info.content_hash,
        "instrument": dict(info.instrument),
        "sessions": [
            {"name": session.name, "row_start": session.row_start, "row_stop": session.row_stop}
            for session in info.sessions
        ],
        "facts": dict(info.facts),
    }


def _show(document: dict[str, Any]) -> None:
    write = sys.stdout.write
    sessions = document["sessions"]
    span = sessions[0]["name"] if sessions else "no session"
    span += f" to {sessions[-1]['name']}" if len(sessions) > 1 else ""
    size = f"{document['rows']:,} rows in {document['bytes'] / 1e6:,.1f} MB, all checked"
    write(f"{document['path']}\n")
    write(f"  {size}; {len(sessions)} session(s): {span}\n")
    checks = document["facts"].get("checks", {})
    for name, rule in checks.items():
        if rule["count"]:
            write(f"  {name}: {rule['count']:,} ({rule['action']}), first {rule['first']}\n")


def _show_file(options: argparse.Namespace, market: dict[str, Any]) -> None:
    if options.json:
        print(json.dumps(market))
        return
    size = f"{market['rows']:,} rows in {market['bytes'] / 1e6:,.1f} MB"
    sys.stdout.write(f"{market['path']}\n  {size}, mode {market['mode']}\n")
