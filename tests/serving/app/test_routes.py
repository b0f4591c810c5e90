"""The service returns what was scored, the same by every route."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from models.artifacts.champion import load_champion
from models.predictions.schema import Prediction
from models.targets import TARGETS
from serving.schemas.predictions import SIGNALS_EXAMPLE, PredictionRequest

AT = "/v1/accounts/{}/prediction"
Body = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def rows(scored_home: Any) -> dict[str, dict[str, Any]]:
    """The scored file's rows by account."""
    lines = scored_home.summary.out.read_text(encoding="utf-8").splitlines()
    return {row["account_id"]: row for row in map(json.loads, lines)}


def test_every_account_has_the_numbers_of_the_scored_file(client: TestClient, rows: dict[str, Any]) -> None:
    for account, row in rows.items():
        payload = client.get(AT.format(account)).json()
        Prediction.model_validate(payload)
        assert (payload["account_id"], payload["as_of"]) == (account, row["as_of"])
        for target in TARGETS:
            answer = payload[target]
            assert answer["status"] == row[f"{target}_status"]
            assert answer["probability"] == row[f"{target}_probability"]
            assert (answer["interval"] or [None, None]) == [row[f"{target}_low"], row[f"{target}_high"]]
            assert (answer["risk_score"], answer["band"]) == (row[f"{target}_risk_score"], row[f"{target}_band"])
        assert payload["expansion"]["ready"] == row["expansion_ready"]
        assert (payload["health"]["score"], payload["health"]["band"]) == (row["health_score"], row["health_band"])
        reasons = [row[f"reason_{k}"] for k in range(1, 6) if row[f"reason_{k}"] is not None]
        assert [reason["text"] for reason in payload["reasons"]] == reasons
        assert payload["model"] == {"name": "churn", "version": row["churn_model_version"], "alias": "champion"}


def test_get_and_post_by_id_return_the_same(client: TestClient) -> None:
    answers = [client.get(AT.format("a05")).json() for _ in range(2)]
    answers.append(client.post("/v1/predictions", json={"account_id": "a05"}).json())
    answers.append(client.post("/v1/predictions", json={"account_id": "a05", "as_of": "2026-07-01"}).json())
    answers.append(client.get(AT.format("a05"), params={"as_of": "2026-07-01T02:00:00+02:00"}).json())
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["data_through"] == "2026-06-30T09:00:00Z", "the newest event known, not the date asked for"


@pytest.mark.parametrize("account", ["a05", "a17", "a38"])
def test_the_same_signals_in_a_body_give_the_same_probability(
    client: TestClient, body_of: Body, rows: dict[str, Any], account: str
) -> None:
    payload = client.post("/v1/predictions", json=body_of(account)).json()
    Prediction.model_validate(payload)
    for target in TARGETS:
        assert payload[target]["status"] == rows[account][f"{target}_status"]
        assert payload[target]["probability"] == pytest.approx(rows[account][f"{target}_probability"], abs=1e-9)
        assert payload[target]["percentile"] is None, "an account alone has no place"
    assert [reason["code"] for reason in payload["reasons"]] == [
        reason["code"] for reason in client.get(AT.format(account)).json()["reasons"]
    ]


def test_contributions_add_up_to_the_log_odds_behind_the_probability(client: TestClient, scored_home: Any) -> None:
    champion = load_champion(scored_home.home)
    for account in ("a01", "a22"):
        payload = client.get(AT.format(account)).json()
        for target, reasons in (("churn", payload["reasons"]), ("expansion", payload["expansion"]["reasons"])):
            parts = payload[target]["explained"]
            total = parts["base_log_odds"] + parts["rest_log_odds"] + sum(r["contribution_log_odds"] for r in reasons)
            assert total == pytest.approx(parts["raw_log_odds"], abs=1e-6)
            calibrated = champion.bundles[target].scorer.calibrate(np.array([parts["raw_log_odds"]]))
            assert payload[target]["probability"] == pytest.approx(calibrated.probability[0], abs=1e-12)


def test_an_earlier_date_is_answered_from_its_snapshot(client: TestClient) -> None:
    now, then = (client.get(AT.format("a05"), params={"as_of": day}).json() for day in ("2026-07-01", "2026-06-01"))
    assert then["as_of"] == "2026-06-01"
    assert then["prediction_id"] != now["prediction_id"]
    assert now["churn"]["change_30d"] == pytest.approx(now["churn"]["probability"] - then["churn"]["probability"])
    assert then["churn"]["change_30d"] is None


def test_a_three_days_old_account_has_no_number_and_a_reason(client: TestClient) -> None:
    payload = client.get(AT.format("a38")).json()
    assert payload["churn"]["status"] == "insufficient_history"
    assert payload["churn"]["probability"] is None
    assert payload["reasons"] == []


def test_concurrent_callers_get_the_same_responses(client: TestClient, rows: dict[str, Any]) -> None:
    accounts = sorted(rows)[::4] * 16
    alone = {account: client.get(AT.format(account)).json() for account in set(accounts)}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda account: client.get(AT.format(account)), accounts))
    assert all(answer.status_code == 200 for answer in answers)
    assert [answer.json() for answer in answers] == [alone[account] for account in accounts]


def test_alive_ready_and_the_root(client: TestClient) -> None:
    assert client.get("/livez").json() == {"status": "alive"}
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {
        "status": "ready",
        "reasons": [],
        "as_of": "2026-07-01",
        "accounts": 39,
        "models": {"churn": "1", "expansion": "1"},
    }
    assert client.get("/").headers["content-type"].startswith("text/html")


def test_openapi_describes_operations_problems_and_rows(client: TestClient) -> None:
    payload = client.get("/openapi.json").json()
    schemas = payload["components"]["schemas"]
    assert "HTTPValidationError" not in schemas, "the framework's own error is never sent"
    post = payload["paths"]["/v1/predictions"]["post"]
    assert set(post["responses"]) == {"200", "400", "401", "403", "404", "408", "409", "413", "415", "422", "429", "503"}
    for status in ("404", "422"):
        assert set(post["responses"][status]["content"]) == {"application/json", "application/problem+json"}
    views = post["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"]
    assert [view["$ref"].rpartition("/")[2] for view in views] == ["Prediction", "FlatPrediction"]
    assert "/v1/accounts/{account_id}/prediction" in payload["paths"]
    assert schemas["SupportRow"]["required"] == ["occurred_at", "ticket_id", "severity"]
    assert schemas["SupportRow"]["properties"]["severity"]["enum"] == ["low", "normal", "high", "urgent"]
    assert schemas["PredictionRequest"]["examples"][1] == SIGNALS_EXAMPLE
    text = json.dumps(payload)
    assert all(reference in text for reference in ("#/components/schemas/Problem", "#/components/schemas/UsageRow"))


def test_the_documented_example_works(client: TestClient) -> None:
    PredictionRequest.model_validate(SIGNALS_EXAMPLE)
    response = client.post("/v1/predictions", json=SIGNALS_EXAMPLE)
    assert response.status_code == 200
    assert response.json()["churn"]["status"] == "scored"
