"""A tape of the synthetic market, in one call."""

from pathlib import Path

import rustsim
from sweep.readers.synthetic import SyntheticOptions
from sweep.synthetic import write_market_tape


def synthetic_tape(path: Path, *, events: int = 20_000, seed: int = 1) -> rustsim.Tape:
    write_market_tape(path, "SYN", SyntheticOptions(events=events, seed=seed), {})
    return rustsim.Tape.open(str(path))
