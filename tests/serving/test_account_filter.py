"""One filter of accounts holds for all routes and pages, and every figure is of the accounts that it selects."""

from __future__ import annotations

import html
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

import renewcast
from features.errors import UnknownAccount
from features.utils import formatting as words
from models.home import Home, current_home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings, current_settings
from serving.html.links import account_href, report_href, with_query
from serving.html.navigation import CARRIED, SECTIONS
from serving.http.api_keys import create_key
from serving.portfolio.kpi_file import contributions_path
from serving.schemas.account_filter import FILTER_FIELDS, WITHOUT
from serving.scoring.publish_predictions import publish_batch
from serving.snapshots.sidecars import ACCOUNTS, PRODUCTS, read_sidecar, write_sidecar
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.store import published_predictions
from serving.store.database import Store
from tests.serving.conftest import AS_OF

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
CSMS = ("Ana", "Bo", None)
REGIONS = ("EMEA", None)
PAGES = ("/", "/worklist", "/renewals", "/cohorts", "/churned", "/onboarding", "/trends", "/leadership")


@pytest.fixture(scope="module")
def filtered_home(
    scored_home: Any, copy_home: Callable[[Home, Any], Home], tmp_path_factory: pytest.TempPathFactory
) -> Home:
    """The shared home, whose accounts have CSMs, regions and products."""
    home = copy_home(scored_home.home, tmp_path_factory.mktemp("filtered") / "home")
    snapshots = SnapshotFiles(home)
    document = read_sidecar(snapshots, AS_OF, ACCOUNTS)
    assert document is not None
    people = {
        account: {**each, "name": f"Company {account}", "csm": CSMS[place % 3], "region": REGIONS[place % 2]}
        for place, (account, each) in enumerate(document["accounts"].items())
    }
    former = {account: {**each, "csm": "Ana", "region": "EMEA"} for account, each in document["former"].items()}
    write_sidecar(snapshots, AS_OF, ACCOUNTS, {**document, "accounts": people, "former": former})
    unknown = dict.fromkeys(("seats", "active_users", "active_users_before"))
    held = {account: [{"product": name, "held": True, "arr": 1.0, **unknown} for name in ("Core", "Plus")[place % 2 :]] for place, account in enumerate(people) if place % 5}
    write_sidecar(snapshots, AS_OF, PRODUCTS, {"products": held})
    return home


@pytest.fixture(scope="module")
def there(filtered_home: Home) -> Iterator[TestClient]:
    app = create_app(filtered_home, ServiceSettings(open_locally=True, retry_seconds=0.05))
    with TestClient(app, client=("127.0.0.1", 1), follow_redirects=False) as client:
        yield client


def _json(there: TestClient, path: str, **params: Any) -> Any:
    answer = there.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _text(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


#: The values of each field that divide the accounts into parts.
PARTITIONS = {
    "csm": ("Ana", "Bo", WITHOUT),
    "segment": None,
    "region": ("EMEA", WITHOUT),
    "parent": ("a00", "a39", WITHOUT),
    "health": ("green", "yellow", "red", "insufficient_data"),
    "risk": ("high", "medium", "low", WITHOUT),
    "stage": ("onboarding", "adoption", "value", "expansion", "advocacy", WITHOUT),
}


def _parts(there: TestClient, name: str) -> list[str]:
    values = PARTITIONS[name]
    if values is not None:
        return list(values)
    return [each["segment"] or WITHOUT for each in _json(there, "/v1/portfolio")["by_segment"]]


def _sum(values: list[float | None]) -> float:
    return sum(value for value in values if value is not None)


@pytest.mark.parametrize("name", PARTITIONS)
def test_figures_of_a_partition_add_up_to_those_of_all_accounts(there: TestClient, name: str) -> None:
    values = _parts(there, name)
    whole = _json(there, "/v1/portfolio")["whole"]
    parts = [_json(there, "/v1/portfolio", **{name: value}) for value in values]
    assert all(part["filter"] == {**dict.fromkeys(FILTER_FIELDS), name: value} for part, value in zip(parts, values, strict=True))
    for figure in ("accounts", "arr", "arr_unknown", "expected_churned_accounts", "expected_churned_arr", "health_unknown"):
        assert _sum([part["whole"][figure] for part in parts]) == pytest.approx(whole[figure]), figure
    for figure, count in (("mean_health", "health_unknown"), ("mean_churn_probability", "churn_unknown")):
        known = [(part["whole"][figure] or 0.0) * (part["whole"]["accounts"] - part["whole"][count]) for part in parts]
        assert sum(known) == pytest.approx(whole[figure] * (whole["accounts"] - whole[count])), figure

    for by in ("segment", "csm", "product"):
        groups = [_json(there, "/v1/portfolio/groups", by=by, **{name: value}) for value in values]
        for every in _json(there, "/v1/portfolio/groups", by=by)["groups"]:
            same = [group for each in groups for group in each["groups"] if group["group"] == every["group"]]
            for figure in ("accounts", "arr", "expected_churned_arr", "expected_expanding_arr"):
                assert _sum([group[figure] for group in same]) == pytest.approx(every[figure]), (by, figure)

    work = _json(there, "/v1/worklist", capacity=100)
    lists = [_json(there, "/v1/worklist", capacity=100, **{name: value}) for value in values]
    assert sorted(item["account_id"] for each in lists for item in each["accounts"]) == sorted(item["account_id"] for item in work["accounts"])
    for figure in ("too_late_accounts", "automated", "under_way", "done", "snoozed", "held_out"):
        assert sum(each[figure] for each in lists) == work[figure], figure
    for each in lists:
        steps = {step: amount for step, amount in each["bridge"].items() if step != "portfolio"}
        assert sum(steps.values()) == pytest.approx(each["bridge"]["portfolio"])

    due = _json(there, "/v1/renewals", period="2027Q1")
    forecasts = [_json(there, "/v1/renewals", period="2027Q1", **{name: value}) for value in values]
    for figure in ("accounts", "arr", "not_forecast_accounts", "overdue_accounts"):
        assert sum(each["whole"][figure] for each in forecasts) == pytest.approx(due["whole"][figure]), figure
    assert due["whole"]["accounts"] > 20
    assert sum(each["bridge"]["arr_at_risk"] for each in forecasts) == pytest.approx(due["bridge"]["arr_at_risk"])

    life = _json(there, "/v1/portfolio/cohorts")["lifetime"]
    lives = [_json(there, "/v1/portfolio/cohorts", **{name: value})["lifetime"] for value in values]
    assert sum(each["whole"]["accounts"] for each in lives) == life["whole"]["accounts"]
    assert _sum([each["whole"]["value"] for each in lives]) == pytest.approx(life["whole"]["value"])


@pytest.mark.parametrize("name", ["csm", "region", "parent", "segment"])
def test_retention_of_a_partition_counts_every_account_including_those_that_left(there: TestClient, name: str) -> None:
    whole = _json(there, "/v1/portfolio/cohorts")["retention"]["whole"]
    parts = [_json(there, "/v1/portfolio/cohorts", **{name: value})["retention"] for value in _parts(there, name)]
    assert sum(part["whole"]["accounts"] for part in parts if part is not None) == whole["accounts"] == 40
    assert sum(part["whole"]["lost"] for part in parts if part is not None) == whole["lost"] == 1


@pytest.mark.parametrize("name", ["health", "risk", "stage", "product"])
def test_retention_is_unknown_by_what_is_unknown_for_accounts_that_left(there: TestClient, name: str) -> None:
    value = "Core" if name == "product" else PARTITIONS[name][0]  # type: ignore[index]
    answer = _json(there, "/v1/portfolio/cohorts", **{name: value})
    assert answer["retention"] is None
    assert answer["retention_unknown"] == f"{name} is unknown for accounts that have left"


def test_an_account_matches_a_filter_by_every_field_and_by_any_of_its_products(there: TestClient) -> None:
    def accounts(**chosen: str) -> int:
        return int(_json(there, "/v1/portfolio", **chosen)["whole"]["accounts"])

    assert accounts(product="Core") + accounts(product="Plus") > accounts() - accounts(product=WITHOUT)
    assert accounts(csm="Ana", region="EMEA") + accounts(csm="Ana", region=WITHOUT) == accounts(csm="Ana")
    assert accounts(parent="a01") == 2, "an account and those below it"
    assert accounts(parent="a39") == 1, "the parent has left"
    assert accounts(csm="Ana", region="EMEA", health="green", risk="low", parent="a39") <= 1


@pytest.mark.parametrize("path", ["/v1/portfolio", "/v1/worklist", "/v1/renewals", "/v1/portfolio/cohorts", "/v1/portfolio/measures", "/v1/portfolio/leadership", "/v1/portfolio/churned", "/v1/onboarding"])
@pytest.mark.parametrize("name", ["csm", "segment", "region", "product", "parent"])
def test_a_value_that_no_account_has_is_refused_by_routes(there: TestClient, path: str, name: str) -> None:
    answer = there.get(path, params={name: "no such value"})
    assert answer.status_code == 422
    assert "no such value" not in answer.text
    assert there.get(path, params={name: ""}).status_code == 422, "an empty field is a mistake in a program"


@pytest.mark.parametrize("path", PAGES)
def test_pages_show_the_filter_carry_it_and_can_clear_it(there: TestClient, path: str) -> None:
    chosen = {"csm": "Ana", "segment": _parts(there, "segment")[1]}
    page = there.get(path, params=chosen, headers=BROWSER)
    assert page.status_code == 200
    selected = _json(there, "/v1/portfolio", **chosen)["whole"]["accounts"]
    text = _text(page.text)
    assert f"Filtered: {selected} of 39 accounts CSM: Ana × Segment: {chosen['segment']} ×" in text
    links = [html.unescape(each) for each in re.findall(r'<li><a href="([^"]+)"', page.text[: page.text.index("</nav>")])]
    assert len(links) == len(SECTIONS)
    assert all("csm=Ana" in link and "segment=" in link for link in links)
    accounts = [html.unescape(each) for each in re.findall(r'class="account"><a href="([^"]+)"', page.text)]
    assert all("csm=Ana" in link for link in accounts)
    assert f'<a href="{path}">Show all accounts</a>' in page.text
    for link in (*accounts[:1], links[-1], links[-2]):
        onward = there.get(link, headers=BROWSER)
        assert onward.status_code == 200
        assert "csm=Ana" in html.unescape(onward.text[: onward.text.index("</nav>")]), "pages without the filter carry it too"
    empty = there.get(path, params={"csm": "no such value"}, headers=BROWSER)
    assert empty.status_code == 200
    assert "0 of 39 accounts" in _text(empty.text)


@pytest.fixture(scope="module")
def working_home(filtered_home: Home, copy_home: Callable[[Home, Any], Home], tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The filtered home, which may be changed."""
    home = copy_home(filtered_home, tmp_path_factory.mktemp("working") / "home")
    with Store.of(home).begin():
        pass
    return home


@pytest.fixture
def listed(working_home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Runs the command that lists the interventions of that home."""
    monkeypatch.setenv("RENEWCAST_HOME", str(working_home.root))
    monkeypatch.setenv("COLUMNS", "200")
    current_home.cache_clear()
    current_settings.cache_clear()
    yield lambda *options: CliRunner().invoke(renewcast.app, ["interventions", "list", *options])
    current_home.cache_clear()
    current_settings.cache_clear()


@pytest.fixture(scope="module")
def working(working_home: Home) -> Iterator[TestClient]:
    """A person's browser, with a service of that home."""
    app = create_app(working_home, ServiceSettings(open_locally=True, retry_seconds=0.05))
    headers = {**BROWSER, "Sec-Fetch-Site": "same-origin"}
    with TestClient(app, client=("127.0.0.1", 1), follow_redirects=False, headers=headers) as client:
        yield client


#: The parts of a page whose links change the filter: its chips, the choice of accounts, and saved views.
CHANGES = re.compile(r'<ul class="plain (?:chips|views)">.*?</ul>|<a [^>]*>Show (?:all|my) accounts</a>', re.DOTALL)

FILES = ("/v1/", "/exports/", "/static/", "/openapi")


def _without_filter(page: str, chosen: dict[str, str]) -> list[str]:
    """Return the links of a page, and what its forms of work are sent to, that lead to other pages without the filter."""
    anchors = re.findall(r'<a [^>]*href="(/[^"]*)"', CHANGES.sub("", page))
    forms = re.findall(r'<form class="(?:work|stacked change)" method="post" action="(/[^"]*)"', page)
    assert len(anchors) >= len(SECTIONS)
    wanted = {name: [value] for name, value in chosen.items()}.items()
    links = {html.unescape(each) for each in (*anchors, *forms)}
    return sorted(each for each in links if not each.startswith(FILES) and not wanted <= parse_qs(urlsplit(each).query).items())


def test_every_link_of_every_page_carries_the_filter_while_a_play_runs(working: TestClient) -> None:
    chosen = {"csm": "Ana", "region": "EMEA"}
    accounts = [each["account_id"] for each in _json(working, "/v1/worklist", capacity=100, **chosen)["accounts"]]
    href = account_href(accounts[0], with_query("", chosen))
    started = working.post(href, data={"do": "start", "assignee": "Ana"})
    assert (started.status_code, started.headers["location"]) == (303, href)
    after = working.get(href)
    assert "Open the intervention" in after.text
    assert _without_filter(after.text, chosen) == []
    refused = working.post(href, data={"do": "start"})
    assert refused.status_code == 409
    assert _without_filter(refused.text, chosen) == []

    one = with_query("/interventions/" + _json(working, "/v1/interventions")["data"][0]["id"], chosen)
    saved = working.post(one, data={"version": "1", "do": "save", "note": "a note"})
    assert (saved.status_code, saved.headers["location"]) == (303, one)
    paths = (*PAGES, "/alerts", "/alerts?show=suppressed", "/alerts?code=into_red", "/interventions", "/interventions?state=closed", "/reviews", "/model", "/docs", "/views")
    reports = [report_href(accounts[0], each, chosen) for each in ("qbr", "plan")]
    for path in (*(f"{each}{'&' if '?' in each else '?'}{with_query('', chosen)[1:]}" for each in paths), href, one, *reports):
        page = working.get(path)
        assert page.status_code == 200, path
        assert _without_filter(page.text, chosen) == [], path
    assert "Precision by alert rule" in working.get(with_query("/interventions", chosen)).text


@pytest.mark.parametrize("path", ["/worklist", "/interventions?state=all"])
def test_pages_take_a_parent_company_by_name(there: TestClient, path: str) -> None:
    separator = "&" if "?" in path else "?"
    named = there.get(f"{path}{separator}csm=Ana&parent=%20company%20A00", headers=BROWSER)
    assert (named.status_code, named.headers["location"]) == (303, f"{path}{separator}csm=Ana&parent=a00")
    ambiguous = there.get(f"{path}{separator}parent=company", headers=BROWSER)
    assert ambiguous.status_code == 404
    assert "Company a00 (a00)" in _text(ambiguous.text)


def test_commands_take_a_parent_company_and_an_account_by_name(working: TestClient, listed: Callable[..., Any]) -> None:
    started = working.post("/v1/interventions", json={"account_id": "a00", "occurred_at": "2026-06-20T00:00:00Z", "play": "p"})
    assert started.status_code == 201
    for option in ("--parent", "--account"):
        by_id = listed(option, "a00", "--json")
        assert started.json()["id"] in [each["id"] for each in json.loads(by_id.stdout)["data"]]
        assert listed(option, "company A00", "--json").stdout == by_id.stdout
        assert "Company a00 (a00)" in listed(option, "a00").stdout
        for text, found in (("company", "accounts have a name that starts with this"), ("Kompany a00", "no account has this id or name")):
            refused = listed(option, text)
            assert isinstance(refused.exception, UnknownAccount)
            assert found in str(refused.exception)
            assert "Company a00 (a00)" in str(refused.exception)


def test_the_portfolio_page_of_no_account_says_so_and_has_no_empty_charts(there: TestClient) -> None:
    page = there.get("/", params={"csm": "no such value", "sort": "arr"}, headers=BROWSER).text
    assert "No account matches the filter. Show all accounts" in _text(page)
    assert '<p class="notice">No account matches the filter. <a href="/?sort=arr">' in page
    for absent in ('class="chart"', 'class="stack"', 'class="figures"', "Accounts 0"):
        assert absent not in page
    assert "No account matches" not in there.get("/", headers=BROWSER).text


def test_an_empty_list_says_where_to_go_next(there: TestClient) -> None:
    nothing = there.get("/alerts", params={"show": "suppressed", "csm": "Ana"}, headers=BROWSER).text
    assert 'No alert is suppressed. <a href="/alerts?csm=Ana">Show the active alerts</a>' in nothing


def test_in_print_an_interval_is_a_text(there: TestClient) -> None:
    page = there.get("/", headers=BROWSER).text
    intervals = re.findall(r'class="interval [^>]*aria-label="[^"]*, between ([\d.]+)% and ([\d.]+)%"', page)
    printed = re.findall(r'class="id print-only">([\d.]+)% to ([\d.]+)%<', page)
    assert printed == intervals
    assert len(printed) > 10


def test_pages_show_the_figures_of_the_routes(there: TestClient) -> None:
    chosen = {"csm": "Bo", "region": "EMEA"}
    whole = _json(there, "/v1/portfolio", **chosen)["whole"]
    text = _text(there.get("/", params=chosen, headers=BROWSER).text)
    assert f"Accounts {whole['accounts']} " in text
    assert f"{whole['accounts']} of {whole['accounts']} accounts" in text
    work = _json(there, "/v1/worklist", **chosen)
    text = _text(there.get("/worklist", params=chosen, headers=BROWSER).text)
    assert f"On the list {len(work['accounts'])} {work['more_accounts']} more beyond capacity" in text


def test_the_portfolio_page_shows_the_kpis_of_any_combination(there: TestClient) -> None:
    for chosen in ({"segment": _parts(there, "segment")[1], "csm": "Ana"}, {"health": "green"}):
        measures = {each["measure"]: each for each in _json(there, "/v1/portfolio/measures", **chosen)["measures"]}
        text = _text(there.get("/", params=chosen, headers=BROWSER).text).replace("(NRR) ", "")
        assert f"Net revenue retention {words.percent(measures['nrr']['value'])}" in text
        assert f"Mean health {words.number(measures['mean_health']['value'], 1)}" in text
        assert ("health is unknown for accounts that have left" in text) is ("health" in chosen)


def test_a_snapshot_of_an_earlier_release_has_the_kpis_of_single_groups(filtered_home: Home, there: TestClient, copy_home: Callable[[Home, Any], Home], tmp_path: Any) -> None:
    home = copy_home(filtered_home, tmp_path / "home")
    contributions_path(SnapshotFiles(home), AS_OF).unlink()
    name = _parts(there, "segment")[1]
    nrr = next(each["value"] for each in _json(there, "/v1/portfolio/measures", segment=name)["measures"] if each["measure"] == "nrr")
    with TestClient(create_app(home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as old:
        text = _text(old.get("/", params={"segment": name}, headers=BROWSER).text)
        assert f"Net revenue retention {words.percent(nrr)}" in text.replace("(NRR) ", "")
        text = _text(old.get("/", params={"segment": name, "csm": "Ana"}, headers=BROWSER).text)
        assert "An earlier release scored this date" in text
        for path in ("/v1/portfolio/measures", "/v1/portfolio/leadership"):
            answer = old.get(path, params={"csm": WITHOUT})
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_snapshot")
            assert "renewcast score" in answer.text
        assert "No report is stored with this date" in _text(old.get("/leadership", headers=BROWSER).text)
        trend = _json(old, "/v1/portfolio/measures/trend", segment=name)
        assert {value for line in trend["measures"] for value in line["values"]} == {None}


def _kpis(there: TestClient, **chosen: str) -> dict[str, Any]:
    return {each["measure"]: each for each in _json(there, "/v1/portfolio/measures", **chosen)["measures"]}


def _add_up(parts: list[dict[str, Any]], whole: dict[str, Any]) -> None:
    for code, kpi in whole.items():
        for of in ("now", "last", "quarter"):
            total = kpi if of == "now" else kpi[of]
            if total is None:
                continue
            own = [part[code] if of == "now" else part[code][of] for part in parts]
            for name in ("numerator", "denominator", "left_out"):
                # A KPI of a part that has none, such as a group without answers, adds nothing.
                assert _sum([each[name] for each in own]) == pytest.approx(total[name] or 0.0, abs=0.005), (code, of, name)


@pytest.mark.parametrize("names", [("csm",), ("region",), ("parent",), ("segment",), ("csm", "segment"), ("region", "segment", "csm")])
def test_kpis_of_a_partition_and_of_combinations_add_up(there: TestClient, names: tuple[str, ...]) -> None:
    combinations = list(itertools.product(*(_parts(there, name) for name in names)))
    parts = [_kpis(there, **dict(zip(names, values, strict=True))) for values in combinations]
    _add_up(parts, _kpis(there))
    if len(names) == 1:
        groups = {each["group"] or WITHOUT: each["measures"] for each in _json(there, "/v1/portfolio/measures")["by"][names[0]]}
        if names[0] == "segment":
            for (value,), part in zip(combinations, parts, strict=True):
                stored = {each["measure"]: each["value"] for each in groups.get(value, ())}
                assert stored == {code: part[code]["value"] for code in stored}


@pytest.mark.parametrize(("name", "value"), [("health", "green"), ("risk", "low"), ("product", "Core")])
def test_kpis_at_the_date_are_known_by_what_is_unknown_for_accounts_that_left(there: TestClient, name: str, value: str) -> None:
    kpis, selected = _kpis(there, **{name: value}), _json(there, "/v1/portfolio", **{name: value})["whole"]
    why = f"{name} is unknown for accounts that have left"
    assert {kpis[code]["unknown"] for code in ("nrr", "grr", "logo_retention", "nps", "arr_churn_year")} == {why}
    assert kpis["mean_health"]["value"] == pytest.approx(selected["mean_health"])
    assert kpis["mean_health"]["last"]["unknown"] == why
    report = _json(there, "/v1/portfolio/leadership", **{name: value})
    assert (report["bridge"]["unknown"], report["bridge"]["steps"]) == (why, None)
    assert report["capacity"]["accounts"] == selected["accounts"]


def test_the_trend_of_a_filter_ends_with_its_kpis(there: TestClient) -> None:
    chosen = {"csm": "Ana", "region": "EMEA"}
    trend = _json(there, "/v1/portfolio/measures/trend", **chosen)
    assert trend["filter"] == {**dict.fromkeys(FILTER_FIELDS), **chosen}
    assert {line["measure"]: line["values"][-1] for line in trend["measures"]} == {code: each["value"] for code, each in _kpis(there, **chosen).items()}
    text = _text(there.get("/trends", params=chosen, headers=BROWSER).text)
    assert "Accounts that have left are included" in text


@pytest.mark.parametrize("names", [("csm",), ("segment",), ("parent", "region")])
def test_the_bridges_of_a_partition_add_up_to_the_cent(there: TestClient, names: tuple[str, ...]) -> None:
    whole = _json(there, "/v1/portfolio/leadership")
    combinations = itertools.product(*(_parts(there, name) for name in names))
    parts = [_json(there, "/v1/portfolio/leadership", **dict(zip(names, values, strict=True))) for values in combinations]
    for bridge in ("bridge", "quarter_bridge"):
        for place, step in enumerate(whole[bridge]["steps"]):
            own = [part[bridge]["steps"][place] for part in parts if part[bridge]["steps"] is not None]
            assert sum(each["accounts"] for each in own) == step["accounts"]
            assert round(math.fsum(each["arr"] for each in own), 4) == step["arr"]
    for field in ("accounts", "without_csm"):
        assert sum(part["capacity"][field] for part in parts) == whole["capacity"][field]
    assert sum(part["capacity"]["csms_needed"] for part in parts) == pytest.approx(whole["capacity"]["csms_needed"])
    assert _sum([part["economics"]["whole"]["lifetime_value"] for part in parts]) == pytest.approx(whole["economics"]["whole"]["lifetime_value"])


def test_the_links_carry_every_field_of_the_filter() -> None:
    assert ("as_of", *FILTER_FIELDS) == CARRIED


@pytest.fixture
def signed_in(filtered_home: Home) -> Iterator[TestClient]:
    """A person who signed in with Ana's key."""
    store = Store.of(filtered_home, None)
    with store.begin() as connection:
        _, secret = create_key(connection, "a person", ["predict"], "Ana")
    app = create_app(filtered_home, ServiceSettings(retry_seconds=0.05))
    with TestClient(app, headers=BROWSER) as client:
        landed = client.post("/sign-in", data={"key": secret, "next": "/"})
        assert landed.url.query == b"csm=Ana"
        client.headers["x-test-key"] = secret
        yield client


@pytest.mark.parametrize("path", PAGES)
def test_a_person_starts_with_their_own_accounts_and_can_ask_for_all(signed_in: TestClient, path: str) -> None:
    own = signed_in.get(path)
    assert own.url.query == b"csm=Ana"
    assert "My accounts: 13 of 39 accounts" in _text(own.text)
    everyone = re.search(r'<a href="([^"]+)">Show all accounts</a>', own.text)
    assert everyone is not None
    widened = signed_in.get(html.unescape(everyone[1]))
    assert "All 39 accounts" in _text(widened.text)
    assert "All 39 accounts" in _text(signed_in.get(path).text), "remembered"
    assert "All 39 accounts" in _text(signed_in.get(PAGES[0]).text), "on every page"
    mine = re.search(r'<a href="([^"]+)">Show my accounts</a>', widened.text)
    assert mine is not None
    signed_in.get(html.unescape(mine[1]))
    assert signed_in.get(path).url.query == b"csm=Ana", "and forgotten again"
    assert signed_in.get(path, params={"region": "EMEA"}).url.query == b"region=EMEA", "another filter is a choice"


def test_an_owner_restricts_nothing_and_changes_no_answer_of_a_route(signed_in: TestClient) -> None:
    key = signed_in.headers.pop("x-test-key")
    for sent in ({}, {"Authorization": f"Bearer {key}"}):
        answer = signed_in.get("/v1/portfolio", headers={"Accept": "application/json", **sent})
        assert answer.json()["whole"]["accounts"] == 39


@pytest.mark.parametrize("path", ["/worklist?capacity=100", "/renewals?period=2027Q1", "/cohorts", "/?size=100"])
def test_every_column_of_every_list_sorts_both_ways(there: TestClient, path: str) -> None:
    def listed(query: str) -> tuple[list[str], str]:
        page = there.get(path + query, headers=BROWSER)
        assert page.status_code == 200
        return re.findall(r'class="account"><a href="([^"?]+)', page.text), page.text

    everyone, page = listed("")
    separator = "&" if "?" in path else "?"
    names = set(re.findall(r"sort=([a-z]+)", page.partition("<thead><tr>\n")[2].partition("</thead>")[0]))
    assert len(names) >= 4
    for name in sorted(names):
        up, _ = listed(f"{separator}sort={name}&way=up")
        down, sorted_page = listed(f"{separator}sort={name}&way=down")
        assert 'aria-sort="descending"' in sorted_page
        if path != "/cohorts":
            assert sorted(up) == sorted(down) == sorted(everyone), name
    found, _ = listed(f"{separator}q=company a0")
    assert all(re.search(r"/a0\d$", link) for link in found)
    assert found or path == "/worklist?capacity=100"


@pytest.fixture(scope="module")
def streams(filtered_home: Home, copy_home: Callable[[Home, Any], Home], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service with published predictions and alerts of every account, also of one that has left, and interventions."""
    home = copy_home(filtered_home, tmp_path_factory.mktemp("streams") / "home")
    app = create_app(home, ServiceSettings(open_locally=True, retry_seconds=0.05))
    with TestClient(app, client=("127.0.0.1", 1)) as client:
        answers = list(app.state.live.current().scored(None).answers())
        gone = {**answers[0], "account_id": "a39", "prediction_id": "prd_gone"}
        alert = {"code": "into_red", "raised": True}
        alerted = [{**each, "alerts": [{**alert, "key": f"into_red:{place}"}]} for place, each in enumerate([*answers, gone])]
        publish_batch(app.state.store, alerted)
        for each in alerted[::4]:
            action = {"account_id": each["account_id"], "occurred_at": "2026-06-20T00:00:00Z", "play": "p"}
            assert client.post("/v1/interventions", json=action).status_code == 201
        yield client


def _streamed(client: TestClient, path: str, **params: Any) -> list[str]:
    """Return the accounts of a stream, page by page."""
    found: list[str] = []
    page = _json(client, path, limit=3, **params)
    while page["data"]:
        assert len(page["data"]) <= 3
        found += [each["account_id"] for each in page["data"]]
        page = _json(client, path, limit=3, cursor=page["next"], **params)
    assert page["next"] == _json(client, path, limit=3, cursor=page["next"], **params)["next"]
    return found


@pytest.mark.parametrize("name", ["csm", "region", "health", "risk", "stage"])
@pytest.mark.parametrize("path", ["/v1/predictions", "/v1/alerts"])
def test_streams_of_a_partition_are_the_stream_of_all_accounts(streams: TestClient, path: str, name: str) -> None:
    everyone = _streamed(streams, path)
    parts = [_streamed(streams, path, **{name: value}) for value in PARTITIONS[name] or ()]
    assert len(everyone) == 40
    left = [] if name in ("csm", "region") else ["a39"]
    assert sorted([*(each for part in parts for each in part), *left]) == sorted(everyone)
    assert all(part == [each for each in everyone if each in part] for part in parts), "in the same order"


@pytest.mark.parametrize("name", ["csm", "region"])
def test_interventions_and_their_results_of_a_partition_add_up(streams: TestClient, name: str) -> None:
    values = PARTITIONS[name] or ()
    everyone = _json(streams, "/v1/interventions")["data"]
    parts = [_json(streams, "/v1/interventions", **{name: value})["data"] for value in values]
    assert sorted(each["id"] for part in parts for each in part) == sorted(each["id"] for each in everyone)
    whole = _json(streams, "/v1/interventions:results")
    results = [_json(streams, "/v1/interventions:results", **{name: value}) for value in values]
    assert whole["by_play"][0]["open"] == len(everyone) > 5
    assert sum(each["open"] for part in results for each in part["by_play"]) == len(everyone)
    for place, rule in enumerate(whole["by_alert"]):
        assert sum(part["by_alert"][place]["raised"] for part in results) == rule["raised"], rule["code"]


@pytest.mark.parametrize("path", ["/v1/predictions", "/v1/alerts", "/v1/interventions", "/v1/interventions:results"])
def test_streams_refuse_a_value_that_no_account_has(streams: TestClient, path: str) -> None:
    assert streams.get(path, params={"csm": "no such value"}).status_code == 422


def test_a_selective_filter_passes_over_many_entries(streams: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published_predictions, "CHUNK", 4)
    accounts = {each["account_id"] for each in _json(streams, "/v1/alerts", csm="Bo", limit=1000)["data"]}
    assert len(accounts) == 13
    assert set(_streamed(streams, "/v1/alerts", csm="Bo")) == accounts
    last = max(accounts)
    assert [each["account_id"] for each in _json(streams, "/v1/alerts", account_id=last, csm="Bo")["data"]] == [last]
    assert _json(streams, "/v1/alerts", account_id=last, csm="Ana")["data"] == []


def test_streams_without_a_snapshot_need_none_unless_they_are_filtered(tmp_path: Any) -> None:
    app = create_app(Home(tmp_path / "empty"), ServiceSettings(open_locally=True, retry_seconds=0.05))
    with TestClient(app, client=("127.0.0.1", 1)) as client:
        assert client.get("/v1/alerts").json()["data"] == []
        assert client.get("/v1/alerts", params={"csm": "Ana"}).status_code == 503
