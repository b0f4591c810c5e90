"""Periods: the spans that end at ``as_of``, and the spans of the same length before them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from features.errors import BadRequest

MONTHS = {"month": 1, "quarter": 3, "year": 12}
LONGEST_DAYS = 3660
YEAR_DAYS = 365.25
_DAYS = re.compile(r"(\d{1,4})d")
_QUARTER = re.compile(r"(\d{4})Q([1-4])")


@dataclass(frozen=True)
class Period:
    """A span ``[start, end)`` of UTC instants, and what it is called: ``month``, ``quarter``, ``year`` or ``90d``.

    A quarter is the three months up to its end, so that at the first of July it is the calendar's second quarter; a day
    that a month lacks is the month's last.
    """

    name: str
    start: datetime
    end: datetime

    @property
    def years(self) -> float:
        """Its length as a part of a year."""
        if self.name in MONTHS:
            return MONTHS[self.name] / 12
        return (self.end - self.start) / timedelta(days=YEAR_DAYS)

    def before(self) -> Period:
        """The period of the same length that ends where this one starts."""
        return Period(self.name, _back(self.name, self.end, 2), self.start)


def period_ending(as_of: datetime, name: str) -> Period:
    """The period called ``name`` that ends at ``as_of``.

    Raises
    ------
    BadRequest : it is neither a month, a quarter, a year nor a number of days such as 90d.
    """
    return Period(name, _back(name, as_of, 1), as_of)


def calendar_quarter(name: str) -> Period:
    """The calendar's quarter ``2026Q3``, in UTC.

    Raises
    ------
    BadRequest : it is not written so.
    """
    found = _QUARTER.fullmatch(name)
    if found is None or not 1700 <= int(found[1]) <= 9000:
        raise BadRequest("a quarter that cannot be read", "a year and a quarter, such as 2026Q3")
    start = pd.Timestamp(year=int(found[1]), month=3 * int(found[2]) - 2, day=1, tz="UTC")
    return Period("quarter", start.to_pydatetime(), (start + pd.DateOffset(months=3)).to_pydatetime())


def _back(name: str, end: datetime, times: int) -> datetime:
    """``times`` periods before ``end``, counted from the end, so that the months' lengths do not add up to a shift."""
    try:
        if name in MONTHS:
            earlier: datetime = (pd.Timestamp(end) - pd.DateOffset(months=times * MONTHS[name])).to_pydatetime()
            return earlier
        if (found := _DAYS.fullmatch(name)) and 1 <= int(found[1]) <= LONGEST_DAYS:
            return end - times * timedelta(days=int(found[1]))
    except (OverflowError, ValueError):
        raise BadRequest("a period that begins before the calendar", "a later date") from None
    raise BadRequest("a period that cannot be read", f"month, quarter, year, or 1d to {LONGEST_DAYS}d, such as 90d")
