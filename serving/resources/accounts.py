"""What is known of accounts beside predictions: one account's health, and the portfolio."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from serving import schemas
from serving.accept import JSON
from serving.asked import NO_ACCOUNT, NO_PARAMETER, NOT_READY, TheKeeper, problems_of, read
from serving.health import HealthTold, health_of
from serving.portfolio import Portfolio
from serving.rows import Id

router = APIRouter()


@router.get(
    "/v1/accounts/{account_id:path}/health",
    tags=["health"],
    summary="One account's health score, added up",
    operation_id="getHealth",
    response_model=HealthTold,
    responses=problems_of(s404=NO_ACCOUNT, s422=NO_PARAMETER, s503=NOT_READY),
)
async def get_health(
    keeper: TheKeeper, account_id: Annotated[Id, Path()], at: Annotated[schemas.AtDate, Query()]
) -> Response:
    """The rubric's dimensions and signals with their weights and points, the history of the score, whether the model
    agrees, and the alerts of the snapshot."""
    text = await read(keeper, at.as_of, "health", account_id, make=lambda scored: health_of(scored, account_id))
    return Response(text, media_type=JSON)


@router.get(
    "/v1/portfolio",
    tags=["portfolio"],
    summary="The whole portfolio at a glance",
    operation_id="getPortfolio",
    response_model=Portfolio,
    responses=problems_of(s404="No snapshot at this date.", s422=NO_PARAMETER, s503=NOT_READY),
)
async def get_portfolio(keeper: TheKeeper, at: Annotated[schemas.AtDate, Query()]) -> Response:
    """Accounts, ARR, mean health and expected churn: as a whole, by band of health, by band of churn risk, by segment.
    Worked out once for each snapshot."""
    text = await read(keeper, at.as_of, "portfolio", make=lambda scored: scored.portfolio)
    return Response(text, media_type=JSON)
