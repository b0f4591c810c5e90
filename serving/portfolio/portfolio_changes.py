"""What changed the portfolio's ARR at risk between two dates, account by account.

Both dates are assessed with the champion in use. The changes of all accounts, with new accounts and accounts that left,
add up to the change of the total.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from models.peer_groups.frame_columns import number_column
from models.peer_groups.segments import ARR_FEATURE
from models.predictions.assessment import Assessment
from models.predictions.columns import number_or_null
from models.predictions.payload import format_instant
from models.predictions.schema import Fraction, ResponseModel
from serving.portfolio.account_changes import target_change
from serving.schemas.account_filter import AppliedFilter
from serving.snapshots.portfolio_summary import AccountGroup, Amount, Count, group_figures

#: The number of accounts that are listed by default.
LISTED = 20

ChangeKind = Literal["probability_or_arr", "new", "left", "known_now", "unknown_now"]


class ChangePart(ResponseModel):
    """A part of the change of the ARR at risk."""

    accounts: Count
    change: float


class ArrAtRiskParts(ResponseModel):
    """The parts of the change of the ARR at risk. They add up to it."""

    probability: ChangePart = Field(
        description="Accounts scored at both dates: the change of the churn probability, times the mean of both ARR."
    )
    arr: ChangePart = Field(description="The same accounts: the change of ARR, times the mean of both probabilities.")
    new: ChangePart = Field(description="Accounts that are active only at the later date.")
    left: ChangePart = Field(description="Accounts that were active only at the earlier date.")
    known_now: ChangePart = Field(description="Accounts whose ARR at risk was unknown at the earlier date.")
    unknown_now: ChangePart = Field(description="Accounts whose ARR at risk is unknown at the later date.")


class ChangedAccount(ResponseModel):
    """An account whose ARR at risk changed."""

    account_id: str
    name: str | None
    kind: ChangeKind
    arr_before: Amount | None
    arr: Amount | None
    churn_probability_before: Fraction | None
    churn_probability: Fraction | None
    arr_at_risk_before: Amount | None
    arr_at_risk: Amount | None
    change: float = Field(description="The change of the ARR at risk; where it is unknown or inactive, it counts as 0.")
    text: str = Field(description="The change of the churn probability and what drove it, in words.")


class PortfolioChanges(ResponseModel):
    """The portfolio at two dates, and what changed its ARR at risk."""

    since: str
    as_of: str
    horizon_days: int | None
    model_version: str | None = Field(description="The churn model that both dates are scored with.")
    before: AccountGroup
    now: AccountGroup
    change: float | None = Field(
        description="The change of the ARR at risk; null if it is unknown at one of the dates."
    )
    parts: ArrAtRiskParts
    accounts: list[ChangedAccount] = Field(description="The accounts with the largest changes, in both directions.")
    more_accounts: Count = Field(description="Other accounts whose ARR at risk changed.")
    filter: AppliedFilter | None = Field(
        description="The accounts that the figures are of; null: all. The filter is that of the later date."
    )


class _Totals(NamedTuple):
    table: pd.DataFrame
    group: dict[str, Any]


def portfolio_changes(
    before: Assessment,
    now: Assessment,
    limit: int = LISTED,
    includes: Callable[[str], bool] | None = None,
    applied: dict[str, str | None] | None = None,
    choose: Callable[[list[dict[str, Any]]], Sequence[dict[str, Any]]] | None = None,
) -> dict[str, Any]:
    """Return what changed the ARR at risk between two assessments by the same champion (`PortfolioChanges`).

    Parameters
    ----------
    before, now : the assessments.
    limit : the maximum number of accounts to list.
    includes : whether an account counts; None for all.
    choose : selects and sorts the changed accounts, which have every field but ``text`` yet; None for all, those that
        changed most first. What changed an account is explained only for accounts that are listed.
    applied : the filter, as a field of the answer.
    """
    then, later = _totals(before, includes), _totals(now, includes)
    both = then.table.add_suffix("_before").join(later.table, how="outer", validate="one_to_one")
    risks = [both[name].to_numpy(dtype=np.float64) for name in ("risk_before", "risk")]
    change = np.nan_to_num(risks[1]) - np.nan_to_num(risks[0])
    kind = _kinds(both, *(~np.isnan(risk) for risk in risks))
    totals = [each.group["expected_churned_arr"] for each in (then, later)]
    order = np.argsort(-np.abs(change), kind="stable")
    changed = [row for row in order.tolist() if change[row] != 0]
    listed = both.iloc[changed[:limit] if choose is None else changed]
    rows = [
        _account(before, now, row, float(change[place]), kind[place])
        for place, row in zip(changed, listed.reset_index().to_dict("records"), strict=False)
    ]
    bundle = now.target_scores["churn"].bundle
    return {
        "since": format_instant(before.as_of),
        "as_of": format_instant(now.as_of),
        "horizon_days": None if bundle is None else bundle.manifest.horizon_days,
        "model_version": None if bundle is None else bundle.manifest.version,
        "before": then.group,
        "now": later.group,
        "change": None if None in totals else totals[1] - totals[0],
        "parts": _parts(both, change, kind),
        "accounts": [
            {**each, "text": target_change(before, now, each["account_id"], "churn")["text"]}
            for each in (rows if choose is None else choose(rows))[:limit]
        ],
        "more_accounts": max(0, len(changed) - limit),
        "filter": applied,
    }


def first_changes(changes: dict[str, Any], limit: int) -> dict[str, Any]:
    """Return `PortfolioChanges` with the first accounts of its list only.

    Parameters
    ----------
    changes : the changes.
    limit : the maximum number of accounts to list.
    """
    accounts = changes["accounts"]
    more = changes["more_accounts"] + max(0, len(accounts) - limit)
    return {**changes, "accounts": accounts[:limit], "more_accounts": more}


def _totals(assessment: Assessment, includes: Callable[[str], bool] | None) -> _Totals:
    rows = [row for row, account in enumerate(assessment.account_ids) if includes is None or includes(account)]
    arr = number_column(assessment.frame, ARR_FEATURE)[rows]
    probability = assessment.target_scores["churn"].probability[rows]
    ids = pd.Index([assessment.account_ids[row] for row in rows], dtype=object, name="account_id")
    table = pd.DataFrame({"arr": arr, "p": probability, "risk": probability * arr, "active": 1.0}, index=ids)
    return _Totals(table, group_figures(arr, assessment.health_score[rows], probability))


def _kinds(both: pd.DataFrame, known_before: Any, known: Any) -> list[ChangeKind]:
    kinds: list[ChangeKind] = []
    active = zip(both["active_before"].notna(), both["active"].notna(), known_before, known, strict=True)
    for was, is_active, scored_before, scored in active:
        if not was:
            kinds.append("new")
        elif not is_active:
            kinds.append("left")
        elif scored_before != scored:
            kinds.append("known_now" if scored else "unknown_now")
        else:
            kinds.append("probability_or_arr")
    return kinds


def _parts(both: pd.DataFrame, change: Any, kind: list[ChangeKind]) -> dict[str, Any]:
    of_kind = {name: np.array([each == name for each in kind], dtype=bool) for name in set(kind)}

    def part(name: ChangeKind) -> dict[str, Any]:
        rows = of_kind.get(name, np.zeros(len(kind), dtype=bool))
        return {"accounts": int(rows.sum()), "change": math.fsum(change[rows])}

    stayed = both[of_kind.get("probability_or_arr", np.zeros(len(kind), dtype=bool))]
    p, arr = stayed["p"] - stayed["p_before"], stayed["arr"] - stayed["arr_before"]
    return {
        "probability": _known(p * (stayed["arr"] + stayed["arr_before"]) / 2.0),
        "arr": _known(arr * (stayed["p"] + stayed["p_before"]) / 2.0),
        "new": part("new"),
        "left": part("left"),
        "known_now": part("known_now"),
        "unknown_now": part("unknown_now"),
    }


def _known(effects: pd.Series[float]) -> dict[str, Any]:
    """Return the sum of the known effects, and the accounts that have one."""
    known = effects[effects.notna() & (effects != 0)]
    return {"accounts": len(known), "change": math.fsum(known)}


def _account(
    before: Assessment, now: Assessment, row: Mapping[Hashable, Any], change: float, kind: ChangeKind
) -> dict[str, Any]:
    account_id = str(row["account_id"])
    return {
        "account_id": account_id,
        "name": now.known_names.get(account_id) or before.known_names.get(account_id),
        "kind": kind,
        "arr_before": number_or_null(row["arr_before"]),
        "arr": number_or_null(row["arr"]),
        "churn_probability_before": number_or_null(row["p_before"]),
        "churn_probability": number_or_null(row["p"]),
        "arr_at_risk_before": number_or_null(row["risk_before"]),
        "arr_at_risk": number_or_null(row["risk"]),
        "change": change,
    }
