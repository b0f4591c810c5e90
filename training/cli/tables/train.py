"""Terminal output of `renewcast train`."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from features.utils.console import Table
from features.utils.dates import to_iso
from features.utils.formatting import interval_text, number, percent, signed
from features.utils.printable import printable_line
from models.artifacts.model_card import candidate_name
from models.renewals.renewal_model import LEADS
from models.targets import Target
from training.cli.tables.leakage import print_findings
from training.evaluation.baselines import BASE_RATE, HEALTH_SCORE, RENEWAL_DUE
from training.evaluation.capacity_value import RANDOM
from training.evaluation.comparison import Comparison, Metric
from training.evaluation.headline_metrics import HEADLINE
from training.evaluation.promotion_gates import Gate, blocking_gates, gate_text
from training.evaluation.test_predictions import MetricEstimate
from training.pipeline.abort import fix_for
from training.pipeline.candidate import Candidate
from training.pipeline.report import RegisteredModel, TrainReport
from training.renewals.candidate import RenewalCandidate

COLUMNS = HEADLINE
"""The metrics shown, and their headings; all of them are in the JSON."""

TABLES = (tuple(COLUMNS)[:3], tuple(COLUMNS)[3:])
"""Two tables of them, because a row with the intervals of all metrics does not fit in 80 columns."""

_NAME_WIDTH = 12
"""Characters for the name of a candidate; longer names continue on the next line, after a space or a hyphen."""
_THREE_DECIMALS = frozenset({"brier", "brier_skill", "log_loss"})


def print_report(report: TrainReport, console: Console) -> None:
    """Print each model, its metrics next to its rivals', whether it was promoted, feed problems and leak notes.

    Parameters
    ----------
    report : the result of training.
    console : the terminal.
    """
    for target in report.facts:
        model = report.models.get(target)
        if model is None:
            lines = Text("\n".join(_why_not(report, target)))
            console.print(Panel(lines, title=f"{target}: not trained", border_style="yellow", title_align="left"))
        else:
            console.print(_panel(report, model))
    if report.renewals is not None:
        console.print(_renewals(report.renewals))
    troubles = report.feeds.troubles()
    for line in troubles:
        console.print(Text("feed", style="red").append(f"  {line}", style="default"))
    if troubles:
        console.print(Text("a model learns the faults of a feed: fix them first; `renewcast check` shows how"))
    style = "dim" if report.leaks.ok else "red"
    console.print(Text(f"leak check: {report.leaks.words()}", style=style))
    print_findings(report.leaks.notes, console)


def _panel(report: TrainReport, model: RegisteredModel) -> Panel:
    candidate = model.candidate
    target, comparison = candidate.target, candidate.judgement
    size = comparison.size
    step = "" if report.every_days == report.config.every_days else f" every {report.every_days} days"
    origins, (first, last) = candidate.origins.dates, candidate.final.dates
    refitted = f"{len(origins)} times" if len(origins) > 1 else "once"
    head = Text(
        f"trained on snapshots{step} of {to_iso(first)} to {to_iso(last)}\n"
        f"backtest: refitted {refitted}, from {to_iso(origins[0])} on, it predicted {size['rows']:,} snapshots of "
        f"{size['accounts']:,} accounts, {size['accounts_with_outcome']:,} of them with {target}; "
        f"rate {percent(comparison.window_rate)} (known before: {percent(comparison.known_rate)})"
    )
    verdict = Text(f"{comparison.grade}: {comparison.words}", style="bold")
    gates = Table.grid(padding=(0, 1))
    for gate in candidate.gates:
        gates.add_row(*_gate(gate))
    more = Text("\n".join(_more(candidate)), style="dim")
    standing, style = _standing(model)
    foot = Text(f"{standing}\nbundle in {model.folder}")
    parts = (*(_table(candidate, metrics) for metrics in TABLES), verdict, gates, *_capacity(candidate), more, foot)
    group = Group(head, *(each for part in parts for each in (Text(), part)))
    return Panel(
        group, title=f"{target} within {report.config.horizon_days} days", border_style=style, title_align="left"
    )


def _renewals(renewals: RenewalCandidate) -> Panel:
    """Return the renewal model and the metrics of its stages next to their rivals, or why there is none."""
    table = Table.grid(padding=(0, 2))
    for stage in renewals.stages:
        share = f"{stage.outcomes:,} of {stage.renewals:,} renewals {stage.stage}"
        # The first stage gives the reason why there is no model at all, which is above the table.
        reason = f"no model: {stage.reason}" if stage.reason and stage.reason != renewals.reason else ""
        table.add_row(share, Text(reason))
        for row in stage.judgement.rows if stage.judgement else ():
            auc, loss = row["roc_auc"].value, row["log_loss"].value
            table.add_row(f"  {candidate_name(row.candidate)}", f"ROC AUC {auc:.3f}, log loss {loss:.3f}")
    if renewals.reason:
        verdict = f"no renewal model: {renewals.reason}"
        more = "Renewals are forecast from the churn and expansion models instead."
    else:
        verdict = f"the renewal model forecasts renewals {LEADS[0]} to {LEADS[-1]} days ahead; it is part of churn"
        more = "Outcomes without a model are forecast from the churn and expansion models."
    style = "yellow" if renewals.reason else "green"
    group = Group(Text(verdict, style="bold"), Text(more), Text(), table)
    return Panel(group, title="renewals", border_style=style, title_align="left")


def _why_not(report: TrainReport, target: Target) -> list[str]:
    """Return the reasons why a target was not trained, and for leaks the fix."""
    lines = [f"lacking: {line}" for line in report.facts[target].missing]
    if leaks := report.leaks.leak_lines(target):
        lines += [*(f"leak: {line}" for line in leaks), f"fix: {fix_for(report.leaks, target)}"]
    return lines


def _gate(gate: Gate) -> tuple[Text, str, Text]:
    if gate.passed:
        return Text("passed", style="green"), gate.name, Text(gate.words)
    words = gate_text(asdict(gate)).partition(": ")[2]
    return Text("open", style="yellow") if gate.undecided else Text("failed", style="red"), gate.name, Text(words)


def _standing(model: RegisteredModel) -> tuple[str, str]:
    """Return the promotion status of the candidate, with the reason if it was not promoted, and a color."""
    candidate, version = model.candidate, model.version
    if model.promoted:
        return f"version {version} is now the champion", "green"
    if failed := blocking_gates([asdict(gate) for gate in candidate.gates]):
        names = ", ".join(str(gate["name"]) for gate in failed)
        return f"version {version} is registered but not promoted; failed gates: {names}", "red"
    reason = next(gate.words for gate in candidate.gates if gate.undecided)
    return (
        f"version {version} is registered; {reason}. `renewcast promote {candidate.target} {version} --why TEXT` "
        "makes it the champion anyway",
        "yellow",
    )


def _more(candidate: Candidate) -> list[str]:
    """Return the stability of reasons, the ranking among due accounts, and notes on the horizons."""
    stability = candidate.stability
    lines = [
        f"{percent(stability.at_least_two, 0)} of accounts have at least two reasons on which most of the "
        f"{stability.members} models of the ensemble agree"
    ]
    if candidate.due is not None:
        lines.append(_due(candidate.due))
    return lines + [part.words for part in candidate.by_horizon if part.words]


def _capacity(candidate: Candidate) -> Iterator[RenderableType]:
    """Return what a team covers that works on the accounts ranked highest: by the model, by health score, at random."""
    work = {w.candidate: w for w in candidate.work}
    ours, health, random = (work.get(name) for name in (candidate.subject, HEALTH_SCORE, RANDOM))
    if ours is None or random is None or not math.isfinite(ours.caught_arr[0]):
        return
    outcome = {"churn": "churned", "expansion": "expanded"}[candidate.target]
    table = Table(padding=(0, 0, 0, 2), pad_edge=False)
    table.add_column(f"the {ours.capacity} accounts ranked highest")
    table.add_column(f"of accounts that {outcome}", justify="right")
    table.add_column("of their ARR", justify="right")
    for label, each in (("by the model", ours), ("by health score", health), ("at random", random)):
        if each is not None:
            table.add_row(label, _share(each.caught), _share(each.caught_arr))
    yield table
    if health is not None:
        yield Text(_lead(health.arr_lead))


def _share(figure: MetricEstimate) -> str:
    """Return a share with its interval, if it is known."""
    value, low, high = figure
    return percent(value, 0) if not low < high else f"{percent(value, 0)} ({percent(low, 0)} to {percent(high, 0)})"


def _lead(lead: MetricEstimate) -> str:
    """Compare the ARR covered by the model with that covered by the health score."""
    value, low, high = (100 * each for each in lead)
    figures = f"{signed(value, 0)} percentage points, 95% interval {signed(low, 0)} to {signed(high, 0)}"
    if low > 0 or high < 0:
        return f"the model covers {'more' if low > 0 else 'less'} of this ARR than the health score: {figures}"
    return (
        f"in ARR, the difference between model and health score can be chance: {figures}; a few large accounts decide "
        "it"
    )


def _due(comparison: Comparison) -> str:
    aucs = {row.candidate: row["roc_auc"].value for row in comparison.rows}
    rival = f", {aucs[RENEWAL_DUE]:.2f} by the renewal date alone" if RENEWAL_DUE in aucs else ""
    return f"among accounts with a renewal within the horizon, the ROC AUC is {aucs[comparison.subject]:.2f}{rival}"


def _table(candidate: Candidate, metrics: Sequence[str]) -> Table:
    """Build a table with one row per candidate, and the 95% interval after each metric; it fits in 80 columns."""
    table = Table(padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column("", overflow="fold")
    for metric in metrics:
        table.add_column(COLUMNS[metric], justify="right")
    for row in candidate.judgement.rows:
        style = "bold" if row.candidate == candidate.subject else "dim" if row.candidate == BASE_RATE else ""
        name = Group(*textwrap.wrap(printable_line(candidate_name(row.candidate)), _NAME_WIDTH))
        figures = (_figure(row[metric], 3 if metric in _THREE_DECIMALS else 2) for metric in metrics)
        table.add_row(name, *figures, style=style)
    return table


def _figure(metric: Metric, digits: int) -> str:
    value = number(metric.value, digits)
    if metric.low != metric.low or metric.low == metric.high:
        return value
    return f"{value} ({interval_text(metric.low, metric.high)})"
