"""Periods: calendar quarters and months, spans that end at ``as_of``, and the next so many days.

All of Renewcast reads and prints periods here: a quarter may be written ``2026Q3``, ``2026q3``, ``2026-Q3``,
``2026 Q3`` or ``Q3 2026``, a month ``2026-03``; they are printed as ``2026Q3`` and ``2026-03``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from features.errors import BadRequest
from features.utils.dates import to_iso

MONTHS = {"month": 1, "quarter": 3, "year": 12}
LONGEST_DAYS = 3660
YEAR_DAYS = 365.25
#: The days ahead that a renewal forecast may cover.
FORECAST_DAYS = (30, 60, 90, 120)
DEFAULT_FORECAST_DAYS = 90
#: The forms of a calendar quarter and a month, in the common part of Python's and JSON Schema's regular expressions.
QUARTER_PATTERN = "([0-9]{4}[ -]?[Qq][1-4]|[Qq][1-4][ -]?[0-9]{4})"
MONTH_PATTERN = "[0-9]{4}-(0[1-9]|1[0-2])"
#: Years that all parts of Renewcast can compute with.
YEARS = range(1700, 9001)
QUARTER_EXAMPLE = "a quarter such as 2026Q3"
_DAYS = re.compile(r"([0-9]{1,4})d")


@dataclass(frozen=True)
class Period:
    """A span ``[start, end)`` of UTC instants and its name: ``2026Q3``, ``2026-03``, ``quarter``, ``90d`` or others.

    The span called ``quarter`` is the three months up to its end, so that on July 1 it is the second calendar quarter;
    where a month lacks the day, its last day counts.
    """

    name: str
    start: datetime
    end: datetime

    @property
    def years(self) -> float:
        """Its length as a part of a year."""
        if months := self._months:
            return months / 12
        return (self.end - self.start) / timedelta(days=YEAR_DAYS)

    def before(self) -> Period:
        """The period of the same length that ends where this one starts."""
        if self == _calendar(self.name):
            last = self.start - timedelta(microseconds=1)
            return Quarter.of(last).period if "Q" in self.name else _month(last.year, last.month)
        return Period(self.name, _back(self.name, self.end, 2), self.start)

    @property
    def _months(self) -> int | None:
        """Its length in calendar months; None if it is counted in days."""
        if self.name in MONTHS:
            return MONTHS[self.name]
        if self != _calendar(self.name):
            return None
        return MONTHS["quarter"] if "Q" in self.name else MONTHS["month"]


@dataclass(frozen=True, order=True)
class Quarter:
    """A calendar quarter, ``[start, end)`` in UTC."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Quarter:
        """The quarter that a text names, in any of the forms.

        Raises
        ------
        BadRequest : it names none.

        Examples
        --------
        >>> [Quarter.parse(text).name for text in ("2026q3", "2026-Q3", "Q3 2026")]
        ['2026Q3', '2026Q3', '2026Q3']
        """
        if re.fullmatch(QUARTER_PATTERN, text.strip()):
            letters = re.sub("[ -]", "", text.strip()).upper()
            year, number = (letters[2:], letters[1]) if letters[0] == "Q" else letters.split("Q")
            if int(year) in YEARS:
                return cls(int(year), int(number))
        raise _unreadable(QUARTER_EXAMPLE)

    @classmethod
    def of(cls, day: date) -> Quarter:
        """The quarter of a date, or of an instant in UTC."""
        if isinstance(day, datetime) and day.tzinfo is not None:
            day = day.astimezone(UTC)
        return cls(day.year, (day.month - 1) // MONTHS["quarter"] + 1)

    @property
    def name(self) -> str:
        """Such as ``2026Q3``."""
        return f"{self.year:04d}Q{self.number}"

    @property
    def start(self) -> datetime:
        """Its first instant."""
        return datetime(self.year, MONTHS["quarter"] * (self.number - 1) + 1, 1, tzinfo=UTC)

    @property
    def next(self) -> Quarter:
        """The quarter after it."""
        return Quarter(self.year + self.number // 4, self.number % 4 + 1)

    @property
    def end(self) -> datetime:
        """The first instant after it."""
        return self.next.start

    @property
    def period(self) -> Period:
        """It as a period."""
        return Period(self.name, self.start, self.end)


def calendar_period(text: str) -> Period:
    """The calendar quarter or month that a text names, in any of the forms.

    Raises
    ------
    BadRequest : it names none.
    """
    text = text.strip()
    if re.fullmatch(MONTH_PATTERN, text) and int(text[:4]) in YEARS:
        return _month(int(text[:4]), int(text[5:]))
    try:
        return Quarter.parse(text).period
    except BadRequest:
        raise _unreadable(f"{QUARTER_EXAMPLE}, or a month such as 2026-03") from None


def period_ending(as_of: datetime, name: str) -> Period:
    """Return the period ``name`` that ends at ``as_of``.

    Raises
    ------
    BadRequest : the name is not month, quarter, year or a number of days such as 90d.
    """
    name = name.strip().lower()
    return Period(name, _back(name, as_of, 1), as_of)


def forecast_period(as_of: datetime, name: str | None = None, days: int | None = None) -> Period:
    """The period of a forecast at ``as_of``: what is left of a calendar quarter or month, or the next so many days;
    without either, the next 90.

    Parameters
    ----------
    as_of : the instant of the forecast.
    name : a calendar quarter or month.
    days : the number of days to look ahead.

    Returns
    -------
    Period

    Raises
    ------
    BadRequest : both are given, the period is over, or the days are not among `FORECAST_DAYS`.
    """
    if name is not None and days is not None:
        raise BadRequest("both a period and a number of days were given", "either a period or a number of days")
    if name is not None:
        found = calendar_period(name)
        if found.end <= as_of:
            raise BadRequest(
                f"{found.name} ended before {to_iso(as_of)}", "a period that has not ended", "choose a later period"
            )
        return Period(found.name, max(found.start, as_of), found.end)
    ahead = DEFAULT_FORECAST_DAYS if days is None else days
    if ahead not in FORECAST_DAYS:
        raise BadRequest(f"a forecast for {ahead} days", f"one of {', '.join(map(str, FORECAST_DAYS))} days")
    return Period(f"next {ahead} days", as_of, as_of + timedelta(days=ahead))


def _calendar(name: str) -> Period | None:
    try:
        return calendar_period(name)
    except BadRequest:
        return None


def _month(year: int, month: int) -> Period:
    start = datetime(year, month, 1, tzinfo=UTC)
    return Period(f"{year:04d}-{month:02d}", start, (start + timedelta(days=31)).replace(day=1))


def _unreadable(expected: str) -> BadRequest:
    return BadRequest("invalid period", expected, "write it as in the example")


def _back(name: str, end: datetime, times: int) -> datetime:
    """Return the instant ``times`` periods before ``end``, counted in one step so that days do not drift."""
    try:
        if name in MONTHS:
            import pandas as pd

            earlier: datetime = (pd.Timestamp(end) - pd.DateOffset(months=times * MONTHS[name])).to_pydatetime()
            return earlier
        if (match := _DAYS.fullmatch(name)) and 1 <= int(match[1]) <= LONGEST_DAYS:
            return end - times * timedelta(days=int(match[1]))
    except (OverflowError, ValueError):
        raise BadRequest("the period begins before the first supported date", "a later date") from None
    raise _unreadable(f"month, quarter, year, or 1d to {LONGEST_DAYS}d, such as 90d")
