"""Rows about workers: two at a time, the first result of a new one, a day under many parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

import rustsim
from benches.bench_row import Row
from benches.recorded_cases import TXF, import_recording, spec_of
from benches.replay_cases import BUILD, SPEC, check_equal, kernel_maker
from benches.report import ROOT
from benches.worker_probe import Busy, ask, together
from strategies.adapters.rustsim import RustSimAdapter
from sweep.planning import make_plan, middle_params
from sweep.studyfile import load_study

FOLDER = BUILD / "bench-workers"
STUDY = ROOT / "experiments" / "quickstart.yaml"
TWO_BAR = 1.9
FIRST_RESULT_BAR_S = 0.3
DAY_BAR_S_PER_SET = 5.0 / 1_000
DAY_CHECKS = 8  # sets of each worker that are replayed again
TWO_ROW = "two workers on two cores, over one"


def parameter_sets(rules: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """Return so many different neighbours of a set of rules."""
    return [
        {
            "half_spread_ticks": rules["half_spread_ticks"] * (1.0 + at % 8 / 4),
            "requote_threshold_ticks": rules["requote_threshold_ticks"] + at // 8 % 4,
            "skew_ticks_per_lot": rules["skew_ticks_per_lot"] * (1 + at // 32 % 2),
            "position_limit_lots": rules["position_limit_lots"] + at // 64,
        }
        for at in range(count)
    ]


def compiled_parts(tape: rustsim.Tape, spans: Sequence[tuple[int, int]]) -> list[list[Any]]:
    """Write stretches of a tape compiled; return (first row, end, file) of each."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    parts = []
    for start, stop in spans:
        path = FOLDER / f"{tape.content_hash}-{start}-{stop}.compiled"
        path.unlink(missing_ok=True)
        rustsim.CompiledTape.write(str(path), tape, start, stop)
        parts.append([start, stop, str(path)])
    return parts


def check_worker(
    tape: rustsim.Tape, job: Mapping[str, Any], digests: Sequence[Sequence[str]], step: int
) -> None:
    """Stop unless every `step`-th set of a worker gave what the direct engine gives here."""
    for at in range(0, len(job["sets"]), step):
        for (start, stop, _), digest in zip(job["parts"], digests[at], strict=True):
            gateway = RustSimAdapter.from_spec(job["spec"])
            trader = kernel_maker(job["sets"][at])(gateway)
            direct = gateway.replay(tape, start, stop, trader).digest
            check_equal({"direct": (direct,), "worker": (digest,)}, f"set {at} of a worker")


def measure_two(
    tape: rustsim.Tape, rules: Mapping[str, Any], cores: Sequence[int], repeats: int
) -> Row:
    """Return how much more two workers do than one."""
    if len(cores) < 2:
        return Row(name=TWO_ROW, unit="times", absent="this machine offers one core")
    job: dict[str, Any] = {
        "tape": tape.path,
        "parts": compiled_parts(tape, [(0, tape.row_count)]),
        "sets": parameter_sets(rules, 8),
        "spec": SPEC,
    }
    workers = [Busy(job | {"core": core}) for core in cores[:2]]
    runs, found = [], []
    try:
        together(workers)  # warms
        for _ in range(repeats):
            alone = [together([worker])[0] for worker in workers]
            both = together(workers)
            found += [*alone, *both]
            mean = sum(run["seconds"] for run in alone) / len(alone)
            runs.append(2 * mean / max(run["seconds"] for run in both))
    finally:
        for worker in workers:
            worker.close()
    for run in found:
        check_worker(tape, job, run["digests"], step=1 if run is found[0] else len(job["sets"]))
        if run["digests"] != found[0]["digests"]:
            raise RuntimeError("Workers disagree")
    return Row(
        name=TWO_ROW,
        unit="times",
        runs=tuple(runs),
        bar=TWO_BAR,
        higher_is_better=True,
        is_scaled=False,
    )


def measure_first_result(core: int, repeats: int, peers: Mapping[str, Mapping[str, Any]]) -> Row:
    """Return how long a new worker takes to its first result, its strategy compiled before."""
    plan = make_plan(load_study(STUDY, ["strategy.mode=compiled"]), FOLDER / "runs")
    job = {
        "target": plan.job.runner.target,
        "payload": plan.job.runner.payload,
        "params": middle_params(plan.job.space),
        "core": core,
    }
    found = [ask("fresh", job) for _ in range(repeats + 1)][1:]
    if any(run["is_compiler_loaded"] for run in found):
        raise RuntimeError("A worker with a warm cache loaded the compiler")
    if len({run["digest"] for run in found}) != 1:
        raise RuntimeError("Workers disagree")
    return Row(
        name="first result of a new worker, after its imports",
        unit="s",
        runs=tuple(run["seconds"] for run in found),
        bar=FIRST_RESULT_BAR_S,
        peers={name: peer["first_s"] for name, peer in peers.items() if "first_s" in peer},
        facts={
            "events": found[0]["events"],
            "before_first_replay_s": min(run["start_seconds"] for run in found),
        },
    )


def measure_day(cores: Sequence[int], count: int) -> Row:
    """Return how long all cores take to replay a recorded day under many parameter sets, once."""
    name = f"{TXF.name} x {count:,} parameter sets, {len(cores)} workers"
    if not TXF.path.exists():
        return Row(name=name, unit="s", absent=f"{TXF.file} is not at hand")
    info = import_recording(TXF)
    tape = rustsim.Tape.open(str(info.path))
    spans = [(part.row_start, part.row_stop) for part in info.sessions]
    job: dict[str, Any] = {
        "tape": str(info.path),
        "parts": compiled_parts(tape, spans),
        "spec": spec_of(info, tape),
    }
    sets = parameter_sets(TXF.rules, count)
    jobs = [job | {"core": core, "sets": sets[at :: len(cores)]} for at, core in enumerate(cores)]
    workers = [Busy(each) for each in jobs]
    try:
        found = together(workers)
    finally:
        for worker in workers:
            worker.close()
    for each, run in zip(jobs, found, strict=True):
        check_worker(tape, each, run["digests"], step=max(1, len(each["sets"]) // DAY_CHECKS))
    seconds = max(run["seconds"] for run in found)
    return Row(
        name=name,
        unit="s",
        runs=(seconds,),
        bar=DAY_BAR_S_PER_SET * count,
        facts={"ns_per_set_event_and_core": seconds * len(cores) * 1e9 / count / tape.row_count},
    )
