"""The resources. Handlers are thin: they find out what is asked, and hand back what others say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from models.answer import instant_words
from models.targets import TARGETS
from serving import schemas
from serving.accept import JSON, PROBLEM
from serving.keeper import Keeper
from serving.rows import Id
from serving.settings import ServiceSettings
from serving.workers import Workers

router = APIRouter()


def _keeper(request: Request) -> Keeper:
    keeper: Keeper = request.app.state.keeper
    return keeper


def _settings(request: Request) -> ServiceSettings:
    settings: ServiceSettings = request.app.state.settings
    return settings


def _workers(request: Request) -> Workers:
    workers: Workers = request.app.state.workers
    return workers


def _json_only(request: Request) -> None:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise HTTPException(415)


TheKeeper = Annotated[Keeper, Depends(_keeper)]
TheSettings = Annotated[ServiceSettings, Depends(_settings)]
TheWorkers = Annotated[Workers, Depends(_workers)]


def _problems(**said: str) -> dict[int | str, dict[str, Any]]:
    """The errors that an operation may answer, for /openapi.json: status without its ``s``, and when."""
    # The model stands for application/json, which some callers accept alone.
    told = {"model": schemas.Problem, "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    return {int(status.removeprefix("s")): {"description": when, **told} for status, when in said.items()}


@router.get("/", include_in_schema=False)
def root() -> Response:
    """Where a person who opens the address in a browser wants to be."""
    return RedirectResponse("/docs")


@router.get("/livez", tags=["service"], summary="Whether the process runs", operation_id="livez")
def livez() -> schemas.Alive:
    """Answers as long as the process does, ready or not."""
    return schemas.Alive(status="alive")


@router.get(
    "/readyz",
    tags=["service"],
    summary="Whether the service answers, and from what",
    operation_id="readyz",
    responses=_problems(s503="It answers nothing; the detail says why."),
)
def readyz(keeper: TheKeeper) -> schemas.Ready:
    """``ready``; or ``degraded``: it answers, but something was refused or is missing, and the reasons say what."""
    standing = keeper.standing()
    if not standing.answers or standing.champion is None:
        raise standing.not_ready()
    bundles = standing.champion.bundles
    latest = standing.latest
    return schemas.Ready(
        status="degraded" if standing.reasons else "ready",
        reasons=list(standing.reasons),
        as_of=None if latest is None else instant_words(latest.as_of),
        accounts=0 if latest is None else len(latest.assessment.frame),
        models={target: bundles[target].manifest.version if target in bundles else None for target in TARGETS},
    )


@router.get(
    "/v1/accounts/{account_id:path}/prediction",
    tags=["predictions"],
    summary="One account's prediction from a scored snapshot",
    operation_id="getPrediction",
    response_model=schemas.Prediction,
    responses=_problems(
        s404="No such account in the snapshot, or no snapshot at this date.",
        s422="A parameter cannot be used.",
        s503="Not ready; Retry-After says when to try again.",
    ),
)
def get_prediction(
    keeper: TheKeeper, account_id: Annotated[Id, Path()], at: Annotated[schemas.AtDate, Query()]
) -> Response:
    """Health score, probabilities of churn and expansion for the horizon, and the reasons in words."""
    return _by_id(keeper, account_id, at.as_of)()


@router.post(
    "/v1/predictions",
    tags=["predictions"],
    summary="One account's prediction, by id or from signals in the body",
    operation_id="createPrediction",
    response_model=schemas.Prediction,
    dependencies=[Depends(_json_only)],
    responses=_problems(
        s400="The body is not JSON.",
        s404="No such account in the snapshot, or no snapshot at this date.",
        s408="The body did not arrive in time.",
        s413="The body is too large.",
        s415="The body is not declared as JSON.",
        s422="The body cannot be used; errors say where. Code out_of_scope: the account is not active at as_of.",
        s503="Not ready, busy or too slow; Retry-After says when to try again.",
    ),
)
async def create_prediction(
    keeper: TheKeeper, workers: TheWorkers, settings: TheSettings, asked: schemas.PredictionRequest
) -> Response:
    """By id, the same as the GET. With signals, they are checked, turned into features as of ``as_of`` and scored: the
    same signals give the same probability as in a scored portfolio, if ``history_from`` says that they reach as far
    back as the portfolio's feeds do. An account that is not active at ``as_of`` has no prediction (422, out_of_scope).
    """
    if asked.signals is None:
        return await run_in_threadpool(_by_id(keeper, asked.account_id, asked.as_of))
    # Only now, since a service that never sees signals needs no query engine for them.
    from serving.fresh import FreshScore

    standing = await run_in_threadpool(keeper.standing)
    job = FreshScore(asked, standing, rows_limit=settings.body_limit_rows)
    return JSONResponse(await workers.run(job, job))


def _by_id(keeper: Keeper, account_id: str, as_of: Any) -> Callable[[], Response]:
    # The answer is not held against its model again on each request; the tests do that.
    return lambda: JSONResponse(keeper.standing().scored(as_of).answer(account_id))
