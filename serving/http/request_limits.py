"""Limits of the body size and the time of every request, handling of unexpected errors, and the request log.

The log names no accounts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.common.errors import TooSlow
from serving.common.json_logs import error_location, log_event
from serving.common.settings import ServiceSettings
from serving.http.problem_details import (
    HTTP_PROBLEMS,
    ProblemType,
    http_problem_response,
    new_instance,
    problem_response,
    renewcast_problem_response,
)

TOO_LARGE = 413


class RequestLimitsMiddleware:
    """ASGI middleware that limits and logs requests; see the module."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            await _LimitedRequest(self._app, self._settings, scope, receive, send).run()
        else:
            await self._app(scope, receive, send)


class _LimitedRequest:
    """One request and its response."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings, scope: Scope, receive: Receive, send: Send) -> None:
        self._app, self._settings = app, settings
        self._scope, self._server_receive, self._server_send = scope, receive, send
        self._headers = Headers(scope=scope)
        self._received = 0
        self._body_complete = not {"content-length", "transfer-encoding"} & set(self._headers)
        self._status: int | None = None
        self._sent = 0

    async def run(self) -> None:
        started = time.perf_counter()
        fields: dict[str, Any] = {}
        try:
            await self._within_time()
        except ClientDisconnect:
            # The client is gone; the log line has no status.
            pass
        except Exception as error:  # noqa: BLE001 the caller gets a problem, and the log the code location
            fields = {"instance": new_instance()} | error_location(error)
            code, title = HTTP_PROBLEMS[500]
            await self._answer(
                problem_response(self._headers, ProblemType(500, code, title), title, instance=fields["instance"])
            )
        log_event(
            "request",
            logging.ERROR if fields else logging.INFO,
            method=self._scope["method"],
            # The pattern and not the path, which holds the account's id.
            route=getattr(self._scope.get("route"), "path_format", None) or "unmatched",
            status=self._status,
            milliseconds=round(1000 * (time.perf_counter() - started), 1),
            bytes_in=self._received,
            bytes_out=self._sent,
            **fields,
        )

    async def _within_time(self) -> None:
        if self._announced_length() > self._settings.body_limit_bytes:
            # The body is not read, so the connection cannot be reused.
            await self._answer(http_problem_response(self._headers, TOO_LARGE, {"Connection": "close"}))
            return
        try:
            async with asyncio.timeout(self._settings.request_seconds) as limit:
                await self._app(self._scope, self._receive, self._send)
        except TimeoutError:
            if not limit.expired():
                raise
            await self._answer(self._too_slow())

    def _too_slow(self) -> Response:
        if not self._body_complete:
            return http_problem_response(self._headers, 408, {"Connection": "close"})
        found = f"the request took longer than {self._settings.request_seconds:g} seconds"
        return renewcast_problem_response(Request(self._scope), TooSlow(found, cure="send less, or try again later"))

    def _announced_length(self) -> int:
        length = self._headers.get("content-length", "0")
        return int(length) if length.isascii() and length.isdigit() else 0

    async def _receive(self) -> Message:
        message = await self._server_receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            self._body_complete = not message.get("more_body", False)
            if self._received > self._settings.body_limit_bytes:
                raise HTTPException(TOO_LARGE, headers={"Connection": "close"})
        return message

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
        elif message["type"] == "http.response.body":
            self._sent += len(message.get("body", b""))
        await self._server_send(message)

    async def _answer(self, response: Response) -> None:
        """Respond in place of the application, unless it has begun to respond."""
        if self._status is None:
            await response(self._scope, self._server_receive, self._send)
