"""Compare the predictions of two backtests on the rows that both have: account, date and outcome are the same.

The same resamples of accounts are used for both, so the intervals are those of paired differences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.utils.arrays import Floats
from training.evaluation.comparison import metric_names, metric_values
from training.evaluation.headline_metrics import HEADLINE
from training.evaluation.test_predictions import MINIMUM_ACCOUNTS, MetricEstimate
from training.statistics.account_bootstrap import AccountBootstrap, interval
from training.statistics.metrics import Predictions

RESAMPLES = 500
KEYS = ["account", "as_of"]


@dataclass(frozen=True)
class PairedDifference:
    """Metrics of B minus those of A on common rows.

    Parameters
    ----------
    rows, accounts, accounts_with_outcome : how many rows and accounts both have.
    differences : by metric of `training.evaluation.headline_metrics.HEADLINE`, with a 95% interval.
    """

    rows: int
    accounts: int
    accounts_with_outcome: int
    differences: dict[str, MetricEstimate]


def paired_difference(
    a: pd.DataFrame, b: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0
) -> PairedDifference | str:
    """Compare two backtests on their common rows.

    Parameters
    ----------
    a, b : the predictions, as `training.registry.stored_predictions.predictions_table` returns them.
    resamples, seed : settings of the account bootstrap.

    Returns
    -------
    PairedDifference or str
        The reason if they cannot be compared row by row.
    """
    both = a.merge(b, on=KEYS, suffixes=("_a", "_b"))
    if both.empty:
        return "their backtests predicted no account on the same date"
    both = both[both["outcome_a"] == both["outcome_b"]].reset_index(drop=True)
    accounts, y = both["account"].astype(str).to_numpy(dtype=object), both["outcome_a"].to_numpy(np.float64)
    happened, others = len(set(accounts[y == 1])), len(set(accounts[y == 0]))
    if min(happened, others) < MINIMUM_ACCOUNTS:
        return f"fewer than {MINIMUM_ACCOUNTS} accounts with each outcome are in both backtests"
    bootstrap = AccountBootstrap(accounts, resamples, seed)
    once = np.ones((1, len(y)))
    sides = [
        (
            Predictions(y, both[f"probability_{side}"].to_numpy(np.float64), np.zeros(len(y))),
            both[f"known_rate_{side}"].to_numpy(np.float64),
        )
        for side in ("a", "b")
    ]

    def minus(weights: Floats) -> Floats:
        first, second = (metric_values(data, weights, known) for data, known in sides)
        return second - first

    point, drawn = minus(once)[0], bootstrap.values(minus)
    position = {name: j for j, name in enumerate(metric_names())}
    return PairedDifference(
        rows=len(y),
        accounts=bootstrap.accounts,
        accounts_with_outcome=happened,
        differences={name: (float(point[j]), *interval(drawn[:, j])) for name in HEADLINE for j in (position[name],)},
    )
