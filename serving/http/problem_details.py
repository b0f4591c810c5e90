"""Errors as callers see them: RFC 9457 problems that say what is wrong and where, and never what was sent."""

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

from features.contract.schema import TABLES
from features.errors import (
    BadRequest,
    BundleError,
    HomeError,
    InsufficientData,
    RenewcastError,
    SignalsError,
    UnknownAccount,
    UnknownSnapshot,
)
from models.home import Home
from models.peer_groups.rule_files import RulesError
from models.reviews.review_store import UnknownReview
from models.reviews.sign_off import AlreadyDecided, ReviewChanged, SameSigner
from serving.common.browser_requests import wants_page
from serving.common.content_negotiation import problem_media_type
from serving.common.errors import (
    Busy,
    Fault,
    Forbidden,
    IdempotencyKeyReused,
    InvalidBody,
    NotReady,
    StillRunning,
    StoreDown,
    TooManyRequests,
    TooSlow,
    Unauthorized,
    UnknownId,
)
from serving.common.settings import ServiceSettings
from serving.html.error_page import problem_page

#: More faults than this are counted and not listed.
FAULTS_SHOWN = 20


@dataclass(frozen=True)
class ProblemType:
    """How one class of errors is told: its HTTP status, a code for programs, and a title that never changes."""

    status: int
    code: str
    title: str


#: Every error that a person can mend, and its status; a class that is not here is told as the one it derives from.
PROBLEM_TYPES: Mapping[type[RenewcastError], ProblemType] = {
    UnknownAccount: ProblemType(404, "unknown_account", "The snapshot does not hold this account"),
    UnknownSnapshot: ProblemType(404, "unknown_snapshot", "No snapshot was scored at this date"),
    UnknownReview: ProblemType(404, "unknown_review", "There is no such review"),
    AlreadyDecided: ProblemType(409, "already_decided", "The review was decided before"),
    ReviewChanged: ProblemType(409, "changed_since_review", "RecordKind was reviewed has changed since"),
    SameSigner: ProblemType(409, "same_person", "Two different people have to sign"),
    BadRequest: ProblemType(422, "invalid_request", "The request cannot be used"),
    SignalsError: ProblemType(422, "invalid_signals", "The signals break the data contract"),
    InsufficientData: ProblemType(422, "insufficient_data", "There is too little data"),
    BundleError: ProblemType(503, "no_sound_model", "The model cannot be used"),
    RulesError: ProblemType(503, "no_sound_rules", "The rules cannot be used"),
    HomeError: ProblemType(503, "home_unavailable", "RecordKind was stored cannot be used"),
    NotReady: ProblemType(503, "not_ready", "The service is not ready"),
    StoreDown: ProblemType(503, "store_unavailable", "The store cannot be reached"),
    Unauthorized: ProblemType(401, "unauthorized", "The caller is not known"),
    Forbidden: ProblemType(403, "forbidden", "The caller may not do this"),
    UnknownId: ProblemType(404, "unknown", "There is nothing of this id"),
    StillRunning: ProblemType(409, "still_running", "A request of this IdempotencyMiddleware-ApiKey is still running"),
    IdempotencyKeyReused: ProblemType(
        422, "idempotency_key_reused", "The IdempotencyMiddleware-ApiKey was used for another request"
    ),
    TooManyRequests: ProblemType(429, "too_many_requests", "More requests than the caller may make"),
    Busy: ProblemType(503, "busy", "The service is busy"),
    TooSlow: ProblemType(503, "too_slow", "The request took too long"),
    RenewcastError: ProblemType(500, "failed", "The request failed"),
}

#: Errors of HTTP itself.
HTTP_PROBLEMS: Mapping[int, tuple[str, str]] = {
    400: ("not_json", "The body is not JSON that can be read"),
    404: ("unknown_route", "There is nothing at this address; /openapi.json lists what there is"),
    405: ("unknown_method", "This address does not know the method; the Allow header lists those that it knows"),
    408: ("body_too_slow", "The body did not arrive in time"),
    413: ("body_too_large", "The body is larger than the service takes"),
    415: ("unknown_media_type", "The body must be JSON, with Content-Type: application/json"),
    500: ("unexpected", "Something unexpected went wrong; the log holds the instance given here"),
}

#: The names that a pointer may hold.
POINTER_NAMES = frozenset(
    {
        *("account_id", "as_of", "signals", "history_from", "view", "prefix", "items", "target", "params"),
        *("prediction_id", "note", "severity", "intervention_id", "until"),
        *("author", "reviewer", "owner", "effective", "reject", "why", "review_id"),
        "Idempotency-Key",
        *("dataframe_split", "dataframe_records", "instances", "inputs", "columns", "data"),
        *TABLES,
        *(name for table in TABLES.values() for name in table.names),
    }
)

#: What pydantic calls some faults, in our words.
FAULT_CODES: Mapping[str, str] = {"extra_forbidden": "unknown_field", "missing": "missing"}


def install_error_handlers(app: FastAPI) -> None:
    """Make every error that the app raises a problem, in place of the framework's own answers."""
    app.add_exception_handler(RenewcastError, _handle_renewcast_error)
    app.add_exception_handler(RequestValidationError, _handle_validation_error)
    app.add_exception_handler(HTTPException, _handle_http_error)


def http_problem_response(headers: Mapping[str, str], status: int, more: Mapping[str, str] | None = None) -> Response:
    """The problem for an error of HTTP itself. ``headers`` are the request's, ``more`` go into the answer."""
    code, title = HTTP_PROBLEMS.get(status, ("refused", HTTPStatus(status).phrase))
    return problem_response(headers, ProblemType(status, code, title), title, headers_out=more)


def renewcast_problem_response(request: Request, error: RenewcastError) -> Response:
    """The problem for one of our own errors, as a response."""
    return _response(request.headers, problem_body(error, request.app.state.home, request.app.state.settings))


def problem_body(error: RenewcastError, home: Home, settings: ServiceSettings) -> dict[str, Any]:
    """The problem for one of our own errors, as the body has it."""
    kind = next(PROBLEM_TYPES[parent] for parent in type(error).__mro__ if parent in PROBLEM_TYPES)
    told = [error.found]
    told += [f"Expected: {error.expected}"] if error.expected else []
    told += [f"Fix: {error.cure}"] if error.cure else []
    # Where the home lies on this machine is not the caller's business.
    detail = ". ".join(told).replace(str(home.root), "RENEWCAST_HOME")
    faults = error.faults if isinstance(error, InvalidBody) else ()
    later = kind.status == 503 or isinstance(error, StillRunning)
    wait = settings.retry_after if later else None
    if isinstance(error, TooManyRequests):
        wait = error.wait
    return _body(kind, detail, faults, retry_after=wait)


def unexpected_problem_body() -> dict[str, Any]:
    """The problem for what nobody expected, as the body has it."""
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
) -> Response:
    """A problem as a response. ``headers`` are the request's, ``headers_out`` go into the answer."""
    return _response(headers, _body(kind, detail, faults, retry_after=retry_after, instance=instance), headers_out)


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
    headers: Mapping[str, str], body: Mapping[str, Any], headers_out: Mapping[str, str] | None = None
) -> Response:
    out = dict(headers_out or {})
    if body["status"] == 401:
        out["WWW-Authenticate"] = "Bearer"
    if "retry_after" in body:
        # In the body too, since some callers see no headers.
        out["Retry-After"] = str(body["retry_after"])
    if wants_page(headers):
        return problem_page(body, out)
    content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    return Response(content, body["status"], out, media_type=problem_media_type(headers.get("accept")))


def new_instance() -> str:
    """A name for one occurrence of a problem, to find it in the log."""
    return f"urn:uuid:{uuid.uuid4()}"


def validation_faults(errors: Sequence[Mapping[str, Any]]) -> list[Fault]:
    """Pydantic's findings as faults, without what was sent."""
    return [Fault(json_pointer(e["loc"]), FAULT_CODES.get(e["type"], e["type"]), _detail(e)) for e in errors]


def json_pointer(place: Sequence[str | int]) -> str:
    """A JSON pointer from a place such as ("body", "signals", "usage", 3, "minutes"); it ends where a name begins that
    is not of the contract."""
    where, *parts = place
    out = "" if where == "body" else f"/{where}"
    for part in parts:
        if isinstance(part, str) and part not in POINTER_NAMES:
            break
        out += f"/{part}"
    return out


def _detail(error: Mapping[str, Any]) -> str:
    return "a field that is not known here; see /openapi.json" if error["type"] == "extra_forbidden" else error["msg"]


async def _handle_renewcast_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RenewcastError)
    return renewcast_problem_response(request, error)


async def _handle_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    if any(each["type"] == "json_invalid" for each in errors):
        return http_problem_response(request.headers, 400)
    kind = PROBLEM_TYPES[BadRequest]
    noun = "place" if len(errors) == 1 else "places"
    return problem_response(
        request.headers, kind, f"the request is wrong at {len(errors)} {noun}", validation_faults(errors)
    )


async def _handle_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    more = dict(error.headers or {})
    if error.status_code == 405:
        # Starlette names the methods of the first of several operations at an address only.
        more["Allow"] = ", ".join(sorted(_methods(request))) or more.get("Allow", "")
    return http_problem_response(request.headers, error.status_code, more)


def _methods(request: Request) -> set[str]:
    known: dict[str, dict[str, object]] = request.app.openapi()["paths"]
    path = request.scope["path"]
    return {
        method.upper()
        for template, operations in known.items()
        if compile_path(template)[0].match(path)
        for method in operations
    }
