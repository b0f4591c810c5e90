"""Numbers, amounts and dates as people read them: on pages, in terminals and in documents. Unknown is a dash."""

from __future__ import annotations

import math
from datetime import date, datetime

UNKNOWN = "–"
MINUS = "−"


def money(value: float | None) -> str:
    """An amount in whole units of the signals' currency, with commas: 1,204,000."""
    return number(value)


def short_money(value: float | None) -> str:
    """An amount to three digits: 1.20M, 48.2k, 950."""
    if _unknown(value):
        return UNKNOWN
    assert value is not None
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        # From where three digits of the smaller unit would round up to it.
        if abs(value) >= limit * 0.9995:
            scaled = value / limit
            digits = 2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0
            return f"{_with_true_minus(f'{scaled:.{digits}f}')}{unit}"
    return number(value)


def percent(value: float | None, digits: int = 1) -> str:
    """A share (0 to 1) in percent: 12.5%."""
    return UNKNOWN if _unknown(value) else f"{_with_true_minus(f'{100 * (value or 0.0):.{digits}f}')}%"


def number(value: float | None, digits: int = 0) -> str:
    """A number with commas and so many digits after the point; never a negative zero."""
    return UNKNOWN if _unknown(value) else _with_true_minus(f"{value:,.{digits}f}")


def signed(value: float | None, digits: int = 1) -> str:
    """A change, with its sign; a true minus."""
    if _unknown(value):
        return UNKNOWN
    assert value is not None
    shown = f"{abs(value):,.{digits}f}"
    if float(shown.replace(",", "")) == 0:
        return f"±{shown}"
    return f"{'+' if value > 0 else MINUS}{shown}"


def counted(count: int, noun: str) -> str:
    """A number of things: "1 account", "1,204 accounts"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def in_unit(value: float | None, unit: str) -> str:
    """A value by its unit: share, currency, accounts, days, points, or "of 5"."""
    match unit:
        case "share":
            return percent(value)
        case "currency" | "accounts":
            return number(value)
        case "days":
            return UNKNOWN if _unknown(value) else f"{number(value)} days"
        case "of 5":
            return number(value, 2)
        case _:
            return number(value, 1)


def whole_days(days: float | None) -> int | None:
    """Days from one instant to another as a whole number: those that are complete, negative in the past.

    From a midnight, this is the number of calendar days: to a renewal later on the same day it is 0, to one at any time
    of the day before it is -1. None where the days are not known.
    """
    return None if _unknown(days) else math.floor(days or 0.0)


def days_ahead(days: float | None) -> str:
    """When something is due, counted by `whole_days`: "in 12 days", "today", "1 day past"."""
    whole = whole_days(days)
    if whole is None:
        return UNKNOWN
    if whole == 0:
        return "today"
    count = counted(abs(whole), "day")
    return f"in {count}" if whole > 0 else f"{count} past"


def day(value: str | date | None) -> str:
    """A date as 30 Sep 2026, from an instant's words or a date; of an instant the time is left out."""
    if value is None:
        return UNKNOWN
    when = value if isinstance(value, date) else datetime.fromisoformat(value)
    return f"{when.day} {when:%b %Y}"


def short_day(value: str | date | None) -> str:
    """A date as 30 Sep."""
    return day(value).rpartition(" ")[0] or UNKNOWN


def minute(value: str | None) -> str:
    """An instant as 30 Sep 2026, 14:05 UTC."""
    if value is None:
        return UNKNOWN
    when = datetime.fromisoformat(value)
    return f"{when.day} {when:%b %Y, %H:%M} UTC"


def plain(code: str | None) -> str:
    """A code of ours as words: insufficient_data is insufficient data."""
    return UNKNOWN if code is None else code.replace("_", " ")


def shown_as(value: float | None, show: str) -> str:
    """A number by the name of the filter that shows it."""
    return {"short_money": short_money, "percent": percent, "money": money}[show](value)


def _unknown(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _with_true_minus(text: str) -> str:
    """Without the sign of a zero, and with a true minus for any other negative number."""
    return (text.removeprefix("-") if text.strip("-0.,") == "" else text).replace("-", MINUS)
