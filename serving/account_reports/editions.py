"""The two editions of an account report: for the account team, with everything, and for the customer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Edition = Literal["customer", "internal"]
CONTENT = ("lines", "metrics", "figures", "items", "picture")
"""The parts of a section that a customer sees."""


UNNAMED_CHAMPION = "the champion"
"""The owner on the customer's side if no name is known (`serving.account_reports.sections.customer_owner`)."""


def edition_of(report: Mapping[str, Any], edition: Edition) -> dict[str, Any]:
    """Return an edition of a report.

    The edition for the customer has no internal sections, figures and items, nothing about what is unknown, no open
    questions, no names of features, and no reasons for a save plan: it is a success plan.

    Parameters
    ----------
    report : the report in its internal edition.
    edition : the edition.

    Returns
    -------
    dict for JSON
        A report of the same schema.
    """
    if edition == "internal":
        return dict(report)
    sections = [_for_customer(part) for part in report["sections"] if not part["internal"]]
    customer = {
        **report,
        "edition": "customer",
        "sections": [part for part in sections if has_content(part)],
        "questions": [],
        "gaps": [],
    }
    if report["document"] == "plan":
        customer |= {"kind": "success", "because": []}
    return customer


def has_content(part: Mapping[str, Any]) -> bool:
    """Return whether a section has anything to show, or says what is unknown."""
    return any(part[name] for name in (*CONTENT, "missing"))


def is_for_customer(part: Mapping[str, Any]) -> bool:
    """Return whether the customer's edition has a section."""
    return not part["internal"] and has_content(_for_customer(part))


def _for_customer(part: Mapping[str, Any]) -> dict[str, Any]:
    hidden = sum(each["internal"] for each in part["items"])
    return {
        **part,
        "metrics": [{**each, "feature": None} for each in part["metrics"]],
        "figures": [{**each, "feature": None} for each in part["figures"] if not each["internal"]],
        "items": [_item_for_customer(each) for each in part["items"] if not each["internal"]],
        # The items beyond the limit may be internal, so their number is not shown.
        "more_items": 0 if hidden else part["more_items"],
        "missing": [],
    }


def _item_for_customer(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item without the word champion, which customers do not use of their own people."""
    return {**item, "customer": "your team"} if item["customer"] == UNNAMED_CHAMPION else dict(item)
