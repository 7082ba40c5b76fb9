"""Finds the parameters with which a noisy simulation comes nearest to wanted figures.

Levenberg and Marquardt's method on robust residuals: slopes come from steps of each parameter that
are large against the noise, and are mended after every trial (Broyden). One seed for all trials
makes neighbours comparable. The order of trials depends on nothing but their results, so a search
that was cut off goes on where it was if known results are handed in again.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

DAMPING_START: Final = 0.3
DAMPING_MAX: Final = 1e4
STALLS_MAX: Final = 3  # steps without progress before slopes are measured anew
STEP_SHARES: Final = (1.0, -0.6, 0.35, -1.3, 0.8, -0.25, 1.7, -0.45)  # of the first one, in turn
STEP_MAX: Final = 0.3  # of a parameter's range, in one step
PROGRESS_MIN: Final = 1e-3  # of the loss, for a step to be no stall

_Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a search.

    Attributes:
        step: Step for slopes, as a share of the range on its scale.
        is_log: Whether ratios count rather than differences.
    """

    name: str
    low: float
    high: float
    start: float
    step: float = 0.05
    is_log: bool = False

    def value(self, place: float) -> float:
        """Return the value at a place in [0, 1] of the range; four digits, as users read it."""
        if self.is_log:
            exact = self.low * (self.high / self.low) ** place
        else:
            exact = self.low + (self.high - self.low) * place
        return min(self.high, max(self.low, float(f"{exact:.4g}")))

    def place(self, value: float) -> float:
        """Return where a value lies in the range, in [0, 1]."""
        value = min(self.high, max(self.low, value))
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The best trial of a search, and how many there were."""

    values: dict[str, float]
    loss: float
    trials: int


Residuals = Callable[[Mapping[str, float]], Sequence[float]]


def loss_of(residuals: Sequence[float]) -> float:
    """Return the sum of squares up to 1 a residual, growing in proportion from there on."""
    sizes = (abs(value) for value in residuals)
    return sum(size * size if size <= 1.0 else 2.0 * size - 1.0 for size in sizes)


def search(
    parameters: Sequence[Parameter], residuals: Residuals, trials_max: int
) -> Iterator[Found]:
    """Yield the best so far after every trial.

    Args:
        parameters: What may change; none: one trial.
        residuals: Distance of each figure from the wanted one, 1 is as far as it may be.
        trials_max: Most calls of `residuals`.
    """
    walk = _Walk(parameters, residuals, trials_max)
    for _ in walk.run():
        yield Found(values=walk.values(walk.best), loss=walk.loss, trials=walk.trials)


class _Walk:
    def __init__(
        self, parameters: Sequence[Parameter], residuals: Residuals, trials_max: int
    ) -> None:
        self._parameters = parameters
        self._residuals = residuals
        self._trials_max = trials_max
        self._first_steps = np.array([parameter.step for parameter in parameters])
        self._steps = self._first_steps
        self._round = 0
        self.trials = 0
        self.loss = math.inf
        self.best: _Vector = np.array([item.place(item.start) for item in parameters])
        self._at_best: _Vector = np.zeros(0)

    def values(self, place: _Vector) -> dict[str, float]:
        pairs = zip(self._parameters, place, strict=True)
        return {parameter.name: parameter.value(float(at)) for parameter, at in pairs}

    def run(self) -> Iterator[None]:
        self._keep(self.best, self._try(self.best))
        yield
        while self._parameters and self.trials < self._trials_max:
            slopes = np.zeros((len(self._at_best), len(self.best)))
            for column in range(len(self.best)):
                if self.trials >= self._trials_max:
                    return
                self._measure_slope(slopes, column)
                yield
            yield from self._descend(slopes)
            # The next slopes look to the other side, and not as far: the same again would tell
            # nothing new.
            self._round += 1
            self._steps = self._first_steps * STEP_SHARES[self._round % len(STEP_SHARES)]

    def _try(self, place: _Vector) -> _Vector:
        self.trials += 1
        return np.array(self._residuals(self.values(place)), dtype=np.float64)

    def _keep(self, place: _Vector, found: _Vector) -> bool:
        loss = loss_of(found.tolist())
        progress = self.loss - loss
        if progress <= 0.0:
            return False
        is_worth = progress > PROGRESS_MIN * loss or math.isinf(self.loss)
        self.best, self._at_best, self.loss = place, found, loss
        return is_worth

    def _measure_slope(self, slopes: _Vector, column: int) -> None:
        step = self._steps[column]
        step = step if 0.0 <= self.best[column] + step <= 1.0 else -step
        place = self.best.copy()
        place[column] += step
        at_best = self._at_best
        found = self._try(place)
        slopes[:, column] = (found - at_best) / step
        self._keep(place, found)

    def _descend(self, slopes: Any) -> Iterator[None]:
        damping, stalls = DAMPING_START, 0
        while stalls < STALLS_MAX and damping < DAMPING_MAX and self.trials < self._trials_max:
            place = self._next_place(slopes, damping)
            move = place - self.best
            if not np.abs(move).max() > 1e-4:
                return
            before = self._at_best
            found = self._try(place)
            # Broyden: the least change of the slopes that explains what was seen.
            slopes += np.outer(found - before - slopes @ move, move) / (move @ move)
            if self._keep(place, found):
                damping, stalls = damping / 3.0, 0
            else:
                damping, stalls = damping * 4.0, stalls + 1
            yield

    def _next_place(self, slopes: _Vector, damping: float) -> _Vector:
        # Residuals beyond 1 count in proportion: their weight falls with their size.
        weights = 1.0 / np.maximum(1.0, np.abs(self._at_best))
        normal = slopes.T @ (weights[:, None] * slopes)
        scale = np.diag(normal) + 1e-6 * (1.0 + np.diag(normal).max())
        pull = slopes.T @ (weights * self._at_best)
        free = np.ones(len(self.best), dtype=bool)
        move: _Vector = np.zeros(len(self.best))
        for _ in range(len(self.best)):
            # What would leave the range stays at its edge, and the others move without it.
            move = np.zeros(len(self.best))
            part = normal[np.ix_(free, free)] + damping * np.diag(scale[free])
            move[free] = np.linalg.solve(part, -pull[free])
            outside = free & (
                ((self.best <= 0.0) & (move < 0.0)) | ((self.best >= 1.0) & (move > 0.0))
            )
            if not outside.any():
                break
            free &= ~outside
        move = np.clip(move, -STEP_MAX, STEP_MAX)
        return np.clip(self.best + move, 0.0, 1.0)
