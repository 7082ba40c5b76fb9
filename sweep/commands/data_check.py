"""`data check`: every rule of a reader over every file, without writing anything."""

import argparse
import json
import os
import shutil
import sys
import textwrap
from typing import Any, Final

from sweep.checking import OUTCOMES, check_sources
from sweep.commands.data_readers import show_readers
from sweep.errors import EXIT_BAD_INPUT, EXIT_BUG, EXIT_DATA_REFUSED, EXIT_DONE, InputError
from sweep.naming import Asked, name_sources
from sweep.progress import FileBar

RULE_WIDTH: Final = 18
EXITS: Final = {
    "unclear": EXIT_BAD_INPUT,
    "refused": EXIT_DATA_REFUSED,
    "broken": EXIT_DATA_REFUSED,
    "bug": EXIT_BUG,
}


def check(options: argparse.Namespace) -> int:
    """Run the command `data check`."""
    if options.list:
        show_readers(options)
        return EXIT_DONE
    if not options.sources:
        raise InputError("Give a study or files, or --list for the readers and their rules")
    named = name_sources(options.sources, asked(options))
    jobs = options.jobs or min(len(named), os.cpu_count() or 1)
    total = sum(s.path.stat().st_size for s in named if s.path is not None and s.path.is_file())
    with FileBar("checking", total) as bar:
        found = check_sources(named, jobs, bar.update)
    if options.json:
        print(json.dumps({"files": found}))
    else:
        for document in found:
            _show(document, shows_all=options.all)
        _show_summary(found)
    exits = {EXITS.get(document["outcome"], EXIT_DONE) for document in found}
    return EXIT_BUG if EXIT_BUG in exits else max(exits)


def asked(options: argparse.Namespace) -> Asked:
    """Return what the options of a data command say about files."""
    return Asked(
        reader=options.reader,
        instrument=options.instrument,
        options=options.overrides,
        check=options.check,
        product=options.product,
    )


def _show(document: dict[str, Any], *, shows_all: bool) -> None:
    write = sys.stdout.write
    write(f"{document['path'] or document['reader']}: {document['outcome']}\n")
    if document["problem"]:
        _field(document["outcome"], document["problem"])
    if "guessed" in document:
        _field("guessed", document["guessed"])
    if "reader" in document:
        _field("read as", f"{document['reader']}, instrument {document['instrument']}")
    if document.get("rows"):
        pace = document["rows"] / max(document["seconds"], 1e-3)
        words = f"{document['rows']:,} in {document['seconds']:.2f} s ({pace:,.0f} rows/s)"
        _field("rows", f"{words}, {document['trades']:,} of them trades")
        _field("time", f"{document['first']} to {document['last']}")
    for session in document.get("sessions", []):
        _field("session", f"{session['name']}: {session['rows']:,} rows")
    shown = {name: rule for name, rule in document["rules"].items() if shows_all or rule["count"]}
    for name, rule in shown.items():
        _field("rule", f"{name:<{RULE_WIDTH}} {rule['action']:<6} {rule['count']:>11,}")
        _field("", rule["doc"], deeper=4)
        if rule["count"]:
            _field("", f"first: {rule['first']}", deeper=4)
    if silent := len(document["rules"]) - len(shown):
        words = "others found nothing" if shown else "found nothing"
        _field("rules", f"{silent} {words} (--all shows them)")
    for name, fact in document.get("facts", {}).items():
        _field("fact", f"{name}: {fact if isinstance(fact, str) else json.dumps(fact)}")


def _field(label: str, text: str, *, deeper: int = 0) -> None:
    lines = textwrap.wrap(
        text,
        max(80, shutil.get_terminal_size((110, 24)).columns),
        initial_indent=f"  {label:<9} {' ' * deeper}",
        subsequent_indent=" " * (12 + deeper),
        break_long_words=False,
        break_on_hyphens=False,
    )
    sys.stdout.write("\n".join(lines) + "\n")


def _show_summary(found: list[dict[str, Any]]) -> None:
    if len(found) < 2:
        return
    write = sys.stdout.write
    write(f"\n{len(found)} files\n")
    width = max(len(_name(document)) for document in found)
    for document in found:
        broken = [name for name, rule in document["rules"].items() if rule["count"]]
        problem = document["problem"].removeprefix(f"{document['path']}: ")
        words = problem or ", ".join(broken)
        rows = f"{document.get('rows', 0):>12,}"
        line = f"  {_name(document):<{width}} {document['outcome']:<8} {rows} rows  {words}"
        write(f"{line.rstrip()}\n")
    for outcome, words in OUTCOMES.items():
        count = sum(1 for document in found if document["outcome"] == outcome)
        if count:
            write(f"  {count} {outcome}: {words}\n")


def _name(document: dict[str, Any]) -> str:
    return str(document["path"] or document["reader"]).rsplit("/", 1)[-1]
