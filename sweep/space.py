"""Search spaces: the values that a leaf of a study file may take.

Plain frozen values without any optimiser; `sweep.storage` turns them into its distributions.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sweep.errors import InputError

Scalar: TypeAlias = int | float | str | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IntSpace:
    """Integers from `low` to `high`, both included, in steps of `step`."""

    low: int
    high: int
    step: int = 1
    log: bool = False

    def __post_init__(self) -> None:
        if self.low > self.high:
            message = f"Lower bound {self.low} is above upper bound {self.high}"
            raise InputError(message)
        if self.step < 1:
            message = f"Step {self.step} is not a positive integer"
            raise InputError(message)
        if (self.high - self.low) % self.step != 0:
            message = f"Range {self.low} to {self.high} is not a whole number of steps {self.step}"
            raise InputError(message)
        if self.log and self.low < 1:
            message = f"A log scale needs a lower bound of at least 1, found {self.low}"
            raise InputError(message)
        if self.log and self.step != 1:
            message = "A log scale cannot have a step"
            raise InputError(message)

    def contains(self, value: Scalar) -> bool:
        """Tell whether `value` can come out of this space."""
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        return self.low <= value <= self.high and (value - self.low) % self.step == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatSpace:
    """Real numbers from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            message = f"Bounds {self.low} and {self.high} must be finite"
            raise InputError(message)
        if self.low > self.high:
            message = f"Lower bound {self.low} is above upper bound {self.high}"
            raise InputError(message)
        if self.log and self.low <= 0.0:
            message = f"A log scale needs a lower bound above 0, found {self.low}"
            raise InputError(message)

    def contains(self, value: Scalar) -> bool:
        """Tell whether `value` can come out of this space."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceSpace:
    """One of the listed options, without any order between them."""

    options: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if not self.options:
            message = "A choice needs at least one option"
            raise InputError(message)
        # 1, 1.0 and True are equal in Python but different options here.
        if len({(type(option), option) for option in self.options}) != len(self.options):
            message = f"A choice lists an option twice: {list(self.options)}"
            raise InputError(message)

    def contains(self, value: Scalar) -> bool:
        """Tell whether `value` can come out of this space."""
        return any(type(value) is type(option) and value == option for option in self.options)


Space: TypeAlias = IntSpace | FloatSpace | ChoiceSpace


def space_to_json(space: Space) -> dict[str, Any]:
    """Return the JSON form of a space, as written in a study file."""
    match space:
        case IntSpace():
            return {"int": [space.low, space.high], "step": space.step, "log": space.log}
        case FloatSpace():
            return {"float": [space.low, space.high], "log": space.log}
        case ChoiceSpace():
            return {"choice": list(space.options)}


def space_from_json(data: Mapping[str, Any]) -> Space:
    """Return the space written by `space_to_json`.

    Raises:
        InputError: The mapping is no space.
    """
    if "int" in data:
        low, high = data["int"]
        return IntSpace(low=low, high=high, step=data.get("step", 1), log=data.get("log", False))
    if "float" in data:
        low, high = data["float"]
        return FloatSpace(low=low, high=high, log=data.get("log", False))
    if "choice" in data:
        return ChoiceSpace(options=tuple(data["choice"]))
    message = f"Expected a space with int, float or choice, found the keys {sorted(data)}"
    raise InputError(message)
