"""`runs`: list training runs and changes of champion."""

from __future__ import annotations

from typing import Annotated

import typer

from features.utils.cli import AsJson, write_result

app = typer.Typer()


@app.command()
def runs(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Maximum number of runs, newest first.")] = 20,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="A B",
            help="Compare two models: run IDs, versions such as 3 or churn/3, or champion.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List completed training runs with their results, and every change of champion with person and reason.

    With `--compare`, show two models of each target side by side: metrics with intervals, settings that differ, and the
    dates of the data. The differences are paired where both backtests predicted the same accounts on the same dates."""
    from models.home import current_home
    from training.cli.tables.runs import print_runs
    from training.registry.runs import champion_changes, completed_runs

    home = current_home()
    if compare is not None:
        from training.cli.tables.run_comparison import print_comparison
        from training.registry.run_comparison import compare_runs

        comparison = compare_runs(home, *compare)
        write_result(as_json, comparison.as_dict, lambda console: print_comparison(comparison, console))
        return
    runs_, changes = completed_runs(home, limit), champion_changes(home)
    payload = {
        "runs": [run.as_dict() for run in runs_],
        "changes": [change.model_dump(mode="json") for change in changes],
    }
    write_result(as_json, lambda: payload, lambda console: print_runs(runs_, changes, console))
