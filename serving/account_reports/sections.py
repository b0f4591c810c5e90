"""The parts that business reviews and account plans share: sections, figures, items and missing information."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from features.utils.formatting import percent
from models.explain.reason_text import value_words
from models.predictions.target_predictions import WHY_NOT_SCORED
from serving.account_reports.account_facts import AccountFacts

#: What each table holds, in the words of the list of missing information.
TABLES = {
    "usage": "product usage",
    "engagement": "meetings, reviews and emails",
    "support": "support tickets",
    "outcomes": "goals, returns and surveys",
    "relationship": "people and their roles",
    "billing": "invoices and payments",
    "company": "company news",
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
    "roi_reported": "return on investment reported",
    "first_value": "first value reached",
    "milestone": "milestone reached",
    "nps": "NPS answer",
    "csat": "satisfaction answer",
}
ITEMS = 30
"""The maximum number of items in a list; the rest is only counted."""


def section(key: str, title: str, *, internal: bool = False, **parts: Any) -> dict[str, Any]:
    """Build a section of a report.

    Parameters
    ----------
    key, title : the section's key and its heading.
    internal : whether it is for the account team only.
    **parts : figures, items, a chart (``picture``) and ``missing`` information.

    Returns
    -------
    dict for JSON
        A `serving.account_reports.schemas.ReportSection`.
    """
    content = {"figures": [], "items": [], "more_items": 0, "picture": None, "missing": [], **parts}
    content["figures"] = [f for f in content["figures"] if f is not None]
    content["more_items"] = max(len(content["items"]) - ITEMS, 0)
    return {"section": key, "title": title, "internal": internal, **content, "items": content["items"][:ITEMS]}


def fact(label: str, value: Any, unit: str = "", then: Any = None) -> dict[str, Any]:
    """Build a figure that is not a feature.

    Parameters
    ----------
    label : the label.
    value : the value; None is unknown.
    unit : the unit of the value.
    then : the value at the start of the quarter, if known.

    Returns
    -------
    dict for JSON
        A `serving.account_reports.schemas.ReportFigure`.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    words = value_words(float(value), unit) if number else value_words(value, unit)
    then_words = None if then is None else value_words(float(then), unit)
    return {
        "label": label, "value": value, "unit": unit, "words": words, "then": then, "then_words": then_words,
        "feature": None,
    }  # fmt: skip


TAGS = {"good": "good", "fair": "watch", "bad": "risk", "": ""}


def item(text: str, date: str | None = None, state: str = "", who: str | None = None, tag: str = "") -> dict[str, Any]:
    """Build one item of a list.

    Parameters
    ----------
    text : the text.
    date : an ISO date or instant.
    state : good, fair, bad or empty.
    who : who acts, or the person that the item is about.
    tag : the label of the state; by default that of `TAGS`.

    Returns
    -------
    dict for JSON
        A `serving.account_reports.schemas.ReportItem`.
    """
    sentence = text[:1].upper() + text[1:]
    return {
        "text": sentence,
        "date": None if date is None else date[:10],
        "state": state,
        "who": who,
        "tag": tag or TAGS[state],
    }


def available_figures(account: AccountFacts, features: Iterable[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the known features as figures.

    Parameters
    ----------
    account : the facts about the account.
    features : the names of the features.

    Returns
    -------
    list of dict, list of str
        The figures, and the labels of the unknown features.
    """
    figures = [account.figure(name) for name in features if name in account.catalogue]
    return [f for f in figures if f["value"] is not None], [f["label"] for f in figures if f["value"] is None]


def gaps(account: AccountFacts) -> list[str]:
    """Return what information is missing and why, a sentence each."""
    lacking = {table: words for table, words in TABLES.items() if not account.has(table)}
    if account.one_date:
        sentences = [f"no {words}: the sheet has no column about it" for words in lacking.values()]
        sentences.append(
            "no changes, trends or churn probability: the sheet shows the accounts at one date; a folder of dated "
            "sheets shows their history"
        )
    else:
        sentences = [f"no {words}: the source has no {table}" for table, words in lacking.items()]
    if account.rows is None:
        sentences.append(
            "no individual events (goals, tickets, meetings, people): this report uses only the published snapshot"
        )
    if account.contract is None:
        sentences.append("no contract details: none were stored with the snapshot")
    sentences += [
        f"the newest {warning['code'].removesuffix('_feed_stale')} row is {warning['days']} days old"
        for warning in account.prediction["warnings"]
        if warning["code"].endswith("_feed_stale")
    ]
    if account.prediction["churn"]["status"] != "scored" and not account.one_date:
        sentences.append(f"no churn probability: {WHY_NOT_SCORED[account.prediction['churn']['status']]}")
    if account.prediction["health"]["score"] is None:
        sentences.append(
            f"no health score: only {percent(account.prediction['health']['coverage'], 0)} of its weight has data"
        )
    return sentences


def contacts(account: AccountFacts) -> list[dict[str, Any]]:
    """Return the contacts by the latest row of each person and role.

    Each has contact_id, roles, since, and left (the date, for those who left all roles).
    """
    if account.rows is None or "relationship" not in account.rows:
        return []
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in account.rows["relationship"]:
        latest[row["contact_id"], row["role"]] = row
    people: dict[str, dict[str, Any]] = {}
    for (contact, _), row in latest.items():
        person = people.setdefault(contact, {"contact_id": contact, "roles": [], "since": None, "left": None})
        if row["event"] == "left":
            person["left"] = max(person["left"] or "", row["occurred_at"])
        else:
            person["roles"].append(ROLES[row["role"]])
            person["since"] = min(person["since"] or row["occurred_at"], row["occurred_at"])
    for person in people.values():
        person["roles"] = sorted(person["roles"], key=list(ROLES.values()).index)
        if person["roles"]:
            person["left"] = None
    return sorted(people.values(), key=lambda p: (not p["roles"], _rank(p["roles"]), p["contact_id"]))


def outcome_items(account: AccountFacts, kinds: Sequence[str]) -> list[dict[str, Any]]:
    """Return the account's outcomes, oldest first.

    Parameters
    ----------
    account : the facts about the account.
    kinds : the kinds of outcomes to include.

    Returns
    -------
    list of dict
        The items.
    """
    states = {"goal_met": "good", "goal_missed": "bad", "milestone": "good", "first_value": "good"}
    items = []
    for row in (account.rows or {}).get("outcomes", []):
        if row["kind"] in kinds:
            unit = {"nps": "of 10", "csat": "of 5", "roi_reported": "times spend"}.get(row["kind"], "")
            value = "" if row["value"] is None or not unit else f": {row['value']:g} {unit}"
            items.append(item(f"{OUTCOMES[row['kind']]}{value}", row["occurred_at"], states.get(row["kind"], "")))
    return items


def count_by(rows: Iterable[dict[str, Any]], by: str) -> dict[str, int]:
    """Count the rows of each value; null is "unknown"."""
    return dict(sorted(Counter(str(row[by] or "unknown") for row in rows).items()))


def _rank(roles: Sequence[str]) -> int:
    return min((list(ROLES.values()).index(role) for role in roles), default=len(ROLES))
