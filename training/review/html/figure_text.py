"""Numbers as people read them: with their interval and how many events stand behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from features.utils.formatting import UNKNOWN, percent
from features.utils.formatting import number as with_digits

BAND_LABELS = {
    "red": "Red",
    "yellow": "Yellow",
    "green": "Green",
    "insufficient_data": "No score",
    "not there": "Not there",
}


def trimmed_number(value: float | None, digits: int = 1) -> str:
    """A plain number with so many digits, trailing zeros dropped."""
    shown = with_digits(value, digits)
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def share_text(figure: Mapping[str, Any]) -> str:
    """A share with its interval."""
    return _with_interval(figure, percent)


def number_text(figure: Mapping[str, Any], digits: int = 2) -> str:
    """A number with its interval."""
    return _with_interval(figure, lambda value: trimmed_number(value, digits))


def table_cell(figure: Mapping[str, Any], digits: int | None = None) -> Markup:
    """A figure in a table, its interval below it: a number with so many digits, or a share if None."""
    if figure.get("value") is None:
        return Markup(UNKNOWN)

    def told(value: float) -> str:
        return percent(value) if digits is None else trimmed_number(value, digits)

    if figure.get("low") is None:
        return Markup(told(figure["value"]))
    return Markup("{} <small>{} to {}</small>").format(told(figure["value"]), told(figure["low"]), told(figure["high"]))


def _with_interval(figure: Mapping[str, Any], told: Any) -> str:
    if figure.get("value") is None:
        return UNKNOWN
    if figure.get("low") is None:
        return str(told(figure["value"]))
    return f"{told(figure['value'])} ({told(figure['low'])} to {told(figure['high'])})"


def band_label(name: str) -> str:
    """A band's name as a heading has it."""
    return BAND_LABELS.get(name, name)


def readable_name(name: str) -> str:
    """A key such as ``logistic_regression`` in words."""
    return name.replace("_", " ")
