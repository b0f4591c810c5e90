"""Formatting of numbers, amounts and dates for pages, terminals and documents. An unknown value is a dash.

Amounts and dates have the form of the portfolio's settings: RENEWCAST_CURRENCY and RENEWCAST_DATE_ORDER, or what the
home stores for them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple

from features.errors import AccountCandidate, BadRequest

UNKNOWN = "–"
NO_BREAK_SPACE = "\u00a0"
MINUS = "−"


CURRENCY_VARIABLE = "RENEWCAST_CURRENCY"
"""The environment variable with the code of the base currency, in which all amounts are shown."""
SIGNS = {
    "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩", "ILS": "₪", "NGN": "₦", "PHP": "₱",
    "TRY": "₺", "UAH": "₴", "VND": "₫",
}  # fmt: skip
"""Signs of currencies. The others are named by their codes, since a sign such as kr is that of several."""


class DateForm(NamedTuple):
    """How dates are shown.

    Parameters
    ----------
    day, short_day : formats of a date, with and without its year, for `str.format`: ``d`` is the day without a leading
        zero, ``t`` the date.
    axis : the format of a date without its year on the axis of a chart (d3-time-format).
    workbook : the number format of a date in a workbook.
    """

    day: str
    short_day: str
    axis: str
    workbook: str


DATE_ORDER_VARIABLE = "RENEWCAST_DATE_ORDER"
"""The environment variable with the order of day, month and year."""
DATE_ORDERS = {
    "dmy": DateForm("{d} {t:%b %Y}", "{d} {t:%b}", "%-d %b", "d mmm yyyy"),
    "mdy": DateForm("{t:%b} {d}, {t:%Y}", "{t:%b} {d}", "%b %-d", "mmm d, yyyy"),
    "ymd": DateForm("{t:%Y-%m-%d}", "{t:%m-%d}", "%m-%d", "yyyy-mm-dd"),
}
"""How dates are shown in each order: 30 Sep 2026, Sep 30, 2026 and 2026-09-30."""


_STORED: dict[str, str] = {}
"""What the home of this process stores for these variables."""


def use_stored(currency: str | None, date_order: str | None) -> None:
    """Use what a home stores wherever the environment sets nothing, until the next call. None: nothing is stored."""
    _STORED.clear()
    _STORED.update({CURRENCY_VARIABLE: currency or "", DATE_ORDER_VARIABLE: date_order or ""})


def setting(variable: str) -> str:
    """Return the value of a variable from the environment, or else from the home; empty if neither has one."""
    return os.environ.get(variable, "").strip() or _STORED.get(variable, "")


def date_form() -> DateForm:
    """Return how dates are shown: in the order of the setting RENEWCAST_DATE_ORDER, by default day, month and year.

    Raises
    ------
    BadRequest : the setting has another value.
    """
    order = setting(DATE_ORDER_VARIABLE).lower() or "dmy"
    try:
        return DATE_ORDERS[order]
    except KeyError:
        raise BadRequest(
            f"{DATE_ORDER_VARIABLE} has a value that is no order of dates",
            "dmy (30 Sep 2026), mdy (Sep 30, 2026) or ymd (2026-09-30)",
            "correct the environment variable, or unset it",
        ) from None


def money(value: float | None, digits: int = 0) -> str:
    """Format an amount in whole units, or with decimals, in the base currency: $1,204,000, CHF 1,204,000.

    The currency is that of the setting RENEWCAST_CURRENCY. Without it amounts have no currency: 1,204,000.
    """
    return _with_currency(number(value, digits))


def short_money(value: float | None) -> str:
    """Format an amount with three digits, in the base currency as `money` does: $1.20M, 48.2k, 950."""
    return _with_currency(_three_digits(value))


def signed_money(value: float | None) -> str:
    """Format a change of an amount with its sign, in the base currency: +$1,204, −$300."""
    return _with_currency(signed(value, 0))


def signed_short_money(value: float | None) -> str:
    """Format a change of an amount with its sign and three digits, in the base currency: +$1.20M, −300, ±0."""
    if _is_missing(value):
        return UNKNOWN
    assert value is not None
    text = _three_digits(abs(value))
    return _with_currency(f"{'±' if text == '0' else '+' if value > 0 else MINUS}{text}")


def _with_currency(text: str) -> str:
    code = setting(CURRENCY_VARIABLE).upper()
    if text == UNKNOWN or not (len(code) == 3 and code.isascii() and code.isalpha()):
        return text
    mark = text[0] if text[0] in (MINUS, "+", "±") else ""
    # The space does not break, so that a code stays with its amount.
    return f"{mark}{SIGNS.get(code, code + NO_BREAK_SPACE)}{text[len(mark) :]}"


def _three_digits(value: float | None) -> str:
    if _is_missing(value):
        return UNKNOWN
    assert value is not None
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        # Values that would round up to this unit with three digits of the smaller one.
        if abs(value) >= limit * 0.9995:
            scaled = value / limit
            digits = 2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0
            return f"{_with_true_minus(f'{scaled:.{digits}f}')}{unit}"
    return number(value)


def percent(value: float | None, digits: int = 1) -> str:
    """Format a share (0 to 1) as a percentage: 12.5%."""
    return UNKNOWN if _is_missing(value) else f"{_with_true_minus(f'{100 * (value or 0.0):.{digits}f}')}%"


def number(value: float | None, digits: int = 0) -> str:
    """Format a number with commas and ``digits`` decimals; never a negative zero."""
    return UNKNOWN if _is_missing(value) else _with_true_minus(f"{value:,.{digits}f}")


def signed(value: float | None, digits: int = 1) -> str:
    """Format a change with its sign, using a true minus."""
    if _is_missing(value):
        return UNKNOWN
    assert value is not None
    shown = f"{abs(value):,.{digits}f}"
    if float(shown.replace(",", "")) == 0:
        return f"±{shown}"
    return f"{'+' if value > 0 else MINUS}{shown}"


def significant(value: float | None, digits: int = 2) -> str:
    """Format a number with so many significant digits, using a true minus: 0.012, −0.5."""
    return UNKNOWN if _is_missing(value) else _with_true_minus(f"{value:.{digits}g}")


def interval_text(low: float | None, high: float | None, digits: int = 2) -> str:
    """Format an interval of numbers: −0.01 to 0.01. A dash between them would look like the sign of the second one."""
    return f"{number(low, digits)} to {number(high, digits)}"


def count_of(count: int, noun: str) -> str:
    """Format a count with its noun: "1 account", "1,204 accounts"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def verb_for(count: int, one: str = "is", more: str = "are") -> str:
    """Return the form of a verb that agrees with a count: "is" for 1, else "are", or two other forms."""
    return one if count == 1 else more


def and_list(names: Sequence[str]) -> str:
    """Join one name or several: "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def account_label(account_id: str, name: str | None) -> str:
    """Name an account for people: "Acme Corp (acme)"; only its id if it has no other name."""
    return str(AccountCandidate(account_id, name))


def in_unit(value: float | None, unit: str) -> str:
    """Format a value by its unit: share, currency, accounts, days, hours, points, features, uses, "of 5" or "of 7"."""
    match unit:
        case "share":
            return percent(value)
        case "currency":
            return money(value)
        case "accounts":
            return number(value)
        case "days":
            return UNKNOWN if _is_missing(value) else f"{number(value)} days"
        case "hours":
            return UNKNOWN if _is_missing(value) else f"{number(value, 1)} hours"
        case "of 5" | "of 7":
            return number(value, 2)
        case _:
            return number(value, 1)


def whole_days(days: float | None) -> int | None:
    """Return the number of complete days, rounded down; negative in the past.

    Counted from midnight, this is the number of calendar days: 0 for a renewal later on the same day, -1 for one at any
    time on the day before. None if the days are unknown.
    """
    return None if _is_missing(days) else math.floor(days or 0.0)


def days_ahead(days: float | None) -> str:
    """Describe a due date in whole days: "in 12 days", "today", "1 day past"."""
    whole = whole_days(days)
    if whole is None:
        return UNKNOWN
    if whole == 0:
        return "today"
    count = count_of(abs(whole), "day")
    return f"in {count}" if whole > 0 else f"{count} past"


def day(value: str | date | None) -> str:
    """Format a date, or the date part of an ISO 8601 instant, in the order of the setting: 30 Sep 2026."""
    return _date_text(value, date_form().day)


def short_day(value: str | date | None) -> str:
    """Format a date without its year, in the order of the setting: 30 Sep."""
    return _date_text(value, date_form().short_day)


def minute(value: str | None) -> str:
    """Format an instant in the order of the setting: 30 Sep 2026, 14:05 UTC."""
    return UNKNOWN if value is None else f"{day(value)}, {datetime.fromisoformat(value):%H:%M} UTC"


def moment(value: str | date | None) -> str:
    """Format a date or an instant in the order of the setting: an instant that is not midnight UTC with its time.

    Examples
    --------
    >>> moment("2026-09-30"), moment("2026-09-30T14:05:00Z")
    ('30 Sep 2026', '30 Sep 2026, 14:05 UTC')
    """
    if value is None:
        return UNKNOWN
    when = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(when, datetime):
        return day(when)
    when = when if when.tzinfo is None else when.astimezone(UTC)
    return day(when) if (when.hour, when.minute, when.second) == (0, 0, 0) else f"{day(when)}, {when:%H:%M} UTC"


def _date_text(value: str | date | None, form: str) -> str:
    if value is None:
        return UNKNOWN
    when = value if isinstance(value, date) else datetime.fromisoformat(value)
    return form.format(d=when.day, t=when)


def plain(code: str | None) -> str:
    """Format a code as words: insufficient_data becomes insufficient data."""
    return UNKNOWN if code is None else code.replace("_", " ")


def format_as(value: float | None, filter_name: str) -> str:
    """Format a number with the filter of the given name."""
    return {"short_money": short_money, "percent": percent, "money": money}[filter_name](value)


def _is_missing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _with_true_minus(text: str) -> str:
    """Remove the sign of a zero, and use a true minus for other negative numbers."""
    return (text.removeprefix("-") if text.strip("-0.,") == "" else text).replace("-", MINUS)
