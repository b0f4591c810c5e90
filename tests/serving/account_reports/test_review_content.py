"""What business reviews and success plans say: metrics, sentences, agenda, goals, actions, and the first days."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from features.catalogue.catalogue import CATALOGUE
from features.errors import BadRequest
from features.utils.periods import calendar_period
from models.rules.business_reviews import business_reviews_file
from serving.account_reports.account_facts import AccountFacts
from serving.account_reports.business_review import build_review
from serving.account_reports.metrics import change_words, section_metrics
from serving.account_reports.narrative import summary_lines
from serving.account_reports.next_steps import next_review
from serving.account_reports.onboarding_plan import onboarding_sections
from serving.account_reports.success_plan import build_plan

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
QUARTER = calendar_period("2026Q2")
NO_TARGET: dict[str, Any] = {"probability": None, "interval": None, "band": None, "status": "no_model"}


def _account(values: dict[str, Any] | None = None, **changes: Any) -> AccountFacts:
    """An account of which nothing is known but what a test says."""
    prediction = {
        "segment": None, "touch": None, "horizon_days": None, "churn": NO_TARGET, "reasons": [], "plays": [],
        "expansion": NO_TARGET | {"gate": [], "signals": [], "ready": False, "type": None, "withdrawn": None, "points": None},
        "health": {"score": None, "band": "insufficient_data", "history": [], "coverage": 0.0, "lowered_by": []},
        "early_warnings": [], "warnings": [], "onboarding": {"under_way": False, "day": None},
    }  # fmt: skip
    now = {"as_of": "2026-07-01", **(values or {})}
    rows: dict[str, list[dict[str, Any]]] = {}
    account = AccountFacts("a1", AS_OF, AS_OF, prediction, now, (now,), {}, None, rows, CATALOGUE, start=QUARTER.start)
    return replace(account, tables=frozenset(), **changes)


def _review(account: AccountFacts) -> dict[str, dict[str, Any]]:
    return {part["section"]: part for part in build_review(account, QUARTER, "2026Q2")["sections"]}


def _outcome(kind: str, text: str | None, at: str = "2026-05-02") -> dict[str, Any]:
    return {"occurred_at": at, "kind": kind, "text": text, "value": None}


@pytest.mark.parametrize(
    ("feature", "value", "then", "benchmark", "row"),
    [
        ("usage.seats_used_share", 0.55, 0.5, 0.7, "55% | at least 80% | False | 50% | +5 points | better | 70%"),
        ("usage.seats_used_share", 0.8, None, None, "80% | at least 80% | True | None | None | None | None"),
        ("usage.active_users_28d", 0.0, 3.0, None, "0 | None | None | 3 | −3 | worse | None"),
        ("outcomes.days_to_first_value", 12.0, 12.0, 20.0, "12 days | at most 30 days | True | 12 days | no change | same | 20 days"),
        ("outcomes.roi_last", 2.5, 2.0, None, "2.5× the spend | at least 1× the spend | True | 2× the spend | +0.5 | better | None"),
        ("support.open_tickets", 1.0, 4.0, None, "1 | None | None | 4 | −3 | better | None"),
    ],
)  # fmt: skip
def test_a_metric_has_target_trend_and_benchmark(
    feature: str, value: float, then: float | None, benchmark: float | None, row: str
) -> None:
    account = _account({feature: value}, benchmarks={} if benchmark is None else {feature: benchmark})
    account = replace(account, weeks=({"as_of": "2026-04-08", feature: then}, account.values))
    (metric,) = (each for name in ("use", "value", "support") for each in section_metrics(account, name)[0])  # type: ignore[arg-type]
    names = ("words", "target_words", "met", "then_words", "change_words", "trend", "benchmark_words")
    assert " | ".join(str(metric[name]) for name in names) == row


@pytest.mark.parametrize("metric", business_reviews_file().metrics, ids=lambda metric: metric.feature)
def test_an_unknown_metric_is_named_and_never_zero(metric: Any) -> None:
    known = {each.feature: 1.0 for each in business_reviews_file().metrics if each != metric}
    part = _review(_account(known))[metric.section]
    assert metric.feature not in [each["feature"] for each in part["metrics"]]
    assert [metric.label.lower()] == [words.lower() for words in part["missing"]]


def test_an_account_without_data_has_no_figures_and_no_sentences() -> None:
    parts = _review(_account())
    for name, part in parts.items():
        assert part["metrics"] == [], name
        assert [each for each in part["figures"] if each["value"] in (0, 0.0) and not part["internal"]] == [], name
    assert "summary" not in parts
    assert summary_lines(_account(), []) == []
    assert "next_goals" not in parts


def test_sentences_say_what_the_figures_say() -> None:
    values = {"usage.active_users_28d": 42.0, "usage.seats_used_share": 0.84, "outcomes.roi_last": 2.5, "outcomes.nps_last": 7.0}
    ticket = {"occurred_at": "2026-05-02", "severity": "low", "escalated": False}
    rows = {
        "outcomes": [_outcome("goal_met", "A"), _outcome("goal_met", "B"), _outcome("goal_missed", "C"), _outcome("goal_met", "old", "2026-01-01")],
        "support": [ticket | {"resolved_at": "2026-05-03"}, ticket | {"resolved_at": None}],
    }  # fmt: skip
    account = _account(values, rows=rows, contract={"renewal_at": "2027-01-31"})
    account = replace(account, weeks=({"as_of": "2026-04-08", "usage.active_users_28d": 37.0}, account.values))
    assert _review(account)["summary"]["lines"] == [
        "42 people were active in the last 28 days, 37 at the start of the quarter; 84% of the licensed seats are in use.",
        "This quarter, 2 goals were met and 1 goal was missed.",
        "The latest reported return is 2.5× the spend.",
        "2 support tickets were opened this quarter; 1 of them resolved.",
        "2 of 3 metrics with a target meet it. The furthest from its target: latest NPS answer, 7 of 10 (target: at least 9 of 10).",
        "The contract runs until 31 Jan 2027.",
    ]


@pytest.mark.parametrize(("segment", "title"), [(None, "Agenda, 60 minutes"), ("enterprise", "Agenda, 60 to 90 minutes")])
@pytest.mark.parametrize("full", [True, False])
def test_an_agenda_keeps_its_time_without_parts_that_have_no_section(segment: str | None, title: str, full: bool) -> None:
    account = _account({each.feature: 0.5 for each in business_reviews_file().metrics} if full else {})
    part = _review(replace(account, prediction=account.prediction | {"segment": segment}))["agenda"]
    assert part["title"] == title
    texts = [each["text"] for each in part["items"]]
    assert ("Usage and adoption" in " ".join(texts)) == full
    assert "What is coming" not in texts, "there is no roadmap"
    shortest = sum(int(each["tag"].split()[0]) for each in part["items"])
    longest = sum(int(each["tag"].split()[-2]) for each in part["items"])
    assert (shortest, longest) == (60, 60 if segment is None else 90)


def test_goals_of_the_next_quarter_are_open_or_proposed_with_owners_on_both_sides() -> None:
    person = {"occurred_at": "2026-01-02", "contact_id": "c1", "role": "champion", "event": "joined", "contact_name": "Champion Name"}
    rows = {
        "outcomes": [
            _outcome("goal_set", "Open", "2026-02-01"), _outcome("goal_set", "Met", "2026-02-01"),
            _outcome("goal_met", "Met"), _outcome("goal_set", None),
        ],
        "relationship": [person],
    }  # fmt: skip
    parts = _review(_account({"usage.seats_used_share": 0.4}, rows=rows, contract={"csm": "Manager Name"}))
    goals = [(each["text"], each["tag"], each["date"], each["who"], each["customer"]) for each in parts["next_goals"]["items"]]
    assert goals == [
        ("Open (set on 1 Feb 2026)", "open", None, "Manager Name", "Champion Name"),
        ("Licensed seats in use: from 40% to at least 80%", "proposed", "2026-09-30", "Manager Name", "Champion Name"),
    ]
    actions = parts["actions"]["items"]
    assert all(each["who"] == "Manager Name" for each in actions)
    assert all(each["date"] for each in actions[1:]), "only the notes depend on the date of the meeting"
    assert any("unused seats" in each["text"] and each["customer"] == "Champion Name" for each in actions)


def _dates(part: dict[str, Any]) -> dict[str, str | None]:
    return {each["text"]: each["date"] for each in part["items"]}


def test_agenda_actions_and_preparation_follow_the_date_of_the_meeting() -> None:
    rules, account = business_reviews_file(), _account({"usage.seats_used_share": 0.5})
    review = build_review(account, QUARTER, "2026Q2", date(2026, 7, 8))
    parts = {part["section"]: part for part in review["sections"]}
    assert review["meeting_date"] == "2026-07-08"
    assert parts["agenda"]["title"].endswith(", on 8 Jul 2026")
    actions, preparation = _dates(parts["actions"]), _dates(parts["preparation"])
    due = (date(2026, 7, 8) + timedelta(days=rules.action_days)).isoformat()
    assert actions["Agree on the goals for the next quarter"] == due
    assert actions["Hold the next business review"] == "2026-10-07", "13 weeks later, on the same weekday"
    assert preparation["Send the notes and the actions"] > "2026-07-08"
    checked = next(day for text, day in preparation.items() if text.startswith("Check the figures"))
    assert checked is not None
    assert checked < "2026-07-08"


@pytest.mark.parametrize(
    ("meeting", "following"), [(date(2026, 7, 1), "2026-10-07"), (date(2026, 7, 2), "2026-10-01"), (date(2026, 7, 20), "2026-10-19")]
)  # fmt: skip
def test_the_next_review_is_a_quarter_later_and_not_before_the_next_quarter_ends(meeting: date, following: str) -> None:
    assert next_review(QUARTER, meeting).isoformat() == following


def test_without_a_meeting_the_next_review_has_a_last_day_and_the_rest_has_no_date() -> None:
    review = build_review(_account(), QUARTER, "2026Q2")
    parts = {part["section"]: part for part in review["sections"]}
    assert review["meeting_date"] is None
    assert _dates(parts["actions"])["Hold the next business review"] == "2026-10-15"
    assert set(_dates(parts["preparation"]).values()) == {None}


def test_a_meeting_before_the_figures_is_refused() -> None:
    with pytest.raises(BadRequest, match="2026-06-30 is before 2026-07-01"):
        build_review(_account(), QUARTER, "2026Q2", date(2026, 6, 30))


def test_a_roadmap_comes_from_a_file_and_may_be_for_some_customers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = 'entries = [{ title = "Reports", text = "By mail.", when = "2027Q1" }, { title = "Other", plans = ["max"] }]'
    (tmp_path / "roadmap.toml").write_text(f'version = "1"\n{entries}\n', encoding="utf-8")
    monkeypatch.setenv("RENEWCAST_RULES", str(tmp_path))
    shown = {plan: _review(_account(contract={"plan": plan})) for plan in ("pro", "max")}
    assert [each["text"] for each in shown["pro"]["roadmap"]["items"]] == ["Reports: By mail."]
    assert [each["text"] for each in shown["max"]["roadmap"]["items"]] == ["Reports: By mail.", "Other"]
    assert any(each["text"] == "What is coming" for each in shown["pro"]["agenda"]["items"])


@pytest.mark.parametrize(
    ("day", "values", "states"),
    [
        (0, {}, "now planned planned planned planned planned planned"),
        (
            9,
            {"usage.users_so_far": 1.0, "usage.features_so_far": 1.0, "outcomes.days_without_first_value": 9.0},
            "to confirm|done|done|late|now|planned|planned",
        ),
        (15, {"usage.users_so_far": 3.0}, "to confirm|done|not known|not known|done|not known|to confirm"),
    ],
)
def test_the_first_days_of_an_account_are_done_late_or_unknown(day: int, values: dict[str, Any], states: str) -> None:
    """A step whose data is unknown is not called late."""
    account = _account(values, contract={"csm": "Manager Name"})
    account = replace(account, prediction=account.prediction | {"onboarding": {"under_way": True, "day": day}})
    days, handoff, phases = onboarding_sections(account)
    assert [each["tag"] for each in days["items"]] == _split(states)
    assert [each["date"] for each in days["items"]] == sorted(each["date"] for each in days["items"])
    assert all(each["who"] == "Manager Name" and each["customer"] for each in (*days["items"], *phases["items"]))
    assert handoff["internal"]
    assert {each["text"].split(" (")[0] for each in phases["items"]} == {"By day 30", "By day 60", "By day 90"}
    plan = [part["section"] for part in build_plan(account)["sections"]]
    assert plan[:1] == ["first_days"] or plan[1:2] == ["first_days"]
    assert onboarding_sections(_account(values)) == []


def _split(states: str) -> list[str]:
    return states.split("|") if "|" in states else states.split()


@pytest.mark.parametrize(
    ("value", "then", "unit", "words"),
    [(0.5, 0.5, "share", "no change"), (0.504, 0.5, "share", "no change"), (5.0, 3.0, "users", "+2"), (4.2, 4.5, "of 5", "−0.3")],
)
def test_a_change_is_in_the_unit_of_the_metric(value: float, then: float, unit: str, words: str) -> None:
    assert change_words(value, then, unit) == words
