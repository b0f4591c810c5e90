"""The business review of one account for a quarter. It names the information that is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from features.errors import BadRequest
from features.utils.dates import to_iso
from features.utils.formatting import day, money, percent, plain, whole_days
from features.utils.periods import Period
from models.predictions.payload import format_instant
from models.rules.business_reviews import GOAL_FEATURES
from serving.account_reports.account_facts import AccountFacts
from serving.account_reports.editions import has_content, is_for_customer
from serving.account_reports.metrics import section_metrics
from serving.account_reports.narrative import achievement_lines, summary_lines
from serving.account_reports.next_steps import (
    actions_section,
    agenda_section,
    next_goals_section,
    next_quarter_end,
    preparation_section,
    roadmap_section,
)
from serving.account_reports.sections import (
    SEVERE,
    contacts,
    count_by,
    dated_fact,
    fact,
    gaps,
    goal_figures,
    item,
    outcome_items,
    section,
)

GATE = {
    "health_green": "health is green",
    "adoption_above_segment": "adoption is above the segment's average",
    "nps_8_or_more": "the latest NPS answer is 8 or more",
    "executive_relationship": "there is an executive relationship",
    "use_case_for_more": "there is a use case for expansion",
    "budget_authority_known": "the budget decision maker is known",
}
INTERNAL_TOPICS = frozenset({"competitor"})
"""Topics of tickets that the customer's edition does not name."""
STATES = {"met": ("good", "met"), "not_met": ("bad", "not met"), "unknown": ("fair", "unknown")}
DIRECTIONS = {"raises_risk": "bad", "lowers_risk": "good", "raises_chance": "good", "lowers_chance": "fair"}


def build_review(account: AccountFacts, quarter: Period, name: str, meeting: date | None = None) -> dict[str, Any]:
    """Build the business review of a quarter, in its edition for the account team.

    `serving.account_reports.editions.edition_of` makes the edition for the customer from it.

    Parameters
    ----------
    account : the facts about the account; they end at the quarter's end or before.
    quarter : the quarter.
    name : the name of the quarter.
    meeting : the date of the meeting; None if there is none yet. Agenda, actions and preparation depend on it.

    Returns
    -------
    dict for JSON: document, edition, account_id, name, quarter, period, meeting_date, as_of, data_through, complete
    (whether the quarter is over), source (signals or published), sections
    (`serving.account_reports.sections.section`), questions and gaps (a sentence each). Sections, figures and items that
    are ``internal`` are for the account team, not for the customer. A section without content is absent.

    Raises
    ------
    BadRequest : the meeting is before the end of the data.
    """
    if meeting is not None and meeting < account.as_of.date():
        raise BadRequest(
            f"the meeting on {meeting} is before {account.as_of.date()}, which the review is as of",
            "a date of the meeting that is not before the figures",
            "correct the date of the meeting, or choose an earlier quarter",
        )
    complete = account.as_of >= quarter.end
    use, value, support = use_section(account), value_section(account), support_section(account)
    metrics = [each for part in (use, value, support) for each in part["metrics"]]
    ahead = [
        goals_section(account, achievement_lines(metrics)),
        use,
        value,
        support,
        roadmap_section(account),
        next_goals_section(account, metrics, next_quarter_end(quarter)),
        actions_section(account, metrics, quarter, meeting),
    ]
    present = [part for part in ahead if has_content(part)]
    sections = [
        section("summary", "Summary", lines=summary_lines(account, metrics)),
        agenda_section(account, {part["section"] for part in present if is_for_customer(part)}, meeting),
        partnership_section(account),
        people_section(account),
        *present,
        risk_section(account),
        expansion_section(account),
        preparation_section(account, meeting),
    ]
    return {
        "document": "qbr",
        "edition": "internal",
        "account_id": account.account_id,
        "name": (account.contract or {}).get("name"),
        "quarter": name,
        "period": {"start": to_iso(quarter.start), "end": to_iso(quarter.end)},
        "meeting_date": None if meeting is None else meeting.isoformat(),
        "as_of": format_instant(account.as_of),
        "data_through": format_instant(account.data_through),
        "complete": complete,
        "source": "published" if account.rows is None else "signals",
        "sections": [part for part in sections if has_content(part)],
        "questions": _questions(account),
        "gaps": gaps(account)
        + ([] if complete else [f"the quarter has not ended: this review is as of {day(account.as_of)}"]),
    }


def partnership_section(account: AccountFacts) -> dict[str, Any]:
    """Build the partnership section: the customer, its contract and its CSM."""
    contract, moved, prediction = account.contract or {}, account.arr_movements or {}, account.prediction
    days = account.values.get("contract.days_to_renewal")
    notice = notice_date(account)
    figures = [
        fact(
            "annual recurring revenue",
            contract.get("arr", account.values.get("contract.arr")),
            "currency",
            # A new customer had none.
            moved.get("arr_start") or None,
        ),
        dated_fact("customer since", contract.get("created_at")),
        fact("plan", contract.get("plan", account.values.get("contract.plan"))),
        fact("licensed seats", contract.get("seats", account.values.get("contract.seats"))),
        dated_fact("next renewal", contract.get("renewal_at")),
        None if days is None else fact("days to renewal", whole_days(days), internal=True),
        None if notice is None else dated_fact("notice given", notice, internal=True),
        fact("segment", prediction["segment"], internal=True),
        fact("CSM", contract.get("csm")),
    ]
    missing = [f["label"] for f in figures if f is not None and f["value"] is None]
    items = []
    if moved.get("expanded"):
        items.append(item(f"the contract grew by {money(moved['expanded'])} a year", state="good", tag="grew"))
    if moved.get("contracted"):
        text = f"the contract shrank by {money(moved['contracted'])} a year"
        items.append(item(text, state="bad", internal=True))
    if moved.get("new"):
        items.append(item("the customer is new", state="good", tag="new"))
    known = [f for f in figures if f is not None and f["value"] is not None]
    return section("partnership", "Partnership", figures=known, items=items, missing=missing)


def notice_date(account: AccountFacts) -> str | None:
    """Return the day on which the customer gave notice; None if there was no notice or it is unknown."""
    given = (account.contract or {}).get("notice_at")
    return None if given is None else str(given)[:10]


def goals_section(account: AccountFacts, stories: Sequence[str] = ()) -> dict[str, Any]:
    """Build the section about what was achieved: sentences, goals with their results, milestones and first value."""
    figures, missing = goal_figures(account, GOAL_FEATURES)
    items = outcome_items(account, ("goal_set", "goal_met", "milestone", "first_value"))
    return section(
        "goals", "Achievements and goals", lines=list(stories), figures=figures, items=items, missing=missing
    )


def use_section(account: AccountFacts) -> dict[str, Any]:
    """Build the section about usage, with the active users by week."""
    metrics, missing = section_metrics(account, "use")
    weeks = [
        {"date": week["as_of"][:10], "users": week.get("usage.active_users_7d"), "events": week.get("usage.events_7d")}
        for week in account.weeks
    ]
    drawn = len(weeks) > 1 and any(week["users"] is not None for week in weeks)
    picture = {"kind": "use", "label": "Active users by week", "points": weeks} if drawn else None
    return section("use", "Usage and adoption", metrics=metrics, picture=picture, missing=missing)


def value_section(account: AccountFacts) -> dict[str, Any]:
    """Build the section about value: returns, first value and surveys."""
    metrics, missing = section_metrics(account, "value")
    items = outcome_items(account, ("roi_reported", "nps", "csat", "ces"))
    return section("value", "Value delivered", metrics=metrics, items=items, missing=missing)


def support_section(account: AccountFacts) -> dict[str, Any]:
    """Build the section about challenges and how they were resolved: missed goals, and tickets."""
    metrics, missing = section_metrics(account, "support")
    items = outcome_items(account, ("goal_missed",))
    tickets, lines = account.events("support"), []
    if tickets:
        by = ", ".join(f"{n} {severity}" for severity, n in count_by(tickets, "severity").items())
        solved = sum(row["resolved_at"] is not None for row in tickets)
        lines.append(f"Tickets opened: {len(tickets)} ({by}); {solved} resolved.")
        items += [_ticket(row) for row in tickets if row["escalated"] or row["severity"] in SEVERE]
    return section("support", "Challenges and support", lines=lines, metrics=metrics, items=items, missing=missing)


def _ticket(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a severe or escalated ticket with its resolution. The topic that counts competitors is not named."""
    topic = row.get("topic")
    about = f" about {plain(topic)}" if topic and topic not in INTERNAL_TOPICS else ""
    kind = "escalated ticket" if row["escalated"] else f"ticket of {row['severity']} severity"
    if row["resolved_at"] is None:
        return item(f"{kind}{about}", row["occurred_at"], "bad", tag="open")
    resolved = f"{kind}{about}, resolved on {day(row['resolved_at'][:10])}"
    return item(resolved, row["occurred_at"], "good", tag="resolved")


def people_section(account: AccountFacts, key: str = "people", title: str = "People") -> dict[str, Any]:
    """Build the section about the people on both sides.

    A contact of the customer without a name is internal, since the id means nothing to the customer.

    Parameters
    ----------
    account : the facts about the account.
    key, title : of the section.
    """
    csm = (account.contract or {}).get("csm")
    items = [] if csm is None else [item(f"customer success manager: {csm}", tag="our side")]
    for person in contacts(account):
        called, held = person["name"] or person["contact_id"], ", ".join(person["roles"])
        if person["roles"]:
            text = f"{called}: {held}, since {day(str(person['since'])[:10])}"
            items.append(item(text, tag="your side", internal=person["name"] is None))
        else:
            items.append(item(f"{called} has left", person["left"], "bad", tag="left", internal=True))
    roles = {role for person in contacts(account) for role in person["roles"]}
    is_read = account.rows is not None and "relationship" in account.rows
    wanted = ("champion", "executive sponsor", "decision maker") if is_read else ()
    return section(key, title, items=items, missing=[f"the {role}" for role in wanted if role not in roles])


def risk_section(account: AccountFacts) -> dict[str, Any]:
    """Build the risk section: health by week, churn probability, reasons and warnings."""
    prediction = account.prediction
    health, churn = prediction["health"], prediction["churn"]
    figures = [
        None
        if health["score"] is None
        else {**fact("health score", health["score"]), "words": f"{health['score']:g} of 100"},
        fact("health band", health["band"].replace("_", " ")),
        fact("churn probability", churn["probability"], "share") if churn["probability"] is not None else None,
        fact("churn band", churn["band"]) if churn["band"] is not None else None,
    ]
    if churn["interval"] is not None:
        low, high = churn["interval"]
        figures[2] = {
            **fact("churn probability", churn["probability"], "share"),
            "note": f"between {percent(low, 0)} and {percent(high, 0)}",
        }
    items = [item(sign["says"], sign["since"], _severity(sign)) for sign in prediction["early_warnings"]]
    items += [
        item(_without_direction(reason["text"]), state=DIRECTIONS[reason["direction"]], tag=plain(reason["direction"]))
        for reason in prediction["reasons"]
    ]
    scores = [{"date": point["as_of"][:10], "score": point["score"]} for point in health["history"]]
    picture = {"kind": "health", "label": "Health score by week", "points": scores} if len(scores) > 1 else None
    missing = [] if health["score"] is not None else ["the health score"]
    missing += [] if churn["probability"] is not None else ["the churn probability"]
    return section(
        "risk", "Health and risk", internal=True, figures=figures, items=items, picture=picture, missing=missing
    )


def _without_direction(text: str) -> str:
    """Return a reason without its direction, which the label next to it has."""
    return text.removesuffix("; raises churn risk").removesuffix("; lowers churn risk")


def expansion_section(account: AccountFacts) -> dict[str, Any]:
    """Build the expansion section: the criteria, and a recommendation only if all are met."""
    expansion = account.prediction["expansion"]
    items = []
    for gate in expansion["gate"]:
        state, tag = STATES[gate["state"]]
        items.append(item(GATE.get(gate["item"], gate["item"].replace("_", " ")), state=state, tag=tag))
    signs = [item(sign["says"], tag="signal") for sign in expansion["signals"]]
    if expansion["ready"]:
        # A warning that is not immediate does not block the recommendation, but must be resolved first.
        high = [w for w in account.prediction["early_warnings"] if (w["standing"], w["severity"]) == ("risk", "high")]
        items = [item(f"resolve first: {w['says']}", w["since"], "bad") for w in high] + items
    recommendation = expansion["type"] or "expansion" if expansion["ready"] else "none"
    if expansion["withdrawn"] is not None:
        recommendation += f" ({expansion['withdrawn']})"
    figures = [fact("recommendation", recommendation), fact("readiness points", expansion["points"])]
    if expansion["probability"] is not None:
        figures.append(fact("expansion probability", expansion["probability"], "share"))
    missing = [GATE.get(g["item"], g["item"]) for g in expansion["gate"] if g["state"] == "unknown"]
    return section("expansion", "Expansion", internal=True, figures=figures, items=items + signs, missing=missing)


def _severity(sign: dict[str, Any]) -> str:
    return "fair" if sign["standing"] == "watch" or sign["severity"] in ("medium", "early") else "bad"


def _questions(account: AccountFacts) -> list[str]:
    """Return the questions that follow from the account's data and from missing data."""
    values, prediction = account.values, account.prediction
    people = contacts(account)
    roles = {role for person in people for role in person["roles"]}
    rows = account.rows or {}
    questions: list[str] = []

    def ask(condition: bool, question: str) -> None:
        if condition:
            questions.append(question)

    def number(name: str) -> float:
        value = values.get(name)
        return float("nan") if value is None else float(value)

    ask(
        number("outcomes.nps_last") <= 6,
        f"The latest NPS answer is {number('outcomes.nps_last'):g}: what needs to change?",
    )
    ask(
        number("usage.events_trend_28d") <= 0.7,
        "Usage is down by 30% or more: what has changed in the team or its work?",
    )
    ask(
        number("usage.seats_used_share") < 0.5,
        "Fewer than half of the seats are used: who was expected to use them, and what prevents it?",
    )
    ask(
        number("support.open_severe_tickets") >= 1,
        "Tickets of high or urgent severity are open: what do they block, and by when must they be resolved?",
    )
    ask(
        number("contract.renewal_overdue") >= 1, "The renewal date has passed without a signature: what is blocking it?"
    )
    ask(0 <= number("contract.days_to_renewal") <= 120, "The renewal is near: who decides, based on what, and when?")
    ask(
        number("engagement.qbrs_missed_182d") >= 1,
        "A business review was missed: is this meeting the right one, with the right people?",
    )
    ask(number("outcomes.goals_missed_364d") >= 1, "Goals were missed: do they still matter, and what prevented them?")
    if "outcomes" in rows or values.get("outcomes.goals_set_364d") is not None:
        ask(
            number("outcomes.goals_set_364d") == 0,
            "No goal was set in the last year: what should the next quarter achieve, and how will it be measured?",
        )
    ask(
        values.get("outcomes.roi_last") is None,
        "No return was ever reported: what is the product worth to the customer, in their own numbers?",
    )
    if "relationship" in rows:
        ask("champion" not in roles, "No champion is known: who would miss the product most?")
        ask("executive sponsor" not in roles, "No executive sponsor is known: who is responsible for the results?")
    unknown = [GATE.get(g["item"], g["item"]) for g in prediction["expansion"]["gate"] if g["state"] == "unknown"]
    questions += [f"Find out whether {words}." for words in unknown if words != GATE["health_green"]]
    return questions
