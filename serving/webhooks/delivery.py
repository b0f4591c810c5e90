"""One delivery over the wire: signed, to a public address, without following redirects, within a time: each step, and
all of them together, since a receiver may be slow one byte at a time.

The address is looked at when the connection is made, and it is the one connected to: a name that is looked up twice
could answer differently the second time (DNS rebinding).
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from standardwebhooks import Webhook

from serving.common.ip_addresses import is_public

#: Seconds for each step of a delivery.
PATIENCE = 15.0
#: Seconds for a whole delivery, once the name is looked up.
DEADLINE = 30.0
#: More of an answer (bytes) is not read; it is of no interest.
ANSWER_LIMIT = 64 * 2**10


class RefusedAddress(Exception):
    """An address that nothing is sent to."""


@dataclass(frozen=True)
class Delivery:
    """What is to be sent.

    Parameters
    ----------
    id : of the delivery.
    endpoint_id, url, secret : of whom it is for.
    event_id, body : the header webhook-id, and the JSON text.
    attempts : made before.
    """

    id: str
    endpoint_id: str
    url: str
    secret: str = field(repr=False)
    event_id: str
    body: str
    attempts: int


def send(
    delivery: Delivery,
    at: datetime,
    anywhere: bool = False,
    patience: float = PATIENCE,
    deadline: float = DEADLINE,
) -> int:
    """POST it; the status that was answered.

    Parameters
    ----------
    at : the instant that is signed with it, UTC.
    anywhere : whether private addresses will do.
    patience, deadline : seconds for each step, and for all of them once the name is looked up.

    Raises
    ------
    Refused : the address is not public.
    OSError, http.client.HTTPException : it could not be delivered.
    """
    parts = urlsplit(delivery.url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    connection = http.client.HTTPConnection(host, port, timeout=patience)
    # It may never connect by itself, to an address that was not looked at.
    connection.auto_open = 0
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    until = time.monotonic() + deadline
    wire = connection.sock = _connect(found, patience, until, anywhere)
    cut = threading.Timer(until - time.monotonic(), _cut, [wire])
    cut.daemon = True
    cut.start()
    try:
        if secure:
            # The wire stays the plain socket's, so that it can be cut.
            connection.sock = _tls().wrap_socket(wire.dup(), server_hostname=host)
        content = delivery.body.encode()
        connection.request("POST", _target(parts.path, parts.query), content, _headers(delivery, at))
        answer = connection.getresponse()
        # What it says has been said; the rest is only read so that the receiver may end its answer.
        with suppress(OSError, http.client.HTTPException):
            answer.read(ANSWER_LIMIT)
        return answer.status
    finally:
        cut.cancel()
        connection.close()
        wire.close()


def _cut(wire: socket.socket) -> None:
    with suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)


def _headers(delivery: Delivery, at: datetime) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": "renewcast-webhooks",
        "Connection": "close",
        "webhook-id": delivery.event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(delivery.secret).sign(delivery.event_id, at, delivery.body),
    }


def _target(path: str, query: str) -> str:
    return (path or "/") + (f"?{query}" if query else "")


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _connect(found: Iterable[tuple[Any, ...]], patience: float, until: float, anywhere: bool) -> socket.socket:
    failed: OSError | None = None
    for family, kind, protocol, _, address in found:
        if not anywhere and not is_public(str(address[0])):
            raise RefusedAddress("the address is private")
        left = until - time.monotonic()
        if left <= 0:
            break
        connecting = socket.socket(family, kind, protocol)
        try:
            connecting.settimeout(min(patience, left))
            connecting.connect(address)
            connecting.settimeout(patience)
            return connecting
        except OSError as error:
            connecting.close()
            failed = error
    raise failed or OSError("the name has no address")
