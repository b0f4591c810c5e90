"""The same POST twice is done once: `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).

The first request of a key leaves a mark before it is worked on, and its answer when it is done; both outlive the
process. A later one of the same key and content is given that answer again; of other content, refused (422); one that
comes while the first is being worked on is told to wait (409). What failed for the service's own reasons (5xx) may be
tried again under the same key. A mark that was left by a process which ended is believed only for as long as a
request may take.

The mark is left by a dependency (`ONCE`) of the operations that take a key, and not on the way in: by then the caller
is known to be allowed what it asks for, and the whole body is there. A request that was cut off leaves nothing.

Whoever tries again may find that the first had done its work and could not say so. What is kept of a request is
therefore named after it (`name_of`), and is found rather than kept twice.
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
from serving.http.problem_details import renewcast_problem
from serving.store.database import Store
from serving.store.idempotency_marks import Kept, Mark, Marks, digest

HEADER = "Idempotency-Key"
LENGTH_LIMIT = 255
#: Larger answers (bytes) are not kept; the request is then done again.
KEPT_LIMIT = 8 * 2**20
#: A mark is believed for so much longer than a request may take.
MARGIN = timedelta(seconds=5)
#: Answers that say that nothing was done, and that may be others at once: they are not kept.
PASSING = frozenset({401, 403, 404, 405, 429})
_REPEATED = ("content-type", "location", "retry-after")


class Repeated(Exception):
    """Not an error: the request was answered before, so that there is nothing left to do."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept


async def repeat(_request: Request, error: Exception) -> Response:
    """The answer of `Repeated`, as it was given."""
    assert isinstance(error, Repeated)
    kept = error.kept
    return Response(kept.body, kept.status, {**kept.headers, "idempotent-replayed": "true"})


class _Once:
    """One request with a key: its mark, once it has left one."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self.mark: Mark | None = None

    async def claim(self, request: Request, key: str) -> None:
        caller = getattr(request.state, "caller", None)
        fingerprint = _fingerprint(request.scope, await request.body())
        claimed = await run_in_threadpool(self._marks.claim, digest(getattr(caller, "id", ""), key), fingerprint)
        if isinstance(claimed, Kept):
            raise Repeated(claimed)
        self.mark = claimed


async def _once(
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
ONCE = Depends(_once)


def name_of(request: Request) -> str | None:
    """What names what is kept of this request, 24 characters, the same however often it is tried; None without an
    Idempotency-Key."""
    once: _Once | None = getattr(request.state, "once", None)
    return None if once is None or once.mark is None else once.mark.name


class Idempotency:
    """ASGI middleware that keeps the answers of requests which have left a mark; see the module."""

    def __init__(self, app: ASGIApp, store: Store, settings: ServiceSettings) -> None:
        self._app = app
        running = timedelta(seconds=settings.request_seconds) + MARGIN
        self._marks = Marks(store, timedelta(hours=settings.idempotency_hours), running)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or HEADER not in Headers(scope=scope):
            await self._app(scope, receive, send)
            return
        once = _Once(self._marks)
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
        self, mark: Mark, scope: Scope, receive: Receive, send: Send, start: Message, body: bytes
    ) -> None:
        try:
            # Kept before it is told: whoever has the answer can have it again.
            await run_in_threadpool(self._keep, mark, start, body)
        except RenewcastError as error:
            await renewcast_problem(Request(scope), error)(scope, receive, send)
            return
        await send(start)
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _keep(self, mark: Mark, start: Message, body: bytes) -> None:
        status = start.get("status", 500)
        if status in PASSING:
            self._marks.forget(mark)
        elif status >= 500 or len(body) > KEPT_LIMIT:
            self._marks.free(mark)
        else:
            headers = Headers(raw=start["headers"])
            self._marks.settle(mark, Kept(status, {name: headers[name] for name in _REPEATED if name in headers}, body))


def _fingerprint(scope: Scope, body: bytes) -> str:
    return digest(scope["path"], scope.get("query_string", b"").decode("latin-1"), hashlib.sha256(body).hexdigest())
