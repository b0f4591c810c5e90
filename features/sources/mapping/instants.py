"""Instants that are written as numbers, in the time zone of a place, or in a format other than ISO 8601."""

from __future__ import annotations

from features.sources.mapping.file_schema import TableTime, TimeRule
from features.utils.sql_instants import InstantFormat, instant_sql
from features.utils.sql_text import sql_identifier
from features.utils.sql_types import is_number, is_text, is_zoneless

_UNREADABLE = " (not an instant)"
"""Appended to text that cannot be read as a local time, so that the check of the contract reports it."""


def rule_of(time: TableTime | None, column: str) -> TimeRule | None:
    """Return the rule for one column: its own, or that of the table."""
    return None if time is None else time.__pydantic_extra__.get(column, time)


def in_utc(name: str, sql_type: str, rule: TimeRule) -> str:
    """Return SQL for a column of instants in UTC.

    Text that cannot be read is not changed, or made unreadable if it could be taken for UTC.

    Parameters
    ----------
    name : the column.
    sql_type : its type.
    rule : how its values are written.
    """
    column = sql_identifier(name)
    formats = (rule.format,) if isinstance(rule.format, str) else rule.format or ()
    written = InstantFormat(epoch=rule.epoch or "", formats=formats, zone=rule.zone or "")
    if is_text(sql_type):
        return _in_utc_text(column, sql_type, written)
    if (is_number(sql_type) and written.epoch) or (is_zoneless(sql_type) and written.zone):
        return instant_sql(column, sql_type, written)
    return column


def _in_utc_text(column: str, sql_type: str, written: InstantFormat) -> str:
    if written == InstantFormat():
        return column
    trimmed = f"trim({column})"
    other = f"CASE WHEN {trimmed} = '' THEN {column} ELSE {column} || '{_UNREADABLE}' END" if written.zone else column
    return f"coalesce(CAST({instant_sql(trimmed, sql_type, written)} AS VARCHAR), {other})"
