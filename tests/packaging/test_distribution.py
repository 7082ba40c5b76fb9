"""What users install: the wheel works elsewhere, and the sdist builds that wheel."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD_TIMEOUT_S = 900


def run(
    *command: str | Path,
    cwd: Path,
    timeout_s: float = 120,
    environment: dict[str, str] | None = None,
) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def maturin(*arguments: str | Path, cwd: Path) -> str:
    module = importlib.util.find_spec("maturin")
    assert module is not None, "maturin is not installed; run make setup"
    assert module.origin is not None
    program = Path(module.origin).parents[4] / "bin" / "maturin"
    environment = dict(os.environ)
    # Not the development build's folder: cargo would take its result for ours.
    environment["CARGO_TARGET_DIR"] = str(ROOT / "build" / "packaging")
    return run(program, *arguments, cwd=cwd, timeout_s=BUILD_TIMEOUT_S, environment=environment)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    maturin("sdist", "--out", folder, cwd=ROOT)
    (found,) = folder.glob("*.tar.gz")
    return found


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that the sdist builds, from nothing but what is in it."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    # Files of an sdist are older than any build; new ones make cargo compile the crate again.
    for path in source.rglob("*.rs"):
        path.touch()
    out = folder / "out"
    maturin("build", "--release", "--interpreter", sys.executable, "--out", out, cwd=source)
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment that holds our wheel, with this one's other packages."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    (packages,) = (folder / "venv" / "lib").glob("python3.*/site-packages")
    others = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "others.pth").write_text("\n".join(others) + "\n")
    return python


@pytest.mark.timeout(BUILD_TIMEOUT_S)
def test_sdist_holds_sources_only(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = [name.split("/", 1)[1] for name in archive.getnames() if "/" in name]
    for wanted in ("pyproject.toml", "rustsim.pyi", "rustsim/Cargo.lock", "rustsim/src/lib.rs"):
        assert wanted in names
    for name in names:
        assert not name.endswith((".so", ".pyc", ".parquet", ".tape", ".db")), name
        assert not name.startswith(("runs/", "tests/", "build/")), name
        assert "/target/" not in f"/{name}", name


@pytest.mark.timeout(BUILD_TIMEOUT_S)
def test_wheel_holds_the_packages_and_the_typed_face(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {
        "rustsim/__init__.pyi",
        "rustsim/py.typed",
        "sweep/cli.py",
        "strategies/maker.py",
    } <= names
    for package in ("sweep", "strategies"):
        here = {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / package).rglob("*.py")
            if "__pycache__" not in path.parts
        }
        assert here <= names, f"the wheel lacks {sorted(here - names)}"


@pytest.mark.timeout(BUILD_TIMEOUT_S)
def test_wheel_works_from_another_directory(installed: Path, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    text = run(installed, "-m", "sweep", "--help", cwd=tmp_path, environment=environment)
    assert "launch" in text
    names = "rustsim, strategies, sweep"
    code = f"import {names}\nfor module in ({names}): print(module.__file__)"
    files = run(installed, "-c", code, cwd=tmp_path, environment=environment).split()
    home = str(installed.parent.parent)
    assert all(file.startswith(home) for file in files), files


@pytest.mark.timeout(BUILD_TIMEOUT_S)
def test_installed_wheel_runs_a_study(installed: Path, tmp_path: Path) -> None:
    study = tmp_path / "quickstart.yaml"
    shutil.copy(ROOT / "experiments" / "quickstart.yaml", study)
    command = (installed, "-m", "sweep", "plan", study, "--runs-dir", tmp_path / "runs", "--json")
    text = run(*command, cwd=tmp_path, timeout_s=300)
    assert text.lstrip().startswith("{")


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_wheel_installs_with_its_dependencies(wheel: Path, tmp_path: Path) -> None:
    """As a user would: from the registry, with the exact versions of constraints.txt."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    constraints = ROOT / "constraints.txt"
    pip = (python, "-m", "pip", "install", "--quiet", "--constraint", constraints, wheel)
    run(*pip, cwd=tmp_path, timeout_s=1_500)
    assert "launch" in run(tmp_path / "venv" / "bin" / "sweep", "--help", cwd=tmp_path)
