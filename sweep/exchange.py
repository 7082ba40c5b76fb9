"""From the words of a study to the description of an exchange that the compiled core takes."""

import json
from collections.abc import Mapping
from typing import Any

from sweep.errors import InputError
from sweep.schema import LATENCY_KEYS, LATENCY_LEGS

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
E9 = 1_000_000_000


def exchange_spec(
    instrument: Mapping[str, Any],
    venue: Mapping[str, Any],
    world: Mapping[str, Any],
    *,
    seed: int,
    replication: int,
    traces: Mapping[str, str] | None = None,
) -> str:
    """Return the JSON description of one cell's exchange (docs/interfaces.md).

    Args:
        instrument: As stored in the tape; the venue's own words win.
        venue: Resolved venue section.
        world: Resolved world section.
        seed: Of the study. No trial number enters: all trials meet the same weather.
        replication: Which random world.
        traces: Mapped files of recorded latencies, by the names that the world gives them.
    """
    product = dict(instrument)
    for key, name in (
        ("tick_value", "tick_value_minor"),
        ("visible_levels", "visible_levels"),
        ("order_lots_max", "max_order_lots"),
    ):
        if venue[key] is not None:
            product[name] = venue[key]
    spec: dict[str, Any] = {
        "instrument": product,
        "fees": {
            "commission_per_lot_minor": venue["commission_per_lot"],
            "maker_rate_e9": round(venue["maker_rate"] * E9),
            "taker_rate_e9": round(venue["taker_rate"] * E9),
            "minimum_minor": venue["fee_minimum"],
            "tax_rate_e9": round(venue["tax_rate"] * E9),
            "grain": venue["grain"],
        },
        "rules": {"amend_below_filled": world["amend_below_filled"]},
        "seed": seed,
        "replication": replication,
    }
    if world.get("is_naive"):
        spec["world"] = "naive"
    else:
        spec["latency"] = _latency(world, traces or {})
        spec["queue"] = _queue(world)
        spec["impact"] = _impact(world)
        if world.get("certificates"):
            spec["certificates"] = True
    return json.dumps(spec, allow_nan=False)


def check_money(instrument: Mapping[str, Any], tick_value: int | None) -> None:
    """Refuse a product whose money is not linear in the price, unless the study gives a value.

    Args:
        instrument: As stored in the tape.
        tick_value: The venue's own word, in minor units.

    Raises:
        InputError: The product is an inverse contract and the venue gives no tick value.
    """
    # A tape without a value is refused by the core, which names the key.
    if tick_value is None and instrument.get("tick_value_minor", 0) is None:
        message = f"{instrument['name']} is an inverse contract: its money is not linear in price"
        hint = "Give venue.tick_value, the worth of one tick of one lot near the prices recorded"
        raise InputError(f"{message}. {hint}")


def _ns(us: float) -> int:
    return round(us * NS_PER_US)


def _latency(world: Mapping[str, Any], traces: Mapping[str, str]) -> dict[str, Any]:
    latency: dict[str, Any] = {
        leg: latency_spec(world["latency"][leg], traces) for leg in LATENCY_LEGS
    }
    latency["sessions"] = world["sessions"]
    latency["gap_ns"] = _ns(world["gap_us"])
    latency["loss_probability"] = world["loss_probability"]
    latency["loss_timeout_ns"] = _ns(world["loss_timeout_us"])
    latency["reject_probability"] = world["reject_probability"]
    latency["backlog_capacity_per_us"] = world["backlog_capacity_per_us"]
    if world.get("weather") is not None:
        weather = world["weather"]
        latency["weather"] = {"tau_ns": _ns(weather["tau_us"]), "weight": weather["weight"]}
    if world.get("regime") is not None:
        latency["regime"] = {f"{key[:-3]}_ns": _ns(us) for key, us in world["regime"].items()}
    return latency


def latency_spec(leg: Mapping[str, Any], traces: Mapping[str, str]) -> dict[str, Any]:
    """Return the latency of one kind of message, resolved, as the compiled core takes it."""
    spec: dict[str, Any] = {"model": leg["model"]}
    for key in LATENCY_KEYS[leg["model"]]:
        value = leg[key]
        if key == "quantiles":
            spec[key] = [[p, latency_us * NS_PER_US] for p, latency_us in value]
        elif key == "modes":
            spec[key] = [
                {"weight": m["weight"], "latency": latency_spec(m["latency"], traces)}
                for m in value
            ]
        elif key == "file":
            spec[key] = traces[value]
        elif key.endswith("_us"):
            spec[f"{key.removesuffix('_us')}_ns"] = _ns(value)
        else:
            spec[key] = value
    if leg.get("stressed") is not None:
        spec["stressed"] = latency_spec(leg["stressed"], traces)
    return spec


def _queue(world: Mapping[str, Any]) -> dict[str, Any]:
    spec = {"model": world["queue"], "mode": world["queue_mode"]}
    if world["queue"].startswith("power"):
        spec["n"] = world["queue_power"]
    elif world["queue"].startswith("odds"):
        spec |= {"alpha": world["queue_alpha"], "beta": world["queue_beta"]}
    if world["queue"] == "odds_size":
        spec["gamma"] = world["queue_gamma"]
    return spec


def _impact(world: Mapping[str, Any]) -> dict[str, Any]:
    half_life = world["impact_half_life_ms"]
    spec: dict[str, Any] = {
        "half_life_ns": None if half_life is None else round(half_life * NS_PER_MS),
        "reaction": world.get("impact_reaction", 0.0),
    }
    if world.get("impact_charge") is not None:
        charge = spec["charge"] = dict(world["impact_charge"])
        for key in [key for key in charge if key.endswith("_ms")]:
            charge[f"{key.removesuffix('_ms')}_ns"] = round(charge.pop(key) * NS_PER_MS)
    return spec
