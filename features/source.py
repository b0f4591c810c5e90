"""Opening a signals source: a folder of files, a database, a mapping file, or tables in memory.

Whatever it is, its tables end up as Ibis tables on one in-process DuckDB, still as they were given: nothing is checked,
cast or filtered here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import duckdb
import ibis

from features.contract import TABLES
from features.errors import SignalsError

if TYPE_CHECKING:
    import pyarrow as pa
    from ibis.backends.duckdb import Backend

FORMATS = {".parquet": "read_parquet", ".csv": "read_csv"}
SCHEMES = ("duckdb", "sqlite")


@dataclass(frozen=True)
class Source:
    """The tables of a signals source as given.

    Parameters
    ----------
    connection : the in-process DuckDB that everything is computed on; its session reads values without a zone as UTC.
    tables : Ibis table by contract name (``given_{name}`` on the connection); only tables of the contract.
    origin : the address, for messages and records; never a row.
    text : the tables whose values came as text (CSV, SQLite, JSON) and are therefore parsed, not only cast.
    notes : what was passed over, in words.
    """

    connection: Backend
    tables: dict[str, ibis.Table]
    origin: str
    text: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)


def connect() -> Backend:
    """An in-process DuckDB whose session is in UTC and which keeps no state on disk."""
    connection = ibis.duckdb.connect()
    connection.raw_sql("SET TimeZone = 'UTC'")
    return connection


def open_source(address: str | Path) -> Source:
    """Open ``address``: a folder, ``duckdb:///file``, ``sqlite:///file``, or a TOML mapping file.

    Raises
    ------
    SignalsError
        If there is nothing there, nothing readable, or no table of the contract.
    """
    text = str(address)
    scheme = urlsplit(text).scheme if "://" in text else ""
    if scheme:
        source = _open_database(text, scheme)
    elif Path(text).is_dir():
        source = _open_folder(Path(text))
    elif Path(text).suffix == ".toml" and Path(text).is_file():
        source = _open_mapping(Path(text))
    else:
        raise SignalsError(
            f"no signals source at {text}",
            "a folder of Parquet or CSV files, a TOML mapping file, or a database address "
            + " or ".join(f"{s}:///FILE" for s in SCHEMES),
            "check the path",
        )
    if not source.tables:
        raise SignalsError(
            f"{text} holds no table of the data contract",
            "at least accounts and one of subscriptions or orders; known tables: " + ", ".join(TABLES),
            "name the tables so, or write a mapping file",
        )
    return source


def from_tables(tables: Mapping[str, pa.Table], origin: str, *, text: bool = False) -> Source:
    """A source from Arrow tables in memory, by contract name.

    Raises
    ------
    SignalsError
        If a name is not in the contract.
    """
    _refuse_unknown(tables, origin)
    connection = connect()
    read = {name: connection.create_table(f"given_{name}", table, temp=True) for name, table in tables.items()}
    return Source(connection, read, origin, frozenset(read) if text else frozenset())


def _refuse_unknown(names: Mapping[str, Any], origin: str) -> None:
    unknown = sorted(set(names) - set(TABLES))
    if unknown:
        raise SignalsError(
            f"{origin} names tables that the contract does not have: {', '.join(unknown)}",
            "only " + ", ".join(TABLES),
            "rename or leave them out",
        )


def _open_folder(folder: Path) -> Source:
    connection = connect()
    tables: dict[str, ibis.Table] = {}
    text: set[str] = set()
    notes: list[str] = []
    for entry in sorted(folder.iterdir()):
        name = entry.stem if entry.is_file() else entry.name
        if name not in TABLES or (entry.is_file() and entry.suffix not in FORMATS):
            if not name.startswith("."):
                notes.append(f"{entry.name} is no table of the contract and was passed over")
            continue
        if name in tables:
            raise SignalsError(
                f"{folder} holds the table {name} more than once", "one file or folder per table", "remove one of them"
            )
        tables[name], is_text = _read_files(connection, entry, f"given_{name}")
        if is_text:
            text.add(name)
    return Source(connection, tables, str(folder), frozenset(text), notes)


def _read_files(connection: Backend, path: Path, view: str) -> tuple[ibis.Table, bool]:
    """Read one file, or a folder of files of one format (Hive-style partitions become columns)."""
    if path.is_dir():
        suffixes = {p.suffix for p in path.rglob("*") if p.suffix in FORMATS}
        if len(suffixes) != 1:
            raise SignalsError(
                f"{path} holds {'no' if not suffixes else 'mixed'} data files", "Parquet or CSV files, one kind"
            )
        suffix = suffixes.pop()
        pattern = str(path / "**" / f"*{suffix}")
    else:
        suffix, pattern = path.suffix, str(path)
    if suffix not in FORMATS:
        raise SignalsError(f"{path} is of an unknown format", "a .parquet or .csv file")
    try:
        if suffix == ".csv":
            return connection.read_csv(pattern, table_name=view, all_varchar=True, header=True), True
        return connection.read_parquet(pattern, table_name=view), False
    except (duckdb.Error, OSError):
        # The engine's own message may quote the file's values, so it is not passed on.
        raise SignalsError(
            f"{path} cannot be read as {suffix[1:].upper()}", f"a sound {suffix[1:].upper()} file", "write it again"
        ) from None


def _open_database(address: str, scheme: str) -> Source:
    if scheme not in SCHEMES:
        raise SignalsError(
            f"a database address of the kind {scheme}",
            "one of " + ", ".join(f"{s}:///FILE" for s in SCHEMES),
            "export the tables to Parquet, or use one of these",
        )
    path = Path(unquote(urlsplit(address).path.removeprefix("/")))
    if not path.is_file():
        raise SignalsError(
            f"no database file at {path}", "an existing file", "check the address (three slashes, then the path)"
        )
    connection = connect()
    try:
        found = _attach_duckdb(connection, path) if scheme == "duckdb" else _copy_sqlite(connection, path)
    except Exception:  # noqa: BLE001  DuckDB, SQLite and Ibis each have their own tree of errors.
        raise SignalsError(f"{path} cannot be read as a {scheme} database", f"a sound {scheme} file") from None
    text = frozenset(found) if scheme == "sqlite" else frozenset()
    return Source(connection, found, address, text)


def _attach_duckdb(connection: Backend, path: Path) -> dict[str, ibis.Table]:
    connection.attach(str(path), name="given", read_only=True)
    found = [n for n in connection.list_tables(database="given.main") if n in TABLES]
    return {n: _view(connection, n, connection.table(n, database="given.main")) for n in found}


def _view(connection: Backend, name: str, table: ibis.Table) -> ibis.Table:
    return connection.create_view(f"given_{name}", table, database="memory.main")


def _copy_sqlite(connection: Backend, path: Path) -> dict[str, ibis.Table]:
    """SQLite's columns are typed row by row, so its values are copied as text and parsed like those of a CSV file."""
    lite = ibis.sqlite.connect(path)
    tables: dict[str, ibis.Table] = {}
    for name in lite.list_tables():
        if name in TABLES:
            table = lite.table(name)
            as_text = table.select(**{column: table[column].cast("string") for column in table.columns})
            tables[name] = connection.create_table(f"given_{name}", as_text.to_pyarrow(), temp=True)
    lite.disconnect()
    return tables


def _open_mapping(path: Path) -> Source:
    """A mapping file: ``[files]`` (or ``database``) names other tables, ``[tables]`` maps each contract table to a SQL
    query."""
    try:
        mapping = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SignalsError(f"{path} is not TOML ({error})", "a mapping file with [files] and [tables]") from None
    queries = mapping.get("tables", {})
    files = mapping.get("files", {})
    unknown = sorted(set(mapping) - {"tables", "files", "database", "about"})
    shapes = isinstance(queries, dict) and isinstance(files, dict) and isinstance(mapping.get("database", ""), str)
    if unknown or not shapes or not all(isinstance(v, str) for v in [*queries.values(), *files.values()]):
        raise SignalsError(
            f"{path} is not a mapping file" + (f": unknown keys {', '.join(unknown)}" if unknown else ""),
            '[tables] with table = "SELECT …" and [files] with name = "path" (or database = "duckdb:///file")',
        )
    _refuse_unknown(queries, str(path))
    connection = connect()
    for name, file in files.items():
        given = (path.parent / file).resolve()
        if not given.exists():
            raise SignalsError(f"{path}: files.{name} names {given}, which does not exist", "a file or folder of data")
        _read_files(connection, given, name)
    if database := mapping.get("database"):
        scheme = urlsplit(database).scheme
        given = (path.parent / unquote(urlsplit(database).path.removeprefix("/"))).resolve()
        if scheme != "duckdb" or not given.is_file():
            raise SignalsError(
                f"{path}: database does not name a DuckDB file", "duckdb:///FILE, from the mapping's folder"
            )
        connection.attach(str(given), name="given", read_only=True)
        connection.raw_sql("USE given")
    tables: dict[str, ibis.Table] = {}
    for name, query in queries.items():
        try:
            tables[name] = _view(connection, name, connection.sql(query))
        except Exception as error:  # noqa: BLE001  As above.
            reason = (
                str(error).splitlines()[0]
                if isinstance(error, duckdb.BinderException | duckdb.CatalogException)
                else ""
            )
            raise SignalsError(
                f"{path}: the query of tables.{name} does not run" + (f" ({reason})" if reason else ""),
                "a DuckDB SELECT over the named files and tables",
            ) from None
    return Source(connection, tables, str(path))
