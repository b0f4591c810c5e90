"""Authentication, authorization and rate limiting of every request, except for public paths.

A key is sent as ``Authorization: Bearer`` or ``X-API-Key``, or belongs to the session in a browser's cookie. An
unauthenticated request for a page is redirected to the sign-in page. What a browser sends automatically (a cookie, or
the fact that it runs on this machine) does not count for a request that another site made. On 127.0.0.1 no key is
needed if the operator sets RENEWCAST_OPEN_LOCALLY, except for operations of the scope admin. While the store cannot be
reached, keys that it confirmed within the last minutes stay valid, so that signals in a body can still be scored.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from cachetools import FIFOCache
from fastapi import Depends, Request
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Asgi

from features.errors import RenewcastError
from serving.common.browser_requests import (
    SAFE_METHODS,
    is_cross_origin,
    is_forwarded,
    is_local_name,
    session_token,
    wants_page,
)
from serving.common.errors import Forbidden, StoreDown, TooManyRequests, Unauthorized
from serving.common.settings import ServiceSettings
from serving.http.api_keys import find_key, secret_digest
from serving.http.problem_details import renewcast_problem_response
from serving.http.rate_limit import RateLimiter
from serving.http.sessions import find_session
from serving.http.sign_in_redirect import redirect_to_sign_in
from serving.store.database import Store
from serving.store.key_records import ApiKey
from serving.store.key_records import Scope as Grant
from serving.store.records import Author

#: Paths that need no key: probes, API descriptions, sign-in and sign-out.
PUBLIC_PATHS = frozenset(
    {"/livez", "/readyz", "/ping", "/health", "/version", "/openapi.json", "/openapi-3.0.json", "/docs"}
    | {"/sign-in", "/sign-out"}
)
#: Paths of files that every page needs.
PUBLIC_PREFIX = "/static/"
#: How long (seconds) a key that the store confirmed stays valid while the store cannot be reached.
OUTAGE_SECONDS = 600.0
#: The maximum length of the name of an author; longer ones are cut off.
AUTHOR_LIMIT = 200
#: How many confirmed keys are remembered.
CACHED_KEYS = 1000


@dataclass(frozen=True)
class Caller:
    """The caller of a request.

    Parameters
    ----------
    id, name : of the key.
    may : returns whether the caller has a scope.
    in_session : whether the caller signed in with a browser.
    owner : the CSM whose accounts the pages show first; None for all accounts.
    """

    id: str
    name: str
    may: Callable[[Grant], bool]
    in_session: bool = False
    owner: str | None = None

    @property
    def author(self) -> Author:
        """The caller as the author of a record: the owner of the key, or else its name."""
        return Author(self.id, (self.owner or self.name)[:AUTHOR_LIMIT])


def _may_locally(scope: Grant) -> bool:
    return scope != "admin"


LOCAL_CALLER = Caller("local", "someone on this machine", _may_locally)


class AuthenticationMiddleware:
    """ASGI middleware that identifies the caller of each request; see the module."""

    def __init__(self, app: ASGIApp, store: Store, settings: ServiceSettings) -> None:
        self._app, self._settings = app, settings
        self._keys = _KeyCache(store)
        self._limiter = RateLimiter(settings.requests_a_minute)

    async def __call__(self, scope: Asgi, receive: Receive, send: Send) -> None:
        """Pass one request on, or respond with 401, 403, 429 or 503."""
        if scope["type"] != "http" or scope["path"] in PUBLIC_PATHS or scope["path"].startswith(PUBLIC_PREFIX):
            await self._app(scope, receive, send)
            return
        try:
            caller = await self._caller(scope)
        except RenewcastError as error:
            if isinstance(error, Unauthorized) and scope["method"] == "GET" and wants_page(Headers(scope=scope)):
                await redirect_to_sign_in(scope)(scope, receive, send)
                return
            await renewcast_problem_response(Request(scope), error)(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller
        allowance = self._limiter.take(caller.id)

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(allowance.headers)
            await send(message)

        if allowance.allowed:
            await self._app(scope, receive, send_with_limits)
        else:
            refusal = TooManyRequests(allowance.limit, allowance.wait)
            await renewcast_problem_response(Request(scope), refusal)(scope, receive, send_with_limits)

    async def _caller(self, scope: Asgi) -> Caller:
        headers = Headers(scope=scope)
        secret = _sent_key(headers)
        if secret is not None:
            key = self._keys.cached(secret) or await run_in_threadpool(self._keys.key, secret)
            if key is None:
                raise Unauthorized("the API key is not valid", "a key that was created in this service and not revoked")
            return Caller(key.id, key.name, key.may, owner=key.owner)
        caller = await self._implicit_caller(scope, headers)
        if caller is None:
            raise Unauthorized(
                "no API key was sent",
                "Authorization: Bearer KEY, or X-API-Key: KEY",
                "`renewcast keys create` creates one",
            )
        if scope["method"] not in SAFE_METHODS and is_cross_origin(headers):
            raise Forbidden(
                "the request comes from another site", "a request from this service's own pages, or with an API key"
            )
        return caller

    async def _implicit_caller(self, scope: Asgi, headers: Headers) -> Caller | None:
        """Return the caller by what a browser sends automatically: a session cookie, or a local address."""
        token = session_token(headers, scope["scheme"])
        key = None if token is None else await run_in_threadpool(self._keys.session_key, token)
        if key is not None:
            return Caller(key.id, key.name, key.may, in_session=True, owner=key.owner)
        return LOCAL_CALLER if self._settings.open_locally and _is_local(scope, headers) else None


_Find = Callable[[Connection, str], ApiKey | None]


@dataclass
class _CachedKey:
    """A key that the store confirmed, with the time of it (monotonic seconds) and `Store.version` at that time."""

    key: ApiKey
    confirmed: float
    version: tuple[int, int] | None


class _KeyCache:
    """Keys that were looked up in the store.

    Each request looks its key up again, unless the store has not changed since. So a revoked key is refused
    immediately.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        # The look-up function is part of the key, so that a session token is never accepted as an API key.
        # First in, first out: reading does not reorder it, so that `cached` needs no lock.
        self._cache = FIFOCache[tuple[_Find, str], _CachedKey](CACHED_KEYS)

    def cached(self, secret: str) -> ApiKey | None:
        """Return the key if it was looked up before and the store has not changed since. Does not block."""
        try:
            entry = self._cache[find_key, secret_digest(secret)]
        except KeyError:
            return None
        if entry.version is None or entry.version != self._store.version():
            return None
        # The store has not changed, so this counts as a confirmation.
        entry.confirmed = time.monotonic()
        return entry.key

    def key(self, secret: str) -> ApiKey | None:
        return self._look_up(secret, find_key)

    def session_key(self, token: str) -> ApiKey | None:
        return self._look_up(token, find_session)

    def _look_up(self, secret: str, find: _Find) -> ApiKey | None:
        cache_key = find, secret_digest(secret)
        # Read before the look-up, so that a change in between leads to another look-up.
        version = self._store.version()
        try:
            with self._store.read() as connection:
                key = find(connection, secret)
        except StoreDown:
            with self._lock:
                entry = self._cache.get(cache_key)
            if entry is None or time.monotonic() - entry.confirmed > OUTAGE_SECONDS:
                raise
            return entry.key
        with self._lock:
            if key is None:
                self._cache.pop(cache_key, None)
            else:
                self._cache[cache_key] = _CachedKey(key, time.monotonic(), version)
        return key


def _sent_key(headers: Headers) -> str | None:
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return rest.strip()
    return headers.get("x-api-key") or None


def _is_local(scope: Asgi, headers: Headers) -> bool:
    """Return whether the caller is on this machine.

    A forwarded request is not local, whatever the proxy's address. Some proxies can only be recognized by HTTP/1.0.
    """
    if is_forwarded(headers) or scope.get("http_version") == "1.0" or not is_local_name(headers.get("host", "")):
        return False
    try:
        return scope.get("client") is not None and ipaddress.ip_address(scope["client"][0]).is_loopback
    except ValueError:
        return False


async def current_caller(request: Request) -> Caller:
    """Return the caller of a request.

    Raises
    ------
    Unauthorized : the request was not authenticated.
    """
    caller: Any = getattr(request.state, "caller", None)
    if not isinstance(caller, Caller):
        raise Unauthorized("no API key was sent", "a valid API key")
    return caller


def require_scope(scope: Grant) -> Any:
    """Return a dependency that requires the caller to have ``scope``.

    Raises
    ------
    Forbidden : the caller's key lacks the scope.
    """

    async def check(caller: Annotated[Caller, Depends(current_caller)]) -> Caller:
        if not caller.may(scope):
            raise Forbidden(
                f"this operation is not allowed: the key lacks the scope {scope}", f"a key with the scope {scope}"
            )
        return caller

    return Depends(check)
