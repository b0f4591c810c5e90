"""Sentences of a business review, from the data. What is unknown has no sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from features.utils.formatting import and_list, count_of, day, verb_for
from models.rules.business_reviews import business_reviews_file
from serving.account_reports.account_facts import AccountFacts
from serving.account_reports.metrics import lower_first, unmet_metrics

STORIES = 4
"""The maximum number of sentences about improvements."""
RESULTS = {"goal_met": "met", "goal_missed": "missed"}


def summary_lines(account: AccountFacts, metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the executive summary: usage, goals, return, support, targets and the contract.

    Parameters
    ----------
    account : the facts about the account.
    metrics : the metrics of the review.
    """
    by_feature = {each["feature"]: each for each in metrics}
    lines = [
        _usage(by_feature),
        _goals(account),
        _return(by_feature),
        _support(account),
        _targets(metrics),
        _contract(account),
    ]
    return [line for line in lines if line is not None]


def achievement_lines(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what has improved or is above comparable customers, a sentence each, at most `STORIES`."""
    improved = [
        f"{each['label']}: {each['words']}, from {each['then_words']} at the start of the quarter."
        for each in metrics
        if each["trend"] == "better" and each["met"] is not False
    ]
    lower = {rule.feature for rule in business_reviews_file().metrics if rule.better == "lower"}
    ahead = [
        f"{each['label']}: {each['words']}; the median of comparable customers is {each['benchmark_words']}."
        for each in metrics
        if each["met"] and each["trend"] != "better" and _is_ahead(each, each["feature"] in lower)
    ]
    return (improved + ahead)[:STORIES]


def _is_ahead(each: Mapping[str, Any], lower: bool) -> bool:
    """Return whether a metric is better than that of comparable customers; ``lower``: lower values are better."""
    benchmark = each["benchmark"]
    return benchmark is not None and (each["value"] < benchmark if lower else each["value"] > benchmark)


def _usage(metrics: Mapping[str, Mapping[str, Any]]) -> str | None:
    users, seats = metrics.get("usage.active_users_28d"), metrics.get("usage.seats_used_share")
    parts = []
    if users is not None:
        verb = verb_for(users["value"], "was", "were")
        people = count_of(int(users["value"]), "person").replace("persons", "people")
        text = f"{people} {verb} active in the last 28 days"
        if users["then"] is not None:
            before = "as" if users["trend"] == "same" else users["then_words"]
            text += f", {before} at the start of the quarter"
        parts.append(text)
    if seats is not None:
        parts.append(f"{seats['words']} of the licensed seats are in use")
    if not parts:
        return None
    sentence = "; ".join(parts)
    return f"{sentence[:1].upper()}{sentence[1:]}."


def _goals(account: AccountFacts) -> str | None:
    kinds = [row["kind"] for row in account.events("outcomes")]
    counts = {words: kinds.count(kind) for kind, words in RESULTS.items() if kinds.count(kind)}
    if not counts:
        return None
    parts = [f"{count_of(n, 'goal')} {'was' if n == 1 else 'were'} {words}" for words, n in counts.items()]
    return f"This quarter, {and_list(parts)}."


def _return(metrics: Mapping[str, Mapping[str, Any]]) -> str | None:
    reported = metrics.get("outcomes.roi_last")
    return None if reported is None else f"The latest reported return is {reported['words']}."


def _support(account: AccountFacts) -> str | None:
    if account.rows is None or "support" not in account.rows:
        return None
    tickets = account.events("support")
    if not tickets:
        return "No support ticket was opened this quarter."
    resolved = sum(row["resolved_at"] is not None for row in tickets)
    state = "all are resolved" if resolved == len(tickets) else f"{resolved} of them resolved"
    if len(tickets) == 1:
        state = "it is resolved" if resolved else "it is open"
    verb = verb_for(len(tickets), "was", "were")
    return f"{count_of(len(tickets), 'support ticket')} {verb} opened this quarter; {state}."


def _targets(metrics: Sequence[Mapping[str, Any]]) -> str | None:
    judged = [each for each in metrics if each["met"] is not None]
    if not judged:
        return None
    unmet = unmet_metrics(metrics)
    if not unmet:
        every = f"All {len(judged)} metrics" if len(judged) > 1 else "The metric"
        return f"{every} with a target {'meet' if len(judged) > 1 else 'meets'} it."
    first, met = unmet[0], len(judged) - len(unmet)
    return (
        f"{met} of {count_of(len(judged), 'metric')} with a target {'meets' if met == 1 else 'meet'} it. "
        f"The furthest from its target: "
        f"{lower_first(first['label'])}, "
        f"{first['words']} (target: {first['target_words']})."
    )


def _contract(account: AccountFacts) -> str | None:
    renewal, given = ((account.contract or {}).get(name) for name in ("renewal_at", "notice_at"))
    if renewal is None or given is not None or str(renewal)[:10] < account.as_of.date().isoformat():
        return None
    return f"The contract runs until {day(str(renewal)[:10])}."
