"""Runs and changes of champion as tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from features.clock import show
from models.champion import Change
from training.runs import Trained


def print_runs(found: Sequence[Trained], changes: Sequence[Change], console: Console) -> None:
    """Print both, newest first."""
    if not found:
        console.print("No training has been completed yet.")
    table = Table(
        "trained", "run", "data through", "target", "version", "AUC", "Brier skill", "slope", "gates", box=None
    )
    for run in found:
        for target, outcome in run.outcomes.items():
            figures = [f"{v:.3f}" if (v := outcome.figures.get(n)) is not None else "" for n in _SHOWN]
            gates = ", ".join(g.replace("_", " ") for g in outcome.failed) or "all passed"
            version = f"{outcome.version} [bold](champion)[/bold]" if outcome.champion else outcome.version
            table.add_row(
                f"{run.began:%Y-%m-%d %H:%M}", run.run_id[:8], run.data_through, target, version, *figures, gates
            )
    if found:
        console.print(table)
    if changes:
        told = Table("when", "target", "version", "what", "who", "why", box=None, title="changes of champion")
        for change in reversed(changes):
            told.add_row(
                show(change.at),
                change.target,
                change.champion.version,
                change.what.replace("_", " "),
                change.who,
                change.why,
            )
        console.print(told)


_SHOWN = ("roc_auc", "brier_skill", "calibration_slope")
