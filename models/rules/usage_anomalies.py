"""Usage anomalies: weeks that deviate from the account's own past, by robust statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from features.utils.arrays import Bools, Floats
from models.peer_groups.rule_files import RulePart
from models.rules.history import PortfolioHistory
from models.rules.plays import Cause, Severity

#: Factor from the median absolute deviation of normal numbers to their standard deviation.
MAD_TO_DEVIATION = 1.4826


class UsageAnomalyRule(RulePart):
    """The rule for anomalies: weeks to look back, minimum weeks with data, and minimum robust standard deviations."""

    feature: str
    weeks: Annotated[int, Field(ge=4, le=104)]
    minimum_weeks: Annotated[int, Field(ge=4)]
    deviations: Annotated[float, Field(gt=0)]
    severity: Severity
    cause: Cause
    cause_of_increase: Cause


@dataclass(frozen=True)
class UsageAnomalies:
    """Anomalies of n accounts, all of shape (n,).

    ``now`` is whether the last date is an anomaly, ``before`` whether the previous date also was, in the same
    direction; ``value`` is the value, and ``usual`` the median of the weeks before.
    """

    now: Bools
    before: Bools
    value: Floats
    usual: Floats


def find_usage_anomalies(history: PortfolioHistory, rule: UsageAnomalyRule) -> UsageAnomalies:
    """Compare the last date and the previous one with the account's own earlier weeks.

    The spread is the median absolute deviation, but at least that of a count (the square root of the median), so that
    accounts with few events do not cause anomalies (Iglewicz and Hoaglin 1993: 3.5 robust standard deviations).
    """
    weekly = history.numbers(rule.feature)
    value, usual, z = _compare_with_past(weekly, weekly.shape[1] - 1, rule)
    if weekly.shape[1] < 2:
        before = np.zeros(len(weekly))
    else:
        _, _, before = _compare_with_past(weekly, weekly.shape[1] - 2, rule)
    now = abs(z) > rule.deviations
    return UsageAnomalies(now, now & (abs(before) > rule.deviations) & (np.sign(z) == np.sign(before)), value, usual)


def _compare_with_past(weekly: Floats, week: int, rule: UsageAnomalyRule) -> tuple[Floats, Floats, Floats]:
    """Return value, median of the weeks before, and distance in robust standard deviations (0 without enough weeks)."""
    past = weekly[:, max(week - rule.weeks, 0) : week]
    enough = (~np.isnan(past)).sum(axis=1) >= rule.minimum_weeks
    median, spread = np.full(len(weekly), np.nan), np.full(len(weekly), np.nan)
    if enough.any():
        median[enough] = np.nanmedian(past[enough], axis=1)
        spread[enough] = np.nanmedian(abs(past[enough] - median[enough, None]), axis=1) * MAD_TO_DEVIATION
    spread = np.maximum(spread, np.sqrt(np.maximum(median, 1.0)))
    z = (weekly[:, week] - median) / spread
    return weekly[:, week], median, np.nan_to_num(z)
