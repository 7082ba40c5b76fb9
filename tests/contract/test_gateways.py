"""Every gateway of the house passes the battery."""

from typing import Any, cast

import pytest

from strategies.adapters.rustsim import RustSimAdapter
from strategies.gateway import CANCELLED, FILLED, SteppedGateway
from strategies.testing import GATEWAY_CHECKS, GatewayCheck


def rust_sim(*, latency_ns: int, is_random: bool = False) -> SteppedGateway:
    way: dict[str, object] = {"model": "constant", "mean_ns": latency_ns}
    if is_random:
        way = {"model": "gamma", "mean_ns": latency_ns, "cv": 1.0}
    return RustSimAdapter.from_spec(
        {
            "latency": {"place": way, "cancel": way, "amend": way, "report": way},
            "queue": {"model": "uniform"},
            "impact": {"half_life_ns": 0},
        }
    )


@pytest.mark.parametrize("check", GATEWAY_CHECKS, ids=lambda check: check.__name__)
def test_rust_sim(check: GatewayCheck) -> None:
    check(rust_sim)


class Faulty:
    """A gateway that lies in one way; everything else is the real one."""

    def __init__(self, gateway: SteppedGateway, fault: str) -> None:
        self._gateway = gateway
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gateway, name)

    @property
    def position_lots(self) -> int:
        return self._gateway.position_lots + (self._fault == "position")

    def place_order(self, *args: Any, **options: Any) -> int:
        if self._fault == "post_only":
            options["post_only"] = False
        order_id = self._gateway.place_order(*args, **options)
        return 1 if self._fault == "ids" else order_id

    def cancel_order(self, order_id: int, **options: Any) -> bool:
        return self._gateway.cancel_order(order_id, **options) or self._fault == "cancel"

    def on_tick(self, tick: Any) -> list[Any]:
        return self._changed(self._gateway.on_tick(tick))

    def advance_to(self, local_ns: int) -> list[Any]:
        return self._changed(self._gateway.advance_to(local_ns))

    def _changed(self, events: list[Any]) -> list[Any]:
        if self._fault == "twice":
            return [event for event in events for _ in range(2)]
        if self._fault == "fills lost":
            return [event for event in events if event.kind != FILLED]
        if self._fault == "ends lost":
            return [event for event in events if event.kind != CANCELLED]
        if self._fault == "backwards":
            return events[::-1]
        return events


FAULTS = (
    "position",
    "post_only",
    "ids",
    "cancel",
    "twice",
    "fills lost",
    "ends lost",
    "backwards",
)


@pytest.mark.parametrize("fault", FAULTS)
def test_battery_finds_a_faulty_gateway(fault: str) -> None:
    def make(*, latency_ns: int, is_random: bool = False) -> SteppedGateway:
        gateway = Faulty(rust_sim(latency_ns=latency_ns, is_random=is_random), fault)
        return cast("SteppedGateway", gateway)

    found = 0
    for check in GATEWAY_CHECKS:
        try:
            check(make)
        except AssertionError:
            found += 1
    assert found > 0, f"no check notices: {fault}"
