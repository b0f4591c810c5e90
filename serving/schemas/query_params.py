"""Query parameters shared by routes and pages."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from features.utils.periods import MONTH_PATTERN, QUARTER_PATTERN
from serving.schemas.base import RequestModel
from serving.schemas.field_types import AsOfInstant, Text

#: The maximum number of accounts in a list.
MAX_LISTED = 1000

QuarterText = Annotated[
    str,
    Field(pattern=f"^{QUARTER_PATTERN}$", description="A calendar quarter, UTC. 2026-Q3 and Q3 2026 are also valid."),
]
MeetingDate = Annotated[date, Field(strict=False)]
PeriodText = Annotated[str, Field(pattern=f"^({QUARTER_PATTERN}|{MONTH_PATTERN})$")]
Margin = Annotated[
    float, Field(gt=0, le=1, strict=False, allow_inf_nan=False, description="The gross margin, as a share of ARR.")
]
LifetimeYears = Annotated[
    float,
    Field(
        gt=0,
        le=100,
        strict=False,
        allow_inf_nan=False,
        description="The maximum number of years in the lifetime value.",
    ),
]
Csm = Annotated[Text, Field(min_length=1)]
NO_MATCH = "A parameter is invalid, or no account has this value of the filter."
NO_SNAPSHOT = "There is no snapshot at this date."
NO_KPIS = "There is no snapshot at this date, or it has no KPIs."
REVIEW_ID = r"^[0-9]{4}Q[1-4]-[A-Za-z0-9][A-Za-z0-9._-]{0,120}$"


class SnapshotQuery(RequestModel):
    """The snapshot to answer from."""

    as_of: AsOfInstant | None = Field(None, description="The date of a scored snapshot. Default: the latest.")
