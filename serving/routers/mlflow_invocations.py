"""MLflow's scoring protocol, so that what calls a scoring server of MLflow's can call this service instead."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse, Response

from serving.http.authentication import needs
from serving.http.dependencies import JSON_ONLY, NOT_READY, OF_A_BODY, TheKeeper, TheSettings, TheWorkers, problems_of
from serving.http.idempotency import ONCE
from serving.schemas import predictions
from serving.scoring.mlflow_protocol import Invocation, Invoke, Invoked, WhichTarget, bundle_for

router = APIRouter(tags=["mlflow"])


@router.get("/ping", summary="Whether there is a model", operation_id="ping", responses=problems_of(s503=NOT_READY))
@router.get("/health", summary="The same as /ping", operation_id="health", responses=problems_of(s503=NOT_READY))
def ping(keeper: TheKeeper) -> predictions.Alive:
    """Answers if /invocations can."""
    bundle_for(keeper.standing())
    return predictions.Alive(status="alive")


@router.get("/version", summary="The version of Renewcast", operation_id="version", response_class=PlainTextResponse)
async def version(request: Request) -> str:
    """As text, where a scoring server of MLflow's answers its own version."""
    told: str = request.app.version
    return told


@router.post(
    "/invocations",
    summary="Probabilities for rows of features",
    operation_id="invocations",
    response_model=Invoked,
    dependencies=[JSON_ONLY, needs("predict"), ONCE],
    responses=problems_of(
        **OF_A_BODY,
        s422="The rows cannot be used; errors say where.",
        s503="Not ready, no model for the target, busy or too slow; Retry-After says when to try again.",
    ),
)
async def invocations(
    keeper: TheKeeper,
    workers: TheWorkers,
    settings: TheSettings,
    which: Annotated[WhichTarget, Query()],
    asked: Invocation,
) -> Response:
    """What the registered model answers to the same rows: probability, low and high. Rows are taken as they are: an
    account that is too young for a prediction is not told apart."""
    standing = await run_in_threadpool(keeper.standing)
    job = Invoke(asked, which.target, standing, rows_limit=settings.body_limit_rows)
    return JSONResponse(await workers.run(job, job))
