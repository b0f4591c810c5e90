"""Sign-in of browsers: the user enters an API key once, and the browser then has a session cookie.

The cookie is HttpOnly (no script reads it), SameSite=Strict (no other site's request carries it) and, over TLS, Secure
under a ``__Host-`` name (RFC 6265bis). Forms are accepted only from this service's own pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from features.errors import BadRequest
from serving.common.browser_requests import cookie_name, is_cross_origin, session_token, view_cookie_name
from serving.common.errors import Forbidden, TooManyRequests
from serving.common.ip_addresses import client_network
from serving.common.settings import ServiceSettings
from serving.html.links import local_path
from serving.html.templates import render_page
from serving.http.dependencies import SettingsDep, StoreDep
from serving.http.rate_limit import SignInLimiter
from serving.http.sessions import end_session, open_session
from serving.http.sign_in_redirect import PATH
from serving.schemas.form_fields import form_fields
from serving.store.database import Store

router = APIRouter(include_in_schema=False)


@dataclass
class KeyAttempt:
    """An attempt with a key that a person typed in a form, and whether the key was valid."""

    succeeded: bool = False


@contextmanager
def attempted_key(request: Request, settings: ServiceSettings) -> Iterator[KeyAttempt]:
    """Limit the attempts with wrong keys from one address.

    Parameters
    ----------
    request : the request with the form.
    settings : the settings of the service.

    Yields
    ------
    KeyAttempt
        The block records whether the key was valid.

    Raises
    ------
    TooManyRequests : there were too many failed attempts.
    """
    attempts: SignInLimiter = request.app.state.attempts
    customer = client_network(request.client.host if request.client else None)
    if wait := attempts.wait(customer):
        raise TooManyRequests(settings.sign_ins_a_minute, wait, "too many failed sign-ins in a minute")
    attempt = KeyAttempt()
    try:
        yield attempt
    except BadRequest:
        attempts.count(customer, succeeded=False)
        raise
    attempts.count(customer, succeeded=attempt.succeeded)


@router.get(PATH)
def get_sign_in(
    request: Request, settings: SettingsDep, next: Annotated[str | None, Query(max_length=4000)] = None
) -> Response:
    """Return the sign-in form."""
    return _form(request, settings, local_path(next))


@router.post(PATH)
async def post_sign_in(request: Request, store: StoreDep, settings: SettingsDep) -> Response:
    """Open a session for a valid key; return the form again for an invalid one."""
    _check_site(request)
    with attempted_key(request, settings) as attempt:
        form = await form_fields(request)
        destination = local_path(form.get("next"))
        duration = timedelta(hours=settings.session_hours)
        token = await run_in_threadpool(_open_session, store, form.get("key", "").strip(), duration)
        attempt.succeeded = token is not None
    if token is None:
        return _form(request, settings, destination, wrong=True)
    answer = RedirectResponse(destination, 303)
    scheme = request.url.scheme
    seconds = int(duration.total_seconds())
    answer.set_cookie(
        cookie_name(scheme), token, seconds, path="/", secure=scheme == "https", httponly=True, samesite="strict"
    )
    _forget_view(answer, scheme)
    return answer


@router.post("/sign-out")
def post_sign_out(request: Request, store: StoreDep) -> Response:
    """End the session here and in the browser."""
    _check_site(request)
    scheme = request.url.scheme
    token = session_token(request.headers, scheme)
    if token is not None:
        with store.begin() as connection:
            end_session(connection, token)
    answer = RedirectResponse(PATH, 303)
    answer.delete_cookie(cookie_name(scheme), path="/", secure=scheme == "https", httponly=True, samesite="strict")
    _forget_view(answer, scheme)
    return answer


def _forget_view(answer: Response, scheme: str) -> None:
    """Forget which accounts the person before asked for."""
    answer.delete_cookie(view_cookie_name(scheme), path="/", secure=scheme == "https", httponly=True, samesite="strict")


def _form(request: Request, settings: ServiceSettings, destination: str, wrong: bool = False) -> Response:
    answer = render_page(
        request,
        "sign_in.html",
        title="Sign in",
        status=401 if wrong else 200,
        next=destination,
        hours=settings.session_hours,
        wrong=wrong,
    )
    if wrong:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _check_site(request: Request) -> None:
    if is_cross_origin(request.headers):
        raise Forbidden("the form comes from another site", "a page of this service")


def _open_session(store: Store, secret: str, duration: timedelta) -> str | None:
    with store.begin() as connection:
        return open_session(connection, secret, duration)
