"""Text of reasons: a feature's value with its unit, compared with the account's own past and with its peers.

A reason describes what raises or lowers the model's prediction. It makes no claim about causes.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from features.utils.formatting import money

if TYPE_CHECKING:
    from features.definitions.feature import Feature

UNKNOWN_VALUE = "not known"

DIRECTION_PHRASES: dict[str, str] = {
    "raises_risk": "raises churn risk",
    "lowers_risk": "lowers churn risk",
    "raises_chance": "raises the chance of expansion",
    "lowers_chance": "lowers the chance of expansion",
}

#: A ratio closer to 1 than this is shown as unchanged. From TIMES_FROM on, a ratio is shown as "times".
UNCHANGED_WITHIN = 0.005
TIMES_FROM = 2.0

#: A unit of time follows the number, unless the feature's description already names it.
TIME_UNITS = frozenset({"minutes", "hours", "days", "weeks"})


def number_words(value: float) -> str:
    """Format a number with few digits: no decimals from 10, one decimal from 1, two significant digits below 1."""
    if value == round(value) or abs(value) >= 10:
        return f"{value:,.0f}"
    return f"{value:.1f}".removesuffix(".0") if abs(value) >= 1 else f"{value:.2g}"


def ratio_words(ratio: float, less: str, more: str, times: str, same: str) -> str:
    """Format a ratio as "41% {less}", "20% {more}", "2.3 times {times}" or ``same``.

    Parameters
    ----------
    ratio : the ratio to describe.
    less, more : the words after a percentage below or above.
    times : the words after a multiple.
    same : the text for an unchanged value.

    Returns
    -------
    str
    """
    if abs(ratio - 1.0) < UNCHANGED_WITHIN:
        return same
    if ratio >= TIMES_FROM:
        return f"{number_words(ratio)} times {times}"
    change = abs(ratio - 1.0) * 100.0
    shown = f"{change:.0f}%" if change >= 1 else "under 1%"
    return f"{shown} {less if ratio < 1.0 else more}"


def value_words(value: float | str | None, unit: str, words: str = "") -> str:
    """Format a value with its unit.

    Parameters
    ----------
    value : a number, a category's value, or None or NaN for unknown.
    unit : the feature's unit. A share (0 to 1) is shown in percent, a ratio (1 is unchanged) as lower or higher.
    words : the feature's description, shown next to the value. A unit that it names is not repeated.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return UNKNOWN_VALUE
    if isinstance(value, str):
        return value
    if unit == "share":
        percent = value * 100.0
        return f"{number_words(percent)}%" if 0 < abs(percent) < 1 else f"{percent:,.0f}%"
    if unit == "ratio":
        return ratio_words(value, "lower", "higher", "as high", "unchanged")
    if unit == "yes or no":
        return "yes" if value >= 0.5 else "no"
    if unit == "currency":
        return money(value, 0 if abs(value) >= 100 or value == round(value) else 2)
    if unit == "points" or unit.startswith("more "):
        return f"{'+' if value > 0 else ''}{number_words(value)}"
    if unit.startswith("of "):
        return f"{number_words(value)} {unit}"
    if unit in TIME_UNITS and unit not in re.findall(r"\w+", words):
        return f"{number_words(value)} {unit}"
    return number_words(value)


def past_words(feature: Feature, past: Feature, ratio: float) -> str:
    """Compare the account with its own past, starting with a comma or semicolon; "" if the ratio is unknown.

    If both features cover the same window, the text describes the value itself: "41% below its own earlier level".
    Otherwise the trend covers another window and is described in its own words.
    """
    if math.isnan(ratio):
        return ""
    if _window(feature.name) == _window(past.name):
        level = "its own earlier level"
        return ", " + ratio_words(ratio, f"below {level}", f"above {level}", level, f"at {level}")
    return f"; {past.words}: {value_words(ratio, past.unit, past.words)}"


def reason_words(
    feature: Feature, value: float | str | None, median: float, past: Feature | None, ratio: float, direction: str
) -> str:
    """Format one reason as a sentence without a final period.

    Parameters
    ----------
    feature, value : the feature, and the account's value.
    median : the median of comparable accounts; NaN if unknown.
    past, ratio : the ratio feature that compares ``feature`` with the account's own past, and its value (NaN if
        unknown).
    direction : raises_risk, lowers_risk, raises_chance or lowers_chance.
    """
    shown = value_words(value, feature.unit, feature.words)
    sentence = f"{feature.words[:1].upper()}{feature.words[1:]}: {shown}"
    if shown != UNKNOWN_VALUE:
        if not math.isnan(median) and feature.unit != "yes or no":
            sentence += f" (median of comparable accounts: {value_words(median, feature.unit, feature.words)})"
        if past is not None:
            sentence += past_words(feature, past, ratio)
    return f"{sentence}; {DIRECTION_PHRASES[direction]}"


def _window(name: str) -> str:
    """Return the window at the end of a feature's name, such as "28d"; "" if there is none."""
    match = re.search(r"_(\d+d)$", name)
    return match.group(1) if match else ""
