"""Loading a strategy by name and giving it the right parameters."""

import subprocess
import sys
from dataclasses import FrozenInstanceError

import pytest

from strategies.base import ParamsError, Strategy, StrategyError, StrategyParams, load_strategy
from strategies.fakes import ScriptedGateway
from strategies.maker import MakerParams, MakerStrategy


def test_strategy_is_found_by_name() -> None:
    assert load_strategy("strategies.maker:MakerStrategy") is MakerStrategy


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("strategies.maker", "named as 'package.module:Class'"),
        (":MakerStrategy", "named as 'package.module:Class'"),
        ("strategies.makre:MakerStrategy", "cannot import 'strategies.makre'"),
        ("strategies.maker:MakerStratgy", "did you mean 'MakerStrategy'"),
        ("strategies.maker:MakerParams", "not a subclass of Strategy"),
    ],
)
def test_wrong_names_are_refused(path: str, words: str) -> None:
    with pytest.raises(StrategyError) as caught:
        load_strategy(path)
    assert words in str(caught.value)


def test_parameters_of_another_strategy_are_refused() -> None:
    with pytest.raises(ParamsError, match="needs MakerParams, found StrategyParams"):
        MakerStrategy(ScriptedGateway(), StrategyParams())


def test_parameters_are_frozen() -> None:
    params = MakerParams(half_spread_ticks=1)
    assert params.half_spread_ticks == 1.0
    assert isinstance(params.half_spread_ticks, float)
    with pytest.raises(FrozenInstanceError):
        params.order_lots = 2  # type: ignore[misc]


def test_hooks_may_be_left_out() -> None:
    gateway = ScriptedGateway()
    idle = Strategy(gateway, StrategyParams())
    idle.on_start()
    idle.on_tick(gateway.set_best(1, 2))
    idle.on_timer(0)
    idle.on_end()
    assert gateway.commands == []


def test_strategies_run_with_the_service_absent() -> None:
    """A live process has neither sweep nor any of its libraries."""
    absent = ["sweep", "ray", "optuna", "mlflow", "polars", "pyarrow", "yaml", "numba", "numpy"]
    code = f"""
import sys
for name in {absent!r}:
    sys.modules[name] = None
import strategies.testing
from strategies.adapters.rustsim import RustSimAdapter
from strategies.base import load_strategy
maker = load_strategy("strategies.maker:MakerStrategy")
exchange = RustSimAdapter()
strategy = maker(exchange, maker.Params.from_mapping({{"half_spread_ticks": 0.5}}))
strategy.on_start()
ns = 1_700_000_000_000_000_000
exchange.on_tick(("book", ns, [(100, 5)], [(101, 5)]))
strategy.on_tick(exchange.view)
events = exchange.on_tick(("book", ns + 1_000_000, [(100, 5)], [(101, 5)]))
print(sorted((event.kind, event.side) for event in events))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[('accepted', 0), ('accepted', 1)]"
