"""The period that a renewal forecast is for: a calendar quarter, or so many days from now."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from features.errors import BadRequest
from features.utils.dates import to_iso

#: The spans, in days from now, that may be asked for.
DAYS = (30, 60, 90, 120)
DEFAULT_DAYS = 90
_QUARTER = re.compile(r"(\d{4})-?Q([1-4])")


@dataclass(frozen=True)
class Period:
    """The instants ``[start, end)``, UTC, and what they are called."""

    name: str
    start: datetime
    end: datetime


def quarter(name: str) -> Period:
    """The calendar quarter that is called so, such as 2026Q4.

    Raises
    ------
    BadRequest : there is none of that name.
    """
    found = _QUARTER.fullmatch(name.strip().upper())
    if found is None or not 1 <= int(found[1]) < 9999:
        raise BadRequest("a period that is no quarter", "a quarter such as 2026Q4")
    year, number = int(found[1]), int(found[2])
    start = datetime(year, 3 * number - 2, 1, tzinfo=UTC)
    end = datetime(year + number // 4, 3 * number % 12 + 1, 1, tzinfo=UTC)
    return Period(f"{year}Q{number}", start, end)


def quarter_of(instant: datetime) -> Period:
    """The calendar quarter that holds an instant."""
    utc = instant.astimezone(UTC)
    return quarter(f"{utc.year:04}Q{(utc.month + 2) // 3}")


def period_of(as_of: datetime, name: str | None = None, days: int | None = None) -> Period:
    """The period asked for at ``as_of``: a quarter by name, of which only what is still to come counts, or the next so
    many days; without either the next 90.

    Raises
    ------
    BadRequest : both are given, the quarter is over, or the days are not among `DAYS`.
    """
    if name is not None and days is not None:
        raise BadRequest("both a period and days", "one of them")
    if name is not None:
        found = quarter(name)
        if found.end <= as_of:
            raise BadRequest(
                f"{found.name} ended before {to_iso(as_of)}",
                "a quarter that is not over yet",
                "choose a later quarter",
            )
        return Period(found.name, max(found.start, as_of), found.end)
    asked = DEFAULT_DAYS if days is None else days
    if asked not in DAYS:
        raise BadRequest(f"a forecast for {asked} days", f"one of {', '.join(map(str, DAYS))} days")
    return Period(f"next {asked} days", as_of, as_of + timedelta(days=asked))
