"""One delivery over the wire: signed, to a public address, without following redirects, within a time: each step, and
all of them together, since a receiver may be slow one byte at a time.

The address is looked at when the connection is made, and it is the one connected to: a name that is looked up twice
could answer differently the second time (DNS rebinding).
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from standardwebhooks import Webhook

#: Seconds for each step of a delivery.
PATIENCE = 15.0
#: Seconds for a whole delivery, once the name is looked up.
DEADLINE = 30.0
#: More of an answer (bytes) is not read; it is of no interest.
ANSWER_LIMIT = 64 * 2**10
#: What networks translate IPv4 to (RFC 6052).
NAT64 = ipaddress.ip_network("64:ff9b::/96")
#: What `ipaddress` counts as global all the same: the private addresses of old (site-local, RFC 3879), examples (RFC
#: 9637), and relays of 6to4 (RFC 7526).
NOT_PUBLIC = tuple(map(ipaddress.ip_network, ("fec0::/10", "3fff::/20", "192.88.99.0/24")))


class Refused(Exception):
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
    secret: str
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
            raise Refused("the address is private")
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


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet: not this machine, a private network, a cloud's metadata service
    (link-local), multicast, nor an IPv6 form of any of these."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        # NAT64 hides an IPv4 address in the last 32 bits.
        if inner is None and ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    if any(ip in network for network in NOT_PUBLIC if network.version == ip.version):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved
