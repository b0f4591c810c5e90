"""A training run as a table that a person can judge."""

from __future__ import annotations

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from features.clock import show
from training.candidate import Candidate
from training.contenders import BASE_RATE, BLEND, HEALTH_SCORE
from training.judge import Metric
from training.leakcheck_print import print_findings
from training.train import TrainReport

COLUMNS = {
    "roc_auc": "ROC AUC",
    "brier": "Brier",
    "brier_skill": "skill",
    "log_loss": "log loss",
    "calibration_slope": "slope",
    "lift_10": "lift 10%",
}
"""The metrics shown, and their headings; all of them are in the JSON."""


def print_report(report: TrainReport, console: Console) -> None:
    """Print what was trained, how it did beside its rivals, whether it is champion now, and what else the leak
    check found."""
    for target, facts in report.facts.items():
        candidate = report.candidates.get(target)
        if candidate is None:
            lines = Text("\n".join(f"lacking: {line}" for line in facts.missing))
            console.print(Panel(lines, title=f"{target}: not trained", border_style="yellow", title_align="left"))
        else:
            console.print(_panel(report, candidate))
    style = "dim" if report.leaks.ok else "red"
    console.print(Text(f"leak check: {report.leaks.words()}", style=style))
    print_findings(report.leaks.notes, console)


def _panel(report: TrainReport, candidate: Candidate) -> Panel:
    target, judged = candidate.target, candidate.judgement
    size = judged.size
    dates = {name: f"{show(d[0])} to {show(d[-1])}" for name, d in candidate.split.slices().items() if d}
    step = "" if report.every_days == report.config.every_days else f" every {report.every_days} days"
    head = Text(
        f"trained on snapshots{step} of {dates['train']}, calibrated on {dates['calibration']}, "
        f"judged on {dates['test']}\n"
        f"test: {size['rows']:,} snapshots of {size['accounts']:,} accounts, {size['accounts_with_outcome']:,} of them "
        f"with {target}; rate {judged.window_rate:.1%} (before: {judged.known_rate:.1%})"
    )
    verdict = Text(f"{judged.grade}: {judged.words}", style="bold")
    gates = Table.grid(padding=(0, 1))
    for gate in candidate.gates:
        gates.add_row("[green]passed[/]" if gate.passed else "[red]failed[/]", gate.name, gate.words)
    promoted = target in report.promoted
    more = Text("\n".join(_more(report, candidate)), style="dim")
    foot = Text(
        f"version {report.versions[target]} "
        + ("is the champion now" if promoted else "is registered but not promoted: a gate failed")
        + f"; bundle in {report.folders[target]}"
    )
    style = "green" if promoted else "red"
    group = Group(head, Text(), _table(candidate), Text(), verdict, Text(), gates, Text(), more, Text(), foot)
    return Panel(
        group, title=f"{target} within {report.config.horizon_days} days", border_style=style, title_align="left"
    )


def _more(report: TrainReport, candidate: Candidate) -> list[str]:
    """What a ranking is worth to the team, and whether the reasons hold."""
    work = {w.candidate: w for w in report.worked(candidate.target)}
    ours, health, nothing = (work.get(name) for name in (BLEND, HEALTH_SCORE, "random"))
    lines = []
    if ours and nothing:
        beside = f", {health.caught_arr[0]:.0%} by health score" if health else ""
        lines.append(
            f"a team that looks after {ours.capacity} accounts sees {ours.caught_arr[0]:.0%} "
            f"({ours.caught_arr[1]:.0%} to {ours.caught_arr[2]:.0%}) of the ARR to which it happens{beside}, "
            f"{nothing.caught_arr[0]:.0%} at random"
        )
    if alike := candidate.stability:
        lines.append(
            f"trained on other draws of the accounts, {alike.same_first:.0%} of accounts keep their first reason and "
            f"{alike.overlap:.0%} of the first three are shared"
        )
    return lines


def _table(candidate: Candidate) -> Table:
    """A candidate a line, with the 95% interval of each figure below it; narrow enough for 80 columns."""
    table = Table(box=None, padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column("", max_width=10)
    for heading in COLUMNS.values():
        table.add_column(heading, justify="right")
    for row in candidate.judgement.rows:
        style = "bold" if row.candidate == BLEND else "dim" if row.candidate == BASE_RATE else ""
        table.add_row(row.candidate.replace("_", " "), *(_figure(row[name]) for name in COLUMNS), style=style)
    return table


def _figure(metric: Metric) -> str:
    if metric.value != metric.value:
        return "-"
    if metric.low != metric.low or metric.low == metric.high:
        return f"{metric.value:.3f}"
    return f"{metric.value:.3f}\n{metric.low:.2f}–{metric.high:.2f}"
