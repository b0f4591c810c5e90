"""The accounts in onboarding: their day, the steps that are done, missed and due, and who looks after them."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from pydantic import Field

from models.peer_groups.frame_columns import number_column
from models.peer_groups.rule_files import read_rules
from models.peer_groups.segments import ARR_FEATURE
from models.predictions.columns import number_or_null
from models.predictions.payload import format_instant
from models.predictions.schema import ResponseModel
from models.rules.onboarding import OnboardingFile, StepState, step_states
from serving.schemas.account_filter import AppliedFilter
from serving.snapshots.account_attributes import AccountSelection, account_attributes
from serving.snapshots.portfolio_summary import Amount, Count
from serving.snapshots.scored_snapshot import ScoredSnapshot


class OnboardingStep(ResponseModel):
    """A step of an account, as `onboarding.toml` defines it."""

    code: str
    day: Count = Field(description="The day of the contract from which it counts as missed.")
    on: str | None = Field(description="The date of that day; null: the start of the contract is unknown.")
    state: StepState
    says: str = Field(description="What is wrong if it is missed.")
    act: str = Field(description="What to do then.")


class OnboardedAccount(ResponseModel):
    """An account in onboarding."""

    account_id: str
    name: str | None
    csm: str | None
    segment: str | None
    arr: Amount | None
    day: Count | None = Field(description="Whole days since the start of the contract.")
    done: Count
    missed: Count
    due: Count
    unknown: Count
    next_on: str | None = Field(description="The date of the next step that is due.")
    steps: list[OnboardingStep]
    days_to_first_value: Count | None = Field(description="Null: no first value yet, or unknown.")
    first_value_late: bool | None = Field(description="Whether first value took, or has taken so far, too long.")
    health_band: str


class OnboardingAccounts(ResponseModel):
    """The accounts in onboarding: those with most missed steps first, then by day, latest first."""

    as_of: str
    steps: Count = Field(description="The number of steps.")
    first_value_target_days: Count
    onboarding_accounts: Count
    missed_accounts: Count = Field(description="Those that missed a step.")
    first_value_accounts: Count = Field(description="Those with first value.")
    accounts: list[OnboardedAccount]
    more_accounts: Count
    filter: AppliedFilter | None = Field(description="The accounts that count; null: all.")


def published_onboarding(
    scored: ScoredSnapshot, selection: AccountSelection, limit: int | None = None
) -> dict[str, Any]:
    """Return the accounts in onboarding at a snapshot.

    Parameters
    ----------
    scored : the snapshot.
    selection : the accounts that count.
    limit : the maximum number of accounts to list; None for all.

    Returns
    -------
    dict for JSON
        An `OnboardingAccounts`.

    Raises
    ------
    RulesError : the rules are invalid.
    HomeError : a sidecar is not valid.
    """
    rules, assessment = read_rules("onboarding", OnboardingFile), scored.assessment
    results, csm = assessment.rule_results, account_attributes(scored).texts["csm"]
    arr = number_column(assessment.frame, ARR_FEATURE)
    today = scored.as_of.date()
    accounts = []
    for row, status in enumerate(results.onboarding):
        if not status.under_way or not selection.rows[row]:
            continue
        steps = [
            {
                "code": step.code,
                "day": step.day,
                "on": None if status.day is None else (today + timedelta(days=step.day - status.day)).isoformat(),
                "state": state,
                "says": step.says,
                "act": step.act,
            }
            for step, state in step_states(status, rules)
        ]
        count = Counter(step["state"] for step in steps)
        accounts.append(
            {
                "account_id": assessment.account_ids[row],
                "name": assessment.account_names[row],
                "csm": csm[row],
                "segment": results.segments[row],
                "arr": number_or_null(arr[row]),
                "day": status.day,
                **{state: count[state] for state in ("done", "missed", "due", "unknown")},
                "next_on": next((step["on"] for step in steps if step["state"] == "due"), None),
                "steps": steps,
                "days_to_first_value": status.days_to_first_value,
                "first_value_late": status.late,
                "health_band": assessment.health_band[row],
            }
        )
    accounts.sort(key=lambda each: (-each["missed"], -(each["day"] or 0), each["account_id"]))
    shown = accounts if limit is None else accounts[:limit]
    return {
        "as_of": format_instant(scored.as_of),
        "steps": len(rules.steps),
        "first_value_target_days": rules.time_to_first_value_target_days,
        "onboarding_accounts": len(accounts),
        "missed_accounts": sum(each["missed"] > 0 for each in accounts),
        "first_value_accounts": sum(each["days_to_first_value"] is not None for each in accounts),
        "accounts": shown,
        "more_accounts": len(accounts) - len(shown),
        "filter": selection.account_filter.applied,
    }
