"""An account, its parent and the accounts below it agree with the predictions of the accounts."""

from __future__ import annotations

import math
from typing import Any

from fastapi.testclient import TestClient

from serving.portfolio.account_hierarchy import AccountHierarchy


def _get(client: TestClient, account: str) -> dict[str, Any]:
    payload: dict[str, Any] = client.get(f"/v1/accounts/{account}/hierarchy").json()
    AccountHierarchy.model_validate(payload)
    return payload


def test_the_sums_of_a_company_are_those_of_its_accounts(client: TestClient) -> None:
    payload = _get(client, "a00")
    assert (payload["parent_id"], payload["top_id"]) == (None, "a00")
    assert {each["account_id"]: each["parent_id"] for each in payload["below"]} == {"a01": "a00", "a02": "a00", "a03": "a01"}
    accounts = [_get(client, account)["own"] for account in ("a00", "a01", "a02", "a03")]
    sums = payload["sums"]
    assert sums["accounts"] == 4
    assert sums["arr"] == math.fsum(each["arr"] for each in accounts)
    assert sums["arr_at_risk"] == math.fsum(each["arr_at_risk"] for each in accounts)
    worst = min((each for each in accounts if each["health"] is not None), key=lambda each: each["health"])
    assert (sums["worst_health"], sums["worst_health_account"]) == (worst["health"], worst["account_id"])
    predictions = {a: client.get(f"/v1/accounts/{a}/prediction").json()["churn"]["probability"] for a in ("a00", "a01", "a02", "a03")}
    assert sums["highest_churn_account"] == max(predictions, key=predictions.__getitem__)
    assert sums["highest_churn_probability"] == max(predictions.values())


def test_an_account_in_the_middle_has_its_own_sums_and_those_of_the_company(client: TestClient) -> None:
    payload, company = _get(client, "a01"), _get(client, "a00")
    assert (payload["parent_id"], payload["top_id"]) == ("a00", "a00")
    assert [each["account_id"] for each in payload["below"]] == ["a03"]
    assert payload["sums"]["accounts"] == 2
    assert payload["company"] == company["sums"] == company["company"]


def test_a_parent_without_a_contract_has_no_figures_of_its_own(client: TestClient) -> None:
    payload = _get(client, "a39")
    assert (payload["own"]["active"], payload["own"]["arr"]) == (False, None)
    assert payload["sums"]["accounts"] == 1
    assert payload["sums"]["arr"] == _get(client, "a05")["own"]["arr"]


def test_an_account_alone_and_an_unknown_one(client: TestClient) -> None:
    alone = _get(client, "a10")
    assert (alone["parent_id"], alone["top_id"], alone["below"]) == (None, "a10", [])
    assert client.get("/v1/accounts/unknown/hierarchy").json()["code"] == "unknown_account"


def test_the_account_page_shows_the_company(client: TestClient) -> None:
    page = client.get("/accounts/a01").text
    assert 'id="company"' in page
    assert "/accounts/a00" in page
    assert "/accounts/a03" in page
    assert 'id="company"' not in client.get("/accounts/a10").text
