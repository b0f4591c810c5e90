"""Contributions of accounts to a figure that is a sum over accounts, or a sum divided by another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

COLUMNS = ("measure", "account_id", "numerator", "denominator", "net", "arr", "overwritten")
"""Columns of every frame of contributions.

``arr`` determines the account's segment: the ARR at the period's start (at its end for accounts that came later), or at
the instant. NaN in numerator or denominator means unknown, and the account is excluded. ``net`` is the denominator, but
below zero if an account returned more than it ordered: if the sum is not above zero, the value is undefined.
``overwritten`` means that the account's terms are unknown because the source has overwritten them (see
`features.signals.contract_terms`); known terms would then reveal who left.
"""
ACQUISITION = "acquisition"
"""The code of acquisition costs (`features.kpi.acquisition.acquisition_parts`)."""


def kpi_part(
    measure: str,
    accounts: Any,
    numerator: Any,
    denominator: Any,
    arr: Any,
    net: Any | None = None,
    overwritten: Any = False,
) -> pd.DataFrame:
    """Return the contributions to one figure, one row per account; if one of the two is unknown, both are.

    Parameters
    ----------
    measure : the code of the KPI or figure.
    accounts : the account ids, shape (n,).
    numerator, denominator : the contributions of each account, NaN if unknown.
    arr : the ARR of each account, which determines its segment.
    net : the denominator minus returns; by default the denominator.
    overwritten : whether the source has overwritten the account's terms.

    Returns
    -------
    pandas.DataFrame
        The columns of `COLUMNS`.
    """
    above, below = np.asarray(numerator, dtype=np.float64), np.broadcast_to(denominator, np.shape(numerator))
    unknown = np.isnan(above) | np.isnan(below)
    return pd.DataFrame(
        {
            "measure": measure,
            "account_id": np.asarray(accounts, dtype=object),
            "numerator": np.where(unknown, np.nan, above),
            "denominator": np.where(unknown, np.nan, below),
            "net": np.where(unknown, np.nan, below if net is None else np.asarray(net, dtype=np.float64)),
            "arr": np.asarray(arr, dtype=np.float64),
            "overwritten": np.broadcast_to(np.asarray(overwritten, dtype=np.bool_), np.shape(numerator)),
        }
    )
