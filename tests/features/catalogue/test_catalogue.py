"""Every signal used by the customer success rules has features in the catalogue."""

from __future__ import annotations

import re

import pytest

from features.catalogue.catalogue import CATALOGUE, Catalogue
from features.contract.schema import TABLES
from features.definitions.windows import WINDOWS
from features.errors import BadRequest

FIVE_DIMENSIONS = {
    "daily to weekly actives": "usage.stickiness_7d usage.stickiness_28d usage.user_days_28d",
    "breadth of features": "usage.features_used_28d usage.features_used_91d",
    "time in product": "usage.minutes_28d usage.minutes_per_user_28d",
    "meeting attendance": "engagement.meetings_kept_share_182d engagement.meetings_kept_91d",
    "email responsiveness": "engagement.replies_share_91d engagement.response_hours_91d",
    "community": "engagement.community_posts_91d",
    "ticket volume": "support.tickets_28d support.tickets_91d support.open_tickets",
    "severity": "support.severe_91d support.severe_share_91d support.open_severe_tickets",
    "satisfaction with the resolution": "support.csat_182d support.sentiment_91d support.resolution_hours_91d",
    "escalations": "support.escalated_28d support.escalated_91d support.escalated_182d",
    "stated goals reached": "outcomes.goals_met_share_364d outcomes.goals_met_364d outcomes.goals_missed_364d",
    "ROI": "outcomes.roi_last",
    "growth of usage": "usage.events_trend_91d usage.active_users_trend_91d usage.quantity_trend_28d",
    "champion strength": "relationship.champions",
    "executive sponsor": "relationship.executive_sponsors",
    "several contacts": "relationship.contacts engagement.contacts_91d",
}
PRODUCT_RELATIONSHIP_OUTCOMES = {
    "login frequency": "usage.active_days_7d usage.active_days_28d usage.active_days_91d",
    "feature adoption": "usage.features_used_91d usage.features_so_far usage.new_features_91d",
    "active users against licensed seats": "usage.seats_used_share",
    "support tickets": "support.tickets_91d",
    # The contract does not record which executives took part; sponsors and reviews are used instead.
    "executive engagement": "relationship.executive_sponsors engagement.qbrs_held_182d",
    "meeting attendance": "engagement.meetings_kept_share_182d",
    "NPS": "outcomes.nps_last outcomes.nps_change outcomes.nps_age_days",
    "response time": "engagement.response_hours_91d",
    "goals achieved": "outcomes.goals_met_364d outcomes.goals_set_364d",
    "ROI demonstrated": "outcomes.roi_last",
    "business impact": "outcomes.milestones_182d outcomes.goals_met_182d outcomes.roi_last",
}
ADOPTION_ENGAGEMENT_BUSINESS_RELATIONSHIP = {
    "login frequency": "usage.active_days_28d",
    "feature usage": "usage.features_used_28d usage.events_28d",
    "daily to monthly actives": "usage.stickiness_28d",
    "depth": "usage.events_per_user_28d usage.minutes_per_user_28d usage.core_actions_28d",
    "ticket volume": "support.tickets_91d",
    "NPS and CSAT": "outcomes.nps_last outcomes.csat_last support.csat_182d",
    "QBR participation": "engagement.qbrs_held_182d engagement.qbrs_held_share_364d",
    "response times": "engagement.response_hours_91d",
    "usage relative to license": "usage.seats_used_share usage.limit_used_share",
    "growth": "contract.arr_change_182d contract.arr_change_364d contract.seats_change_182d",
    "payment history": "billing.paid_share_364d billing.overdue_91d billing.failed_91d billing.paid_182d",
    "executive alignment": "relationship.executive_sponsors",
    "champion present": "relationship.champions",
    "meeting cadence": "engagement.meetings_kept_91d engagement.meetings_kept_182d engagement.days_since_meeting",
}
EARLY_WARNINGS = {
    "usage down 30% or more": "usage.events_trend_28d usage.active_users_trend_28d usage.minutes_trend_28d",
    "a detractor's NPS": "outcomes.nps_last outcomes.detractors_182d",
    "several escalated tickets": "support.escalated_28d support.escalated_91d",
    "weekly logins falling three weeks running": "usage.weeks_falling",
    "a missed QBR": "engagement.qbrs_missed_91d engagement.qbrs_missed_182d",
    "low breadth of features": "usage.features_used_28d usage.features_used_trend_28d",
    "tickets rising in number": "support.tickets_trend_28d support.tickets_change_28d",
    "tickets rising in severity": "support.severe_change_91d support.severe_share_91d",
    "cancellations and no-shows rising": "engagement.no_shows_91d engagement.no_shows_change_91d",
    "champion left": "relationship.champions_left_91d relationship.champions_left_182d",
    "champion changed role": "relationship.champions_moved relationship.champions_promoted_182d",
    "a competitor named in tickets": "support.competitor_mentions_182d",
    "a new decision maker": "relationship.new_decision_makers_91d relationship.new_decision_makers_182d",
    "payment failed": "billing.failed_28d billing.failed_91d billing.days_since_failed",
    "budget review": "billing.budget_reviews_91d billing.budget_reviews_182d",
    "contract past its renewal date unsigned": "contract.renewal_overdue contract.days_to_renewal",
    "executive sponsor left": "relationship.sponsors_left_91d relationship.sponsors_left_182d",
    "stalled onboarding": "outcomes.days_without_first_value usage.days_without_use",
    "slow replies": "engagement.response_hours_91d engagement.replies_share_91d",
    "60 to 90 days before renewal": "contract.days_to_renewal",
}
ONBOARDING = {
    "days since the contract began": "contract.days_since_start contract.tenure_days",
    "day 3, no login": "usage.days_without_use usage.days_to_first_use",
    "day 5, logged in, no core action": "usage.core_actions_28d usage.events_28d",
    "day 7, no first value": "outcomes.days_without_first_value",
    "day 10, a single user": "usage.users_so_far",
    "day 14, below target adoption": "usage.users_so_far usage.features_so_far",
    "time to first value": "outcomes.days_to_first_value",
    "training": "engagement.trainings_182d",
}
EXPANSION = {
    "usage over 80% of the limit or seats": "usage.limit_used_share usage.seats_used_share",
    # The contract does not record which features were bought; new and requested features are used instead.
    "features beyond those bought": "usage.new_features_91d usage.features_used_trend_28d support.feature_requests_182d",
    "new users asking in": "usage.new_users_28d usage.new_users_91d relationship.contacts_joined_182d",
    "goals or ROI early": "outcomes.days_to_first_proof",
    "champion promoted": "relationship.champions_promoted_182d relationship.promotions_182d",
    "funding": "company.funding_182d",
    "hiring": "company.hiring_182d",
    "a new department": "company.new_departments_182d",
    "high adoption": "usage.seats_used_share usage.features_used_91d usage.active_users_91d",
    "feature requests": "support.feature_requests_182d",
    "executive engagement": "relationship.executive_sponsors engagement.qbrs_held_182d",
    "renewal near": "contract.days_to_renewal",
    "gate: adoption above the segment's average": "usage.seats_used_share usage.features_used_28d",
    "gate: NPS 8 or more": "outcomes.nps_last",
    "gate: executive relationship": "relationship.executive_sponsors",
    "gate: a use case for more": "usage.seats_used_share usage.limit_used_share company.new_departments_182d",
    "gate: budget authority known": "relationship.decision_makers",
}
SEGMENTS_AND_PORTFOLIO = {
    "ARR, segment": "contract.arr",
    "ARR expansions": "contract.upgrades_364d contract.arr_change_364d contract.downgrades_364d",
    "DAU/WAU and DAU/MAU": "usage.stickiness_7d usage.stickiness_28d",
    "QBR completion": "engagement.qbrs_held_share_364d",
    "renewals due": "contract.days_to_renewal",
    "advocates": "outcomes.nps_last outcomes.promoters_182d",
    "plays run": "interventions.plays_28d interventions.plays_91d",
}
RULES = {
    "five-dimensions": FIVE_DIMENSIONS,
    "product-relationship-outcomes": PRODUCT_RELATIONSHIP_OUTCOMES,
    "adoption-engagement-business-relationship": ADOPTION_ENGAGEMENT_BUSINESS_RELATIONSHIP,
    "early warnings": EARLY_WARNINGS,
    "onboarding risk": ONBOARDING,
    "expansion": EXPANSION,
    "segments and portfolio": SEGMENTS_AND_PORTFOLIO,
}


@pytest.mark.parametrize(
    ("rules", "signal", "features"), [(r, s, f) for r, signals in RULES.items() for s, f in signals.items()]
)
def test_every_signal_of_the_rules_has_its_features(rules: str, signal: str, features: str) -> None:
    assert features
    assert not [name for name in features.split() if name not in CATALOGUE], f"{rules}: {signal}"


def test_windows_are_the_standard_ones() -> None:
    assert CATALOGUE.windows == WINDOWS == (7, 28, 91, 182, 364)
    named = {int(match[1]) for name in CATALOGUE if (match := re.search(r"_(\d+)d$", name))}
    assert named == set(WINDOWS)
    for measure in ("events", "quantity", "minutes", "active_users", "features_used"):
        assert all(f"usage.{measure}_{w}d" in CATALOGUE for w in WINDOWS)


@pytest.mark.parametrize("name", CATALOGUE)
def test_feature_attributes_are_consistent(name: str) -> None:
    feature = CATALOGUE[name]
    labels = {"accounts": ("account", "contract"), "subscriptions": ("contract", "peers", "portfolio")}
    assert name.split(".")[0] in labels.get(feature.table, (feature.table,))
    assert feature.unit or feature.kind == "category"
    assert "{" not in feature.words
    if match := re.search(r"in the last (\d+) days$", feature.words):
        assert name.endswith(f"_{match[1]}d")
    # A model is constrained to a direction only if there is one.
    assert not feature.monotone or (feature.direction and feature.expansion_direction)
    opposite = {"raises_risk": "lowers_chance", "lowers_risk": "raises_chance"}
    if feature.monotone:
        assert feature.expansion_direction == opposite[str(feature.direction)]


def test_features_are_unique_and_not_too_many() -> None:
    assert len({f.words for f in CATALOGUE.values()}) == len(CATALOGUE)
    # Every feature adds noise if accounts are few.
    assert len(CATALOGUE) <= 225
    assert {f.table for f in CATALOGUE.values()} == {name for name, table in TABLES.items() if table.of_accounts}


def test_duplicate_names_are_rejected() -> None:
    feature = CATALOGUE["usage.events_28d"]
    with pytest.raises(BadRequest, match="declared twice"):
        Catalogue((feature, feature))


def test_an_unknown_own_past_is_rejected() -> None:
    with pytest.raises(BadRequest, match="not declared"):
        Catalogue((CATALOGUE["usage.events_28d"],))
