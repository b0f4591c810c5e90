"""The tables of a database, for a mapping. DuckDB files are read in place; SQLite and PostgreSQL are copied."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import duckdb

from features.errors import SignalsError
from features.sources import postgres
from features.sources.databases import TableName, attach, database_file
from features.utils.engine_errors import describe_error
from features.utils.sql_text import sql_identifier

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend


class _AttachedTables:
    """Tables in an attached catalog, published as views."""

    def __init__(self, connection: Backend, name: str) -> None:
        self.name = name
        self._connection = connection
        self._catalog = f"given_{name}"
        self._columns: dict[str, dict[str, str]] = {}
        self._schema = "main"
        self._others: list[str] = []
        self._loaded: set[str] = set()
        connection.raw_sql(f"CREATE SCHEMA memory.{sql_identifier(name)}")

    @property
    def names(self) -> tuple[str, ...]:
        """The tables, in the database's spelling."""
        return tuple(self._columns)

    @property
    def files(self) -> list[Path]:
        """Nothing: an attached file stays readable."""
        return []

    def columns(self, table: str) -> dict[str, str]:
        """Return the columns of a table with their types."""
        return self._columns[table]

    def publish(self) -> None:
        """Create a view of each loaded table."""
        for table in sorted(self._loaded):
            into = f"memory.{sql_identifier(self.name)}.{sql_identifier(table)}"
            whole = f"{self._catalog}.{sql_identifier(self._schema)}.{sql_identifier(table)}"
            try:
                self._connection.raw_sql(f"CREATE VIEW {into} AS SELECT * FROM {whole}")
                described = self._connection.con.execute(f"DESCRIBE {into}").fetchall()
            except duckdb.Error as error:
                raise SignalsError(
                    f"the table {table} cannot be read ({describe_error(error)})",
                    "a table, or a view over tables of the same database (views must not read files)",
                    "replace the view with a table",
                ) from None
            self._columns[table] = {column: str(kind) for column, kind, *_ in described}

    def _check_not_empty(self, place: str) -> None:
        if not self._columns:
            others = f"one of the schemas {', '.join(self._others)}" if self._others else "at least one table"
            raise SignalsError(
                f"{place} has no tables in the schema {self._schema}",
                others,
                "choose another schema with ?schema=NAME at the end of the address",
            )


class FileDatabaseTables(_AttachedTables):
    """The tables of a DuckDB or SQLite file. See `features.sources.mapping.named_sources`.

    Parameters
    ----------
    connection : the engine.
    name : the source's name.
    uri : the address.
    scheme : ``duckdb`` or ``sqlite``.
    folder : the folder at which a relative path starts.
    """

    def __init__(self, connection: Backend, name: str, uri: str, scheme: str, folder: Path) -> None:
        super().__init__(connection, name)
        self._scheme, self._path = scheme, database_file(uri, scheme, folder)
        wanted = dict(parse_qsl(urlsplit(uri).query)).get("schema", "")
        if scheme == "sqlite":
            self._list_sqlite()
        else:
            self._attach_duckdb(wanted)
        self._check_not_empty(str(self._path))

    def load(self, tables: Iterable[str]) -> None:
        """Copy tables of a SQLite file."""
        new = {table for table in tables if table not in self._loaded}
        if self._scheme == "sqlite" and new:
            detach = f"DETACH DATABASE IF EXISTS {self._catalog}"
            self._connection.raw_sql(detach)
            everything = self._loaded | new
            attach(
                self._connection,
                "sqlite",
                self._path,
                lambda listed: [table for table in listed if table.name in everything],
                self._catalog,
            )
        self._loaded |= new

    def _list_sqlite(self) -> None:
        listed: list[TableName] = []

        def choose(tables: list[TableName]) -> list[TableName]:
            listed.extend(tables)
            return []

        attach(self._connection, "sqlite", self._path, choose, self._catalog)
        self._columns = {table.name: dict.fromkeys(table.columns, "VARCHAR") for table in listed}

    def _attach_duckdb(self, wanted: str) -> None:
        self._catalog = _attached_catalog(self._connection, self._path, self._catalog)
        rows = self._connection.con.execute(
            "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE database_name = $1 AND NOT internal ORDER BY 1, 2, column_index",
            [self._catalog],
        ).fetchall()
        schemas = {str(schema).lower(): str(schema) for schema, *_ in rows}
        if wanted and wanted.lower() not in schemas:
            raise SignalsError(
                f"{self._path} has no tables in the schema {wanted}",
                f"one of {', '.join(sorted(schemas.values()))}",
                "correct ?schema=",
            )
        self._others = sorted(schemas.values())
        # A warehouse often has no table in its default schema.
        self._schema = schemas[wanted.lower()] if wanted else _default_schema(list(schemas.values()))
        for schema, table, column, kind in rows:
            if schema == self._schema:
                self._columns.setdefault(str(table), {})[str(column)] = str(kind)


def schemas_of_file(connection: Backend, path: Path, catalog: str) -> list[str]:
    """Return the schemas of a DuckDB file that have tables."""
    attached = _attached_catalog(connection, path, catalog)
    rows = connection.con.execute(
        "SELECT DISTINCT schema_name FROM duckdb_columns() WHERE database_name = ? AND NOT internal ORDER BY 1",
        [attached],
    ).fetchall()
    return [str(schema) for (schema,) in rows]


def _attached_catalog(connection: Backend, path: Path, catalog: str) -> str:
    """Attach a DuckDB file as ``catalog``, or return the catalog that it has already.

    The engine attaches a file only once, but several sources may be schemas of it.
    """
    row = connection.con.execute("SELECT database_name FROM duckdb_databases() WHERE path = ?", [str(path)]).fetchone()
    if row:
        return str(row[0])
    attach(connection, "duckdb", path, lambda tables: tables, catalog)
    return catalog


def _default_schema(schemas: list[str]) -> str:
    return schemas[0] if len(schemas) == 1 else "main"


class PostgresTables(_AttachedTables):
    """The tables of a PostgreSQL schema. See `features.sources.mapping.named_sources`.

    Parameters
    ----------
    connection : the engine.
    name : the source's name.
    uri : the address.
    """

    def __init__(self, connection: Backend, name: str, uri: str) -> None:
        super().__init__(connection, name)
        self._uri = uri
        connection.raw_sql(f"ATTACH ':memory:' AS {self._catalog}")
        schemas = postgres.list_columns(uri)
        self._columns = next(iter(schemas.values()))
        self._check_not_empty(postgres.masked_address(uri))

    def load(self, tables: Iterable[str]) -> None:
        """Copy tables."""
        new = sorted({table for table in tables if table not in self._loaded})
        if new:
            postgres.copy_tables(self._uri, self._connection, [("", table) for table in new], self._catalog)
            self._loaded |= {*new}
