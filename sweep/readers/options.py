"""Declares options of readers: what `data readers` tells about them and study files may write."""

from dataclasses import field
from typing import Any


def option(
    default: Any,
    doc: str,
    unit: str = "1",
    low: float | None = None,
    high: float | None = None,
) -> Any:
    """Return a field of a dataclass of options.

    Args:
        default: Value if none is given; `dataclasses.MISSING`: it must be given.
        doc: What it says, in one sentence.
        unit: Unit of the value; "1" for texts and plain numbers.
        low: Least allowed value.
        high: Greatest allowed value.
    """
    metadata = {"doc": doc, "unit": unit, "low": low, "high": high}
    return field(default=default, metadata=metadata)
