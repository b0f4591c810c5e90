"""Idempotent POST requests by `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).

The first request with a key claims it before it runs, and stores its response afterwards; both survive the process. A
later request with the same key and content gets the stored response; with other content it is refused (422); and while
the first one runs it is refused (409). A request that failed with a server error (5xx) can be repeated with the same
key. The claim of a process that ended expires after the time limit of a request.

Operations that accept a key claim it through a dependency (`IDEMPOTENT`), not in the middleware: at that point the
caller is authorized and the whole body was received. A request that was interrupted before that claims nothing.

The first request may have done its work but failed to store its response. So items that a request creates are named
after it (`request_name`), and a repeated request finds them instead of creating them twice.
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
#: Larger responses (bytes) are not stored; a repeated request then runs again.
STORED_LIMIT = 8 * 2**20
#: A claim is valid for this much longer than the time limit of a request.
MARGIN = timedelta(seconds=5)
#: Statuses of responses that are not stored: nothing was done, and the next attempt may succeed.
NOT_STORED = frozenset({401, 403, 404, 405, 429})
_STORED_HEADERS = ("content-type", "location", "retry-after")


class ReplayedResponse(Exception):
    """Signals that the request was answered before; not an error."""

    def __init__(self, stored: StoredResponse) -> None:
        self.stored = stored


async def replay_response(_request: Request, error: Exception) -> Response:
    """Return the stored response of a `ReplayedResponse`."""
    assert isinstance(error, ReplayedResponse)
    stored = error.stored
    return Response(stored.body, stored.status, {**stored.headers, "idempotent-replayed": "true"})


class _IdempotentRequest:
    """A request with an Idempotency-Key, and its claim once it has one."""

    def __init__(self, keys: IdempotencyKeys) -> None:
        self._keys = keys
        self.claim: Claim | None = None

    async def claim_key(self, request: Request, key: str) -> None:
        caller = getattr(request.state, "caller", None)
        fingerprint = _fingerprint(request.scope, await request.body())
        result = await run_in_threadpool(self._keys.claim, text_digest(getattr(caller, "id", ""), key), fingerprint)
        if isinstance(result, StoredResponse):
            raise ReplayedResponse(result)
        self.claim = result


async def _claim_key(
    request: Request,
    key: Annotated[
        str | None,
        Header(
            alias=HEADER,
            min_length=1,
            max_length=LENGTH_LIMIT,
            pattern="^[ -~]+$",
            description="A repeated request with the same key and body returns the first response.",
        ),
    ] = None,
) -> None:
    if key is not None:
        await request.state.idempotent.claim_key(request, key)


#: Dependency of operations that accept an Idempotency-Key. It must be the last one, so that it runs after all others
#: have accepted the request.
IDEMPOTENT = Depends(_claim_key)


def request_name(request: Request) -> str | None:
    """Return a name of 24 characters for items that this request creates, or None without an Idempotency-Key.

    It is the same for every repetition of the request.
    """
    idempotent: _IdempotentRequest | None = getattr(request.state, "idempotent", None)
    return None if idempotent is None or idempotent.claim is None else idempotent.claim.name


class IdempotencyMiddleware:
    """ASGI middleware that stores the responses of requests that have claimed a key; see the module."""

    def __init__(self, app: ASGIApp, store: Store, settings: ServiceSettings) -> None:
        self._app = app
        running = timedelta(seconds=settings.request_seconds) + MARGIN
        self._keys = IdempotencyKeys(store, timedelta(hours=settings.idempotency_hours), running)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or HEADER not in Headers(scope=scope):
            await self._app(scope, receive, send)
            return
        idempotent = _IdempotentRequest(self._keys)
        scope.setdefault("state", {})["idempotent"] = idempotent
        start: Message = {}
        parts: list[bytes] = []

        async def hold_response(message: Message) -> None:
            if idempotent.claim is None:
                await send(message)
            elif message["type"] == "http.response.start":
                start.update(message)
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))

        try:
            await self._app(scope, receive, hold_response)
        except Exception:
            if idempotent.claim is not None:
                with suppress(RenewcastError):
                    await run_in_threadpool(self._keys.release, idempotent.claim)
            raise
        if idempotent.claim is not None:
            await self._answer(idempotent.claim, scope, receive, send, start, b"".join(parts))

    async def _answer(
        self, claim: Claim, scope: Scope, receive: Receive, send: Send, start: Message, body: bytes
    ) -> None:
        try:
            # Stored before it is sent, so that a caller who received it can get it again.
            await run_in_threadpool(self._store_response, claim, start, body)
        except RenewcastError as error:
            await renewcast_problem_response(Request(scope), error)(scope, receive, send)
            return
        await send(start)
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _store_response(self, claim: Claim, start: Message, body: bytes) -> None:
        status = start.get("status", 500)
        if status in NOT_STORED:
            self._keys.delete(claim)
        elif status >= 500 or len(body) > STORED_LIMIT:
            self._keys.release(claim)
        else:
            headers = Headers(raw=start["headers"])
            stored = {name: headers[name] for name in _STORED_HEADERS if name in headers}
            self._keys.store_response(claim, StoredResponse(status, stored, body))


def _fingerprint(scope: Scope, body: bytes) -> str:
    return text_digest(
        scope["path"], scope.get("query_string", b"").decode("latin-1"), hashlib.sha256(body).hexdigest()
    )
