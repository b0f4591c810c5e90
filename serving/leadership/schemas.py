"""Schema of the leadership report, as returned over HTTP, printed as JSON and shown on a page."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from models.predictions.schema import Fraction, ResponseModel
from serving.portfolio.kpi_schemas import KpiPeriod, KpiResponse, KpiValue
from serving.renewals.schemas import RenewalsDue
from serving.schemas.account_filter import AppliedFilter
from serving.schemas.divisions import ExclusiveDivision

Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]
StepName = Literal[
    "arr_start", "new", "returned", "expanded", "contracted", "churned", "in_grace", "renewed_late", "arr_end"
]


class BridgeStep(ResponseModel):
    """A step of the bridge of ARR."""

    step: StepName
    sign: Literal[-1, 1] = Field(description="Whether the step is added or subtracted.")
    accounts: Count = Field(
        description="Accounts that count in the step. Expansion and contraction do not change the number of accounts."
    )
    arr: Amount


class ArrBridge(ResponseModel):
    """ARR from the start to the end of a period: start + new + returned + expanded - contracted - churned - in_grace +
    renewed_late = end, for the ARR to the cent and, without expanded and contracted, for the accounts."""

    period: KpiPeriod
    steps: list[BridgeStep] | None = Field(description="In order, from the start to the end; null: unknown.")
    change: float | None = Field(description="ARR at the end less ARR at the start.")
    left_out: Count = Field(description="Accounts whose ARR at one end is unknown; no step has them.")
    unknown: str | None = Field(description="Why the steps are unknown.")


class LeadershipForecast(ResponseModel):
    """The forecast of the renewals that are due next, and the ARR that follows from it."""

    period: str
    start: str
    end: str = Field(description="Not included.")
    due: RenewalsDue
    arr_now: Amount | None = Field(description="ARR of the accounts at the date of the report.")
    arr_expected: float | None = Field(
        description="arr_now less expected lost and contracted ARR, plus expected expanded ARR, of the accounts due. "
        "Other accounts stay as they are, and none is new."
    )


class RetentionGroup(ResponseModel):
    """A group of accounts."""

    group: str | None = Field(description="Null: accounts whose group is unknown, or without parent and child.")
    name: str | None = Field(description="The name of a parent company; null otherwise.")
    bridge: ArrBridge
    nrr: KpiValue
    grr: KpiValue
    logo_retention: KpiValue
    forecast: RenewalsDue | None = Field(
        description="The renewals of the group that are due next; null: none, or no forecast. The group of an account "
        "is that of today."
    )


class SegmentCapacity(ResponseModel):
    """The accounts of a segment and the CSMs that look after them."""

    segment: str | None = Field(description="Null: the ARR is unknown.")
    accounts: Count
    arr: Amount | None
    without_csm: Count
    csms: Count = Field(description="CSMs with at least one account of the segment.")
    accounts_per_csm: float | None = Field(description="Accounts with a CSM, per CSM with an account of the segment.")
    ratio: Count | None = Field(description="Accounts per CSM that the rules allow.")
    csms_needed: Amount | None = Field(description="All accounts of the segment, divided by the ratio.")


class CsmCapacity(ResponseModel):
    """The accounts of a CSM, measured by the ratios of their segments."""

    csm: str
    accounts: Count
    arr: Amount | None
    accounts_by_segment: dict[str, Count]
    load: Amount = Field(description="The sum over accounts of 1 divided by the ratio of the segment; 1 is full.")
    over: bool = Field(description="The load is above 1.")
    segment_unknown: Count = Field(description="Accounts with unknown ARR, which the load leaves out.")
    expected_churned_arr: Amount | None = Field(description="ARR at risk of the accounts.")


class Capacity(ResponseModel):
    """Accounts per CSM against the ratios of the segments (`segments.toml`)."""

    accounts: Count
    csms: Count
    without_csm: Count
    csms_needed: Amount = Field(description="All accounts, each divided by the ratio of its segment.")
    over: Count = Field(description="CSMs with a load above 1.")
    by_segment: list[SegmentCapacity]
    by_csm: list[CsmCapacity] = Field(description="Largest load first.")
    unknown: str | None = Field(description="Why there are no CSMs.")


class Economics(ResponseModel):
    """Lifetime value and acquisition cost of a group of accounts. Null: unknown."""

    segment: str | None = Field(description="Null: all segments.")
    accounts: Count
    arr: Amount | None
    lifetime_years: Amount | None = Field(description="The mean.")
    lifetime_value: Amount | None = Field(description="The sum.")
    acquisition_cost: Amount | None = Field(description="The sum over accounts with a cost and a lifetime value.")
    cost_accounts: Count = Field(description="These accounts.")
    ltv_to_cac: Amount | None = Field(description="Lifetime value of these accounts, divided by their cost.")
    acquired_accounts: Count = Field(
        description="Accounts that began in the period, with a known cost and ARR, including those that left."
    )
    payback_months: Amount | None = Field(
        description="12 times the cost of the acquired accounts, divided by their ARR at the end times the margin."
    )
    payback_unknown: str | None = Field(description="Why payback_months is unknown.")


class UnitEconomics(ResponseModel):
    """Lifetime value (LTV), and where the cost of acquisition (CAC) is known, their ratio and the payback."""

    margin: Fraction = Field(description="The gross margin.")
    limit_years: Amount
    assumption: str
    unknown_accounts: Count = Field(description="Accounts without a churn probability or ARR, which have no value.")
    cost_unknown: str | None = Field(description="Why no acquisition cost is known.")
    whole: Economics
    by_segment: list[Economics]


class Leadership(ResponseModel):
    """The leadership report."""

    as_of: str
    period: KpiPeriod = Field(description="The trailing twelve months.")
    contractual: bool = Field(description="False: ARR is the amount ordered in one year.")
    horizon_days: Count | None = Field(description="Of the ARR at risk; null without a churn model.")
    bridge: ArrBridge
    quarter_bridge: ArrBridge = Field(description="The last three months.")
    retention: list[KpiResponse] = Field(description="NRR, GRR, logo retention and churn.")
    forecast: LeadershipForecast | None
    forecast_unknown: str | None
    by: ExclusiveDivision
    groups: list[RetentionGroup]
    cohorts: list[RetentionGroup] = Field(description="By the year in which the first contract (or order) began.")
    cohorts_unknown: str | None
    capacity: Capacity
    economics: UnitEconomics
    filter: AppliedFilter | None = Field(
        description="The accounts that the figures are of; null: all. Figures of the past include accounts that have "
        "left, and are unknown if the filter is unknown for these."
    )
