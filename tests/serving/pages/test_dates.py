"""Dates and amounts of pages, reports and decks follow the settings of the home; addresses, JSON and CSV do not."""

from __future__ import annotations

import html
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pptx import Presentation

from features.contract.settings import subscription_settings
from features.utils.formatting import CURRENCY_VARIABLE, DATE_ORDER_VARIABLE, day, money, use_stored
from models.home import Home
from models.portfolio_settings import PortfolioSettings, store_portfolio_settings
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.html.links import report_href
from serving.schemas.interventions import InterventionRequest
from serving.store.database import Store
from serving.store.records import Author
from serving.worklist.intervention_changes import start_intervention

PAGES = (
    *("/", "/worklist", "/alerts", "/interventions?state=all", "/renewals", "/trends", "/cohorts", "/churned?as_of=2026-07-01", "/onboarding", "/leadership?as_of=2026-07-01", "/reviews", "/model", "/accounts/a05"),
    *(report_href("a05", report, edition) for report in ("qbr", "plan") for edition in ({}, {"edition": "customer"})),
)
FILES = [
    *(f"/v1/accounts/a05/{report}/file?{when}format={form}&edition={edition}" for report, when in (("qbr", "quarter=2026Q2&"), ("plan", "")) for edition in ("internal", "customer") for form in ("html", "pptx")),
    "/v1/portfolio/leadership/file?as_of=2026-07-01",
]
MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
OTHERS = {
    "day first": re.compile(rf"\b\d{{1,2}} ({MONTHS})\b(?! \d{{1,2}}, )"),
    "ISO": re.compile(r"\b20\d\d-\d\d-\d\d"),
    "another currency": re.compile(r"[$£]\s?\d"),
}
AMOUNT = re.compile(r"€\d[\d.,]*[kMB]?")


@pytest.fixture(scope="module")
def american(
    paged_home: Home, add_review: Callable[[Home], str], copy_home: Callable[[Home, Path], Home], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """A service of its own, since charts are cached with a snapshot. Its home stores the settings."""
    home = copy_home(paged_home, tmp_path_factory.mktemp("american") / "home")
    add_review(home)
    store_portfolio_settings(home, PortfolioSettings(currency="EUR", date_order="mdy"))
    request = {"account_id": "a06", "occurred_at": datetime.now(UTC).isoformat(), "play": "low_adoption"}
    start_intervention(Store.of(home), Author("k", "a person"), InterventionRequest.model_validate(request))
    try:
        app = create_app(home, ServiceSettings(open_locally=True, retry_seconds=0.05))
        with TestClient(app, client=("127.0.0.1", 1), headers={"Accept": "text/html"}) as client:
            yield client
    finally:
        use_stored(None, None)


def text_of(page: str) -> str:
    shown = re.sub(r"<(code|style|script)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", shown))


def require_settings(text: str, dated: bool = True) -> None:
    assert not dated or re.search(rf"\b({MONTHS}) \d{{1,2}}, 20\d\d", text)
    for words, pattern in OTHERS.items():
        assert not (found := pattern.search(text)), f"{words}: {text[max(found.start() - 60, 0) : found.end() + 60]}"


@pytest.mark.parametrize("path", PAGES)
def test_every_date_and_amount_of_a_page_follows_the_settings(american: TestClient, path: str) -> None:
    page = american.get(path)
    assert page.status_code == 200
    require_settings(text_of(page.text))
    for label, cell in re.findall(r'<td[^>]*data-label="([^"]*ARR[^"]*)"[^>]*>(.*?)</td>', page.text, re.DOTALL):
        shown = text_of(cell).strip()
        assert not re.search(r"\d", shown) or "%" in shown or AMOUNT.search(shown), (label, shown)
    if path in ("/", "/worklist", "/renewals", "/leadership?as_of=2026-07-01", "/accounts/a05"):
        assert AMOUNT.search(text_of(page.text))


def test_the_page_of_an_intervention_follows_the_settings(american: TestClient) -> None:
    (one,) = american.get("/v1/interventions", headers={"Accept": "application/json"}).json()["data"]
    version = american.patch(f"/v1/interventions/{one['id']}", json={"result": "saved", "arr": 1200}, headers={"If-Match": '"1"', "Accept": "application/json"})
    assert version.status_code == 200
    text = text_of(american.get(f"/interventions/{one['id']}").text)
    require_settings(text)
    assert "€1,200 of ARR" in text


@pytest.mark.parametrize("path", FILES)
def test_reports_and_decks_follow_the_settings(american: TestClient, path: str) -> None:
    answer = american.get(path)
    assert answer.status_code == 200, answer.text[:300]
    if "format=html" in path:
        text = text_of(answer.text)
    else:
        slides = Presentation(io.BytesIO(answer.content)).slides
        shapes = [shape for slide in slides for shape in slide.shapes]
        cells = [cell.text for shape in shapes if shape.has_table for row in shape.table.rows for cell in row.cells]
        text = "\n".join([*(shape.text_frame.text for shape in shapes if shape.has_text_frame), *cells])
    require_settings(text)


def test_the_environment_overrides_what_the_home_stores(american: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (money(1200), day("2026-09-30")) == ("€1,200", "Sep 30, 2026")
    assert subscription_settings().currency == "EUR"
    monkeypatch.setenv(CURRENCY_VARIABLE, "usd")
    monkeypatch.setenv(DATE_ORDER_VARIABLE, "ymd")
    assert (money(1200), day("2026-09-30")) == ("$1,200", "2026-09-30")
    assert subscription_settings().currency == "USD"


def test_files_for_people_follow_the_setting_and_files_for_programs_do_not(american: TestClient) -> None:
    table = "/exports/worklist.{}/worklist?capacity=100"
    assert re.search(r",20\d\d-\d\d-\d\d", american.get(table.format("csv")).text)
    sheet = zipfile.ZipFile(io.BytesIO(american.get(table.format("xlsx")).content)).read("xl/styles.xml").decode()
    assert 'formatCode="mmm d, yyyy"' in sheet
    assert "yyyy-mm-dd" not in sheet
    chart = american.get("/exports/health-trend.svg/")
    assert chart.status_code in (200, 404)
    if chart.status_code == 200:
        assert re.search(rf">({MONTHS}) \d", chart.text)
    answer = american.get("/v1/worklist", headers={"Accept": "application/json"})
    assert re.search(r'"as_of":\s*"20\d\d-\d\d-\d\d"', answer.text)
