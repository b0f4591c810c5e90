"""The rhythm of a feed: how long it may be silent before its silence says something.

A daily feed that is silent for three weeks has stopped; a yearly one has not. So a silence is held against the feed's
own pauses around it, not against a fixed number of days. Days are whole days since 1970 in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

Days = npt.NDArray[np.int64]

# Shorter silences are never named: holidays, a late batch.
LEAST_PATIENCE_DAYS = 14
# The usual pause is the one that nine in ten do not exceed. With rows at random instants three times as long a pause
# comes once in a thousand (0.1 cubed); with regular ones, never. A history holds many pauses, of which the longest is
# the one that is looked at: it must be five times as long, a chance of one in a hundred thousand.
USUAL = 0.9
PATIENCE = 3
PATIENCE_WITHIN = 5
# Pauses on each side by which a rhythm is judged (feeds begin thin and grow dense), and the fewest that make one.
NEIGHBOURS = 15
LEAST_PAUSES = 5

_FIRST = date(1970, 1, 1)


@dataclass(frozen=True)
class Silence:
    """Days without a row in the middle of a feed: the first and the last of them."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many days it lasted."""
        return (self.last - self.first).days + 1


def day_of(number: int) -> date:
    """The date that is `number` days after 1970-01-01."""
    return _FIRST + timedelta(days=int(number))


def has_rhythm(days: Days) -> bool:
    """Whether there are enough days with rows to judge a silence by.

    Parameters
    ----------
    days : the days with rows, each once.
    """
    return len(days) > LEAST_PAUSES


def patience_days(days: Days) -> float:
    """How many days of silence the feed's latest rhythm allows.

    Parameters
    ----------
    days : the days with rows, ascending, each once.
    """
    return _allowed(np.diff(days)[-2 * NEIGHBOURS :], PATIENCE)


def silences(days: Days) -> tuple[Silence, ...]:
    """The silences between rows that are longer than the rhythm before and after them allows, in order.

    Parameters
    ----------
    days : the days with rows, ascending, each once.
    """
    pauses = np.diff(days)
    found = []
    for i in np.flatnonzero(pauses > LEAST_PATIENCE_DAYS):
        before, after = pauses[max(i - NEIGHBOURS, 0) : i], pauses[i + 1 : i + 1 + NEIGHBOURS]
        # A feed that begins thin has no rhythm yet; one that grows thin has another.
        allowed = [_allowed(side, PATIENCE_WITHIN) for side in (before, after) if len(side) >= LEAST_PAUSES]
        if len(before) >= LEAST_PAUSES and pauses[i] > max(allowed):
            found.append(Silence(day_of(days[i] + 1), day_of(days[i + 1] - 1)))
    return tuple(found)


def _allowed(pauses: Days, patience: int) -> float:
    usual = float(np.quantile(pauses, USUAL, method="higher")) if len(pauses) else 0.0
    return max(float(LEAST_PATIENCE_DAYS), patience * usual)
