"""Whole days and calendar months as integers, so that contracts can be dated for all accounts at once.

A *day* is the number of days since 1970-01-01 (UTC); a *month* is the number of months since 1950-01.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SECONDS_A_DAY = 86_400
FIRST_YEAR, LAST_YEAR = 2000, 2100
"""Years in which a simulation may end; contracts reach decades before and years past it."""

_MONTH_START: Ints = np.arange("1950-01", "2151-01", dtype="datetime64[M]").astype("datetime64[D]").astype(np.int64)


def day_number(when: date) -> int:
    """The day of a calendar date."""
    return when.toordinal() - date(1970, 1, 1).toordinal()


def month_and_day(day: Ints) -> tuple[Ints, Ints]:
    """The month, and the day within it from 1, of days of any shape."""
    month = np.searchsorted(_MONTH_START, day, side="right").astype(np.int64) - 1
    return month, day - _MONTH_START[month] + 1


def months_after(month: Ints, dom: Ints, months: Ints) -> Ints:
    """The same day of the month, some months later; the last day where that month is shorter.

    Always counted from the first date, so a contract of 31 January renews on 28 February and then on 31 March.
    """
    later = month + months
    start = _MONTH_START[later]
    length = _MONTH_START[later + 1] - start
    return np.asarray(start + np.minimum(dom, length) - 1, dtype=np.int64)


def anniversaries_within(month: Ints, dom: Ints, every: Ints, first_day: int, last_day: int) -> tuple[Bools, Ints]:
    """Which accounts have an anniversary in ``[first_day, last_day]``, and its day.

    ``every`` is the step in months; the date itself (anniversary 0) counts. The span is to be shorter than a month.
    """
    this_month = int(np.searchsorted(_MONTH_START, last_day, side="right")) - 1
    steps = (this_month - month) // every
    day = months_after(month, dom, np.maximum(steps, 0) * every)
    before = months_after(month, dom, np.maximum(steps - 1, 0) * every)
    day = np.where(day > last_day, before, day)
    return (day >= first_day) & (day <= last_day), day
