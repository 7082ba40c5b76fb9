"""The part of Python that kernels are written in, checked before a compiler sees it.

A kernel is compiled for plain 64-bit numbers, so its language is small. Checking it here gives one
sentence with file and line instead of a compiler's many, and leaves out what would mean one thing
interpreted and another compiled.

Known limits: in compiled code integers have 64 bits and wrap around without a word, are rounded to
53 bits where they meet a float, and `math.sqrt` or `math.log` of what has none is nan.
"""

import ast
import builtins
import dis
import inspect
import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Final, NoReturn

from strategies.base import StrategyError

ALLOWED: Final = (
    "A kernel may use numbers, its five records, if, while, for over range, local names, raise and"
    " assert; abs, min, max, round, int, float, bool, len, math; the functions of"
    " strategies.kernel, and functions of its own that keep to this"
)

_STATEMENTS: Final = (
    ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Return, ast.If, ast.While, ast.For,
    ast.Break, ast.Continue, ast.Pass, ast.Raise, ast.Assert,
)  # fmt: skip
_EXPRESSIONS: Final = (
    ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call, ast.Attribute, ast.Name,
    ast.Subscript, ast.Constant, ast.Tuple,
)  # fmt: skip
_BUILTINS: Final = frozenset({"abs", "min", "max", "round", "int", "float", "bool", "len", "range"})
_MATH: Final = frozenset(
    {"ceil", "copysign", "cos", "exp", "fabs", "floor", "isfinite", "isinf", "isnan", "log"}
    | {"log10", "log1p", "expm1", "sin", "sqrt", "tan", "tanh", "trunc", "atan", "atan2", "hypot"}
    | {"pi", "e", "inf", "nan", "tau"}
)
_WORDS: Final = {
    ast.With: "with",
    ast.Try: "try",
    ast.Match: "match",
    ast.FunctionDef: "a function inside of a function",
    ast.ClassDef: "a class",
    ast.Import: "import",
    ast.ImportFrom: "import",
    ast.Delete: "del",
    ast.Global: "global",
    ast.Nonlocal: "nonlocal",
    ast.Lambda: "lambda",
    ast.List: "a list",
    ast.Dict: "a dict",
    ast.Set: "a set",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.Yield: "yield",
    ast.YieldFrom: "yield",
    ast.JoinedStr: "a string",
    ast.NamedExpr: ":=",
    ast.Slice: "a slice",
    ast.Starred: "*",
}
_INT_MAX: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A function that goes into a kernel.

    Attributes:
        function: As the author wrote it.
        names: What its global names mean: numbers, functions, modules, builtins.
        calls: The functions among them.
    """

    function: FunctionType
    names: Mapping[str, Any]

    @property
    def calls(self) -> list[FunctionType]:
        """The functions among its names."""
        return [value for value in self.names.values() if isinstance(value, FunctionType)]


def parts_of(function: FunctionType) -> tuple[Part, ...]:
    """Return a function and all that it calls, callees first.

    Raises:
        StrategyError: A function calls itself, or belongs to another function.
    """
    done: dict[FunctionType, Part] = {}

    def visit(function: FunctionType, trail: tuple[FunctionType, ...]) -> None:
        if function in trail:
            raise StrategyError(f"{place_of(function)} calls itself, which a kernel must not")
        if function in done:
            return
        if function.__closure__:
            outer = ", ".join(function.__code__.co_freevars)
            raise StrategyError(
                f"{place_of(function)} reads {outer} of the function around it: hand it over"
            )
        scope = function.__globals__
        steps = dis.get_instructions(function)
        read = [step.argval for step in steps if step.opname == "LOAD_GLOBAL"]
        used = {name: scope[name] for name in read if name in scope}
        part = Part(function=function, names=used)
        for called in part.calls:
            visit(called, (*trail, function))
        done[function] = part

    visit(function, ())
    return tuple(done.values())


def place_of(function: FunctionType) -> str:
    """Return file, line and name of a function."""
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno}: {function.__name__}"


def check_part(part: Part) -> None:
    """Refuse a function that is written in more than a kernel's language.

    Raises:
        StrategyError: Names file, line, what is not allowed there, and what is.
    """
    try:
        lines, first = inspect.getsourcelines(part.function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError) as error:
        raise StrategyError(f"{place_of(part.function)}: its source cannot be read") from error
    ast.increment_lineno(tree, first - 1)
    (top,) = tree.body
    checker = _Checker(part)
    if not isinstance(top, ast.FunctionDef):
        checker.refuse(top, "must be written with def")
    checker.check_arguments(top)
    for statement in top.body:
        checker.visit(statement)


class _Checker(ast.NodeVisitor):
    def __init__(self, part: Part) -> None:
        self._part = part
        self._file = part.function.__code__.co_filename
        self._locals = frozenset(part.function.__code__.co_varnames)

    def refuse(self, node: ast.AST, what: str) -> NoReturn:
        line = getattr(node, "lineno", self._part.function.__code__.co_firstlineno)
        name = self._part.function.__name__
        raise StrategyError(f"{self._file}:{line}: {name} {what}. {ALLOWED}")

    def check_arguments(self, top: ast.FunctionDef) -> None:
        arguments = top.args
        if arguments.kwonlyargs or arguments.vararg or arguments.kwarg:
            self.refuse(top, "has keyword-only or collecting arguments, which a kernel cannot have")
        for value in self._part.function.__defaults__ or ():
            if not isinstance(value, int | float):
                self.refuse(top, f"has the default {value!r}, which is no number")

    def generic_visit(self, node: ast.AST) -> None:
        kind = type(node)
        if isinstance(node, ast.stmt | ast.expr) and kind not in _STATEMENTS + _EXPRESSIONS:
            self.refuse(node, f"uses {_WORDS.get(kind, kind.__name__)}, which a kernel cannot")
        super().generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return  # the docstring
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if not isinstance(value, int | float):
            self.refuse(node, f"uses {value!r}, which is no number")
        if isinstance(value, int) and abs(value) > _INT_MAX:
            self.refuse(node, f"uses {value}, which has more than 64 bits")

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        words = node.exc.args if isinstance(node.exc, ast.Call) else []
        is_plain = isinstance(raised, ast.Name) and node.cause is None
        if not is_plain or not all(isinstance(word, ast.Constant) for word in words):
            self.refuse(node, "raises more than an exception with constant words")

    def visit_Assert(self, node: ast.Assert) -> None:
        self.visit(node.test)
        if node.msg is not None and not isinstance(node.msg, ast.Constant):
            self.refuse(node, "asserts with more than constant words")

    def visit_For(self, node: ast.For) -> None:
        over = node.iter
        is_range = (
            isinstance(over, ast.Call)
            and isinstance(over.func, ast.Name)
            and over.func.id == "range"
        )
        if not is_range or node.orelse:
            self.refuse(node, "uses a for that is not over range, or one with else")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for operator, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(operator, ast.Is | ast.IsNot):
                self.refuse(node, "uses is: numbers are compared with ==")
            if isinstance(operator, ast.In | ast.NotIn) and not isinstance(right, ast.Tuple):
                self.refuse(node, "uses in with other than a tuple")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit_BinOp(node)

    def visit_BinOp(self, node: ast.BinOp | ast.AugAssign) -> None:
        if isinstance(node.op, ast.Pow | ast.MatMult):
            self.refuse(node, "uses **: write the product, math.sqrt or math.exp")
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.value.id not in self._locals:
            name = node.value.id
            if self._part.names.get(name) is not math:
                self.refuse(node, f"reads {name}.{node.attr}: of modules only math is allowed")
            if node.attr not in _MATH:
                self.refuse(node, f"uses math.{node.attr}, which kernels do not have")
            return
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        name = node.id
        if name in self._locals or name in _BUILTINS:
            return
        if name not in self._part.names:
            if hasattr(builtins, name):
                self.refuse(node, f"uses {name}, which a kernel cannot")
            self.refuse(node, f"uses {name}, which is defined nowhere")
        value = self._part.names[name]
        if not isinstance(value, int | float | FunctionType):
            what = f"uses {name}, which is neither a number nor a function ({type(value).__name__})"
            self.refuse(node, what)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name):
            called = self._part.names.get(node.func.id)
            if isinstance(called, FunctionType) and node.func.id not in self._locals:
                self._check_call(node, called)
        elif not isinstance(node.func, ast.Attribute):
            self.refuse(node, "calls what is not a function by its name")
        self.generic_visit(node)

    def _check_call(self, node: ast.Call, called: FunctionType) -> None:
        given = {keyword.arg: None for keyword in node.keywords if keyword.arg is not None}
        if len(given) != len(node.keywords):
            self.refuse(node, f"calls {called.__name__} with **")
        try:
            inspect.signature(called).bind(*node.args, **given)
        except TypeError as error:
            self.refuse(node, f"calls {called.__name__}: {error}")
