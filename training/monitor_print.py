"""What monitoring found, for the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from features.clock import show
from training.monitor import MonitorReport


def print_monitor(report: MonitorReport, console: Console) -> None:
    """Print it, the verdict last."""
    for target, watched in report.targets.items():
        console.print(
            f"[bold]{target}[/bold]: version {watched.version}, trained on what was known before "
            f"{show(watched.trained_through)}; looked at through {show(report.data_through)}"
        )
        columns = (
            "within",
            "predictions",
            "accounts",
            "it happened to",
            "expected",
            "happened",
            "ratio",
            "AUC",
            "slope",
        )
        table = Table(*columns, box=None)
        for seen in watched.matured:
            table.add_row(
                f"{seen.days} days",
                f"{seen.rows:,}",
                f"{seen.accounts:,}",
                f"{seen.happened:,}",
                f"{seen.expected:.1%}",
                f"{seen.rate:.1%}",
                _with_interval(seen.ratio),
                _with_interval(seen.roc_auc),
                _with_interval(seen.slope),
            )
        console.print(table if watched.matured else "no prediction has matured yet")
        moved = ", ".join(f"{name} {value:.2f}" for name, value in watched.feature_psi.items())
        console.print(f"score PSI {watched.score_psi:.2f}; features of another population: {moved or 'none'}")
    for line in report.feeds:
        console.print(f"[red]feed[/red]   {line}", highlight=False)
    for target, watched in report.targets.items():
        for reason in watched.reasons:
            console.print(f"[yellow]{target}[/yellow]  {reason}", highlight=False)
    if report.feeds and any(w.reasons for w in report.targets.values()):
        console.print("mend the feeds first; what is trained on them would learn the fault")
    else:
        console.print("train again: `renewcast train SIGNALS`" if report.retrain else "no reason to train again")


def _with_interval(figure: tuple[float, float, float]) -> str:
    value, low, high = figure
    return "" if value != value else f"{value:.2f} ({low:.2f}, {high:.2f})"
