"""Open a folder of files, and load the files of a table in any supported format."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from features.contract.current_contract import current_tables
from features.errors import BadRequest, SignalsError
from features.sources import csv_format, json_format
from features.sources.base import (
    DUCKDB,
    SPARK,
    Source,
    TableFiles,
    confine,
    connect_duckdb,
    contract_names,
    create_parquet_view,
    database_of,
    hive_keys,
)

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

FORMATS = (
    {".parquet": "Parquet"} | dict.fromkeys(csv_format.SUFFIXES, "CSV") | dict.fromkeys(json_format.SUFFIXES, "JSON")
)
"""The format by file name suffix; CSV and JSON may be compressed (``.gz``)."""
EXPECTED = "Parquet, CSV (.csv, .tsv) or JSON (.json, .ndjson) files; CSV and JSON also as .gz"
WILDCARDS = "*?["


@dataclass(frozen=True)
class DataFiles:
    """The files of one table.

    Parameters
    ----------
    format : ``Parquet``, ``CSV`` or ``JSON``.
    paths : the files, in reading order.
    base : the folder below which Hive-style keys (``key=value``) become columns.
    """

    format: str
    paths: tuple[Path, ...]
    base: Path

    @property
    def place(self) -> str:
        """The name of the file, or the name of the folder with the number of files."""
        if len(self.paths) == 1:
            return self.paths[0].name
        return f"{self.base.name}/ ({len(self.paths):,} {self.format} files)"


def format_of(file: PurePath) -> tuple[str, str] | None:
    """Return a file's name without suffixes, and its format; None if the format is unknown."""
    name = file.name
    compressed = name.lower().endswith(".gz")
    stem = name[:-3] if compressed else name
    for suffix, kind in FORMATS.items():
        if stem.lower().endswith(suffix) and not (compressed and kind == "Parquet"):
            return stem[: -len(suffix)], kind
    return None


def open_folder(folder: Path, spark: str = "", files: Iterable[Path] | None = None) -> Source:
    """Open a folder of files on the in-process DuckDB, or on a Spark master.

    Parameters
    ----------
    folder : the folder.
    spark : the address of the Spark master; empty for DuckDB.
    files : use only these entries of the folder.

    Raises
    ------
    SignalsError
        If a table is there more than once, or cannot be read.
    """
    entries, notes = _entries(folder, sorted(folder.iterdir()) if files is None else sorted(files))
    tables_files = {name: data_files(entry) for name, entry in entries.items()}
    text = frozenset(name for name, data in tables_files.items() if data.format != "Parquet")
    parquet: dict[str, tuple[Path, ...]] = {
        name: TableFiles(data.paths, data.base) for name, data in tables_files.items() if data.format == "Parquet"
    }
    connection: Any
    if spark:
        connection = spark_module().connect_spark(spark)
        tables = {name: _read_with_spark(connection, name, data) for name, data in tables_files.items()}
    else:
        connection = connect_duckdb()
        tables = {name: load_files(connection, f"given_{name}", data, name) for name, data in tables_files.items()}
        confine(connection, *_readable_paths(tables_files[name] for name in parquet))
    partitions = {name: tuple(hive_keys(data.paths, data.base)) for name, data in tables_files.items()}
    places = {name: data.place for name, data in tables_files.items()}
    return Source(connection, tables, str(folder), text, notes, parquet, partitions, places=places)


def _readable_paths(tables: Iterable[DataFiles]) -> tuple[list[Path], list[Path]]:
    """Return the files and folders that remain readable."""
    files: list[Path] = []
    folders: list[Path] = []
    for data in tables:
        if len(data.paths) == 1:
            files += data.paths
        else:
            folders.append(data.base)
    return files, folders


def _entries(folder: Path, paths: list[Path]) -> tuple[dict[str, Path], list[str]]:
    """Return the file or folder of each table, and notes on other entries."""
    entries: dict[str, Path] = {}
    notes: list[str] = []
    for entry in paths:
        if is_hidden(entry.name):
            continue
        name = contract_table_name(entry.name, folder=not entry.is_file())
        if not name:
            notes.append(f"{entry.name} is not a table of the contract and was ignored")
            continue
        if name in entries:
            raise SignalsError(
                f"{folder} has the table {name} more than once: {entries[name].name} and {entry.name}",
                "one file or folder per table; names are not case-sensitive",
                "remove one of them",
            )
        entries[name] = entry
    return entries, notes


def contract_table_name(name: str, *, folder: bool) -> str:
    """Return the contract's table for a file or ``folder`` named ``name``; empty if none."""
    about = (name, "") if folder else format_of(PurePath(name))
    table = about[0].strip().lower() if about else ""
    return table if table in current_tables() else ""


def is_hidden(name: str) -> bool:
    """Return whether a path is ignored: its name starts with a dot or underscore and is not a Hive-style key."""
    return name.startswith((".", "_")) and "=" not in name


def data_files(path: Path) -> DataFiles:
    """Return the file ``path``, or the data files in the folder ``path``.

    Raises
    ------
    SignalsError
        If the format is unknown, or the folder has no data files or files of several formats.
    """
    # The confined engine compares paths as text.
    path = path.parent.resolve() / path.name
    if not path.is_dir():
        return _same_format([path], path, path.parent)
    below = (
        file for file in path.rglob("*") if not any(map(is_hidden, file.relative_to(path).parts)) and file.is_file()
    )
    return _same_format(sorted(file for file in below if format_of(file)), path, path)


def matching_files(pattern: Path) -> DataFiles:
    """Return the data files that match ``pattern`` (with ``*``, ``?`` or ``[…]``).

    Raises
    ------
    SignalsError
        If there are none, or files of several formats.
    """
    base = fixed_prefix(pattern).resolve()
    paths = glob_paths(base / pattern.relative_to(fixed_prefix(pattern)))
    return _same_format([file for file in paths if file.is_file()], pattern, base)


def glob_paths(pattern: Path) -> list[Path]:
    """Return the sorted paths that match ``pattern``, without hidden ones."""
    base = fixed_prefix(pattern)
    if not base.is_dir():
        return []
    return sorted(
        p for p in base.glob(str(pattern.relative_to(base))) if not any(map(is_hidden, p.relative_to(base).parts))
    )


def fixed_prefix(pattern: Path) -> Path:
    """Return the path before the first part with a wildcard."""
    wild = next(i for i, part in enumerate(pattern.parts) if any(character in part for character in WILDCARDS))
    return Path(*pattern.parts[:wild])


def _same_format(files: list[Path], place: Path, base: Path) -> DataFiles:
    kinds = {about[1] if (about := format_of(file)) else "" for file in files}
    if "" in kinds:
        raise SignalsError(f"{place} has an unknown format", EXPECTED)
    if len(kinds) != 1:
        raise SignalsError(
            f"{place} has {'no data files' if not kinds else 'data files of different formats'}",
            f"{EXPECTED}; one format per table",
        )
    return DataFiles(kinds.pop(), tuple(files), base)


def load_files(connection: Backend, name: str, data: DataFiles, table: str = "", schema: str = "") -> ibis.Table:
    """Make ``data`` available as ``name``: Parquet is read in place, CSV and JSON are copied.

    Parameters
    ----------
    connection : the in-process DuckDB.
    name : the table or view to create.
    data : the files.
    table : the contract's table in the files; its columns get the contract's spelling.
    schema : the schema of the new table; by default it is temporary.

    Raises
    ------
    SignalsError
        If a file cannot be read; the message has the file, never a value.
    """
    if data.format == "CSV":
        csv_format.load_csv(connection, name, data.paths, data.base, table, schema)
    elif data.format == "JSON":
        json_format.load_json(connection, name, data.paths, data.base, table, schema)
    else:
        try:
            contract_names(pq.read_schema(data.paths[0]).names, table, str(data.paths[0]))
            return create_parquet_view(connection, name, data.paths, data.base, table, schema)
        except (duckdb.Error, pa.ArrowException, OSError):
            # The engine's message may quote values of the file, so it is not shown.
            raise _unreadable_error(data) from None
    return connection.table(name, database=database_of(schema))


def _unreadable_error(data: DataFiles) -> SignalsError:
    """Return the error for unreadable files, with the file if it is one."""
    place: Path = data.base if len(data.paths) > 1 else data.paths[0]
    if data.format == "Parquet":
        for file in data.paths:
            try:
                pq.read_metadata(file)
            except (pa.ArrowException, OSError):
                place = file
                break
    return SignalsError(f"{place} cannot be read as {data.format}", f"a valid {data.format} file", "export it again")


def open_with_spark(address: str, engine: str) -> Source:
    """Open a folder of Parquet or CSV files on Spark.

    Raises
    ------
    BadRequest
        If the engine is unknown.
    SignalsError
        If Spark is not available, or cannot read ``address``.
    """
    if engine != SPARK and not engine.startswith("spark://"):
        raise BadRequest(f"unknown engine: {engine}", f"{DUCKDB}, {SPARK} or spark://HOST:PORT")
    if "://" in address or not Path(address).is_dir():
        what = address.partition("://")[0] + "://" if "://" in address else address
        raise SignalsError(
            f"Spark cannot read {what}",
            "a folder of Parquet or CSV files",
            "export the tables to Parquet, or omit --engine",
        )
    return open_folder(Path(address), "local[*]" if engine == SPARK else engine)


def spark_module() -> Any:
    """Import `features.sources.spark`, which needs PySpark."""
    try:
        from features.sources import spark
    except ImportError:
        raise SignalsError("PySpark is not installed", "PySpark 4.0", "pip install 'renewcast[spark]'") from None
    return spark


def _read_with_spark(connection: Any, name: str, data: DataFiles) -> ibis.Table:
    spark = spark_module()
    if data.format == "JSON":
        raise SignalsError(
            f"Spark cannot read {data.paths[0]}",
            "a folder of Parquet or CSV files",
            "export the table to Parquet, or omit --engine",
        )
    try:
        return spark.read_files(connection, data.paths, data.base, f"given_{name}", name)
    except (*spark.ERRORS, duckdb.Error, pa.ArrowInvalid, OSError):
        error = csv_format.first_error(data.paths) if data.format == "CSV" else None
        raise (error or _unreadable_error(data)) from None
