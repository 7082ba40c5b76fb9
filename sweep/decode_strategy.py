"""The strategy section: which class decides, and its parameters as the class declares them."""

import dataclasses
import importlib
import importlib.metadata
import re
from typing import Any, Final

from strategies.kernel import KernelStrategy
from sweep.declared import declared_rules, is_required
from sweep.document import Node, did_you_mean
from sweep.reading import Fields, Leaf
from sweep.schema import STRATEGY_MODES, WAKES, StrategySection

ENTRY_POINT_GROUP: Final = "sweep.strategies"
_REFERENCE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


def decode_strategy(fields: Fields) -> StrategySection:
    """Return the strategy section; every declared parameter is in it, defaults filled in."""
    problems = fields.reading.problems
    fields.allow("class")
    node = fields.node("class", required=True)
    declaration: type | None = None
    reference = ""
    if node is not None and not (isinstance(node.value, str) and _REFERENCE.fullmatch(node.value)):
        hint = "For example strategies.maker:MakerStrategy"
        message = f"Expected a class as module:Class, found {node.describe()}"
        problems.add(node, message, hint)
    elif node is not None:
        reference = str(node.value)
        declaration = _declaration(node, reference, fields)
    mode = fields.option("mode", STRATEGY_MODES, default="auto")
    if mode == "compiled" and declaration is not None:
        _check_compiled(fields, reference)
    wake = fields.option("wake", WAKES, default="best")
    params = fields.section("params")
    values: dict[str, Leaf] = {}
    if declaration is not None:
        values = _params(params, declaration)
        params.close()
    fields.close()
    return StrategySection(reference=reference, mode=mode, wake=wake, params=values)


def _check_compiled(fields: Fields, reference: str) -> None:
    from strategies.kernel_compile import is_available

    node = fields.node("mode") or fields.node_self
    if not issubclass(load_class(reference), KernelStrategy):
        message = f"{reference} decides in hooks, which only the interpreter can call"
        hint = "Derive it from strategies.kernel.KernelStrategy (docs/strategies.md), or take auto"
        fields.reading.problems.add(node, message, hint)
    elif not is_available():
        message = "Compiling strategies needs numba, which is not installed"
        fields.reading.problems.add(node, message, "Install numba, or take interpreted")


def load_class(reference: str) -> type[Any]:
    """Return the class behind an allowed reference; text of a study file is never evaluated.

    Raises:
        LookupError: The reference is not allowed, or names no strategy class.
    """
    module_name, _, class_name = reference.partition(":")
    if not (module_name.startswith("strategies.") or reference in _installed()):
        raise LookupError("only classes of the package strategies, or installed as an entry point")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise LookupError(f"there is no module {error.name!r}") from error
    except (Exception, SystemExit) as error:
        # Somebody's own code, at work on its first line: whatever it raises is theirs to mend.
        line = " ".join(str(error).split())
        message = f"importing {module_name} raises {type(error).__name__}: {line}"
        raise LookupError(message) from error
    found = getattr(module, class_name, None)
    words = [name for name, item in vars(module).items() if isinstance(item, type)]
    if class_name not in words:
        raise LookupError(f"no class {class_name!r} there. {did_you_mean(class_name, words)}")
    if not dataclasses.is_dataclass(getattr(found, "Params", None)):
        raise LookupError(f"{class_name} has no dataclass Params, it is not a strategy")
    assert isinstance(found, type), f"{reference} is not a class"
    return found


def _installed() -> list[str]:
    return [point.value for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)]


def _declaration(node: Node, reference: str, fields: Fields) -> type | None:
    problems = fields.reading.problems
    try:
        declaration = load_class(reference).Params
    except LookupError as error:
        hint = f"Put it in the package strategies, or install it in the group {ENTRY_POINT_GROUP}"
        problems.add(node, f"Cannot use the strategy {reference}: {error.args[0]}", hint)
        return None
    assert isinstance(declaration, type), f"Params of {reference} is not a class"
    return declaration


def _params(fields: Fields, declaration: type) -> dict[str, Leaf]:
    values: dict[str, Leaf] = {}
    for name, declared in declared_rules(declaration).items():
        if not is_required(declaration, name):
            fields.allow(name)
            node = fields.node(name)
            if node is None:
                if declared.default is not None:
                    values[name] = declared.default
                continue
        values[name] = fields.leaf(name, declared.rule)
    return values


def strategy_source_hash(reference: str) -> str:
    """Return the hash of the file that defines a strategy, empty if it has none.

    The result log of a study belongs to one version of its strategy.
    """
    import hashlib
    import inspect
    from pathlib import Path

    try:
        path = inspect.getsourcefile(load_class(reference))
    except (TypeError, LookupError):
        return ""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""
