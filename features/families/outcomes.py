"""Outcomes: goals met, return shown, what the customer says of it."""

from __future__ import annotations

from typing import Any

from features.feature import Family, Feature
from features.measures import TENURE, Count, Latest, Newest, Oldest, Rows

_feature = Family("outcomes", "outcomes")


def _kind(*kinds: str) -> Any:
    def pick(rows: Rows) -> Any:
        return rows.kind.isin(kinds)

    return pick


GOALS_MET = Count("outcomes", "goals_met", where=_kind("goal_met"))
GOALS_MISSED = Count("outcomes", "goals_missed", where=_kind("goal_missed"))
MILESTONES = Count("outcomes", "milestones", where=_kind("milestone"))
NPS = Latest("outcomes", "nps", where=_kind("nps"), value=lambda t: t.value)
CSAT = Latest("outcomes", "csat", where=_kind("csat"), value=lambda t: t.value)
ROI = Latest("outcomes", "roi", where=_kind("roi_reported"), value=lambda t: t.value)
FIRST_VALUE = Oldest("outcomes", "first_value", where=_kind("first_value"))
LAST_NPS = Newest("outcomes", "last_nps", where=_kind("nps"))

_since_value = FIRST_VALUE.days_since()

FEATURES: tuple[Feature, ...] = (
    _feature(
        "goals_met_364d", GOALS_MET.over(364), "goals", "goals", "goals met in the last 364 days",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "goals_missed_364d", GOALS_MISSED.over(364), "goals", "goals", "goals missed in the last 364 days",
        direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "goals_met_share_364d", GOALS_MET.over(364) / (GOALS_MET.over(364) + GOALS_MISSED.over(364)), "goals", "share",
        "share of goals met in the last 364 days", direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "nps_last", NPS.ever(), "willingness to recommend", "of 10", "latest NPS answer",
        direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "nps_change", NPS.ever() - NPS.back(182).ever(), "willingness to recommend", "points",
        "change of the NPS answer over half a year", direction="lowers_risk", chance="raises_chance",
    ),
    _feature("nps_age_days", LAST_NPS.days_since(), "willingness to recommend", "days", "days since the latest NPS answer"),
    _feature(
        "csat_last", CSAT.ever(), "satisfaction", "of 5", "latest satisfaction score",
        direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "roi_last", ROI.ever(), "return on spend", "times spend", "latest return reported, as a multiple of the spend",
        direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "milestones_182d", MILESTONES.over(182), "milestones", "milestones", "milestones reached in the last half-year",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "days_to_first_value", TENURE - _since_value, "first value", "days", "days it took to reach first value",
        direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "days_without_first_value", TENURE * (_since_value * 0.0).otherwise(1.0), "first value", "days",
        "days as a customer without first value", direction="raises_risk", chance="lowers_chance",
    ),
)
