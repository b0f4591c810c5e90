"""How sure the weights are: the account bootstrap of their coefficients, and what it says of each weight."""

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

# Events behind the belief that a coefficient is 0, for each: keeps resamples finite that happen to separate.
_RIDGE_EVENTS = 1.0
_GRID = np.linspace(0.0, 1.0, 2001)
_NORMALS = 20_000


@dataclass(frozen=True)
class CoefficientEstimates:
    """Coefficients of k dimensions side by side, free of sign, and resamples of them.

    Parameters
    ----------
    slopes : log-odds of staying per point, shape (k,).
    draws : the same of every resample, shape (resamples, k).
    information : Fisher's, of the slopes, the intercept taken out; of every resample, shape (resamples, k, k).
    """

    slopes: Floats
    draws: Floats
    information: Floats

    @cached_property
    def covariance(self) -> Floats:
        """Of the slopes, over resamples of accounts, shape (k, k)."""
        return np.atleast_2d(np.cov(self.draws, rowvar=False))

    def interval(self, dimension: int, level: float) -> tuple[float, float]:
        """The interval of a dimension's true weight, in points of 100.

        It holds every weight w that the history does not contradict: those at which the coefficient less w times the
        sum of all coefficients lies within its error of 0 (Fieller, J. R. Stat. Soc. B 16, 1954). So it stays honest
        where the slope itself is hardly known, and a ratio of estimates would be anything: it is then as wide as 0 to
        100. Where the history contradicts every weight of 0 or more, it is the nearest one.
        """
        away = self._away(dimension, _GRID)
        held = np.flatnonzero(away <= scipy.stats.norm.ppf((1 + level) / 2))
        held = held if len(held) else np.array([int(np.argmin(away))])
        return 100.0 * float(_GRID[held[0]]), 100.0 * float(_GRID[held[-1]])

    def _away(self, dimension: int, weights: Floats) -> Floats:
        """By how many standard errors each weight (a share) is contradicted."""
        contrast = np.eye(len(self.slopes))[dimension] - weights[:, None]
        error = np.sqrt(np.einsum("ij,jk,ik->i", contrast, self.covariance, contrast))
        found: Floats = np.abs(contrast @ self.slopes) / np.maximum(error, 1e-300)
        return found

    def cleared(self, shares: Floats, chance: float) -> Ints:
        """Which dimensions' weights are clearly not those given, all minded together.

        The largest of the k contrasts is held against how large it would be by chance if all the weights were right
        (a max-t test: Westfall and Young 1993; Hothorn, Bretz and Westfall 2008), so that any false alarm comes with
        ``chance`` at most, however many dimensions there are.

        Parameters
        ----------
        shares : the weights to hold them against, summing to 1, shape (k,).

        Returns
        -------
        1 where the true weight is clearly higher, -1 where it is clearly lower, else 0; shape (k,).
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
        """The weights of every resample within bounds (shares), drawn by a penalty; shape (resamples, k), sum 100.

        Each resample's likelihood is taken for the quadratic around its own coefficients (Wang and Leng, JASA 102,
        2007). NaN where all coefficients are 0.
        """
        cone = share_cone(low, high)
        pull = np.zeros_like(self.covariance) if penalty is None else penalty
        found = []
        for slopes, information in zip(self.draws, self.information, strict=True):
            both = information + pull
            goal = np.linalg.solve(both, information @ slopes)
            kept = project_on_cone(goal, both, cone)
            found.append(100.0 * kept / kept.sum() if kept.sum() > 0 else np.full(len(kept), np.nan))
        return np.array(found)


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
    """Coefficients free of sign, and their account bootstrap.

    Each resample is one Newton step from the solution of all rows, made of sums by account (Davidson and MacKinnon,
    Int. Econ. Rev. 40, 1999): as good as refitting where churns are dozens or more, and hundreds of times quicker.

    Parameters
    ----------
    points : NaN unknown, every row with a known one, shape (n, k). stayed, weight, accounts : shape (n,).
    slopes : where unknown dimensions are filled in: the shrunk fit's log-odds per point, 0 or more, shape (k,).
    own : shares of the weights in force, shape (k,).
    resamples, seed : of the bootstrap.
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
    curved = weight * p * (1 - p)
    second = sums_by_account(
        bootstrap, np.stack([curved * design[:, i] * design[:, j] for i in range(k + 1) for j in range(k + 1)], axis=1)
    )
    score = bootstrap.counts @ first - strength * theta
    hessian = (bootstrap.counts @ second).reshape(-1, k + 1, k + 1) + np.diag(strength + 1e-9)
    draws = theta + np.linalg.solve(hessian, score[:, :, None])[:, :, 0]
    cross = hessian[:, :k, k]
    information = hessian[:, :k, :k] - cross[:, :, None] * cross[:, None, :] / hessian[:, k, k][:, None, None]
    return CoefficientEstimates(theta[:k] / spread, draws[:, :k] / spread, information * np.outer(spread, spread))


def sums_by_account(bootstrap: AccountBootstrap, values: Floats) -> Floats:
    """Sums of row values (n, columns) by account, shape (accounts, columns)."""
    sums = [np.bincount(bootstrap.codes, column, bootstrap.accounts) for column in values.T]
    return np.stack(sums, axis=1)
