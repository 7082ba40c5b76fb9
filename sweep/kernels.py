"""Compiled strategies of a study: compiled by the driver once, loaded by workers."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from strategies.base import StrategyError
from strategies.kernel import KernelStrategy
from strategies.kernel_compile import LoadedKernel, is_available, load_kernel
from sweep.decode_strategy import load_class
from sweep.errors import InputError

KERNELS_FOLDER: Final = ".kernels"
COMPILED: Final = "compiled"
INTERPRETED: Final = "interpreted"
_TOLD_S: Final = 1.0  # a wait that is worth a line


def open_kernel(strategy: Mapping[str, Any], folder: str | None) -> LoadedKernel | None:
    """Return the machine code that the strategy section of a payload asks for.

    Raises:
        InputError: It has to be compiled, and cannot be.
    """
    if strategy.get("mode", INTERPRETED) != COMPILED:
        return None
    assert folder is not None, "a payload that asks for compiled strategies names their folder"
    try:
        return load_kernel(load_class(strategy["reference"]), Path(folder))
    except StrategyError as error:
        raise InputError(str(error)) from error


def prepare_strategy(
    strategy: dict[str, Any], runs_dir: Path, tell: Callable[[str], None] | None
) -> dict[str, str]:
    """Settle how the strategy of a study runs, and compile it unless it was compiled before.

    Args:
        strategy: Section of the study as a template; the mode `auto` in it becomes what it means
            here.
        runs_dir: Where studies live; compiled strategies are kept below it.
        tell: Hears of it if it takes long.

    Returns:
        What the payload of the runner needs besides the section.

    Raises:
        InputError: It cannot be compiled.
    """
    if strategy["mode"] == "auto":
        is_kernel = issubclass(load_class(strategy["reference"]), KernelStrategy)
        strategy["mode"] = COMPILED if is_kernel and is_available() else INTERPRETED
    folder = runs_dir.resolve() / KERNELS_FOLDER
    before = time.monotonic()
    code = open_kernel(strategy, str(folder))
    seconds = time.monotonic() - before
    if code is None:
        return {}
    if code.is_fresh and seconds >= _TOLD_S and tell is not None:
        tell(f"{code.kind.__name__} compiled in {seconds:.1f} s, kept for later launches")
    return {"kernels": str(folder)}
