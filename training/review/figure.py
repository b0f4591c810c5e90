"""Figures of the review: a value, its confidence interval, and the number of events behind it.

Intervals come from resampling accounts, at 95% unless a section states another level. A figure that is undefined, or
has too little data, is null.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from features.utils.arrays import Bools, Floats, Objects
from training.statistics.account_bootstrap import AccountBootstrap, interval

RESAMPLES = 300
#: Minimum number of accounts with the event for derived figures.
MINIMUM_EVENTS = 5
SEED = 0


class ReviewModel(BaseModel):
    """Base class of the parts of a review: immutable, without extra fields, without NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ReviewFigure(ReviewModel):
    """One number with its interval, if any. ``events`` is the number of accounts with the event."""

    value: float | None
    low: float | None = None
    high: float | None = None
    events: int

    @classmethod
    def of(cls, value: float, resampled: Floats, events: int) -> ReviewFigure:
        """Build a figure from its value and the values of the resamples.

        Parameters
        ----------
        value : the value; NaN becomes null.
        resampled : one value per resample.
        events : the number of events that the figure is based on.

        Returns
        -------
        ReviewFigure
        """
        if not np.isfinite(value):
            return cls(value=None, events=events)
        low, high = interval(resampled)
        # If all resamples agree (such as 6 of 6 saved), they say nothing about the uncertainty.
        has_interval = np.isfinite(low) and np.isfinite(high) and high > low
        return cls(
            value=float(value),
            low=float(low) if has_interval else None,
            high=float(high) if has_interval else None,
            events=events,
        )


def undefined_figure(events: int = 0) -> ReviewFigure:
    """A figure without a value."""
    return ReviewFigure(value=None, events=events)


class AccountResamples:
    """Computes figures of account rows with intervals from shared resamples, so that differences are paired.

    Parameters
    ----------
    accounts : the account of each row, shape (n,).
    seed, resamples : of the account bootstrap.
    """

    def __init__(self, accounts: Objects, seed: int = SEED, resamples: int = RESAMPLES) -> None:
        self.accounts = accounts
        self.bootstrap = AccountBootstrap(accounts, resamples, seed)

    def account_count(self, rows: Bools) -> int:
        """Return the number of accounts with at least one of these rows."""
        return len(np.unique(self.bootstrap.codes[rows]))

    def ratio(self, part: npt.ArrayLike, whole: npt.ArrayLike, events: int, least: int = 0) -> ReviewFigure:
        """Divide the sum of ``part`` by that of ``whole``.

        Parameters
        ----------
        part, whole : of each row, shape (n,).
        events : accounts with the event.
        least : minimum number of events.

        Returns
        -------
        The figure; null if the whole is 0 or there are fewer than ``least`` events.
        """
        sums = [self._sums(values) for values in (part, whole)]
        if not sums[1].sum() or events < least:
            return undefined_figure(events)
        return ReviewFigure.of(float(sums[0].sum() / sums[1].sum()), self._shares(*sums), events)

    def ratio_difference(
        self, one: tuple[npt.ArrayLike, npt.ArrayLike], two: tuple[npt.ArrayLike, npt.ArrayLike], events: int
    ) -> ReviewFigure:
        """Subtract the second ratio from the first, on the same resamples.

        Parameters
        ----------
        one, two : numerator and denominator of each ratio: one value per row.
        events : the number of events that the figure is based on.

        Returns
        -------
        ReviewFigure
        """
        left, right = ([self._sums(values) for values in pair] for pair in (one, two))
        if not left[1].sum() or not right[1].sum():
            return undefined_figure(events)
        value = left[0].sum() / left[1].sum() - right[0].sum() / right[1].sum()
        return ReviewFigure.of(float(value), self._shares(*left) - self._shares(*right), events)

    def ratio_quotient(
        self, one: tuple[npt.ArrayLike, npt.ArrayLike], two: tuple[npt.ArrayLike, npt.ArrayLike], events: int
    ) -> ReviewFigure:
        """Divide the first ratio by the second (a lift), on the same resamples.

        Parameters
        ----------
        one, two : numerator and denominator of each ratio: one value per row.
        events : the number of events that the figure is based on.

        Returns
        -------
        ReviewFigure
        """
        left, right = ([self._sums(values) for values in pair] for pair in (one, two))
        if not left[1].sum() or not right[0].sum():
            return undefined_figure(events)
        value = (left[0].sum() / left[1].sum()) / (right[0].sum() / right[1].sum())
        bottom = self._shares(*right)
        drawn = np.divide(self._shares(*left), bottom, out=np.full(len(bottom), np.nan), where=bottom > 0)
        return ReviewFigure.of(float(value), drawn, events)

    def evaluate(self, metric: Callable[[Floats], Floats], events: int) -> ReviewFigure:
        """Compute a metric with its interval.

        Parameters
        ----------
        metric : returns one value per row of weights, shape (b, n); see `training.statistics.metrics`.
        events : the number of events that the figure is based on.

        Returns
        -------
        ReviewFigure
        """
        value = float(metric(np.ones((1, len(self.accounts))))[0])
        return ReviewFigure.of(value, self.bootstrap.values(metric), events)

    def _sums(self, values: npt.ArrayLike) -> Floats:
        rows = np.asarray(values, dtype=np.float64)
        return np.bincount(self.bootstrap.codes, rows, self.bootstrap.accounts).astype(np.float64)

    def _shares(self, part: Floats, whole: Floats) -> Floats:
        top, bottom = self.bootstrap.counts @ part, self.bootstrap.counts @ whole
        shares: Floats = np.divide(top, bottom, out=np.full(len(bottom), np.nan), where=bottom > 0)
        return shares
