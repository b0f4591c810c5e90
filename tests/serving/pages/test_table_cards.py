"""A table that is too wide for a phone becomes cards, in which each value has the heading of its column."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from serving.html.table_cards import FEWEST_COLUMNS, add_card_labels

HEAD = '<thead><tr><th scope="col">A &amp; "B"</th><th>Two <span class="hidden">chart</span></th><th>3</th><th>4</th></tr></thead>'


def test_each_value_has_the_heading_of_its_column() -> None:
    rows = '<tbody><tr><th scope="row">x</th><td class="number">1</td><td colspan="2">2</td></tr></tbody><tfoot><tr><th>All</th><td></td><td>5</td><td>6</td></tr></tfoot>'
    shown = add_card_labels(f'<p>before</p><table data-export="t">{HEAD}{rows}</table>')
    assert shown.startswith('<p>before</p><table data-export="t" class="cards">' + HEAD)
    assert '<th scope="row">x</th><td data-label="Two chart" class="number">1</td><td colspan="2">2</td>' in shown
    assert '<th>All</th><td data-label="Two chart"></td><td data-label="3">5</td><td data-label="4">6</td>' in shown


def test_a_value_after_a_wide_cell_has_its_own_heading() -> None:
    shown = add_card_labels(f'<table class="x">{HEAD}<tbody><tr><td colspan="3">1</td><td>2</td></tr></tbody></table>')
    assert '<table class="cards x">' in shown
    assert '<td colspan="3">1</td><td data-label="4">2</td>' in shown


def test_a_label_is_safe_in_an_attribute() -> None:
    shown = add_card_labels(f"<table>{HEAD}<tbody><tr><td>1</td></tr></tbody></table>")
    assert '<td data-label="A &amp; &quot;B&quot;">1</td>' in shown


@pytest.mark.parametrize(
    "table",
    [
        f'<table class="list">{HEAD}<tbody><tr><td>1</td></tr></tbody></table>',
        "<table><thead><tr><th>1</th><th>2</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>",
        "<table><tbody><tr><td>1</td><td>2</td><td>3</td><td>4</td></tr></tbody></table>",
    ],
    ids=["a list", "few columns", "no head"],
)
def test_other_tables_stay_as_they_are(table: str) -> None:
    assert add_card_labels(table) == table


@pytest.mark.parametrize("path", ["/", "/accounts/a05", "/trends", "/leadership?as_of=2026-07-01", "/cohorts", "/renewals", "/worklist", "/model", "/reviews"])
def test_every_wide_table_of_a_page_can_be_shown_as_cards(paged: TestClient, path: str) -> None:
    tables = re.findall(r"<table.*?</table>", paged.get(path).text, re.DOTALL)
    for table in tables:
        columns = len(re.findall(r"<th[\s>]", table.split("</thead>")[0]))
        if columns < FEWEST_COLUMNS:
            continue
        assert re.match(r'<table[^>]*class="[^"]*\b(list|cards)\b', table), table[:200]
        cells = re.findall(r"<td[^>]*>", table)
        assert all("data-label=" in cell or "colspan=" in cell for cell in cells), table[:200]


def test_templates_label_the_values_of_their_lists() -> None:
    """The labels of a list are not added, so the templates must have them."""
    for template in Path("serving/html/templates").glob("*.html"):
        for table in re.findall(r'<table[^>]*class="list[^"]*"[^>]*>.*?</table>', template.read_text(encoding="utf-8"), re.DOTALL):
            assert all("data-label=" in cell for cell in re.findall(r"<td[^>]*>", table)), f"{template}: {table[:120]}"
