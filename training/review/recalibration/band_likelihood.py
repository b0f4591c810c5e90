"""Band limits by maximum likelihood, over all pairs of whole points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.special

from features.utils.arrays import Floats, Ints
from training.statistics.account_bootstrap import AccountBootstrap

POINTS = 101
"""Whole points of score, 0 to 100. Limits are whole points."""
MINIMUM_SHARE = 0.05
"""Minimum share of the rows in each band."""


@dataclass(frozen=True)
class ScoreHistogram:
    """Rows and churns at each whole point of score, for b resamples; shape (b, 101) each."""

    rows: Floats
    churned: Floats

    @classmethod
    def of(
        cls, score: Floats, churned: Floats, weight: Floats, bootstrap: AccountBootstrap
    ) -> tuple[ScoreHistogram, ScoreHistogram]:
        """Count all rows (b = 1), and the rows of every resample.

        Parameters
        ----------
        score, churned, weight : of each row, shape (n,).
        bootstrap : the account resamples.
        """
        point = np.floor(score).astype(np.int64)
        both = []
        for values in (weight, weight * churned):
            cell = bootstrap.codes * POINTS + point
            both.append(np.bincount(cell, values, bootstrap.accounts * POINTS).reshape(-1, POINTS))
        whole = cls(*(table.sum(axis=0, keepdims=True) for table in both))
        return whole, cls(*(bootstrap.counts @ table for table in both))

    def with_prior(self, yellow: float, green: float, events: float) -> ScoreHistogram:
        """Add churns distributed by the churn rates of the current bands, with the observed scores.

        Parameters
        ----------
        yellow, green : the current limits.
        events : number of churns to add.
        """
        point = np.arange(POINTS)
        band = (point >= yellow).astype(np.int64) + (point >= green)
        rates = np.zeros_like(self.rows)
        for each in range(3):
            inside = band == each
            there = self.rows[:, inside].sum(axis=1, keepdims=True)
            happened = self.churned[:, inside].sum(axis=1, keepdims=True)
            rates[:, inside] = np.divide(happened, there, out=np.zeros_like(there), where=there > 0)
        more = events / np.maximum(self.churned.sum(axis=1, keepdims=True), 1e-12)
        return ScoreHistogram(self.rows * (1 + more), self.churned + self.rows * more * rates)

    @cached_property
    def _cumulated(self) -> tuple[Floats, Floats]:
        return tuple(np.pad(np.cumsum(of, axis=1), ((0, 0), (1, 0))) for of in (self.rows, self.churned))  # type: ignore[return-value]

    def best(
        self,
        low: tuple[float, float] = (1, 1),
        high: tuple[float, float] = (99, 100),
        share: float = MINIMUM_SHARE,
    ) -> Floats:
        """Find the most likely limits of yellow and green, shape (b, 2); NaN if there are none.

        The churn rate does not rise with the band, and each band has at least ``share`` of the rows.

        Parameters
        ----------
        low, high : lowest and highest value of each limit, yellow first.
        share : minimum share of the rows in each band, 0 to 1.
        """
        first, second = np.meshgrid(np.arange(1, POINTS - 1), np.arange(2, POINTS), indexing="ij")
        inside = (first < second) & (first >= low[0]) & (first <= high[0]) & (second >= low[1]) & (second <= high[1])
        yellow, green = first[inside], second[inside]
        if not len(yellow):
            return np.full((len(self.rows), 2), np.nan)
        rows, churned = (self._bands(of, yellow, green) for of in self._cumulated)
        rate = np.divide(churned, rows, out=np.zeros_like(rows), where=rows > 0)
        value = (scipy.special.xlogy(churned, rate) + scipy.special.xlog1py(rows - churned, -rate)).sum(axis=0)
        allowed = (rate[0] >= rate[1]) & (rate[1] >= rate[2])
        allowed &= (rows >= share * rows.sum(axis=0)).all(axis=0)
        value = np.where(allowed, value, -np.inf)
        at = value.argmax(axis=1)
        limits = np.column_stack([yellow[at], green[at]]).astype(np.float64)
        limits[~allowed.any(axis=1)] = np.nan
        return limits

    @staticmethod
    def _bands(cumulated: Floats, yellow: Ints, green: Ints) -> Floats:
        """Sums over red, yellow and green, shape (3, b, pairs)."""
        below, middle, whole = cumulated[:, yellow], cumulated[:, green], cumulated[:, -1:]
        # Rounding errors may leave an empty sum slightly below 0.
        return np.maximum(np.stack([below, middle - below, whole - middle]), 0.0)
