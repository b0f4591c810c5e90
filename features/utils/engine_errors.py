"""Descriptions of the embedded engine's errors that never contain values.

Errors in the query itself (syntax, names, types) are about its text and are shown with their position. Errors while it
runs may quote rows, so only their kind is shown.
"""

from __future__ import annotations

import re

import duckdb

_ABOUT_THE_QUERY = (
    duckdb.ParserException,
    duckdb.SyntaxException,
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.NotImplementedException,
)
# Greedy, so that no part of the value is mistaken for the type after it.
_CONVERSION = re.compile(
    r"^Conversion Error: (?:Could not convert (?P<from>string|[A-Z][A-Z0-9]*) .* to '?"
    r"(?P<to>U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?\d*|DOUBLE|FLOAT|DECIMAL\(\d+,\d+\)|BOOL(?:EAN)?|DATE|TIME|TIMESTAMP"
    r"|INTERVAL|UUID)\b|invalid (?P<kind>timestamp|date|time) field format)",
    re.DOTALL,
)
_COLUMN = re.compile(r" when casting from source column (?P<name>[^\n']{1,120})$")
_LINE = re.compile(r"\n+LINE (\d+): (.*)\n( *)\^")
_MAX_LENGTH = 300


def describe_error(error: Exception, *, place: bool = True) -> str:
    """Describe in one line why a query failed; if the message could quote rows, only by its kind.

    Parameters
    ----------
    error : the exception of DuckDB.
    place : whether to add the line and column in the query.

    Examples
    --------
    >>> reason(duckdb.BinderException('Binder Error: Referenced column "plam" not found'))
    'Binder Error: Referenced column "plam" not found'
    >>> reason(duckdb.ConversionException("Conversion Error: Could not convert string 'Ann' to INT32"))
    'Conversion Error: a string cannot be converted to INT32'
    """
    text = str(error)
    where = _place(error) if place else ""
    if isinstance(error, _ABOUT_THE_QUERY) and not isinstance(error, duckdb.ConversionException):
        return text.split("\n")[0][:_MAX_LENGTH] + where
    if isinstance(error, duckdb.ConversionException):
        return _conversion(text) + where
    if isinstance(error, duckdb.OutOfRangeException):
        return f"Out of Range Error: a number is too large for its type{where}"
    if isinstance(error, duckdb.PermissionException):
        return f"Permission Error: only the named files may be read{where}"
    if isinstance(error, duckdb.OutOfMemoryException):
        return "Out of Memory Error"
    return f"{type(error).__name__.removesuffix('Exception')} Error{where}"


def _conversion(text: str) -> str:
    message, _, excerpt = text.rpartition("\nLINE ")
    match, column = _CONVERSION.match(message or text), _column(message, excerpt)
    if not match:
        return f"Conversion Error: a value{column} cannot be converted to the type that the query requires"
    if kind := match["kind"]:
        return f"Conversion Error: a text{column} cannot be converted to {kind}"
    return f"Conversion Error: a {match['from']}{column} cannot be converted to {match['to']}"


def _column(message: str, excerpt: str) -> str:
    """Return `` of the column NAME`` if the engine names it and the query does, too: a value may look like a name."""
    match = _COLUMN.search(message.rstrip())
    return f" of the column {match['name']}" if match and match["name"] in excerpt else ""


def error_position(error: Exception) -> tuple[int, int] | None:
    """Return the line and column in the query, from 1, if the engine reports them; column 0 if only the line."""
    match = _LINE.search(str(error))
    if not match:
        return None
    line, excerpt, blanks = match.groups()
    column = len(blanks) - len(f"LINE {line}: ") + 1
    # The engine shortens long lines; the column is then not that of the query.
    return int(line), 0 if excerpt.startswith("...") else max(column, 0)


def _place(error: Exception) -> str:
    position = error_position(error)
    if position is None:
        return ""
    line, column = position
    return f" (line {line}, column {column})" if column else f" (line {line})"
