"""Load JSON files into the embedded engine: one object per line (NDJSON), or one array of objects.

For a table of the contract, every value is loaded as text and parsed like that of a CSV file. For a mapping file, which
can use nested objects, values keep their types. Text is never interpreted as a date.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from features.errors import SignalsError
from features.sources.base import (
    contract_names,
    create_clause,
    file_literal,
    hive_values,
    qualified_name,
)
from features.utils.sql_text import sql_identifier, sql_literal

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

SUFFIXES = (".json", ".ndjson", ".jsonl")
MAX_OBJECT_BYTES = 16 * 2**20
"""Maximum size of one object in bytes."""
# No text has these formats, so DuckDB does not convert text to dates.
_NO_DATES = "dateformat = 'renewcast', timestampformat = 'renewcast'"


def load_json(
    connection: Backend, name: str, files: tuple[Path, ...], base: Path, table: str = "", schema: str = ""
) -> None:
    """Load JSON files into the table ``name``; see `features.sources.csv_format.load_csv`.

    Parameters
    ----------
    connection : the engine.
    name : the name of the new table.
    files : the JSON files.
    base : the folder below which Hive-style keys are read.
    table : the contract table; empty if the files are not of the contract.
    schema : the database schema of the new table; empty for a temporary table.

    Raises
    ------
    SignalsError
        If a file is not JSON, or contains anything but objects.
    """
    for file in files:
        _check_not_empty(file)
    try:
        parts = [_select(connection, file, base, typed=not table) for file in files]
        connection.raw_sql(f"{create_clause('TABLE', name, schema)} AS {' UNION ALL BY NAME '.join(parts)}")
    except duckdb.Error:
        # The engine's message contains values of the file.
        raise _unreadable_error(
            next((file for file in files if not _is_readable(connection, file)), files[0])
        ) from None
    columns = [column for column, *_ in connection.con.execute(f"DESCRIBE {qualified_name(name, schema)}").fetchall()]
    for column, proper in contract_names(columns, table, str(base)).items():
        if proper != column:
            old, new = sql_identifier(column), sql_identifier(proper)
            connection.raw_sql(f"ALTER TABLE {qualified_name(name, schema)} RENAME COLUMN {old} TO {new}")


def _select(connection: Backend, file: Path, base: Path, typed: bool) -> str:
    """Return SQL for the rows of one file."""
    keys = hive_values(file.relative_to(base).parent)
    hive = "".join(f", {sql_literal(value)} AS {sql_identifier(key)}" for key, value in keys.items())
    common = f"{file_literal(file)}, format = 'auto', maximum_object_size = {MAX_OBJECT_BYTES}"
    # Without these options, DuckDB reads a value that is not an object as a single column.
    objects = f"{common}, records = true, hive_partitioning = false"
    rows = connection.con.execute(
        "SELECT DISTINCT key FROM (SELECT unnest(json_keys(json)) AS key "
        f"FROM read_json_objects({common}, hive_partitioning = false)) ORDER BY key"
    ).fetchall()
    columns = [key for (key,) in rows if key.lower() not in {k.lower() for k in keys}]
    _check_key_names(columns, file)
    if typed:
        return f"SELECT *{hive} FROM read_json({objects}, sample_size = -1, {_NO_DATES})"
    shape = ", ".join(f"{sql_literal(column)}: 'VARCHAR'" for column in columns)
    if not columns:
        raise _unreadable_error(file)
    return f"SELECT *{hive} FROM read_json({objects}, columns = {{{shape}}})"


def _check_key_names(columns: list[str], file: Path) -> None:
    for first, second in zip(ordered := sorted(columns, key=str.lower), ordered[1:], strict=False):
        if first.lower() == second.lower():
            raise SignalsError(
                f"{file}: objects have both {first} and {second}",
                "names that differ in more than case",
                "rename one of them",
            )


def _check_not_empty(file: Path) -> None:
    opened = gzip.open if file.suffix.lower() == ".gz" else Path.open
    try:
        with opened(file, "rb") as stream:
            empty = not stream.read(2**20).strip()
    except (OSError, EOFError):
        raise _unreadable_error(file) from None
    if empty:
        raise SignalsError(f"{file}: the file is empty", "at least one object", "export it again, or remove the file")


def _is_readable(connection: Backend, file: Path) -> bool:
    try:
        arguments = f"{file_literal(file)}, maximum_object_size = {MAX_OBJECT_BYTES}"
        connection.con.execute(f"SELECT count(*) FROM read_json_objects({arguments})")
    except duckdb.Error:
        return False
    return True


def _unreadable_error(file: Path) -> SignalsError:
    return SignalsError(
        f"{file} cannot be read as JSON",
        f"one JSON object per line, or one array of objects, each of at most {MAX_OBJECT_BYTES // 2**20} MB",
        "export it again",
    )
