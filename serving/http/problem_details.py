"""Error responses as RFC 9457 problems. They say what is wrong and where, and never repeat what was sent."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path

from features.contract.current_contract import current_tables
from features.errors import (
    AccountCandidate,
    BadRequest,
    BundleError,
    FeatureError,
    HomeError,
    InsufficientData,
    RenewcastError,
    SignalsError,
    UnknownAccount,
    UnknownSnapshot,
)
from features.utils.formatting import count_of
from models.home import Home
from models.peer_groups.rule_files import RulesError
from models.reviews.review_store import UnknownReview
from models.reviews.sign_off import AlreadyDecided, ReviewChanged, SameSigner
from serving.common.browser_requests import wants_page
from serving.common.content_negotiation import problem_media_type
from serving.common.errors import (
    AlreadyUnderWay,
    Busy,
    Fault,
    Forbidden,
    IdempotencyKeyReused,
    InterventionChanged,
    InterventionConflict,
    InvalidBody,
    NameTaken,
    NotReady,
    StillRunning,
    StoreDown,
    TooManyRequests,
    TooSlow,
    Unauthorized,
    UnknownId,
    VersionMissing,
)
from serving.common.settings import ServiceSettings
from serving.html.error_page import problem_page

#: Further faults are counted but not listed.
FAULTS_SHOWN = 20


@dataclass(frozen=True)
class ProblemType:
    """The HTTP status, code for programs and fixed title of one class of errors."""

    status: int
    code: str
    title: str


#: The problem type of each error class. A class that is not listed is reported as its nearest listed base class.
PROBLEM_TYPES: Mapping[type[RenewcastError], ProblemType] = {
    UnknownAccount: ProblemType(404, "unknown_account", "The snapshot does not contain this account"),
    UnknownSnapshot: ProblemType(404, "unknown_snapshot", "No snapshot was scored at this date"),
    UnknownReview: ProblemType(404, "unknown_review", "There is no such review"),
    AlreadyDecided: ProblemType(409, "already_decided", "The review has already been decided"),
    ReviewChanged: ProblemType(409, "changed_since_review", "The reviewed data, rubric or model has changed"),
    SameSigner: ProblemType(409, "same_person", "Two different people must sign"),
    AlreadyUnderWay: ProblemType(409, "already_under_way", "An intervention of the account is under way"),
    InterventionChanged: ProblemType(412, "changed_meanwhile", "Someone else has changed the intervention"),
    VersionMissing: ProblemType(428, "version_missing", "The request does not say which version it changes"),
    BadRequest: ProblemType(422, "invalid_request", "The request cannot be used"),
    SignalsError: ProblemType(422, "invalid_signals", "The signals violate the data contract"),
    InsufficientData: ProblemType(422, "insufficient_data", "There is too little data"),
    BundleError: ProblemType(503, "no_sound_model", "The model cannot be used"),
    RulesError: ProblemType(503, "no_sound_rules", "The rules cannot be used"),
    HomeError: ProblemType(503, "home_unavailable", "The stored data cannot be used"),
    NotReady: ProblemType(503, "not_ready", "The service is not ready"),
    StoreDown: ProblemType(503, "store_unavailable", "The store cannot be reached"),
    Unauthorized: ProblemType(401, "unauthorized", "The request is not authenticated"),
    Forbidden: ProblemType(403, "forbidden", "The caller is not allowed to do this"),
    UnknownId: ProblemType(404, "unknown", "There is no item with this id"),
    NameTaken: ProblemType(409, "name_taken", "Another item has this name"),
    StillRunning: ProblemType(409, "still_running", "A request with this Idempotency-Key is still running"),
    IdempotencyKeyReused: ProblemType(
        422, "idempotency_key_reused", "The Idempotency-Key was used for another request"
    ),
    TooManyRequests: ProblemType(429, "too_many_requests", "The caller has made too many requests"),
    Busy: ProblemType(503, "busy", "The service is busy"),
    TooSlow: ProblemType(503, "too_slow", "The request took too long"),
    FeatureError: ProblemType(500, "feature_failed", "A custom feature cannot be computed"),
    RenewcastError: ProblemType(500, "failed", "The request failed"),
}

#: Errors of HTTP itself.
HTTP_PROBLEMS: Mapping[int, tuple[str, str]] = {
    400: ("not_json", "The body is not valid JSON"),
    404: ("unknown_route", "There is nothing at this address; /openapi.json lists all addresses"),
    405: ("unknown_method", "This address does not support the method; the Allow header lists the supported ones"),
    408: ("body_too_slow", "The body did not arrive in time"),
    413: ("body_too_large", "The body is too large"),
    415: ("unknown_media_type", "The body must be JSON, with Content-Type: application/json"),
    500: ("unexpected", "An unexpected error occurred; the log contains the instance named here"),
}

#: The names that a pointer may contain, besides tables and columns.
POINTER_NAMES = frozenset(
    {
        *("account_id", "as_of", "signals", "history_from", "view", "prefix", "items", "target", "params"),
        *("prediction_id", "note", "severity", "intervention_id", "until"),
        *("assignee", "snoozed_until", "result", "alerts", "play"),
        *("name", "page", "query", "shared"),
        *("author", "reviewer", "owner", "effective", "reject", "why", "review_id"),
        *("dataframe_split", "dataframe_records", "instances", "inputs", "columns", "data"),
    }
)

#: Our codes for some of pydantic's error types.
FAULT_CODES: Mapping[str, str] = {"extra_forbidden": "unknown_field", "missing": "missing"}


def install_error_handlers(app: FastAPI) -> None:
    """Turn every error that the app raises into a problem, in place of the framework's responses."""
    app.add_exception_handler(RenewcastError, _handle_renewcast_error)
    app.add_exception_handler(RequestValidationError, _handle_validation_error)
    app.add_exception_handler(HTTPException, _handle_http_error)


def http_problem_response(
    headers: Mapping[str, str],
    status: int,
    more: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
) -> Response:
    """Return the problem response for an HTTP error.

    Parameters
    ----------
    headers : of the request.
    more : headers to add to the response.
    params : the query parameters of the request, some of which the links of a page carry.
    """
    code, title = HTTP_PROBLEMS.get(status, ("refused", HTTPStatus(status).phrase))
    return problem_response(headers, ProblemType(status, code, title), title, headers_out=more, params=params)


def renewcast_problem_response(request: Request, error: RenewcastError) -> Response:
    """Return the problem response for one of our own errors.

    Parameters
    ----------
    request : the request.
    error : the error.

    Returns
    -------
    Response
    """
    body = problem_body(error, request.app.state.home, request.app.state.settings)
    # Only a person sees which accounts may be meant: a program uses ids.
    candidates = error.candidates if isinstance(error, UnknownAccount) else ()
    return _response(request.headers, body, candidates=candidates, params=request.query_params)


def problem_body(error: RenewcastError, home: Home, settings: ServiceSettings) -> dict[str, Any]:
    """Return the body of the problem for one of our own errors.

    It has the present state of the intervention if others have changed it.
    """
    kind = next(PROBLEM_TYPES[parent] for parent in type(error).__mro__ if parent in PROBLEM_TYPES)
    sentences = [error.found]
    sentences += [f"Expected: {error.expected}"] if error.expected else []
    sentences += [f"Fix: {error.cure}"] if error.cure else []
    # The caller does not need to know the path of the home on this machine.
    detail = ". ".join(sentences).replace(str(home.root), "RENEWCAST_HOME")
    faults = error.faults if isinstance(error, InvalidBody) else ()
    later = kind.status == 503 or isinstance(error, StillRunning)
    wait = settings.retry_after if later else None
    if isinstance(error, TooManyRequests):
        wait = error.wait
    body = _body(kind, detail, faults, retry_after=wait)
    return body | {"current": dict(error.current)} if isinstance(error, InterventionConflict) else body


def unexpected_problem_body() -> dict[str, Any]:
    """Return the body of the problem for an unexpected error."""
    code, title = HTTP_PROBLEMS[500]
    return _body(ProblemType(500, code, title), title)


def problem_response(
    headers: Mapping[str, str],
    kind: ProblemType,
    detail: str,
    faults: Sequence[Fault] = (),
    *,
    headers_out: Mapping[str, str] | None = None,
    instance: str | None = None,
    retry_after: int | None = None,
    params: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem response.

    Parameters
    ----------
    headers : of the request.
    headers_out : headers to add to the response.
    params : the query parameters of the request, some of which the links of a page carry.
    """
    body = _body(kind, detail, faults, retry_after=retry_after, instance=instance)
    return _response(headers, body, headers_out, params=params)


def _body(
    kind: ProblemType,
    detail: str,
    faults: Sequence[Fault] = (),
    *,
    retry_after: int | None = None,
    instance: str | None = None,
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": f"urn:renewcast:problem:{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "instance": instance or new_instance(),
        "code": kind.code,
        "errors": [asdict(fault) for fault in faults[:FAULTS_SHOWN]],
    }
    if len(faults) > FAULTS_SHOWN:
        body["more_errors"] = len(faults) - FAULTS_SHOWN
    if retry_after is not None:
        body["retry_after"] = retry_after
    return body


def _response(
    headers: Mapping[str, str],
    body: Mapping[str, Any],
    headers_out: Mapping[str, str] | None = None,
    candidates: Sequence[AccountCandidate] = (),
    params: Mapping[str, str] | None = None,
) -> Response:
    out = dict(headers_out or {})
    if body["status"] == 401:
        out["WWW-Authenticate"] = "Bearer"
    if "retry_after" in body:
        # Also in the body, since some callers cannot read headers.
        out["Retry-After"] = str(body["retry_after"])
    if wants_page(headers):
        return problem_page(body, out, candidates, params)
    content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    return Response(content, body["status"], out, media_type=problem_media_type(headers.get("accept")))


def new_instance() -> str:
    """Return a unique name of one occurrence of a problem, by which the log can be searched."""
    return f"urn:uuid:{uuid.uuid4()}"


def validation_faults(errors: Sequence[Mapping[str, Any]]) -> list[Fault]:
    """Return pydantic's errors as faults, without the values that were sent."""
    faults = []
    for error in errors:
        pointer = json_pointer(error["loc"], declared=error["type"] != "extra_forbidden")
        faults.append(Fault(pointer, FAULT_CODES.get(error["type"], error["type"]), _detail(error)))
    return faults


def json_pointer(place: Sequence[str | int], declared: bool = False) -> str:
    """Return the JSON pointer of a place such as ("body", "signals", "usage", 3, "minutes").

    It ends before the first name that is not part of the contract.

    Parameters
    ----------
    place : where the fault is.
    declared : whether a parameter of the address or of a header at this place is one that the route has.
    """
    tables = current_tables()
    names = {*POINTER_NAMES, *tables, *(name for table in tables.values() for name in table.names)}
    where, *parts = place
    out = "" if where == "body" else f"/{where}"
    for position, part in enumerate(parts):
        own = declared and where != "body" and position == 0
        if isinstance(part, str) and part not in names and not own:
            break
        out += f"/{part}"
    return out


def _detail(error: Mapping[str, Any]) -> str:
    return "unknown field; see /openapi.json" if error["type"] == "extra_forbidden" else error["msg"]


async def _handle_renewcast_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RenewcastError)
    return renewcast_problem_response(request, error)


async def _handle_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    if any(each["type"] == "json_invalid" for each in errors):
        return http_problem_response(request.headers, 400)
    kind = PROBLEM_TYPES[BadRequest]
    found = f"the request has {count_of(len(errors), 'error')}"
    return problem_response(request.headers, kind, found, validation_faults(errors), params=request.query_params)


async def _handle_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    more = dict(error.headers or {})
    if error.status_code == 405:
        # Starlette lists only the methods of the first of several operations at an address.
        more["Allow"] = ", ".join(sorted(_methods(request))) or more.get("Allow", "")
    return http_problem_response(request.headers, error.status_code, more, request.query_params)


def _methods(request: Request) -> set[str]:
    paths: dict[str, dict[str, object]] = request.app.openapi()["paths"]
    path = request.scope["path"]
    return {
        method.upper()
        for template, operations in paths.items()
        if compile_path(template)[0].match(path)
        for method in operations
    }
