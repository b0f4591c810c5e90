"""SQL that reads instants: numbers since 1970, ISO 8601, other formats, and local times.

Packs and mappings read instants here. They differ in what they do with a value that is none: to a pack it is unknown,
and a mapping leaves it to the check of the contract.
"""

from __future__ import annotations

from dataclasses import dataclass

from features.utils.sql_text import sql_literal
from features.utils.sql_types import is_number, is_text, is_zoneless

_MICROS = {"s": 1_000_000.0, "ms": 1_000.0, "us": 1.0, "ns": 0.001}
_MICROS |= {"seconds": 1_000_000.0, "milliseconds": 1_000.0, "microseconds": 1.0, "nanoseconds": 0.001}
_FAR = 9e18
"""Microseconds: about 285,000 years, which DuckDB can represent."""
_WITH_ZONE = r"[T ][0-9]{1,2}.*(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)$"


@dataclass(frozen=True)
class InstantFormat:
    """How the instants of a column are written.

    Parameters
    ----------
    epoch : the unit of numbers since 1970; empty if numbers are no instants.
    digits : text is such a number only if it has at least this many digits before the point.
    formats : formats of text that is not ISO 8601, such as ``%m/%d/%Y``.
    zone : the time zone of values without one; default: UTC.
    """

    epoch: str = ""
    digits: int = 1
    formats: tuple[str, ...] = ()
    zone: str = ""


def instant_sql(value: str, sql_type: str, written: InstantFormat) -> str:
    """Return SQL for an instant in UTC, of the type TIMESTAMP; null if the value is none.

    A number that is too large for an instant becomes one that is far out of any range.

    Parameters
    ----------
    value : the SQL expression. Text has no blanks around it.
    sql_type : its type.
    written : how its values are written.
    """
    if is_text(sql_type):
        return _from_text(value, written)
    if is_number(sql_type):
        return _from_epoch(value, written.epoch) if written.epoch else "CAST(NULL AS TIMESTAMP)"
    if is_zoneless(sql_type):
        return _in_utc(f"CAST({value} AS TIMESTAMP)", written.zone)
    return f"({value} AT TIME ZONE 'UTC')"


def is_instant_type(sql_type: str) -> bool:
    """Return whether values of a type are instants, or numbers that may be."""
    return is_number(sql_type) or is_zoneless(sql_type) or sql_type.upper() == "TIMESTAMP WITH TIME ZONE"


def within_years(instant: str, first: int, last: int) -> str:
    """Return SQL for an instant, or null if it is not in the years from ``first`` to ``last``."""
    return f"CASE WHEN year({instant}) BETWEEN {first} AND {last} THEN {instant} END"


def _from_epoch(number: str, epoch: str) -> str:
    micros = f"nullif(CAST({number} AS DOUBLE) * {_MICROS[epoch]}, 'nan'::DOUBLE)"
    bounded = f"CASE WHEN {micros} IS NULL THEN NULL ELSE least(greatest({micros}, -{_FAR}), {_FAR}) END"
    return f"make_timestamp(CAST(round({bounded}) AS BIGINT))"


def _from_text(text: str, written: InstantFormat) -> str:
    cases = []
    if written.epoch:
        number = rf"[+-]?[0-9]{{{written.digits},}}([.][0-9]+)?"
        instant = _from_epoch(f"try_cast({text} AS DOUBLE)", written.epoch)
        cases.append(f"WHEN regexp_full_match({text}, {sql_literal(number)}) THEN {instant}")
    if written.formats:
        parsed = f"try_strptime({text}, [{', '.join(map(sql_literal, written.formats))}])"
        cases.append(f"WHEN {parsed} IS NOT NULL THEN {_in_utc(parsed, written.zone)}")
    # The engine's own time zone is UTC.
    iso = f"try_cast({text} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'"
    if written.zone:
        cases.append(f"WHEN regexp_matches({text}, {sql_literal(_WITH_ZONE)}, 'i') THEN {iso}")
        iso = _in_utc(f"try_cast({text} AS TIMESTAMP)", written.zone)
    return f"CASE {' '.join(cases)} ELSE {iso} END" if cases else f"({iso})"


def _in_utc(local: str, zone: str) -> str:
    return f"timezone('UTC', timezone({sql_literal(zone)}, {local}))" if zone else local
