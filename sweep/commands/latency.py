"""`latency show`, `latency profiles`: how long messages take in a study, and in named profiles."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sweep.document import did_you_mean
from sweep.errors import EXIT_DONE, InputError
from sweep.latency_profiles import LatencyProfile, latency_profiles
from sweep.schema import LatencyLeg, Study
from sweep.template import fill, to_template

# Stated below the table unless they are what they are by default.
SHARED: Final = {
    "sessions": "fifo",
    "gap_us": 0.0,
    "loss_probability": 0.0,
    "reject_probability": 0.0,
    "backlog_capacity_per_us": None,
    "weather": None,
    "regime": None,
}
LINE: Final = "{:<18} {:<18} {:>14} {:>14} {:>14} {:>14}\n"


def show(options: argparse.Namespace) -> int:
    """Run the command `latency show`."""
    from sweep.latency_table import latency_lines
    from sweep.latency_traces import TRACES_FOLDER, ensure_traces
    from sweep.planning import middle_params
    from sweep.plots import plot_latencies

    study: Study = options.loaded
    if study.world.is_naive:
        raise InputError(f"{options.file}: the naive world has no latencies")
    traces = ensure_traces(study, options.runs_dir)
    middle = middle_params(study.space)
    world = fill(to_template(study.world), middle)
    lines = latency_lines(world["latency"], {name: str(t.path) for name, t in traces.items()})
    document = {
        "study": study.name,
        "latency": [line.to_json() for line in lines],
        "shared": {key: world[key] for key, usual in SHARED.items() if world[key] != usual},
        "searched": {
            path: value for path, value in middle.items() if path.startswith("world.latency.")
        },
    }
    picture: Path = options.png or options.runs_dir / TRACES_FOLDER / f"{study.name}.png"
    drawn = {line.name: line.quantiles_us for line in lines if line.quantiles_us[-1] > 0.0}
    plot_latencies(drawn, picture, title=f"{study.name}: latencies")
    document["picture"] = str(picture)
    if options.json:
        print(json.dumps(document, allow_nan=False))
    else:
        _show(document)
    return EXIT_DONE


def _show(document: Mapping[str, Any]) -> None:
    write = sys.stdout.write
    _show_lines(document["latency"])
    for key, value in document["shared"].items():
        write(f"{key} {json.dumps(value)}\n")
    for path, value in document["searched"].items():
        write(f"searched: {path}, shown at {json.dumps(value)}\n")
    write(f"picture {document['picture']}\n")


def _show_lines(lines: Sequence[Mapping[str, Any]]) -> None:
    write = sys.stdout.write
    write(LINE.format("operation", "model", "mean us", "p50 us", "p99 us", "p99.9 us"))
    for line in lines:
        values = (line["mean_us"], line["p50_us"], line["p99_us"], line["p999_us"])
        write(LINE.format(line["operation"], line["model"], *(f"{v:,.1f}" for v in values)))


def profiles(options: argparse.Namespace) -> int:
    """Run the command `latency profiles`."""
    known = latency_profiles()
    if options.name is not None and options.name not in known:
        hint = did_you_mean(options.name, known)
        raise InputError(f"No latency profile {options.name!r}. {hint}")
    chosen = list(known.values()) if options.name is None else [known[options.name]]
    if options.json:
        print(json.dumps([_document(profile) for profile in chosen]))
    elif options.name is None:
        for profile in chosen:
            operations = ", ".join(profile.latency)
            sys.stdout.write(f"{profile.name:<26} {profile.date:<11} {operations}\n")
            sys.stdout.write(f"{'':<26} {profile.source}\n")
    else:
        _show_profile(chosen[0])
    return EXIT_DONE


def _document(profile: LatencyProfile) -> dict[str, Any]:
    from sweep.latency_table import latency_lines

    legs = {key: {**_defaults(), **leg} for key, leg in profile.latency.items()}
    return profile.to_json() | {"models": [line.to_json() for line in latency_lines(legs, {})]}


def _defaults() -> dict[str, Any]:
    defaults: dict[str, Any] = to_template(LatencyLeg())
    return defaults


def _show_profile(profile: LatencyProfile) -> None:
    write = sys.stdout.write
    for key in ("name", "date", "source", "setting", "fit", "limits"):
        write(f"{key:<8} {getattr(profile, key)}\n")
    for key, figures in profile.figures.items():
        words = ", ".join(f"{name} {value:g}" for name, value in figures.items())
        write(f"measured {key}: {words} ({profile.unit})\n")
    write("\n")
    _show_lines(_document(profile)["models"])
    write("\nworld:\n  latency:\n")
    write(f"    profile: {profile.name}\n")
