"""Feature values as people read them: with their unit, against the account's own past and against its peers.

A sentence says what goes with a higher or lower risk in the model; it never says what causes it.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from features.definitions.feature import Feature

NOT_KNOWN = "not known"

GOES_WITH: dict[str, str] = {
    "raises_risk": "goes with a higher churn risk",
    "lowers_risk": "goes with a lower churn risk",
    "raises_chance": "goes with a higher chance of expansion",
    "lowers_chance": "goes with a lower chance of expansion",
}

#: Closer to 1 than this, a ratio is told as unchanged; from TIMES_FROM on it is told as "times".
UNCHANGED_WITHIN = 0.005
TIMES_FROM = 2.0

#: Units of time are named after the number, unless the feature's words name them already.
TIME_UNITS = frozenset({"minutes", "hours", "days", "weeks"})


def number_words(value: float) -> str:
    """A plain number with no more digits than say something: none after the point from 10 on, one from 1 on, and two
    that count below."""
    if value == round(value) or abs(value) >= 10:
        return f"{value:,.0f}"
    return f"{value:.1f}".removesuffix(".0") if abs(value) >= 1 else f"{value:.2g}"


def ratio_words(ratio: float, less: str, more: str, times: str, same: str) -> str:
    """A ratio to something: "41% {less}", "20% {more}", "2.3 times {times}", or ``same``."""
    if abs(ratio - 1.0) < UNCHANGED_WITHIN:
        return same
    if ratio >= TIMES_FROM:
        return f"{number_words(ratio)} times {times}"
    change = abs(ratio - 1.0) * 100.0
    shown = f"{change:.0f}%" if change >= 1 else "under 1%"
    return f"{shown} {less if ratio < 1.0 else more}"


def value_words(value: float | str | None, unit: str, words: str = "") -> str:
    """One value with its unit.

    Parameters
    ----------
    value : a number, a category's value, or None or NaN for unknown.
    unit : the feature's unit; share (0 to 1) is told in per cent, ratio (1 is unchanged) as lower or higher.
    words : the noun phrase that it stands beside, so that a unit is not named twice.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NOT_KNOWN
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
        return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:,.2f}"
    if unit == "points" or unit.startswith("more "):
        return f"{'+' if value > 0 else ''}{number_words(value)}"
    if unit.startswith("of "):
        return f"{number_words(value)} {unit}"
    if unit in TIME_UNITS and unit not in re.findall(r"\w+", words):
        return f"{number_words(value)} {unit}"
    return number_words(value)


def past_words(feature: Feature, past: Feature, ratio: float) -> str:
    """How the account compares with its own past, with the comma or semicolon ahead; "" where that is unknown.

    Where both features look at the same window the value itself has moved: "41% below its own earlier level".
    Otherwise the trend is told in its own words, for it is of another window.
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
    """One reason as a sentence without a full stop.

    Parameters
    ----------
    feature, value : what it is about, and the account's value.
    median : of comparable accounts; NaN where unknown.
    past, ratio : the ratio feature that compares ``feature`` with the account's own past, and its value (NaN unknown).
    direction : raises_risk, lowers_risk, raises_chance or lowers_chance.
    """
    told = value_words(value, feature.unit, feature.words)
    sentence = f"{feature.words[:1].upper()}{feature.words[1:]}: {told}"
    if told != NOT_KNOWN:
        if not math.isnan(median) and feature.unit != "yes or no":
            sentence += f" (median of comparable accounts: {value_words(median, feature.unit, feature.words)})"
        if past is not None:
            sentence += past_words(feature, past, ratio)
    return f"{sentence}; {GOES_WITH[direction]}"


def _window(name: str) -> str:
    """The window that a feature's name ends with, such as "28d"; "" where it names none."""
    found = re.search(r"_(\d+d)$", name)
    return found.group(1) if found else ""
