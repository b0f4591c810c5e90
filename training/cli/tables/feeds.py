"""Terminal tables of the feeds of a source: rows and spans, a picture of the rows per week, and details."""

from __future__ import annotations

from rich.text import Text

from features.feed_health.feed_report import FeedHealth
from features.utils.console import Table
from features.utils.formatting import count_of, percent
from training.source_report.account_coverage import RECENT_DAYS
from training.source_report.report import SourceReport
from training.source_report.timeline import FeedTimeline, feed_timelines

WIDTH = 60
LEVELS = "▁▂▃▄▅▆▇█"
SILENT = "·"


def feed_table(source: SourceReport) -> Table:
    """Return one row per table of the source."""
    report, feeds = source.report, source.feeds
    by = f" (the newest row of {feeds.decided_by})" if feeds.decided_by else ""
    end = f", data through {feeds.end:%Y-%m-%d %H:%M}{by}" if feeds.end else ""
    table = Table(title=Text(f"{report.origin}{end}"))
    table.add_column("table", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("first row", no_wrap=True)
    table.add_column("last row", no_wrap=True)
    table.add_column("silent", justify="right", no_wrap=True)
    table.add_column("accounts", justify="right", no_wrap=True)
    for name, rows in report.rows.items():
        if (feed := feeds.tables.get(name)) is None:
            table.add_row(name, f"{rows:,}", Text("see errors", style="red"))
            continue
        first, last = (f"{at:%Y-%m-%d}" if at else "" for at in (feed.first, feed.last))
        share = "" if feed.accounts_share is None else percent(feed.accounts_share, 0)
        table.add_row(name, f"{rows:,}", first, last, _silent(feed), share)
    return table


def timeline_table(source: SourceReport) -> Table | None:
    """Return a picture of the rows per week, one line per event feed; None if there is nothing to draw."""
    timelines = feed_timelines(source.feeds, WIDTH)
    if not timelines:
        return None
    first, end = timelines[0].start, source.feeds.end
    table = Table(title="rows per week; a dot is none", show_header=False, min_width=30)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    for timeline in timelines:
        table.add_row(timeline.table, _picture(timeline))
    width = len(timelines[0].cells)
    labels = f"{first:%Y-%m}".ljust(max(width - 7, 0)) + f"{end:%Y-%m}"
    table.add_row("", Text(labels if width > 14 else f"{first:%Y-%m}", style="dim"))
    return table


def _picture(timeline: FeedTimeline) -> Text:
    """Draw one feed: the higher a block, the more rows per week, compared with the feed's largest cell."""
    most = max((rows for rows in timeline.cells if rows), default=0.0)
    text = Text()
    for at, rows in enumerate(timeline.cells):
        if rows:
            text.append(LEVELS[min(int(rows / most * len(LEVELS)), len(LEVELS) - 1)], style="cyan")
        elif at < timeline.first_cell:
            text.append(" ")
        else:
            late = timeline.stale and at > timeline.last_cell
            text.append(SILENT, style="red" if late else "yellow")
    return text


def missing_values(source: SourceReport) -> Table | None:
    """List the missing values of each table; None if there are none."""
    table = Table(title="missing values", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for name, feed in source.feeds.tables.items():
        if missing := feed.missing_words():
            table.add_row(name, missing)
    return table if table.row_count else None


def readings(source: SourceReport) -> Table:
    """List where each table was read from, and its columns."""
    table = Table(title="what was read", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for reading in source.readings:
        ignored = f"; not used: {reading.ignored}" if reading.ignored else ""
        table.add_row(reading.table, f"{reading.place}: {', '.join(reading.used)}{ignored}")
    return table


def coverage(source: SourceReport) -> Table | None:
    """List the accounts that each feed describes; None if it is unknown."""
    if source.portfolio is None or not source.coverage:
        return None
    accounts = source.report.rows["accounts"]
    table = Table(title="accounts with rows", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for each in source.coverage:
        table.add_row(
            each.table,
            f"{each.accounts:,} of {count_of(accounts, 'account')}; in the last {RECENT_DAYS} days "
            f"{each.active:,} of {source.portfolio.accounts:,} active ones",
        )
    return table


def _silent(feed: FeedHealth) -> Text:
    if feed.patience_days is None or feed.last is None:
        return Text("")
    days = f"{feed.silent_days:.0f} d"
    return Text(f"{days} stale", style="red") if feed.stale else Text(days, style="green")
