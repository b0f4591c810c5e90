"""Usage: how much, by how many, of how many features, and which way it goes."""

from __future__ import annotations

from typing import Any

from features.clock import DAY_SECONDS
from features.families.subscriptions import SEATS, USAGE_LIMIT
from features.feature import Family, Feature
from features.measures import Count, Distinct, Newest, Rows, Sum, Term, against, trend

_feature = Family("usage", "usage")


def _day(rows: Rows) -> Any:
    return (rows.occurred_at.epoch_seconds().cast("float64") / DAY_SECONDS).floor().cast("int64")


EVENTS = Count("usage", "events")
QUANTITY = Sum("usage", "quantity", value=lambda t: t.quantity.fill_null(1.0))
MINUTES = Sum("usage", "minutes", column="minutes", value=lambda t: t.minutes)
USERS = Distinct("usage", "users", column="user_id", key=lambda t: t.user_id)
FEATURES_USED = Distinct("usage", "features", column="feature", key=lambda t: t.feature)
DAYS = Distinct("usage", "days", key=_day)
USER_DAYS = Distinct(
    "usage", "user_days", column="user_id", where=lambda t: t.user_id.notnull(),
    key=lambda t: t.user_id + ":" + _day(t).cast("string"),
)
LAST = Newest("usage", "last")


def _weeks_falling() -> Term:
    """How many weeks running the weekly events have fallen, up to three."""
    week = [EVENTS.over(7)] + [EVENTS.over(7 * (k + 1)) - EVENTS.over(7 * k) for k in (1, 2, 3)]
    one, two, three = (week[k] < week[k + 1] for k in range(3))
    return one + one * two + one * two * three


FEATURES: tuple[Feature, ...] = (
    *_feature.over(
        "events_{w}d", EVENTS, (7, 28, 91, 182, 364), "amount of use", "events", "uses in the last {w} days",
        direction="lowers_risk", chance="raises_chance", own_past="events_trend_28d",
    ),
    *_feature.over(
        "quantity_{w}d", QUANTITY, (28, 91), "amount of use", "units", "quantity used in the last {w} days",
        direction="lowers_risk", chance="raises_chance",
    ),
    *_feature.over(
        "minutes_{w}d", MINUTES, (28, 91), "time in product", "minutes", "minutes in the product in the last {w} days",
        direction="lowers_risk", chance="raises_chance", own_past="minutes_trend_28d",
    ),
    *_feature.over(
        "active_users_{w}d", USERS, (7, 28, 91), "active users", "users", "active users in the last {w} days",
        direction="lowers_risk", chance="raises_chance", own_past="active_users_trend_28d",
    ),
    *_feature.over(
        "features_used_{w}d", FEATURES_USED, (28, 91), "breadth of features", "features",
        "features used in the last {w} days",
        direction="lowers_risk", chance="raises_chance", own_past="features_used_trend_28d",
    ),
    _feature(
        "active_days_28d", DAYS.over(28), "regularity of use", "days", "days with use in the last 28",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "user_days_28d", USER_DAYS.over(28), "regularity of use", "user days",
        "days of use in the last 28, summed over users", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "events_trend_28d", trend(EVENTS, 28, 91), "trend of use", "ratio",
        "use in the last 28 days against the nine weeks before", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "active_users_trend_28d", against(USERS, 28, 28), "trend of active users", "ratio",
        "active users in the last 28 days against the 28 before",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "features_used_trend_28d", against(FEATURES_USED, 28, 28), "trend of breadth", "ratio",
        "features used in the last 28 days against the 28 before", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "minutes_trend_28d", trend(MINUTES, 28, 91), "trend of use", "ratio",
        "time in the product in the last 28 days against the nine weeks before",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "events_trend_91d", trend(EVENTS, 91, 182), "trend of use", "ratio",
        "use in the last quarter against the quarter before", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "days_since_last", LAST.days_since(), "silence", "days", "days since the last use",
        direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "weeks_falling", _weeks_falling(), "trend of use", "weeks", "weeks running in which use fell",
        direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "stickiness_28d", USER_DAYS.over(28) / 28 / USERS.over(28), "regularity of use", "share",
        "share of its users active on an average day", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "minutes_per_user_28d", MINUTES.over(28) / USERS.over(28), "time in product", "minutes",
        "minutes in the product per user in the last 28 days", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "seats_used_share", USERS.over(28) / SEATS.ever(), "seats used", "share",
        "share of the licensed seats in use", direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "limit_used_share", QUANTITY.over(28) * (30 / 28) / USAGE_LIMIT.ever(), "limit used", "share",
        "share of the plan's included usage that is used", direction="lowers_risk", chance="raises_chance",
    ),
)
