"""Where compiled kernels are kept, when they are compiled anew, and what is not compiled at all."""

import importlib.util
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import ModuleType

import pytest

from strategies import kernel_compile
from strategies.base import StrategyError
from strategies.fakes import ScriptedGateway
from strategies.kernel_compile import load_kernel
from strategies.maker import MakerStrategy

ROOT = Path(__file__).resolve().parents[2]
HEAD = """\
import math
from dataclasses import dataclass

from strategies.base import StrategyParams
from strategies.kernel import *

WORDS = ("a", "b")
LIMIT_LOTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Params(StrategyParams):
    lots: int = 0


@dataclass(slots=True)
class State:
    value: int = 0
    mean: float = 0.0
    ids: list[int] = vector(3)


def doubled(value: int) -> int:
    return 2 * value


def listed(value):
    found = [value]
    return found


def again(value):
    return again(value - 1)


class Kernel(KernelStrategy):
    Params = Params
    State = State

    @staticmethod
    def decide(market, event, params, state, out):
"""


def module_of(folder: Path, body: str) -> ModuleType:
    """Write and import a module whose class `Kernel` decides by `body`."""
    path = folder / "made_kernel.py"
    path.write_text(HEAD + textwrap.indent(textwrap.dedent(body).strip("\n"), " " * 8) + "\n")
    return import_file(path)


def import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[path.stem]
    return module


# --- the cache -----------------------------------------------------------------------------------

# Any attempt to import the compiler ends this process.
WITHOUT_COMPILER = """\
import sys, time
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "numba":
            raise SystemExit("the compiler was imported")
sys.path.insert(0, {root!r})
from pathlib import Path
from strategies.kernel_compile import is_available, load_kernel
from strategies.maker import MakerParams, MakerStrategy
assert is_available()
import strategies.kernel_compile as room
room.is_available = lambda: True
sys.meta_path.insert(0, Refuse())
from strategies.fakes import ScriptedGateway
started = time.perf_counter()
code = load_kernel(MakerStrategy, Path({cache!r}))
code.bind(MakerStrategy(ScriptedGateway(), MakerParams(half_spread_ticks=1.0)))
print(code.is_fresh, time.perf_counter() - started)
"""


def test_another_process_loads_without_the_compiler(tmp_path: Path) -> None:
    cache = tmp_path / "kernels"
    assert load_kernel(MakerStrategy, cache).is_fresh
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code = WITHOUT_COMPILER.format(root=str(ROOT), cache=str(cache))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "77"},
    )
    fresh, seconds = done.stdout.split()
    assert fresh == "False"
    assert float(seconds) < 3.0  # far below what compiling takes on a machine as busy as this


def test_compiled_once_then_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_kernel(MakerStrategy, tmp_path).is_fresh
    monkeypatch.setattr(kernel_compile, "_compile", lambda *_: pytest.fail("compiled again"))
    assert not load_kernel(MakerStrategy, tmp_path).is_fresh
    (kept,) = tmp_path.iterdir()
    assert kept.name.startswith("MakerStrategy-")


def test_edits_compile_anew_and_moves_do_not(tmp_path: Path) -> None:
    cache = tmp_path / "kernels"

    def is_fresh(body: str, *, edit: tuple[str, str] = ("", ""), name: str = "made") -> bool:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        path = folder / "made_kernel.py"
        module_of(folder, body)
        if edit[0]:
            path.write_text(path.read_text().replace(*edit))
        return load_kernel(import_file(path).Kernel, cache).is_fresh

    body = "state.value = doubled(event.kind) + LIMIT_LOTS"
    assert is_fresh(body)
    assert not is_fresh(body), "the same source, written later"
    assert not is_fresh(body, name="moved"), "the same source in another folder"
    assert not is_fresh(f"# a comment\n{body}")
    assert is_fresh("state.value = doubled(event.kind) - LIMIT_LOTS"), "the function"
    assert is_fresh(body, edit=("2 * value", "3 * value")), "a function that it calls"
    assert is_fresh(body, edit=("LIMIT_LOTS = 3", "LIMIT_LOTS = 4")), "a number that it reads"
    assert is_fresh(body, edit=("mean: float", "mean: int")), "a field of the state"
    assert is_fresh(body, edit=("vector(3)", "vector(4)")), "the length of a vector"
    assert not is_fresh(body, edit=('("a", "b")', '("c",)')), "what it does not read"


def test_damaged_file_is_compiled_anew(tmp_path: Path) -> None:
    load_kernel(MakerStrategy, tmp_path)
    (kept,) = tmp_path.iterdir()
    data = bytearray(kept.read_bytes())
    for damaged in (data[:-1], data[:20], bytearray(), data[:200] + b"\xff" + data[201:]):
        kept.write_bytes(damaged)
        assert load_kernel(MakerStrategy, tmp_path).is_fresh
        assert kept.read_bytes() == data, "the same source gives the same code"


def test_without_the_compiler_strategies_still_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_compile, "is_available", lambda: False)
    with pytest.raises(StrategyError, match="numba is not installed; install it, or take the mode"):
        load_kernel(MakerStrategy, tmp_path)
    code = (
        "import sys; sys.modules['numba'] = sys.modules['llvmlite'] = sys.modules['numpy'] = None\n"
        "from strategies.fakes import ScriptedGateway\n"
        "from strategies.maker import MakerParams, MakerStrategy\n"
        "gateway = ScriptedGateway()\n"
        "maker = MakerStrategy(gateway, MakerParams(half_spread_ticks=0.5))\n"
        "maker.on_start(); maker.on_tick(gateway.set_best(100, 101)); print(len(gateway.orders))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "2\n"


# --- what does not compile -----------------------------------------------------------------------

# Body of `decide`; line of the complaint, counted from its first line; words.
REFUSED: dict[str, tuple[str, int, str]] = {
    "field that is not there": (
        "x = 1\nif market.best_bidd_ticks > x:\n    state.value = 1",
        1,
        "uses the field 'best_bidd_ticks'",
    ),
    "field of the state": ("state.valu = 3", 0, "uses the field 'valu'"),
    "name that is not there": (
        "state.value = nothing",
        0,
        "uses nothing, which is defined nowhere",
    ),
    "string": ("state.value = 1\nname = 'x'", 1, "uses 'x', which is no number"),
    "f-string": ("x = f'{state.value}'", 0, "uses a string"),
    "none": ("state.value = None", 0, "uses None, which is no number"),
    "list": ("x = [1, 2]", 0, "uses a list"),
    "dict": ("x = {1: 2}", 0, "uses a dict"),
    "comprehension": ("x = sum(i for i in range(3))", 0, "uses sum, which a kernel cannot"),
    "try": ("try:\n    x = 1\nexcept ValueError:\n    x = 2", 0, "uses try"),
    "with": ("with open('x') as stream:\n    pass", 0, "uses with"),
    "print": ("print(1)", 0, "uses print, which a kernel cannot"),
    "lambda": ("x = lambda y: y", 0, "uses lambda"),
    "yield": ("yield 1", 0, "uses yield"),
    "inner function": ("def inner():\n    return 1", 0, "uses a function inside of a function"),
    "for over a vector": ("for x in state.ids:\n    pass", 0, "a for that is not over range"),
    "slice": ("state.ids[0:2] = 3", 0, "uses a slice"),
    "power": ("state.mean = state.mean ** 2", 0, "uses **"),
    "power in place": ("state.mean **= 2", 0, "uses **"),
    "is": ("x = state.value is market.now_ns", 0, "numbers are compared with =="),
    "module level tuple": ("x = WORDS", 0, "uses WORDS, which is neither a number nor a function"),
    "class": ("x = Market()", 0, "uses Market, which is neither a number nor a function"),
    "another module": ("import os", 0, "uses import"),
    "missing in math": ("state.mean = math.gamma(3.0)", 0, "uses math.gamma"),
    "too few arguments": ("x = 1\nplace(out, BUY)", 1, "missing a required argument"),
    "unknown argument": ("place(out, BUY, prize=1)", 0, "place:"),
    "too large a number": (
        "state.value = 1 << 3\nx = 18446744073709551616",
        1,
        "more than 64 bits",
    ),
    "raise with values": ("raise ValueError(market.now_ns)", 0, "more than an exception"),
    "float into int": ("x = 0.5\nstate.value = x + 1", 1, "puts a float into an integer field"),
    "float into a command": (
        "x = 0.5 * market.best_bid_ticks\nplace(out, BUY, x, 1)",
        1,
        "puts a float into a command",
    ),
    "writes into market": ("market.now_ns = 3", 0, "writes into market"),
    "writes into params": ("params.lots = 3", 0, "writes into params"),
    "float into a vector": ("state.ids[0] = 0.5", 0, "puts a float into an integer field"),
    "unpacking a number": ("a, b = state.value", 0, "failed to unpack int64"),
    "method of a number": ("x = state.value.bit_length()", 0, "bit_length"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_kernel_names_line_and_reason(name: str, tmp_path: Path) -> None:
    body, line, words = REFUSED[name]
    module = module_of(tmp_path, body)
    with pytest.raises(StrategyError) as caught:
        load_kernel(module.Kernel, tmp_path / "kernels")
    text = str(caught.value)
    assert words in text
    place = f"{tmp_path / 'made_kernel.py'}:{HEAD.count(chr(10)) + 1 + line}:"
    assert text.startswith(place), f"{text}\nexpected {place}"
    assert "\n" not in text
    assert len(text) < 800
    assert not (tmp_path / "kernels").exists() or not any((tmp_path / "kernels").iterdir())


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("state.value = listed(3)", "listed uses a list"),
        ("state.value = again(3)", "again calls itself"),
    ],
)
def test_refusals_reach_into_called_functions(body: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(StrategyError, match=words):
        load_kernel(module_of(tmp_path, body).Kernel, tmp_path / "kernels")


def test_language_is_enough_to_compute(tmp_path: Path) -> None:
    module = module_of(
        tmp_path,
        """
        total, count = 0, 0
        for i in range(2, 20, 3):
            if i in (5, 8) or not i % 7:
                continue
            total += i
            count += 1
        while count > 0:
            count -= 1
            if count == 2:
                break
        state.ids[-1] = max(total, 3, count) if total > 2 else -abs(count)
        state.mean = math.exp(1.0) + round(2.5) + float(total // 3) + math.pi + len(state.ids)
        state.value = int(state.mean) << 2 & 255 | 1
        assert total > 0, "never"
        """,
    )
    assert load_kernel(module.Kernel, tmp_path / "kernels").is_fresh


def test_kernel_of_the_page_trades(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "strategies.md").read_text()
    source = page.partition("```python\n")[2].partition("```")[0]
    path = tmp_path / "made_kernel.py"
    path.write_text(source)
    module = import_file(path)
    assert load_kernel(module.Joiner, tmp_path / "kernels").is_fresh
    gateway = ScriptedGateway()
    joiner = module.Joiner(gateway, module.JoinerParams(distance_ticks=1))
    joiner.on_start()
    for bid in (100, 99, 102):
        joiner.on_tick(gateway.set_best(bid, bid + 1))
    joiner.on_timer(gateway.now_ns)
    sent = [(command.verb, command.price_ticks) for command in gateway.commands]
    timer = 1_700_000_000_501_000_000
    assert sent == [("place", 99), ("timer", timer), ("amend", 101), ("cancel", None)]


def test_loading_is_quick(tmp_path: Path) -> None:
    """A worker is ready at once: bound with room for a busy machine, measured in CPU time."""
    load_kernel(MakerStrategy, tmp_path)
    before = time.process_time()
    load_kernel(MakerStrategy, tmp_path)
    assert time.process_time() - before < 0.3
