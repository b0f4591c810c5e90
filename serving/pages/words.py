"""Numbers and dates as people read them on pages; what is not known is a dash."""

from __future__ import annotations

import math
import re
from datetime import date, datetime

from markupsafe import Markup, escape

UNKNOWN = "–"
_BACKTICKS = re.compile(r"``?([^`]+)``?")


def money(value: float | None) -> str:
    """An amount in whole units of the signals' currency, with commas: 1,204,000."""
    return UNKNOWN if _unknown(value) else f"{value:,.0f}"


def short_money(value: float | None) -> str:
    """An amount to three digits: 1.20M, 48.2k, 950."""
    if value is None or math.isnan(value):
        return UNKNOWN
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        # From where three digits of the smaller unit would round up to it.
        if abs(value) >= limit * 0.9995:
            scaled = value / limit
            digits = 2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0
            return f"{scaled:.{digits}f}{unit}"
    return f"{value:,.0f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share (0 to 1) in percent: 12.5%."""
    return UNKNOWN if value is None or math.isnan(value) else f"{100 * value:.{digits}f}%"


def number(value: float | None, digits: int = 0) -> str:
    """A number with commas and so many digits after the point."""
    return UNKNOWN if _unknown(value) else f"{value:,.{digits}f}"


def signed(value: float | None, digits: int = 1) -> str:
    """A change, with its sign; a true minus."""
    if value is None or math.isnan(value):
        return UNKNOWN
    shown = f"{abs(value):,.{digits}f}"
    if float(shown.replace(",", "")) == 0:
        return f"±{shown}"
    return f"{'+' if value > 0 else '−'}{shown}"


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


def prose(text: str) -> Markup:
    """Plain text with blank lines between paragraphs, and `names` or ``names`` in backticks, as HTML."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
    return Markup("\n").join(Markup('<p class="prose">{}</p>').format(_with_names(part)) for part in paragraphs)


def breakable(path: str) -> Markup:
    """An address that may go on in the next line after a slash."""
    return Markup("/<wbr>").join(path.split("/"))


def _with_names(text: str) -> Markup:
    found = Markup("")
    for place, piece in enumerate(_BACKTICKS.split(text)):
        found += Markup("<code>{}</code>").format(piece) if place % 2 else escape(piece)
    return found


def _unknown(value: float | None) -> bool:
    return value is None or math.isnan(value)
