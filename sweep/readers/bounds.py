"""Quick looks at whole columns: whether all values keep a rule, before any is judged alone."""

from typing import Any

import numpy.typing as npt


def within(values: npt.NDArray[Any], low: int, high: int) -> bool:
    """Tell whether all values lie from `low` to `high`."""
    return not len(values) or bool(values.min() >= low and values.max() <= high)


def rises(values: npt.NDArray[Any], before: int) -> bool:
    """Tell whether no value is below the one in front of it; `before` is in front of the first."""
    return not len(values) or bool(values[0] >= before and (values[1:] >= values[:-1]).all())
