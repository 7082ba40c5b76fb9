"""The command line: verbs, options, exit codes; each verb's work is in `sweep.commands`.

Results go to stdout (one JSON document with `--json`), talk and progress to stderr.
"""

import argparse
import importlib
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sweep.commands import RUNS_DIR
from sweep.errors import (
    EXIT_CODES,
    EXIT_DATA_REFUSED,
    EXIT_ENVIRONMENT,
    EXIT_INTERRUPTED,
    SweepError,
)

VERIFY_ENGINES: Final = ("direct", "compiled")
EXPORT_FORMATS: Final = ("hftbacktest", "parquet", "csv")  # of sweep.export, which loads slowly
SET_WORDS: Final = "change one key of the study file, for example search.trials=20; repeatable"
_EXIT_HELP: Final = "exit codes:\n" + "\n".join(
    f"  {code:>3}  {words}" for code, words in EXIT_CODES.items()
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = make_parser().parse_args(arguments)
    level = logging.INFO if options.verbose else logging.WARNING
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    try:
        if "file" in options:
            # A wrong study file is refused before a verb's own room is imported.
            from sweep.studyfile import load_study

            options.loaded = load_study(options.file, options.overrides)
        module = importlib.import_module(f"sweep.commands.{options.module}")
        command: Callable[[argparse.Namespace], int] = getattr(module, options.function)
        return command(options)
    except SweepError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of stdout has gone (`| head`); there is nobody left to tell.
        sys.stdout = None
        return EXIT_ENVIRONMENT
    except Exception as error:
        code = _core_exit_code(error)
        if code is None:
            raise
        print(f"error: {error}", file=sys.stderr)
        return code


def _core_exit_code(error: Exception) -> int | None:
    """Return the exit code of an error of the compiled core, None if it is no such error."""
    core = sys.modules.get("rustsim")
    if core is None or not isinstance(error, core.RustsimError):
        return None
    is_data = isinstance(error, core.TapeError | core.TickError)
    return EXIT_DATA_REFUSED if is_data else SweepError.exit_code


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="python -m sweep",
        description="Parameter sweeps over replayed markets: study file in, ranked trials out.",
        epilog="example:\n  python -m sweep launch experiments/quickstart.yaml\n\n" + _EXIT_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_study_verbs(verbs)
    _add_trial_verbs(verbs)
    _add_store_verbs(verbs)
    _add_data_verbs(verbs)
    _add_latency_verbs(verbs)
    _add_calibrate_verbs(verbs)
    return parser


def _described(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    words: str,
    example: str,
) -> argparse.ArgumentParser:
    return verbs.add_parser(
        name,
        help=words,
        description=words[0].upper() + words[1:] + ".",
        epilog=f"example:\n  python -m sweep {example}\n\n{_EXIT_HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    module: str,
    words: str,
    example: str,
) -> argparse.ArgumentParser:
    verb = _described(verbs, name, words, example)
    verb.set_defaults(module=module, function=name.replace("-", "_"))
    verb.add_argument(
        "--runs-dir",
        type=Path,
        default=Path(RUNS_DIR),
        metavar="DIR",
        help=f"where studies are kept (default: {RUNS_DIR})",
    )
    verb.add_argument(
        "--json", action="store_true", help="print one JSON document on stdout, talk on stderr"
    )
    verb.add_argument("--verbose", action="store_true", help="log what happens inside")
    return verb


def _add_set(verb: argparse.ArgumentParser, words: str = SET_WORDS) -> None:
    verb.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help=words,
    )


def _add_study_name(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "study", nargs="?", help="name of the study; may be left out while there is only one"
    )


def _add_study_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    words = "start a study, or go on with it"
    launch = _verb(verbs, "launch", "launch", words, "launch study.yaml --set search.trials=20")
    launch.add_argument("file", type=Path, metavar="STUDY.yaml", help="the study file")
    _add_set(launch)
    words = "show cells, events, memory and time of a study before spending anything"
    plan = _verb(verbs, "plan", "plan", words, "plan study.yaml")
    plan.add_argument("file", type=Path, metavar="STUDY.yaml", help="the study file")
    _add_set(plan)
    words = "show counts, best trials and where everything is"
    status = _verb(verbs, "status", "status", words, "status quickstart")
    _add_study_name(status)
    status.add_argument("--top", type=_count, default=10, metavar="N", help="trials to list")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a number from 0, found {text!r}")
    return int(text)


def _add_trial_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    words = "replay one trial and keep its fills and equity as Parquet and PNG"
    replay = _verb(verbs, "replay", "replay", words, "replay 17 quickstart --naive")
    replay.add_argument("trial", type=int, help="number of the trial")
    _add_study_name(replay)
    words = "beside it the same trial as a naive backtest sees it: no latency, fills at a touch"
    replay.add_argument("--naive", action="store_true", help=words)
    words = "replay one trial on the other engine and compare its digest with the recorded one"
    verify = _verb(verbs, "verify", "verify", words, "verify 17 quickstart")
    verify.add_argument("trial", type=int, help="number of the trial")
    _add_study_name(verify)
    words = "engine to replay on (default: the one that did not make the trial, if it can)"
    verify.add_argument("--engine", choices=VERIFY_ENGINES, help=words)


def _add_store_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    words = "bring the tracking store in line with the result log"
    sync = _verb(verbs, "sync", "store", words, "sync quickstart")
    _add_study_name(sync)
    words = "serve the MLflow pages of a study on this machine"
    ui = _verb(verbs, "ui", "store", words, "ui quickstart --port 5000")
    _add_study_name(ui)
    ui.add_argument("--port", type=int, default=5000, help="port on 127.0.0.1 (default: 5000)")


def _add_data_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    words = "check recordings, make tapes of them, look at them, make synthetic markets"
    data = _described(verbs, "data", words, "data generate syn.tape --set events=1000000")
    kinds = data.add_subparsers(metavar="ACTION", required=True)
    words = "build the tapes of a study or of files; a second run does only what is missing"
    build = _verb(kinds, "import", "data", words, "data import experiments/txf_maker.yaml")
    build.set_defaults(function="import_data")
    _add_sources(build)
    words = "test files against every rule of their reader, without writing anything"
    check = _verb(kinds, "check", "data_check", words, "data check recordings/*.parquet")
    _add_sources(check, nargs="*")
    check.add_argument("--list", action="store_true", help="show readers, options and rules")
    check.add_argument("--all", action="store_true", help="show rules that found nothing, too")
    _add_inspect(kinds)
    words = "write a synthetic market as a tape (FILE.tape) or as columns (FILE.parquet)"
    example = "data generate syn.tape --set events=1000000 --set seed=3"
    generate = _verb(kinds, "generate", "data", words, example)
    generate.add_argument("output", type=Path, metavar="FILE", help="file to write")
    generate.add_argument("--force", action="store_true", help="replace the file if it is there")
    generate.add_argument("--instrument", default="SYN", metavar="NAME", help="name (default: SYN)")
    words = "fit the market to a recording: a tape, a data file, or the data of a study file"
    generate.add_argument("--like", type=Path, metavar="FILE", help=words)
    generate.add_argument("--reader", metavar="NAME", help="reader of that file (default: guessed)")
    generate.add_argument("--session", metavar="NAME", help="session to fit to (default: first)")
    words = "processor time for --like; with --force, goes on where it ended (default: 120)"
    generate.add_argument("--seconds", type=float, default=120.0, metavar="S", help=words)
    _add_set(generate, words="one option of the market, as under data.source.generate; repeatable")
    words = "write a tape in a format of others"
    export = _verb(kinds, "export", "data", words, "data export runs/.tapes/day.tape day.npz")
    export.add_argument("tape", type=Path, metavar="TAPE", help="the tape")
    export.add_argument("output", type=Path, metavar="FILE", help="file to write")
    export.add_argument(
        "--format", choices=EXPORT_FORMATS, help="format (default: what the suffix of FILE says)"
    )
    export.add_argument(
        "--feed-latency-ns",
        type=_count,
        default=0,
        metavar="NS",
        help="local time of a tape without a local clock: exchange time plus this (default: 0)",
    )
    words = "show every reader, its options and its rules"
    _verb(kinds, "readers", "data_readers", words, "data readers")
    words = "show the catalogue of products"
    products = _verb(kinds, "products", "data_readers", words, "data products TXO")
    products.add_argument("name", nargs="?", help="show all of one product")


def _add_latency_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    words = "show the latencies of a study, and the named ones that it can take"
    latency = _described(verbs, "latency", words, "latency profiles")
    kinds = latency.add_subparsers(metavar="ACTION", required=True)
    words = "show mean, p50, p99 and p99.9 of every kind of message, and draw the distributions"
    show = _verb(kinds, "show", "latency", words, "latency show study.yaml --png latency.png")
    show.add_argument("file", type=Path, metavar="STUDY.yaml", help="the study file")
    words = "picture to write (default: <runs-dir>/.latencies/<study>.png)"
    show.add_argument("--png", type=Path, metavar="FILE", help=words)
    _add_set(show)
    words = "show the named, dated profiles of latencies"
    profiles = _verb(kinds, "profiles", "latency", words, "latency profiles shioaji_2026_live")
    profiles.add_argument("name", nargs="?", help="show all of one profile")


def _add_inspect(kinds: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    words = "show what tapes or files hold, and what they can and cannot support"
    example = "data inspect runs/.tapes/*.tape --html page.html"
    inspect = _verb(kinds, "inspect", "data_inspect", words, example)
    _add_sources(inspect)
    inspect.add_argument("--html", type=Path, metavar="FILE", help="write a page with pictures")
    inspect.add_argument(
        "--figures", action="store_true", help="add what a synthetic market is compared by"
    )


def _add_calibrate_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    words = "fit models of the exchange to recordings"
    calibrate = _described(verbs, "calibrate", words, "calibrate queue --score day.mbo.dbn.zst")
    kinds = calibrate.add_subparsers(metavar="MODEL", required=True)
    words = "fit queue models to recordings that name their orders, with ghost orders"
    example = "calibrate queue --score day.mbo.dbn.zst --png calibration.png"
    queue = _verb(kinds, "queue", "calibrate_queue", words, example)
    _add_sources(queue)
    words = "fit on the first half of each session, score every model on the second"
    queue.add_argument("--score", action="store_true", help=words)
    words = "scan this session only (default: all)"
    queue.add_argument("--session", metavar="NAME", help=words)
    words = "seconds between two sets of ghosts (default: 2)"
    queue.add_argument("--every", type=float, default=2.0, metavar="S", help=words)
    words = "seconds for which a ghost is followed (default: 60)"
    queue.add_argument("--horizon", type=float, default=60.0, metavar="S", help=words)
    words = "random paths of every model, for probabilities of fills (default: 32)"
    queue.add_argument("--replications", type=_count, default=32, metavar="N", help=words)
    words = "draw the calibration of every model (with --score)"
    queue.add_argument("--png", type=Path, metavar="FILE.png", help=words)


def _add_sources(verb: argparse.ArgumentParser, nargs: str = "+") -> None:
    words = "one STUDY.yaml, or data files"
    verb.add_argument("sources", type=Path, nargs=nargs, metavar="STUDY|FILE", help=words)
    verb.add_argument("--reader", metavar="NAME", help="reader of the files (default: guessed)")
    verb.add_argument(
        "--instrument", metavar="NAME", help="product in the files (default: from their names)"
    )
    _add_set(verb, words="one option of the reader, or one key of the study; repeatable")
    verb.add_argument(
        "--check",
        action="append",
        default=[],
        metavar="RULE=ACTION",
        help="what a broken rule leads to: error, drop, repair or count; repeatable",
    )
    verb.add_argument(
        "--jobs", type=_count, default=0, metavar="N", help="files at a time (default: processors)"
    )
    verb.add_argument(
        "--product",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="describe a product that the catalogue lacks, for example tick_size=0.01; repeatable",
    )
