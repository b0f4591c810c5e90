"""Terminal output of `renewcast leakcheck`, at most eighty columns wide."""

from __future__ import annotations

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from features.utils.console import Table
from features.utils.formatting import count_of
from training.leakage.report import CheckRun, LeakFinding, LeakReport


def print_leaks(report: LeakReport, console: Console) -> None:
    """Print the checks, their findings and, last, the verdict.

    Parameters
    ----------
    report : the result of the leakage checks.
    console : the terminal.
    """
    table = Table(title=Text(report.origin))
    table.add_column("check")
    table.add_column("examined")
    table.add_column("result", no_wrap=True)
    for check in report.checks:
        table.add_row(Text(_head(check)), Text(check.lacking or check.at), _result(check, report))
    console.print(table)
    console.print()
    print_findings(report.findings, console)
    style = "green" if report.ok else "red"
    took = Text(f" ({report.seconds:.0f} s)", style="dim")
    body = Text(report.words(), style="bold").append_text(took)
    console.print(Panel(body, title="verdict", title_align="left", border_style=style))


def print_findings(findings: tuple[LeakFinding, ...], console: Console) -> None:
    """Print one line per finding, failures first.

    Parameters
    ----------
    findings : the findings.
    console : the terminal.
    """
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=5)
    grid.add_column()
    for finding in sorted(findings, key=lambda f: f.severity != "failure"):
        failure = finding.severity == "failure"
        grid.add_row(Text("leak" if failure else "note", style="red" if failure else "dim"), Text(finding.words))
    if findings:
        console.print(grid)
        console.print()


def _head(check: CheckRun) -> str:
    of = f" of {check.target}" if check.target else ""
    return f"{check.check}{of}: {check.what}"


def _result(check: CheckRun, report: LeakReport) -> Text:
    if check.lacking:
        return Text("not checked", style="yellow")
    findings = [f for f in report.findings if f.check == check.check and f.target in (None, check.target)]
    if check.check == "arrival":
        findings = [f for f in report.findings if f.check == "arrival"]
    if leaks := sum(f.severity == "failure" for f in findings):
        return Text(count_of(leaks, "leak"), style="red")
    return Text(count_of(len(findings), "note") if findings else "passed", style="green")
