"""Proposals depend on the study, its seed and what was told, and on nothing else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from sweep.errors import InputError
from sweep.space import ChoiceSpace, FloatSpace, IntSpace, Space
from sweep.storage import SAMPLERS, ProposalError, Proposer, check_sampler, objective_error

SPACE: dict[str, Space] = {
    "x": FloatSpace(low=0.0, high=1.0),
    "rate": FloatSpace(low=1e-3, high=10.0, log=True),
    "n": IntSpace(low=1, high=64),
    "even": IntSpace(low=0, high=10, step=2),
    "kind": ChoiceSpace(options=("a", "b", 3)),
    "flag": ChoiceSpace(options=(True, 1)),  # equal for Python, two options for the user
    "one": ChoiceSpace(options=("only",)),
}
TRIALS = 80


def make(path: Path, sampler: str, *, seed: int = 5, window: int = 8) -> Proposer:
    return Proposer(
        path,
        name="study",
        seed=seed,
        space=SPACE,
        sampler=sampler,
        sampler_options={"population_size": 10} if sampler == "nsga2" else {},
        direction="maximize",
        window=window,
    )


def outcome(number: int, params: dict[str, Any]) -> dict[str, Any]:
    is_complete = number % 7 != 3
    value = -((params["x"] - 0.3) ** 2) - 0.01 * abs(params["n"] - 20)
    return {
        "trial": number,
        "params": params,
        "state": "complete" if is_complete else "failed",
        "objective": value if is_complete else None,
    }


def drive(proposer: Proposer, past: Sequence[dict[str, Any]], trials: int) -> list[dict[str, Any]]:
    proposer.restore(past)
    items = list(past)
    while proposer.told < trials:
        if proposer.asked < min(proposer.told + proposer.window, trials):
            number = proposer.asked
            items.append(outcome(number, proposer.ask()))
        else:
            item = items[proposer.told]
            proposer.tell(proposer.told, state=item["state"], objective=item["objective"])
    proposer.flush()
    proposer.close()
    return items


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_a_resumed_study_proposes_what_an_uninterrupted_one_does(
    tmp_path: Path, sampler: str
) -> None:
    if sampler == "cmaes":
        pytest.importorskip("cmaes")
    whole = drive(make(tmp_path / "whole", sampler), [], TRIALS)
    for killed_after in (0, 1, 7, 8, 9, 31, TRIALS):
        resumed = drive(make(tmp_path / "resumed", sampler), whole[:killed_after], TRIALS)
        assert resumed == whole, f"killed after {killed_after} trials"


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_proposals_stay_inside_the_space_and_depend_on_the_seed(
    tmp_path: Path, sampler: str
) -> None:
    if sampler == "cmaes":
        pytest.importorskip("cmaes")
    first = drive(make(tmp_path / "a", sampler), [], 30)
    second = drive(make(tmp_path / "b", sampler, seed=6), [], 30)
    for item in first:
        assert list(item["params"]) == list(SPACE)
        for key, value in item["params"].items():
            assert SPACE[key].contains(value), (key, value)
    assert first != second
    assert {type(item["params"]["flag"]) for item in first} == {bool, int}


def test_a_larger_study_goes_on_where_the_smaller_one_ended(tmp_path: Path) -> None:
    whole = drive(make(tmp_path / "whole", "tpe"), [], TRIALS)
    small = drive(make(tmp_path / "small", "tpe"), [], 40)
    assert drive(make(tmp_path / "small", "tpe"), small, TRIALS) == whole


def test_tpe_learns(tmp_path: Path) -> None:
    tpe = drive(make(tmp_path / "tpe", "tpe"), [], TRIALS)
    late = [item["objective"] for item in tpe[40:] if item["objective"] is not None]
    early = [item["objective"] for item in tpe[:10] if item["objective"] is not None]
    assert sum(late) / len(late) > sum(early) / len(early)


def test_the_journal_is_readable_by_optuna_itself(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    items = drive(make(path, "tpe"), [], 30)
    storage = JournalStorage(JournalFileBackend(str(path)))
    study = optuna.load_study(study_name="study", storage=storage)
    assert study.user_attrs["sampler"] == "tpe"
    assert study.user_attrs["optuna_version"] == optuna.__version__
    assert [trial.params["x"] for trial in study.trials] == [i["params"]["x"] for i in items]
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE" if i["state"] == "complete" else "FAIL" for i in items]


def test_asking_beyond_the_window_or_telling_out_of_order_is_a_bug(tmp_path: Path) -> None:
    proposer = make(tmp_path / "journal", "random", window=2)
    proposer.ask()
    proposer.ask()
    with pytest.raises(AssertionError, match="window 2"):
        proposer.ask()
    with pytest.raises(AssertionError, match="0 is next"):
        proposer.tell(1, state="complete", objective=1.0)
    proposer.close()


def test_a_stateful_sampler_refuses_a_past_that_it_would_not_have_proposed(tmp_path: Path) -> None:
    whole = drive(make(tmp_path / "whole", "nsga2"), [], 12)
    whole[5]["params"]["x"] = 0.123
    proposer = make(tmp_path / "again", "nsga2")
    with pytest.raises(ProposalError, match="trial 5"):
        proposer.restore(whole)
    proposer.close()


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    proposer = make(tmp_path / "journal", "random")
    proposer._journal._file = open("/dev/full", "wb", buffering=0)  # noqa: PTH123, SIM115
    proposer.ask()
    with pytest.raises(ProposalError, match="free some space"):
        proposer.flush()
    proposer._journal._file.close()
    proposer.close()


@pytest.mark.parametrize(
    ("name", "options", "space", "message"),
    [
        ("tpee", {}, SPACE, "Unknown sampler 'tpee'"),
        ("tpe", {"n_startup": 3}, SPACE, "does not take these options"),
        ("nsga2", {"population_size": 1}, SPACE, "greater than or equal to 2"),
        ("cmaes", {}, {"kind": SPACE["kind"]}, "at least one numeric parameter"),
    ],
)
def test_a_sampler_that_would_fail_later_is_refused_at_once(
    name: str, options: dict[str, Any], space: dict[str, Space], message: str
) -> None:
    if name == "cmaes":
        pytest.importorskip("cmaes")
    with pytest.raises(InputError, match=message):
        check_sampler(name, options, space)


def test_options_of_a_sampler_are_accepted() -> None:
    check_sampler("tpe", {"n_startup_trials": 20, "group": True}, SPACE)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), True, None, "1.0", [1.0]]
)
def test_values_that_are_no_objective_are_named(value: object) -> None:
    reason = objective_error(value)
    assert reason is not None
    assert reason.startswith("bad_objective")
    assert objective_error(1) is None
    assert objective_error(-0.5) is None
