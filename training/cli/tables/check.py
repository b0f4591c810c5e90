"""Terminal output of `renewcast check`, which fits in 80 columns."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from features.signals.validation import CheckReport
from features.utils.console import Table
from features.utils.formatting import and_list, count_of
from models.targets import TARGETS
from training.cli.tables.feeds import coverage, feed_table, missing_values, readings, timeline_table
from training.dataset.data_verdict import Verdict
from training.dataset.outcome_counts import TargetCounts
from training.dataset.sufficiency_check import SufficiencyReport
from training.source_report.report import SourceReport
from training.source_report.signal_values import signal_values


def print_check(source: SourceReport, console: Console, *, full: bool = False, html: Path | None = None) -> None:
    """Print the feeds, what was left out, the errors and findings, the horizons, the verdict, and the line to confirm.

    Parameters
    ----------
    source : the report.
    console : the terminal.
    full : whether to list columns, missing values and accounts too.
    html : the file with the report, if it was written.
    """
    report, feeds = source.report, source.feeds
    console.print(feed_table(source))
    if feeds.absent:
        console.print(Text(f"not in the source, so unknown: {', '.join(feeds.absent)}", style="dim"))
    for table in (
        timeline_table(source),
        *([readings(source), missing_values(source), coverage(source)] if full else []),
    ):
        if table is not None:
            console.print()
            console.print(table)
    console.print()
    _lines(source, console, full)
    if source.enough is not None:
        console.print()
        console.print(_horizons(source.enough))
    if source.missing:
        console.print()
        console.print(_missing_signals(source))
    console.print()
    console.print(_verdict(report, source.verdict))
    if html is not None:
        console.print(f"the report with pictures is in {html}")
    elif not full:
        console.print(Text("--full lists columns, missing values and accounts; --html FILE draws them", style="dim"))
    if source.portfolio is not None:
        console.print()
        console.print(Text(f"Do you recognize these figures? At {source.portfolio.as_of:%Y-%m-%d}:", style="dim"))
        console.print(Text(source.portfolio.line, style="bold"))
        if source.open_questions:
            console.print(
                Text("They may be wrong until the questions marked `ask` are answered in the mapping.", style="yellow")
            )


def _lines(source: SourceReport, console: Console, full: bool) -> None:
    report, feeds = source.report, source.feeds
    for error in report.errors:
        _line(console, "error", "red", str(error))
    for question in source.open_questions:
        _line(console, "ask", "yellow", question)
    for finding in report.findings:
        _line(console, "look", "yellow", str(finding))
    for trouble in feeds.troubles():
        _line(console, "look", "yellow", trouble)
    for reason in dict.fromkeys(each.reason for each in source.dropped):
        same = [each for each in source.dropped if each.reason == reason]
        listed = ", ".join(f"{each.table} {each.rows:,}" for each in same)
        rows = count_of(sum(each.rows for each in same), "row")
        _line(console, "out", "yellow", f"{rows} left out, {reason}: {listed}")
    for note in (*(report.notes if full else source.notes), *feeds.notes()):
        _line(console, "note", "dim", note)
    if report.ok:
        _line(console, "ok", "green", "the source meets the data contract")


def _line(console: Console, head: str, style: str, text: str) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=5, style=style)
    grid.add_column()
    grid.add_row(head, Text(text))
    console.print(grid)


def _horizons(sufficiency: SufficiencyReport) -> Table:
    table = Table(title="accounts to learn from, by horizon")
    table.add_column("horizon", justify="right", no_wrap=True)
    table.add_column("last as_of", no_wrap=True)
    table.add_column("accounts", justify="right", no_wrap=True)
    for target in TARGETS:
        table.add_column(target, justify="right", no_wrap=True)
        table.add_column("enough?", no_wrap=True)
    for horizon in sufficiency.horizons:
        last = f"{horizon.last:%Y-%m-%d}" if horizon.last else "none"
        cells = [
            cell
            for t in TARGETS
            for cell in (f"{horizon.targets[t].with_outcome:,}", _enough(horizon.targets[t], sufficiency.overwritten))
        ]
        style = "bold" if horizon is sufficiency.requested else ""
        table.add_row(f"{horizon.days} days", last, f"{horizon.accounts:,}", *cells, style=style)
    return table


def _enough(there: TargetCounts, overwritten: bool) -> Text:
    if overwritten:
        return Text("overwritten", style="red")
    if not there.missing:
        return Text("yes", style="green")
    return Text("too few" if there.long_enough else "too short", style="red")


def _missing_signals(source: SourceReport) -> Group:
    lines: list[RenderableType] = [Text("not in the source, and most valuable elsewhere", style="bold")]
    for each in source.missing:
        lines.append(Text(f"{each.words}: {each.worth}"))
        lines.append(Padding(Text(each.cure, style="dim"), (0, 0, 0, 2)))
    values = signal_values()
    return Group(*lines, Text(f"{values.about} ({values.date})", style="dim"))


def _verdict(report: CheckReport, verdict: Verdict) -> Panel:
    style = "red" if not report.ok else "green" if not verdict.missing else "yellow"
    body = Table.grid(padding=(0, 1))
    body.add_column(no_wrap=True)
    body.add_column()
    for line in verdict.missing_lines():
        body.add_row("lacking", Text(line))
    for line in verdict.todo:
        body.add_row("do", Text(line))
    if report.ok and not verdict.missing and not verdict.todo:
        body.add_row("next", Text(f"renewcast train learns to predict {and_list(verdict.ready)}"))
    return Panel(
        Group(Text(verdict.summary, style="bold"), body), title="verdict", title_align="left", border_style=style
    )
