"""Dates of nanoseconds: which day of UTC a time since 1970 lies on."""

import datetime
from typing import Final

DAY_S: Final = 86_400
DAY_NS: Final = DAY_S * 1_000_000_000
EPOCH: Final = datetime.date(1970, 1, 1)


def day_of(exch_ns: int) -> datetime.date:
    """Return the date, UTC, of a time in nanoseconds since 1970."""
    return day_numbered(exch_ns // DAY_NS)


def day_numbered(number: int) -> datetime.date:
    """Return the date so many days after 1970-01-01."""
    return EPOCH + datetime.timedelta(days=number)
