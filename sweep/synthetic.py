"""Writes synthetic markets: as a tape, or as Parquet of canonical ticks or of every order."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sweep.data import write_tape
from sweep.readers import canonical_parquet, make_request, read_ticks, synthetic
from sweep.readers.ticks import Summary
from sweep.whole_files import whole_file


def write_market_tape(
    path: Path,
    instrument: str,
    options: synthetic.SyntheticOptions,
    facts: Mapping[str, Any],
) -> None:
    """Write a synthetic market as a tape with facts beside its own; replaces what is there.

    Raises:
        InputError: An option is out of range.
        ResourceError: The disk is full or the folder cannot be written.
    """
    request = make_request("synthetic", None, instrument, asdict(options))

    def describe(summary: Summary) -> str:
        document = {
            "reader": "synthetic",
            "source": [],
            "instrument": dict(summary.instrument),
            "sessions": [asdict(session) for session in summary.sessions],
            "facts": {**summary.facts, **facts},
        }
        return json.dumps(document, sort_keys=True)

    with whole_file(path) as temporary:
        write_tape(temporary, synthetic.read(request), request.audit.source, describe)


def write_market(
    path: Path,
    instrument: str,
    options: synthetic.SyntheticOptions,
    facts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write a synthetic market as one Parquet file and return what it holds.

    The modes five_level and l2 give the columns that the reader `canonical_parquet` takes, the mode
    l3 gives one row per order event: exch_ns, order_id, action (0 add, 1 cancel, 2 execute), side
    of the order, price, qty.

    Raises:
        InputError: An option is out of range.
        ResourceError: The disk is full or the folder cannot be written.
    """
    if options.mode == "l3":
        orders = synthetic.read_orders(options)
        document = {"instrument_name": instrument, "synthetic": asdict(options), **(facts or {})}
        canonical_parquet.write_columns(path, orders, document)
        rows = len(orders["exch_ns"])
    else:
        ticks = read_ticks("synthetic", None, instrument, options=asdict(options))
        canonical_parquet.write(path, replace(ticks, facts={**ticks.facts, **(facts or {})}))
        rows = ticks.row_count
    return {"path": str(path), "rows": rows, "bytes": path.stat().st_size, "mode": options.mode}
