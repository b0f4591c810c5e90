"""The shape of a worklist, as it is answered over HTTP and printed as JSON."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from models.predictions.schema import Answer, Play, Points, Share

Amount = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


class WorkItem(Answer):
    """One account to work."""

    rank: Annotated[int, Field(ge=1)]
    account_id: str
    name: str | None
    csm: str | None
    segment: str | None
    arr: Amount | None
    renewal_at: str | None
    days_to_renewal: int | None = Field(description="Below 0: past its renewal, unsigned.")
    churn_probability: Share | None = Field(description="Within horizon_days.")
    arr_at_risk: Amount | None = Field(description="The churn probability within horizon_days times ARR.")
    expected_saved_arr: Amount | None = Field(description="That times the save rate; null where none is known.")
    health_score: Points | None
    health_band: str
    why: str | None = Field(description="The model's first reason, or what the warnings say.")
    play: Play | None = Field(description="What to do, who does it, and the last day for it.")
    because: Literal["warning", "health", "model", "onboarding", "renewal"] | None = Field(
        description="What called for the play."
    )
    overdue: bool = Field(description="The play was due before as_of, and has not been done.")


class TooLateAccount(Answer):
    """An account whose renewal is nearer than its play takes."""

    account_id: str
    name: str | None
    csm: str | None
    arr: Amount | None
    renewal_at: str
    churn_probability: Share | None
    arr_at_risk: Amount | None


class CoveredArr(Answer):
    """ARR at the same capacity, by different orders of the same accounts, those with a renewal talk left out. Null:
    nothing is known."""

    worklist: Amount | None
    by_health_score: Amount | None = Field(description="The lowest score first.")
    at_random: Amount | None = Field(description="On average.")
    everyone: Amount | None = Field(description="With a capacity for all.")


class RiskBridge(Answer):
    """From the portfolio's ARR at risk to that of the list. The parts add up to the portfolio."""

    portfolio: Amount = Field(description="As GET /v1/portfolio has it: expected_churned_arr.")
    other_csms: Amount = Field(description="Accounts of other CSMs, where one CSM's list is asked for.")
    under_way: Amount = Field(description="In an intervention already.")
    done: Amount = Field(description="Worked already.")
    snoozed: Amount = Field(description="Put off by somebody, until a day.")
    held_out: Amount = Field(description="Held out at random.")
    no_play: Amount = Field(description="Without a reason to act.")
    automated: Amount = Field(description="With an automated play.")
    too_late: Amount = Field(description="Their renewal is nearer than a play takes.")
    not_listed: Amount = Field(description="Beyond the capacity.")
    listed: Amount


class SaveRate(Answer):
    """The share of the accounts that would leave which stay because they are worked."""

    value: Share | None
    source: Literal["measured", "assumed", "unknown"]
    words: str


class RateEstimate(Answer):
    """A share, with its 95% interval."""

    value: Share
    interval: Annotated[list[Share], Field(min_length=2, max_length=2)]
    of: Count


class InterventionEffect(Answer):
    """Treated accounts beside those held out at random: the shares that stayed, and the difference."""

    treated: RateEstimate
    held_out: RateEstimate
    uplift: float
    interval: Annotated[list[float], Field(min_length=2, max_length=2)] = Field(description="95%, of the uplift.")
    save_rate: Share


class InterventionSummary(Answer):
    """What interventions have come to."""

    saved: Count
    lost: Count
    open: Count
    save_rate: RateEstimate | None = Field(description="Saved of those closed. It does not say what they did.")
    held_out_accounts: Count
    effect: InterventionEffect | None = Field(description="Null: too few accounts were held out at random.")
    why_no_effect: str | None


class Worklist(Answer):
    """Whom to work, given how many accounts the team can."""

    as_of: str
    capacity: Count
    csm: str | None = Field(description="Of this CSM only; null: everybody's.")
    horizon_days: Count = Field(description="The model's horizon, as on every page.")
    ordered_by: Literal["expected_saved_arr", "arr_at_risk", "health"]
    accounts: list[WorkItem] = Field(description="Renewal talks, with which nothing is at risk, come last.")
    more_accounts: Count = Field(description="How many more could be worked.")
    too_late: list[TooLateAccount] = Field(description="The largest ARR at risk first.")
    too_late_accounts: Count
    automated: Count = Field(description="With a play that runs by itself, so not listed.")
    under_way: Count = Field(description="In an intervention already, so not listed.")
    done: Count = Field(description="Worked since as_of, so not listed until the next publication.")
    snoozed: Count = Field(description="Put off until a day by POST /v1/accounts/{account_id}/snoozes.")
    held_out: Count = Field(description="Held out at random, so left alone.")
    reached_arr_at_risk: CoveredArr
    bridge: RiskBridge | None = Field(description="Null: no ARR at risk is known.")
    saved_arr: CoveredArr = Field(description="The same times the save rate.")
    save_rate: SaveRate
    interventions: InterventionSummary
    notes: list[str]
