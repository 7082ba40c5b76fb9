"""Files of Databento, made by the official encoder, and what the reader makes of them."""

import datetime
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import databento_dbn as dbn

from sweep.readers import READERS, make_request
from sweep.readers.dbn_file import UNDEF_PRICE
from sweep.readers.ticks import Ticks, collect

# 2024-03-05 14:30 UTC.
START_NS: Final = 1_709_649_000_000_000_000
SECOND: Final = 10**9
MINUTE: Final = 60 * SECOND
LATENCY: Final = 100_000
TICK: Final = 250_000_000  # of ES, in units of 1e-9
PRICE: Final = 20_000  # in ticks
ES_ID: Final = 118
# The bindings type members of enumerations as their values, which they are not.
ENUM: Final[Any] = dbn

LAST: Final = 128
Record = Any


@dataclass(frozen=True)
class Interval:
    start_date: datetime.date
    end_date: datetime.date
    symbol: str


@dataclass(frozen=True)
class SymbolMap:
    raw_symbol: str
    intervals: list[Interval]


def metadata(schema: str | None, version: int = 3, **changes: Any) -> bytes:
    day = datetime.date(2024, 3, 5)
    maps = [SymbolMap("ESH4", [Interval(day, datetime.date(2024, 3, 6), str(ES_ID))])]
    values: dict[str, Any] = {
        "dataset": "GLBX.MDP3",
        "start": START_NS - 3_600 * SECOND,
        "end": START_NS + 3_600 * 24 * SECOND,
        "stype_in": ENUM.SType.RAW_SYMBOL,
        "stype_out": ENUM.SType.INSTRUMENT_ID,
        "schema": None if schema is None else dbn.Schema.from_str(schema),
        "symbols": ["ESH4"],
        "mappings": maps,
        "version": version,
    }
    return dbn.Metadata(**(values | changes)).encode()


class Recording:
    """Makes records whose times and sequence numbers go on."""

    def __init__(self, ts_out: bool = False) -> None:
        self.records: list[Record] = []
        self.at = START_NS
        self._ts_out = {"ts_out": START_NS + 7} if ts_out else {}

    def _shared(self, action: str, side: str, **changes: Any) -> dict[str, Any]:
        values: dict[str, Any] = {
            "publisher_id": 1,
            "instrument_id": ES_ID,
            "ts_event": self.at,
            "ts_recv": self.at + LATENCY,
            "action": dbn.Action(action),
            "side": dbn.Side(side),
            "sequence": len(self.records) + 1,
            "ts_in_delta": 5,
        }
        return values | self._ts_out | changes

    def order(
        self,
        action: str,
        side: str,
        order_id: int,
        price: int | None,
        size: int,
        flags: int = LAST,
        **changes: Any,
    ) -> None:
        """Add a record of the schema mbo; the price in ticks."""
        values = self._shared(action, side, **changes)
        money = UNDEF_PRICE if price is None else price * TICK
        self.records.append(
            dbn.MBOMsg(order_id=order_id, price=money, size=size, flags=flags, **values)
        )
        self.at += SECOND if flags & LAST else 0

    def image(
        self,
        action: str,
        side: str,
        price: int,
        size: int,
        bids: list[tuple[int, int]],
        asks: list[tuple[int, int]],
        depth: int = 1,
        flags: int = LAST,
        **changes: Any,
    ) -> None:
        """Add a record with `depth` levels a side: (price in ticks, lots)."""
        levels = []
        for level in range(depth):
            bid = bids[level] if level < len(bids) else None
            ask = asks[level] if level < len(asks) else None
            levels.append(
                dbn.BidAskPair(
                    bid_px=bid[0] * TICK if bid else UNDEF_PRICE,
                    ask_px=ask[0] * TICK if ask else UNDEF_PRICE,
                    bid_sz=bid[1] if bid else 0,
                    ask_sz=ask[1] if ask else 0,
                    bid_ct=1 if bid else 0,
                    ask_ct=1 if ask else 0,
                )
            )
        values = self._shared(action, side, **changes) | {"depth": 0, "flags": flags}
        values |= {"price": price * TICK, "size": size}
        # Typed as a list, which one level is not.
        make: Any = dbn.MBP1Msg if depth == 1 else dbn.MBP10Msg
        self.records.append(make(levels=levels[0] if depth == 1 else levels, **values))
        self.at += SECOND if flags & LAST else 0

    def trade(self, side: str, price: int, size: int, **changes: Any) -> None:
        """Add a record of the schema trades."""
        values = self._shared("T", side, **changes) | {"depth": 0, "flags": LAST}
        self.records.append(dbn.TradeMsg(price=price * TICK, size=size, **values))
        self.at += SECOND

    def content(self, schema: str | None = "mbo", version: int = 3, **changes: Any) -> bytes:
        head = metadata(schema, version, ts_out=bool(self._ts_out), **changes)
        return head + b"".join(bytes(record) for record in self.records)

    def write(self, folder: Path, schema: str | None = "mbo", **changes: Any) -> Path:
        path = folder / "a.dbn"
        path.write_bytes(self.content(schema, **changes))
        return path


def orders(**settings: Any) -> Recording:
    """Return orders, an execution told twice, a partial one, a moved aggressor, a print."""
    made = Recording(**settings)
    made.order("A", "B", 1, PRICE, 5)
    made.order("A", "B", 2, PRICE, 3)
    made.order("A", "A", 3, PRICE + 1, 4)
    # Seven lots are sold: order 1 whole, two lots of order 2.
    made.order("T", "A", 90, PRICE, 7, flags=0)
    made.order("F", "B", 1, PRICE, 5, flags=0)
    made.order("F", "B", 2, PRICE, 2, flags=0)
    made.order("C", "B", 1, PRICE, 5, flags=0)
    made.order("M", "B", 2, PRICE, 1)
    # Order 4 is moved through the spread: it is the aggressor, and known.
    made.order("A", "B", 4, PRICE - 2, 2)
    made.order("T", "B", 4, PRICE + 1, 1, flags=0)
    made.order("F", "B", 4, PRICE + 1, 1, flags=0)
    made.order("F", "A", 3, PRICE + 1, 1, flags=0)
    made.order("M", "A", 3, PRICE + 1, 3, flags=0)
    made.order("M", "B", 4, PRICE, 1)
    made.order("C", "A", 3, PRICE + 1, 3)
    return made


def images(depth: int) -> Recording:
    made = Recording()
    for step in range(4):
        bids = [(PRICE - level - step, 3 + level) for level in range(depth - step)]
        asks = [(PRICE + 1 + level, 4 + level + step) for level in range(depth)]
        made.image("A", "B", PRICE, 1, bids, asks, depth)
    return made


def trades() -> Recording:
    made = Recording()
    for step in range(4):
        made.trade("AB"[step % 2], PRICE + step, 1 + step)
    return made


def compressed(content: bytes) -> bytes:
    """Return content under Zstandard with checksums, as the official encoder writes it."""
    out = io.BytesIO()
    coder = dbn.Transcoder(out, dbn.Encoding.from_str("dbn"), dbn.Compression.from_str("zstd"))
    coder.write(content)
    coder.flush()
    coder.finish()
    return out.getvalue()


def rows_of(ticks: Ticks) -> list[tuple[int, ...]]:
    names = ("kind", "side", "flags", "price", "qty", "join")
    columns = [ticks.columns[name].tolist() for name in names if name in ticks.columns]
    return list(zip(*columns, strict=True))


def read(path: Path, instrument: str = "ES", **settings: Any) -> tuple[Ticks, dict[str, int]]:
    request = make_request("databento", path, instrument, **settings)
    ticks = collect(READERS["databento"].read(request))
    return ticks, {name: row["count"] for name, row in request.audit.report().items()}
