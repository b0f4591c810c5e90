"""Lists of changed accounts, of groups, of CSMs and of interventions under way: sorted, searched and shown in pages."""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.schemas.interventions import InterventionRequest
from serving.store.database import Store
from serving.store.records import Author
from serving.worklist.intervention_changes import start_intervention

STARTED = {"a07": "low_adoption", "a08": "renewal", "a09": "executive_change"}


@pytest.fixture(scope="module")
def there(paged_home: Home, copy_home: Callable[[Home, Path], Home], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    home = copy_home(paged_home, tmp_path_factory.mktemp("lists") / "home")
    for account, play in STARTED.items():
        request = {"account_id": account, "occurred_at": datetime.now(UTC).isoformat(), "play": play}
        start_intervention(Store.of(home), Author("k", "a person"), InterventionRequest.model_validate(request))
    app = create_app(home, ServiceSettings(open_locally=True))
    with TestClient(app, client=("127.0.0.1", 1), headers={"Accept": "text/html"}) as client:
        yield client


def exported(client: TestClient, name: str, path: str) -> list[dict[str, str]]:
    answer = client.get(f"/exports/{name}.csv{path}")
    assert answer.status_code == 200, answer.text[:200]
    return list(csv.DictReader(answer.text.splitlines()))


def shown(client: TestClient, name: str, path: str) -> list[str]:
    """The headings of the rows of one table on the page."""
    page = client.get(path)
    assert page.status_code == 200, path
    body = page.text.partition(f'data-export="{name}"')[2].partition("</table>")[0].partition("<tbody>")[2]
    heads = re.findall(r'<th scope="row"[^>]*>(?:<a [^>]*>|<span [^>]*>)?([^<]*)<', body)
    return [html.unescape(each).strip() for each in heads]


#: Table, path, prefix of the parameters, column of the page and of the file, and the fields that name a row.
LISTS = [
    ("accounts", "/trends?", "", "before", "arr_at_risk_before", ("name", "account_id")),
    ("accounts", "/trends?", "", "change", "change", ("name", "account_id")),
    ("groups", "/leadership?as_of=2026-07-01&", "", "arr_end", "end_arr", ("group",)),
    ("in-progress", "/worklist?", "running_", "play", "play", ("name", "account_id")),
]


@pytest.mark.parametrize(("name", "path", "prefix", "column", "field", "words"), LISTS, ids=lambda each: str(each))
def test_a_list_is_sorted_both_ways_on_the_page_and_in_its_file(
    there: TestClient, name: str, path: str, prefix: str, column: str, field: str, words: tuple[str, ...]
) -> None:
    def value(row: dict[str, str]) -> float | str:
        return row[field] if column == "play" else float(row[field])

    for way, down in (("up", False), ("down", True)):
        sorted_path = f"{path}{prefix}sort={column}&{prefix}way={way}"
        rows = [row for row in exported(there, name, sorted_path) if row[field]]
        assert len(rows) > 1, sorted_path
        assert [value(row) for row in rows] == sorted(map(value, rows), reverse=down)
        named = [next(filter(None, (row[each] for each in words)), "unknown").removeprefix("'") for row in rows]
        page = shown(there, name, sorted_path)
        assert page[: len(named)] == named[: len(page)]
        assert f'aria-sort="{"descending" if down else "ascending"}"' in there.get(sorted_path).text


@pytest.mark.parametrize(("name", "path", "q"), [("accounts", "/trends?", "q"), ("in-progress", "/worklist?", "q")])
def test_a_search_leaves_the_matching_rows_and_says_if_there_are_none(there: TestClient, name: str, path: str, q: str) -> None:
    every = shown(there, name, path)
    first = every[0]
    found = shown(there, name, f"{path}{q}={first.upper()}")
    assert first in found
    assert len(found) < len(every)
    nothing = there.get(f"{path}{q}=no-such-row").text
    assert "Clear search" in nothing
    assert f'data-export="{name}"' not in nothing


def test_the_changed_accounts_are_shown_in_pages(there: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.pages.trends.LISTED", 4)
    every = len(exported(there, "accounts", "/trends"))
    pages = [shown(there, "accounts", f"/trends?page={number}") for number in (1, 2)]
    assert [len(page) for page in pages] == [4, min(every - 4, 4)]
    assert not set(pages[0]) & set(pages[1])
    assert 'rel="next"' in there.get("/trends").text


@pytest.mark.parametrize("path", [
    "/?sort=&way=&q=", "/worklist?q=&sort=&way=&running_sort=&running_way=", "/alerts?q=&sort=&way=&code=&show=", "/renewals?period=&sort=&way=", "/trends?q=&sort=&way=&since=",
    "/interventions?assignee=&sort=&way=&state=all", "/leadership?as_of=2026-07-01&q=&sort=&way=&csms_q=&csms_sort=&csms_way=&by=",
])  # fmt: skip
def test_forms_may_send_every_field_empty(there: TestClient, path: str) -> None:
    assert there.get(path).status_code == 200


@pytest.mark.parametrize(("path", "name", "prefix", "column"), [
    ("/", "accounts", "", "arr"), ("/worklist?capacity=100", "worklist", "", "loss"), ("/alerts", "alerts", "", "risk"), ("/trends", "accounts", "", "now"), ("/interventions?state=all", "interventions", "", "play"),
    ("/leadership?as_of=2026-07-01", "groups", "", "arr_end"), ("/worklist", "in-progress", "running_", "play"),
])  # fmt: skip
def test_a_phone_has_a_control_for_the_order_that_works_without_scripts(
    there: TestClient, visit: Callable[..., Any], listening: Callable[..., Any], path: str, name: str, prefix: str, column: str
) -> None:
    with listening(there.app) as address:
        phone = visit(address, java_script_enabled=False, viewport={"width": 390, "height": 844})
        phone.open(path)
        choice = phone.page.locator(f"#{prefix}sort")
        assert choice.is_visible()
        choice.select_option(column)
        phone.page.locator(f"#{prefix}way").select_option("up")
        form = phone.page.locator("form", has=choice)
        form.locator("button").first.click()
        assert phone.page.locator(f"#{prefix}sort").input_value() == column
        cards = phone.page.locator(f"table[data-export={name}] tbody th[scope=row]").all_inner_texts()
        expected = shown(there, name, phone.page.url.removeprefix(address))
        assert [text.split("\n")[0].strip() for text in cards] == [" ".join(each.split()) for each in expected]
        assert f"{prefix}sort={column}" in phone.page.url
        assert phone.sideways == 0
        phone.page.set_viewport_size({"width": 1280, "height": 900})
        assert not phone.page.locator(f"#{prefix}sort").is_visible(), "headings sort wide tables"
