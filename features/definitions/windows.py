"""The standard windows: how far back a windowed measure looks, in days. Whole weeks, so that weekends weigh alike."""

from __future__ import annotations

WINDOWS: tuple[int, ...] = (7, 28, 91, 182, 364)
"""Every standard window; `features.definitions.feature.Family.over` takes them all unless told otherwise."""

WEEK, MONTH, QUARTER, HALF_YEAR, YEAR = WINDOWS

FREQUENT = (WEEK, MONTH, QUARTER)
"""For what happens nearly every day."""
LASTING = (MONTH, QUARTER, HALF_YEAR, YEAR)
"""For what happens every few weeks and still counts a year later."""
OCCASIONAL = (MONTH, QUARTER, HALF_YEAR)
"""For what happens a few times a year and is soon forgotten."""
RARE = (QUARTER, HALF_YEAR)
"""For what happens once or twice a year."""

LIFE = 100 * YEAR
"""Longer than any account has been a customer, in whole weeks as all windows are: a measure over it counts since the
account began, and is unknown where the feed does not reach back to that day."""
