"""A tape of the synthetic market, in one call."""

from pathlib import Path
from typing import Any

import rustsim
from sweep.readers.synthetic import SyntheticOptions
from sweep.synthetic import write_market_tape


def synthetic_tape(path: Path, **options: Any) -> rustsim.Tape:
    write_market_tape(path, "SYN", SyntheticOptions(**{"events": 20_000, **options}), {})
    return rustsim.Tape.open(str(path))
