"""Terms of risk: every page and response names its horizon, and different totals are reconciled."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from features.utils.formatting import short_money

BROWSER = {"Accept": "text/html"}


def ask(client: TestClient, path: str) -> Any:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def text_of(client: TestClient, path: str) -> str:
    page = client.get(path, headers=BROWSER)
    assert page.status_code == 200, page.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text))


def test_every_response_has_the_same_horizon(client: TestClient) -> None:
    whole = ask(client, "/v1/portfolio")
    days = whole["horizon_days"]
    assert days == ask(client, "/v1/worklist")["horizon_days"]
    assert days == ask(client, "/v1/renewals")["bridge"]["horizon_days"]
    assert days == ask(client, "/v1/accounts/a01/prediction")["horizon_days"]


def test_a_probability_on_the_worklist_is_that_of_the_account(client: TestClient) -> None:
    listed = ask(client, "/v1/worklist?capacity=1000")["accounts"]
    assert listed
    for item in listed[:5]:
        result = ask(client, f"/v1/accounts/{item['account_id']}/prediction")
        assert item["churn_probability"] == pytest.approx(result["churn"]["probability"], abs=1e-6)


@pytest.mark.parametrize("query", ["", "?capacity=3", "?capacity=0"])
def test_the_worklists_parts_add_up_to_the_portfolios_arr_at_risk(client: TestClient, query: str) -> None:
    total = ask(client, "/v1/portfolio")["whole"]["expected_churned_arr"]
    result = ask(client, f"/v1/worklist{query}")
    bridge = dict(result["bridge"])
    assert bridge.pop("portfolio") == pytest.approx(total)
    assert sum(bridge.values()) == pytest.approx(total)
    assert bridge["listed"] == pytest.approx(sum(item["arr_at_risk"] or 0.0 for item in result["accounts"]))


@pytest.mark.parametrize("query", ["", "?days=30", "?days=120", "?period=2026Q3"])
def test_the_renewals_lost_arr_is_reached_from_the_portfolios_arr_at_risk(client: TestClient, query: str) -> None:
    result, total = ask(client, f"/v1/renewals{query}"), ask(client, "/v1/portfolio")["whole"]["expected_churned_arr"]
    bridge = result["bridge"]
    assert bridge["arr_at_risk"] == pytest.approx(total)
    left = bridge["arr_at_risk"] - bridge["not_due"] - bridge["overdue"] - bridge["not_forecast"]
    assert left + bridge["until_renewal"] == pytest.approx(bridge["expected_lost_arr"])
    lost = result["whole"]["lost_arr"]
    assert bridge["expected_lost_arr"] == pytest.approx(lost["expected"] if lost else 0.0)


def test_pages_name_the_horizon_and_show_the_bridge(client: TestClient) -> None:
    whole = ask(client, "/v1/portfolio")
    total, days = short_money(whole["whole"]["expected_churned_arr"]), whole["horizon_days"]
    portfolio, worklist, renewals = (text_of(client, path) for path in ("/", "/worklist", "/renewals"))
    assert f"ARR at risk {total}" in portfolio
    assert f"within {days} days" in portfolio
    assert f"Churn risk, {days} days" in portfolio
    assert f"Whole portfolio, within {days} days {total}" in worklist
    assert f"Churn risk, {days} days" in worklist
    assert f"ARR at risk of the whole portfolio, within {days} days {total}" in renewals
    account = text_of(client, "/accounts/a01")
    assert f"Churn within {days} days" in account
    assert f"ARR at risk within {days} days" in account
    for page in (portfolio, worklist, renewals, account):
        assert "xpected loss" not in page, "one name for one thing: ARR at risk"
