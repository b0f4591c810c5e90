"""The test rows of a contest, and one candidate's figures on a part of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.utils.arrays import Floats, Objects
from training.evaluation.comparison import json_safe
from training.statistics import metrics
from training.statistics.account_bootstrap import AccountBootstrap, interval
from training.statistics.metrics import Predictions

RESAMPLES = 300
#: Accounts with and accounts without the outcome, below which a segment's figures would be made up.
MINIMUM_ACCOUNTS = 10
Estimate = tuple[float, float, float]
"""A value and its 95% interval, accounts resampled; NaN where it is not defined."""
UNDEFINED: Estimate = (float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class ScoredTestRows:
    """The test rows, n of them.

    Parameters
    ----------
    accounts, as_of, segment : of each row.
    y, arr : the label, 0 or 1, and the ARR at as_of in currency a year, shape (n,).
    p : the probabilities of each candidate, by name, shape (n,) each.
    known_rate : the outcome's rate as it was known when training, 0 to 1.
    """

    accounts: Objects
    as_of: pd.Series[pd.Timestamp]
    segment: Objects
    y: Floats
    arr: Floats
    p: Mapping[str, Floats]
    known_rate: float


@dataclass(frozen=True)
class PartMetrics:
    """One candidate on a part of the test rows, a segment's or a horizon's.

    Parameters
    ----------
    name : of the part.
    rows, accounts, happened : rows, accounts, and accounts with the outcome.
    rate, expected : how often it happened, and the mean probability.
    enough : whether `MINIMUM_ACCOUNTS` accounts with and as many without the outcome are there.
    ratio : happened over expected; roc_auc, brier : as in `training.statistics.metrics`. All NaN where there are too
    few.
    """

    name: str
    rows: int
    accounts: int
    happened: int
    rate: float
    expected: float
    enough: bool
    ratio: Estimate
    roc_auc: Estimate
    brier: Estimate

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return dict(json_safe(asdict(self)))


def part_metrics(
    name: str, y: Floats, p: Floats, accounts: Objects, seed: int = 0, resamples: int = RESAMPLES
) -> PartMetrics:
    """Measure one candidate on some rows, n of them."""
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


def estimate(of: Callable[[Predictions, Floats], Floats], data: Predictions, bootstrap: AccountBootstrap) -> Estimate:
    """A metric's value and its interval."""
    once = np.ones((1, len(data.y)))
    return (float(of(data, once)[0]), *interval(bootstrap.values(lambda weights: of(data, weights))))


def ratio(data: Predictions, weights: Floats) -> Floats:
    """How many times as often it happened as was predicted; 1 is right."""
    return np.asarray((weights @ data.y) / (weights @ data.p), dtype=np.float64)
