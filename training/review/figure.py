"""A figure of the review: its value, how many events stand behind it, and how far chance reaches.

Every interval comes from resampling accounts, and is 95% wide unless the section says otherwise. A figure that is not
defined, or for which there is too little, is null and never a stand-in.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from features.utils.arrays import Bools, Floats, Objects
from training.statistics.account_bootstrap import AccountBootstrap, interval

RESAMPLES = 300
#: Accounts with the event, below which no interval and nothing that is derived is told.
MINIMUM_EVENTS = 5
SEED = 0


class ReviewModel(BaseModel):
    """A piece of the review: never changed, nothing but what is declared, no number that is not one."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ReviewFigure(ReviewModel):
    """One number. ``events`` are the accounts with the event behind it; ``low`` and ``high`` its interval, null where
    it has none."""

    value: float | None
    low: float | None = None
    high: float | None = None
    events: int

    @classmethod
    def of(cls, value: float, resampled: Floats, events: int) -> ReviewFigure:
        """A value and what it comes to when accounts are resampled; NaN is null."""
        if not np.isfinite(value):
            return cls(value=None, events=events)
        low, high = interval(resampled)
        # Where every resample gives the same (6 saved of 6), chance has not been looked at.
        told = np.isfinite(low) and np.isfinite(high) and high > low
        return cls(
            value=float(value), low=float(low) if told else None, high=float(high) if told else None, events=events
        )


def undefined_figure(events: int = 0) -> ReviewFigure:
    """A figure that cannot be told."""
    return ReviewFigure(value=None, events=events)


class AccountResamples:
    """Rows of accounts, and figures of them whose intervals share their resamples, so that differences are paired.

    Parameters
    ----------
    accounts : the account of each row, shape (n,).
    """

    def __init__(self, accounts: Objects, seed: int = SEED, resamples: int = RESAMPLES) -> None:
        self.accounts = accounts
        self.bootstrap = AccountBootstrap(accounts, resamples, seed)

    def people(self, rows: Bools) -> int:
        """How many accounts have one of these rows."""
        return len(np.unique(self.bootstrap.codes[rows]))

    def ratio(self, part: npt.ArrayLike, whole: npt.ArrayLike, events: int, least: int = 0) -> ReviewFigure:
        """The sum of ``part`` over that of ``whole``, row by row; null where the whole is nothing or fewer than
        ``least`` events stand behind it."""
        sums = [self._sums(values) for values in (part, whole)]
        if not sums[1].sum() or events < least:
            return undefined_figure(events)
        return ReviewFigure.of(float(sums[0].sum() / sums[1].sum()), self._shares(*sums), events)

    def apart(
        self, one: tuple[npt.ArrayLike, npt.ArrayLike], two: tuple[npt.ArrayLike, npt.ArrayLike], events: int
    ) -> ReviewFigure:
        """The first ratio less the second, on the same resamples."""
        left, right = ([self._sums(values) for values in pair] for pair in (one, two))
        if not left[1].sum() or not right[1].sum():
            return undefined_figure(events)
        value = left[0].sum() / left[1].sum() - right[0].sum() / right[1].sum()
        return ReviewFigure.of(float(value), self._shares(*left) - self._shares(*right), events)

    def times(
        self, one: tuple[npt.ArrayLike, npt.ArrayLike], two: tuple[npt.ArrayLike, npt.ArrayLike], events: int
    ) -> ReviewFigure:
        """The first ratio over the second, on the same resamples: a lift."""
        left, right = ([self._sums(values) for values in pair] for pair in (one, two))
        if not left[1].sum() or not right[0].sum():
            return undefined_figure(events)
        value = (left[0].sum() / left[1].sum()) / (right[0].sum() / right[1].sum())
        bottom = self._shares(*right)
        drawn = np.divide(self._shares(*left), bottom, out=np.full(len(bottom), np.nan), where=bottom > 0)
        return ReviewFigure.of(float(value), drawn, events)

    def of(self, metric: Callable[[Floats], Floats], events: int) -> ReviewFigure:
        """A metric of row weights, as `training.statistics.metrics` has them."""
        value = float(metric(np.ones((1, len(self.accounts))))[0])
        return ReviewFigure.of(value, self.bootstrap.values(metric), events)

    def _sums(self, values: npt.ArrayLike) -> Floats:
        rows = np.asarray(values, dtype=np.float64)
        return np.bincount(self.bootstrap.codes, rows, self.bootstrap.accounts).astype(np.float64)

    def _shares(self, part: Floats, whole: Floats) -> Floats:
        top, bottom = self.bootstrap.counts @ part, self.bootstrap.counts @ whole
        found: Floats = np.divide(top, bottom, out=np.full(len(bottom), np.nan), where=bottom > 0)
        return found
