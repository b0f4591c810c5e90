"""A leak check as a table and lines that a person can read in eighty columns."""

from __future__ import annotations

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from features.utils.console import Table
from features.utils.formatting import count_of
from training.leakage.report import CheckRun, LeakFinding, LeakReport


def print_leaks(report: LeakReport, console: Console) -> None:
    """Print what was looked at and how, what was found, and the verdict last."""
    table = Table(title=Text(report.origin))
    table.add_column("check")
    table.add_column("looked at")
    table.add_column("result", no_wrap=True)
    for looked in report.checks:
        table.add_row(Text(_head(looked)), Text(looked.lacking or looked.at), _result(looked, report))
    console.print(table)
    console.print()
    print_findings(report.findings, console)
    style = "green" if report.ok else "red"
    took = Text(f" ({report.seconds:.0f} s)", style="dim")
    body = Text(report.words(), style="bold").append_text(took)
    console.print(Panel(body, title="verdict", title_align="left", border_style=style))


def print_findings(findings: tuple[LeakFinding, ...], console: Console) -> None:
    """Print findings, a line each, those that forbid a model first."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=5)
    grid.add_column()
    for finding in sorted(findings, key=lambda f: f.severity != "failure"):
        failure = finding.severity == "failure"
        grid.add_row(Text("leak" if failure else "note", style="red" if failure else "dim"), Text(finding.words))
    if findings:
        console.print(grid)
        console.print()


def _head(looked: CheckRun) -> str:
    of = f" of {looked.target}" if looked.target else ""
    return f"{looked.check}{of}: {looked.what}"


def _result(looked: CheckRun, report: LeakReport) -> Text:
    if looked.lacking:
        return Text("not checked", style="yellow")
    mine = [f for f in report.findings if f.check == looked.check and f.target in (None, looked.target)]
    if looked.check == "arrival":
        mine = [f for f in report.findings if f.check == "arrival"]
    if leaks := sum(f.severity == "failure" for f in mine):
        return Text(count_of(leaks, "leak"), style="red")
    return Text(f"{len(mine)} to know of" if mine else "passed", style="green")
