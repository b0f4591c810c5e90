"""The sources of a mapping: each makes its tables available in a schema with its name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from features.errors import SignalsError
from features.sources import postgres
from features.sources.base import ADDRESSES, SCHEMES, STORES
from features.sources.databases import database_file
from features.sources.files import WILDCARDS, glob_paths
from features.sources.mapping.database_tables import FileDatabaseTables, PostgresTables, schemas_of_file
from features.sources.mapping.folder_tables import FolderTables
from features.sources.object_store import Copies, copy_entries

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend


class SourceTables(Protocol):
    """The tables of one source.

    Attributes
    ----------
    name : the source's name, and that of its schema.
    """

    name: str

    @property
    def names(self) -> tuple[str, ...]:
        """The tables, in the source's spelling."""

    def columns(self, table: str) -> dict[str, str]:
        """Return the columns of a table with their DuckDB types. They are exact once the table is loaded."""

    def load(self, tables: Iterable[str]) -> None:
        """Copy tables into the engine, or prepare to read them in place. Call it before the engine is confined."""

    def publish(self) -> None:
        """Make the loaded tables available in the schema. Call it after the engine is confined."""

    @property
    def files(self) -> list[Path]:
        """The loaded files that are read in place."""


def open_tables(connection: Backend, name: str, uri: str, folder: Path, copies: Copies) -> SourceTables:
    """Open the source at ``uri`` without reading its rows.

    Parameters
    ----------
    connection : the engine, not yet confined.
    name : the source's name.
    uri : its address.
    folder : the folder at which relative paths start.
    copies : receives the copies of objects.

    Raises
    ------
    SignalsError
        If there is no such source, or it has no tables.
    """
    scheme, sign, _ = uri.partition("://")
    if not sign:
        return FolderTables(connection, name, _entries(folder, uri))
    if scheme in postgres.SCHEMES:
        return PostgresTables(connection, name, uri)
    if scheme in SCHEMES:
        return FileDatabaseTables(connection, name, uri, scheme, folder)
    if scheme.lower() in STORES:
        return FolderTables(connection, name, copy_entries(uri, copies))
    raise SignalsError(
        f"unsupported kind of address: {scheme}",
        "a folder, or one of " + ", ".join(ADDRESSES),
        "use one of these, or export the tables to Parquet",
    )


def list_schemas(connection: Backend, uri: str, folder: Path, catalog: str) -> list[str]:
    """Return the schemas with tables of a database whose address names none; nothing for other sources.

    Parameters
    ----------
    connection, uri, folder : as in `open_tables`.
    catalog : the name under which a file is attached.
    """
    scheme, sign, _ = uri.partition("://")
    if not sign or "schema=" in uri:
        return []
    if scheme == "duckdb":
        return schemas_of_file(connection, database_file(uri, scheme, folder), catalog)
    if scheme in postgres.SCHEMES:
        return [schema for schema, tables in postgres.list_columns(uri).items() if tables]
    return []


def _entries(folder: Path, uri: str) -> list[Path]:
    """Return the files and folders of tables at a local address, or those that match a pattern."""

    place = folder.resolve() / Path(uri).expanduser()
    if place.is_dir():
        return sorted(place.iterdir())
    if place.is_file():
        return [place]
    if any(character in uri for character in WILDCARDS) and (found := glob_paths(place)):
        return found
    raise SignalsError(f"{place} does not exist", "a folder of Parquet, CSV or JSON files", "check the path")
