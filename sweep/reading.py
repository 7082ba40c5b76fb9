"""Typed reading of document nodes: one rule per leaf, search spaces allowed where a leaf says so.

Every method notes what is wrong and returns a stand-in of the right type, so that one pass finds
all problems; the caller raises before any stand-in can be used.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from sweep.document import Node, Problems, did_you_mean
from sweep.errors import InputError
from sweep.space import ChoiceSpace, FloatSpace, IntSpace, Scalar, Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """A leaf whose value each trial chooses."""

    path: str
    space: Space


Leaf: TypeAlias = Scalar | Searched

SPACE_KEYS: Final = ("int", "float", "choice")
SPACE_HINT: Final = "A search space is {int: [low, high]}, {float: [low, high]} or {choice: [...]}"
NOT_BUILT: Final = "not built yet"
_KIND_WORDS: Final = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "text": "a text",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a leaf may be.

    Attributes:
        low: Least value allowed, None for no bound; `is_open` excludes it.
        high: Greatest value allowed, None for no bound.
        options: Texts allowed, None for any.
    """

    kind: Literal["int", "float", "bool", "text"]
    low: float | None = None
    high: float | None = None
    is_open: bool = False
    options: tuple[str, ...] | None = None
    unit: str = ""

    def expected(self) -> str:
        """Return the rule in words."""
        words = _KIND_WORDS[self.kind] + (f" ({self.unit})" if self.unit else "")
        if self.options is not None:
            return "one of " + ", ".join(self.options)
        if self.low is not None and self.high is not None:
            low = f"above {self.low:g} and up to" if self.is_open else f"from {self.low:g} to"
            return f"{words} {low} {self.high:g}"
        if self.low is not None:
            return f"{words} above {self.low:g}" if self.is_open else f"{words} >= {self.low:g}"
        return f"{words} <= {self.high:g}" if self.high is not None else words

    def accepts(self, value: Scalar) -> bool:
        """Tell whether a value of the right kind keeps the bounds."""
        if isinstance(value, str):
            return self.options is None or value in self.options
        if self.low is not None and (value < self.low or (self.is_open and value == self.low)):
            return False
        return self.high is None or value <= self.high

    def convert(self, value: object) -> Scalar | None:
        """Return `value` as this rule's kind, None if it is of another kind."""
        match self.kind, value:
            case "bool", bool():
                return value
            case _, bool():
                return None
            case "int", int():
                return value
            case "float", int() | float():
                return float(value)
            case "text", str():
                return value
            case _:
                return None

    def stand_in(self) -> Scalar:
        """Return any value of this kind, to go on with after a problem was noted."""
        stand_ins: dict[str, Scalar] = {"int": 0, "float": 0.0, "bool": False, "text": ""}
        return stand_ins[self.kind]


@dataclass(slots=True)
class Reading:
    """What one pass over a document gathers: problems and search spaces by key path."""

    problems: Problems = field(default_factory=Problems)
    spaces: dict[str, Space] = field(default_factory=dict)

    def scalar(self, node: Node, rule: Rule) -> Scalar:
        """Return a value that keeps the rule; note a problem if it does not."""
        value = rule.convert(node.value)
        if value is not None and rule.accepts(value):
            return value
        hint = ""
        if value is not None and rule.options is not None:
            hint = did_you_mean(str(value), rule.options)
        elif rule.kind in ("int", "float") and isinstance(node.value, str):
            hint = "Write the number alone, without quotes; the unit is in the key's name"
        elif isinstance(node.value, dict):
            hint = "A fixed value is needed here, not a mapping"
        self.problems.add(node, f"Expected {rule.expected()}, found {node.describe()}", hint)
        return rule.stand_in()

    def leaf(self, node: Node, rule: Rule) -> Leaf:
        """Return a fixed value or a search space; spaces are also kept under their key path."""
        if not isinstance(node.value, dict):
            return self.scalar(node, rule)
        space = self._space(node, node.value, rule)
        if space is None:
            return rule.stand_in()
        self.spaces[node.path] = space
        return Searched(path=node.path, space=space)

    def _space(self, node: Node, items: Mapping[str, Node], rule: Rule) -> Space | None:
        kinds = [key for key in items if key in SPACE_KEYS]
        if "scenario" in items:
            self.problems.add(items["scenario"], f"'scenario' is {NOT_BUILT}", SPACE_HINT)
            return None
        if len(kinds) != 1:
            message = f"Expected {rule.expected()} or a search space, found {node.describe()}"
            unknown = next(iter(items), "")
            hint = did_you_mean(unknown, SPACE_KEYS) if items and not kinds else SPACE_HINT
            self.problems.add(node, message, hint)
            return None
        kind = kinds[0]
        allowed = {"int": ("int", "step", "log"), "float": ("float", "log"), "choice": ("choice",)}
        for key, child in items.items():
            if key not in allowed[kind]:
                message = f"Unknown key {key!r} in the {kind} search space"
                self.problems.add(child, message, did_you_mean(key, allowed[kind]), at_key=True)
                return None
        if kind not in _space_kinds(rule):
            wanted = " or ".join(_space_kinds(rule))
            message = f"Expected {rule.expected()}: its search space is {wanted}, found {kind}"
            self.problems.add(items[kind], message, at_key=True)
            return None
        before = len(self.problems.found)
        try:
            space = self._space_build(kind, items, rule)
        except InputError as error:
            # Stand-ins of an earlier problem can make an impossible space: one message is enough.
            if len(self.problems.found) == before:
                self.problems.add(items[kind], str(error))
            return None
        return space if len(self.problems.found) == before else None

    def _space_build(self, kind: str, items: Mapping[str, Node], rule: Rule) -> Space:
        node = items[kind]
        if kind == "choice":
            if not isinstance(node.value, tuple):
                message = f"Expected a list of options, found {node.describe()}"
                raise InputError(message)
            return ChoiceSpace(options=tuple(self.scalar(item, rule) for item in node.value))
        if not isinstance(node.value, tuple) or len(node.value) != 2:
            message = f"Expected two bounds [low, high], found {node.describe()}"
            raise InputError(message)
        is_log = "log" in items and self.scalar(items["log"], Rule(kind="bool")) is True
        if kind == "float":
            bound = Rule(kind="float", low=rule.low, high=rule.high, is_open=rule.is_open)
            low, high = (self.scalar(item, bound) for item in node.value)
            return FloatSpace(low=float(low), high=float(high), log=is_log)
        bound = Rule(kind="int", low=rule.low, high=rule.high, is_open=rule.is_open)
        low, high = (self.scalar(item, bound) for item in node.value)
        step = self.scalar(items["step"], Rule(kind="int", low=1)) if "step" in items else 1
        return IntSpace(low=int(low), high=int(high), step=int(step), log=is_log)


def _space_kinds(rule: Rule) -> tuple[str, ...]:
    match rule.kind:
        case "int":
            return ("int", "choice")
        case "float":
            return ("float", "int", "choice")
        case _:
            return ("choice",)


class Fields:
    """The keys of one mapping, taken one by one; `close` complains of those nobody took.

    Args:
        node: The mapping; a node without a value counts as an empty mapping.
        reading: Where problems and spaces go.
        planned: Keys of the planned form that are refused by name.
    """

    def __init__(self, node: Node, reading: Reading, *, planned: Sequence[str] = ()) -> None:
        self.node_self = node
        self.reading = reading
        self._planned = planned
        self._known: dict[str, None] = {}  # in the order of the rules
        self._items: Mapping[str, Node] = {}
        if isinstance(node.value, dict):
            self._items = node.value
        elif node.value is not None:
            reading.problems.add(node, f"Expected a mapping, found {node.describe()}")

    def node(self, key: str, *, required: bool = False) -> Node | None:
        """Return the node under a key, None if the key is absent."""
        self._known[key] = None
        found = self._items.get(key)
        if found is None and required:
            path = self.node_self.path or "the study"
            self.reading.problems.add(self.node_self, f"The key {key!r} is missing in {path}")
        return found

    def section(self, key: str, *, planned: Sequence[str] = (), required: bool = False) -> "Fields":
        """Return the keys of a nested mapping, empty if it is absent."""
        node = self.node(key, required=required)
        return Fields(node or self._absent(key), self.reading, planned=planned)

    def _absent(self, key: str) -> Node:
        parent = self.node_self
        path = f"{parent.path}.{key}" if parent.path else key
        return Node(path=path, place=parent.place, key_place=parent.key_place, value=None)

    def has(self, key: str) -> bool:
        """Tell whether a key was given."""
        return key in self._items

    def scalar(self, key: str, rule: Rule, default: Scalar | None = None) -> Scalar:
        """Return a fixed value; without a default the key must be there."""
        node = self.node(key, required=default is None)
        if node is None:
            return default if default is not None else rule.stand_in()
        return self.reading.scalar(node, rule)

    def integer(self, key: str, *, low: int, high: int, default: int | None = None) -> int:
        """Return a fixed integer."""
        return int(self.scalar(key, Rule(kind="int", low=low, high=high), default))

    def option(self, key: str, options: Sequence[str], *, default: str | None = None) -> str:
        """Return one of a few words."""
        return str(self.scalar(key, Rule(kind="text", options=tuple(options)), default))

    def text(self, key: str, pattern: str, allowed: str, *, default: str | None = None) -> str:
        """Return a text that matches a pattern; `allowed` says it in words."""
        value = str(self.scalar(key, Rule(kind="text"), default))
        node = self._items.get(key)
        if node is not None and isinstance(node.value, str) and not re.fullmatch(pattern, value):
            self.reading.problems.add(node, f"Expected {allowed}, found {node.describe()}")
        return value

    def leaf(self, key: str, rule: Rule, default: Leaf | None = None) -> Leaf:
        """Return a fixed value or a search space; without a default the key must be there."""
        node = self.node(key, required=default is None)
        if node is None:
            return default if default is not None else rule.stand_in()
        return self.reading.leaf(node, rule)

    def allow(self, key: str) -> None:
        """Make a key known without reading it."""
        self._known[key] = None

    def close(self) -> None:
        """Note every key that no rule asked for."""
        for key, node in self._items.items():
            if key in self._known:
                continue
            if key in self._planned:
                message = f"The key {key!r} is {NOT_BUILT}"
                self.reading.problems.add(node, message, "Remove it", at_key=True)
                continue
            hint = did_you_mean(key, self._known) if self._known else "It takes none: remove it"
            self.reading.problems.add(node, f"Unknown key {key!r}", hint, at_key=True)


def leaf_ends(leaf: Leaf) -> tuple[float, float]:
    """Return the least and the greatest number that a numeric leaf can become."""
    if not isinstance(leaf, Searched):
        return float(leaf), float(leaf)
    if isinstance(leaf.space, ChoiceSpace):
        numbers = [float(option) for option in leaf.space.options]
        return min(numbers), max(numbers)
    return float(leaf.space.low), float(leaf.space.high)


def leaf_words(leaf: Leaf) -> tuple[str, ...]:
    """Return the texts that a text leaf can become."""
    if isinstance(leaf, Searched):
        options = leaf.space.options if isinstance(leaf.space, ChoiceSpace) else ()
        return tuple(str(option) for option in options)
    return (str(leaf),)
