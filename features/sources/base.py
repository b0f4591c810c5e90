"""The `Source` class and helpers shared by all kinds of sources."""

from __future__ import annotations

import glob
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import duckdb
import ibis
import pyarrow as pa

from features.contract.current_contract import current_tables
from features.errors import SignalsError
from features.sources import postgres
from features.sources.account_states import AccountStates
from features.sources.missing_contracts import MissingContracts
from features.utils.sql_text import sql_identifier, sql_literal

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

SCHEMES = ("duckdb", "sqlite")
STORES = ("s3", "gs")
ADDRESSES = (
    *(f"{scheme}:///FILE" for scheme in SCHEMES),
    postgres.ADDRESS_FORMAT,
    *(f"{scheme}://BUCKET/PREFIX" for scheme in STORES),
)
DUCKDB, SPARK = "duckdb", "spark"
"""The engines; Spark can also be given as the address of its master, ``spark://HOST:PORT``."""
_PATH, _HIVE_NULL = "renewcast_path", "__HIVE_DEFAULT_PARTITION__"


class TableFiles(tuple[Path, ...]):
    """The Parquet files of one table.

    Parameters
    ----------
    files : sorted paths.
    base : the table's folder. Only Hive-style keys (``key=value``) below it count.
    """

    base: Path

    def __new__(cls, files: Iterable[Path], base: Path) -> TableFiles:
        """Create a tuple of ``files`` with the attribute ``base``."""
        paths = super().__new__(cls, files)
        paths.base = base
        return paths


@dataclass(frozen=True)
class Source:
    """The unchanged tables of a signals source.

    Parameters
    ----------
    connection : the engine, an in-process DuckDB or `features.sources.spark.Spark`. Its session reads values without a
        time zone as UTC.
    tables : Ibis table by contract name (``given_{name}`` on the connection); only tables of the contract. Columns of
        the contract have the contract's spelling.
    origin : the address, for messages and records; never contains a password or row values.
    text : tables in which all values are text (CSV, JSON, SQLite). In other tables, a text column is parsed if the
        contract expects another type (see `features.signals.casting.conformed_columns`).
    notes : descriptions of what was ignored.
    places : where each table is read from, in words for people: a file, a number of files, a table of a database.
    files : the Parquet files of each table in a folder; each value is a `TableFiles`.
    partitions : the keys of Hive-style folders (``week=2026-01-05``) of each table. They describe where a row is stored
        and not what happened: a batch that is sent again is in another folder.
    partial : whether the tables are part of a portfolio's signals (a request, a sample), so that declared extra tables
        may be missing.
    states : values that describe accounts at a date, if the source has some that no event shows.
    data_through : the instant up to which the source is complete, if it says so; it applies unless another is given.
    synced_through : an instant up to which the source certainly reaches, such as that of its last sync, if known.
    synced_tables : the same for single tables.
    records : by table and column, the only values that the source can record. What counts other values is unknown,
        not zero. A column that is not listed may have any value.
    missing_contracts : what is missing if the tools of a mapping have no contracts.
    open_questions : what a mapping has not answered, so that accounts, revenue or renewals are uncertain.
    """

    connection: Any
    tables: dict[str, ibis.Table]
    origin: str
    text: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict, kw_only=True)
    files: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    partitions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    partial: bool = False
    states: AccountStates | None = None
    data_through: datetime | None = None
    synced_through: datetime | None = None
    synced_tables: Mapping[str, datetime] = field(default_factory=dict)
    records: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    missing_contracts: MissingContracts | None = None
    open_questions: tuple[str, ...] = ()

    @contextmanager
    def restricted_to(self, name: str, files: Sequence[Path] | None) -> Iterator[bool]:
        """Restrict ``name`` to ``files`` (None: all) while the block runs; yield whether there is anything to read."""
        if files is None or not files:
            yield files is None
            return
        some, whole = self._create_view(f"given_{name}_some", name, files), self.tables[name].schema()
        columns = {c: some[c] if c in some.columns else ibis.null(kind) for c, kind in whole.items()}
        text = ibis.to_sql(some.select(**columns), dialect="duckdb")
        self.connection.raw_sql(f'CREATE OR REPLACE TEMP VIEW "given_{name}" AS {text}')
        try:
            yield True
        finally:
            self._create_view(f"given_{name}", name, self.files[name])

    def _create_view(self, view: str, name: str, files: Sequence[Path]) -> ibis.Table:
        return create_parquet_view(self.connection, view, files, partition_base(self.files[name]), name)


def connect_duckdb() -> Backend:
    """Connect to a new in-process DuckDB in UTC that stores nothing on disk and downloads no extensions."""
    connection = ibis.duckdb.connect()
    connection.raw_sql("SET TimeZone = 'UTC'")
    connection.raw_sql("SET autoinstall_known_extensions = false")
    connection.raw_sql("SET autoload_known_extensions = false")
    connection.raw_sql("SET python_enable_replacements = false")
    # Otherwise a long query draws a bar on standard output wherever Python has no main file. In a notebook that cannot
    # draw one, DuckDB refuses to set this.
    with suppress(duckdb.InvalidInputException):
        connection.raw_sql("SET enable_progress_bar = false")
    return connection


def confine(connection: Backend, files: Iterable[Path] = (), folders: Iterable[Path] = ()) -> None:
    """Restrict the in-process DuckDB to the source.

    Afterwards it can read only ``files``, the contents of ``folders`` and attached databases, and write only its
    temporary files. It loads no extensions, and its settings are locked.

    Parameters
    ----------
    connection : the engine; nothing can be attached to it later.
    files, folders : the readable files and folders.
    """
    # A name with characters of a pattern is checked as it is written in the statement, and again as it is found.
    paths = ", ".join(text for file in files for text in (sql_literal(str(file)), file_literal(file)))
    directories = ", ".join(
        sql_literal(f"{text}/") for folder in folders for text in (str(folder), glob.escape(str(folder)))
    )
    # The order matters: the lists are fixed once external access is off, and everything is fixed once locked.
    connection.raw_sql(f"SET allowed_paths = [{paths}]")
    connection.raw_sql(f"SET allowed_directories = [{directories}]")
    connection.raw_sql("SET allow_community_extensions = false")
    connection.raw_sql("SET enable_external_access = false")
    connection.raw_sql("SET lock_configuration = true")


def from_tables(
    tables: Mapping[str, pa.Table], origin: str, *, text: bool = False, connection: Backend | None = None
) -> Source:
    """Create a source from Arrow tables in memory, by contract name.

    Parameters
    ----------
    tables : the tables by contract name.
    origin : the name of the source in messages.
    text : whether all values are text, as in CSV (see `Source`).
    connection : a `features.sources.memory.engine.MemoryEngine`; by default a new in-process DuckDB.

    Returns
    -------
    Source

    Raises
    ------
    SignalsError
        If a name is not in the contract.
    """
    check_table_names(tables, origin)
    memory, connection = connection, connection or connect_duckdb()
    put = partial(create_arrow_table, connection) if memory is None else memory.create_arrow_view
    for name, table in tables.items():
        put(f"given_{name}", table)
    read = {name: connection.table(f"given_{name}") for name in tables}
    return Source(connection, read, origin, frozenset(read) if text else frozenset(), partial=True)


def create_arrow_table(connection: Backend, name: str, table: pa.Table) -> None:
    """Create (or replace) a temporary table on the in-process DuckDB."""
    # Ibis takes three times as long, mostly to generate the statement.
    connection.con.register("new_rows", table)
    try:
        connection.con.execute(f'CREATE OR REPLACE TEMP TABLE "{name}" AS SELECT * FROM new_rows')
    finally:
        connection.con.unregister("new_rows")


def partition_base(files: Sequence[Path]) -> Path | None:
    """Return the folder below which Hive-style keys count, if known."""
    return files.base if isinstance(files, TableFiles) else None


def create_parquet_view(
    connection: Backend, view: str, files: Sequence[Path], base: Path | None, table: str = "", schema: str = ""
) -> ibis.Table:
    """Create (or replace) the view ``view`` of Parquet files, temporary or in ``schema``.

    Columns are matched by name, columns of the contract's ``table`` get its spelling, and Hive-style keys below
    ``base`` become text columns.

    Parameters
    ----------
    connection : the engine.
    view : the name of the view.
    files : the Parquet files.
    base : the folder below which Hive-style keys are read; None for none.
    table : the contract table; empty if the files are not of the contract.
    schema : the database schema of the view; empty for a temporary view.

    Returns
    -------
    ibis.Table
    """
    paths = f"[{', '.join(map(file_literal, files))}]"
    keys = hive_keys(files, base) if base else []
    path = f", filename = {sql_literal(_PATH)}" if keys else ""
    read = f"read_parquet({paths}, union_by_name = true, hive_partitioning = false{path})"
    columns = [name for name, *_ in connection.con.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()]
    hidden = {key.lower() for key in (*keys, _PATH)}
    selected = {name: sql_identifier(name) for name in columns if name.lower() not in hidden}
    selected |= {key: _hive_value(key, base) for key in keys if base}
    names = contract_names(selected, table, str(base or files[0].parent))
    chosen = ", ".join(f"{text} AS {sql_identifier(names[name])}" for name, text in selected.items())
    connection.raw_sql(f"{create_clause('VIEW', view, schema)} AS SELECT {chosen} FROM {read}")
    return connection.table(view, database=database_of(schema))


def hive_keys(files: Iterable[Path], base: Path) -> list[str]:
    """Return the keys of Hive-style folders (``key=value``) between ``base`` and the files, in order of appearance."""
    folders = {file.relative_to(base).parent for file in files}
    return list(dict.fromkeys(key for folder in sorted(folders) for key in hive_values(folder)))


def hive_values(folder: Path) -> dict[str, str | None]:
    """Return the key and value of each Hive-style part of a relative ``folder``."""
    parts = [part.partition("=") for part in folder.parts]
    return {key: None if value in ("", _HIVE_NULL) else unquote(value) for key, sign, value in parts if sign and key}


def _hive_value(key: str, base: Path) -> str:
    """Return SQL for the value of ``key`` in a file's path below ``base``; null if there is none."""
    inside = f"substr({_PATH}, {len(str(base)) + 1})"
    value = f"regexp_extract({inside}, {sql_literal(f'/{re.escape(key)}=([^/]*)/')}, 1)"
    return f"nullif(nullif(url_decode({value}), ''), {sql_literal(_HIVE_NULL)})"


def contract_names(columns: Iterable[str], table: str, place: str) -> dict[str, str]:
    """Map each of ``columns`` to its name: the contract's spelling if they differ only in case and outer spaces.

    Raises
    ------
    SignalsError
        If two columns are the same column of the contract, or a name contains a null character.
    """
    columns = list(columns)
    check_column_names(columns, place)
    contract = current_tables()[table].names if table in current_tables() else ()
    names = {
        column: lower if (lower := column.strip(" \t\r\n\ufeff").lower()) in contract else column for column in columns
    }
    spellings: defaultdict[str, list[str]] = defaultdict(list)
    for column, name in names.items():
        spellings[name].append(column)
    for name, variants in spellings.items():
        if len(variants) > 1 and name in contract:
            raise SignalsError(
                f"{place}: the table {table} has the column {name} more than once: {', '.join(variants)}",
                "one column per name; names are not case-sensitive",
                "rename or remove one of them",
            )
    return names


def check_column_names(columns: Sequence[str], place: str) -> None:
    """Reject column names that no engine supports.

    Raises
    ------
    SignalsError
        If a name contains a null character; the message has its position, not the name.
    """
    for position, column in enumerate(columns, 1):
        if "\0" in column:
            raise SignalsError(
                f"{place}: the name of column {position} contains a null character",
                "names of printable characters",
                "export it again",
            )


def check_table_names(names: Iterable[str], origin: str) -> None:
    """Reject tables that are not in the contract.

    Raises
    ------
    SignalsError
        If there are any.
    """
    unknown = sorted(set(names) - set(current_tables()))
    if unknown:
        raise SignalsError(
            f"{origin} names tables that are not in the contract: {', '.join(unknown)}",
            "only " + ", ".join(current_tables()),
            "rename or remove them",
        )


def create_clause(kind: str, name: str, schema: str = "") -> str:
    """Return the start of a statement that creates a ``TABLE`` or ``VIEW``, temporary or in ``schema``."""
    return f"CREATE OR REPLACE {'' if schema else 'TEMP '}{kind} {qualified_name(name, schema)}"


def database_of(schema: str) -> tuple[str, ...] | None:
    """Return the catalog and schema of SQL such as ``memory."billing"``, as Ibis expects them; None for the default."""
    return tuple(part.strip('"') for part in schema.split(".")) if schema else None


def qualified_name(name: str, schema: str = "") -> str:
    """Return ``name`` in ``schema`` as SQL."""
    return f"{schema}.{sql_identifier(name)}" if schema else sql_identifier(name)


def file_literal(file: Path) -> str:
    """Return the path of one file as a SQL literal for DuckDB, which takes a plain path as a pattern of names."""
    return sql_literal(glob.escape(str(file)))
