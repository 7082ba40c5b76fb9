"""Sections of a study as plain JSON with holes, filled by the parameters of a trial."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from sweep.errors import InputError
from sweep.reading import Searched
from sweep.space import Scalar

HOLE: Final = "$"


def to_template(value: Any) -> Any:
    """Return a section as JSON values, with `{"$": path}` in place of each search space."""
    if isinstance(value, Searched):
        return {HOLE: value.path}
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: to_template(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): to_template(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [to_template(item) for item in value]
    return value


def is_hole(value: Any) -> bool:
    """Tell whether a template value waits for a parameter."""
    return isinstance(value, Mapping) and len(value) == 1 and HOLE in value


def fill(template: Any, params: Mapping[str, Scalar]) -> Any:
    """Return the template with every hole filled.

    Raises:
        InputError: A parameter that the template needs is not given.
    """
    if is_hole(template):
        path = template[HOLE]
        if path in params:
            return params[path]
        raise InputError(f"The trial has no value for the searched parameter {path}")
    if isinstance(template, Mapping):
        return {key: fill(item, params) for key, item in template.items()}
    if isinstance(template, list):
        return [fill(item, params) for item in template]
    return template


def constants(template: Mapping[str, Any], prefix: str) -> dict[str, Scalar]:
    """Return the fixed leaves of a template by dotted path."""
    found: dict[str, Scalar] = {}
    for key, item in template.items():
        path = f"{prefix}.{key}"
        if isinstance(item, list):
            found.update(constants({f"[{at}]": part for at, part in enumerate(item)}, path))
        elif isinstance(item, Mapping):
            if not is_hole(item):
                found.update(constants(item, path))
        elif isinstance(item, int | float | str | bool):
            found[path] = item
    return found
