"""Saved views: a page with its filter, search and order, by name, of one person or for everyone."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete
from typer.testing import CliRunner

import renewcast
from models.home import Home, current_home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings, current_settings
from serving.html.navigation import SECTIONS
from serving.http.api_keys import create_key
from serving.pages.alerts import AlertsPageQuery
from serving.pages.churned_accounts import ChurnedPageQuery
from serving.pages.cohorts import CohortsPageQuery
from serving.pages.interventions import InterventionsPageQuery
from serving.pages.leadership import LeadershipPageQuery
from serving.pages.onboarding import OnboardingPageQuery
from serving.pages.renewals import RenewalsPageQuery
from serving.pages.trends import TrendsPageQuery
from serving.pages.worklist import WorklistPageQuery
from serving.portfolio.account_list import AccountListQuery
from serving.schemas.account_filter import FILTER_FIELDS
from serving.schemas.saved_views import PASSING, VIEW_PAGES
from serving.store.database import Store
from serving.store.tables import saved_views

PAGE = {"Accept": "text/html"}
People = Callable[..., TestClient]


@pytest.fixture(scope="module")
def app(scored_home: Any, copy_home: Callable[[Home, Any], Home], tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = copy_home(scored_home.home, tmp_path_factory.mktemp("views") / "home")
    return create_app(home, ServiceSettings(retry_seconds=0.05))


@pytest.fixture
def person(app: Any) -> Iterator[People]:
    """Opens a client for a person with a key, without any view of earlier tests."""
    store: Store = app.state.store
    with store.begin() as connection:
        connection.execute(delete(saved_views))
    with TestClient(app):

        def open_client(name: str, *scopes: str, owner: str | None = None) -> TestClient:
            return TestClient(app, headers=_key(store, name, scopes or ("predict",), owner), follow_redirects=False)

        yield open_client


def _key(store: Store, name: str, scopes: tuple[str, ...], owner: str | None) -> dict[str, str]:
    with store.begin() as connection:
        return {"X-API-Key": create_key(connection, name, scopes, owner)[1]}


def _names(client: TestClient) -> list[tuple[str, bool]]:
    return [(each["name"], each["shared"]) for each in client.get("/v1/views").json()["data"]]


def _body(name: str, page: str = "/worklist", query: str = "health=red&sort=due", **more: Any) -> dict[str, Any]:
    return {"name": name, "page": page, "query": query, **more}


def test_the_parameters_of_views_are_those_of_the_pages() -> None:
    queries = {
        "/": AccountListQuery, "/worklist": WorklistPageQuery, "/alerts": AlertsPageQuery, "/interventions": InterventionsPageQuery,
        "/renewals": RenewalsPageQuery, "/trends": TrendsPageQuery, "/leadership": LeadershipPageQuery, "/cohorts": CohortsPageQuery,
        "/churned": ChurnedPageQuery, "/onboarding": OnboardingPageQuery,
    }  # fmt: skip
    assert queries.keys() == VIEW_PAGES.keys() <= {each.path for each in SECTIONS}
    for page, query in queries.items():
        assert set(query.model_fields) - {*FILTER_FIELDS, *PASSING} == VIEW_PAGES[page], page


def test_own_views_are_those_of_the_owner_and_shared_ones_everyone_s(person: People) -> None:
    ana, again, bo = person("Ana", owner="Ana"), person("Ana, phone", owner="Ana"), person("Bo", "predict", "write")
    assert ana.post("/v1/views", json=_body("mine")).status_code == 201
    assert bo.post("/v1/views", json=_body("ours", shared=True)).status_code == 201
    assert bo.post("/v1/views", json=_body("mine")).status_code == 201, "names are unique for each owner only"
    assert _names(ana) == _names(again) == [("mine", False), ("ours", True)]
    assert _names(bo) == [("mine", False), ("ours", True)]
    assert _names(person("Cy")) == [("ours", True)]


def test_only_who_may_write_changes_views_for_everyone_and_no_one_those_of_others(person: People) -> None:
    ana, bo = person("Ana"), person("Bo", "predict", "write")
    assert ana.post("/v1/views", json=_body("ours", shared=True)).status_code == 403
    mine = ana.post("/v1/views", json=_body("mine")).json()["id"]
    ours = bo.post("/v1/views", json=_body("ours", shared=True)).json()["id"]
    for call in (lambda c, i: c.patch(f"/v1/views/{i}", json={"name": "x"}), lambda c, i: c.delete(f"/v1/views/{i}")):
        assert call(bo, mine).status_code == 404
        assert call(ana, ours).status_code == 403
    assert ana.patch(f"/v1/views/{mine}", json={"name": "my  own"}).json()["name"] == "my own"
    assert bo.delete(f"/v1/views/{ours}").status_code == 204
    assert ana.delete(f"/v1/views/{mine}").status_code == 204
    assert ana.delete(f"/v1/views/{mine}").status_code == 404
    assert _names(ana) == _names(bo) == []


def test_a_name_is_given_once(person: People) -> None:
    ana = person("Ana")
    first, second = (ana.post("/v1/views", json=_body(name)).json()["id"] for name in ("one", "two"))
    for answer in (ana.post("/v1/views", json=_body("one")), ana.patch(f"/v1/views/{second}", json={"name": "one"})):
        assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")
    assert ana.patch(f"/v1/views/{first}", json={"name": "one"}).status_code == 200
    assert _names(ana) == [("one", False), ("two", False)]


def test_a_repeated_request_saves_one_view(person: People) -> None:
    ada = person("Ada")
    body, repeated = {"name": "Mine", "page": "/worklist", "query": "health=red"}, {"Idempotency-Key": "once"}
    first, second = (ada.post("/v1/views", json=body, headers=repeated) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert len(ada.get("/v1/views").json()["data"]) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "}, {"name": "x" * 101}, {"name": "a\x00b"}, {"page": "/accounts/a05"}, {"page": "//evil.example"}, {"page": "https://evil.example"},
        {"query": "nonsense=1"}, {"query": "no-value"}, {"query": "q=ü"}, {"query": "q=%ff"}, {"query": "q=" + "x" * 2000}, {"query": "capacity=1", "page": "/"},
    ],
)  # fmt: skip
def test_what_no_page_understands_is_refused_without_repeating_it(person: People, wrong: dict[str, Any]) -> None:
    answer = person("Ana").post("/v1/views", json={**_body("a view"), **wrong})
    assert answer.status_code == 422
    assert "evil" not in answer.text
    assert "nonsense" not in answer.text


@pytest.mark.parametrize("page", VIEW_PAGES)
def test_every_page_saves_shows_and_opens_its_view(person: People, page: str) -> None:
    ana = person("Ana", "predict", "write")
    shown = ana.get(page, params={"health": "green", "as_of": "2026-07-01"} if page != "/interventions" else {"health": "green"}, headers=PAGE)
    fields = dict(re.findall(r'<input type="hidden" name="(page|query)" value="([^"]*)">', shown.text.partition('action="/views"')[2]))
    assert (fields["page"], html.unescape(fields["query"])) == (page, "health=green"), "the latest date"
    saved = ana.post("/views", data={"name": 'Green & "good"', "shared": "yes", **{k: html.unescape(v) for k, v in fields.items()}})
    assert (saved.status_code, saved.headers["location"]) == (303, f"{page}?health=green")
    opened = ana.get(saved.headers["location"], headers=PAGE).text
    assert 'View: <strong class="anywhere">Green &amp; &#34;good&#34;</strong>' in opened
    assert f'<a href="{page}?health=green" aria-current="true">' in opened
    assert "View: <strong" not in ana.get(page, params={"health": "red"}, headers=PAGE).text
    assert person("Bo").get("/v1/views").json()["data"][0]["href"] == f"{page}?health=green"


def test_the_page_of_views_renames_and_deletes_without_scripts(person: People) -> None:
    ana = person("Ana")
    assert "No saved views yet." in ana.get("/views", headers=PAGE).text
    view = ana.post("/v1/views", json=_body("reds", "/", "health=red&csm=Ana+B")).json()["id"]
    listed = ana.get("/views", headers=PAGE).text
    assert '<a href="/?health=red&amp;csm=Ana+B">reds</a>' in listed
    assert "Health red, CSM Ana B" in listed
    assert ana.post(f"/views/{view}", data={"do": "rename", "name": "red ones"}).headers["location"] == "/views"
    assert _names(ana) == [("red ones", False)]
    assert ana.post(f"/views/{view}", data={"do": "what"}).status_code == 422
    assert ana.post(f"/views/{view}", data={"do": "rename", "name": ""}).status_code == 422
    assert ana.post(f"/views/{view}", data={"do": "delete"}).status_code == 303
    assert _names(ana) == []


def test_forms_of_other_sites_are_refused(app: Any, person: People) -> None:
    ana = person("Ana", owner="Ana")
    key = ana.headers["x-api-key"]
    with TestClient(app, follow_redirects=False) as browser:
        browser.post("/sign-in", data={"key": key})
        form = {"name": "x", "page": "/", "query": ""}
        assert browser.post("/views", data=form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert browser.post("/views", data=form, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303
    assert _names(ana) == [("x", False)]


def test_someone_with_own_accounts_saves_a_view_of_all_accounts(person: People) -> None:
    """For them, a page without a filter shows their own accounts, so the view says that it is of all."""
    ana = person("Ana", owner="Ana")
    assert ana.post("/v1/views", json=_body("all", "/", "csm=")).json()["href"] == "/?csm="
    assert ana.get("/?csm=", headers=PAGE).status_code == 200


def test_pages_without_a_store_show_the_rest(person: People, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from serving.common.errors import StoreDown

    ana = person("Ana")
    assert ana.get("/trends", headers=PAGE).status_code == 200

    def down(*_: Any) -> Any:
        raise StoreDown("down")

    monkeypatch.setattr(app.state.store, "read_cached", down)
    page = ana.get("/trends", headers=PAGE)
    assert page.status_code == 200
    assert 'class="view-form"' not in page.text


def test_the_command_saves_lists_opens_renames_and_deletes(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENEWCAST_HOME", str(own_home.root))
    current_home.cache_clear()
    current_settings.cache_clear()

    def views(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(renewcast.app, ["views", *arguments])
        if code:
            assert result.exit_code != 0
            return str(result.exception)
        assert result.exit_code == 0, result.output
        return result.output

    try:
        assert "no saved views" in views("list")
        views("save", "Reds", "--page", "/", "--query", "health=red&as_of=2026-07-01")
        views("save", "Reds", "--page", "/alerts", "--owner", "Ana")
        assert "/alerts" in views("list")
        assert "/?health=red" in views("list")
        assert views("open", "Reds", "--print", "--owner", "Ana") == "http://127.0.0.1:8000/alerts\n"
        assert views("open", "Reds", "--print") == "http://127.0.0.1:8000/?health=red\n", "the one for everyone"
        for owner in ("Ana", "Bo"):
            views("save", "Twice", "--page", "/", "--owner", owner)
        assert "2 views have this name" in views("delete", "Twice", code=2)
        views("delete", "Twice", "--owner", "Ana")
        views("delete", "Twice")
        assert "no view has this id or name" in views("delete", "Greens", code=2)
        assert "already a view with this name" in views("save", "Reds", "--page", "/", code=2)
        views("rename", "Reds", "Alerts", "--owner", "Ana")
        assert views("open", "Reds", "--print", "--address", "https://x.example/") == "https://x.example/?health=red\n"
        views("delete", "Alerts")
        views("delete", "Reds")
        assert "no saved views" in views("list")
    finally:
        current_home.cache_clear()
        current_settings.cache_clear()
