"""Churn rate and ranking quality of the score by what contracts and accounts say: notice, status, company, product.

A score that ranks well only because some customers have given notice already is of little use before that. So the
accounts without a notice are a group of their own.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.revenue.product_holdings import product_holdings
from features.utils.arrays import Bools
from models.peer_groups.frame_columns import number_column
from training.review.dataset import STATES, ReviewData
from training.review.sections.by_segment import SegmentRow, group_rows

NOTICE, PAUSED, PAST_DUE = STATES
MAX_PRODUCTS = 8
"""Maximum number of products, those with most accounts."""


def contract_rows(data: ReviewData) -> tuple[SegmentRow, ...]:
    """Compute one row per group; a group that the source does not know is left out. An account can be in several.

    Parameters
    ----------
    data : the data of the review.
    """
    notice = number_column(data.frame, NOTICE)
    groups: dict[str, Bools] = {}
    if (notice >= 1).any():
        groups |= {"notice given": notice >= 1, "no notice": notice < 1}
    for name, feature in (("paused", PAUSED), ("past due", PAST_DUE)):
        groups[name] = number_column(data.frame, feature) >= 1
    return group_rows(data, groups | _companies(data) | _products(data))


def _companies(data: ReviewData) -> dict[str, Bools]:
    """Return the accounts of companies with several accounts, and the others; nothing without parents."""
    table = data.signals.tables["accounts"]
    if "parent_id" not in table.columns:
        return {}
    accounts = table.select("account_id", "parent_id").to_pyarrow().to_pandas()
    children = accounts[accounts["parent_id"].isin(set(accounts["account_id"]))]
    several = np.isin(data.accounts.astype(str), np.array([*children["account_id"], *children["parent_id"]], dtype=str))
    return {"company with several accounts": several, "single account": ~several} if several.any() else {}


def _products(data: ReviewData) -> dict[str, Bools]:
    """Return the accounts that hold each product at the date; nothing if the source names no product."""
    held = []
    for date in data.as_of[data.judged].unique():
        found = product_holdings(data.signals, pd.Timestamp(date).to_pydatetime())
        held.append(found.loc[found["held"] & found["product"].notna(), ["account_id", "product"]].assign(as_of=date))
    table = pd.concat(held, ignore_index=True) if held else pd.DataFrame({"product": []})
    rows = pd.MultiIndex.from_arrays([data.accounts, data.as_of])
    groups = {}
    for name in table["product"].value_counts().index[:MAX_PRODUCTS]:
        of_product = table.loc[table["product"] == name, ["account_id", "as_of"]]
        groups[f"product {name}"] = np.asarray(rows.isin(pd.MultiIndex.from_frame(of_product)))
    return groups
