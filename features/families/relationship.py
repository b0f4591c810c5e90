"""Relationship: who stands for us over there, and who has gone."""

from __future__ import annotations

from typing import Any

from features.feature import Family, Feature
from features.measures import Count, Holding, Rows

_feature = Family("relationship", "relationship")


def _role(*roles: str, event: str | None = None) -> Any:
    def pick(rows: Rows) -> Any:
        chosen = rows.role.isin(roles)
        return chosen if event is None else chosen & (rows.event == event)

    return pick


def _there(rows: Rows) -> Any:
    return rows.event != "left"


def _present(name: str, where: Any, key: tuple[str, ...] = ("contact_id", "role")) -> Holding:
    return Holding("relationship", name, where=where, key=key, holds=_there)


CHAMPIONS = _present("champions", _role("champion"))
SPONSORS = _present("sponsors", _role("executive_sponsor"))
DECISION_MAKERS = _present("decision_makers", _role("decision_maker"))
CONTACTS = _present("contacts", lambda t: t.event.notnull(), ("contact_id",))
CHAMPIONS_LEFT = Count("relationship", "champions_left", where=_role("champion", event="left"))
SPONSORS_LEFT = Count("relationship", "sponsors_left", where=_role("executive_sponsor", event="left"))
NEW_DECISION_MAKERS = Count("relationship", "new_decision_makers", where=_role("decision_maker", event="joined"))
PROMOTIONS = Count("relationship", "promotions", where=lambda t: t.event == "promoted")

FEATURES: tuple[Feature, ...] = (
    _feature(
        "champions", CHAMPIONS.ever(), "champion", "people", "champions in place",
        direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "executive_sponsors", SPONSORS.ever(), "executive sponsor", "people", "executive sponsors in place",
        direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "decision_makers", DECISION_MAKERS.ever(), "decision makers", "people", "decision makers known",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "contacts", CONTACTS.ever(), "contacts", "people", "contacts known", direction="lowers_risk", chance="raises_chance"
    ),
    _feature(
        "champions_left_182d", CHAMPIONS_LEFT.over(182), "champion", "people", "champions who left in the last half-year",
        direction="raises_risk", chance="lowers_chance", monotone=True,
    ),
    _feature(
        "sponsors_left_182d", SPONSORS_LEFT.over(182), "executive sponsor", "people",
        "executive sponsors who left in the last half-year", direction="raises_risk", chance="lowers_chance", monotone=True,
    ),
    _feature(
        "new_decision_makers_182d", NEW_DECISION_MAKERS.over(182), "decision makers", "people",
        "new decision makers in the last half-year", direction="raises_risk",
    ),
    _feature(
        "promotions_182d", PROMOTIONS.over(182), "promotions", "people", "contacts promoted in the last half-year",
        direction="lowers_risk", chance="raises_chance",
    ),
)
