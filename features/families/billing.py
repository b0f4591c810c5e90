"""Billing: paid and overdue invoices, failed payments, refunds, credits, disputes and budget reviews."""

from __future__ import annotations

from typing import Any

from features.definitions.aggregations import Count, Latest, Newest, Rows, Sum, Term
from features.definitions.feature import Family, Feature
from features.definitions.windows import HALF_YEAR, LIFE, OCCASIONAL, QUARTER, RARE, YEAR

_feature = Family("billing", "commercial")


def _kind(kind: str) -> dict[str, Any]:
    """Return the arguments of a measure of one kind of event."""

    def pick(rows: Rows) -> Any:
        return rows.kind == kind

    return {"where": pick, "counts": (("kind", (kind,)),)}


def _amount(rows: Rows) -> Any:
    """Return the size of an amount; some sources give money that goes back to the customer a minus sign."""
    return rows.amount.abs()


OVERDUE = Count("billing", "overdue", **_kind("invoice_overdue"))
FAILED = Count("billing", "failed", **_kind("payment_failed"))
PAID = Count("billing", "paid", **_kind("invoice_paid"))
REVIEWS = Count("billing", "reviews", **_kind("budget_review"))
LAST_FAILED = Newest("billing", "last_failed", **_kind("payment_failed"))
LAST_OVERDUE = Newest("billing", "last_overdue", **_kind("invoice_overdue"))
LAST_PAID = Newest("billing", "last_paid", **_kind("invoice_paid"))
OVERDUE_AMOUNT = Latest("billing", "overdue_amount", column="amount", value=_amount, **_kind("invoice_overdue"))
REFUNDS = Count("billing", "refunds", **_kind("refund"))
CREDITS = Count("billing", "credits", **_kind("credit"))
DISPUTES = Count("billing", "disputes", **_kind("dispute"))
REFUNDED = Sum("billing", "refunded", column="amount", value=_amount, **_kind("refund"))
CREDITED = Sum("billing", "credited", column="amount", value=_amount, **_kind("credit"))
DISPUTED = Sum("billing", "disputed", column="amount", value=_amount, **_kind("dispute"))
PAID_AMOUNT = Sum("billing", "paid_amount", column="amount", value=_amount, **_kind("invoice_paid"))


def _problems(ago: int) -> Term:
    """Return overdue invoices and failed payments in the quarter that ended ``ago`` days ago."""
    return OVERDUE.lagged(ago).over(QUARTER) + FAILED.lagged(ago).over(QUARTER)


def _overdue_days() -> Term:
    """Return the days since the last invoice became overdue; 0 if there is none, or an invoice was paid since then."""
    since = LAST_OVERDUE.days_since()
    unpaid = since.where(since < LAST_PAID.days_since().otherwise(float(LIFE)))
    none = (OVERDUE.all_time() + PAID.all_time()) * 0.0
    return unpaid.otherwise(none)


FEATURES: tuple[Feature, ...] = (
    *_feature.over(
        "overdue_{w}d", OVERDUE, "overdue invoices", "invoices", "overdue invoices in the last {w} days",
        direction="raises_risk", chance="lowers_chance", monotone=True, windows=RARE,
    ),
    *_feature.over(
        "failed_{w}d", FAILED, "failed payments", "payments", "failed payments in the last {w} days",
        direction="raises_risk", chance="lowers_chance", monotone=True, windows=OCCASIONAL,
    ),
    _feature(
        "paid_182d", PAID.over(HALF_YEAR), "paid invoices", "invoices", "paid invoices in the last half-year",
        direction="lowers_risk",
    ),
    _feature(
        "paid_share_364d", PAID.over(YEAR) / (PAID.over(YEAR) + OVERDUE.over(YEAR) + FAILED.over(YEAR)),
        "paid invoices", "share", "share of payments neither failed nor overdue in the last 364 days",
        direction="lowers_risk", chance="raises_chance",
    ),
    *_feature.over(
        "budget_reviews_{w}d", REVIEWS, "budget reviews", "reviews", "budget reviews in the last {w} days",
        direction="raises_risk", chance="lowers_chance", monotone=True, windows=RARE,
    ),
    _feature(
        "days_since_failed", LAST_FAILED.days_since(), "failed payments", "days", "days since the last failed payment",
        direction="lowers_risk",
    ),
    _feature(
        "days_since_overdue", LAST_OVERDUE.days_since(), "overdue invoices", "days", "days since the last overdue invoice",
        direction="lowers_risk",
    ),
    _feature(
        "days_overdue", _overdue_days(), "overdue invoices", "days",
        "days since the last invoice became overdue without a payment since; 0 if none is", direction="raises_risk",
        chance="lowers_chance",
    ),
    _feature(
        "overdue_amount", OVERDUE_AMOUNT.all_time().where(_overdue_days()), "overdue invoices", "currency of the bill",
        "amount of the last overdue invoice, if none was paid since",
    ),
    *_feature.over(
        "refunds_{w}d", REFUNDS, "refunds", "refunds", "refunds in the last {w} days",
        direction="raises_risk", chance="lowers_chance", windows=RARE,
    ),
    *_feature.over(
        "credits_{w}d", CREDITS, "credits", "credits", "credit notes in the last {w} days", direction="raises_risk",
        windows=RARE,
    ),
    *_feature.over(
        "disputes_{w}d", DISPUTES, "disputes", "disputes", "disputed payments in the last {w} days",
        direction="raises_risk", chance="lowers_chance", windows=RARE,
    ),
    *(
        _feature(
            f"{name}_share_182d", measure.over(HALF_YEAR) / PAID_AMOUNT.over(HALF_YEAR), concept, "share",
            f"{words} in the last half-year relative to the paid amount", direction="raises_risk",
        )
        for name, measure, concept, words in (
            ("refunded", REFUNDED, "refunds", "refunded amount"),
            ("credited", CREDITED, "credits", "credited amount"),
            ("disputed", DISPUTED, "disputes", "disputed amount"),
        )
    ),
    _feature(
        "problems_change_91d", _problems(0) - _problems(QUARTER), "payment problems", "more problems",
        "change in overdue invoices and failed payments from the previous quarter to the last",
        direction="raises_risk", chance="lowers_chance",
    ),
)
