"""Reading a table as the contract has it: its columns, its types, instants in UTC."""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.datatypes as dt

from features.contract.ibis_types import _IBIS_TYPES
from features.contract.schema import Column, TableSchema
from features.sources.base import Source

FIRST_YEAR, END_YEAR = 1900, 2200
"""Instants before the first, or from the second on, stand for "unknown" (9999-12-31, 0001-01-01) and are read so."""

# How a value may be written: what every engine reads, and reads alike. Beyond it each has liberties of its own, such as
# 1_000 or 1.5f, and DuckDB takes the zone that a value names (Europe/Berlin) for that of the values below it as well.
_HOUR, _ZONE = "([01]?[0-9]|2[0-3])", "(Z| ?UTC|[+-][0-9]{2}(:?[0-9]{2})?)"
_NUMBER = "^ *[+-]?([0-9]+[.]?[0-9]*([eE][+-]?[0-9]+)?|[.][0-9]+([eE][+-]?[0-9]+)?|[iI][nN][fF]|[nN][aA][nN]) *$"
_YEARS_KNOWN = "(19|20|21)[0-9]{2}"
_YEARS_BEYOND = "(0[0-9]{3}|1[0-8][0-9]{2}|2[2-9][0-9]{2}|[3-9][0-9]{3})"
_AFTER_THE_YEAR = f"-[0-9]{{1,2}}-[0-9]{{1,2}}([T ]{_HOUR}:[0-9]{{2}}(:[0-9]{{2}}([.][0-9]+)?{_ZONE}?)?)?$"
_WRITTEN = {"float": _NUMBER, "int": _NUMBER, "bool": "^[A-Za-z0-9]+$"}
# The other forms of ISO 8601, step by step brought to the one above; only what is not of that form goes through these.
_ISO_STEPS = (
    (r"^([0-9]{4})([0-9]{2})([0-9]{2})([T ].*)?$", r"\1-\2-\3\4"),
    (r"^([0-9-]+) +([0-9])", r"\1 \2"),
    (r"([T ])([0-9]{2})([0-9]{2})([0-9]{2})([^0-9:].*)?$", r"\1\2:\3:\4\5"),
    (r"([T ])([0-9]{2})([0-9]{2})([^0-9:].*)?$", r"\1\2:\3\4"),
    (r"([T ])([0-9]{2})([^0-9:].*)?$", r"\1\2:00\3"),
    (r"(:[0-9]{2}),([0-9])", r"\1.\2"),
    (r"([T ][0-9]{1,2}:[0-9]{2}) *(Z|UTC|[+-].*)$", r"\1:00\2"),
    (r" +(Z|[+-][0-9:]+)$", r"\1"),
)
_EXPECTED = {
    "string": "string",
    "instant": "instant (ISO 8601, such as 2026-07-01 or 2026-07-01T10:15:00Z)",
    "float": "float (a number such as 1200.5, with a decimal point; a decimal comma is not read)",
    "int": "int (a whole number)",
    "bool": "bool (true or false)",
}


@ibis.udf.scalar.builtin(name="epoch_us", signature=((dt.Timestamp(timezone="UTC"),), dt.int64))  # type: ignore[untyped-decorator]
def _epoch_us(instant: Any) -> Any:
    """Microseconds since 1970; null for infinity."""


@ibis.udf.scalar.builtin(name="make_timestamp", signature=((dt.int64,), dt.timestamp))  # type: ignore[untyped-decorator]
def _make_timestamp(us: Any) -> Any:
    """The instant so many microseconds after 1970, without a zone, in UTC."""


Schema = tuple[tuple[str, dt.DataType], ...]
"""A given table's columns and types, hashable."""


def given_table(name: str, schema: Schema) -> ibis.Table:
    """The unbound table ``name`` as given, as `features.sources.base.Source` holds it."""
    return ibis.table(dict(schema), name=f"given_{name}")


def given_schema(source: Source, name: str) -> Schema:
    """The columns and types of table ``name`` as given."""
    return tuple(source.tables[name].schema().items())


def conformed(given: ibis.Table, table: TableSchema, text: bool) -> dict[str, ibis.Value]:
    """The expressions over ``given`` that yield the contract's columns of ``table``; ``text``: parse rather than cast.

    Columns that the source lacks are null, as is a value that cannot be read as its type. Instants are timestamps
    without a zone, in UTC. Text is parsed column by column, wherever the contract wants something else; ``text``: every
    column came as text, and an empty one is null. An optional instant out of range (`out_of_range`) is null; one that
    is required is left as it is, and is an error of the check.
    """
    return {
        column.name: _cast(given[column.name], column, text)
        if column.name in given.columns
        else ibis.null(_IBIS_TYPES[column.kind])
        for column in table.columns
    }


def out_of_range(given: ibis.Table, column: Column, text: bool) -> ibis.BooleanValue:
    """Whether an instant column of ``given`` is before `FIRST_YEAR` or from `END_YEAR` on."""
    value = given[column.name]
    if text or value.type().is_string():
        value = value.cast("string")
        known = value.re_search(f"^{_YEARS_KNOWN}{_AFTER_THE_YEAR}")
        beyond = ibis.ifelse(known, False, _canonical(value).re_search(f"^{_YEARS_BEYOND}{_AFTER_THE_YEAR}"))
        return beyond.fill_null(False)
    return (~_in_range(_instant(value, "", text=False))).fill_null(False)


def written_as(column: Column) -> str:
    """How a value of ``column`` is written."""
    return _EXPECTED[column.kind]


def _in_range(instant: ibis.Value) -> ibis.BooleanValue:
    return (instant >= ibis.timestamp(f"{FIRST_YEAR}-01-01")) & (instant < ibis.timestamp(f"{END_YEAR}-01-01"))


def _cast(value: ibis.Value, column: Column, text: bool) -> ibis.Value:
    if column.kind == "instant":
        return _instant(value, "[0-9]{4}" if column.required else _YEARS_KNOWN, text)
    if column.kind == "string":
        return _string(value, text)
    if text or value.type().is_string():
        value = _written(value, column.kind)
        value = _whole(value.try_cast("float64")) if column.kind == "int" else value.try_cast(_IBIS_TYPES[column.kind])
    elif column.kind == "int" and not value.type().is_integer():
        value = _whole(value.try_cast("float64")) if _fraction(value.type()) else value.try_cast("int64")
    else:
        value = value.try_cast(_IBIS_TYPES[column.kind])
    if column.kind == "float":
        return ibis.ifelse(value.isnan(), None, value)
    return value


def _string(value: ibis.Value, text: bool) -> ibis.Value:
    if text:
        return value.cast("string").nullif("")
    return value if value.type().is_string() else value.try_cast("string")


def _whole(number: ibis.Value) -> ibis.Value:
    whole = number.try_cast("int64")
    return ibis.ifelse(whole.cast("float64") == number, whole, None)


def _fraction(given: dt.DataType) -> bool:
    """Whether numbers of this type may have a fraction."""
    return bool(given.is_floating() or (given.is_decimal() and given.scale != 0))


def _written(value: ibis.Value, kind: str) -> ibis.Value:
    """The text where it is written as ``kind`` may be; null elsewhere."""
    value = value.cast("string").nullif("")
    return ibis.ifelse(value.re_search(_WRITTEN[kind]), value, None)


def _instant(value: ibis.Value, years: str, text: bool) -> ibis.Value:
    """The instant, if its year is one of ``years`` (a pattern; empty for any)."""
    if text or value.type().is_string():
        value = value.cast("string")
        form = f"^{years}{_AFTER_THE_YEAR}"
        canonical = _canonical(value)
        # Each value is named as seldom as can be: an engine works it out as often.
        rest = ibis.ifelse(canonical.re_search(form), canonical, None)
        return ibis.ifelse(value.re_search(form), value, rest).try_cast(dt.Timestamp(timezone="UTC")).cast("timestamp")
    plain = value.cast("timestamp")
    # DuckDB casts by the calendar of the session's zone, which costs most of a scan; infinity alone is left to it.
    instant = ibis.coalesce(_make_timestamp(_epoch_us(value)), plain) if _zoned(value.type()) else plain
    return ibis.ifelse(_in_range(instant), instant, None) if years == _YEARS_KNOWN else instant


def _canonical(text: ibis.Value) -> ibis.Value:
    """A text in any form of ISO 8601 in the one form that every engine reads; another text as some other text."""
    canonical = text.strip().upper()
    for pattern, replacement in _ISO_STEPS:
        canonical = canonical.re_replace(pattern, replacement)
    return canonical


def arrived(table: ibis.Table) -> ibis.Value:
    """When a row of a conformed event table had both happened and arrived; null ``loaded_at``: as it happened."""
    return ibis.greatest(table.occurred_at, ibis.coalesce(table.loaded_at, table.occurred_at))


def fits(given: dt.DataType, column: Column) -> bool:
    """Whether a column of this type may be read as the contract's kind without guessing; text is parsed."""
    if given.is_null() or given.is_string():
        return True
    whole = given.is_integer() or (given.is_decimal() and given.scale == 0)
    match column.kind:
        case "string":
            return bool(whole or given.is_uuid())
        case "instant":
            return bool(given.is_timestamp() or given.is_date())
        case "float":
            return bool(given.is_numeric())
        case "int":
            # Row by row: a number with a fraction is a value that cannot be read.
            return bool(whole or _fraction(given))
        case "bool":
            return bool(given.is_boolean())


def _zoned(given: dt.DataType) -> bool:
    """Whether instants bear a zone: on DuckDB only, as those on Spark come without."""
    return isinstance(given, dt.Timestamp) and given.timezone is not None
