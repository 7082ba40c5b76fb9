"""Other programs that measurements and checks stand beside: where they live, how they are run.

    python -m benches.peers          # install those that can be had, each into build/<name>

Each has an environment of its own, so nothing of theirs gets into ours, and a script in this folder
that runs there, imports nothing of this repository and prints one JSON document:
{"version", "rows": {what: {"events", "ns": [per run, per event], "orders", "fills", ...}}}.
An environment variable names another Python that has the program installed.
"""

import json
import os
import statistics
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches.report import ROOT

BUILD = ROOT / "build"
INSTALL_TIMEOUT_S = 900
RUN_TIMEOUT_S = 1_800
PEER_AT_BAR_NS = 1_000 / 21.3  # hftbacktest's replay, array book, where the bars were stated


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A program.

    Attributes:
        distribution: Its name among installed packages.
        package: What pip installs.
        folder: Its environment below build/.
        variable: Names another Python.
        rows_most: It gets so many events at most, where all would take too long.
    """

    name: str
    distribution: str
    version: str
    package: str
    folder: str
    variable: str
    script: str
    rows_most: int

    @property
    def install(self) -> str:
        """The command that installs it."""
        return (
            f"python3 -m venv build/{self.folder} && "
            f"build/{self.folder}/bin/pip install '{self.package}'"
        )


HFTBACKTEST = Peer(
    name="hftbacktest",
    distribution="hftbacktest",
    version="2.4.4",
    package="hftbacktest==2.4.4",
    folder="hftbacktest",
    variable="HBT_PYTHON",
    script="hftbacktest_reference.py",
    rows_most=1 << 62,
)
FASTMM = Peer(
    name="FastMM",
    distribution="fastmm-engine",
    version="0.9.0",
    package="fastmm-engine[hot]==0.9.0",
    folder="fastmm",
    variable="FASTMM_PYTHON",
    script="fastmm_reference.py",
    rows_most=1_000_000,
)
NAUTILUS = Peer(
    name="NautilusTrader",
    distribution="nautilus_trader",
    version="1.221.0",
    package="nautilus_trader==1.221.0",
    folder="nautilus",
    variable="NAUTILUS_PYTHON",
    script="nautilus_reference.py",
    rows_most=100_000,
)
PEERS = (HFTBACKTEST, FASTMM, NAUTILUS)


def warn(text: str) -> None:
    """Say loudly that something is missing."""
    print(f"!!! {text}", file=sys.stderr, flush=True)


def find_python(peer: Peer, *, install: bool = False) -> str | None:
    """Return a Python that has the program, None if there is none.

    Args:
        peer: The program.
        install: Make its environment if it is missing.
    """
    given = os.environ.get(peer.variable)
    python = Path(given) if given else BUILD / peer.folder / "bin" / "python"
    code = f"import importlib.metadata as m; print(m.version({peer.distribution!r}))"
    try:
        if not python.exists() and not given and install:
            print(f"Installing {peer.package} into build/{peer.folder} ...", flush=True)
            venv.create(BUILD / peer.folder, with_pip=True)
            pip = [str(python), "-m", "pip", "install", "--quiet", peer.package]
            subprocess.run(pip, check=True, timeout=INSTALL_TIMEOUT_S)
        done = subprocess.run(
            [python, "-c", code], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        reason = str(error) if given or python.exists() else "not installed"
        warn(f"NO {peer.name}: {reason}. To install: {peer.install}")
        return None
    found = done.stdout.strip()
    if found != peer.version:
        warn(f"{peer.name} is {found}, figures were stated with {peer.version}")
    return str(python)


def run_peer(
    peer: Peer,
    feed: Path,
    core: int,
    repeats: int,
    rows: int,
    rules: Mapping[str, float],
    *,
    install: bool = False,
) -> dict[str, Any]:
    """Return what its script prints about a feed, or {"absent": why, "install": command}."""
    absent = {"absent": "not installed", "install": peer.install}
    python = find_python(peer, install=install)
    if python is None:
        return absent
    command = [python, str(ROOT / "benches" / peer.script), "--feed", str(feed)]
    command += ["--core", str(core), "--repeats", str(repeats)]
    command += ["--rows", str(min(rows, peer.rows_most))]
    for name, value in rules.items():
        command += ["--" + name.replace("_", "-"), str(value)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=RUN_TIMEOUT_S
    )
    if done.returncode != 0:
        warn(f"NO {peer.name}: it failed:\n{done.stderr[-2_000:]}")
        return absent | {"absent": "it failed"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def speed_of(peer: Mapping[str, Any]) -> float:
    """Return how fast this machine is beside the one that bars are stated for, by hftbacktest."""
    runs = peer.get("rows", {}).get("replay", {}).get("ns")
    return PEER_AT_BAR_NS / statistics.median(runs) if runs else 1.0


def main() -> int:
    """Install what is missing."""
    found = [find_python(peer, install=True) for peer in PEERS]
    return 0 if all(found) else 1


if __name__ == "__main__":
    sys.exit(main())
