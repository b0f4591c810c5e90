"""The same POST twice is done once: `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).

The first request of a key leaves a mark before it is worked on, and its answer when it is done; both outlive the
process. A later one of the same key and content is given that answer again; of other content, refused (422); one that
comes while the first is being worked on is told to wait (409). What failed for the service's own reasons (5xx) may be
tried again under the same key. A mark that was left by a process which ended is believed only for as long as a
request may take.

Operations that accept a key claim it through a dependency (`IDEMPOTENT`), not in the middleware: at that point the
caller is authorized and the whole body was received. A request that was interrupted before that claims nothing.

Whoever tries again may find that the first had done its work and could not say so. What is kept of a request is
therefore named after it (`request_name`), and is found rather than kept twice.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from features.errors import RenewcastError
from serving.common.settings import ServiceSettings
from serving.http.problem_details import renewcast_problem_response
from serving.store.database import Store
from serving.store.idempotency_keys import Claim, IdempotencyKeys, StoredResponse, text_digest

HEADER = "Idempotency-Key"
LENGTH_LIMIT = 255
#: Larger answers (bytes) are not kept; the request is then done again.
STORED_LIMIT = 8 * 2**20
#: A mark is believed for so much longer than a request may take.
MARGIN = timedelta(seconds=5)
#: Answers that say that nothing was done, and that may be others at once: they are not kept.
NOT_STORED = frozenset({401, 403, 404, 405, 429})
_STORED_HEADERS = ("content-type", "location", "retry-after")


class ReplayedResponse(Exception):
    """Not an error: the request was answered before, so that there is nothing left to do."""

    def __init__(self, kept: StoredResponse) -> None:
        self.kept = kept


async def replay_response(_request: Request, error: Exception) -> Response:
    """The answer of `ReplayedResponse`, as it was given."""
    assert isinstance(error, ReplayedResponse)
    kept = error.kept
    return Response(kept.body, kept.status, {**kept.headers, "idempotent-replayed": "true"})


class _IdempotentRequest:
    """One request with a key: its mark, once it has left one."""

    def __init__(self, marks: IdempotencyKeys) -> None:
        self._marks = marks
        self.mark: Claim | None = None

    async def claim(self, request: Request, key: str) -> None:
        caller = getattr(request.state, "caller", None)
        fingerprint = _fingerprint(request.scope, await request.body())
        claimed = await run_in_threadpool(self._marks.claim, text_digest(getattr(caller, "id", ""), key), fingerprint)
        if isinstance(claimed, StoredResponse):
            raise ReplayedResponse(claimed)
        self.mark = claimed


async def _claim_key(
    request: Request,
    key: Annotated[
        str | None,
        Header(
            alias=HEADER,
            min_length=1,
            max_length=LENGTH_LIMIT,
            pattern="^[ -~]+$",
            description="The same key and body give the first answer again.",
        ),
    ] = None,
) -> None:
    if key is not None:
        await request.state.once.claim(request, key)


#: For operations that take an Idempotency-Key; the last of their dependencies, so that it is asked for when all others
#: have let the request pass.
IDEMPOTENT = Depends(_claim_key)


def request_name(request: Request) -> str | None:
    """What names what is kept of this request, 24 characters, the same however often it is tried; None without an
    Idempotency-Key."""
    once: _IdempotentRequest | None = getattr(request.state, "once", None)
    return None if once is None or once.mark is None else once.mark.name


class IdempotencyMiddleware:
    """ASGI middleware that keeps the answers of requests which have left a mark; see the module."""

    def __init__(self, app: ASGIApp, store: Store, settings: ServiceSettings) -> None:
        self._app = app
        running = timedelta(seconds=settings.request_seconds) + MARGIN
        self._marks = IdempotencyKeys(store, timedelta(hours=settings.idempotency_hours), running)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or HEADER not in Headers(scope=scope):
            await self._app(scope, receive, send)
            return
        once = _IdempotentRequest(self._marks)
        scope.setdefault("state", {})["once"] = once
        start: Message = {}
        parts: list[bytes] = []

        async def seen(message: Message) -> None:
            if once.mark is None:
                await send(message)
            elif message["type"] == "http.response.start":
                start.update(message)
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))

        try:
            await self._app(scope, receive, seen)
        except Exception:
            if once.mark is not None:
                with suppress(RenewcastError):
                    await run_in_threadpool(self._marks.free, once.mark)
            raise
        if once.mark is not None:
            await self._answer(once.mark, scope, receive, send, start, b"".join(parts))

    async def _answer(
        self, mark: Claim, scope: Scope, receive: Receive, send: Send, start: Message, body: bytes
    ) -> None:
        try:
            # Kept before it is told: whoever has the answer can have it again.
            await run_in_threadpool(self._keep, mark, start, body)
        except RenewcastError as error:
            await renewcast_problem_response(Request(scope), error)(scope, receive, send)
            return
        await send(start)
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _keep(self, mark: Claim, start: Message, body: bytes) -> None:
        status = start.get("status", 500)
        if status in NOT_STORED:
            self._marks.forget(mark)
        elif status >= 500 or len(body) > STORED_LIMIT:
            self._marks.free(mark)
        else:
            headers = Headers(raw=start["headers"])
            self._marks.settle(
                mark, StoredResponse(status, {name: headers[name] for name in _STORED_HEADERS if name in headers}, body)
            )


def _fingerprint(scope: Scope, body: bytes) -> str:
    return text_digest(
        scope["path"], scope.get("query_string", b"").decode("latin-1"), hashlib.sha256(body).hexdigest()
    )
