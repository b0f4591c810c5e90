"""Schema of a renewal forecast, as returned over HTTP, printed as JSON and shown on a page."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from models.predictions.schema import Fraction, ResponseModel
from serving.schemas.account_filter import AppliedFilter

Amount = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


class ExpectedFigure(ResponseModel):
    """An expected value with its interval."""

    expected: float
    interval: Annotated[list[float], Field(min_length=2, max_length=2)] = Field(description="80% interval.")


class RenewalsDue(ResponseModel):
    """Accounts with a renewal in the period. ARR is in the currency of the signals. Null: unknown, or none due."""

    accounts: Count
    arr: Amount
    not_forecast_accounts: Count = Field(description="Due, without a churn probability; not in the other figures.")
    not_forecast_arr: Amount
    overdue_accounts: Count = Field(description="Past the renewal date, not renewed; not in the other figures.")
    overdue_arr: Amount
    renewal_model_accounts: Count = Field(
        description="Forecast with the renewal model; the others only by the churn and expansion models."
    )
    renewed_accounts: ExpectedFigure | None
    renewed_arr: ExpectedFigure | None = Field(description="Current ARR of the accounts that stay.")
    lost_arr: ExpectedFigure | None = Field(description="Current ARR of the accounts that churn.")
    contracted_arr: ExpectedFigure | None = Field(description="ARR decreases of the accounts that stay.")
    expanded_arr: ExpectedFigure | None = Field(description="ARR increases of the accounts that stay.")
    grr: ExpectedFigure | None = Field(description="(renewed - contracted) / due.")
    nrr: ExpectedFigure | None = Field(description="(renewed - contracted + expanded) / due.")


class RenewalsOfSegment(RenewalsDue):
    """Renewals of one segment."""

    segment: str | None = Field(description="Null: the ARR is unknown.")


class RenewalsOfCsm(RenewalsDue):
    """Renewals of one CSM."""

    csm: str | None = Field(description="Null: no CSM in the signals.")


class RenewalsOfRegion(RenewalsDue):
    """Renewals of one region."""

    region: str | None = Field(description="Null: no region in the signals.")


class RenewalsOfParent(RenewalsDue):
    """Renewals of one company."""

    parent: str | None = Field(description="The top account of the company. Null: accounts without parent and child.")


class DueAccount(ResponseModel):
    """One account that is due or overdue."""

    account_id: str
    name: str | None
    csm: str | None
    segment: str | None
    region: str | None
    parent: str | None = Field(description="The top account of its company. Null: it has no parent and no child.")
    arr: Amount | None
    renewal_at: str
    overdue: bool
    notice_at: str | None = Field(description="When the customer gave notice. Null: no notice, or unknown.")
    health_band: str
    churn_probability: Fraction | None = Field(description="Of churn by the renewal plus the grace period.")
    expansion_probability: Fraction | None = Field(description="Of paying at least 5% more by then.")
    contraction_probability: Fraction | None = Field(description="Of staying and paying at least 5% less by then.")
    kept_probability: Fraction | None = Field(description="Of staying without such a change. The four add up to 1.")
    method: Literal["renewal_model", "derivation"] | None = Field(
        description="derivation: the churn and expansion models, interpolated to the renewal. renewal_model: the mean "
        "of it and the renewal model, in log-odds. Null: neither."
    )
    expected_lost_arr: Amount | None


class LossBridge(ResponseModel):
    """From the portfolio's ARR at risk to the forecast's lost ARR: ``arr_at_risk`` less ``not_due``, ``overdue`` and
    ``not_forecast``, plus ``until_renewal``."""

    horizon_days: Count
    arr_at_risk: Amount = Field(description="Churn probability within horizon_days times ARR, of the whole portfolio.")
    not_due: Amount = Field(description="Part of it: accounts that are not due in the period.")
    overdue: Amount = Field(description="Part of it: accounts past the renewal date, not renewed.")
    not_forecast: Amount = Field(description="Part of it: accounts that are due but not forecast.")
    until_renewal: float = Field(
        description="Due accounts: risk until the renewal plus the grace period, instead of within horizon_days."
    )
    expected_lost_arr: Amount


class FigureCoverage(ResponseModel):
    """In how many past quarters the 80% interval of a figure contained the actual value."""

    figure: str
    inside: Count
    of: Count


class BacktestFigure(ResponseModel):
    """A figure of a past quarter: the forecast and the actual value."""

    expected: float
    interval: Annotated[list[float], Field(min_length=2, max_length=2)]
    happened: float
    inside: bool


class BacktestQuarter(ResponseModel):
    """A past quarter, forecast from its first day."""

    period: str
    by: Literal["refit", "champion"] = Field(description="A model refitted on data known then, or the champion.")
    accounts: Count
    arr: Amount
    renewed_arr: BacktestFigure | None
    grr: BacktestFigure | None
    nrr: BacktestFigure | None


BACKTEST_FIGURES = tuple(
    name for name, field in BacktestQuarter.model_fields.items() if field.annotation == BacktestFigure | None
)
"""The figures of a past quarter that are reported."""


class RenewalsBacktest(ResponseModel):
    """Forecasts of past quarters compared with actual values."""

    made_at: str
    data_through: str
    coverage: list[FigureCoverage]
    quarters: list[BacktestQuarter]


class Renewals(ResponseModel):
    """The renewal forecast of one period."""

    as_of: str
    period: str = Field(examples=["2026Q4", "next 90 days"])
    start: str = Field(description="Start of the remaining part of the period.")
    end: str = Field(description="Not included.")
    grace_days: Count = Field(description="A renewal counts as lost if it is not signed within this many days.")
    whole: RenewalsDue
    by_segment: list[RenewalsOfSegment] | None = Field(description="Null: not requested.")
    by_csm: list[RenewalsOfCsm] | None = Field(description="Null: not requested.")
    by_region: list[RenewalsOfRegion] | None = Field(description="Null: not requested.")
    by_parent: list[RenewalsOfParent] | None = Field(
        description="Companies with accounts that are due or overdue. Null: not requested."
    )
    accounts: list[DueAccount] = Field(description="Largest expected loss first; overdue accounts last.")
    more_accounts: Count = Field(description="How many accounts are not listed.")
    past_renewals: Count = Field(description="How many past renewals the rates and sizes of changes come from.")
    shared_error: Amount = Field(
        description="The share of the probabilities' intervals that is assumed to be common to all accounts."
    )
    filter: AppliedFilter | None = Field(
        description="The accounts that the forecast is of; null: all accounts. The rates of past renewals and the "
        "backtest are those of all accounts."
    )
    bridge: LossBridge | None = Field(description="Null: no churn model.")
    backtest: RenewalsBacktest | None = Field(description="Null: `renewcast renewals --backtest` was not run.")
    notes: list[str]
