"""Support: ticket volume, severity, escalations, satisfaction, sentiment and resolution time."""

from __future__ import annotations

from typing import Any

from features.definitions.aggregations import Count, IntervalSum, Measure, Rows, Sum, Term, trend
from features.definitions.feature import Family, Feature
from features.definitions.windows import HALF_YEAR, LASTING, MONTH, OCCASIONAL, QUARTER

_feature = Family("support", "support")

SEVERE = ("high", "urgent")


# Only two ticket topics are used: competitor and feature_request.
def _topic(*topics: str) -> dict[str, Any]:
    """Return the arguments of a measure of some topics."""

    def pick(rows: Rows) -> Any:
        return rows.topic.isin(topics).fill_null(False)

    return {"where": pick, "counts": (("topic", topics),)}


def _severe(rows: Rows) -> Any:
    return rows.severity.isin(SEVERE)


_SEVERE: dict[str, Any] = {"where": _severe, "counts": (("severity", SEVERE),)}


TICKETS = Count("support", "tickets")
SEVERE_TICKETS = Count("support", "severe", **_SEVERE)
ESCALATED = Count("support", "escalated", column="escalated", where=lambda t: t.escalated.fill_null(False))
OPEN = IntervalSum("support", "open", at="known_at", end="resolved_known_at")
OPEN_SEVERE = IntervalSum("support", "open_severe", at="known_at", end="resolved_known_at", **_SEVERE)
# A satisfaction score becomes known at the resolution, so its sum and its count are dated there.
_RATED: dict[str, Any] = {"at": "resolved_at", "known_at": "csat_known_at"}
_RESOLVED: dict[str, Any] = {"at": "resolved_at", "known_at": "resolved_known_at"}
CSAT = Sum("support", "csat", **_RATED, value=lambda t: t.csat)
CSATS = Count("support", "csats", **_RATED, where=lambda t: t.csat.notnull())
RESOLUTION = Sum(
    "support", "resolution_hours", **_RESOLVED,
    value=lambda t: (t.resolved_at.epoch_seconds() - t.occurred_at.epoch_seconds()).cast("float64") / 3600,
)
RESOLVED = Count("support", "resolved", **_RESOLVED)
SENTIMENT = Sum("support", "sentiment", value=lambda t: t.sentiment)
SENTIMENTS = Count("support", "sentiments", where=lambda t: t.sentiment.notnull())
COMPETITOR = Count("support", "competitor", column="topic", **_topic("competitor"))
FEATURE_REQUESTS = Count("support", "feature_requests", column="topic", **_topic("feature_request"))


def _change(measure: Measure, days: int) -> Term:
    """Return the change from the previous window; unlike a ratio, it is known even if the previous window is zero."""
    return measure.over(days) - measure.lagged(days).over(days)


FEATURES: tuple[Feature, ...] = (
    *_feature.over(
        "tickets_{w}d", TICKETS, "tickets", "tickets", "tickets opened in the last {w} days",
        own_past="tickets_trend_28d", windows=LASTING,
    ),
    _feature(
        "tickets_trend_28d", trend(TICKETS, MONTH, QUARTER), "tickets", "ratio",
        "tickets in the last 28 days relative to the nine weeks before", direction="raises_risk",
    ),
    _feature(
        "tickets_change_28d", _change(TICKETS, MONTH), "tickets", "more tickets",
        "change in tickets from the previous 28 days to the last 28", direction="raises_risk",
    ),
    *_feature.over(
        "severe_{w}d", SEVERE_TICKETS, "severe tickets", "tickets",
        "tickets of high or urgent severity in the last {w} days", direction="raises_risk", chance="lowers_chance",
        windows=OCCASIONAL,
    ),
    _feature(
        "severe_change_91d", _change(SEVERE_TICKETS, QUARTER), "severe tickets", "more tickets",
        "change in tickets of high or urgent severity from the previous quarter to the last",
        direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "severe_share_91d", SEVERE_TICKETS.over(QUARTER) / TICKETS.over(QUARTER), "severe tickets", "share",
        "share of tickets of high or urgent severity in the last 91 days", direction="raises_risk", chance="lowers_chance",
    ),
    *_feature.over(
        "escalated_{w}d", ESCALATED, "escalations", "tickets", "tickets escalated in the last {w} days",
        direction="raises_risk", chance="lowers_chance", monotone=True, windows=OCCASIONAL,
    ),
    _feature(
        "open_tickets", OPEN.all_time(), "open tickets", "tickets", "open tickets", direction="raises_risk",
        chance="lowers_chance",
    ),
    _feature(
        "open_severe_tickets", OPEN_SEVERE.all_time(), "open tickets", "tickets", "open tickets of high or urgent severity",
        direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "csat_182d", CSAT.over(HALF_YEAR) / CSATS.over(HALF_YEAR), "satisfaction with support", "of 5",
        "average satisfaction with support in the last half-year", direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "sentiment_91d", SENTIMENT.over(QUARTER) / SENTIMENTS.over(QUARTER), "ticket sentiment", "from -1 to 1",
        "average sentiment of tickets in the last 91 days", direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "competitor_mentions_182d", COMPETITOR.over(HALF_YEAR), "competitor mentions", "tickets",
        "tickets mentioning a competitor in the last half-year", direction="raises_risk", chance="lowers_chance",
        monotone=True,
    ),
    _feature(
        "feature_requests_182d", FEATURE_REQUESTS.over(HALF_YEAR), "feature requests", "tickets",
        "tickets requesting a feature in the last half-year", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "resolution_hours_91d", RESOLUTION.over(QUARTER) / RESOLVED.over(QUARTER), "time to resolution", "hours",
        "average hours to resolve a ticket in the last 91 days", direction="raises_risk",
        chance="lowers_chance",
    ),
)
