"""The rhythm of a feed, and silences that are too long for it.

A daily feed that is silent for three weeks has stopped; a yearly one has not. A silence is therefore compared with the
feed's own pauses around it, not with a fixed number of days. Days are whole days since 1970 in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from features.utils.arrays import Ints

# Shorter silences are never reported, such as holidays or a late batch.
MIN_PATIENCE_DAYS = 14
# The usual pause is the 90th percentile. If rows occur at random instants, a pause three times as long has a
# probability of one in a thousand (0.1 cubed). A history has many pauses, and the longest is tested, so it must be five
# times as long, with a probability of one in a hundred thousand.
USUAL = 0.9
PATIENCE = 3
PATIENCE_WITHIN = 5
# Pauses on each side that define a rhythm (feeds begin sparse and become dense), and the minimum number.
NEIGHBOURS = 15
MIN_PAUSES = 5

_FIRST = date(1970, 1, 1)


@dataclass(frozen=True)
class Silence:
    """First and last day of a gap in a feed."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """The number of days."""
        return (self.last - self.first).days + 1


def day_of(number: int) -> date:
    """Return the date ``number`` days after 1970-01-01."""
    return _FIRST + timedelta(days=int(number))


def has_rhythm(days: Ints) -> bool:
    """Return whether there are enough days with rows to assess a silence.

    Parameters
    ----------
    days : the distinct days with rows.
    """
    return len(days) > MIN_PAUSES


def patience_days(days: Ints) -> float:
    """Return the number of days of silence that the feed's latest rhythm allows.

    Parameters
    ----------
    days : the distinct days with rows, ascending.
    """
    return _allowed(np.diff(days)[-2 * NEIGHBOURS :], PATIENCE)


def silences(days: Ints) -> tuple[Silence, ...]:
    """Return the silences that are longer than the rhythm before and after them allows, in order.

    Parameters
    ----------
    days : the distinct days with rows, ascending.
    """
    pauses = np.diff(days)
    result = []
    for i in np.flatnonzero(pauses > MIN_PATIENCE_DAYS):
        before, after = pauses[max(i - NEIGHBOURS, 0) : i], pauses[i + 1 : i + 1 + NEIGHBOURS]
        # A feed that begins sparse has no rhythm yet; a feed that becomes sparse has a new one.
        allowed = [_allowed(side, PATIENCE_WITHIN) for side in (before, after) if len(side) >= MIN_PAUSES]
        if len(before) >= MIN_PAUSES and pauses[i] > max(allowed):
            result.append(Silence(day_of(days[i] + 1), day_of(days[i + 1] - 1)))
    return tuple(result)


def _allowed(pauses: Ints, patience: int) -> float:
    usual = float(np.quantile(pauses, USUAL, method="higher")) if len(pauses) else 0.0
    return max(float(MIN_PATIENCE_DAYS), patience * usual)
