"""Live progress and tables in the terminal; the only room that names rich."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from sweep.job import SweepJob, TrackingInfo, TrialSpec
from sweep.space import Scalar

WIDTH_MAX = 1_000  # of a table, in characters
FAILURES_SHOWN = 5
PLAIN_EVERY_S = 5.0  # lines for a log file, not a screen
NAIVE_METRICS = ("naive_net_pnl", "naive_fills")
TABLE_METRICS = ("net_pnl", "fills", "maker_share", "max_drawdown", "opi_at_fill_mean_lots")


def talk(text: str) -> None:
    """Print one line for the user on stderr."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)


class LiveObserver:
    """Shows what a sweep does: a live line on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.fields[phase]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._job: SweepJob | None = None
        self._done = 0
        self._done_here = 0
        self._failed = 0
        self._failed_here = 0
        self.best: tuple[float, int] | None = None  # objective and trial
        self._ready_s: float | None = None
        self._shown_s = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def on_start(self, job: SweepJob, recorded: Mapping[str, int]) -> None:
        """Show how much there is to do."""
        self._job = job
        self._failed = recorded.get("failed", 0)
        self._done = recorded.get("complete", 0) + self._failed
        if self._done:
            self._line(f"going on with {job.name}: {self._done} of {job.trials} trials are done")
        self._line(f"starting {job.workers} worker(s), backend {job.backend}")
        self._task = self._progress.add_task(
            "", total=job.trials, completed=self._done, phase="starting", words=""
        )

    def on_ready(self, workers: int) -> None:
        """Show that trials can run."""
        self._ready_s = time.monotonic()
        self._line(f"{workers} worker(s) ready")
        self._refresh("running")

    def on_trial_started(self, trial: TrialSpec) -> None:
        """Nothing to show: the end of a trial says more."""

    def on_trial_finished(self, record: Mapping[str, Any]) -> None:
        """Count, compare with the best, show."""
        assert self._job is not None, "a trial finished before the sweep started"
        self._done += 1
        if self._ready_s is None:
            self._ready_s = time.monotonic()  # one worker is ahead of the others
        else:
            self._done_here += 1
        if record["state"] == "failed":
            self._failed += 1
            self._show_failure(record)
        else:
            value = float(record["result"]["objective"])
            sign = 1.0 if self._job.direction == "maximize" else -1.0
            if self.best is None or sign * value > sign * self.best[0]:
                self.best = (value, record["trial"])
        self._refresh("running")

    def _show_failure(self, record: Mapping[str, Any]) -> None:
        self._failed_here += 1
        if self._failed_here <= FAILURES_SHOWN:
            self._line(f"trial {record['trial']} failed: {record['reason']}")
        if self._failed_here == FAILURES_SHOWN:
            self._line("further failures are only counted; `status` lists their reasons")

    def on_tracking(self, info: TrackingInfo) -> None:
        """Show where runs appear; an embedded store has no page before `ui` serves it."""
        if info.uri.startswith(("http://", "https://")) and info.url:
            self._line(f"MLflow: {info.url}")

    def on_message(self, text: str) -> None:
        """Show a line."""
        self._line(text)

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def _refresh(self, phase: str) -> None:
        assert self._job is not None, "progress before the start"
        words = self._words(time.monotonic())
        if self._task is not None:
            self._progress.update(self._task, completed=self._done, phase=phase, words=words)
        now_s = time.monotonic()
        is_last = self._done >= self._job.trials
        is_due = words != "" and now_s - self._shown_s > PLAIN_EVERY_S
        if not self._console.is_terminal and (is_due or is_last):
            self._shown_s = now_s
            self._line(f"{self._done}/{self._job.trials} {words}")

    def _words(self, now_s: float) -> str:
        assert self._job is not None, "progress before the start"
        words: list[str] = []
        elapsed_s = now_s - (self._ready_s or now_s)
        if self._done_here and elapsed_s > 0.0:
            rate = self._done_here / elapsed_s
            words.append(f"{rate:.1f} trials/s")
            words.append(f"ETA {duration((self._job.trials - self._done) / rate)}")
        if self.best is not None:
            words.append(f"best {number(self.best[0])} (trial {self.best[1]})")
        if self._failed:
            words.append(f"{self._failed} failed")
        return ", ".join(words)


class FileBar:
    """Shows how far files are read: a live line on a terminal, a line now and then elsewhere.

    Args:
        phase: What is done to them.
        total_bytes: Size of all files.
    """

    def __init__(self, phase: str, total_bytes: int) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn(phase),
            BarColumn(),
            TextColumn("{task.fields[words]}"),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._phase = phase
        self._total = total_bytes
        self._task = self._progress.add_task("", total=max(1, total_bytes), words="")
        self._started_s = time.monotonic()
        self._shown_s = self._started_s

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def update(self, rows: int, done_bytes: int) -> None:
        """Show how many rows were read, and the size of the files that are done."""
        now_s = time.monotonic()
        words = self._words(rows, done_bytes, max(1e-3, now_s - self._started_s))
        self._progress.update(self._task, completed=done_bytes, words=words)
        if not self._console.is_terminal and now_s - self._shown_s > PLAIN_EVERY_S:
            self._shown_s = now_s
            self.say(f"{self._phase}: {words}")

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(text, markup=False, soft_wrap=True)

    def _words(self, rows: int, done_bytes: int, elapsed_s: float) -> str:
        words = [f"{rows:,} rows", f"{rows / elapsed_s:,.0f} rows/s"]
        words.append(f"{done_bytes / 1e6:,.1f} of {self._total / 1e6:,.1f} MB")
        if 0 < done_bytes < self._total:
            words.append(f"ETA {duration(elapsed_s * (self._total - done_bytes) / done_bytes)}")
        return ", ".join(words)


def duration(seconds: float) -> str:
    """Return a time span in the words of a clock: 42 s, 3:07, 2:05:00."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if seconds >= 9.5 else f"{seconds:.1f} s"
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def ranked_table(
    records: Sequence[Mapping[str, Any]], *, metric: str, direction: str, stream: IO[str]
) -> None:
    """Print complete trials, best first, with parameters and as many metrics as fit."""
    if not records:
        print("no complete trial", file=stream)
        return
    console = Console(file=stream, highlight=False)
    # What a naive backtest says stands beside what is optimised, where a study compares them.
    beside = [name for name in NAIVE_METRICS if name in records[0]["result"]["metrics"]]
    shown = [name for name in (*beside, *TABLE_METRICS) if name != metric]
    title = f"{direction} {metric}"
    table = _table(records, [metric, *shown], title)
    wide = console.options.update(width=WIDTH_MAX)
    if console.is_terminal:
        while shown and console.measure(table, options=wide).maximum > console.width:
            shown.pop()
            table = _table(records, [metric, *shown], title)
    # A parameter cut in half is worth nothing: rather a long line than that.
    width = max(console.width, console.measure(table, options=wide).maximum)
    Console(file=stream, highlight=False, width=width).print(table)


def _table(records: Sequence[Mapping[str, Any]], metrics: Sequence[str], title: str) -> Table:
    paths = list(records[0]["params"])
    table = Table(title=title, title_justify="left")
    names = ["rank", "trial", metrics[0], *(short_name(path, paths) for path in paths)]
    for name in [*names, *metrics[1:]]:
        table.add_column(name, justify="right", no_wrap=True)
    for rank, record in enumerate(records, start=1):
        values = record["result"]["metrics"]
        table.add_row(
            str(rank),
            str(record["trial"]),
            number(record["result"]["objective"]),
            *(number(record["params"].get(path, "")) for path in paths),
            *(number(values.get(name, "")) for name in metrics[1:]),
        )
    return table


def short_name(path: str, paths: Sequence[str]) -> str:
    """Return the shortest ending of a key path that says what it is and that no other path has."""
    parts = path.split(".")
    # `half_spread_ticks` speaks for itself, `mean_us` does not say of what.
    least = 1 if "params" in parts else 2
    for count in range(least, len(parts)):
        ending = ".".join(parts[-count:])
        if sum(1 for other in paths if other == ending or other.endswith(f".{ending}")) == 1:
            return ending
    return path


def number(value: Scalar) -> str:
    """Return a value for a table: whole numbers in full, others to four digits."""
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int) or (value == round(value) and abs(value) < 1e15):
        return f"{round(value):,}"
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
