"""Readers of tick sources, by name, and the options that study files may give them."""

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticOptions:
    """Options of the synthetic market."""

    events: int = field(default=400_000, metadata={"unit": "rows", "low": 1, "high": 10**9})
    seed: int = field(default=1, metadata={"unit": "", "low": 0, "high": 2**63 - 1})


@dataclass(frozen=True, slots=True, kw_only=True)
class ShioajiParquetOptions:
    """Options of the reader of recorded five-level files: none so far."""


OPTIONS: Final[dict[str, type]] = {
    "synthetic": SyntheticOptions,
    "shioaji_parquet": ShioajiParquetOptions,
}
