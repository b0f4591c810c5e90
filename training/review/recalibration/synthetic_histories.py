"""Synthetic histories with known true weights, to validate the method of the review.

Each account has points in every dimension that vary around its own level. Its weekly log-odds of leaving rise as the
weighted mean of its available points falls below the average: these weights are the true ones, and no others predict
better. All dimensions vary at the same speed, so that current points predict future points in the same proportion, and
the true weights are also those of churn within the horizon (for normal points a regression finds the right direction
even with the wrong link: Brillinger 1982; Li and Duan 1989).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.optimize

from features.utils.arrays import Floats
from training.review.labelled_rows import ReviewRows, later_rows_mask

SPREADS = (22.0, 16.0, 12.0, 19.0, 9.0)
"""Standard deviations of the points by dimension, repeated as needed."""
MEAN = 62.0
CORRELATION = 0.3
"""Correlation between any two dimensions."""
PERMANENT_SHARE = 0.5
"""Share of the variance that is permanent for an account; the rest has the autocorrelation `WEEKLY_PERSISTENCE`."""
WEEKLY_PERSISTENCE = 0.96
CHURNED_SHARE = 0.3
"""Share of the accounts that leave within the history."""


@dataclass(frozen=True)
class SyntheticHistory:
    """A synthetic history.

    Parameters
    ----------
    rows : rows scored by the current weights.
    weights : the true weights, with a sum of 100.
    slope : decrease of the weekly log-odds of leaving per point of the true score.
    """

    rows: ReviewRows
    weights: dict[str, float]
    slope: float


def simulate_synthetic_history(
    weights: Mapping[str, float],
    incumbent: Mapping[str, float],
    churned: int,
    seed: int,
    *,
    slope: float = 0.09,
    weeks: int = 156,
    every_weeks: int = 1,
    unknown: float = 0.05,
    horizon_days: int = 90,
    grace_days: int = 30,
) -> SyntheticHistory:
    """Simulate a history.

    Parameters
    ----------
    weights, incumbent : true and current weights of the same dimensions, each with a sum of 100.
    churned : approximate number of accounts that leave in the whole history.
    seed : of the random numbers.
    slope : decrease of the weekly log-odds of leaving per point of the true score; 0 if points have no effect.
    weeks, every_weeks : length of the history, and weeks between snapshots.
    unknown : share of the accounts without data for a dimension, for each dimension.
    horizon_days, grace_days : of the labels.

    Returns
    -------
    The history.
    """
    names = list(weights)
    rng = np.random.default_rng(seed)
    n, k = round(churned / CHURNED_SHARE), len(names)
    points = _points(n, weeks, k, rng)
    never = rng.random((n, k)) < unknown
    never[never.all(axis=1), 0] = False
    true = (points * ~never) @ (own := np.array([weights[name] for name in names])) / (~never @ own)
    risk = np.exp(-slope * (true - true.mean()))
    base = _base_rate(risk)
    leaves = rng.random((weeks, n)) < -np.expm1(-base * risk)
    left = np.where(leaves.any(axis=0), leaves.argmax(axis=0), weeks + horizon_days)
    week, account = np.nonzero((np.arange(weeks)[:, None] <= left) & (np.arange(weeks)[:, None] % every_weeks == 0))
    # The account leaves within the week after the date.
    leaves_within_horizon = (left[account] * 7 < week * 7 + horizon_days).astype(np.float64)
    churn = np.where(week * 7 + horizon_days + grace_days <= weeks * 7, leaves_within_horizon, np.nan)
    observed = np.where(never[account], np.nan, points[week, account])
    score = score_points(observed, np.array([incumbent[name] for name in names]))
    as_of = pd.Series(pd.Timestamp("2023-01-02", tz="UTC") + pd.to_timedelta(week * 7, unit="D"))
    accounts = np.array([f"a{i:05d}" for i in range(n)], dtype=object)[account]
    chance = -np.expm1(-base * risk[week, account] * horizon_days / 7)
    rows = ReviewRows(
        points=pd.DataFrame(observed, columns=names),
        score=score,
        band=_band(score),
        churned=churn,
        accounts=accounts,
        as_of=as_of,
        later=later_rows_mask(as_of, churn, accounts, horizon_days + grace_days),
        horizon_days=horizon_days,
        grace_days=grace_days,
        model=np.clip(chance, 0.0, 1.0),
    )
    return SyntheticHistory(rows, {name: float(weights[name]) for name in names}, slope)


def score_points(points: Floats, weights: Floats) -> Floats:
    """Compute the weighted mean of the available points of each row.

    Parameters
    ----------
    points : 0 to 100, NaN if missing, shape (n, k).
    weights : shape (k,).

    Returns
    -------
    Scores, NaN if less than half of the weight has data, shape (n,).
    """
    available = ~np.isnan(points)
    available_weight = available @ weights
    total = np.nan_to_num(points) @ weights
    score: Floats = np.divide(
        total, available_weight, out=np.full(len(points), np.nan), where=available_weight >= weights.sum() / 2
    )
    return score


def _points(n: int, weeks: int, k: int, rng: np.random.Generator) -> Floats:
    mix = np.linalg.cholesky(np.full((k, k), CORRELATION) + (1 - CORRELATION) * np.eye(k)).T
    spread = np.resize(np.array(SPREADS), k)
    own = rng.normal(size=(n, k)) * np.sqrt(PERMANENT_SHARE)
    moving = rng.normal(size=(n, k))
    deviations = np.empty((weeks, n, k))
    for week in range(weeks):
        deviations[week] = own + np.sqrt(1 - PERMANENT_SHARE) * moving
        moving = WEEKLY_PERSISTENCE * moving + np.sqrt(1 - WEEKLY_PERSISTENCE**2) * rng.normal(size=(n, k))
    return np.asarray(np.clip(MEAN + (deviations @ mix) * spread, 0.0, 100.0), dtype=np.float64)


def _base_rate(risk: Floats) -> float:
    """The weekly rate at which the share `CHURNED_SHARE` of the accounts leaves."""

    def churn_share_error(log_rate: float) -> float:
        return float(-np.expm1(-np.exp(log_rate) * risk.sum(axis=0)).mean() - CHURNED_SHARE)

    return float(np.exp(scipy.optimize.brentq(churn_share_error, -20.0, 5.0)))


def _band(score: Floats) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    names = np.full(len(score), "insufficient_data", dtype=object)
    for name, begins in (("red", 0.0), ("yellow", 40.0), ("green", 70.0)):
        names[score >= begins] = name
    return names
