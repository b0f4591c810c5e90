"""The standard windows of measures, in days.

All are whole weeks, so that every window has the same share of weekends.
"""

from __future__ import annotations

WINDOWS: tuple[int, ...] = (7, 28, 91, 182, 364)
"""Every standard window; `features.definitions.feature.Family.over` uses all of them by default."""

WEEK, MONTH, QUARTER, HALF_YEAR, YEAR = WINDOWS

FREQUENT = (WEEK, MONTH, QUARTER)
"""For events that happen nearly every day."""
LASTING = (MONTH, QUARTER, HALF_YEAR, YEAR)
"""For events that happen every few weeks and still matter a year later."""
OCCASIONAL = (MONTH, QUARTER, HALF_YEAR)
"""For events that happen a few times a year and matter only for some months."""
RARE = (QUARTER, HALF_YEAR)
"""For events that happen once or twice a year."""

LIFE = 100 * YEAR
"""Longer than any account has been a customer, in whole weeks like all windows. A measure over it covers the account's
whole life, and is unknown if the feed starts later than the account."""
