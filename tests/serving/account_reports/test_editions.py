"""The edition for the customer has nothing internal in any format, and page, API and signals give the same report."""

from __future__ import annotations

import html
import io
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from fastapi.testclient import TestClient
from rich.console import Console

from features.signals.signals import OpenSignals
from features.utils.periods import Period, calendar_period, period_ending
from models.artifacts.champion import load_champion
from serving.account_reports.account_facts import AccountFacts
from serving.account_reports.business_review import build_review
from serving.account_reports.editions import Edition, edition_of
from serving.account_reports.facts_from_signals import account_facts_from_signals
from serving.account_reports.schemas import AccountPlan, BusinessReview
from serving.account_reports.success_plan import build_plan
from serving.cli.tables.account_reports import print_account_report
from serving.presentations.report_files import ReportForm, report_file

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
QUARTER = calendar_period("2026Q2")
JSON = {"Accept": "application/json"}
FORMS = ("json", "terminal", *get_args(ReportForm))
CANARIES = (
    "86.42%", "86%", "0.8642", "13.75", "zz-reason", "zz-warning", "zz-act", "zz-signal", "zz-segment", "zz-touch",
    "zz-code", "zz-contact", "competitor", "churn", "health", "77.3%", "2026-06-19", "19 jun 2026", "usage.", "outcomes.",
    "support.", "internal edition", "renewcast qbr", "renewcast plan", "at risk",
)  # fmt: skip
"""Internal values that nothing else could contain, in the forms in which they could appear."""

Build = Callable[[AccountFacts], dict[str, Any]]
BUILDERS: Mapping[str, Build] = {"qbr": lambda facts: build_review(facts, QUARTER, "2026Q2"), "plan": build_plan}


@pytest.fixture(scope="module")
def champion(scored_home: Any) -> Any:
    return load_champion(scored_home.home)


@pytest.fixture(scope="module")
def plain_facts(scored_home: Any, signals: OpenSignals, champion: Any) -> Callable[..., AccountFacts]:
    def read(period: Period = QUARTER, account: str = "a05") -> AccountFacts:
        return account_facts_from_signals(signals, account, period, AS_OF, scored_home.home, champion)

    return read


@pytest.fixture(scope="module")
def facts(plain_facts: Callable[..., AccountFacts]) -> AccountFacts:
    """An account with unmistakable internal values, and something for every section that a customer sees."""
    known = plain_facts()
    prediction = known.prediction
    sign = {"code": "zz-code", "says": "zz-warning", "standing": "risk", "severity": "immediate", "cause": "competitor_evaluation"}
    play = {"name": "zz-code", "kind": "save", "severity": "high", "act": "zz-act", "who": "csm", "due": "2026-07-04"}
    reason = {"text": "zz-reason raises churn risk", "direction": "raises_risk"}
    churn = {"probability": 0.8642, "interval": [0.773, 0.9], "band": "high", "status": "scored"}
    internal = prediction | {
        "segment": "zz-segment",
        "touch": "zz-touch",
        "churn": prediction["churn"] | churn,
        "health": prediction["health"] | {"score": 13.75, "band": "red", "lowered_by": ["zz-reason"]},
        "expansion": prediction["expansion"] | {"probability": 0.773, "signals": [{"code": "x", "says": "zz-signal"}]},
        "early_warnings": [sign | {"since": "2026-06-19"}],
        "plays": [play | {"overdue": True, "because": ["zz-code", "health_red", "churn_high"]}],
        "reasons": [reason],
        "onboarding": prediction["onboarding"] | {"under_way": True, "day": 9},
    }
    when = {"occurred_at": "2026-05-02", "value": None}
    person = {"occurred_at": "2026-01-02", "event": "joined", "contact_name": None}
    rows = {
        "support": [
            {"occurred_at": "2026-05-03", "ticket_id": "1", "severity": "high", "escalated": True, "csat": None,
             "topic": "competitor", "resolved_at": None},
            {"occurred_at": "2026-05-04", "ticket_id": "2", "severity": "urgent", "escalated": False, "csat": 5.0,
             "topic": "single_sign_on", "resolved_at": "2026-05-06"},
        ],
        "outcomes": [
            when | {"kind": "goal_set", "text": "Halve the time for a report"},
            when | {"kind": "goal_met", "text": "Train all teams"},
            when | {"kind": "goal_missed", "text": "Replace spreadsheets"},
        ],
        "relationship": [
            person | {"contact_id": "zz-contact-1", "role": "champion"} | {"contact_name": "Champion Name"},
            person | {"contact_id": "zz-contact-2", "role": "admin"},
            person | {"contact_id": "zz-contact-3", "role": "user", "event": "left"},
        ],
    }  # fmt: skip
    contract = {**(known.contract or {}), "name": "Customer Name", "csm": "Manager Name", "notice_at": "2026-06-19"}
    contract["renewal_at"] = "2027-01-01"
    values = {**known.values, "usage.seats_used_share": 0.25, "outcomes.days_without_first_value": 9.0}
    return replace(known, prediction=internal, rows=rows, contract=contract, values=values)


def _text(report: Mapping[str, Any], form: str) -> str:
    """Everything that a file says, in lower case: of a presentation, every part, notes and properties included."""
    if form == "json":
        return str(report).lower()
    if form == "terminal":
        console = Console(file=io.StringIO(), width=200)
        print_account_report(report, console)
        return console.file.getvalue().lower()  # type: ignore[attr-defined, no-any-return]
    content = report_file(report, form)  # type: ignore[arg-type]
    if form == "html":
        page = re.sub(r"<style>.*?</style>", "", content.decode(), flags=re.S)
        return html.unescape(re.sub(r'(?:class|aria-\w+|id|d|points|href|data-\w+)="[^"]*"', "", page)).lower()
    parts = zipfile.ZipFile(io.BytesIO(content))
    names = [name for name in parts.namelist() if re.match(r"ppt/(slides|notesSlides|charts|embeddings)/[^/]+$|docProps", name)]
    # Embedded workbooks are archives themselves.
    opened = [zipfile.ZipFile(io.BytesIO(parts.read(name))) for name in names if name.endswith(".xlsx")]
    texts = [parts.read(name).decode() for name in names if name.endswith((".xml", ".rels"))]
    texts += [book.read(name).decode() for book in opened for name in book.namelist() if name.startswith("xl/")]
    return html.unescape(" ".join(re.sub(r"(?:schemas\.|xmlns)[^\s\"]*", "", text) for text in texts)).lower()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("document", BUILDERS)
def test_the_edition_for_the_customer_has_nothing_internal(facts: AccountFacts, document: str, form: str) -> None:
    """The same values are in the internal edition, so that the test would see them."""
    report = BUILDERS[document](facts)
    customer, internal = (_text(edition_of(report, edition), form) for edition in ("customer", "internal"))
    assert [canary for canary in CANARIES if canary in customer and canary != "usage."] == []
    for canary in ("zz-reason", "zz-warning", "zz-act", "86%", "zz-segment"):
        assert canary in internal, canary
    assert "customer name" in customer


@pytest.mark.parametrize("edition", get_args(Edition))
@pytest.mark.parametrize(("document", "schema"), [("qbr", BusinessReview), ("plan", AccountPlan)])
def test_both_editions_have_the_same_schema(facts: AccountFacts, document: str, schema: Any, edition: Edition) -> None:
    report = edition_of(BUILDERS[document](facts), edition)
    schema.model_validate(report)
    assert report["edition"] == edition
    if edition == "customer":
        assert report["questions"] == report["gaps"] == report.get("because", []) == []
        assert not any(part["internal"] or part["missing"] for part in report["sections"])
        assert report.get("kind") in (None, "success")


def test_a_customer_sees_goals_people_and_challenges_with_names(facts: AccountFacts) -> None:
    text = _text(edition_of(build_review(facts, QUARTER, "2026Q2"), "customer"), "html")
    for words in (
        "train all teams", "halve the time for a report", "replace spreadsheets", "champion name: champion",
        "customer success manager: manager name", "single sign on, resolved on 6 may 2026", "escalated ticket",
    ):  # fmt: skip
        assert words in text, words


@pytest.mark.parametrize("document", BUILDERS)
def test_an_owner_without_a_name_is_the_champion_only_for_the_account_team(facts: AccountFacts, document: str) -> None:
    report = BUILDERS[document](replace(facts, rows={**(facts.rows or {}), "relationship": []}))
    customer, internal = (_text(edition_of(report, edition), "html") for edition in ("customer", "internal"))
    assert "the champion" in internal
    assert "your team" in customer
    assert "the champion" not in customer


@pytest.mark.parametrize("account", ["a05", "a38"])
def test_page_api_and_signals_give_the_same_reports(
    client: TestClient, plain_facts: Callable[..., AccountFacts], account: str
) -> None:
    """The command line builds them from signals; page and API from what was published."""
    year = period_ending(AS_OF, "year")
    expected = {
        "qbr": build_review(plain_facts(QUARTER, account), QUARTER, "2026Q2"),
        "plan": build_plan(plain_facts(year, account)),
    }
    for document, report in expected.items():
        params = {"quarter": "2026Q2"} if document == "qbr" else {"as_of": "2026-07-01"}
        for edition in get_args(Edition):
            asked, shown = {**params, "edition": edition}, edition_of(report, edition)
            address = f"/v1/accounts/{account}/{document}"
            assert client.get(address, params=asked, headers=JSON).json() == shown
            for form in get_args(ReportForm):
                answer = client.get(f"{address}/file", params={**asked, "format": form})
                export = client.get(f"/exports/report.{form}/accounts/{account}/{document}", params=asked)
                assert answer.status_code == export.status_code == 200
                assert answer.headers["content-disposition"] == export.headers["content-disposition"]
                if form == "html":
                    assert answer.content == export.content == report_file(shown, "html")
            page = html.unescape(re.sub(r"\s+", " ", client.get(f"/accounts/{account}/{document}", params=asked).text))
            for part in shown["sections"]:
                for words in (*part["lines"], *(each["text"] for each in part["items"])):
                    assert re.sub(r"\s+", " ", words) in page

