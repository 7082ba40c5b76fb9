"""Readers of tick sources, by name: one file and one line in `READERS` each."""

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sweep.errors import InputError
from sweep.products import Product, find_product, version_on
from sweep.readers import (
    binance_raw,
    bybit_ob,
    canonical_parquet,
    databento,
    generic,
    generic_options,
    hftbacktest,
    lobster,
    plausible,
    shioaji_columns,
    shioaji_parquet,
    shioaji_recording,
    synthetic,
    taifex_daily,
    tardis_csv,
    twse_fixed,
)
from sweep.readers.audit import Audit, Rule
from sweep.readers.ticks import Request, Rows, Ticks, collect


def no_companions(path: Path, options: Any) -> tuple[Path, ...]:  # noqa: ARG001 - see Reader
    """Return no file: what the file itself holds is all there is."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One kind of source.

    Attributes:
        options: Dataclass of its options, whose fields carry `doc`, `unit`, `low` and `high`.
        read: Reads what is requested, chunk by chunk.
        rules: What a sound source obeys, by name; see `sweep.readers.audit`.
        needs_files: Whether it reads files; one tape is made of each.
        version: Part of the names of tapes, beside the hash of the reader's source.
        companions: Files that are read along with a file, by file and options, such as the trades
            beside a book; their content is part of the names of tapes, too.
    """

    options: type
    read: Callable[[Request], Rows]
    rules: Mapping[str, Rule] = field(default_factory=dict)
    needs_files: bool = True
    version: int = 1
    companions: Callable[[Path, Any], tuple[Path, ...]] = no_companions


READERS: Final[dict[str, Reader]] = {
    "synthetic": Reader(
        options=synthetic.SyntheticOptions,
        read=synthetic.read,
        needs_files=False,
        version=synthetic.SYNTHETIC_VERSION,
    ),
    "binance_raw": Reader(
        options=binance_raw.BinanceRawOptions, read=binance_raw.read, rules=binance_raw.RULES
    ),
    "bybit_ob": Reader(
        options=bybit_ob.BybitObOptions,
        read=bybit_ob.read,
        rules=bybit_ob.RULES,
        companions=bybit_ob.companions,
    ),
    "shioaji_parquet": Reader(
        options=shioaji_parquet.ShioajiParquetOptions, read=shioaji_parquet.read
    ),
    "databento": Reader(
        options=databento.DatabentoOptions, read=databento.read, rules=databento.RULES
    ),
    "canonical_parquet": Reader(
        options=canonical_parquet.CanonicalParquetOptions, read=canonical_parquet.read
    ),
    "generic": Reader(
        options=generic_options.GenericOptions, read=generic.read, rules=generic.RULES
    ),
    "hftbacktest": Reader(
        options=hftbacktest.HftbacktestOptions, read=hftbacktest.read, rules=hftbacktest.RULES
    ),
    "shioaji_columns": Reader(
        options=shioaji_columns.ShioajiColumnsOptions,
        read=shioaji_columns.read,
        rules=shioaji_columns.RULES,
        companions=shioaji_columns.companions,
    ),
    "shioaji_recording": Reader(
        options=shioaji_recording.ShioajiRecordingOptions,
        read=shioaji_recording.read,
        rules=shioaji_recording.RULES,
    ),
    "taifex_daily": Reader(
        options=taifex_daily.TaifexDailyOptions, read=taifex_daily.read, rules=taifex_daily.RULES
    ),
    "tardis_csv": Reader(
        options=tardis_csv.TardisCsvOptions,
        read=tardis_csv.read,
        rules=tardis_csv.RULES,
        companions=tardis_csv.companions,
    ),
    "twse_fixed": Reader(
        options=twse_fixed.TwseFixedOptions, read=twse_fixed.read, rules=twse_fixed.RULES
    ),
    "lobster": Reader(
        options=lobster.LobsterOptions,
        read=lobster.read,
        rules=lobster.RULES,
        companions=lobster.companions,
    ),
}

# Rules of a reader, and those that hold for the rows of every reader.
RULES: Final[dict[str, Mapping[str, Rule]]] = {
    name: {**reader.rules, **plausible.RULES} for name, reader in READERS.items()
}

OPTIONS: Final[dict[str, type]] = {name: reader.options for name, reader in READERS.items()}


def make_request(
    reader: str,
    path: Path | None,
    instrument: str,
    options: Mapping[str, Any] | None = None,
    *,
    policy: Mapping[str, str] | None = None,
    product: Mapping[str, Any] | None = None,
    is_check: bool = False,
) -> Request:
    """Return a request for one file of a reader.

    Args:
        reader: Name of a reader.
        path: The file; None for a reader that needs none.
        instrument: Name of the product.
        options: Options of the reader that differ from its defaults.
        policy: Actions by rule that differ from its defaults.
        product: Description of the product, in place of the catalogue's.
        is_check: See `Audit`.

    Raises:
        InputError: There is no such reader, option, rule or action, or files do not fit the reader.
    """
    made = make_options(reader, options or {})
    if READERS[reader].needs_files and path is None:
        raise InputError(f"The reader {reader} needs files: give data.source.paths")
    if path is not None and not READERS[reader].needs_files:
        message = f"The reader {reader} reads no files, found {path}"
        raise InputError(f"{message}: leave data.source.paths out")
    described = Product.from_table(instrument, product) if product else None

    def find(on: datetime.date) -> Product:
        return version_on([described], on) if described else find_product(instrument, on)

    source = str(path) if path else f"the {reader} market {instrument}"
    return Request(
        path=path,
        instrument=instrument,
        options=made,
        audit=Audit(source, RULES[reader], policy, is_check=is_check),
        product=find,
    )


def read_rows(reader: str, request: Request) -> Rows:
    """Read what is requested, chunk by chunk; the rules of every source are checked on the way.

    Raises:
        DataError: The file is damaged or a row breaks a rule.
    """
    return plausible.watch(READERS[reader].read(request), request.audit)


def read_ticks(reader: str, path: Path | None, instrument: str, **settings: Any) -> Ticks:
    """Return all ticks of one file that fits into memory; arguments as of `make_request`.

    Raises:
        DataError: The file is damaged or a row breaks a rule.
        InputError: As `make_request`.
    """
    return collect(read_rows(reader, make_request(reader, path, instrument, **settings)))


def make_options(reader: str, values: Mapping[str, Any]) -> Any:
    """Return the options of a reader from plain values.

    Raises:
        InputError: There is no such reader or option.
    """
    if reader not in READERS:
        raise InputError(f"There is no reader {reader!r}; known: {', '.join(READERS)}")
    try:
        return READERS[reader].options(**values)
    except TypeError as error:
        raise InputError(f"The reader {reader} does not take these options: {error}") from error
