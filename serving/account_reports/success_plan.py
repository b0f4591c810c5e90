"""The plan for one account: a save plan where it is at risk, else a success plan, filled from what is known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from features.utils.dates import to_iso
from features.utils.formatting import percent
from models.peer_groups.rule_files import read_rules
from models.peer_groups.segments import SegmentsFile, segments_file
from models.predictions.payload import instant_words
from models.rules.plays import PlaysFile, play_for
from serving.account_reports.account_facts import Known
from serving.account_reports.business_review import expansion, notice_of, partnership, risk
from serving.account_reports.sections import fact, gaps, item, known_figures, outcome_items, people_in_place, section

PRESSING = ("immediate", "high")
GOALS = ("outcomes.goals_set_364d", "outcomes.goals_met_364d", "outcomes.goals_missed_364d", "outcomes.roi_last")
REVIEW_AFTER_DAYS = 30
"""A plan is looked at again after so many days."""


def plan_told(known: Known) -> dict[str, Any]:
    """The plan as of ``known.as_of``.

    It is a save plan where the account has a save play: where there is a reason to act (`models.rules.playbook`).

    Returns
    -------
    dict for JSON: document, kind (save or success), because (why, a sentence each), account_id, name, as_of,
    data_through, owner (the CSM; None unknown), sections (`serving.account_reports.sections.section`: partnership,
    goals,
    stakeholders, risks with their plays, milestones, and expansion where the gate allows a proposal), questions (what
    has to be filled in by hand) and gaps.
    """
    reasons = at_risk(known.answer)
    owner = (known.facts or {}).get("csm")
    kind = "save" if reasons else "success"
    milestones = _milestones(known, kind, owner)
    sections = [partnership(known), _goals(known), _stakeholders(known), _risks(known, owner), milestones]
    if kind == "save":
        sections.append(risk(known))
    # The gate decides, whatever the model says; a save plan proposes nothing.
    if known.answer["expansion"]["ready"] and kind == "success":
        sections.append(expansion(known))
    return {
        "document": "plan",
        "kind": kind,
        "because": reasons or ["Nothing calls for a save plan."],
        "account_id": known.account_id,
        "name": (known.facts or {}).get("name"),
        "as_of": instant_words(known.as_of),
        "data_through": instant_words(known.data_through),
        "owner": owner,
        "sections": sections,
        "questions": _to_fill_in(known, owner),
        "gaps": gaps(known),
    }


def at_risk(told: Mapping[str, Any]) -> list[str]:
    """Why an account has a save play, a sentence each; empty where it has none.

    Parameters
    ----------
    told : its answer (`models.predictions.payload.answer`).
    """
    codes = [code for play in told["plays"] if play["kind"] == "save" for code in play["because"]]
    signs = {sign["code"]: sign["says"] for sign in told["early_warnings"]}
    sentences = []
    for code in codes:
        if code in signs:
            sentences.append(f"{signs[code][:1].upper()}{signs[code][1:]}.")
        elif code.startswith("health_"):
            sentences.append(f"The health score is {told['health']['band']}: {told['health']['score']:g} of 100.")
        elif code.startswith("churn_"):
            probability, days = told["churn"]["probability"], told["horizon_days"]
            sentences.append(
                f"The model's churn risk is {told['churn']['band']}: {percent(probability, 0)} within {days} days."
            )
    return sentences


def _goals(known: Known) -> dict[str, Any]:
    figures, missing = known_figures(known, GOALS)
    items = outcome_items(known, ("goal_set", "goal_met", "goal_missed"))
    if known.rows is None:
        missing.append("the single goals and their dates")
    return section("goals", "Goals", figures=figures, items=items, missing=missing)


def _stakeholders(known: Known) -> dict[str, Any]:
    people = people_in_place(known)
    there = [p for p in people if p["roles"]]
    items = [item(f"{p['contact_id']}: {', '.join(p['roles'])}, since {str(p['since'])[:10]}") for p in there]
    items += [item(f"{p['contact_id']} has left", str(p["left"]), "bad", tag="left") for p in people if not p["roles"]]
    roles = {role for p in there for role in p["roles"]}
    missing = [f"the {role}" for role in ("champion", "executive sponsor", "decision maker") if role not in roles]
    if known.rows is None:
        names = ("relationship.champions", "relationship.executive_sponsors", "relationship.decision_makers")
        figures, unknown = known_figures(known, names)
        return section("stakeholders", "Stakeholders", figures=figures, missing=[*unknown, "who they are"])
    return section("stakeholders", "Stakeholders", items=items, missing=missing)


def _risks(known: Known, owner: str | None) -> dict[str, Any]:
    """The account's plays, who runs each and by when; then the warnings, those that count with what the CSM can do
    where the plays are about something else."""
    told, rules = known.answer, read_rules("plays", PlaysFile)
    renewal = known.values.get("contract.days_to_renewal")
    days = None if renewal is None else float(renewal)
    plays = told["plays"]
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
    for sign in told["early_warnings"]:
        state = "fair" if sign["standing"] == "watch" or sign["severity"] not in PRESSING else "bad"
        text, due, who = sign["says"], sign["since"], None
        if saving and sign["standing"] == "risk" and sign["cause"] not in covered:
            # Executives are few: what comes beside the account's play is the CSM's.
            play = play_for(sign["cause"], "medium", known.as_of, days, rules)
            text, due, who = f"{sign['says']}: {play.act}", play.due.isoformat(), _owner(play.who, owner)
            covered.add(sign["cause"])
        items.append(item(text, due, state, who, sign["standing"]))
    figures = [] if items else [fact("risks that call for a play", "none known")]
    return section("risks", "Risks and plays", internal=True, figures=figures, items=items)


def _milestones(known: Known, kind: str, owner: str | None) -> dict[str, Any]:
    """What is to happen, by when and by whom: from the renewal, the segment's rhythm and the plan itself."""
    rules, at = segments_file(), known.as_of
    items = [item("look at this plan again: what was done, what has changed", _in(at, REVIEW_AFTER_DAYS), who=owner)]
    items.append(
        item("look at the health score again", _in(at, _health_days(rules, known.answer["segment"])), who=owner)
    )
    missing = []
    days = known.values.get("contract.days_to_renewal")
    if (given := notice_of(known)) is not None:
        text = f"notice was given on {given}: speak with whoever decides before the contract ends"
        items.append(item(text, _in(at, 0), "bad", owner, "notice"))
    if days is None:
        missing.append("the renewal date")
    elif days < 0:
        items.append(item("the renewal is overdue: have it signed", _in(at, 0), "bad", owner, "overdue"))
    else:
        # Before the start they are planned; between start and latest they are due; after that they are late.
        until = int(days)
        start, latest = until - rules.renewal_talks_days, until - rules.renewal_talks_latest_days
        term = known.values.get("contract.term_days")
        if term is not None and term < rules.renewal_talks_days:
            items.append(
                item(f"the contract renews every {term:.0f} days: no talks are held ahead", _in(at, until), who=owner)
            )
        elif start > 0:
            items.append(item("start the renewal talks", _in(at, start), who=owner))
        elif latest >= 0:
            items.append(
                item("the renewal talks should have started: at the latest by then", _in(at, latest), "fair", owner)
            )
        else:
            items.append(item("the renewal talks are late: start them now", _in(at, 0), "bad", owner, "late"))
        items.append(item("renewal", _in(at, until), who=owner))
    if kind == "save":
        plays = [play for play in known.answer["plays"] if play["kind"] == "save"]
        items += [item("the first play is run", play["due"], who=_owner(play["who"], owner)) for play in plays[:1]]
    if not known.values.get("outcomes.goals_set_364d"):
        items.append(item("agree on goals and how they are measured", _in(at, REVIEW_AFTER_DAYS), who=owner))
    touch = known.answer["touch"]
    figures = [] if touch is None else [fact("rhythm of the segment", touch)]
    return section("milestones", "Milestones", figures=figures, items=sorted(items, key=_date), missing=missing)


def _to_fill_in(known: Known, owner: str | None) -> list[str]:
    asked = ["Goals, in the customer's own words: the signals hold only that they were set, met or missed."]
    if owner is None:
        asked.append("The owner: no CSM is known for this account.")
    if known.rows is not None and "relationship" in known.rows:
        asked.append("The stakeholders' names and what each wants: the signals hold ids and roles.")
    return asked


def _owner(who: str, csm: str | None) -> str:
    return csm if who == "csm" and csm is not None else {"csm": "the CSM"}.get(who, who)


def _health_days(rules: SegmentsFile, segment: str | None) -> int:
    return next((s.health_every_days for s in rules.segments if s.name == segment), 7)


def _in(at: datetime, days: int) -> str:
    return to_iso(at + timedelta(days=days))[:10]


def _date(told: Mapping[str, Any]) -> str:
    return told["date"] or ""
