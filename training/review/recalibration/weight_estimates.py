"""Estimates of the weights from the earlier rows: fitted, shrunk and candidate weights with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.utils.arrays import Bools, Floats, Ints, Objects
from training.review.labelled_rows import ReviewRows, overlap_weights
from training.review.recalibration.largest_remainder import round_to_steps
from training.review.recalibration.schemas import Estimate, EvidenceCount
from training.review.recalibration.score_comparison import INTERVAL_LEVEL, evidence_count
from training.review.recalibration.weight_evidence import CoefficientEstimates, estimate_coefficients
from training.review.recalibration.weight_fit import WeightFit, points_variance, prior_quadratic_form
from training.statistics.account_bootstrap import interval

STEP = 1.0
"""Weights are proposed in whole points."""
MINIMUM_KNOWN = 10
"""Minimum number of churned and of other accounts with data for a dimension to be fitted."""
_UNDEFINED = Estimate(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class EarlierRows:
    """The n earlier rows of k dimensions.

    Parameters
    ----------
    points : NaN if missing, with at least one value per row, shape (n, k).
    churned, accounts : of each row, shape (n,).
    weight : weight of each row among the overlapping rows of its account, shape (n,).
    old : the current weights, with a sum of 100, shape (k,).
    """

    points: Floats
    churned: Floats
    accounts: Objects
    weight: Floats
    old: Floats

    @classmethod
    def of(cls, rows: ReviewRows, mask: Bools, old: Floats) -> EarlierRows:
        """Select rows of a review.

        Parameters
        ----------
        rows : all rows.
        mask : the rows to select, shape (n,).
        old : the current weights.
        """
        accounts = rows.accounts[mask]
        weight = overlap_weights(accounts, rows.as_of[mask], rows.horizon_days)
        return cls(rows.points.to_numpy(dtype=np.float64)[mask], rows.churned[mask], accounts, weight, old)

    @property
    def behind(self) -> EvidenceCount:
        """Counts of the rows."""
        return evidence_count(self.churned, self.accounts)

    def rows_with_data(self, dimension: int) -> EvidenceCount:
        """Count the rows with data for a dimension."""
        has_points = ~np.isnan(self.points[:, dimension])
        return evidence_count(self.churned[has_points], self.accounts[has_points])

    def lacking(self, dimension: int) -> str:
        """Explain why a dimension cannot be fitted; empty if it can."""
        count = self.rows_with_data(dimension)
        if not count.rows:
            return "no account has data for it"
        if np.nanstd(self.points[:, dimension]) == 0.0:
            return "its points never vary"
        if min(count.churned, count.accounts - count.churned) < MINIMUM_KNOWN:
            return f"only {count.churned} churned and {count.accounts - count.churned} other accounts have data for it"
        return ""


@dataclass(frozen=True)
class WeightEstimates:
    """Estimates for k dimensions; arrays of shape (k,) or (k, 2), NaN if not fitted. Weights in points of 100.

    Parameters
    ----------
    lacking : reason why each dimension is not fitted; empty if it is.
    fitted, low, high : the weights, neither shrunk nor capped, and their intervals.
    shrunk : the weights shrunk towards the current ones; the target of a change.
    candidate : a step towards ``shrunk`` within the cap, in whole points.
    range : range of the candidate over the resamples, before rounding.
    clear : 1 or -1 if the current weight is clearly too low or too high, else 0.
    beside : coefficients with all dimensions together, per ten points.
    events : number of churns; overlapping rows of one churn count once.
    """

    lacking: tuple[str, ...]
    fitted: Floats
    low: Floats
    high: Floats
    shrunk: Floats
    candidate: Floats
    range: Floats
    clear: Ints
    beside: tuple[Estimate, ...]
    events: float

    @property
    def judged(self) -> Bools:
        """Mask of the fitted dimensions."""
        return np.array([not reason for reason in self.lacking])


def estimate_weights(
    past: EarlierRows, prior: float, cap: float, chance: float, resamples: int, seed: int
) -> WeightEstimates:
    """Estimate the weights of all dimensions with enough data; the others keep their current weight.

    Parameters
    ----------
    past : the earlier rows.
    prior : number of events that the current weights count for.
    cap : largest change of a weight, in points.
    chance : probability of any false alarm.
    resamples, seed : of the account bootstrap.

    Returns
    -------
    The estimates.
    """
    k, old = len(past.old), past.old
    lacking = tuple(past.lacking(j) for j in range(k))
    judged = np.array([not reason for reason in lacking])
    events = float(past.weight @ past.churned)
    blank = np.full(k, np.nan)
    if judged.sum() < 2:
        pairs = np.column_stack([old, old])
        return WeightEstimates(
            lacking, blank, blank, blank, old, old, pairs, np.zeros(k, np.int64), (_UNDEFINED,) * k, events
        )
    at = np.flatnonzero(judged)
    whole = old[at].sum()
    own = old[at] / whole
    used = ~np.isnan(past.points[:, at]).all(axis=1)
    points, stayed, weight = past.points[used][:, at], 1.0 - past.churned[used], past.weight[used]

    def fit(prior_events: float, bounds: Floats | None = None) -> WeightFit:
        within = None if bounds is None else 100.0 * bounds / whole
        return WeightFit(own, prior_events=prior_events, bounds=within).fit(points, stayed, sample_weight=weight)

    def placed(values: Floats, otherwise: Floats) -> Floats:
        out = otherwise.copy()
        out[at] = values
        return out

    shrunk_fit = fit(prior)
    coefficients = estimate_coefficients(
        points, stayed, weight, past.accounts[used], shrunk_fit.coef_[0], own, resamples, seed
    )
    clear = np.zeros(k, dtype=np.int64)
    clear[at] = coefficients.cleared(own, chance)
    shrunk = placed(shrunk_fit.weights_ * whole / 100.0, old)
    bounds = range_towards_target(old, shrunk, allowed_range(old, clear, cap))[at]
    candidate = fit(prior, bounds).weights_ * whole / 100.0
    moved = round_to_steps(candidate - old[at], STEP, bounds[:, 0] - old[at], bounds[:, 1] - old[at])
    rate = float(weight @ stayed / weight.sum())
    penalty = prior * max(rate, 1 - rate) * prior_quadratic_form(own, points_variance(points, weight))
    spread = coefficients.weights(bounds[:, 0] / whole, bounds[:, 1] / whole, penalty) * whole / 100.0
    ends = np.array([interval(spread[:, i], INTERVAL_LEVEL) for i in range(len(at))])
    interval_ends = np.array([coefficients.interval(i, INTERVAL_LEVEL) for i in range(len(at))]) * whole / 100.0
    fitted = fit(0.0).weights_ * whole / 100.0
    joint = [_UNDEFINED] * k
    for i, j in enumerate(at):
        joint[j] = slope_per_ten_points(coefficients, i)
    return WeightEstimates(
        lacking,
        placed(fitted, blank),
        placed(np.minimum(interval_ends[:, 0], fitted), blank),
        placed(np.maximum(interval_ends[:, 1], fitted), blank),
        shrunk,
        placed(old[at] + moved, old),
        np.column_stack([placed(ends[:, 0], old), placed(ends[:, 1], old)]),
        clear,
        tuple(joint),
        events,
    )


def allowed_range(old: Floats, clear: Ints, cap: float) -> Floats:
    """Compute the allowed range of each weight, in points.

    A weight that is clearly wrong may move in that direction. The others may move only as needed for a sum of 100: down
    if others rise, up if others fall, not at all if both happen. If no weight is clearly wrong, all may move. A weight
    may fall to 0: the points of its dimension are still shown, and it may rise again.

    Parameters
    ----------
    old : the current weights, shape (k,).
    clear : 1 or -1 if a weight is clearly too low or too high, else 0, shape (k,).
    cap : largest change, in points.

    Returns
    -------
    Lowest and highest weight, shape (k, 2).
    """
    up, down = bool((clear > 0).any()), bool((clear < 0).any())
    falls = (clear < 0) | ((clear == 0) & (up | ~down) & ~(up & down))
    rises = (clear > 0) | ((clear == 0) & (down | ~up) & ~(up & down))
    least = np.where(falls, np.maximum(old - cap, 0.0), old)
    return np.column_stack([least, np.where(rises, np.minimum(old + cap, 100.0), old)])


def range_towards_target(old: Floats, target: Floats, bounds: Floats) -> Floats:
    """Narrow bounds so that each weight moves only towards its target, and at most a fraction of a point past it.

    Parameters
    ----------
    old, target : weights in points, shape (k,).
    bounds : lowest and highest value of each weight, with ``old`` between them, shape (k, 2).

    Returns
    -------
    The narrower bounds, shape (k, 2), whole steps away from ``old``, so that a small change survives rounding.
    """
    gap = target - old
    # Rounding errors of the target do not count as a difference.
    least = old - STEP * np.ceil(np.maximum(-gap, 0.0) / STEP - 1e-6)
    most = old + STEP * np.ceil(np.maximum(gap, 0.0) / STEP - 1e-6)
    return np.column_stack([np.maximum(bounds[:, 0], least), np.minimum(bounds[:, 1], most)])


def single_dimension_slope(past: EarlierRows, dimension: int, resamples: int, seed: int) -> Estimate:
    """Estimate the slope of one dimension alone, per ten points.

    Parameters
    ----------
    past : the earlier rows.
    dimension : its position.
    resamples, seed : of the account bootstrap.
    """
    has_points = ~np.isnan(past.points[:, dimension])
    coefficients = estimate_coefficients(
        past.points[has_points][:, [dimension]],
        1.0 - past.churned[has_points],
        past.weight[has_points],
        past.accounts[has_points],
        np.ones(1),
        np.ones(1),
        resamples,
        seed,
    )
    return slope_per_ten_points(coefficients, 0)


def slope_per_ten_points(coefficients: CoefficientEstimates, dimension: int) -> Estimate:
    """Return a coefficient with its interval, as log-odds of staying per ten points."""
    return Estimate(
        10.0 * float(coefficients.slopes[dimension]), *interval(10.0 * coefficients.draws[:, dimension], INTERVAL_LEVEL)
    )
