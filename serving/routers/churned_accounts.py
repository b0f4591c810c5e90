"""The route of the accounts that churned."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import JSONResponse, Response

from serving.http.authentication import require_scope
from serving.http.dependencies import NOT_READY, LiveStateDep, StoreDep, problem_responses
from serving.portfolio.churned_accounts import ChurnedAccounts, published_churned
from serving.portfolio.kpi_schemas import DEFAULT_PERIOD, PeriodName
from serving.schemas.account_filter import AccountFilter
from serving.schemas.query_params import MAX_LISTED, NO_KPIS, NO_MATCH, SnapshotQuery
from serving.snapshots.account_attributes import select_accounts

router = APIRouter(dependencies=[require_scope("predict")])


class ChurnedQuery(SnapshotQuery, AccountFilter):
    """The snapshot, the period that ends at it, and the filter of accounts."""

    period: PeriodName = Field(DEFAULT_PERIOD, description="The trailing quarter or twelve months.")
    limit: int = Field(100, ge=0, le=MAX_LISTED, strict=False, description="The maximum number of accounts to list.")


@router.get(
    "/v1/portfolio/churned",
    tags=["portfolio"],
    summary="List the accounts that churned in a period",
    operation_id="getChurnedAccounts",
    response_model=ChurnedAccounts,
    responses=problem_responses(s404=NO_KPIS, s422=NO_MATCH, s503=NOT_READY),
)
def get_churned_accounts(live: LiveStateDep, store: StoreDep, query: Annotated[ChurnedQuery, Query()]) -> Response:
    """Returns the accounts of the step *Churn* of the bridge of ARR, the latest end first: the end, the reason, the
    lost ARR, and health, churn probability and warnings of the last prediction that was published before the end."""
    scored = live.current().scored(query.as_of)
    # Refuses a value of the filter that no account has.
    select_accounts(scored, query, strict=True)
    return JSONResponse(published_churned(scored, store, query.period, query.account_filter, query.limit))
