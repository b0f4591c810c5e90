"""One account's health: a sum that a person can check, beside what the prediction says of it."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from features.catalogue.catalogue import CATALOGUE
from serving.portfolio.account_health import AccountHealth

ACCOUNTS = ("a01", "a05", "a22")


@pytest.fixture(scope="module")
def with_score(client: TestClient) -> list[dict[str, Any]]:
    """The health of the accounts of which enough is known."""
    health_scores = client.app.state.live.current().latest.assessment.health.score  # type: ignore[attr-defined]
    accounts = [f"a{i:02d}" for i, score in enumerate(health_scores) if score == score]
    return [health(client, account) for account in accounts]


def health(client: TestClient, account: str, **more: str) -> dict[str, Any]:
    """The answer, held against its shape."""
    told: dict[str, Any] = client.get(f"/v1/accounts/{account}/health", params=more).json()
    AccountHealth.model_validate(told)
    return told


def test_the_dimensions_add_up_to_the_score(with_score: list[dict[str, Any]]) -> None:
    assert with_score
    for told in with_score:
        assert sum(each["adds"] for each in told["breakdown"]) == pytest.approx(told["score"], abs=0.051)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_the_signals_add_up_to_the_dimensions(client: TestClient, account: str) -> None:
    told = health(client, account)
    assert sum(each["weight"] for each in told["breakdown"]) == pytest.approx(100.0)
    assert sum(each["base_weight"] for each in told["breakdown"]) == pytest.approx(100.0)
    for dimension in told["breakdown"]:
        for name in ("adds", "weight", "base_weight"):
            assert dimension[name] == pytest.approx(sum(signal[name] for signal in dimension["signals"]))
        for signal in dimension["signals"]:
            assert signal["adds"] == pytest.approx(signal["weight"] * (signal["points"] or 0.0) / 100.0)
            assert signal["unit"] == CATALOGUE[signal["feature"]].unit


def test_what_is_not_known_weighs_nothing_and_adds_nothing(client: TestClient) -> None:
    told = [health(client, account) for account in (*ACCOUNTS, "a38")]
    signals = [signal for each in told for dimension in each["breakdown"] for signal in dimension["signals"]]
    unknown = [signal for signal in signals if signal["points"] is None]
    assert unknown
    assert all((s["value"], s["grade"], s["weight"], s["adds"]) == (None, None, 0.0, 0.0) for s in unknown)
    for each in told:
        known = sum(s["base_weight"] for d in each["breakdown"] for s in d["signals"] if s["points"] is not None)
        assert known / 100 == pytest.approx(each["coverage"], abs=1e-6)


def test_an_account_without_enough_data_has_no_score_and_says_so(client: TestClient) -> None:
    told = health(client, "a38")
    assert (told["score"], told["band"]) == (None, "insufficient_data")
    assert told["coverage"] < told["minimum_coverage"]
    assert "health_insufficient_data" in [warning["code"] for warning in told["warnings"]]


@pytest.mark.parametrize("account", ACCOUNTS)
def test_it_says_what_the_prediction_says(client: TestClient, account: str) -> None:
    told, prediction = health(client, account), client.get(f"/v1/accounts/{account}/prediction").json()
    assert {name: told[name] for name in prediction["health"]} == prediction["health"]
    for name in ("account_id", "as_of", "data_through", "alerts", "warnings"):
        assert told[name] == prediction[name]
    assert {each["dimension"]: each["points"] for each in told["breakdown"]} == told["dimensions"]


def test_the_band_begins_where_the_rubric_says(with_score: list[dict[str, Any]]) -> None:
    for told in with_score:
        reached = [band for band, begins in told["bands"].items() if told["score"] >= begins]
        assert told["band"] == max(reached, key=told["bands"].__getitem__)


def test_another_date_and_an_unknown_account(client: TestClient) -> None:
    assert health(client, "a05", as_of="2026-06-01")["as_of"] == "2026-06-01"
    assert client.get("/v1/accounts/nobody/health").json()["code"] == "unknown_account"
    assert client.get("/v1/accounts/a05/health?as_of=2026-06-20").json()["code"] == "unknown_snapshot"
