"""Worked numbers of the account, from Python through the compiled core."""

import pytest

import rustsim
from tests.toys.venue import ASK, BID, BUY, SECOND, SELL, exchange, fills, trade

# Side, lots, price, maker?, bid; then the expected fee, position, cash, equity, realised result
# (first in, first out) and three times the realised result at average cost.
ACCOUNT = [
    (BUY, 2, 18_000, True, 18_000, (184, 2, -7_200_000, 16, 0, 0)),
    (BUY, 1, 18_002, False, 18_001, (92, 3, -10_800_400, 224, 0, 0)),
    (SELL, 2, 18_005, True, 18_004, (184, 1, -3_598_400, 2_040, 2_000, 5_200)),
    (SELL, 3, 18_001, False, 18_001, (276, -2, 7_202_200, 864, 1_800, 5_400)),
    (BUY, 2, 17_998, True, 17_998, (184, 0, 3_000, 2_080, 3_000, 9_000)),
]


def account_after(count: int, tick_value: int = 200) -> rustsim.ReplayResult:
    """Trade the first rows of the table in a market with a spread of one tick."""
    fees = {"commission_per_lot_minor": 20, "tax_rate_e9": 20_000, "grain": "fill"}
    venue = exchange(instrument={"tick_value_minor": tick_value}, fees=fees)
    for row, (side, lots, price, is_maker, bid, _) in enumerate(ACCOUNT[:count]):
        now = row * SECOND
        venue.on_tick(("book", now, [(bid, 10)], [(bid + 1, 10)]))
        venue.place_order(side, price, lots)
        events = venue.advance_to(now + 1)
        if is_maker:
            events += trade(venue, now + 2, BID if side == BUY else ASK, price, 10 + lots)
        assert [e.is_maker for e in events if e.kind == "filled"] == [is_maker]
    return venue.finish()


@pytest.mark.parametrize("row", range(5))
def test_account_follows_the_worked_example(row: int) -> None:
    fee, position, cash, equity, fifo, average_x3 = ACCOUNT[row][-1]
    result = account_after(row + 1)
    ledger, table = result.ledger, result.fills()
    assert table["fee_minor"][row] + table["tax_minor"][row] == fee
    assert table["position_lots"][row] == position
    assert table["mid2_ticks"][row] == 2 * ACCOUNT[row][4] + 1
    assert ledger["cash_minor"] == cash
    assert ledger["equity_minor_x2"] == 2 * equity
    assert ledger["realised_fifo_minor"] == fifo
    assert ledger["realised_average_minor_floor"] == average_x3 // 3
    # Three times the tick value shows the thirds as whole units.
    assert account_after(row + 1, 600).ledger["realised_average_minor_floor"] == average_x3


def test_account_splits_exactly_into_spread_inventory_and_fees() -> None:
    ledger = account_after(5).ledger
    assert ledger["fees_minor"] + ledger["tax_minor"] == 920
    assert ledger["spread_capture_minor_x2"] == 2 * 200
    assert ledger["inventory_minor_x2"] == 2 * 2_800
    assert ledger["equity_minor_x2"] == 2 * (200 + 2_800 - 920) == 2 * 2_080


def test_account_adds_up_term_by_term() -> None:
    # Twice the sums so far in ticks times lots: 1 - 0.5 + 1 - 1.5 + 1 and 2 + 9 - 3 + 6.
    sums = [(2, 0), (1, 4), (3, 22), (0, 16), (2, 28)]
    for row, (spread, inventory) in enumerate(sums):
        ledger = account_after(row + 1).ledger
        assert ledger["spread_capture_minor_x2"] == 200 * spread
        assert ledger["inventory_minor_x2"] == 200 * inventory


def test_markout_is_spread_capture_less_adverse_selection() -> None:
    # Buy 2 at 100 with the mid at 100.5; 99.5 five seconds later.
    venue = exchange()
    venue.on_tick(("book", 0, [(100, 1)], [(101, 1)]))
    venue.place_order(BUY, 100, 2)
    assert fills(trade(venue, 1, BID, 100, 3)) == [(1, 2)]
    venue.on_tick(("book", 3 * SECOND, [(99, 1)], [(100, 1)]))
    venue.on_tick(("book", 6 * SECOND, [(105, 1)], [(106, 1)]))
    ledger = venue.finish().ledger
    assert ledger["spread_capture_minor_x2"] == 2
    assert ledger["markout_5s_tick_lots_x2"] == -2
    assert ledger["spread_capture_minor_x2"] - ledger["markout_5s_tick_lots_x2"] == 2 * 2


EQUITY = [0, 100, 250, 180, 90, 300, 260, 400, 350, 370]


def test_drawdown_is_the_deepest_fall_from_an_earlier_peak() -> None:
    venue = exchange()
    venue.on_tick(("book", 0, [(1_000, 5)], [(1_002, 5)]))
    venue.place_order(BUY, 1_002, 1)
    venue.advance_to(0)
    for step, equity in enumerate(EQUITY):
        bid = 1_001 + equity
        venue.on_tick(("book", (step + 1) * SECOND, [(bid, 5)], [(bid + 2, 5)]))
    result = venue.finish()
    assert result.ledger["equity_minor_x2"] == 2 * 370
    assert result.metrics["max_drawdown"] == 160


def test_ratios_come_from_increments_at_a_fixed_interval() -> None:
    minute = 60 * SECOND
    venue = exchange()
    venue.on_tick(("book", 0, [(1_000, 5)], [(1_002, 5)]))
    venue.place_order(BUY, 1_001, 1)
    venue.advance_to(0)
    # A print through the bid fills it at the mid: the equity starts at 0.
    assert fills(trade(venue, 0, BID, 1_000, 1)) == [(1, 1)]
    for step, equity in enumerate(EQUITY[1:], start=1):
        bid = 1_000 + equity
        venue.on_tick(("book", step * minute, [(bid, 5)], [(bid + 2, 5)]))
    metrics = venue.finish().metrics
    mean = metrics["net_pnl"] / 9
    assert mean == pytest.approx(41.1111, rel=1e-5)
    assert metrics["pnl_per_minute_sd"] == pytest.approx(110.9554, rel=1e-6)
    assert metrics["sharpe_per_minute"] == pytest.approx(0.370519, rel=1e-5)
    assert metrics["pnl_per_minute_downside"] == pytest.approx(43.588989, rel=1e-6)
    assert metrics["sortino_per_minute"] == pytest.approx(0.943154, rel=1e-6)
