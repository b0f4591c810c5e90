"""The portfolio's measures: what each is, exactly. The figures are worked out beside it and in serving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["share", "points", "days", "of 5", "accounts", "currency"]
Over = Literal["period", "month", "year", "instant"]

_START = "ARR at the start"
AT_START, IN_PERIOD, AT_INSTANT = "at the start", "in the period", "at that date"
"""When the terms of contracts have to be known (`Measure.terms`)."""


@dataclass(frozen=True)
class Measure:
    """One measure.

    Parameters
    ----------
    code, title : its name for programs and for people.
    unit : of its value.
    better : which way is good; None where neither is.
    over : the span that it looks at: the period asked for; always a year; always the last month that is certain, which
        ends 30 days before; or an instant (the period's end; its last value is that of the period's start).
    numerator, denominator : what is summed over accounts. Its value is ``factor`` times their quotient; without a
        denominator it is the numerator.
    needs : groups of tables; of each group the source has to hold one.
    nothing : why it is unknown where there is nothing to divide by.
    terms : when the terms of contracts that it rests on hold, in words; empty where it rests on none. Where a source
        has overwritten the terms of more than a few accounts, it is unknown (see `features.signals.contract_terms`).
    """

    code: str
    title: str
    unit: Unit
    better: Literal["higher", "lower"] | None
    over: Over
    numerator: str
    denominator: str
    needs: tuple[tuple[str, ...], ...] = ()
    nothing: str = "no account was active at its start"
    factor: float = 1.0
    terms: str = ""

    @property
    def not_above_zero(self) -> str:
        """Why it is unknown where accounts are known, and what they add up to is no base to divide by."""
        if self.denominator == _START:
            return "the ARR at the start, returns taken off, is not above zero"
        return self.nothing


_LOGOS = "accounts active at the start"
_NOBODY = "no account was active"
_NO_HEALTH = "no account has a health score"

MEASURES: tuple[Measure, ...] = (
    Measure(
        "nrr",
        "Net revenue retention",
        "share",
        "higher",
        "period",
        "ARR at the start, less churned and contracted, plus expanded ARR",
        _START,
        terms=AT_START,
    ),
    Measure(
        "grr",
        "Gross revenue retention",
        "share",
        "higher",
        "period",
        "ARR at the start, less churned and contracted ARR",
        _START,
        terms=AT_START,
    ),
    Measure(
        "logo_retention", "Logo retention", "share", "higher", "period", "of these, those that did not churn", _LOGOS
    ),
    Measure(
        "logo_churn_month",
        "Churn of accounts, a month",
        "share",
        "lower",
        "month",
        "of these, those that churned",
        _LOGOS,
    ),
    Measure(
        "logo_churn_year", "Churn of accounts, a year", "share", "lower", "year", "of these, those that churned", _LOGOS
    ),
    Measure(
        "arr_churn_month", "Churn of ARR, a month", "share", "lower", "month", "churned ARR", _START, terms=AT_START
    ),
    Measure("arr_churn_year", "Churn of ARR, a year", "share", "lower", "year", "churned ARR", _START, terms=AT_START),
    Measure(
        "involuntary_churn_year",
        "Involuntary share of churned ARR, a year",
        "share",
        None,
        "year",
        "of this, what ended by nonpayment",
        "churned ARR",
        (("subscriptions",),),
        "nobody churned",
        terms=AT_START,
    ),
    Measure("expansion_rate", "Expansion rate", "share", "higher", "period", "expanded ARR", _START, terms=AT_START),
    Measure(
        "expansion_revenue_share",
        "Expansion's share of the ARR won",
        "share",
        "higher",
        "period",
        "expanded ARR",
        "expanded ARR, and ARR at the end of accounts that were new or returned",
        (),
        "no ARR was won",
        terms=IN_PERIOD,
    ),
    Measure(
        "green_share",
        "Accounts in green",
        "share",
        "higher",
        "instant",
        "of these, those in green",
        "accounts with a health score",
        (),
        _NO_HEALTH,
    ),
    Measure(
        "yellow_share",
        "Accounts in yellow",
        "share",
        None,
        "instant",
        "of these, those in yellow",
        "accounts with a health score",
        (),
        _NO_HEALTH,
    ),
    Measure(
        "red_share",
        "Accounts in red",
        "share",
        "lower",
        "instant",
        "of these, those in red",
        "accounts with a health score",
        (),
        _NO_HEALTH,
    ),
    Measure(
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
    Measure(
        "time_to_first_value",
        "Time to first value",
        "days",
        "lower",
        "period",
        "days from customer since to first value",
        "accounts active at the end that reached first value in the period",
        (("outcomes",),),
        "nobody reached first value in the period",
    ),
    Measure(
        "adoption",
        "Adoption",
        "share",
        "higher",
        "instant",
        "users of the last 28 days, of each account at most its seats",
        "licensed seats",
        (("usage",), ("subscriptions",)),
        "no seats are known",
        terms=AT_INSTANT,
    ),
    Measure(
        "nps",
        "NPS",
        "points",
        "higher",
        "period",
        "NPS answers of 9 or 10, less those of 0 to 6",
        "NPS answers",
        (("outcomes",),),
        "nobody answered",
        100.0,
    ),
    Measure(
        "csat",
        "CSAT",
        "of 5",
        "higher",
        "period",
        "CSAT answers, added up",
        "CSAT answers, of surveys and of tickets resolved",
        (("outcomes", "support"),),
        "nobody answered",
    ),
    Measure(
        "dau_wau",
        "Daily of weekly active users",
        "share",
        "higher",
        "instant",
        "users a day, on average of the last 7 days",
        "users of the last 7 days",
        (("usage",),),
        "nobody used it",
    ),
    Measure(
        "dau_mau",
        "Daily of monthly active users",
        "share",
        "higher",
        "instant",
        "users a day, on average of the last 28 days",
        "users of the last 28 days",
        (("usage",),),
        "nobody used it",
    ),
    Measure(
        "qbr_completion",
        "Business reviews held",
        "share",
        "higher",
        "period",
        "of these, those attended or completed",
        "business reviews that were held, missed or cancelled",
        (("engagement",),),
        "no business review was due",
    ),
    Measure(
        "save_rate",
        "Save rate",
        "share",
        "higher",
        "period",
        "of these, those saved",
        "interventions closed as saved or lost, accounts held out apart",
        (("interventions",),),
        "no intervention was closed",
    ),
    Measure(
        "renewals_due",
        "Renewals due in 90 days",
        "accounts",
        None,
        "instant",
        "accounts whose next renewal lies within 90 days from the instant on",
        "",
        (("subscriptions",),),
        _NOBODY,
        terms=AT_INSTANT,
    ),
    Measure(
        "renewals_due_arr",
        "ARR due for renewal in 90 days",
        "currency",
        None,
        "instant",
        "ARR of the accounts whose next renewal lies within 90 days from the instant on",
        "",
        (("subscriptions",),),
        _NOBODY,
        terms=AT_INSTANT,
    ),
    Measure(
        "renewals_overdue",
        "Renewals overdue",
        "accounts",
        "lower",
        "instant",
        "accounts whose next renewal has passed unsigned",
        "",
        (("subscriptions",),),
        _NOBODY,
        terms=AT_INSTANT,
    ),
    Measure(
        "advocates",
        "Advocates",
        "accounts",
        "higher",
        "instant",
        "accounts in green whose latest NPS answer is 9 or 10",
        "",
        (("outcomes",),),
        _NOBODY,
    ),
)
"""Every measure, in the order in which they are told."""

BY_CODE = {measure.code: measure for measure in MEASURES}
DUE_DAYS = 90
