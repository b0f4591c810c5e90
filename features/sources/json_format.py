"""Reading JSON files into the embedded engine: one object a line (NDJSON), or one array of objects.

For a table of the contract every value is taken as text and parsed as that of a CSV file is. For a mapping file, which
reaches into nested objects, they keep their types; there too text stays text: no date is guessed.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from features.errors import SignalsError
from features.sources.base import contract_names, creation, hive_values, identifier, placed, quoted

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

ENDINGS = (".json", ".ndjson", ".jsonl")
LARGEST_OBJECT = 16 * 2**20
"""Bytes of one object, at most."""
# No text is of these forms, so that DuckDB leaves texts alone.
_NO_DATES = "dateformat = 'renewcast', timestampformat = 'renewcast'"


def lay_json(
    connection: Backend, name: str, files: tuple[Path, ...], base: Path, table: str = "", schema: str = ""
) -> None:
    """Read JSON files into the table ``name``; see `features.sources.csv_format.lay_csv`.

    Raises
    ------
    SignalsError
        If a file is not JSON, or holds something else than objects.
    """
    for file in files:
        _refuse_empty(file)
    try:
        parts = [_select(connection, file, base, typed=not table) for file in files]
        connection.raw_sql(f"{creation('TABLE', name, schema)} AS {' UNION ALL BY NAME '.join(parts)}")
    except duckdb.Error:
        # The engine's message quotes the file.
        raise _unreadable(next((file for file in files if not _sound(connection, file)), files[0])) from None
    given = [column for column, *_ in connection.con.execute(f"DESCRIBE {placed(name, schema)}").fetchall()]
    for column, proper in contract_names(given, table, str(base)).items():
        if proper != column:
            connection.raw_sql(
                f"ALTER TABLE {placed(name, schema)} RENAME COLUMN {identifier(column)} TO {identifier(proper)}"
            )


def _select(connection: Backend, file: Path, base: Path, typed: bool) -> str:
    """SQL for the rows of one file."""
    keys = hive_values(file.relative_to(base).parent)
    hive = "".join(f", {quoted(value)} AS {identifier(key)}" for key, value in keys.items())
    common = f"{quoted(str(file))}, format = 'auto', maximum_object_size = {LARGEST_OBJECT}"
    # Left to guess, DuckDB takes what is no object for the value of a single column.
    objects = f"{common}, records = true, hive_partitioning = false"
    if typed:
        return f"SELECT *{hive} FROM read_json({objects}, sample_size = -1, {_NO_DATES})"
    found = connection.con.execute(
        "SELECT DISTINCT key FROM (SELECT unnest(json_keys(json)) AS key "
        f"FROM read_json_objects({common}, hive_partitioning = false)) ORDER BY key"
    ).fetchall()
    columns = [key for (key,) in found if key.lower() not in {k.lower() for k in keys}]
    _refuse_clashes(columns, file)
    shape = ", ".join(f"{quoted(column)}: 'VARCHAR'" for column in columns)
    if not columns:
        raise _unreadable(file)
    return f"SELECT *{hive} FROM read_json({objects}, columns = {{{shape}}})"


def _refuse_clashes(columns: list[str], file: Path) -> None:
    for first, second in zip(ordered := sorted(columns, key=str.lower), ordered[1:], strict=False):
        if first.lower() == second.lower():
            raise SignalsError(
                f"{file}: objects have both {first} and {second}",
                "names that differ in more than upper and lower case",
                "rename one of them",
            )


def _refuse_empty(file: Path) -> None:
    opened = gzip.open if file.suffix.lower() == ".gz" else Path.open
    try:
        with opened(file, "rb") as stream:
            empty = not stream.read(2**20).strip()
    except (OSError, EOFError):
        raise _unreadable(file) from None
    if empty:
        raise SignalsError(f"{file}: the file is empty", "at least one object", "export it again, or remove the file")


def _sound(connection: Backend, file: Path) -> bool:
    try:
        connection.con.execute(
            f"SELECT count(*) FROM read_json_objects({quoted(str(file))}, maximum_object_size = {LARGEST_OBJECT})"
        )
    except duckdb.Error:
        return False
    return True


def _unreadable(file: Path) -> SignalsError:
    return SignalsError(
        f"{file} cannot be read as JSON",
        f"one JSON object a line, or one array of objects, each of at most {LARGEST_OBJECT // 2**20} MB",
        "export it again",
    )
