"""Jumps: columns whose unit changed from one week to the next, and feeds that lost a part of their rows."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

import numpy as np

from features.feed_health.level_shifts import LASTING_PERIODS, level_changes
from features.feed_health.silences import day_of
from features.utils.arrays import Floats, Ints

CalendarPeriod = Literal["week", "month"]

# Units of one quantity differ by a factor of at least 7 (days, weeks), mostly much more; real quarters rarely by 5.
MIN_JUMP = 5.0
# Rows per period falling below a tenth are not a slow season.
MIN_FALL = 10.0
# Minimum values per week, below which months are compared, and per period, below which a period is skipped.
MIN_VALUES_PER_WEEK = 10
MIN_VALUES_PER_PERIOD = 3
# Minimum rows per period for a meaningful fall.
MIN_ROWS_PER_PERIOD = 20
# A factor is near a known ratio if it differs by at most 25%.
NEAR = math.log(1.25)
_MONEY = ("arr", "amount")
KNOWN_RATIOS: tuple[tuple[float, str, tuple[str, ...] | None], ...] = (
    (10, "a misplaced decimal point", None),
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
"""Factors between common units, their meaning, and the columns for which they are likely (None for any)."""


@dataclass(frozen=True)
class Jump:
    """A lasting change of level.

    Parameters
    ----------
    table : the table.
    column : the column whose values changed; None for the number of rows.
    kind : the affected kind of rows; None for all rows.
    period : ``week`` or ``month``, the compared periods.
    start : the first day of the first period on the new level.
    factor : new over old level, above 0.
    """

    table: str
    column: str | None
    kind: str | None
    period: CalendarPeriod
    start: date
    factor: float

    @property
    def ratio(self) -> float | None:
        """The known ratio of units near the factor or its inverse."""
        nearest = self._nearest_ratio()
        return nearest[0] if nearest else None

    def as_dict(self) -> dict[str, Any]:
        """Return the jump as plain JSON values, with the factor to four digits."""
        facts = asdict(self) | {"start": self.start.isoformat(), "factor": float(f"{self.factor:.4g}")}
        return facts | {"ratio": self.ratio, "words": self.words()}

    def words(self) -> str:
        """Describe the jump and its possible meaning in a sentence."""
        when = f"in the week of {self.start}" if self.period == "week" else f"in {self.start:%Y-%m}"
        change = f"rose {_number(self.factor)}-fold" if self.factor > 1 else f"fell to {_part(1 / self.factor)}"
        if self.column is None:
            return f"{self.table}: the rows per {self.period} {change} {when}: is a part of the feed missing?"
        what = f"{self.table}.{self.column}" + (f" of kind {self.kind}" if self.kind else "")
        nearest = self._nearest_ratio()
        why = f"{nearest[1]}, or vice versa?" if nearest else "has the quantity or its unit changed?"
        return f"{what} {change} {when}: {why}"

    def _nearest_ratio(self) -> tuple[float, str] | None:
        if self.column is None:
            return None
        size = abs(math.log(self.factor))
        near = [
            (self.column not in (only or ()), abs(size - math.log(ratio)), ratio, words)
            for ratio, words, only in KNOWN_RATIOS
            if (only is None or self.column in only) and abs(size - math.log(ratio)) <= NEAR
        ]
        # Ratios for this column come before general ones, and the nearest first.
        _, _, ratio, words = min(near, default=(False, 0.0, 0.0, ""))
        return (ratio, words) if words else None


def unit_jumps(table: str, column: str, kind: str | None, days: Ints, counts: Floats, logs: Floats) -> tuple[Jump, ...]:
    """Return the lasting level changes of a column, based on the geometric mean of its positive values.

    Geometric means can be computed from daily sums, and are robust to single large values.

    Parameters
    ----------
    days : days since 1970 with positive values, ascending.
    counts : positive values on each day.
    logs : the sum of their natural logarithms on each day.
    """
    if not len(days):
        return ()
    period, starts, values, total = _by_week_or_month(days, counts, logs, MIN_VALUES_PER_WEEK)
    enough = values >= MIN_VALUES_PER_PERIOD
    changes = level_changes(total[enough] / values[enough], MIN_JUMP)
    return tuple(Jump(table, column, kind, period, day_of(starts[enough][c.position]), c.factor) for c in changes)


def volume_falls(table: str, days: Ints, rows: Floats) -> tuple[Jump, ...]:
    """Return the lasting falls of a feed's rows per week (or month) below a tenth.

    Periods without rows are silences (`features.feed_health.silences`), not falls.

    Parameters
    ----------
    days : days since 1970 with rows, ascending.
    rows : rows on each day.
    """
    if not len(days):
        return ()
    period, starts, count, _ = _by_week_or_month(days, rows, rows, MIN_ROWS_PER_PERIOD)
    falls = []
    for change in level_changes(np.log(count), MIN_FALL):
        before = float(np.median(count[: change.position][-LASTING_PERIODS:]))
        if change.factor < 1 and before >= MIN_ROWS_PER_PERIOD:
            falls.append(Jump(table, None, None, period, day_of(starts[change.position]), change.factor))
    return tuple(falls)


def _by_week_or_month(
    days: Ints, counts: Floats, sums: Floats, least: float
) -> tuple[CalendarPeriod, Ints, Floats, Floats]:
    """Return ``week`` or, if the median week is under ``least``, ``month``, and the sums of `_by`."""
    weeks = _by("week", days, counts, sums)
    if np.median(weeks[1]) < least:
        return "month", *_by("month", days, counts, sums)
    return "week", *weeks


def _by(period: CalendarPeriod, days: Ints, counts: Floats, sums: Floats) -> tuple[Ints, Floats, Floats]:
    """Return the first day of each period with data, and its sums."""
    if period == "week":
        starts = days - (days + 3) % 7  # 1970-01-01 was a Thursday; weeks begin on Monday.
    else:
        starts = days.astype("datetime64[D]").astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    first = np.flatnonzero(np.append(True, starts[1:] != starts[:-1]))
    return starts[first], np.add.reduceat(counts, first), np.add.reduceat(sums, first)


def _number(factor: float) -> str:
    return f"{factor:,.0f}" if factor >= 9.5 else f"{factor:.1f}".removesuffix(".0")


def _part(factor: float) -> str:
    """Return one part in ``factor`` in words, such as a 60th."""
    n = round(factor)
    ending = {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th") if n % 100 not in (11, 12, 13) else "th"
    article = "an" if str(n).startswith("8") or n in (11, 18) else "a"
    return f"{article} {n:,}{ending}"
