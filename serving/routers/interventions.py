"""Routes to record interventions, outcomes and snoozes."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from features.errors import UnknownSnapshot
from models.predictions.payload import account_row
from models.predictions.schema import ResponseModel
from serving.common.errors import Fault, InvalidBody
from serving.http.authentication import Caller, current_caller, require_scope
from serving.http.dependencies import BODY_PROBLEMS, JSON_ONLY, NO_ACCOUNT, LiveStateDep, StoreDep, problem_responses
from serving.http.idempotency import IDEMPOTENT, request_name
from serving.schemas.base import RequestModel
from serving.schemas.signal_rows import Day, FiniteNumber, Id, Instant, Text
from serving.snapshots.live_state import LiveStateManager
from serving.store import records
from serving.store.database import Store

router = APIRouter(tags=["records"], dependencies=[require_scope("write")])
_PROBLEMS = BODY_PROBLEMS | {
    "s422": "The body is invalid; `errors` lists the places.",
    "s503": "The store cannot be reached; retry after the time in Retry-After.",
}
CurrentCaller = Annotated[Caller, Depends(current_caller)]


class _Recorded(RequestModel):
    account_id: Id
    occurred_at: Instant = Field(description="The time at which it happened. It must not be in the future.")
    prediction_id: str | None = Field(None, max_length=80, description="The prediction that led to it.")
    note: Text | None = None


class InterventionRequest(_Recorded):
    """An action taken for an account."""

    play: Text | None = Field(None, description="The play that was run.", examples=["executive_change"])
    severity: Literal["low", "medium", "high"] | None = None
    held_out: bool = Field(
        False, description="The account was deliberately left without action, to measure the effect of plays."
    )
    trial: Text | None = Field(
        None, description="The trial in which the account was assigned at random, to the play or to no action."
    )
    held_out_share: FiniteNumber | None = Field(
        None, gt=0, lt=1, description="The probability with which the account was held out."
    )
    churn_probability: FiniteNumber | None = Field(
        None, ge=0, le=1, description="The churn probability at the assignment."
    )


class OutcomeRequest(_Recorded):
    """The outcome for an account."""

    result: Literal["saved", "lost", "expanded", "not_expanded"]
    intervention_id: str | None = Field(None, max_length=80)
    arr: FiniteNumber | None = Field(
        None, ge=0, description="The ARR that was saved, lost or won, in the currency of the source."
    )


#: The maximum length of a snooze: an account can change completely within a quarter.
SNOOZE_DAYS = 90


class SnoozeRequest(RequestModel):
    """A snooze: the plays of an account are hidden until a day."""

    until: Day = Field(
        description=f"The day on which the plays return: after today, and at most {SNOOZE_DAYS} days ahead."
    )
    play: Text | None = Field(None, description="The play that is snoozed.", examples=["executive_change"])
    note: Text | None = None


class StoredRecordReceipt(ResponseModel):
    """The id of a stored record."""

    id: str
    recorded_at: str


@router.post(
    "/v1/interventions",
    status_code=201,
    summary="Record an intervention",
    operation_id="recordIntervention",
    response_model=StoredRecordReceipt,
    dependencies=[JSON_ONLY, IDEMPOTENT],
    responses=problem_responses(**_PROBLEMS),
)
def record_intervention(
    request: Request, store: StoreDep, caller: CurrentCaller, body: InterventionRequest
) -> Response:
    """Stores the record as it was sent. Requests with the same Idempotency-Key are stored once."""
    return _store(request, store, caller, "intervention", body)


@router.post(
    "/v1/accounts/{account_id:path}/snoozes",
    status_code=201,
    summary="Snooze an account's plays",
    operation_id="snoozePlays",
    response_model=StoredRecordReceipt,
    dependencies=[JSON_ONLY, IDEMPOTENT],
    responses=problem_responses(**_PROBLEMS | {"s404": NO_ACCOUNT}),
)
def snooze_plays(
    request: Request,
    live: LiveStateDep,
    store: StoreDep,
    caller: CurrentCaller,
    account_id: Annotated[Id, Path()],
    body: SnoozeRequest,
) -> Response:
    """Removes the plays from the worklist and the pages immediately, until the day. A later snooze of the account
    replaces it. Requests with the same Idempotency-Key are stored once."""
    return _answer(store_snooze(live, store, caller, account_id, body, request_name(request)))


@router.post(
    "/v1/outcomes",
    status_code=201,
    summary="Record an outcome",
    operation_id="recordOutcome",
    response_model=StoredRecordReceipt,
    dependencies=[JSON_ONLY, IDEMPOTENT],
    responses=problem_responses(**_PROBLEMS),
)
def record_outcome(request: Request, store: StoreDep, caller: CurrentCaller, body: OutcomeRequest) -> Response:
    """Stores the record as it was sent. Requests with the same Idempotency-Key are stored once."""
    return _store(request, store, caller, "outcome", body)


def _store(request: Request, store: Store, caller: Caller, what: records.RecordKind, body: _Recorded) -> Response:
    _refuse_future(body.occurred_at)
    rest = body.model_dump(mode="json", exclude={"account_id", "occurred_at"}, exclude_none=True)
    with store.begin() as connection:
        record = records.store_record(
            connection, what, body.account_id, body.occurred_at, rest, caller.id, request_name(request)
        )
    return _answer(record)


def store_snooze(
    live: LiveStateManager, store: Store, caller: Caller, account_id: str, body: SnoozeRequest, name: str | None = None
) -> records.StoredRecord:
    """Store a snooze of an account's plays. Snoozes with the same ``name`` are stored once.

    Raises
    ------
    UnknownAccount : the account is not in the latest snapshot.
    InvalidBody : ``until`` is today or before, or too far ahead.
    StoreDown : the store cannot be reached.
    """
    _refuse_day(body.until)
    with suppress(UnknownSnapshot):
        account_row(live.current().scored(None).assessment, account_id)
    rest = body.model_dump(mode="json", exclude_none=True)
    with store.begin() as connection:
        return records.store_record(connection, "snooze", account_id, datetime.now(UTC), rest, caller.id, name)


def _answer(record: records.StoredRecord) -> JSONResponse:
    return JSONResponse({"id": record.id, "recorded_at": record.recorded_at.isoformat().replace("+00:00", "Z")}, 201)


def _refuse_day(until: date) -> None:
    today = datetime.now(UTC).date()
    last = today + timedelta(days=SNOOZE_DAYS)
    if not today < until <= last:
        expected = f"a day after {today.isoformat()} (today, UTC) and up to {last.isoformat()}"
        code = "not_in_the_future" if until <= today else "too_far_ahead"
        raise InvalidBody("the plays cannot be snoozed until that day", [Fault("/until", code, expected)], expected)


def _refuse_future(at: datetime) -> None:
    if at > datetime.now(UTC):
        fault = Fault("/occurred_at", "in_the_future", "an instant in the past")
        raise InvalidBody("the record is dated in the future", [fault], "an instant in the past")
