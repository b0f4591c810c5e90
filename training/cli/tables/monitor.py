"""Terminal output of `renewcast monitor`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group
from rich.text import Text

from features.utils.console import Table
from features.utils.dates import to_iso
from features.utils.formatting import interval_text, number, percent
from training.monitoring.matured_predictions import MaturedMetrics
from training.monitoring.report import ChampionMonitoring, MonitorReport
from training.monitoring.warning_precision import WarningOutcomes

#: Maximum number of drifted features shown, largest drift first; JSON has all of them.
SHOWN = 12
COLUMNS = ("within", "accounts", "predicted", "observed", "ratio", "AUC", "slope")
FORMER_COLUMNS = ("accounts", "ratio", "slope")


def print_monitor(report: MonitorReport, console: Console) -> None:
    """Print the report; the verdict comes last. It fits in eighty columns.

    Parameters
    ----------
    report : the result of monitoring.
    console : the terminal.
    """
    for target, watched in report.targets.items():
        facts = (
            f": version {watched.version}, trained on data before {to_iso(watched.trained_through)}; "
            f"monitored through {to_iso(report.data_through)}"
        )
        console.print(Text.assemble((target, "bold"), facts))
        _print_matured(watched.matured, console)
        _print_former(watched, console)
        drifted = watched.drifted
        far = list(drifted.far().items())
        moved = ", ".join(f"{name} {value:.2f}" for name, value in far[:SHOWN])
        more = f", and {len(far) - SHOWN} more" if len(far) > SHOWN else ""
        console.print(f"score PSI {drifted.score_psi:.2f}; drifted features: {moved or 'none'}{more}")
    _print_warnings(report, console)
    for line in report.feeds:
        console.print(Text.assemble(("feed", "red"), f"   {line}"))
    for target, watched in report.targets.items():
        for note in watched.notes:
            console.print(Text(f"{target}  {note}"))
        for reason in watched.reasons:
            console.print(Text.assemble((target, "yellow"), f"  {reason}"))
    if report.feeds and any(w.reasons for w in report.targets.values()):
        console.print("fix the feeds first; a model trained on them would learn the faults")
    else:
        console.print("retrain: `renewcast train SIGNALS`" if report.retrain else "no reason to retrain")


def _print_matured(matured: Sequence[MaturedMetrics], console: Console) -> None:
    table = Table(*COLUMNS, gap=1)
    for metrics in matured:
        table.add_row(f"{metrics.days} days", *_cells(metrics))
    console.print(table if matured else "no prediction has matured yet")


def _print_warnings(report: MonitorReport, console: Console) -> None:
    precision = report.early_warnings
    if precision is None:
        console.print(Text.assemble(("early warnings", "bold"), f" are not measured: {report.why_no_early_warnings}"))
        return
    weeks = f": {precision.dates} weekly dates from {to_iso(precision.first)} to {to_iso(precision.last)}"
    console.print(Text.assemble(("early warnings", "bold"), weeks))
    stayed = [Group("stayed,", "acted on"), Group("stayed,", "not")] if precision.has_interventions else ["stayed"]
    table = Table("warning", "number", "accounts", "churned", gap=1)
    for heading in (*stayed, "churn rate", "recall"):
        table.add_column(heading)
    for each in precision.by_code:
        table.add_row(each.code or "", *_outcome_cells(each))
    if precision.by_code:
        console.print(table)
    for sentence in precision.summary:
        console.print(Text(sentence))


def _outcome_cells(outcomes: WarningOutcomes) -> list[str | Group]:
    acted_on, not_acted_on = outcomes.stayed_after_intervention, outcomes.stayed_without_intervention
    stayed = (outcomes.stayed,) if acted_on is None or not_acted_on is None else (acted_on, not_acted_on)
    rate, low, high = outcomes.churn_rate
    bounds = () if low != low else (f"{percent(low, 0)} to {percent(high, 0)}",)
    counts = (outcomes.episodes, outcomes.accounts, outcomes.churned, *stayed)
    return [*(f"{count:,}" for count in counts), Group(percent(rate, 0), *bounds), percent(outcomes.recall, 0)]


def _print_former(watched: ChampionMonitoring, console: Console) -> None:
    if not watched.former:
        return
    console.print("all champions so far, each on the dates when it was in use:")
    _print_matured(watched.together, console)
    days = watched.horizon_days
    table = Table("version", "from", "until", *FORMER_COLUMNS, gap=1)
    for former in watched.former:
        metrics = next((one for one in former.matured or () if one.days == days), None)
        cells = dict(zip(COLUMNS[1:], _cells(metrics), strict=True)) if metrics else {}
        row = [cells.get(name, "") for name in FORMER_COLUMNS]
        if former.matured is None:
            row[0] = "not readable"
        table.add_row(former.version, to_iso(former.since), to_iso(former.until), *row)
    console.print(f"previous champions, within {days} days:")
    console.print(table)


def _cells(metrics: MaturedMetrics) -> list[str | Group]:
    return [
        f"{metrics.happened:,} of {metrics.accounts:,}",
        percent(metrics.expected),
        percent(metrics.rate),
        _with_interval(metrics.ratio),
        _with_interval(metrics.roc_auc),
        _with_interval(metrics.slope),
    ]


def _with_interval(figure: tuple[float, float, float]) -> str | Group:
    value, low, high = figure
    return "" if value != value else Group(number(value, 2), interval_text(low, high))
