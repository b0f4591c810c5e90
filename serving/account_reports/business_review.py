"""The business review of one account: what a quarter brought, from what is known, with what is missing named."""

from __future__ import annotations

from typing import Any

from features.utils.dates import to_iso
from features.utils.formatting import money, percent
from features.utils.periods import Period
from models.predictions.payload import instant_words
from serving.account_reports.account_facts import Known
from serving.account_reports.sections import (
    counted,
    fact,
    gaps,
    item,
    known_figures,
    outcome_items,
    people_in_place,
    section,
)

USE = (
    "usage.active_users_28d", "usage.seats_used_share", "usage.limit_used_share", "usage.features_used_28d",
    "usage.stickiness_28d", "usage.core_actions_28d", "usage.events_trend_91d", "usage.new_features_91d",
)  # fmt: skip
VALUE = (
    "outcomes.roi_last",
    "outcomes.goals_met_share_364d",
    "outcomes.days_to_first_value",
    "outcomes.nps_last",
    "outcomes.csat_last",
)
SUPPORT = (
    "support.tickets_91d", "support.severe_91d", "support.escalated_91d", "support.open_tickets",
    "support.resolution_hours_91d", "support.csat_182d",
)  # fmt: skip
GATE = {
    "health_green": "health is green",
    "adoption_above_segment": "adoption is above the segment's average",
    "nps_8_or_more": "the latest NPS answer is 8 or more",
    "executive_relationship": "there is a relationship with an executive",
    "use_case_for_more": "there is a use case for more",
    "budget_authority_known": "it is known who decides on the budget",
}
STATES = {"met": ("good", "met"), "not_met": ("bad", "not met"), "unknown": ("fair", "not known")}
DIRECTIONS = {"raises_risk": "bad", "lowers_risk": "good", "raises_chance": "good", "lowers_chance": "fair"}


def review_told(known: Known, quarter: Period, name: str) -> dict[str, Any]:
    """The review of ``quarter`` (called ``name``), from what is known at ``known.as_of``, at the latest the quarter's
    end.

    Returns
    -------
    dict for JSON: document, account_id, name, quarter, period, as_of, data_through, complete (whether the quarter is
    over), source (signals or published), sections (`serving.account_reports.sections.section`), questions and gaps (a
    sentence
    each). Sections that are ``internal`` are for the CSM, not for the customer.
    """
    complete = known.as_of >= quarter.end
    return {
        "document": "qbr",
        "account_id": known.account_id,
        "name": (known.facts or {}).get("name"),
        "quarter": name,
        "period": {"start": to_iso(quarter.start), "end": to_iso(quarter.end)},
        "as_of": instant_words(known.as_of),
        "data_through": instant_words(known.data_through),
        "complete": complete,
        "source": "published" if known.rows is None else "signals",
        "sections": [
            partnership(known),
            _goals(known),
            _use(known),
            _value(known),
            _support(known),
            risk(known),
            expansion(known),
        ],
        "questions": _questions(known),
        "gaps": gaps(known)
        + ([] if complete else [f"the quarter is not over: it is told as of {instant_words(known.as_of)}"]),
    }


def partnership(known: Known) -> dict[str, Any]:
    """Who the customer is, what runs, and who looks after it."""
    facts, moved, told = known.facts or {}, known.moved or {}, known.answer
    days = known.values.get("contract.days_to_renewal")
    notice = notice_of(known)
    figures = [
        fact(
            "annual recurring revenue",
            facts.get("arr", known.values.get("contract.arr")),
            "currency",
            moved.get("arr_start"),
        ),
        fact("customer since", (facts.get("created_at") or None) and str(facts["created_at"])[:10]),
        fact("plan", facts.get("plan", known.values.get("contract.plan"))),
        fact("licensed seats", facts.get("seats", known.values.get("contract.seats"))),
        fact("next renewal", (facts.get("renewal_at") or None) and str(facts["renewal_at"])[:10]),
        None if days is None else fact("days to renewal", round(days)),
        None if notice is None else fact("notice given", notice),
        fact("segment", told["segment"]),
        fact("looked after by", facts.get("csm")),
    ]
    missing = [f["label"] for f in figures if f is not None and f["value"] is None]
    items = []
    if moved.get("expanded"):
        items.append(item(f"the contract grew by {money(moved['expanded'])} a year", state="good"))
    if moved.get("contracted"):
        items.append(item(f"the contract shrank by {money(moved['contracted'])} a year", state="bad"))
    if moved.get("new"):
        items.append(item("the customer is new this quarter", state="good"))
    kept = [f for f in figures if f is not None and f["value"] is not None]
    return section("partnership", "Partnership", figures=kept, items=items, missing=missing)


def notice_of(known: Known) -> str | None:
    """The day on which the customer gave notice; None if not, or if it is not known."""
    given = (known.facts or {}).get("notice_at")
    return None if given is None else str(given)[:10]


def _goals(known: Known) -> dict[str, Any]:
    names = (
        "outcomes.goals_set_364d",
        "outcomes.goals_met_364d",
        "outcomes.goals_missed_364d",
        "outcomes.milestones_182d",
    )
    figures, missing = known_figures(known, names)
    items = outcome_items(known, ("goal_set", "goal_met", "goal_missed", "milestone", "first_value"))
    return section("goals", "Achievements and goals", figures=figures, items=items, missing=missing)


def _use(known: Known) -> dict[str, Any]:
    figures, missing = known_figures(known, USE)
    weeks = [
        {"date": week["as_of"][:10], "users": week.get("usage.active_users_7d"), "events": week.get("usage.events_7d")}
        for week in known.weeks
    ]
    drawn = len(weeks) > 1 and any(week["users"] is not None for week in weeks)
    picture = {"kind": "use", "label": "Active users by week", "points": weeks} if drawn else None
    return section("use", "Use and adoption", figures=figures, picture=picture, missing=missing)


def _value(known: Known) -> dict[str, Any]:
    figures, missing = known_figures(known, VALUE)
    items = outcome_items(known, ("roi_reported", "nps", "csat"))
    return section("value", "Value delivered", figures=figures, items=items, missing=missing)


def _support(known: Known) -> dict[str, Any]:
    figures, missing = known_figures(known, SUPPORT)
    items = []
    tickets = (known.rows or {}).get("support", [])
    if tickets:
        by = ", ".join(f"{n} {severity}" for severity, n in counted(tickets, "severity").items())
        solved = sum(row["resolved_at"] is not None for row in tickets)
        items.append(item(f"tickets opened: {len(tickets)} ({by}), of which {solved} are resolved"))
        items += [
            item("an escalated ticket" + ("" if row["resolved_at"] else ", not resolved"), row["occurred_at"], "bad")
            for row in tickets
            if row["escalated"]
        ]
    return section("support", "Support", figures=figures, items=items, missing=missing)


def risk(known: Known) -> dict[str, Any]:
    """Health by week, the churn probability, its reasons, warnings and alerts."""
    told = known.answer
    health, churn = told["health"], told["churn"]
    figures = [
        None
        if health["score"] is None
        else {**fact("health score", health["score"]), "words": f"{health['score']:g} of 100"},
        fact("band of health", health["band"].replace("_", " ")),
        fact("churn probability", churn["probability"], "share") if churn["probability"] is not None else None,
        fact("churn band", churn["band"]) if churn["band"] is not None else None,
    ]
    if churn["interval"] is not None:
        low, high = churn["interval"]
        figures[2] = {
            **fact("churn probability", churn["probability"], "share"),
            "note": f"between {percent(low, 0)} and {percent(high, 0)}",
        }
    items = [item(sign["says"], sign["since"], _severity(sign)) for sign in told["early_warnings"]]
    items += [
        item(reason["text"], state=DIRECTIONS[reason["direction"]], tag=reason["direction"].replace("_", " "))
        for reason in told["reasons"]
    ]
    scores = [{"date": point["as_of"][:10], "score": point["score"]} for point in health["history"]]
    picture = {"kind": "health", "label": "Health score by week", "points": scores} if len(scores) > 1 else None
    missing = [] if health["score"] is not None else ["the health score"]
    missing += [] if churn["probability"] is not None else ["the churn probability"]
    return section(
        "risk", "Health and risk", internal=True, figures=figures, items=items, picture=picture, missing=missing
    )


def expansion(known: Known) -> dict[str, Any]:
    """The gate, item by item; a proposal only where it is open."""
    told = known.answer["expansion"]
    items = []
    for gate in told["gate"]:
        state, tag = STATES[gate["state"]]
        items.append(item(GATE.get(gate["item"], gate["item"].replace("_", " ")), state=state, tag=tag))
    signs = [item(sign["says"], tag="sign") for sign in told["signals"]]
    if told["ready"]:
        # A warning that is not immediate lets the proposal stand, but comes before the talk about it.
        high = [w for w in known.answer["early_warnings"] if (w["standing"], w["severity"]) == ("risk", "high")]
        items = [item(f"to settle first: {w['says']}", w["since"], "bad") for w in high] + items
    proposed = f"{told['type'] or 'more'} may be proposed" if told["ready"] else "nothing is proposed"
    if told["withdrawn"] is not None:
        proposed += f", for this: {told['withdrawn']}"
    figures = [fact("proposal", proposed), fact("points of readiness", told["points"])]
    if told["probability"] is not None:
        figures.append(fact("probability of expansion", told["probability"], "share"))
    missing = [GATE.get(g["item"], g["item"]) for g in told["gate"] if g["state"] == "unknown"]
    return section("expansion", "Expansion", internal=True, figures=figures, items=items + signs, missing=missing)


def _severity(sign: dict[str, Any]) -> str:
    return "fair" if sign["standing"] == "watch" or sign["severity"] in ("medium", "early") else "bad"


def _questions(known: Known) -> list[str]:
    """What to ask, each because of something known or lacking."""
    values, told = known.values, known.answer
    people = people_in_place(known)
    roles = {role for person in people for role in person["roles"]}
    rows = known.rows or {}
    asked: list[str] = []

    def ask(condition: bool, question: str) -> None:
        if condition:
            asked.append(question)

    def number(name: str) -> float:
        value = values.get(name)
        return float("nan") if value is None else float(value)

    ask(
        number("outcomes.nps_last") <= 6,
        f"The latest NPS answer is {number('outcomes.nps_last'):g}: what would have to change?",
    )
    ask(
        number("usage.events_trend_28d") <= 0.7, "Use is down by 30% or more: what has changed in the team or its work?"
    )
    ask(
        number("usage.seats_used_share") < 0.5,
        "Fewer than half of the seats are used: who was meant to, and what keeps them?",
    )
    ask(
        number("support.open_severe_tickets") >= 1,
        "Tickets of high or urgent severity are open: what do they hold up, and by when must they be solved?",
    )
    ask(number("contract.renewal_overdue") >= 1, "The renewal date has passed unsigned: what is it waiting for?")
    ask(0 <= number("contract.days_to_renewal") <= 120, "The renewal is near: who decides on it, on what, and when?")
    ask(
        number("engagement.qbrs_missed_182d") >= 1,
        "A business review was missed: is this meeting the right one, with the right people?",
    )
    ask(
        number("outcomes.goals_missed_364d") >= 1, "Goals were missed: do they still matter, and what stood in the way?"
    )
    if "outcomes" in rows or values.get("outcomes.goals_set_364d") is not None:
        ask(
            number("outcomes.goals_set_364d") == 0,
            "No goal was set in a year: what should the next quarter achieve, and how will it be measured?",
        )
    ask(
        values.get("outcomes.roi_last") is None,
        "No return was ever reported: what is the product worth to the customer, in their own figures?",
    )
    if "relationship" in rows:
        ask("champion" not in roles, "No champion is known: who would miss the product most?")
        ask("executive sponsor" not in roles, "No executive sponsor is known: who answers for the result?")
    unknown = [GATE.get(g["item"], g["item"]) for g in told["expansion"]["gate"] if g["state"] == "unknown"]
    asked += [f"Find out whether {words}." for words in unknown if words != GATE["health_green"]]
    return asked
