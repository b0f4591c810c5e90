"""The health of one feed, as data and as text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from features.feed_health.column_coverage import ColumnHealth
from features.feed_health.silences import Silence
from features.feed_health.unit_changes import Jump
from features.utils.formatting import count_of, percent

# Minimum shares of late and of repeated rows for a note.
MIN_LATE_SHARE = 0.01
MIN_REPEATED_SHARE = 0.01
# Silences listed in messages; the rest are counted.
MAX_LISTED_SILENCES = 3
# Smaller shares of missing values are not shown.
SHOWN_MISSING_SHARE = 0.005


@dataclass(frozen=True)
class FeedHealth:
    """One table as a feed.

    Parameters
    ----------
    table : the contract's table.
    rows : the number of rows before the end of the data.
    first, last : instants of the oldest and the newest row; None without rows.
    days_with_rows : the number of days with rows.
    silent_days : days from the newest row to the end of the data; of contracts without new ones, from their newest
        change.
    patience_days : the silence that the feed's rhythm allows; None if no rhythm is expected.
    accounts_share : share of all accounts with at least one row; None without a table of accounts.
    day_late, week_late : share of rows that arrived more than a day, or a week, after they happened; None if no row has
        an arrival.
    worst_days : the longest such delay; None if no row has an arrival.
    to_come : rows that had not arrived by the given end of the data, else by the current time.
    repeated_share : share of rows that repeat another one and do not count; None if not determined.
    columns : the optional columns.
    silences : pauses between rows that are too long for its rhythm.
    jumps : changes of unit, and drops of the number of rows.
    weekly_rows : the number of rows of each week with rows, by its Monday, in order.
    trials : subscriptions that do not count because they are trials.
    paused : paused subscriptions whose ARR does not count in full.
    active_until : the newest sign that contracts are kept up to date (`features.feed_health.contract_activity`); None
        if new contracts show it, and for other tables.
    unfollowed : contracts that ended after the newest start, and whose next rows are missing.
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
    weekly_rows: tuple[tuple[date, int], ...] = ()
    trials: int = 0
    paused: int = 0
    active_until: datetime | None = None
    unfollowed: int = 0

    @property
    def stale(self) -> bool:
        """Whether the feed has been silent for longer than its rhythm allows."""
        return self.patience_days is not None and self.silent_days > self.patience_days

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as plain JSON values, with instants in ISO 8601."""
        facts = {k: v for k, v in vars(self).items() if k not in ("columns", "silences", "jumps", "weekly_rows")}
        facts |= {k: None if facts[k] is None else facts[k].isoformat() for k in ("first", "last", "active_until")}
        silences = [{"first": s.first.isoformat(), "last": s.last.isoformat(), "days": s.days} for s in self.silences]
        return facts | {
            "stale": self.stale,
            "columns": {c.name: c.as_dict() for c in self.columns},
            "silences": silences,
            "jumps": [jump.as_dict() for jump in self.jumps],
        }

    def stale_words(self) -> str:
        """Describe since when the feed has had no rows, and the longest usual gap between rows."""
        since = f"no rows since {self.last:%Y-%m-%d}" if self.last else "no rows"
        if self.active_until and self.last and self.active_until > self.last:
            since += f", and no end, notice or renewal since {self.active_until:%Y-%m-%d}"
        unfollowed = count_of(self.unfollowed, "contract")
        more = f"; {unfollowed} ended since then without the next row" if self.unfollowed else ""
        return (
            f"{self.table}: {since}, {self.silent_days:.0f} days before the end of the data; a usual gap is at most "
            f"{self.patience_days or 0:.0f} days{more}"
        )

    def missing_words(self) -> str:
        """List the columns with missing values, and the absent ones; empty if there are none."""
        absent = [c.name for c in self.columns if not c.given]
        return ", ".join([*self.partly_filled(), *([f"no {', '.join(absent)}"] if absent else [])])

    def partly_filled(self) -> list[str]:
        """Return the columns with missing values, each with the share of rows that lack one: "seats 9%"."""
        return [
            f"{c.name} {percent(c.missing_share, 0)}"
            for c in self.columns
            if c.given and c.missing_share >= SHOWN_MISSING_SHARE
        ]

    def troubles(self) -> list[str]:
        """Return the problems to review before a model is trained on this feed, one line each."""
        lines = []
        if self.rows == 0:
            lines.append(f"{self.table}: no rows before the end of the data")
        if self.stale:
            lines.append(self.stale_words())
        lines += [
            f"{self.table}: no rows from {s.first} to {s.last} ({s.days} days)"
            for s in self.silences[:MAX_LISTED_SILENCES]
        ]
        if (more := len(self.silences) - MAX_LISTED_SILENCES) > 0:
            lines.append(f"{self.table}: {more} more {'gap' if more == 1 else 'gaps'} of this kind")
        lines += [jump.words() for jump in self.jumps]
        return lines + [f"{self.table}.{c.name}: {c.trouble}" for c in self.columns if c.trouble]

    def notes(self) -> list[str]:
        """Return additional information that needs no action, one line each."""
        lines = [f"{self.table}.{c.name}: {c.note}" for c in self.columns if c.note]
        if self.week_late is not None and self.week_late >= MIN_LATE_SHARE:
            lines.append(
                f"{self.table}: {self.week_late:.0%} of the rows arrived more than a week after they happened "
                f"(slowest: {self.worst_days:.0f} days)"
            )
        if self.repeated_share is not None and self.repeated_share >= MIN_REPEATED_SHARE:
            lines.append(f"{self.table}: {self.repeated_share:.0%} of the rows are repeats; each row is counted once")
        return lines
