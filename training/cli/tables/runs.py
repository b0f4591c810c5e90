"""Terminal output of `renewcast runs`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from features.utils.console import Table
from models.artifacts.champion_pointer import ChampionChange
from training.registry.runs import CompletedRun


def print_runs(runs: Sequence[CompletedRun], changes: Sequence[ChampionChange], console: Console) -> None:
    """Print training runs and changes of champion, newest first.

    Parameters
    ----------
    runs : the completed runs, newest first.
    changes : the changes of champion.
    console : the terminal.
    """
    if not runs:
        console.print("No training has been completed yet.")
    table = Table(gap=1)
    for heading in ("run", "trained", "data through", "target"):
        table.add_column(heading, no_wrap=True)
    for heading in ("version", "AUC", "skill", "slope"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("gates", no_wrap=True)
    for run in runs:
        for target, outcome in run.outcomes.items():
            figures = [f"{v:.3f}" if (v := outcome.figures.get(n)) is not None else "" for n in _SHOWN]
            gates = f"{len(outcome.failed)} failed" if outcome.failed else "all passed"
            version = Text(f"{outcome.version} *", style="bold") if outcome.champion else Text(outcome.version)
            day = f"{run.began:%Y-%m-%d}"
            table.add_row(run.run_id[:8], day, run.data_through[:10], target, version, *figures, gates)
    if runs:
        console.print(table)
        console.print("* champion")
    for run in runs:
        for target, outcome in run.outcomes.items():
            if outcome.failed:
                names = ", ".join(name.replace("_", " ") for name in outcome.failed)
                console.print(f"{target} {outcome.version} was not promoted; not passed: {names}")
    if changes:
        table = Table(gap=1, title="changes of champion")
        for heading in ("when", "target", "version", "what"):
            table.add_column(heading, no_wrap=True)
        table.add_column("who")
        table.add_column("why")
        for change in reversed(changes):
            what = change.what.replace("_", " ")
            day = f"{change.at:%Y-%m-%d %H:%M}"
            table.add_row(day, change.target, change.champion.version, what, change.who, change.why)
        console.print(table)


_SHOWN = ("roc_auc", "brier_skill", "calibration_slope")
