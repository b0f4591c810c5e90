"""Instants that are written as numbers, in the time zone of a place, or in a format other than ISO 8601."""

from __future__ import annotations

from features.sources.mapping.file_schema import TableTime, TimeRule
from features.utils.sql_text import sql_identifier, sql_literal
from features.utils.sql_types import is_number, is_text, is_zoneless

_MICROS = {"s": 1_000_000.0, "ms": 1_000.0, "us": 1.0, "ns": 0.001}
_MICROS |= {"seconds": 1_000_000.0, "milliseconds": 1_000.0, "microseconds": 1.0, "nanoseconds": 0.001}
_FAR = 9e18
"""Microseconds: about 285,000 years, which DuckDB can represent."""
_NUMBER = r"[+-]?[0-9]+([.][0-9]+)?"
_WITH_ZONE = r"[T ][0-9]{1,2}.*(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)\s*$"
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
    if is_number(sql_type):
        return _from_epoch(column, rule.epoch) if rule.epoch else column
    if is_zoneless(sql_type) and rule.zone:
        return f"timezone({sql_literal(rule.zone)}, CAST({column} AS TIMESTAMP))"
    if not is_text(sql_type):
        return column
    return _from_text(column, rule)


def _from_epoch(number: str, epoch: str) -> str:
    """Return SQL for an instant; numbers too large for any become one far out of range, which the check reports."""
    micros = f"nullif(CAST({number} AS DOUBLE) * {_MICROS[epoch]}, 'nan'::DOUBLE)"
    bounded = f"CASE WHEN {micros} IS NULL THEN NULL ELSE least(greatest({micros}, -{_FAR}), {_FAR}) END"
    return f"make_timestamp(CAST(round({bounded}) AS BIGINT))"


def _from_text(column: str, rule: TimeRule) -> str:
    """Return SQL for the text of an instant in ISO 8601."""
    trimmed = f"trim({column})"
    cases = []
    if rule.epoch:
        instant = _from_epoch(f"try_cast({trimmed} AS DOUBLE)", rule.epoch)
        cases.append(f"WHEN regexp_full_match({trimmed}, '{_NUMBER}') THEN CAST({instant} AS VARCHAR)")
    if rule.format:
        formats = (rule.format,) if isinstance(rule.format, str) else rule.format
        listed = ", ".join(map(sql_literal, formats))
        parsed = f"try_strptime({trimmed}, [{listed}])"
        cases.append(f"WHEN {parsed} IS NOT NULL THEN {_text_in_utc(parsed, rule.zone)}")
    if rule.zone:
        local = f"try_cast({trimmed} AS TIMESTAMP)"
        cases.append(f"WHEN {trimmed} = '' OR regexp_matches({trimmed}, '{_WITH_ZONE}', 'i') THEN {column}")
        cases.append(f"WHEN {local} IS NOT NULL THEN {_text_in_utc(local, rule.zone)}")
        cases.append(f"ELSE {column} || '{_UNREADABLE}'")
    else:
        cases.append(f"ELSE {column}")
    return f"CASE {' '.join(cases)} END" if len(cases) > 1 else column


def _text_in_utc(instant: str, zone: str | None) -> str:
    """Return SQL for the text of a time without a zone, which is a local time of ``zone``."""
    if zone:
        instant = f"timezone('UTC', timezone({sql_literal(zone)}, CAST({instant} AS TIMESTAMP)))"
    return f"CAST({instant} AS VARCHAR)"
