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
    "/ping", summary="Whether there is a model", operation_id="ping", responses=problem_responses(s503=NOT_READY)
)
@router.get("/health", summary="The same as /ping", operation_id="health", responses=problem_responses(s503=NOT_READY))
def ping(live: LiveStateDep) -> predictions.Liveness:
    """Answers if /invocations can."""
    bundle_for(live.current())
    return predictions.Liveness(status="alive")


@router.get("/version", summary="The version of Renewcast", operation_id="version", response_class=PlainTextResponse)
async def version(request: Request) -> str:
    """As text, where a scoring server of MLflow's answers its own version."""
    told: str = request.app.version
    return told


@router.post(
    "/invocations",
    summary="Probabilities for rows of features",
    operation_id="invocations",
    response_model=InvocationResponse,
    dependencies=[JSON_ONLY, require_scope("predict"), IDEMPOTENT],
    responses=problem_responses(
        **BODY_PROBLEMS,
        s422="The rows cannot be used; errors say where.",
        s503="Not ready, no model for the target, busy or too slow; Retry-After says when to try again.",
    ),
)
async def invocations(
    live: LiveStateDep,
    workers: ThreadPoolDep,
    settings: SettingsDep,
    which: Annotated[TargetQuery, Query()],
    asked: InvocationRequest,
) -> Response:
    """What the registered model answers to the same rows: probability, low and high. Rows are taken as they are: an
    account that is too young for a prediction is not told apart."""
    state = await run_in_threadpool(live.current)
    job = InvocationScorer(asked, which.target, state, rows_limit=settings.body_limit_rows)
    return JSONResponse(await workers.run(job, job))
