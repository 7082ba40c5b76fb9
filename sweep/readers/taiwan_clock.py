"""When Taiwan's venues trade: what a time of day in Taipei says about a row.

Taipei is eight hours ahead of UTC all year. Sessions are named by the date on which they start:
`2026-04-09-day`, `2026-04-09-night` (15:00 to 05:00 of the next day), and by the date alone on the
stock exchange, which has one session a day.

Known limits: holidays, expiry days (close at 13:30) and the later start of the evening session of
futures on shares (17:25) are not known. A last image up to one second after a close counts as
trading time.
"""

import datetime
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.readers.calendar_days import DAY_S, EPOCH, day_numbered
from sweep.readers.ticks import FLAG_INDICATIVE, Session

SECOND_NS: Final = 1_000_000_000
TAIPEI_S: Final = 8 * 3_600

# Times of day in Taipei, seconds, of TAIFEX.
_DAY_OPEN_S: Final = 8 * 3_600 + 45 * 60
_DAY_CLOSE_S: Final = 13 * 3_600 + 45 * 60
_NIGHT_OPEN_S: Final = 15 * 3_600
_NIGHT_CLOSE_S: Final = 5 * 3_600
_CLOSE_GRACE_S: Final = 1
# Rows between these belong to the day session, all others to a night session.
_DAY_FIRST_S: Final = 6 * 3_600
_DAY_LAST_S: Final = 14 * 3_600 + 20 * 60

Array = npt.NDArray[Any]


def time_of_day(exch_ns: Array) -> Array:
    """Return seconds since midnight in Taipei."""
    return (exch_ns // SECOND_NS + TAIPEI_S) % DAY_S


def date_of(exch_ns: int) -> datetime.date:
    """Return the calendar date in Taipei."""
    return day_numbered((exch_ns // SECOND_NS + TAIPEI_S) // DAY_S)


def midnight_ns(day: datetime.date) -> int:
    """Return the nanoseconds UTC at which a date starts in Taipei."""
    return ((day - EPOCH).days * DAY_S - TAIPEI_S) * SECOND_NS


def futures_flags(exch_ns: Array) -> Array:
    """Return FLAG_INDICATIVE for rows outside of the trading hours of TAIFEX, else 0."""
    at = time_of_day(exch_ns)
    in_day = (at >= _DAY_OPEN_S) & (at < _DAY_CLOSE_S + _CLOSE_GRACE_S)
    in_night = (at >= _NIGHT_OPEN_S) | (at < _NIGHT_CLOSE_S + _CLOSE_GRACE_S)
    return np.where(in_day | in_night, 0, FLAG_INDICATIVE)


def futures_session_key(exch_ns: Array) -> Array:
    """Return a number per row that differs between sessions of TAIFEX: 2 x date + is night."""
    at = time_of_day(exch_ns)
    date = (exch_ns // SECOND_NS + TAIPEI_S) // DAY_S
    is_day = (at >= _DAY_FIRST_S) & (at < _DAY_LAST_S)
    return (date - (at < _DAY_FIRST_S)) * 2 + ~is_day


def futures_session_name(key: int) -> str:
    """Return the name of the session of a key."""
    day = day_numbered(key // 2)
    return f"{day.isoformat()}-{'night' if key % 2 else 'day'}"


def stock_session_key(exch_ns: Array) -> Array:
    """Return a number per row that differs between sessions of the stock exchange: the date."""
    return (exch_ns // SECOND_NS + TAIPEI_S) // DAY_S


def stock_session_name(key: int) -> str:
    """Return the name of the session of a key."""
    return day_numbered(key).isoformat()


class Sessions:
    """Where sessions begin, over the chunks of a file."""

    def __init__(self, names: Callable[[int], str]) -> None:
        """Start without a session.

        Args:
            names: Returns the name of the session of a key.
        """
        self._names = names
        self._found: list[tuple[int, int]] = []  # key and first row

    def begins(self, key: Array) -> Array:
        """Return which entries of a chunk have another key than the one before."""
        last = self._found[-1][0] if self._found else None
        changes: Array = np.diff(key, prepend=key[:1]) != 0
        changes[0] = last is None or key[0] != last
        return changes

    def note(self, key: Array, row: Array) -> None:
        """Note the sessions that begin in a chunk, after asking `begins`.

        Args:
            key: Session of each entry; at least one.
            row: First row of each entry, in rows of the tape.
        """
        for entry in np.flatnonzero(self.begins(key)).tolist():
            self._found.append((int(key[entry]), int(row[entry])))

    def listed(self, row_count: int) -> tuple[Session, ...]:
        """Return the sessions of a tape with so many rows."""
        stops = [row for _, row in self._found[1:]] + [row_count]
        return tuple(
            Session(name=self._names(key), row_start=row, row_stop=stop)
            for (key, row), stop in zip(self._found, stops, strict=True)
        )
