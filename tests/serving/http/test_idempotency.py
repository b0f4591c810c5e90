"""A repeated POST with the same Idempotency-Key runs once."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from models.home import Home
from serving.app.app import create_app
from serving.common.errors import StoreDown
from serving.common.settings import ServiceSettings
from serving.http.api_keys import create_key
from serving.http.idempotency import MARGIN
from serving.store.database import Store
from serving.store.idempotency_keys import IdempotencyKeys
from serving.store.tables import idempotency, jobs, records

RECORD = {"account_id": "a05", "occurred_at": "2026-06-30", "play": "executive_change"}
OUTCOME = {"account_id": "a05", "occurred_at": "2026-06-30", "result": "saved"}
TABLE = {"interventions": records, "outcomes": records, "jobs": jobs}
OTHER = RECORD | {"account_id": "a06"}


@pytest.fixture
def service(own_home: Home) -> Iterator[TestClient]:
    settings = ServiceSettings(open_locally=True, retry_seconds=0.05)
    with TestClient(create_app(own_home, settings), client=("127.0.0.1", 1), raise_server_exceptions=False) as client:
        yield client


def _post(client: TestClient, key: str, body: Any = RECORD, **headers: str) -> Any:
    return client.post("/v1/interventions", json=body, headers={"Idempotency-Key": key, **headers})


def _count(client: TestClient) -> int:
    store: Store = client.app.state.store  # type: ignore[attr-defined]
    with store.begin() as connection:
        return connection.execute(select(func.count()).select_from(records)).scalar_one()


def _marks(client: TestClient) -> int:
    store: Store = client.app.state.store  # type: ignore[attr-defined]
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(idempotency)).scalar_one()


def test_the_same_key_and_body_return_the_first_response(service: TestClient) -> None:
    first, again = _post(service, "k1"), _post(service, "k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert _count(service) == 1
    assert _post(service, "k2").json() != first.json()
    assert _count(service) == 2


def test_another_body_with_the_same_key_is_refused(service: TestClient) -> None:
    _post(service, "k1")
    result = _post(service, "k1", OTHER)
    assert (result.status_code, result.json()["code"]) == (422, "idempotency_key_reused")
    elsewhere = service.post("/v1/outcomes", json=RECORD, headers={"Idempotency-Key": "k1"})
    assert elsewhere.status_code == 422
    assert _count(service) == 1


def test_an_error_response_is_returned_again(service: TestClient) -> None:
    first, again = _post(service, "k1", {"account_id": 7}), _post(service, "k1", {"account_id": 7})
    assert (first.status_code, again.status_code) == (422, 422)
    assert first.content == again.content


def test_a_repeated_request_is_refused_while_the_first_runs(service: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(*_: Any, **__: Any) -> Any:
        begun.set()
        go_on.wait(10)
        raise KeyError

    monkeypatch.setattr("serving.worklist.intervention_changes._require_past", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(_post, service, "k1")
        assert begun.wait(10)
        result = _post(service, "k1")
        go_on.set()
        assert first.result().status_code == 500
    assert (result.status_code, result.json()["code"]) == (409, "still_running")
    assert int(result.headers["retry-after"]) > 0
    # What failed for the service's own reasons may be tried again.
    monkeypatch.undo()
    assert _post(service, "k1").status_code == 201
    assert _count(service) == 1


def test_the_claim_of_a_killed_process_expires(service: TestClient) -> None:
    _post(service, "k1")
    store: Store = service.app.state.store  # type: ignore[attr-defined]
    with store.begin() as connection:
        at = connection.execute(select(idempotency.c.created_at)).scalar_one()
        connection.execute(idempotency.update().values(status=None, body=None, running_until=at + MARGIN + timedelta(seconds=60)))
    assert _post(service, "k1").status_code == 409
    with store.begin() as connection:
        connection.execute(idempotency.update().values(running_until=at))
    assert _post(service, "k1").status_code == 201
    assert _count(service) == 1, "the result of the killed process is reused"


@pytest.mark.parametrize(("path", "body"), [("interventions", RECORD), ("outcomes", OUTCOME), ("jobs", {})])
def test_an_item_whose_response_was_lost_is_created_once(
    service: TestClient, monkeypatch: pytest.MonkeyPatch, path: str, body: Any
) -> None:
    def down(*_: Any) -> None:
        raise StoreDown("the store cannot be reached")

    monkeypatch.setattr(IdempotencyKeys, "store_response", down)
    response = service.post(f"/v1/{path}", json=body, headers={"Idempotency-Key": "k1"})
    assert (response.status_code, response.json()["code"]) == (503, "store_unavailable")
    assert int(response.headers["retry-after"]) > 0
    monkeypatch.undo()
    store: Store = service.app.state.store  # type: ignore[attr-defined]
    with store.begin() as connection:
        stored = list(connection.execute(select(TABLE[path].c.id)).scalars())
        connection.execute(idempotency.update().values(running_until=None))
    assert len(stored) == 1
    again = service.post(f"/v1/{path}", json=body, headers={"Idempotency-Key": "k1"})
    assert again.json()["id"] == stored[0]
    with store.read() as connection:
        assert list(connection.execute(select(TABLE[path].c.id)).scalars()) == stored


def test_concurrent_repetitions_run_once(service: TestClient) -> None:
    with ThreadPoolExecutor(8) as pool:
        result = list(pool.map(lambda _: _post(service, "k1").status_code, range(24)))
    assert set(result) <= {201, 409}
    assert 201 in result
    assert _count(service) == 1


def test_keys_of_different_callers_are_independent(own_home: Home) -> None:
    with TestClient(create_app(own_home, ServiceSettings()), client=("192.0.2.7", 1)) as client:
        store: Store = client.app.state.store  # type: ignore[attr-defined]
        with store.begin() as connection:
            secrets = [create_key(connection, "a test", ["write"])[1] for _ in range(2)]
        result = [_post(client, "same", **{"X-API-Key": secret}) for secret in secrets]
        assert result[0].json()["id"] != result[1].json()["id"]
        refused = _post(client, "same", **{"X-API-Key": "rc_other"})
        assert refused.status_code == 401


@pytest.mark.parametrize("key", ["x" * 256, "a\tb", ""])
def test_a_key_that_cannot_be_used_is_refused(service: TestClient, key: str) -> None:
    result = _post(service, key)
    assert result.status_code == 422
    assert [fault["pointer"] for fault in result.json()["errors"]] == ["/header/Idempotency-Key"]
    assert _count(service) == 0


def test_an_interrupted_request_is_neither_run_nor_stored(service: TestClient) -> None:
    """The part of the body that arrived may be valid by chance; the caller sends the whole body again."""
    whole = json.dumps(RECORD).encode()
    came = iter([{"type": "http.request", "body": whole, "more_body": True}, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(came)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = {"content-type": "application/json", "host": "localhost", "transfer-encoding": "chunked", "idempotency-key": "k1"}
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/v1/interventions", "raw_path": b"", "scheme": "http",
        "root_path": "", "query_string": b"", "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    asyncio.run(service.app(scope, receive, send))
    assert _count(service) == 0
    assert _marks(service) == 0
    assert sent[0]["status"] == 400
    assert _post(service, "k1", OTHER).status_code == 201


def test_a_body_that_exceeds_the_limit_while_read_gets_413(own_home: Home) -> None:
    settings = ServiceSettings(open_locally=True, body_limit_bytes=2048)
    with TestClient(create_app(own_home, settings), client=("127.0.0.1", 1)) as client:
        response = client.post(
            "/v1/interventions",
            content=iter([b" " * 1500] * 2),
            headers={"Idempotency-Key": "k1", "content-type": "application/json"},
        )
        assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
        assert response.headers["content-type"] == "application/problem+json"
        assert _marks(client) == 0


def test_an_unauthorized_request_stores_nothing(own_home: Home) -> None:
    with TestClient(create_app(own_home, ServiceSettings(requests_a_minute=4)), client=("192.0.2.7", 1)) as client:
        store: Store = client.app.state.store  # type: ignore[attr-defined]
        with store.begin() as connection:
            reader = create_key(connection, "a test", ["predict"])[1]
        key = {"Idempotency-Key": "k1"}
        for status, path, headers in (
            (405, "/livez", {}),
            (401, "/v1/interventions", {}),
            (401, "/sign-in", {"content-type": "application/x-www-form-urlencoded"}),
            (403, "/v1/interventions", {"X-API-Key": reader}),
            (404, "/v1/nothing", {"X-API-Key": reader}),
            (404, "/v1/predictions", {"X-API-Key": reader}),
            (405, "/v1/portfolio", {"X-API-Key": reader}),
            (429, "/v1/predictions", {"X-API-Key": reader}),
        ):
            body = {"account_id": "a999"}
            assert client.post(path, json=body, headers=key | headers).status_code == status, path
        assert _marks(client) == 0


def test_a_404_response_is_not_stored(service: TestClient) -> None:
    """The account may exist a moment later."""
    ask = {"url": "/v1/predictions", "headers": {"Idempotency-Key": "k1"}}
    assert service.post(**ask, json={"account_id": "a999"}).status_code == 404
    response = service.post(**ask, json={"account_id": "a05"})
    assert response.status_code == 200
    assert service.post(**ask, json={"account_id": "a05"}).headers["idempotent-replayed"] == "true"


def test_every_operation_with_a_body_takes_a_key(service: TestClient) -> None:
    for path, item in service.get("/openapi.json").json()["paths"].items():
        if "post" in item:
            headers = {each["name"] for each in item["post"]["parameters"] if each["in"] == "header"}
            assert headers == {"Idempotency-Key"}, path
            assert "409" in item["post"]["responses"], path
