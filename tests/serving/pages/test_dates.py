"""All dates that pages show have the order of the setting; addresses, JSON and CSV have ISO 8601."""

from __future__ import annotations

import html
import io
import re
import zipfile
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from features.utils.formatting import DATE_ORDER_VARIABLE
from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.html.links import report_href

PAGES = ("/", "/worklist", "/alerts", "/interventions", "/renewals", "/trends", "/cohorts", "/churned?as_of=2026-07-01", "/model", "/accounts/a05", report_href("a05", "qbr"), report_href("a05", "plan"))
MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
OTHERS = {
    "day first": re.compile(rf"\b\d{{1,2}} ({MONTHS})\b(?! \d{{1,2}}, )"),
    "ISO": re.compile(r"\b20\d\d-\d\d-\d\d"),
}


@pytest.fixture(scope="module")
def american(paged_home: Home) -> Iterator[TestClient]:
    """A service of its own, since charts are cached with a snapshot."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(DATE_ORDER_VARIABLE, "mdy")
        app = create_app(paged_home, ServiceSettings(open_locally=True, retry_seconds=0.05))
        with TestClient(app, client=("127.0.0.1", 1), headers={"Accept": "text/html"}) as client:
            yield client


@pytest.mark.parametrize("path", PAGES)
def test_every_date_of_a_page_has_the_order_of_the_setting(american: TestClient, path: str) -> None:
    page = american.get(path)
    assert page.status_code == 200
    text = html.unescape(re.sub(r"<code>.*?</code>|<[^>]+>", " ", page.text))
    assert re.search(rf"\b({MONTHS}) \d{{1,2}}, 20\d\d", text) or path == "/interventions"
    for words, pattern in OTHERS.items():
        assert not pattern.search(text), words


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
