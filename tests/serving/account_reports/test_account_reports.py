"""Reviews and plans tell what is known, name what is not, and hold whatever a customer is called."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from features.errors import BadRequest, UnknownAccount
from features.signals.signals import Signals
from features.utils.periods import calendar_period
from models.artifacts.champion import load_champion
from serving.account_reports.account_facts import Known
from serving.account_reports.business_review import review_told
from serving.account_reports.facts_from_signals import known_from_signals, looked_at
from serving.account_reports.html import page, write_pack
from serving.account_reports.schemas import Review
from serving.account_reports.success_plan import plan_told

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
QUARTER = "2026Q2"
EVIL = '<img src=x onerror="alert(1)">&'


@pytest.fixture(scope="module")
def rich(tables: Any, make_signals: Callable[..., Signals]) -> Signals:
    """The house's signals, with more told of a00."""
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
def known(house: Any, rich: Signals) -> Known:
    return known_from_signals(rich, "a00", calendar_period(QUARTER), AS_OF, house.home, load_champion(house.home))


@pytest.fixture(scope="module")
def review(known: Known) -> dict[str, Any]:
    return review_told(known, calendar_period(QUARTER), QUARTER)


def _part(told: dict[str, Any], name: str) -> dict[str, Any]:
    return next(part for part in told["sections"] if part["section"] == name)


def _figures(told: dict[str, Any], name: str) -> dict[str, Any]:
    return {figure["feature"] or figure["label"]: figure["value"] for figure in _part(told, name)["figures"]}


def test_a_review_tells_what_the_answer_and_the_rows_tell(review: dict[str, Any], known: Known) -> None:
    Review.model_validate(review)
    assert (review["complete"], review["source"], review["as_of"]) == (True, "signals", "2026-07-01")
    assert _figures(review, "partnership")["licensed seats"] == 20.0
    assert _figures(review, "partnership")["looked after by"] == "ann"
    assert _figures(review, "risk")["health score"] == known.answer["health"]["score"]
    assert _figures(review, "value")["outcomes.roi_last"] == 2.5
    goals = [(each["text"], each["date"]) for each in _part(review, "goals")["items"]]
    assert goals == [("Goal met", "2026-05-02")], "what lies outside the quarter is not of it"
    assert {p["section"] for p in review["sections"] if p["internal"]} == {"risk", "expansion"}
    weeks = _part(review, "use")["picture"]["points"]
    assert len(weeks) == 13
    assert weeks[-1]["date"] == "2026-07-01"


def test_what_is_missing_is_named_and_not_invented(review: dict[str, Any]) -> None:
    gaps = " ".join(review["gaps"])
    assert "the source has no engagement" in gaps
    assert "the source has no billing" in gaps
    assert "no relationship" not in gaps
    assert any("No executive sponsor is known" in question for question in review["questions"]), "the sponsor has left"
    assert not any("No champion" in question for question in review["questions"])
    every = [figure for part in review["sections"] for figure in part["figures"]]
    assert all(figure["value"] is not None for figure in every), "an unknown is no figure"


def test_a_plan_follows_from_the_risk(known: Known) -> None:
    told = plan_told(known)
    assert (told["kind"] == "save") == any(play["kind"] == "save" for play in known.answer["plays"])
    assert told["owner"] == "ann"
    stakeholders = _part(told, "stakeholders")
    assert [each["text"] for each in stakeholders["items"]] == [f"{EVIL}: champion, since 2025-01-01", "P2 has left"]
    assert "the executive sponsor" in stakeholders["missing"]
    milestones = _part(told, "milestones")["items"]
    assert [each["date"] for each in milestones] == sorted(each["date"] for each in milestones)
    renewal = next(each for each in milestones if each["text"] == "Renewal")
    assert renewal["date"] == "2027-01-01"
    assert any(each["date"] == "2026-09-03" for each in milestones), "talks start 120 days ahead"
    for sign in known.answer["early_warnings"]:
        assert any(sign["says"][1:] in each["text"] for each in _part(told, "risks")["items"])


def _play(kind: str, *because: str) -> dict[str, Any]:
    told = {"name": "low_adoption", "kind": kind, "severity": "high", "act": "do it", "who": "csm", "due": "2026-07-04"}
    return told | {"overdue": False, "because": list(because)}


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
    known: Known, plays: list[dict[str, Any]], because: list[str]
) -> None:
    """A warning alone, or a high score by itself, decides nothing: the reasons to act do, as on every page."""
    sign = {"code": "competitor", "says": "a competitor was named", "standing": "risk", "severity": "high"}
    answer = known.answer | {
        "health": known.answer["health"] | {"band": "red", "score": 20.0},
        "churn": known.answer["churn"] | {"band": "high", "probability": 0.5},
        "early_warnings": [sign | {"cause": "competitor_evaluation", "since": "2026-06-01"}],
        "plays": plays,
    }
    told = plan_told(Known(**{**known.__dict__, "answer": answer}))
    assert told["kind"] == ("save" if because else "success")
    if because:
        assert len(told["because"]) == len(because)
        assert all(words in sentence for words, sentence in zip(because, told["because"], strict=True))
    risks = [each["text"] for each in _part(told, "risks")["items"]]
    assert sum("do it" in text for text in risks) == len(plays)


@pytest.mark.parametrize("ready", [True, False])
def test_expansion_is_in_a_plan_only_where_it_is_proposed(known: Known, ready: bool) -> None:
    for plays in ([], [_play("save", "churn_medium")]):
        answer = known.answer | {"expansion": known.answer["expansion"] | {"ready": ready}, "plays": plays}
        told = plan_told(Known(**{**known.__dict__, "answer": answer}))
        sections = [part["section"] for part in told["sections"]]
        assert ("expansion" in sections) == (ready and not plays)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def test_the_page_stands_by_itself_and_escapes_what_customers_write(review: dict[str, Any], known: Known) -> None:
    for told in (review, plan_told(known)):
        html = page(told)
        seen = _Page()
        seen.feed(html)
        assert "<img" not in html
        assert not {"script", "link", "img", "iframe"} & set(seen.tags)
        assert not [name for name, _ in seen.attributes if name.startswith("on")]
        links = [value for name, value in seen.attributes if name in ("src", "href", "xlink:href") and value]
        assert all(value.startswith("#") for value in links)
        assert not re.search(r"url\((?!#)", html)
        assert "svg" in seen.tags or told["document"] == "plan"
        assert seen.tags.count("h1") == 1
        assert all(part["title"] in html for part in told["sections"])


def test_files_bear_the_accounts_name_as_far_as_they_can(review: dict[str, Any], tmp_path: Path) -> None:
    plain = write_pack(review, "<p>", tmp_path, "qbr-2026Q2")
    assert [path.name for path in plain] == ["a00-qbr-2026Q2.html", "a00-qbr-2026Q2.json"]
    assert json.loads(plain[1].read_text(encoding="utf-8")) == review
    odd = [write_pack(review | {"account_id": name}, "", tmp_path, "x")[0] for name in ("../a/b", "..-a-b")]
    assert len(set(odd)) == 2
    assert all(path.parent == tmp_path for path in odd)


def test_from_what_was_published_it_says_what_it_cannot_tell(client: TestClient) -> None:
    told = client.get("/v1/accounts/a00/qbr?quarter=2026Q2").json()
    for form in ("2026q2", "2026-Q2", "2026 q2", "Q2 2026"):
        assert client.get("/v1/accounts/a00/qbr", params={"quarter": form}).json() == told
    Review.model_validate(told)
    prediction = client.get("/v1/accounts/a00/prediction").json()
    assert (told["source"], told["as_of"]) == ("published", "2026-07-01")
    assert _figures(told, "risk")["churn probability"] == prediction["churn"]["probability"]
    assert _figures(told, "partnership")["licensed seats"] == 20.0
    assert any("no single events" in gap for gap in told["gaps"])
    assert client.get("/v1/accounts/a00/qbr?quarter=2026Q3").json()["code"] == "unknown_snapshot"
    assert client.get("/v1/accounts/nobody/qbr?quarter=2026Q2").json()["code"] == "unknown_account"
    assert client.get("/v1/accounts/a00/qbr?quarter=summer").status_code == 422


def test_a_quarter_is_looked_at_as_far_as_the_signals_go(rich: Signals, house: Any) -> None:
    assert looked_at(rich, calendar_period("2026Q1")) == datetime(2026, 4, 1, tzinfo=UTC)
    assert looked_at(rich, calendar_period("2026Q3")) == datetime(2026, 7, 2, tzinfo=UTC)
    with pytest.raises(BadRequest, match="before the period begins"):
        looked_at(rich, calendar_period("2026Q4"))
    with pytest.raises(UnknownAccount):
        known_from_signals(rich, "a39", calendar_period(QUARTER), AS_OF, house.home, load_champion(house.home))
