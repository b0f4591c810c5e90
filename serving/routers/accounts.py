"""Routes for account health, plans and reviews, and for the portfolio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from serving.account_reports.editions import Edition, edition_of
from serving.account_reports.html import report_file_name
from serving.account_reports.schemas import AccountPlan, BusinessReview, published_plan, published_review
from serving.common.content_negotiation import JSON
from serving.html.exports import FILE_MEDIA, file_response
from serving.http.authentication import require_scope
from serving.http.dependencies import (
    NO_ACCOUNT,
    NO_PARAMETER,
    NO_STORE,
    NOT_READY,
    LiveStateDep,
    StoreDep,
    problem_responses,
    read_cached,
)
from serving.portfolio.account_changes import AccountChanges, requested_changes, require_earlier
from serving.portfolio.account_health import AccountHealth, account_health
from serving.portfolio.account_hierarchy import AccountHierarchy, account_hierarchy
from serving.portfolio.account_products import AccountProducts, account_products
from serving.portfolio.account_search import AccountSearch, search_accounts
from serving.portfolio.account_trend import TREND_DATES, AccountTrend, account_trend
from serving.portfolio.cohorts import PortfolioCohorts, published_cohorts
from serving.portfolio.filtered_kpis import filtered_kpis
from serving.portfolio.kpi_schemas import DEFAULT_PERIOD, PeriodName, PortfolioKpis
from serving.portfolio.kpi_trend import KPI_DATES, KpiTrend, kpi_trend
from serving.portfolio.lifetime_value import LIMIT_YEARS
from serving.portfolio.portfolio_changes import LISTED, PortfolioChanges, portfolio_changes
from serving.portfolio.portfolio_groups import PortfolioGroups, published_groups
from serving.presentations.report_files import ReportForm, report_file
from serving.schemas.account_filter import AccountFilter
from serving.schemas.base import RequestModel
from serving.schemas.divisions import Division
from serving.schemas.field_types import AsOfInstant, Id
from serving.schemas.query_params import (
    MAX_LISTED,
    NO_KPIS,
    NO_MATCH,
    NO_SNAPSHOT,
    LifetimeYears,
    Margin,
    MeetingDate,
    QuarterText,
    SnapshotQuery,
)
from serving.snapshots.account_attributes import portfolio_of, select_accounts
from serving.snapshots.live_state import LiveStateManager
from serving.snapshots.portfolio_summary import Portfolio

router = APIRouter(dependencies=[require_scope("predict")])


class AccountSearchQuery(SnapshotQuery):
    """What a person calls the account."""

    name: Id = Field(description="The name of the account, the beginning of its name, or its id.", examples=["Acme"])


@router.get(
    "/v1/accounts",
    tags=["portfolio"],
    summary="Find an account by its name",
    operation_id="findAccount",
    response_model=AccountSearch,
    responses=problem_responses(s404=NO_SNAPSHOT, s422=NO_PARAMETER, s503=NOT_READY),
)
def get_accounts(live: LiveStateDep, query: Annotated[AccountSearchQuery, Query()]) -> Response:
    """Returns the account with this id or name, or the only one whose name starts with it, whatever the case; otherwise
    the accounts that may be meant. The other addresses take ids only, so that a program never gets another account than
    it asked for."""
    return JSONResponse(search_accounts(live.current().scored(query.as_of), query.name))


@router.get(
    "/v1/accounts/{account_id:path}/health",
    tags=["health"],
    summary="Get an account's health score and its breakdown",
    operation_id="getHealth",
    response_model=AccountHealth,
    responses=problem_responses(s404=NO_ACCOUNT, s422=NO_PARAMETER, s503=NOT_READY),
)
async def get_health(
    live: LiveStateDep, account_id: Annotated[Id, Path()], at: Annotated[SnapshotQuery, Query()]
) -> Response:
    """Returns the dimensions and signals of the rubric with their weights and points, the history of the score, whether
    the churn model agrees with it, and the alerts of the snapshot."""
    text = await read_cached(
        live, at.as_of, "health", account_id, make=lambda scored: account_health(scored, account_id)
    )
    return Response(text, media_type=JSON)


@router.get(
    "/v1/accounts/{account_id:path}/hierarchy",
    tags=["portfolio"],
    summary="Get an account's parent and children, and their sums",
    operation_id="getHierarchy",
    response_model=AccountHierarchy,
    responses=problem_responses(s404=NO_ACCOUNT, s422=NO_PARAMETER, s503=NOT_READY),
)
async def get_hierarchy(
    live: LiveStateDep, account_id: Annotated[Id, Path()], at: Annotated[SnapshotQuery, Query()]
) -> Response:
    """Returns the account, all accounts below it, and ARR, ARR at risk, expected churns, lowest health score and
    highest churn probability of both together, and of the whole company."""
    text = await read_cached(
        live, at.as_of, "hierarchy", account_id, make=lambda scored: account_hierarchy(scored, account_id)
    )
    return Response(text, media_type=JSON)


class PortfolioQuery(SnapshotQuery, AccountFilter):
    """The snapshot, and the filter of accounts."""


@router.get(
    "/v1/portfolio",
    tags=["portfolio"],
    summary="Get an overview of the portfolio",
    operation_id="getPortfolio",
    response_model=Portfolio,
    responses=problem_responses(s404=NO_SNAPSHOT, s422=NO_MATCH, s503=NOT_READY),
)
async def get_portfolio(live: LiveStateDep, query: Annotated[PortfolioQuery, Query()]) -> Response:
    """Returns accounts, ARR, mean health score and expected churn: in total, by health band, by churn band and by
    segment. The result is computed once for each snapshot and filter."""
    if query.chosen:
        return await run_in_threadpool(_filtered_portfolio, live, query)
    text = await read_cached(live, query.as_of, "portfolio", make=lambda scored: scored.portfolio)
    return Response(text, media_type=JSON)


def _filtered_portfolio(live: LiveStateManager, query: PortfolioQuery) -> Response:
    scored = live.current().scored(query.as_of)
    return JSONResponse(portfolio_of(scored, select_accounts(scored, query, strict=True)))


class GroupsQuery(PortfolioQuery):
    """What the accounts are grouped by, and the filter of accounts."""

    by: Division = Field("segment", description="A parent is the top account of a company with several accounts.")
    limit: int = Field(100, ge=0, le=MAX_LISTED, strict=False, description="The maximum number of groups to list.")


@router.get(
    "/v1/portfolio/groups",
    tags=["portfolio"],
    summary="Get the portfolio by segment, CSM, region, parent company or product",
    operation_id="getPortfolioGroups",
    response_model=PortfolioGroups,
    responses=problem_responses(s404=NO_SNAPSHOT, s422=NO_MATCH, s503=NOT_READY),
)
def get_groups(live: LiveStateDep, query: Annotated[GroupsQuery, Query()]) -> Response:
    """Returns accounts, ARR, mean health score, expected churn and expansion of each group. Products have their own
    ARR, ARR at risk, active users and adoption; they add up to the portfolio's, with the unknown product as null."""
    scored = live.current().scored(query.as_of)
    return JSONResponse(published_groups(scored, query.by, query.limit, select_accounts(scored, query, strict=True)))


@router.get(
    "/v1/accounts/{account_id:path}/products",
    tags=["portfolio"],
    summary="Get an account's products: ARR, ARR at risk, seats and users",
    operation_id="getProducts",
    response_model=AccountProducts,
    responses=problem_responses(s404=NO_ACCOUNT, s422=NO_PARAMETER, s503=NOT_READY),
)
async def get_products(
    live: LiveStateDep, account_id: Annotated[Id, Path()], at: Annotated[SnapshotQuery, Query()]
) -> Response:
    """Returns the products that the account holds or uses, and which of them are unused, falling, or used without a
    contract. The products add up to the account's ARR and ARR at risk."""
    text = await read_cached(
        live, at.as_of, "products", account_id, make=lambda scored: account_products(scored, account_id)
    )
    return Response(text, media_type=JSON)


class TrendQuery(RequestModel):
    """The dates of a trend."""

    until: AsOfInstant | None = Field(None, description="Only dates up to this one. Default: all.")
    limit: int = Field(
        TREND_DATES, ge=1, le=MAX_LISTED, strict=False, description="The maximum number of dates, the latest ones."
    )


@router.get(
    "/v1/accounts/{account_id:path}/trend",
    tags=["published"],
    summary="Get what was published about an account at each date",
    operation_id="getTrend",
    response_model=AccountTrend,
    responses=problem_responses(s404="Nothing was published about this account.", s422=NO_PARAMETER, s503=NO_STORE),
)
def get_trend(store: StoreDep, account_id: Annotated[Id, Path()], query: Annotated[TrendQuery, Query()]) -> Response:
    """Returns probabilities with their intervals, the health score and the model versions of each date that
    `renewcast score --publish` published, oldest first. `replaced` marks the dates with another model or rubric than
    the date before."""
    return JSONResponse(account_trend(store, account_id, query.until, query.limit))


SinceDate = Annotated[
    AsOfInstant | None,
    Field(description="The earlier scored date. Default: about 30 days before, or else the scored date before."),
]


class ChangesQuery(SnapshotQuery):
    """The two dates to compare."""

    since: SinceDate = None


@router.get(
    "/v1/accounts/{account_id:path}/changes",
    tags=["predictions"],
    summary="Get what changed an account's predictions between two dates",
    operation_id="getChanges",
    response_model=AccountChanges,
    responses=problem_responses(s404=NO_ACCOUNT, s422=NO_PARAMETER, s503=NOT_READY),
)
def get_changes(
    live: LiveStateDep, account_id: Annotated[Id, Path()], query: Annotated[ChangesQuery, Query()]
) -> Response:
    """Returns the predictions of both dates, by the models in use, and what changed them: drivers with their values at
    both dates, in log-odds, so that the sum of the drivers and `rest_log_odds` is `change_log_odds`."""
    return JSONResponse(requested_changes(live.current(), account_id, query.as_of, query.since))


EditionField = Annotated[
    Edition,
    Field(description="customer: to send, without anything internal; internal: for the account team."),
]
FormField = Annotated[
    ReportForm,
    Field(description="html: one file, which prints well; pptx: a presentation that can be edited."),
]


class QuarterQuery(RequestModel):
    """The quarter of a business review, and the edition."""

    quarter: QuarterText = Field(examples=["2026Q3"])
    edition: EditionField = "internal"
    meeting_date: MeetingDate | None = Field(
        None,
        description="The date of the meeting: the days for actions count from it, and the next review follows it.",
        examples=["2026-10-08"],
    )


class ReviewFileQuery(QuarterQuery):
    """The quarter of a business review, the edition and the form of the file."""

    format: FormField = "html"


class PlanQuery(SnapshotQuery):
    """The snapshot of a plan, and the edition."""

    edition: EditionField = "internal"


class PlanFileQuery(PlanQuery):
    """The snapshot of a plan, the edition and the form of the file."""

    format: FormField = "html"


def _report_file(report: Mapping[str, Any], form: ReportForm) -> Response:
    return file_response(report_file(report, form), f"{report_file_name(report)}.{form}", form)


FILE_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {media: {"schema": {"type": "string"}} for media in FILE_MEDIA.values()},
    }
}
NO_REVIEW = "No snapshot was scored in the quarter, or it does not hold the account."


@router.get(
    "/v1/accounts/{account_id:path}/qbr/file",
    tags=["reviews"],
    summary="Download an account's quarterly business review",
    operation_id="getBusinessReviewFile",
    response_class=Response,
    responses={**FILE_CONTENT, **problem_responses(s404=NO_REVIEW, s422=NO_PARAMETER, s503=NOT_READY)},
)
def get_business_review_file(
    live: LiveStateDep, account_id: Annotated[Id, Path()], query: Annotated[ReviewFileQuery, Query()]
) -> Response:
    """Returns the review as a file: the same content as the JSON and the page."""
    review = published_review(live.current(), account_id, query.quarter, query.meeting_date)
    return _report_file(edition_of(review, query.edition), query.format)


@router.get(
    "/v1/accounts/{account_id:path}/plan/file",
    tags=["reviews"],
    summary="Download an account's save plan or success plan",
    operation_id="getAccountPlanFile",
    response_class=Response,
    responses={**FILE_CONTENT, **problem_responses(s404=NO_ACCOUNT, s422=NO_PARAMETER, s503=NOT_READY)},
)
def get_plan_file(
    live: LiveStateDep, account_id: Annotated[Id, Path()], query: Annotated[PlanFileQuery, Query()]
) -> Response:
    """Returns the plan as a file: the same content as the JSON and the page."""
    plan = published_plan(live.current().scored(query.as_of), account_id)
    return _report_file(edition_of(plan, query.edition), query.format)


@router.get(
    "/v1/accounts/{account_id:path}/qbr",
    tags=["reviews"],
    summary="Get an account's quarterly business review",
    operation_id="getBusinessReview",
    response_model=BusinessReview,
    responses=problem_responses(s404=NO_REVIEW, s422=NO_PARAMETER, s503=NOT_READY),
)
def get_business_review(
    live: LiveStateDep, account_id: Annotated[Id, Path()], query: Annotated[QuarterQuery, Query()]
) -> Response:
    """Returns summary, agenda, people, goals, metrics with target, trend and comparable accounts, value, support,
    roadmap, next goals and actions, based on the last snapshot of the quarter. The internal edition also has health,
    risk, expansion, plays, open questions, and in `gaps` what is missing."""
    review = published_review(live.current(), account_id, query.quarter, query.meeting_date)
    return JSONResponse(edition_of(review, query.edition))


class PortfolioChangesQuery(PortfolioQuery):
    """The two dates to compare, and the filter of accounts."""

    since: SinceDate = None
    limit: int = Field(LISTED, ge=0, le=200, strict=False, description="The maximum number of accounts to list.")


@router.get(
    "/v1/portfolio/changes",
    tags=["portfolio"],
    summary="Get what changed the ARR at risk between two dates",
    operation_id="getPortfolioChanges",
    response_model=PortfolioChanges,
    responses=problem_responses(s404=NO_SNAPSHOT, s422=NO_MATCH, s503=NOT_READY),
)
def get_portfolio_changes(live: LiveStateDep, query: Annotated[PortfolioChangesQuery, Query()]) -> Response:
    """Returns the portfolio at both dates, scored with the models in use, the parts of the change of the ARR at risk,
    which add up to it, and the accounts with the largest changes and what drove them."""
    state = live.current()
    scored = state.scored(query.as_of)
    selection = select_accounts(scored, query, strict=True)
    before = require_earlier(state, scored, query.since)
    return JSONResponse(portfolio_changes(before, scored.assessment, query.limit, selection.includes, query.applied))


class CohortsQuery(PortfolioQuery):
    """Parameters of the lifetime value, and the filter of accounts."""

    margin: Margin = 1.0
    years: LifetimeYears = LIMIT_YEARS
    limit: int = Field(100, ge=0, le=MAX_LISTED, strict=False, description="The maximum number of accounts to list.")


@router.get(
    "/v1/portfolio/cohorts",
    tags=["portfolio"],
    summary="Get retention by cohort, and lifetime value",
    operation_id="getPortfolioCohorts",
    response_model=PortfolioCohorts,
    responses=problem_responses(s404=NO_SNAPSHOT, s422=NO_MATCH, s503=NOT_READY),
)
def get_cohorts(live: LiveStateDep, query: Annotated[CohortsQuery, Query()]) -> Response:
    """Returns the retention of accounts and ARR by the quarter in which they started (Kaplan-Meier), as stored when the
    snapshot was scored, and the expected lifetime and its value from the churn probabilities."""
    scored = live.current().scored(query.as_of)
    selection = select_accounts(scored, query, strict=True)
    return JSONResponse(published_cohorts(scored, query.margin, query.years, query.limit, selection))


@router.get(
    "/v1/accounts/{account_id:path}/plan",
    tags=["reviews"],
    summary="Get an account's save plan or success plan",
    operation_id="getAccountPlan",
    response_model=AccountPlan,
    responses=problem_responses(s404=NO_ACCOUNT, s422=NO_PARAMETER, s503=NOT_READY),
)
async def get_plan(
    live: LiveStateDep, account_id: Annotated[Id, Path()], query: Annotated[PlanQuery, Query()]
) -> Response:
    """Returns goals, stakeholders, milestones with owners on both sides, and for an account that is being onboarded its
    first days and a plan of 30, 60 and 90 days. In the internal edition an account at risk gets a save plan, and risks
    have plays with owners and dates; `gaps` lists what is missing."""
    edition = query.edition
    text = await read_cached(
        live,
        query.as_of,
        "plan",
        edition,
        account_id,
        make=lambda scored: edition_of(published_plan(scored, account_id), edition),
    )
    return Response(text, media_type=JSON)


class KpiQuery(PortfolioQuery):
    """The period of the KPIs, and the filter of accounts."""

    period: PeriodName = Field(
        DEFAULT_PERIOD,
        description="The period that ends at the date of the snapshot; a year is the trailing twelve months.",
    )


@router.get(
    "/v1/portfolio/measures",
    tags=["portfolio"],
    summary="Get the KPIs of the portfolio: retention, churn, health, satisfaction and renewals",
    operation_id="getPortfolioMeasures",
    response_model=PortfolioKpis,
    responses=problem_responses(s404=NO_KPIS, s422=NO_MATCH, s503=NOT_READY),
)
def get_kpis(live: LiveStateDep, query: Annotated[KpiQuery, Query()]) -> Response:
    """Returns each KPI with its numerator and denominator, its previous value and its target, in total and by segment,
    CSM, region and parent company, and those of ARR and renewals by product. With a filter, KPIs and groups are of its
    accounts, including those that have left. `product` selects the accounts that hold a product, with all of their ARR;
    the row of a product in `by` has the ARR of the product alone."""
    scored = live.current().scored(query.as_of)
    select_accounts(scored, query, strict=True)
    return JSONResponse(filtered_kpis(scored, query.period, query.account_filter))


class KpiTrendQuery(KpiQuery):
    """The period of the KPIs, the dates, and the filter of accounts."""

    limit: int = Field(
        KPI_DATES, ge=1, le=260, strict=False, description="The maximum number of dates, the latest ones."
    )


@router.get(
    "/v1/portfolio/measures/trend",
    tags=["portfolio"],
    summary="Get the KPIs of the portfolio at every published date",
    operation_id="getPortfolioMeasuresTrend",
    response_model=KpiTrend,
    responses=problem_responses(
        s404="There is no snapshot at this date, or no KPIs up to it.", s422=NO_MATCH, s503=NOT_READY
    ),
)
def get_kpi_trend(live: LiveStateDep, query: Annotated[KpiTrendQuery, Query()]) -> Response:
    """Returns the values of each KPI as they were stored when each date was scored, oldest first. With a filter, they
    are of its accounts, including those that have left."""
    state = live.current()
    scored = state.scored(query.as_of)
    select_accounts(scored, query, strict=True)
    return JSONResponse(kpi_trend(scored, state.dates(), query.period, query.limit, query.account_filter))
