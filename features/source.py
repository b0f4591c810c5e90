"""Opening a signals source: a folder of files, a database, a mapping file, or tables in memory.

Whatever it is, its tables end up as Ibis tables on one engine, still as they were given: nothing is checked, cast or
filtered here. The engine is an in-process DuckDB, or for a folder Spark.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import duckdb
import ibis
import pyarrow as pa

from features import postgres
from features.contract import TABLES
from features.errors import BadRequest, SignalsError

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

FORMATS = {".parquet": "read_parquet", ".csv": "read_csv"}
SCHEMES = ("duckdb", "sqlite")
ADDRESSES = (*(f"{scheme}:///FILE" for scheme in SCHEMES), postgres.FORM)
DUCKDB, SPARK = "duckdb", "spark"
"""The engines; Spark's may also be named by the address of its master, ``spark://HOST:PORT``."""


@dataclass(frozen=True)
class Source:
    """The tables of a signals source as given.

    Parameters
    ----------
    connection : the engine that everything is computed on, an in-process DuckDB or `features.spark.Spark`; its session
        reads values without a zone as UTC.
    tables : Ibis table by contract name (``given_{name}`` on the connection); only tables of the contract.
    origin : the address, for messages and records; never a password or a row.
    text : the tables whose values came as text (CSV, SQLite, JSON) and are therefore parsed, not only cast.
    notes : what was passed over, in words.
    files : the Parquet files that a table of a folder lies in.
    """

    connection: Any
    tables: dict[str, ibis.Table]
    origin: str
    text: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)
    files: dict[str, tuple[Path, ...]] = field(default_factory=dict)

    @contextmanager
    def narrowed(self, name: str, files: Sequence[Path] | None) -> Iterator[bool]:
        """Within the block ``name`` is what lies in ``files`` (None: all of it); tells if there is anything to see."""
        if files is None or not files:
            yield files is None
            return
        some, whole = self._lay(f"given_{name}_some", files), self.tables[name].schema()
        columns = {c: some[c] if c in some.columns else ibis.null(kind) for c, kind in whole.items()}
        text = ibis.to_sql(some.select(**columns), dialect="duckdb")
        self.connection.raw_sql(f'CREATE OR REPLACE TEMP VIEW "given_{name}" AS {text}')
        try:
            yield True
        finally:
            self._lay(f"given_{name}", self.files[name])

    def _lay(self, view: str, files: Sequence[Path]) -> ibis.Table:
        return self.connection.read_parquet([str(file) for file in files], table_name=view, union_by_name=True)


def connect() -> Backend:
    """An in-process DuckDB whose session is in UTC and which keeps no state on disk."""
    connection = ibis.duckdb.connect()
    connection.raw_sql("SET TimeZone = 'UTC'")
    return connection


def open_source(address: str | Path, engine: str = DUCKDB) -> Source:
    """Open ``address``: a folder, a database (one of `ADDRESSES`), or a TOML mapping file.

    Parameters
    ----------
    address : where the tables are.
    engine : ``duckdb``; or ``spark`` (on this machine) or ``spark://HOST:PORT`` for a folder of files.

    Raises
    ------
    BadRequest
        If there is no such engine.
    SignalsError
        If there is nothing there, nothing readable, no table of the contract, or nothing that the engine can read.
    """
    text = str(address)
    scheme = text.partition("://")[0] if "://" in text else ""
    if engine != DUCKDB:
        source = _open_with_spark(text, engine)
    elif scheme in postgres.SCHEMES:
        source = _open_postgres(text)
    elif scheme:
        source = _open_database(text, scheme)
    elif Path(text).is_dir():
        source = _open_folder(Path(text))
    elif Path(text).suffix == ".toml" and Path(text).is_file():
        source = _open_mapping(Path(text))
    else:
        raise SignalsError(
            f"no signals source at {text}",
            "a folder of Parquet or CSV files, a TOML mapping file, or a database address: " + " or ".join(ADDRESSES),
            "check the path",
        )
    if not source.tables:
        raise SignalsError(
            f"{source.origin} holds no table of the data contract",
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
    for name, table in tables.items():
        lay_arrow(connection, f"given_{name}", table)
    read = {name: connection.table(f"given_{name}") for name in tables}
    return Source(connection, read, origin, frozenset(read) if text else frozenset())


def lay_arrow(connection: Backend, name: str, table: pa.Table) -> None:
    """Create (or replace) a temporary table on the in-process DuckDB."""
    # Ibis does the same in three times the time, most of it for the text of the statement.
    connection.con.register("laid", table)
    try:
        connection.con.execute(f'CREATE OR REPLACE TEMP TABLE "{name}" AS SELECT * FROM laid')
    finally:
        connection.con.unregister("laid")


def _refuse_unknown(names: Mapping[str, Any], origin: str) -> None:
    unknown = sorted(set(names) - set(TABLES))
    if unknown:
        raise SignalsError(
            f"{origin} names tables that the contract does not have: {', '.join(unknown)}",
            "only " + ", ".join(TABLES),
            "rename or leave them out",
        )


def _open_folder(folder: Path, spark: str = "") -> Source:
    """A folder of files, on the in-process DuckDB or on a ``spark`` master."""
    entries, notes = _entries(folder)
    given = {name: _files(entry) for name, entry in entries.items()}
    connection: Any
    if spark:
        connection = _spark().connect(spark)
        tables = {n: _read_with_spark(connection, entries[n], *given[n]) for n in given}
    else:
        connection = connect()
        tables = {n: _read_files(connection, entries[n], f"given_{n}")[0] for n in given}
    text = frozenset(name for name, (suffix, _) in given.items() if suffix == ".csv")
    files = {name: found for name, (_, found) in given.items() if name not in text}
    return Source(connection, tables, str(folder), text, notes, files)


def _entries(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """The file or folder of each table, and notes on what else is there."""
    entries: dict[str, Path] = {}
    notes: list[str] = []
    for entry in sorted(folder.iterdir()):
        name = entry.stem if entry.is_file() else entry.name
        if name not in TABLES or (entry.is_file() and entry.suffix not in FORMATS):
            if not name.startswith("."):
                notes.append(f"{entry.name} is no table of the contract and was passed over")
            continue
        if name in entries:
            raise SignalsError(
                f"{folder} holds the table {name} more than once", "one file or folder per table", "remove one of them"
            )
        entries[name] = entry
    return entries, notes


def _files(path: Path) -> tuple[str, tuple[Path, ...]]:
    """The files at ``path``, itself or those below it, and their suffix: one of `FORMATS`."""
    if not path.is_dir():
        if path.suffix not in FORMATS:
            raise SignalsError(f"{path} is of an unknown format", "a .parquet or .csv file")
        return path.suffix, (path,)
    files = tuple(sorted(p for p in path.rglob("*") if p.suffix in FORMATS and p.is_file()))
    suffixes = {p.suffix for p in files}
    if len(suffixes) != 1:
        raise SignalsError(
            f"{path} holds {'no' if not suffixes else 'mixed'} data files", "Parquet or CSV files, one kind"
        )
    return suffixes.pop(), files


def _read_files(connection: Backend, path: Path, view: str) -> tuple[ibis.Table, bool]:
    """Read one file, or a folder of files of one format (Hive-style partitions become columns); and whether they are
    text."""
    suffix, _ = _files(path)
    pattern = str(path / "**" / f"*{suffix}") if path.is_dir() else str(path)
    try:
        if suffix == ".csv":
            return connection.read_csv(
                pattern, table_name=view, all_varchar=True, header=True, union_by_name=True
            ), True
        return connection.read_parquet(pattern, table_name=view, union_by_name=True), False
    except (duckdb.Error, OSError):
        # The engine's own message may quote the file's values, so it is not passed on.
        raise _unsound(path, suffix) from None


def _unsound(path: Path, suffix: str) -> SignalsError:
    kind = suffix[1:].upper()
    return SignalsError(f"{path} cannot be read as {kind}", f"a sound {kind} file", "write it again")


def _open_with_spark(address: str, engine: str) -> Source:
    if engine != SPARK and not engine.startswith("spark://"):
        raise BadRequest(f"the engine {engine}", f"{DUCKDB}, {SPARK} or spark://HOST:PORT")
    if "://" in address or not Path(address).is_dir():
        what = address.partition("://")[0] + "://" if "://" in address else address
        raise SignalsError(
            f"Spark cannot read {what}",
            "a folder of Parquet or CSV files",
            "export the tables to Parquet, or leave out --engine",
        )
    return _open_folder(Path(address), "local[*]" if engine == SPARK else engine)


def _spark() -> Any:
    """`features.spark`, which needs PySpark."""
    try:
        from features import spark
    except ImportError:
        raise SignalsError("PySpark is not installed", "PySpark 4.0", "pip install 'renewcast[spark]'") from None
    return spark


def _read_with_spark(connection: Any, entry: Path, suffix: str, files: tuple[Path, ...]) -> ibis.Table:
    spark = _spark()
    base = entry if entry.is_dir() else entry.parent
    try:
        return spark.read_files(connection, files, base, f"given_{entry.stem if entry.is_file() else entry.name}")
    except (*spark.ERRORS, duckdb.Error, pa.ArrowInvalid, OSError):
        raise _unsound(entry, suffix) from None


def _open_postgres(address: str) -> Source:
    connection = connect()
    return Source(connection, postgres.read_postgres(address, connection), postgres.masked(address))


def _open_database(address: str, scheme: str) -> Source:
    if scheme not in SCHEMES:
        raise SignalsError(
            f"a database address of the kind {scheme}",
            "one of " + ", ".join(ADDRESSES),
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
