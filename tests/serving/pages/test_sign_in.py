"""Sign-in and sign-out of browsers, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import select, update

from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.http.api_keys import create_key, revoke_key
from serving.http.rate_limit import RateLimiter, SignInLimiter
from serving.store.database import Store
from serving.store.tables import sessions

ELSEWHERE = ("192.0.2.7", 5000)
#: As browsers ask for a page.
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PAGE = "/v1/portfolio"


@pytest.fixture(scope="module")
def opened(scored_home: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    store = f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.sqlite'}"
    settings = ServiceSettings(retry_seconds=0.05, store=SecretStr(store))
    with TestClient(create_app(scored_home.home, settings), client=ELSEWHERE, headers=BROWSER, follow_redirects=False) as client:
        yield client


@pytest.fixture
def guarded(opened: TestClient) -> TestClient:
    """As a browser that was never here."""
    opened.cookies.clear()
    opened.base_url = "http://localhost"
    return opened


def _store(client: TestClient) -> Store:
    return client.app.state.store  # type: ignore[attr-defined,no-any-return]


def _key(client: TestClient, *scopes: str) -> tuple[str, str]:
    with _store(client).begin() as connection:
        key, secret = create_key(connection, "the CS team", scopes or ("predict",))
    return key.id, secret


def _sign_in(client: TestClient, secret: str, **more: str) -> Any:
    return client.post("/sign-in", data={"key": secret, **more})


def test_an_anonymous_browser_is_redirected_to_sign_in_and_back(guarded: TestClient) -> None:
    url = "/v1/accounts/a%2Fb%20c/prediction?as_of=2026-07-01&view=flat"
    led = guarded.get(url)
    assert led.status_code == 303
    form = guarded.get(led.headers["location"])
    assert form.status_code == 200
    assert 'value="/v1/accounts/a%2Fb%20c/prediction?as_of=2026-07-01&amp;view=flat"' in form.text
    _, secret = _key(guarded)
    assert _sign_in(guarded, secret, next=url).headers["location"] == url
    assert guarded.get(PAGE).status_code == 200


def test_a_program_without_a_key_gets_json(guarded: TestClient) -> None:
    payload = guarded.get(PAGE, headers={"Accept": "*/*"})
    assert (payload.status_code, payload.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("wanted", ["https://elsewhere.test/", "//elsewhere.test", "/\\elsewhere.test", "javascript:1", "/\n/x", ""])
def test_sign_in_never_redirects_to_another_site(guarded: TestClient, wanted: str) -> None:
    _, secret = _key(guarded)
    assert _sign_in(guarded, secret, next=wanted).headers["location"] == "/"


@pytest.mark.parametrize("wrong", ["", "rc_no", "x" * 5000])
def test_an_invalid_key_opens_no_session_and_is_not_echoed(guarded: TestClient, wrong: str) -> None:
    payload = _sign_in(guarded, wrong)
    assert payload.status_code == 401
    assert "set-cookie" not in payload.headers
    assert not wrong or wrong not in payload.text
    assert guarded.get(PAGE).status_code == 303


def test_the_cookie_is_http_only_same_site_and_secure(guarded: TestClient) -> None:
    _, secret = _key(guarded)
    plain = _sign_in(guarded, secret).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"} <= set(plain.split("; "))
    assert secret not in plain
    guarded.base_url = "https://testserver"
    safe = _sign_in(guarded, secret).headers["set-cookie"]
    assert safe.startswith("__Host-")
    assert "Secure" in safe.split("; ")


def test_the_store_contains_no_token(guarded: TestClient) -> None:
    _, secret = _key(guarded)
    _sign_in(guarded, secret)
    token = guarded.cookies["renewcast_session"]
    with _store(guarded).read() as connection:
        assert token not in str(connection.execute(select(sessions)).all())


def test_revoking_a_key_ends_its_sessions(guarded: TestClient) -> None:
    name, secret = _key(guarded)
    _sign_in(guarded, secret)
    assert guarded.get(PAGE).status_code == 200
    with _store(guarded).begin() as connection:
        revoke_key(connection, name)
    assert guarded.get(PAGE).status_code == 303


def test_an_expired_session_is_deleted(guarded: TestClient) -> None:
    _, secret = _key(guarded)
    _sign_in(guarded, secret)
    with _store(guarded).begin() as connection:
        connection.execute(update(sessions).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert guarded.get(PAGE).status_code == 303
    _sign_in(guarded, secret)
    with _store(guarded).read() as connection:
        ends = connection.execute(select(sessions.c.expires_at)).scalars().all()
    assert len(ends) == 1
    assert timedelta(hours=11) < ends[0] - datetime.now(UTC) <= timedelta(hours=12)


def test_an_old_cookie_is_invalid_after_sign_out(guarded: TestClient) -> None:
    _, secret = _key(guarded)
    _sign_in(guarded, secret)
    token = guarded.cookies["renewcast_session"]
    assert guarded.post("/sign-out").headers["location"] == "/sign-in"
    assert "renewcast_session" not in guarded.cookies
    assert guarded.get(PAGE, headers={"Cookie": f"renewcast_session={token}"}).status_code == 303


def test_a_session_has_the_scopes_of_its_key(guarded: TestClient) -> None:
    _, secret = _key(guarded, "write")
    _sign_in(guarded, secret)
    payload = guarded.get(PAGE)
    assert payload.status_code == 403
    assert "lacks the scope predict" in payload.text


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "http://localhost"}, True),
        ({"Origin": "http://["}, False),
        ({"Origin": "http://elsewhere.test"}, False),
        ({"Origin": "null"}, False),
        ({}, True),
    ],
)  # fmt: skip
def test_forms_of_other_sites_are_refused(guarded: TestClient, headers: dict[str, str], accepted: bool) -> None:
    _, secret = _key(guarded, "predict", "write")
    assert (guarded.post("/sign-in", data={"key": secret}, headers=headers).status_code == 303) is accepted
    _sign_in(guarded, secret)
    body = {"account_id": "a05", "occurred_at": "2026-06-30", "play": "executive_change"}
    assert (guarded.post("/v1/interventions", json=body, headers=headers).status_code == 201) is accepted
    assert (guarded.post("/sign-out", headers=headers).status_code == 303) is accepted


def test_a_link_from_another_site_is_followed_from_a_local_page(guarded: TestClient) -> None:
    """Such a request comes without the cookie; the second one carries it."""
    onward = guarded.get("/v1/portfolio?as_of=2026-07-01", headers={"Sec-Fetch-Site": "cross-site"})
    assert onward.status_code == 200
    assert '<meta http-equiv="refresh" content="0">' in onward.text
    assert 'href="/v1/portfolio?as_of=2026-07-01"' in onward.text
    assert guarded.get("/v1/portfolio", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:8000", 200), ("localhost", 200), ("[::1]:8000", 200), ("renewcast.localhost", 200), ("rebound.test:8000", 401), ("192.0.2.7", 401)],
)  # fmt: skip
def test_local_access_requires_a_local_host_name(client: TestClient, host: str, status: int) -> None:
    """A site whose name leads to 127.0.0.1 is still another site."""
    assert client.get(PAGE, headers={"Host": host}).status_code == status


def test_forms_of_other_sites_are_refused_with_local_access(client: TestClient) -> None:
    body = {"account_id": "a05", "occurred_at": "2026-06-30", "play": "executive_change"}
    assert client.post("/v1/interventions", json=body, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [
        (FORM, b"key=" + b"x" * 40_000, 413),
        (FORM, b"&".join(b"a%d=b" % i for i in range(21)), 422),
        (FORM, b"&" * 5000, 422),
        (FORM, b"key=%ff%fe", 422),
        (FORM, b"key=\xc3\x28", 422),
        (FORM, b"\x00\x01%zz", 401),
        (FORM, b"", 401),
        (FORM, b"key=" + b"%F0%9F%98%80" * 60, 401),
        (FORM + "; charset=utf-16", b"k\0e\0y\0", 422),
        (FORM + "; charset", b"key=x", 401),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=key\r\n\r\nx", 422),
        ("multipart/form-data", b"--", 422),
        ("application/json", b'{"key": "x"}', 422),
        ("", b"key=x", 422),
    ],
)
def test_invalid_form_bodies_are_refused(guarded: TestClient, kind: str, content: bytes, status: int) -> None:
    guarded.app.state.attempts = SignInLimiter(100)  # type: ignore[attr-defined]
    answer = guarded.post("/sign-in", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert "session" not in answer.headers.get("set-cookie", "")


def test_failed_sign_ins_are_limited_per_address(guarded: TestClient) -> None:
    app, (_, secret) = guarded.app, _key(guarded)
    app.state.attempts = SignInLimiter(3)  # type: ignore[attr-defined]
    other = TestClient(app, client=("192.0.2.99", 1), headers=BROWSER, follow_redirects=False)
    for _ in range(5):
        assert _sign_in(guarded, secret).status_code == 303, "those that succeed are not counted"
    answers = [_sign_in(guarded, "rc_wrong" + "x" * i) for i in range(4)]
    assert [each.status_code for each in answers] == [401, 401, 401, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 20
    assert _sign_in(guarded, secret).status_code == 429, "the answer does not mention the key"
    assert _sign_in(other, secret).status_code == 303
    # Many addresses together: those who signed in before are let in all the same.
    app.state.attempts._failed = RateLimiter(1)  # type: ignore[attr-defined]
    stranger = TestClient(app, client=("192.0.2.50", 1), headers=BROWSER, follow_redirects=False)
    assert [_sign_in(stranger, "rc_wrong").status_code for _ in range(2)] == [401, 429]
    assert _sign_in(other, secret).status_code == 303
    app.state.attempts = SignInLimiter(100)  # type: ignore[attr-defined]


def test_other_cookies_are_not_sessions(guarded: TestClient) -> None:
    assert guarded.get("/sign-in", headers={"Cookie": 'renewcast_session="'}).status_code == 200
    assert guarded.get(PAGE, headers={"Cookie": "renewcast_session=" + "x" * 3000}).status_code == 303
