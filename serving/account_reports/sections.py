"""The parts that business reviews and account plans share: sections, figures, items and missing information."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from features.utils.formatting import day, percent
from models.explain.reason_text import number_words, value_words
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
    "ces": "effort answer (1: very easy)",
}
OUTCOME_UNITS = {"nps": "of 10", "csat": "of 5", "ces": "of 7", "roi_reported": "times the spend"}
OUTCOME_STATES = {
    "goal_set": ("", "goal set"),
    "goal_met": ("good", "met"),
    "goal_missed": ("bad", "missed"),
    "milestone": ("good", "milestone"),
    "first_value": ("good", "first value"),
}
"""State and label of outcomes in a list."""
SEVERE = ("high", "urgent")
"""Severities of tickets that are listed one by one."""
ITEMS = 30
"""The maximum number of items in a list; the rest is only counted."""


def section(key: str, title: str, *, internal: bool = False, **parts: Any) -> dict[str, Any]:
    """Build a section of a report.

    Parameters
    ----------
    key, title : the section's key and its heading.
    internal : whether it is for the account team only.
    **parts : sentences (``lines``), ``metrics`` (`serving.account_reports.metrics.metric`), figures, items, a chart
        (``picture``) and ``missing`` information.

    Returns
    -------
    dict for JSON
        A `serving.account_reports.schemas.ReportSection`.
    """
    empty = {"lines": [], "metrics": [], "figures": [], "items": [], "more_items": 0, "picture": None, "missing": []}
    content = {**empty, **parts}
    content["figures"] = [f for f in content["figures"] if f is not None]
    content["more_items"] = max(len(content["items"]) - ITEMS, 0)
    return {"section": key, "title": title, "internal": internal, **content, "items": content["items"][:ITEMS]}


def fact(label: str, value: Any, unit: str = "", then: Any = None, *, internal: bool = False) -> dict[str, Any]:
    """Build a figure that is not a feature.

    Parameters
    ----------
    label : the label.
    value : the value; None is unknown.
    unit : the unit of the value.
    then : the value at the start of the quarter, if known.
    internal : whether it is for the account team only.

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
        "feature": None, "internal": internal,
    }  # fmt: skip


def dated_fact(label: str, date: str | None, *, internal: bool = False) -> dict[str, Any]:
    """Build a figure that is a date, in ISO 8601; None is unknown."""
    value = None if date is None else str(date)[:10]
    return fact(label, value, internal=internal) | ({} if value is None else {"words": day(value)})


TAGS = {"good": "good", "fair": "watch", "bad": "risk", "": ""}


def item(
    text: str,
    date: str | None = None,
    state: str = "",
    who: str | None = None,
    tag: str = "",
    *,
    customer: str | None = None,
    internal: bool = False,
) -> dict[str, Any]:
    """Build one item of a list.

    Parameters
    ----------
    text : the text.
    date : an ISO date or instant.
    state : good, fair, bad or empty.
    who : who acts, or the person that the item is about.
    tag : the label of the state; by default that of `TAGS`.
    customer : who acts on the customer's side.
    internal : whether it is for the account team only.

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
        "customer": customer,
        "internal": internal,
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


def goal_figures(account: AccountFacts, features: Iterable[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the figures about goals as `available_figures`, without counts of zero and without an earlier value, since
    a count over a year tells nothing about the quarter."""
    figures, missing = available_figures(account, features)
    return [{**each, "then": None, "then_words": None} for each in figures if each["value"] != 0], missing


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
            "no individual events (goals, tickets, people): an earlier release published this snapshot; score it again"
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

    Each has contact_id, name (None if unknown), roles, since, and left (the date, for those who left all roles).
    """
    if account.rows is None or "relationship" not in account.rows:
        return []
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in account.rows["relationship"]:
        latest[row["contact_id"], row["role"]] = row
    people: dict[str, dict[str, Any]] = {}
    for (contact, _), row in latest.items():
        unknown: dict[str, Any] = {"contact_id": contact, "name": None, "roles": [], "since": None, "left": None}
        person = people.setdefault(contact, unknown)
        person["name"] = row.get("contact_name") or person["name"]
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
    items = []
    for row in account.events("outcomes"):
        if row["kind"] in kinds:
            unit = {"nps": "of 10", "csat": "of 5", "ces": "of 7", "roi_reported": "times the spend"}.get(
                row["kind"], ""
            )
            value = "" if row["value"] is None or not unit else f": {number_words(row['value'])} {unit}"
            state, tag = OUTCOME_STATES.get(row["kind"], ("", ""))
            # The text of a survey answer is the customer's comment.
            own = row.get("text") if row["kind"] in OUTCOME_STATES else None
            text = own or f"{OUTCOMES[row['kind']]}{value}"
            items.append(item(text, row["occurred_at"], state, tag=tag))
    return items


def open_goals(account: AccountFacts) -> list[dict[str, Any]]:
    """Return the goals of the last year that were set, and neither met nor missed since: rows of ``outcomes``.

    Goals without a text are left out, since nothing tells which of them were met.
    """
    goals: dict[str, dict[str, Any]] = {}
    for row in (account.rows or {}).get("outcomes", []):
        text = row.get("text")
        if text and row["kind"] == "goal_set":
            goals[text] = row
        elif text and row["kind"] in ("goal_met", "goal_missed"):
            goals.pop(text, None)
    return list(goals.values())


def customer_owner(people: Sequence[dict[str, Any]], role: str) -> str:
    """Return who acts on the customer's side: the name of the person with a role, or else the role.

    Parameters
    ----------
    people : the contacts (`contacts`).
    role : a role of the data contract, such as ``champion``.
    """
    words = ROLES[role]
    return next((p["name"] for p in people if words in p["roles"] and p["name"]), f"the {words}")


def count_by(rows: Iterable[dict[str, Any]], by: str) -> dict[str, int]:
    """Count the rows of each value; null is "unknown"."""
    return dict(sorted(Counter(str(row[by] or "unknown") for row in rows).items()))


def _rank(roles: Sequence[str]) -> int:
    return min((list(ROLES.values()).index(role) for role in roles), default=len(ROLES))
