"""Interventions: what has lately been done for the account."""

from __future__ import annotations

from features.feature import Family, Feature
from features.measures import Count

_feature = Family("interventions", "engagement")

PLAYS = Count("interventions", "plays", where=lambda t: ~t.held_out.fill_null(False))

FEATURES: tuple[Feature, ...] = (
    _feature("plays_91d", PLAYS.over(91), "plays run", "plays", "plays run in the last 91 days"),
)
