"""What the embedded engine says about a query, without any value.

Errors of the query itself (its syntax, the names in it, its types) are about what its author wrote, and are passed on
with their place. Errors of running it quote the rows, so that only their kind is passed on.
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
# Greedy, so that nothing of the value, whatever is in it, is taken for the type behind it.
_CONVERSION = re.compile(
    r"^Conversion Error: (?:Could not convert (?P<from>string|[A-Z][A-Z0-9]*) .* to '?"
    r"(?P<to>U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?\d*|DOUBLE|FLOAT|DECIMAL\(\d+,\d+\)|BOOL(?:EAN)?|DATE|TIME|TIMESTAMP"
    r"|INTERVAL|UUID)\b|invalid (?P<kind>timestamp|date|time) field format)",
    re.DOTALL,
)
_LINE = re.compile(r"\n+LINE (\d+): (.*)\n( *)\^")
_LONGEST = 300


def reason(error: Exception) -> str:
    """Why a query failed, in one line; for a failure that could quote rows, only what kind of failure it is.

    Parameters
    ----------
    error : what DuckDB raised.

    Examples
    --------
    >>> reason(duckdb.BinderException('Binder Error: Referenced column "plam" not found'))
    'Binder Error: Referenced column "plam" not found'
    >>> reason(duckdb.ConversionException("Conversion Error: Could not convert string 'Ann' to INT32"))
    'Conversion Error: a string cannot be converted to INT32'
    """
    text = str(error)
    place = _place(text)
    if isinstance(error, _ABOUT_THE_QUERY) and not isinstance(error, duckdb.ConversionException):
        return text.split("\n")[0][:_LONGEST] + place
    if isinstance(error, duckdb.ConversionException):
        return _conversion(text) + place
    if isinstance(error, duckdb.OutOfRangeException):
        return f"Out of Range Error: a number is too large for its type{place}"
    if isinstance(error, duckdb.PermissionException):
        return f"Permission Error: only the named files may be read{place}"
    if isinstance(error, duckdb.OutOfMemoryException):
        return "Out of Memory Error"
    return f"{type(error).__name__.removesuffix('Exception')} Error{place}"


def _conversion(text: str) -> str:
    found = _CONVERSION.match(text.rpartition("\nLINE ")[0] or text)
    if not found:
        return "Conversion Error: a value cannot be converted to the type that the query asks for"
    if kind := found["kind"]:
        return f"Conversion Error: a text cannot be converted to {kind}"
    return f"Conversion Error: a {found['from']} cannot be converted to {found['to']}"


def _place(text: str) -> str:
    """Line and column of the query, from 1, where the engine names them."""
    found = _LINE.search(text)
    if not found:
        return ""
    line, excerpt, blanks = found.groups()
    column = len(blanks) - len(f"LINE {line}: ") + 1
    # The engine shortens long lines, and then the column is not the query's.
    return f" (line {line})" if excerpt.startswith("...") or column < 1 else f" (line {line}, column {column})"
