"""What the environment tells a process that the driver starts."""

import os
import sys
from pathlib import Path
from typing import Final

# One worker is one core: libraries must not start a thread for each.
ONE_CORE: Final = {
    "POLARS_MAX_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}


def same_modules() -> dict[str, str]:
    """Return variables with which a process finds the modules that this one finds.

    They hold wherever this one was started from: an empty entry is the folder it is in now.
    """
    return {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
