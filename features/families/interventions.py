"""Interventions: plays run for the account recently."""

from __future__ import annotations

from features.definitions.aggregations import Count
from features.definitions.feature import Family, Feature
from features.definitions.windows import MONTH, QUARTER

_feature = Family("interventions", "engagement")

PLAYS = Count("interventions", "plays", where=lambda t: ~t.held_out.fill_null(False))

FEATURES: tuple[Feature, ...] = (
    *_feature.over(
        "plays_{w}d", PLAYS, "plays run", "plays", "plays run in the last {w} days", windows=(MONTH, QUARTER)
    ),
)
