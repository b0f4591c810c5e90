"""SQL text: quoted identifiers and literals."""

from __future__ import annotations


def sql_identifier(name: str) -> str:
    """Return ``name`` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def sql_literal(text: str | None) -> str:
    """Return ``text`` as a SQL literal."""
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"
