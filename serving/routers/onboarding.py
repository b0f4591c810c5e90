"""The route of the accounts in onboarding."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import JSONResponse, Response

from serving.http.authentication import require_scope
from serving.http.dependencies import NOT_READY, LiveStateDep, problem_responses
from serving.portfolio.onboarding_accounts import OnboardingAccounts, published_onboarding
from serving.schemas.account_filter import AccountFilter
from serving.schemas.query_params import MAX_LISTED, NO_MATCH, NO_SNAPSHOT, SnapshotQuery
from serving.snapshots.account_attributes import select_accounts

router = APIRouter(dependencies=[require_scope("predict")])


class OnboardingQuery(SnapshotQuery, AccountFilter):
    """The snapshot, and the filter of accounts."""

    limit: int = Field(100, ge=0, le=MAX_LISTED, strict=False, description="The maximum number of accounts to list.")


@router.get(
    "/v1/onboarding",
    tags=["portfolio"],
    summary="List the accounts in onboarding",
    operation_id="getOnboarding",
    response_model=OnboardingAccounts,
    responses=problem_responses(s404=NO_SNAPSHOT, s422=NO_MATCH, s503=NOT_READY),
)
def get_onboarding(live: LiveStateDep, query: Annotated[OnboardingQuery, Query()]) -> Response:
    """Returns the accounts in onboarding with their day, CSM, first value and steps: done, missed, due or unknown, each
    with its date and what to do. Those with most missed steps come first."""
    scored = live.current().scored(query.as_of)
    return JSONResponse(published_onboarding(scored, select_accounts(scored, query, strict=True), query.limit))
