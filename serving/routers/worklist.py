"""Whom to work, given what the team can do."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import JSONResponse, Response

from serving.http.authentication import require_scope
from serving.http.dependencies import NOT_READY, LiveStateDep, StoreDep, problem_responses
from serving.schemas import predictions
from serving.schemas.query_params import MAX_LISTED, NO_SNAPSHOT, Csm
from serving.worklist.published_worklist import published_worklist
from serving.worklist.schemas import Worklist

router = APIRouter(tags=["portfolio"], dependencies=[require_scope("predict")])


class WorklistQuery(predictions.SnapshotQuery):
    """How much can be done, and by whom."""

    capacity: int = Field(20, ge=0, le=MAX_LISTED, strict=False, description="Accounts that the team can work.")
    csm: Csm | None = Field(None, description="This CSM's accounts only.")
    save_rate: float | None = Field(
        None,
        ge=0,
        le=1,
        strict=False,
        allow_inf_nan=False,
        description="The share of those that would leave which a play is assumed to keep, until it can be measured.",
    )


@router.get(
    "/v1/worklist",
    summary="Whom to work this week",
    operation_id="getWorklist",
    response_model=Worklist,
    responses=problem_responses(
        s404=NO_SNAPSHOT,
        s422="A parameter cannot be used, or no account has this CSM.",
        s503=NOT_READY,
    ),
)
def get_worklist(live: LiveStateDep, store: StoreDep, asked: Annotated[WorklistQuery, Query()]) -> Response:
    """The accounts whose ARR at risk is most worth a play, what to do, by whom and by when; who is too late, snoozed or
    in an intervention already; what that reaches beside working by health score or at random; and what interventions
    have come to, those recorded at /v1/interventions and /v1/outcomes included."""
    scored = live.current().scored(asked.as_of)
    return JSONResponse(published_worklist(scored, store, asked.capacity, asked.csm, asked.save_rate))
