"""Connections are bounded, and so is what comes on them before there is a request."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from serving.protocol import TOLD, bounded
from serving.settings import ServiceSettings

LIMITS = ServiceSettings(connections=3, head_limit_bytes=2048, head_seconds=0.3)
GET = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("hello")(scope, receive, send)


@contextmanager
def serving(limits: ServiceSettings) -> Iterator[Callable[[], socket.socket]]:
    """A function that connects to a server with these limits."""
    config = uvicorn.Config(hello, http=bounded(limits), ws="none", log_config=None, lifespan="off", timeout_keep_alive=60)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as opened:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()

        def connect() -> socket.socket:
            return opened.enter_context(socket.create_connection(listening.getsockname(), timeout=10))

        try:
            yield connect
        finally:
            opened.close()
            server.should_exit = True
            thread.join(10)


@pytest.fixture(scope="module")
def connect() -> Iterator[Callable[[], socket.socket]]:
    with serving(LIMITS) as there:
        yield there


def told(connection: socket.socket) -> tuple[int, Any]:
    """The status and the problem that a connection answers before it is closed; status 0 if it says nothing."""
    said = b""
    try:
        while part := connection.recv(65536):
            said += part
    except ConnectionError:
        pass
    if not said:
        return 0, None
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert b"connection: close" in head.lower()
    return int(head.split()[1]), json.loads(body)


def answered(connection: socket.socket) -> bool:
    connection.sendall(GET)
    return connection.recv(65536).endswith(b"hello")


def test_requests_come_one_after_the_other_on_a_connection(connect: Any) -> None:
    with connect() as connection:
        assert answered(connection)
        time.sleep(2 * LIMITS.head_seconds)
        assert answered(connection), "a connection at rest is no request that does not come"
        connection.sendall(GET * 2)
        said = b""
        while said.count(b"hello") < 2:
            said += connection.recv(65536)


def test_who_says_nothing_is_not_waited_for(connect: Any) -> None:
    with connect() as connection:
        assert told(connection) == (0, None)


@pytest.mark.parametrize("before", [b"", GET])
def test_a_head_that_comes_byte_by_byte_is_not_waited_for(connect: Any, before: bytes) -> None:
    with connect() as connection:
        if before:
            assert answered(connection)
        connection.sendall(b"GET / HTTP/1.1\r\nx: ")
        connection.settimeout(0.05)
        for _ in range(100):
            with suppress(TimeoutError):
                assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")
                return
            connection.sendall(b"x")
        raise AssertionError("it was waited for")


def test_a_head_that_does_not_end_is_told_to_be_too_slow(connect: Any) -> None:
    with connect() as connection:
        connection.sendall(GET[:-2])
        status, problem = told(connection)
        assert (status, problem["code"]) == (408, "head_too_slow")


def test_what_is_left_of_a_body_that_was_answered_is_not_waited_for(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.protocol.LEFT_SECONDS", 0.2)
    with connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\nx")
        assert connection.recv(65536).endswith(b"hello")
        assert connection.recv(1) == b""


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nhost: h\r\nx: " + b"x" * 3000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\n" + b"x: y\r\n" * 600 + b"\r\n",
        b"GET /" + b"x" * 3000 + b" HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\nx: " + b"x" * 3000,
    ],
    ids=["a header", "headers", "an address", "without an end"],
)
def test_a_head_that_is_too_large_is_refused(connect: Any, head: bytes) -> None:
    with connect() as connection:
        connection.sendall(head)
        status, problem = told(connection)
        assert (status, problem["code"]) == (431, "head_too_large")


def test_what_is_not_http_is_a_problem_too(connect: Any) -> None:
    with connect() as connection:
        connection.sendall(b"hello\r\n\r\n")
        status, problem = told(connection)
        assert (status, problem["code"]) == (400, "not_http")


def test_connections_beyond_the_bound_are_told_so_and_the_others_go_on() -> None:
    with serving(LIMITS.model_copy(update={"head_seconds": 30.0})) as connect:
        held = [connect() for _ in range(LIMITS.connections)]
        assert all(map(answered, held))
        with connect() as beyond:
            beyond.sendall(GET)
            status, problem = told(beyond)
            assert (status, problem["code"], problem["retry_after"]) == (503, "too_many_connections", 5)
        assert all(map(answered, held))
        more = [connect() for _ in range(TOLD)]
        with connect() as far_beyond:
            assert told(far_beyond) == (0, None)
        for each in (held.pop(), *more):
            each.close()
        for _ in range(100):
            with connect() as later:
                if answered(later):
                    return
                time.sleep(0.02)
        raise AssertionError("there is room again")
