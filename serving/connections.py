"""Connections before their requests: so many at once, and a head of bounded size within a bounded time. What begins
with the body, the edge bounds (`serving.edge`)."""

from __future__ import annotations

import asyncio
from asyncio import TimerHandle
from typing import Any

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.problems import busy_problem, http_problem
from serving.settings import ServiceSettings

HEAD_TOO_LARGE = 431


def bounded(settings: ServiceSettings) -> type[HttpToolsProtocol]:
    """uvicorn's protocol, with the limits of these settings."""

    class Bounded(HttpToolsProtocol):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self._head_bytes = 0
            self._head_due: TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > settings.connections:
                self._refuse(busy_problem("as many connections as the service takes are open", settings))
            else:
                self._expect_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head_is_there()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            self._head_bytes += len(data)
            super().data_received(data)
            # Of a body, however large, no head is due any more.
            if self._head_due is not None and self._head_bytes > settings.head_limit_bytes:
                self._refuse(http_problem({}, HEAD_TOO_LARGE))

        def on_message_begin(self) -> None:
            super().on_message_begin()
            if self._head_due is None:
                self._expect_head()

        def on_headers_complete(self) -> None:
            self._head_is_there()
            super().on_headers_complete()

        def _expect_head(self) -> None:
            self._head_bytes = 0
            self._head_due = self.loop.call_later(settings.head_seconds, self.transport.close)

        def _head_is_there(self) -> None:
            if self._head_due is not None:
                self._head_due.cancel()
                self._head_due = None

        def _refuse(self, answer: Response) -> None:
            self._head_is_there()
            headers = [*answer.raw_headers, (b"connection", b"close")]
            head = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
            self.transport.write(b"HTTP/1.1 %d \r\n%s\r\n%s" % (answer.status_code, head, answer.body))
            self.transport.close()

    return Bounded
