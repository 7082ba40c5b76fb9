"""`data inspect`: what tapes or files hold, and what they can and cannot support."""

import argparse
import functools
import json
import shutil
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sweep.commands.data import make_tapes
from sweep.commands.data_check import asked
from sweep.errors import EXIT_DATA_REFUSED, EXIT_DONE, SweepError
from sweep.naming import name_sources
from sweep.planning import TAPES_FOLDER
from sweep.progress import FileBar, number, talk
from sweep.survey import Survey, flatten, survey_tape

TAPE_SUFFIX: Final = ".tape"
BAR_WIDTH: Final = 40
MARKS: Final = {"yes": "+", "partly": "~", "no": "-"}


def inspect(options: argparse.Namespace) -> int:
    """Run the command `data inspect`."""
    tapes, problems = source_tapes(options)
    surveys: list[Survey] = []
    total = sum(path.stat().st_size for path in tapes)
    with FileBar("measuring", total) as bar:
        for path in tapes:
            seen = [sum(survey.document[key] for survey in surveys) for key in ("rows", "bytes")]
            try:
                surveys.append(survey_tape(path, functools.partial(_update, bar, *seen)))
            except SweepError as error:
                problems.append((str(error), error.exit_code))
    if options.figures:
        from sweep.market_figures import tape_figures

        for survey in surveys:
            survey.document["figures"] = tape_figures(Path(survey.document["path"]))
    if options.html is not None and surveys:
        from sweep.data_page import write_page

        write_page(surveys, options.html)
        talk(f"wrote {options.html}")
    if options.json:
        documents = [survey.document for survey in surveys]
        print(json.dumps({"tapes": documents, "problems": [text for text, _ in problems]}))
    else:
        for survey in surveys:
            _Page().show(survey)
    for text, _ in problems:
        talk(f"error: {text}")
    return max((code for _, code in problems), default=EXIT_DONE)


def _update(bar: FileBar, rows_before: int, bytes_before: int, rows: int) -> None:
    bar.update(rows_before + rows, bytes_before)


def source_tapes(options: argparse.Namespace) -> tuple[list[Path], list[tuple[str, int]]]:
    """Return the tapes to look at: those named, and those made of files or a study."""
    tapes = [path for path in options.sources if path.suffix == TAPE_SUFFIX]
    problems = [
        (f"{path}: no such file", EXIT_DATA_REFUSED) for path in tapes if not path.is_file()
    ]
    tapes = [path for path in tapes if path.is_file()]
    others = [path for path in options.sources if path.suffix != TAPE_SUFFIX]
    if others:
        named = name_sources(others, asked(options))
        made, refused = make_tapes(named, options.runs_dir.resolve() / TAPES_FOLDER, options.jobs)
        tapes += made
        problems += refused
    return tapes, problems


class _Page:
    """One tape as text."""

    def __init__(self) -> None:
        self._width = max(80, shutil.get_terminal_size().columns)

    def show(self, survey: Survey) -> None:
        """Print everything."""
        document, measured = survey.document, survey.document["measured"]
        sys.stdout.write(f"{document['path']}\n")
        self._head(document)
        self._verdicts(document["support"])
        self._section("sessions")
        for session in document["sessions"]:
            self._session(session)
        self._figures(measured)
        self._pictures(survey)
        self._section("checks and facts of the reader")
        facts = dict(document["facts"])
        for name, rule in facts.pop("checks", {}).items():
            first = f", first {rule['first']}" if rule["count"] else ""
            self._line(name, f"{rule['count']:,} ({rule['action']}){first}")
        for name, fact in facts.items():
            self._line(name, fact if isinstance(fact, str) else json.dumps(fact))
        for session, figures in document.get("figures", {}).items():
            self._section(f"figures of {session}")
            for name, figure in figures.items():
                self._line(name, json.dumps(figure))
        sys.stdout.write("\n")

    def _section(self, title: str) -> None:
        sys.stdout.write(f"\n  {title}\n")

    def _line(self, label: str, text: str) -> None:
        lines = textwrap.wrap(text, self._width - 30, break_on_hyphens=False) or [""]
        sys.stdout.write(f"    {label:<25} {lines[0]}\n")
        for line in lines[1:]:
            sys.stdout.write(f"    {'':<25} {line}\n")

    def _head(self, document: Mapping[str, Any]) -> None:
        size = f"{document['rows']:,} rows in {document['bytes'] / 1e6:,.1f} MB, all checked"
        self._line("rows", size)
        self._line("time", f"{document['first']} to {document['last']}")
        source = ", ".join(entry["name"] for entry in document["source"])
        self._line("read by", f"{document['reader']}{' from ' if source else ''}{source}")
        self._line("product", json.dumps(document["instrument"]))
        self._line("hash", document["content_hash"])

    def _verdicts(self, verdicts: list[dict[str, str]]) -> None:
        self._section("what this data can and cannot support")
        for verdict in verdicts:
            sys.stdout.write(f"  {MARKS[verdict['answer']]} {verdict['question']}\n")
            for text in (verdict["words"], f"({verdict['reason']})"):
                for line in textwrap.wrap(text, self._width - 6, break_on_hyphens=False):
                    sys.stdout.write(f"      {line}\n")

    def _session(self, session: Mapping[str, Any]) -> None:
        words = f"{session['rows']:,} rows, {session['trades']:,} trades"
        words += (
            f", {session['lots_traded']:,} lots; mean spread {session['spread_mean_ticks']:g} ticks"
        )
        words += f", {session['best_lots_mean']:g} lots at a best price"
        words += f"; longest gap {session['longest_gap_s']:,.1f} s"
        if session["crossed_groups"] or session["locked_groups"]:
            words += f"; crossed {session['crossed_groups']:,}, locked {session['locked_groups']:,}"
        self._line(session["name"], words)

    def _figures(self, measured: Mapping[str, Any]) -> None:
        self._section("figures of trading time")
        shown = ("place_from_back", "longest_gaps", "mix", "prints")
        for name, figure in measured.items():
            if name in shown or figure in ({}, None):
                continue
            self._line(
                name,
                _in_words({key: figure[key] for key in figure if key not in shown})
                if isinstance(figure, dict)
                else _in_words(figure),
            )
        for name in ("mix", "prints"):
            self._line(name, _in_words(measured[name]))
        self._section("longest gaps")
        for gap in measured["longest_gaps"]:
            self._line(gap["from"][:19] + "Z", f"{gap['seconds']:,.3f} s")

    def _pictures(self, survey: Survey) -> None:
        measured = survey.document["measured"]
        spread = measured["spread_time_share"]
        if spread:
            self._section("spread in ticks, share of time")
            for ticks, part in spread.items():
                self._bar(ticks, part, max(spread.values()))
        places = measured["queues"].get("place_from_back")
        if places and sum(places):
            self._section("place of cancels in their queue, from the back (0) to the front (1)")
            for index, count in enumerate(places):
                label = f"{index / len(places):.2f} to {(index + 1) / len(places):.2f}"
                self._bar(label, count / sum(places), max(places) / sum(places))

    def _bar(self, label: str, part: float, most: float) -> None:
        bar = "#" * max(1 if part else 0, round(part / most * BAR_WIDTH))
        sys.stdout.write(f"    {label:>14}  {part:>6.1%}  {bar}\n")


def _in_words(figure: Any) -> str:
    if isinstance(figure, dict):
        return ", ".join(f"{name} {_in_words(value)}" for name, value in flatten(figure))
    if isinstance(figure, list):
        return " ".join(_in_words(value) for value in figure)
    return "unknown" if figure is None else number(figure)
