"""What every strategy starts from: checked parameters, an injected gateway, five hooks."""

import difflib
import importlib
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Self, get_type_hints

from strategies.gateway import ExecutionGateway, MarketView, OrderEvent


class StrategyError(Exception):
    """Base of the expected errors of this package."""


class ParamsError(StrategyError, ValueError):
    """A parameter of a strategy is unknown, missing, of the wrong type or out of range."""


def param(
    doc: str,
    *,
    unit: str,
    low: float | None = None,
    high: float | None = None,
    default: Any = MISSING,
) -> Any:
    """Declare one parameter of a strategy.

    Args:
        doc: What it does, in one sentence.
        unit: Unit of the value: ticks, lots, ns, or "1" for a plain number.
        low: Least allowed value.
        high: Greatest allowed value.
        default: Value if none is given; without it the parameter must be given.
    """
    return field(default=default, metadata={"doc": doc, "unit": unit, "low": low, "high": high})


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyParams:
    """Parameters of a strategy; subclasses declare theirs with `param`, checked when built."""

    def __post_init__(self) -> None:
        types = get_type_hints(type(self))
        for item in fields(self):
            value = _checked(item.name, getattr(self, item.name), types[item.name])
            _check_range(item.name, value, item.metadata)
            object.__setattr__(self, item.name, value)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Return parameters from plain values, such as those of a study file.

        Raises:
            ParamsError: A name is unknown or missing, or a value is not allowed.
        """
        known = {item.name: item for item in fields(cls)}
        for name in values:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
                raise ParamsError(f"{cls.__name__} has no parameter {name!r}{hint}")
        for name, item in known.items():
            if name not in values and item.default is MISSING:
                raise ParamsError(f"{cls.__name__} needs the parameter {name!r}")
        return cls(**values)


def _checked(name: str, value: Any, wanted: Any) -> Any:
    # An int is a fine float; a bool is no number, and a float is no int.
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not wanted:
        found = f"{value!r} ({type(value).__name__})"
        raise ParamsError(f"Parameter {name!r} must be {wanted.__name__}, found {found}")
    if wanted is float and not math.isfinite(value):
        raise ParamsError(f"Parameter {name!r} must be finite, found {value!r}")
    return value


def _check_range(name: str, value: Any, metadata: Mapping[str, Any]) -> None:
    low, high, unit = metadata.get("low"), metadata.get("high"), metadata.get("unit", "")
    if low is not None and value < low:
        raise ParamsError(f"Parameter {name!r} must be at least {low} {unit}, found {value}")
    if high is not None and value > high:
        raise ParamsError(f"Parameter {name!r} must be at most {high} {unit}, found {value}")


class Strategy:
    """A trading strategy: decides in its hooks, acts through its gateway, knows nothing else.

    The gateway calls the hooks one after another, never at the same time and never while one of
    them runs. Commands may be sent from any of them.
    """

    __slots__ = ("gateway", "params")

    Params: ClassVar[type[StrategyParams]] = StrategyParams

    def __init__(self, gateway: ExecutionGateway, params: StrategyParams) -> None:
        """Keep the gateway and the parameters.

        Raises:
            ParamsError: The parameters are those of another strategy.
        """
        if not isinstance(params, self.Params):
            found = type(params).__name__
            raise ParamsError(f"{type(self).__name__} needs {self.Params.__name__}, found {found}")
        self.gateway = gateway
        self.params = params

    def on_start(self) -> None:
        """Run once, before the first event."""

    def on_tick(self, view: MarketView) -> None:
        """Run when the market as seen has changed in a way that the wake filter lets through."""

    def on_order_event(self, event: OrderEvent) -> None:
        """Run for every event of an own order, in the order in which they are seen."""

    def on_timer(self, now_ns: int) -> None:
        """Run when a time asked for with `set_timer` has come."""

    def on_end(self) -> None:
        """Run once, after the last event."""


def load_strategy(path: str) -> type[Strategy]:
    """Return the strategy class that `package.module:Class` names.

    Raises:
        StrategyError: The module or class cannot be found, or it is not a strategy.
    """
    module_name, colon, class_name = path.partition(":")
    if not colon or not module_name or not class_name:
        raise StrategyError(f"A strategy is named as 'package.module:Class', found {path!r}")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise StrategyError(f"Strategy {path!r}: cannot import {module_name!r}: {error}") from error
    found = getattr(module, class_name, None)
    if found is None:
        classes = [name for name, value in vars(module).items() if isinstance(value, type)]
        near = difflib.get_close_matches(class_name, classes, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise StrategyError(f"Strategy {path!r}: {module_name!r} has no {class_name!r}{hint}")
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise StrategyError(f"Strategy {path!r}: {class_name!r} is not a subclass of Strategy")
    return found
