"""The tables of a folder of files, for a mapping."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import SignalsError
from features.sources.base import hive_keys
from features.sources.csv_format import read_header
from features.sources.files import EXPECTED, DataFiles, data_files, format_of, is_hidden, load_files
from features.utils.sql_text import sql_identifier

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend


class FolderTables:
    """The tables of a folder: one per file or folder of files. See `features.sources.mapping.named_sources`.

    Parameters
    ----------
    connection : the engine.
    name : the source's name.
    entries : the files and folders. Others than data files are ignored.
    """

    def __init__(self, connection: Backend, name: str, entries: Iterable[Path]) -> None:
        self.name = name
        self._connection = connection
        self._entries = _tables(entries)
        self._data: dict[str, DataFiles] = {}
        self._loaded: set[str] = set()
        if not self._entries:
            raise SignalsError("there are no data files", EXPECTED, "check the path, or export the tables again")
        connection.raw_sql(f"CREATE SCHEMA memory.{sql_identifier(name)}")

    @property
    def names(self) -> tuple[str, ...]:
        """The tables, named after their files."""
        return tuple(self._entries)

    def columns(self, table: str) -> dict[str, str]:
        """Return the columns of a table with their types. JSON is loaded for this, because only its rows have them."""
        data = self._files_of(table)
        if data.format != "JSON":
            _check_spellings(data)
        if data.format == "CSV" and table not in self._loaded:
            names = dict.fromkeys(name for file in data.paths for name in read_header(file).names)
            keys = hive_keys(data.paths, data.base)
            return dict.fromkeys([*names, *keys], "VARCHAR")
        self.load([table])
        place = f"memory.{sql_identifier(self.name)}.{sql_identifier(table)}"
        try:
            return {c: str(kind) for c, kind, *_ in self._connection.con.execute(f"DESCRIBE {place}").fetchall()}
        except duckdb.Error:
            raise SignalsError(f"{data.base} cannot be read", EXPECTED, "export it again") from None

    def load(self, tables: Iterable[str]) -> None:
        """Copy CSV and JSON files into the engine, and create views of Parquet files."""
        for table in tables:
            if table not in self._loaded:
                schema = f"memory.{sql_identifier(self.name)}"
                load_files(self._connection, table, self._files_of(table), schema=schema)
                self._loaded.add(table)

    def publish(self) -> None:
        """Do nothing: the tables are already there."""

    @property
    def files(self) -> list[Path]:
        """The loaded Parquet files, which are read in place."""
        parquet = [data for table in self._loaded if (data := self._data[table]).format == "Parquet"]
        return [file for data in parquet for file in data.paths]

    def _files_of(self, table: str) -> DataFiles:
        if table not in self._data:
            paths = [data_files(path) for path in self._entries[table]]
            formats = {data.format for data in paths}
            if len(formats) != 1:
                raise SignalsError(f"{table} has files of different formats", f"{EXPECTED}; one format per table")
            files = tuple(file for data in paths for file in data.paths)
            base = paths[0].base if len(paths) == 1 else _common_folder(files)
            self._data[table] = DataFiles(formats.pop(), files, base)
        return self._data[table]


def _check_spellings(data: DataFiles) -> None:
    """Refuse a file with names of columns that differ only in case: a query could not say which one it reads.

    Raises
    ------
    SignalsError
        With the file and both names. Objects in JSON are checked when they are read.
    """
    for file in data.paths:
        spellings: dict[str, str] = {}
        for name in _column_names(file, data.format):
            if (other := spellings.setdefault(name.lower(), name)) != name and name.strip():
                raise SignalsError(
                    f"{file} has the columns {other} and {name}",
                    "names that differ in more than case",
                    "rename or remove one of them",
                )


def _column_names(file: Path, file_format: str) -> list[str]:
    if file_format == "CSV":
        return list(read_header(file).names)
    try:
        return list(pq.read_schema(file).names)
    except (pa.ArrowException, OSError):
        # Loading the file says what is wrong.
        return []


def _common_folder(files: tuple[Path, ...]) -> Path:
    """Return the innermost folder that contains all files."""
    folder = files[0].parent
    while not all(file.is_relative_to(folder) for file in files):
        folder = folder.parent
    return folder


def _tables(entries: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the files or folders of each table. Files of one name in several folders are one table."""
    tables: dict[str, list[Path]] = {}
    spellings: dict[str, str] = {}
    for entry in entries:
        if is_hidden(entry.name) or not (name := _table_name(entry)):
            continue
        name = spellings.setdefault(name.lower(), name)
        for other in tables.get(name, []):
            if other.parent == entry.parent:
                raise SignalsError(
                    f"{entry.parent} has the table {name} more than once: {other.name} and {entry.name}",
                    "one file or folder per table; names are not case-sensitive",
                    "remove one of them",
                )
        tables.setdefault(name, []).append(entry)
    return tables


def _table_name(entry: Path) -> str:
    """Return the table that a file or folder holds; empty if it holds no data."""
    if entry.is_dir():
        below = (file for file in entry.rglob("*") if file.is_file() and format_of(file))
        return entry.name if any(True for _ in below) else ""
    about = format_of(entry)
    return about[0].strip() if about else ""
