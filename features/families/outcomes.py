"""Outcomes: goals, return on investment, milestones, time to value and survey answers."""

from __future__ import annotations

from typing import Any

from features.definitions.aggregations import TENURE, Count, Latest, Newest, Oldest, Rows
from features.definitions.feature import Family, Feature
from features.definitions.windows import HALF_YEAR, LIFE, YEAR

_feature = Family("outcomes", "outcomes")

DETRACTOR_UP_TO, PROMOTER_FROM = 6, 9
"""NPS answers from 0 to 10: the highest of a detractor and the lowest of a promoter."""


def _kind(*kinds: str) -> dict[str, Any]:
    """Return the arguments of a measure of some kinds of outcomes."""

    def pick(rows: Rows) -> Any:
        return rows.kind.isin(kinds)

    return {"where": pick, "counts": (("kind", kinds),)}


def _answered(low: int = 0, high: int = 10) -> dict[str, Any]:
    """Return the arguments of a measure of NPS answers in a range."""

    def pick(rows: Rows) -> Any:
        return (rows.kind == "nps") & rows.value.between(low, high).fill_null(False)

    return {"where": pick, "counts": (("kind", ("nps",)),)}


GOALS_SET = Count("outcomes", "goals_set", **_kind("goal_set"))
GOALS_MET = Count("outcomes", "goals_met", **_kind("goal_met"))
GOALS_MISSED = Count("outcomes", "goals_missed", **_kind("goal_missed"))
MILESTONES = Count("outcomes", "milestones", **_kind("milestone"))
NPS = Latest("outcomes", "nps", **_kind("nps"), value=lambda t: t.value)
CSAT = Latest("outcomes", "csat", **_kind("csat"), value=lambda t: t.value)
ROI = Latest("outcomes", "roi", **_kind("roi_reported"), value=lambda t: t.value)
DETRACTORS = Count("outcomes", "detractors", **_answered(high=DETRACTOR_UP_TO))
PROMOTERS = Count("outcomes", "promoters", **_answered(low=PROMOTER_FROM))
FIRST_VALUE = Oldest("outcomes", "first_value", **_kind("first_value"))
FIRST_VALUES = Count("outcomes", "first_values", **_kind("first_value"))
FIRST_PROOF = Oldest("outcomes", "first_proof", **_kind("goal_met", "roi_reported"))
LAST_NPS = Newest("outcomes", "last_nps", **_answered())

# First events are known only if the feed covers the account's whole life.
_values_so_far = FIRST_VALUES.over(LIFE)
_whole_life = _values_so_far + 1.0

FEATURES: tuple[Feature, ...] = (
    _feature(
        "goals_set_364d", GOALS_SET.over(YEAR), "goals", "goals", "goals set in the last 364 days",
        direction="lowers_risk", chance="raises_chance",
    ),
    *_feature.over(
        "goals_met_{w}d", GOALS_MET, "goals", "goals", "goals met in the last {w} days",
        direction="lowers_risk", chance="raises_chance", windows=(HALF_YEAR, YEAR),
    ),
    _feature(
        "goals_missed_364d", GOALS_MISSED.over(YEAR), "goals", "goals", "goals missed in the last 364 days",
        direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "goals_met_share_364d", GOALS_MET.over(YEAR) / (GOALS_MET.over(YEAR) + GOALS_MISSED.over(YEAR)), "goals", "share",
        "share of goals met in the last 364 days", direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "nps_last", NPS.all_time(), "likelihood to recommend", "of 10", "latest NPS answer",
        direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "nps_change", NPS.all_time() - NPS.lagged(HALF_YEAR).all_time(), "likelihood to recommend", "points",
        "change of the NPS answer over the last half-year", direction="lowers_risk", chance="raises_chance",
    ),
    _feature("nps_age_days", LAST_NPS.days_since(), "likelihood to recommend", "days", "days since the latest NPS answer"),
    _feature(
        "detractors_182d", DETRACTORS.over(HALF_YEAR), "likelihood to recommend", "answers",
        "NPS answers of 0 to 6 in the last half-year", direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "promoters_182d", PROMOTERS.over(HALF_YEAR), "likelihood to recommend", "answers",
        "NPS answers of 9 or 10 in the last half-year", direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "csat_last", CSAT.all_time(), "satisfaction", "of 5", "latest satisfaction score",
        direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "roi_last", ROI.all_time(), "return on investment", "times spend", "latest reported return as a multiple of the spend",
        direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "milestones_182d", MILESTONES.over(HALF_YEAR), "milestones", "milestones", "milestones reached in the last half-year",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "days_to_first_value", (TENURE - FIRST_VALUE.days_since()).at_least(0.0).where(_whole_life), "first value", "days",
        "days until first value", direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "days_without_first_value", TENURE * (_values_so_far < 1.0), "first value", "days",
        "days as a customer without first value", direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "days_to_first_proof", (TENURE - FIRST_PROOF.days_since()).at_least(0.0).where(_whole_life), "first value", "days",
        "days until the first goal met or return reported", direction="raises_risk", chance="lowers_chance",
    ),
)
