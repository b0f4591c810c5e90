"""What people did about an account, and what became of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from serving.asked import JSON_ONLY, OF_A_BODY, TheStore, problems_of
from serving.door import Caller, caller_of, needs
from serving.idempotency import ONCE, name_of
from serving.problems import Fault, InvalidBody
from serving.rows import Id, Instant, Number, Text
from serving.shapes import Answer, Asked
from serving.store import records
from serving.store.database import Store

router = APIRouter(tags=["records"], dependencies=[needs("write")])
_SAID = OF_A_BODY | {
    "s422": "The body cannot be used; errors say where.",
    "s503": "The store cannot be reached; Retry-After says when to try again.",
}
TheCaller = Annotated[Caller, Depends(caller_of)]


class _Recorded(Asked):
    account_id: Id
    occurred_at: Instant = Field(description="When it happened; not in the future.")
    prediction_id: str | None = Field(None, max_length=80, description="The prediction that it followed from.")
    note: Text | None = None


class Intervention(_Recorded):
    """Something that was done about an account."""

    play: Text | None = Field(None, description="What was done.", examples=["executive_change"])
    severity: Literal["low", "medium", "high"] | None = None
    held_out: bool = Field(False, description="Nothing was done, on purpose, to tell what plays achieve.")


class Outcome(_Recorded):
    """What became of an account."""

    result: Literal["saved", "lost", "expanded", "not_expanded"]
    intervention_id: str | None = Field(None, max_length=80)
    arr: Number | None = Field(None, ge=0, description="That was saved, lost or won, a year, in the source's currency.")


class Kept(Answer):
    """That it was kept."""

    id: str
    recorded_at: str


@router.post(
    "/v1/interventions",
    status_code=201,
    summary="Record what was done about an account",
    operation_id="recordIntervention",
    response_model=Kept,
    dependencies=[JSON_ONLY, ONCE],
    responses=problems_of(**_SAID),
)
def record_intervention(request: Request, store: TheStore, caller: TheCaller, told: Intervention) -> Response:
    """Kept as it was told. With an Idempotency-Key, once however often it is sent."""
    return _kept(request, store, caller, "intervention", told)


@router.post(
    "/v1/outcomes",
    status_code=201,
    summary="Record what became of an account",
    operation_id="recordOutcome",
    response_model=Kept,
    dependencies=[JSON_ONLY, ONCE],
    responses=problems_of(**_SAID),
)
def record_outcome(request: Request, store: TheStore, caller: TheCaller, told: Outcome) -> Response:
    """Kept as it was told. With an Idempotency-Key, once however often it is sent."""
    return _kept(request, store, caller, "outcome", told)


def _kept(request: Request, store: Store, caller: Caller, what: records.What, told: _Recorded) -> Response:
    _refuse_future(told.occurred_at)
    rest = told.model_dump(mode="json", exclude={"account_id", "occurred_at"}, exclude_none=True)
    with store.begin() as connection:
        kept = records.keep(connection, what, told.account_id, told.occurred_at, rest, caller.id, name_of(request))
    return JSONResponse({"id": kept.id, "recorded_at": kept.recorded_at.isoformat().replace("+00:00", "Z")}, 201)


def _refuse_future(at: datetime) -> None:
    if at > datetime.now(UTC):
        fault = Fault("/occurred_at", "in_the_future", "an instant that has passed")
        raise InvalidBody("what is recorded has not happened yet", [fault], "an instant that has passed")
