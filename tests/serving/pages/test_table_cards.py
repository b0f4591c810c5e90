"""A table that is too wide for a phone becomes cards, in which each value has the heading of its column."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from training.review.html.render import TEMPLATE_FOLDER

#: Tables with fewer columns fit a phone as they are.
FEWEST_COLUMNS = 4
TEMPLATES = [*Path("serving/html/templates").glob("*.html"), TEMPLATE_FOLDER / "review.html"]
CARDS = re.compile(r'<table[^>]*class="[^"]*\b(?:list|cards)\b[^>]*>.*?</table>', re.DOTALL)


@pytest.mark.parametrize("path", ["/", "/?group=product", "/accounts/a05", "/trends", "/leadership?as_of=2026-07-01", "/cohorts", "/churned?as_of=2026-07-01", "/onboarding", "/renewals", "/worklist", "/model", "/reviews", "/accounts/a05/qbr", "/docs"])
def test_every_wide_table_of_a_page_can_be_shown_as_cards(paged: TestClient, path: str) -> None:
    for table in re.findall(r"<table.*?</table>", paged.get(path).text, re.DOTALL):
        head, _, body = table.partition("</thead>")
        headings = [_words(each) for each in re.findall(r"<th(?:\s[^>]*)?>(.*?)</th>", head, re.DOTALL)]
        if len(headings) < FEWEST_COLUMNS:
            continue
        assert CARDS.match(table), table[:200]
        for cell in re.findall(r"<td[^>]*>", body):
            label = re.search(r'data-label="([^"]*)"', cell)
            assert label or "colspan=" in cell, (table[:200], cell)
            assert label is None or _is_heading(label[1], headings), (label[1], headings)


def _words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>|[▲▼]", " ", html).split())


def _is_heading(label: str, headings: list[str]) -> bool:
    """Whether a label is a heading, or as much of it as tells the columns apart."""
    if (label, headings[0]) == ("Rank", "#"):
        return True
    first = label.split(",")[0].split()[0].lower()
    return any(first in heading.lower() or heading.lower() in label.lower() for heading in headings if heading)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_templates_label_the_values_of_their_cards(template: Path) -> None:
    """Also of rows that no page of the tests shows."""
    for table in CARDS.findall(template.read_text(encoding="utf-8")):
        unlabelled = [cell for cell in re.findall(r"<td[^>]*>", table) if "data-label=" not in cell and "colspan=" not in cell]
        assert not unlabelled, f"{template}: {table[:120]}: {unlabelled}"


def test_a_phone_shows_the_labels(visit: Callable[..., Any], live: str) -> None:
    there = visit(live, viewport={"width": 390, "height": 800})
    there.open("/leadership?as_of=2026-07-01")
    cell = there.page.locator("table[data-export=capacity] td").first
    assert cell.evaluate("each => getComputedStyle(each, '::before').content") == '"Accounts"'
    assert there.page.locator("table[data-export=capacity] thead").is_hidden()
