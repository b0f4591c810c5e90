"""The accounts with active alerts at a date, and whether a play is already run for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from models.predictions.assessment import Assessment
from models.predictions.payload import alert_document, format_instant
from models.rules.intervention_effects import InterventionStatus
from serving.snapshots.account_attributes import AccountSelection
from serving.worklist.account_view import WorklistAccounts


def active_alerts(
    assessment: Assessment,
    accounts: WorklistAccounts,
    standing: Mapping[str, InterventionStatus],
    limit: int,
    selection: AccountSelection,
    code: str | None = None,
    new: bool = False,
    suppressed: bool = False,
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
    suppressed : list the accounts for which a play is under way, instead of the others.
    """
    matches = {
        row: shown
        for row, alerts in enumerate(assessment.rule_results.alerts)
        if selection.rows[row]
        if (shown := [each for each in alerts if code in (None, each.code) and (each.raised or not new)])
    }
    running = {row for row in matches if standing.get(assessment.account_ids[row]) == "under_way"}
    listed = np.array([row for row in matches if (row in running) == suppressed], dtype=np.int64)
    fresh = np.array([any(each.raised for each in matches[row]) for row in listed.tolist()], dtype=bool)
    by_risk = accounts.order(listed, accounts.value)
    is_new = dict(zip(listed.tolist(), fresh.tolist(), strict=True))
    ordered = sorted(
        by_risk.tolist(), key=lambda row: (standing.get(assessment.account_ids[row]) is not None, not is_new[row])
    )
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
                "state": standing.get(assessment.account_ids[row]),
                "suppressed": row in running,
            }
            for row in ordered[:limit]
        ],
        "more_accounts": max(len(ordered) - limit, 0),
        "suppressed_accounts": 0 if suppressed else len(running),
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
