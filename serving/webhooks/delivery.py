"""HTTP request of one webhook delivery: signed, to public addresses only, without redirects, and with time limits.

There is a limit for each step and one for all of them, since a receiver may be slow one byte at a time.

The address that is checked is the one that is connected to. A second look-up of the name could return another address
(DNS rebinding).
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

#: Time limit (seconds) for each step of a delivery.
STEP_TIMEOUT = 15.0
#: Time limit (seconds) for a whole delivery, after the look-up of the name.
TOTAL_TIMEOUT = 30.0
#: How much of a response (bytes) is read. Its content is not used.
RESPONSE_LIMIT = 64 * 2**10


class RefusedAddress(Exception):
    """The address of a webhook must not be used."""


@dataclass(frozen=True)
class Delivery:
    """A delivery of one event to one endpoint.

    Parameters
    ----------
    id : its identifier.
    endpoint_id, url, secret : of the endpoint.
    event_id : the header webhook-id.
    body : the JSON text.
    attempts : number of previous attempts.
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
    step_timeout: float = STEP_TIMEOUT,
    total_timeout: float = TOTAL_TIMEOUT,
) -> int:
    """Send a delivery by POST.

    Parameters
    ----------
    at : the timestamp that is signed, UTC.
    anywhere : whether private addresses are allowed.
    step_timeout, total_timeout : seconds for each step, and for all of them after the look-up of the name.

    Returns
    -------
    int
        The status of the response.

    Raises
    ------
    RefusedAddress : the address is not public.
    OSError, http.client.HTTPException : the delivery failed.
    """
    parts = urlsplit(delivery.url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    connection = http.client.HTTPConnection(host, port, timeout=step_timeout)
    # It must not connect automatically, to an address that was not checked.
    connection.auto_open = 0
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    until = time.monotonic() + total_timeout
    plain = connection.sock = _connect(addresses, step_timeout, until, anywhere)
    timer = threading.Timer(until - time.monotonic(), _shut_down, [plain])
    timer.daemon = True
    timer.start()
    try:
        if secure:
            # TLS uses a duplicate, so that the timer can still shut down the plain socket.
            connection.sock = _tls().wrap_socket(plain.dup(), server_hostname=host)
        content = delivery.body.encode()
        connection.request("POST", _target(parts.path, parts.query), content, _headers(delivery, at))
        response = connection.getresponse()
        # The status is all that counts. The rest is read so that the receiver can finish its response.
        with suppress(OSError, http.client.HTTPException):
            response.read(RESPONSE_LIMIT)
        return response.status
    finally:
        timer.cancel()
        connection.close()
        plain.close()


def _shut_down(plain: socket.socket) -> None:
    with suppress(OSError):
        plain.shutdown(socket.SHUT_RDWR)


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


def _connect(addresses: Iterable[tuple[Any, ...]], timeout: float, until: float, anywhere: bool) -> socket.socket:
    last_error: OSError | None = None
    for family, kind, protocol, _, address in addresses:
        if not anywhere and not is_public(str(address[0])):
            raise RefusedAddress("the address is private")
        remaining = until - time.monotonic()
        if remaining <= 0:
            break
        connecting = socket.socket(family, kind, protocol)
        try:
            connecting.settimeout(min(timeout, remaining))
            connecting.connect(address)
            connecting.settimeout(timeout)
            return connecting
        except OSError as error:
            connecting.close()
            last_error = error
    raise last_error or OSError("the name has no address")
