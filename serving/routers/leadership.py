"""The route of the leadership report."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import JSONResponse, Response

from serving.http.authentication import require_scope
from serving.http.dependencies import NOT_READY, LiveStateDep, problem_responses
from serving.leadership.published_report import published_leadership
from serving.leadership.schemas import Division, Leadership
from serving.portfolio.lifetime_value import LIMIT_YEARS
from serving.schemas.account_filter import AccountFilter
from serving.schemas.query_params import NO_KPIS, NO_MATCH, LifetimeYears, Margin, SnapshotQuery
from serving.snapshots.account_attributes import select_accounts

router = APIRouter(dependencies=[require_scope("predict")])


class LeadershipQuery(SnapshotQuery, AccountFilter):
    """The snapshot, the groups, the parameters of the lifetime value, and the filter of accounts."""

    by: Division = Field("segment", description="A parent is the top account of a company with several accounts.")
    margin: Margin = 1.0
    years: LifetimeYears = LIMIT_YEARS


@router.get(
    "/v1/portfolio/leadership",
    tags=["portfolio"],
    summary="Get the bridge of ARR, retention, forecast, capacity of CSMs and unit economics",
    operation_id="getLeadership",
    response_model=Leadership,
    responses=problem_responses(s404=NO_KPIS, s422=NO_MATCH, s503=NOT_READY),
)
def get_leadership(live: LiveStateDep, query: Annotated[LeadershipQuery, Query()]) -> Response:
    """Returns the steps from the ARR at the start of the trailing twelve months to that at the end, which add up, with
    NRR, GRR and logo retention, in total, by group and by the year in which accounts began; the forecast of the next
    renewals; accounts per CSM against the ratios of the segments; and lifetime value, its ratio to the cost of
    acquisition, and the payback."""
    scored = live.current().scored(query.as_of)
    selection = select_accounts(scored, query, strict=True)
    return JSONResponse(published_leadership(scored, selection, query.by, query.margin, query.years))
