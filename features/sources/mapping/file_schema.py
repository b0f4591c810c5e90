"""The schema of a mapping file."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

SOURCE = "source"
"""The name of the source in ``[source]``."""
OTHERS = "*"
"""The key of ``values`` for every value that is not named."""
RESERVED_NAMES = ("main", "temp", "files", "given", "memory", "system", "information_schema", "pg_catalog")
"""Names that no source may have, because the engine uses them."""

Unit = Literal[
    "cents",
    "thousands",
    "millions",
    "percent",
    "monthly",
    "quarterly",
    "weekly",
    "daily",
    "milliseconds",
    "seconds",
    "minutes",
    "hours",
    "days",
    "decimal_comma",
    "decimal_point",
]
Epoch = Literal["s", "ms", "us", "ns", "seconds", "milliseconds", "microseconds", "nanoseconds"]
Orphans = Literal["error", "add", "drop"]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Sql = Annotated[str, Field(min_length=1)]
SourceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
ColumnName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$", max_length=120)]
ColumnNames = Annotated[tuple[Text, ...], Field(strict=False, min_length=1, max_length=20)]
Scalar = str | bool | int | float


class MappingPart(BaseModel):
    """A part of a mapping file: frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SourceEntry(MappingPart):
    """A source: a folder, database or object store. Its tables are those of a schema with the source's name.

    Parameters
    ----------
    uri : the address: a folder (relative to the mapping file), ``duckdb:///FILE``, ``sqlite:///FILE``,
        ``postgresql://USER@HOST/DATABASE``, ``s3://BUCKET/PREFIX`` or ``gs://BUCKET/PREFIX``. ``?schema=NAME`` chooses
        the schema of a DuckDB or PostgreSQL database.
    pack : the name of a shipped pack, or a pack's ``.toml`` file. Its tables are added.
    version : the version of the pack that the mapping was written for.
    options : options of the pack.
    values : what values mean that the pack does not know, by table and column, such as
        ``values.subscription.status = { on_hold = "paused" }``: the values with those that the page of the pack lists.
        Values are compared without regard to case.
    """

    uri: Text
    pack: Text | None = None
    version: int | None = None
    options: dict[str, Scalar | Annotated[tuple[str, ...], Field(strict=False)]] = Field(default_factory=dict)
    values: dict[str, dict[str, dict[str, str]]] = Field(default_factory=dict)


class Latest(MappingPart):
    """Versions of rows: only the latest row of each key is read.

    Parameters
    ----------
    key : the columns that identify a row, as the table or query names them.
    by : the columns that order its versions, the most important first.
    """

    key: ColumnNames | Text
    by: ColumnNames | Text


class TimeRule(MappingPart):
    """How instants are written.

    Parameters
    ----------
    epoch : the unit of numbers since 1970: ``s``, ``ms``, ``us`` or ``ns`` (or ``seconds``, ``milliseconds``,
        ``microseconds`` or ``nanoseconds``).
    zone : the time zone of values without one, such as ``Europe/Berlin``. Default: UTC.
    format : formats of text that is not ISO 8601, such as ``%m/%d/%Y``.
    """

    epoch: Epoch | None = None
    zone: Text | None = None
    format: ColumnNames | Text | None = None


class TableTime(TimeRule):
    """How the instants of a table are written: of all columns, and of single columns by name."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)
    __pydantic_extra__: dict[str, TimeRule] = Field(init=False)


class TableMapping(MappingPart):
    """A table of the contract, from a query or a table. The rules apply in the order in which they are listed here.

    Without ``query`` and ``from``, the rules apply to the table that the packs give.

    Parameters
    ----------
    query : one SELECT.
    from : a table, such as ``billing.subscription``, or a name in ``[files]``.
    ids : the source whose account ids the rows have. Default: the source that the table or query reads.
    append : whether the rows are added to those of the packs instead of replacing them.
    latest : if there are several versions of a row.
    where : a condition in SQL that a row (after ``latest``) must meet.
    columns : the columns of the contract with the columns that they are read from. Other columns keep their names.
    constants : columns with the same value in every row.
    time : how instants are written.
    values : for a column, its values with the values of the contract, ignoring case. ``"*"`` is every other value,
        ``""`` as a key is a missing value, and ``""`` as a value means unknown.
    units : for a column, the unit of its numbers, or several that apply together (``["cents", "monthly"]``).
    records : for a column, the only values that the rows can have, such as ``records.kind = ["meeting", "email"]``.
        What counts other values is then unknown, not zero. Default: for listed values of the contract, what
        ``constants``, or ``values`` with ``"*"``, gives; else any value.
    orphans : what happens to rows of accounts that are not in ``accounts``: ``error``, ``add`` the accounts, or
        ``drop`` the rows. Default: ``error``; for tables of packs ``add`` if they are contracts or orders, else
        ``drop``.
    """

    query: Sql | None = None
    from_: Annotated[Text | None, Field(alias="from")] = None
    ids: Text | None = None
    append: bool = False
    latest: Latest | None = None
    where: Sql | None = None
    columns: dict[ColumnName, Text] = Field(default_factory=dict)
    constants: dict[ColumnName, Scalar] = Field(default_factory=dict)
    time: TableTime | None = None
    values: dict[ColumnName, dict[str, Scalar]] = Field(default_factory=dict)
    units: dict[ColumnName, Unit | Annotated[tuple[Unit, ...], Field(strict=False, min_length=1)]] = Field(
        default_factory=dict
    )
    records: dict[ColumnName, Annotated[tuple[Text, ...], Field(strict=False)]] = Field(default_factory=dict)
    orphans: Orphans | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_query(cls, given: Any) -> Any:
        return {"query": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.query is not None and self.from_ is not None:
            raise PydanticCustomError("origins", "it has both query and from")
        if self.append and self.reads_packs:
            raise PydanticCustomError("origins", "it has append, but neither query nor from")
        return self

    @property
    def reads_packs(self) -> bool:
        """Whether the rules apply to the table that the packs give."""
        return self.query is None and self.from_ is None

    @property
    def plain(self) -> bool:
        """Whether it is a query without any rule."""
        return self.model_fields_set == {"query"}


def _as_parts(given: Any) -> Any:
    return given if isinstance(given, list | tuple) else [given]


TableParts = Annotated[
    tuple[TableMapping, ...], BeforeValidator(_as_parts), Field(strict=False, min_length=1, max_length=50)
]


class Identity(MappingPart):
    """Which accounts of several sources are the same company.

    Parameters
    ----------
    accounts : a SELECT whose columns are named after sources. The ids of one row are the same company.
    users : a SELECT of ``user_id`` and ``account_id``, for rows of all sources that have a user but no account. What a
        pack knows of users applies to rows of its own source only; ``SELECT * FROM crm.pack_users`` applies it to all.
    users_ids : the source whose account ids ``users`` returns. Default: the source that it reads.
    merged : a SELECT of ``account_id`` and ``merged_into``: accounts of one source that were merged into others of it.
        What belongs to them counts for the account that is left, at dates before the merge too.
    spine : the source whose ids are used where it has the company. Default: the first of ``[sources]``.
    shared : what happens to accounts of one source that are joined only through another source: ``merge`` them, or
        ``error``.
    unmatched : whether companies that the spine does not have are kept as accounts: ``keep`` or ``drop``.
    contracts : the sources whose subscriptions are read, such as ``["billing"]``. Of several, such as
        ``["billing", "crm"]``, the first one that has contracts of an account gives them. ``"all"`` adds them up, for
        sources with different sales. Default: they are added up, and it is an open question if an account has
        contracts at the same time in several.
    """

    accounts: Sql | None = None
    users: Sql | None = None
    users_ids: Text | None = None
    merged: Sql | None = None
    spine: Text | None = None
    shared: Literal["merge", "error"] = "merge"
    unmatched: Literal["keep", "drop"] = "keep"
    contracts: Literal["all"] | Annotated[tuple[SourceName, ...], Field(strict=False, min_length=1)] | None = None


class MappingFile(MappingPart):
    """A mapping file: where the tables are, and how they become tables of the data contract.

    Parameters
    ----------
    about : a description.
    data_through : the date or instant up to which the data are complete, if the command is not given one.
    open_questions : what nothing in the source shows, such as whether a price is for one seat or for all. Until it is
        answered and deleted here, the number of accounts, their revenue or their renewals are uncertain.
    source : the only source.
    sources : several sources by name.
    files : single tables by name: a file, folder or pattern, relative to the mapping file, or in an object store.
    database : a database whose tables are read by their own names.
    tables : the tables of the contract: a SELECT, or rules; several of them (``[[tables.NAME]]``) are united.
    identity : which accounts of several sources are the same company.
    """

    about: str = ""
    data_through: str | date | datetime | None = None
    open_questions: Annotated[tuple[Text, ...], Field(strict=False, max_length=100)] = ()
    source: SourceEntry | None = None
    sources: dict[SourceName, SourceEntry] = Field(default_factory=dict)
    files: dict[str, Text] = Field(default_factory=dict)
    database: Text | None = None
    tables: dict[str, TableParts] = Field(default_factory=dict)
    identity: Identity = Field(default_factory=Identity)

    @model_validator(mode="after")
    def _source_names(self) -> Self:
        if self.source is not None and self.sources:
            raise PydanticCustomError("sources", "it has both [source] and [sources]")
        for name in self.sources:
            if name in RESERVED_NAMES:
                raise PydanticCustomError("sources", "the engine uses the name {name}", {"name": name})
        return self

    @property
    def named_sources(self) -> dict[str, SourceEntry]:
        """Every source by name, in order."""
        return self.sources or ({SOURCE: self.source} if self.source else {})
