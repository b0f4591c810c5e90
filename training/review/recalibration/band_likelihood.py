"""The limits that cut scores into three bands of churn: the likelihood of every pair of whole points at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.special

from features.utils.arrays import Floats, Ints
from training.statistics.account_bootstrap import AccountBootstrap

POINTS = 101
"""Scores are told apart by whole points, 0 to 100: limits are whole points too."""
MINIMUM_SHARE = 0.05
"""Of the rows, in each band: a smaller one is no band."""


@dataclass(frozen=True)
class ScoreHistogram:
    """Rows and churns at each whole point of score, of b resamples; shape (b, 101) each."""

    rows: Floats
    churned: Floats

    @classmethod
    def of(
        cls, score: Floats, churned: Floats, weight: Floats, bootstrap: AccountBootstrap
    ) -> tuple[ScoreHistogram, ScoreHistogram]:
        """Those of all rows (n,), b = 1, and those of every resample."""
        point = np.floor(score).astype(np.int64)
        both = []
        for values in (weight, weight * churned):
            cell = bootstrap.codes * POINTS + point
            both.append(np.bincount(cell, values, bootstrap.accounts * POINTS).reshape(-1, POINTS))
        whole = cls(*(table.sum(axis=0, keepdims=True) for table in both))
        return whole, cls(*(bootstrap.counts @ table for table in both))

    def with_prior(self, yellow: float, green: float, events: float) -> ScoreHistogram:
        """As if so many churns more had come just as the bands in force say, with the scores seen."""
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
        """Where yellow and green begin in the likeliest three bands, shape (b, 2); NaN where there are none.

        The churn rate never rises with the band, and no band holds less than a share of the rows.

        Parameters
        ----------
        low, high : the least and the most of either limit, yellow first.
        share : 0 to 1.
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
        found = np.column_stack([yellow[at], green[at]]).astype(np.float64)
        found[~allowed.any(axis=1)] = np.nan
        return found

    @staticmethod
    def _bands(cumulated: Floats, yellow: Ints, green: Ints) -> Floats:
        """Sums over red, yellow and green, shape (3, b, pairs)."""
        below, middle, whole = cumulated[:, yellow], cumulated[:, green], cumulated[:, -1:]
        # Rounding leaves a sum of nothing a little off 0.
        return np.maximum(np.stack([below, middle - below, whole - middle]), 0.0)
