"""Business reviews and plans show the known data, name missing data, and escape customer text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from features.errors import BadRequest, UnknownAccount
from features.signals.signals import OpenSignals
from features.utils.periods import calendar_period
from models.artifacts.champion import load_champion
from serving.account_reports.account_facts import AccountFacts
from serving.account_reports.business_review import build_review, partnership_section
from serving.account_reports.facts_from_signals import account_facts_from_signals, report_instant
from serving.account_reports.html import report_page, write_report
from serving.account_reports.schemas import BusinessReview
from serving.account_reports.success_plan import build_plan

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
QUARTER = "2026Q2"
EVIL = '<img src=x onerror="alert(1)">&'


@pytest.fixture(scope="module")
def rich(tables: Any, make_signals: Callable[..., OpenSignals]) -> OpenSignals:
    """The shared signals, with more rows for a00."""
    more = {
        "outcomes": [
            *tables["outcomes"],
            {"account_id": "a00", "occurred_at": "2026-05-02", "kind": "goal_met", "value": None},
            {"account_id": "a00", "occurred_at": "2026-05-03", "kind": "roi_reported", "value": 2.5},
            {"account_id": "a00", "occurred_at": "2026-02-03", "kind": "goal_missed", "value": None},
        ],
        "relationship": [
            {"account_id": "a00", "contact_id": EVIL, "occurred_at": "2025-01-01", "role": "champion", "event": "joined"},
            {"account_id": "a00", "contact_id": "p2", "occurred_at": "2025-01-01", "role": "executive_sponsor", "event": "joined"},
            {"account_id": "a00", "contact_id": "p2", "occurred_at": "2026-06-01", "role": "executive_sponsor", "event": "left"},
        ],
        "accounts": [row | {"name": EVIL, "csm": "ann"} if row["account_id"] == "a00" else row for row in tables["accounts"]],
    }
    return make_signals(tables | more, "2026-07-01")


@pytest.fixture(scope="module")
def facts(scored_home: Any, rich: OpenSignals) -> AccountFacts:
    return account_facts_from_signals(rich, "a00", calendar_period(QUARTER), AS_OF, scored_home.home, load_champion(scored_home.home))


@pytest.fixture(scope="module")
def review(facts: AccountFacts) -> dict[str, Any]:
    return build_review(facts, calendar_period(QUARTER), QUARTER)


def _part(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(part for part in document["sections"] if part["section"] == name)


def _figures(document: dict[str, Any], name: str) -> dict[str, Any]:
    part = _part(document, name)
    return {each["feature"] or each["label"]: each["value"] for each in (*part["metrics"], *part["figures"])}


def test_a_review_shows_the_prediction_and_the_rows(review: dict[str, Any], facts: AccountFacts) -> None:
    BusinessReview.model_validate(review)
    assert (review["complete"], review["source"], review["as_of"]) == (True, "signals", "2026-07-01")
    assert _figures(review, "partnership")["licensed seats"] == 20.0
    assert _figures(review, "partnership")["CSM"] == "ann"
    assert _figures(review, "risk")["health score"] == facts.prediction["health"]["score"]
    assert _figures(review, "value")["outcomes.roi_last"] == 2.5
    goals = [(each["text"], each["date"]) for each in _part(review, "goals")["items"]]
    assert goals == [("Goal met", "2026-05-02")], "events outside the quarter are not part of it"
    assert {p["section"] for p in review["sections"] if p["internal"]} == {"risk", "expansion", "preparation"}
    weeks = _part(review, "use")["picture"]["points"]
    assert len(weeks) == 13
    assert weeks[-1]["date"] == "2026-07-01"


@pytest.mark.parametrize(("days", "whole"), [(13.9, 13), (0.6, 0), (-0.4, -1)])
def test_days_to_renewal_are_whole_days_as_on_the_account_page(facts: AccountFacts, days: float, whole: int) -> None:
    changed = replace(facts, values={**facts.values, "contract.days_to_renewal": days})
    figures = partnership_section(changed)["figures"]
    assert [each["value"] for each in figures if each["label"] == "days to renewal"] == [whole]


def test_missing_information_is_named_and_not_invented(review: dict[str, Any]) -> None:
    gaps = " ".join(review["gaps"])
    assert "the source has no engagement" in gaps
    assert "the source has no billing" in gaps
    assert "no relationship" not in gaps
    assert any("No executive sponsor is known" in question for question in review["questions"]), "the sponsor has left"
    assert not any("No champion" in question for question in review["questions"])
    every = [each for part in review["sections"] for each in (*part["metrics"], *part["figures"])]
    assert all(figure["value"] is not None for figure in every), "an unknown value is not a figure"


def test_a_plan_depends_on_the_risk(facts: AccountFacts) -> None:
    document = build_plan(facts)
    assert (document["kind"] == "save") == any(play["kind"] == "save" for play in facts.prediction["plays"])
    assert document["owner"] == "ann"
    stakeholders = _part(document, "stakeholders")
    people = [each["text"] for each in stakeholders["items"]]
    assert people == ["Customer success manager: ann", f"{EVIL}: champion, since 1 Jan 2025", "P2 has left"]
    assert "the executive sponsor" in stakeholders["missing"]
    milestones = _part(document, "milestones")["items"]
    assert [each["date"] for each in milestones] == sorted(each["date"] for each in milestones)
    renewal = next(each for each in milestones if each["text"] == "Renewal")
    assert renewal["date"] == "2027-01-01"
    assert any(each["date"] == "2026-09-03" for each in milestones), "talks start 120 days before the renewal"
    for sign in facts.prediction["early_warnings"]:
        assert any(sign["says"][1:] in each["text"] for each in _part(document, "risks")["items"])


@pytest.mark.parametrize(
    ("goals", "names", "asked"),
    [
        (["Halve the time"], ["Ann Lee", "Bo Lind"], []),
        ([None], ["Ann Lee", None], ["only show whether they were set, met or missed", "known only by an id: p1."]),
        ([], [], ["no goal of the last year is known"]),
        (None, None, ["no goal of the last year is known"]),
    ],
)
def test_a_plan_asks_only_for_what_is_missing(
    facts: AccountFacts, goals: list[str | None] | None, names: list[str | None] | None, asked: list[str]
) -> None:
    when = {"occurred_at": "2026-05-02", "value": None}
    rows = None if goals is None or names is None else {
        "outcomes": [when | {"kind": "goal_set", "text": goal} for goal in goals],
        "relationship": [
            when | {"contact_id": f"p{i}", "role": "admin", "event": "joined", "contact_name": name}
            for i, name in enumerate(names)
        ],
    }  # fmt: skip
    questions = build_plan(replace(facts, rows=rows))["questions"]
    interests = [each for each in questions if "interests" in each]
    others = [each for each in questions if each not in interests]
    assert len(interests) == bool(names)
    assert len(others) == len(asked)
    assert all(words in question for words, question in zip(asked, others, strict=True))


def _play(kind: str, *because: str) -> dict[str, Any]:
    play = {"name": "low_adoption", "kind": kind, "severity": "high", "act": "do it", "who": "csm", "due": "2026-07-04"}
    return play | {"overdue": False, "because": list(because)}


@pytest.mark.parametrize(
    ("plays", "because"),
    [
        ([], []),
        ([_play("renewal", "renewal_near")], []),
        ([_play("billing", "payment_failed")], []),
        ([_play("save", "churn_high", "health_red", "competitor")], ["50%", "red", "A competitor"]),
        ([_play("save", "churn_medium"), _play("billing", "payment_failed")], ["50%"]),
    ],
)
def test_a_save_plan_is_for_an_account_with_a_save_play(
    facts: AccountFacts, plays: list[dict[str, Any]], because: list[str]
) -> None:
    """A warning or a high score alone does not decide: the reasons of the plays do, as on every page."""
    sign = {"code": "competitor", "says": "a competitor was named", "standing": "risk", "severity": "high"}
    prediction = facts.prediction | {
        "health": facts.prediction["health"] | {"band": "red", "score": 20.0},
        "churn": facts.prediction["churn"] | {"band": "high", "probability": 0.5},
        "early_warnings": [sign | {"cause": "competitor_evaluation", "since": "2026-06-01"}],
        "plays": plays,
    }
    document = build_plan(AccountFacts(**{**facts.__dict__, "prediction": prediction}))
    assert document["kind"] == ("save" if because else "success")
    if because:
        assert len(document["because"]) == len(because)
        assert all(words in sentence for words, sentence in zip(because, document["because"], strict=True))
    risks = [each["text"] for each in _part(document, "risks")["items"]]
    assert sum("do it" in text for text in risks) == len(plays)


@pytest.mark.parametrize("ready", [True, False])
def test_a_plan_contains_expansion_only_if_recommended(facts: AccountFacts, ready: bool) -> None:
    for plays in ([], [_play("save", "churn_medium")]):
        prediction = facts.prediction | {"expansion": facts.prediction["expansion"] | {"ready": ready}, "plays": plays}
        document = build_plan(AccountFacts(**{**facts.__dict__, "prediction": prediction}))
        sections = [part["section"] for part in document["sections"]]
        assert ("expansion" in sections) == (ready and not plays)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def test_the_page_is_self_contained_and_escapes_customer_text(review: dict[str, Any], facts: AccountFacts) -> None:
    for document in (review, build_plan(facts)):
        html = report_page(document)
        parser = _Page()
        parser.feed(html)
        assert "<img" not in html
        assert not {"script", "link", "img", "iframe"} & set(parser.tags)
        assert not [name for name, _ in parser.attributes if name.startswith("on")]
        links = [value for name, value in parser.attributes if name in ("src", "href", "xlink:href") and value]
        assert all(value.startswith("#") for value in links)
        assert not re.search(r"url\((?!#)", html)
        assert "svg" in parser.tags or document["document"] == "plan"
        assert parser.tags.count("h1") == 1
        assert all(part["title"] in html for part in document["sections"])


def test_file_names_contain_a_safe_form_of_the_account_id(review: dict[str, Any], tmp_path: Path) -> None:
    plain = write_report(review, {"html": b"<p>"}, tmp_path, "qbr-2026Q2")
    assert [path.name for path in plain] == ["a00-qbr-2026Q2.html", "a00-qbr-2026Q2.json"]
    assert json.loads(plain[1].read_text(encoding="utf-8")) == review
    odd = [write_report(review | {"account_id": name}, {"html": b""}, tmp_path, "x")[0] for name in ("../a/b", "..-a-b")]
    assert len(set(odd)) == 2
    assert all(path.parent == tmp_path for path in odd)


def test_a_review_of_a_published_snapshot_is_as_of_the_last_one_of_the_quarter(client: TestClient) -> None:
    document = client.get("/v1/accounts/a00/qbr?quarter=2026Q2").json()
    for form in ("2026q2", "2026-Q2", "2026 q2", "Q2 2026"):
        assert client.get("/v1/accounts/a00/qbr", params={"quarter": form}).json() == document
    BusinessReview.model_validate(document)
    prediction = client.get("/v1/accounts/a00/prediction").json()
    assert (document["source"], document["as_of"]) == ("signals", "2026-07-01")
    assert _figures(document, "risk")["churn probability"] == prediction["churn"]["probability"]
    assert _figures(document, "partnership")["licensed seats"] == 20.0
    assert client.get("/v1/accounts/a00/qbr?quarter=2026Q3").json()["code"] == "unknown_snapshot"
    assert client.get("/v1/accounts/a999/qbr?quarter=2026Q2").json()["code"] == "unknown_account"
    assert client.get("/v1/accounts/a00/qbr?quarter=summer").status_code == 422


def test_page_files_and_json_use_the_date_of_the_meeting(client: TestClient) -> None:
    query = "quarter=2026Q2&meeting_date=2026-07-08"
    review = client.get(f"/v1/accounts/a05/qbr?{query}").json()
    assert review["meeting_date"] == "2026-07-08"
    for path in (f"/accounts/a05/qbr?{query}", f"/v1/accounts/a05/qbr/file?{query}&format=html"):
        shown = client.get(path, headers={"Accept": "text/html"})
        assert shown.status_code == 200
        assert "meeting on 8 Jul 2026" in shown.text
        assert "on 8 Jul 2026</h2>" in shown.text, "the agenda"
    page = client.get(f"/accounts/a05/qbr?{query}", headers={"Accept": "text/html"}).text
    assert 'value="2026-07-08"' in page
    assert "edition=customer&amp;" in page or "meeting_date=2026-07-08&amp;edition=customer" in page
    early = client.get("/v1/accounts/a05/qbr?quarter=2026Q2&meeting_date=2026-06-01")
    assert early.status_code == 422
    assert "before 2026-07-01" in early.json()["detail"]
    assert client.get("/v1/accounts/a05/qbr?quarter=2026Q2&meeting_date=soon").status_code == 422
    assert client.get("/accounts/a05/qbr?meeting_date=", headers={"Accept": "text/html"}).status_code == 200


def test_a_report_is_as_of_the_end_of_its_quarter_or_of_the_signals(
    rich: OpenSignals, scored_home: Any, tables: Any, make_signals: Callable[..., OpenSignals]
) -> None:
    # The newest event is of 30 June, 9:00, whatever the instant before which the signals are read.
    for signals in (rich, make_signals(tables, "2027-01-01")):
        assert report_instant(signals, calendar_period("2026Q1")) == datetime(2026, 4, 1, tzinfo=UTC)
        assert report_instant(signals, calendar_period("2026Q2")) == datetime(2026, 7, 1, tzinfo=UTC)
        with pytest.raises(BadRequest, match="before the period begins"):
            report_instant(signals, calendar_period("2026Q3"))
    with pytest.raises(UnknownAccount):
        account_facts_from_signals(rich, "a39", calendar_period(QUARTER), AS_OF, scored_home.home, load_champion(scored_home.home))
