"""Lifetime value, and where acquisition costs are known, its ratio to them and the months until they are paid back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from features.kpi.contributions import ACQUISITION
from models.peer_groups.segments import segment_names
from serving.portfolio.contribution_rows import ContributionRows, KpiSum
from serving.snapshots.portfolio_summary import sum_of_known

NO_COSTS = "the accounts have no acquisition_cost"
NONE_ACQUIRED = "no account with a known acquisition cost and ARR began in the period"
NO_ARR = "the accounts that began in the period pay nothing"


def unit_economics(
    accounts: pd.DataFrame, lifetimes: Mapping[str, Any], acquired: ContributionRows, missing: Mapping[str, str]
) -> dict[str, Any]:
    """Return the economics (`serving.leadership.schemas.UnitEconomics`).

    Parameters
    ----------
    accounts : the active accounts: account_id, segment (None if unknown), and arr and cost (NaN if unknown).
    lifetimes : `serving.portfolio.lifetime_value.lifetimes` of these accounts.
    acquired : the contributions of the accounts that count.
    missing : the KPIs that are unknown, each with the reason. Where retention is unknown because accounts that have
        left are, so is the payback.
    """
    valued = pd.DataFrame(
        [(each["account_id"], each["lifetime_years"], each["value"]) for each in lifetimes["accounts"]],
        columns=["account_id", "years", "value"],
    ).astype({"years": np.float64, "value": np.float64})
    accounts = accounts.merge(valued, on="account_id", how="left")
    rows = acquired.of_measures({ACQUISITION})
    totals, by_segment = rows.sums(), rows.sums("segment")
    no_costs = None if len(rows) or accounts["cost"].notna().any() else NO_COSTS
    why = missing.get("nrr") or no_costs
    margin = lifetimes["margin"]

    def economics(name: str | None, own: pd.DataFrame, total: KpiSum) -> dict[str, Any]:
        both = own[own["value"].notna() & own["cost"].notna()]
        cost, value = float(both["cost"].sum()), float(both["value"].sum())
        years = own["years"].mean()
        return {
            "segment": name,
            "accounts": len(own),
            "arr": sum_of_known(own["arr"].to_numpy(dtype=np.float64)),
            "lifetime_years": None if np.isnan(years) else float(years),
            "lifetime_value": _sum(own["value"]),
            "acquisition_cost": cost if len(both) else None,
            "cost_accounts": len(both),
            "ltv_to_cac": value / cost if cost > 0 else None,
            "acquired_accounts": total.with_value,
            **_payback(total, margin, why),
        }

    return {
        "margin": margin,
        "limit_years": lifetimes["limit_years"],
        "assumption": lifetimes["assumption"],
        "unknown_accounts": lifetimes["unknown"],
        "cost_unknown": no_costs,
        "whole": economics(None, accounts, totals.get(ACQUISITION, KpiSum())),
        "by_segment": [
            economics(name, own, by_segment.get((name, ACQUISITION), KpiSum()))
            for name in segment_names()
            if len(own := accounts[accounts["segment"] == name])
        ],
    }


def _sum(values: pd.Series[float]) -> float | None:
    known = values.dropna()
    return float(known.sum()) if len(known) else None


def _payback(total: KpiSum, margin: float, why: str | None) -> dict[str, Any]:
    if why is None and not total.with_value:
        why = NONE_ACQUIRED
    elif why is None and not total.denominator > 0:
        why = NO_ARR
    months = None if why is not None else 12.0 * total.numerator / (total.denominator * margin)
    return {"payback_months": months, "payback_unknown": why}
