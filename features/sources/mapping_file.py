"""Open a mapping file: TOML that maps tables of the contract to SQL queries over files or a database.

A mapping is data, not a program. Each query is exactly one SELECT and is parsed before it runs. It can read only the
files in ``[files]`` and the tables of ``database``, and the engine is confined before any query runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import ibis

from features.errors import SignalsError
from features.sources import postgres
from features.sources.base import (
    STORES,
    Source,
    check_table_names,
    confine,
    connect_duckdb,
    contract_names,
    hive_keys,
)
from features.sources.databases import CATALOG, TableName, attach, database_file
from features.sources.files import WILDCARDS, DataFiles, data_files, load_files, matching_files
from features.sources.object_store import Copies, copy_files, temporary_copies
from features.utils.engine_errors import describe_error
from features.utils.select_statement import QueryError, Reference, Select, parse_select
from features.utils.sql_text import sql_identifier
from features.utils.toml_text import TomlError, parse_toml, read_toml_text

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

KEYS = {"tables", "files", "database", "about"}
_FILES_SCHEMA = "memory.files"
_EXPECTED = '[tables] with table = "SELECT …" and [files] with name = "path" (or database = "duckdb:///file")'
_STORE_CURE = "copy the files to this machine with the object store's own client, and use the copies"


def open_mapping(path: Path) -> Source:
    """Open the source described by the mapping file at ``path``.

    Raises
    ------
    SignalsError
        If it is not a mapping file, refers to something that does not exist, or a query is not allowed or fails.
    """
    mapping = _read(path)
    queries: dict[str, str] = mapping.get("tables", {})
    paths: dict[str, str] = mapping.get("files", {})
    database: str = mapping.get("database", "")
    check_table_names(queries, str(path))
    selects = {name: _parse(path, name, query) for name, query in queries.items()}
    _check_unique_names(path, paths)
    with temporary_copies() as copies:
        files = {name: _data_files(path, name, file, copies) for name, file in paths.items()}
        return _open(path, selects, files, database, copies)


def _open(
    path: Path, selects: Mapping[str, Select], files: Mapping[str, DataFiles], database: str, copies: Copies
) -> Source:
    connection = connect_duckdb()
    copies.bind_to(connection)
    connection.raw_sql(f"CREATE SCHEMA {_FILES_SCHEMA}")
    for name, data in files.items():
        load_files(connection, name, data, schema=_FILES_SCHEMA)
    tables = _open_tables(connection, path, database, files, selects) if database else []
    parquet = [data for data in files.values() if data.format == "Parquet"]
    confine(connection, [file for data in parquet for file in data.paths])
    read = {}
    for name, select in selects.items():
        text = _qualify(path, name, select, files, tables)
        read[name] = _create_view(connection, path, name, text)
    keys = {key: None for data in files.values() for key in hive_keys(data.paths, data.base)}
    return Source(connection, read, str(path), partitions=dict.fromkeys(read, tuple(keys)))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        mapping = parse_toml(read_toml_text(path))
    except TomlError as error:
        raise SignalsError(f"{path} is not valid TOML: {error}", "a mapping file with [files] and [tables]") from None
    queries, files = mapping.get("tables", {}), mapping.get("files", {})
    unknown = sorted(set(mapping) - KEYS)
    shapes = isinstance(queries, dict) and isinstance(files, dict) and isinstance(mapping.get("database", ""), str)
    if unknown or not shapes or not all(isinstance(v, str) for v in [*queries.values(), *files.values()]):
        raise SignalsError(
            f"{path} is not a mapping file" + (f": unknown keys {', '.join(unknown)[:200]}" if unknown else ""),
            _EXPECTED,
        )
    return mapping


def _parse(path: Path, name: str, query: str) -> Select:
    try:
        return parse_select(query)
    except QueryError as error:
        raise SignalsError(
            f"{path}: the query of tables.{name} cannot be used: {error.found}", error.expected, error.cure
        ) from None


def _data_files(path: Path, name: str, file: str, copies: Copies) -> DataFiles:
    """Return the files of ``files.name``, relative to the mapping's folder, or copied from an object store."""
    if file.partition("://")[0].lower() in STORES and "://" in file:
        try:
            return copy_files(file, copies)
        except SignalsError as error:
            raise SignalsError(f"{path}: files.{name}: {error.found}", error.expected, error.cure) from None
    if "://" in file:
        raise SignalsError(
            f"{path}: files.{name} has an unsupported kind of address: {file.partition('://')[0]}",
            "a local file, folder or pattern, or " + " or ".join(f"{s}://BUCKET/KEY" for s in STORES),
            _STORE_CURE,
        )
    local = path.parent.resolve() / file
    if local.exists():
        return data_files(local.resolve())
    if any(character in file for character in WILDCARDS):
        try:
            return matching_files(local)
        except SignalsError as error:
            raise SignalsError(f"{path}: files.{name}: {error.found}", error.expected, error.cure) from None
    raise SignalsError(f"{path}: files.{name} is {local}, which does not exist", "a file or folder of data")


def _check_unique_names(path: Path, files: Iterable[str]) -> None:
    spellings: dict[str, str] = {}
    for name in files:
        if other := spellings.get(name.lower()):
            raise SignalsError(
                f"{path}: [files] has both {other} and {name}",
                "names that differ in more than case",
                "rename one of them",
            )
        spellings[name.lower()] = name


def _open_tables(
    connection: Backend, path: Path, database: str, files: Mapping[str, Any], selects: Mapping[str, Select]
) -> list[TableName]:
    """Make the database's tables available in `CATALOG`; only those used are copied from PostgreSQL and SQLite."""
    scheme = database.partition("://")[0]
    wanted = {r for select in selects.values() for r in select.references if not _is_file(r, files)}

    def choose(tables: list[TableName]) -> list[TableName]:
        return [table for table in tables if any(_is_table(table, reference) for reference in wanted)]

    try:
        if scheme in postgres.SCHEMES:
            connection.raw_sql(f"ATTACH ':memory:' AS {CATALOG}")
            names = sorted({(r.schema if r.schema.lower() != CATALOG else "", r.name) for r in wanted})
            copied = postgres.copy_tables(database, connection, names, CATALOG)
            return [TableName(schema, name) for schema, name in copied]
        return attach(connection, scheme, database_file(database, scheme, path.parent), choose)
    except SignalsError as error:
        raise SignalsError(f"{path}: database: {error.found}", error.expected, error.cure) from None


def _is_file(reference: Reference, files: Mapping[str, Any]) -> bool:
    unqualified = not (reference.catalog or reference.schema)
    return unqualified and reference.name.lower() in {name.lower() for name in files}


def _is_table(table: TableName, reference: Reference) -> bool:
    """Return whether ``reference`` refers to ``table``; names are compared ignoring case."""
    catalog, schema = reference.catalog.lower(), reference.schema.lower()
    if catalog not in ("", CATALOG) or table.name.lower() != reference.name.lower():
        return False
    if not catalog and schema == CATALOG:
        schema = ""
    return (schema or "main") == (table.schema.lower() or "main")


def _qualify(path: Path, name: str, select: Select, files: Mapping[str, Any], tables: list[TableName]) -> str:
    """Return the text of a query with fully qualified files and tables."""

    def prefix(reference: Reference) -> str:
        if _is_file(reference, files):
            return f"{_FILES_SCHEMA}."
        if not any(_is_table(table, reference) for table in tables):
            names = [*files, *map(str, sorted(tables, key=str))]
            some = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
            raise SignalsError(
                f"{path}: the query of tables.{name} does not run: it reads {reference}, "
                "which is neither in [files] nor in the database",
                f"one of {some}" if names else "a name in [files], or a table of the database",
                'add the file to [files] (name = "path"), or check the spelling',
            )
        if reference.catalog or reference.schema.lower() == CATALOG:
            return ""
        return f"{CATALOG}." if reference.schema else f"{CATALOG}.main."

    text = select.qualified(prefix)
    # The final text is parsed again to verify that every name is in one of the two catalogs.
    if any((r.catalog or r.schema).lower() not in (CATALOG, "memory") for r in _parse(path, name, text).references):
        raise SignalsError(f"{path}: the query of tables.{name} has a table name that cannot be resolved", _EXPECTED)
    return text


def _create_view(connection: Backend, path: Path, name: str, text: str) -> ibis.Table:
    try:
        columns = [c for c, *_ in connection.con.execute(f"DESCRIBE (\n{text}\n)").fetchall()]
        names = contract_names(columns, name, f"{path}: tables.{name}")
        chosen = ", ".join(f"{sql_identifier(column)} AS {sql_identifier(proper)}" for column, proper in names.items())
        connection.raw_sql(f'CREATE OR REPLACE TEMP VIEW "given_{name}" AS SELECT {chosen} FROM (\n{text}\n)')
        return connection.table(f"given_{name}")
    except duckdb.Error as error:
        raise SignalsError(
            f"{path}: the query of tables.{name} does not run ({describe_error(error)})",
            "a DuckDB SELECT from the given files and tables",
        ) from None
