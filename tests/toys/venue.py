"""An exchange driven message by message, in the few words that tests need."""

import json
from typing import Any, Final

import rustsim

BUY: Final = 0
SELL: Final = 1
BID: Final = 0
ASK: Final = 1
SECOND: Final = 1_000_000_000


def exchange(**spec: Any) -> rustsim.SimulatedExchange:
    return rustsim.SimulatedExchange(spec=json.dumps(spec))


def constants(**means_ns: float) -> dict[str, Any]:
    """Return a latency description with constant delays in nanoseconds."""
    return {kind: {"model": "constant", "mean_ns": mean} for kind, mean in means_ns.items()}


def level(
    venue: rustsim.SimulatedExchange, time_ns: int, side: int, price: int, lots: int
) -> list[rustsim.OrderEvent]:
    return venue.on_tick(("level", time_ns, side, price, lots))


def trade(
    venue: rustsim.SimulatedExchange, time_ns: int, side: int, price: int, lots: int
) -> list[rustsim.OrderEvent]:
    return venue.on_tick(("trade", time_ns, side, price, lots))


def kinds(events: list[rustsim.OrderEvent]) -> list[str]:
    return [event.kind for event in events]


def fills(events: list[rustsim.OrderEvent]) -> list[tuple[int, int]]:
    return [(e.order_id, e.quantity_lots) for e in events if e.kind == "filled"]


def ahead(venue: rustsim.SimulatedExchange, order: int) -> float:
    lots = venue.queue_ahead(order)
    assert lots is not None
    return lots
