"""Days and calendar months as integers, to compute contract dates of all accounts at once.

A *day* is the number of days since 1970-01-01 (UTC); a *month* is the number of months since 1950-01.
"""

from __future__ import annotations

from datetime import date

import numpy as np

from features.utils.arrays import Bools, Ints

SECONDS_A_DAY = 86_400
FIRST_YEAR, LAST_YEAR = 2000, 2100
"""Years in which a simulation may end. Contracts start decades earlier and end years later."""

_MONTH_START: Ints = np.arange("1950-01", "2151-01", dtype="datetime64[M]").astype("datetime64[D]").astype(np.int64)


def day_number(when: date) -> int:
    """Return the day number of a calendar date."""
    return when.toordinal() - date(1970, 1, 1).toordinal()


def month_and_day(day: Ints) -> tuple[Ints, Ints]:
    """Return the month, and the day of the month from 1, of days of any shape."""
    month = np.searchsorted(_MONTH_START, day, side="right").astype(np.int64) - 1
    return month, day - _MONTH_START[month] + 1


def months_after(month: Ints, dom: Ints, months: Ints) -> Ints:
    """Return the same day of the month some months later, or the last day of a shorter month.

    Months are counted from the first date: a contract of January 31 renews on February 28 and then on March 31.

    Parameters
    ----------
    month : the month, counted from the start of the simulation.
    dom : the day of the month, from 1.
    months : how many months later.

    Returns
    -------
    array of int
        The days, counted from the start of the simulation.
    """
    later = month + months
    start = _MONTH_START[later]
    length = _MONTH_START[later + 1] - start
    return np.asarray(start + np.minimum(dom, length) - 1, dtype=np.int64)


def anniversaries_within(month: Ints, dom: Ints, every: Ints, first_day: int, last_day: int) -> tuple[Bools, Ints]:
    """Find the accounts with an anniversary in a span, and its day.

    The date itself counts as an anniversary.

    Parameters
    ----------
    month, dom : the date that recurs, as in `months_after`.
    every : the step in months.
    first_day, last_day : the span, both included, shorter than a month.

    Returns
    -------
    array of bool, array of int
        Whether there is one, and its day.
    """
    this_month = int(np.searchsorted(_MONTH_START, last_day, side="right")) - 1
    steps = (this_month - month) // every
    day = months_after(month, dom, np.maximum(steps, 0) * every)
    before = months_after(month, dom, np.maximum(steps - 1, 0) * every)
    day = np.where(day > last_day, before, day)
    return (day >= first_day) & (day <= last_day), day
