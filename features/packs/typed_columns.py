"""SQL that reads a column of a landed table as a declared type.

Loaders store one fact in many ways: an instant as a timestamp, as ISO 8601 text or as a number of seconds; a flag as
text; a list as JSON, as text or nested. A value that cannot be read is null, so that the pack can count it.
"""

from __future__ import annotations

import re

from features.packs.schema import ColumnType, Epoch
from features.utils.sql_instants import InstantFormat, instant_sql, is_instant_type, within_years
from features.utils.sql_text import sql_literal

SQL_TYPES: dict[ColumnType, str] = {
    "text": "VARCHAR",
    "instant": "TIMESTAMP",
    "number": "DOUBLE",
    "integer": "BIGINT",
    "boolean": "BOOLEAN",
    "json": "JSON",
}
"""The type of a column in the SQL of a pack; instants are in UTC without a zone."""
_YEARS = (1900, 2199)
"""The first and the last year of instants: those outside mean "unknown" (0001-01-01, 9999-12-31)."""
_MICROS: dict[Epoch, int] = {"s": 1_000_000, "ms": 1_000, "us": 1}
_EPOCH_DIGITS = 9
"""Text with fewer digits, such as 20260131, is no number since 1970."""
_NUMBER = r"[+-]?(\d+[.]?\d*|[.]\d+)([eE][+-]?\d+)?"
_TRUE, _FALSE = "('true', 't', 'yes', 'y', '1')", "('false', 'f', 'no', 'n', '0')"
_INTEGER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$|DECIMAL\(\d+,\s*0\)$")
_FRACTION = re.compile(r"DOUBLE$|FLOAT$|REAL$|DECIMAL\(")
_NESTED = re.compile(r"STRUCT|MAP|UNION|.*\[\d*\]$", re.DOTALL)


def typed_sql(value: str, given: str, wanted: ColumnType, epoch: Epoch = "s") -> str:
    """Return SQL that reads the expression ``value`` as the type ``wanted``.

    Parameters
    ----------
    value : the SQL expression.
    given : its DuckDB type.
    wanted : the declared type.
    epoch : the unit of instants that are stored as numbers.
    """
    given = given.upper()
    if wanted == "json":
        return _json(value, given)
    if wanted == "text":
        return _text(value, given)
    if wanted == "instant":
        return _instant(value, given, epoch)
    if wanted == "boolean":
        return _boolean(value, given)
    return _number(value, given, SQL_TYPES[wanted])


def nested_text_sql(value: str, given: str, path: str) -> str:
    """Return SQL for the text at ``path`` (keys joined by dots) inside a JSON or nested column."""
    keys = "".join('."' + key.replace('"', "") + '"' for key in path.split("."))
    return f"json_extract_string({_json(value, given.upper())}, {sql_literal('$' + keys)})"


def null_sql(wanted: ColumnType) -> str:
    """Return SQL for an unknown value of the type ``wanted``."""
    return f"CAST(NULL AS {SQL_TYPES[wanted]})"


def _json(value: str, given: str) -> str:
    if given == "JSON":
        return value
    if _NESTED.match(given):
        return f"to_json({value})"
    text = f"CAST({value} AS VARCHAR)"
    return f"CASE WHEN json_valid({text}) THEN CAST({text} AS JSON) END"


def _text(value: str, given: str) -> str:
    if given == "JSON":
        return f"nullif(json_extract_string({value}, '$'), '')"
    if _NESTED.match(given):
        return f"CAST(to_json({value}) AS VARCHAR)"
    if _FRACTION.match(given) and not _INTEGER.match(given):
        # Ids that became numbers with a fraction of zero.
        whole = f"TRY_CAST({value} AS HUGEINT)"
        return f"CASE WHEN {whole} = {value} THEN CAST({whole} AS VARCHAR) ELSE CAST({value} AS VARCHAR) END"
    return f"nullif({_trimmed(value, given)}, '')"


def _trimmed(value: str, given: str) -> str:
    """Return SQL for the text of a column without blanks at its ends; it may be empty."""
    if given == "VARCHAR":
        return f"trim({value})"
    return f"trim({_text(value, given)})" if given == "JSON" else f"trim(CAST({value} AS VARCHAR))"


def _instant(value: str, given: str, epoch: Epoch) -> str:
    written = InstantFormat(epoch, digits=_EPOCH_DIGITS)
    if is_instant_type(given):
        instant = instant_sql(value, given, written)
    else:
        instant = instant_sql(_trimmed(value, given), "VARCHAR", written)
    return within_years(instant, *_YEARS)


def far_instant_sql(text: str, epoch: Epoch) -> str:
    """Return SQL for whether a text is an instant after the years that are read, such as 9999-12-31.

    Parameters
    ----------
    text : the SQL expression of the text, which may have blanks around it.
    epoch : the unit of instants that are numbers.
    """
    first = f"{_YEARS[1] + 1}-01-01"
    since = f"epoch_us(TIMESTAMP '{first}') / {_MICROS[epoch]}"
    day = f"regexp_full_match(trim({text}), '[0-9]{{4,}}[-/][0-9].*') AND left(trim({text}), 4) >= '{first[:4]}'"
    return f"coalesce(({day}) OR try_cast({text} AS DOUBLE) >= {since}, false)"


def _boolean(value: str, given: str) -> str:
    if given == "BOOLEAN":
        return value
    if _INTEGER.match(given) or _FRACTION.match(given):
        return f"({value} <> 0)"
    text = f"lower({_trimmed(value, given)})"
    return f"CASE WHEN {text} IN {_TRUE} THEN true WHEN {text} IN {_FALSE} THEN false END"


def _number(value: str, given: str, wanted: str) -> str:
    if given == "BOOLEAN" or _INTEGER.match(given):
        return f"TRY_CAST({value} AS {wanted})"
    if _FRACTION.match(given):
        return f"CASE WHEN isfinite(CAST({value} AS DOUBLE)) THEN TRY_CAST({value} AS {wanted}) END"
    text = _trimmed(value, given)
    return f"CASE WHEN regexp_full_match({text}, {sql_literal(_NUMBER)}) THEN TRY_CAST({text} AS {wanted}) END"
