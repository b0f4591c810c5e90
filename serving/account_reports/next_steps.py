"""What a business review leads to: its agenda, the roadmap, goals and actions with owners and dates, preparation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from math import ceil
from typing import Any

from features.utils.dates import to_iso
from features.utils.formatting import day
from features.utils.periods import Period, Quarter
from models.peer_groups.segments import segments_file
from models.rules.business_reviews import business_reviews_file, roadmap_file
from serving.account_reports.account_facts import AccountFacts
from serving.account_reports.metrics import lower_first, unmet_metrics
from serving.account_reports.sections import SEVERE, contacts, customer_owner, item, open_goals, section

REVIEW_WITHIN_DAYS = 14
"""Days after the end of a quarter within which its review is held."""
PROPOSED = 3
"""The maximum number of goals that are proposed from metrics below their target."""


WEEKS_TO_NEXT = 13
"""Weeks from one review to the next: a quarter."""


def next_review(quarter: Period, meeting: date | None) -> date:
    """Return the date of the next review: a quarter of weeks after this one, and not before the next quarter ends.

    Without a date of this one, it is the last day on which the next one is to be held.
    """
    ends = next_quarter_end(quarter).date()
    if meeting is None:
        return ends + timedelta(days=REVIEW_WITHIN_DAYS)
    following = meeting + timedelta(weeks=WEEKS_TO_NEXT)
    return following if following >= ends else following + timedelta(weeks=-((following - ends).days // 7))


def next_quarter_end(quarter: Period) -> datetime:
    """Return the end of the quarter after a quarter."""
    return Quarter.of(quarter.end).period.end


def agenda_section(account: AccountFacts, sections: Collection[str], meeting: date | None = None) -> dict[str, Any]:
    """Build the timed agenda of the account's segment.

    Parameters
    ----------
    account : the facts about the account.
    sections : the sections of the review that a customer sees. Parts about others are left out, and their minutes go
        to the part that takes the rest.
    meeting : the date of the meeting; None if there is none yet.
    """
    agenda = business_reviews_file().agenda(account.prediction["segment"])
    parts = [part for part in agenda.parts if part.rest or not part.sections or set(part.sections) & set(sections)]
    spare = [sum(each) for each in zip(*((p.minutes, p.longest) for p in agenda.parts if p not in parts), strict=True)]
    items, begins, latest = [], 0, 0
    for part in parts:
        shortest, longest = part.minutes, part.longest
        if part.rest and spare:
            shortest, longest = shortest + spare[0], longest + spare[1]
        duration = f"{shortest} minutes" if shortest == longest else f"{shortest} to {longest} minutes"
        items.append(item(part.title, tag=duration))
        begins, latest = begins + shortest, latest + longest
    length = f"{begins} minutes" if begins == latest else f"{begins} to {latest} minutes"
    held = "" if meeting is None else f", on {day(meeting)}"
    return section("agenda", f"Agenda, {length}{held}", items=items)


def roadmap_section(account: AccountFacts) -> dict[str, Any]:
    """Build the section about the roadmap, from ``roadmap.toml``."""
    plan = (account.contract or {}).get("plan", account.values.get("contract.plan"))
    entries = [each for each in roadmap_file().entries if each.is_for(plan, account.prediction["segment"])]
    items = [
        item(each.title if each.text is None else f"{each.title}: {each.text}", tag=each.when or "") for each in entries
    ]
    return section("roadmap", "What is coming", items=items)


def next_goals_section(account: AccountFacts, metrics: Sequence[Mapping[str, Any]], by: datetime) -> dict[str, Any]:
    """Build the goals for the next quarter: those that are open, and proposals for metrics below their target.

    Parameters
    ----------
    account : the facts about the account.
    metrics : the metrics of the review.
    by : the date by which proposed goals are to be met.
    """
    csm, people = (account.contract or {}).get("csm"), contacts(account)
    owners: dict[str, Any] = {"who": csm or "the CSM", "customer": customer_owner(people, "champion")}
    texts = [f"{row['text']} (set on {day(row['occurred_at'][:10])})" for row in open_goals(account)]
    items = [item(text, tag="open", **owners) for text in texts]
    date = to_iso(by - timedelta(days=1))
    for each in unmet_metrics(metrics)[:PROPOSED]:
        text = f"{each['label']}: from {each['words']} to {each['target_words']}"
        items.append(item(text, date, tag="proposed", **owners))
    return section("next_goals", "Goals for the next quarter", items=items)


def actions_section(
    account: AccountFacts, metrics: Sequence[Mapping[str, Any]], quarter: Period, meeting: date | None = None
) -> dict[str, Any]:
    """Build the actions, each with an owner on both sides and a date.

    Parameters
    ----------
    account : the facts about the account.
    metrics : the metrics of the review.
    quarter : the quarter of the review.
    meeting : the date of the meeting, from which the days for the actions count; None if there is none yet.
    """
    rules, people = business_reviews_file(), contacts(account)
    steps = {metric.feature: metric.next_step for metric in rules.metrics}
    csm = (account.contract or {}).get("csm") or "the CSM"
    champion, sponsor = customer_owner(people, "champion"), customer_owner(people, "executive_sponsor")
    due = ((meeting or account.as_of.date()) + timedelta(days=rules.action_days)).isoformat()
    notes = f"send the notes and these actions within {rules.follow_up_hours} hours of the review"
    items = [item(notes, _follow_up(meeting), who=csm)]
    items.append(item("agree on the goals for the next quarter", due, who=csm, customer=champion))
    for row in account.events("support"):
        if row["resolved_at"] is None and (row["escalated"] or row["severity"] in SEVERE):
            opened = day(row["occurred_at"][:10])
            items.append(item(f"resolve the ticket that is open since {opened}", due, who=csm, customer=champion))
    for each in unmet_metrics(metrics)[:PROPOSED]:
        if (step := steps.get(each["feature"])) is not None:
            text = f"{lower_first(each['label'])}: {step}"
            items.append(item(text, due, who=csm, customer=champion))
    if account.rows is not None and "relationship" in account.rows:
        roles = {role for person in people for role in person["roles"]}
        if "executive sponsor" not in roles:
            items.append(item("name an executive sponsor", due, who=csm, customer=champion))
    items += _renewal(account, csm, sponsor)
    items.append(
        item("hold the next business review", next_review(quarter, meeting).isoformat(), who=csm, customer=sponsor)
    )
    return section("actions", "Actions", items=sorted(items, key=lambda each: each["date"] or ""))


def _renewal(account: AccountFacts, csm: str, sponsor: str) -> list[dict[str, Any]]:
    """Return the talk about the renewal, if one is due in the coming quarter and no notice was given."""
    days, contract = account.values.get("contract.days_to_renewal"), account.contract or {}
    rules = segments_file()
    if days is None or days < 0 or contract.get("notice_at") is not None:
        return []
    term = account.values.get("contract.term_days")
    start = max(int(days) - rules.renewal_talks_days, 0)
    if start > 91 or (term is not None and term < rules.renewal_talks_days):
        return []
    date = to_iso(account.as_of + timedelta(days=start))[:10]
    return [item("agree on the steps of the renewal", date, who=csm, customer=sponsor)]


def _follow_up(meeting: date | None) -> str | None:
    """Return the day by which the notes are sent; None without a date of the meeting."""
    if meeting is None:
        return None
    return (meeting + timedelta(days=ceil(business_reviews_file().follow_up_hours / 24))).isoformat()


def preparation_section(account: AccountFacts, meeting: date | None = None) -> dict[str, Any]:
    """Build the internal section about what to do before and after the review, and about the account's plays.

    Parameters
    ----------
    account : the facts about the account.
    meeting : the date of the meeting; None if there is none yet.
    """
    rules, csm = business_reviews_file(), (account.contract or {}).get("csm") or "the CSM"
    items = [
        item(
            "check the figures, answer the open questions, and agree on the agenda with the customer",
            None if meeting is None else (meeting - timedelta(days=rules.prepare_latest_days)).isoformat(),
            who=csm,
            tag=f"{rules.prepare_days} to {rules.prepare_latest_days} days before",
        ),
        item(
            "send the notes and the actions",
            _follow_up(meeting),
            who=csm,
            tag=f"within {rules.follow_up_hours} hours after",
        ),
        item(
            "record what you learned: judgment of the account, goals, people; the health score and the plan use them",
            who=csm,
            tag="after",
        ),
    ]
    for play in account.prediction["plays"]:
        who = csm if play["who"] == "csm" else play["who"]
        text = f"{play['name'].replace('_', ' ')}: {play['act']}"
        items.append(item(text, play["due"], "bad" if play["overdue"] else "fair", who, "play"))
    return section("preparation", "Before and after the review", internal=True, items=items)
