"""Usage: volume, active users, features used, regularity and trends."""

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
    compared_with_earlier,
    trend,
)
from features.definitions.feature import Family, Feature
from features.definitions.windows import FREQUENT, LIFE, MONTH, QUARTER, WEEK, YEAR
from features.families.subscriptions import INCLUDED, LICENSED

_feature = Family("usage", "usage")

SIGNING_IN = ("login", "log_in", "logon", "sign_in", "signin")
"""Names of sign-in features, which are not core actions."""


def _core(rows: Rows) -> Any:
    return rows.feature.notnull() & ~rows.feature.lower().isin(SIGNING_IN)


EVENTS = Count("usage", "events")
QUANTITY = Sum("usage", "quantity", value=lambda t: t.quantity.fill_null(1.0))
MINUTES = Sum("usage", "minutes", column="minutes", value=lambda t: t.minutes)
USERS = Distinct("usage", "users", column="user_id", key=lambda t: t.user_id)
FEATURES_USED = Distinct("usage", "features", column="feature", key=lambda t: t.feature)
PRODUCTS_USED = Distinct("usage", "products", column="product", key=lambda t: t.product)
DAYS = ActiveDays("usage", "days")
USER_DAYS = ActiveDays("usage", "user_days", column="user_id", of=USERS)
CORE = Count("usage", "core", column="feature", where=_core)
LAST = Newest("usage", "last")
FIRST = Oldest("usage", "first")


def _weeks_falling() -> Term:
    """Return the number of consecutive weeks in which weekly events fell, up to three."""
    week = [EVENTS.over(7)] + [EVENTS.over(7 * (k + 1)) - EVENTS.over(7 * k) for k in (1, 2, 3)]
    one, two, three = (week[k] < week[k + 1] for k in range(3))
    return one + one * two + one * two * three


def _new(measure: Distinct, days: int) -> Term:
    """Return how many keys of the last ``days`` were absent in the year before."""
    return measure.over(YEAR) - measure.lagged(days).over(YEAR - days)


# First events are known only if the feed covers the account's whole life.
_whole_life = EVENTS.over(LIFE) + 1.0

FEATURES: tuple[Feature, ...] = (
    *_feature.over(
        "events_{w}d", EVENTS, "usage volume", "events", "usage events in the last {w} days",
        direction="lowers_risk", chance="raises_chance", own_past="events_trend_28d",
    ),
    *_feature.over(
        "quantity_{w}d", QUANTITY, "usage volume", "units", "quantity used in the last {w} days",
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
        "features_used_{w}d", FEATURES_USED, "feature breadth", "features", "features used in the last {w} days",
        direction="lowers_risk", chance="raises_chance", own_past="features_used_trend_28d",
    ),
    _feature(
        "products_used_28d", PRODUCTS_USED.over(MONTH), "product breadth", "products", "products used in the last 28 days",
        direction="lowers_risk", chance="raises_chance",
    ),
    *_feature.over(
        "active_days_{w}d", DAYS, "usage regularity", "days", "days with usage in the last {w}",
        direction="lowers_risk", chance="raises_chance", windows=FREQUENT,
    ),
    _feature(
        "user_days_28d", USER_DAYS.over(MONTH), "usage regularity", "user days",
        "days of usage in the last 28, summed over users", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "events_trend_28d", trend(EVENTS, MONTH, QUARTER), "usage trend", "ratio",
        "usage in the last 28 days relative to the nine weeks before", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "quantity_trend_28d", trend(QUANTITY, MONTH, QUARTER), "usage trend", "ratio",
        "quantity used in the last 28 days relative to the nine weeks before",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "minutes_trend_28d", trend(MINUTES, MONTH, QUARTER), "usage trend", "ratio",
        "time in the product in the last 28 days relative to the nine weeks before",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "events_trend_91d", trend(EVENTS, QUARTER, 2 * QUARTER), "usage trend", "ratio",
        "usage in the last quarter relative to the quarter before", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "active_users_trend_28d", compared_with_earlier(USERS, MONTH, MONTH), "active user trend", "ratio",
        "active users in the last 28 days relative to the 28 before",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "active_users_trend_91d", compared_with_earlier(USERS, QUARTER, QUARTER), "active user trend", "ratio",
        "active users in the last quarter relative to the quarter before",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "features_used_trend_28d", compared_with_earlier(FEATURES_USED, MONTH, MONTH), "feature breadth trend", "ratio",
        "features used in the last 28 days relative to the 28 before", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "days_since_last", LAST.days_since(), "inactivity", "days", "days since the last usage",
        direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "weeks_falling", _weeks_falling(), "usage trend", "weeks", "consecutive weeks of falling usage",
        direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "stickiness_7d", USER_DAYS.over(WEEK) / WEEK / USERS.over(WEEK), "usage regularity", "share",
        "share of the last 7 days' users active on an average day", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "stickiness_28d", USER_DAYS.over(MONTH) / MONTH / USERS.over(MONTH), "usage regularity", "share",
        "share of the last 28 days' users active on an average day", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "events_per_user_28d", EVENTS.over(MONTH) / USERS.over(MONTH), "usage depth", "events",
        "usage events per user in the last 28 days", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "minutes_per_user_28d", MINUTES.over(MONTH) / USERS.over(MONTH), "time in product", "minutes",
        "minutes in the product per user in the last 28 days", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "core_actions_28d", CORE.over(MONTH), "core actions", "events",
        "uses of named features in the last 28 days, without sign-ins",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "seats_used_share", USERS.over(MONTH) / LICENSED, "seat utilization", "share",
        "share of the licensed seats in use", direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "limit_used_share", QUANTITY.over(MONTH) * (30 / MONTH) / INCLUDED, "usage limit", "share",
        "share of the plan's included usage in use", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "new_users_28d", _new(USERS, MONTH), "new users", "users",
        "users of the last 28 days without usage in the year before",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "new_users_91d", _new(USERS, QUARTER), "new users", "users",
        "users of the last 91 days without usage in the year before",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "new_features_91d", _new(FEATURES_USED, QUARTER), "new features", "features",
        "features used in the last 91 days but not in the year before",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "users_so_far", USERS.over(LIFE), "lifetime adoption", "users", "users since the account was created",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "features_so_far", FEATURES_USED.over(LIFE), "lifetime adoption", "features",
        "different features used since the account was created", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "days_without_use", TENURE * (EVENTS.over(LIFE) < 1.0), "first use", "days",
        "days as a customer without any usage", direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "days_to_first_use", (TENURE - FIRST.days_since()).at_least(0.0).where(_whole_life), "first use", "days",
        "days until the first usage", direction="raises_risk", chance="lowers_chance",
    ),
)
