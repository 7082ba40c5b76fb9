"""Rules for the rows of every source: values that are valid, yet hardly meant.

A digit lost in a file without checksums gives another sound file. What no reader of one format can
refuse is counted here, so that it is seen: by default nothing is changed or refused.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.readers.audit import Audit, Rule
from sweep.readers.ticks import KIND_CLEAR, Columns, Rows, Summary

# A price that is this many times the typical one of its neighbourhood, or less than its share.
FAR_FACTOR: Final = 4.0
SAMPLE: Final = 2_048  # rows of a chunk that tell the middle
# Longer than any holiday between two rows of one file.
FAR_NS: Final = 15 * 86_400 * 1_000_000_000

RULES: Final = {
    "far_price": Rule(
        doc="Prices lie within a factor of four of the middle price of the rows around; deep "
        "books and cheap options may break this and be sound",
        actions=("count", "error"),
    ),
    "far_time": Rule(
        doc="Rows that follow each other are less than 15 days apart", actions=("count", "error")
    ),
}


def watch(rows: Rows, audit: Audit) -> Rows:
    """Hand on the rows of a reader and count what is hardly meant.

    Raises:
        DataError: A rule is broken whose action is `error`.
    """
    row, last_ns = 0, None
    while True:
        try:
            chunk = next(rows)
        except StopIteration as stop:
            summary: Summary = stop.value
            return summary
        _check_prices(chunk, row, audit)
        times = chunk["exch_ns"]
        if len(times):
            _check_times(times, last_ns, row, audit)
            last_ns = int(times[-1])
        row += len(times)
        yield chunk


def _check_prices(chunk: Columns, row: int, audit: Audit) -> None:
    prices, kinds = chunk["price"], chunk["kind"]
    # A part of the rows tells the middle as well as all of them, in a part of the time.
    stride = max(1, len(prices) // SAMPLE)
    sample = prices[::stride][kinds[::stride] != KIND_CLEAR]
    if not len(sample):
        return
    middle = float(np.median(sample))
    low, high = sorted((middle / FAR_FACTOR, middle * FAR_FACTOR))
    # A middle near zero has no scale: prices of calendar spreads.
    if abs(middle) < FAR_FACTOR or (prices.min() >= low and prices.max() <= high):
        return
    audit.hit_rows(
        "far_price",
        (kinds != KIND_CLEAR) & ((prices < low) | (prices > high)),
        lambda at: f"row {row + at}",
        lambda at: f"tick {prices[at]}, expected {low:.0f} to {high:.0f} as around it",
    )


def _check_times(times: npt.NDArray[Any], last_ns: int | None, row: int, audit: Audit) -> None:
    before = int(times[0]) if last_ns is None else last_ns
    if max(int(times.max()), before) - min(int(times.min()), before) <= FAR_NS:
        return  # no two of them are that far apart
    is_far = np.diff(times, prepend=before) > FAR_NS
    audit.hit_rows(
        "far_time",
        is_far,
        lambda at: f"row {row + at}",
        lambda at: f"{times[at]} ns, more than 15 days after the row before",
    )
