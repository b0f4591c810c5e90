"""Predictions of the backtest, and the metrics of one candidate on a part of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.utils.arrays import Bools, Floats, Objects
from training.evaluation.comparison import json_safe
from training.statistics import metrics
from training.statistics.account_bootstrap import AccountBootstrap, interval
from training.statistics.metrics import Predictions

RESAMPLES = 300
#: Minimum number of accounts with, and of accounts without the outcome, to compute metrics of a part.
MINIMUM_ACCOUNTS = 10
MetricEstimate = tuple[float, float, float]
"""A value and its 95% interval by account bootstrap; NaN if undefined."""
UNDEFINED: MetricEstimate = (float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class ScoredTestRows:
    """The n predicted rows of the backtest with the probabilities of all candidates.

    Parameters
    ----------
    accounts, as_of, segment : account, date and segment of each row.
    y, arr : label, 0 or 1, and ARR at as_of in currency per year, shape (n,).
    p : probabilities by candidate, shape (n,) each.
    known_rate : outcome rate known at the origin of each row, 0 to 1, shape (n,).
    due : which rows have their renewal within the main horizon, shape (n,).
    """

    accounts: Objects
    as_of: pd.Series[pd.Timestamp]
    segment: Objects
    y: Floats
    arr: Floats
    p: Mapping[str, Floats]
    known_rate: Floats
    due: Bools

    def frame(self) -> pd.DataFrame:
        """Return account_id, as_of, segment, arr, outcome, and the probability by each candidate."""
        return pd.DataFrame(
            {
                "account_id": self.accounts,
                "as_of": pd.to_datetime(self.as_of, utc=True).dt.as_unit("us").reset_index(drop=True),
                "segment": self.segment,
                "arr": self.arr,
                "outcome": self.y,
                **self.p,
            }
        )


@dataclass(frozen=True)
class PartMetrics:
    """Metrics of one candidate on a part of the test rows, such as a segment or a horizon.

    Parameters
    ----------
    name : name of the part.
    rows, accounts, happened : number of rows, accounts, and accounts with the outcome.
    rate, expected : observed rate and mean probability.
    enough : whether there are `MINIMUM_ACCOUNTS` accounts with and without the outcome.
    ratio : observed rate over mean probability; NaN if there are not enough accounts.
    roc_auc, brier : as in `training.statistics.metrics`; NaN if there are not enough accounts.
    """

    name: str
    rows: int
    accounts: int
    happened: int
    rate: float
    expected: float
    enough: bool
    ratio: MetricEstimate
    roc_auc: MetricEstimate
    brier: MetricEstimate

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return dict(json_safe(asdict(self)))


def part_metrics(
    name: str, y: Floats, p: Floats, accounts: Objects, seed: int = 0, resamples: int = RESAMPLES
) -> PartMetrics:
    """Compute the metrics of one candidate on n rows.

    Parameters
    ----------
    name : name of the part.
    y, p, accounts : label, probability and account of each row, shape (n,).
    seed, resamples : settings of the account bootstrap.

    Returns
    -------
    PartMetrics
    """
    data, bootstrap = Predictions(y, p, np.zeros(len(y))), AccountBootstrap(accounts, resamples, seed)
    happened, others = len(set(accounts[y == 1])), len(set(accounts[y == 0]))
    enough = min(happened, others) >= MINIMUM_ACCOUNTS

    figures = (estimate(of, data, bootstrap) if enough else UNDEFINED for of in (ratio, metrics.roc_auc, metrics.brier))
    return PartMetrics(
        name,
        len(y),
        bootstrap.accounts,
        happened,
        float(y.mean()) if len(y) else float("nan"),
        float(p.mean()) if len(p) else float("nan"),
        enough,
        *figures,
    )


def estimate(
    of: Callable[[Predictions, Floats], Floats], data: Predictions, bootstrap: AccountBootstrap
) -> MetricEstimate:
    """Return the value of a metric and its interval.

    Parameters
    ----------
    of : the metric, a function of `training.statistics.metrics`.
    data : the test predictions.
    bootstrap : the resamples.

    Returns
    -------
    MetricEstimate
    """
    once = np.ones((1, len(data.y)))
    return (float(of(data, once)[0]), *interval(bootstrap.values(lambda weights: of(data, weights))))


def ratio(data: Predictions, weights: Floats) -> Floats:
    """Return the observed rate over the predicted rate; 1 is right.

    Parameters
    ----------
    data : the test predictions.
    weights : weights of the rows in b resamples, shape (b, n).

    Returns
    -------
    array of shape (b,)
    """
    return np.asarray((weights @ data.y) / (weights @ data.p), dtype=np.float64)
