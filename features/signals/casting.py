"""Cast the columns of a source table to the contract's types, with instants in UTC."""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.datatypes as dt

from features.contract.ibis_types import IBIS_TYPES
from features.contract.schema import Column, TableSchema
from features.sources.base import Source

FIRST_YEAR, END_YEAR = 1900, 2200
"""Instants before the first year, or from the second year on, mean "unknown" (9999-12-31, 0001-01-01)."""

# Accepted text formats, which every engine parses in the same way. Other formats, such as 1_000 or 1.5f, are parsed
# differently, and DuckDB also applies a named zone (Europe/Berlin) to the values that follow.
_HOUR, _ZONE = "([01]?[0-9]|2[0-3])", "(Z| ?UTC|[+-][0-9]{2}(:?[0-9]{2})?)"
_NUMBER = "^ *[+-]?([0-9]+[.]?[0-9]*([eE][+-]?[0-9]+)?|[.][0-9]+([eE][+-]?[0-9]+)?|[iI][nN][fF]|[nN][aA][nN]) *$"
_YEARS_INSIDE = "(19|20|21)[0-9]{2}"
_YEARS_OUTSIDE = "(0[0-9]{3}|1[0-8][0-9]{2}|2[2-9][0-9]{2}|[3-9][0-9]{3})"
_DATE_AND_TIME = f"-[0-9]{{1,2}}-[0-9]{{1,2}}([T ]{_HOUR}:[0-9]{{2}}(:[0-9]{{2}}([.][0-9]+)?{_ZONE}?)?)?$"
_PATTERNS = {"float": _NUMBER, "int": _NUMBER, "bool": "^[A-Za-z0-9]+$"}
# Steps that convert other forms of ISO 8601 to the form above; applied only to values in another form.
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
    "string": "a text",
    "instant": "a date or time (ISO 8601, such as 2026-07-01 or 2026-07-01T10:15:00Z)",
    "float": "a number such as 1200.5, with a decimal point (a mapping reads a decimal comma with the unit "
    "decimal_comma, and 1,234.56 with decimal_point)",
    "int": "a whole number",
    "bool": "true or false",
}


@ibis.udf.scalar.builtin(name="epoch_us", signature=((dt.Timestamp(timezone="UTC"),), dt.int64))  # type: ignore[untyped-decorator]
def _epoch_us(instant: Any) -> Any:
    """Return microseconds since 1970; null for infinity."""


@ibis.udf.scalar.builtin(name="make_timestamp", signature=((dt.int64,), dt.timestamp))  # type: ignore[untyped-decorator]
def _make_timestamp(us: Any) -> Any:
    """Return the instant ``us`` microseconds after 1970, in UTC without a time zone."""


SourceSchema = tuple[tuple[str, dt.DataType], ...]
"""The columns and types of a source table, hashable."""


def source_table(name: str, schema: SourceSchema) -> ibis.Table:
    """Return the unbound table ``name`` of a `features.sources.base.Source`."""
    return ibis.table(dict(schema), name=f"given_{name}")


def source_schema(source: Source, name: str) -> SourceSchema:
    """Return the columns and types of table ``name`` in ``source``."""
    return tuple(source.tables[name].schema().items())


def conformed_columns(source_rows: ibis.Table, table: TableSchema, text: bool) -> dict[str, ibis.Value]:
    """Return expressions over ``source_rows`` for the contract's columns of ``table``.

    Missing columns and unreadable values are null. Instants are timestamps in UTC without a time zone. Text columns are
    parsed if the contract expects another type. An optional instant out of range (`out_of_range`) is null; a required
    one is unchanged and is an error of the check.

    Parameters
    ----------
    source_rows : the unbound source table.
    table : the contract's table.
    text : whether every column is text, in which an empty value is null.
    """
    return {
        column.name: _cast(source_rows[column.name], column, text)
        if column.name in source_rows.columns
        else ibis.null(IBIS_TYPES[column.kind])
        for column in table.columns
    }


def out_of_range(source_rows: ibis.Table, column: Column, text: bool) -> ibis.BooleanValue:
    """Return whether an instant column of ``source_rows`` is before `FIRST_YEAR` or from `END_YEAR` on."""
    value = source_rows[column.name]
    if text or value.type().is_string():
        value = value.cast("string")
        inside = value.re_search(f"^{_YEARS_INSIDE}{_DATE_AND_TIME}")
        outside = ibis.ifelse(inside, False, _canonical(value).re_search(f"^{_YEARS_OUTSIDE}{_DATE_AND_TIME}"))
        return outside.fill_null(False)
    return (~_in_range(_instant(value, "", text=False))).fill_null(False)


def expected_format(column: Column) -> str:
    """Return the expected format of ``column``."""
    return _EXPECTED[column.kind]


def _in_range(instant: ibis.Value) -> ibis.BooleanValue:
    return (instant >= ibis.timestamp(f"{FIRST_YEAR}-01-01")) & (instant < ibis.timestamp(f"{END_YEAR}-01-01"))


def _cast(value: ibis.Value, column: Column, text: bool) -> ibis.Value:
    if column.kind == "instant":
        return _instant(value, "[0-9]{4}" if column.required else _YEARS_INSIDE, text)
    if column.kind == "string":
        return _string(value, text)
    if text or value.type().is_string():
        value = _matching_text(value, column.kind)
        value = _whole(value.try_cast("float64")) if column.kind == "int" else value.try_cast(IBIS_TYPES[column.kind])
    elif column.kind == "int" and not value.type().is_integer():
        value = _whole(value.try_cast("float64")) if _may_have_fraction(value.type()) else value.try_cast("int64")
    else:
        value = value.try_cast(IBIS_TYPES[column.kind])
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


def _may_have_fraction(dtype: dt.DataType) -> bool:
    """Return whether numbers of this type may have a fraction."""
    return bool(dtype.is_floating() or (dtype.is_decimal() and dtype.scale != 0))


def _matching_text(value: ibis.Value, kind: str) -> ibis.Value:
    """Return the text if it matches the pattern of ``kind``, else null."""
    value = value.cast("string").nullif("")
    return ibis.ifelse(value.re_search(_PATTERNS[kind]), value, None)


def _instant(value: ibis.Value, years: str, text: bool) -> ibis.Value:
    """Return the instant if its year matches ``years`` (a pattern; empty for any)."""
    if text or value.type().is_string():
        value = value.cast("string")
        form = f"^{years}{_DATE_AND_TIME}"
        canonical = _canonical(value)
        # Each expression is used as rarely as possible, because an engine may evaluate it every time.
        rest = ibis.ifelse(canonical.re_search(form), canonical, None)
        return ibis.ifelse(value.re_search(form), value, rest).try_cast(dt.Timestamp(timezone="UTC")).cast("timestamp")
    direct = value.cast("timestamp")
    # DuckDB's cast uses the session's calendar, which is slow; it is used only for infinity.
    instant = ibis.coalesce(_make_timestamp(_epoch_us(value)), direct) if _has_time_zone(value.type()) else direct
    return ibis.ifelse(_in_range(instant), instant, None) if years == _YEARS_INSIDE else instant


def _canonical(text: ibis.Value) -> ibis.Value:
    """Convert any form of ISO 8601 to the form that every engine parses; other text stays invalid."""
    canonical = text.strip().upper()
    for pattern, replacement in _ISO_STEPS:
        canonical = canonical.re_replace(pattern, replacement)
    return canonical


def known_instant(table: ibis.Table, at: str) -> ibis.Value:
    """Return when a conformed event row had happened (``at``) and arrived; without ``loaded_at``, when it happened."""
    return ibis.greatest(table[at], ibis.coalesce(table.loaded_at, table[at]))


def is_compatible(dtype: dt.DataType, column: Column) -> bool:
    """Return whether a column of this type can be cast to the contract's kind without ambiguity; text is parsed."""
    if dtype.is_null() or dtype.is_string():
        return True
    whole = dtype.is_integer() or (dtype.is_decimal() and dtype.scale == 0)
    match column.kind:
        case "string":
            return bool(whole or dtype.is_uuid())
        case "instant":
            return bool(dtype.is_timestamp() or dtype.is_date())
        case "float":
            return bool(dtype.is_numeric())
        case "int":
            # Checked per row: a number with a fraction is an unreadable value.
            return bool(whole or _may_have_fraction(dtype))
        case "bool":
            return bool(dtype.is_boolean())


def _has_time_zone(dtype: dt.DataType) -> bool:
    """Return whether instants have a time zone; only on DuckDB, because Spark's are read without one."""
    return isinstance(dtype, dt.Timestamp) and dtype.timezone is not None
