"""What a plan says about a study's data before anything runs."""

from pathlib import Path

import pytest

from sweep.errors import InputError
from sweep.planning import make_plan
from sweep.studyfile import load_study

STUDY = Path(__file__).parents[2] / "experiments" / "quickstart.yaml"
SIZES = "world.queue={odds_size: {alpha: 0.7, beta: 0.6, gamma: -2.5}}"
SEARCHED = "world.queue={choice: [back, odds_size]}"


def said(tmp_path: Path, mode: str, queue: str) -> list[str]:
    source = [f"data.source.generate.mode={mode}", "data.source.generate.events=20000"]
    found: list[str] = []
    make_plan(load_study(STUDY, [*source, queue]), tmp_path, found.append)
    return [line for line in found if "odds_size" in line]


@pytest.mark.parametrize("queue", [SIZES, SEARCHED])
def test_sizes_of_orders_need_a_feed_of_orders(tmp_path: Path, queue: str) -> None:
    assert said(tmp_path, "l3", queue) == []
    with pytest.raises(InputError, match=r"odds_size needs one row per order event.*mages about"):
        said(tmp_path, "five_level", queue)
    assert said(tmp_path, "five_level", "world.queue=log2") == []


@pytest.mark.parametrize("queue", ["world.queue=l3", "world.queue={choice: [back, l3]}"])
def test_places_of_orders_need_rows_that_name_them(tmp_path: Path, queue: str) -> None:
    said(tmp_path, "l3", queue)
    for mode in ("five_level", "l2"):
        with pytest.raises(InputError, match="l3 needs rows that name orders, and none does"):
            said(tmp_path, mode, queue)


def test_a_feed_that_names_no_orders_is_doubted(tmp_path: Path) -> None:
    (line,) = said(tmp_path, "l2", SIZES)
    assert "Level updates may sum several orders" in line
