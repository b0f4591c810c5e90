"""`score`: score a portfolio into a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from features.utils.cli import TABLE_FILES, AsOf, Engine, PortfolioName, SignalsArgument, progress_bar
from features.utils.progress import subprogress
from serving.cli.context import open_store

app = typer.Typer()


@app.command()
def score(
    signals: SignalsArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help=f"A {TABLE_FILES}.")],
    as_of: AsOf = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Save predictions and alerts to the store, and notify webhooks.")
    ] = False,
    engine: Engine = "duckdb",
    portfolio: PortfolioName = None,
) -> None:
    """Score every active account as of a date.

    The file has one row per account: probabilities, bands, health score and reasons."""
    from features.feed_health.feed_health import feed_health
    from features.signals.cutoff import cutoff_of
    from features.signals.signals import read_signals
    from features.sources.open_source import open_source
    from models.home import current_home
    from models.home_writers import writing
    from models.predictions.table_export import suffix_of
    from serving.scoring.score_portfolio import score as run

    suffix_of(out)
    instant, home = cutoff_of(signals, as_of, engine), current_home()
    # What is read before an erasure must not be written after it.
    with writing(home.ensure(), "scoring"), progress_bar("scoring") as tell:
        source = open_source(signals, engine)
        jumped = feed_health(source, instant).jumped
        opened = read_signals(source, instant, progress=subprogress(tell, 0.1, 0.4), rollup_folder=home.rollups)
        store = open_store() if publish else None
        summary = run(opened, instant, out, home, subprogress(tell, 0.4, 1.0), jumped, store, portfolio)
    typer.echo(summary.words())
