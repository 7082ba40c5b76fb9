"""The data section: reader, files and options of a source, checked before anything is opened."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sweep.declared import declared_rules, is_required
from sweep.document import Node
from sweep.errors import InputError
from sweep.products import Product
from sweep.readers import OPTIONS, READERS, RULES, make_options
from sweep.reading import NOT_BUILT, Fields, Rule
from sweep.schema import DataSection
from sweep.source import SourceConfig
from sweep.space import Scalar

SYNTHETIC: Final = "synthetic"
PATHS_MAX: Final = 10_000
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def decode_data(fields: Fields, folder: Path) -> DataSection:
    """Return the data section; relative paths are relative to `folder`."""
    source = _source(fields.section("source", required=True), folder)
    slices = "session"
    node = fields.node("slices")
    if node is not None and (node.value == "day" or isinstance(node.value, dict)):
        message = f"Slices by day or minutes are {NOT_BUILT}"
        fields.reading.problems.add(node, message, "Use session or all")
    elif node is not None:
        slices = fields.option("slices", ("session", "all"))
    fields.close()
    assert slices in ("session", "all", ""), slices
    return DataSection(source=source, slices="all" if slices == "all" else "session")


def _source(fields: Fields, folder: Path) -> SourceConfig:
    reader = fields.option("reader", tuple(OPTIONS))
    pattern = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
    instrument = fields.text("instrument", pattern, "a name of up to 64 letters and digits")
    needs_files = reader not in READERS or READERS[reader].needs_files
    options: dict[str, Any] = {}
    paths: tuple[Path, ...] = ()
    if reader in OPTIONS:
        key = "options" if needs_files else "generate"
        section = fields.section(key)
        before = len(fields.reading.problems.found)
        options = decode_options(section, OPTIONS[reader])
        if len(fields.reading.problems.found) == before:
            _check_together(section, reader, options)
    if needs_files:
        node = fields.node("paths", required=bool(reader))
        paths = _paths(node, fields, folder) if node is not None else ()
    check = decode_policy(fields.section("check"), reader)
    product = _product(fields, instrument)
    fields.close()
    return SourceConfig(
        reader=reader,
        instrument=instrument,
        paths=paths,
        options=options,
        check=check,
        product=product,
    )


def _check_together(fields: Fields, reader: str, options: dict[str, Any]) -> None:
    """Note what is wrong with options that are sound one by one."""
    try:
        make_options(reader, options)
    except InputError as error:
        fields.reading.problems.add(fields.node_self, str(error))


def decode_policy(fields: Fields, reader: str) -> dict[str, str]:
    """Return the chosen actions by rule of the reader."""
    rules = RULES.get(reader, {})
    chosen = {
        name: fields.option(name, rule.actions) for name, rule in rules.items() if fields.has(name)
    }
    for name in rules:
        fields.allow(name)
    if reader in READERS:
        fields.close()
    return chosen


def _product(fields: Fields, instrument: str) -> dict[str, Any]:
    """Return the description of the product, checked by making it once."""
    node = fields.node("product")
    if node is None:
        return {}
    table = node.plain()
    if not isinstance(table, dict):
        fields.reading.problems.add(node, f"Expected a mapping, found {node.describe()}")
        return {}
    try:
        Product.from_table(instrument, table)
    except InputError as error:
        fields.reading.problems.add(node, str(error))
    return table


def decode_options(fields: Fields, declaration: type) -> dict[str, Any]:
    """Return the options of a reader that were given, checked against its declaration."""
    values: dict[str, Any] = {}
    for name, declared in declared_rules(declaration).items():
        fields.allow(name)
        if fields.has(name) or is_required(declaration, name):
            read = _texts if declared.is_list else _value
            values[name] = read(fields, name, declared.rule)
    fields.close()
    return values


def _value(fields: Fields, name: str, rule: Rule) -> Scalar:
    node = fields.node(name, required=True)
    if node is None:
        return rule.stand_in()
    return _text_of(node, rule) or fields.reading.scalar(node, rule)


def _text_of(node: Node, rule: Rule) -> str:
    """Return a whole number as the text of it where any text may stand: expiry: 202108."""
    is_whole = isinstance(node.value, int) and not isinstance(node.value, bool)
    is_text = rule.kind == "text" and rule.options is None
    return str(node.value) if is_whole and is_text else ""


def _texts(fields: Fields, name: str, rule: Rule) -> tuple[str, ...]:
    """Return a list of texts; one alone is a list, and a whole number is the text of it."""
    node = fields.node(name, required=True)
    if node is None:
        return ()
    items = node.value if isinstance(node.value, tuple) else (node,)
    return tuple(str(_text_of(item, rule) or fields.reading.scalar(item, rule)) for item in items)


def _paths(node: Node, fields: Fields, folder: Path) -> tuple[Path, ...]:
    problems = fields.reading.problems
    items = node.value if isinstance(node.value, tuple) else (node,)
    if not items:
        problems.add(node, "Expected at least one path, found an empty list")
    found: dict[Path, None] = {}
    for item in items:
        if not isinstance(item.value, str) or not item.value:
            problems.add(item, f"Expected a path, found {item.describe()}")
            continue
        text = _expand(item, item.value, fields, os.environ)
        if text is None:
            continue
        matches = _matches(text, folder)
        if not matches:
            is_folder = (folder / text).is_dir()
            message = f"Expected a file, found a folder: {text}" if is_folder else ""
            hint = f"Add a pattern for its files: {text.rstrip('/')}/*.parquet"
            if not is_folder:
                hint = f"Paths are relative to {folder}; ${{NAME}} takes an environment variable"
            problems.add(item, message or f"No such file: {text}", hint)
        for path in matches:
            if path in found:
                problems.add(item, f"The file {path} is named twice")
            found[path] = None
    if len(found) > PATHS_MAX:
        problems.add(node, f"At most {PATHS_MAX} files, found {len(found)}")
    return tuple(found)


def find_file(node: Node, text: str, fields: Fields, folder: Path) -> Path | None:
    """Return the one file that a text names; note a problem at `node` if there is none."""
    expanded = _expand(node, text, fields, os.environ)
    if expanded is None:
        return None
    path = folder / Path(expanded).expanduser()
    if path.is_file():
        return path.resolve()
    hint = f"Paths are relative to {folder}; ${{NAME}} takes an environment variable"
    fields.reading.problems.add(node, f"No such file: {expanded}", hint)
    return None


def _expand(node: Node, text: str, fields: Fields, environment: Mapping[str, str]) -> str | None:
    problems = fields.reading.problems
    missing = [name for name in _VARIABLE.findall(text) if not environment.get(name)]
    if missing:
        hint = f"Set it before the start: export {missing[0]}=/path/to/data"
        problems.add(node, f"The environment variable {missing[0]} is not set", hint)
        return None
    if "$" in _VARIABLE.sub("", text):
        problems.add(node, f"A '$' without braces in {text!r}", "Write ${NAME}")
        return None
    return _VARIABLE.sub(lambda match: environment[match.group(1)], text)


def _matches(text: str, folder: Path) -> list[Path]:
    path = folder / Path(text).expanduser()
    if path.is_file():
        return [path.resolve()]
    if not any(mark in path.name for mark in "*?["):
        return []
    # A pattern in the last part only: a tree walk over a whole disk would be a surprise.
    return sorted(match.resolve() for match in path.parent.glob(path.name) if match.is_file())
