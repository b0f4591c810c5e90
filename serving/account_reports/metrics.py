"""The metrics of a business review: actual value, target, trend since the start of the quarter, and peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from features.utils.formatting import signed
from models.explain.reason_text import number_words, value_words
from models.rules.business_reviews import MetricSection, ReviewMetric, business_reviews_file
from serving.account_reports.account_facts import AccountFacts

MIN_CHANGE = 0.005
"""Smaller relative changes count as none."""


def section_metrics(account: AccountFacts, section: MetricSection) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the known metrics of a section.

    Parameters
    ----------
    account : the facts about the account.
    section : the section.

    Returns
    -------
    list of dict, list of str
        The metrics (`metric`), and the labels of those that are unknown.
    """
    rules = [each for each in business_reviews_file().metrics if each.section == section]
    found = [(rule, metric(account, rule)) for rule in rules if rule.feature in account.catalogue]
    known = [each for _, each in found if each is not None]
    return known, [lower_first(rule.label) for rule, each in found if each is None]


def metric(account: AccountFacts, rule: ReviewMetric) -> dict[str, Any] | None:
    """Return one metric; None if its value is unknown.

    Parameters
    ----------
    account : the facts about the account.
    rule : the metric.

    Returns
    -------
    dict for JSON or None
        A `serving.account_reports.schemas.ReportMetric`.
    """
    value, then = account.values.get(rule.feature), account.before.get(rule.feature)
    if not isinstance(value, int | float):
        return None
    then = float(then) if isinstance(then, int | float) else None
    unit, benchmark = account.catalogue[rule.feature].unit, account.benchmarks.get(rule.feature)

    def words(number: float | None) -> str | None:
        return None if number is None else metric_words(number, unit, rule.label)

    bound = "at least" if rule.at_least is not None else "at most"
    return {
        "label": rule.label,
        "feature": rule.feature,
        "unit": unit,
        "value": value,
        "words": words(value),
        "target": rule.target,
        "target_words": None if rule.target is None else f"{bound} {words(rule.target)}",
        "met": rule.is_met(value),
        "then": then,
        "then_words": words(then),
        "change_words": None if then is None else change_words(value, then, unit),
        "trend": None if then is None else _trend(value, then, rule.better),
        "benchmark": benchmark,
        "benchmark_words": words(benchmark),
    }


def metric_words(value: float, unit: str, label: str = "") -> str:
    """Format the value of a metric for a customer: as `models.explain.reason_text.value_words`, with every unit."""
    if unit == "times spend":
        return f"{number_words(value)}× the spend"
    return value_words(value, unit, label)


def change_words(value: float, then: float, unit: str) -> str:
    """Format the change from an earlier value: "+5", "−3 points" for shares, "no change"."""
    if _unchanged(value, then):
        return "no change"
    if unit == "share":
        points = signed(100 * (value - then), 0)
        return "no change" if points == "±0" else f"{points} points"
    whole = value == round(value) and then == round(then)
    return signed(value - then, 0 if whole or abs(value - then) >= 10 else 1)


def unmet_metrics(metrics: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the metrics below their target, the one that misses it by the largest share first."""

    def distance(each: Mapping[str, Any]) -> float:
        value, target = float(each["value"]), float(each["target"])
        return abs(value - target) / (abs(target) or 1.0)

    return sorted((each for each in metrics if each["met"] is False), key=distance, reverse=True)


def _trend(value: float, then: float, better: str) -> str:
    if _unchanged(value, then):
        return "same"
    return "better" if (value > then) == (better == "higher") else "worse"


def _unchanged(value: float, then: float) -> bool:
    return abs(value - then) <= MIN_CHANGE * max(abs(value), abs(then))


def lower_first(label: str) -> str:
    """Return a label for the middle of a sentence. An acronym such as NPS keeps its capitals."""
    return label if label[:2].isupper() and label[:2].isalpha() else label[:1].lower() + label[1:]
