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
FEW = TargetCounts(500, 8, ("22 more accounts with it among the train dates (8, at least 30)",), True)
SHORT = TargetCounts(0, 0, ("90 more days of history",), False)
SMALL = TargetCounts(60, 40, ("40 more accounts (60 active ones, at least 100)",), True)
FEED = FeedHealth(
    "usage", 100, datetime(2025, 1, 1, tzinfo=UTC), END, 100, 0.0, 14.0, 1.0, None, None, None, 0, 0.0, (), (), ()
)  # fmt: skip
SOUND = Feeds(END, {"usage": FEED})


def _said(churn: TargetCounts, expansion: TargetCounts, feeds: Feeds = SOUND, **others: TargetCounts) -> Verdict:
    """The verdict at 90 days, where at other horizons (`h30=…`) both targets have so much."""
    asked = HorizonCounts(90, 30, END, END, {"churn": churn, "expansion": expansion})
    more = [HorizonCounts(int(name[1:]), 30, END, END, dict.fromkeys(TARGETS, there)) for name, there in others.items()]
    return verdict(SufficiencyReport({}, (*more, asked), asked, {}), feeds)


def test_enough_of_both_is_ready_and_there_is_nothing_to_do() -> None:
    said = _said(YES, YES)
    assert said.summary == "ready to train on churn and expansion at 90 days"
    assert said.ready == TARGETS
    assert said.lacking() == list(said.todo) == []


def test_enough_of_one_names_both() -> None:
    said = _said(YES, FEW)
    assert said.summary == "ready to train on churn at 90 days, not enough for expansion"
    assert said.lacking() == ["expansion: 22 more accounts with it among the train dates (8, at least 30)"]


def test_what_both_lack_is_said_once() -> None:
    said = _said(SHORT, SHORT)
    assert said.summary == "not enough to train on churn or expansion at 90 days"
    assert said.lacking() == ["churn and expansion: 90 more days of history"]


def test_what_to_do_follows_from_what_lacks() -> None:
    assert _said(SHORT, YES).todo[0] == "load older data, or wait for more history"
    assert _said(SMALL, YES).todo[0].startswith("load the accounts that are not here yet")
    assert _said(FEW, YES).todo[0].startswith("load older data, and the accounts that have left")
    assert "health score" in _said(FEW, YES).todo[-1]


def test_terms_that_are_lost_are_not_brought_back_by_more_accounts() -> None:
    none = TargetCounts(0, 0, ("30 more accounts with expansion among the train dates (0, at least 30)",), True)
    asked = HorizonCounts(90, 30, END, END, {"churn": YES, "expansion": none})
    lost = Finding("subscriptions", "term_started_at", 186, "began before their current term", "export the history")
    said = verdict(SufficiencyReport({}, (asked,), asked, {}, (lost,)), SOUND)
    assert said.summary == "ready to train on churn at 90 days, not enough for expansion"
    assert said.lacking() == ["expansion: the terms of contracts before the current one: the source overwrites them"]
    assert said.todo == ("export the history",)
    # Where some are known, what lacks is counted as ever.
    some = replace(asked, targets={"churn": YES, "expansion": FEW})
    assert "22 more accounts" in verdict(SufficiencyReport({}, (some,), some, {}, (lost,)), SOUND).lacking()[0]


def test_another_horizon_is_proposed_where_there_is_enough() -> None:
    said = _said(SHORT, YES, h30=YES, h60=YES, h180=SHORT)
    assert said.todo[0] == "predict churn at 60 days, of which there is enough: train with --horizon 60"


def test_troubled_feeds_are_to_be_looked_at_even_when_ready() -> None:
    jump = Jump("usage", "minutes", None, "week", date(2025, 6, 2), 60.0)
    (line,) = _said(YES, YES, Feeds(END, {"usage": replace(FEED, jumps=(jump,))})).todo
    assert line.startswith("look first at what was found in usage")


def test_contracts_that_end_before_the_data_are_told_with_a_date() -> None:
    stale = replace(FEED, table="subscriptions", last=datetime(2026, 1, 1, tzinfo=UTC), silent_days=30.0)
    (line,) = _said(YES, YES, Feeds(END, {"subscriptions": stale})).todo
    assert "load the subscriptions since 2026-01-01, or train with --data-through 2026-01-02" in line


def test_a_broken_contract_is_not_usable() -> None:
    said = broken_contract_verdict(1, 90)
    assert said.summary == "not usable: the data contract is broken in one place"
    assert "3 places" in broken_contract_verdict(3, 90).summary
    assert said.ready == ()
    assert json.loads(json.dumps(said.as_dict()))["ready"] == []
