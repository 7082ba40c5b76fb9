"""Parsed documents with positions, the problems found in them, and the error that carries these."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sweep.errors import SweepError
from sweep.space import Scalar

PROBLEMS_MAX = 20  # more than a screen helps nobody


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file or in an option of the command line; lines and columns count from 1."""

    source: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}"


NodeValue: TypeAlias = "Scalar | tuple[Node, ...] | dict[str, Node] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One value of a document: a scalar, a list or a mapping, and where it stands.

    Attributes:
        path: Dotted key path, `data.source.paths[0]`; empty for the whole document.
        place: Where the value starts.
        key_place: Where its key starts; the same as `place` for list items and the document.
    """

    path: str
    place: Place
    key_place: Place
    value: NodeValue

    def describe(self) -> str:
        """Return what stands here, in words for a message."""
        match self.value:
            case None:
                return "nothing"
            case bool():
                return f"the boolean {str(self.value).lower()}"
            case int() | float():
                return f"the number {self.value!r}"
            case str():
                shown = self.value if len(self.value) <= 60 else self.value[:57] + "..."
                return f"the text {shown!r}"
            case tuple():
                return f"a list of {len(self.value)}"
            case _:
                return "a mapping with the keys " + (", ".join(self.value) or "(none)")

    def plain(self) -> Any:
        """Return the value without positions, as scalars, lists and dictionaries."""
        match self.value:
            case tuple():
                return [item.plain() for item in self.value]
            case dict():
                return {key: item.plain() for key, item in self.value.items()}
            case scalar:
                return scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a document."""

    place: Place
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.place}: {self.path}: " if self.path else f"{self.place}: "
        return where + self.message + (f"\n    {self.hint}" if self.hint else "")


class StudyError(SweepError):
    """A study file or an override is wrong; the first problem's parts are attributes."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        self.file = first.place.source
        self.line = first.place.line
        self.column = first.place.column
        self.key_path = first.path
        self.message = first.message
        self.hint = first.hint
        shown = [str(problem) for problem in self.problems[:PROBLEMS_MAX]]
        if len(self.problems) > PROBLEMS_MAX:
            shown.append(f"and {len(self.problems) - PROBLEMS_MAX} more problems")
        super().__init__("\n".join(shown))


@dataclass(slots=True)
class Problems:
    """Collects problems, so that one run shows all of them."""

    found: list[Problem] = field(default_factory=list)

    def add(self, node: Node, message: str, hint: str = "", *, at_key: bool = False) -> None:
        """Note a problem at a node's value, or at its key."""
        place = node.key_place if at_key else node.place
        self.found.append(Problem(place=place, path=node.path, message=message, hint=hint))

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.found)

    def raise_any(self) -> None:
        """Raise a `StudyError` if anything was noted.

        Raises:
            StudyError: At least one problem was noted.
        """
        if self.found:
            # In the order of the file, whatever order the rules looked at it.
            ordered = sorted(
                self.found, key=lambda p: (p.place.source, p.place.line, p.place.column)
            )
            raise StudyError(ordered)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` was probably meant to be."""
    candidates = list(known)
    close = difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)
    if close:
        return close[0]
    lowered = {candidate.lower(): candidate for candidate in candidates}
    close = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint with the nearest known word, or with all of them."""
    candidates = list(known)
    guess = nearest(word, candidates)
    allowed = ", ".join(candidates)
    return f"Did you mean {guess!r}? Allowed: {allowed}" if guess else f"Allowed: {allowed}"
