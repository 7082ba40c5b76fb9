"""`data generate --like`: a synthetic market fitted to a recording, and how near it came."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sweep.calibration import Calibration, Recording, calibrate, compare, read_recording
from sweep.decode_data import SYNTHETIC
from sweep.errors import EXIT_DONE, InputError
from sweep.market_statistics import Comparison
from sweep.naming import STUDY_SUFFIXES, Asked, name_sources
from sweep.planning import TAPES_FOLDER
from sweep.progress import talk
from sweep.readers import make_options
from sweep.space import Scalar

TRIALS_FOLDER: Final = ".calibrations"
TAPE_SUFFIX: Final = ".tape"
NAME_DEFAULT: Final = "SYN"


def generate_like(options: argparse.Namespace, fixed: Mapping[str, Scalar]) -> int:
    """Run the command `data generate --like`; `fixed` are the options given with `--set`."""
    from sweep.market_figures import tape_figures
    from sweep.synthetic import write_market, write_market_tape

    recording = read_recording(_tape(options), options.session)
    talk(f"fitting to {recording.source}, session {recording.session}")
    found = calibrate(
        recording,
        fixed,
        options.runs_dir.resolve() / TRIALS_FOLDER,
        seconds_max=options.seconds,
        progress=talk,
    )
    values = {**found.options, "events": fixed.get("events", recording.figures["rows"])}
    made = make_options(SYNTHETIC, values)
    facts = {"calibration": _facts(recording, found)}
    if options.output.suffix == ".parquet":
        from sweep.calibration import generated_figures

        generated = generated_figures(values)
        lines = compare(recording.figures, generated)
        write_market(options.output, options.instrument, made, facts=facts)
    else:
        write_market_tape(options.output, options.instrument, made, facts=facts)
        generated = next(iter(tape_figures(options.output).values()))
        lines = compare(recording.figures, generated)
    _show(options, recording, found, values, lines)
    return EXIT_DONE


def _tape(options: argparse.Namespace) -> Path:
    """Return the tape of the recording; made from its source if it is none."""
    from sweep.data import ensure_tapes

    like: Path = options.like
    if like.suffix == TAPE_SUFFIX:
        return like
    is_study = like.suffix in STUDY_SUFFIXES
    is_named = options.instrument != NAME_DEFAULT and not is_study
    asked = Asked(reader=options.reader, instrument=options.instrument if is_named else None)
    named = name_sources([like], asked)[0]
    if named.config is None:
        raise InputError(named.problem)
    if named.note:
        talk(f"guessed {named.note}")
    return ensure_tapes(named.config, options.runs_dir.resolve() / TAPES_FOLDER, talk)[0].path


def _facts(recording: Recording, found: Calibration) -> dict[str, Any]:
    return {
        "source": recording.source,
        "source_hash": recording.content_hash,
        "session": recording.session,
        "fitted": list(found.fitted),
        "trials": found.trials,
        "is_done": found.is_done,
        "loss": found.loss,
    }


def _show(
    options: argparse.Namespace,
    recording: Recording,
    found: Calibration,
    values: Mapping[str, Scalar],
    lines: Sequence[Comparison],
) -> None:
    verdicts = Counter(line.verdict for line in lines)
    if options.json:
        document = {
            "path": str(options.output),
            "options": dict(values),
            "calibration": _facts(recording, found),
            "statistics": [line.to_json() for line in lines],
            "verdicts": dict(verdicts),
        }
        print(json.dumps(document))
        return
    write = sys.stdout.write
    write(f"{'statistic':<38} {'recorded':>12} {'generated':>12}  tolerance\n")
    for line in lines:
        if line.verdict != "not measured":
            words = line.verdict + (f": {line.reason}" if line.reason else "")
            values_shown = f"{_number(line.recorded):>12} {_number(line.generated):>12}"
            write(f"{line.name:<38} {values_shown}  {line.tolerance:<16} {words}\n")
    write(", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()) + "\n")
    if not found.is_done:
        write("the search ran out of time: the same command with --force goes on\n")
    write("\ndata:\n  source:\n    reader: synthetic\n")
    write(f"    instrument: {options.instrument}\n    generate:\n")
    for name, value in values.items():
        write(f"      {name}: {json.dumps(value)}\n")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
