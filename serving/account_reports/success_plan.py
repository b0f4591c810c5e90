"""The plan for one account: a save plan if it is at risk, otherwise a success plan."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from features.utils.dates import to_iso
from features.utils.formatting import percent
from models.peer_groups.rule_files import read_rules
from models.peer_groups.segments import SegmentsFile, segments_file
from models.predictions.payload import format_instant
from models.rules.plays import PlaysFile, choose_play
from serving.account_reports.account_facts import AccountFacts
from serving.account_reports.business_review import (
    expansion_section,
    notice_date,
    partnership_section,
    people_section,
    risk_section,
)
from serving.account_reports.editions import has_content
from serving.account_reports.onboarding_plan import onboarding_sections
from serving.account_reports.sections import (
    available_figures,
    contacts,
    customer_owner,
    fact,
    gaps,
    goal_figures,
    item,
    open_goals,
    outcome_items,
    section,
)

PRESSING = ("immediate", "high")
GOALS = ("outcomes.goals_set_364d", "outcomes.goals_met_364d", "outcomes.goals_missed_364d", "outcomes.roi_last")
GOAL_KINDS = ("goal_set", "goal_met", "goal_missed")
REVIEW_AFTER_DAYS = 30
"""Days until the plan is reviewed."""


def build_plan(account: AccountFacts) -> dict[str, Any]:
    """Build the plan as of ``account.as_of``, in its edition for the account team.

    It is a save plan if the account has a save play (`models.rules.playbook`). The edition for the customer
    (`serving.account_reports.editions.edition_of`) is a success plan in either case.

    Returns
    -------
    dict for JSON: document, edition, kind (save or success), because (why, a sentence each), account_id, name, as_of,
    data_through, owner (the CSM; None unknown), sections (`serving.account_reports.sections.section`: partnership,
    the first days and phases of an account that is being onboarded, goals, people, risks with their plays, milestones,
    health and risk of a save plan, and expansion if it is recommended), questions (information to add by hand) and
    gaps. A section without content is absent.
    """
    reasons = save_plan_reasons(account.prediction)
    owner = (account.contract or {}).get("csm")
    kind = "save" if reasons else "success"
    sections = [
        partnership_section(account),
        *onboarding_sections(account),
        _goals(account),
        _stakeholders(account),
        milestones_section(account, owner),
        _save_milestones(account, kind, owner),
        _risks(account, owner),
    ]
    if kind == "save":
        sections.append(risk_section(account))
    # The criteria decide, whatever the model predicts. A save plan recommends no expansion.
    if account.prediction["expansion"]["ready"] and kind == "success":
        sections.append(expansion_section(account))
    return {
        "document": "plan",
        "edition": "internal",
        "kind": kind,
        "because": reasons or ["No save plan is needed."],
        "account_id": account.account_id,
        "name": (account.contract or {}).get("name"),
        "as_of": format_instant(account.as_of),
        "data_through": format_instant(account.data_through),
        "owner": owner,
        "sections": [part for part in sections if has_content(part)],
        "questions": _information_to_add(account, owner),
        "gaps": gaps(account),
    }


def save_plan_reasons(prediction: Mapping[str, Any]) -> list[str]:
    """Return why an account has a save play, a sentence each; empty if it has none.

    Parameters
    ----------
    prediction : its answer (`models.predictions.payload.account_answer`).
    """
    codes = [code for play in prediction["plays"] if play["kind"] == "save" for code in play["because"]]
    signs = {sign["code"]: sign["says"] for sign in prediction["early_warnings"]}
    sentences = []
    for code in codes:
        if code in signs:
            sentences.append(f"{signs[code][:1].upper()}{signs[code][1:]}.")
        elif code.startswith("health_"):
            health = prediction["health"]
            causes = f" It is lowered most by {'; '.join(health['lowered_by'])}." if health["lowered_by"] else ""
            sentences.append(f"The health score is {health['band']}: {health['score']:g} of 100.{causes}")
        elif code.startswith("churn_"):
            probability, days = prediction["churn"]["probability"], prediction["horizon_days"]
            band = prediction["churn"]["band"]
            sentences.append(f"The model's churn risk is {band}: {percent(probability, 0)} within {days} days.")
    return sentences


def _goals(account: AccountFacts) -> dict[str, Any]:
    figures, missing = goal_figures(account, GOALS)
    items = outcome_items(account, GOAL_KINDS)
    if account.rows is None:
        missing.append("individual goals and their dates")
    return section("goals", "Goals", figures=figures, items=items, missing=missing)


def _stakeholders(account: AccountFacts) -> dict[str, Any]:
    if account.rows is None:
        names = ("relationship.champions", "relationship.executive_sponsors", "relationship.decision_makers")
        figures, unknown = available_figures(account, names)
        return section("stakeholders", "Stakeholders", figures=figures, missing=[*unknown, "names and roles"])
    return people_section(account, "stakeholders", "Stakeholders")


def _risks(account: AccountFacts, owner: str | None) -> dict[str, Any]:
    """Return the account's plays with owner and due date, then its warnings.

    A warning that counts gets an action for the CSM if no play covers it.
    """
    prediction, rules = account.prediction, read_rules("plays", PlaysFile)
    renewal = account.values.get("contract.days_to_renewal")
    days = None if renewal is None else float(renewal)
    plays = prediction["plays"]
    items = [
        item(
            f"{p['name'].replace('_', ' ')}: {p['act']}",
            p["due"],
            "bad" if p["overdue"] or p["severity"] == "high" else "fair",
            _owner(p["who"], owner),
            "overdue" if p["overdue"] else "play",
        )
        for p in plays
    ]
    covered = {p["name"] for p in plays}
    saving = any(p["kind"] == "save" for p in plays)
    for sign in prediction["early_warnings"]:
        state = "fair" if sign["standing"] == "watch" or sign["severity"] not in PRESSING else "bad"
        text, due, who = sign["says"], sign["since"], None
        if saving and sign["standing"] == "risk" and sign["cause"] not in covered:
            # Executives have little time: actions besides the account's play go to the CSM.
            play = choose_play(sign["cause"], "medium", account.as_of, days, rules)
            text, due, who = f"{sign['says']}: {play.act}", play.due.isoformat(), _owner(play.who, owner)
            covered.add(sign["cause"])
        items.append(item(text, due, state, who, sign["standing"]))
    figures = [] if items else [fact("risks that need a play", "none known")]
    return section("risks", "Risks and plays", internal=True, figures=figures, items=items)


def milestones_section(account: AccountFacts, owner: str | None) -> dict[str, Any]:
    """Build the milestones with a date and an owner on both sides: open goals, the segment's cycle, and the renewal.

    Parameters
    ----------
    account : the facts about the account.
    owner : the CSM; None if unknown.
    """
    rules, at, people = segments_file(), account.as_of, contacts(account)
    us = owner or "the CSM"
    champion, sponsor = customer_owner(people, "champion"), customer_owner(people, "executive_sponsor")
    items = [item("review this plan: what was done, what has changed", _in(at, REVIEW_AFTER_DAYS), "", us)]
    items[0]["customer"] = champion
    items += [item(f"goal: {row['text']}", None, "", us, "open", customer=champion) for row in open_goals(account)]
    missing, days = [], account.values.get("contract.days_to_renewal")
    if notice_date(account) is not None:
        days = None
    elif days is None:
        missing.append("the renewal date")
    if days is not None and days >= 0:
        until = int(days)
        term = account.values.get("contract.term_days")
        start = until - rules.renewal_talks_days
        if (term is None or term >= rules.renewal_talks_days) and start > 0:
            items.append(item("start to talk about the renewal", _in(at, start), "", us, customer=sponsor))
        items.append(item("renewal", _in(at, until), "", us, customer=sponsor))
    if not account.values.get("outcomes.goals_set_364d") and not open_goals(account):
        text = "agree on goals and how they are measured"
        items.append(item(text, _in(at, REVIEW_AFTER_DAYS), "", us, customer=champion))
    return section("milestones", "Milestones", items=sorted(items, key=_date), missing=missing)


def _save_milestones(account: AccountFacts, kind: str, owner: str | None) -> dict[str, Any]:
    """Return the internal milestones: reviews of the health score, renewal talks that are late, notice, first play."""
    rules, at = segments_file(), account.as_of
    items = [item("review the health score", _in(at, _health_days(rules, account.prediction["segment"])), who=owner)]
    days = account.values.get("contract.days_to_renewal")
    if (given := notice_date(account)) is not None:
        text = f"notice was given on {given}: speak with the decision maker before the contract ends"
        items.append(item(text, _in(at, 0), "bad", owner, "notice"))
    if days is not None and days < 0:
        items.append(item("the renewal is overdue: get it signed", _in(at, 0), "bad", owner, "overdue"))
    elif days is not None:
        # Before the start date talks are planned, from then to the latest date they are due, after that they are late.
        start, latest = int(days) - rules.renewal_talks_days, int(days) - rules.renewal_talks_latest_days
        term = account.values.get("contract.term_days")
        if term is not None and term < rules.renewal_talks_days:
            text = f"the contract renews every {term:.0f} days, without renewal talks"
            items.append(item(text, _in(at, int(days)), who=owner))
        elif start <= 0 <= latest:
            text = "the renewal talks should have started: start by this date"
            items.append(item(text, _in(at, latest), "fair", owner))
        elif latest < 0:
            items.append(item("the renewal talks are late: start them now", _in(at, 0), "bad", owner, "late"))
    if kind == "save":
        plays = [play for play in account.prediction["plays"] if play["kind"] == "save"]
        items += [item("run the first play", play["due"], who=_owner(play["who"], owner)) for play in plays[:1]]
    touch = account.prediction["touch"]
    figures = [] if touch is None else [fact("service level of the segment", touch)]
    return section(
        "our_milestones",
        "Milestones of the account team",
        internal=True,
        figures=figures,
        items=sorted(items, key=_date),
    )


def _information_to_add(account: AccountFacts, owner: str | None) -> list[str]:
    information = []
    goals = [row for row in (account.rows or {}).get("outcomes", []) if row["kind"] in GOAL_KINDS]
    if not any(row.get("text") for row in goals):
        why = (
            "the signals only show whether they were set, met or missed"
            if goals
            else "no goal of the last year is known"
        )
        information.append(f"Goals, in the customer's own words: {why}.")
    if owner is None:
        information.append("The owner: no CSM is known for this account.")
    present = [person for person in contacts(account) if person["roles"]]
    if unnamed := [person["contact_id"] for person in present if not person["name"]]:
        information.append(f"The names of stakeholders who are known only by an id: {', '.join(unnamed)}.")
    if present:
        information.append("The stakeholders' interests: the signals have only their roles.")
    return information


def _owner(who: str, csm: str | None) -> str:
    return csm if who == "csm" and csm is not None else {"csm": "the CSM"}.get(who, who)


def _health_days(rules: SegmentsFile, segment: str | None) -> int:
    return next((s.health_every_days for s in rules.segments if s.name == segment), 7)


def _in(at: datetime, days: int) -> str:
    return to_iso(at + timedelta(days=days))[:10]


def _date(item: Mapping[str, Any]) -> str:
    return item["date"] or ""
