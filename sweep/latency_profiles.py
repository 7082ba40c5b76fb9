"""Named, dated latencies: what was measured where and when, and the models that stand for it.

The profiles are in `latency_profiles.toml` beside this file. A study takes one by
`world.latency.profile`, or for one kind of message by `world.latency.<leg>.profile`.
"""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

PROFILES_FILE: Final = Path(__file__).with_name("latency_profiles.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyProfile:
    """One profile.

    Attributes:
        name: What study files call it.
        date: When it was measured or published: a day, a month or a year.
        source: Who measured what.
        setting: Venue, session, orders, host.
        fit: How the models follow from the figures.
        limits: Where the profile is wrong.
        unit: Of the figures.
        figures: What the source gives, by kind of message and statistic.
        latency: The models by kind of message, in the words of a study file.
    """

    name: str
    date: str
    source: str
    setting: str
    fit: str
    limits: str
    unit: str
    figures: Mapping[str, Mapping[str, float]]
    latency: Mapping[str, Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Return the profile as plain JSON values."""
        return asdict(self)


@functools.cache
def latency_profiles() -> Mapping[str, LatencyProfile]:
    """Return every profile by name, in the order of the file."""
    document = tomllib.loads(PROFILES_FILE.read_text(encoding="utf-8"))
    found = [LatencyProfile(**table) for table in document["profile"]]
    names = [profile.name for profile in found]
    assert len(set(names)) == len(names), "two profiles of one name"
    return {profile.name: profile for profile in found}
