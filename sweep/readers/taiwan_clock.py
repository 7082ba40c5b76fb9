"""When Taiwan's venues trade: what a time of day in Taipei says about a row.

Taipei is eight hours ahead of UTC all year. Sessions are named by the date on which they start:
`2026-04-09-day`, `2026-04-09-night` (15:00 to 05:00 of the next day), and by the date alone on the
stock exchange, which has one session a day.

Known limits: holidays, expiry days (close at 13:30) and the later start of the evening session of
futures on shares (17:25) are not known. A last image up to one second after a close counts as
trading time.
"""

import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.readers.ticks import FLAG_INDICATIVE

SECOND_NS: Final = 1_000_000_000
TAIPEI_S: Final = 8 * 3_600
_DAY_S: Final = 86_400
_EPOCH: Final = datetime.date(1970, 1, 1)

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
    return (exch_ns // SECOND_NS + TAIPEI_S) % _DAY_S


def date_of(exch_ns: int) -> datetime.date:
    """Return the calendar date in Taipei."""
    return _EPOCH + datetime.timedelta(days=(exch_ns // SECOND_NS + TAIPEI_S) // _DAY_S)


def midnight_ns(day: datetime.date) -> int:
    """Return the nanoseconds UTC at which a date starts in Taipei."""
    return ((day - _EPOCH).days * _DAY_S - TAIPEI_S) * SECOND_NS


def futures_flags(exch_ns: Array) -> Array:
    """Return FLAG_INDICATIVE for rows outside of the trading hours of TAIFEX, else 0."""
    at = time_of_day(exch_ns)
    in_day = (at >= _DAY_OPEN_S) & (at < _DAY_CLOSE_S + _CLOSE_GRACE_S)
    in_night = (at >= _NIGHT_OPEN_S) | (at < _NIGHT_CLOSE_S + _CLOSE_GRACE_S)
    return np.where(in_day | in_night, 0, FLAG_INDICATIVE)


def futures_session_key(exch_ns: Array) -> Array:
    """Return a number per row that differs between sessions of TAIFEX: 2 x date + is night."""
    at = time_of_day(exch_ns)
    date = (exch_ns // SECOND_NS + TAIPEI_S) // _DAY_S
    is_day = (at >= _DAY_FIRST_S) & (at < _DAY_LAST_S)
    return (date - (at < _DAY_FIRST_S)) * 2 + ~is_day


def futures_session_name(key: int) -> str:
    """Return the name of the session of a key."""
    day = _EPOCH + datetime.timedelta(days=key // 2)
    return f"{day.isoformat()}-{'night' if key % 2 else 'day'}"


def stock_session_key(exch_ns: Array) -> Array:
    """Return a number per row that differs between sessions of the stock exchange: the date."""
    return (exch_ns // SECOND_NS + TAIPEI_S) // _DAY_S


def stock_session_name(key: int) -> str:
    """Return the name of the session of a key."""
    return (_EPOCH + datetime.timedelta(days=key)).isoformat()
