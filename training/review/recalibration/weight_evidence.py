"""Uncertainty of the weights: account bootstrap of the coefficients, intervals and tests for each weight."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.special
import scipy.stats

from features.utils.arrays import Floats, Ints, Objects
from training.review.recalibration.cone_projection import project_on_cone, share_cone
from training.review.recalibration.linearized_score import linearized_score
from training.statistics import newton_logistic
from training.statistics.account_bootstrap import AccountBootstrap

# Prior events in favor of a coefficient of 0, for each: keeps coefficients finite in resamples with perfect separation.
_RIDGE_EVENTS = 1.0
_GRID = np.linspace(0.0, 1.0, 2001)
_NORMALS = 20_000


@dataclass(frozen=True)
class CoefficientEstimates:
    """Joint coefficients of k dimensions, without sign constraints, and their resamples.

    Parameters
    ----------
    slopes : log-odds of staying per point, shape (k,).
    draws : slopes of every resample, shape (resamples, k).
    information : Fisher information of the slopes without the intercept, for every resample, shape (resamples, k, k).
    """

    slopes: Floats
    draws: Floats
    information: Floats

    @cached_property
    def covariance(self) -> Floats:
        """Covariance of the slopes over resamples of accounts, shape (k, k)."""
        return np.atleast_2d(np.cov(self.draws, rowvar=False))

    def interval(self, dimension: int, level: float) -> tuple[float, float]:
        """Compute the interval of the true weight of a dimension, in points of 100.

        The interval contains every weight w that the data do not contradict, that is, for which the coefficient minus w
        times the sum of all coefficients is within its error of 0 (Fieller, J. R. Stat. Soc. B 16, 1954). So it stays
        valid if the slope is uncertain and a ratio of estimates would be unstable; it may then range from 0 to 100. If
        the data contradict every weight of 0 or more, the interval is the nearest weight.

        Parameters
        ----------
        dimension : its position.
        level : confidence level, 0 to 1.
        """
        distances = self._distance(dimension, _GRID)
        accepted = np.flatnonzero(distances <= scipy.stats.norm.ppf((1 + level) / 2))
        accepted = accepted if len(accepted) else np.array([int(np.argmin(distances))])
        return 100.0 * float(_GRID[accepted[0]]), 100.0 * float(_GRID[accepted[-1]])

    def _distance(self, dimension: int, weights: Floats) -> Floats:
        """Distance of each weight (a share) from the estimate, in standard errors."""
        contrast = np.eye(len(self.slopes))[dimension] - weights[:, None]
        error = np.sqrt(np.einsum("ij,jk,ik->i", contrast, self.covariance, contrast))
        distance: Floats = np.abs(contrast @ self.slopes) / np.maximum(error, 1e-300)
        return distance

    def cleared(self, shares: Floats, chance: float) -> Ints:
        """Test which dimensions have weights that clearly differ from the given ones, all together.

        The largest of the k contrasts is compared with its distribution if all weights are right (a max-t test:
        Westfall and Young 1993; Hothorn, Bretz and Westfall 2008). So the probability of any false alarm is at most
        ``chance``, for any number of dimensions.

        Parameters
        ----------
        shares : the weights to compare with, with a sum of 1, shape (k,).
        chance : probability of any false alarm.

        Returns
        -------
        1 if the true weight is clearly higher, -1 if it is clearly lower, else 0; shape (k,).
        """
        contrasts = np.eye(len(shares)) - shares[:, None]
        spread = contrasts @ self.covariance @ contrasts.T
        error = np.sqrt(np.maximum(np.diag(spread), 1e-300))
        correlation = spread / np.outer(error, error)
        values, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
        normals = np.random.default_rng(0).normal(size=(_NORMALS, len(shares)))
        chances = np.abs(normals @ (vectors * np.sqrt(np.maximum(values, 0.0))).T).max(axis=1)
        t = contrasts @ self.slopes / error
        return np.where(np.abs(t) > np.quantile(chances, 1 - chance), np.sign(t), 0.0).astype(np.int64)

    def weights(self, low: Floats, high: Floats, penalty: Floats | None = None) -> Floats:
        """Compute the weights of every resample within bounds, shrunk by a penalty.

        The likelihood of each resample is approximated by the quadratic form around its coefficients (Wang and Leng,
        JASA 102, 2007).

        Parameters
        ----------
        low, high : smallest and largest share of each dimension, shape (k,).
        penalty : quadratic form to add, shape (k, k); None for none.

        Returns
        -------
        Weights with a sum of 100, NaN if all coefficients are 0, shape (resamples, k).
        """
        cone = share_cone(low, high)
        added = np.zeros_like(self.covariance) if penalty is None else penalty
        rows = []
        for slopes, information in zip(self.draws, self.information, strict=True):
            combined = information + added
            goal = np.linalg.solve(combined, information @ slopes)
            projected = project_on_cone(goal, combined, cone)
            rows.append(100.0 * projected / projected.sum() if projected.sum() > 0 else np.full(len(projected), np.nan))
        return np.array(rows)


def estimate_coefficients(
    points: Floats,
    stayed: Floats,
    weight: Floats,
    accounts: Objects,
    slopes: Floats,
    own: Floats,
    resamples: int,
    seed: int,
) -> CoefficientEstimates:
    """Estimate coefficients without sign constraints, and resample them by account.

    Each resample is one Newton step from the solution of all rows, computed from sums by account (Davidson and
    MacKinnon, Int. Econ. Rev. 40, 1999). This is as good as refitting with dozens of churns or more, and hundreds of
    times faster.

    Parameters
    ----------
    points : NaN if missing, with at least one value per row, shape (n, k).
    stayed, weight, accounts : of each row, shape (n,).
    slopes : log-odds per point of the shrunk fit, 0 or more, used to fill in missing dimensions, shape (k,).
    own : shares of the current weights, shape (k,).
    resamples, seed : of the account bootstrap.

    Returns
    -------
    The coefficients and their resamples.
    """
    filled = linearized_score(points, ~np.isnan(points), slopes, own).slopes
    mean = weight @ filled / weight.sum()
    spread = np.sqrt(weight @ (filled - mean) ** 2 / weight.sum())
    spread[spread == 0] = 1.0
    design = np.column_stack([(filled - mean) / spread, np.ones(len(stayed))])
    k = points.shape[1]
    rate = weight @ stayed / weight.sum()
    strength = np.append(np.full(k, _RIDGE_EVENTS * max(rate, 1 - rate)), 0.0)
    theta = newton_logistic.fit(design, stayed, weight[None], np.zeros(k + 1), strength)[0]
    p = scipy.special.expit(design @ theta)
    bootstrap = AccountBootstrap(accounts, resamples, seed)
    first = sums_by_account(bootstrap, (weight * (stayed - p))[:, None] * design)
    curvature = weight * p * (1 - p)
    second = sums_by_account(
        bootstrap,
        np.stack([curvature * design[:, i] * design[:, j] for i in range(k + 1) for j in range(k + 1)], axis=1),
    )
    score = bootstrap.counts @ first - strength * theta
    hessian = (bootstrap.counts @ second).reshape(-1, k + 1, k + 1) + np.diag(strength + 1e-9)
    draws = theta + np.linalg.solve(hessian, score[:, :, None])[:, :, 0]
    cross = hessian[:, :k, k]
    information = hessian[:, :k, :k] - cross[:, :, None] * cross[:, None, :] / hessian[:, k, k][:, None, None]
    return CoefficientEstimates(theta[:k] / spread, draws[:, :k] / spread, information * np.outer(spread, spread))


def sums_by_account(bootstrap: AccountBootstrap, values: Floats) -> Floats:
    """Sum row values by account.

    Parameters
    ----------
    bootstrap : has the accounts of the rows.
    values : shape (n, columns).

    Returns
    -------
    Sums, shape (accounts, columns).
    """
    sums = [np.bincount(bootstrap.codes, column, bootstrap.accounts) for column in values.T]
    return np.stack(sums, axis=1)
