"""Schema of a worklist, as returned over HTTP and printed as JSON."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from models.predictions.schema import Fraction, RecommendedPlay, ResponseModel, ScorePoints
from models.uplift.account_effects import AccountEffectModel
from serving.schemas.account_filter import AppliedFilter
from serving.worklist.account_view import PlayReason

Amount = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
EffectSource = Literal["account", "play", "all_plays", "assumed"]


class WorkItem(ResponseModel):
    """One account to work."""

    rank: Annotated[int, Field(ge=1)]
    account_id: str
    name: str | None
    csm: str | None
    segment: str | None
    arr: Amount | None
    renewal_at: str | None
    days_to_renewal: int | None = Field(description="Below 0: past the renewal date, not renewed.")
    churn_probability: Fraction | None = Field(description="Within horizon_days.")
    arr_at_risk: Amount | None = Field(description="The churn probability within horizon_days times ARR.")
    expected_saved_arr: Amount | None = Field(
        description="The churn_reduction times ARR; null if the effect of the play is unknown."
    )
    churn_reduction: Fraction | None = Field(
        description="By how much the play is expected to reduce the churn probability."
    )
    effect_source: EffectSource | None = Field(
        description="The effect was measured for this account, for its play or for all plays, or it is assumed."
    )
    health_score: ScorePoints | None
    health_band: str
    why: str | None = Field(
        description="The text of the warnings, the missed onboarding steps, the model's top reason, or what lowers the "
        "health score: the first that there is."
    )
    play: RecommendedPlay | None = Field(description="What to do, who does it, and the due date.")
    because: PlayReason | None = Field(description="What triggered the play.")
    overdue: bool = Field(description="The play was due before as_of and has not been done.")


class TooLateAccount(ResponseModel):
    """An account whose renewal is too soon for its play."""

    account_id: str
    name: str | None
    csm: str | None
    arr: Amount | None
    renewal_at: str
    churn_probability: Fraction | None
    arr_at_risk: Amount | None


class CoveredArr(ResponseModel):
    """ARR at the same capacity under different rankings of the same accounts, without renewal talks. Null: unknown."""

    worklist: Amount | None
    by_health_score: Amount | None = Field(description="Lowest score first.")
    at_random: Amount | None = Field(description="On average.")
    everyone: Amount | None = Field(description="With capacity for all accounts.")


class RiskBridge(ResponseModel):
    """From the portfolio's ARR at risk to that of the worklist. The parts add up to the portfolio."""

    portfolio: Amount = Field(description="The expected_churned_arr of GET /v1/portfolio.")
    other_csms: Amount = Field(description="Accounts that do not match the filter, such as those of other CSMs.")
    under_way: Amount = Field(description="An intervention is in progress.")
    done: Amount = Field(description="An intervention has ended.")
    snoozed: Amount = Field(description="Postponed to a later date.")
    held_out: Amount = Field(description="Held out at random.")
    no_play: Amount = Field(description="Accounts without a play.")
    automated: Amount = Field(description="Accounts with an automated play.")
    too_late: Amount = Field(description="The renewal is too soon for a play.")
    not_listed: Amount = Field(description="Beyond capacity.")
    listed: Amount


class SaveRate(ResponseModel):
    """The share of accounts that would churn but stay because of a play."""

    value: Fraction | None
    source: Literal["measured", "assumed", "unknown"]
    words: str


class RateEstimateResponse(ResponseModel):
    """A share with its 95% interval."""

    value: Fraction
    interval: Annotated[list[Fraction], Field(min_length=2, max_length=2)]
    of: Count


class InterventionEffectResponse(ResponseModel):
    """Treated accounts compared with accounts held out at random."""

    treated: RateEstimateResponse
    held_out: RateEstimateResponse
    uplift: float
    interval: Annotated[list[float], Field(min_length=2, max_length=2)] = Field(
        description="95% interval of the uplift."
    )
    save_rate: Fraction
    detectable: Fraction | None = Field(
        description="The smallest uplift that would have been detected with a power of 80%; null: none."
    )
    adjusted_for: list[str] = Field(description="What was known at the assignment, by which the uplift is adjusted.")


class PlayEffectResponse(ResponseModel):
    """The effect of one play, for plays that were held out."""

    play: str
    accounts: Count = Field(description="Accounts with a known outcome, in both arms.")
    held_out_accounts: Count
    effect: InterventionEffectResponse | None
    why_no_effect: str | None
    save_rate: Fraction | None = Field(
        description="As used for the order: pooled with all plays, the more the fewer accounts this play has."
    )
    effect_source: EffectSource | None = Field(
        description="What the worklist uses for accounts with this play: the effect of the account, the save rate of "
        "the play or of all plays, or an assumed save rate; null: none, the order is that of ARR at risk."
    )


class InterventionSummary(ResponseModel):
    """Results of interventions.

    A filter applies to saved, lost, open and save_rate. Effects are measured over all accounts.
    """

    saved: Count
    lost: Count
    no_effect: Count = Field(description="Closed as neither saved nor lost.")
    open: Count
    save_rate: RateEstimateResponse | None = Field(
        description="Share of the interventions closed as saved or lost that were saved. It does not measure their "
        "effect."
    )
    held_out_accounts: Count
    effect: InterventionEffectResponse | None = Field(
        description="Null: too few accounts were held out at random, or the arms are not comparable."
    )
    why_no_effect: str | None
    by_play: list[PlayEffectResponse]
    crossovers: Count = Field(
        description="Held-out accounts that were treated within 90 days. They make the effect look smaller."
    )


class WorklistResponse(ResponseModel):
    """The accounts to work on, for a given capacity."""

    as_of: str
    capacity: Count
    csm: str | None = Field(description="Accounts of this CSM only; null: of all CSMs.")
    filter: AppliedFilter | None = Field(description="The accounts that the list is of; null: all accounts.")
    horizon_days: Count = Field(description="The horizon of the model.")
    ordered_by: Literal["expected_saved_arr", "arr_at_risk", "health"]
    accounts: list[WorkItem] = Field(description="Renewal talks, for accounts without risk, come last.")
    more_accounts: Count = Field(description="How many more accounts have a play for people.")
    too_late: list[TooLateAccount] = Field(description="Largest ARR at risk first.")
    too_late_accounts: Count
    automated: Count = Field(description="Accounts with an automated play; not listed.")
    under_way: Count = Field(description="Accounts with an intervention in progress; not listed.")
    done: Count = Field(
        description="Accounts with an intervention that ended since as_of; not listed until the next publication."
    )
    snoozed: Count = Field(description="Accounts postponed by POST /v1/accounts/{account_id}/snoozes; not listed.")
    held_out: Count = Field(description="Accounts held out at random; not listed.")
    reached_arr_at_risk: CoveredArr
    bridge: RiskBridge | None = Field(description="Null: ARR at risk is unknown.")
    saved_arr: CoveredArr = Field(description="expected_saved_arr of the same accounts.")
    save_rate: SaveRate
    interventions: InterventionSummary
    notes: list[str]


class TrialPlanResponse(ResponseModel):
    """What a trial of some plays takes."""

    play: str = Field(description='The play, or "all plays".')
    share: Fraction = Field(description="The share of held-out accounts.")
    eligible: Count = Field(description="Accounts that can be assigned now.")
    churn_probability: Fraction = Field(description="Their mean, within days.")
    required: Count | None = Field(
        description="Accounts that detect the effect with the given power; null: they carry no risk."
    )
    held_out: Count | None = Field(description="How many of the required accounts are held out.")
    weeks: Count | None = Field(
        description="Weeks of enrollment and observation; null: accounts are missing, and the number of new ones per "
        "week is unknown."
    )
    detectable: Fraction | None = Field(
        description="The smallest save rate that the eligible accounts detect; null: none."
    )
    cost: Amount | None = Field(
        description="ARR that held-out accounts are expected to lose because they are not treated; null: no ARR is "
        "known."
    )


class HoldoutDesignResponse(ResponseModel):
    """The design of a trial of plays with held-out accounts, for the accounts of a snapshot."""

    as_of: str
    share: Fraction
    save_rate: Fraction = Field(description="The effect to detect: the share of churning accounts that plays save.")
    power: Fraction
    days: Count = Field(description="Days from the assignment to the outcome.")
    accounts_per_week: float | None = Field(description="New accounts with a play per week; null: unknown.")
    by_play: list[TrialPlanResponse] = Field(description="All plays together, then each play.")
    by_share: list[TrialPlanResponse] = Field(description="All plays together, for several shares.")


class PlayEffectsResponse(ResponseModel):
    """The measured effect of plays, and what the worklist uses of it."""

    as_of: str
    trials: list[str] = Field(description="The trials that count.")
    accounts: Count = Field(description="Accounts with a known outcome, in both arms.")
    held_out_accounts: Count
    save_rate: SaveRate
    interventions: InterventionSummary
    variance_between_plays: float | None = Field(description="Of the save rates; null: no effect is known.")
    models: list[AccountEffectModel] = Field(description="Effects per account; the worklist uses supported ones.")
    models_as_of: str | None = Field(description="The date at which they were estimated; null: there are none.")
    notes: list[str]
