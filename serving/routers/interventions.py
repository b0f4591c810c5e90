"""Routes to record interventions, outcomes and snoozes, to change interventions, and for their results."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from models.predictions.schema import ResponseModel
from serving.common.errors import VersionMissing
from serving.http.authentication import Caller, current_caller, require_scope
from serving.http.dependencies import (
    BODY_PROBLEMS,
    JSON_ONLY,
    NO_ACCOUNT,
    NO_PARAMETER,
    NOT_READY,
    LiveStateDep,
    StoreDep,
    problem_responses,
)
from serving.http.idempotency import IDEMPOTENT, request_name
from serving.schemas.account_filter import AccountFilter
from serving.schemas.field_types import Id
from serving.schemas.interventions import (
    InterventionChange,
    InterventionRequest,
    OutcomeRequest,
    Person,
    SnoozeRequest,
)
from serving.schemas.query_params import MAX_LISTED, NO_MATCH, NO_SNAPSHOT, SnapshotQuery
from serving.snapshots.account_attributes import filtered_accounts, select_accounts
from serving.store.records import StoredRecord
from serving.worklist.intervention_changes import (
    change_intervention,
    record_outcome,
    snooze_plays,
    start_intervention,
)
from serving.worklist.intervention_history import Intervention, find_intervention
from serving.worklist.intervention_lists import list_interventions
from serving.worklist.intervention_schemas import InterventionPage, InterventionResponse, InterventionResults
from serving.worklist.published_worklist import published_results

router = APIRouter(tags=["records"])
WRITE, READ = require_scope("write"), require_scope("predict")
_PROBLEMS = BODY_PROBLEMS | {
    "s422": "The body is invalid; `errors` lists the places.",
    "s503": "The store cannot be reached; retry after the time in Retry-After.",
}
_NO_INTERVENTION = "No intervention with this id was recorded."
_ETAG = {"headers": {"ETag": {"description": "The version of the intervention.", "schema": {"type": "string"}}}}
CurrentCaller = Annotated[Caller, Depends(current_caller)]
InterventionId = Annotated[str, Path(max_length=40, pattern="^int_[0-9a-zA-Z]+$")]


class StoredRecordReceipt(ResponseModel):
    """The id of a stored record."""

    id: str
    recorded_at: str


class InterventionsQuery(AccountFilter):
    """Filters of recorded interventions. The latest snapshot decides which accounts a filter selects."""

    account_id: Id | None = Field(None, description="Only those of this account.")
    state: Literal["open", "snoozed", "closed", "held_out"] | None = Field(
        None, description="Only those in this state today."
    )
    assignee: Person | None = Field(None, description="Only those of this person.")
    limit: int = Field(100, ge=1, le=MAX_LISTED, strict=False, description="The maximum number of interventions.")


class InterventionResultsQuery(SnapshotQuery, AccountFilter):
    """The snapshot, and the filter of accounts."""


@router.post(
    "/v1/interventions",
    status_code=201,
    summary="Record an intervention",
    operation_id="recordIntervention",
    response_model=StoredRecordReceipt,
    dependencies=[WRITE, JSON_ONLY, IDEMPOTENT],
    responses=problem_responses(
        **_PROBLEMS
        | {
            "s409": "An intervention of the account is under way, and `refuse_if_under_way` is true; or the first "
            "request with the Idempotency-Key is still running."
        }
    )
    | {201: _ETAG},
)
def post_intervention(
    request: Request, live: LiveStateDep, store: StoreDep, caller: CurrentCaller, body: InterventionRequest
) -> Response:
    """Stores the record as it was sent. Requests with the same Idempotency-Key are stored once."""
    intervention = start_intervention(store, caller.author, body, live.current(), request_name(request))
    return _receipt(intervention.record, {"ETag": _etag(intervention)})


@router.get(
    "/v1/interventions",
    summary="List recorded interventions",
    operation_id="listInterventions",
    response_model=InterventionPage,
    dependencies=[READ],
    responses=problem_responses(s422=NO_MATCH, s503=NOT_READY),
)
def get_interventions(live: LiveStateDep, store: StoreDep, query: Annotated[InterventionsQuery, Query()]) -> Response:
    """Returns interventions with their history, those that began last first. Interventions in the signals are not
    among them. The latest snapshot decides which accounts a filter selects."""
    filters = (query.account_id, query.state, query.assignee, query.limit, filtered_accounts(live, query))
    with store.read() as connection:
        return JSONResponse(list_interventions(connection, *filters))


@router.get(
    "/v1/interventions:results",
    summary="Get the results of interventions",
    operation_id="getInterventionResults",
    response_model=InterventionResults,
    dependencies=[READ],
    responses=problem_responses(s404=NO_SNAPSHOT, s422=NO_MATCH, s503=NOT_READY),
)
def get_intervention_results(
    live: LiveStateDep, store: StoreDep, query: Annotated[InterventionResultsQuery, Query()]
) -> Response:
    """Returns, from how people closed interventions, the plain save rate of each play and the precision of each alert
    rule, with counts and intervals, and the time from alerts to the first response. Interventions in the signals count
    as well."""
    scored = live.current().scored(query.as_of)
    return JSONResponse(published_results(scored, store, select_accounts(scored, query, strict=True)))


@router.get(
    "/v1/interventions/{intervention_id}",
    summary="Get an intervention",
    operation_id="getIntervention",
    response_model=InterventionResponse,
    dependencies=[READ],
    responses=problem_responses(s404=_NO_INTERVENTION, s422=NO_PARAMETER, s503=_PROBLEMS["s503"]) | {200: _ETAG},
)
def get_intervention(store: StoreDep, intervention_id: InterventionId) -> Response:
    """Returns the intervention with its history. The ETag is its version, for If-Match."""
    with store.read() as connection:
        return _intervention(find_intervention(connection, intervention_id))


@router.patch(
    "/v1/interventions/{intervention_id}",
    summary="Change an intervention",
    operation_id="changeIntervention",
    response_model=InterventionResponse,
    dependencies=[WRITE, JSON_ONLY],
    responses=problem_responses(
        **{name: words for name, words in _PROBLEMS.items() if name != "s409"},
        s404=_NO_INTERVENTION,
        s412="Someone else has changed the intervention; `current` is its present state. Nothing was stored.",
        s428="There is no If-Match header.",
    )
    | {200: _ETAG},
)
def patch_intervention(
    store: StoreDep,
    caller: CurrentCaller,
    intervention_id: InterventionId,
    body: InterventionChange,
    if_match: Annotated[
        str | None,
        Header(
            pattern=r'^"[1-9][0-9]{0,8}"$', description="The ETag of the version that the change is based on. Required."
        ),
    ] = None,
) -> Response:
    """Assigns, snoozes or closes an intervention, or adds a note. The change is stored only if no one else has changed
    the intervention since the version in If-Match."""
    if if_match is None:
        raise VersionMissing(
            "the request has no If-Match header", "If-Match with the ETag of the intervention", "read it with GET first"
        )
    version = int(if_match.strip('"'))
    return _intervention(change_intervention(store, caller.author, intervention_id, body, version))


@router.post(
    "/v1/accounts/{account_id:path}/snoozes",
    status_code=201,
    summary="Snooze an account's plays",
    operation_id="snoozePlays",
    response_model=StoredRecordReceipt,
    dependencies=[WRITE, JSON_ONLY, IDEMPOTENT],
    responses=problem_responses(**_PROBLEMS | {"s404": NO_ACCOUNT}),
)
def post_snooze(
    request: Request,
    live: LiveStateDep,
    store: StoreDep,
    caller: CurrentCaller,
    account_id: Annotated[Id, Path()],
    body: SnoozeRequest,
) -> Response:
    """Removes the plays from the worklist and the pages immediately, until the day. A later snooze of the account
    replaces it. Requests with the same Idempotency-Key are stored once."""
    return _receipt(snooze_plays(live, store, caller.author, account_id, body, request_name(request)))


@router.post(
    "/v1/outcomes",
    status_code=201,
    summary="Record an outcome",
    operation_id="recordOutcome",
    response_model=StoredRecordReceipt,
    dependencies=[WRITE, JSON_ONLY, IDEMPOTENT],
    responses=problem_responses(**_PROBLEMS),
)
def post_outcome(request: Request, store: StoreDep, caller: CurrentCaller, body: OutcomeRequest) -> Response:
    """Stores the record as it was sent. `saved`, `lost` and `no_effect` close the intervention in `intervention_id`, or
    else the latest open one of the account. Requests with the same Idempotency-Key are stored once."""
    return _receipt(record_outcome(store, caller.author, body, request_name(request)))


def _receipt(record: StoredRecord, headers: dict[str, str] | None = None) -> JSONResponse:
    content = {"id": record.id, "recorded_at": record.recorded_at.isoformat().replace("+00:00", "Z")}
    return JSONResponse(content, 201, headers)


def _intervention(intervention: Intervention) -> JSONResponse:
    content: dict[str, Any] = intervention.as_dict()
    return JSONResponse(content, headers={"ETag": _etag(intervention)})


def _etag(intervention: Intervention) -> str:
    return f'"{intervention.version}"'
