"""Support: how many tickets, how bad, how they were felt to be handled."""

from __future__ import annotations

from typing import Any

from features.feature import Family, Feature
from features.measures import Count, Standing, Sum, trend

_feature = Family("support", "support")

SEVERE = ("high", "urgent")

TICKETS = Count("support", "tickets")
SEVERE_TICKETS = Count("support", "severe", where=lambda t: t.severity.isin(SEVERE))
ESCALATED = Count("support", "escalated", where=lambda t: t.escalated.fill_null(False))
OPEN = Standing("support", "open", at="known_at", end="resolved_at")
# A satisfaction score is known from the resolution on, so both its sum and its count are placed there.
_RESOLVED: dict[str, Any] = {"at": "resolved_at", "known": "resolved_known_at"}
CSAT = Sum("support", "csat", **_RESOLVED, value=lambda t: t.csat)
CSATS = Count("support", "csats", **_RESOLVED, where=lambda t: t.csat.notnull())
RESOLUTION = Sum(
    "support", "resolution_hours", **_RESOLVED,
    value=lambda t: (t.resolved_at.epoch_seconds() - t.occurred_at.epoch_seconds()).cast("float64") / 3600,
)
RESOLVED = Count("support", "resolved", **_RESOLVED)
SENTIMENT = Sum("support", "sentiment", value=lambda t: t.sentiment)
SENTIMENTS = Count("support", "sentiments", where=lambda t: t.sentiment.notnull())
COMPETITOR = Count("support", "competitor", where=lambda t: (t.topic == "competitor").fill_null(False))

FEATURES: tuple[Feature, ...] = (
    *_feature.over(
        "tickets_{w}d", TICKETS, (28, 91), "tickets", "tickets", "tickets opened in the last {w} days",
        own_past="tickets_trend_28d",
    ),
    _feature(
        "severe_91d", SEVERE_TICKETS.over(91), "severe tickets", "tickets",
        "tickets of high or urgent severity in the last 91 days", direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "severe_share_91d", SEVERE_TICKETS.over(91) / TICKETS.over(91), "severe tickets", "share",
        "share of tickets of high or urgent severity in the last 91 days", direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "escalated_91d", ESCALATED.over(91), "escalations", "tickets", "tickets escalated in the last 91 days",
        direction="raises_risk", chance="lowers_chance", monotone=True,
    ),
    _feature(
        "open_tickets", OPEN.ever(), "open tickets", "tickets", "tickets open", direction="raises_risk",
        chance="lowers_chance",
    ),
    _feature(
        "csat_182d", CSAT.over(182) / CSATS.over(182), "satisfaction with support", "of 5",
        "satisfaction with support over the last half-year", direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "sentiment_91d", SENTIMENT.over(91) / SENTIMENTS.over(91), "tone of tickets", "from -1 to 1",
        "tone of the tickets of the last 91 days", direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "competitor_mentions_182d", COMPETITOR.over(182), "competitor", "tickets",
        "tickets that name a competitor in the last half-year", direction="raises_risk", chance="lowers_chance",
        monotone=True,
    ),
    _feature(
        "resolution_hours_91d", RESOLUTION.over(91) / RESOLVED.over(91), "time to resolution", "hours",
        "hours until a ticket is resolved, on average over the last 91 days", direction="raises_risk",
        chance="lowers_chance",
    ),
    _feature(
        "tickets_trend_28d", trend(TICKETS, 28, 91), "tickets", "ratio",
        "tickets in the last 28 days against the nine weeks before", direction="raises_risk",
    ),
)
