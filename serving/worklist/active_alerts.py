"""The accounts with active alerts at a date, and whether a play is already run for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np

from models.predictions.assessment import Assessment
from models.predictions.payload import alert_document, format_instant
from models.rules.intervention_effects import InterventionStatus
from serving.snapshots.account_attributes import AccountSelection
from serving.worklist.account_view import WorklistAccounts

LeftOut = Literal["under_way", "done", "snoozed"]
"""Why an account with active alerts is not listed: a play is under way, has ended since publication, or is snoozed."""


def active_alerts(
    assessment: Assessment,
    accounts: WorklistAccounts,
    standing: Mapping[str, InterventionStatus],
    limit: int,
    selection: AccountSelection,
    code: str | None = None,
    new: bool = False,
    state: LeftOut | None = None,
) -> dict[str, Any]:
    """Return the accounts with active alerts (`serving.worklist.intervention_schemas.ActiveAlerts`).

    Parameters
    ----------
    assessment : the assessed portfolio.
    accounts : its accounts.
    standing : the accounts whose plays are off the worklist, and why.
    limit : the maximum number of accounts.
    selection : only these accounts.
    code : only alerts of this rule.
    new : only alerts that were raised at this date.
    state : list the accounts that are left out for this reason, instead of the others.
    """
    matches = {
        row: shown
        for row, alerts in enumerate(assessment.rule_results.alerts)
        if selection.rows[row]
        if (shown := [each for each in alerts if code in (None, each.code) and (each.raised or not new)])
    }
    states = {row: standing.get(assessment.account_ids[row]) for row in matches}
    left_out: dict[LeftOut, list[int]] = {
        reason: [row for row in matches if states[row] == reason] for reason in get_args(LeftOut)
    }
    listed = np.array(
        [row for row in matches if states[row] not in left_out] if state is None else left_out[state], dtype=np.int64
    )
    fresh = np.array([any(each.raised for each in matches[row]) for row in listed.tolist()], dtype=bool)
    by_risk = accounts.order(listed, accounts.value)
    is_new = dict(zip(listed.tolist(), fresh.tolist(), strict=True))
    ordered = sorted(by_risk.tolist(), key=lambda row: (states[row] is not None, not is_new[row]))
    hidden = {reason: 0 if reason == state else len(rows) for reason, rows in left_out.items()}
    return {
        "as_of": format_instant(assessment.as_of.to_pydatetime()),
        "horizon_days": accounts.days,
        "new": new,
        "filter": selection.account_filter.applied,
        "code": code,
        "accounts": [
            {
                "account_id": assessment.account_ids[row],
                "name": accounts.name[row],
                "csm": accounts.csm[row],
                "arr": _number(accounts.arr[row]),
                "arr_at_risk": _number(accounts.value[row]),
                "churn_probability": _number(accounts.probability[row]),
                "alerts": [alert_document(each) for each in matches[row]],
                "play": None if (play := accounts.plays[row]) is None else play.as_dict(),
                "state": states[row],
                "suppressed": states[row] == "under_way",
            }
            for row in ordered[:limit]
        ],
        "more_accounts": max(len(ordered) - limit, 0),
        "suppressed_accounts": hidden["under_way"],
        "done_accounts": hidden["done"],
        "snoozed_accounts": hidden["snoozed"],
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
