"""The accounts that are due in a period, with their probabilities from the models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from features.utils.arrays import Bools, Floats, Texts
from features.utils.periods import Period
from models.renewals.forecast import DueRenewals, growth_if_staying
from models.renewals.forecast_bias import log_odds_spread
from models.renewals.hazard_interpolation import probability_by
from models.renewals.renewal_model import Stage, StagePrediction, pool_probabilities

_DAY = 86_400.0


@dataclass(frozen=True)
class ModelProbabilities:
    """One model's probabilities for n accounts, (n,) each, NaN if unknown.

    ``horizons`` has the probability within each horizon by its days; ``low`` and ``high`` are the 80% interval within
    the main horizon.
    """

    horizons: Mapping[int, Floats]
    low: Floats
    high: Floats


@dataclass(frozen=True)
class DueAccounts:
    """The accounts that are due, among n accounts; all arrays have shape (n,).

    ``due`` marks accounts with a renewal in the period; ``complete`` marks those of them with everything that a
    forecast needs (the others are listed, never guessed); ``overdue`` marks accounts past their renewal without a
    signature. ``leaves`` and ``grows`` are the probabilities by the renewal and its grace period, with the standard
    deviations ``leaves_spread`` and ``grows_spread`` in log-odds; NaN if unknown. ``grows`` is None without a model.
    ``shrinks`` is the probability of shrinking given that the account stays and does not grow, NaN without a model of
    it. ``by_renewal_model`` marks accounts with a prediction of the renewal model; the others are derived from the
    horizons of the churn model alone.
    """

    due: Bools
    complete: Bools
    overdue: Bools
    leaves: Floats
    leaves_spread: Floats
    grows: Floats | None
    grows_spread: Floats
    shrinks: Floats
    by_renewal_model: Bools

    def of(self, arr: Floats, segment: Texts) -> DueRenewals:
        """Return the accounts marked ``complete``, for `models.renewals.forecast.forecast_due_renewals`."""
        rows = self.complete
        return DueRenewals(
            arr[rows],
            self.leaves[rows],
            self.leaves_spread[rows],
            None if self.grows is None else self.grows[rows],
            self.grows_spread[rows],
            segment[rows],
            self.shrinks[rows],
        )


def find_due_accounts(
    as_of: datetime,
    period: Period,
    days_to_renewal: Floats,
    arr: Floats,
    leaving: ModelProbabilities,
    growing: ModelProbabilities | None,
    grace_days: int,
    renewals: Mapping[Stage, StagePrediction] | None = None,
) -> DueAccounts:
    """Find the due accounts, and their probabilities of having left or grown by the renewal and its grace period.

    Parameters
    ----------
    days_to_renewal : days from ``as_of``, NaN if unknown, negative if the date has passed without a signature; (n,).
    arr : annual amount, NaN if unknown; (n,).
    leaving, growing : the probabilities of the churn and expansion models; ``growing`` is None without a model.
    renewals : the predictions of the renewal model, which are pooled with those of the other models.
    """
    begin, end = ((at - as_of).total_seconds() / _DAY for at in (period.start, period.end))
    due = (days_to_renewal >= max(begin, 0.0)) & (days_to_renewal < end)
    until = np.where(due, days_to_renewal, np.nan)
    leaves, leaves_spread = _by(leaving, until, grace_days)
    grows: Floats | None = None
    grows_spread = np.zeros(len(arr))
    if growing is not None:
        grows, grows_spread = _by(growing, until, grace_days)
    shrinks, modeled = np.full(len(arr), np.nan), np.zeros(len(arr), dtype=np.bool_)
    if renewals is not None:
        lost, expanded, shrinks = renewals["lost"], renewals["expanded"], renewals["contracted"].probability
        modeled, grown = (due & np.isfinite(each.probability) for each in (lost, expanded))
        growth = np.full(len(arr), np.nan) if grows is None else growth_if_staying(grows, leaves)
        leaves_spread = np.where(modeled, _mean_spread(lost, leaves_spread, leaves), leaves_spread)
        leaves = np.where(modeled, pool_probabilities(lost.probability, leaves), leaves)
        if grown.any():
            grows_spread = np.where(grown, _mean_spread(expanded, grows_spread, growth), grows_spread)
            growth = np.where(grown, pool_probabilities(expanded.probability, growth), growth)
            grows = np.where(grown, growth * (1 - leaves), np.nan if grows is None else grows)
    complete = due & np.isfinite(leaves) & np.isfinite(leaves_spread) & np.isfinite(arr)
    if grows is not None and growing is not None:
        complete &= np.isfinite(grows) & np.isfinite(grows_spread)
    overdue = days_to_renewal < 0
    return DueAccounts(due, complete, overdue, leaves, leaves_spread, grows, grows_spread, shrinks, modeled)


def _mean_spread(model: StagePrediction, derived_spread: Floats, derived: Floats) -> Floats:
    """Return the spread of pooled probabilities: the mean, as the errors of both methods may be common."""
    own = log_odds_spread(model.low, model.high)
    return np.where(np.isnan(derived), own, (own + derived_spread) / 2)


def _by(model: ModelProbabilities, until: Floats, grace_days: int) -> tuple[Floats, Floats]:
    probabilities = np.full(len(until), np.nan)
    rows = np.flatnonzero(np.isfinite(until))
    horizons = {days: p[rows] for days, p in model.horizons.items()}
    # The grace period includes its end; the windows of the model exclude theirs.
    probabilities[rows] = probability_by(horizons, until[rows] + grace_days, until[rows])
    return probabilities, log_odds_spread(model.low, model.high)
