"""`runs`: list training runs and changes of champion."""

from __future__ import annotations

from typing import Annotated

import typer

from features.utils.cli import AsJson, write_result

app = typer.Typer()


@app.command()
def runs(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Maximum number of runs, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List completed training runs with their results, and every change of champion with person and reason."""
    from models.home import current_home
    from training.cli.tables.runs import print_runs
    from training.registry.runs import champion_changes, completed_runs

    home = current_home()
    runs_, changes = completed_runs(home, limit), champion_changes(home)
    payload = {
        "runs": [run.as_dict() for run in runs_],
        "changes": [change.model_dump(mode="json") for change in changes],
    }
    write_result(as_json, lambda: payload, lambda console: print_runs(runs_, changes, console))
