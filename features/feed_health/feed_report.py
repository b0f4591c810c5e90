"""The health of one feed, as facts and as words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from features.feed_health.column_coverage import ColumnHealth
from features.feed_health.silences import Silence
from features.feed_health.unit_changes import Jump

# Shares of the rows from which on it is told that they come late, or more than once.
TOLD_LATE = 0.01
TOLD_REPEATED = 0.01
# Silences named in words; the rest are counted.
SILENCES_TOLD = 3


@dataclass(frozen=True)
class FeedHealth:
    """One table as a feed.

    Parameters
    ----------
    table : its name in the contract.
    rows : rows before the end of the data.
    first, last : instants of the oldest and the newest row; None without any.
    days_with_rows : days on which anything came.
    silent_days : days from the newest row to the end of the data.
    patience_days : the silence that the feed's own rhythm allows; None where none is owed.
    accounts_share : accounts with any row, as a share of all; None without a table of accounts.
    day_late, week_late : share of the rows that arrived more than a day, or a week, after they happened; None where no
        row says when it arrived.
    worst_days : the longest such delay; None likewise.
    to_come : rows that had not arrived by the end of the data where that was given, else by the clock.
    repeated_share : share of the rows that repeat another one, and do not count; None if it was not looked for.
    columns : its optional columns.
    silences : pauses between rows that its rhythm does not allow.
    jumps : changes of unit, and falls of the number of rows.
    """

    table: str
    rows: int
    first: datetime | None
    last: datetime | None
    days_with_rows: int
    silent_days: float
    patience_days: float | None
    accounts_share: float | None
    day_late: float | None
    week_late: float | None
    worst_days: float | None
    to_come: int
    repeated_share: float | None
    columns: tuple[ColumnHealth, ...]
    silences: tuple[Silence, ...]
    jumps: tuple[Jump, ...]

    @property
    def stale(self) -> bool:
        """Whether the feed has been silent for longer than its rhythm allows."""
        return self.patience_days is not None and self.silent_days > self.patience_days

    def as_dict(self) -> dict[str, Any]:
        """The facts as plain JSON values; instants as ISO 8601."""
        own = {k: v for k, v in vars(self).items() if k not in ("columns", "silences", "jumps")}
        own |= {k: None if own[k] is None else own[k].isoformat() for k in ("first", "last")}
        silences = [{"first": s.first.isoformat(), "last": s.last.isoformat(), "days": s.days} for s in self.silences]
        return own | {
            "stale": self.stale,
            "columns": {c.name: c.as_dict() for c in self.columns},
            "silences": silences,
            "jumps": [jump.as_dict() for jump in self.jumps],
        }

    def stale_words(self) -> str:
        """Since when it has been silent, and how long it may be."""
        since = f"nothing since {self.last:%Y-%m-%d}" if self.last else "no row at all"
        return (
            f"{self.table}: {since}, {self.silent_days:.0f} days before the end of the data; by its rhythm, more than "
            f"{self.patience_days or 0:.0f} days of silence are too long"
        )

    def troubles(self) -> list[str]:
        """What should be looked at before a model is trained on this feed, a line each."""
        lines = []
        if self.rows == 0:
            lines.append(f"{self.table}: no row before the end of the data")
        if self.stale:
            lines.append(self.stale_words())
        lines += [
            f"{self.table}: no rows from {s.first} to {s.last} ({s.days} days)" for s in self.silences[:SILENCES_TOLD]
        ]
        if (more := len(self.silences) - SILENCES_TOLD) > 0:
            lines.append(f"{self.table}: {more} more such {'silence' if more == 1 else 'silences'}")
        lines += [jump.words() for jump in self.jumps]
        return lines + [f"{self.table}.{c.name}: {c.trouble}" for c in self.columns if c.trouble]

    def notes(self) -> list[str]:
        """What is good to know and needs no mending, a line each."""
        lines = [f"{self.table}.{c.name}: {c.note}" for c in self.columns if c.note]
        if self.week_late is not None and self.week_late >= TOLD_LATE:
            lines.append(
                f"{self.table}: {self.week_late:.0%} of the rows arrived more than a week after they happened "
                f"(slowest: {self.worst_days:.0f} days)"
            )
        if self.repeated_share is not None and self.repeated_share >= TOLD_REPEATED:
            lines.append(f"{self.table}: {self.repeated_share:.0%} of the rows repeat another one; each counts once")
        return lines
