"""The parts that a business review and an account plan have in common: what is told, in which words, and what lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from features.utils.formatting import percent
from models.explain.reason_text import value_words
from serving.account_reports.account_facts import Known

#: Tables, as people call what they hold, and what cannot be told without each.
TABLES = {
    "usage": "use of the product",
    "engagement": "meetings, reviews and mails",
    "support": "support tickets",
    "outcomes": "goals, returns and surveys",
    "relationship": "people and their roles",
    "billing": "invoices and payments",
    "company": "news of the company",
}
ROLES = {
    "champion": "champion",
    "executive_sponsor": "executive sponsor",
    "decision_maker": "decision maker",
    "admin": "administrator",
    "user": "user",
}
OUTCOMES = {
    "goal_set": "goal set",
    "goal_met": "goal met",
    "goal_missed": "goal missed",
    "roi_reported": "return reported",
    "first_value": "first value reached",
    "milestone": "milestone reached",
    "nps": "NPS answer",
    "csat": "satisfaction answer",
}
ITEMS = 30
"""So many items of a list are told at most; the rest is counted."""


def section(key: str, title: str, *, internal: bool = False, **parts: Any) -> dict[str, Any]:
    """One section: figures, items (a text each, with a date and a state where there are), a picture, and what is
    ``missing``. ``internal``: not for the customer's eyes."""
    told = {"figures": [], "items": [], "more_items": 0, "picture": None, "missing": [], **parts}
    told["figures"] = [f for f in told["figures"] if f is not None]
    told["more_items"] = max(len(told["items"]) - ITEMS, 0)
    return {"section": key, "title": title, "internal": internal, **told, "items": told["items"][:ITEMS]}


def fact(label: str, value: Any, unit: str = "", then: Any = None) -> dict[str, Any]:
    """A figure that is no feature; None is not known."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    words = value_words(float(value), unit) if number else value_words(value, unit)
    then_words = None if then is None else value_words(float(then), unit)
    return {
        "label": label, "value": value, "unit": unit, "words": words, "then": then, "then_words": then_words,
        "feature": None,
    }  # fmt: skip


TAGS = {"good": "good", "fair": "watch", "bad": "risk", "": ""}


def item(text: str, date: str | None = None, state: str = "", who: str | None = None, tag: str = "") -> dict[str, Any]:
    """One entry of a list; ``state`` is good, fair, bad or nothing, and ``tag`` the word for it."""
    told = text[:1].upper() + text[1:]
    return {
        "text": told,
        "date": None if date is None else date[:10],
        "state": state,
        "who": who,
        "tag": tag or TAGS[state],
    }


def known_figures(known: Known, features: Iterable[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """The features that are known as figures, and the words of the others."""
    figures = [known.figure(name) for name in features if name in known.catalogue]
    return [f for f in figures if f["value"] is not None], [f["label"] for f in figures if f["value"] is None]


def gaps(known: Known) -> list[str]:
    """What the document cannot tell, and why, a sentence each."""
    told = [f"no {words}: the source has no {table}" for table, words in TABLES.items() if not known.has(table)]
    if known.rows is None:
        told.append("no single events (goals, tickets, meetings, people): only what was published is at hand")
    if known.facts is None:
        told.append("no facts of the contract: none were kept with the snapshot")
    told += [
        f"the newest {warning['code'].removesuffix('_feed_stale')} row is {warning['days']} days old"
        for warning in known.answer["warnings"]
        if warning["code"].endswith("_feed_stale")
    ]
    if known.answer["churn"]["status"] != "scored":
        told.append(f"no churn probability: {known.answer['churn']['status'].replace('_', ' ')}")
    if known.answer["health"]["score"] is None:
        told.append(f"no health score: only {percent(known.answer['health']['coverage'], 0)} of its weight had data")
    return told


def people_in_place(known: Known) -> list[dict[str, Any]]:
    """Who is known, and in which roles: contact_id, roles, since; those who left apart, with when. By the latest row of
    each person and role."""
    if known.rows is None or "relationship" not in known.rows:
        return []
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in known.rows["relationship"]:
        latest[row["contact_id"], row["role"]] = row
    people: dict[str, dict[str, Any]] = {}
    for (contact, _), row in latest.items():
        told = people.setdefault(contact, {"contact_id": contact, "roles": [], "since": None, "left": None})
        if row["event"] == "left":
            told["left"] = max(told["left"] or "", row["occurred_at"])
        else:
            told["roles"].append(ROLES[row["role"]])
            told["since"] = min(told["since"] or row["occurred_at"], row["occurred_at"])
    for told in people.values():
        told["roles"] = sorted(told["roles"], key=list(ROLES.values()).index)
        if told["roles"]:
            told["left"] = None
    return sorted(people.values(), key=lambda p: (not p["roles"], _rank(p["roles"]), p["contact_id"]))


def outcome_items(known: Known, kinds: Sequence[str]) -> list[dict[str, Any]]:
    """The account's outcomes of these kinds, oldest first."""
    states = {"goal_met": "good", "goal_missed": "bad", "milestone": "good", "first_value": "good"}
    out = []
    for row in (known.rows or {}).get("outcomes", []):
        if row["kind"] in kinds:
            unit = {"nps": "of 10", "csat": "of 5", "roi_reported": "times spend"}.get(row["kind"], "")
            told = "" if row["value"] is None or not unit else f": {row['value']:g} {unit}"
            out.append(item(f"{OUTCOMES[row['kind']]}{told}", row["occurred_at"], states.get(row["kind"], "")))
    return out


def counted(rows: Iterable[dict[str, Any]], by: str) -> dict[str, int]:
    """How many rows there are of each value; null is "not known"."""
    return dict(sorted(Counter(str(row[by] or "not known") for row in rows).items()))


def _rank(roles: Sequence[str]) -> int:
    return min((list(ROLES.values()).index(role) for role in roles), default=len(ROLES))
