"""Summary of the portfolio: every account counts once in each grouping, and unknown values are null."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.snapshots import scored_snapshot
from serving.snapshots.portfolio_summary import Portfolio, summarize_portfolio

DIVISIONS = ("by_health_band", "by_churn_band", "by_segment")


@pytest.fixture(scope="module")
def totals(client: TestClient) -> dict[str, Any]:
    answer: dict[str, Any] = client.get("/v1/portfolio").json()
    Portfolio.model_validate(answer)
    return answer


@pytest.fixture(scope="module")
def nested(client: TestClient) -> list[dict[str, Any]]:
    """The prediction of every account."""
    accounts = client.app.state.live.current().latest.assessment.account_ids  # type: ignore[attr-defined]
    return [client.get(f"/v1/accounts/{account}/prediction").json() for account in accounts]


@pytest.mark.parametrize("division", DIVISIONS)
def test_the_groups_add_up_to_the_total(totals: dict[str, Any], division: str) -> None:
    parts, whole = totals[division], totals["whole"]
    for name in ("accounts", "arr_unknown", "health_unknown", "churn_unknown", "expected_churned_arr_unknown"):
        assert sum(part[name] for part in parts) == whole[name]
    for name in ("arr", "expected_churned_accounts", "expected_churned_arr"):
        assert sum(part[name] or 0.0 for part in parts) == pytest.approx(whole[name])


def test_the_summary_matches_the_accounts(totals: dict[str, Any], nested: list[dict[str, Any]]) -> None:
    p = [each["churn"]["probability"] for each in nested]
    available = [value for value in p if value is not None]
    whole = totals["whole"]
    assert whole["accounts"] == len(nested) == 39
    assert whole["expected_churned_accounts"] == pytest.approx(sum(available))
    assert whole["mean_churn_probability"] == pytest.approx(np.mean(available))
    assert whole["churn_unknown"] == p.count(None) == 1
    scores = [each["health"]["score"] for each in nested if each["health"]["score"] is not None]
    assert whole["mean_health"] == pytest.approx(np.mean(scores))
    for division, read in (
        ("by_health_band", lambda each: each["health"]["band"]),
        ("by_churn_band", lambda each: each["churn"]["band"]),
        ("by_segment", lambda each: each["segment"]),
    ):
        result = {part.get("band", part.get("segment")): part["accounts"] for part in totals[division]}
        assert result == {key: sum(read(each) == key for each in nested) for key in result}
    assert totals["expansion_ready"] == sum(each["expansion"]["ready"] for each in nested)
    assert totals["coverage"]["health"] == pytest.approx(np.mean([each["health"]["coverage"] for each in nested]))
    assert totals["coverage"]["churn"] == {"scored": 38, "insufficient_history": 1}


def test_the_summary_names_the_models(totals: dict[str, Any], nested: list[dict[str, Any]]) -> None:
    for name in ("as_of", "data_through", "horizon_days"):
        assert totals[name] == nested[0][name]
    assert (totals["rubric"], totals["rubric_version"]) == ("five-dimensions", nested[0]["health"]["rubric_version"])
    assert totals["models"] == {"churn": nested[0]["model"], "expansion": nested[0]["expansion"]["model"]}
    assert totals["base_rates"] == {"churn": 0.3, "expansion": 0.3}


def test_an_empty_group_has_zeros_and_unknown_values_are_null(
    own_home: Home, champions: Any, publish: Callable[..., Path]
) -> None:
    some = champions.frame["account_id"].isin(["a01", "a02"])
    frame = champions.frame[some].reset_index(drop=True).assign(**{"contract.arr": [100.0, math.nan]})
    publish(own_home, frame, datetime(2026, 7, 8, tzinfo=UTC))
    with TestClient(create_app(own_home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as client:
        totals = client.get("/v1/portfolio").json()
    Portfolio.model_validate(totals)
    assert (totals["whole"]["arr"], totals["whole"]["arr_unknown"]) == (100.0, 1)
    by_segment = {part["segment"]: part for part in totals["by_segment"]}
    unknown = by_segment[None]
    assert (unknown["accounts"], unknown["arr"], unknown["expected_churned_arr"]) == (1, None, None)
    assert unknown["expected_churned_accounts"] > 0, "the probability does not need the ARR"
    (empty, *_) = (part for part in totals["by_segment"] if part["accounts"] == 0)
    assert (empty["arr"], empty["expected_churned_accounts"], empty["mean_health"]) == (0.0, 0.0, None)


def test_without_a_model_expected_values_are_null(own_home: Home, champions: Any) -> None:
    own_home.champion_file.unlink()
    with TestClient(create_app(own_home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as client:
        totals = client.get("/v1/portfolio").json()
    Portfolio.model_validate(totals)
    assert totals["whole"]["expected_churned_accounts"] is None
    assert totals["whole"]["mean_churn_probability"] is None
    assert totals["base_rates"] == totals["models"] == {"churn": None, "expansion": None}
    assert totals["horizon_days"] is None
    assert totals["coverage"]["churn"] == {"no_model": 39}
    assert totals["whole"]["mean_health"] is not None


def test_it_is_computed_once_for_each_snapshot(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    times = []
    monkeypatch.setattr(scored_snapshot, "summarize_portfolio", lambda assessment: times.append(1) or summarize_portfolio(assessment))
    with TestClient(create_app(own_home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as client:
        for as_of in ("2026-07-01", "2026-06-01"):
            answers = [client.get("/v1/portfolio", params={"as_of": as_of}).json() for _ in range(3)]
            assert answers[0]["as_of"] == as_of
            assert all(answer == answers[0] for answer in answers)
    assert len(times) == 2


def test_a_date_that_was_not_scored_is_unknown(client: TestClient) -> None:
    assert client.get("/v1/portfolio?as_of=2026-06-20").json()["code"] == "unknown_snapshot"
