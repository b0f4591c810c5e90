"""The pages of business reviews and plans match the JSON and follow the content security policy."""

from __future__ import annotations

import html
import re

import pytest
from fastapi.testclient import TestClient

from serving.account_reports.schemas import AccountPlan
from serving.html.links import report_href
from serving.http.security_headers import PAGE_POLICY

EXACT = {"Accept": "application/json"}
HOSTILE = ["a/b c?d#e", '"><img src=x onerror=alert(1)>', "..", "100% \\ ü", "a05"]


def _text(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


@pytest.mark.parametrize("account", HOSTILE)
@pytest.mark.parametrize("pack", ["qbr", "plan"])
def test_report_pages_match_the_json_and_contain_no_scripts(paged: TestClient, account: str, pack: str) -> None:
    page = paged.get(report_href(account, pack))
    assert page.status_code == 200, _text(page.text)[:300]
    assert page.headers["content-security-policy"] == PAGE_POLICY
    assert not re.search(r"<style|\sstyle=|<[^>]+\son\w+=", re.sub(r'"[^"]*"', '""', page.text)), "the policy would refuse it"
    assert "<img src=x" not in page.text
    json = re.search(r'href="(/v1/accounts/[^"]+)">View as JSON', page.text)
    assert json is not None
    if account == "..":
        return
    payload = paged.get(html.unescape(json[1]), headers=EXACT).json()
    assert payload["account_id"] == account
    text = _text(page.text)
    for part in payload["sections"]:
        assert part["title"] in text
        for figure in (*part["metrics"], *part["figures"]):
            assert re.sub(r"\s+", " ", figure["words"]) in text
        for item in part["items"]:
            assert re.sub(r"\s+", " ", item["text"]) in text
    for line in (*payload["questions"], *payload["gaps"]):
        assert re.sub(r"\s+", " ", line[1:]) in text


def test_a_plan_matches_its_schema_at_any_date(paged: TestClient) -> None:
    payload = paged.get("/v1/accounts/a05/plan", headers=EXACT).json()
    AccountPlan.model_validate(payload)
    assert payload["as_of"] == "2026-07-08"
    assert payload["owner"] in ("csm-one", "<b>csm</b> two")
    earlier = paged.get("/v1/accounts/a05/plan?as_of=2026-06-01", headers=EXACT).json()
    assert earlier["as_of"] == "2026-06-01"
    assert any("no individual events" in gap for gap in payload["gaps"])


def test_a_quarter_is_accepted_in_several_formats(paged: TestClient) -> None:
    page = paged.get("/accounts/a05/qbr?quarter=2026Q3")
    assert page.status_code == 200
    for form in ("2026-q3", "Q3 2026"):
        other = paged.get("/accounts/a05/qbr", params={"quarter": form}).text
        # The links to files have the query as it was asked.
        assert re.sub(r'href="/exports/[^"]*"', "", other) == re.sub(r'href="/exports/[^"]*"', "", page.text)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/accounts/a999/plan", 404),
        ("/accounts/a999/qbr", 404),
        ("/accounts//qbr", 422),
        ("/accounts/a05/qbr?quarter=summer", 422),
        ("/accounts/a05/qbr?quarter=2019Q1", 404),
        ("/accounts/a05/plan?as_of=2001-01-01", 404),
    ],
)
def test_not_found_errors_are_pages(paged: TestClient, path: str, status: int) -> None:
    payload = paged.get(path)
    assert payload.status_code == status
    assert payload.headers["content-type"].startswith("text/html")


def test_the_account_page_links_to_both_reports_and_back(paged: TestClient) -> None:
    page = paged.get("/accounts/a05").text
    for pack, requested in (("qbr", {"quarter": "2026Q3"}), ("plan", None)):
        assert f'href="{report_href("a05", pack, requested)}"' in page
        assert 'href="/accounts/a05"' in paged.get(report_href("a05", pack)).text
