"""One module per verb of the command line."""

from typing import Final

RUNS_DIR: Final = "runs"  # where studies are kept unless --runs-dir says otherwise
