"""The contract: what is paid, for how many, since when and until when."""

from __future__ import annotations

from typing import Any

from features.feature import Family, Feature
from features.measures import TENURE, Count, Oldest, Standing, from_column
from features.windows import HALF_YEAR, YEAR

_feature = Family("subscriptions", "commercial", "contract")
_account = Family("accounts", "commercial", "contract")
_START: dict[str, Any] = {"at": "started_at", "known": "started_at"}
_END: dict[str, Any] = {"at": "ended_at", "known": "ended_at"}

ARR = Standing("subscriptions", "arr", **_START, value=lambda t: t.arr)
SEATS = Standing("subscriptions", "seats", **_START, value=lambda t: t.seats)
USAGE_LIMIT = Standing("subscriptions", "limit", **_START, value=lambda t: t.usage_limit)
PRODUCTS = Standing("subscriptions", "products", **_START)
STARTED = Oldest("subscriptions", "started", **_START)
UPGRADES = Count("subscriptions", "upgrades", **_END, where=lambda t: (t.end_reason == "upgraded").fill_null(False))
DOWNGRADES = Count("subscriptions", "downgrades", **_END, where=lambda t: (t.end_reason == "downgraded").fill_null(False))
RENEWALS = Count("subscriptions", "renewals", **_END, where=lambda t: (t.end_reason == "renewed").fill_null(False))

_seats = SEATS.ever().where(SEATS.ever())
_to_renewal = from_column("days_to_renewal")

FEATURES: tuple[Feature, ...] = (
    _account("arr", from_column("arr"), "size of contract", "currency", "annual recurring revenue"),
    _account("tenure_days", TENURE, "tenure", "days", "days as a customer"),
    _feature("days_since_start", STARTED.days_since(), "tenure", "days", "days since the first contract began"),
    _feature("seats", _seats, "licensed seats", "seats", "licensed seats"),
    _feature(
        "arr_per_seat", ARR.ever() / SEATS.ever(), "price per seat", "currency", "annual revenue per licensed seat"
    ),
    _feature(
        "arr_change_182d", ARR.ever() / ARR.back(HALF_YEAR).ever(), "growth of contract", "ratio",
        "annual recurring revenue against half a year before", direction="lowers_risk",
    ),
    _feature(
        "arr_change_364d", ARR.ever() / ARR.back(YEAR).ever(), "growth of contract", "ratio",
        "annual recurring revenue against a year before", direction="lowers_risk",
    ),
    _feature(
        "seats_change_182d", SEATS.ever() / SEATS.back(HALF_YEAR).ever(), "growth of contract", "ratio",
        "licensed seats against half a year before", direction="lowers_risk",
    ),
    _feature("days_to_renewal", _to_renewal, "renewal date", "days", "days until the contract's renewal"),
    _feature(
        "renewal_overdue", _to_renewal < 0.0, "renewal date", "yes or no", "renewal date passed without a signature",
        direction="raises_risk",
    ),
    _feature("term_days", from_column("term_days"), "contract term", "days", "length of the contract's term in days"),
    _feature(
        "days_since_change", from_column("days_since_change"), "contract term", "days",
        "days since the terms last changed or were renewed",
    ),
    _feature("products", PRODUCTS.ever(), "products", "subscriptions", "subscriptions running", direction="lowers_risk"),
    _feature("renewals", RENEWALS.ever(), "renewals", "renewals", "renewals so far", direction="lowers_risk"),
    _feature("upgrades_364d", UPGRADES.over(YEAR), "growth of contract", "changes", "upgrades in the last 364 days"),
    _feature(
        "downgrades_364d", DOWNGRADES.over(YEAR), "growth of contract", "changes", "downgrades in the last 364 days",
        direction="raises_risk",
    ),
    _feature.category("plan", "plan", "plan", "plan"),
)
