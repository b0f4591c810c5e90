"""MLflow's scoring protocol, so that what calls a scoring server of MLflow's can call this service instead."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse, Response

from serving.http.authentication import require_scope
from serving.http.dependencies import (
    BODY_PROBLEMS,
    JSON_ONLY,
    NOT_READY,
    LiveStateDep,
    SettingsDep,
    ThreadPoolDep,
    problem_responses,
)
from serving.http.idempotency import IDEMPOTENT
from serving.schemas import predictions
from serving.scoring.mlflow_protocol import (
    InvocationRequest,
    InvocationResponse,
    InvocationScorer,
    TargetQuery,
    bundle_for,
)

router = APIRouter(tags=["mlflow"])


@router.get(
    "/ping", summary="Check that a model is loaded", operation_id="ping", responses=problem_responses(s503=NOT_READY)
)
@router.get(
    "/health",
    summary="Check that a model is loaded (same as /ping)",
    operation_id="health",
    responses=problem_responses(s503=NOT_READY),
)
def ping(live: LiveStateDep) -> predictions.Liveness:
    """Returns 200 if /invocations can be answered."""
    bundle_for(live.current())
    return predictions.Liveness(status="alive")


@router.get(
    "/version", summary="Get the version of Renewcast", operation_id="version", response_class=PlainTextResponse
)
async def version(request: Request) -> str:
    """Returns the version as plain text. An MLflow scoring server returns its own version here."""
    text: str = request.app.version
    return text


@router.post(
    "/invocations",
    summary="Score rows of features",
    operation_id="invocations",
    response_model=InvocationResponse,
    dependencies=[JSON_ONLY, require_scope("predict"), IDEMPOTENT],
    responses=problem_responses(
        **BODY_PROBLEMS,
        s422="The rows are invalid; `errors` lists the places.",
        s503="Not ready, no model for the target, busy or too slow; retry after the time in Retry-After.",
    ),
)
async def invocations(
    live: LiveStateDep,
    workers: ThreadPoolDep,
    settings: SettingsDep,
    query: Annotated[TargetQuery, Query()],
    body: InvocationRequest,
) -> Response:
    """Returns what the registered model returns for the same rows: probability, low and high. Rows are scored as they
    are, also those of accounts that are too young for a prediction."""
    state = await run_in_threadpool(live.current)
    job = InvocationScorer(body, query.target, state, rows_limit=settings.body_limit_rows)
    return JSONResponse(await workers.run(job, job))
