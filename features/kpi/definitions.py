"""Exact definitions of the portfolio's KPIs. Their values are computed in this package and in serving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from features.families.engagement import MISSED

Direction = Literal["higher", "lower"]
Unit = Literal["share", "points", "days", "of 5", "of 7", "hours", "features", "uses", "accounts", "currency"]
Over = Literal["period", "month", "year", "instant"]

Counted: TypeAlias = tuple[str, str, tuple[str, ...]]
"""A table, one of its columns, and some of the column's values."""

_START = "ARR at the start"
HELD = ("attended", "completed")
"""Outcomes of business reviews and check-ins that were held."""
CHECK_INS = ("meeting", "call")
"""Kinds of engagement that are check-ins; a business review has its own KPI."""
ANSWERED, UNANSWERED = ("completed", "replied"), ("ignored", "no_show", "cancelled")
"""Outcomes of surveys."""
REGULAR_DAYS = 12
"""Days of the last 28 on which a power user uses the product: three a week."""
COMMON_USE = 0.1
"""A feature counts as one of the portfolio if at least this share of the accounts used it."""
SETTLED_DAYS = 182
"""Days after which an account is expected to use most features."""
AT_START, IN_PERIOD, AT_INSTANT = "at the start", "in the period", "at that date"
"""When contract terms must be known (`Kpi.terms`)."""


Needs: TypeAlias = tuple[tuple[str, ...], ...]


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
    needs: Needs = ()
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
_EXPANDED = "expanded ARR"
_NO_GROWTH = "no account expanded"
_NO_USAGE = "there was no usage"
_ENDED = "interventions (of trials, if there is one) whose 90th day is in the period"
_SUBSCRIPTIONS: Needs = (("subscriptions",),)

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
        "expanding_accounts",
        "Accounts that expanded, yearly",
        "share",
        "higher",
        "year",
        "accounts whose ARR grew",
        _LOGOS,
        terms=AT_START,
    ),
    Kpi(
        "upsell_rate",
        "Upsell rate, yearly",
        "share",
        "higher",
        "year",
        "accounts whose ARR grew by more seats or another plan",
        _LOGOS,
        _SUBSCRIPTIONS,
        terms=AT_START,
    ),
    Kpi(
        "cross_sell_rate",
        "Cross-sell rate, yearly",
        "share",
        "higher",
        "year",
        "accounts whose ARR grew by a further subscription",
        _LOGOS,
        _SUBSCRIPTIONS,
        terms=AT_START,
    ),
    Kpi(
        "contract_growth",
        "Growth of contract value, yearly",
        "share",
        "higher",
        "year",
        "ARR at the end, minus ARR at the start, of accounts active at both",
        _START,
        nothing="no account was active at both ends",
        terms=AT_START,
    ),
    Kpi(
        "seat_expansion_share",
        "Expansion by seats, yearly",
        "share",
        None,
        "year",
        "of this, of accounts that grew by more seats",
        _EXPANDED,
        _SUBSCRIPTIONS,
        _NO_GROWTH,
        terms=AT_START,
    ),
    Kpi(
        "plan_expansion_share",
        "Expansion by plan, yearly",
        "share",
        None,
        "year",
        "of this, of accounts that grew by another plan",
        _EXPANDED,
        _SUBSCRIPTIONS,
        _NO_GROWTH,
        terms=AT_START,
    ),
    Kpi(
        "cross_sell_share",
        "Expansion by cross-sell, yearly",
        "share",
        None,
        "year",
        "of this, of accounts that grew by a further subscription",
        _EXPANDED,
        _SUBSCRIPTIONS,
        _NO_GROWTH,
        terms=AT_START,
    ),
    Kpi(
        "price_expansion_share",
        "Expansion by price, yearly",
        "share",
        None,
        "year",
        "of this, of accounts that grew by nothing that the source records: by price, or by seats that it leaves out",
        _EXPANDED,
        _SUBSCRIPTIONS,
        _NO_GROWTH,
        terms=AT_START,
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
        "ces",
        "Customer effort score",
        "of 7",
        "lower",
        "period",
        "sum of answers, from 1 (very easy) to 7 (very hard)",
        "CES answers",
        (("outcomes",),),
        "there were no answers",
        counts=(("outcomes", "kind", ("ces",)),),
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
        _NO_USAGE,
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
        _NO_USAGE,
    ),
    Kpi(
        "power_users",
        "Power users",
        "share",
        "higher",
        "instant",
        f"users who were active on {REGULAR_DAYS} or more of the last 28 days",
        "users of the last 28 days",
        (("usage",),),
        _NO_USAGE,
    ),
    Kpi(
        "feature_breadth",
        "Features in use by account",
        "features",
        "higher",
        "instant",
        "features used in the last 28 days, by each account",
        "accounts",
        (("usage",),),
        _NO_ACCOUNT,
    ),
    Kpi(
        "feature_utilization",
        "Feature utilization",
        "share",
        "higher",
        "instant",
        "features of the portfolio that the account used in the last 28 days",
        f"features of the portfolio: those that at least {COMMON_USE:.0%} of the accounts with usage used in these "
        f"days; for each account that has been a customer for {SETTLED_DAYS} days or more",
        (("usage",),),
        f"no account has been a customer for {SETTLED_DAYS} days",
    ),
    Kpi(
        "usage_depth",
        "Uses of features by user",
        "uses",
        "higher",
        "instant",
        "uses of features in the last 28 days, without sign-ins",
        "users of the last 28 days",
        (("usage",),),
        _NO_USAGE,
    ),
    Kpi(
        "ticket_trend",
        "Ticket volume, to the months before",
        "share",
        "lower",
        "instant",
        "tickets opened in the last 28 days",
        "tickets opened in the 63 days before, per 28 days",
        (("support",),),
        "there were no tickets before",
    ),
    Kpi(
        "resolution_time",
        "Time to resolution",
        "hours",
        "lower",
        "period",
        "hours from opening to resolution",
        "tickets resolved in the period",
        (("support",),),
        "no ticket was resolved",
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
        "review_coverage",
        "Accounts with a business review",
        "share",
        "higher",
        "instant",
        "accounts with a business review within the cycle of their segment",
        "accounts of segments with a cycle of reviews (`reviews_every_days`), customers for at least one cycle",
        (("engagement",),),
        "no account is due a business review",
        counts=(("engagement", "kind", ("qbr",)), ("engagement", "outcome", HELD)),
        terms=AT_INSTANT,
    ),
    Kpi(
        "check_in_attendance",
        "Attendance of check-ins",
        "share",
        "higher",
        "period",
        "meetings and calls attended or completed",
        "meetings and calls attended, completed, missed or canceled",
        (("engagement",),),
        "no check-in has an outcome",
        counts=(
            ("engagement", "kind", CHECK_INS),
            ("engagement", "outcome", HELD),
            ("engagement", "outcome", MISSED),
        ),
    ),
    Kpi(
        "survey_response",
        "Response rate of surveys",
        "share",
        "higher",
        "period",
        "surveys completed or replied to",
        "surveys completed, replied to, ignored, missed or canceled",
        (("engagement",),),
        "no survey has an outcome",
        counts=(
            ("engagement", "kind", ("survey",)),
            ("engagement", "outcome", ANSWERED),
            ("engagement", "outcome", UNANSWERED),
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
        "stayed_after_play",
        "Customers 90 days after a play",
        "share",
        "higher",
        "period",
        "of these, on accounts that were customers then",
        f"{_ENDED}, without held-out accounts",
        (("interventions",), ("subscriptions",)),
        "no intervention has its 90th day in the period",
    ),
    Kpi(
        "stayed_held_out",
        "Customers 90 days after being held out",
        "share",
        None,
        "period",
        "of these, on accounts that were customers then",
        f"{_ENDED}, on held-out accounts",
        (("interventions",), ("subscriptions",)),
        "no held-out account has its 90th day in the period",
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
        "involuntary_churn_year", "expansion_rate", "expansion_revenue_share", "expanding_accounts", "contract_growth",
        "renewals_due", "renewals_due_arr", "renewals_overdue",
    }
)  # fmt: skip
"""The KPIs by product: those of ARR, accounts and renewals."""
