"""The route of the leadership report."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import JSONResponse, Response

from serving.html.exports import FILE_MEDIA, file_response
from serving.http.authentication import require_scope
from serving.http.dependencies import NOT_READY, LiveStateDep, StoreDep, problem_responses
from serving.leadership.published_report import published_leadership
from serving.leadership.schemas import Leadership
from serving.portfolio.lifetime_value import LIMIT_YEARS
from serving.presentations.report_files import leadership_file, leadership_file_name
from serving.schemas.account_filter import AccountFilter
from serving.schemas.divisions import ExclusiveDivision
from serving.schemas.query_params import NO_KPIS, NO_MATCH, LifetimeYears, Margin, SnapshotQuery
from serving.snapshots.account_attributes import select_accounts
from serving.worklist.published_worklist import worklist_cache

router = APIRouter(dependencies=[require_scope("predict")])


class PresentationQuery(SnapshotQuery, AccountFilter):
    """The snapshot, and the filter of accounts."""


class LeadershipQuery(PresentationQuery):
    """The snapshot, the groups, the parameters of the lifetime value, and the filter of accounts."""

    by: ExclusiveDivision = Field(
        "segment", description="A parent is the top account of a company with several accounts."
    )
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


@router.get(
    "/v1/portfolio/leadership/file",
    tags=["portfolio"],
    summary="Download the leadership presentation",
    operation_id="getLeadershipFile",
    response_class=Response,
    responses={
        200: {"description": "The file.", "content": {FILE_MEDIA["pptx"]: {"schema": {"type": "string"}}}},
        **problem_responses(s404=NO_KPIS, s422=NO_MATCH, s503=NOT_READY),
    },
)
def get_leadership_file(live: LiveStateDep, store: StoreDep, query: Annotated[PresentationQuery, Query()]) -> Response:
    """Returns a presentation (.pptx) with KPIs, retention, the bridges of ARR, health, top risks, the renewal forecast,
    expansion, segments, capacity of CSMs and unit economics, as `renewcast report --pptx` writes it. Charts and tables
    can be edited."""
    scored = live.current().scored(query.as_of)
    selection = select_accounts(scored, query, strict=True)
    content = leadership_file(scored, selection, worklist_cache(scored).standing(store))
    return file_response(content, f"{leadership_file_name(scored)}.pptx", "pptx")
