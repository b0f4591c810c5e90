"""Models of the signals in a request body, generated from the data contract."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, create_model
from pydantic_core import PydanticCustomError

from features.contract.current_contract import current_tables
from features.contract.schema import ID_LIMIT, ID_PATTERN, Column, TableSchema
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

#: The maximum number and length of unknown field names that an answer repeats.
NAMES_SHOWN, NAME_LIMIT = 20, 64

_KINDS: dict[str, Any] = {"string": Text, "instant": Instant, "float": FiniteNumber, "int": Whole, "bool": bool}


class SignalRow(BaseModel):
    """One row of signals. Fields that are not in the data contract are collected, to be listed in a warning."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    @property
    def ignored(self) -> set[str]:
        """The names of the fields that are not in the data contract."""
        return set(self.model_extra or ())


def _type_of(column: Column) -> Any:
    kind: Any = Literal[column.values] if column.values else _KINDS[column.kind]
    if column.name == "account_id":
        kind = Id
    low, high = column.minimum, column.maximum
    if low is not None:
        kind = Annotated[kind, Field(ge=low)]
    return kind if high is None else Annotated[kind, Field(le=high)]


def _row_of(table: TableSchema) -> type[SignalRow]:
    fields: dict[str, Any] = {}
    for column in table.columns:
        # All rows of a body belong to its account, so the id is optional.
        required = column.required and column.name != "account_id"
        fields[column.name] = (_type_of(column), ...) if required else (_type_of(column) | None, None)
    description = f"A row of the table {table.name} of the data contract."
    model: type[SignalRow] = create_model(
        f"{table.name.title().replace('_', '')}Row", __base__=SignalRow, __doc__=description, **fields
    )
    return model


def row_models(tables: Mapping[str, TableSchema]) -> dict[str, type[SignalRow]]:
    """Return the row model of each table."""
    return {name: _row_of(table) for name, table in tables.items()}


ROW_MODELS: dict[str, type[SignalRow]] = row_models(current_tables())
"""The row model of each table of the current contract. A process has one contract."""


def _list_of(row: type[SignalRow]) -> Any:
    return list[row]  # type: ignore[valid-type]


def tables_model(rows: Mapping[str, type[SignalRow]]) -> type[BaseModel]:
    """Return the model of the signals of one account, from the row model of each table."""
    fields: dict[str, Any] = {
        name: (_list_of(row) | None, Field(None, description="Missing: unknown. Empty: nothing happened."))
        for name, row in rows.items()
    }
    one = Field(min_length=1, max_length=1, description="The account itself: one row, with created_at.")
    fields["accounts"] = (_list_of(rows["accounts"]), one)
    return create_model("Tables", __config__=ConfigDict(strict=True, extra="forbid", frozen=True), **fields)


class AccountSignals(tables_model(ROW_MODELS)):  # type: ignore[misc]
    """The signals of one account, in the tables of the data contract. `accounts` and one of `subscriptions` or `orders`
    are required. Any other missing table is unknown, not zero."""

    def rows(self, table: str) -> list[SignalRow] | None:
        """Return the rows of a table; None if the table is missing."""
        rows: list[SignalRow] | None = getattr(self, table)
        return rows


def printable_names(names: Iterable[str]) -> list[str]:
    """Return the field names of a caller that an answer may repeat."""
    return [name for name in names if len(name) <= NAME_LIMIT][:NAMES_SHOWN]
