"""Opening a folder of files, and reading the files that a table lies in, whatever their format."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from features.contract.schema import TABLES
from features.errors import BadRequest, SignalsError
from features.sources import csv_format, json_format
from features.sources.base import (
    DUCKDB,
    SPARK,
    Source,
    TableFiles,
    confine,
    connect,
    contract_names,
    hive_keys,
    lay_parquet,
)

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

FORMATS = (
    {".parquet": "Parquet"} | dict.fromkeys(csv_format.ENDINGS, "CSV") | dict.fromkeys(json_format.ENDINGS, "JSON")
)
"""The format by the ending of a file's name; CSV and JSON may be compressed (``.gz``)."""
EXPECTED = "Parquet, CSV (.csv, .tsv) or JSON (.json, .ndjson) files; CSV and JSON also as .gz"
GLOB = "*?["


@dataclass(frozen=True)
class DataFiles:
    """The files that one table lies in.

    Parameters
    ----------
    format : ``Parquet``, ``CSV`` or ``JSON``.
    paths : in the order in which they are read.
    base : the folder below which Hive-style keys (``key=value``) become columns.
    """

    format: str
    paths: tuple[Path, ...]
    base: Path


def format_of(file: PurePath) -> tuple[str, str] | None:
    """A file's name without its endings, and its format; None if the format is unknown."""
    name = file.name
    compressed = name.lower().endswith(".gz")
    plain = name[:-3] if compressed else name
    for ending, kind in FORMATS.items():
        if plain.lower().endswith(ending) and not (compressed and kind == "Parquet"):
            return plain[: -len(ending)], kind
    return None


def open_folder(folder: Path, spark: str = "", files: Iterable[Path] | None = None) -> Source:
    """A folder of files, on the in-process DuckDB or on a ``spark`` master; ``files``: these of its entries alone.

    Raises
    ------
    SignalsError
        If a table lies there more than once, or cannot be read.
    """
    entries, notes = _entries(folder, sorted(folder.iterdir()) if files is None else sorted(files))
    given = {name: data_files(entry) for name, entry in entries.items()}
    text = frozenset(name for name, data in given.items() if data.format != "Parquet")
    parquet: dict[str, tuple[Path, ...]] = {
        name: TableFiles(data.paths, data.base) for name, data in given.items() if data.format == "Parquet"
    }
    connection: Any
    if spark:
        connection = spark_module().connect(spark)
        tables = {name: _read_with_spark(connection, name, data) for name, data in given.items()}
    else:
        connection = connect()
        tables = {name: lay_files(connection, f"given_{name}", data, name) for name, data in given.items()}
        confine(connection, *_whereabouts(given[name] for name in parquet))
    partitions = {name: tuple(hive_keys(data.paths, data.base)) for name, data in given.items()}
    return Source(connection, tables, str(folder), text, notes, parquet, partitions)


def _whereabouts(tables: Iterable[DataFiles]) -> tuple[list[Path], list[Path]]:
    """The single files, and the folders of files, that go on being read."""
    files: list[Path] = []
    folders: list[Path] = []
    for data in tables:
        if len(data.paths) == 1:
            files += data.paths
        else:
            folders.append(data.base)
    return files, folders


def _entries(folder: Path, found: list[Path]) -> tuple[dict[str, Path], list[str]]:
    """The file or folder of each table, and notes on what else is there."""
    entries: dict[str, Path] = {}
    notes: list[str] = []
    for entry in found:
        if hidden(entry.name):
            continue
        name = contract_table(entry.name, folder=not entry.is_file())
        if not name:
            notes.append(f"{entry.name} is no table of the contract and was passed over")
            continue
        if name in entries:
            raise SignalsError(
                f"{folder} holds the table {name} more than once: {entries[name].name} and {entry.name}",
                "one file or folder per table; upper and lower case do not tell names apart",
                "remove one of them",
            )
        entries[name] = entry
    return entries, notes


def contract_table(name: str, *, folder: bool) -> str:
    """The contract's table that a file or ``folder`` called ``name`` holds; empty if none."""
    about = (name, "") if folder else format_of(PurePath(name))
    table = about[0].strip().lower() if about else ""
    return table if table in TABLES else ""


def hidden(name: str) -> bool:
    """Whether a file or folder is passed over: its name begins with a dot or underscore, and is no Hive-style key."""
    return name.startswith((".", "_")) and "=" not in name


def data_files(path: Path) -> DataFiles:
    """The file ``path``, or the data files below the folder ``path``.

    Raises
    ------
    SignalsError
        If its format is unknown, or it holds no data files or files of several formats.
    """
    # The confined engine compares paths as they are written.
    path = path.parent.resolve() / path.name
    if not path.is_dir():
        return _of_one_format([path], path, path.parent)
    below = (file for file in path.rglob("*") if not any(map(hidden, file.relative_to(path).parts)) and file.is_file())
    return _of_one_format(sorted(file for file in below if format_of(file)), path, path)


def matching_files(pattern: Path) -> DataFiles:
    """The data files that ``pattern`` (with ``*``, ``?`` or ``[…]``) names.

    Raises
    ------
    SignalsError
        If it names none, or files of several formats.
    """
    base = fixed_part(pattern).resolve()
    found = matches(base / pattern.relative_to(fixed_part(pattern)))
    return _of_one_format([file for file in found if file.is_file()], pattern, base)


def matches(pattern: Path) -> list[Path]:
    """What ``pattern`` names, sorted; nothing hidden."""
    base = fixed_part(pattern)
    if not base.is_dir():
        return []
    return sorted(
        p for p in base.glob(str(pattern.relative_to(base))) if not any(map(hidden, p.relative_to(base).parts))
    )


def fixed_part(pattern: Path) -> Path:
    """The folders before the first that has a wildcard."""
    wild = next(i for i, part in enumerate(pattern.parts) if any(character in part for character in GLOB))
    return Path(*pattern.parts[:wild])


def _of_one_format(files: list[Path], place: Path, base: Path) -> DataFiles:
    kinds = {about[1] if (about := format_of(file)) else "" for file in files}
    if "" in kinds:
        raise SignalsError(f"{place} is of an unknown format", EXPECTED)
    if len(kinds) != 1:
        raise SignalsError(f"{place} holds {'no' if not kinds else 'mixed'} data files", f"{EXPECTED}; one kind")
    return DataFiles(kinds.pop(), tuple(files), base)


def lay_files(connection: Backend, name: str, data: DataFiles, table: str = "", schema: str = "") -> ibis.Table:
    """Make ``data`` readable as ``name``: Parquet where it lies, CSV and JSON copied.

    Parameters
    ----------
    connection : the in-process DuckDB.
    table : the contract's table that they hold; its columns get the contract's spelling.
    schema : where to make it; by default it is temporary.

    Raises
    ------
    SignalsError
        If a file cannot be read; the message names it, and no value.
    """
    if data.format == "CSV":
        csv_format.lay_csv(connection, name, data.paths, data.base, table, schema)
    elif data.format == "JSON":
        json_format.lay_json(connection, name, data.paths, data.base, table, schema)
    else:
        try:
            contract_names(pq.read_schema(data.paths[0]).names, table, str(data.paths[0]))
            return lay_parquet(connection, name, data.paths, data.base, table, schema)
        except (duckdb.Error, pa.ArrowException, OSError):
            # The engine's own message may quote the file's values, so it is not passed on.
            raise _unsound(data) from None
    return connection.table(name, database=schema or None)


def _unsound(data: DataFiles) -> SignalsError:
    """Which file cannot be read, if it is one."""
    place: Path = data.base if len(data.paths) > 1 else data.paths[0]
    if data.format == "Parquet":
        for file in data.paths:
            try:
                pq.read_metadata(file)
            except (pa.ArrowException, OSError):
                place = file
                break
    return SignalsError(f"{place} cannot be read as {data.format}", f"a sound {data.format} file", "write it again")


def open_with_spark(address: str, engine: str) -> Source:
    """A folder of Parquet or CSV files on Spark.

    Raises
    ------
    BadRequest
        If there is no such engine.
    SignalsError
        If Spark is not there, or cannot read what is at ``address``.
    """
    if engine != SPARK and not engine.startswith("spark://"):
        raise BadRequest(f"the engine {engine}", f"{DUCKDB}, {SPARK} or spark://HOST:PORT")
    if "://" in address or not Path(address).is_dir():
        what = address.partition("://")[0] + "://" if "://" in address else address
        raise SignalsError(
            f"Spark cannot read {what}",
            "a folder of Parquet or CSV files",
            "export the tables to Parquet, or leave out --engine",
        )
    return open_folder(Path(address), "local[*]" if engine == SPARK else engine)


def spark_module() -> Any:
    """`features.sources.spark`, which needs PySpark."""
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
            "export the table to Parquet, or leave out --engine",
        )
    try:
        return spark.read_files(connection, data.paths, data.base, f"given_{name}", name)
    except (*spark.ERRORS, duckdb.Error, pa.ArrowInvalid, OSError):
        fault = csv_format.first_fault(data.paths) if data.format == "CSV" else None
        raise (fault or _unsound(data)) from None
