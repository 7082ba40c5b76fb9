"""The synthetic market as a source: figures near the recorded ones, equal bytes, strict options."""

import hashlib
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sweep.data import ensure_tapes, open_info
from sweep.errors import InputError
from sweep.market_figures import tape_figures
from sweep.readers import make_options, read_ticks, synthetic
from sweep.readers.synthetic import SyntheticOptions
from sweep.source import SourceConfig
from sweep.synthetic import write_market

# Recorded: front TXF, day session of 2026-04-09 (docs/data.md); the figure of the synthetic market
# with its defaults has to lie within the stated distance.
FIGURES: list[tuple[tuple[str, ...], float, float]] = [
    (("rows_per_group",), 3.91, 0.4),
    (("trade_row_share",), 0.085, 0.02),
    (("best_change_group_share",), 0.36, 0.08),
    (("spread_ticks_share", "1"), 0.02, 0.03),
    (("spread_ticks_share", "2"), 0.12, 0.06),
    (("spread_ticks_share", "3"), 0.25, 0.06),
    (("spread_ticks_share", "4"), 0.33, 0.08),
    (("spread_ticks_share", "5"), 0.21, 0.08),
    (("best_lots", "mean"), 2.99, 0.6),
    (("best_lots", "p50"), 2.0, 0.0),
    (("trade_lots", "mean"), 1.63, 0.2),
    (("level_gap_ms", "mean"), 248.0, 40.0),
    (("level_gap_ms", "cv"), 1.09, 0.25),
    (("trade_gap_ms", "mean"), 693.0, 110.0),
    (("trade_gap_ms", "cv"), 1.93, 0.3),
    (("trade_seconds_dispersion",), 5.0, 1.5),
    (("trade_sign_correlation", "1"), 0.40, 0.1),
    (("trade_sign_correlation", "10"), 0.08, 0.05),
    (("mid_move_ticks_std", "125"), 0.78, 0.15),
    (("mid_move_ticks_std", "1000"), 2.33, 0.4),
    (("mid_move_ticks_std", "10000"), 7.2, 1.4),
    (("mid_unmoved_share_125_ms",), 0.775, 0.08),
]


def source(**options: Any) -> SourceConfig:
    return SourceConfig(reader="synthetic", instrument="SYN", options=options)


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    cache = tmp_path_factory.mktemp("tapes")
    tape = ensure_tapes(source(events=300_000, session_minutes=0), cache)[0]
    (found,) = tape_figures(tape.path).values()
    return found


@pytest.mark.parametrize(("keys", "recorded", "distance"), FIGURES, ids=lambda v: str(v))
def test_figures_are_near_the_recorded_ones(
    figures: dict[str, Any], keys: tuple[str, ...], recorded: float, distance: float
) -> None:
    found: Any = figures
    for key in keys:
        found = found[key]
    assert found == pytest.approx(recorded, abs=distance)


def test_figures_are_never_crossed(figures: dict[str, Any]) -> None:
    assert figures["crossed_groups"] == 0


def test_equal_options_give_equal_tapes(tmp_path: Path) -> None:
    first = ensure_tapes(source(events=20_000, seed=3), tmp_path / "a")[0]
    again = ensure_tapes(source(events=20_000, seed=3), tmp_path / "b")[0]
    other = ensure_tapes(source(events=20_000, seed=4), tmp_path / "a")[0]
    assert first.path.read_bytes() == again.path.read_bytes()
    assert first.path.name == again.path.name
    assert other.content_hash != first.content_hash


def test_rows_are_those_of_this_version() -> None:
    """A change of the model raises SYNTHETIC_VERSION and sets this digest anew."""
    ticks = read_ticks("synthetic", None, "SYN", options={"events": 20_000, "seed": 3})
    digest = hashlib.sha256()
    for name in sorted(ticks.columns):
        digest.update(ticks.columns[name].tobytes())
    assert synthetic.SYNTHETIC_VERSION == 1
    assert digest.hexdigest()[:16] == "7dc350f961b9e298"


def test_sessions_cover_every_row_and_start_a_day_apart(tmp_path: Path) -> None:
    tape = ensure_tapes(source(events=30_000, session_minutes=10), tmp_path)[0]
    assert len(tape.sessions) > 2
    assert tape.sessions[0].name == "2026-01-05"
    assert tape.sessions[1].name == "2026-01-06"
    assert tape.sessions[0].row_start == 0
    assert tape.sessions[-1].row_stop == tape.row_count
    assert tape.row_count >= 30_000


@pytest.mark.parametrize("mode", ["five_level", "l2"])
def test_columns_survive_parquet(tmp_path: Path, mode: str) -> None:
    options = make_options("synthetic", {"events": 5_000, "mode": mode, "session_minutes": 10})
    market = write_market(tmp_path / "a.parquet", "SYN", options)
    read = read_ticks("canonical_parquet", tmp_path / "a.parquet", "SYN")
    made = read_ticks("synthetic", None, "SYN", options=asdict(options))
    assert market["rows"] == read.row_count == made.row_count
    assert read.sessions == made.sessions
    assert read.instrument == made.instrument
    for name, values in made.columns.items():
        assert (read.columns[name] == values).all(), name


def test_single_orders_are_written(tmp_path: Path) -> None:
    options = make_options("synthetic", {"events": 5_000, "mode": "l3"})
    write_market(tmp_path / "a.parquet", "SYN", options)
    orders = pl.read_parquet(tmp_path / "a.parquet")
    assert orders.columns == list(synthetic.ORDER_COLUMNS)
    assert set(orders["action"].unique()) == {0, 1, 2}
    assert orders["exch_ns"].is_sorted()
    added = orders.filter(pl.col("action") == 0)
    assert added["order_id"].is_unique().all()
    # No lot leaves that did not come.
    gone = orders.filter(pl.col("action") != 0).group_by("order_id").agg(pl.col("qty").sum())
    joined = gone.join(added, on="order_id", how="left", suffix="_added")
    assert (joined["qty"] <= joined["qty_added"]).all()


def test_single_orders_are_replayed_with_joins(tmp_path: Path) -> None:
    options = {"mode": "l3", "events": 20_000, "session_minutes": 3}
    tape = ensure_tapes(source(**options), tmp_path)[0]
    assert len(tape.sessions) > 1
    columns = read_ticks("synthetic", None, "SYN", options=options).columns
    for session in tape.sessions:
        rows = slice(session.row_start, session.row_stop)
        kind, join, qty = (columns[name][rows] for name in ("kind", "join", "qty"))
        price, side = columns["price"][rows], columns["side"][rows]
        assert kind[0] == 2
        assert (join[kind == 1] > session.row_start).all()
        levels: dict[tuple[int, int], int] = {}
        orders: dict[int, list[int]] = {}
        for row in range(1, len(kind)):
            place = (int(side[row]), int(price[row]))
            before = levels.get(place, 0)
            lots = int(qty[row])
            moved = -lots if kind[row] == 1 else lots - before
            levels[place] = before + moved
            if moved > 0:
                assert join[row] == 0
                orders[session.row_start + row + 1] = [*place, moved]
                continue
            # Whatever takes lots names an order of its level that has them.
            order = orders[int(join[row])]
            assert order[:2] == [*place]
            order[2] += moved
            assert order[2] >= 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"events": 0}, "events"),
        ({"burstiness": 1.5}, "burstiness"),
        ({"start": "yesterday"}, "start must be a time"),
        ({"start": "2026-01-05T08:45:00"}, "needs an offset"),
        ({"conflate_us": 1_500}, "conflate_us"),
        ({"market_lots": "2:0.5 1:0.5"}, "lots must rise"),
        ({"limit_lots": "1=3"}, "lots:share"),
        ({"no_such": 1}, "no_such"),
    ],
)
def test_bad_options_are_refused(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        ensure_tapes(source(**options), tmp_path)
    assert [path for path in tmp_path.iterdir() if path.suffix == ".tape"] == []


@pytest.mark.parametrize("bound", ["low", "high"])
def test_stated_bounds_are_those_of_the_core(bound: str) -> None:
    """The core refuses what is outside of the bounds that study files are checked against."""
    for item in fields(SyntheticOptions):
        value = item.metadata[bound]
        if value is None or item.name in ("tick_value_minor", "seed", "events"):
            continue  # texts, and what the core does not see or would take long to make
        kind = int if isinstance(item.default, int) else float
        step = 1 if kind is int else 1e-6 * max(1.0, abs(value))
        within, beyond = kind(value), kind(value + step if bound == "high" else value - step)
        small: dict[str, Any] = {"events": 50}
        synthetic.generate(SyntheticOptions(**small | {item.name: within}))
        with pytest.raises((InputError, OverflowError)):
            synthetic.generate(SyntheticOptions(**small | {item.name: beyond}))


def test_info_is_read_back_from_the_tape(tmp_path: Path) -> None:
    tape = ensure_tapes(source(events=1_000, tick_value_minor=10), tmp_path)[0]
    assert open_info(tape.path) == tape
    assert tape.instrument["tick_value_minor"] == 10
    assert tape.instrument["visible_levels"] == 5
    assert tape.facts["synthetic"]["events"] == 1_000
