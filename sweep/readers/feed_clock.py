"""Compares the local clock of a recording with the exchange's: offset, drift, latencies.

No message arrives before it is sent. Where the recording says so the clocks differ by an offset
that nobody recorded, and what the latencies really were is not known: only how they vary is. The
rule `clock_offset` leaves the choice to the study:

- `error` refuses the recording and says how far the clocks are apart;
- `repair` adds one constant to every local time, so that the smallest latency of the whole file
  becomes the option `latency_floor_us`. Differences between latencies are kept as recorded; the
  floor is an assumption, and a drift of the clocks stays in them;
- `drop` forgets the local clock: the feed's latency comes from the study's model alone.

A local clock that is ahead by an unknown offset looks like a slow network and is not found.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.readers.audit import Audit, Rule

NS_PER_US: Final = 1_000
NS_PER_MS: Final = 1_000_000
_WINDOW_NS: Final = 60_000_000_000
_SAMPLE_MAX: Final = 1 << 20
_PERCENTILES: Final = (0, 1, 50, 99, 100)

LATENCY_FLOOR_US: Final = 1_000

CLOCK_RULES: Final[dict[str, Rule]] = {
    "clock_offset": Rule(
        doc="No message is received before it is sent. repair: add a constant to local times, so "
        "that the smallest latency is latency_floor_us; drop: forget the local clock",
        actions=("error", "repair", "drop"),
    ),
    "local_back": Rule(
        doc="Local times never fall by less than a second. repair: raise them to the last one",
        actions=("repair", "count", "error"),
    ),
    "local_jump": Rule(
        doc="The local clock is not set back by a second or more. repair: raise local times to the "
        "last one until the clock has caught up",
        actions=("error", "repair"),
    ),
}
_JUMP_NS: Final = 1_000_000_000


@dataclass(slots=True)
class LatencySurvey:
    """Latencies of all messages of a file: local time less exchange time, before any repair."""

    count: int = 0
    negative: int = 0
    first_negative: str = ""
    minimum_ns: int = 0
    maximum_ns: int = 0
    _stride: int = 1
    _kept: list[npt.NDArray[np.int64]] = field(default_factory=list)
    _kept_count: int = 0
    # Smallest latency of each minute of exchange time: what drifts is the clock, not the network.
    _windows: dict[int, int] = field(default_factory=dict)

    def add(
        self, local_ns: npt.NDArray[np.int64], exch_ns: npt.NDArray[np.int64], first: int, unit: str
    ) -> None:
        """Take in messages that follow the last ones.

        Args:
            local_ns: When each was received; 0 for one without a time.
            exch_ns: When each was sent; 0 for one without a time.
            first: Number of the first of them.
            unit: What they are counted in, `line` or `row`.
        """
        rows = np.flatnonzero((local_ns > 0) & (exch_ns > 0))
        if not len(rows):
            return
        latency = local_ns[rows] - exch_ns[rows]
        lowest, highest = int(latency.min()), int(latency.max())
        self.minimum_ns = min(lowest, self.minimum_ns) if self.count else lowest
        self.maximum_ns = max(highest, self.maximum_ns) if self.count else highest
        if lowest < 0:
            if not self.negative:
                row = int((latency < 0).argmax())
                self.first_negative = f"{unit} {first + int(rows[row])}"
            self.negative += int((latency < 0).sum())
        window = exch_ns[rows] // _WINDOW_NS
        for key in np.unique(window).tolist():
            low = int(latency[window == key].min())
            self._windows[key] = min(low, self._windows.get(key, low))
        self._keep(latency)
        self.count += len(rows)

    def _keep(self, latency: npt.NDArray[np.int64]) -> None:
        # Every k-th message; k doubles when too many are kept.
        kept = latency[-self.count % self._stride :: self._stride]
        self._kept.append(kept)
        self._kept_count += len(kept)
        if self._kept_count > _SAMPLE_MAX:
            self._kept = [np.concatenate(self._kept)[::2]]
            self._kept_count = len(self._kept[0])
            self._stride *= 2

    def facts(self) -> dict[str, Any]:
        """Return what was found, as recorded: microseconds, and parts per million for the drift."""
        if not self.count:
            return {"messages": 0}
        latency = np.concatenate(self._kept)
        percentiles = np.percentile(latency, _PERCENTILES).tolist()
        percentiles[0], percentiles[-1] = self.minimum_ns, self.maximum_ns
        names = ("minimum", "p1", "median", "p99", "maximum")
        found: dict[str, Any] = {
            f"latency_us_{name}": round(value / NS_PER_US, 1)
            for name, value in zip(names, percentiles, strict=True)
        }
        found |= {"messages": self.count, "negative_latencies": self.negative}
        if len(self._windows) >= 3:
            minutes = np.array(sorted(self._windows), dtype=np.float64)
            low = np.array([self._windows[key] for key in sorted(self._windows)], dtype=np.float64)
            slope = np.polyfit(minutes - minutes[0], low - low[0], 1)[0]
            found["drift_ppm"] = round(float(slope) / _WINDOW_NS * 1e6, 2)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalClock:
    """What is made of the local clock of a recording.

    Attributes:
        is_kept: Whether rows carry local times.
        shift_ns: What is added to each.
    """

    is_kept: bool
    shift_ns: int = 0

    def facts(self) -> dict[str, Any]:
        """Return what was done."""
        return {"local_clock": self.is_kept, "local_shift_us": self.shift_ns / NS_PER_US}


def judge_clock(survey: LatencySurvey, audit: Audit, floor_us: int) -> LocalClock:
    """Decide what becomes of the local clock.

    Raises:
        DataError: The clocks contradict each other and the study has chosen nothing.
    """
    if not survey.count:
        return LocalClock(is_kept=False)
    if not survey.negative:
        return LocalClock(is_kept=True)
    behind_ms = -survey.minimum_ns / NS_PER_MS
    detail = (
        f"the local clock is at least {behind_ms:.3f} ms behind the exchange's: "
        f"{survey.negative} of {survey.count} messages were received before they were sent"
    )
    action = audit.hit("clock_offset", survey.first_negative, detail, count=max(1, survey.negative))
    if action == "drop":
        return LocalClock(is_kept=False)
    assert action == "repair", action
    return LocalClock(is_kept=True, shift_ns=floor_us * NS_PER_US - survey.minimum_ns)


@dataclass(slots=True)
class LocalOrder:
    """Sees to it that local times do not fall from one message to the next."""

    audit: Audit
    unit: str
    _last_ns: int = 0

    def settle(
        self, local_ns: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Return the local times of the next messages, in the order of the file.

        Args:
            local_ns: As recorded, all known.
            numbers: Number of each message.

        Raises:
            DataError: As the rules say.
        """
        if not len(local_ns):
            return local_ns
        before = np.concatenate(([self._last_ns], local_ns[:-1]))
        # Against the highest time so far: a clock that was set back stays behind for a while.
        highest = np.maximum.accumulate(np.maximum(local_ns, self._last_ns))
        falls = before - local_ns
        action = "repair"
        for rule, rows in (
            ("local_jump", np.flatnonzero(falls >= _JUMP_NS)),
            ("local_back", np.flatnonzero((highest > local_ns) & (falls < _JUMP_NS))),
        ):
            if len(rows):
                row = int(rows[0])
                step_us = int(highest[row] - local_ns[row]) / NS_PER_US
                detail = f"the local time is {step_us} us before the highest one so far"
                taken = self.audit.hit(rule, f"{self.unit} {numbers[row]}", detail, count=len(rows))
                action = taken if rule == "local_back" else action
        self._last_ns = int(highest[-1])
        return local_ns if action == "count" else highest
