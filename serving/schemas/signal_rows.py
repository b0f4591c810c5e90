"""Models of the signals in a request body, generated from the data contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from features.contract.current_contract import current_tables
from features.contract.schema import Column, TableSchema
from serving.schemas.field_types import FiniteNumber, Id, Instant, Text, Whole

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
