"""Numbers as people read them: with their interval and how many events stand behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

DASH = "–"
BANDS = {"red": "Red", "yellow": "Yellow", "green": "Green", "insufficient_data": "No score", "not there": "Not there"}


def percent(value: float | None, digits: int = 1) -> str:
    """A share as per cent; a dash for none."""
    return DASH if value is None else f"{100 * value:.{digits}f}%"


def money(value: float | None) -> str:
    """An amount a year, short: 1.2M, 340k, 900."""
    if value is None:
        return DASH
    for size, sign in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            told = value / size
            return f"{told:.0f}{sign}" if abs(told) >= 100 else f"{told:.1f}{sign}"
    return f"{value:.0f}"


def number(value: float | None, digits: int = 1) -> str:
    """A plain number with so many digits, trailing zeros dropped."""
    if value is None:
        return DASH
    told = f"{value:,.{digits}f}"
    told = told.removeprefix("-") if float(told.replace(",", "")) == 0 else told
    return told.rstrip("0").rstrip(".") if "." in told else told


def share(figure: Mapping[str, Any]) -> str:
    """A share with its interval."""
    return _with_interval(figure, percent)


def points(figure: Mapping[str, Any], digits: int = 2) -> str:
    """A number with its interval."""
    return _with_interval(figure, lambda value: number(value, digits))


def cell(figure: Mapping[str, Any], digits: int | None = None) -> Markup:
    """A figure in a table, its interval below it: a number with so many digits, or a share if None."""
    if figure.get("value") is None:
        return Markup(DASH)

    def told(value: float) -> str:
        return percent(value) if digits is None else number(value, digits)

    if figure.get("low") is None:
        return Markup(told(figure["value"]))
    return Markup("{} <small>{} to {}</small>").format(told(figure["value"]), told(figure["low"]), told(figure["high"]))


def _with_interval(figure: Mapping[str, Any], told: Any) -> str:
    if figure.get("value") is None:
        return DASH
    if figure.get("low") is None:
        return str(told(figure["value"]))
    return f"{told(figure['value'])} ({told(figure['low'])} to {told(figure['high'])})"


def band(name: str) -> str:
    """A band's name as a heading has it."""
    return BANDS.get(name, name)


def plain_name(name: str) -> str:
    """A key such as ``logistic_regression`` in words."""
    return name.replace("_", " ")
