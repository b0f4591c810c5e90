"""Kinds of the engine's types."""

from __future__ import annotations

NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "U")


def is_text(sql_type: str) -> bool:
    """Return whether values of a type are text."""
    return sql_type.upper().startswith(("VARCHAR", "JSON", "ENUM"))


def is_number(sql_type: str) -> bool:
    """Return whether values of a type are numbers."""
    upper = sql_type.upper()
    return upper.startswith(NUMBERS) and not upper.startswith(("UUID", "UNION")) and "[" not in upper


def is_zoneless(sql_type: str) -> bool:
    """Return whether values of a type are dates or times without a zone."""
    return sql_type.upper() in ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATETIME")


def id_text(column: str, sql_type: str) -> str:
    """Return SQL for the text of an id, as the data contract reads it: a whole number has no decimals.

    An empty or blank text is no id.
    """
    if sql_type.upper() in ("FLOAT", "DOUBLE"):
        return (
            f"CASE WHEN {column} = trunc({column}) THEN CAST(try_cast({column} AS HUGEINT) AS VARCHAR) "
            f"ELSE CAST({column} AS VARCHAR) END"
        )
    if is_text(sql_type):
        return f"CASE WHEN trim(CAST({column} AS VARCHAR), ' \t\r\n') <> '' THEN CAST({column} AS VARCHAR) END"
    return f"CAST({column} AS VARCHAR)"
