"""Billing: payments that came, came late or failed."""

from __future__ import annotations

from typing import Any

from features.feature import Family, Feature
from features.measures import Count, Newest, Rows

_feature = Family("billing", "commercial")


def _kind(kind: str) -> Any:
    def pick(rows: Rows) -> Any:
        return rows.kind == kind

    return pick


OVERDUE = Count("billing", "overdue", where=_kind("invoice_overdue"))
FAILED = Count("billing", "failed", where=_kind("payment_failed"))
PAID = Count("billing", "paid", where=_kind("invoice_paid"))
REVIEWS = Count("billing", "reviews", where=_kind("budget_review"))
LAST_FAILED = Newest("billing", "last_failed", where=_kind("payment_failed"))

FEATURES: tuple[Feature, ...] = (
    *_feature.over(
        "overdue_{w}d", OVERDUE, (91, 182), "invoices overdue", "invoices", "invoices overdue in the last {w} days",
        direction="raises_risk", chance="lowers_chance", monotone=True,
    ),
    *_feature.over(
        "failed_{w}d", FAILED, (28, 91), "payments failed", "payments", "payments failed in the last {w} days",
        direction="raises_risk", chance="lowers_chance", monotone=True,
    ),
    _feature(
        "paid_182d", PAID.over(182), "invoices paid", "invoices", "invoices paid in the last half-year",
        direction="lowers_risk",
    ),
    _feature(
        "budget_reviews_182d", REVIEWS.over(182), "budget review", "reviews", "budget reviews in the last half-year",
        direction="raises_risk", chance="lowers_chance", monotone=True,
    ),
    _feature(
        "days_since_failed", LAST_FAILED.days_since(), "payments failed", "days", "days since a payment failed",
        direction="lowers_risk",
    ),
)
