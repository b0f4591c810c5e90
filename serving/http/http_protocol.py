"""HTTP/1.1 over one connection, bounded before there is a request that the application could look at: how many
connections there are, how large a request's head is, and how long it takes to come.

A caller who opens connections and says nothing, or a byte now and then, holds one of a bounded number, for a bounded
time. How long a body may take is `serving.http.request_limits`'s to say, where it is read; what is left of a body that
was answered
unread is waited for here.
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

#: So many connections above the bound are still told so; those beyond are closed without a word.
REFUSED_CONNECTIONS = 100
#: The same for one address.
REFUSED_CONNECTIONS_PER_ADDRESS = 5
#: Seconds for what is left of a body after its answer.
UNREAD_BODY_SECONDS = 5.0
CLOSE = {"Connection": "close"}

NOT_HTTP = ProblemType(400, "not_http", "What was sent is not HTTP/1.1")
TOO_SLOW = ProblemType(408, "head_too_slow", "The request's line and headers did not arrive in time")
TOO_LARGE = ProblemType(431, "head_too_large", "The request's line and headers are larger than the service takes")
BAD_HOST = ProblemType(400, "bad_host", "A request names one host, in one Host header")
BAD_FRAMING = ProblemType(
    400, "bad_framing", "A body has a Content-Length, or the transfer encoding chunked of HTTP/1.1"
)
TOO_MANY_FROM_ADDRESS = ProblemType(
    429, "too_many_connections_from_address", "This address has more connections open than it may"
)
TOO_MANY = ProblemType(503, "too_many_connections", "More connections are open than the service takes")


class LimitedProtocol(HttpToolsProtocol):
    """One connection; see the module. ``limits`` is set by `limited_protocol`."""

    limits: ServiceSettings

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._deadline: TimerHandle | None = None
        self._in_head = True
        self._excess: ProblemType | None = None
        self._customer = ""
        # As they came, and as they were parsed: what comes at once may be of several requests.
        self._head_bytes = self._parsed_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A caller has connected."""
        super().connection_made(transport)
        others, here = len(self.connections) - 1, self._from_here()
        if here >= self.limits.connections_per_address:
            self._excess = TOO_MANY_FROM_ADDRESS
        elif others >= self.limits.connections:
            self._excess = TOO_MANY
        if (
            others >= self.limits.connections + REFUSED_CONNECTIONS
            or here >= self.limits.connections_per_address + REFUSED_CONNECTIONS_PER_ADDRESS
        ):
            transport.abort()
        else:
            self._wait(self.limits.head_seconds)

    def _from_here(self) -> int:
        """How many other connections this one's address has open; 0 for a proxy, which speaks for many."""
        peer = self.client[0] if self.client else None
        if peer in _proxies(str(self.config.forwarded_allow_ips)):
            return 0
        self._customer = client_network(peer)
        others = (each for each in self.connections if isinstance(each, LimitedProtocol) and each is not self)
        return sum(each._customer == self._customer for each in others)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._wait(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A part of a request has come, or several requests."""
        if self._in_head and self._deadline is None:
            self._wait(self.limits.head_seconds)
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self.limits.head_limit_bytes and not self.transport.is_closing():
            self._refuse(TOO_LARGE)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._parsed_bytes = 0

    def on_url(self, url: bytes) -> None:
        """A part of the address."""
        super().on_url(url)
        self._parsed_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        super().on_header(name, value)
        self._parsed_bytes += len(name) + len(value) + 4

    def on_headers_complete(self) -> None:
        """The request can be worked on."""
        self._wait(None)
        self._in_head, self._head_bytes = False, 0
        usual = self.app
        refused = self._excess or (TOO_LARGE if self._parsed_bytes > self.limits.head_limit_bytes else self._fault())
        if refused is not None:
            self.app = cast(Any, _refusing(refused, self.limits))
        try:
            super().on_headers_complete()
        finally:
            self.app = usual
        if self.parser.should_upgrade():
            # The parser takes what follows for another protocol, which there is none of here.
            self.cycle.keep_alive = False

    def _fault(self) -> ProblemType | None:
        """What a proxy in front could understand otherwise than this service does (request smuggling, RFC 9112, 11.2),
        beyond what the parser refuses."""
        version = self.parser.get_http_version()
        hosts = [value for name, value in self.headers if name == b"host"]
        # HTTP/1.0 knows no hosts.
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
        """All of its body is there."""
        self._wait(None)
        self._in_head = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """It was answered."""
        super().on_response_complete()
        if not self._in_head:
            self._wait(UNREAD_BODY_SECONDS)

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be read."""
        self._refuse(NOT_HTTP)

    def _wait(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            # What comes next is not read before the answers to what came before are sent.
            self._wait(self.limits.head_seconds)
        elif self._in_head and self._head_bytes:
            self._refuse(TOO_SLOW)
        else:
            self.transport.close()

    def _refuse(self, kind: ProblemType) -> None:
        answer = _problem(Headers(), kind, self.limits)
        lines = [f"HTTP/1.1 {kind.status} {HTTPStatus(kind.status).phrase}".encode()]
        lines += [name + b": " + value for name, value in answer.raw_headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        self.transport.close()


def limited_protocol(settings: ServiceSettings) -> type[asyncio.Protocol]:
    """The protocol with the limits of a deployment."""
    return type("Bounded", (LimitedProtocol,), {"limits": settings})


def _authority(url: bytes) -> bytes:
    return url.partition(b"://")[2].partition(b"/")[0].partition(b"?")[0].lower()


@lru_cache(maxsize=8)
def _proxies(addresses: str) -> Container[str | None]:
    """Those whose word on where a request comes from is taken, as uvicorn reads FORWARDED_ALLOW_IPS."""
    trusted: Any = ProxyHeadersMiddleware(cast(Any, None), addresses).trusted_hosts
    return cast("Container[str | None]", trusted)


def _refusing(kind: ProblemType, limits: ServiceSettings) -> ASGIApp:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await _problem(Headers(scope=scope), kind, limits)(scope, receive, send)

    return refuse


def _problem(headers: Headers, kind: ProblemType, limits: ServiceSettings) -> Response:
    later = limits.retry_after if kind.status in (429, 503) else None
    return problem_response(headers, kind, kind.title, headers_out=CLOSE, retry_after=later)
