"""Predictions whose outcome is known by now, held against it: their level, their ranking, their spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.utils.arrays import Floats, Objects
from training.evaluation.test_predictions import UNDEFINED, MetricEstimate, estimate, ratio
from training.statistics import metrics
from training.statistics.account_bootstrap import AccountBootstrap
from training.statistics.metrics import Predictions

#: Accounts with the outcome, and accounts without, below which matured predictions say nothing.
MINIMUM_OUTCOMES = 10
RESAMPLES = 300
#: Within these a slope is good, however sure it is that it is not 1 (`training.statistics.metrics.calibration_slope`).
GOOD_SLOPE = (0.8, 1.25)


@dataclass(frozen=True)
class MaturedMetrics:
    """Predictions within one horizon whose outcome is known by now.

    Parameters
    ----------
    days : the horizon.
    rows, accounts, happened : account-dates, accounts, and accounts to which it happened.
    expected, rate : the mean probability, and how often it happened.
    ratio : happened over expected, with its 95% interval (accounts resampled).
    roc_auc, brier, slope : with their intervals; NaN where not defined.
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
        """Whether the level is clearly wrong: its interval excludes 1."""
        return self.happened >= MINIMUM_OUTCOMES and not self.ratio[1] <= 1 <= self.ratio[2]

    @property
    def misspread(self) -> bool:
        """Whether the probabilities are clearly too extreme or too timid: the slope's interval excludes 1, and the
        slope is not a good one all the same."""
        slope, low, high = self.slope
        return (high < 1 and slope < GOOD_SLOPE[0]) or (low > 1 and slope > GOOD_SLOPE[1])

    def faults(self) -> list[str]:
        """What is clearly wrong with level and spread, a sentence each."""
        found = []
        if self.off:
            value, low, high = self.ratio
            more = "more" if value > 1 else "less"
            found.append(
                f"within {self.days} days it happened {value:.2f} times as often as predicted ({low:.2f} to "
                f"{high:.2f}): {more} than chance explains"
            )
        if self.misspread:
            value, low, high = self.slope
            extreme = "extreme: high ones are too high and low ones too low"
            timid = "timid: high ones are too low and low ones too high"
            found.append(
                f"within {self.days} days the probabilities are too {extreme if value < 1 else timid} (calibration "
                f"slope {value:.2f}, {low:.2f} to {high:.2f}; 1 is right)"
            )
        return found


def evaluate_matured(days: int, p: Floats, y: Floats, accounts: Objects) -> MaturedMetrics:
    """Hold predictions against what happened.

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
    """One champion's predictions at one horizon, n of them, beside what happened.

    Parameters
    ----------
    p, y, accounts : as in `evaluate_matured`; only rows whose outcome is known.
    """

    p: Floats
    y: Floats
    accounts: Objects


def evaluate_by_horizon(champions: Sequence[Mapping[int, MaturedPredictions]]) -> tuple[MaturedMetrics, ...]:
    """The predictions of some champions taken together, by horizon, shortest first; one without any is left out."""
    found = []
    for days in sorted({days for held in champions for days in held}):
        parts = [held[days] for held in champions if days in held and len(held[days].y)]
        if parts:
            p, y = (np.concatenate([getattr(part, name) for part in parts]) for name in ("p", "y"))
            found.append(evaluate_matured(days, p, y, np.concatenate([part.accounts for part in parts])))
    return tuple(found)
