"""Instants, days and date grids, all in UTC.

A date without a time means midnight. A value without a time zone is read as UTC (data contract, "Time").
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from features.errors import BadRequest

DAY = timedelta(days=1)
DAY_SECONDS = 86_400
WEEK_DAYS = 7
MAX_GRID = 10_000
MAX_YEARS_AHEAD = 10


def parse_instant(text: str | date | datetime) -> datetime:
    """Parse an ISO 8601 date or date-time, a date or a datetime as a UTC instant.

    Raises
    ------
    BadRequest
        If the text is not ISO 8601.
    """
    if isinstance(text, datetime):
        instant = text
    elif isinstance(text, date):
        instant = datetime(text.year, text.month, text.day)
    else:
        try:
            instant = datetime.fromisoformat(text.strip())
        except ValueError:
            raise BadRequest(
                "invalid date", "an ISO 8601 date such as 2026-09-30 or 2026-09-30T12:00:00+00:00"
            ) from None
    if instant.tzinfo is None:
        return instant.replace(tzinfo=UTC)
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise BadRequest("date outside the supported range", "a year between 2 and 9998") from None


def parse_cutoff(text: str | date | datetime, now: datetime | None = None) -> datetime:
    """Parse the date up to which a user wants signals to be read, such as ``as_of`` and ``data_through``.

    Snapshots, forecasts and reports have a row per account and date up to this date. So a date that stands for "no
    end", such as 9999-12-31, would take all memory.

    Raises
    ------
    BadRequest
        If the text is not ISO 8601, or the date is more than `MAX_YEARS_AHEAD` years after ``now``, by default the
        system clock.
    """
    instant = parse_instant(text)
    latest = (now or datetime.now(UTC)) + MAX_YEARS_AHEAD * 366 * DAY
    if instant > latest:
        raise BadRequest(
            f"the date {to_iso(instant)} is too far in the future",
            f"a date up to {to_iso(midnight(latest))}",
            "correct the date; to read everything, leave out data_through",
        )
    return instant


def midnight(instant: datetime) -> datetime:
    """Return the midnight (UTC) at or before ``instant``."""
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def epoch_seconds(instant: datetime) -> int:
    """Return whole seconds since 1970-01-01 UTC, rounded down."""
    return int(instant.timestamp() // 1)


def epoch_micros(instant: datetime) -> int:
    """Return microseconds since 1970-01-01 UTC."""
    return epoch_seconds(instant) * 1_000_000 + instant.microsecond


def to_iso(instant: datetime) -> str:
    """Format an instant in ISO 8601 (UTC): a midnight as a date, any other instant as date and time."""
    if instant == midnight(instant):
        return instant.date().isoformat()
    return instant.astimezone(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Grid:
    """The instants ``first``, ``first + every_days``, … (``n`` of them) at which snapshots are taken.

    The pipeline counts in grid positions: an instant's position is the number of grid instants at or before it, so a
    row known at ``t`` is visible from position ``position(t)``, because it may be used only where ``t < as_of``.
    """

    first: datetime
    every_days: int = WEEK_DAYS
    n: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.n <= MAX_GRID or self.every_days < 1:
            raise BadRequest(
                f"a grid of {self.n} dates every {self.every_days} days",
                f"1 to {MAX_GRID} dates, at least one day apart",
                "check that --from is not after --as-of and that --every is at least 1",
            )
        if self.first.microsecond:
            raise BadRequest("as_of has a fraction of a second", "a whole second")

    @classmethod
    def single(cls, as_of: datetime) -> Grid:
        """Return the grid of the single instant ``as_of``."""
        return cls(as_of)

    @classmethod
    def ending(cls, last: datetime, first: datetime, every_days: int = WEEK_DAYS) -> Grid:
        """Return the grid that ends exactly at ``last`` and goes back to ``first`` in steps of ``every_days``.

        Parameters
        ----------
        last : the last date.
        first : no date is earlier than this.
        every_days : the days between dates.

        Returns
        -------
        Grid

        Raises
        ------
        BadRequest : ``every_days`` is below 1.
        """
        if every_days < 1:
            raise BadRequest(f"a step of {every_days} days", "at least 1")
        n = (last - first) // timedelta(days=every_days) + 1
        return cls(last - (n - 1) * timedelta(days=every_days), every_days, n)

    @property
    def as_ofs(self) -> list[datetime]:
        """The instants, in order."""
        return [self.first + i * timedelta(days=self.every_days) for i in range(self.n)]

    @property
    def last(self) -> datetime:
        """The last instant."""
        return self.first + (self.n - 1) * timedelta(days=self.every_days)

    def position(self, instant: datetime) -> int:
        """Return the number of grid instants at or before ``instant``: 0 to ``n``."""
        step = self.every_days * DAY_SECONDS
        return min(max((epoch_seconds(instant) - epoch_seconds(self.first)) // step + 1, 0), self.n)
