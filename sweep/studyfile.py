"""Study files: strict YAML with positions, overrides, and the typed study made of both.

The only room that names PyYAML, and only its event parser: its constructors would turn `1e-3` into
text, `010` into 8, `12:30:45` into 45045 and `NO` into false, keep the last of two equal keys and
expand aliases without bound. Here a document has no aliases, anchors, merge keys, tags or
directives, no duplicate keys, and a bounded size, depth and number of nodes.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml

from sweep.decode import decode_study
from sweep.document import Node, NodeValue, Place, Problem, StudyError
from sweep.schema import Study
from sweep.space import Scalar

__all__ = ["StudyError", "emit_yaml", "load_study", "parse_override", "parse_yaml"]

BYTES_MAX: Final = 1 << 20
DEPTH_MAX: Final = 32
NODES_MAX: Final = 20_000
INT_MIN: Final = -(1 << 63)
INT_MAX: Final = (1 << 63) - 1

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.?(nan|inf|infinity)", re.IGNORECASE)
_BOOL_LIKE = re.compile(r"y|n|yes|no|on|off|true|false", re.IGNORECASE)
_NUMBER_LIKE = re.compile(
    r"[-+]?(0[0-9_]+(\.[0-9]*)?([eE][-+]?[0-9]+)?|0[xob][0-9a-fA-F_]+|[0-9][0-9_]*_[0-9_.]*)"
)
_CLOCK_LIKE = re.compile(r"[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# Text that the writer below may leave without quotes: it can be nothing else for any YAML reader.
_PLAIN = re.compile(r"[A-Za-z/.]([A-Za-z0-9_./:*+-]*[A-Za-z0-9_/*])?")
_NOT_ASCII = re.compile(r"[^\x20-\x7e]")

# libyaml where it is built in: ten times faster than the parser written in Python.
_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def load_study(path: Path, overrides: Sequence[str] = ()) -> Study:
    """Read a study file, apply `dotted.key=value` overrides and check everything.

    Args:
        path: The study file; relative data paths in it are relative to its folder.
        overrides: Overrides in order; values are parsed as strictly as the file.

    Returns:
        The typed study; its `text` is the effective file, overrides written in.

    Raises:
        StudyError: The file or an override is wrong; every problem found is listed.
    """
    text = _read(path)
    root = parse_yaml(text, source=str(path))
    for override in overrides:
        root = _override(root, override)
    if overrides:
        text = _header(overrides) + emit_yaml(root)
    return decode_study(root, text=text, folder=path.resolve().parent)


def _fail(place: Place, message: str, hint: str = "", path: str = "") -> NoReturn:
    raise StudyError([Problem(place=place, path=path, message=message, hint=hint)])


def _read(path: Path) -> str:
    start = Place(str(path), 1, 1)
    try:
        with path.open("rb") as file:
            raw = file.read(BYTES_MAX + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        _fail(start, f"Cannot read the study file: {reason}", "Give the path of a YAML study file")
    if len(raw) > BYTES_MAX:
        _fail(start, f"A study file has at most {BYTES_MAX} bytes, this one has more")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        place = Place(str(path), line, column)
        _fail(place, f"Not UTF-8 text: byte 0x{raw[error.start]:02x}", "Save the file as UTF-8")


def parse_yaml(text: str, *, source: str, path: str = "") -> Node:
    """Parse one strict YAML document.

    Args:
        text: The document.
        source: Name for messages.
        path: Key path of the document's root.

    Raises:
        StudyError: The text is not YAML, or uses a form that is refused.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        # An argument of the command line that is not UTF-8 arrives with lone surrogates.
        _fail(_place_at(text, error.start, source), "Not UTF-8 text", path=path)
    parser = _Parser(text, source)
    try:
        return parser.document(path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = parser.place(mark) if mark else Place(source, 1, 1)
        hint = "Indent with spaces" if "\\t" in repr(error.problem) or _tab_at(text, place) else ""
        context = f" ({error.context})" if error.context else ""
        _fail(place, f"Not valid YAML: {error.problem or error}{context}", hint)
    except yaml.YAMLError as error:
        # The reader's errors (control characters) carry an offset only.
        offset = int(getattr(error, "position", 0) or 0)
        reason = getattr(error, "reason", None) or str(error).splitlines()[0]
        _fail(_place_at(text, offset, source), f"Not valid YAML: {reason}")
    finally:
        parser.close()


def _place_at(text: str, offset: int, source: str) -> Place:
    line = text.count("\n", 0, offset) + 1
    return Place(source, line, offset - (text.rfind("\n", 0, offset) + 1) + 1)


def _tab_at(text: str, place: Place) -> bool:
    lines = text.splitlines()
    return place.line <= len(lines) and "\t" in lines[place.line - 1]


class _Parser:
    """Builds nodes from the events of one document."""

    def __init__(self, text: str, source: str) -> None:
        self._loader = _Loader(text)
        self._source = source
        self._count = 0

    def close(self) -> None:
        self._loader.dispose()

    def place(self, mark: Any) -> Place:
        return Place(self._source, mark.line + 1, mark.column + 1)

    def document(self, path: str) -> Node:
        self._next()  # stream start
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            _fail(Place(self._source, 1, 1), "The document is empty", path=path)
        if event.version or event.tags:
            _fail(self.place(event.start_mark), "Directives (%YAML, %TAG) are not allowed")
        event = self._next()
        node = self._node(event, path, self.place(event.start_mark), depth=1)
        self._next()  # document end
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            place = self.place(event.start_mark)
            _fail(place, "A second document starts here", "Keep one document, without '---' lines")
        return node

    def _next(self) -> Any:
        return self._loader.get_event()

    def _node(self, event: Any, path: str, key_place: Place, *, depth: int) -> Node:
        place = self.place(event.start_mark)
        self._count += 1
        if self._count > NODES_MAX:
            _fail(place, f"A document has at most {NODES_MAX} values", path=path)
        if depth > DEPTH_MAX:
            _fail(place, f"Values may be nested {DEPTH_MAX} deep at most", path=path)
        if isinstance(event, yaml.AliasEvent):
            _fail(place, f"Aliases are not allowed: *{event.anchor}", "Write the value out", path)
        if event.anchor is not None:
            _fail(place, f"Anchors are not allowed: &{event.anchor}", "Remove the anchor", path)
        if event.tag is not None:
            _fail(place, f"Tags are not allowed: {event.tag}", "Remove the tag", path)
        value: NodeValue
        if isinstance(event, yaml.ScalarEvent):
            value = event.value if event.style else _scalar(event.value, place, path)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._sequence(path, depth)
        else:
            value = self._mapping(path, depth)
        return Node(path=path, place=place, key_place=key_place, value=value)

    def _sequence(self, path: str, depth: int) -> tuple[Node, ...]:
        items: list[Node] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            place = self.place(event.start_mark)
            items.append(self._node(event, f"{path}[{len(items)}]", place, depth=depth + 1))
        return tuple(items)

    def _mapping(self, path: str, depth: int) -> dict[str, Node]:
        items: dict[str, Node] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            place = self.place(event.start_mark)
            key = self._key(event, place, path)
            child = f"{path}.{key}" if path else key
            if key in items:
                first = items[key].key_place
                hint = f"It was given first in line {first.line}, column {first.column}"
                _fail(place, f"The key {key!r} appears twice", hint, child)
            items[key] = self._node(self._next(), child, place, depth=depth + 1)
        return items

    def _key(self, event: Any, place: Place, path: str) -> str:
        if isinstance(event, yaml.AliasEvent):
            _fail(place, f"Aliases are not allowed: *{event.anchor}", path=path)
        if not isinstance(event, yaml.ScalarEvent):
            _fail(place, "A key must be a word, found a list or a mapping", path=path)
        if event.anchor is not None or event.tag is not None:
            _fail(place, "Keys take neither anchors nor tags", path=path)
        if event.value == "<<":
            _fail(place, "Merge keys (<<) are not allowed", "Write the keys out", path)
        if not _KEY.fullmatch(event.value):
            found = event.value[:60]
            hint = "Keys are letters, digits, '_' and '-'"
            _fail(place, f"A key must be a word, found {found!r}", hint, path)
        return str(event.value)


def _scalar(text: str, place: Place, path: str) -> Scalar | None:
    """Resolve an unquoted scalar as YAML 1.2 does; refuse what YAML versions read differently."""
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INT.fullmatch(text):
        # Bounded before conversion: Python would take its time over a million digits.
        value = int(text) if len(text) <= 20 else INT_MAX + 1
        if INT_MIN <= value <= INT_MAX:
            return value
        _fail(place, f"The integer {text[:40]} does not fit in 64 bits", path=path)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if abs(number) != float("inf"):
            return number
        _fail(place, f"The number {text[:40]} is too large", path=path)
    if _NOT_FINITE.fullmatch(text):
        _fail(place, f"Numbers must be finite, found {text}", path=path)
    if _BOOL_LIKE.fullmatch(text):
        hint = f'Write true or false for a boolean, "{text}" in quotes for the text'
        _fail(place, f"{text!r} means different things to different YAML readers", hint, path)
    if _NUMBER_LIKE.fullmatch(text):
        hint = f'Write a plain decimal number, or "{text}" in quotes for the text'
        _fail(place, f"{text[:40]!r} means different things to different YAML readers", hint, path)
    if _CLOCK_LIKE.fullmatch(text):
        hint = f'Write a number of seconds, or "{text}" in quotes for the text'
        _fail(place, f"{text[:40]!r} means different things to different YAML readers", hint, path)
    return text


def parse_override(overrides: Sequence[str]) -> Node:
    """Return the mapping that overrides make of an empty document.

    Raises:
        StudyError: An override is not `dotted.key=value`, or its value is refused.
    """
    start = Place("options", 1, 1)
    root = Node(path="", place=start, key_place=start, value={})
    for override in overrides:
        root = _override(root, override)
    return root


def _override(root: Node, override: str) -> Node:
    source = f"--set {override}"
    key, equals, text = override.partition("=")
    keys = key.split(".")
    if not equals or not all(_KEY.fullmatch(part) for part in keys):
        hint = "For example search.trials=20 or 'venue.commission_per_lot={int: [0, 20]}'"
        _fail(Place(source, 1, 1), "An override has the form dotted.key=value", hint)
    if not text.strip():
        _fail(Place(source, 1, len(key) + 2), "An override needs a value", path=key)
    try:
        node = parse_yaml(text, source=source, path=key)
    except StudyError as error:
        # Columns count within the option's text, where the user can see them.
        first = error.problems[0]
        place = replace(first.place, column=first.place.column + len(key) + 1)
        raise StudyError([replace(first, place=place, path=first.path or key)]) from None
    node = _shift(node, len(key) + 1)
    return _replace(root, keys, replace(node, key_place=Place(source, 1, 1)))


def _shift(node: Node, columns: int) -> Node:
    def moved(place: Place) -> Place:
        return replace(place, column=place.column + columns) if place.line == 1 else place

    value = node.value
    if isinstance(value, tuple):
        value = tuple(_shift(item, columns) for item in value)
    elif isinstance(value, dict):
        value = {key: _shift(item, columns) for key, item in value.items()}
    place, key_place = moved(node.place), moved(node.key_place)
    return replace(node, value=value, place=place, key_place=key_place)


def _replace(node: Node, keys: list[str], new: Node) -> Node:
    if not keys:
        return new
    if node.value is None:
        node = replace(node, value={})
    if not isinstance(node.value, dict):
        found = node.describe()
        _fail(new.place, f"{node.path or 'The study'} has no keys, it is {found}", path=new.path)
    child = node.value.get(keys[0])
    if child is None:
        path = f"{node.path}.{keys[0]}" if node.path else keys[0]
        start = Place(new.place.source, 1, 1)
        child = Node(path=path, place=start, key_place=start, value=None)
    return replace(node, value={**node.value, keys[0]: _replace(child, keys[1:], new)})


def _header(overrides: Sequence[str]) -> str:
    lines = (json.dumps(override, ensure_ascii=False) for override in overrides)
    return "".join(f"# --set {line}\n" for line in lines)


def emit_yaml(node: Node, indent: int = 0) -> str:
    """Return a mapping as YAML text that `parse_yaml` reads back to the same values."""
    assert isinstance(node.value, dict), f"expected a mapping at {node.path!r}"
    lines: list[str] = []
    for key, child in node.value.items():
        if isinstance(child.value, dict) and child.value and _is_deep(child):
            lines.append(f"{' ' * indent}{key}:\n{emit_yaml(child, indent + 2)}")
        else:
            lines.append(f"{' ' * indent}{key}: {_flow(child.value)}\n")
    return "".join(lines)


def _is_deep(node: Node) -> bool:
    """Tell whether a mapping is more than a short row of scalars and lists of them."""
    children = node.value.values() if isinstance(node.value, dict) else ()
    return any(isinstance(child.value, dict) for child in children) or len(_flow(node.value)) > 70


def _flow(value: NodeValue) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value)
        case str():
            if _PLAIN.fullmatch(value) and not _is_special(value):
                return value
            quoted = json.dumps(value, ensure_ascii=False)
            return _NOT_ASCII.sub(lambda found: f"\\U{ord(found.group()):08x}", quoted)
        case tuple():
            return "[" + ", ".join(_flow(item.value) for item in value) + "]"
        case _:
            return "{" + ", ".join(f"{k}: {_flow(v.value)}" for k, v in value.items()) + "}"


def _is_special(text: str) -> bool:
    patterns = (_INT, _FLOAT, _NOT_FINITE, _BOOL_LIKE, _NUMBER_LIKE, _CLOCK_LIKE)
    return text in ("~", "null") or any(pattern.fullmatch(text) for pattern in patterns)
