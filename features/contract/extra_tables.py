"""Extra tables: event tables that a company declares in its file of custom features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from features.contract.schema import TABLES, Column, ColumnKind, TableSchema, known_at_column
from features.errors import BadRequest

TABLE_PREFIX = "own_"
"""Prefix of the names of extra tables, which keeps them apart from the tables of the contract, now and later."""
LOAD_TIME = "loaded_at"
EVENT_ID = "event_id"
MOST_TABLES, MOST_COLUMNS = 50, 200
RESERVED = frozenset(
    {
        *("account_id", LOAD_TIME, "known_at", "until_at", "cutoff", "arrival_cutoff"),
        *("first_s", "step_s", "dates", "churned_at", "of", "asked", "ignored"),
        # Rows over HTTP are pydantic models.
        *dir(BaseModel),
    }
)
"""Names that the columns of extra tables cannot have, because every table has them or Renewcast uses them."""

ColumnName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class ExtraColumn(BaseModel):
    """One column of an extra table; ``"int"`` is short for ``{ kind = "int" }``.

    Parameters
    ----------
    kind : ``string``, ``int``, ``float``, ``bool`` or ``instant``.
    required : whether every row must have a value.
    values : the allowed values of a string column; empty for any.
    min, max : inclusive bounds of a number.
    known_from : an instant column of the table. The value is unknown until that instant.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: ColumnKind
    required: bool = False
    values: Annotated[tuple[str, ...], Field(strict=False, max_length=1000)] = ()
    min: Number | None = None
    max: Number | None = None
    known_from: ColumnName | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_kind(cls, given: Any) -> Any:
        return {"kind": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.values and self.kind != "string":
            raise _mistake("values are allowed only for a string column")
        if (self.min is not None or self.max is not None) and self.kind not in ("int", "float"):
            raise _mistake("min and max are allowed only for a column of numbers")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise _mistake("min is larger than max")
        if self.required and self.known_from is not None:
            raise _mistake("a value that is filled in later cannot be required")
        return self


class ExtraTable(BaseModel):
    """One entry ``[[tables]]`` of the file: an event table with rows of accounts.

    Parameters
    ----------
    name : ``own_…``. The source has a table (a file, a folder, a query) of this name.
    time : the column with the instant at which the row happened.
    columns : kind of each column, by name. The columns ``account_id``, ``time``, ``identity`` and ``loaded_at`` belong
        to every table, and are not listed.
    identity : the column with the id of the event. Rows with the same id are versions of one event, of which the one
        loaded last counts. It is text, and may be missing.
    load_time : whether every row must have ``loaded_at``, the instant at which it arrived. By default, a row without it
        arrived when it happened.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(pattern=rf"^{TABLE_PREFIX}[a-z0-9_]+$", max_length=50)]
    time: ColumnName
    columns: Annotated[dict[ColumnName, ExtraColumn], Field(max_length=MOST_COLUMNS)] = {}
    identity: ColumnName = EVENT_ID
    load_time: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [self.time, self.identity, *self.columns]
        for name in names:
            if name in RESERVED or name.endswith("_known_at"):
                raise _mistake(f"{name} is reserved; rename the column")
            if names.count(name) > 1:
                raise _mistake(f"{name} is the time or the identity, so it is not listed in columns")
        later = {c.known_from for c in self.columns.values() if c.known_from is not None}
        for name in later:
            if name not in self.columns or self.columns[name].kind != "instant":
                raise _mistake(f"known_from is {name}, which is not an instant column of the table")
            if self.columns[name].required or self.columns[name].known_from not in (None, name):
                raise _mistake(f"known_from is {name}, which must be neither required nor known later")
        filled = [n for n, c in self.columns.items() if c.known_from is not None or n in later]
        if len({known_at_column(Column(n, "string")) for n in filled}) < len(filled):
            raise _mistake("two columns that are filled in later differ only in the ending _at; rename one of them")
        return self

    def schema_of(self) -> TableSchema:
        """Return the table in the form of the data contract."""
        later = {c.known_from for c in self.columns.values() if c.known_from is not None}
        columns = [
            Column(name, c.kind, c.required, c.values, c.min, c.max, name if name in later else c.known_from)
            for name, c in self.columns.items()
        ]
        return TableSchema(
            self.name,
            (
                Column("account_id", "string", True),
                Column(self.time, "instant", True),
                *columns,
                Column(self.identity, "string"),
                Column(LOAD_TIME, "instant", self.load_time),
            ),
            at=self.time,
            intervals=tuple((self.time, name) for name in sorted(later)),
            identity=self.identity,
        )


class _Tables(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)

    tables: Annotated[tuple[ExtraTable, ...], Field(strict=False, max_length=MOST_TABLES)] = ()


def parse_extra_tables(entries: Any, file: str) -> tuple[TableSchema, ...]:
    """Parse and validate the entries ``[[tables]]`` of a file.

    Parameters
    ----------
    entries : the content of the key ``tables``.
    file : the file's name, for messages.

    Raises
    ------
    BadRequest
        With the file, the table, the key and what was expected.
    """
    try:
        tables = _Tables.model_validate({"tables": entries}).tables
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise BadRequest(f"{file}: {_place(first['loc'], entries)}: {first['msg']}", _expected(first)) from None
    names = [table.name for table in tables]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise BadRequest(f"{file}: the table {repeated[0]} is declared twice", "one entry for each table")
    return tuple(table.schema_of() for table in tables)


def _place(loc: Sequence[int | str], entries: Any) -> str:
    """Return ``table own_posts, key time``, with the entry's number from 1 if it has no name."""
    if len(loc) < 2 or not isinstance(loc[1], int):
        return "key tables"
    entry = entries[loc[1]]
    name = entry.get("name") if isinstance(entry, dict) else None
    table = f"table {name}" if isinstance(name, str) else f"table number {loc[1] + 1}"
    keys = ".".join(str(part) for part in loc[2:] if part != "[key]")
    return f"{table}, key {keys}" if keys else table


def _expected(first: Any) -> str:
    key = first["loc"][-1]
    if first["type"] == "extra_forbidden":
        model = ExtraColumn if "columns" in first["loc"] else ExtraTable
        return "one of the keys " + ", ".join(model.model_fields)
    if first["type"] == "missing":
        return "at least name and time" if len(first["loc"]) <= 3 else 'a kind, such as score = "float"'
    if key == "name":
        taken = ", ".join(TABLES)
        return f"a name like {TABLE_PREFIX}posts; names without {TABLE_PREFIX} are for the data contract: {taken}"
    return ""


def _mistake(text: str) -> PydanticCustomError:
    return PydanticCustomError("extra_table", "{text}", {"text": text})
