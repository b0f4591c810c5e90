"""Open a database as a source. DuckDB files are read in place; SQLite and PostgreSQL are copied."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import duckdb
import ibis
import pyarrow as pa

from features.contract.current_contract import current_tables
from features.errors import SignalsError
from features.sources import postgres
from features.sources.base import (
    ADDRESSES,
    SCHEMES,
    Source,
    confine,
    connect_duckdb,
    contract_names,
)
from features.utils.engine_errors import describe_error
from features.utils.sql_text import sql_identifier, sql_literal

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

CATALOG = "given"
"""The name under which a database is attached."""
BATCH_ROWS = 100_000
"""Rows of a SQLite table copied at a time."""


@dataclass(frozen=True)
class TableName:
    """A database table.

    Parameters
    ----------
    schema, name : in the database's spelling; the schema is empty for the default.
    columns : its columns, for tables that are copied.
    """

    schema: str
    name: str
    columns: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


def open_database(address: str, scheme: str) -> Source:
    """Open the contract's tables of the DuckDB or SQLite file at ``address``.

    Raises
    ------
    SignalsError
        If the file does not exist, is not such a database, or a table cannot be read.
    """
    path = database_file(address, scheme)
    connection = connect_duckdb()
    names = attach(connection, scheme, path, lambda tables: [name for name in tables if _contract_table(name)])
    chosen: dict[str, TableName] = {}
    for table in sorted(names, key=str):
        name = _contract_table(table)
        if not name:
            continue
        if name in chosen:
            raise SignalsError(
                f"{path} has the table {name} more than once: {chosen[name]} and {table}",
                "one table per name; names are not case-sensitive",
                "rename or drop one of them",
            )
        chosen[name] = table
    confine(connection)
    tables = {name: _create_view(connection, name, table, str(path)) for name, table in chosen.items()}
    text = frozenset(tables) if scheme == "sqlite" else frozenset[str]()
    return Source(connection, tables, address, text, places={n: f"table {chosen[n]}" for n in tables})


def open_postgres(address: str) -> Source:
    """Open the contract's tables of the PostgreSQL database at ``address``."""
    connection = connect_duckdb()
    tables = postgres.read_postgres(address, connection)
    confine(connection)
    return Source(connection, tables, postgres.masked_address(address), places={n: f"table {n}" for n in tables})


def database_file(address: str, scheme: str, folder: Path | None = None) -> Path:
    """Return the file of a database address, relative to ``folder``.

    Raises
    ------
    SignalsError
        If the scheme is unknown or the file does not exist.
    """
    if scheme not in SCHEMES:
        raise SignalsError(
            f"unsupported database address: {scheme}",
            "one of " + ", ".join(ADDRESSES),
            "use one of these, or export the tables to Parquet",
        )
    path = Path(unquote(urlsplit(address).path.removeprefix("/")))
    if folder is not None:
        path = (folder / path).resolve()
    if not path.is_file():
        raise SignalsError(
            f"no database file at {path}",
            "an existing file",
            "check the address: three slashes, then the path, with %, ? and # written as %25, %3F and %23",
        )
    return path


def attach(
    connection: Backend,
    scheme: str,
    path: Path,
    choose: Callable[[list[TableName]], Iterable[TableName]],
    catalog: str = CATALOG,
) -> list[TableName]:
    """Make the tables of a database file readable in ``catalog``.

    Parameters
    ----------
    connection : the in-process DuckDB, not yet confined.
    scheme : ``duckdb`` or ``sqlite``.
    path : the database file.
    choose : selects the tables to copy (SQLite).
    catalog : the new catalog.

    Returns
    -------
    list of TableName
        All tables and views (DuckDB), or the copied ones (SQLite).

    Raises
    ------
    SignalsError
        If the file is not a valid database of that kind.
    """
    try:
        if scheme == "sqlite":
            connection.raw_sql(f"ATTACH ':memory:' AS {catalog}")
            return _copy_sqlite(connection, path, choose, catalog)
        connection.raw_sql(f"ATTACH {sql_literal(str(path))} AS {catalog} (READ_ONLY)")
    except (duckdb.Error, sqlite3.Error, pa.ArrowException, OSError):
        raise SignalsError(f"{path} cannot be read as a {scheme} database", f"a valid {scheme} file") from None
    rows = connection.con.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = $1 UNION ALL "
        "SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = $1 AND NOT internal",
        [catalog],
    ).fetchall()
    return [TableName("" if schema == "main" else schema, name) for schema, name in rows]


def _contract_table(table: TableName) -> str:
    """Return the contract's name of a table in the default schema; empty if there is none."""
    name = table.name.strip().lower()
    return name if not table.schema and name in current_tables() else ""


def _create_view(connection: Backend, name: str, table: TableName, place: str) -> ibis.Table:
    whole = f"{CATALOG}.main.{sql_identifier(table.name)}"
    try:
        columns = [column for column, *_ in connection.con.execute(f"DESCRIBE {whole}").fetchall()]
        names = contract_names(columns, name, place)
        chosen = ", ".join(f"{sql_identifier(column)} AS {sql_identifier(proper)}" for column, proper in names.items())
        connection.raw_sql(f'CREATE OR REPLACE TEMP VIEW "given_{name}" AS SELECT {chosen} FROM {whole}')
    except duckdb.Error as error:
        raise SignalsError(
            f"{place}: {table} cannot be read ({describe_error(error)})",
            "a table, or a view over tables of the same database (views must not read files)",
            "replace the view with a table",
        ) from None
    return connection.table(f"given_{name}")


def _copy_sqlite(
    connection: Backend, path: Path, choose: Callable[[list[TableName]], Iterable[TableName]], catalog: str
) -> list[TableName]:
    """Copy tables as text: SQLite values are typed row by row, so they are parsed like those of a CSV file."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as lite:
        listed = lite.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        )
        tables = list(choose([_sqlite_table(lite, name) for (name,) in listed.fetchall()]))
        for table in tables:
            _copy_sqlite_table(connection, lite, table, catalog)
    return tables


def _sqlite_table(lite: sqlite3.Connection, name: str) -> TableName:
    columns = tuple(str(row[1]) for row in lite.execute(f"PRAGMA table_info({sql_identifier(name)})"))
    return TableName("", name, columns)


def _copy_sqlite_table(connection: Backend, lite: sqlite3.Connection, table: TableName, catalog: str) -> None:
    columns = table.columns
    chosen = ", ".join(f"CAST({sql_identifier(column)} AS TEXT)" for column in columns)
    target = f"{catalog}.main.{sql_identifier(table.name)}"
    shape = ", ".join(f"{sql_identifier(column)} VARCHAR" for column in columns)
    connection.raw_sql(f"CREATE TABLE {target} ({shape})")
    cursor = lite.execute(f"SELECT {chosen} FROM {sql_identifier(table.name)}")
    schema = pa.schema([(f"c{i}", pa.string()) for i in range(len(columns))])
    while rows := cursor.fetchmany(BATCH_ROWS):
        arrays = [pa.array(values, pa.string()) for values in zip(*rows, strict=True)]
        connection.con.register("sqlite_rows", pa.Table.from_arrays(arrays, schema=schema))
        try:
            connection.raw_sql(f"INSERT INTO {target} SELECT * FROM sqlite_rows")
        finally:
            connection.con.unregister("sqlite_rows")
