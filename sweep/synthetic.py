"""Writes synthetic markets as Parquet: canonical ticks, or every single order."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from sweep.readers import canonical_parquet, read_ticks, synthetic


def write_market(
    path: Path, instrument: str, options: synthetic.SyntheticOptions
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
        document = {"instrument_name": instrument, "synthetic": asdict(options)}
        canonical_parquet.write_columns(path, orders, document)
        rows = len(orders["exch_ns"])
    else:
        ticks = read_ticks("synthetic", None, instrument, options=asdict(options))
        canonical_parquet.write(path, ticks)
        rows = ticks.row_count
    return {"path": str(path), "rows": rows, "bytes": path.stat().st_size, "mode": options.mode}
