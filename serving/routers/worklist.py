"""Routes for the worklist."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import JSONResponse, Response

from serving.http.authentication import require_scope
from serving.http.dependencies import NOT_READY, LiveStateDep, StoreDep, problem_responses
from serving.schemas.account_filter import AccountFilter
from serving.schemas.query_params import MAX_LISTED, NO_MATCH, NO_SNAPSHOT, SnapshotQuery
from serving.snapshots.account_attributes import select_accounts
from serving.worklist.published_worklist import published_worklist
from serving.worklist.schemas import WorklistResponse

router = APIRouter(tags=["portfolio"], dependencies=[require_scope("predict")])


class WorklistQuery(SnapshotQuery, AccountFilter):
    """The capacity of the team, and the filter of accounts."""

    capacity: int = Field(
        20, ge=0, le=MAX_LISTED, strict=False, description="The number of accounts that the team can work on."
    )
    save_rate: float | None = Field(
        None,
        ge=0,
        le=1,
        strict=False,
        allow_inf_nan=False,
        description="The assumed share of churning accounts that a play saves. A measured rate takes precedence.",
    )


@router.get(
    "/v1/worklist",
    summary="Get this week's priorities",
    operation_id="getWorklist",
    response_model=WorklistResponse,
    responses=problem_responses(
        s404=NO_SNAPSHOT,
        s422=NO_MATCH,
        s503=NOT_READY,
    ),
)
def get_worklist(live: LiveStateDep, store: StoreDep, query: Annotated[WorklistQuery, Query()]) -> Response:
    """Returns the accounts for which a play is worth most by ARR at risk, with what to do, who does it and by when; the
    accounts that are too late, snoozed or already in an intervention; the ARR at risk covered, compared with an order
    by health score and a random order; and the results of interventions, including those recorded with
    /v1/interventions and /v1/outcomes."""
    scored = live.current().scored(query.as_of)
    selection = select_accounts(scored, query, strict=True)
    return JSONResponse(published_worklist(scored, store, query.capacity, selection, query.save_rate))
