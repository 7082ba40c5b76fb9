"""Every gateway of the house passes the battery."""

import pytest

from strategies.adapters.rustsim import RustSimAdapter
from strategies.gateway import SteppedGateway
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
