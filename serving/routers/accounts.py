"""What is known of accounts beside predictions: one account's health, and the portfolio."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.responses import JSONResponse, Response

from serving.account_reports.schemas import AccountPlan, BusinessReview, published_plan, published_review
from serving.common.content_negotiation import JSON
from serving.http.authentication import require_scope
from serving.http.dependencies import NO_ACCOUNT, NO_PARAMETER, NOT_READY, LiveStateDep, problem_responses, read_cached
from serving.portfolio.account_health import AccountHealth, account_health
from serving.portfolio.cohorts import PortfolioCohorts, published_cohorts
from serving.portfolio.kpi_schemas import DEFAULT_PERIOD, PeriodName, PortfolioKpis, published_kpis
from serving.portfolio.lifetime_value import LIMIT_YEARS
from serving.schemas import predictions
from serving.schemas.base import RequestModel
from serving.schemas.query_params import MAX_LISTED, NO_SNAPSHOT, QuarterText
from serving.schemas.signal_rows import Id
from serving.snapshots.portfolio_summary import Portfolio

router = APIRouter(dependencies=[require_scope("predict")])


@router.get(
    "/v1/accounts/{account_id:path}/health",
    tags=["health"],
    summary="One account's health score, added up",
    operation_id="getHealth",
    response_model=AccountHealth,
    responses=problem_responses(s404=NO_ACCOUNT, s422=NO_PARAMETER, s503=NOT_READY),
)
async def get_health(
    live: LiveStateDep, account_id: Annotated[Id, Path()], at: Annotated[predictions.SnapshotQuery, Query()]
) -> Response:
    """The rubric's dimensions and signals with their weights and points, the history of the score, whether the model
    agrees, and the alerts of the snapshot."""
    text = await read_cached(
        live, at.as_of, "health", account_id, make=lambda scored: account_health(scored, account_id)
    )
    return Response(text, media_type=JSON)


@router.get(
    "/v1/portfolio",
    tags=["portfolio"],
    summary="The whole portfolio at a glance",
    operation_id="getPortfolio",
    response_model=Portfolio,
    responses=problem_responses(s404=NO_SNAPSHOT, s422=NO_PARAMETER, s503=NOT_READY),
)
async def get_portfolio(live: LiveStateDep, at: Annotated[predictions.SnapshotQuery, Query()]) -> Response:
    """Accounts, ARR, mean health and expected churn: as a whole, by band of health, by band of churn risk, by segment.
    Worked out once for each snapshot."""
    text = await read_cached(live, at.as_of, "portfolio", make=lambda scored: scored.portfolio)
    return Response(text, media_type=JSON)


class QuarterQuery(RequestModel):
    """Which quarter."""

    quarter: QuarterText = Field(examples=["2026Q3"])


@router.get(
    "/v1/accounts/{account_id:path}/qbr",
    tags=["reviews"],
    summary="One account's business review of a quarter",
    operation_id="getBusinessReview",
    response_model=BusinessReview,
    responses=problem_responses(
        s404="No snapshot was scored in the quarter, or it does not hold the account.",
        s422=NO_PARAMETER,
        s503=NOT_READY,
    ),
)
def get_business_review(
    live: LiveStateDep, account_id: Annotated[Id, Path()], asked: Annotated[QuarterQuery, Query()]
) -> Response:
    """From the last snapshot that was scored in the quarter: figures, health and risk, expansion and open questions.
    Single events (goals, tickets, meetings, people) and movements of the contract were not published; `gaps` names what
    is missing, and `renewcast qbr` tells it from the signals."""
    return JSONResponse(published_review(live.current(), account_id, asked.quarter))


class CohortsQuery(predictions.SnapshotQuery):
    """How lifetimes are valued."""

    margin: float = Field(1.0, gt=0, le=1, strict=False, allow_inf_nan=False, description="Gross margin, of ARR.")
    years: float = Field(
        LIMIT_YEARS, gt=0, le=100, strict=False, allow_inf_nan=False, description="Nothing after so many counts."
    )
    limit: int = Field(100, ge=0, le=MAX_LISTED, strict=False, description="At most so many accounts are listed.")


@router.get(
    "/v1/portfolio/cohorts",
    tags=["portfolio"],
    summary="How long accounts stay: retention by cohort, and lifetime value",
    operation_id="getPortfolioCohorts",
    response_model=PortfolioCohorts,
    responses=problem_responses(s404=NO_SNAPSHOT, s422=NO_PARAMETER, s503=NOT_READY),
)
def get_cohorts(live: LiveStateDep, asked: Annotated[CohortsQuery, Query()]) -> Response:
    """Retention in accounts and ARR by the quarter of their start (Kaplan-Meier), as kept when the snapshot was scored;
    and expected lifetime and its value from the model's churn probabilities."""
    scored = live.current().scored(asked.as_of)
    return JSONResponse(published_cohorts(scored, asked.margin, asked.years, asked.limit))


@router.get(
    "/v1/accounts/{account_id:path}/plan",
    tags=["reviews"],
    summary="One account's plan: to save it where it is at risk, else for its success",
    operation_id="getAccountPlan",
    response_model=AccountPlan,
    responses=problem_responses(s404=NO_ACCOUNT, s422=NO_PARAMETER, s503=NOT_READY),
)
async def get_plan(
    live: LiveStateDep, account_id: Annotated[Id, Path()], at: Annotated[predictions.SnapshotQuery, Query()]
) -> Response:
    """Goals, stakeholders, risks with plays, owners and dates, milestones, and expansion where the gate allows it.
    Single events were not published; `gaps` names what is missing, and `renewcast plan` tells it from the signals."""
    text = await read_cached(live, at.as_of, "plan", account_id, make=lambda scored: published_plan(scored, account_id))
    return Response(text, media_type=JSON)


class MeasuresQuery(predictions.SnapshotQuery):
    """Which measures."""

    period: PeriodName = Field(
        DEFAULT_PERIOD, description="The span that ends at the snapshot's date; a year is the trailing twelve months."
    )


@router.get(
    "/v1/portfolio/measures",
    tags=["portfolio"],
    summary="The portfolio's measures: retention, churn, health, satisfaction, renewals",
    operation_id="getPortfolioMeasures",
    response_model=PortfolioKpis,
    responses=problem_responses(
        s404="No snapshot at this date, or none with measures.", s422=NO_PARAMETER, s503=NOT_READY
    ),
)
def get_measures(live: LiveStateDep, asked: Annotated[MeasuresQuery, Query()]) -> Response:
    """Each with its numerator and denominator, its last value and its target; also by segment, CSM and region. What was
    kept when the snapshot was scored."""
    return JSONResponse(published_kpis(live.current().scored(asked.as_of), asked.period))
