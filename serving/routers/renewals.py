"""What is due, and what is expected of it."""

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
from serving.schemas import predictions
from serving.schemas.query_params import MAX_LISTED, NO_SNAPSHOT, PeriodText

router = APIRouter(tags=["portfolio"], dependencies=[require_scope("predict")])


class RenewalsQuery(predictions.SnapshotQuery):
    """Which period, and how it is divided."""

    period: PeriodText | None = Field(
        None, description="A quarter or a month (2026-10) that is not over.", examples=["2026Q4"]
    )
    days: Literal[30, 60, 90, 120] | None = Field(None, description="The next so many days; left out, 90.")
    by: Literal["segment", "csm"] | None = Field(None, description="One division only; left out, both.")
    limit: int = Field(100, ge=0, le=MAX_LISTED, strict=False, description="At most so many accounts are listed.")

    @field_validator("days", mode="before")
    @classmethod
    def _whole(cls, days: object) -> object:
        return int(days) if isinstance(days, str) and days.isascii() and days.isdigit() else days

    @field_validator("days", mode="after")
    @classmethod
    def _one_of_both(cls, days: int | None, info: ValidationInfo) -> int | None:
        if days is not None and info.data.get("period") is not None:
            raise PydanticCustomError("period_and_days", "Input is of use without a period only")
        return days


@router.get(
    "/v1/renewals",
    summary="The renewal forecast of a period",
    operation_id="getRenewals",
    response_model=Renewals,
    responses=problem_responses(
        s404=NO_SNAPSHOT,
        s422="A parameter cannot be used, the period is over, or the business has no contracts.",
        s503=NOT_READY,
    ),
)
def get_renewals(live: LiveStateDep, asked: Annotated[RenewalsQuery, Query()]) -> Response:
    """Who is due, and the accounts and ARR expected to be renewed, contracted, expanded and lost, with 80% intervals:
    as a whole, by segment and by CSM. Worked out once for each snapshot and period."""
    scored = live.current().scored(asked.as_of)
    return JSONResponse(published_renewals(scored, asked.period, asked.days, asked.by, asked.limit))
