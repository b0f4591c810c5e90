"""Jumps: columns whose unit changed from one week to the next, and feeds of which a part fell away."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

import numpy as np

from features.feed_health.level_shifts import LASTING_PERIODS, Floats, level_changes
from features.feed_health.silences import Days, day_of

Period = Literal["week", "month"]

# Between two units of one quantity lie at least 7 (days, weeks), mostly far more; between two honest quarters, hardly
# ever 5.
LEAST_JUMP = 5.0
# Rows per period falling to under a tenth: not a slow season.
LEAST_FALL = 10.0
# Values per week below which months are compared instead, and per period below which it is left out.
VALUES_A_WEEK = 10
VALUES_A_PERIOD = 3
# Rows per period below which a fall says nothing.
ROWS_A_PERIOD = 20
# A factor is near a known ratio within a quarter either way.
NEAR = math.log(1.25)
_MONEY = ("arr", "amount")
KNOWN_RATIOS: tuple[tuple[float, str, tuple[str, ...] | None], ...] = (
    (10, "a decimal point out of place", None),
    (12, "months instead of years", ("arr",)),
    (24, "hours instead of days", ("response_hours",)),
    (60, "seconds instead of minutes", ("minutes",)),
    (60, "minutes instead of hours", None),
    (100, "cents instead of whole units", _MONEY),
    (100, "percent instead of shares", None),
    (1000, "single units instead of thousands", None),
    (3600, "seconds instead of hours", None),
    (60_000, "milliseconds instead of minutes", ("minutes",)),
)
"""Factors between common units, what they mean, and the columns that they are likely for (None: any other)."""


@dataclass(frozen=True)
class Jump:
    """A lasting change of level.

    Parameters
    ----------
    table : the table.
    column : the column whose values changed; None: the number of rows.
    kind : the kind of row that it happened to; None: all rows.
    period : whether weeks or months were compared.
    start : the first day of the first period on the new level.
    factor : new over old level, above 0.
    """

    table: str
    column: str | None
    kind: str | None
    period: Period
    start: date
    factor: float

    @property
    def ratio(self) -> float | None:
        """The known ratio of units that the factor, or its inverse, is near to."""
        known = self._known()
        return known[0] if known else None

    def as_dict(self) -> dict[str, Any]:
        """The jump as plain JSON values; the factor to four digits."""
        own = asdict(self) | {"start": self.start.isoformat(), "factor": float(f"{self.factor:.4g}")}
        return own | {"ratio": self.ratio, "words": self.words()}

    def words(self) -> str:
        """The jump in a sentence, with what it may mean."""
        when = f"in the week of {self.start}" if self.period == "week" else f"in {self.start:%Y-%m}"
        moved = f"rose {_number(self.factor)}-fold" if self.factor > 1 else f"fell to {_part(1 / self.factor)}"
        if self.column is None:
            return f"{self.table}: the rows a {self.period} {moved} {when}: is a part of the feed missing?"
        what = f"{self.table}.{self.column}" + (f" of kind {self.kind}" if self.kind else "")
        known = self._known()
        why = f"{known[1]}, or the other way round?" if known else "has what is counted, or its unit, changed?"
        return f"{what} {moved} {when}: {why}"

    def _known(self) -> tuple[float, str] | None:
        if self.column is None:
            return None
        size = abs(math.log(self.factor))
        near = [
            (self.column not in (only or ()), abs(size - math.log(ratio)), ratio, words)
            for ratio, words, only in KNOWN_RATIOS
            if (only is None or self.column in only) and abs(size - math.log(ratio)) <= NEAR
        ]
        # What is likely for this very column goes before what is for any, and the nearest before the rest.
        _, _, ratio, words = min(near, default=(False, 0.0, 0.0, ""))
        return (ratio, words) if words else None


def unit_jumps(table: str, column: str, kind: str | None, days: Days, counts: Floats, logs: Floats) -> tuple[Jump, ...]:
    """The lasting changes of level of a column, by the geometric mean of its positive values.

    A geometric mean adds up over days, so that no raw row is sorted, and one huge value hardly moves it.

    Parameters
    ----------
    days : days since 1970 with positive values, ascending.
    counts : positive values on each day.
    logs : the sum of their natural logarithms on each day.
    """
    if not len(days):
        return ()
    period, starts, values, total = _by_week_or_month(days, counts, logs, VALUES_A_WEEK)
    told = values >= VALUES_A_PERIOD
    changes = level_changes(total[told] / values[told], LEAST_JUMP)
    return tuple(Jump(table, column, kind, period, day_of(starts[told][c.position]), c.factor) for c in changes)


def volume_falls(table: str, days: Days, rows: Floats) -> tuple[Jump, ...]:
    """The lasting falls of a feed's rows per week (or month) to under a tenth. Periods without rows are silences
    (`features.feed_health.silences`), not falls.

    Parameters
    ----------
    days : days since 1970 with rows, ascending.
    rows : rows on each day.
    """
    if not len(days):
        return ()
    period, starts, count, _ = _by_week_or_month(days, rows, rows, ROWS_A_PERIOD)
    found = []
    for change in level_changes(np.log(count), LEAST_FALL):
        before = float(np.median(count[: change.position][-LASTING_PERIODS:]))
        if change.factor < 1 and before >= ROWS_A_PERIOD:
            found.append(Jump(table, None, None, period, day_of(starts[change.position]), change.factor))
    return tuple(found)


def _by_week_or_month(days: Days, counts: Floats, sums: Floats, least: float) -> tuple[Period, Days, Floats, Floats]:
    """Weeks, or months where the usual week counts under ``least``: the period, and what `_by` says of it."""
    weeks = _by("week", days, counts, sums)
    if np.median(weeks[1]) < least:
        return "month", *_by("month", days, counts, sums)
    return "week", *weeks


def _by(period: Period, days: Days, counts: Floats, sums: Floats) -> tuple[Days, Floats, Floats]:
    """The first day of each period that has any day, and the sums over it."""
    if period == "week":
        starts = days - (days + 3) % 7  # 1970-01-01 was a Thursday; weeks begin on Monday.
    else:
        starts = days.astype("datetime64[D]").astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    first = np.flatnonzero(np.append(True, starts[1:] != starts[:-1]))
    return starts[first], np.add.reduceat(counts, first), np.add.reduceat(sums, first)


def _number(factor: float) -> str:
    return f"{factor:,.0f}" if factor >= 9.5 else f"{factor:.1f}".removesuffix(".0")


def _part(factor: float) -> str:
    """One part in `factor`, in words: a 60th."""
    n = round(factor)
    ending = {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th") if n % 100 not in (11, 12, 13) else "th"
    article = "an" if str(n).startswith("8") or n in (11, 18) else "a"
    return f"{article} {n:,}{ending}"
