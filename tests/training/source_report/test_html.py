"""The report as a page: in a browser on a phone and a desktop, in light and dark mode, and printed."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from features.sources.base import from_tables
from training.source_report.html.render import render
from training.source_report.report import report_on_source

EVIL = '<img src=x onerror="alert(1)">'
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def page_text(to_arrow: Any) -> str:
    """The page of a portfolio with a gap in usage, support that ended early, and hostile names."""
    days = [date(2026, 1, 5) + timedelta(days=n) for n in range(180)]
    usage = [day for day in days if not date(2026, 3, 2) <= day < date(2026, 4, 20)]
    tables: dict[str, list[dict[str, Any]]] = {
        "accounts": [{"account_id": name, "created_at": "2026-01-05"} for name in (EVIL, "b")],
        "subscriptions": [{"account_id": name, "started_at": "2026-01-05", "arr": 60_000.0} for name in (EVIL, "b")],
        "usage": [{"account_id": EVIL, "occurred_at": f"{day}", "feature": EVIL} for day in usage],
        "support": [{"account_id": "b", "occurred_at": f"{day}", "ticket_id": f"{day}", "severity": "low"} for day in days[:60]],
    }
    source = from_tables({name: to_arrow(name, rows) for name, rows in tables.items()}, f"a {EVIL}")
    return render(report_on_source(source, datetime(2026, 7, 4, tzinfo=UTC)))


def test_pictures_name_gaps_and_early_ends_and_text_is_escaped(page_text: str) -> None:
    labels = re.findall(r'aria-label="(Rows per week of [^"]*)"', page_text)
    assert labels == [
        "Rows per week of subscriptions, at most 2",
        "Rows per week of usage, at most 7; 1 long gap",
        "Rows per week of support, at most 7; it ended too early",
    ]
    assert "2 active accounts, ARR 120k, renewal dates unknown" in page_text
    assert EVIL not in page_text
    assert "a &lt;img" in page_text
    assert "<script" not in page_text


def test_no_tag_has_an_attribute_twice(page_text: str) -> None:
    twice = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            twice.extend((tag, name) for name, times in Counter(name for name, _ in attrs).items() if times > 1)

    Tags().feed(page_text)
    assert twice == [], "browsers use the first one"


def test_tables_are_cards_with_labels_on_phones(page_text: str) -> None:
    tables = re.findall(r'<table class="cards">.*?</table>', page_text, re.DOTALL)
    assert len(tables) == 2
    assert all("data-label=" in cell for table in tables for cell in re.findall(r"<td[^>]*>", table))


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_page_fits_phones_is_readable_in_both_modes_and_prints(page_text: str, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    file = tmp_path / "report.html"
    file.write_text(page_text, encoding="utf-8")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        for width in (1280, 390):
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                complaints: list[str] = []
                page.on("console", lambda message, to=complaints: to.append(message.text))
                page.on("request", lambda request, to=complaints: request.url.startswith(("file:", "data:")) or to.append(request.url))
                page.goto(file.as_uri())
                assert complaints == []
                assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
                assert page.locator("svg[role=img]").count() == 5
                faint = [ratio for ratio in page.evaluate(CONTRASTS) if ratio < 4.5]
                assert not faint, (width, scheme)
                page.close()
        page = browser.new_page()
        page.goto(file.as_uri())
        assert page.pdf(format="A4").startswith(b"%PDF")
        browser.close()


#: The contrast of every text with its ground (WCAG 2.2).
CONTRASTS = """() => {
    const light = color => {
        const [r, g, b] = color.match(/[0-9.]+/g).slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = each => {
        while (getComputedStyle(each).backgroundColor === 'rgba(0, 0, 0, 0)' && each.parentElement) each = each.parentElement;
        return getComputedStyle(each).backgroundColor;
    };
    return [...document.querySelectorAll('p, li, h1, h2, dt, dd, th, td, small, .tag, figcaption, .soft')].map(each => {
        const pair = [light(getComputedStyle(each).color), light(ground(each))].sort((a, b) => b - a);
        return (pair[0] + 0.05) / (pair[1] + 0.05);
    });
}"""
