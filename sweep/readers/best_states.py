"""Looks for the best-quote states of one recording in another, in order.

Two recordings of one market may differ in what they leave out, so that their rows do not pair. If
both are right, the distinct states of one still appear in the other in the same order.
"""

import bisect
from collections import defaultdict
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# States that may lie between two that are found: further ones are coincidence.
_AHEAD_MAX: Final = 200


def distinct(states: Array) -> Array:
    """Return the states that differ from the one above: one row of numbers per state."""
    if not len(states):
        return states
    change = np.concatenate(([True], (states[1:] != states[:-1]).any(axis=1)))
    found: Array = states[change]
    return found


def found_in_order(wanted: Array, given: Array) -> int:
    """Return how many of the distinct states wanted appear among the given ones, in order.

    Each state is looked for behind the one found last, at most 200 distinct states further on.
    """
    places: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, state in enumerate(distinct(given).tolist()):
        places[tuple(state)].append(place)
    last, found = -1, 0
    for state in distinct(wanted).tolist():
        at = places.get(tuple(state), [])
        index = bisect.bisect_right(at, last)
        if index < len(at) and at[index] - last <= _AHEAD_MAX:
            last = at[index]
            found += 1
    return found
