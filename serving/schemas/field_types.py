"""Types of the fields of requests: texts, ids, instants and numbers.

They are apart from the rows of the contract, which depend on the declared features and take long to build.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from features.contract.schema import ID_LIMIT, ID_PATTERN
from features.errors import BadRequest
from features.utils.dates import parse_instant

#: The maximum length of a text.
TEXT_LIMIT = 1024
#: PostgreSQL does not accept NUL in a text.
NO_NUL = r"^[^\x00]*$"
#: Instants outside this range are rejected as mistakes.
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
#: The largest integer that every JSON parser reads exactly (RFC 8259, section 6).
WHOLE_LIMIT = 2**53 - 1


_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _instant(text: Any) -> datetime:
    if not isinstance(text, str):
        raise PydanticCustomError("string_type", "Input should be a valid string")
    try:
        instant = parse_instant(text)
    except BadRequest:
        raise PydanticCustomError(
            "not_an_instant", "Input should be an ISO 8601 date or instant such as 2026-09-30 or 2026-09-30T12:00:00Z"
        ) from None
    if not EARLIEST <= instant < LATEST:
        raise PydanticCustomError("instant_out_of_range", "Input should be between the years 1900 and 2199")
    return instant


def _day(text: Any) -> date:
    if not isinstance(text, str):
        raise PydanticCustomError("string_type", "Input should be a valid string")
    # The standard library also accepts week dates and dates without hyphens.
    if _DAY.fullmatch(text):
        with suppress(ValueError):
            return date.fromisoformat(text)
    raise PydanticCustomError("not_a_date", "Input should be an ISO 8601 date such as 2026-09-30")


def _whole_second(instant: datetime) -> datetime:
    if instant.microsecond:
        raise PydanticCustomError("fraction_of_a_second", "Input should be a whole second")
    return instant


def _without_point(value: Any) -> Any:
    """Return an integral float as an integer: JSON does not distinguish 5.0 from 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Text = Annotated[str, Field(max_length=TEXT_LIMIT, pattern=NO_NUL)]
Id = Annotated[
    str,
    Field(
        min_length=1, max_length=ID_LIMIT, pattern=ID_PATTERN, description="The id of the account, as in the signals."
    ),
]
Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "description": "ISO 8601 date or date-time; without a zone, UTC."}),
]
Day = Annotated[
    date,
    BeforeValidator(_day),
    WithJsonSchema({"type": "string", "format": "date", "description": "ISO 8601 date, in UTC."}),
]
AsOfInstant = Annotated[Instant, AfterValidator(_whole_second)]
FiniteNumber = Annotated[float, Field(allow_inf_nan=False)]
Whole = Annotated[int, BeforeValidator(_without_point), Field(ge=-WHOLE_LIMIT, le=WHOLE_LIMIT)]
