"""Sources named on the command line: a study, or files with reader and product given or guessed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sweep.decode_data import decode_options, decode_policy
from sweep.errors import InputError
from sweep.products import Product
from sweep.readers import OPTIONS, READERS
from sweep.reading import Fields, Reading
from sweep.sniff import guess_instrument, guess_reader
from sweep.source import SourceConfig
from sweep.studyfile import load_study, parse_override

STUDY_SUFFIXES: Final = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a user said about files, each only as far as it was said.

    Attributes:
        reader: Name of the reader.
        instrument: Name of the product.
        options: Options of the reader as `key=value`.
        check: Actions as `rule=action`.
        product: Description of the product as `key=value`.
    """

    reader: str | None = None
    instrument: str | None = None
    options: Sequence[str] = ()
    check: Sequence[str] = ()
    product: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSource:
    """One file, or one source without files.

    Attributes:
        config: A source of at most this file; None if it is not clear how to read it.
        path: The file.
        note: What was guessed, empty if nothing was.
        problem: Why there is no source.
    """

    config: SourceConfig | None
    path: Path | None = None
    note: str = ""
    problem: str = ""


def name_sources(paths: Sequence[Path], asked: Asked) -> list[NamedSource]:
    """Return what is to be read, one entry per file.

    A file whose reader or product cannot be told is an entry with a problem, so that the others can
    go on.

    Raises:
        InputError: What was asked for does not fit together or does not exist.
    """
    studies = [path for path in paths if path.suffix in STUDY_SUFFIXES]
    if studies and len(paths) > 1:
        raise InputError(f"One study or some files, found {len(paths)} arguments with {studies[0]}")
    if studies:
        if asked.reader or asked.instrument or asked.check or asked.product:
            message = "A study names reader, instrument, check and product itself"
            raise InputError(f"{message}: use --set data.source.KEY=VALUE")
        return _of_study(studies[0], asked.options)
    if asked.reader is not None and asked.reader not in READERS:
        raise InputError(f"There is no reader {asked.reader!r}; known: {', '.join(READERS)}")
    folders = [path for path in paths if path.is_dir()]
    if folders:
        raise InputError(f"Expected files, found a folder: {folders[0]}; add a pattern such as /*")
    if asked.reader is not None:
        _config(asked.reader, asked.instrument or "any", asked)  # refuses options before any file
    return [_of_file(path, asked) for path in dict.fromkeys(paths)]


def _of_study(path: Path, overrides: Sequence[str]) -> list[NamedSource]:
    source = load_study(path, overrides).data.source
    if not source.paths:
        return [NamedSource(config=source)]
    return [NamedSource(config=replace(source, paths=(file,)), path=file) for file in source.paths]


def _of_file(path: Path, asked: Asked) -> NamedSource:
    notes: list[str] = []
    reader, instrument = asked.reader, asked.instrument
    if not path.is_file():
        return NamedSource(config=None, path=path, problem=f"{path}: no such file")
    try:
        if reader is None:
            sign = guess_reader(path)
            reader = sign.reader
            notes.append(f"reader {reader} ({sign.words})")
        if instrument is None:
            instrument = guess_instrument(path)
            notes.append(f"instrument {instrument} (from the name)")
        config = replace(_config(reader, instrument, asked), paths=(path.resolve(),))
    except InputError as error:
        return NamedSource(config=None, path=path, note=", ".join(notes), problem=str(error))
    return NamedSource(config=config, path=path, note=", ".join(notes))


def _config(reader: str, instrument: str, asked: Asked) -> SourceConfig:
    reading = Reading()
    options = decode_options(Fields(parse_override(asked.options), reading), OPTIONS[reader])
    check = decode_policy(Fields(parse_override(asked.check), reading), reader)
    product: Any = parse_override(asked.product).plain()
    reading.problems.raise_any()
    if product:
        Product.from_table(instrument, product)
    return SourceConfig(
        reader=reader, instrument=instrument, options=options, check=check, product=product
    )
