"""Terminal output of `renewcast check`, which fits in 80 columns."""

from __future__ import annotations

from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from features.feed_health.feed_health import Feeds
from features.feed_health.feed_report import FeedHealth
from features.signals.validation import CheckReport
from features.utils.console import Table
from features.utils.formatting import percent
from models.targets import TARGETS
from training.dataset.data_verdict import Verdict
from training.dataset.outcome_counts import TargetCounts
from training.dataset.sufficiency_check import SufficiencyReport

# Smaller shares of missing values are not shown.
SHOWN_MISSING = 0.005


def print_check(
    report: CheckReport, feeds: Feeds, sufficiency: SufficiencyReport | None, verdict: Verdict, console: Console
) -> None:
    """Print the feeds, the contract violations, the findings, the horizons and, last, the verdict.

    Parameters
    ----------
    report : the contract violations and findings.
    feeds : what each feed contains.
    sufficiency : the data for training; None if the source violates the contract.
    verdict : the verdict on the source.
    console : the terminal.
    """
    console.print(_feeds(report, feeds))
    if feeds.absent:
        console.print(Text(f"not in the source, so unknown: {', '.join(feeds.absent)}", style="dim"))
    if (missing := _missing_values(feeds)) is not None:
        console.print()
        console.print(missing)
    console.print()
    for error in report.errors:
        _line(console, "error", "red", str(error))
    for finding in report.findings:
        _line(console, "look", "yellow", str(finding))
    for trouble in feeds.troubles():
        _line(console, "look", "yellow", trouble)
    for note in (*report.notes, *feeds.notes()):
        _line(console, "note", "dim", note)
    if report.ok:
        _line(console, "ok", "green", "the source meets the data contract")
    if sufficiency is not None:
        console.print()
        console.print(_horizons(sufficiency))
    console.print()
    console.print(_verdict(report, verdict))


def _line(console: Console, head: str, style: str, text: str) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=5, style=style)
    grid.add_column()
    grid.add_row(head, Text(text))
    console.print(grid)


def _feeds(report: CheckReport, feeds: Feeds) -> Table:
    by = f" (the newest row of {feeds.decided_by})" if feeds.decided_by else ""
    end = f", data through {feeds.end:%Y-%m-%d %H:%M}{by}" if feeds.end else ""
    table = _table(f"{report.origin}{end}")
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


def _missing_values(feeds: Feeds) -> Table | None:
    """List the missing values of each table, outside the table of feeds, which has no space for them at 80 columns."""
    table = Table(title="missing values", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for name, feed in feeds.tables.items():
        if missing := _missing(feed):
            table.add_row(name, missing)
    return table if table.row_count else None


def _silent(feed: FeedHealth) -> Text:
    if feed.patience_days is None or feed.last is None:
        return Text("")
    days = f"{feed.silent_days:.0f} d"
    return Text(f"{days} stale", style="red") if feed.stale else Text(days, style="green")


def _missing(feed: FeedHealth) -> str:
    """List the absent columns and the columns with missing values."""
    absent = [c.name for c in feed.columns if not c.given]
    partly = [
        f"{c.name} {percent(c.missing_share, 0)}" for c in feed.columns if c.given and c.missing_share >= SHOWN_MISSING
    ]
    return ", ".join([*partly, *([f"no {', '.join(absent)}"] if absent else [])])


def _horizons(sufficiency: SufficiencyReport) -> Table:
    table = _table("accounts to learn from, by horizon")
    table.add_column("horizon", justify="right", no_wrap=True)
    table.add_column("last as_of", no_wrap=True)
    table.add_column("accounts", justify="right", no_wrap=True)
    for target in TARGETS:
        table.add_column(target, justify="right", no_wrap=True)
        table.add_column("enough?", no_wrap=True)
    for horizon in sufficiency.horizons:
        last = f"{horizon.last:%Y-%m-%d}" if horizon.last else "none"
        accounts = max(there.accounts for there in horizon.targets.values())
        cells = [
            cell
            for t in TARGETS
            for cell in (f"{horizon.targets[t].with_outcome:,}", _enough(horizon.targets[t], sufficiency.overwritten))
        ]
        style = "bold" if horizon is sufficiency.requested else ""
        table.add_row(f"{horizon.days} days", last, f"{accounts:,}", *cells, style=style)
    return table


def _enough(there: TargetCounts, overwritten: bool) -> Text:
    if overwritten:
        return Text("overwritten", style="red")
    if not there.missing:
        return Text("yes", style="green")
    return Text("too few" if there.long_enough else "too short", style="red")


def _verdict(report: CheckReport, verdict: Verdict) -> Panel:
    style = "red" if not report.ok else "green" if not verdict.missing else "yellow"
    body = Table.grid(padding=(0, 1))
    body.add_column(no_wrap=True)
    body.add_column()
    for line in verdict.missing_lines():
        body.add_row("lacking", Text(line))
    for line in verdict.todo:
        body.add_row("do", Text(line))
    return Panel(
        Group(Text(verdict.summary, style="bold"), body), title="verdict", title_align="left", border_style=style
    )


def _table(title: str) -> Table:
    return Table(title=Text(title))
