"""Learned weights of a rubric's dimensions, in proportion to the strength of their association with retention."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.utils.arrays import Floats
from models.health.score_calibration import LearnedWeights
from training.statistics.account_bootstrap import AccountBootstrap, interval
from training.statistics.metrics import Predictions, roc_auc

MINIMUM_CHURNED = 30
"""Minimum number of accounts with a churn."""
RESAMPLES = 200
LEVEL = 0.9


def learn_weights(
    points: pd.DataFrame, churned: Floats, accounts: npt.NDArray[np.object_], seed: int = 0
) -> LearnedWeights | None:
    """Learn the weights from labelled snapshots.

    The strength of a dimension is Somers' D of its points with staying: for a churned and a staying snapshot, the
    probability that the staying one has more points, minus the probability of the opposite (Somers, 1962). A dimension
    without a significant positive association with retention (its interval contains zero) gets weight 0.

    Parameters
    ----------
    points : points of each dimension, 0 to 100, NaN for unknown, shape (n, dimensions).
    churned : 0 or 1 within the horizon, shape (n,).
    accounts : account of each row; accounts are resampled whole.
    seed : seed of the resamples.

    Returns
    -------
    LearnedWeights or None
        None if there are too few churns, or no dimension has a significant positive association with retention.
    """
    with_churn = len(np.unique(accounts[churned == 1]))
    if with_churn < MINIMUM_CHURNED:
        return None
    strength: dict[str, tuple[float, float, float]] = {}
    for name in points.columns:
        x = points[name].to_numpy(dtype=np.float64)
        scored = ~np.isnan(x)
        stayed = 1.0 - churned[scored]
        if not 0 < stayed.sum() < scored.sum():
            continue
        data = Predictions(stayed, x[scored] / 100.0, np.zeros(int(scored.sum())))
        metric = partial(roc_auc, data)
        low, high = interval(2.0 * AccountBootstrap(accounts[scored], RESAMPLES, seed).values(metric) - 1.0, LEVEL)
        value = 2.0 * float(metric(np.ones((1, int(scored.sum()))))[0]) - 1.0
        if not np.isnan([value, low, high]).any():
            strength[name] = (value, low, high)
    positive = {name: max(value, 0.0) if low > 0.0 else 0.0 for name, (value, low, _) in strength.items()}
    total = sum(positive.values())
    if total <= 0.0:
        return None
    weights = {str(name): 100.0 * (positive.get(name, 0.0) / total) for name in points.columns}
    return LearnedWeights(weights=weights, strength=strength, accounts_with_churn=with_churn)
