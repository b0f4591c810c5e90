"""What several operations and pages ask for in the same words."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from features.utils.periods import MONTH_PATTERN, QUARTER_PATTERN
from serving.schemas.signal_rows import Text

#: So many accounts are listed at most.
MAX_LISTED = 1000

QuarterText = Annotated[
    str,
    Field(pattern=f"^{QUARTER_PATTERN}$", description="A quarter of the calendar, UTC; 2026-Q3 and Q3 2026 work too."),
]
PeriodText = Annotated[str, Field(pattern=f"^({QUARTER_PATTERN}|{MONTH_PATTERN})$")]
Csm = Annotated[Text, Field(min_length=1)]
NO_SNAPSHOT = "No snapshot at this date."
REVIEW_ID = r"^[0-9]{4}Q[1-4]-[A-Za-z0-9][A-Za-z0-9._-]{0,120}$"
