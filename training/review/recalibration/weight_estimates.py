"""What the earlier rows say about the weights: fitted, shrunk, with intervals, and what may be proposed."""

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
"""Accounts with, and without, a churn on which a dimension must be known to be judged."""
_UNDEFINED = Estimate(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class EarlierRows:
    """Earlier rows, n of them, of k dimensions.

    Parameters
    ----------
    points : NaN unknown, each row with a known one, shape (n, k). churned, accounts, weight : shape (n,); the weight
        is what a row counts for among the overlapping ones of its account.
    old : the weights in force, summing to 100, shape (k,).
    """

    points: Floats
    churned: Floats
    accounts: Objects
    weight: Floats
    old: Floats

    @classmethod
    def of(cls, rows: ReviewRows, mask: Bools, old: Floats) -> EarlierRows:
        """Some of the rows of a review."""
        accounts = rows.accounts[mask]
        weight = overlap_weights(accounts, rows.as_of[mask], rows.horizon_days)
        return cls(rows.points.to_numpy(dtype=np.float64)[mask], rows.churned[mask], accounts, weight, old)

    @property
    def behind(self) -> EvidenceCount:
        """What they are."""
        return evidence_count(self.churned, self.accounts)

    def known(self, dimension: int) -> EvidenceCount:
        """Those on which a dimension is known."""
        there = ~np.isnan(self.points[:, dimension])
        return evidence_count(self.churned[there], self.accounts[there])

    def lacking(self, dimension: int) -> str:
        """Why a dimension cannot be judged; empty where it can."""
        found = self.known(dimension)
        if not found.rows:
            return "it is never known"
        if np.nanstd(self.points[:, dimension]) == 0.0:
            return "its points are always the same"
        if min(found.churned, found.accounts - found.churned) < MINIMUM_KNOWN:
            return f"it is known for {found.churned} accounts that churned and {found.accounts - found.churned} others"
        return ""


@dataclass(frozen=True)
class WeightEstimates:
    """What they say; arrays of shape (k,) or (k, 2), NaN where a dimension is not judged. Weights in points of 100.

    Parameters
    ----------
    lacking : why each is not judged, empty where it is.
    fitted, low, high : neither shrunk nor capped, and its interval.
    shrunk : drawn towards the weights in force; the target of a change.
    candidate : a step towards ``shrunk`` within the cap, in whole points; ``range`` is where the resamples put it,
        before rounding.
    clear : 1 or -1 where the weight in force is clearly too low or too high.
    beside : each coefficient beside the others, per ten points.
    events : churns, those of overlapping rows counted once.
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
        """Which dimensions are."""
        return np.array([not reason for reason in self.lacking])


def estimate_weights(
    past: EarlierRows, prior: float, cap: float, chance: float, resamples: int, seed: int
) -> WeightEstimates:
    """Fit the weights of all dimensions that can be judged; the others keep theirs.

    Parameters
    ----------
    prior : events that the weights in force are worth.
    cap : in points. chance : of any false alarm.
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

    drawn = fit(prior)
    found = estimate_coefficients(points, stayed, weight, past.accounts[used], drawn.coef_[0], own, resamples, seed)
    clear = np.zeros(k, dtype=np.int64)
    clear[at] = found.cleared(own, chance)
    shrunk = placed(drawn.weights_ * whole / 100.0, old)
    bounds = range_towards_target(old, shrunk, allowed_range(old, clear, cap))[at]
    candidate = fit(prior, bounds).weights_ * whole / 100.0
    moved = round_to_steps(candidate - old[at], STEP, bounds[:, 0] - old[at], bounds[:, 1] - old[at])
    rate = float(weight @ stayed / weight.sum())
    penalty = prior * max(rate, 1 - rate) * prior_quadratic_form(own, points_variance(points, weight))
    spread = found.weights(bounds[:, 0] / whole, bounds[:, 1] / whole, penalty) * whole / 100.0
    ends = np.array([interval(spread[:, i], INTERVAL_LEVEL) for i in range(len(at))])
    held = np.array([found.interval(i, INTERVAL_LEVEL) for i in range(len(at))]) * whole / 100.0
    fitted = fit(0.0).weights_ * whole / 100.0
    beside = [_UNDEFINED] * k
    for i, j in enumerate(at):
        beside[j] = slope_per_ten_points(found, i)
    return WeightEstimates(
        lacking,
        placed(fitted, blank),
        placed(np.minimum(held[:, 0], fitted), blank),
        placed(np.maximum(held[:, 1], fitted), blank),
        shrunk,
        placed(old[at] + moved, old),
        np.column_stack([placed(ends[:, 0], old), placed(ends[:, 1], old)]),
        clear,
        tuple(beside),
        events,
    )


def allowed_range(old: Floats, clear: Ints, cap: float) -> Floats:
    """The least and the most that each weight may become, shape (k, 2), in points.

    A weight that is clearly wrong may move its way; the others only as far as that needs, for a sum of 100: down where
    others go up, up where others go down, not at all where both do. Where none is clearly wrong, all may move.
    One may fall to 0: its points are still told, and it may rise again.
    """
    up, down = bool((clear > 0).any()), bool((clear < 0).any())
    falls = (clear < 0) | ((clear == 0) & (up | ~down) & ~(up & down))
    rises = (clear > 0) | ((clear == 0) & (down | ~up) & ~(up & down))
    least = np.where(falls, np.maximum(old - cap, 0.0), old)
    return np.column_stack([least, np.where(rises, np.minimum(old + cap, 100.0), old)])


def range_towards_target(old: Floats, target: Floats, bounds: Floats) -> Floats:
    """Bounds that let a weight move towards its target only, and at most a fraction of a point past it.

    Parameters
    ----------
    old, target : weights in points, shape (k,).
    bounds : the least and the most of each weight, with ``old`` between them, shape (k, 2).

    Returns
    -------
    The narrower bounds, shape (k, 2). They lie whole steps away from ``old``, so that a small move survives rounding.
    """
    way = target - old
    # A target that is equal but for the last digits is no way to go.
    least = old - STEP * np.ceil(np.maximum(-way, 0.0) / STEP - 1e-6)
    most = old + STEP * np.ceil(np.maximum(way, 0.0) / STEP - 1e-6)
    return np.column_stack([np.maximum(bounds[:, 0], least), np.minimum(bounds[:, 1], most)])


def single_dimension_slope(past: EarlierRows, dimension: int, resamples: int, seed: int) -> Estimate:
    """The slope of one dimension by itself, per ten points."""
    there = ~np.isnan(past.points[:, dimension])
    found = estimate_coefficients(
        past.points[there][:, [dimension]],
        1.0 - past.churned[there],
        past.weight[there],
        past.accounts[there],
        np.ones(1),
        np.ones(1),
        resamples,
        seed,
    )
    return slope_per_ten_points(found, 0)


def slope_per_ten_points(found: CoefficientEstimates, dimension: int) -> Estimate:
    """A coefficient of the evidence: the log-odds of staying for ten points."""
    return Estimate(10.0 * float(found.slopes[dimension]), *interval(10.0 * found.draws[:, dimension], INTERVAL_LEVEL))
