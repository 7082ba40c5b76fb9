"""What is odd in a source: every rule of a reader, how often it was broken, and what was done.

A reader declares its rules and calls `hit` wherever a row breaks one; the policy of the study
decides. Nothing is dropped or mended without being counted here, and the counts become facts of the
tape.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from sweep.errors import DataError, InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Action = Literal["error", "drop", "repair", "count"]
ACTIONS: Final[dict[Action, str]] = {
    "error": "refuse the source, naming the first row",
    "drop": "leave the row out; after a gap: every row until the next whole picture of the book",
    "repair": "mend the row as the rule says",
    "count": "keep the row as it is",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of a reader.

    Attributes:
        doc: What holds for a sound source, and what `repair` or `drop` would do.
        actions: What a policy may choose; the first is the default. `error` alone: nothing sound
            can be made of a row that breaks this rule.
    """

    doc: str
    actions: tuple[Action, ...] = ("error",)


Where = Callable[[int], str]


def numbered(unit: str, numbers: Any) -> Where:
    """Return what names rows by their numbers: `line 17`."""
    return lambda row: f"{unit} {numbers[row]}"


@dataclass(slots=True)
class Finding:
    """How often a rule was broken, and where first."""

    count: int = 0
    first: str = ""


class Audit:
    """Counts broken rules of one source and says what to do about each."""

    def __init__(
        self,
        source: str,
        rules: Mapping[str, Rule],
        policy: Mapping[str, str] | None = None,
        *,
        is_check: bool = False,
    ) -> None:
        """Make an audit without findings.

        Args:
            source: Named in every message.
            rules: The rules of the reader by name.
            policy: Chosen actions by rule; others keep their default.
            is_check: Go on after an error wherever the rule knows another action, so that one pass
                counts everything.

        Raises:
            InputError: The policy names an unknown rule, or an action that the rule does not allow.
        """
        check_policy(rules, policy or {})
        self.source = source
        self.findings: dict[str, Finding] = {name: Finding() for name in rules}
        self._rules = rules
        self._chosen: dict[str, Action] = {}
        for name, rule in rules.items():
            action = (policy or {}).get(name, rule.actions[0])
            milder = [other for other in rule.actions if other != "error"]
            if is_check and action == "error" and milder:
                action = milder[0]
            assert action in ACTIONS, action
            self._chosen[name] = action

    def action(self, rule: str) -> Action:
        """Return what a broken rule leads to, without counting; for readers that work in bulk."""
        return self._chosen[rule]

    def hit(self, rule: str, where: str, detail: str, *, count: int = 1) -> Action:
        """Count rows that break a rule and return what to do about them.

        Args:
            rule: Name of the rule.
            where: The first such row, as a user finds it: `row 17`, `line 3`, `offset 0x1c0`.
            detail: What was expected and what was found there.
            count: Number of such rows.

        Raises:
            DataError: The action is `error`; the message names source, place and what to do.
        """
        finding = self.findings[rule]
        if not finding.count:
            finding.first = f"{where}: {detail}"
        finding.count += count
        action = self._chosen[rule]
        if action == "error":
            others = [other for other in self._rules[rule].actions if other != "error"]
            advice = f" (data.source.check.{rule} may be {' or '.join(others)})" if others else ""
            raise DataError(f"{self.source}: {where}: {detail}{advice}")
        return action

    def hit_rows(
        self,
        rule: str,
        bad: "npt.NDArray[np.bool_]",
        where: Where,
        detail: str | Callable[[int], str],
        found: Any = None,
    ) -> Action | None:
        """Count the rows that break a rule and return what to do about them, None if none does.

        Args:
            rule: Name of the rule.
            bad: Which rows break it.
            where: Names a row as `hit` wants it.
            detail: What was expected, or what says it of a row.
            found: What is there in each row; told after `detail`. None: `detail` says it all.

        Raises:
            DataError: As `hit`.
        """
        if not bad.any():
            return None
        row = int(bad.argmax())
        told = detail if isinstance(detail, str) else detail(row)
        if found is not None:
            value = found[row]
            told = f"{told}, found {value.item() if hasattr(value, 'item') else value!r}"
        return self.hit(rule, where(row), told, count=int(bad.sum()))

    def report(self) -> dict[str, dict[str, Any]]:
        """Return action, count and first place by rule, as plain JSON."""
        return {
            name: {"action": self._chosen[name], "count": finding.count}
            | ({"first": finding.first} if finding.count else {})
            for name, finding in self.findings.items()
        }


def check_policy(rules: Mapping[str, Rule], policy: Mapping[str, str]) -> None:
    """Refuse a policy that does not fit the rules.

    Raises:
        InputError: The policy names an unknown rule, or an action that the rule does not allow.
    """
    for name, action in policy.items():
        if name not in rules:
            raise InputError(f"There is no rule {name!r}; known: {', '.join(rules) or 'none'}")
        if action not in rules[name].actions:
            allowed = " or ".join(rules[name].actions)
            raise InputError(f"The rule {name} takes {allowed}, found {action!r}")
