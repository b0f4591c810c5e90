"""`review`: compare the health score of a quarter with outcomes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from features.utils.cli import AsJson, RubricName, SignalsArgument, mark_uncertain, progress_bar, write_result

app = typer.Typer()


@app.command()
def review(
    signals: SignalsArgument,
    quarter: Annotated[str, typer.Option("--quarter", metavar="QUARTER", help="Calendar quarter, such as 2026Q3.")],
    rubric: RubricName = None,
    capacity: Annotated[
        int | None,
        typer.Option(min=1, help="Number of red accounts that the team can work on at a time (default: 20)."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder to write to (default: reviews/ in the home).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the health score of a quarter with outcomes, and propose whether to change its weights.

    The review is an HTML page and a JSON document. Nothing changes until it is approved."""
    from features.utils.periods import Quarter
    from models.home import current_home
    from training.review.run import CAPACITY, run_review

    period = Quarter.parse(quarter)
    with progress_bar(f"reviewing {period.name}") as progress:
        result = run_review(signals, period, current_home(), rubric, capacity or CAPACITY, out, progress)
    mark_uncertain(result.open_questions)
    payload = {**result.review.plain(), "folder": str(result.folder), "run_id": result.run_id}
    write_result(as_json, lambda: payload, lambda _: typer.echo(result.text()))
