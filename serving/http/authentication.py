"""The door: who calls, whether they may, and how often. It stands before every resource but those that tell nothing.

A key comes as ``Authorization: Bearer`` or ``X-API-Key``, or is that of the session that a browser's cookie names; who
wants a page and is not known is led to where one signs in. What a browser sends by itself, a cookie or merely that it
runs on this machine, is not believed in a request that another site has made. On 127.0.0.1 no key is needed if the
operator says so (RENEWCAST_OPEN_LOCALLY), and then for everything but what an admin's key is for. Where the store
cannot be reached, keys that it has vouched for within the last minutes are believed, so that signals in a body can
still be scored.
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
from serving.http.api_keys import ApiKey, find_key, secret_digest
from serving.http.api_keys import Scope as Grant
from serving.http.problem_details import renewcast_problem_response
from serving.http.rate_limit import RateLimiter
from serving.http.sessions import find_session
from serving.http.sign_in_redirect import redirect_to_sign_in
from serving.store.database import Store

#: What needs no key: whether the service lives, and how it is to be called.
PUBLIC_PATHS = frozenset(
    {"/livez", "/readyz", "/ping", "/health", "/version", "/openapi.json", "/openapi-3.0.json", "/docs"}
    | {"/sign-in", "/sign-out"}
)
#: The files that every page needs.
PUBLIC_PREFIX = "/static/"
#: So long (seconds) is a key believed that the store vouched for, while the store cannot be reached.
OUTAGE_SECONDS = 600.0
CACHED_KEYS = 1000


@dataclass(frozen=True)
class Caller:
    """Who calls: ``id`` and ``name`` of the key, and what it may do. ``in_session``: through a browser's session."""

    id: str
    name: str
    may: Callable[[Grant], bool]
    in_session: bool = False


def _may_locally(scope: Grant) -> bool:
    return scope != "admin"


LOCAL_CALLER = Caller("local", "somebody on this machine", _may_locally)


class AuthenticationMiddleware:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, store: Store, settings: ServiceSettings) -> None:
        self._app, self._settings = app, settings
        self._known = _KeyCache(store)
        self._rates = RateLimiter(settings.requests_a_minute)

    async def __call__(self, scope: Asgi, receive: Receive, send: Send) -> None:
        """Let one request pass, or answer it with 401, 403, 429 or 503."""
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
        allowance = self._rates.take(caller.id)

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(allowance.headers)
            await send(message)

        if allowance.allowed:
            await self._app(scope, receive, told)
        else:
            refused = TooManyRequests(allowance.limit, allowance.wait)
            await renewcast_problem_response(Request(scope), refused)(scope, receive, told)

    async def _caller(self, scope: Asgi) -> Caller:
        headers = Headers(scope=scope)
        shown = _key_shown(headers)
        if shown is not None:
            key = self._known.cached(shown) or await run_in_threadpool(self._known.key, shown)
            if key is None:
                raise Unauthorized("the API key is not good", "a key that was made here and not revoked")
            return Caller(key.id, key.name, key.may)
        caller = await self._unasked(scope, headers)
        if caller is None:
            raise Unauthorized(
                "no API key was shown",
                "Authorization: Bearer KEY, or X-API-Key: KEY",
                "`renewcast keys create` makes one",
            )
        if scope["method"] not in SAFE_METHODS and is_cross_origin(headers):
            raise Forbidden("the request comes from another site", "one of this service's own pages, or a key")
        return caller

    async def _unasked(self, scope: Asgi, headers: Headers) -> Caller | None:
        """Who it is by what a browser sends by itself."""
        token = session_token(headers, scope["scheme"])
        key = None if token is None else await run_in_threadpool(self._known.of_session, token)
        if key is not None:
            return Caller(key.id, key.name, key.may, in_session=True)
        return LOCAL_CALLER if self._settings.open_locally and _is_local(scope, headers) else None


_Find = Callable[[Connection, str], ApiKey | None]


@dataclass
class _CachedKey:
    """A key that the store has vouched for, when last (monotonic seconds), and what `Store.version` was then."""

    key: ApiKey
    since: float
    version: tuple[int, int] | None


class _KeyCache:
    """The keys, looked up in the store at each request, or found to be the same since nothing in it has changed: a
    revoked one is refused at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        # Apart by how they are shown, so that a session's token is never taken for a key.
        # First in, first out: reading does not reorder it, so that `cached` require_scope no lock.
        self._believed = FIFOCache[tuple[_Find, str], _CachedKey](CACHED_KEYS)

    def cached(self, shown: str) -> ApiKey | None:
        """The key, if it was looked up and nothing has changed in the store since; waits for nobody."""
        try:
            believed = self._believed[find_key, secret_digest(shown)]
        except KeyError:
            return None
        if believed.version is None or believed.version != self._store.version():
            return None
        # Nothing has changed, so the store vouches for it now as it did then.
        believed.since = time.monotonic()
        return believed.key

    def key(self, shown: str) -> ApiKey | None:
        return self._found(shown, find_key)

    def of_session(self, token: str) -> ApiKey | None:
        return self._found(token, find_session)

    def _found(self, shown: str, find: _Find) -> ApiKey | None:
        mark = find, secret_digest(shown)
        # Told before looking, so that what changes meanwhile is looked up again.
        version = self._store.version()
        try:
            with self._store.read() as connection:
                key = find(connection, shown)
        except StoreDown:
            with self._lock:
                believed = self._believed.get(mark)
            if believed is None or time.monotonic() - believed.since > OUTAGE_SECONDS:
                raise
            return believed.key
        with self._lock:
            if key is None:
                self._believed.pop(mark, None)
            else:
                self._believed[mark] = _CachedKey(key, time.monotonic(), version)
        return key


def _key_shown(headers: Headers) -> str | None:
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return rest.strip()
    return headers.get("x-api-key") or None


def _is_local(scope: Asgi, headers: Headers) -> bool:
    """Whether the caller is on this machine. One for whom a proxy speaks is not, whatever the proxy's address; some
    proxies show themselves only by the older HTTP that they speak."""
    if is_forwarded(headers) or scope.get("http_version") == "1.0" or not is_local_name(headers.get("host", "")):
        return False
    try:
        return scope.get("client") is not None and ipaddress.ip_address(scope["client"][0]).is_loopback
    except ValueError:
        return False


async def current_caller(request: Request) -> Caller:
    """Who makes this request.

    Raises
    ------
    Unauthorized : nobody that the door has let in.
    """
    caller: Any = getattr(request.state, "caller", None)
    if not isinstance(caller, Caller):
        raise Unauthorized("no API key was shown", "a key")
    return caller


def require_scope(scope: Grant) -> Any:
    """A dependency that lets in whoever may do what needs ``scope``.

    Raises
    ------
    Forbidden : the caller's key may not.
    """

    async def check(caller: Annotated[Caller, Depends(current_caller)]) -> Caller:
        if not caller.may(scope):
            raise Forbidden(f"the key may not do this: it has no scope {scope}", f"a key with the scope {scope}")
        return caller

    return Depends(check)
