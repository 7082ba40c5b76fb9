"""Proposals: the only room that names Optuna.

A proposal is a pure function of the study: its seed, its space, the trial number and the results
that were told before it. Three rules make it so, whatever the executor, the number of workers or
the order in which results arrive:

1. Every ask gets a sampler made anew, seeded from (study seed, trial number).
2. Trial `n` is asked when exactly the trials `0 .. n - window` have been told; the ones between
   are running, and the sampler knows their parameters. `window` is fixed when a study starts.
3. Results are told in the order of trial numbers.

So a resumed study proposes what an uninterrupted one would have proposed. The journal file is a
projection for `optuna-dashboard` and other tools, in the format of Optuna's journal storage: it
is written anew from the result log at every start and never read back, hence can not disagree.

Cost: one write per told trial; TPE's own cost grows with the study (see docs/interfaces.md).

Known limits: one objective; Optuna promises its sequences only within one version, so the version
is stored and a change is reported.
"""

import contextlib
import hashlib
import importlib.util
import json
import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, CmaEsSampler, NSGAIISampler, QMCSampler, RandomSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import TrialState

from sweep.errors import InputError, ResourceError
from sweep.job import Direction
from sweep.space import ChoiceSpace, FloatSpace, IntSpace, Scalar, Space

# Once and for good: `warnings.catch_warnings` is not safe beside other threads, and the tracking
# lane imports its store in one.
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
warnings.filterwarnings("ignore", module=r"optuna(\.|$)")

JOURNAL_NAME: Final = "optuna.journal"
OPTUNA_VERSION: Final = optuna.__version__
# Their state lives in attributes that the samplers write themselves, so that the past of a study
# has to be asked again, not only added.
_STATEFUL: Final = frozenset({"cmaes", "nsga2"})


class ProposalError(ResourceError):
    """The sampler can not propose, or its journal can not be written."""


def _make_tpe(seed: int, number: int, options: dict[str, Any]) -> BaseSampler:
    return optuna.samplers.TPESampler(seed=_ask_seed(seed, number), **options)


def _make_random(seed: int, number: int, options: dict[str, Any]) -> BaseSampler:
    return RandomSampler(seed=_ask_seed(seed, number), **options)


def _make_qmc(seed: int, number: int, options: dict[str, Any]) -> BaseSampler:
    # All points of one sequence share its scrambling, so only the position depends on the trial.
    return _Sequence(number, seed=_ask_seed(seed, 0), **{"scramble": True, **options})


def _make_cmaes(seed: int, number: int, options: dict[str, Any]) -> BaseSampler:
    return CmaEsSampler(seed=_ask_seed(seed, number), warn_independent_sampling=False, **options)


def _make_nsga2(seed: int, number: int, options: dict[str, Any]) -> BaseSampler:
    return NSGAIISampler(seed=_ask_seed(seed, number), **options)


SAMPLERS: Final[dict[str, Callable[[int, int, dict[str, Any]], BaseSampler]]] = {
    "tpe": _make_tpe,
    "random": _make_random,
    "qmc": _make_qmc,
    "cmaes": _make_cmaes,
    "nsga2": _make_nsga2,
}


class _Sequence(QMCSampler):
    """Point `number` of one low-discrepancy sequence, the first trial included."""

    def __init__(self, number: int, **options: Any) -> None:
        super().__init__(warn_independent_sampling=False, **options)
        self._number = number

    def _find_sample_id(
        self,
        study: optuna.Study,  # noqa: ARG002 - signature of the base class
        search_space: dict[str, BaseDistribution],  # noqa: ARG002 - as above
    ) -> int:
        return self._number


class _Journal(BaseJournalBackend):
    """Optuna's journal format with one writer: operations are buffered and written together."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._unread: list[dict[str, Any]] = []
        self._read = 0  # operations handed to the storage so far
        self._buffer = bytearray()

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        if log_number_from != self._read:
            message = f"Operation {log_number_from} asked, {self._read} is next"
            raise AssertionError(message)
        logs, self._unread = self._unread, []
        self._read += len(logs)
        return logs

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        for log in logs:
            # What is read back must be what a reader of the file would see.
            text = json.dumps(log, separators=(",", ":"))
            self._unread.append(json.loads(text))
            self._buffer += text.encode() + b"\n"

    def flush(self) -> None:
        self._file.write(bytes(self._buffer))
        self._file.flush()
        self._buffer.clear()


def check_sampler(name: str, options: Mapping[str, Any], space: Mapping[str, Space]) -> None:
    """Refuse a sampler that could only fail later.

    Raises:
        InputError: Unknown name or option, a package is missing, or the space does not fit.
    """
    if name not in SAMPLERS:
        message = f"Unknown sampler {name!r}; known ones: {', '.join(sorted(SAMPLERS))}"
        raise InputError(message)
    if name == "cmaes":
        if importlib.util.find_spec("cmaes") is None:
            message = "The sampler cmaes needs the package cmaes: pip install cmaes"
            raise InputError(message)
        if all(isinstance(item, ChoiceSpace) for item in space.values()):
            message = "The sampler cmaes needs at least one numeric parameter; use tpe or random"
            raise InputError(message)
    try:
        SAMPLERS[name](0, 0, dict(options))
    except (TypeError, ValueError) as error:
        message = f"The sampler {name} does not take these options: {error}"
        raise InputError(message) from error


def to_distribution(space: Space) -> BaseDistribution:
    """Return Optuna's form of a space."""
    match space:
        case IntSpace():
            return IntDistribution(space.low, space.high, log=space.log, step=space.step)
        case FloatSpace():
            return FloatDistribution(space.low, space.high, log=space.log)
        case ChoiceSpace():
            return CategoricalDistribution(_choices(space))


def objective_error(value: object) -> str | None:
    """Return why a value is no objective, or None if it is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"bad_objective: expected a number, found {value!r}"
    if not math.isfinite(value):
        return f"bad_objective: expected a finite number, found {value!r}"
    return None


def _choices(space: ChoiceSpace) -> tuple[Scalar, ...]:
    # Optuna finds an option by ==, and 1 == 1.0 == True.
    if len(set(space.options)) == len(space.options):
        return space.options
    return tuple(json.dumps(option) for option in space.options)


def _ask_seed(seed: int, number: int) -> int:
    digest = hashlib.sha256(f"proposal:{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:4], "little")


class Proposer:
    """Asks and tells one study in the fixed order; the driver has the only one."""

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        seed: int,
        space: Mapping[str, Space],
        sampler: str,
        sampler_options: Mapping[str, Any],
        direction: Direction,
        window: int,
    ) -> None:
        """Start a new journal; what was there is replaced.

        Args:
            path: The journal file.
            name: Name of the study inside the journal.
            seed: Seed of the study.
            space: Parameters by name.
            sampler: A key of `SAMPLERS`.
            sampler_options: Arguments of the sampler besides its seed.
            direction: `maximize` or `minimize`.
            window: Trials that may be asked and not told.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.window = window
        self.asked = 0
        self.told = 0
        self._seed = seed
        self._space = dict(space)
        self._distributions = {key: to_distribution(item) for key, item in space.items()}
        self._relative_space = {
            key: item
            for key, item in sorted(self._distributions.items())
            # As the samplers choose them: CMA-ES knows numbers only.
            if not item.single()
            and not (sampler == "cmaes" and isinstance(item, CategoricalDistribution))
        }
        self._sampler = sampler
        self._options = dict(sampler_options)
        self._path = path
        try:
            # A journal that another program has open stays whole under its old inode.
            path.unlink(missing_ok=True)
            self._file = path.open("wb")
        except OSError as error:
            message = f"{path}: cannot be made anew: {error.strerror or error}"
            raise ProposalError(message) from error
        self._journal = _Journal(self._file)
        self._study = optuna.create_study(
            storage=JournalStorage(self._journal), study_name=name, direction=direction
        )
        described = {
            "sampler": sampler,
            "sampler_class": type(self._sampler_for(0)).__name__,
            "sampler_options": self._options,
            "optuna_version": OPTUNA_VERSION,
            "seed": seed,
            "window": window,
        }
        for key, value in described.items():
            self._study.set_user_attr(key, value)
        self._trials: dict[int, int] = {}  # number -> storage id, of trials asked and not told

    def restore(self, past: Sequence[Mapping[str, Any]]) -> None:
        """Bring the study to where it was after the finished trials of the result log.

        Args:
            past: `{"trial", "state", "params", "objective"}` of trials `0 .. n` without a gap.

        Raises:
            ProposalError: As `replay`.
        """
        is_stateful = self._sampler in _STATEFUL
        told = 0 if is_stateful else max(0, len(past) - self.window)
        for number, item in enumerate(past):
            if number < told:
                self._add(item, is_told=True)
                continue
            if number - self.told >= self.window:
                outcome = past[self.told]
                self.tell(self.told, state=outcome["state"], objective=outcome["objective"])
            self.replay(item)
        self.flush()

    def replay(self, item: Mapping[str, Any]) -> None:
        """Take the next trial, which is finished in the log, as asked.

        Raises:
            ProposalError: The sampler must propose it again to find its state, and proposed
                something else: another version of Optuna was used before.
        """
        if self._sampler not in _STATEFUL:
            self._add(item, is_told=False)
        elif self.ask() != dict(item["params"]):
            message = (
                f"The sampler {self._sampler} of optuna {OPTUNA_VERSION} proposes other "
                f"parameters for trial {item['trial']} than the recorded ones: go on with the "
                "version that started the study (named in its journal), or start a new one"
            )
            raise ProposalError(message)

    def ask(self) -> dict[str, Scalar]:
        """Return the parameters of the next trial."""
        number = self.asked
        if number - self.told >= self.window:
            message = f"Trial {number} asked with {self.told} told, window {self.window}"
            raise AssertionError(message)
        self._study.sampler = self._sampler_for(number)
        trial = self._study.ask(fixed_distributions=self._distributions)
        if trial.number != number:
            message = f"Storage gave number {trial.number}, expected {number}"
            raise AssertionError(message)
        self._trials[number] = trial._trial_id
        self.asked += 1
        return {key: self._from_optuna(key, trial.params[key]) for key in self._distributions}

    def tell(self, number: int, *, state: str, objective: float | None) -> None:
        """Hand in the final state of a trial and, if complete, its objective."""
        if number != self.told or number not in self._trials:
            message = f"Trial {number} told, {self.told} is next"
            raise AssertionError(message)
        del self._trials[number]
        self._study.sampler = self._sampler_for(number)
        if state == "complete":
            assert objective is not None
            self._study.tell(number, float(objective))
        else:
            self._study.tell(number, state=TrialState.FAIL)
        self.told += 1

    def flush(self) -> None:
        """Write what was asked and told since the last flush.

        Raises:
            ProposalError: The disk refused.
        """
        try:
            self._journal.flush()
        except OSError as error:
            message = f"{self._path}: cannot write proposals: {error.strerror or error}; finished "
            message += "trials are safe; free some space, then launch again to go on"
            raise ProposalError(message) from error

    def close(self) -> None:
        """Close the journal."""
        # What a full disk did not take is made again from the result log.
        with contextlib.suppress(OSError):
            self._file.close()

    def _sampler_for(self, number: int) -> BaseSampler:
        sampler = SAMPLERS[self._sampler](self._seed, number, self._options)
        if not self._options.get("group", False):
            # The space is the same in every trial. A sampler made anew would look through all of
            # them to find that out, which takes as long as its proposal.
            sampler.infer_relative_search_space = (  # type: ignore[method-assign]
                lambda study, trial: dict(self._relative_space)  # noqa: ARG005
            )
        return sampler

    def _add(self, item: Mapping[str, Any], *, is_told: bool) -> None:
        number = int(item["trial"])
        if number != self.asked:
            message = f"Trial {number} replayed, {self.asked} is next"
            raise AssertionError(message)
        state = TrialState.RUNNING
        if is_told:
            is_complete = item["state"] == "complete"
            state = TrialState.COMPLETE if is_complete else TrialState.FAIL
        trial = optuna.trial.create_trial(
            state=state,
            value=float(item["objective"]) if state is TrialState.COMPLETE else None,
            params={key: self._to_optuna(key, value) for key, value in item["params"].items()},
            distributions=self._distributions,
        )
        trial_id = self._study._storage.create_new_trial(self._study._study_id, trial)
        self.asked += 1
        if is_told:
            self.told += 1
        else:
            self._trials[number] = trial_id

    def _from_optuna(self, key: str, value: Any) -> Scalar:
        space = self._space[key]
        if isinstance(space, ChoiceSpace) and _choices(space) != space.options:
            decoded: Scalar = json.loads(value)
            return decoded
        plain: Scalar = value
        return plain

    def _to_optuna(self, key: str, value: Scalar) -> Any:
        space = self._space[key]
        if isinstance(space, ChoiceSpace) and _choices(space) != space.options:
            return json.dumps(value)
        return value
