"""The product catalogue: names, forms of names, days, and the tick tables of Taiwan."""

import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from sweep.errors import InputError
from sweep.products import Product, find_product
from sweep.readers import make_request
from sweep.readers.price_grid import OFF_GRID, PriceGrid, PriceTexts, tick_rule

DAY = datetime.date(2026, 4, 9)


@pytest.mark.parametrize(
    ("name", "tick_value", "profile"),
    [
        ("TXF", 200, "taifex"),
        ("TXFD6", 200, "taifex"),
        ("MXFL5", 50, "taifex"),
        ("MX2D6", 50, "taifex"),
        ("TMFD6", 10, "taifex"),
        ("EXFD6", 200, "taifex"),
        ("FXFD6", 200, "taifex"),
        ("TXO35000Q6", 5, "taifex_options"),
        ("TX235000D6", 5, "taifex_options"),
        ("CDF", 20, "taifex"),
        ("CDFD6", 20, "taifex"),
        ("2330", 10, "twse"),
        ("2881A", 10, "twse"),
        ("0050", 10, "twse_funds"),
        ("006208", 10, "twse_funds"),
        ("00632R", 10, "twse_funds"),
    ],
)
def test_codes_of_taiwan_find_their_product(name: str, tick_value: int, profile: str) -> None:
    product = find_product(name, DAY)
    assert product.name == name
    assert product.tick_value_minor == tick_value
    assert product.venue_profile == profile
    assert product.to_json()["venue_profile"] == profile


@pytest.mark.parametrize("name", ["TXFM6", "TX", "233", "02330", "23300", "GDF", "TXFD66", "XYZ"])
def test_other_codes_are_refused_with_the_known_forms(name: str) -> None:
    with pytest.raises(InputError, match=r"known: TXF.*forms.*data\.source\.product"):
        find_product(name, DAY)


def test_a_form_is_bound_to_days_as_a_name_is() -> None:
    with pytest.raises(InputError, match="TMFD4 is known for 2024-07-29"):
        find_product("TMFD4", datetime.date(2024, 7, 28))


TABLE = {
    "venue": "HOME",
    "currency": "EUR",
    "minor_per_unit": 100,
    "tick_size": "0.5",
    "lot_size": 1,
    "multiplier": 2,
}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("venue", 5),
        ("currency", [1, 2]),
        ("minor_per_unit", "abc"),
        ("minor_per_unit", True),
        ("minor_per_unit", 100.0),
        ("minor_per_unit", 0),
        ("tick_size", True),
        ("tick_size", "NaN"),
        ("tick_size", "half"),
        ("multiplier", "inf"),
        ("steps", 5),
        ("steps", [[1, 2, 3]]),
        ("steps", [[100, 1], [50, 1]]),
        ("steps", [[100, 0]]),
        ("order_lots_max", "abc"),
        ("order_lots_max", -5),
        ("order_lots_max", 1.5),
        ("is_inverse", "no"),
        ("is_inverse", 1),
        ("venue_profile", 5),
        ("since", 2020),
        ("until", "soon"),
    ],
)
def test_a_description_of_another_kind_is_refused_by_its_key(key: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"The product MINE: {key}: expected .*, found"):
        Product.from_table("MINE", {**TABLE, key: value})


def test_a_description_is_whole() -> None:
    assert Product.from_table("MINE", TABLE).tick_value_minor == 100
    with pytest.raises(InputError, match="MINE is described without venue, currency, minor_per"):
        Product.from_table("MINE", {"tick_size": "0.5"})


def test_a_description_is_bound_to_its_days(tmp_path: Path) -> None:
    file = tmp_path / "a.dbn"
    product = {**TABLE, "since": "2026-04-09", "until": "2026-04-10"}
    request = make_request("databento", file, "MINE", product=product)
    assert request.product(DAY).name == "MINE"
    with pytest.raises(InputError, match="MINE is known for 2026-04-09 to 2026-04-10, not for"):
        request.product(datetime.date(2026, 4, 11))


# From, one tick up, one tick down.
BANDS = [
    ("2330", "9.99", "10.00", "9.98"),
    ("2330", "10.00", "10.05", "9.99"),
    ("2330", "49.95", "50.00", "49.90"),
    ("2330", "50", "50.1", "49.95"),
    ("2330", "99.9", "100.0", "99.8"),
    ("2330", "100", "100.5", "99.9"),
    ("2330", "499.5", "500", "499"),
    ("2330", "500", "501", "499.5"),
    ("2330", "999", "1000", "998"),
    ("2330", "1000", "1005", "999"),
    ("0050", "49.99", "50.00", "49.98"),
    ("0050", "50", "50.05", "49.99"),
    ("CDF", "1000", "1001", "999"),
    ("CDF", "2499", "2500", "2498"),
    ("CDF", "2500", "2505", "2499"),
]


@pytest.mark.parametrize(("name", "price", "up", "down"), BANDS)
def test_an_edge_belongs_to_the_higher_band_upwards(
    name: str, price: str, up: str, down: str
) -> None:
    product = find_product(name, DAY)
    texts = PriceTexts(product)
    tick = texts.tick(price)
    assert tick * product.tick_size == Decimal(price)
    assert product.tick_above(tick) == texts.tick(up)
    assert product.tick_below(tick) == texts.tick(down)


@pytest.mark.parametrize(
    ("name", "price"),
    [("2330", "10.01"), ("2330", "1001"), ("0050", "50.01"), ("CDF", "2501"), ("TXF", "20000.5")]
    + [("TXF", text) for text in ("", "x", "NaN", "Infinity", "1e30")],
)
def test_a_price_off_the_grid_is_marked(name: str, price: str) -> None:
    assert PriceTexts(find_product(name, DAY)).tick(price) == OFF_GRID


def test_integers_and_texts_agree_on_the_grid() -> None:
    product = find_product("2330", DAY)
    units = np.arange(1, 120_000)
    ticks, off = PriceGrid(product, Decimal("0.01")).ticks(units)
    texts = PriceTexts(product)
    for unit in [*range(1, 12_000), 99_900, 99_950, 100_000, 100_100, 100_500]:
        tick = texts.tick(str(Decimal(unit) / 100))
        assert off[unit - 1] == (tick == OFF_GRID), unit
        assert off[unit - 1] or ticks[unit - 1] == tick


def test_differences_of_prices_know_the_finest_step_only() -> None:
    product = find_product("CDF", DAY)
    texts = PriceTexts(product, is_difference=True)
    assert texts.tick("-.01") == -1
    assert texts.tick("600.01") == 60_001
    assert texts.tick("0.005") == OFF_GRID


def test_the_tick_rule_carries_the_last_change_forward() -> None:
    price = np.array([10, 10, 11, 11, 9, 9, 10])
    assert tick_rule(price).tolist() == [1, 1, 1, 1, 0, 0, 1]
    assert tick_rule(price, (10, 0)).tolist() == [0, 0, 1, 1, 0, 0, 1]
    assert tick_rule(price, (11, 1)).tolist() == [0, 0, 1, 1, 0, 0, 1]
    assert tick_rule(np.array([], np.int64)).tolist() == []
