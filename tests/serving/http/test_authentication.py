"""Authentication and scopes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import select

from features.errors import BadRequest
from models.home import Home
from serving.app.app import create_app
from serving.app.routes import ROUTES
from serving.common.settings import ServiceSettings
from serving.http.api_keys import create_key, find_key, list_keys, revoke_key
from serving.http.authentication import OUTAGE_SECONDS, PUBLIC_PATHS, current_caller
from serving.http.rate_limit import RateLimiter
from serving.store.database import Store
from serving.store.tables import api_keys

ELSEWHERE = ("192.0.2.7", 5000)
HERE = ("127.0.0.1", 5000)
PATH = "/v1/accounts/a05/prediction"
RECORD = {"account_id": "a05", "occurred_at": "2026-06-30", "play": "executive_change"}


@pytest.fixture(scope="module")
def guarded(scored_home: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    store = f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.sqlite'}"
    settings = ServiceSettings(retry_seconds=0.05, store=SecretStr(store))
    with TestClient(create_app(scored_home.home, settings), client=ELSEWHERE) as client:
        yield client


def _key(client: TestClient, *scopes: str) -> tuple[str, str]:
    store: Store = client.app.state.store  # type: ignore[attr-defined]
    with store.begin() as connection:
        key, secret = create_key(connection, "a test", scopes)
    return key.id, secret


def _bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer rc_no"}, {"X-API-Key": "x" * 5000}, {"Authorization": "Basic cmM6"}])
def test_a_request_without_a_valid_key_is_refused(guarded: TestClient, headers: dict[str, str]) -> None:
    response = guarded.get(PATH, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["code"] == "unauthorized"
    assert "rc_no" not in response.text


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/openapi.json"])
def test_public_paths_need_no_key(guarded: TestClient, path: str) -> None:
    assert guarded.get(path).status_code == 200


def test_the_description_names_required_keys(guarded: TestClient) -> None:
    """Operations described as public need no key, and all others require one."""
    document = guarded.get("/openapi.json").json()
    assert {(scheme["type"], scheme.get("name")) for scheme in document["components"]["securitySchemes"].values()} == {
        ("http", None), ("apiKey", "X-API-Key"),
    }  # fmt: skip
    for path, item in document["paths"].items():
        for method, operation in item.items():
            response = guarded.request(method, path.format_map(defaultdict(lambda: "x")))
            assert (response.status_code == 401) is bool(operation.get("security")), path
            assert ({"401", "403", "429"} <= set(operation["responses"])) is bool(operation.get("security")), path


def test_both_headers_accept_a_key(guarded: TestClient) -> None:
    _, secret = _key(guarded, "predict")
    response = [guarded.get(PATH, headers=headers) for headers in (_bearer(secret), {"X-API-Key": secret})]
    assert [each.status_code for each in response] == [200, 200]
    assert response[0].json() == response[1].json()


@pytest.mark.parametrize(
    ("scope", "read", "write"), [("predict", 200, 403), ("write", 403, 201), ("admin", 200, 201)]
)
def test_a_key_allows_what_its_scope_allows(guarded: TestClient, scope: str, read: int, write: int) -> None:
    _, secret = _key(guarded, scope)
    assert guarded.get(PATH, headers=_bearer(secret)).status_code == read
    assert guarded.post("/v1/interventions", json=RECORD, headers=_bearer(secret)).status_code == write


def test_a_revoked_key_is_refused_from_the_next_request_on(guarded: TestClient) -> None:
    name, secret = _key(guarded, "predict")
    assert guarded.get(PATH, headers=_bearer(secret)).status_code == 200
    store: Store = guarded.app.state.store  # type: ignore[attr-defined]
    with store.begin() as connection:
        revoke_key(connection, name)
    assert guarded.get(PATH, headers=_bearer(secret)).status_code == 401


def test_a_key_is_looked_up_again_only_after_a_change(guarded: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def look(connection: Any, displayed: str) -> Any:
        looked.append(displayed)
        return find_key(connection, displayed)

    monkeypatch.setattr("serving.http.authentication.find_key", look)
    name, secret = _key(guarded, "predict")
    for _ in range(3):
        assert guarded.get(PATH, headers=_bearer(secret)).status_code == 200
    assert len(looked) == 1
    _key(guarded, "predict")
    assert guarded.get(PATH, headers=_bearer(secret)).status_code == 200
    assert len(looked) == 2
    store: Store = guarded.app.state.store  # type: ignore[attr-defined]
    other = Store(str(store._engine.url))
    with other.begin() as connection:
        revoke_key(connection, name)
    other.close()
    assert guarded.get(PATH, headers=_bearer(secret)).status_code == 401


@pytest.mark.parametrize(
    "name",
    [
        *("Via", "X_Forwarded_For", "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "Client-IP", "X-Cluster-Client-IP"),
        *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Forwarded", "X-Original-URL"),
        *("CF-Connecting-IP", "CF-Ray", "CF-IPCountry", "CDN-Loop", "Fly-Client-IP", "Fastly-Client-IP", "X-Azure-ClientIP"),
        *("X-Envoy-External-Address", "X-Amzn-Trace-Id", "X-Vercel-Forwarded-For", "Tailscale-User-Login", "X-ARR-ClientCert"),
    ],
)
def test_a_forwarded_request_is_not_local(client: TestClient, name: str) -> None:
    assert client.get(PATH).status_code == 200
    for value in ("127.0.0.1", "", "localhost"):
        assert client.get(PATH, headers={name: value}).status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *((h, 200) for h in ("localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:8000", "[::1]:8000", "app.localhost")),
        *((h, 401) for h in ("evil.example", "localhost.evil.example", "intranet", "192.0.2.1", "", "127.0.0.1.nip.io")),
        *((h, 401) for h in ("[::1", "0.0.0.0", "localhost@evil.example", "evil.example:80")),
    ],
)
def test_only_names_of_this_machine_are_local(client: TestClient, host: str, status: int) -> None:
    assert client.get(PATH, headers={"Host": host}).status_code == status


def test_this_machine_needs_no_key_only_if_the_operator_allows_it(own_home: Home) -> None:
    apps = {allowed: create_app(own_home, ServiceSettings(open_locally=allowed)) for allowed in (False, True)}
    for allowed, client, headers, status in (
        (False, HERE, {}, 401),
        (True, HERE, {}, 200),
        (True, ELSEWHERE, {}, 401),
        (True, HERE, {"X-Forwarded-For": "192.0.2.7"}, 401),
        (True, HERE, {"Forwarded": "for=192.0.2.7"}, 401),
        (True, HERE, {"X-API-Key": "rc_wrong"}, 401),
    ):
        assert TestClient(apps[allowed], client=client).get(PATH, headers=headers).status_code == status
    for app in apps.values():
        app.state.store.close()


def test_requests_per_minute_are_limited(own_home: Home) -> None:
    with TestClient(create_app(own_home, ServiceSettings(requests_a_minute=3)), client=ELSEWHERE) as client:
        (_, one), (_, other) = _key(client, "predict"), _key(client, "predict")
        response = [client.get(PATH, headers=_bearer(one)) for _ in range(4)]
        assert [each.status_code for each in response] == [200, 200, 200, 429]
        assert [each.headers["ratelimit-remaining"] for each in response] == ["2", "1", "0", "0"]
        assert {each.headers["ratelimit-limit"] for each in response} == {"3"}
        assert 0 < int(response[3].headers["retry-after"]) <= 20
        assert response[3].json()["retry_after"] == int(response[3].headers["retry-after"])
        assert client.get(PATH, headers=_bearer(other)).status_code == 200


def test_a_bucket_refills_steadily() -> None:
    now = [0.0]
    rates = RateLimiter(60, lambda: now[0])
    assert [rates.take("a").allowed for _ in range(61)] == [True] * 60 + [False]
    assert rates.take("a").wait == 1
    now[0] = 1.0
    assert [rates.take("a").allowed for _ in range(2)] == [True, False]
    now[0] = 3600.0
    full = rates.take("a")
    assert (full.remaining, full.limit) == (59, 60)


def test_only_recently_confirmed_keys_are_valid_while_the_store_is_down(guarded: TestClient, body_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals in a body are still scored; requests that need the store get 503 with Retry-After."""
    _, secret = _key(guarded, "predict", "write")
    assert guarded.get(PATH, headers=_bearer(secret)).status_code == 200
    store: Store = guarded.app.state.store  # type: ignore[attr-defined]
    monkeypatch.setattr(store, "_engine", Store("postgresql://u@127.0.0.1:1/d")._engine)
    assert guarded.post("/v1/predictions", json=body_of("a05"), headers=_bearer(secret)).status_code == 200
    for result in (
        guarded.post("/v1/interventions", json=RECORD, headers=_bearer(secret)),
        guarded.get("/v1/predictions", headers=_bearer(secret)),
        guarded.get(PATH, headers={"X-API-Key": "rc_never_seen"}),
    ):
        assert (result.status_code, result.json()["code"]) == (503, "store_unavailable")
        assert int(result.headers["retry-after"]) > 0


def test_a_key_in_constant_use_counts_as_recently_confirmed(guarded: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the store has not changed, so that the key was not looked up again."""
    _, secret = _key(guarded, "predict")
    now = [1000.0]
    monkeypatch.setattr("serving.http.authentication.time.monotonic", lambda: now[0])
    for _ in range(3):
        assert guarded.get(PATH, headers=_bearer(secret)).status_code == 200
        now[0] += OUTAGE_SECONDS - 1
    store: Store = guarded.app.state.store  # type: ignore[attr-defined]
    monkeypatch.setattr(store, "_engine", Store("postgresql://u@127.0.0.1:1/d")._engine)
    assert guarded.get(PATH, headers=_bearer(secret)).status_code == 200
    now[0] += 2
    assert guarded.get(PATH, headers=_bearer(secret)).status_code == 503


def test_the_store_contains_no_key(tmp_path: Any) -> None:
    store = Store(f"sqlite:///{tmp_path / 's'}")
    with store.begin() as connection:
        key, secret = create_key(connection, "  for the CRM ", ["write", "predict"])
        assert (key.name, key.scopes) == ("for the CRM", {"write", "predict"})
        assert find_key(connection, secret) == key
        assert secret not in str(connection.execute(select(api_keys)).all())
        revoke_key(connection, key.id)
        assert find_key(connection, secret) is None
        again = revoke_key(connection, key.id)
        assert [again] == list_keys(connection)
    store.close()


@pytest.mark.parametrize(("name", "scopes"), [("", ["predict"]), ("x" * 201, ["predict"]), ("x", []), ("x", ["root"])])
def test_a_key_needs_a_name_and_scopes(tmp_path: Any, name: str, scopes: list[str]) -> None:
    store = Store(f"sqlite:///{tmp_path / 's'}")
    with pytest.raises(BadRequest), store.begin() as connection:
        create_key(connection, name, scopes)
    store.close()


def test_every_operation_that_is_not_public_requires_a_scope() -> None:
    def names_a_caller(dependant: Dependant) -> bool:
        return dependant.call is current_caller or any(map(names_a_caller, dependant.dependencies))

    routes = [route for route in ROUTES if isinstance(route, APIRoute)]
    without = {route.path for route in routes if not names_a_caller(route.dependant)}
    # Measures of the process for any key; files of the pages, which hold nothing of an account.
    assert without - PUBLIC_PATHS == {"/metrics", "/static/{name}"}
    assert len(routes) == len(ROUTES)
