"""Rules of the house that no tool keeps: see docs/architecture.md for the reasons."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("sweep", "strategies")

FILE_LINES_MAX = 600  # above this a file says why in its head ("Length: ...")
FILE_LINES_HARD_MAX = 1_000
FUNCTION_LINES_MAX = 70

# Which rooms of the packages may name which outside library. Everything not listed here is either
# the standard library or an error, so that a new dependency is a decision.
ROOMS: dict[str, tuple[str, ...]] = {
    "matplotlib": ("sweep/plots.py",),
    "mlflow": ("sweep/tracking.py",),
    "llvmlite": ("strategies/kernel_compile.py",),
    "numba": ("strategies/kernel_compile.py",),
    "numpy": (
        "strategies/kernel_compile.py",
        "sweep/readers/",
        "sweep/export.py",
        "sweep/fitting.py",
        "sweep/market_figures.py",
        "sweep/queue_fit.py",
    ),
    "optuna": ("sweep/storage.py",),
    "polars": ("sweep/readers/", "sweep/export.py", "sweep/replays.py"),
    "pyarrow": ("sweep/readers/",),
    "ray": ("sweep/executors_ray.py",),
    "rich": ("sweep/progress.py",),
    "sqlalchemy": ("sweep/tracking_process.py",),  # comes with mlflow, whose store it is
    "yaml": ("sweep/studyfile.py",),
}

# Lower number = lower floor. A module imports from its own floor or below.
FLOORS = {"rustsim": 0, "strategies": 1, "sweep": 2, "experiments": 3, "benches": 4, "tests": 4}

# Libraries that cost start-up time: the command line answers `--help` without them.
HEAVY = (
    "ray",
    "mlflow",
    "optuna",
    "polars",
    "pyarrow",
    "numba",
    "llvmlite",
    "matplotlib",
    "pandas",
)

FORBIDDEN_NAMES = re.compile(r"^(utils?|common|misc|helpers?|manager)(\.|$)|_(utils?|manager)\.")
# Spelled in pieces so that this file does not find itself.
FORBIDDEN_TEXT = {
    "a path of one machine": re.compile("|".join(["/ho" + "me/", "/ro" + "ot/", "/wo" + "rk/"])),
    "a package index": re.compile(
        "|".join(["index" + r"-url\b", "find" + "-links", r"/sim" + "ple/?$"])
    ),
}


@cache
def tracked() -> tuple[Path, ...]:
    """Files of the repository: tracked ones, or without git all that look like sources."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if done.returncode == 0:
        names = [name for name in done.stdout.decode().split("\0") if name]
        return tuple(sorted(ROOT / name for name in names if (ROOT / name).is_file()))
    skipped = {".venv", "build", "dist", "target", "runs"}
    return tuple(
        sorted(
            path
            for path in ROOT.rglob("*")
            if path.is_file() and not skipped & set(path.relative_to(ROOT).parts)
        )
    )


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def sources(suffix: str, *folders: str) -> list[Path]:
    return [
        path
        for path in tracked()
        if path.suffix == suffix and name_of(path).split("/")[0] in folders
    ]


PYTHON_FILES = sources(".py", *PACKAGES)
ALL_PYTHON_FILES = sources(".py", *PACKAGES, "tests", "benches")
RUST_FILES = sources(".rs", "rustsim")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions and for types as well."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# --- shape ---------------------------------------------------------------------------------------


def test_there_is_something_to_check() -> None:
    assert len(PYTHON_FILES) > 10
    assert len(RUST_FILES) > 5


@pytest.mark.parametrize("path", ALL_PYTHON_FILES, ids=name_of)
def test_imports_point_down(path: Path) -> None:
    floor = FLOORS[name_of(path).split("/")[0]]
    for module in imports(path):
        top = module.split(".")[0]
        if top in FLOORS and floor < 4:
            assert FLOORS[top] <= floor, f"{name_of(path)} imports {module}, which lies above it"


def test_no_import_cycles() -> None:
    modules = {module_of(path): path for path in PYTHON_FILES}
    edges = {
        module: sorted({found for found in imports(path) if found in modules and found != module})
        for module, path in modules.items()
    }
    finished: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail[trail.index(module) :], module))
        if module in finished:
            return
        for next_module in edges[module]:
            visit(next_module, (*trail, module))
        finished.add(module)

    for module in edges:
        visit(module, ())


@pytest.mark.parametrize("path", PYTHON_FILES, ids=name_of)
def test_outside_libraries_stay_in_their_rooms(path: Path) -> None:
    for module in imports(path):
        top = module.split(".")[0]
        if top in sys.stdlib_module_names or top in FLOORS:
            continue
        assert top in ROOMS, f"{name_of(path)} imports {top}, which has no room"
        rooms = ROOMS[top]
        assert name_of(path).startswith(rooms), f"{name_of(path)} imports {top}: only {rooms} may"


def test_every_room_is_lived_in() -> None:
    """A library that nobody imports any more leaves the table and pyproject.toml."""
    for library, rooms in ROOMS.items():
        for room in rooms:
            tenants = [path for path in PYTHON_FILES if name_of(path).startswith(room)]
            named = {module.split(".")[0] for path in tenants for module in imports(path)}
            assert library in named, f"nobody imports {library} in {room}"


def test_declared_dependencies_are_the_imported_ones() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[\[<>=!~ ]", entry)[0].lower() for entry in project["dependencies"]}
    distributions = packages_distributions()
    imported = {distributions[top][0].lower() for top in ROOMS if top != "mlflow"} | {"mlflow"}
    assert declared == imported


def test_tests_and_benches_import_declared_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    entries = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    declared = {re.split(r"[\[<>=!~ ]", entry)[0].lower() for entry in entries}
    distributions = packages_distributions()
    for path in sources(".py", "tests", "benches"):
        if path.name.startswith(("hftbacktest_", "fastmm_", "nautilus_")):
            continue  # runs in an environment of its own
        for top in {module.split(".")[0] for module in imports(path)}:
            if top not in sys.stdlib_module_names and top not in FLOORS:
                names = {name.lower() for name in distributions.get(top, [top])}
                assert names & declared, f"{name_of(path)} imports {top}, declared nowhere"


def test_crate_folder_is_no_python_package() -> None:
    """With an `__init__.py` the folder would shadow the compiled module in this directory."""
    assert not (ROOT / "rustsim" / "__init__.py").exists()


@pytest.mark.parametrize("path", RUST_FILES, ids=name_of)
def test_binding_library_stays_in_its_room(path: Path) -> None:
    name = name_of(path)
    if not name.startswith("rustsim/src/python/"):
        assert not re.search(r"\bpyo3\b", path.read_text()), f"{name} names the binding"


@pytest.mark.parametrize("path", RUST_FILES, ids=name_of)
def test_unsafe_code_states_its_obligation(path: Path) -> None:
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        if re.search(r"\bunsafe\s*(\{|impl|fn)", line.split("//")[0]):
            above = "\n".join(lines[max(0, number - 6) : number + 1])
            assert "SAFETY:" in above, f"{name_of(path)}:{number + 1}: unsafe without SAFETY"


# --- size ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ALL_PYTHON_FILES + RUST_FILES, ids=name_of)
def test_files_are_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= FILE_LINES_HARD_MAX, f"{name_of(path)}: {len(lines)} lines, split it"
    if len(lines) > FILE_LINES_MAX:
        head = "\n".join(lines[:40])
        assert "Length:" in head, f"{name_of(path)}: {len(lines)} lines and no reason in its head"


@pytest.mark.parametrize("path", ALL_PYTHON_FILES, ids=name_of)
def test_functions_fit_on_a_screen(path: Path) -> None:
    # Rust functions are measured by clippy, see rustsim/clippy.toml.
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node) is not None:
                document = node.body[0]
                assert document.end_lineno is not None
                lines -= document.end_lineno - document.lineno + 1
            where = f"{name_of(path)}:{node.lineno}: {node.name}"
            assert lines <= FUNCTION_LINES_MAX, f"{where} has {lines} lines"


def test_clippy_measures_functions_as_we_do() -> None:
    settings = tomllib.loads((ROOT / "rustsim" / "clippy.toml").read_text())
    assert settings["too-many-lines-threshold"] == FUNCTION_LINES_MAX


# --- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ALL_PYTHON_FILES, ids=name_of)
def test_python_modules_say_what_they_are_for(path: Path) -> None:
    first = (ast.get_docstring(tree(path)) or "").split("\n")[0]
    if path.name == "__init__.py" and not path.read_text().strip():
        return
    assert len(first) > 15, f"{name_of(path)} does not open with its purpose"
    assert first.endswith((".", ":")), f"{name_of(path)}: the purpose is a sentence"


@pytest.mark.parametrize("path", RUST_FILES, ids=name_of)
def test_rust_modules_say_what_they_are_for(path: Path) -> None:
    assert path.read_text().startswith("//! "), f"{name_of(path)} does not open with its purpose"


def test_names_say_the_idea() -> None:
    for path in tracked():
        for part in path.relative_to(ROOT).parts:
            assert not FORBIDDEN_NAMES.search(part.lower()), f"{name_of(path)}: name the idea"


@pytest.mark.parametrize("what", FORBIDDEN_TEXT)
def test_nothing_ties_the_repository_to_one_machine(what: str) -> None:
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or a data file
        for number, line in enumerate(text.splitlines(), 1):
            found = FORBIDDEN_TEXT[what].search(line)
            assert not found, f"{name_of(path)}:{number} holds {what}: {line.strip()[:80]}"


# --- files that must agree -----------------------------------------------------------------------


def test_constraints_pin_every_declared_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    entries = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pinned = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line), f"not an exact pin: {line}"
            name, version = line.split("==")
            assert name not in pinned, f"{name} is pinned twice"
            pinned[name] = version
    for entry in entries:
        name = re.split(r"[\[<>=!~ ]", entry)[0].lower()
        assert name in pinned, f"{name} is declared in pyproject.toml, but constraints.txt lacks it"


def test_cargo_lock_names_the_canonical_registry_only() -> None:
    lock = tomllib.loads((ROOT / "rustsim" / "Cargo.lock").read_text())
    canonical = "registry+https://github.com/rust-lang/crates.io-index"
    for package in lock["package"]:
        assert package.get("source", canonical) == canonical, package["name"]


def table_of_models(kind: str) -> list[tuple[str, Path]]:
    """Rows `"name" => module::Type` of the table in a model room."""
    folder = ROOT / "rustsim" / "src" / kind
    rows = re.findall(r'^\s+"(\w+)" => (\w+)::\w+', (folder / "mod.rs").read_text(), re.MULTILINE)
    return [(name, folder / f"{module}.rs") for name, module in rows]


@pytest.mark.parametrize("kind", ["latency", "queue"])
def test_every_model_is_documented(kind: str) -> None:
    models = table_of_models(kind)
    assert models, f"no model found in rustsim/src/{kind}/mod.rs"
    page = (ROOT / "docs" / "models.md").read_text()
    for name, path in models:
        assert f"`{name}`" in page, f"docs/models.md does not describe the {kind} model {name}"
        documents = "\n".join(re.findall(r"^//[/!] ?(.*)$", path.read_text(), re.MULTILINE))
        assert "orked number" in documents, f"{name_of(path)} gives no worked number"


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.y*ml")), ids=name_of)
def test_every_experiment_is_a_valid_study(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sweep.studyfile import load_study

    # Recordings are named by variables. The study asks for a file; the reader looks into it later.
    for variable in re.findall(r"\$\{?([A-Z][A-Z0-9_]*)", path.read_text()):
        monkeypatch.setenv(variable, str(ROOT / "README.md"))
    study = load_study(path)
    assert study.space, f"{path.name} searches nothing"


def test_command_line_starts_without_heavy_libraries() -> None:
    code = f"import sys, sweep.cli; print([n for n in {HEAVY!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
