"""Engagement: meetings kept, mails answered, reviews held, people met."""

from __future__ import annotations

from typing import Any

from features.feature import Family, Feature
from features.measures import Count, Distinct, Newest, Rows, Sum, trend

_feature = Family("engagement", "engagement")

MEETINGS = ("meeting", "qbr", "training", "webinar")
"""Kinds that one attends."""
MISSED = ("no_show", "cancelled")


def _outcome(*outcomes: str, kinds: tuple[str, ...] = ()) -> Any:
    def pick(rows: Rows) -> Any:
        chosen = rows.outcome.isin(outcomes).fill_null(False)
        return chosen & rows.kind.isin(kinds) if kinds else chosen

    return pick


# What the vendor alone did (a mail sent and ignored, a meeting not kept) is no engagement of the customer's.
TOUCHES = Count("engagement", "touches", where=_outcome("attended", "replied", "posted", "completed"))
KEPT = Count("engagement", "kept", where=_outcome("attended", kinds=MEETINGS))
MISSES = Count("engagement", "missed", where=_outcome(*MISSED, kinds=MEETINGS))
NO_SHOWS = Count("engagement", "no_shows", where=_outcome(*MISSED))
REPLIES = Count("engagement", "replies", where=_outcome("replied"))
IGNORED = Count("engagement", "ignored", where=_outcome("ignored"))
RESPONSE_HOURS = Sum("engagement", "response_hours", value=lambda t: t.response_hours)
RESPONSES = Count("engagement", "responses", where=lambda t: t.response_hours.notnull())
POSTS = Count("engagement", "posts", where=lambda t: t.kind == "community")
QBRS_HELD = Count("engagement", "qbrs_held", where=_outcome("attended", "completed", kinds=("qbr",)))
QBRS_MISSED = Count("engagement", "qbrs_missed", where=_outcome(*MISSED, kinds=("qbr",)))
CONTACTS = Distinct(
    "engagement", "contacts", column="contact_id", where=_outcome("attended", "replied", "posted", "completed"), key=lambda t: t.contact_id
)
LAST = Newest("engagement", "last", where=_outcome("attended", "replied", "posted", "completed"))

FEATURES: tuple[Feature, ...] = (
    *_feature.over(
        "touches_{w}d", TOUCHES, (28, 91), "contact with us", "contacts",
        "meetings attended, mails answered and posts in the last {w} days",
        direction="lowers_risk", chance="raises_chance", own_past="touches_trend_91d",
    ),
    _feature(
        "touches_trend_91d", trend(TOUCHES, 91, 182), "contact with us", "ratio",
        "contact in the last quarter against the quarter before", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "meetings_kept_share_182d", KEPT.over(182) / (KEPT.over(182) + MISSES.over(182)), "meetings kept", "share",
        "share of meetings kept in the last half-year", direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "no_shows_91d", NO_SHOWS.over(91), "meetings missed", "meetings", "meetings cancelled or missed in the last 91 days",
        direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "replies_share_91d", REPLIES.over(91) / (REPLIES.over(91) + IGNORED.over(91)), "answers to mail", "share",
        "share of mails answered in the last 91 days", direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "response_hours_91d", RESPONSE_HOURS.over(91) / RESPONSES.over(91), "time to answer", "hours",
        "hours until an answer, on average over the last 91 days", direction="raises_risk", chance="lowers_chance",
        monotone=True,
    ),
    _feature(
        "community_posts_91d", POSTS.over(91), "community", "posts", "community posts in the last 91 days",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "qbrs_held_182d", QBRS_HELD.over(182), "business reviews", "reviews", "business reviews held in the last half-year",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "qbrs_missed_182d", QBRS_MISSED.over(182), "business reviews", "reviews",
        "business reviews missed in the last half-year", direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "contacts_91d", CONTACTS.over(91), "people in contact", "people", "people in contact with us in the last 91 days",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "days_since_last", LAST.days_since(), "silence towards us", "days", "days since the last contact",
        direction="raises_risk", chance="lowers_chance",
    ),
)
