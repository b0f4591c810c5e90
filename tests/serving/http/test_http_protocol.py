"""Limits of connections, and of what arrives before a request is complete."""

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

from serving.common.settings import ServiceSettings
from serving.http.http_protocol import REFUSED_CONNECTIONS, REFUSED_CONNECTIONS_PER_ADDRESS, limited_protocol

LIMITS = ServiceSettings(connections=3, head_limit_bytes=2048, head_seconds=0.3)
GET = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("hello")(scope, receive, send)


@contextmanager
def serving(limits: ServiceSettings) -> Iterator[Callable[..., socket.socket]]:
    """Return a function that connects to a server with these limits."""
    config = uvicorn.Config(hello, http=limited_protocol(limits), ws="none", log_config=None, lifespan="off", timeout_keep_alive=60)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as opened:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()

        def connect(source: str = "127.0.0.1") -> socket.socket:
            there = socket.create_connection(listening.getsockname(), timeout=10, source_address=(source, 0))
            return opened.enter_context(there)

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


def read_problem(connection: socket.socket) -> tuple[int, Any]:
    """Return the status and the problem that a connection gets before it is closed; status 0 without a response."""
    response = b""
    try:
        while part := connection.recv(65536):
            response += part
    except ConnectionError:
        pass
    if not response:
        return 0, None
    head, _, body = response.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert b"connection: close" in head.lower()
    return int(head.split()[1]), json.loads(body)


def answered_or_none(connection: socket.socket) -> bool:
    try:
        return answered(connection)
    except ConnectionError:
        return False


def answered(connection: socket.socket) -> bool:
    connection.sendall(GET)
    return connection.recv(65536).endswith(b"hello")


def test_a_connection_serves_several_requests_in_order(connect: Any) -> None:
    with connect() as connection:
        assert answered(connection)
        time.sleep(2 * LIMITS.head_seconds)
        assert answered(connection), "a connection at rest is no request that does not come"
        connection.sendall(GET * 2)
        response = b""
        while response.count(b"hello") < 2:
            response += connection.recv(65536)


def test_a_silent_connection_is_closed(connect: Any) -> None:
    with connect() as connection:
        assert read_problem(connection) == (0, None)


@pytest.mark.parametrize("before", [b"", GET])
def test_slow_headers_end_the_connection(connect: Any, before: bytes) -> None:
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


def test_incomplete_headers_get_408(connect: Any) -> None:
    with connect() as connection:
        connection.sendall(GET[:-2])
        status, problem = read_problem(connection)
        assert (status, problem["code"]) == (408, "head_too_slow")


def test_the_rest_of_an_unread_body_has_a_time_limit(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.http.http_protocol.UNREAD_BODY_SECONDS", 0.2)
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
        status, problem = read_problem(connection)
        assert (status, problem["code"]) == (431, "head_too_large")


BODY = b"17\r\n" + b"x" * 23 + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        *((b"GET / HTTP/1.1\r\n" + hosts + b"\r\n", "bad_host") for hosts in (
            b"", b"host: h\r\nhost: h\r\n", b"host: h\r\nHost: i\r\n", b"host:\r\n", b"host: a b\r\n", b"host: a/b\r\n",
            b"host: a@b\r\n", b"host: h:99999\r\n", b"host: h:x\r\n", b"host: [::1\r\n", b"host: [::x]\r\n", b"host: \xff\r\n",
            b"host: h,i\r\nhost: h\r\n", b"host: h?x\r\n", b"host: h#x\r\n", b"host: h\\i\r\n",
        )),
        (b"GET / HTTP/1.0\r\nhost: h\r\nhost: i\r\n\r\n", "bad_host"),
        (b"GET http://other/ HTTP/1.1\r\nhost: h\r\n\r\n", "bad_host"),
        (b"GET /\r\n\r\n", "bad_host"),
        *((b"POST / HTTP/1.1\r\nhost: h\r\n" + framing + b"\r\n" + BODY, "not_http") for framing in (
            b"content-length: 5\r\ncontent-length: 5\r\n", b"content-length: 5\r\ncontent-length: 6\r\n",
            b"content-length: 5, 5\r\n", b"content-length: +5\r\n", b"content-length: -5\r\n", b"content-length : 5\r\n",
            b"content-length: 5\r\ntransfer-encoding: chunked\r\n", b"transfer-encoding: chunked\r\ncontent-length: 5\r\n",
            b"transfer-encoding: xchunked\r\n", b"transfer-encoding: identity\r\n", b"transfer-encoding:\x0bchunked\r\n",
            b"x: a\rb\r\n", b"x: a\0b\r\n", b"x:\r\n folded\r\n",
        )),
        *((b"POST / HTTP/1.1\r\nhost: h\r\n" + framing + b"\r\n" + BODY, "bad_framing") for framing in (
            b"transfer-encoding: gzip, chunked\r\n", b"connection: upgrade\r\nupgrade: x\r\ncontent-length: 5\r\n",
        )),
        (b"POST / HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n" + BODY, "bad_framing"),
    ],
)  # fmt: skip
def test_ambiguous_requests_are_refused(connect: Any, request_: bytes, code: str) -> None:
    """RFC 9112, 3.2 and 11.2: one Host and one length; otherwise two programs can read different requests in the same bytes."""
    with connect() as connection:
        connection.sendall(request_)
        status, problem = read_problem(connection)
        assert (status, problem["code"]) == (400, code)


@pytest.mark.parametrize("host", [b"h", b"h:80", b"h:", b"a.b-c_d.example:8000", b"127.0.0.1", b"[::1]", b"[::1]:80"])
def test_valid_and_invalid_hosts(connect: Any, host: bytes) -> None:
    with connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: " + host + b"\r\n\r\n")
        assert connection.recv(65536).endswith(b"hello")
        connection.sendall(b"GET http://h:80/ HTTP/1.1\r\nhost: h:80\r\n\r\n")
        assert connection.recv(65536).endswith(b"hello")


def test_no_request_follows_an_upgrade(connect: Any) -> None:
    with connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n" + GET)
        response = b""
        while part := connection.recv(65536):
            response += part
        assert response.count(b"HTTP/1.1 200") == 1


def test_one_address_does_not_take_all_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = LIMITS.model_copy(update={"connections": 50, "connections_per_address": 3, "head_seconds": 30.0})
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.9")
    with serving(limits) as connect:
        connections = [connect("127.0.0.2") for _ in range(3)]
        assert all(map(answered, connections))
        with connect("127.0.0.2") as beyond:
            beyond.sendall(GET)
            status, problem = read_problem(beyond)
            assert (status, problem["code"], problem["retry_after"]) == (429, "too_many_connections_from_address", 5)
        more = [connect("127.0.0.2") for _ in range(REFUSED_CONNECTIONS_PER_ADDRESS)]
        with connect("127.0.0.2") as far_beyond:
            assert read_problem(far_beyond) == (0, None)
        for address in ("127.0.0.3", *["127.0.0.9"] * 10):
            assert answered(connect(address)), "another address has its own; a proxy speaks for many"
        assert all(map(answered, connections))
        for each in (connections.pop(), *more):
            each.close()
        for _ in range(100):
            if answered_or_none(connect("127.0.0.2")):
                return
            time.sleep(0.02)
        raise AssertionError("a connection is free again")


def test_a_request_that_is_not_http_gets_a_problem(connect: Any) -> None:
    with connect() as connection:
        connection.sendall(b"hello\r\n\r\n")
        status, problem = read_problem(connection)
        assert (status, problem["code"]) == (400, "not_http")


def test_connections_beyond_the_limit_are_refused_and_others_continue() -> None:
    with serving(LIMITS.model_copy(update={"head_seconds": 30.0})) as connect:
        connections = [connect() for _ in range(LIMITS.connections)]
        assert all(map(answered, connections))
        with connect() as beyond:
            beyond.sendall(GET)
            status, problem = read_problem(beyond)
            assert (status, problem["code"], problem["retry_after"]) == (503, "too_many_connections", 5)
        assert all(map(answered, connections))
        more = [connect() for _ in range(REFUSED_CONNECTIONS)]
        with connect() as far_beyond:
            assert read_problem(far_beyond) == (0, None)
        for each in (connections.pop(), *more):
            each.close()
        for _ in range(100):
            with connect() as later:
                if answered(later):
                    return
                time.sleep(0.02)
        raise AssertionError("a connection is free again")
