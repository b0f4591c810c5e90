"""Routes for predictions of one account or several, by id or from signals in the body."""

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
from serving.schemas.field_types import Id
from serving.schemas.flat_view import FlatPrediction, ViewQuery
from serving.scoring.score_many import ITEMS_LIMIT, BatchRequest, BatchResponse, BatchScorer
from serving.snapshots.live_state import LiveStateManager

#: The response of a prediction, by view.
PREDICTION_RESPONSE: Any = Prediction | FlatPrediction

router = APIRouter(tags=["predictions"], dependencies=[require_scope("predict")])


@router.get(
    "/v1/accounts/{account_id:path}/prediction",
    summary="Get an account's prediction from a scored snapshot",
    operation_id="getPrediction",
    response_model=PREDICTION_RESPONSE,
    responses=problem_responses(s404=NO_ACCOUNT, s422=NO_PARAMETER, s503=NOT_READY),
)
async def get_prediction(
    live: LiveStateDep, account_id: Annotated[Id, Path()], query: Annotated[predictions.PredictionQuery, Query()]
) -> Response:
    """Returns the health score, the churn and expansion probabilities, and the reasons in words."""
    return await _by_id(live, account_id, query.as_of, query)


@router.post(
    "/v1/predictions",
    summary="Predict one account, by id or from signals in the body",
    operation_id="createPrediction",
    response_model=PREDICTION_RESPONSE,
    dependencies=[JSON_ONLY, IDEMPOTENT],
    responses=problem_responses(
        **BODY_PROBLEMS,
        s404=NO_ACCOUNT,
        s422="The body is invalid; `errors` lists the places.",
        s503="Not ready, busy or too slow; retry after the time in Retry-After.",
    ),
)
async def create_prediction(
    live: LiveStateDep,
    workers: ThreadPoolDep,
    settings: SettingsDep,
    view: Annotated[ViewQuery, Query()],
    body: predictions.PredictionRequest,
) -> Response:
    """With an id only, returns the same as the GET. Signals are validated, turned into features as of ``as_of``, and
    scored. The same signals give the same probability as in a scored portfolio if ``history_from`` states that they
    reach as far back as the feeds of the portfolio. An account that is not active at ``as_of`` gets no numbers (status
    out_of_scope).
    """
    if body.signals is None:
        return await _by_id(live, body.account_id, body.as_of, view)
    # Imported here: a service that never gets signals does not need the query engine.
    from serving.scoring.score_payload import SignalsScorer

    state = await run_in_threadpool(live.current)
    job = SignalsScorer(body, state, rows_limit=settings.body_limit_rows)
    return JSONResponse(view.of(await workers.run(job, job)))


@router.post(
    "/v1/predictions:batch",
    summary="Predict several accounts",
    operation_id="createPredictions",
    response_model=BatchResponse,
    response_model_exclude_unset=True,
    dependencies=[JSON_ONLY, IDEMPOTENT],
    responses=problem_responses(
        **BODY_PROBLEMS,
        s422=f"The body as a whole is invalid, for example if it has more than {ITEMS_LIMIT} items.",
        s503=NOT_READY,
    ),
)
async def create_predictions(
    live: LiveStateDep,
    workers: ThreadPoolDep,
    settings: SettingsDep,
    home: HomeDep,
    view: Annotated[ViewQuery, Query()],
    body: BatchRequest,
) -> Response:
    """Handles each item like a separate request, in the order given, and returns a status for each: a failed item does
    not affect the others. The limits on rows and time apply to all items together; items beyond a limit get a problem
    that states it."""
    state = await run_in_threadpool(live.current)
    many = BatchScorer(state, workers, settings, home, view)
    return JSONResponse({"results": await many.results(body.items)})


async def _by_id(live: LiveStateManager, account_id: str, as_of: datetime | None, view: ViewQuery) -> Response:
    # The answer is not validated against its schema on each request; the tests do that.
    text = await read_cached(
        live,
        as_of,
        "prediction",
        account_id,
        make=lambda scored: scored.answer(account_id),
        is_quick=lambda scored: scored.has_prepared(account_id),
    )
    return Response(text, media_type=JSON) if view.view == "full" else JSONResponse(view.of(json.loads(text)))
