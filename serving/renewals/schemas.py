"""The shape of a renewal forecast, as it is answered over HTTP, printed as JSON and shown on a page."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from models.predictions.schema import Answer, Share

Amount = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


class ExpectedFigure(Answer):
    """An expected value."""

    expected: float
    interval: Annotated[list[float], Field(min_length=2, max_length=2)] = Field(description="80% interval.")


class RenewalsDue(Answer):
    """Accounts with a renewal in the period. ARR is a year's, in the currency of the signals. Null: nothing is known,
    or nothing is due."""

    accounts: Count
    arr: Amount
    not_forecast_accounts: Count = Field(description="Due too, but without a probability: no figure holds them.")
    not_forecast_arr: Amount
    overdue_accounts: Count = Field(description="Past their renewal without a signature; in no other figure.")
    overdue_arr: Amount
    renewed_accounts: ExpectedFigure | None
    renewed_arr: ExpectedFigure | None = Field(description="What those that stay pay now.")
    lost_arr: ExpectedFigure | None = Field(description="What those that leave pay now.")
    contracted_arr: ExpectedFigure | None = Field(description="By how much those that stay will pay less.")
    expanded_arr: ExpectedFigure | None = Field(description="By how much those that stay will pay more.")
    grr: ExpectedFigure | None = Field(description="(renewed - contracted) / due.")
    nrr: ExpectedFigure | None = Field(description="(renewed - contracted + expanded) / due.")


class RenewalsOfSegment(RenewalsDue):
    """Those of one segment."""

    segment: str | None = Field(description="Null: the ARR is not known.")


class RenewalsOfCsm(RenewalsDue):
    """Those of one CSM."""

    csm: str | None = Field(description="Null: the signals name none.")


class DueAccount(Answer):
    """One account that is due, or overdue."""

    account_id: str
    name: str | None
    csm: str | None
    segment: str | None
    arr: Amount | None
    renewal_at: str
    overdue: bool
    notice_at: str | None = Field(description="When the customer gave notice. Null: not, or not known.")
    health_band: str
    churn_probability: Share | None = Field(description="Of having left by the renewal and its grace.")
    expansion_probability: Share | None = Field(description="Of paying at least 5% more by then.")
    expected_lost_arr: Amount | None


class LossBridge(Answer):
    """From the portfolio's ARR at risk to the forecast's lost ARR: ``arr_at_risk`` less ``not_due``, ``overdue`` and
    ``not_forecast``, plus ``until_renewal``."""

    horizon_days: Count
    arr_at_risk: Amount = Field(description="Churn probability within horizon_days times ARR, of the whole portfolio.")
    not_due: Amount = Field(description="Of this, accounts that are not due in the period.")
    overdue: Amount = Field(description="Of this, accounts past their renewal without a signature.")
    not_forecast: Amount = Field(description="Of this, accounts that are due, but left out of the forecast.")
    until_renewal: float = Field(
        description="For those that are due: what looking until the renewal and its grace adds to horizon_days."
    )
    expected_lost_arr: Amount


class FigureCoverage(Answer):
    """In how many past quarters the 80% interval of a figure held what happened."""

    figure: str
    inside: Count
    of: Count


class BacktestFigure(Answer):
    """A figure of a past quarter: what was expected, and what happened."""

    expected: float
    interval: Annotated[list[float], Field(min_length=2, max_length=2)]
    happened: float
    inside: bool


class BacktestQuarter(Answer):
    """A past quarter, forecast from its start."""

    period: str
    by: Literal["refit", "champion"] = Field(description="A model fitted on what was known then, or the champion.")
    accounts: Count
    arr: Amount
    renewed_arr: BacktestFigure | None
    grr: BacktestFigure | None
    nrr: BacktestFigure | None


class RenewalsBacktest(Answer):
    """Past quarters beside what happened."""

    made_at: str
    data_through: str
    coverage: list[FigureCoverage]
    quarters: list[BacktestQuarter]


class Renewals(Answer):
    """The renewal forecast of one period."""

    as_of: str
    period: str = Field(examples=["2026Q4", "next 90 days"])
    start: str = Field(description="What is still to come of the period begins here.")
    end: str = Field(description="Not included.")
    grace_days: Count = Field(description="A renewal is counted as lost where it is not made so many days after it.")
    whole: RenewalsDue
    by_segment: list[RenewalsOfSegment] | None = Field(description="Null: not asked for.")
    by_csm: list[RenewalsOfCsm] | None = Field(description="Null: not asked for.")
    accounts: list[DueAccount] = Field(description="The largest expected loss first; those overdue come last.")
    more_accounts: Count = Field(description="How many more there are than are listed.")
    past_renewals: Count = Field(description="From how many of its own the rates and sizes of changes were learnt.")
    shared_error: Amount = Field(
        description="The share of the probabilities' intervals that all accounts are taken to have in common."
    )
    bridge: LossBridge | None = Field(description="Null: there is no model of churn.")
    backtest: RenewalsBacktest | None = Field(description="Null: `renewcast renewals --backtest` was not run.")
    notes: list[str]
