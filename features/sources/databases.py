"""Opening a database as a source: a DuckDB file, read where it lies; SQLite and PostgreSQL, copied."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import duckdb
import ibis
import pyarrow as pa

from features.contract.schema import TABLES
from features.errors import SignalsError
from features.sources import postgres
from features.sources.base import (
    ADDRESSES,
    SCHEMES,
    Source,
    confine,
    connect,
    contract_names,
    identifier,
    quoted,
)
from features.sources.engine_errors import reason

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

CATALOG = "given"
"""The name under which a database is attached."""
ROWS_AT_ONCE = 100_000
"""Rows of a SQLite table that are copied at a time."""


@dataclass(frozen=True)
class TableName:
    """A table of a database: its schema (empty: the default one) and its name, as the database spells them."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


def open_database(address: str, scheme: str) -> Source:
    """The contract's tables of the DuckDB or SQLite file at ``address``.

    Raises
    ------
    SignalsError
        If there is no such file, it is no database of that kind, or a table cannot be read.
    """
    path = database_file(address, scheme)
    connection = connect()
    names = attach(connection, scheme, path, lambda found: [name for name in found if _contract_table(name)])
    chosen: dict[str, TableName] = {}
    for found in sorted(names, key=str):
        name = _contract_table(found)
        if not name:
            continue
        if name in chosen:
            raise SignalsError(
                f"{path} holds the table {name} more than once: {chosen[name]} and {found}",
                "one table of each name; upper and lower case do not tell names apart",
                "rename or drop one of them",
            )
        chosen[name] = found
    confine(connection)
    tables = {name: _lay_view(connection, name, found, str(path)) for name, found in chosen.items()}
    return Source(connection, tables, address, frozenset(tables) if scheme == "sqlite" else frozenset())


def open_postgres(address: str) -> Source:
    """The contract's tables of the PostgreSQL database at ``address``."""
    connection = connect()
    tables = postgres.read_postgres(address, connection)
    confine(connection)
    return Source(connection, tables, postgres.masked(address))


def database_file(address: str, scheme: str, folder: Path | None = None) -> Path:
    """The file that a database address names, relative to ``folder``.

    Raises
    ------
    SignalsError
        If the scheme is unknown or there is no such file.
    """
    if scheme not in SCHEMES:
        raise SignalsError(
            f"a database address of the kind {scheme}",
            "one of " + ", ".join(ADDRESSES),
            "export the tables to Parquet, or use one of these",
        )
    path = Path(unquote(urlsplit(address).path.removeprefix("/")))
    if folder is not None:
        path = (folder / path).resolve()
    if not path.is_file():
        raise SignalsError(
            f"no database file at {path}", "an existing file", "check the address (three slashes, then the path)"
        )
    return path


def attach(
    connection: Backend, scheme: str, path: Path, choose: Callable[[list[TableName]], Iterable[TableName]]
) -> list[TableName]:
    """Make the tables of a database file readable in the catalog `CATALOG`.

    Parameters
    ----------
    connection : the in-process DuckDB, not confined yet.
    scheme : ``duckdb`` or ``sqlite``.
    choose : of all tables, those that are wanted; only these are copied.

    Returns
    -------
    list of TableName
        Every table and view that is there (DuckDB), or those wanted (SQLite).

    Raises
    ------
    SignalsError
        If it is no sound database of that kind.
    """
    try:
        if scheme == "sqlite":
            connection.raw_sql(f"ATTACH ':memory:' AS {CATALOG}")
            return _copy_sqlite(connection, path, choose)
        connection.raw_sql(f"ATTACH {quoted(str(path))} AS {CATALOG} (READ_ONLY)")
    except (duckdb.Error, sqlite3.Error, pa.ArrowException, OSError):
        raise SignalsError(f"{path} cannot be read as a {scheme} database", f"a sound {scheme} file") from None
    found = connection.con.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = $1 UNION ALL "
        "SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = $1 AND NOT internal",
        [CATALOG],
    ).fetchall()
    return [TableName("" if schema == "main" else schema, name) for schema, name in found]


def _contract_table(found: TableName) -> str:
    """The contract's name for a table of the default schema; empty if it has none."""
    name = found.name.strip().lower()
    return name if not found.schema and name in TABLES else ""


def _lay_view(connection: Backend, name: str, found: TableName, place: str) -> ibis.Table:
    whole = f"{CATALOG}.main.{identifier(found.name)}"
    try:
        columns = [column for column, *_ in connection.con.execute(f"DESCRIBE {whole}").fetchall()]
        names = contract_names(columns, name, place)
        chosen = ", ".join(f"{identifier(column)} AS {identifier(proper)}" for column, proper in names.items())
        connection.raw_sql(f'CREATE OR REPLACE TEMP VIEW "given_{name}" AS SELECT {chosen} FROM {whole}')
    except duckdb.Error as error:
        raise SignalsError(
            f"{place}: {found} cannot be read ({reason(error)})",
            "a table, or a view over tables of the same database: views may not read files",
            "make it a table",
        ) from None
    return connection.table(f"given_{name}")


def _copy_sqlite(
    connection: Backend, path: Path, choose: Callable[[list[TableName]], Iterable[TableName]]
) -> list[TableName]:
    """SQLite's columns are typed row by row, so its values are copied as text and parsed like those of a CSV file."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as lite:
        listed = lite.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        )
        found = list(choose([TableName("", name) for (name,) in listed.fetchall()]))
        for table in found:
            _copy_sqlite_table(connection, lite, table)
    return found


def _copy_sqlite_table(connection: Backend, lite: sqlite3.Connection, table: TableName) -> None:
    columns = [row[1] for row in lite.execute(f"PRAGMA table_info({identifier(table.name)})")]
    chosen = ", ".join(f"CAST({identifier(column)} AS TEXT)" for column in columns)
    target = f"{CATALOG}.main.{identifier(table.name)}"
    shape = ", ".join(f"{identifier(column)} VARCHAR" for column in columns)
    connection.raw_sql(f"CREATE TABLE {target} ({shape})")
    cursor = lite.execute(f"SELECT {chosen} FROM {identifier(table.name)}")
    schema = pa.schema([(f"c{i}", pa.string()) for i in range(len(columns))])
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        arrays = [pa.array(values, pa.string()) for values in zip(*rows, strict=True)]
        connection.con.register("sqlite_rows", pa.Table.from_arrays(arrays, schema=schema))
        try:
            connection.raw_sql(f"INSERT INTO {target} SELECT * FROM sqlite_rows")
        finally:
            connection.con.unregister("sqlite_rows")
