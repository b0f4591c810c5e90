"""The companies of a portfolio: an account with its parent and children, and their sums."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from pydantic import Field

from features.errors import UnknownAccount
from features.utils.account_hierarchies import descendants, top_accounts
from features.utils.dates import to_iso
from models.predictions.columns import number_or_null
from models.predictions.schema import ResponseModel, ScorePoints
from serving.portfolio.account_list import AccountList, HealthOfParent, health_of_parent, published_account_list
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import ACCOUNTS, read_sidecar, sidecar_path
from serving.snapshots.snapshot_files import file_version


class RelatedAccount(ResponseModel):
    """An account of the company."""

    account_id: str
    name: str | None
    parent_id: str | None
    active: bool = Field(description="False: the account has no contract at that date, and no figures.")
    arr: float | None
    arr_at_risk: float | None = Field(description="ARR times the churn probability within the horizon.")
    churn_probability: float | None
    health: ScorePoints | None
    health_band: str | None
    parent_health: HealthOfParent | None = Field(description="Of it and all accounts below it; null without children.")


class CompanySum(ResponseModel):
    """The sums over an account and all accounts below it."""

    accounts: int = Field(description="Active accounts.")
    arr: float | None = Field(description="Null if it is unknown for an active account.")
    arr_at_risk: float | None = Field(description="Null if it is unknown for an active account.")
    expected_churns: float | None = Field(description="The sum of the churn probabilities.")
    worst_health: ScorePoints | None = Field(description="The lowest health score.")
    worst_health_account: str | None
    highest_churn_probability: float | None
    highest_churn_account: str | None


class AccountHierarchy(ResponseModel):
    """An account, its parent, and the accounts below it."""

    as_of: str
    account_id: str
    parent_id: str | None
    top_id: str = Field(description="The last account on the way from parent to parent.")
    own: RelatedAccount
    below: list[RelatedAccount] = Field(description="All accounts below it, by ARR. Empty: it has no children.")
    sums: CompanySum = Field(description="The account and all accounts below it.")
    company: CompanySum = Field(description="The top account and all accounts below it.")
    company_health: HealthOfParent | None = Field(description="The health of the top account, as a parent.")


def account_hierarchy(scored: ScoredSnapshot, account_id: str) -> dict[str, Any]:
    """Return an account with its parent and children, as stored when the snapshot was scored (`AccountHierarchy`).

    Raises
    ------
    UnknownAccount : the account is neither in the snapshot nor the parent or child of an account.
    HomeError : the sidecar is not valid.
    """
    document = read_sidecar(scored.snapshots, scored.as_of, ACCOUNTS) or {}
    parents: Mapping[str, str] = document.get("parents", {})
    version = file_version(sidecar_path(scored.snapshots, scored.as_of, ACCOUNTS))
    roster = published_account_list(scored)
    accounts, tops, children = scored.cache.get(("hierarchy", version), lambda: _indexed(roster, parents))
    if account_id not in accounts.index and account_id not in tops:
        raise UnknownAccount(
            "this account is not in the snapshot, and no parent or child of an account that is",
            "an account that was active at the date of the snapshot, or one of its company",
        )
    top = tops.get(account_id, account_id)
    names = document.get("names", {})

    def related(account: str) -> dict[str, Any]:
        return _related(account, parents, accounts, names) | {"parent_health": health_of_parent(roster, account)}

    own, below = related(account_id), [related(each) for each in descendants(account_id, children)]
    head = own if top == account_id else related(top)
    company = below if top == account_id else [related(each) for each in descendants(top, children)]
    return {
        "as_of": to_iso(scored.as_of),
        "account_id": account_id,
        "parent_id": parents.get(account_id),
        "top_id": top,
        "own": own,
        "below": sorted(below, key=lambda each: (-(each["arr"] or 0.0), each["account_id"])),
        "sums": _sums([own, *below]),
        "company": _sums([head, *company]),
        "company_health": head["parent_health"],
    }


def _indexed(
    roster: AccountList, parents: Mapping[str, str]
) -> tuple[pd.DataFrame, Mapping[str, str], Mapping[str, list[str]]]:
    """Return the accounts by id, the top account of each, and the children of each."""
    children = defaultdict(list)
    for child, parent in parents.items():
        children[parent].append(child)
    return roster.frame.set_index("account_id"), top_accounts(parents), dict(children)


def _related(
    account_id: str, parents: Mapping[str, str], accounts: pd.DataFrame, names: Mapping[str, str]
) -> dict[str, Any]:
    known = {"account_id": account_id, "parent_id": parents.get(account_id)}
    if account_id not in accounts.index:
        unknown = dict.fromkeys(("arr", "arr_at_risk", "churn_probability", "health", "health_band"))
        return {**known, "name": names.get(account_id), "active": False, **unknown}
    row: Any = accounts.loc[account_id]
    return {
        **known,
        "name": row["name"],
        "active": True,
        "arr": number_or_null(row["arr"]),
        "arr_at_risk": number_or_null(row["loss"]),
        "churn_probability": number_or_null(row["risk"]),
        "health": number_or_null(row["health"]),
        "health_band": row["health_band"],
    }


def _sums(accounts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    active = [each for each in accounts if each["active"]]

    def total(name: str) -> float | None:
        values = [each[name] for each in active]
        return None if None in values else math.fsum(values)

    scored = [each for each in active if each["health"] is not None]
    worst = min(scored, key=lambda each: (each["health"], each["account_id"]), default=None)
    predicted = [each for each in active if each["churn_probability"] is not None]
    riskiest = max(predicted, key=lambda each: each["churn_probability"], default=None)
    return {
        "accounts": len(active),
        "arr": total("arr"),
        "arr_at_risk": total("arr_at_risk"),
        "expected_churns": total("churn_probability"),
        "worst_health": None if worst is None else worst["health"],
        "worst_health_account": None if worst is None else worst["account_id"],
        "highest_churn_probability": None if riskiest is None else riskiest["churn_probability"],
        "highest_churn_account": None if riskiest is None else riskiest["account_id"],
    }
