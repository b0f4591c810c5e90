"""The verdict says what can be trained, what is missing, and what to do."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime

from features.feed_health.feed_health import Feeds
from features.feed_health.feed_report import FeedHealth
from features.feed_health.unit_changes import Jump
from features.signals.validation import Finding
from models.targets import TARGETS
from training.dataset.data_verdict import Verdict, broken_contract_verdict, verdict
from training.dataset.outcome_counts import HorizonCounts, TargetCounts
from training.dataset.sufficiency_check import SufficiencyReport

END = datetime(2026, 1, 31, tzinfo=UTC)
YES = TargetCounts(500, 80, (), True)
FEW = TargetCounts(500, 8, ("22 more accounts with it at the train dates (found 8; at least 30 are needed)",), True)
SHORT = TargetCounts(0, 0, ("90 more days of history",), False)
SMALL = TargetCounts(60, 40, ("40 more accounts (60 are active; at least 100 are needed)",), True)
FEED = FeedHealth(
    "usage", 100, datetime(2025, 1, 1, tzinfo=UTC), END, 100, 0.0, 14.0, 1.0, None, None, None, 0, 0.0, (), (), ()
)  # fmt: skip
SOUND = Feeds(END, {"usage": FEED})


def _verdict(churn: TargetCounts, expansion: TargetCounts, feeds: Feeds = SOUND, **others: TargetCounts) -> Verdict:
    """The verdict at 90 days; keywords such as `h30` give the counts of both targets at other horizons."""
    requested = HorizonCounts(90, 30, END, END, {"churn": churn, "expansion": expansion})
    more = [HorizonCounts(int(name[1:]), 30, END, END, dict.fromkeys(TARGETS, counts)) for name, counts in others.items()]
    return verdict(SufficiencyReport({}, (*more, requested), requested, {}), feeds)


def test_enough_data_for_both_targets_is_ready_without_todo() -> None:
    result = _verdict(YES, YES)
    assert result.summary == "ready to train on churn and expansion at 90 days"
    assert result.ready == TARGETS
    assert result.missing_lines() == list(result.todo) == []


def test_enough_data_for_one_target_names_both() -> None:
    result = _verdict(YES, FEW)
    assert result.summary == "ready to train on churn at 90 days, not enough data for expansion"
    assert result.missing_lines() == ["expansion: 22 more accounts with it at the train dates (found 8; at least 30 are needed)"]


def test_what_both_targets_lack_is_listed_once() -> None:
    result = _verdict(SHORT, SHORT)
    assert result.summary == "not enough data to train on churn or expansion at 90 days"
    assert result.missing_lines() == ["churn and expansion: 90 more days of history"]


def test_todo_follows_from_what_is_missing() -> None:
    assert _verdict(SHORT, YES).todo[0] == "load older data, or wait for more history"
    assert _verdict(SMALL, YES).todo[0].startswith("load the missing accounts")
    assert _verdict(FEW, YES).todo[0].startswith("load older data and the accounts that have left")
    requested = HorizonCounts(90, 30, END, END, {"churn": FEW, "expansion": YES})
    asked = verdict(SufficiencyReport({}, (requested,), requested, {}), SOUND, ("a question",), "use the health score")
    assert asked.todo[0].startswith("answer the open questions in the mapping")
    assert asked.todo[-1] == "use the health score"


def test_lost_terms_call_for_an_export_not_for_more_accounts() -> None:
    none = TargetCounts(0, 0, ("30 more accounts with expansion at the train dates (found 0; at least 30 are needed)",), True)
    requested = HorizonCounts(90, 30, END, END, {"churn": YES, "expansion": none})
    lost = Finding("subscriptions", "term_started_at", 186, "began before their current term", "export the history")
    result = verdict(SufficiencyReport({}, (requested,), requested, {}, (lost,)), SOUND)
    assert result.summary == "ready to train on churn at 90 days, not enough data for expansion"
    assert result.missing_lines() == ["expansion: the terms of contracts before the current one: the source overwrites them"]
    assert result.todo == ("export the history",)
    # If some terms are known, missing accounts are counted as usual.
    some = replace(requested, targets={"churn": YES, "expansion": FEW})
    assert "22 more accounts" in verdict(SufficiencyReport({}, (some,), some, {}, (lost,)), SOUND).missing_lines()[0]


def test_a_horizon_with_enough_data_is_proposed() -> None:
    result = _verdict(SHORT, YES, h30=YES, h60=YES, h180=SHORT)
    assert result.todo[0] == "predict churn at 60 days, where there is enough data: train with --horizon 60"


def test_faulty_feeds_are_in_the_todo_even_when_ready() -> None:
    jump = Jump("usage", "minutes", None, "week", date(2025, 6, 2), 60.0)
    (line,) = _verdict(YES, YES, Feeds(END, {"usage": replace(FEED, jumps=(jump,))})).todo
    assert line.startswith("first review the findings in usage")


def test_stale_contracts_are_reported_with_a_date() -> None:
    stale = replace(FEED, table="subscriptions", last=datetime(2026, 1, 1, tzinfo=UTC), silent_days=30.0)
    (line,) = _verdict(YES, YES, Feeds(END, {"subscriptions": stale})).todo
    assert "load the subscriptions since 2026-01-01, or train with --data-through 2026-01-02" in line


def test_a_source_that_violates_the_contract_is_not_usable() -> None:
    result = broken_contract_verdict(1, 90)
    assert result.summary == "not usable: the data contract is violated in one place"
    assert "3 places" in broken_contract_verdict(3, 90).summary
    assert result.ready == ()
    assert json.loads(json.dumps(result.as_dict()))["ready"] == []
