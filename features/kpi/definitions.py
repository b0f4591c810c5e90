"""Exact definitions of the portfolio's KPIs. Their values are computed in this package and in serving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from features.families.engagement import MISSED

Direction = Literal["higher", "lower"]
Unit = Literal["share", "points", "days", "of 5", "accounts", "currency"]
Over = Literal["period", "month", "year", "instant"]

Counted: TypeAlias = tuple[str, str, tuple[str, ...]]
"""A table, one of its columns, and some of the column's values."""

_START = "ARR at the start"
HELD = ("attended", "completed")
"""Outcomes of business reviews that were held."""
AT_START, IN_PERIOD, AT_INSTANT = "at the start", "in the period", "at that date"
"""When contract terms must be known (`Kpi.terms`)."""


@dataclass(frozen=True)
class Kpi:
    """One KPI.

    Parameters
    ----------
    code, title : its code and its display name.
    unit : the unit of its value.
    better : the desirable direction; None if there is none.
    over : its time span: the requested period; always a year; always the last certain month, which ends 30 days before;
        or an instant (the period's end, compared with the period's start).
    numerator, denominator : descriptions of what is summed over accounts. The value is ``factor`` times their quotient;
        without a denominator it is the numerator.
    needs : groups of tables; the source must have one table of each group.
    counts : tables with a column and some of its values. A table that cannot record any of these values counts as
        missing.
    nothing : why the value is unknown if there is nothing to divide by.
    unknown : why it is unknown if it is for every account.
    terms : when the contract terms that it depends on apply; empty if it depends on none. If a source has overwritten
        the terms of more than a few accounts, it is unknown (see `features.signals.contract_terms`).
    """

    code: str
    title: str
    unit: Unit
    better: Direction | None
    over: Over
    numerator: str
    denominator: str
    needs: tuple[tuple[str, ...], ...] = ()
    nothing: str = "no account was active at its start"
    unknown: str = "unknown for all accounts"
    factor: float = 1.0
    terms: str = ""
    counts: tuple[Counted, ...] = ()

    @property
    def not_above_zero(self) -> str:
        """Why the value is unknown if the denominator of the known accounts is not above zero."""
        if self.denominator == _START:
            return "the ARR at the start, minus returns, is not above zero"
        return self.nothing


_LOGOS = "accounts active at the start"
_NO_ACCOUNT = "no account was active"
_NO_RENEWAL = "no account has a renewal date"
_NO_HEALTH = "no account has a health score"

KPIS: tuple[Kpi, ...] = (
    Kpi(
        "nrr",
        "Net revenue retention",
        "share",
        "higher",
        "period",
        "ARR at the start, minus churned and contracted ARR, plus expanded ARR",
        _START,
        terms=AT_START,
    ),
    Kpi(
        "grr",
        "Gross revenue retention",
        "share",
        "higher",
        "period",
        "ARR at the start, minus churned and contracted ARR",
        _START,
        terms=AT_START,
    ),
    Kpi("logo_retention", "Logo retention", "share", "higher", "period", "accounts that did not churn", _LOGOS),
    Kpi(
        "logo_churn_month",
        "Logo churn, monthly",
        "share",
        "lower",
        "month",
        "accounts that churned",
        _LOGOS,
    ),
    Kpi("logo_churn_year", "Logo churn, yearly", "share", "lower", "year", "accounts that churned", _LOGOS),
    Kpi("arr_churn_month", "ARR churn, monthly", "share", "lower", "month", "churned ARR", _START, terms=AT_START),
    Kpi("arr_churn_year", "ARR churn, yearly", "share", "lower", "year", "churned ARR", _START, terms=AT_START),
    Kpi(
        "involuntary_churn_year",
        "Involuntary share of churned ARR, yearly",
        "share",
        None,
        "year",
        "of this, ARR that ended by nonpayment",
        "churned ARR",
        (("subscriptions",),),
        "no account churned",
        terms=AT_START,
        counts=(("subscriptions", "end_reason", ("nonpayment",)),),
    ),
    Kpi("expansion_rate", "Expansion rate", "share", "higher", "period", "expanded ARR", _START, terms=AT_START),
    Kpi(
        "expansion_revenue_share",
        "Expansion share of new ARR",
        "share",
        "higher",
        "period",
        "expanded ARR",
        "expanded ARR, and ARR at the end of accounts that were new or returned",
        (),
        "there was no new ARR",
        terms=IN_PERIOD,
    ),
    Kpi(
        "green_share",
        "Accounts in green",
        "share",
        "higher",
        "instant",
        "accounts with a green score",
        "accounts with a health score",
        (),
        _NO_HEALTH,
    ),
    Kpi(
        "yellow_share",
        "Accounts in yellow",
        "share",
        None,
        "instant",
        "accounts with a yellow score",
        "accounts with a health score",
        (),
        _NO_HEALTH,
    ),
    Kpi(
        "red_share",
        "Accounts in red",
        "share",
        "lower",
        "instant",
        "accounts with a red score",
        "accounts with a health score",
        (),
        _NO_HEALTH,
    ),
    Kpi(
        "mean_health",
        "Mean health",
        "points",
        "higher",
        "instant",
        "health scores",
        "accounts with a health score",
        (),
        _NO_HEALTH,
    ),
    Kpi(
        "time_to_first_value",
        "Time to first value",
        "days",
        "lower",
        "period",
        "days from becoming a customer to first value",
        "accounts active at the end that reached first value in the period",
        (("outcomes",),),
        "no account reached first value in the period",
        counts=(("outcomes", "kind", ("first_value",)),),
    ),
    Kpi(
        "adoption",
        "Adoption",
        "share",
        "higher",
        "instant",
        "users of the last 28 days, at most the seats of each account",
        "licensed seats",
        (("usage",), ("subscriptions",)),
        "no seats are known",
        terms=AT_INSTANT,
    ),
    Kpi(
        "nps",
        "NPS",
        "points",
        "higher",
        "period",
        "NPS answers of 9 or 10, minus those of 0 to 6",
        "NPS answers",
        (("outcomes",),),
        "there were no answers",
        factor=100.0,
        counts=(("outcomes", "kind", ("nps",)),),
    ),
    Kpi(
        "csat",
        "CSAT",
        "of 5",
        "higher",
        "period",
        "sum of CSAT answers",
        "CSAT answers of surveys and resolved tickets",
        (("outcomes", "support"),),
        "there were no answers",
        counts=(("outcomes", "kind", ("csat",)),),
    ),
    Kpi(
        "dau_wau",
        "Daily to weekly active users",
        "share",
        "higher",
        "instant",
        "average users per day in the last 7 days",
        "users of the last 7 days",
        (("usage",),),
        "there was no usage",
    ),
    Kpi(
        "dau_mau",
        "Daily to monthly active users",
        "share",
        "higher",
        "instant",
        "average users per day in the last 28 days",
        "users of the last 28 days",
        (("usage",),),
        "there was no usage",
    ),
    Kpi(
        "qbr_completion",
        "Business reviews held",
        "share",
        "higher",
        "period",
        "business reviews attended or completed",
        "business reviews held, missed or canceled",
        (("engagement",),),
        "no business review was due",
        counts=(
            ("engagement", "kind", ("qbr",)),
            ("engagement", "outcome", HELD),
            ("engagement", "outcome", MISSED),
        ),
    ),
    Kpi(
        "save_rate",
        "Save rate",
        "share",
        "higher",
        "period",
        "interventions closed as saved",
        "interventions closed as saved or lost, without held-out accounts",
        (("interventions",),),
        "no intervention was closed",
        counts=(("interventions", "result", ("saved",)), ("interventions", "result", ("lost",))),
    ),
    Kpi(
        "renewals_due",
        "Renewals due in 90 days",
        "accounts",
        None,
        "instant",
        "accounts whose next renewal is within 90 days",
        "",
        (("subscriptions",),),
        _NO_ACCOUNT,
        _NO_RENEWAL,
        terms=AT_INSTANT,
    ),
    Kpi(
        "renewals_due_arr",
        "ARR due for renewal in 90 days",
        "currency",
        None,
        "instant",
        "ARR of accounts whose next renewal is within 90 days",
        "",
        (("subscriptions",),),
        _NO_ACCOUNT,
        "no account has a renewal date and a known ARR",
        terms=AT_INSTANT,
    ),
    Kpi(
        "renewals_overdue",
        "Renewals overdue",
        "accounts",
        "lower",
        "instant",
        "accounts whose renewal date has passed without a renewal",
        "",
        (("subscriptions",),),
        _NO_ACCOUNT,
        _NO_RENEWAL,
        terms=AT_INSTANT,
    ),
    Kpi(
        "advocates",
        "Advocates",
        "accounts",
        "higher",
        "instant",
        "accounts in green whose latest NPS answer is 9 or 10",
        "",
        (("outcomes",),),
        _NO_ACCOUNT,
        counts=(("outcomes", "kind", ("nps",)),),
    ),
)
"""All KPIs, in display order."""

BY_CODE = {kpi.code: kpi for kpi in KPIS}
PRODUCT_KPIS = frozenset(
    {
        "nrr", "grr", "logo_retention", "logo_churn_month", "logo_churn_year", "arr_churn_month", "arr_churn_year",
        "involuntary_churn_year", "expansion_rate", "expansion_revenue_share", "renewals_due", "renewals_due_arr",
        "renewals_overdue",
    }
)  # fmt: skip
"""The KPIs by product: those of ARR, accounts and renewals."""
