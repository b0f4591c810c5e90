"""The health breakdown of one account adds up and matches the prediction."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from features.catalogue.catalogue import CATALOGUE
from serving.portfolio.account_health import AccountHealth

ACCOUNTS = ("a01", "a05", "a22")


@pytest.fixture(scope="module")
def with_score(client: TestClient) -> list[dict[str, Any]]:
    """The health of the accounts with enough data."""
    health_scores = client.app.state.live.current().latest.assessment.health.score  # type: ignore[attr-defined]
    accounts = [f"a{i:02d}" for i, score in enumerate(health_scores) if score == score]
    return [health(client, account) for account in accounts]


def health(client: TestClient, account: str, **more: str) -> dict[str, Any]:
    """Return the answer after validation against its schema."""
    payload: dict[str, Any] = client.get(f"/v1/accounts/{account}/health", params=more).json()
    AccountHealth.model_validate(payload)
    return payload


def test_the_dimensions_add_up_to_the_score(with_score: list[dict[str, Any]]) -> None:
    assert with_score
    for payload in with_score:
        assert sum(each["adds"] for each in payload["breakdown"]) == pytest.approx(payload["score"], abs=0.051)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_the_signals_add_up_to_the_dimensions(client: TestClient, account: str) -> None:
    payload = health(client, account)
    assert sum(each["weight"] for each in payload["breakdown"]) == pytest.approx(100.0)
    assert sum(each["base_weight"] for each in payload["breakdown"]) == pytest.approx(100.0)
    for dimension in payload["breakdown"]:
        for name in ("adds", "weight", "base_weight"):
            assert dimension[name] == pytest.approx(sum(signal[name] for signal in dimension["signals"]))
        for signal in dimension["signals"]:
            assert signal["adds"] == pytest.approx(signal["weight"] * (signal["points"] or 0.0) / 100.0)
            assert signal["unit"] == CATALOGUE[signal["feature"]].unit


def test_unknown_signals_have_no_weight_and_no_contribution(client: TestClient) -> None:
    payload = [health(client, account) for account in (*ACCOUNTS, "a38")]
    signals = [signal for each in payload for dimension in each["breakdown"] for signal in dimension["signals"]]
    unknown = [signal for signal in signals if signal["points"] is None]
    assert unknown
    assert all((s["value"], s["grade"], s["weight"], s["adds"]) == (None, None, 0.0, 0.0) for s in unknown)
    for each in payload:
        weight = sum(s["base_weight"] for d in each["breakdown"] for s in d["signals"] if s["points"] is not None)
        assert weight / 100 == pytest.approx(each["coverage"], abs=1e-6)


def test_an_account_without_enough_data_has_no_score(client: TestClient) -> None:
    payload = health(client, "a38")
    assert (payload["score"], payload["band"]) == (None, "insufficient_data")
    assert payload["coverage"] < payload["minimum_coverage"]
    assert "health_insufficient_data" in [warning["code"] for warning in payload["warnings"]]


@pytest.mark.parametrize("account", ACCOUNTS)
def test_account_health_matches_the_prediction(client: TestClient, account: str) -> None:
    payload, prediction = health(client, account), client.get(f"/v1/accounts/{account}/prediction").json()
    assert {name: payload[name] for name in prediction["health"]} == prediction["health"]
    for name in ("account_id", "as_of", "data_through", "alerts", "warnings"):
        assert payload[name] == prediction[name]
    assert {each["dimension"]: each["points"] for each in payload["breakdown"]} == payload["dimensions"]


def test_bands_match_the_rubric(with_score: list[dict[str, Any]]) -> None:
    for payload in with_score:
        reached = [band for band, begins in payload["bands"].items() if payload["score"] >= begins]
        assert payload["band"] == max(reached, key=payload["bands"].__getitem__)


def test_another_date_and_an_unknown_account(client: TestClient) -> None:
    assert health(client, "a05", as_of="2026-06-01")["as_of"] == "2026-06-01"
    assert client.get("/v1/accounts/a999/health").json()["code"] == "unknown_account"
    assert client.get("/v1/accounts/a05/health?as_of=2026-06-20").json()["code"] == "unknown_snapshot"
