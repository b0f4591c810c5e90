"""The predictions of a backtest as a file of a run, so that later runs can be compared on the same rows.

Account ids are replaced by the keyed hashes of the home's portfolio identity.
"""

from __future__ import annotations

import pandas as pd

from models.artifacts.portfolio_identity import PortfolioIdentity
from training.evaluation.test_predictions import ScoredTestRows

PREDICTIONS = "predictions.parquet"
COLUMNS = ("account", "as_of", "outcome", "known_rate", "probability")


def predictions_table(tested: ScoredTestRows, candidate: str, identity: PortfolioIdentity) -> pd.DataFrame:
    """Return the predictions of one candidate in the backtest.

    Parameters
    ----------
    tested : the predicted rows.
    candidate : the candidate.
    identity : the portfolio, whose key hashes the account ids.

    Returns
    -------
    pandas.DataFrame
        One row per account and date: ``account`` (uint64 hash), ``as_of`` (UTC), ``outcome`` (0 or 1), ``known_rate``
        (the outcome rate known at the origin) and ``probability``.
    """
    values = (
        identity.hash_accounts(tested.accounts),
        pd.to_datetime(tested.as_of, utc=True).dt.as_unit("us").reset_index(drop=True),
        tested.y,
        tested.known_rate,
        tested.p[candidate],
    )
    return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)))
