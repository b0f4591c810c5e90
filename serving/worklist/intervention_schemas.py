"""Schemas of interventions, of active alerts and of results, as returned over HTTP and printed as JSON."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from models.predictions.schema import AccountAlert, Fraction, RecommendedPlay, ResponseModel
from models.rules.alerts import AlertCode
from serving.schemas.account_filter import AppliedFilter
from serving.worklist.intervention_history import HistoryAction, InterventionState
from serving.worklist.schemas import Amount, Count, RateEstimateResponse

ResultName = Literal["saved", "lost", "no_effect"]


class HistoryEntryResponse(ResponseModel):
    """One action of a person: who did what and when."""

    at: str
    by: str | None = Field(description="The name of the person, or of the API key; null: not recorded.")
    actions: list[HistoryAction]
    intervention_id: str | None
    version: int | None = Field(description="The version of the intervention after the action.")
    play: str | None
    assignee: str | None
    snoozed_until: str | None
    result: str | None
    arr: Amount | None
    note: str | None


class InterventionResponse(ResponseModel):
    """A recorded intervention as it is now, with its history."""

    id: str
    version: Annotated[int, Field(ge=1)] = Field(description="Raised by every change. In quotes, it is the ETag.")
    account_id: str
    state: InterventionState
    play: str | None
    severity: str | None
    assignee: str | None
    started_at: str
    started_by: str | None
    under_way_until: str | None = Field(
        description="Until then, an open intervention takes the plays of its account off the list."
    )
    snoozed_until: str | None
    closed_at: str | None
    result: ResultName | None
    arr: Amount | None
    alerts: list[str] = Field(description="The keys of the alerts that were active when it began.")
    trial: str | None
    history: list[HistoryEntryResponse] = Field(description="The first action first.")


class InterventionPage(ResponseModel):
    """Recorded interventions, those that began last first."""

    data: list[InterventionResponse]
    more: Count = Field(description="How many more match the filters.")


class _Results(ResponseModel):
    open: Count
    closed: Count
    saved: Count
    lost: Count
    no_effect: Count = Field(description="Neither saved nor lost.")
    why_unknown: str | None = Field(description="Why the rate is unknown.")


class PlayResults(_Results):
    """How the interventions of one play ended."""

    play: str
    save_rate: RateEstimateResponse | None = Field(
        description="Share of the interventions closed as saved or lost that were saved; null with fewer of these than "
        "min_closed. It does not measure the effect of the play."
    )


class AlertRuleResults(_Results):
    """How the interventions ended that began while an alert of one rule was active."""

    code: AlertCode
    raised: Count = Field(description="Published alerts of the rule.")
    suppressed: Count = Field(description="Alerts of the rule that were not published, because a play was running.")
    precision: RateEstimateResponse | None = Field(
        description="Share of closed interventions that were saved or lost; null with fewer than min_closed."
    )


class AlertResponses(ResponseModel):
    """The time from an alert to the first intervention on its account.

    Alerts that were raised while a play ran or the account was held out need no response.
    """

    code: AlertCode | None = Field(description="Null: the alerts of all rules.")
    alerts: Count = Field(description="Alerts that needed a response.")
    answered: Count
    median_days: float | None = Field(
        description="Days until half of the alerts are answered; those without a response count for as long as they "
        "have waited (Kaplan-Meier)."
    )
    share_in_time: Fraction | None = Field(description="The share that is answered within response_days.")
    why_unknown: str | None


class InterventionResults(ResponseModel):
    """The plain save rate of each play, the precision of each alert rule, from how people closed interventions, and the
    time to the first response to alerts."""

    as_of: str
    filter: AppliedFilter | None = Field(description="Null: all accounts.")
    min_closed: Count = Field(description="With fewer interventions that count for a rate, it is unknown.")
    by_play: list[PlayResults]
    by_alert: list[AlertRuleResults]
    min_alerts: Count = Field(description="With fewer alerts, the time to a response is unknown.")
    response_days: Count = Field(description="An alert is answered in time within so many days.")
    responses: list[AlertResponses] = Field(description="Of all alerts, then of each rule.")


class AlertedAccount(ResponseModel):
    """An account with active alerts."""

    account_id: str
    name: str | None
    csm: str | None
    arr: Amount | None
    arr_at_risk: Amount | None = Field(description="The churn probability within horizon_days times ARR.")
    churn_probability: Fraction | None
    alerts: list[AccountAlert]
    play: RecommendedPlay | None = Field(description="What to do, who does it, and the due date.")
    state: Literal["held_out", "under_way", "done", "snoozed"] | None = Field(
        description="Why the play is off the worklist; null: it is not."
    )
    suppressed: bool = Field(description="A play is under way, so no new alert is published for the account.")


class ActiveAlerts(ResponseModel):
    """The accounts with active alerts at a date: those to work on first, then new alerts, then by ARR at risk."""

    as_of: str
    horizon_days: Count
    new: bool
    filter: AppliedFilter | None = Field(description="Null: all accounts.")
    code: AlertCode | None
    accounts: list[AlertedAccount]
    more_accounts: Count
    suppressed_accounts: Count = Field(description="Accounts with alerts for which a play is under way; not listed.")
    done_accounts: Count = Field(
        description="Accounts with alerts whose intervention has ended since publication; not listed."
    )
    snoozed_accounts: Count = Field(description="Accounts with alerts whose plays are snoozed; not listed.")
