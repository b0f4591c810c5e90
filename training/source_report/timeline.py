"""The rows of each feed over time, on one axis for all feeds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from features.contract.current_contract import current_tables
from features.feed_health.feed_health import Feeds
from features.utils.dates import WEEK_DAYS

STARTS = ("subscriptions",)
"""Tables without events that are drawn too. They may reach far back, so the events choose the axis."""


@dataclass(frozen=True)
class FeedTimeline:
    """The rows of one feed over time.

    Parameters
    ----------
    table : the table.
    start : the first day of the axis, a Monday; the same for all feeds.
    weeks : the rows of each week of the axis.
    cells : the mean rows per week of each cell of the picture.
    first_cell, last_cell : the cells of the first and the last row on the axis.
    stale : whether the feed ended too early.
    """

    table: str
    start: date
    weeks: tuple[int, ...]
    cells: tuple[float, ...]
    first_cell: int
    last_cell: int
    stale: bool


def feed_timelines(feeds: Feeds, width: int) -> tuple[FeedTimeline, ...]:
    """Return the timeline of each feed with rows, in the contract's order.

    Some feeds reach much further back than the others, so half of the event feeds begin no later than the axis. It ends
    with the data.

    Parameters
    ----------
    feeds : the feeds.
    width : the maximum number of cells of a picture.
    """
    drawn = {n: f for n, f in feeds.tables.items() if f.weekly_rows and (current_tables()[n].event or n in STARTS)}
    events = sorted(feed.weekly_rows[0][0] for name, feed in drawn.items() if current_tables()[name].event)
    if feeds.end is None or not drawn:
        return ()
    start = events[len(events) // 2] if events else min(feed.weekly_rows[0][0] for feed in drawn.values())
    last = feeds.end.date() - timedelta(days=feeds.end.date().weekday())
    number = max((last - start).days // WEEK_DAYS + 1, 1)
    return tuple(
        _timeline(name, dict(feed.weekly_rows), feed.stale, start, number, width) for name, feed in drawn.items()
    )


def _timeline(name: str, rows: dict[date, int], stale: bool, start: date, number: int, width: int) -> FeedTimeline:
    weeks = tuple(rows.get(start + timedelta(days=WEEK_DAYS * week), 0) for week in range(number))
    count = min(number, width)
    edges = [number * cell // count for cell in range(count + 1)]
    cells = tuple(sum(weeks[first:last]) / (last - first) for first, last in pairwise(edges))
    filled = [cell for cell, mean in enumerate(cells) if mean]
    # Rows before the axis mean that the feed has begun.
    first_cell = 0 if min(rows) < start else filled[0]
    return FeedTimeline(name, start, weeks, cells, first_cell, filled[-1] if filled else -1, stale)
