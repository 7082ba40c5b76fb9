"""One source, interpreted or compiled: both decide alike, and as hooks in plain Python do."""

import gc
import json
import random
import signal
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import rustsim
from strategies.adapters.rustsim import RustSimAdapter
from strategies.base import Strategy, StrategyError, StrategyParams
from strategies.fakes import ScriptedGateway
from strategies.inventory_maker import InventoryMakerParams, InventoryMakerStrategy
from strategies.kernel import (
    BUY,
    COMMANDS_MAX,
    TICK,
    Event,
    KernelStrategy,
    Market,
    Out,
    cancel,
    place,
)
from strategies.kernel_compile import MARK, layout, load_kernel, record_dtypes
from strategies.kernel_records import Words
from strategies.maker import MakerParams, MakerStrategy
from tests.toys.kernels import Wild, WildParams, WildState
from tests.toys.plain_maker import PlainMaker
from tests.toys.synthetic_tape import synthetic_tape

MS = 1_000_000


def leg(model: str, mean_ms: float) -> dict[str, Any]:
    if model == "constant":
        return {"model": "constant", "mean_ns": mean_ms * MS}
    return {"model": model, "mean_ns": mean_ms * MS, "cv": 0.8, "floor_ns": 0.1 * MS}


def world(model: str, mean_ms: float, queue: str, **link: Any) -> dict[str, Any]:
    legs = {name: leg(model, mean_ms) for name in ("place", "cancel", "amend", "report")}
    return {"latency": {**legs, **link}, "queue": {"model": queue}, "seed": 5}


WORLDS = {
    "instant": world("constant", 0.0, "back"),
    "constant": world("constant", 5.0, "uniform"),
    "gamma, slow feed": world("gamma", 8.0, "front", feed=leg("gamma", 3.0)),
    "losses": world(
        "lognormal",
        20.0,
        "odds",
        loss_probability=0.05,
        loss_timeout_ns=10**9,
        reject_probability=0.05,
    ),
    "naive": {"world": "naive"},
}
Make = Callable[[RustSimAdapter], Strategy]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> rustsim.Tape:
    return synthetic_tape(tmp_path_factory.mktemp("tapes") / "syn.tape")


@pytest.fixture(scope="module")
def blocks(tape: rustsim.Tape) -> rustsim.CompiledTape:
    return rustsim.CompiledTape.of(tape, 0, tape.row_count)


def replay(
    tape: rustsim.Tape,
    spec: dict[str, Any],
    make: Make,
    wake: str,
    cache: Path | None = None,
    blocks: rustsim.CompiledTape | None = None,
) -> tuple[rustsim.ReplayResult, Any]:
    """Replay with hooks, or compiled if there is a cache; return the state beside the result."""
    adapter = RustSimAdapter.from_spec(spec)
    strategy = make(adapter)
    decider: Any = strategy
    if cache is not None:
        assert isinstance(strategy, KernelStrategy)
        decider = load_kernel(type(strategy), cache).bind(strategy)
    result = adapter.replay(tape, 0, tape.row_count, decider, wake=wake, log=True, compiled=blocks)
    if isinstance(decider, rustsim.Kernel):
        assert isinstance(strategy, KernelStrategy)
        return result, Words(strategy.State).unpack(decider.state)
    return result, getattr(strategy, "state", None)


def events_of(result: rustsim.ReplayResult) -> list[str]:
    return [repr(event) for event in result.events_log()]


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("wake", ["best", "touch", "every", "own"])
def test_wild_kernel_sees_and_sends_the_same_compiled(
    name: str, wake: str, tape: rustsim.Tape, blocks: rustsim.CompiledTape, cache: Path
) -> None:
    for seed in (1, 2):
        params = WildParams(seed=seed, spread_ticks=1.5, is_greedy=seed == 1)
        make: Make = partial(Wild, params=params)
        plain, state = replay(tape, WORLDS[name], make, wake)
        compiled, state_compiled = replay(tape, WORLDS[name], make, wake, cache)
        on_blocks, state_on_blocks = replay(tape, WORLDS[name], make, wake, cache, blocks)
        if (name, wake) == ("constant", "best"):
            assert on_blocks.engine == "compiled"
        assert on_blocks.digest == compiled.digest
        assert state_on_blocks == state
        assert state_compiled == state
        assert events_of(compiled) == events_of(plain)
        assert compiled.digest == plain.digest
        assert compiled.wakes == plain.wakes
        assert (state.starts, state.ends) == (1, 1)
        if wake != "own":
            assert state.timers > 10
            assert state.fills > 10
            assert plain.metrics["amends"] > 10


@pytest.mark.parametrize("name", WORLDS)
def test_maker_decides_as_its_plain_twin_in_every_mode(
    name: str, tape: rustsim.Tape, cache: Path
) -> None:
    rng = random.Random(name)
    for wake in ("best", "touch"):
        params = MakerParams(
            half_spread_ticks=rng.choice((0.5, rng.uniform(0, 3))),
            skew_ticks_per_lot=rng.uniform(0, 1),
            requote_threshold_ticks=rng.randint(1, 3),
            position_limit_lots=rng.randint(1, 20),
            order_lots=rng.randint(1, 5),
        )
        twin: Make = partial(PlainMaker, params=params)
        make: Make = partial(MakerStrategy, params=params)
        plain, _ = replay(tape, WORLDS[name], twin, wake)
        interpreted, _ = replay(tape, WORLDS[name], make, wake)
        compiled, _ = replay(tape, WORLDS[name], make, wake, cache)
        assert plain.metrics["orders"] > 50
        assert plain.digest == interpreted.digest == compiled.digest
        assert events_of(plain) == events_of(compiled)


@pytest.mark.parametrize("name", WORLDS)
def test_inventory_maker_decides_alike_in_both_modes(
    name: str, tape: rustsim.Tape, cache: Path
) -> None:
    rng = random.Random(name)
    for wake in ("best", "touch"):
        params = InventoryMakerParams(
            risk_aversion=rng.uniform(0.01, 1.0),
            fill_decay=rng.uniform(0.3, 3.0),
            imbalance_weight=rng.uniform(0, 2),
            volatility_half_life_s=rng.choice((0.0, 5.0, 60.0)),
            levels=rng.randint(1, 4),
            order_lots=rng.randint(1, 3),
        )
        make: Make = partial(InventoryMakerStrategy, params=params)
        interpreted, state = replay(tape, WORLDS[name], make, wake)
        compiled, state_compiled = replay(tape, WORLDS[name], make, wake, cache)
        assert state_compiled == state
        assert compiled.digest == interpreted.digest
        assert interpreted.metrics["orders"] > 5
        assert interpreted.metrics["amends"] > 50


# --- records -------------------------------------------------------------------------------------


def test_records_are_those_of_the_core() -> None:
    assert json.loads(rustsim.kernel_layout()) == layout()


def test_compiler_places_fields_where_the_core_has_them() -> None:
    core = json.loads(rustsim.kernel_layout())
    market, event, params, state, out = record_dtypes(Wild)
    found = {"Market": market, "Event": event, "Command": out["commands"].base, "Out": out}
    for name, dtype in found.items():
        assert dtype.fields is not None
        places = [[field, dtype.fields[field][1]] for field in dtype.names]
        assert places == core["records"][name], name
        assert dtype.itemsize == core["bytes"][name], name
    assert params.names == ("seed", "spread_ticks", "is_greedy", MARK)
    assert params.itemsize == len(Words(WildParams).pack(WildParams())) + 8
    assert state.itemsize == len(Words(WildState).pack(WildState()))
    assert state["orders"] == np.dtype(("i8", (8,)))


def test_words_come_back_as_they_went() -> None:
    state = WildState(seen=-5, mean=0.1, orders=list(range(8)), weights=[0.5, -1.0, 1e300])
    assert Words(WildState).unpack(Words(WildState).pack(state)) == state


def test_another_layout_is_refused() -> None:
    text = json.dumps({**layout(), "version": 2})
    with pytest.raises(ValueError, match="compiled for other records"):
        rustsim.Kernel(1, None, params=b"", state=b"", layout=text)
    with pytest.raises(ValueError, match="words of 8 bytes, found 7"):
        rustsim.Kernel(1, None, params=b"", state=b"1234567", layout=json.dumps(layout()))
    with pytest.raises(ValueError, match="found 0"):
        rustsim.Kernel(0, None, params=b"", state=b"", layout=json.dumps(layout()))


# --- state, memory, threads ----------------------------------------------------------------------


def test_every_replay_starts_from_the_first_state(tape: rustsim.Tape, cache: Path) -> None:
    strategy = Wild(ScriptedGateway(), WildParams())
    kernel = load_kernel(Wild, cache).bind(strategy)
    states = []
    for _ in range(2):
        RustSimAdapter.from_spec(WORLDS["constant"]).replay(tape, 0, tape.row_count, kernel)
        states.append(Words(WildState).unpack(kernel.state))
    assert states[0] == states[1]
    assert states[0].calls > 1_000
    assert strategy.state == WildState(), "the replay wrote into the strategy"


def test_code_lives_as_long_as_its_kernel(tape: rustsim.Tape, cache: Path) -> None:
    code = load_kernel(Wild, cache)
    kernel = code.bind(Wild(ScriptedGateway(), WildParams()))
    alive = weakref.ref(code)
    del code
    gc.collect()
    assert alive() is not None
    adapter = RustSimAdapter.from_spec(WORLDS["constant"])
    assert adapter.replay(tape, 0, tape.row_count, kernel).wakes > 100
    del kernel
    gc.collect()
    assert alive() is None


def test_other_threads_run_on_during_a_compiled_replay(tape: rustsim.Tape, cache: Path) -> None:
    kernel = load_kernel(Wild, cache).bind(Wild(ScriptedGateway(), WildParams()))
    count, running = 0, threading.Event()

    def go_on() -> None:
        nonlocal count
        while not running.is_set():
            count += 1

    thread = threading.Thread(target=go_on)
    thread.start()
    before, started = count, time.thread_time()
    for _ in range(10):
        RustSimAdapter.from_spec(WORLDS["constant"]).replay(tape, 0, tape.row_count, kernel)
    counted, seconds = count - before, time.thread_time() - started
    running.set()
    thread.join()
    assert counted > 10_000 * seconds, "the other thread stood still"


def test_compiled_replay_can_be_interrupted(tmp_path: Path, cache: Path) -> None:
    tape = synthetic_tape(
        tmp_path / "long.tape", events=150_000, mode="l2"
    )  # beyond the first look
    kernel = load_kernel(Wild, cache).bind(Wild(ScriptedGateway(), WildParams()))

    class Enough(Exception):
        pass

    def stop(*_: object) -> None:
        raise Enough

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        with pytest.raises(Enough):
            RustSimAdapter.from_spec(WORLDS["constant"]).replay(
                tape, 0, tape.row_count, kernel, wake="every"
            )
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# --- what goes wrong -----------------------------------------------------------------------------


@dataclass(slots=True)
class OneState:
    value: int = 0


class Dividing(KernelStrategy):
    State: ClassVar[type] = OneState

    @staticmethod
    def decide(
        market: Market, event: Event, params: StrategyParams, state: OneState, out: Out
    ) -> None:
        if event.kind == TICK:
            state.value += 1 // (market.best_bid_lots - market.best_bid_lots)


class Raising(KernelStrategy):
    State: ClassVar[type] = OneState

    @staticmethod
    def decide(
        market: Market, event: Event, params: StrategyParams, state: OneState, out: Out
    ) -> None:
        state.value += 1
        if state.value == 7:
            raise ValueError("seven")


class Verbose(KernelStrategy):
    @staticmethod
    def decide(market: Market, event: Event, params: StrategyParams, state: Any, out: Out) -> None:
        for _ in range(COMMANDS_MAX + 1):
            cancel(out, 1)


class Pricing(KernelStrategy):
    @staticmethod
    def decide(market: Market, event: Event, params: StrategyParams, state: Any, out: Out) -> None:
        place(out, BUY, 1 << 31, 1)


@pytest.mark.parametrize(
    ("kind", "raised", "words"),
    [
        (Dividing, ZeroDivisionError, "raised an exception at .* called for the market"),
        (Raising, ValueError, "raised an exception"),
        (Verbose, StrategyError, "wrote 65 commands in one call at .* at most 64 fit"),
        (Pricing, StrategyError, "no price can be 2147483648"),
    ],
)
def test_faults_end_the_replay_in_both_modes(
    kind: type[KernelStrategy],
    raised: type[Exception],
    words: str,
    tape: rustsim.Tape,
    cache: Path,
) -> None:
    def make(adapter: RustSimAdapter) -> Strategy:
        return kind(adapter, StrategyParams())

    with pytest.raises(raised):
        replay(tape, WORLDS["constant"], make, "best")
    with pytest.raises(rustsim.ReplayError, match=words):
        replay(tape, WORLDS["constant"], make, "best", cache)


def test_kernel_of_another_strategy_is_refused(cache: Path) -> None:
    with pytest.raises(StrategyError, match="the code of Wild, not of Raising"):
        load_kernel(Wild, cache).bind(Raising(ScriptedGateway(), StrategyParams()))


# --- the interpreted way -------------------------------------------------------------------------


class OtherIds(ScriptedGateway):
    """Gives ids of its own: 1003, 1006, 1009 ..."""

    def place_order(self, *args: Any, **options: Any) -> int:
        order_id = super().place_order(*args, **options)
        self.orders[1_000 + 3 * order_id] = self.orders.pop(order_id)
        return 1_000 + 3 * order_id


def test_handles_stand_for_the_ids_of_any_gateway() -> None:
    gateway = OtherIds()
    maker = MakerStrategy(gateway, MakerParams(half_spread_ticks=0.5))
    maker.on_start()
    maker.on_tick(gateway.set_best(100, 101))
    assert (maker.state.bid_id, maker.state.ask_id) == (1, 2)
    maker.on_tick(gateway.set_best(105, 106))
    assert [c.order_id for c in gateway.commands if c.verb == "cancel"] == [1_003, 1_006]
    gateway.handle_cancel(1_006)
    maker.on_order_event(gateway.see(1_006))
    assert maker.state.ask_id == 3


class Careless(KernelStrategy):
    State: ClassVar[type] = OneState

    @staticmethod
    def decide(market: Market, event: Event, params: Any, state: OneState, out: Out) -> None:
        if event.kind == TICK:
            state.value = market.best_bid_ticks * 1.5  # type: ignore[assignment]
        else:
            state.value = 1 << 62
            state.value += state.value


def test_state_that_memory_could_not_hold_is_refused() -> None:
    gateway = ScriptedGateway()
    strategy = Careless(gateway, StrategyParams())
    with pytest.raises(StrategyError, match=r"OneState.value is an int of 64 bits, found 150"):
        strategy.on_tick(gateway.set_best(100, 101))
    with pytest.raises(StrategyError, match="found 9223372036854775808"):
        strategy.on_timer(0)


def test_records_of_other_than_numbers_are_refused() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class NamedParams(StrategyParams):
        name: str = "x"

    with pytest.raises(StrategyError, match=r"NamedParams\.name is str"):
        type("Named", (KernelStrategy,), {"Params": NamedParams})

    @dataclass(slots=True)
    class Open:
        value: int

    with pytest.raises(StrategyError, match=r"State\.value needs an initial value"):
        type("Opened", (KernelStrategy,), {"State": Open})
    with pytest.raises(StrategyError, match="must be a static function"):
        type("Short", (KernelStrategy,), {"decide": staticmethod(lambda market: None)})
