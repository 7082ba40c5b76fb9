"""Rules from dataclasses that declare their options: types, ranges and units of fields."""

import dataclasses
from typing import Any, Literal, get_args, get_origin, get_type_hints

from sweep.reading import Rule

_KINDS: dict[Any, Literal["int", "float", "bool", "text"]] = {
    int: "int",
    float: "float",
    bool: "bool",
    str: "text",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One declared field.

    Attributes:
        rule: What the value, or each value of a list, may be.
        default: None if it has none.
        is_list: Whether it is a list of texts.
    """

    rule: Rule
    default: Any = None
    is_list: bool = False


def declared_rules(declaration: type) -> dict[str, Declared]:
    """Return the rules of a dataclass whose fields carry `low`, `high` and `unit` as metadata.

    Raises:
        TypeError: A field has a type that study files cannot write.
    """
    hints = get_type_hints(declaration)
    return {
        item.name: _declared(item, hints[item.name]) for item in dataclasses.fields(declaration)
    }


def _declared(item: "dataclasses.Field[Any]", hint: Any) -> Declared:
    default = None if item.default is dataclasses.MISSING else item.default
    if item.default_factory is not dataclasses.MISSING:
        default = item.default_factory()
    # `int | None` is an int that may be left out.
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    if get_origin(hint) is Literal:
        return Declared(rule=Rule(kind="text", options=tuple(map(str, kinds))), default=default)
    if get_origin(hint) is tuple:
        return Declared(rule=Rule(kind="text"), default=default, is_list=True)
    wanted = kinds[0] if len(kinds) == 1 else hint
    if wanted not in _KINDS:
        raise TypeError(f"{item.name}: a study file cannot write a value of the type {hint}")
    metadata = item.metadata
    rule = Rule(
        kind=_KINDS[wanted],
        low=metadata.get("low"),
        high=metadata.get("high"),
        # A plain number has the unit 1, which is worth no word in a message.
        unit=str(metadata.get("unit", "")).removeprefix("1"),
    )
    return Declared(rule=rule, default=default)


def is_required(declaration: type, name: str) -> bool:
    """Tell whether a field has no default."""
    item = next(found for found in dataclasses.fields(declaration) if found.name == name)
    missing = dataclasses.MISSING
    return item.default is missing and item.default_factory is missing
