"""Routes for published predictions and alerts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.responses import JSONResponse, Response

from models.predictions.schema import AccountAlert, Prediction, ResponseModel
from serving.http.authentication import require_scope
from serving.http.dependencies import NO_PARAMETER, NO_STORE, NOT_READY, LiveStateDep, StoreDep, problem_responses
from serving.schemas.account_filter import AccountFilter
from serving.schemas.field_types import Id, Instant
from serving.schemas.query_params import NO_MATCH
from serving.snapshots.account_attributes import filtered_accounts
from serving.store import published_predictions

#: The maximum number of predictions or alerts per page.
MAX_PAGE = 1000

router = APIRouter(tags=["published"], dependencies=[require_scope("predict")])


class _PageQuery(AccountFilter):
    limit: int = Field(100, ge=1, le=MAX_PAGE, strict=False, description="The maximum number of entries.")
    cursor: str | None = Field(None, max_length=40, description="The `next` value of the previous page.")


class PredictionStreamQuery(_PageQuery):
    """A part of the stream of predictions."""

    updated_since: Instant | None = Field(
        None, description="Only predictions published at or after this instant. Ignored if there is a cursor."
    )


class AlertsQuery(_PageQuery):
    """A part of the stream of alerts."""

    account_id: Id | None = Field(None, description="Only alerts of this account.")


class PredictionPage(ResponseModel):
    """Predictions in the order in which they were published."""

    data: list[Prediction]
    next: str = Field(
        description="The cursor of the next page. After the last page it returns what is published later."
    )


class RaisedAlert(AccountAlert):
    """An alert, with its account."""

    account_id: str
    name: str | None = Field(description="The name of the account when the alert was raised; null: unknown.")


class AlertPage(ResponseModel):
    """Alerts in the order in which they were published."""

    data: list[RaisedAlert]
    next: str


@router.get(
    "/v1/predictions",
    summary="List published predictions",
    operation_id="listPredictions",
    response_model=PredictionPage,
    responses=problem_responses(s422=NO_MATCH, s503=NOT_READY),
)
def list_predictions(live: LiveStateDep, store: StoreDep, query: Annotated[PredictionStreamQuery, Query()]) -> Response:
    """Returns the predictions that `renewcast score --publish` stored, oldest first. A caller that continues from
    `next` misses no prediction and gets none twice. The latest snapshot decides which accounts a filter selects."""
    accounts = filtered_accounts(live, query)
    with store.read() as connection:
        return _page(
            published_predictions.list_predictions(connection, query.cursor, query.updated_since, query.limit, accounts)
        )


@router.get(
    "/v1/predictions/{prediction_id}",
    summary="Get a published prediction",
    operation_id="replayPrediction",
    response_model=Prediction,
    responses=problem_responses(s404="No prediction with this id was published.", s422=NO_PARAMETER, s503=NO_STORE),
)
def replay_prediction(
    store: StoreDep, prediction_id: Annotated[str, Path(max_length=80, pattern="^prd_[0-9a-zA-Z]+$")]
) -> Response:
    """Returns the prediction as it was published, even if models and rubrics have changed since. Predictions from
    signals in a body are not stored."""
    with store.read() as connection:
        return JSONResponse(published_predictions.find_prediction(connection, prediction_id))


@router.get(
    "/v1/alerts",
    summary="List raised alerts",
    operation_id="listAlerts",
    response_model=AlertPage,
    responses=problem_responses(s422=NO_MATCH, s503=NOT_READY),
)
def list_alerts(live: LiveStateDep, store: StoreDep, query: Annotated[AlertsQuery, Query()]) -> Response:
    """Returns each alert once, in the order in which they were published. An alert of an account on which a play is
    running is suppressed. If it is still active after the play has ended, the next publication adds it. The latest
    snapshot decides which accounts a filter selects."""
    accounts = filtered_accounts(live, query)
    with store.read() as connection:
        return _page(
            published_predictions.list_alerts(connection, query.cursor, query.limit, query.account_id, accounts)
        )


def _page(page: published_predictions.ResultPage) -> Response:
    return JSONResponse({"data": page.data, "next": page.next})
