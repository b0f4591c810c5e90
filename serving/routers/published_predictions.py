"""What was published by the weekly batch: a stream of predictions, one of them as it was given, and alerts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.responses import JSONResponse, Response

from models.predictions.schema import AccountAlert, Prediction, ResponseModel
from serving.http.authentication import require_scope
from serving.http.dependencies import NO_PARAMETER, StoreDep, problem_responses
from serving.schemas.base import RequestModel
from serving.schemas.signal_rows import Id, Instant
from serving.store import published_predictions

#: So many predictions, or alerts, are given at once at most.
MAX_PAGE = 1000

router = APIRouter(tags=["published"], dependencies=[require_scope("predict")])
NO_STORE = "The store cannot be reached; Retry-After says when to try again."


class _PageQuery(RequestModel):
    limit: int = Field(100, ge=1, le=MAX_PAGE, strict=False, description="At most so many.")
    cursor: str | None = Field(None, max_length=40, description="`next` of the page before.")


class PredictionStreamQuery(_PageQuery):
    """Which part of the stream."""

    updated_since: Instant | None = Field(
        None, description="Only what was published at or after this instant; not looked at beside a cursor."
    )


class AlertsQuery(_PageQuery):
    """Which alerts."""

    account_id: Id | None = Field(None, description="Of this account only.")


class PredictionPage(ResponseModel):
    """Predictions in the order in which they were published."""

    data: list[Prediction]
    next: str = Field(description="The cursor to go on from; also, once everything was read, for what comes later.")


class RaisedAlert(AccountAlert):
    """An alert of an account."""

    account_id: str


class AlertPage(ResponseModel):
    """Alerts in the order in which they were raised."""

    data: list[RaisedAlert]
    next: str


@router.get(
    "/v1/predictions",
    summary="Published predictions, from where the caller left off",
    operation_id="listPredictions",
    response_model=PredictionPage,
    responses=problem_responses(s422=NO_PARAMETER, s503=NO_STORE),
)
def list_predictions(store: StoreDep, asked: Annotated[PredictionStreamQuery, Query()]) -> Response:
    """What `renewcast score --publish` has kept, oldest first. No row is passed over or told twice by a caller who goes
    on from `next`."""
    with store.read() as connection:
        return _page(published_predictions.list_predictions(connection, asked.cursor, asked.updated_since, asked.limit))


@router.get(
    "/v1/predictions/{prediction_id}",
    summary="A published prediction as it was given",
    operation_id="replayPrediction",
    response_model=Prediction,
    responses=problem_responses(s404="Nothing of this id was published.", s422=NO_PARAMETER, s503=NO_STORE),
)
def replay_prediction(
    store: StoreDep, prediction_id: Annotated[str, Path(max_length=80, pattern="^prd_[0-9a-zA-Z]+$")]
) -> Response:
    """The same answer, however models and rubrics have changed since. What was answered from signals in a body is not
    kept: nobody has asked for that."""
    with store.read() as connection:
        return JSONResponse(published_predictions.find_prediction(connection, prediction_id))


@router.get(
    "/v1/alerts",
    summary="Alerts that were raised, from where the caller left off",
    operation_id="listAlerts",
    response_model=AlertPage,
    responses=problem_responses(s422=NO_PARAMETER, s503=NO_STORE),
)
def list_alerts(store: StoreDep, asked: Annotated[AlertsQuery, Query()]) -> Response:
    """Each once, when it came about."""
    with store.read() as connection:
        return _page(published_predictions.list_alerts(connection, asked.cursor, asked.limit, asked.account_id))


def _page(page: published_predictions.ResultPage) -> Response:
    return JSONResponse({"data": page.data, "next": page.next})
