"""Opening a mapping file: TOML that maps tables of the contract to SQL queries over files or a database.

A mapping is data, not a program. Each query is exactly one SELECT and is parsed before it runs; it sees the files that
``[files]`` names and the tables of ``database``, and nothing else; the engine is confined before any query is run.
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
    confine,
    connect,
    contract_names,
    hive_keys,
    identifier,
    refuse_unknown,
)
from features.sources.databases import CATALOG, TableName, attach, database_file
from features.sources.engine_errors import reason
from features.sources.files import GLOB, DataFiles, data_files, lay_files, matching_files
from features.sources.object_store import Copies, copies, stored_files
from features.sources.select_statement import QueryError, Reference, Select, parse_select
from features.utils.toml_text import TomlError, parse_toml, read_toml_text

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

KEYS = {"tables", "files", "database", "about"}
_FILES_SCHEMA = "memory.files"
_FORM = '[tables] with table = "SELECT …" and [files] with name = "path" (or database = "duckdb:///file")'
_STORE_CURE = "copy the files to this machine with the store's own client, and name the copies"


def open_mapping(path: Path) -> Source:
    """The source that the mapping file at ``path`` describes.

    Raises
    ------
    SignalsError
        If it is no mapping file, names what is not there, or a query is not allowed or does not run.
    """
    mapping = _read(path)
    queries: dict[str, str] = mapping.get("tables", {})
    named: dict[str, str] = mapping.get("files", {})
    database: str = mapping.get("database", "")
    refuse_unknown(queries, str(path))
    selects = {name: _parsed(path, name, query) for name, query in queries.items()}
    _refuse_same_names(path, named)
    with copies() as made:
        files = {name: _data(path, name, file, made) for name, file in named.items()}
        return _opened(path, selects, files, database, made)


def _opened(
    path: Path, selects: Mapping[str, Select], files: Mapping[str, DataFiles], database: str, made: Copies
) -> Source:
    connection = connect()
    made.stay_with(connection)
    connection.raw_sql(f"CREATE SCHEMA {_FILES_SCHEMA}")
    for name, data in files.items():
        lay_files(connection, name, data, schema=_FILES_SCHEMA)
    tables = _open_tables(connection, path, database, files, selects) if database else []
    parquet = [data for data in files.values() if data.format == "Parquet"]
    confine(connection, [file for data in parquet for file in data.paths])
    read = {}
    for name, select in selects.items():
        text = _qualified(path, name, select, files, tables)
        read[name] = _lay_query(connection, path, name, text)
    keys = {key: None for data in files.values() for key in hive_keys(data.paths, data.base)}
    return Source(connection, read, str(path), partitions=dict.fromkeys(read, tuple(keys)))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        mapping = parse_toml(read_toml_text(path))
    except TomlError as error:
        raise SignalsError(f"{path} is not TOML: {error}", "a mapping file with [files] and [tables]") from None
    queries, files = mapping.get("tables", {}), mapping.get("files", {})
    unknown = sorted(set(mapping) - KEYS)
    shapes = isinstance(queries, dict) and isinstance(files, dict) and isinstance(mapping.get("database", ""), str)
    if unknown or not shapes or not all(isinstance(v, str) for v in [*queries.values(), *files.values()]):
        raise SignalsError(
            f"{path} is not a mapping file" + (f": unknown keys {', '.join(unknown)[:200]}" if unknown else ""), _FORM
        )
    return mapping


def _parsed(path: Path, name: str, query: str) -> Select:
    try:
        return parse_select(query)
    except QueryError as error:
        raise SignalsError(
            f"{path}: the query of tables.{name} cannot be used: {error.found}", error.expected, error.cure
        ) from None


def _data(path: Path, name: str, file: str, made: Copies) -> DataFiles:
    """The files that ``files.name`` names, from the mapping's folder, or as copies ``made`` of a store's objects."""
    if file.partition("://")[0].lower() in STORES and "://" in file:
        try:
            return stored_files(file, made)
        except SignalsError as error:
            raise SignalsError(f"{path}: files.{name}: {error.found}", error.expected, error.cure) from None
    if "://" in file:
        raise SignalsError(
            f"{path}: files.{name} is an address of the kind {file.partition('://')[0]}",
            "a file, a folder or a pattern on this machine, or " + " or ".join(f"{s}://BUCKET/KEY" for s in STORES),
            _STORE_CURE,
        )
    given = path.parent.resolve() / file
    if given.exists():
        return data_files(given.resolve())
    if any(character in file for character in GLOB):
        try:
            return matching_files(given)
        except SignalsError as error:
            raise SignalsError(f"{path}: files.{name}: {error.found}", error.expected, error.cure) from None
    raise SignalsError(f"{path}: files.{name} names {given}, which does not exist", "a file or folder of data")


def _refuse_same_names(path: Path, files: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for name in files:
        if other := seen.get(name.lower()):
            raise SignalsError(
                f"{path}: [files] has both {other} and {name}",
                "names that differ in more than upper and lower case",
                "rename one of them",
            )
        seen[name.lower()] = name


def _open_tables(
    connection: Backend, path: Path, database: str, files: Mapping[str, Any], selects: Mapping[str, Select]
) -> list[TableName]:
    """Make the database's tables readable in `CATALOG`; a server's, and those of SQLite, are copied if a query names
    them."""
    scheme = database.partition("://")[0]
    wanted = {r for select in selects.values() for r in select.references if not _is_file(r, files)}

    def choose(found: list[TableName]) -> list[TableName]:
        return [table for table in found if any(_is(table, reference) for reference in wanted)]

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
    plain = not (reference.catalog or reference.schema)
    return plain and reference.name.lower() in {name.lower() for name in files}


def _is(table: TableName, reference: Reference) -> bool:
    """Whether ``reference`` means ``table``; names are compared without regard to case."""
    catalog, schema = reference.catalog.lower(), reference.schema.lower()
    if catalog not in ("", CATALOG) or table.name.lower() != reference.name.lower():
        return False
    if not catalog and schema == CATALOG:
        schema = ""
    return (schema or "main") == (table.schema.lower() or "main")


def _qualified(path: Path, name: str, select: Select, files: Mapping[str, Any], tables: list[TableName]) -> str:
    """The text of a query in which every file and table is named in full."""

    def prefix(reference: Reference) -> str:
        if _is_file(reference, files):
            return f"{_FILES_SCHEMA}."
        if not any(_is(table, reference) for table in tables):
            names = [*files, *map(str, sorted(tables, key=str))]
            some = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
            raise SignalsError(
                f"{path}: the query of tables.{name} does not run: it reads {reference}, "
                "which is neither under [files] nor in the database",
                f"one of {some}" if names else "a name under [files], or a table of database",
                'name the file under [files] (name = "path"), or check the spelling',
            )
        if reference.catalog or reference.schema.lower() == CATALOG:
            return ""
        return f"{CATALOG}." if reference.schema else f"{CATALOG}.main."

    text = select.qualified(prefix)
    # What runs is parsed once more: every name in it is one of the two catalogs'.
    if any((r.catalog or r.schema).lower() not in (CATALOG, "memory") for r in _parsed(path, name, text).references):
        raise SignalsError(f"{path}: the query of tables.{name} names a table in a way that cannot be resolved", _FORM)
    return text


def _lay_query(connection: Backend, path: Path, name: str, text: str) -> ibis.Table:
    try:
        columns = [c for c, *_ in connection.con.execute(f"DESCRIBE (\n{text}\n)").fetchall()]
        names = contract_names(columns, name, f"{path}: tables.{name}")
        chosen = ", ".join(f"{identifier(column)} AS {identifier(proper)}" for column, proper in names.items())
        connection.raw_sql(f'CREATE OR REPLACE TEMP VIEW "given_{name}" AS SELECT {chosen} FROM (\n{text}\n)')
        return connection.table(f"given_{name}")
    except duckdb.Error as error:
        raise SignalsError(
            f"{path}: the query of tables.{name} does not run ({reason(error)})",
            "a DuckDB SELECT over the named files and tables",
        ) from None
