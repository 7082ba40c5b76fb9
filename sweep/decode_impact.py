"""The market's answer to our orders: what takers used up, who reacts to us, what it would cost."""

from dataclasses import dataclass
from typing import Final

from sweep.document import did_you_mean
from sweep.reading import Fields, Leaf, Rule

MS_MAX: Final = 8.64e7  # a day

# Models of the charge and their numbers: rule, and default (None: must be given).
CHARGES: Final[dict[str, dict[str, tuple[Rule, float | None]]]] = {
    "square_root": {
        "y": (Rule(kind="float", low=0.0, high=100.0), 1.0),
        "daily_sigma_bp": (
            Rule(kind="float", low=0.0, high=1e4, unit="1/10,000 of the price"),
            None,
        ),
        "daily_volume_lots": (Rule(kind="float", low=1.0, high=1e15, unit="lots"), None),
        "parent_gap_ms": (Rule(kind="float", low=0.0, high=MS_MAX, unit="milliseconds"), 0.0),
    },
    "propagator": {
        "g0_ticks": (Rule(kind="float", low=0.0, high=1e6, unit="ticks"), None),
        "delta": (Rule(kind="float", low=0.0, high=1.0), 0.5),
        "tau0_ms": (Rule(kind="float", low=1e-6, high=MS_MAX, unit="milliseconds"), None),
        "gamma": (Rule(kind="float", low=0.0, high=10.0), 0.5),
    },
}
CHARGE_HINT: Final = (
    "For example {square_root: {daily_volume_lots: 90000, daily_sigma_bp: 110}} or "
    "{propagator: {g0_ticks: 0.05, tau0_ms: 1000}}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """What `world.impact` says; fields as of `WorldSection`."""

    half_life_ms: Leaf | None
    reaction: Leaf
    charge: dict[str, Leaf] | None


def decode_impact(fields: Fields) -> Impact:
    """Return the section `world.impact`."""
    half_life = Rule(kind="float", low=0.0, high=1e9, unit="milliseconds")
    fields.allow("half_life_ms")
    refill = fields.leaf("half_life_ms", half_life) if fields.has("half_life_ms") else None
    reaction = fields.leaf("reaction", Rule(kind="float", low=-1.0, high=1.0), 0.0)
    charge = _charge(fields)
    fields.close()
    return Impact(half_life_ms=refill, reaction=reaction, charge=charge)


def _charge(fields: Fields) -> dict[str, Leaf] | None:
    node = fields.node("charge")
    if node is None:
        return None
    problems = fields.reading.problems
    if not isinstance(node.value, dict) or len(node.value) != 1:
        problems.add(node, f"Expected one model of impact, found {node.describe()}", CHARGE_HINT)
        return None
    model, numbers_node = next(iter(node.value.items()))
    if model not in CHARGES:
        message = f"Unknown model of impact {model!r}"
        problems.add(numbers_node, message, did_you_mean(model, CHARGES), at_key=True)
        return None
    numbers = Fields(numbers_node, fields.reading)
    charge: dict[str, Leaf] = {"model": model}
    for key, (rule, default) in CHARGES[model].items():
        charge[key] = numbers.leaf(key, rule, default)
    numbers.close()
    return charge
