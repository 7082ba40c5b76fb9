"""The documents name only what exists: links, make targets, commands, exit codes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.errors import EXIT_CODES
from sweep.studyfile import load_study

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


def rooms_of_the_architecture() -> set[str]:
    """Paths named in the first column of its tables; a row's later names leave out the base."""
    rooms = set()
    for row in (ROOT / "docs" / "architecture.md").read_text().splitlines():
        names = re.findall(r"`([^`]+)`", row.split("|")[1]) if row.startswith("| `") else []
        for name in names:
            base = (
                "rustsim/src/" if names[0].startswith("rustsim") else names[0].split("/")[0] + "/"
            )
            rooms.add(name if name.startswith(base) else base + name)
    return rooms


def test_every_room_of_the_architecture_exists() -> None:
    rooms = rooms_of_the_architecture()
    assert len(rooms) > 40
    for name in rooms:
        assert (ROOT / name).exists(), f"docs/architecture.md names {name}"


def test_every_module_is_in_the_architecture() -> None:
    rooms = tuple(rooms_of_the_architecture())
    plain = {"__init__.py", "__main__.py", "lib.rs"}
    for folder, suffix in (("sweep", "py"), ("strategies", "py"), ("rustsim/src", "rs")):
        for path in (ROOT / folder).rglob(f"*.{suffix}"):
            name = name_of(path)
            assert path.name in plain or name.startswith(rooms), f"{name} is in no room"


def test_exit_codes_of_the_readme_are_the_ones_in_use() -> None:
    rows = re.findall(r"^\| (\d+) \| ", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert [int(row) for row in rows] == list(EXIT_CODES)


def test_study_of_the_readme_is_valid(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    page = tmp_path / "study.yaml"
    page.write_text(text)
    assert len(load_study(page).space) == 3


def test_exchange_of_the_readme_answers(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (code,) = (block for block in blocks if "import rustsim" in block)
    exec(compile(code + "print(order, events)", "README.md", "exec"), {})
    assert capsys.readouterr().out == "1 []\n"
