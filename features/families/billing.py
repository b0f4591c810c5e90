"""Billing: paid and overdue invoices, failed payments and budget reviews."""

from __future__ import annotations

from typing import Any

from features.definitions.aggregations import Count, Newest, Rows, Term
from features.definitions.feature import Family, Feature
from features.definitions.windows import HALF_YEAR, OCCASIONAL, QUARTER, RARE, YEAR

_feature = Family("billing", "commercial")


def _kind(kind: str) -> dict[str, Any]:
    """Return the arguments of a measure of one kind of event."""

    def pick(rows: Rows) -> Any:
        return rows.kind == kind

    return {"where": pick, "counts": (("kind", (kind,)),)}


OVERDUE = Count("billing", "overdue", **_kind("invoice_overdue"))
FAILED = Count("billing", "failed", **_kind("payment_failed"))
PAID = Count("billing", "paid", **_kind("invoice_paid"))
REVIEWS = Count("billing", "reviews", **_kind("budget_review"))
LAST_FAILED = Newest("billing", "last_failed", **_kind("payment_failed"))
LAST_OVERDUE = Newest("billing", "last_overdue", **_kind("invoice_overdue"))


def _problems(ago: int) -> Term:
    """Return overdue invoices and failed payments in the quarter that ended ``ago`` days ago."""
    return OVERDUE.lagged(ago).over(QUARTER) + FAILED.lagged(ago).over(QUARTER)


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
        "problems_change_91d", _problems(0) - _problems(QUARTER), "payment problems", "more problems",
        "change in overdue invoices and failed payments from the previous quarter to the last",
        direction="raises_risk", chance="lowers_chance",
    ),
)
