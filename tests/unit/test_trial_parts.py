"""Pure parts of a trial: filled templates, the exchange's description, the series, the digest."""

import json
from typing import Any

import pytest

from sweep.errors import InputError
from sweep.exchange import check_money, exchange_spec
from sweep.space import Scalar
from sweep.template import constants, fill

INSTRUMENT = {"name": "TXF", "tick_value_minor": 200, "visible_levels": 5}
VENUE: dict[str, Any] = {
    "profile": "taifex",
    "commission_per_lot": 13,
    "tick_value": None,
    "tax_rate": 0.00002,
    "maker_rate": -0.0001,
    "taker_rate": 0.0,
    "fee_minimum": 0,
    "grain": "lot",
    "visible_levels": None,
    "order_lots_max": 100,
}
LEG = {"model": "constant", "mean_us": 0.0, "cv": 1.0, "floor_us": 0.0}
WORLD: dict[str, Any] = {
    "latency": {
        "place": {"model": "gamma", "mean_us": 5000.0004, "cv": 0.5, "floor_us": 300.0},
        "cancel": {**LEG, "mean_us": 20000.0, "floor_us": 7.0},
        "amend": LEG,
        "report": LEG,
        "feed": LEG,
    },
    "sessions": "fifo",
    "reject_probability": 0.0,
    "gap_us": 1.5,
    "loss_probability": 0.0,
    "loss_timeout_us": 1e6,
    "backlog_capacity_per_us": None,
    "queue": "power",
    "queue_power": 2,
    "queue_alpha": 0.0,
    "queue_beta": 1.0,
    "queue_mode": "expected",
    "replications": 1,
    "impact_half_life_ms": 250.0,
    "amend_below_filled": "reject",
}


def test_exchange_description_is_in_integers_of_its_units() -> None:
    text = exchange_spec(INSTRUMENT, VENUE, WORLD, seed=7, replication=3)
    assert json.loads(text) == {
        "instrument": {**INSTRUMENT, "max_order_lots": 100},
        "fees": {
            "commission_per_lot_minor": 13,
            "maker_rate_e9": -100_000,
            "taker_rate_e9": 0,
            "minimum_minor": 0,
            "tax_rate_e9": 20_000,
            "grain": "lot",
        },
        "latency": {
            "place": {"model": "gamma", "mean_ns": 5_000_000, "cv": 0.5, "floor_ns": 300_000},
            "cancel": {"model": "constant", "mean_ns": 20_000_000},
            "amend": {"model": "constant", "mean_ns": 0},
            "report": {"model": "constant", "mean_ns": 0},
            "feed": {"model": "constant", "mean_ns": 0},
            "sessions": "fifo",
            "gap_ns": 1500,
            "loss_probability": 0.0,
            "loss_timeout_ns": 1_000_000_000,
            "reject_probability": 0.0,
            "backlog_capacity_per_us": None,
        },
        "queue": {"model": "power", "n": 2, "mode": "expected"},
        "rules": {"amend_below_filled": "reject"},
        "impact": {"half_life_ns": 250_000_000, "reaction": 0.0},
        "seed": 7,
        "replication": 3,
    }


def test_venue_wins_over_the_instrument() -> None:
    venue = {**VENUE, "tick_value": 50, "visible_levels": 0}
    spec = json.loads(exchange_spec(INSTRUMENT, venue, WORLD, seed=0, replication=0))
    assert spec["instrument"]["tick_value_minor"] == 50
    assert spec["instrument"]["visible_levels"] == 0


def test_inverse_contract_needs_a_tick_value() -> None:
    inverse = {**INSTRUMENT, "name": "XBTUSD", "tick_value_minor": None}
    with pytest.raises(InputError, match=r"XBTUSD is an inverse contract.*Give venue\.tick_value"):
        check_money(inverse, None)
    check_money(inverse, 7)
    check_money(INSTRUMENT, None)


TEMPLATE = {"a": {"$": "world.a"}, "b": {"c": {"$": "world.b.c"}, "d": 5, "e": None}}


def test_template_is_filled_by_parameters() -> None:
    params: dict[str, Scalar] = {"world.a": 1.5, "world.b.c": "back", "unused": 1}
    assert fill(TEMPLATE, params) == {"a": 1.5, "b": {"c": "back", "d": 5, "e": None}}


def test_missing_parameter_is_an_error() -> None:
    with pytest.raises(InputError, match=r"no value for the searched parameter world\.b\.c"):
        fill(TEMPLATE, {"world.a": 1.5})


def test_constants_are_the_fixed_leaves() -> None:
    assert constants(TEMPLATE, "world") == {"world.b.d": 5}
