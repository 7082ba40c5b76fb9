"""`calibrate queue`: fit queue models to recordings with order ids, and score them."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sweep.commands.data_inspect import TAPE_SUFFIX, source_tapes
from sweep.errors import EXIT_DONE, InputError
from sweep.progress import FileBar, talk

TITLE_WIDE: Final = 33
COLUMNS: Final = (
    ("log-loss", "log_loss", 9),
    ("Brier", "brier", 7),
    ("ECE", "ece", 7),
    ("pos. MAE", "position_mae", 9),
    ("bias", "position_bias", 8),
    ("false", "false_fills", 8),
    ("missed", "missed_fills", 8),
    ("fill Brier", "fill_brier", 11),
    ("fill ECE", "fill_ece", 9),
)


def queue(options: argparse.Namespace) -> int:
    """Run the command `calibrate queue`."""
    from sweep.queue_fit import GhostSettings, calibrate_queue, rows_to_scan, stretches

    settings = GhostSettings(
        every_s=options.every,
        horizon_s=options.horizon,
        replications=options.replications,
    )
    if options.png is not None and not options.score:
        raise InputError("--png shows scores: give --score too")
    tapes, problems = source_tapes(options)
    if problems:
        raise InputError("; ".join(text for text, _ in problems))
    parts = stretches(tapes, options.session)
    total = rows_to_scan(parts, is_scored=options.score)
    size = sum(path.stat().st_size for path in tapes)
    with FileBar("calibrating", size) as bar:
        found = calibrate_queue(
            parts,
            settings,
            is_scored=options.score,
            progress=lambda rows: bar.update(rows, size * min(rows, total) // max(1, total)),
        )
    if options.json:
        print(json.dumps(found))
    else:
        _show(found)
    if options.png is not None:
        _plot(found, options.png)
    return EXIT_DONE


def _plot(found: Mapping[str, Any], path: Path) -> None:
    from sweep.plots import plot_calibration
    from sweep.queue_fit import calibration_lines

    sources = ", ".join(Path(source["path"]).name for source in found["sources"])
    plot_calibration(calibration_lines(found["models"]), path, title=sources)
    talk(f"wrote {path}")


def _show(found: Mapping[str, Any]) -> None:
    write = sys.stdout.write
    for source in found["sources"]:
        name = Path(source["path"]).name.removesuffix(TAPE_SUFFIX)
        write(f"{name}, session {source['session']}\n")
        write(f"  {source['first']} to {source['last']}, halves at {source['split']}\n")
    _show_counts("fitted on", found["fit_counts"])
    if "models" in found:
        _show_counts("scored on", found["score_counts"])
        _show_scores(found)
    else:
        write("\nfitted, per-cancel log-loss on the same cancels (--score: on others)\n")
        for model, fit in found["fit"].items():
            numbers = ", ".join(
                f"{key} {value:g}" for key, value in fit["queue"].items() if key != "model"
            )
            write(f"  {model:<10} {fit['log_loss']:.4f}  {numbers}\n")
    write("\nfor a study on a feed of single orders, as this one\n\n")
    write(_indented(found["study"]))
    write("\nfor one whose updates may sum several orders (fit it on such rows if you can)\n\n")
    write(_indented(found["study_coarse"]))


def _show_counts(word: str, counts: Mapping[str, int]) -> None:
    left_out = ", ".join(
        f"{counts[key]:,} {words}"
        for key, words in (
            ("contradicted", "contradict themselves"),
            ("lost", "lost from sight"),
            ("cut_short", "cut short"),
        )
        if counts[key]
    )
    told = f"{counts['consistent']:,} ghosts, {counts['filled']:,} of them filled"
    cancels = f"{counts['cancels']:,} cancels, {counts['cancels_ahead']:,} of them ahead"
    sys.stdout.write(f"  {word}: {told}; {cancels}; left out: {left_out or 'none'}\n")


def _show_scores(found: Mapping[str, Any]) -> None:
    write = sys.stdout.write
    write(
        f"\n  {'model':<{TITLE_WIDE}}"
        + "".join(f"{title:>{wide}}" for title, _, wide in COLUMNS)
        + "\n"
    )
    for model in found["models"]:
        line = "".join(f"{_number(model, key):>{wide}}" for _, key, wide in COLUMNS)
        write(f"  {_title(model):<{TITLE_WIDE}}{line}\n")
    base = found["base_rate_log_loss"]
    write(f"  {'always the same share':<{TITLE_WIDE}}{base:>9.3f}\n")
    write(
        f"\nlog-loss, Brier, ECE: of P(ahead) per cancel; pos.: estimate less truth over lots ahead"
        f" at the join,\nbias below 0 is too optimistic; false, missed, fill: within"
        f" {found['horizon_s']:g} s, from {found['replications']} random paths\n"
    )
    write("\ndifference to odds fitted, 95 % (stretches of 150 s resampled)\n")
    for model in found["models"]:
        gaps = model["less_odds"]
        texts = [f"{_range(gaps[key]):>22}" for key in ("log_loss", "position_mae")]
        if model["name"] != "odds fitted":
            write(f"  {_title(model):<{TITLE_WIDE}}{''.join(texts)}\n")
    write("\ncalibration: share of cancels that were ahead, by the P(ahead) that the model said\n")
    count = len(found["models"][0]["calibration"])
    heads = "".join(f"{f'{index / count:.1f}-':>7}" for index in range(count))
    write(f"  {'':<{TITLE_WIDE}}{heads}\n")
    for model in found["models"]:
        shares = (item["came_true"] for item in model["calibration"])
        cells = "".join(f"{'-' if share is None else f'{share:.3f}':>7}" for share in shares)
        write(f"  {_title(model):<{TITLE_WIDE}}{cells}\n")


def _title(model: Mapping[str, Any]) -> str:
    if not model["is_fitted"]:
        return str(model["name"])
    numbers = (f"{value:.3g}" for key, value in model["queue"].items() if key != "model")
    return f"{model['queue']['model']} ({', '.join(numbers)})"


def _number(model: Mapping[str, Any], key: str) -> str:
    value = model[key]
    if value is None:
        return "inf" if key == "log_loss" else "-"
    return f"{value:.4f}" if key.startswith("position") or key.endswith("fills") else f"{value:.3f}"


def _range(interval: list[float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:+.4f} to {interval[1]:+.4f}"


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())
