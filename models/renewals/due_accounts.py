"""From what a model says of a portfolio to the accounts that are due in a period."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from features.utils.periods import Period
from models.renewals.forecast import Due
from models.renewals.forecast_bias import spread_of
from models.renewals.hazard_interpolation import probability_by

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]
_DAY = 86_400.0


@dataclass(frozen=True)
class Said:
    """What one model says of n accounts: the probability within each horizon by its days, and the 80% interval of that
    within the main one; (n,) each, NaN where it says nothing."""

    horizons: Mapping[int, Floats]
    low: Floats
    high: Floats


@dataclass(frozen=True)
class InPeriod:
    """Which of n accounts are due.

    ``due`` have a renewal in the period; ``told`` are those of them of which everything is known that a forecast needs
    (the others are named, never guessed); ``overdue`` are past their renewal without a signature. ``leaves`` and
    ``grows`` are the probabilities by the renewal and its grace, with ``leaves_spread`` and ``grows_spread`` in
    log-odds; NaN where not known. ``grows`` is None without a model. All of shape (n,).
    """

    due: Bools
    told: Bools
    overdue: Bools
    leaves: Floats
    leaves_spread: Floats
    grows: Floats | None
    grows_spread: Floats

    def of(self, arr: Floats, segment: Texts) -> Due:
        """What `models.renewals.forecast.forecast` needs of the accounts ``told``."""
        rows = self.told
        return Due(
            arr[rows],
            self.leaves[rows],
            self.leaves_spread[rows],
            None if self.grows is None else self.grows[rows],
            self.grows_spread[rows],
            segment[rows],
        )


def in_period(
    as_of: datetime,
    period: Period,
    days_to_renewal: Floats,
    arr: Floats,
    leaving: Said,
    growing: Said | None,
    grace_days: int,
) -> InPeriod:
    """Find who is due, and the probability of having left, and of having grown, by the renewal and its grace.

    Parameters
    ----------
    days_to_renewal : from ``as_of``, NaN unknown, below 0 a date that has passed unsigned; (n,).
    arr : currency a year, NaN unknown; (n,).
    leaving, growing : what the models of churn and expansion say; None without one of expansion.
    """
    begin, end = ((at - as_of).total_seconds() / _DAY for at in (period.start, period.end))
    due = (days_to_renewal >= max(begin, 0.0)) & (days_to_renewal < end)
    until = np.where(due, days_to_renewal, np.nan)
    leaves, leaves_spread = _by(leaving, until, grace_days)
    told = due & np.isfinite(leaves) & np.isfinite(leaves_spread) & np.isfinite(arr)
    grows, grows_spread = None, np.zeros(len(arr))
    if growing is not None:
        grows, grows_spread = _by(growing, until, grace_days)
        told &= np.isfinite(grows) & np.isfinite(grows_spread)
    return InPeriod(due, told, days_to_renewal < 0, leaves, leaves_spread, grows, grows_spread)


def _by(said: Said, until: Floats, grace_days: int) -> tuple[Floats, Floats]:
    found = np.full(len(until), np.nan)
    rows = np.flatnonzero(np.isfinite(until))
    horizons = {days: p[rows] for days, p in said.horizons.items()}
    # The last instant of the grace belongs to it; the model's windows are open at their end.
    found[rows] = probability_by(horizons, until[rows] + grace_days, until[rows])
    return found, spread_of(said.low, said.high)
