"""Groups of the portfolio add up to the whole to the cent, for ARR and risk, over HTTP, on the page and in the terminal."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

import renewcast
from features.errors import BadRequest
from features.signals.signals import OpenSignals
from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.portfolio.account_products import AccountProducts
from serving.portfolio.portfolio_groups import PortfolioGroups
from serving.renewals.schemas import Renewals
from serving.scoring.score_portfolio import score

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
Tables = dict[str, list[dict[str, Any]]]
DIVISIONS = ("segment", "csm", "region", "parent", "product")
SUMS = ("arr", "expected_churned_arr", "expected_expanding_arr")
COUNTS = ("accounts", "expected_churned_accounts", "expected_expanding_accounts", "expansion_ready")


def with_products(tables: Tables) -> Tables:
    """The small company with products: a10 to a19 have two, a20 to a29 none that is known, a11 leaves one unused."""
    subscriptions = []
    for row in tables["subscriptions"]:
        number = int(row["account_id"][1:])
        if 10 <= number < 20:
            core = round(row["arr"] * 0.7123, 2)
            subscriptions += [
                row | {"product": "core", "arr": core, "seats": 10},
                row | {"product": "insights", "arr": round(row["arr"] - core, 2), "seats": 4},
            ]
        else:
            subscriptions.append(row | {"product": None if 20 <= number < 30 else "core"})
    accounts = [row | {"region": ("EMEA", "AMER", None)[i % 3], "csm": f"csm-{i % 4}"} for i, row in enumerate(tables["accounts"])]
    usage = []
    for row in tables["usage"]:
        account = row["account_id"]
        usage.append(row | {"product": "insights" if account in ("a10", "a12", "a30") else "core"})
    first = tables["usage"][0]["occurred_at"]
    usage.append({"account_id": "a11", "occurred_at": first, "user_id": "u0", "product": "insights", "quantity": 1.0})
    return tables | {"accounts": accounts, "subscriptions": subscriptions, "usage": usage}


@pytest.fixture(scope="module")
def products_signals(tables: Tables, make_signals: Callable[..., OpenSignals]) -> OpenSignals:
    return make_signals(with_products(tables), "2026-07-01")


@pytest.fixture(scope="module")
def groups_home(products_signals: OpenSignals, champions: Any, tmp_path_factory: pytest.TempPathFactory) -> Home:
    root: Path = tmp_path_factory.mktemp("groups")
    home = Home(root / "home")
    champions.promote(home, "1")
    score(products_signals, AS_OF, root / "rows.ndjson", home)
    return home


@pytest.fixture(scope="module")
def groups_client(groups_home: Home) -> Iterator[TestClient]:
    app = create_app(groups_home, ServiceSettings(open_locally=True, retry_seconds=0.05))
    with TestClient(app, client=("127.0.0.1", 1)) as opened:
        yield opened


def _groups(client: TestClient, by: str) -> dict[str, Any]:
    payload: dict[str, Any] = client.get("/v1/portfolio/groups", params={"by": by}).json()
    PortfolioGroups.model_validate(payload)
    return payload


@pytest.mark.parametrize("by", DIVISIONS)
def test_groups_add_up_to_the_portfolio_to_the_cent(groups_client: TestClient, by: str) -> None:
    payload, whole = _groups(groups_client, by), groups_client.get("/v1/portfolio").json()["whole"]
    assert len(payload["groups"]) > 1
    assert payload["whole"]["arr"] == whole["arr"]
    assert payload["whole"]["expected_churned_arr"] == whole["expected_churned_arr"]
    # An account with two products is in two groups.
    for name in SUMS if by == "product" else SUMS + COUNTS:
        total = math.fsum(group[name] or 0.0 for group in payload["groups"])
        assert total == pytest.approx(payload["whole"][name], abs=0.005), name


def test_a_parent_is_the_sum_of_its_children(groups_client: TestClient) -> None:
    groups = {group["group"]: group for group in _groups(groups_client, "parent")["groups"]}
    assert set(groups) == {"a00", "a39", None}
    assert list(groups)[-1] is None
    for top in ("a00", "a39"):
        sums = groups_client.get(f"/v1/accounts/{top}/hierarchy").json()["company"]
        for name, of_sums in (("accounts", "accounts"), ("arr", "arr"), ("expected_churned_arr", "arr_at_risk")):
            assert groups[top][name] == pytest.approx(sums[of_sums], abs=0.005)


def test_products_have_their_own_arr_risk_and_users(groups_client: TestClient) -> None:
    groups = {group["group"]: group for group in _groups(groups_client, "product")["groups"]}
    assert set(groups) == {"core", "insights", None}
    # a00 to a19 and a30 to a38; the other ten name no product, and are not dropped.
    assert [groups[name]["accounts"] for name in ("core", "insights", None)] == [29, 10, 10]
    products = {f"a{i}": groups_client.get(f"/v1/accounts/a{i}/products").json()["products"] for i in range(10, 20)}
    insights = [next(p for p in each if p["product"] == "insights") for each in products.values()]
    assert groups["insights"]["arr"] == pytest.approx(math.fsum(p["arr"] for p in insights), abs=0.005)
    assert groups["insights"]["expected_churned_arr"] == pytest.approx(math.fsum(p["arr_at_risk"] for p in insights), abs=0.005)
    use = groups["insights"]["use"]
    assert use["active_users"] == math.fsum(p["active_users"] for p in insights) > 0
    # Only a10 and a12 use it; the adoption counts at most the four seats of each.
    assert use["unused_accounts"] == sum(p["active_users"] == 0 for p in insights) == 8
    assert use["adoption"] == pytest.approx(math.fsum(min(p["active_users"], 4) for p in insights) / 40)
    # The unknown product has no usage of its own.
    assert groups[None]["use"]["active_users"] is None
    assert groups[None]["use"]["usage_unknown"] == 10


def test_an_account_names_what_is_unused_and_what_is_used_without_a_contract(groups_client: TestClient) -> None:
    def products(account: str) -> dict[Any, dict[str, Any]]:
        payload = groups_client.get(f"/v1/accounts/{account}/products").json()
        AccountProducts.model_validate(payload)
        return {product["product"]: product for product in payload["products"]}

    assert (products("a11")["insights"]["fact"], products("a11")["core"]["fact"]) == ("unused", None)
    assert (products("a10")["core"]["fact"], products("a10")["core"]["held"]) == ("unused", True)
    assert list(products("a20"))[-1] is None
    assert (products("a30")["insights"]["fact"], products("a30")["insights"]["arr"]) == ("not_held", 0.0)
    prediction = groups_client.get("/v1/accounts/a11/prediction").json()["churn"]["probability"]
    arr = math.fsum(product["arr"] for product in products("a11").values())
    assert math.fsum(product["arr_at_risk"] for product in products("a11").values()) == pytest.approx(prediction * arr, abs=0.005)
    for account, words in (("a11", "not used in the last 28 days"), ("a30", "used without a contract"), ("a20", "Unknown product")):
        assert words in groups_client.get(f"/accounts/{account}").text
    assert groups_client.get("/v1/accounts/unknown/products").json()["code"] == "unknown_account"


def test_the_portfolio_page_groups_and_filters_by_company_product_and_region(groups_client: TestClient) -> None:
    page = groups_client.get("/").text
    for name in ("region", "parent", "product"):
        assert f'<select id="filter-{name}"' in page
    by_product = groups_client.get("/", params={"group": "product"}).text
    table = by_product[by_product.index('id="by-group"') :]
    assert "Unknown product" in table
    filtered = re.search(r'href="([^"]*product=insights[^"]*)"', table)
    assert filtered is not None
    listed = groups_client.get(filtered[1].replace("&amp;", "&")).text
    assert "10 of 39 accounts" in listed
    assert '<option value="insights" selected>insights</option>' in listed
    assert "group=product" in listed, "the grouping stays when a filter is chosen"
    assert "4 of 39 accounts" in groups_client.get("/", params={"parent": "a00"}).text
    assert 'href="/accounts/a01?parent=a00"' in groups_client.get("/", params={"parent": "a00"}).text
    assert "No account matches the filter" in groups_client.get("/", params={"parent": "none"}).text
    # A snapshot without what is asked for is grouped by segment.
    assert "By segment" in groups_client.get("/", params={"group": ""}).text


@pytest.mark.slow
def test_the_command_prints_groups_and_gives_those_of_the_service(
    groups_client: TestClient, groups_home: Home, tables: Tables, to_arrow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, rows in with_products(tables).items():
        pq.write_table(to_arrow(name, rows), tmp_path / f"{name}.parquet")
    monkeypatch.setenv("RENEWCAST_HOME", str(groups_home.root))

    def run(*more: str) -> Any:
        return CliRunner().invoke(renewcast.app, ["portfolio", str(tmp_path), "--as-of", "2026-07-01", "--period", "month", *more])

    result = run("--json")
    assert result.exit_code == 0, result.output
    groups = json.loads(result.stdout)["groups"]
    for by in DIVISIONS:
        assert groups[by] == _groups(groups_client, by)["groups"]
    text = run("--by", "product").stdout
    assert "unknown product" in text
    assert "insights" in text
    assert "enterprise" not in text.lower()
    refused = run("--by", "color")
    assert refused.exit_code == 2
    assert all(f"'{by}'" in refused.output for by in DIVISIONS)


def test_renewals_are_forecast_by_region_and_parent(groups_client: TestClient) -> None:
    payload = groups_client.get("/v1/renewals", params={"period": "2027Q1"}).json()
    Renewals.model_validate(payload)
    for by in ("region", "parent"):
        parts = payload[f"by_{by}"]
        assert {part[by] for part in parts} == {"region": {"EMEA", "AMER", None}, "parent": {"a00", "a39", None}}[by]
        assert math.fsum(part["arr"] for part in parts) == pytest.approx(payload["whole"]["arr"], abs=0.005)
    page = groups_client.get("/renewals", params={"period": "2027Q1", "parent": "a00"}).text
    assert "4 accounts, including overdue" in page
    assert "By parent company" in page


def test_a_source_without_products_has_no_groups_by_product(client: TestClient) -> None:
    payload = _groups(client, "product")
    assert payload["groups"] == []
    assert client.get("/v1/accounts/a10/products").json()["products"] == []
    assert 'id="products"' not in client.get("/accounts/a10").text
    assert '<select id="product"' not in client.get("/").text
    assert client.get("/", params={"group": "product"}).status_code == 200


@pytest.mark.slow
def test_commands_take_the_filter_of_the_service(
    groups_client: TestClient, groups_home: Home, tables: Tables, to_arrow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, rows in with_products(tables).items():
        pq.write_table(to_arrow(name, rows), tmp_path / f"{name}.parquet")
    monkeypatch.setenv("RENEWCAST_HOME", str(groups_home.root))

    def run(command: str, *more: str) -> Any:
        result = CliRunner().invoke(renewcast.app, [command, str(tmp_path), "--as-of", "2026-07-01", *more, "--json"])
        assert result.exit_code == 0, (command, result.output, result.exception)
        return json.loads(result.stdout)

    def ask(path: str, **params: object) -> Any:
        return groups_client.get(path, params=params).json()

    ids = [account["account_id"] for account in ask("/v1/worklist", capacity=100, csm="csm-1", region="EMEA")["accounts"]]
    listed = run("worklist", "--capacity", "100", "--csm", "csm-1", "--region", "EMEA")
    assert [account["account_id"] for account in listed["accounts"]] == ids
    assert listed["filter"]["region"] == "EMEA"
    due = run("renewals", "--period", "2027Q1", "--product", "insights")
    assert due["whole"]["arr"] == pytest.approx(ask("/v1/renewals", period="2027Q1", product="insights")["whole"]["arr"])
    health = run("health", "--parent", "a00")["accounts"]
    assert {account["account_id"] for account in health} == {"a00", "a01", "a02", "a03"}
    red = {account["account_id"] for account in run("risks", "--health", "yellow")["accounts"]}
    assert len(red) == ask("/v1/portfolio", health="yellow")["whole"]["accounts"]
    kept = run("cohorts", "--csm", "csm-3")
    assert kept["lifetime"]["whole"] == ask("/v1/portfolio/cohorts", csm="csm-3")["lifetime"]["whole"]
    assert kept["retention"]["whole"]["lost"] == 1, "a39 has left"
    whole = run("portfolio", "--period", "month")
    for name in ("csm", "region", "segment"):
        for group in whole["by"][name]:
            own = run("portfolio", "--period", "month", f"--{name}", group["group"] or "(none)") if group["accounts"] else None
            for one, other in zip(own["measures"], group["measures"], strict=True) if own else ():
                assert (one["value"], one["last"]["value"]) == (other["value"], other["last"]), (name, group["group"], one["measure"])
            assert own is None or own["groups"]["csm"] == ask("/v1/portfolio/groups", by="csm", **{name: group["group"] or "(none)"})["groups"]
    banded = {each["measure"]: each for each in run("portfolio", "--period", "month", "--health", "yellow")["measures"]}
    assert banded["yellow_share"]["value"] == 1.0
    assert banded["nrr"]["unknown"] == "health is unknown for accounts that have left"
    for command in ("health", "worklist", "cohorts", "portfolio"):
        result = CliRunner().invoke(renewcast.app, [command, str(tmp_path), "--as-of", "2026-07-01", "--csm", "csm-1", "--region", "EMEA"])
        assert "only accounts with: csm csm-1, region EMEA" in result.stdout, (command, result.exception)
    for wrong in (("--csm", "no such"), ("--health", "blue"), ("--segment", "")):
        result = CliRunner().invoke(renewcast.app, ["health", str(tmp_path), "--as-of", "2026-07-01", *wrong])
        assert isinstance(result.exception, BadRequest)
        assert "no such" not in str(result.exception)
