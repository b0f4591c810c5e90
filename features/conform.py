"""Reading a table as the contract has it: its columns, its types, instants in UTC."""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.datatypes as dt

from features.contract import Column, Table
from features.sources.base import Source

_IBIS_TYPES = {"string": "string", "instant": "timestamp", "float": "float64", "int": "int64", "bool": "boolean"}

# How a value may be written: what every engine reads, and reads alike. Beyond it each has liberties of its own, such as
# 1_000 or 1.5f, and DuckDB takes the zone that a value names (Europe/Berlin) for that of the values below it as well.
_HOUR, _ZONE = "([01]?[0-9]|2[0-3])", "(Z| ?UTC|[+-][0-9]{2}(:?[0-9]{2})?)"
_NUMBER = "^ *[+-]?([0-9]+[.]?[0-9]*([eE][+-]?[0-9]+)?|[.][0-9]+([eE][+-]?[0-9]+)?|[iI][nN][fF]|[nN][aA][nN]) *$"
_WRITTEN = {
    "instant": f"^[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}([T ]{_HOUR}:[0-9]{{2}}(:[0-9]{{2}}([.][0-9]+)?)?{_ZONE}?)?$",
    "float": _NUMBER,
    "int": _NUMBER,
    "bool": "^[A-Za-z0-9]+$",
}


@ibis.udf.scalar.builtin(name="epoch_us", signature=((dt.Timestamp(timezone="UTC"),), dt.int64))  # type: ignore[untyped-decorator]
def _epoch_us(instant: Any) -> Any:
    """Microseconds since 1970; null for infinity."""


@ibis.udf.scalar.builtin(name="make_timestamp", signature=((dt.int64,), dt.timestamp))  # type: ignore[untyped-decorator]
def _make_timestamp(us: Any) -> Any:
    """The instant so many microseconds after 1970, without a zone, in UTC."""


def contract_schema(table: Table) -> dict[str, str]:
    """The Ibis type of each contract column of ``table``."""
    return {column.name: _IBIS_TYPES[column.kind] for column in table.columns}


Schema = tuple[tuple[str, dt.DataType], ...]
"""A given table's columns and types, hashable."""


def given_table(name: str, schema: Schema) -> ibis.Table:
    """The unbound table ``name`` as given, as `features.source.Source` holds it."""
    return ibis.table(dict(schema), name=f"given_{name}")


def given_schema(source: Source, name: str) -> Schema:
    """The columns and types of table ``name`` as given."""
    return tuple(source.tables[name].schema().items())


def conformed(given: ibis.Table, table: Table, text: bool) -> dict[str, ibis.Value]:
    """The expressions over ``given`` that yield the contract's columns of ``table``; ``text``: parse rather than cast.

    Columns that the source lacks are null, as is a value that cannot be read as its type. Instants are timestamps
    without a zone, in UTC.
    """
    return {
        column.name: _cast(given[column.name], column, text)
        if column.name in given.columns
        else ibis.null(_IBIS_TYPES[column.kind])
        for column in table.columns
    }


def _cast(value: ibis.Value, column: Column, text: bool) -> ibis.Value:
    if text:
        value = value.cast("string").nullif("")
        if written := _WRITTEN.get(column.kind):
            value = ibis.ifelse(value.re_search(written), value, None)
        if column.kind == "instant":
            return value.try_cast(dt.Timestamp(timezone="UTC")).cast("timestamp")
        if column.kind == "int":
            number = value.try_cast("float64")
            whole = number.try_cast("int64")
            return ibis.ifelse(whole.cast("float64") == number, whole, None)
        value = value.try_cast(_IBIS_TYPES[column.kind])
    elif column.kind == "instant":
        plain = value.cast("timestamp")
        # DuckDB casts by the calendar of the session's zone, which costs most of a scan; infinity alone is left to it.
        value = ibis.coalesce(_make_timestamp(_epoch_us(value)), plain) if _zoned(value.type()) else plain
    else:
        value = value.try_cast(_IBIS_TYPES[column.kind])
    if column.kind == "float":
        return ibis.ifelse(value.isnan(), None, value)
    return value


def arrived(table: ibis.Table) -> ibis.Value:
    """When a row of a conformed event table had both happened and arrived; null ``loaded_at``: as it happened."""
    return ibis.greatest(table.occurred_at, ibis.coalesce(table.loaded_at, table.occurred_at))


def fits(given: dt.DataType, column: Column) -> bool:
    """Whether a typed column may be read as the contract's kind without guessing."""
    if given.is_null():
        return True
    match column.kind:
        case "string":
            return bool(given.is_string() or given.is_integer())
        case "instant":
            return bool(given.is_timestamp() or given.is_date())
        case "float":
            return bool(given.is_numeric())
        case "int":
            return bool(given.is_integer())
        case "bool":
            return bool(given.is_boolean())


def _zoned(given: dt.DataType) -> bool:
    """Whether instants bear a zone: on DuckDB only, as those on Spark come without."""
    return isinstance(given, dt.Timestamp) and given.timezone is not None
