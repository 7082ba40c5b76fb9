"""Every strategy of the house passes the battery."""

import pytest

from strategies.base import Strategy
from strategies.gateway import BUY, ExecutionGateway, MarketView
from strategies.inventory_maker import InventoryMakerParams, InventoryMakerStrategy
from strategies.maker import MakerParams, MakerStrategy
from strategies.testing import STRATEGY_CHECKS, StrategyCase, StrategyCheck


def maker_case(*, half: float, skew: float, threshold: int, limit: int, lots: int) -> StrategyCase:
    params = MakerParams(
        half_spread_ticks=half,
        skew_ticks_per_lot=skew,
        requote_threshold_ticks=threshold,
        position_limit_lots=limit,
        order_lots=lots,
    )

    def make(gateway: ExecutionGateway) -> Strategy:
        return MakerStrategy(gateway, params)

    return StrategyCase(make=make, position_limit_lots=limit)


def inventory_case(*, levels: int, limit: int, lots: int, risk: float) -> StrategyCase:
    params = InventoryMakerParams(
        risk_aversion=risk,
        fill_decay=1.5,
        levels=levels,
        position_limit_lots=limit,
        order_lots=lots,
    )

    def make(gateway: ExecutionGateway) -> Strategy:
        return InventoryMakerStrategy(gateway, params)

    return StrategyCase(make=make, position_limit_lots=limit)


CASES = {
    "inventory maker, one level": inventory_case(levels=1, limit=1, lots=1, risk=0.1),
    "inventory maker, four levels": inventory_case(levels=4, limit=7, lots=2, risk=0.5),
    "inventory maker, clip above limit": inventory_case(levels=3, limit=5, lots=10, risk=1e-3),
    "maker, small": maker_case(half=0.5, skew=0.0, threshold=1, limit=1, lots=1),
    "maker, skewed": maker_case(half=1.5, skew=0.7, threshold=2, limit=6, lots=4),
    "maker, clip above limit": maker_case(half=0.0, skew=3.0, threshold=1, limit=3, lots=10),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("check", STRATEGY_CHECKS, ids=lambda check: check.__name__)
def test_strategy(check: StrategyCheck, name: str) -> None:
    check(CASES[name])


class Reckless(Strategy):
    """Breaks every promise: no limit, two orders a tick, no cancel at the end."""

    def on_tick(self, view: MarketView) -> None:
        self.gateway.place_order(BUY, 1_000, 1)
        self.gateway.place_order(BUY, 1_000, 1)

    def on_order_event(self, event: object) -> None:
        self.gateway.place_order(BUY, 1_000, id(event) % 7 + 1)


@pytest.mark.parametrize("check", STRATEGY_CHECKS, ids=lambda check: check.__name__)
def test_battery_finds_a_reckless_strategy(check: StrategyCheck) -> None:
    case = StrategyCase(
        make=lambda gateway: Reckless(gateway, Reckless.Params()), position_limit_lots=5
    )
    with pytest.raises(AssertionError):
        check(case)
