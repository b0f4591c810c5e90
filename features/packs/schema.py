"""The schema of a pack file."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from features.contract.schema import TABLES

Kind = Literal["billing", "crm", "support", "product"]
"""What a tool is for; one of each kind makes a portfolio."""
ColumnType = Literal["text", "instant", "number", "integer", "boolean", "json"]
Epoch = Literal["s", "ms", "us"]
Name = Annotated[str, Field(pattern=r"^_?[a-z][a-z0-9_]*$", max_length=60)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Sql = Annotated[str, Field(min_length=1, max_length=50_000)]
Names = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=120)], ...], Field(strict=False, max_length=50)]
InputNames = Annotated[tuple[Name, ...], Field(strict=False, min_length=1, max_length=50)]
OptionValue = str | bool | int | float | tuple[str, ...]

DROP = "drop"
"""How an unknown value is handled if its row is left out."""


class PackPart(BaseModel):
    """A part of a pack file: frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class InputColumn(PackPart):
    """One typed column of an input; ``"text"`` is short for ``{ type = "text" }``.

    Parameters
    ----------
    type : ``text``, ``instant`` (UTC), ``number``, ``integer``, ``boolean`` or ``json``.
    names : the accepted names of the column; default: its own name. If several exist, the first value that is known is
        read. A name with dots, such as ``properties.amount``, reads a value inside a JSON or nested column.
        ``{option}`` is the name that the user's option of the type ``column`` gives.
    required : whether a table without this column is not this input.
    epoch : the unit of instants that are stored as numbers.
    values : for text, every value that the SQL of the pack understands. Values are compared without regard to case, and
        the SQL reads them as they are written here. ``{option}`` stands for the values of an option of the type
        ``list``.
    others : how a value that is not in ``values`` is read: ``""`` as unknown, ``"drop"`` not at all, because its row is
        left out, and another one as that value. `connect` and `check` count these rows.
    effect : what follows from ``others``, in the words of the finding, if it does not say enough.
    """

    type: ColumnType
    names: Names = ()
    required: bool = False
    epoch: Epoch = "s"
    values: Names = ()
    others: str = ""
    effect: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_type(cls, given: Any) -> Any:
        return {"type": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _check_values(self) -> Self:
        if self.values and self.type != "text":
            raise PydanticCustomError("values", "Input should have values only for the type text")
        if self.others not in ("", DROP, *self.values) or (self.others and not self.values):
            raise PydanticCustomError("others", 'Input should be "", "drop" or one of values')
        return self


class Latest(PackPart):
    """Versions of rows: the latest of each key counts.

    Parameters
    ----------
    key : the columns that identify a row. A row with a null in a required one of them is no version, and is kept.
    by : the columns that order its versions, the most important first.
    """

    key: InputNames
    by: InputNames


OPTION = "option."
"""Start of a need that is an option of the type ``boolean``: it holds if the option is true."""


class Derived(PackPart):
    """A SELECT in place of a table; ``"SELECT …"`` is short for ``{ query = "SELECT …" }``.

    Parameters
    ----------
    query : one SELECT from other inputs. It returns the declared columns, as text or typed.
    needs : inputs, or their columns (``input.column``), of which at least one must exist. Default: any of the inputs
        that the query reads.
    """

    query: Sql
    needs: Names = ()

    @model_validator(mode="before")
    @classmethod
    def _from_query(cls, given: Any) -> Any:
        return {"query": given} if isinstance(given, str) else given


class Input(PackPart):
    """A table of the tool, as the SQL of the pack reads it: with exactly the declared columns.

    Parameters
    ----------
    names : the accepted names of the table, ignoring case; the first that exists is read. ``{option}`` is the name that
        the user's option of the type ``table`` gives.
    columns : the columns. One that does not exist is null.
    required : whether the pack needs this table.
    latest : if the table holds several versions of a row.
    where : a condition that a row (after ``latest``) must meet.
    otherwise : a SELECT from other inputs that is used if there is no such table.
    """

    names: Names = ()
    columns: Annotated[dict[Name, InputColumn], Field(min_length=1, max_length=300)]
    required: bool = False
    latest: Latest | None = None
    where: Sql | None = None
    otherwise: Derived | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.names and not self.otherwise:
            raise PydanticCustomError("names", "Input should have names of tables, or otherwise")
        if self.latest and (unknown := sorted({*self.latest.key, *self.latest.by} - set(self.columns))):
            raise PydanticCustomError(
                "latest", "Input should name declared columns; undeclared: {names}", {"names": ", ".join(unknown)}
            )
        return self


class Option(PackPart):
    """A choice of the user.

    Parameters
    ----------
    type : ``column`` or ``table`` (a name), ``text``, ``number``, ``boolean``, ``choice`` (one of ``choices``), or
        ``list`` (of texts). SQL uses the value as ``$name``.
    default : the value if the user gives none.
    about : what it decides, in one sentence.
    choices : the values of a choice.
    """

    type: Literal["column", "table", "text", "number", "boolean", "choice", "list"]
    default: OptionValue
    about: Text
    choices: Names = ()

    @field_validator("default", mode="before")
    @classmethod
    def _as_tuple(cls, given: Any) -> Any:
        return tuple(given) if isinstance(given, list) else given


class PackTable(Derived):
    """One table of the contract; ``"SELECT …"`` is short for ``{ query = "SELECT …" }``.

    Parameters
    ----------
    query : one SELECT from inputs.
    needs : inputs, or their columns (``input.column``), of which at least one must exist, or else there is no such
        table. Without them it would be empty and say that nothing happened, although nothing is known. Default: any of
        the inputs that the query reads.
    optional : for columns of the result: the inputs, or their columns, of which at least one must exist. Without them
        the column is left out, because it is unknown.
    records : for a column, every value that the tool can record, with the inputs, their columns or options
        (``option.name``) of which at least one must be there; an empty list if it always can. What counts other values
        is unknown, not zero.
    """

    optional: dict[Name, Names] = Field(default_factory=dict)
    records: dict[Name, dict[Text, Names]] = Field(default_factory=dict)


class Assumption(PackPart):
    """A statement to confirm, with its count.

    Parameters
    ----------
    text : a sentence. ``{n}`` is the count, ``{n:account}`` the count with its noun (1 account, 2 accounts), and other
        names are further columns of the query.
    query : one SELECT of one row with a column ``n``. The statement is not shown if n is 0. Without a query it always
        is.
    finding : whether `check` shows it too, because it concerns values that the pack does not understand.
    asks : the option that answers it, if renewals or revenue depend on it. Until a mapping gives the option, it is an
        open question of the draft.
    """

    text: Text
    query: Sql | None = None
    finding: bool = False
    asks: str = ""


class Identity(PackPart):
    """How the tool's rows are joined to other tools.

    Parameters
    ----------
    accounts : a SELECT of ``account_id`` and keys that other tools may share: ``domain``, ``name``, and ids of other
        tools, such as ``crm_id``. It has the keys of a table of the contract.
    users : a SELECT of ``user_id`` and ``account_id``, for events that name only a user. The same.
    """

    accounts: PackTable | None = None
    users: PackTable | None = None


class PackFile(PackPart):
    """A pack file.

    Parameters
    ----------
    title : the name of the tool.
    version : rises by one in a release in which the same tables give other rows than in the release before. It is 1
        until the first release. A mapping that pins another version is refused.
    kind : what the tool is for.
    about : what the pack reads and maps, in plain English.
    documentation : public pages that describe the tables.
    prefixes : prefixes of table names, which are removed before names are compared.
    data_through : a SELECT of one instant up to which the export certainly reaches: the newest sync or update of a
        row.
    pitfalls : what users of the tool should know, one sentence each.
    inputs : the tables of the tool, by the names that the SQL of the pack uses.
    options : the choices of the user, by name.
    tables : the tables of the contract, by name.
    identity : how its rows are joined to those of other tools.
    assumptions : what the user should confirm.
    """

    title: Text
    version: Annotated[int, Field(ge=1)]
    kind: Kind
    about: Text
    documentation: Names = ()
    prefixes: Names = ()
    pitfalls: Annotated[tuple[Text, ...], Field(strict=False, max_length=50)] = ()
    data_through: Sql | None = None
    inputs: Annotated[dict[Name, Input], Field(min_length=1, max_length=100)]
    options: dict[Name, Option] = Field(default_factory=dict)
    tables: Annotated[dict[Name, PackTable], Field(min_length=1)]
    identity: Identity = Identity()
    assumptions: Annotated[tuple[Assumption, ...], Field(strict=False, max_length=100)] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if unknown := sorted(set(self.tables) - set(TABLES)):
            raise PydanticCustomError(
                "tables",
                "Input should have tables of the data contract; others: {names}",
                {"names": ", ".join(unknown)},
            )
        if unknown := sorted({each.asks for each in self.assumptions} - {"", *self.options}):
            raise PydanticCustomError(
                "asks", "Input should have options of the pack; others: {names}", {"names": ", ".join(unknown)}
            )
        for name, table in self.tables.items():
            self._check_records(name, table)
        return self

    def _check_records(self, name: str, table: PackTable) -> None:
        for column, values in table.records.items():
            if column not in TABLES[name].names:
                raise PydanticCustomError(
                    "records",
                    "Input should have columns of {table}; another: {column}",
                    {"table": name, "column": column},
                )
            allowed = TABLES[name][column].values
            if allowed and (unknown := sorted(set(values) - set(allowed))):
                raise PydanticCustomError(
                    "records",
                    "Input should have values of {table}.{column}; others: {names}",
                    {"table": name, "column": column, "names": ", ".join(unknown)},
                )
            needs = {need.removeprefix(OPTION) for some in values.values() for need in some if need.startswith(OPTION)}
            if unknown := sorted(needs - set(self.options)):
                raise PydanticCustomError(
                    "records", "Input should have options of the pack; others: {names}", {"names": ", ".join(unknown)}
                )
