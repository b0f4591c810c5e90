"""The same POST twice is done once: `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).

The first request of a key leaves a mark before it is worked on, and its answer when it is done; both outlive the
process. A later one of the same key and content is given that answer again; of other content, refused (422); one that
comes while the first is being worked on is told to wait (409). What failed for the service's own reasons (5xx) may be
tried again under the same key. A mark that was left by a process which ended is believed only for as long as a
request may take.

Whoever tries again may find that the first had done its work and could not say so. What is kept of a request is
therefore named after it (`name_of`), and is found rather than kept twice.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from features.errors import BadRequest, RenewcastError
from serving.errors import OtherBody, StillRunning
from serving.problems import renewcast_problem
from serving.settings import ServiceSettings
from serving.store.database import Store
from serving.store.tables import idempotency

HEADER = "idempotency-key"
LENGTH_LIMIT = 255
#: Larger answers (bytes) are not kept; the request is then done again.
KEPT_LIMIT = 8 * 2**20
#: A mark is believed for so much longer than a request may take.
MARGIN = timedelta(seconds=5)
_REPEATED = ("content-type", "location", "retry-after")


@dataclass(frozen=True)
class Kept:
    """An answer: its status, the headers that belong to it, its body."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class _Mark:
    """What a request has left: the ``key`` of its row, and ``name``, the same for all that try it again."""

    key: str
    name: str


def name_of(request: Request) -> str | None:
    """What names what is kept of this request, 24 characters, the same however often it is tried; None without an
    Idempotency-Key."""
    name: str | None = getattr(request.state, "idempotent_name", None)
    return name


class Idempotency:
    """ASGI middleware; see the module. It stands behind the door, so that each caller has keys of its own."""

    def __init__(self, app: ASGIApp, store: Store, settings: ServiceSettings) -> None:
        self._app, self._store = app, store
        self._kept_for = timedelta(hours=settings.idempotency_hours)
        self._running = timedelta(seconds=settings.request_seconds) + MARGIN

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or repeat its answer."""
        key = Headers(scope=scope).get(HEADER) if scope["type"] == "http" and scope["method"] == "POST" else None
        # Where the door asks nobody who they are, nothing is done that a second time would do again.
        if key is None or "caller" not in scope.get("state", {}):
            await self._app(scope, receive, send)
            return
        try:
            if not 0 < len(key) <= LENGTH_LIMIT or not key.isprintable():
                raise BadRequest("an Idempotency-Key that cannot be used", f"1 to {LENGTH_LIMIT} printable characters")
            body = await _body(receive)
            row, fingerprint = _mark(scope, key), _fingerprint(scope, body)
            claimed = await run_in_threadpool(self._claim, row, fingerprint)
        except ClientDisconnect:
            # Cut off in the middle: nothing is done, and there is nobody to tell. The whole of it may still come.
            return
        except RenewcastError as error:
            await renewcast_problem(Request(scope), error)(scope, receive, send)
            return
        if isinstance(claimed, Kept):
            await _repeat(claimed, send)
            return
        scope.setdefault("state", {})["idempotent_name"] = claimed.name
        await self._first(claimed, scope, body, send)

    async def _first(self, mark: _Mark, scope: Scope, body: bytes, send: Send) -> None:
        start: Message = {}
        parts: list[bytes] = []
        failed: RenewcastError | None = None

        async def seen(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))

        try:
            await self._app(scope, _given(body), seen)
        except Exception:
            with suppress(RenewcastError):
                await run_in_threadpool(self._settle, mark, None)
            raise
        answer = b"".join(parts)
        try:
            # Kept before it is told: whoever has the answer can have it again.
            await run_in_threadpool(self._settle, mark, _kept(start, answer))
        except RenewcastError as error:
            failed = error
        if failed is not None:
            await renewcast_problem(Request(scope), failed)(scope, _given(b""), send)
            return
        await send(start)
        await send({"type": "http.response.body", "body": answer, "more_body": False})

    def _claim(self, mark: str, fingerprint: str) -> Kept | _Mark:
        """Leave a mark; or what the key's first request was answered."""
        now = datetime.now(UTC)
        row = {"fingerprint": fingerprint, "running_until": now + self._running}
        with self._store.begin() as connection:
            connection.execute(delete(idempotency).where(idempotency.c.created_at < now - self._kept_for))
            try:
                with connection.begin_nested():
                    connection.execute(idempotency.insert().values(key=mark, created_at=now, **row))
                return _Mark(mark, _name(mark, now))
            except IntegrityError:
                return self._again(connection, mark, row, now)

    def _again(self, connection: Connection, mark: str, row: dict[str, Any], now: datetime) -> Kept | _Mark:
        found = connection.execute(select(idempotency).where(idempotency.c.key == mark).with_for_update()).one()
        if found.fingerprint != row["fingerprint"]:
            raise OtherBody("the Idempotency-Key was used for another request", "a new key for each request")
        if found.status is not None:
            return Kept(found.status, json.loads(found.headers), found.body)
        if found.running_until is not None and found.running_until > now:
            raise StillRunning("the first request of this Idempotency-Key is being worked on", cure="try again later")
        connection.execute(idempotency.update().where(idempotency.c.key == mark).values(**row))
        return _Mark(mark, _name(mark, found.created_at))

    def _settle(self, mark: _Mark, kept: Kept | None) -> None:
        """Keep the answer; without one, let others try at once."""
        there = idempotency.c.key == mark.key
        with self._store.begin() as connection:
            if kept is None:
                free = there & idempotency.c.status.is_(None)
                connection.execute(idempotency.update().where(free).values(running_until=None))
                return
            told = {"status": kept.status, "headers": json.dumps(kept.headers), "body": kept.body}
            connection.execute(idempotency.update().where(there).values(running_until=None, **told))


def _mark(scope: Scope, key: str) -> str:
    return _digest(scope["state"]["caller"].id, key)


def _name(mark: str, first: datetime) -> str:
    # With its instant, since a key may be used anew once its answer is forgotten. Whole microseconds, as it is kept.
    return _digest(mark, first.astimezone(UTC).isoformat())[:24]


def _fingerprint(scope: Scope, body: bytes) -> str:
    return _digest(scope["path"], scope.get("query_string", b"").decode("latin-1"), hashlib.sha256(body).hexdigest())


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


async def _body(receive: Receive) -> bytes:
    """All of it; the edge has bounded it.

    Raises
    ------
    ClientDisconnect : the caller has gone before its end.
    """
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _given(body: bytes) -> Receive:
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _kept(start: Message, body: bytes) -> Kept | None:
    if start.get("status", 500) >= 500 or len(body) > KEPT_LIMIT:
        return None
    headers = Headers(raw=start.get("headers", []))
    return Kept(start["status"], {name: headers[name] for name in _REPEATED if name in headers}, body)


async def _repeat(kept: Kept, send: Send) -> None:
    told = {**kept.headers, "content-length": str(len(kept.body)), "idempotent-replayed": "true"}
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told.items()]
    await send({"type": "http.response.start", "status": kept.status, "headers": headers})
    await send({"type": "http.response.body", "body": kept.body, "more_body": False})
