"""Errors in requests get the right status and place, and the value is not repeated."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from serving.common.json_logs import JsonFormatter
from serving.schemas.predictions import Problem

MARKER = "Zq7-secret"
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def refused(client: TestClient, caplog: pytest.LogCaptureFixture) -> Callable[..., dict[str, Any]]:
    """Send a request, check the response against the schema of problems, and search it for the marker."""
    caplog.set_level(logging.INFO)

    def ask(status: int, method: str, path: str, **more: Any) -> dict[str, Any]:
        answer = client.request(method, path, **more)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        payload: dict[str, Any] = answer.json()
        Problem.model_validate(payload, strict=True)
        assert payload["status"] == status
        texts = [answer.text, str(answer.headers), caplog.text, *map(JsonFormatter().format, caplog.records)]
        ours = [text for text, record in zip(texts[3:], caplog.records, strict=True) if record.name.startswith("serving")]
        assert not any(MARKER in text for text in [*texts[:2], *ours])
        assert "Traceback" not in answer.text
        return payload

    return ask


@pytest.mark.parametrize(
    ("status", "method", "path", "code", "pointer"),
    [
        (404, "GET", f"/v1/accounts/{MARKER}/prediction", "unknown_account", None),
        (404, "GET", f"/v1/accounts/{MARKER}%2Fb/prediction", "unknown_account", None),
        (404, "GET", "/v1/accounts/a39/prediction", "unknown_account", None),
        (404, "GET", "/v1/accounts/a05/prediction?as_of=2026-06-20", "unknown_snapshot", None),
        (404, "GET", f"/{MARKER}", "unknown_route", None),
        (404, "GET", "/v1/predictions/", "unknown_route", None),
        (405, "DELETE", "/v1/predictions", "unknown_method", None),
        (422, "GET", f"/v1/accounts/a05/prediction?as_of={MARKER}", "invalid_request", "/query/as_of"),
        (422, "GET", "/v1/accounts/a05/prediction?as_of=0001-01-01T00:00:00%2B12:00", "invalid_request", "/query/as_of"),
        (422, "GET", "/v1/accounts/a05/prediction?as_of=2026-07-01T00:00:00.5Z", "invalid_request", "/query/as_of"),
        (422, "GET", f"/v1/accounts/a05/prediction?{MARKER}=1", "invalid_request", "/query"),
        (422, "GET", f"/v1/accounts/{MARKER * 200}/prediction", "invalid_request", "/path/account_id"),
        (422, "GET", "/v1/accounts//prediction", "invalid_request", "/path/account_id"),
        (422, "GET", "/v1/accounts/a%00/prediction", "invalid_request", "/path/account_id"),
        (422, "GET", "/v1/alerts?account_id=a%00", "invalid_request", "/query/account_id"),
        (422, "GET", "/v1/renewals?csm=a%00", "invalid_request", "/query/csm"),
    ],
)
def test_addresses(
    refused: Callable[..., dict[str, Any]], status: int, method: str, path: str, code: str, pointer: str | None
) -> None:
    result = refused(status, method, path)
    assert result["code"] == code
    assert [fault["pointer"] for fault in result["errors"]] == ([] if pointer is None else [pointer])


def test_an_unknown_date_names_the_available_dates(refused: Callable[..., dict[str, Any]]) -> None:
    result = refused(404, "GET", "/v1/accounts/a05/prediction?as_of=2026-06-20")
    assert "2026-06-01, 2026-07-01" in result["detail"]


def test_the_supported_method_is_named(client: TestClient) -> None:
    assert client.put("/v1/predictions").headers["allow"] == "GET, POST"


def test_plain_json_for_callers_that_accept_nothing_else(client: TestClient) -> None:
    answer = client.get("/nowhere", headers={"accept": "application/json"})
    assert answer.headers["content-type"] == "application/json"
    Problem.model_validate(answer.json())


@pytest.mark.parametrize(
    ("content", "media", "status", "code"),
    [
        (f'{{"account_id": "{MARKER}"', "application/json", 400, "not_json"),
        (b"\xff\xfe{", "application/json", 400, "not_json"),
        ("[" * 100_000, "application/json", 400, "not_json"),
        ('{"account_id": ' + "9" * 5000 + "}", "application/json", 400, "not_json"),
        (json.dumps({"account_id": MARKER}), "text/plain", 415, "unknown_media_type"),
        (f"account_id={MARKER}", "application/x-www-form-urlencoded", 415, "unknown_media_type"),
        ("", "application/json", 422, "invalid_request"),
        (f'"{MARKER}"', "application/json", 422, "invalid_request"),
        (f'["{MARKER}"]', "application/json", 422, "invalid_request"),
        ('{"account_id": "\\ud800"}', "application/json", 422, "invalid_request"),
        ("null", "application/json", 422, "invalid_request"),
    ],
)
def test_invalid_bodies(
    refused: Callable[..., dict[str, Any]], content: Any, media: str, status: int, code: str
) -> None:
    result = refused(status, "POST", "/v1/predictions", content=content, headers={"content-type": media})
    assert result["code"] == code


def _set(*path: Any) -> Change:
    """Return a change that sets the value at the end of a path."""
    *way, last, value = path

    def change(body: dict[str, Any]) -> None:
        here: Any = body
        for step in way:
            here = here[step]
        here[last] = value

    return change


USE = ("signals", "usage", 0)
NPS = {"occurred_at": "2026-06-01", "kind": "nps", "value": 12}
OF_ANOTHER = {"account_id": MARKER, "started_at": "2024-01-01", "arr": 1}

CONTENT: list[tuple[Change, str, str]] = [
    (_set(MARKER, 1), "", "unknown_field"),
    (lambda body: body.pop("account_id"), "/account_id", "missing"),
    (_set("account_id", 5), "/account_id", "string_type"),
    (_set("account_id", ""), "/account_id", "string_too_short"),
    (_set("account_id", "a\0"), "/account_id", "string_pattern_mismatch"),
    (lambda body: body.pop("as_of"), "/as_of", "missing"),
    (_set("as_of", MARKER), "/as_of", "not_an_instant"),
    (_set("as_of", 20260701), "/as_of", "string_type"),
    (_set("as_of", "2026-07-01T00:00:00.25"), "/as_of", "fraction_of_a_second"),
    (_set("as_of", "9999-12-31T23:59:59-10:00"), "/as_of", "not_an_instant"),
    (_set("history_from", "2026-07-01"), "/history_from", "not_before_as_of"),
    (_set("signals", MARKER), "/signals", "model_attributes_type"),
    (_set("signals", MARKER, []), "/signals", "unknown_field"),
    (lambda body: body["signals"].pop("accounts"), "/signals/accounts", "missing"),
    (_set("signals", "accounts", []), "/signals/accounts", "too_short"),
    (_set("signals", "accounts", 0, "created_at", "2026-07-01"), "/signals/accounts/0/created_at", "not_before_as_of"),
    (lambda body: body["signals"].pop("subscriptions"), "/signals", "missing"),
    (_set("signals", "subscriptions", 0, "arr", -5), "/signals/subscriptions/0/arr", "greater_than_equal"),
    (_set("signals", "subscriptions", 0, "arr", None), "/signals/subscriptions/0/arr", "float_type"),
    (_set("signals", "subscriptions", 0, "seats", 1.5), "/signals/subscriptions/0/seats", "int_type"),
    (_set("signals", "subscriptions", 0, "renewal_at", "2023-01-01"), "/signals/subscriptions/0/renewal_at", "breaks_contract"),
    (_set("signals", "subscriptions", 0, OF_ANOTHER), "/signals/subscriptions/0/account_id", "another_account"),
    (_set("signals", "usage", {}), "/signals/usage", "list_type"),
    (_set(*USE, MARKER), "/signals/usage/0", "model_attributes_type"),
    (_set(*USE, "minutes", MARKER), "/signals/usage/0/minutes", "float_type"),
    (_set(*USE, "minutes", [MARKER]), "/signals/usage/0/minutes", "float_type"),
    (_set(*USE, "minutes", True), "/signals/usage/0/minutes", "float_type"),
    (_set(*USE, "user_id", "\0"), "/signals/usage/0/user_id", "string_pattern_mismatch"),
    (_set(*USE, "user_id", MARKER * 200), "/signals/usage/0/user_id", "string_too_long"),
    (_set(*USE, "occurred_at", MARKER), "/signals/usage/0/occurred_at", "not_an_instant"),
    (_set(*USE, "occurred_at", "1066-10-14"), "/signals/usage/0/occurred_at", "instant_out_of_range"),
    (_set("signals", "support", 0, "severity", MARKER), "/signals/support/0/severity", "literal_error"),
    (_set("signals", "support", 0, "escalated", "yes"), "/signals/support/0/escalated", "bool_type"),
    (_set("signals", "outcomes", 1, NPS), "/signals/outcomes/1/value", "breaks_contract"),
]


@pytest.mark.parametrize(("change", "pointer", "code"), CONTENT, ids=[f"{p}-{c}" for _, p, c in CONTENT])
def test_content(
    refused: Callable[..., dict[str, Any]],
    body_of: Callable[[str], dict[str, Any]],
    change: Change,
    pointer: str,
    code: str,
) -> None:
    body = copy.deepcopy(body_of("a05"))
    change(body)
    result = refused(422, "POST", "/v1/predictions", content=json.dumps(body), headers={"content-type": "application/json"})
    assert (pointer, code) in [(fault["pointer"], fault["code"]) for fault in result["errors"]]


def test_history_from_without_signals_is_refused(refused: Callable[..., dict[str, Any]]) -> None:
    result = refused(422, "POST", "/v1/predictions", json={"account_id": "a05", "history_from": "2024-01-01"})
    assert result["errors"][0]["pointer"] == "/history_from"


def test_too_large_a_number_is_refused(
    refused: Callable[..., dict[str, Any]], body_of: Callable[[str], dict[str, Any]]
) -> None:
    body = copy.deepcopy(body_of("a05"))
    body["signals"]["subscriptions"][0]["arr"] = 7.6543e300
    result = refused(422, "POST", "/v1/predictions", json=body)
    assert "beyond 1e+12" in json.dumps(result)
    assert "7.6543" not in json.dumps(result)


def test_faults_beyond_the_first_are_counted(refused: Callable[..., dict[str, Any]]) -> None:
    signals = {"accounts": [{"created_at": "2024-01-01"}], "orders": [{"amount": "x"}] * 30}
    result = refused(422, "POST", "/v1/predictions", json={"account_id": "n", "as_of": "2026-07-01", "signals": signals})
    assert len(result["errors"]) == 20
    assert result["more_errors"] == 40


def test_an_id_with_a_character_that_a_store_cannot_hold_is_refused(client: TestClient) -> None:
    for answer in (
        client.get("/v1/accounts/a%00/prediction"),
        client.get("/v1/alerts", params={"account_id": "a\0"}),
        client.post("/v1/interventions", json={"account_id": "a\0", "occurred_at": "2026-06-30", "play": "call"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
