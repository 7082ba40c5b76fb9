"""Products: what one tick and one lot of an instrument are, by name and date.

The catalogue is `products.toml` beside this file: products by name, and by the form of a name
where a venue gives one rule to thousands of codes. A study may describe a product of its own, or
another version of a known one, under `data.source.product`.
"""

import dataclasses
import datetime
import functools
import itertools
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Self

from sweep.errors import InputError

CATALOGUE: Final = Path(__file__).with_name("products.toml")
FOREVER: Final = datetime.date.max


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One version of a product.

    Attributes:
        name: Name that study files use.
        venue: Where it trades.
        currency: ISO code, or the name of a coin.
        minor_per_unit: Minor units in one unit of the currency; money is counted in minor units.
        tick_size: Price of one step of the price ladder: the finest step of the product.
        steps: Coarser steps by price: pairs (from this price on, step), ascending.
        lot_size: Units of a recorded quantity in one lot.
        multiplier: Money, in units of the currency, of a price of 1 for a recorded quantity of 1;
            for an inverse contract the currency's units that a recorded quantity of 1 stands for.
        is_inverse: Whether it is quoted in the currency and paid in the coin, so that money is not
            linear in the price: its ticks can be read, and a replay needs `venue.tick_value`.
        order_lots_max: Largest order in lots, None for no limit.
        venue_profile: Name of the rules by which the venue trades it: sessions, auctions, order
            types, fees; empty where none is described.
        since: First day of this version.
        until: Last day of this version.
    """

    name: str
    venue: str
    currency: str
    minor_per_unit: int
    tick_size: Decimal
    lot_size: Decimal
    multiplier: Decimal
    steps: tuple[tuple[Decimal, Decimal], ...] = ()
    order_lots_max: int | None = None
    is_inverse: bool = False
    venue_profile: str = ""
    since: datetime.date = datetime.date.min
    until: datetime.date = FOREVER

    def __post_init__(self) -> None:
        for field in ("tick_size", "lot_size", "multiplier", "minor_per_unit"):
            if not getattr(self, field) > 0:
                raise InputError(f"{self.name}: {field} must be positive")
        for price, step in self.steps:
            if step % self.tick_size or price % step:
                message = f"{self.name}: a step of {step} from {price} on is not on the ladder"
                raise InputError(message)
        if not self.is_inverse and self._tick_value.denominator != 1:
            message = f"{self.name}: one tick of one lot is {self._tick_value} minor units"
            raise InputError(f"{message}, expected an integer: raise minor_per_unit")

    @property
    def _tick_value(self) -> Fraction:
        factors = (self.tick_size, self.lot_size, self.multiplier, self.minor_per_unit)
        product = Fraction(1)
        for factor in factors:
            product *= Fraction(factor)
        return product

    @property
    def tick_value_minor(self) -> int:
        """Value of one tick for one lot, in minor units: tick x lot x multiplier x minor units.

        TXF: 1 point x 1 contract x 200 NTD = 200. BTCUSDT: 0.1 x 0.001 x 1 USDT x 10^8 = 10,000.
        """
        return self._tick_value.numerator

    def step_ticks(self) -> tuple[tuple[int, int], ...]:
        """Return the steps as (from tick, step in ticks), the finest first."""
        finest = ((0, 1),) if not self.steps or self.steps[0][0] > 0 else ()
        found = (
            (int(price / self.tick_size), int(step / self.tick_size)) for price, step in self.steps
        )
        return (*finest, *found)

    def tick_above(self, tick: int) -> int:
        """Return the next price up, in ticks; at the edge of a band by the higher band's step."""
        step = [step for low, step in self.step_ticks() if low <= tick][-1]
        return (tick // step + 1) * step

    def tick_below(self, tick: int) -> int:
        """Return the next price down from at least 1 tick; at an edge by the lower band's step."""
        step = [step for low, step in self.step_ticks() if low < tick][-1]
        return (tick - 1) // step * step

    def exchange_part(self, *, visible_levels: int) -> dict[str, Any]:
        """Return the part `instrument` of an exchange description; price limits are not known.

        Args:
            visible_levels: Levels a side that the feed shows, 0 for all.
        """
        return {
            "name": self.name,
            "tick_value_minor": None if self.is_inverse else self.tick_value_minor,
            "price_min": None,
            "price_max": None,
            "visible_levels": visible_levels,
            "max_order_lots": self.order_lots_max,
        }

    def to_json(self) -> dict[str, Any]:
        """Return the product as plain JSON, for the facts of a tape."""
        return {
            "name": self.name,
            "venue": self.venue,
            "currency": self.currency,
            "minor_per_unit": self.minor_per_unit,
            "tick_size": str(self.tick_size),
            "lot_size": str(self.lot_size),
            "multiplier": str(self.multiplier),
            "steps": [[str(price), str(step)] for price, step in self.steps],
            "order_lots_max": self.order_lots_max,
            "is_inverse": self.is_inverse,
            "venue_profile": self.venue_profile,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
        }

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any]) -> Self:
        """Return a product from plain values: numbers may be texts, so that 0.1 stays 0.1.

        Raises:
            InputError: A key is unknown or missing, or a value does not fit.
        """
        fields = {field.name: field for field in dataclasses.fields(cls) if field.name != "name"}
        for key in table:
            if key not in fields:
                message = f"The product {name} has no key {key!r}"
                raise InputError(f"{message}; known: {', '.join(fields)}")
        missing = [
            key
            for key, field in fields.items()
            if key not in table and field.default is dataclasses.MISSING
        ]
        if missing:
            message = f"The product {name} is described without {', '.join(missing)}"
            raise InputError(f"{message}: a description takes the place of the catalogue's, whole")
        values: dict[str, Any] = {}
        for key, value in table.items():
            expected, parse = _KINDS[key]
            try:
                values[key] = parse(value)
            except (TypeError, ValueError, ArithmeticError) as error:
                message = f"The product {name}: {key}: expected {expected}, found {value!r}"
                raise InputError(message) from error
        return cls(name=name, **values)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    if value < 1:
        raise ValueError
    return value


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _number(value: Any) -> Decimal:
    if isinstance(value, bool):
        raise TypeError
    number = Decimal(str(value))
    if not number.is_finite():
        raise ValueError
    return number


def _day(value: Any) -> datetime.date:
    return value if type(value) is datetime.date else datetime.date.fromisoformat(value)


def _steps(value: Any) -> tuple[tuple[Decimal, Decimal], ...]:
    steps = tuple((_number(price), _number(step)) for price, step in value)
    prices = [price for price, _ in steps]
    if any(high <= low for low, high in itertools.pairwise(prices)):
        raise ValueError
    if any(step <= 0 for _, step in steps):
        raise ValueError
    return steps


# What each key of a description may be, in words and as a function that refuses all else.
_KINDS: Final[Mapping[str, tuple[str, Callable[[Any], Any]]]] = {
    "venue": ("a text", _text),
    "currency": ("a text", _text),
    "minor_per_unit": ("an integer of at least 1", _whole),
    "tick_size": ("a number", _number),
    "lot_size": ("a number", _number),
    "multiplier": ("a number", _number),
    "steps": ("pairs [from this price on, step] by rising price", _steps),
    "order_lots_max": (
        "an integer of at least 1",
        lambda value: None if value is None else _whole(value),
    ),
    "is_inverse": ("true or false", _switch),
    "venue_profile": ("a text", _text),
    "since": ("a day as 2026-01-31", _day),
    "until": ("a day as 2026-01-31", _day),
}


def find_product(name: str, on: datetime.date) -> Product:
    """Return the version of a product that held on a day.

    A product listed under exactly this name comes before one whose names have this form.

    Raises:
        InputError: The catalogue does not know the product, or not on that day.
    """
    versions = product_versions(name)
    if not versions:
        known = ", ".join(_catalogue().names)
        message = f"The catalogue has no product {name!r}; known: {known}"
        forms = ", ".join(pattern.pattern for pattern, _ in _catalogue().forms)
        raise InputError(
            f"{message}, and names of the forms {forms}; describe it under data.source.product"
        )
    return version_on(versions, on)


def version_on(versions: Sequence[Product], on: datetime.date) -> Product:
    """Return the one of a product's versions that held on a day.

    Raises:
        InputError: None did.
    """
    for version in versions:
        if version.since <= on <= version.until:
            return version
    name = versions[0].name
    spans = ", ".join(f"{version.since} to {version.until}" for version in versions)
    raise InputError(f"The product {name} is known for {spans}, not for {on}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Catalogue:
    """Products by name, in versions; and tables by the form of a name, in the order of the file."""

    names: Mapping[str, tuple[Product, ...]]
    forms: tuple[tuple[re.Pattern[str], Mapping[str, Any]], ...]


def products() -> Mapping[str, tuple[Product, ...]]:
    """Return the versions of every product that the catalogue names, in the order of the file."""
    return _catalogue().names


def product_forms() -> list[Product]:
    """Return the products that the catalogue knows by the form of their names, as names."""
    return [Product.from_table(form.pattern, table) for form, table in _catalogue().forms]


def product_versions(name: str) -> tuple[Product, ...]:
    """Return all versions of a product, none if the catalogue does not know it."""
    catalogue = _catalogue()
    if name in catalogue.names:
        return catalogue.names[name]
    return tuple(
        Product.from_table(name, table)
        for pattern, table in catalogue.forms
        if pattern.fullmatch(name)
    )


@functools.cache
def _catalogue() -> _Catalogue:
    document = tomllib.loads(CATALOGUE.read_text(encoding="utf-8"), parse_float=Decimal)
    names: dict[str, tuple[Product, ...]] = {}
    forms = []
    for table in document["product"]:
        values = dict(table)
        listed, patterns = values.pop("names", ()), values.pop("patterns", ())
        assert listed or patterns, table
        for name in listed:
            names[name] = (*names.get(name, ()), Product.from_table(name, values))
        for pattern in patterns:
            Product.from_table(pattern, values)  # a table that does not fit shows at once
            forms.append((re.compile(pattern), values))
    return _Catalogue(names=names, forms=tuple(forms))
