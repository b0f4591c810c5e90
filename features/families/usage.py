"""Usage: how much, by how many, of how many features, and which way it goes."""

from __future__ import annotations

from typing import Any

from features.definitions.aggregations import (
    TENURE,
    ActiveDays,
    Count,
    Distinct,
    Newest,
    Oldest,
    Rows,
    Sum,
    Term,
    against,
    trend,
)
from features.definitions.feature import Family, Feature
from features.definitions.windows import FREQUENT, LIFE, MONTH, QUARTER, WEEK, YEAR
from features.families.subscriptions import INCLUDED, LICENSED

_feature = Family("usage", "usage")

SIGNING_IN = ("login", "log_in", "logon", "sign_in", "signin")
"""Features that only open the door: using them is no core action."""


def _core(rows: Rows) -> Any:
    return rows.feature.notnull() & ~rows.feature.lower().isin(SIGNING_IN)


EVENTS = Count("usage", "events")
QUANTITY = Sum("usage", "quantity", value=lambda t: t.quantity.fill_null(1.0))
MINUTES = Sum("usage", "minutes", column="minutes", value=lambda t: t.minutes)
USERS = Distinct("usage", "users", column="user_id", key=lambda t: t.user_id)
FEATURES_USED = Distinct("usage", "features", column="feature", key=lambda t: t.feature)
DAYS = ActiveDays("usage", "days")
USER_DAYS = ActiveDays("usage", "user_days", column="user_id", of=USERS)
CORE = Count("usage", "core", column="feature", where=_core)
LAST = Newest("usage", "last")
FIRST = Oldest("usage", "first")


def _weeks_falling() -> Term:
    """How many weeks running the weekly events have fallen, up to three."""
    week = [EVENTS.over(7)] + [EVENTS.over(7 * (k + 1)) - EVENTS.over(7 * k) for k in (1, 2, 3)]
    one, two, three = (week[k] < week[k + 1] for k in range(3))
    return one + one * two + one * two * three


def _new(measure: Distinct, days: int) -> Term:
    """How many keys of the last ``days`` had not been seen in the year up to then."""
    return measure.over(YEAR) - measure.back(days).over(YEAR - days)


# Only where the feed reaches back to the account's beginning is it known what came first.
_whole_life = EVENTS.over(LIFE) + 1.0

FEATURES: tuple[Feature, ...] = (
    *_feature.over(
        "events_{w}d", EVENTS, "amount of use", "events", "uses in the last {w} days",
        direction="lowers_risk", chance="raises_chance", own_past="events_trend_28d",
    ),
    *_feature.over(
        "quantity_{w}d", QUANTITY, "amount of use", "units", "quantity used in the last {w} days",
        direction="lowers_risk", chance="raises_chance", own_past="quantity_trend_28d",
    ),
    *_feature.over(
        "minutes_{w}d", MINUTES, "time in product", "minutes", "minutes in the product in the last {w} days",
        direction="lowers_risk", chance="raises_chance", own_past="minutes_trend_28d",
    ),
    *_feature.over(
        "active_users_{w}d", USERS, "active users", "users", "active users in the last {w} days",
        direction="lowers_risk", chance="raises_chance", own_past="active_users_trend_28d",
    ),
    *_feature.over(
        "features_used_{w}d", FEATURES_USED, "breadth of features", "features", "features used in the last {w} days",
        direction="lowers_risk", chance="raises_chance", own_past="features_used_trend_28d",
    ),
    *_feature.over(
        "active_days_{w}d", DAYS, "regularity of use", "days", "days with use in the last {w}",
        direction="lowers_risk", chance="raises_chance", windows=FREQUENT,
    ),
    _feature(
        "user_days_28d", USER_DAYS.over(MONTH), "regularity of use", "user days",
        "days of use in the last 28, summed over users", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "events_trend_28d", trend(EVENTS, MONTH, QUARTER), "trend of use", "ratio",
        "use in the last 28 days against the nine weeks before", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "quantity_trend_28d", trend(QUANTITY, MONTH, QUARTER), "trend of use", "ratio",
        "quantity used in the last 28 days against the nine weeks before",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "minutes_trend_28d", trend(MINUTES, MONTH, QUARTER), "trend of use", "ratio",
        "time in the product in the last 28 days against the nine weeks before",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "events_trend_91d", trend(EVENTS, QUARTER, 2 * QUARTER), "trend of use", "ratio",
        "use in the last quarter against the quarter before", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "active_users_trend_28d", against(USERS, MONTH, MONTH), "trend of active users", "ratio",
        "active users in the last 28 days against the 28 before",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "active_users_trend_91d", against(USERS, QUARTER, QUARTER), "trend of active users", "ratio",
        "active users in the last quarter against the quarter before",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "features_used_trend_28d", against(FEATURES_USED, MONTH, MONTH), "trend of breadth", "ratio",
        "features used in the last 28 days against the 28 before", direction="lowers_risk", chance="raises_chance",
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
        "stickiness_7d", USER_DAYS.over(WEEK) / WEEK / USERS.over(WEEK), "regularity of use", "share",
        "share of the week's users active on an average day", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "stickiness_28d", USER_DAYS.over(MONTH) / MONTH / USERS.over(MONTH), "regularity of use", "share",
        "share of its users active on an average day", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "events_per_user_28d", EVENTS.over(MONTH) / USERS.over(MONTH), "depth of use", "events",
        "uses per user in the last 28 days", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "minutes_per_user_28d", MINUTES.over(MONTH) / USERS.over(MONTH), "time in product", "minutes",
        "minutes in the product per user in the last 28 days", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "core_actions_28d", CORE.over(MONTH), "core actions", "events",
        "uses of a named feature in the last 28 days, signing in apart",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "seats_used_share", USERS.over(MONTH) / LICENSED, "seats used", "share",
        "share of the licensed seats in use", direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "limit_used_share", QUANTITY.over(MONTH) * (30 / MONTH) / INCLUDED, "limit used", "share",
        "share of the plan's included usage that is used", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "new_users_28d", _new(USERS, MONTH), "new users", "users",
        "users of the last 28 days who had not been seen in the year before",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "new_users_91d", _new(USERS, QUARTER), "new users", "users",
        "users of the last 91 days who had not been seen in the year before",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "new_features_91d", _new(FEATURES_USED, QUARTER), "new features", "features",
        "features used in the last 91 days that had not been used in the year before",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "users_so_far", USERS.over(LIFE), "adoption so far", "users", "users since the account began",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "features_so_far", FEATURES_USED.over(LIFE), "adoption so far", "features",
        "different features used since the account began", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "days_without_use", TENURE * (EVENTS.over(LIFE) < 1.0), "first use", "days",
        "days as a customer without a single use", direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "days_to_first_use", (TENURE - FIRST.days_since()).at_least(0.0).where(_whole_life), "first use", "days",
        "days it took until the first use", direction="raises_risk", chance="lowers_chance",
    ),
)
