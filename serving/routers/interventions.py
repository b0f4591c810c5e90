"""What people did about an account, what became of it, and until when its plays are put off."""

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
_SAID = BODY_PROBLEMS | {
    "s422": "The body cannot be used; errors say where.",
    "s503": "The store cannot be reached; Retry-After says when to try again.",
}
CurrentCaller = Annotated[Caller, Depends(current_caller)]


class _Recorded(RequestModel):
    account_id: Id
    occurred_at: Instant = Field(description="When it happened; not in the future.")
    prediction_id: str | None = Field(None, max_length=80, description="The prediction that it followed from.")
    note: Text | None = None


class InterventionRequest(_Recorded):
    """Something that was done about an account."""

    play: Text | None = Field(None, description="What was done.", examples=["executive_change"])
    severity: Literal["low", "medium", "high"] | None = None
    held_out: bool = Field(False, description="Nothing was done, on purpose, to tell what plays achieve.")


class OutcomeRequest(_Recorded):
    """What became of an account."""

    result: Literal["saved", "lost", "expanded", "not_expanded"]
    intervention_id: str | None = Field(None, max_length=80)
    arr: FiniteNumber | None = Field(
        None, ge=0, description="That was saved, lost or won, a year, in the source's currency."
    )


#: A play can be put off for so many days at most: after a quarter an account is another one.
SNOOZE_DAYS = 90


class SnoozeRequest(RequestModel):
    """That the plays of an account wait until a day."""

    until: Day = Field(description=f"The day on which they are back; after today, at most {SNOOZE_DAYS} days ahead.")
    play: Text | None = Field(None, description="The play that is put off.", examples=["executive_change"])
    note: Text | None = None


class StoredRecordReceipt(ResponseModel):
    """That it was kept."""

    id: str
    recorded_at: str


@router.post(
    "/v1/interventions",
    status_code=201,
    summary="Record what was done about an account",
    operation_id="recordIntervention",
    response_model=StoredRecordReceipt,
    dependencies=[JSON_ONLY, IDEMPOTENT],
    responses=problem_responses(**_SAID),
)
def record_intervention(
    request: Request, store: StoreDep, caller: CurrentCaller, told: InterventionRequest
) -> Response:
    """Kept as it was told. With an Idempotency-Key, once however often it is sent."""
    return _kept(request, store, caller, "intervention", told)


@router.post(
    "/v1/accounts/{account_id:path}/snoozes",
    status_code=201,
    summary="Put an account's plays off until a day",
    operation_id="snoozePlays",
    response_model=StoredRecordReceipt,
    dependencies=[JSON_ONLY, IDEMPOTENT],
    responses=problem_responses(**_SAID | {"s404": NO_ACCOUNT}),
)
def snooze_plays(
    request: Request,
    live: LiveStateDep,
    store: StoreDep,
    caller: CurrentCaller,
    account_id: Annotated[Id, Path()],
    told: SnoozeRequest,
) -> Response:
    """They are off the worklist and the pages at once, and back on the day. Another snooze of the account replaces it.
    With an Idempotency-Key, once however often it is sent."""
    return _answer(store_snooze(live, store, caller, account_id, told, request_name(request)))


@router.post(
    "/v1/outcomes",
    status_code=201,
    summary="Record what became of an account",
    operation_id="recordOutcome",
    response_model=StoredRecordReceipt,
    dependencies=[JSON_ONLY, IDEMPOTENT],
    responses=problem_responses(**_SAID),
)
def record_outcome(request: Request, store: StoreDep, caller: CurrentCaller, told: OutcomeRequest) -> Response:
    """Kept as it was told. With an Idempotency-Key, once however often it is sent."""
    return _kept(request, store, caller, "outcome", told)


def _kept(request: Request, store: Store, caller: Caller, what: records.RecordKind, told: _Recorded) -> Response:
    _refuse_future(told.occurred_at)
    rest = told.model_dump(mode="json", exclude={"account_id", "occurred_at"}, exclude_none=True)
    with store.begin() as connection:
        kept = records.store_record(
            connection, what, told.account_id, told.occurred_at, rest, caller.id, request_name(request)
        )
    return _answer(kept)


def store_snooze(
    live: LiveStateManager, store: Store, caller: Caller, account_id: str, told: SnoozeRequest, name: str | None = None
) -> records.StoredRecord:
    """Keep that an account's plays are put off; one of the same ``name`` once.

    Raises
    ------
    UnknownAccount : the latest snapshot does not hold it.
    InvalidBody : ``until`` is today or before, or too far ahead.
    StoreDown : the store cannot be reached.
    """
    _refuse_day(told.until)
    with suppress(UnknownSnapshot):
        account_row(live.current().scored(None).assessment, account_id)
    rest = told.model_dump(mode="json", exclude_none=True)
    with store.begin() as connection:
        return records.store_record(connection, "snooze", account_id, datetime.now(UTC), rest, caller.id, name)


def _answer(kept: records.StoredRecord) -> JSONResponse:
    return JSONResponse({"id": kept.id, "recorded_at": kept.recorded_at.isoformat().replace("+00:00", "Z")}, 201)


def _refuse_day(until: date) -> None:
    today = datetime.now(UTC).date()
    last = today + timedelta(days=SNOOZE_DAYS)
    if not today < until <= last:
        expected = f"a day after {today.isoformat()} (today, UTC) and up to {last.isoformat()}"
        code = "not_in_the_future" if until <= today else "too_far_ahead"
        raise InvalidBody("the plays cannot be put off until that day", [Fault("/until", code, expected)], expected)


def _refuse_future(at: datetime) -> None:
    if at > datetime.now(UTC):
        fault = Fault("/occurred_at", "in_the_future", "an instant that has passed")
        raise InvalidBody("what is recorded has not happened yet", [fault], "an instant that has passed")
