"""The plan of an account that is being onboarded: a table of the first days, and phases of 30, 60 and 90 days."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from features.utils.dates import to_iso
from models.rules.success_plans import DayStep, PlanPhase, PlanStep, success_plans_file
from serving.account_reports.account_facts import AccountFacts
from serving.account_reports.metrics import lower_first
from serving.account_reports.sections import contacts, customer_owner, item, section

GREEN = "green"


def onboarding_sections(account: AccountFacts) -> list[dict[str, Any]]:
    """Build the sections of the onboarding, as ``success_plans.toml`` defines it.

    Parameters
    ----------
    account : the facts about the account.

    Returns
    -------
    list of dict
        Empty for accounts that are not being onboarded, or whose first day is unknown.
    """
    onboarding = account.prediction["onboarding"]
    if not onboarding["under_way"] or onboarding["day"] is None:
        return []
    rules, day = success_plans_file(), int(onboarding["day"])
    steps = [_day(account, step, day) for step in rules.days]
    handoff = [each for step in rules.days if step.handoff for each in _handoff(account, step, day)]
    phases = [row for phase in rules.phases for row in _phase(account, phase, day)]
    last = max((step.last for step in rules.days), default=0)
    longest = ", ".join(str(phase.until) for phase in rules.phases)
    return [
        section("first_days", f"The first {last} days (today is day {day})", items=steps),
        section("handoff", "Handover from onboarding", internal=True, items=handoff),
        section("phases", f"Plan of {longest} days", items=phases),
    ]


def _day(account: AccountFacts, step: DayStep, day: int) -> dict[str, Any]:
    when = f"day {step.first}" if step.first == step.last else f"days {step.first} to {step.last}"
    return _row(account, f"{when}: {lower_first(step.title)}", step, step.first, step.last, day, step.us, step.customer)


def _phase(account: AccountFacts, phase: PlanPhase, day: int) -> list[dict[str, Any]]:
    begins = f"by day {phase.until} ({lower_first(phase.title)})"
    return [
        _row(account, f"{begins}: {lower_first(gate.title)}", gate, 0, phase.until, day, phase.us, phase.customer)
        for gate in phase.gates
    ]


def _row(
    account: AccountFacts, text: str, step: PlanStep, first: int, last: int, day: int, us: str, customer: Any
) -> dict[str, Any]:
    """Return a step with its date, its owners on both sides and its state. What is unknown is not called late."""
    state, tag = _state(step, account, first, last, day)
    csm = (account.contract or {}).get("csm") or "the CSM"
    date = to_iso(account.as_of + timedelta(days=last - day))[:10]
    owner = csm if us == "csm" else us
    return item(text, date, state, owner, tag, customer=customer_owner(contacts(account), customer))


def _state(step: PlanStep, account: AccountFacts, first: int, last: int, day: int) -> tuple[str, str]:
    match step.state(account.values):
        case "done":
            return "good", "done"
        case "not_done" if day > last:
            return "bad", "late"
        case "unknown" if day >= first:
            return "", "not known"
        case "no_data" if day > last:
            return "", "to confirm"
    return "", "planned" if day < first else "now"


def _handoff(account: AccountFacts, step: DayStep, day: int) -> list[dict[str, Any]]:
    """Return what our side checks before the handover: health is green, and a CSM is assigned."""
    csm, health = (account.contract or {}).get("csm"), account.prediction["health"]
    date = to_iso(account.as_of + timedelta(days=step.last - day))[:10]
    known = health["score"] is not None
    green = health["band"] == GREEN
    states = (
        ("health is green", green if known else None),
        ("a CSM is assigned", csm is not None if account.contract is not None else None),
    )
    words = {True: ("good", "met"), False: ("bad", "not met"), None: ("", "not known")}
    return [item(text, date, words[met][0], csm or "the CSM", words[met][1]) for text, met in states]
