"""Population drift: how far a model moves the level because the accounts of today differ from those of the past.

A model learns how accounts differ from each other. When a feature of all accounts changes at once (a season, a new
feed), the model moves the mean probability as if the accounts had become different ones. Outcomes have not yet
confirmed that. If only known outcomes moved the level, the mean probability of today's accounts would be that of the
accounts of the newest quarter with known outcomes whose renewal was equally far away. Renewal dates are known in
advance, so a change in how many renewals are due does move the level. The calibrator puts the level halfway between
both (`training.estimators.calibration`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.special

from features.utils.arrays import Floats, Ints

#: Limits of the days to renewal that are distinguished, besides unknown.
DUE_LIMITS = (30.0, 60.0, 90.0, 120.0, 180.0, 365.0)
DUE_GROUPS = len(DUE_LIMITS) + 2
# Rows of today's own mean that are added to each group, so that a group without a past keeps the model's level.
_PRIOR_ROWS = 5.0
_EDGE = 1e-6


def due_groups(days: Floats) -> Ints:
    """Return the group of each row by its days to renewal; the last one is unknown.

    Parameters
    ----------
    days : days to renewal, NaN for unknown, shape (n,).

    Returns
    -------
    array of int, shape (n,)
        From 0 to ``DUE_GROUPS - 1``.
    """
    groups = np.searchsorted(DUE_LIMITS, days, side="right")
    return np.where(np.isnan(days), DUE_GROUPS - 1, groups).astype(np.int64)


@dataclass(frozen=True)
class PopulationDrift:
    """The accounts of the newest quarter with known outcomes, and those of today.

    Parameters
    ----------
    then : out-of-fold log-odds of the models for the rows of the quarter, shape (r, m).
    then_days : days to renewal of these rows, NaN for unknown, shape (r,).
    now : log-odds of the models for the snapshots of today, shape (n, m).
    now_days : days to renewal of these snapshots, shape (n,).
    """

    then: Floats
    then_days: Floats
    now: Floats
    now_days: Floats

    def correction(self, weights: Floats, probability: Callable[[Floats], Floats]) -> float:
        """Return what to add to the log-odds of a level, so that drift does not move it at all.

        Parameters
        ----------
        weights : weight of each model, shape (m,).
        probability : the calibrator: log-odds to probabilities.

        Returns
        -------
        float
            0 without snapshots of today.
        """
        if not len(self.now):
            return 0.0
        then, now = probability(self.then @ weights), probability(self.now @ weights)
        return drift_correction(then, due_groups(self.then_days), now, due_groups(self.now_days))


def drift_correction(then: Floats, then_groups: Ints, now: Floats, now_groups: Ints) -> float:
    """Return how far the mean of today's probabilities is below that of the past at today's mix of groups.

    Parameters
    ----------
    then, then_groups : probability and group of each past row, shape (r,).
    now, now_groups : probability and group of each row of today, shape (n,), n at least 1.

    Returns
    -------
    float
        In log-odds.
    """
    past, rows = np.bincount(then_groups, then, DUE_GROUPS), np.bincount(then_groups, minlength=DUE_GROUPS)
    count = np.bincount(now_groups, minlength=DUE_GROUPS)
    own = np.bincount(now_groups, now, DUE_GROUPS) / np.maximum(count, 1)
    expected = count @ ((past + _PRIOR_ROWS * own) / (rows + _PRIOR_ROWS)) / count.sum()
    levels = scipy.special.logit(np.clip([expected, now.mean()], _EDGE, 1 - _EDGE))
    return float(levels[0] - levels[1])
