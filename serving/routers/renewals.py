"""Routes for the renewal forecast."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from starlette.responses import JSONResponse, Response

from serving.http.authentication import require_scope
from serving.http.dependencies import NOT_READY, LiveStateDep, problem_responses
from serving.renewals.published_forecast import published_renewals
from serving.renewals.schemas import Renewals
from serving.schemas.account_filter import AccountFilter
from serving.schemas.query_params import MAX_LISTED, NO_SNAPSHOT, PeriodText, SnapshotQuery
from serving.snapshots.account_attributes import select_accounts

router = APIRouter(tags=["portfolio"], dependencies=[require_scope("predict")])


class RenewalsQuery(SnapshotQuery, AccountFilter):
    """The period of a renewal forecast, its groups, and the filter of accounts."""

    period: PeriodText | None = Field(
        None, description="A quarter or a month (2026-10) that has not ended.", examples=["2026Q4"]
    )
    days: Literal[30, 60, 90, 120] | None = Field(None, description="The number of days to look ahead. Default: 90.")
    by: Literal["segment", "csm", "region", "parent"] | None = Field(
        None, description="Group only by this. Default: by all of them."
    )
    limit: int = Field(100, ge=0, le=MAX_LISTED, strict=False, description="The maximum number of accounts to list.")

    @field_validator("days", mode="before")
    @classmethod
    def _whole(cls, days: object) -> object:
        return int(days) if isinstance(days, str) and days.isascii() and days.isdigit() else days

    @field_validator("days", mode="after")
    @classmethod
    def _one_of_both(cls, days: int | None, info: ValidationInfo) -> int | None:
        if days is not None and info.data.get("period") is not None:
            raise PydanticCustomError("period_and_days", "Input is allowed only without a period")
        return days


@router.get(
    "/v1/renewals",
    summary="Get the renewal forecast of a period",
    operation_id="getRenewals",
    response_model=Renewals,
    responses=problem_responses(
        s404=NO_SNAPSHOT,
        s422="A parameter is invalid, no account has this value of the filter, the period has ended, or the portfolio "
        "has no contracts.",
        s503=NOT_READY,
    ),
)
def get_renewals(live: LiveStateDep, query: Annotated[RenewalsQuery, Query()]) -> Response:
    """Returns the accounts that are due, and the accounts and ARR expected to be renewed, contracted, expanded and
    lost, with 80% intervals: in total, by segment, by CSM, by region and by parent company. It is computed once for
    each snapshot and period."""
    scored = live.current().scored(query.as_of)
    selection = select_accounts(scored, query, strict=True)
    return JSONResponse(published_renewals(scored, query.period, query.days, query.by, query.limit, selection))
