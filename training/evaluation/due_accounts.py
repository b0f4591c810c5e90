"""Comparison among the accounts whose renewal is due: on annual contracts, most of an overall AUC is the date."""

from __future__ import annotations

import numpy as np

from training.evaluation.baselines import BLEND
from training.evaluation.comparison import Comparison, compare_candidates
from training.evaluation.test_predictions import MINIMUM_ACCOUNTS, ScoredTestRows


def compare_due(tested: ScoredTestRows, resamples: int, seed: int, subject: str = BLEND) -> Comparison | None:
    """Compare the candidates on the rows whose renewal is within the main horizon.

    Parameters
    ----------
    tested : the predicted rows of the backtest.
    resamples, seed : of the account bootstrap.
    subject : the evaluated candidate.

    Returns
    -------
    Comparison or None
        None if there are fewer than `MINIMUM_ACCOUNTS` due accounts with the outcome, or without.
    """
    due, y = tested.due, tested.y
    groups = (due & (y == 1), due & (y == 0))
    if min(len(np.unique(tested.accounts[rows].astype(str))) for rows in groups) < MINIMUM_ACCOUNTS:
        return None
    p = {name: values[due] for name, values in tested.p.items()}
    rate = tested.known_rate[due]
    return compare_candidates(y[due], p, tested.accounts[due], tested.arr[due], rate, subject, resamples, seed)
