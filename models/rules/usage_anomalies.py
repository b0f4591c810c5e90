"""Use that is out of the ordinary for an account's own past, by robust statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from models.peer_groups.rule_files import Part
from models.rules.history import History
from models.rules.plays import Cause, Severity

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
#: The median absolute deviation of normal numbers times this is their standard deviation.
MAD_TO_DEVIATION = 1.4826


class UnusualRule(Part):
    """How many weeks are looked back at, how many are needed, and from how many robust standard deviations on a week is
    out of the ordinary."""

    feature: str
    weeks: Annotated[int, Field(ge=4, le=104)]
    minimum_weeks: Annotated[int, Field(ge=4)]
    deviations: Annotated[float, Field(gt=0)]
    severity: Severity
    cause: Cause
    cause_of_increase: Cause


@dataclass(frozen=True)
class Unusual:
    """Of each account, shape (n,): whether the last date is out of the ordinary, whether the date before was so in the
    same direction, the value, and what is usual (the median of the weeks before)."""

    now: Bools
    before: Bools
    value: Floats
    usual: Floats


def unusual(history: History, rule: UnusualRule) -> Unusual:
    """Hold the last date, and the one before it, against the account's own weeks before.

    The spread is the median absolute deviation, but at least that of a count (the square root of the median), so that
    few events a week are not made much of (Iglewicz and Hoaglin, 1993: 3.5 robust standard deviations).
    """
    weekly = history.numbers(rule.feature)
    value, usual, z = _against(weekly, weekly.shape[1] - 1, rule)
    if weekly.shape[1] < 2:
        before = np.zeros(len(weekly))
    else:
        _, _, before = _against(weekly, weekly.shape[1] - 2, rule)
    now = abs(z) > rule.deviations
    return Unusual(now, now & (abs(before) > rule.deviations) & (np.sign(z) == np.sign(before)), value, usual)


def _against(weekly: Floats, place: int, rule: UnusualRule) -> tuple[Floats, Floats, Floats]:
    """Value, median of the weeks before, and distance in robust standard deviations (0 where too little is known)."""
    past = weekly[:, max(place - rule.weeks, 0) : place]
    enough = (~np.isnan(past)).sum(axis=1) >= rule.minimum_weeks
    median, spread = np.full(len(weekly), np.nan), np.full(len(weekly), np.nan)
    if enough.any():
        median[enough] = np.nanmedian(past[enough], axis=1)
        spread[enough] = np.nanmedian(abs(past[enough] - median[enough, None]), axis=1) * MAD_TO_DEVIATION
    spread = np.maximum(spread, np.sqrt(np.maximum(median, 1.0)))
    z = (weekly[:, place] - median) / spread
    return weekly[:, place], median, np.nan_to_num(z)
