"""HTTP/1.1 with limits that apply before the application sees a request: the number of connections, and the size and
duration of the request line and headers.

A client that opens connections and sends nothing, or very slowly, occupies a limited number of them for a limited time.
`serving.http.request_limits` limits the time of a body while the application reads it. This module limits the wait for
the rest of a body that was not read before the response.
"""

from __future__ import annotations

import asyncio
from asyncio import TimerHandle
from collections.abc import Container
from functools import lru_cache
from http import HTTPStatus
from typing import Any, cast

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.common.ip_addresses import client_network, is_host
from serving.common.settings import ServiceSettings
from serving.http.problem_details import ProblemType, problem_response

#: This many connections above the limit still get an error response; further ones are closed immediately.
REFUSED_CONNECTIONS = 100
#: The same for the connections of one address.
REFUSED_CONNECTIONS_PER_ADDRESS = 5
#: Seconds to wait for the rest of a request body after the response.
UNREAD_BODY_SECONDS = 5.0
CLOSE = {"Connection": "close"}

NOT_HTTP = ProblemType(400, "not_http", "The request is not HTTP/1.1")
TOO_SLOW = ProblemType(408, "head_too_slow", "The request line and headers did not arrive in time")
TOO_LARGE = ProblemType(431, "head_too_large", "The request line and headers are too large")
BAD_HOST = ProblemType(400, "bad_host", "A request must name one host, in one Host header")
BAD_FRAMING = ProblemType(
    400, "bad_framing", "A body needs a Content-Length, or the transfer encoding chunked of HTTP/1.1"
)
TOO_MANY_FROM_ADDRESS = ProblemType(
    429, "too_many_connections_from_address", "This address has too many open connections"
)
TOO_MANY = ProblemType(503, "too_many_connections", "The service has too many open connections")


class LimitedProtocol(HttpToolsProtocol):
    """The protocol of one connection; see the module. `limited_protocol` sets ``limits``."""

    limits: ServiceSettings

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._deadline: TimerHandle | None = None
        self._in_head = True
        self._excess: ProblemType | None = None
        self._network = ""
        # Counted as received and as parsed, since one packet may contain several requests.
        self._head_bytes = self._parsed_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Handle a new connection."""
        super().connection_made(transport)
        others, same_address = len(self.connections) - 1, self._others_of_address()
        if same_address >= self.limits.connections_per_address:
            self._excess = TOO_MANY_FROM_ADDRESS
        elif others >= self.limits.connections:
            self._excess = TOO_MANY
        if (
            others >= self.limits.connections + REFUSED_CONNECTIONS
            or same_address >= self.limits.connections_per_address + REFUSED_CONNECTIONS_PER_ADDRESS
        ):
            transport.abort()
        else:
            self._wait(self.limits.head_seconds)

    def _others_of_address(self) -> int:
        """Return how many other connections this address has open; 0 for a proxy, which connects for many clients."""
        peer = self.client[0] if self.client else None
        if peer in _proxies(str(self.config.forwarded_allow_ips)):
            return 0
        self._network = client_network(peer)
        others = (each for each in self.connections if isinstance(each, LimitedProtocol) and each is not self)
        return sum(each._network == self._network for each in others)

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the end of the connection."""
        self._wait(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle received bytes: a part of a request, or several requests."""
        if self._in_head and self._deadline is None:
            self._wait(self.limits.head_seconds)
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self.limits.head_limit_bytes and not self.transport.is_closing():
            self._refuse(TOO_LARGE)

    def on_message_begin(self) -> None:
        """Handle the first byte of a request."""
        super().on_message_begin()
        self._parsed_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Handle a part of the URL."""
        super().on_url(url)
        self._parsed_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Handle one header."""
        super().on_header(name, value)
        self._parsed_bytes += len(name) + len(value) + 4

    def on_headers_complete(self) -> None:
        """Start the request, or refuse it, when the headers are complete."""
        self._wait(None)
        self._in_head, self._head_bytes = False, 0
        app = self.app
        refusal = self._excess or (
            TOO_LARGE if self._parsed_bytes > self.limits.head_limit_bytes else self._ambiguity()
        )
        if refusal is not None:
            self.app = cast(Any, _refusing(refusal, self.limits))
        try:
            super().on_headers_complete()
        finally:
            self.app = app
        if self.parser.should_upgrade():
            # The parser treats what follows as another protocol, and no other protocol is supported.
            self.cycle.keep_alive = False

    def _ambiguity(self) -> ProblemType | None:
        """Return what a proxy could read differently than this service (request smuggling, RFC 9112, 11.2), besides
        what the parser itself refuses."""
        version = self.parser.get_http_version()
        hosts = [value for name, value in self.headers if name == b"host"]
        # HTTP/1.0 has no Host header.
        if len(hosts) > 1 or (version != "1.0" and not hosts) or not all(map(is_host, hosts)):
            return BAD_HOST
        if not self.url.startswith(b"/") and self.url != b"*" and _authority(self.url) != (hosts or [b""])[0].lower():
            return BAD_HOST
        codings = [value.strip().lower() for name, value in self.headers if name == b"transfer-encoding"]
        has_body = codings or any(name == b"content-length" for name, _ in self.headers)
        if codings and (codings != [b"chunked"] or version == "1.0"):
            return BAD_FRAMING
        return BAD_FRAMING if version not in ("1.0", "1.1") or (has_body and self.parser.should_upgrade()) else None

    def on_message_complete(self) -> None:
        """Handle the end of a request body."""
        self._wait(None)
        self._in_head = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Handle the end of a response."""
        super().on_response_complete()
        if not self._in_head:
            self._wait(UNREAD_BODY_SECONDS)

    def send_400_response(self, msg: str) -> None:
        """Respond to bytes that are not HTTP."""
        self._refuse(NOT_HTTP)

    def _wait(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._on_timeout)

    def _on_timeout(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            # The next request is not read until the responses to earlier ones are sent.
            self._wait(self.limits.head_seconds)
        elif self._in_head and self._head_bytes:
            self._refuse(TOO_SLOW)
        else:
            self.transport.close()

    def _refuse(self, kind: ProblemType) -> None:
        response = _problem(Headers(), kind, self.limits)
        lines = [f"HTTP/1.1 {kind.status} {HTTPStatus(kind.status).phrase}".encode()]
        lines += [name + b": " + value for name, value in response.raw_headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
        self.transport.close()


def limited_protocol(settings: ServiceSettings) -> type[asyncio.Protocol]:
    """Return the protocol class with the limits of a deployment."""
    return type("Bounded", (LimitedProtocol,), {"limits": settings})


def _authority(url: bytes) -> bytes:
    return url.partition(b"://")[2].partition(b"/")[0].partition(b"?")[0].lower()


@lru_cache(maxsize=8)
def _proxies(addresses: str) -> Container[str | None]:
    """Return the proxies whose Forwarded headers are trusted, as uvicorn reads FORWARDED_ALLOW_IPS."""
    trusted: Any = ProxyHeadersMiddleware(cast(Any, None), addresses).trusted_hosts
    return cast("Container[str | None]", trusted)


def _refusing(kind: ProblemType, limits: ServiceSettings) -> ASGIApp:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await _problem(Headers(scope=scope), kind, limits)(scope, receive, send)

    return refuse


def _problem(headers: Headers, kind: ProblemType, limits: ServiceSettings) -> Response:
    later = limits.retry_after if kind.status in (429, 503) else None
    return problem_response(headers, kind, kind.title, headers_out=CLOSE, retry_after=later)
