"""Where the ticks of a study come from: the value that study files give to the data room."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """One source of ticks.

    Attributes:
        reader: Name of a reader, a key of `sweep.readers.OPTIONS`.
        instrument: Product to read, for example TXF; synthetic markets take it as a name.
        paths: Absolute files in replay order; patterns are expanded and variables resolved.
            Empty for the synthetic reader.
        options: Options of the reader by field name, checked against its options dataclass;
            only what the study file states, defaults are the reader's.
        check: Actions by rule of the reader that differ from its defaults, see
            `sweep.readers.audit`.
        product: What one tick and one lot are, in place of the catalogue's product; plain values
            by the names of `sweep.products.Product`.
    """

    reader: str
    instrument: str
    paths: tuple[Path, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    check: dict[str, str] = field(default_factory=dict)
    product: dict[str, Any] = field(default_factory=dict)
