"""The documents name only what exists: links, make targets, commands, exit codes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.errors import EXIT_CODES

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{name_of(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE):
        assert name in targets, f"{name_of(page)} names make {name}"


def test_every_make_target_is_listed_by_help() -> None:
    text = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)$", text, re.MULTILINE)
    for name in phony.replace("\\\n", " ").split():
        assert re.search(rf"^{name}:.*## \S", text, re.MULTILINE), f"make {name} has no help"


def test_commands_exist() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sweep", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for page in PAGES:
        for verb in re.findall(r"(?:python -m )sweep ([a-z]+)", page.read_text()):
            assert re.search(rf"\b{verb}\b", done.stdout), f"{name_of(page)}: sweep {verb}"


def test_exit_codes_of_the_readme_are_the_ones_in_use() -> None:
    rows = re.findall(r"^\| (\d+) \| ", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert [int(row) for row in rows] == list(EXIT_CODES)
