"""Reporting periods: month, quarter, year or a number of days up to ``as_of``."""

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
    """A span ``[start, end)`` of UTC instants, named ``month``, ``quarter``, ``year`` or for example ``90d``.

    A quarter is the three months before its end: the quarter that ends on the first of July is the second calendar
    quarter. If a month lacks a day, its last day is used.
    """

    name: str
    start: datetime
    end: datetime

    @property
    def years(self) -> float:
        """The length in years."""
        if self.name in MONTHS:
            return MONTHS[self.name] / 12
        return (self.end - self.start) / timedelta(days=YEAR_DAYS)

    def before(self) -> Period:
        """Return the period of the same length that ends where this one starts."""
        return Period(self.name, _back(self.name, self.end, 2), self.start)


def period_ending(as_of: datetime, name: str) -> Period:
    """Return the period ``name`` that ends at ``as_of``.

    Raises
    ------
    BadRequest : the name is not month, quarter, year or a number of days such as 90d.
    """
    return Period(name, _back(name, as_of, 1), as_of)


def calendar_quarter(name: str) -> Period:
    """Return a calendar quarter, such as ``2026Q3``, in UTC.

    Raises
    ------
    BadRequest : the name is not a year and a quarter.
    """
    match = _QUARTER.fullmatch(name)
    if match is None or not 1700 <= int(match[1]) <= 9000:
        raise BadRequest("a quarter that cannot be read", "a year and a quarter, such as 2026Q3")
    start = pd.Timestamp(year=int(match[1]), month=3 * int(match[2]) - 2, day=1, tz="UTC")
    return Period("quarter", start.to_pydatetime(), (start + pd.DateOffset(months=3)).to_pydatetime())


def _back(name: str, end: datetime, times: int) -> datetime:
    """Return the instant ``times`` periods before ``end``, counted in one step so that days do not drift."""
    try:
        if name in MONTHS:
            earlier: datetime = (pd.Timestamp(end) - pd.DateOffset(months=times * MONTHS[name])).to_pydatetime()
            return earlier
        if (match := _DAYS.fullmatch(name)) and 1 <= int(match[1]) <= LONGEST_DAYS:
            return end - times * timedelta(days=int(match[1]))
    except (OverflowError, ValueError):
        raise BadRequest("a period that begins before the calendar", "a later date") from None
    raise BadRequest("a period that cannot be read", f"month, quarter, year, or 1d to {LONGEST_DAYS}d, such as 90d")
