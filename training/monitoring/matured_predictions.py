"""Evaluation of matured predictions, those whose outcome is known: level, ranking and spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.utils.arrays import Floats, Objects
from features.utils.formatting import interval_text, number
from training.evaluation.test_predictions import UNDEFINED, MetricEstimate, estimate, ratio
from training.statistics import metrics
from training.statistics.account_bootstrap import AccountBootstrap
from training.statistics.metrics import Predictions

#: Minimum number of accounts with the outcome, and without it, for an evaluation.
MINIMUM_OUTCOMES = 10
RESAMPLES = 300
#: A slope within these bounds is good, even if it is measurably different from 1
#: (`training.statistics.metrics.calibration_slope`).
GOOD_SLOPE = (0.8, 1.25)


@dataclass(frozen=True)
class MaturedMetrics:
    """Metrics of the matured predictions at one horizon.

    Parameters
    ----------
    days : the horizon.
    rows, accounts, happened : the number of account-dates, of accounts, and of accounts with the outcome.
    expected, rate : the mean predicted probability, and the observed rate.
    ratio : observed over predicted, with its 95% interval (accounts resampled).
    roc_auc, brier, slope : metrics with their intervals; NaN if undefined.
    """

    days: int
    rows: int
    accounts: int
    happened: int
    expected: float
    rate: float
    ratio: MetricEstimate
    roc_auc: MetricEstimate
    brier: MetricEstimate
    slope: MetricEstimate

    @property
    def off(self) -> bool:
        """Whether the level is clearly wrong: the interval of the ratio excludes 1."""
        return self.happened >= MINIMUM_OUTCOMES and not self.ratio[1] <= 1 <= self.ratio[2]

    @property
    def misspread(self) -> bool:
        """Whether the probabilities are clearly too extreme or too close to the average.

        The slope's interval excludes 1, and the slope is outside `GOOD_SLOPE`.
        """
        slope, low, high = self.slope
        return (high < 1 and slope < GOOD_SLOPE[0]) or (low > 1 and slope > GOOD_SLOPE[1])

    def faults(self) -> list[str]:
        """Return the clear faults of level and spread, one sentence each."""
        faults = []
        if self.off:
            value, low, high = self.ratio
            more = "more" if value > 1 else "less"
            faults.append(
                f"within {self.days} days the outcome occurred {value:.2f} times as often as predicted "
                f"({interval_text(low, high)}): {more} than chance explains"
            )
        if self.misspread:
            value, low, high = self.slope
            extreme = "extreme: high ones are too high and low ones too low"
            moderate = "close to the average: high ones are too low and low ones too high"
            faults.append(
                f"within {self.days} days the probabilities are too {extreme if value < 1 else moderate} (calibration "
                f"slope {number(value, 2)}, {interval_text(low, high)}; 1 is ideal)"
            )
        return faults


def evaluate_matured(days: int, p: Floats, y: Floats, accounts: Objects) -> MaturedMetrics:
    """Compare predictions with outcomes.

    Parameters
    ----------
    p, y, accounts : probabilities, labels (0 or 1) and accounts of the rows, shape (n,) each, n at least 1.
    """
    data = Predictions(y, p, np.zeros(len(y)))
    bootstrap = AccountBootstrap(accounts, RESAMPLES)
    happened = len(set(accounts[y == 1]))
    enough = happened >= MINIMUM_OUTCOMES and len(set(accounts[y == 0])) >= MINIMUM_OUTCOMES
    others = (metrics.roc_auc, metrics.brier, metrics.calibration_slope)
    auc, brier, slope = (estimate(of, data, bootstrap) if enough else UNDEFINED for of in others)
    return MaturedMetrics(
        days=days,
        rows=len(y),
        accounts=bootstrap.accounts,
        happened=happened,
        expected=float(p.mean()),
        rate=float(y.mean()),
        ratio=estimate(ratio, data, bootstrap),
        roc_auc=auc,
        brier=brier,
        slope=slope,
    )


@dataclass(frozen=True)
class MaturedPredictions:
    """A champion's n matured predictions at one horizon, with their outcomes.

    Parameters
    ----------
    p, y, accounts : see `evaluate_matured`; only rows with a known outcome.
    """

    p: Floats
    y: Floats
    accounts: Objects


def evaluate_by_horizon(champions: Sequence[Mapping[int, MaturedPredictions]]) -> tuple[MaturedMetrics, ...]:
    """Evaluate the pooled predictions of several champions by horizon, shortest first.

    Horizons without predictions are left out.
    """
    result = []
    for days in sorted({days for predictions in champions for days in predictions}):
        parts = [each[days] for each in champions if days in each and len(each[days].y)]
        if parts:
            p, y = (np.concatenate([getattr(part, name) for part in parts]) for name in ("p", "y"))
            result.append(evaluate_matured(days, p, y, np.concatenate([part.accounts for part in parts])))
    return tuple(result)
