"""Limits of body and time, unexpected errors without a traceback, and a log without account ids."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from models.home import Home
from serving.app.app import create_app
from serving.common.json_logs import JsonFormatter
from serving.common.settings import ServiceSettings

MARKER = "Zq7-secret"
LIMITS = ServiceSettings(open_locally=True, body_limit_bytes=2048, request_seconds=1.0, retry_seconds=0.05)


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the lines of the log."""
    return [json.loads(JsonFormatter().format(record)) for record in caplog.records if record.name == "serving"]


@pytest.fixture
def small(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> Iterator[TestClient]:
    """An application without a home's content, with two handlers that misbehave."""
    app: FastAPI = create_app(Home(tmp_path), LIMITS)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError(f"could not convert '{MARKER}'")

    @app.get("/slow")
    async def slow() -> None:
        await asyncio.sleep(30)

    caplog.set_level(logging.INFO)
    with TestClient(app, client=("127.0.0.1", 1)) as client:
        yield client


def test_a_body_with_too_large_a_content_length_is_not_read(small: TestClient) -> None:
    answer = small.post("/v1/predictions", content=b"[" + b" " * 3000, headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"
    assert answer.headers["content-type"] == "application/problem+json"


def post(app: FastAPI, receive: Any, path: str = "/v1/predictions", **more: str) -> list[Any]:
    """Return the messages of the response to a body that arrives in pieces; ``more`` are headers."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    result = {"content-type": "application/json", "transfer-encoding": "chunked", "host": "127.0.0.1", **more}
    headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in result.items()]
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": path, "raw_path": b"", "scheme": "http",
        "root_path": "", "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    return sent


@pytest.mark.parametrize("more", [{}, {"idempotency_key": "k1"}], ids=["plain", "with a key to repeat it"])
def test_a_body_without_a_content_length_is_counted_while_it_is_read(tmp_path: Any, more: dict[str, str]) -> None:
    events = 0

    async def pieces() -> Any:
        nonlocal events
        events += 1
        return {"type": "http.request", "body": b" " * 500, "more_body": True}

    start, body = post(create_app(Home(tmp_path), LIMITS), pieces, **more)
    assert start["status"] == 413
    assert json.loads(body["body"])["code"] == "body_too_large"
    assert events == 5, "nothing is read beyond the limit"


def test_an_unexpected_error_is_a_problem_without_a_traceback(
    small: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = small.get("/broken")
    assert answer.status_code == 500
    assert answer.json()["code"] == "unexpected"
    (line,) = (line for line in logged(caplog) if line.get("status") == 500)
    assert line["instance"] == answer.json()["instance"]
    assert line["error"] == "RuntimeError"
    assert "broken" in line["at"]
    for text in (answer.text, json.dumps(logged(caplog)), caplog.text):
        assert MARKER not in text
        assert "Traceback" not in text


def test_a_request_that_takes_too_long_gets_503(small: TestClient) -> None:
    answer = small.get("/slow")
    assert answer.status_code == 503
    assert answer.json()["code"] == "too_slow"
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["retry_after"] == 1


def test_a_body_that_does_not_arrive_gets_408(tmp_path: Any) -> None:
    async def never() -> Any:
        await asyncio.sleep(30)

    start, body = post(create_app(Home(tmp_path), LIMITS), never)
    assert start["status"] == 408
    assert json.loads(body["body"])["code"] == "body_too_slow"


def test_a_disconnected_caller_is_not_an_error(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def gone() -> Any:
        return {"type": "http.disconnect"}

    caplog.set_level(logging.INFO)
    app = create_app(Home(tmp_path), LIMITS)

    @app.post("/v1/predictions/read")
    async def read(request: Request) -> bytes:
        return await request.body()

    post(app, gone, "/v1/predictions/read")
    (line,) = (line for line in logged(caplog) if line["event"] == "request")
    assert (line["level"], line["status"]) == ("info", None)


def test_the_log_contains_the_path_template_and_not_the_path(
    small: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    small.get(f"/v1/accounts/{MARKER}/prediction", params={"as_of": MARKER})
    small.get(f"/{MARKER}")
    small.post("/livez")
    lines = [line for line in logged(caplog) if line["event"] == "request"]
    assert [(line["method"], line["route"], line["status"]) for line in lines] == [
        ("GET", "/v1/accounts/{account_id}/prediction", 422),
        ("GET", "unmatched", 404),
        ("POST", "/livez", 405),
    ]
    assert all(line["milliseconds"] >= 0 and line["bytes_out"] > 0 for line in lines)
    assert MARKER not in json.dumps(lines)


def test_the_message_of_a_logged_exception_is_left_out() -> None:
    try:
        raise ValueError(MARKER)
    except ValueError as error:
        record = logging.LogRecord("uvicorn.error", 40, "", 0, "failed", (), (type(error), error, error.__traceback__))
    line = JsonFormatter().format(record)
    assert MARKER not in line
    assert json.loads(line)["error"] == "ValueError"
