"""Relationship: champions, sponsors, decision makers and contacts, and changes among them."""

from __future__ import annotations

from typing import Any

from features.definitions.aggregations import Count, Holding, Rows
from features.definitions.feature import Family, Feature
from features.definitions.windows import HALF_YEAR, RARE

_feature = Family("relationship", "relationship")


def _role(*roles: str, event: str | None = None) -> dict[str, Any]:
    """Return the arguments of a measure of some roles, and of one event if it is given."""

    def pick(rows: Rows) -> Any:
        chosen = rows.role.isin(roles)
        return chosen if event is None else chosen & (rows.event == event)

    return {"where": pick, "counts": (("role", roles),) if event is None else (("role", roles), ("event", (event,)))}


def _event(event: str) -> dict[str, Any]:
    """Return the arguments of a measure of one event in any role."""

    def pick(rows: Rows) -> Any:
        return rows.event == event

    return {"where": pick, "counts": (("event", (event,)),)}


def _has_not_left(rows: Rows) -> Any:
    return rows.event != "left"


def _remains_champion(rows: Rows) -> Any:
    return (rows.role == "champion") & _has_not_left(rows)


def _present(name: str, role: str) -> Holding:
    return Holding("relationship", name, **_role(role), key=("contact_id", "role"), holds=_has_not_left)


CHAMPIONS = _present("champions", "champion")
SPONSORS = _present("sponsors", "executive_sponsor")
DECISION_MAKERS = _present("decision_makers", "decision_maker")
CONTACTS = Holding(
    "relationship", "contacts", where=lambda t: t.event.notnull(), key=("contact_id",), by="role", holds=_has_not_left
)
# Based on a contact's latest row in any role: a champion who has since changed roles does not count.
CHAMPIONS_STILL = Holding(
    "relationship", "champions_still", where=lambda t: t.event.notnull(), key=("contact_id",), holds=_remains_champion,
    counts=(("role", ("champion",)),),
)
CHAMPIONS_LEFT = Count("relationship", "champions_left", **_role("champion", event="left"))
SPONSORS_LEFT = Count("relationship", "sponsors_left", **_role("executive_sponsor", event="left"))
NEW_DECISION_MAKERS = Count("relationship", "new_decision_makers", **_role("decision_maker", event="joined"))
PROMOTIONS = Count("relationship", "promotions", **_event("promoted"))
CHAMPIONS_PROMOTED = Count("relationship", "champions_promoted", **_role("champion", event="promoted"))
JOINED = Count("relationship", "joined", **_event("joined"))
LEFT = Count("relationship", "left", **_event("left"))

FEATURES: tuple[Feature, ...] = (
    _feature(
        "champions", CHAMPIONS.all_time(), "champion", "people", "champions in place",
        direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "executive_sponsors", SPONSORS.all_time(), "executive sponsor", "people", "executive sponsors in place",
        direction="lowers_risk", chance="raises_chance", monotone=True,
    ),
    _feature(
        "decision_makers", DECISION_MAKERS.all_time(), "decision makers", "people", "known decision makers",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "contacts", CONTACTS.all_time(), "contacts", "people", "known contacts", direction="lowers_risk", chance="raises_chance"
    ),
    *_feature.over(
        "champions_left_{w}d", CHAMPIONS_LEFT, "champion", "people", "champions who left in the last {w} days",
        direction="raises_risk", chance="lowers_chance", monotone=True, windows=RARE,
    ),
    _feature(
        "champions_moved", (CHAMPIONS.all_time() - CHAMPIONS_STILL.all_time()).at_least(0.0), "champion", "people",
        "champions whose latest record has another role", direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "champions_promoted_182d", CHAMPIONS_PROMOTED.over(HALF_YEAR), "champion", "people",
        "champions promoted in the last half-year", chance="raises_chance",
    ),
    *_feature.over(
        "sponsors_left_{w}d", SPONSORS_LEFT, "executive sponsor", "people",
        "executive sponsors who left in the last {w} days",
        direction="raises_risk", chance="lowers_chance", monotone=True, windows=RARE,
    ),
    *_feature.over(
        "new_decision_makers_{w}d", NEW_DECISION_MAKERS, "decision makers", "people",
        "new decision makers in the last {w} days", direction="raises_risk", windows=RARE,
    ),
    _feature(
        "contacts_joined_182d", JOINED.over(HALF_YEAR), "contacts", "people", "contacts who joined in the last half-year",
        direction="lowers_risk", chance="raises_chance",
    ),
    _feature(
        "contacts_left_182d", LEFT.over(HALF_YEAR), "contacts", "people", "contacts who left in the last half-year",
        direction="raises_risk", chance="lowers_chance",
    ),
    _feature(
        "promotions_182d", PROMOTIONS.over(HALF_YEAR), "promotions", "people", "contacts promoted in the last half-year",
        direction="lowers_risk", chance="raises_chance",
    ),
)
