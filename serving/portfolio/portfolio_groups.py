"""The groups of a portfolio: accounts, ARR, health, churn and expansion by segment, CSM, region, parent and product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from features.utils.arrays import Bools, Floats
from features.utils.dates import to_iso
from models.peer_groups.segments import segment_names
from models.predictions.columns import number_or_null
from models.predictions.schema import ResponseModel
from serving.portfolio.account_list import (
    AccountList,
    HealthOfParent,
    health_of_parent,
    published_account_list,
)
from serving.portfolio.account_products import FELL, UNUSED, product_facts
from serving.schemas.account_filter import EVERYONE, AppliedFilter
from serving.schemas.divisions import Division
from serving.snapshots.account_attributes import AccountSelection, filtered_cache
from serving.snapshots.portfolio_summary import AccountGroup, group_figures, sum_of_known
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import ACCOUNTS, PRODUCTS, read_sidecar

Count = Annotated[int, Field(ge=0)]

NO_GROUP: Mapping[Division, str] = {
    "segment": "ARR unknown",
    "csm": "no CSM",
    "region": "no region",
    "parent": "no parent or child",
    "product": "unknown product",
}
"""The name of the accounts (or ARR) without a group."""


_NO_PARENT: Mapping[str, None] = {"name": None, "parent_health": None}


class ProductUse(ResponseModel):
    """The usage of a product in the last 28 days, over the accounts that hold it. Null: unknown for all of them."""

    active_users: float | None = Field(description="The sum over accounts where it is known.")
    active_users_before: float | None = Field(description="In the 28 days before.")
    adoption: float | None = Field(description="Active users, at most the seats, per seat; where both are known.")
    unused_accounts: Count = Field(description="Accounts that hold the product and do not use it.")
    falling_accounts: Count = Field(description="Accounts whose active users fell by 30% or more.")
    usage_unknown: Count = Field(description="Accounts that hold it with unknown usage.")


class PortfolioGroup(AccountGroup):
    """A group of accounts. Of a product, ARR and ARR at risk are those of the product, the rest of its accounts."""

    group: str | None = Field(description="Null: accounts without a group, or for products ARR without a product.")
    name: str | None = Field(description="Of a parent: the name of the account.")
    arr: float | None = Field(description="Per year. Without contracts, returns can take a product below zero.")
    expected_churned_arr: float | None = Field(description="ARR at risk: churn probability times ARR.")
    expected_expanding_accounts: float | None = Field(description="The sum of the expansion probabilities.")
    expected_expanding_arr: float | None = Field(description="Expansion probability times the present ARR.")
    expansion_unknown: Count = Field(description="Accounts without an expansion probability.")
    expansion_ready: Count = Field(description="Accounts that are ready for an expansion offer.")
    parent_health: HealthOfParent | None = Field(description="Only of parents.")
    use: ProductUse | None = Field(description="Only of products.")


class PortfolioGroups(ResponseModel):
    """The groups of one breakdown. Every account is in one group; an account with several products is in several."""

    as_of: str
    horizon_days: int | None = Field(description="Of the probabilities; null without a model.")
    by: Division
    filter: AppliedFilter | None = Field(description="The accounts that the figures are of; null: all accounts.")
    whole: PortfolioGroup
    groups: list[PortfolioGroup] = Field(description="Largest ARR first, accounts without a group last.")
    more_groups: Count = Field(description="How many groups are not listed.")


def portfolio_groups(roster: AccountList, by: Division, selected: Bools | None = None) -> list[dict[str, Any]]:
    """Return every group of a breakdown (`PortfolioGroup`).

    Parameters
    ----------
    roster : the accounts.
    by : the breakdown. The churn and expansion probabilities of a product are those of its accounts.
    selected : True for the accounts that count; None for all. Shape (n,).

    Returns
    -------
    list of dict
        Segments in their order, other groups by ARR, accounts without a group last. The groups add up to the whole.
        Without products in the source there is no group by product.
    """
    if by == "product":
        return _by_product(roster, selected)
    frame = roster.frame if selected is None else roster.frame[selected]
    names = frame[by].astype(object).where(frame[by].notna(), None)
    rows = {key: np.asarray(at) for key, at in frame.groupby(names.fillna(""), sort=False).indices.items()}
    groups = []
    for key, at in rows.items():
        own = frame.iloc[at]
        top = str(key) if by == "parent" and key else None
        about = {
            "name": None if top is None else roster.companies.get(top),
            "parent_health": health_of_parent(roster, top),
        }
        groups.append({"group": key or None, **about, **_figures(own, own["arr"]), "use": None})
    order = {name: place for place, name in enumerate(segment_names())} if by == "segment" else {}
    return sorted(
        groups,
        key=lambda each: (
            each["group"] is None,
            order.get(each["group"], 0),
            -(each["arr"] or 0.0),
            each["group"] or "",
        ),
    )


def whole_portfolio(roster: AccountList, selected: Bools | None = None) -> dict[str, Any]:
    """Return the figures of the selected accounts, by default all (`PortfolioGroup`)."""
    frame = roster.frame if selected is None else roster.frame[selected]
    return {"group": None, **_NO_PARENT, **_figures(frame, frame["arr"]), "use": None}


def cached_groups(
    scored: ScoredSnapshot, roster: AccountList, by: Division, selection: AccountSelection | None = None
) -> list[dict[str, Any]]:
    """Return `portfolio_groups` of the selected accounts of a published snapshot, computed once."""
    account_filter, selected = (EVERYONE, None) if selection is None else (selection.account_filter, selection.rows)
    return filtered_cache(scored, account_filter).get(
        ("groups", roster, by), lambda: portfolio_groups(roster, by, selected)
    )


def published_groups(
    scored: ScoredSnapshot, by: Division, limit: int | None = None, selection: AccountSelection | None = None
) -> dict[str, Any]:
    """Return the groups of a published snapshot (`PortfolioGroups`).

    Parameters
    ----------
    scored : the snapshot.
    by : the breakdown.
    limit : the number of groups; None for all. Accounts without a group are always listed.
    selection : the accounts that count; None for all.

    Raises
    ------
    HomeError : a sidecar of the snapshot is not valid.
    """
    for name in (ACCOUNTS, PRODUCTS):
        read_sidecar(scored.snapshots, scored.as_of, name)
    roster = published_account_list(scored)
    groups = cached_groups(scored, roster, by, selection)
    named = [each for each in groups if each["group"] is not None]
    shown = named if limit is None else named[:limit]
    return {
        "as_of": to_iso(scored.as_of),
        "horizon_days": scored.portfolio["horizon_days"],
        "by": by,
        "filter": None if selection is None else selection.account_filter.applied,
        "whole": whole_portfolio(roster, None if selection is None else selection.rows),
        "groups": [*shown, *(each for each in groups if each["group"] is None)],
        "more_groups": len(named) - len(shown),
    }


def _figures(accounts: pd.DataFrame, arr: pd.Series[float]) -> dict[str, Any]:
    amounts, growth = (np.asarray(values, dtype=np.float64) for values in (arr, accounts["growth"]))
    score, risk = (accounts[name].to_numpy(dtype=np.float64) for name in ("health", "risk"))
    return {
        **group_figures(amounts, score, risk),
        "expected_expanding_accounts": sum_of_known(growth),
        "expected_expanding_arr": sum_of_known(growth * amounts),
        "expansion_unknown": int(np.isnan(growth).sum()),
        "expansion_ready": int(accounts["ready"].sum()),
    }


def _by_product(roster: AccountList, selected: Bools | None) -> list[dict[str, Any]]:
    holdings = roster.holdings
    if selected is not None:
        holdings = holdings[selected[holdings["row"].to_numpy()]]
    if holdings.empty:
        return []
    groups = []
    for product, own in holdings.groupby(holdings["product"].fillna(""), sort=False):
        held = own[own["held"]]
        figures = _figures(roster.frame.iloc[held["row"].to_numpy()], held["arr"])
        groups.append({"group": product or None, **_NO_PARENT, **figures, "use": _use(held)})
    return sorted(groups, key=lambda each: (each["group"] is None, -(each["arr"] or 0.0), each["group"] or ""))


def _use(held: pd.DataFrame) -> dict[str, Any]:
    users, seats = (held[name].to_numpy(dtype=np.float64) for name in ("active_users", "seats"))
    before = held["active_users_before"].to_numpy(dtype=np.float64)
    both = ~np.isnan(users) & ~np.isnan(seats)
    facts = product_facts(held)
    return {
        "active_users": sum_of_known(users) if len(users) else None,
        "active_users_before": sum_of_known(before) if len(users) else None,
        "adoption": _share(np.minimum(users, seats)[both], seats[both]),
        "unused_accounts": facts.count(UNUSED),
        "falling_accounts": facts.count(FELL),
        "usage_unknown": int(np.isnan(users).sum()),
    }


def _share(part: Floats, whole: Floats) -> float | None:
    return number_or_null(float(part.sum() / whole.sum())) if whole.sum() > 0 else None
