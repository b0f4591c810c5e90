"""Predictions: of one account, from a scored snapshot or from its own signals, and of several at once."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from models.predictions.schema import Prediction
from serving.common.content_negotiation import JSON
from serving.http.authentication import require_scope
from serving.http.dependencies import (
    BODY_PROBLEMS,
    JSON_ONLY,
    NO_ACCOUNT,
    NO_PARAMETER,
    NOT_READY,
    HomeDep,
    LiveStateDep,
    SettingsDep,
    ThreadPoolDep,
    problem_responses,
    read_cached,
)
from serving.http.idempotency import IDEMPOTENT
from serving.schemas import predictions
from serving.schemas.flat_view import FlatPrediction, ViewQuery
from serving.schemas.signal_rows import Id
from serving.scoring.score_many import ITEMS_LIMIT, BatchRequest, BatchResponse, BatchScorer
from serving.snapshots.live_state import LiveStateManager

#: What a prediction looks like, by view.
PREDICTION_RESPONSE: Any = Prediction | FlatPrediction

router = APIRouter(tags=["predictions"], dependencies=[require_scope("predict")])


@router.get(
    "/v1/accounts/{account_id:path}/prediction",
    summary="One account's prediction from a scored snapshot",
    operation_id="getPrediction",
    response_model=PREDICTION_RESPONSE,
    responses=problem_responses(s404=NO_ACCOUNT, s422=NO_PARAMETER, s503=NOT_READY),
)
async def get_prediction(
    live: LiveStateDep, account_id: Annotated[Id, Path()], asked: Annotated[predictions.PredictionQuery, Query()]
) -> Response:
    """Health score, probabilities of churn and expansion for the horizon, and the reasons in words."""
    return await _by_id(live, account_id, asked.as_of, asked)


@router.post(
    "/v1/predictions",
    summary="One account's prediction, by id or from signals in the body",
    operation_id="createPrediction",
    response_model=PREDICTION_RESPONSE,
    dependencies=[JSON_ONLY, IDEMPOTENT],
    responses=problem_responses(
        **BODY_PROBLEMS,
        s404=NO_ACCOUNT,
        s422="The body cannot be used; errors say where.",
        s503="Not ready, busy or too slow; Retry-After says when to try again.",
    ),
)
async def create_prediction(
    live: LiveStateDep,
    workers: ThreadPoolDep,
    settings: SettingsDep,
    view: Annotated[ViewQuery, Query()],
    asked: predictions.PredictionRequest,
) -> Response:
    """By id, the same as the GET. With signals, they are checked, turned into features as of ``as_of`` and scored: the
    same signals give the same probability as in a scored portfolio, if ``history_from`` says that they reach as far
    back as the portfolio's feeds do. Of an account that is not active at ``as_of`` no number is told (status
    out_of_scope).
    """
    if asked.signals is None:
        return await _by_id(live, asked.account_id, asked.as_of, view)
    # Only now, since a service that never sees signals needs no query engine for them.
    from serving.scoring.score_payload import SignalsScorer

    state = await run_in_threadpool(live.current)
    job = SignalsScorer(asked, state, rows_limit=settings.body_limit_rows)
    return JSONResponse(view.of(await workers.run(job, job)))


@router.post(
    "/v1/predictions:batch",
    summary="Predictions of several accounts",
    operation_id="createPredictions",
    response_model=BatchResponse,
    response_model_exclude_unset=True,
    dependencies=[JSON_ONLY, IDEMPOTENT],
    responses=problem_responses(
        **BODY_PROBLEMS,
        s422=f"The body as a whole cannot be used, such as one of more than {ITEMS_LIMIT} items.",
        s503=NOT_READY,
    ),
)
async def create_predictions(
    live: LiveStateDep,
    workers: ThreadPoolDep,
    settings: SettingsDep,
    home: HomeDep,
    view: Annotated[ViewQuery, Query()],
    asked: BatchRequest,
) -> Response:
    """Each item as if it had been asked for alone, in the order given, with a status of its own: one that fails spoils
    no other. Signals are bounded over all items together, in rows and in time; items beyond have a problem that says
    so."""
    state = await run_in_threadpool(live.current)
    many = BatchScorer(state, workers, settings, home, view)
    return JSONResponse({"results": await many.results(asked.items)})


async def _by_id(live: LiveStateManager, account_id: str, as_of: datetime | None, view: ViewQuery) -> Response:
    # The answer is not held against its model again on each request; the tests do that.
    text = await read_cached(live, as_of, "prediction", account_id, make=lambda scored: scored.answer(account_id))
    return Response(text, media_type=JSON) if view.view == "full" else JSONResponse(view.of(json.loads(text)))
