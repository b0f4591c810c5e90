"""What a connection may do before there is a request: so many at once, and a head of bounded size and time."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import uvicorn

from serving.connections import bounded
from serving.settings import ServiceSettings

SETTINGS = ServiceSettings(connections=3, head_limit_bytes=2048, head_seconds=0.5, retry_seconds=7)
GET = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"


async def _counts(scope: Any, receive: Any, send: Any) -> None:
    """Answers how long the body was."""
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message["body"]), message["more_body"]
    told = str(length).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(told))]})
    await send({"type": "http.response.body", "body": told})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = uvicorn.Server(uvicorn.Config(_counts, http=bounded(SETTINGS), ws="none", lifespan="off", log_config=None))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(30)
    listening.close()


def _open(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def _answer(wire: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """The next answer on a connection."""
    read = wire.makefile("rb")
    status = int(read.readline().split()[1])
    headers = {}
    while line := read.readline().strip():
        name, _, value = line.decode().partition(": ")
        headers[name.lower()] = value
    return status, headers, read.read(int(headers["content-length"]))


def _ended(wire: socket.socket) -> bool:
    try:
        return wire.recv(1) == b""
    except ConnectionError:
        return True


def test_beyond_so_many_connections_one_is_told_to_come_again(port: int) -> None:
    kept = [_open(port) for _ in range(SETTINGS.connections)]
    for wire in kept:
        wire.sendall(GET)
        assert _answer(wire)[0] == 200
    with closing(_open(port)) as one_more:
        status, headers, body = _answer(one_more)
        assert (status, headers["retry-after"], headers["content-type"]) == (503, "7", "application/problem+json")
        assert (json.loads(body)["code"], json.loads(body)["retry_after"]) == ("busy", 7)
        assert _ended(one_more)
    for wire in kept:
        wire.close()
    for _ in range(100):
        with closing(_open(port)) as free:
            free.sendall(GET)
            if _answer(free)[0] == 200:
                return
        time.sleep(0.02)
    raise AssertionError("nobody is let in again")


def test_a_connection_that_sends_nothing_or_a_head_by_the_byte_is_ended(port: int) -> None:
    begun = time.monotonic()
    with closing(_open(port)) as silent, closing(_open(port)) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\n")
        assert _ended(silent)
        assert _ended(slow)
    assert time.monotonic() - begun < SETTINGS.head_seconds + 5


def test_the_second_head_of_a_connection_is_not_waited_for_longer(port: int) -> None:
    with closing(_open(port)) as wire:
        wire.sendall(GET)
        assert _answer(wire)[0] == 200
        wire.sendall(GET[:20])
        assert _ended(wire)


def test_a_head_without_end_is_refused(port: int) -> None:
    with closing(_open(port)) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\nx: " + b"y" * (SETTINGS.head_limit_bytes + 1))
        status, _, body = _answer(wire)
        assert (status, json.loads(body)["code"]) == (431, "head_too_large")
        assert _ended(wire)


def test_a_body_may_be_as_large_and_as_slow_as_others_say(port: int) -> None:
    with closing(_open(port)) as wire:
        for size in (10 * SETTINGS.head_limit_bytes, 5):
            wire.sendall(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n" % size)
            time.sleep(1.5 * SETTINGS.head_seconds if size == 5 else 0)
            wire.sendall(b"z" * size)
            assert _answer(wire)[::2] == (200, b"%d" % size)
