"""Engagement: meetings, email replies, business reviews, trainings and community posts."""

from __future__ import annotations

from typing import Any

from features.definitions.aggregations import Count, Distinct, Newest, Rows, Sum, trend
from features.definitions.feature import Family, Feature
from features.definitions.windows import HALF_YEAR, LASTING, QUARTER, RARE, YEAR

_feature = Family("engagement", "engagement")

MEETINGS = ("meeting", "qbr", "training", "webinar", "call")
"""Kinds of engagement that a contact attends."""
TEACHING = ("training", "webinar")
EMAIL = ("email",)
MISSED = ("no_show", "cancelled")


def _outcome(*outcomes: str, kinds: tuple[str, ...]) -> dict[str, Any]:
    """Return the arguments of a measure of some outcomes of some kinds of engagement."""

    def pick(rows: Rows) -> Any:
        return rows.outcome.isin(outcomes).fill_null(False) & rows.kind.isin(kinds)

    return {"where": pick, "counts": (("kind", kinds), ("outcome", outcomes))}


# Activity of the vendor alone (an ignored email, a missed meeting, a note) is not engagement of the customer.
MUTUAL = ("attended", "replied", "posted", "completed")
INTERNAL = ("note", "task")
"""Kinds that the vendor records for itself."""


def _mutual(rows: Rows) -> Any:
    return rows.outcome.isin(MUTUAL).fill_null(False) & rows.kind.notin(INTERNAL)


_MUTUAL: dict[str, Any] = {"where": _mutual, "counts": (("outcome", MUTUAL),)}
TOUCHES = Count("engagement", "touches", column="outcome", **_MUTUAL)
ATTENDED = Count("engagement", "kept", column="outcome", **_outcome("attended", kinds=MEETINGS))
MISSES = Count("engagement", "missed", column="outcome", **_outcome(*MISSED, kinds=MEETINGS))
NO_SHOWS = Count("engagement", "no_shows", column="outcome", **_outcome(*MISSED, kinds=MEETINGS))
TRAININGS = Count("engagement", "trainings", column="outcome", **_outcome("attended", "completed", kinds=TEACHING))
REPLIES = Count("engagement", "replies", column="outcome", **_outcome("replied", kinds=EMAIL))
IGNORED = Count("engagement", "ignored", column="outcome", **_outcome("ignored", kinds=EMAIL))
RESPONSE_HOURS = Sum("engagement", "response_hours", value=lambda t: t.response_hours)
RESPONSES = Count("engagement", "responses", where=lambda t: t.response_hours.notnull())
POSTS = Count("engagement", "posts", where=lambda t: t.kind == "community", counts=(("kind", ("community",)),))
QBRS_HELD = Count("engagement", "qbrs_held", column="outcome", **_outcome("attended", "completed", kinds=("qbr",)))
QBRS_MISSED = Count("engagement", "qbrs_missed", column="outcome", **_outcome(*MISSED, kinds=("qbr",)))
CONTACTS = Distinct(
    "engagement", "contacts", column="contact_id", **_MUTUAL, key=lambda t: t.contact_id
)
LAST = Newest("engagement", "last", **_MUTUAL)
LAST_MEETING = Newest("engagement", "last_meeting", **_outcome("attended", kinds=MEETINGS))

FEATURES: tuple[Feature, ...] = (
    *_feature.over(
        "touches_{w}d", TOUCHES, "contact with us", "contacts",
        "meetings attended, emails answered and posts in the last {w} days",
        direction="lowers_risk", chance="raises_chance", own_past="touches_trend_91d", windows=LASTING,
    ),
    _feature(
        "touches_trend_91d", trend(TOUCHES, QUARTER, 2 * QUARTER), "contact with us", "ratio",
        "contact in the last quarter relative to the quarter before", direction="lowers_risk", chance="raises_chance",
    ),
    *_feature.over(
        "meetings_kept_{w}d", ATTENDED, "meetings attended", "meetings", "meetings and trainings attended in the last {w} days",
        direction="lowers_risk", chance="raises_chance", windows=RARE,
    ),
    _feature(
        "days_since_meeting", LAST_MEETING.days_since(), "meetings attended", "days", "days since the last meeting attended",
        direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "meetings_kept_share_182d", ATTENDED.over(HALF_YEAR) / (ATTENDED.over(HALF_YEAR) + MISSES.over(HALF_YEAR)),
        "meetings attended", "share",
        "share of meetings attended in the last half-year", direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    *_feature.over(
        "no_shows_{w}d", NO_SHOWS, "meetings missed", "meetings", "meetings canceled or missed in the last {w} days",
        direction="raises_risk", chance="lowers_chance", windows=RARE,
    ),
    _feature(
        "no_shows_change_91d", NO_SHOWS.over(QUARTER) - NO_SHOWS.lagged(QUARTER).over(QUARTER), "meetings missed",
        "more meetings", "change in meetings canceled or missed from the previous quarter to the last",
        direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "trainings_182d", TRAININGS.over(HALF_YEAR), "trainings", "trainings",
        "trainings and webinars attended in the last half-year", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "replies_share_91d", REPLIES.over(QUARTER) / (REPLIES.over(QUARTER) + IGNORED.over(QUARTER)),
        "email replies", "share",
        "share of emails answered in the last 91 days", direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "response_hours_91d", RESPONSE_HOURS.over(QUARTER) / RESPONSES.over(QUARTER), "response time", "hours",
        "average hours until a reply in the last 91 days", direction="raises_risk", chance="lowers_chance",
        monotone=True,
    ),
    _feature(
        "community_posts_91d", POSTS.over(QUARTER), "community posts", "posts", "community posts in the last 91 days",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "qbrs_held_182d", QBRS_HELD.over(HALF_YEAR), "business reviews", "reviews", "business reviews held in the last half-year",
        direction="lowers_risk", chance="raises_chance",
    ),
    *_feature.over(
        "qbrs_missed_{w}d", QBRS_MISSED, "business reviews", "reviews", "business reviews missed in the last {w} days",
        direction="raises_risk", chance="lowers_chance", windows=RARE,
    ),
    _feature(
        "qbrs_held_share_364d", QBRS_HELD.over(YEAR) / (QBRS_HELD.over(YEAR) + QBRS_MISSED.over(YEAR)),
        "business reviews", "share", "share of business reviews held in the last 364 days",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "contacts_91d", CONTACTS.over(QUARTER), "people in contact", "people", "people in contact with us in the last 91 days",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "days_since_last", LAST.days_since(), "time since contact", "days", "days since the last contact",
        direction="raises_risk", chance="lowers_chance",
    ),
)
