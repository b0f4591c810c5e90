"""Several accounts in one request: the order is unchanged, and each has its own status and does not affect others."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.schemas.predictions import PredictionRequest
from serving.scoring import score_payload
from serving.scoring.score_many import BatchResponse
from serving.snapshots.scored_snapshot import ScoredSnapshot

MANY = "/v1/predictions:batch"
MARKER = "Zq7-secret"
Body = Callable[[str], dict[str, Any]]


def ask(client: TestClient, items: list[Any]) -> list[dict[str, Any]]:
    """Return the results after validation against their schema."""
    answer = client.post(MANY, json={"items": items})
    assert answer.status_code == 200, answer.text
    BatchResponse.model_validate(answer.json())
    results: list[dict[str, Any]] = answer.json()["results"]
    assert len(results) == len(items)
    for result in results:
        assert set(result) == {"status", "prediction" if result["status"] == 200 else "problem"}
    return results


def test_items_are_scored_independently_and_in_order(client: TestClient, body_of: Body) -> None:
    items = [{"account_id": "a17"}, body_of("a05"), {"account_id": "a05", "as_of": "2026-06-01"}, {"account_id": "a17"}]
    reported = [result["prediction"] for result in ask(client, items)]
    alone = [client.post("/v1/predictions", json=item).json() for item in items]
    # When it was scored is the one thing that differs where signals were sent.
    assert [each | {"scored_at": None} for each in reported] == [each | {"scored_at": None} for each in alone]


def test_an_invalid_item_is_reported_at_its_position_only(client: TestClient, body_of: Body) -> None:
    unsound = body_of("a05")
    unsound["signals"]["usage"] = [{"occurred_at": MARKER}]
    early = body_of("a05") | {"as_of": "2023-06-01", "history_from": "2023-01-01"}
    left = body_of("a39")
    items = [
        {"account_id": "a05"}, {"account_id": MARKER}, {"account_id": ""}, MARKER, None, [], unsound,
        {"account_id": "a05", "as_of": "2026-06-20"}, early, left, {"account_id": "a05", MARKER: 1}, {"account_id": "a17"},
    ]  # fmt: skip
    result = ask(client, items)
    assert [(each["status"], each.get("problem", {}).get("code")) for each in result] == [
        (200, None), (404, "unknown_account"), *[(422, "invalid_request")] * 5, (404, "unknown_snapshot"),
        (422, "invalid_request"), (200, None), (422, "invalid_request"), (200, None),
    ]  # fmt: skip
    assert result[9]["prediction"]["churn"]["status"] == "out_of_scope"
    pointers = [[fault["pointer"] for fault in each["problem"]["errors"]] for each in result if "problem" in each]
    assert pointers == [
        [], ["/items/2/account_id"], ["/items/3"], ["/items/4"], ["/items/5"],
        ["/items/6/signals/usage/0/occurred_at"], [],
        ["/items/8/signals/accounts/0/created_at"], ["/items/10"],
    ]  # fmt: skip
    assert MARKER not in json.dumps(result)


@pytest.mark.parametrize(
    ("content", "status", "pointer"),
    [
        ("{", 400, None),
        ("[]", 422, ""),
        ("{}", 422, "/items"),
        ('{"items": {}}', 422, "/items"),
        ('{"items": [], "more": 1}', 422, ""),
        (json.dumps({"items": [{"account_id": "a05"}] * 201}), 422, "/items"),
    ],
)
def test_an_invalid_body_is_rejected_as_a_whole(client: TestClient, content: str, status: int, pointer: str | None) -> None:
    answer = client.post(MANY, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ([] if pointer is None else [pointer])


def test_zero_to_two_hundred_items_are_accepted(client: TestClient) -> None:
    result = ask(client, [{"account_id": f"a{i % 38:02d}"} for i in range(200)])
    assert [each["prediction"]["account_id"] for each in result] == [f"a{i % 38:02d}" for i in range(200)]
    assert ask(client, []) == []


def rows_of(body: dict[str, Any]) -> int:
    return sum(map(len, body["signals"].values()))


def test_the_row_limit_applies_to_all_items_and_a_smaller_item_can_still_fit(scored_home: Any, body_of: Body) -> None:
    first, second = body_of("a05"), body_of("a17")
    settings = ServiceSettings(open_locally=True, body_limit_rows=rows_of(first) + rows_of(second) - 1)
    small = {**first, "signals": {name: first["signals"][name] for name in ("accounts", "subscriptions")}}
    with TestClient(create_app(scored_home.home, settings), client=("127.0.0.1", 1)) as client:
        result = ask(client, [first, second, small])
    assert [each["status"] for each in result] == [200, 422, 200]
    assert result[1]["problem"]["errors"] == [
        {"pointer": "/items/1/signals", "code": "too_many_rows", "detail": f"at most {rows_of(second) - 1} rows"}
    ]


def test_items_after_the_time_limit_are_reported_and_earlier_ones_answered(
    scored_home: Any, body_of: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = []

    def work(job: score_payload.SignalsScorer) -> dict[str, Any]:
        while not job._interrupted.wait(0.01):
            pass
        stopped.append(job)
        raise score_payload._too_slow()

    monkeypatch.setattr(score_payload.SignalsScorer, "__call__", work)
    with TestClient(create_app(scored_home.home, ServiceSettings(open_locally=True, request_seconds=1.5, retry_seconds=0.05)), client=("127.0.0.1", 1)) as client:
        began = time.monotonic()
        result = ask(client, [{"account_id": "a05"}, body_of("a05"), {"account_id": "a17"}, "no item"])
        assert time.monotonic() - began < 1.5
    assert [each["status"] for each in result] == [200, 503, 503, 422]
    assert result[1]["problem"]["code"] == "too_slow"
    assert result[1]["problem"]["retry_after"] == 1
    assert len(stopped) == 1


def test_an_unexpected_error_affects_one_item_only(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = ScoredSnapshot.answer

    def broken(scored: ScoredSnapshot, account_id: str) -> dict[str, Any]:
        if account_id == "a17":
            raise RuntimeError(f"could not convert '{MARKER}'")
        return answer(scored, account_id)

    monkeypatch.setattr(ScoredSnapshot, "answer", broken)
    result = ask(client, [{"account_id": "a05"}, {"account_id": "a17"}, {"account_id": "a05"}])
    assert [each["status"] for each in result] == [200, 500, 200]
    assert MARKER not in json.dumps(result)


def test_an_item_has_the_schema_of_a_single_request(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()["components"]["schemas"]["BatchRequest"]["properties"]["items"]
    assert schema["items"] == {"$ref": f"#/components/schemas/{PredictionRequest.__name__}"}
