"""`data readers`, `data products`: what can be read, and what is known about products."""

import argparse
import dataclasses
import json
import sys
import textwrap
from typing import Any

from sweep.declared import declared_rules
from sweep.errors import EXIT_DONE, InputError
from sweep.products import product_forms, product_versions
from sweep.products import products as catalogue
from sweep.readers import READERS, RULES
from sweep.readers.audit import ACTIONS
from sweep.sniff import SIGNS


def readers(options: argparse.Namespace) -> int:
    """Run the command `data readers`."""
    show_readers(options)
    return EXIT_DONE


def show_readers(options: argparse.Namespace) -> None:
    """Print every reader with its options and rules."""
    documents = {name: _reader(name) for name in READERS}
    if options.json:
        print(json.dumps({"readers": documents, "actions": ACTIONS}))
        return
    write = sys.stdout.write
    for name, document in documents.items():
        write(f"{name}\n")
        _wrap("  ", document["doc"])
        if document["known_by"]:
            write(f"  known by: {'; '.join(document['known_by'])}\n")
        for option, described in document["options"].items():
            write(f"  option {option} = {described['default']!r}{_range(described)}\n")
            _wrap("      ", described["doc"])
        for rule, described in document["rules"].items():
            write(f"  rule   {rule}: {' | '.join(described['actions'])}\n")
            _wrap("      ", described["doc"])
        write("\n")
    write("Actions; the first of a rule is its default:\n")
    for action, words in ACTIONS.items():
        write(f"  {action:<7} {words}\n")


def _reader(name: str) -> dict[str, Any]:
    reader = READERS[name]
    module = sys.modules[reader.read.__module__]
    declared = declared_rules(reader.options)
    fields = {field.name: field.metadata for field in dataclasses.fields(reader.options)}
    return {
        "doc": (module.__doc__ or "").strip().split("\n\n")[0].replace("\n", " "),
        "needs_files": reader.needs_files,
        "known_by": [sign.words for sign in SIGNS if sign.reader == name],
        "options": {
            option: {
                "doc": str(fields[option].get("doc", "")),
                "unit": str(fields[option].get("unit", "")),
                "default": _plain(found.default),
                "low": found.rule.low,
                "high": found.rule.high,
                "choices": list(found.rule.options or ()),
            }
            for option, found in declared.items()
        },
        "rules": {
            rule: {"doc": found.doc, "actions": list(found.actions)}
            for rule, found in RULES[name].items()
        },
    }


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _range(described: dict[str, Any]) -> str:
    words = []
    if described["unit"] not in ("", "1"):
        words.append(described["unit"])
    if described["choices"]:
        words.append(" | ".join(described["choices"]))
    if described["low"] is not None or described["high"] is not None:
        words.append(f"{_bound(described['low'])} to {_bound(described['high'])}")
    return f" ({', '.join(words)})" if words else ""


def _bound(value: float | None) -> str:
    return "any" if value is None else f"{value:,}"


def _wrap(indent: str, text: str) -> None:
    for line in textwrap.wrap(text, 100 - len(indent)):
        sys.stdout.write(f"{indent}{line}\n")


def products(options: argparse.Namespace) -> int:
    """Run the command `data products`."""
    names = [options.name] if options.name else list(catalogue())
    known = {name: product_versions(name) for name in names}
    if options.name and not known[options.name]:
        message = f"The catalogue has no product {options.name!r}"
        raise InputError(f"{message}; `data products` lists those known")
    found = {
        name: [
            version.to_json() | {"tick_value_minor": version.tick_value_minor}
            for version in versions
        ]
        for name, versions in known.items()
    }
    forms = [] if options.name else [product.to_json() for product in product_forms()]
    if options.json:
        print(json.dumps({"products": found, "forms": forms}))
    elif options.name:
        _show_versions(found[options.name])
    else:
        _show_table([version for versions in found.values() for version in versions] + forms)
    return EXIT_DONE


def _show_table(versions: list[dict[str, Any]]) -> None:
    columns = ("name", "venue", "currency", "tick_size", "lot_size", "multiplier")
    rows = [columns, *(tuple(str(version[name]) for name in columns) for version in versions)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(columns))]
    for row in rows:
        cells = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(f"{cells.rstrip()}\n")


def _show_versions(versions: list[dict[str, Any]]) -> None:
    for version in versions:
        for name, value in version.items():
            text = value if isinstance(value, str) else json.dumps(value)
            sys.stdout.write(f"{name:<17} {text}\n")
        sys.stdout.write("\n")
