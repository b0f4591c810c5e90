"""The tables of a mapping outside its sources: single files, and a database."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from features.errors import SignalsError
from features.sources import postgres
from features.sources.base import STORES
from features.sources.databases import CATALOG, TableName, attach, database_file
from features.sources.files import WILDCARDS, DataFiles, data_files, matching_files
from features.sources.mapping.mapping_file import Mapping
from features.sources.mapping.mapping_queries import MappingQueries
from features.sources.mapping.names import Names, is_table
from features.sources.object_store import Copies, copy_files
from features.utils.select_statement import Reference

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

_STORE_CURE = "copy the files to this machine with the object store's own client, and use the copies"


def mapped_files(mapping: Mapping, copies: Copies) -> dict[str, DataFiles]:
    """Return the files of each name in ``[files]``.

    Raises
    ------
    SignalsError
        If there are none, or they have an unknown format.
    """
    return {name: _data_files(mapping, name, file, copies) for name, file in mapping.content.files.items()}


def _data_files(mapping: Mapping, name: str, file: str, copies: Copies) -> DataFiles:
    """Return the files of ``files.name``, relative to the mapping's folder, or copied from an object store."""
    keys = ("files", name)
    if file.partition("://")[0].lower() in STORES and "://" in file:
        with mapping.errors_at(keys):
            return copy_files(file, copies)
    if "://" in file:
        raise SignalsError(
            f"{mapping.path}{mapping.place(keys)}: files.{name} has an unsupported kind of address: "
            f"{file.partition('://')[0]}",
            "a local file, folder or pattern, or " + " or ".join(f"{s}://BUCKET/KEY" for s in STORES),
            _STORE_CURE,
        )
    local = mapping.folder.resolve() / file
    if local.exists():
        with mapping.errors_at(keys):
            return data_files(local.resolve())
    if any(character in file for character in WILDCARDS):
        with mapping.errors_at(keys):
            return matching_files(local)
    raise mapping.error(keys, f"{local} does not exist", "a file or folder of data", "check the path")


def open_database_tables(connection: Backend, mapping: Mapping, names: Names, queries: MappingQueries) -> Names:
    """Make the tables of ``database`` readable; only those used are copied from PostgreSQL and SQLite.

    Returns
    -------
    Names
        The names with those of the database's tables.
    """
    database = mapping.content.database
    if database is None:
        return names
    scheme = database.partition("://")[0]
    wanted = {r for query in queries.all for r in query.select.references if _is_other(names, r)}

    def choose(tables: list[TableName]) -> list[TableName]:
        return [table for table in tables if any(is_table(table, reference) for reference in wanted)]

    try:
        if scheme in postgres.SCHEMES:
            connection.raw_sql(f"ATTACH ':memory:' AS {CATALOG}")
            pairs = sorted({(r.schema if r.schema.lower() != CATALOG else "", r.name) for r in wanted})
            copied = postgres.copy_tables(database, connection, pairs, CATALOG)
            tables = [TableName(schema, name) for schema, name in copied]
        else:
            tables = attach(connection, scheme, database_file(database, scheme, mapping.folder), choose)
    except SignalsError as error:
        raise SignalsError(f"{mapping.path}: database: {error.found}", error.expected, error.cure) from None
    return replace(names, database=tuple(tables))


def _is_other(names: Names, reference: Reference) -> bool:
    """Return whether a name may be that of a table of the database."""
    known_source = reference.schema.lower() in names.sources
    return not names.is_file(reference) and not known_source
