"""Reads files of Databento: mbo, mbp-10, mbp-1, tbbo and trades, `.dbn` and `.dbn.zst`.

- ts_event is the exchange's clock, ts_recv the local one.
- The orders of mbo become rows with joins: `databento_orders`. Images of the book and trades:
  `databento_images`. Choice of the instrument, times and auctions: `databento_records`. The
  encoding: `dbn_file`.
- One file is one session. Databento cuts files at midnight UTC, wherever trading stands.

Known limits: no record states the phase of the market, see `databento_records` for how auctions
are found; later halts are not known. Rows of one ts_event are one group even if they came in
several packets.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from sweep.errors import DataError
from sweep.readers.audit import Rule
from sweep.readers.calendar_days import day_of
from sweep.readers.databento_images import ImageRows
from sweep.readers.databento_orders import ORDER_RULES, OrderRows
from sweep.readers.databento_records import RECORD_RULES, groups
from sweep.readers.databento_survey import Source, open_source
from sweep.readers.dbn_file import FLAG_LAST
from sweep.readers.options import option
from sweep.readers.ticks import Request, Rows, Session, Summary

_IMAGE_RULES: Final[dict[str, Rule]] = {
    "level_order": Rule(doc="An image lists its levels from the best on, without holes"),
}
_LOST_RECORDS: Final[dict[str, Rule]] = {
    "lost_records": Rule(
        doc="No record says that others were lost (flag 4); drop: the records up to the next"
        " snapshot are left out, of images none, as the next one tells the whole book",
        actions=("drop", "error", "count"),
    ),
}
RULES: Final[dict[str, Rule]] = RECORD_RULES | _LOST_RECORDS | ORDER_RULES | _IMAGE_RULES


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabentoOptions:
    """Options of the reader of Databento's files."""

    instrument_id: int = option(
        0, "Instrument to read; 0: the only one of the file", "1", 0, 2**32 - 1
    )
    symbol: str = option(
        "", "Symbol to read, as the file's metadata map it; empty: see instrument_id"
    )
    schema: Literal["file", "mbo", "mbp-10", "mbp-1", "tbbo", "trades"] = option(
        "file", "What to read of a live recording, which does not state its schema"
    )
    open_time: str = option(
        "",
        "Time of day at which trading opens, with its zone, like 17:00 America/Chicago;"
        " empty: auctions end with their print",
    )
    pause_minutes: int = option(
        30, "Silence after which an auction may come", "minutes", 1, 1_000_000
    )


def read(request: Request) -> Rows:
    """Read the ticks of one instrument of one file.

    Raises:
        DataError: The file is damaged, or a record breaks a rule.
        InputError: The options fit no instrument of the file, or not its schema.
    """
    source = open_source(request)
    has_orders = source.schema == "mbo"
    rows = OrderRows(source) if has_orders else ImageRows(source)
    ends = _packet_ends if has_orders else _time_ends
    count, last = 0, ""
    for batch in groups(source, ends, "a packet"):
        columns = rows.rows(batch)
        last = batch.where(len(batch) - 1)
        if columns and len(columns["kind"]):
            count += len(columns["kind"])
            yield columns
    if isinstance(rows, OrderRows) and rows.is_packet_open:
        request.audit.hit("open_packet", last, "the file ends inside of a packet, it may be cut")
    if not count:
        raise DataError(f"{request.file}: the records of {source.symbol} make no row")
    return Summary(
        instrument=source.product.exchange_part(visible_levels=source.kind.levels),
        sessions=(Session(name=_session_name(source), row_start=0, row_stop=count),),
        facts=_facts(source, rows),
    )


def _packet_ends(records: npt.NDArray[Any]) -> npt.NDArray[Any]:
    ends: npt.NDArray[Any] = (records["flags"] & FLAG_LAST) > 0
    return ends


def _time_ends(records: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # Whether the time of the last record goes on is not known yet.
    return np.append(np.diff(records["ts_event"]) != 0, values=[False])


def _session_name(source: Source) -> str:
    survey = source.survey
    return day_of(survey.first_ns or survey.last_ns).isoformat()


def _facts(source: Source, rows: OrderRows | ImageRows) -> dict[str, Any]:
    metadata, survey, clock = source.metadata, source.survey, rows.clock
    facts: dict[str, Any] = {
        "product": source.product.to_json(),
        "dataset": metadata.dataset,
        "schema": source.schema,
        "dbn_version": metadata.version,
        "instrument_id": source.instrument_id,
        "symbol": source.symbol,
        "records": survey.counts[source.instrument_id],
        "records_of_other_instruments": sum(survey.counts.values())
        - survey.counts[source.instrument_id],
        "auctions_ns": [list(span) for span in survey.auctions],
        "local_clock": True,
        "latency_min_ns": clock.latency_min_ns,
    }
    if isinstance(rows, OrderRows):
        return facts | {
            "queue_position": "known: every order is recorded",
            "snapshot_orders": clock.snapshot_records,
            "aggressor_fills": rows.own_fills,
            "auction_lots": rows.auction_lots,
            "orders": rows.flow.counts(),
        }
    facts |= {"trades": rows.trades, "traded_lots": rows.traded_lots}
    if source.schema == "trades":
        return facts | {"queue_position": "not knowable: there is no book"}
    if source.schema == "tbbo":
        return facts | {"queue_position": "not knowable: the book is told at trades only"}
    return facts | {"images": rows.images, "queue_position": "estimated: levels without orders"}
