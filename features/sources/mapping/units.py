"""Units of numbers: cents, thousands, percent, monthly amounts, durations, decimal comma and point."""

from __future__ import annotations

from collections.abc import Sequence

from features.contract.schema import Column
from features.utils.sql_types import is_text

YEARLY = {"monthly": "12", "quarterly": "4", "weekly": "52", "daily": "365"}
"""Periods per year, for amounts per period in a column of amounts per year."""
SECONDS = {"milliseconds": "0.001", "seconds": "1", "minutes": "60", "hours": "3600", "days": "86400"}
_DURATIONS = {("usage", "minutes"): "60", ("engagement", "response_hours"): "3600"}
"""The seconds of the contract's own unit of each duration."""
DECIMAL_COMMA = "decimal_comma"
_BLANKS = " \u00a0\u202f"
"""Blanks that may be between thousands."""
COMMA_NUMBER = rf"[+-]?([1-9][0-9]{{0,2}}([.{_BLANKS}][0-9]{{3}})+|[0-9]+)(,[0-9]+)?"
"""Numbers with a decimal comma, perhaps with points or blanks between thousands."""
DECIMAL_POINT = "decimal_point"
POINT_NUMBER = rf"[+-]?([1-9][0-9]{{0,2}}([,{_BLANKS}][0-9]{{3}})+|[0-9]+)([.][0-9]+)?"
"""Numbers with a decimal point, perhaps with commas or blanks between thousands."""
_RATES = {("subscriptions", "arr")}
_MONEY_COLUMNS = {("subscriptions", "arr"), ("orders", "amount"), ("billing", "amount")}


def check_units(table: str, column: Column, units: Sequence[str]) -> tuple[str, str] | None:
    """Return what was found and expected if ``units`` do not fit a column; None if they do."""
    if column.kind not in ("float", "int"):
        return f"{table}.{column.name} is not a number", "a column of numbers"
    place, allowed = (table, column.name), ["thousands", "millions", "percent"]
    if place in _MONEY_COLUMNS:
        allowed = ["cents", *allowed]
    if place in _RATES:
        allowed += YEARLY
    if place in _DURATIONS:
        allowed = list(SECONDS)
    allowed = [*allowed, DECIMAL_COMMA, DECIMAL_POINT]
    wrong = [unit for unit in units if unit not in allowed]
    if wrong:
        return f"{wrong[0]} is not a unit of {table}.{column.name}", f"one of {', '.join(allowed)}"
    if {DECIMAL_COMMA, DECIMAL_POINT} <= set(units):
        return "both a decimal comma and a decimal point", f"{DECIMAL_COMMA} or {DECIMAL_POINT}"
    if len(set(units)) < len(units):
        return "a unit is named more than once", "each unit once"
    return None


def in_contract_unit(
    value: str, sql_type: str, table: str, column: Column, units: Sequence[str], minor_units: str
) -> str:
    """Return SQL for a value in the unit of the contract.

    Text that is not a number is returned unchanged, so that the check of the contract reports it.

    Parameters
    ----------
    value, sql_type : SQL for the given value, and its type.
    table, column : the contract's table and column.
    units : its units.
    minor_units : SQL for the number of minor units (cents) in one unit of the row's currency.
    """
    text = is_text(sql_type)
    if text:
        given = f"rtrim(trim({value}), '% ')" if "percent" in units else f"trim({value})"
        if DECIMAL_COMMA in units:
            plain = f"replace(regexp_replace({given}, '[.{_BLANKS}]', '', 'g'), ',', '.')"
            given = f"CASE WHEN regexp_full_match({given}, '{COMMA_NUMBER}') THEN {plain} END"
        if DECIMAL_POINT in units:
            plain = f"regexp_replace({given}, '[,{_BLANKS}]', '', 'g')"
            given = f"CASE WHEN regexp_full_match({given}, '{POINT_NUMBER}') THEN {plain} END"
        number = f"try_cast({given} AS DOUBLE)"
    else:
        number = f"CAST({value} AS DOUBLE)"
    for unit in (unit for unit in units if unit not in (DECIMAL_COMMA, DECIMAL_POINT)):
        number = _converted(number, unit, _DURATIONS.get((table, column.name), "1"), minor_units)
    if column.kind == "int":
        number = f"round({number})"
    if not text:
        return number
    return f"coalesce(CAST({number} AS VARCHAR), {value})"


def _converted(number: str, unit: str, own_seconds: str, minor_units: str) -> str:
    if unit in YEARLY:
        return f"{number} * {YEARLY[unit]}"
    if unit in SECONDS:
        return f"{number} * {SECONDS[unit]} / {own_seconds}"
    factor = {"cents": f" / {minor_units}", "thousands": " * 1000", "millions": " * 1000000", "percent": " / 100"}
    return f"{number}{factor[unit]}"
